/* SPDX-License-Identifier: Apache-2.0 */
/* Attention over keys and values that are states of the model: ReadValue, reordered by beam_idx, the new ones behind,
 * Assign; one mask for each window. */
#include "base/error.h"
#include "formats/openvino/lm_write.h"
#include <math.h>

static ol_ir_type heads_type(int64_t heads, int64_t d) { return ol_ir_type_of(OL_F32, 4, (const int64_t[]){-1, heads, -1, d}); }

/* ---- states ---- */

/* No positions yet: zeros of [B, kv, 0, d]. */
static ol_ir_out empty_state(ol_lmw *w, int64_t kv, int64_t d) {
    const ol_ir_out sizes[] = {w->batch, ol_lmw_list(w, kv), ol_lmw_list(w, 0), ol_lmw_list(w, d)};
    const int64_t four = 4;
    ol_ir_type shape = ol_ir_type_of(OL_I64, 1, &four), t = heads_type(kv, d);
    const ol_ir_out in[] = {ol_lmw_number(w, 0), ol_lmw_concat(w, NULL, sizes, 4, 0, &shape)};
    const ol_ir_attr mode = ol_ir_say_text("mode", "numpy");
    t.dims[2] = 0;
    return ol_lmw_add(w, "Broadcast", "opset3", NULL, in, 2, &mode, 1, &t);
}

/* What the state holds, in the order of the beams. */
static ol_ir_out past_of(ol_lmw *w, const char *variable, int64_t kv, int64_t d) {
    ol_ir_type t = heads_type(kv, d);
    ol_ir_out init = empty_state(w, kv, d);
    const ol_ir_attr attrs[] = {ol_ir_say_text("variable_id", variable), ol_ir_say_text("variable_type", "f32"),
                                ol_ir_say_text("variable_shape", ol_lmw_text(w, "?,%lld,?,%lld", (long long)kv, (long long)d))};
    ol_ir_out x = ol_lmw_add(w, "ReadValue", "opset6", NULL, &init, 1, attrs, 3, &t);
    return ol_lmw_gather(w, NULL, x, w->in_beam, 0, &t);
}

/* The state `part` of this layer with the new rows behind; *past: what it held before. */
static ol_ir_out grown_state(ol_lmw *w, ol_value *v, const char *part, int64_t kv, ol_ir_out *past) {
    int64_t d = ol_lmw_width(v) / kv;
    ol_ir_type t = heads_type(kv, d);
    const char *variable = ol_lmw_text(w, "past_key_values.%d.%spresent.%d.%s", w->n_layers, part, w->n_layers, part);
    *past = past_of(w, variable, kv, d);
    ol_ir_out now = ol_lmw_heads(w, v, kv);
    ol_ir_out all = ol_lmw_concat(w, NULL, (const ol_ir_out[]){*past, now}, 2, -2, &t);
    w->variables[w->n_assigned] = variable;
    w->assigned[w->n_assigned++] = all;
    return all;
}

/* [B, kv, L, d] with every head's keys repeated for the queries that share it. */
static ol_ir_out repeated(ol_lmw *w, ol_ir_out x, int64_t kv, int64_t heads, int64_t d) {
    int64_t g = heads / kv, four = 4, two = 2, five = 5;
    if (g == 1) return x;
    const ol_ir_attr i64 = ol_ir_say_text("output_type", "i64"), mode = ol_ir_say_text("mode", "bidirectional");
    ol_ir_type ts = ol_ir_type_of(OL_I64, 1, &four), th = ol_ir_type_of(OL_I64, 1, &two), tt = ol_ir_type_of(OL_I64, 1, &five);
    ol_ir_out sizes = ol_lmw_add(w, "ShapeOf", "opset3", NULL, &x, 1, &i64, 1, &ts);
    ol_ir_out head = ol_lmw_gather(w, NULL, sizes, ol_ir_const_i64(w->e, (const int64_t[]){0, 1}, 2), 0, &th);
    ol_ir_out tail = ol_lmw_gather(w, NULL, sizes, ol_ir_const_i64(w->e, (const int64_t[]){2, 3}, 2), 0, &th);
    ol_ir_out target = ol_lmw_concat(w, NULL, (const ol_ir_out[]){head, ol_lmw_list(w, g), tail}, 3, 0, &tt);
    ol_ir_type wide = ol_ir_type_of(OL_F32, 5, (const int64_t[]){-1, kv, g, -1, d});
    const ol_ir_out in[] = {ol_ir_add_unsqueeze(w->e, NULL, x, (const int64_t[]){2}, 1), target};
    ol_ir_out y = ol_lmw_add(w, "Broadcast", "opset3", NULL, in, 2, &mode, 1, &wide);
    return ol_ir_add_reshape(w->e, NULL, y, (const int64_t[]){0, heads, -1, d}, 4, true);
}

/* ---- masks ---- */

static ol_ir_out length_of(ol_lmw *w, ol_ir_out x, int rank, int64_t axis) {
    const int64_t n = rank;
    ol_ir_type ts = ol_ir_type_of(OL_I64, 1, &n), t = ol_ir_type_of(OL_I64, 0, NULL);
    const ol_ir_attr i64 = ol_ir_say_text("output_type", "i64");
    ol_ir_out sizes = ol_lmw_add(w, "ShapeOf", "opset3", NULL, &x, 1, &i64, 1, &ts);
    return ol_lmw_gather(w, NULL, sizes, ol_lmw_scalar(w, axis), 0, &t);
}

static ol_ir_out range(ol_lmw *w, ol_ir_out from, ol_ir_out to) {
    const ol_ir_out in[] = {from, to, ol_lmw_scalar(w, 1)};
    const ol_ir_attr i64 = ol_ir_say_text("output_type", "i64");
    ol_ir_type t = ol_ir_type_of(OL_I64, 1, (const int64_t[]){-1});
    return ol_lmw_add(w, "Range", "opset4", NULL, in, 3, &i64, 1, &t);
}

/* Positions of the keys and queries of a run, from the first state's length. */
static void number_rows(ol_lmw *w, ol_ir_out past) {
    if (w->past.layer >= 0) return;
    w->past = length_of(w, past, 4, 2);
    w->total = ol_ir_add_binary(w->e, "Add", NULL, w->past, length_of(w, w->in_ids, 2, 1));
    w->key_index = ol_ir_add_unsqueeze(w->e, NULL, range(w, ol_lmw_scalar(w, 0), w->total), (const int64_t[]){0, 1, 2}, 3);
    w->query_index = ol_ir_add_unsqueeze(w->e, NULL, range(w, w->past, w->total), (const int64_t[]){0, 1, 3}, 3);
}

static ol_ir_out both(ol_lmw *w, ol_ir_out a, ol_ir_out b) { return ol_ir_add_binary(w->e, "BitwiseAnd", NULL, a, b); }

static ol_ir_out always(ol_lmw *w) {
    const uint8_t yes = 1;
    ol_ir_type flag = ol_ir_type_of(OL_BOOL, 0, NULL);
    return ol_ir_const_raw(w->e, NULL, NULL, &flag, &yes, 1);
}

/* Which keys [B, 1, S, L] each query sees: those that the mask gives, up to its own, and within the window. */
static ol_ir_out seen_keys(ol_lmw *w, int64_t window) {
    ol_ir_out causal = ol_ir_add_binary(w->e, "LessEqual", NULL, w->key_index, w->query_index);
    ol_ir_out given = ol_ir_add_convert(w->e, NULL, w->in_mask, ol_ir_element_of(OL_BOOL));
    given = ol_ir_add_unsqueeze(w->e, NULL, given, (const int64_t[]){1, 2}, 2);
    if (window <= 0) return both(w, both(w, always(w), causal), given);
    ol_ir_out edge = ol_ir_add_binary(w->e, "Add", NULL, w->query_index, ol_lmw_scalar(w, -window));
    ol_ir_out near = both(w, always(w), ol_ir_add_binary(w->e, "Greater", NULL, w->key_index, edge));
    return both(w, both(w, always(w), both(w, near, causal)), given);
}

/* Paged attention takes a window only from a mask that is brought to its size and sliced to it. */
static ol_ir_out to_size(ol_lmw *w, ol_ir_out x, const ol_ir_type *t) {
    const int64_t zero = 0, four = 4;
    ol_ir_type shape = ol_ir_type_of(OL_I64, 1, &four);
    ol_ir_out now = ol_ir_add_unsqueeze(w->e, NULL, length_of(w, w->in_ids, 2, 1), &zero, 1);
    ol_ir_out all = ol_ir_add_unsqueeze(w->e, NULL, w->total, &zero, 1);
    const ol_ir_out sizes[] = {w->batch, ol_lmw_list(w, 1), now, all};
    const ol_ir_out in[] = {x, ol_lmw_concat(w, NULL, sizes, 4, 0, &shape)};
    const ol_ir_attr mode = ol_ir_say_text("mode", "bidirectional");
    ol_ir_type flags = *t;
    flags.element = ol_ir_element_of(OL_BOOL);
    return ol_lmw_add(w, "Broadcast", "opset3", NULL, in, 2, &mode, 1, &flags);
}

static ol_ir_out sliced(ol_lmw *w, ol_ir_out x, const ol_ir_type *t) {
    const int64_t zero = 0;
    const ol_ir_out in[] = {x, ol_lmw_list(w, 0), ol_ir_add_unsqueeze(w->e, NULL, w->total, &zero, 1), ol_lmw_list(w, 1), ol_lmw_list(w, 3)};
    return ol_lmw_add(w, "Slice", "opset8", NULL, in, 5, NULL, 0, t);
}

/* f32 [B, 1, S, L] to be added to the scores. */
static ol_ir_out mask_of(ol_lmw *w, const ol_node *n, int64_t window) {
    for (int i = 0; i < w->n_masks; i++)
        if (w->masks[i].window == window) return w->masks[i].mask;
    if (w->n_masks == OL_LMW_MAX_TABLES) {
        ol_lmw_fail(w, n, OLV_UNSUPPORTED, "more than %d windows", OL_LMW_MAX_TABLES);
        return OL_IR_NONE;
    }
    ol_ir_type t = ol_ir_type_of(OL_F32, 4, (const int64_t[]){-1, 1, -1, -1});
    ol_ir_out seen = seen_keys(w, window);
    if (window > 0) seen = to_size(w, seen, &t);
    const ol_ir_out in[] = {seen, ol_lmw_number(w, 0), ol_lmw_number(w, -65504)};
    const ol_ir_attr attr = ol_ir_say_text("auto_broadcast", "numpy");
    ol_ir_out mask = ol_lmw_add(w, "Select", NULL, NULL, in, 3, &attr, 1, &t);
    if (window > 0) mask = sliced(w, mask, &t);
    w->masks[w->n_masks++] = (ol_lmw_mask){window, mask};
    return mask;
}

/* Numbers for each head as [1, heads, 1, 1]. */
static ol_ir_out per_head(ol_lmw *w, ol_value *v, int64_t heads) {
    return ol_ir_add_reshape(w->e, NULL, ol_lmw_weight(w, v), (const int64_t[]){1, heads, 1, 1}, 4, false);
}

/* mask + slope * (key's position - query's). */
static ol_ir_out with_slopes(ol_lmw *w, ol_ir_out mask, ol_value *slopes, int64_t heads) {
    ol_ir_out far = ol_ir_add_binary(w->e, "Subtract", NULL, w->key_index, w->query_index);
    far = ol_ir_add_convert(w->e, NULL, far, ol_ir_element_of(OL_F32));
    return ol_ir_add_binary(w->e, "Add", NULL, mask, ol_ir_add_binary(w->e, "Multiply", NULL, far, per_head(w, slopes, heads)));
}

/* ---- attention ---- */

static ol_ir_out product(ol_lmw *w, ol_ir_out a, ol_ir_out b, bool transposed, const ol_ir_type *t) {
    const ol_ir_out in[] = {a, b};
    const ol_ir_attr attrs[] = {ol_ir_say_bool("transpose_a", false), ol_ir_say_bool("transpose_b", transposed)};
    return ol_lmw_add(w, "MatMul", NULL, NULL, in, 2, attrs, 2, t);
}

/* Capped scores: spelled out, since the one layer knows no cap. */
static ol_ir_out capped(ol_lmw *w, const ol_ir_out *qkv, ol_ir_out mask, double scale, double cap, int64_t heads, const ol_ir_type *out) {
    ol_ir_type t = ol_ir_type_of(OL_F32, 4, (const int64_t[]){-1, heads, -1, -1});
    const ol_ir_attr axis = ol_ir_say_int(w->e, "axis", -1);
    ol_ir_out s = ol_ir_add_binary(w->e, "Multiply", NULL, product(w, qkv[0], qkv[1], true, &t), ol_lmw_number(w, scale));
    s = ol_ir_add_unary(w->e, "Tanh", NULL, ol_ir_add_binary(w->e, "Divide", NULL, s, ol_lmw_number(w, cap)));
    s = ol_ir_add_binary(w->e, "Multiply", NULL, s, ol_lmw_number(w, cap));
    s = ol_ir_add_binary(w->e, "Add", NULL, s, mask);
    s = ol_lmw_add(w, "SoftMax", "opset8", NULL, &s, 1, &axis, 1, &t);
    return product(w, s, qkv[2], false, out);
}

static const char *unsupported(const ol_node *n) {
    if (n->n_inputs > 5 && n->inputs[5]) return "a bias by distance";
    if (!ol_node_int(n, "causal", 1)) return "attention that is not causal";
    if (!ol_node_attr(n, "state")) return "attention without a state";
    if (n->n_inputs > 3 && n->inputs[3] && ol_node_float(n, "softcap", 0) > 0) return "sinks with capped scores";
    return NULL;
}

void ol_lmw_attention(ol_lmw *w, ol_node *n) {
    int64_t heads = ol_node_int(n, "heads", 1), kv = ol_node_int(n, "kv_heads", heads);
    const char *why = unsupported(n);
    if (why) {
        ol_lmw_fail(w, n, OLV_UNSUPPORTED, "%s cannot be written", why);
        return;
    }
    int64_t dk = ol_lmw_width(n->inputs[1]) / kv, dv = ol_lmw_width(n->inputs[2]) / kv;
    double scale = (double)ol_node_float(n, "scale", 0), cap = (double)ol_node_float(n, "softcap", 0);
    if (scale == 0) scale = 1 / sqrt((double)dk);
    ol_ir_out past, qkv[3] = {ol_lmw_heads(w, n->inputs[0], heads)};
    qkv[1] = grown_state(w, n->inputs[1], "key", kv, &past);
    number_rows(w, past);
    qkv[2] = grown_state(w, n->inputs[2], "value", kv, &past);
    qkv[1] = repeated(w, qkv[1], kv, heads, dk);
    qkv[2] = repeated(w, qkv[2], kv, heads, dv);
    ol_ir_out mask = mask_of(w, n, ol_node_int(n, "window", 0)), y;
    if (n->n_inputs > 4 && n->inputs[4]) mask = with_slopes(w, mask, n->inputs[4], heads);
    ol_ir_type t = heads_type(heads, dv);
    if (cap > 0) {
        y = capped(w, qkv, mask, scale, cap, heads, &t);
    } else {
        bool sinks = n->n_inputs > 3 && n->inputs[3];
        const ol_ir_out in[] = {qkv[0], qkv[1], qkv[2], mask, ol_lmw_number(w, scale), sinks ? per_head(w, n->inputs[3], heads) : OL_IR_NONE};
        const ol_ir_attr causal = ol_ir_say_bool("causal", false);
        const char *name = ol_lmw_text(w, "__module.model.layers.%d.self_attn/aten::scaled_dot_product_attention/ScaledDotProductAttention", w->n_layers);
        y = ol_lmw_add(w, "ScaledDotProductAttention", "opset13", name, in, sinks ? 6 : 5, &causal, 1, &t);
    }
    ol_lmw_set(w, n, 0, y, OL_LMW_HEADS, heads);
    w->n_layers++;
}
