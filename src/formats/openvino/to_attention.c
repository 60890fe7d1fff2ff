/* SPDX-License-Identifier: Apache-2.0 */
/* Attention and rotary embedding of the default domain. */
#include "formats/openvino/to.h"
#include <math.h>
#include <string.h>

/* One node under way. Tensors are [batch, heads, length, size]. */
typedef struct attention {
    ol_to *t;
    const ol_node *n;
    ol_dtype type; /* of the arithmetic */
    ol_ir_out q, k, v;
    int64_t heads, kv_heads;
    bool flat; /* inputs of rank 3 */
} attention;

/* [B, S, heads size] as [B, heads, S, size] */
static ol_ir_out split_heads(attention *a, ol_ir_out x, int64_t heads) {
    const int64_t dims[4] = {0, 0, heads, -1}, perm[4] = {0, 2, 1, 3};
    if (!a->flat) return x;
    return ol_ir_add_transpose(a->t->e, NULL, ol_ir_add_reshape(a->t->e, NULL, x, dims, 4, true), perm, 4);
}

/* A cache put before what is new, and given as the present one. */
static ol_ir_out with_past(attention *a, ol_ir_out x, int past, int present) {
    if (ol_to_has(a->n, past)) {
        const ol_ir_out both[2] = {ol_to_in(a->t, a->n, past), x};
        x = ol_to_concat(a->t, both, 2, 2);
    }
    if (present < a->n->n_outputs && a->n->outputs[present])
        ol_to_give(a->t, a->n, present, ol_ir_add_convert(a->t->e, NULL, x, ol_ir_element_of(ol_to_dtype_of(a->t, x))));
    return x;
}

/* Every head of keys once for each head of queries that shares it. */
static ol_ir_out repeat_heads(attention *a, ol_ir_out x) {
    int64_t times = a->kv_heads > 0 ? a->heads / a->kv_heads : 1, axis = 2, merged[5] = {0, a->heads, -1, 0, 0};
    ol_to *t = a->t;
    if (times <= 1) return x;
    ol_ir_out size = ol_to_shape_of(t, x), wide = ol_ir_add_unsqueeze(t->e, NULL, x, &axis, 1);
    const ol_ir_out parts[3] = {ol_to_slice(t, size, 0, 2, 1, 0), ol_to_i64(t, &times, 1), ol_to_slice(t, size, 2, 4, 1, 0)};
    wide = ol_to_broadcast(t, wide, ol_to_concat(t, parts, 3, 0));
    const ol_ir_out shape[3] = {ol_to_slice(t, size, 0, 1, 1, 0), ol_to_i64(t, &merged[1], 1), ol_to_slice(t, size, 2, 4, 1, 0)};
    return ol_to_reshape(t, wide, ol_to_concat(t, shape, 3, 0), false);
}

static ol_ir_out infinite(attention *a, bool negative) {
    return ol_ir_const_number(a->t->e, a->type, negative ? -INFINITY : 0);
}

/* What hides the keys behind each query: -inf or 0, [queries, keys], queries standing at the end of the past. */
static ol_ir_out causal_bias(attention *a, ol_ir_out past, ol_ir_out keys) {
    ol_to *t = a->t;
    const int64_t front = 0, back = 1;
    ol_ir_out rows = ol_to_range(t, ol_to_size(t, a->q, 2, true)), columns = ol_to_range(t, keys);
    rows = ol_to_two(t, "Add", ol_ir_add_unsqueeze(t->e, NULL, rows, &back, 1), past);
    ol_ir_out seen = ol_to_two(t, "LessEqual", ol_ir_add_unsqueeze(t->e, NULL, columns, &front, 1), rows);
    return ol_to_select(t, seen, infinite(a, false), infinite(a, true));
}

/* Caches with counts of valid keys: [B, 1, queries or 1, keys]. */
static ol_ir_out length_bias(attention *a, ol_ir_out keys, bool causal) {
    ol_to *t = a->t;
    const int64_t column[4] = {-1, 1, 1, 1}, line[4] = {1, 1, 1, -1}, rows_shape[4] = {1, 1, -1, 1};
    ol_ir_out lens = ol_ir_add_reshape(t->e, NULL, ol_to_in(t, a->n, 6), column, 4, false);
    ol_ir_out at = ol_ir_add_reshape(t->e, NULL, ol_to_range(t, keys), line, 4, false);
    ol_ir_out bias = ol_to_select(t, ol_to_two(t, "Less", at, lens), infinite(a, false), infinite(a, true));
    if (!causal) return bias;
    ol_ir_out queries = ol_to_size(t, a->q, 2, true), rows = ol_ir_add_reshape(t->e, NULL, ol_to_range(t, queries), rows_shape, 4, false);
    rows = ol_to_two(t, "Add", rows, ol_to_two(t, "Subtract", lens, queries));
    return ol_to_two(t, "Add", bias, ol_to_select(t, ol_to_two(t, "LessEqual", at, rows), infinite(a, false), infinite(a, true)));
}

/* The mask as something to add; keys behind its end are hidden. */
static ol_ir_out mask_bias(attention *a) {
    ol_to *t = a->t;
    ol_ir_out m = ol_to_in(t, a->n, 3);
    const ol_type *type = ol_to_type(a->n, 3);
    if (type->dtype == OL_BOOL) m = ol_to_select(t, m, infinite(a, false), infinite(a, true));
    else m = ol_to_cast(t, m, a->type);
    const ol_ir_type *k = ol_ir_get_type(t->e, a->k);
    int64_t have = ol_to_dim(type, type->rank - 1), total = k && k->rank == 4 ? k->dims[2] : -1;
    if (type->rank < 1 || have < 0 || total < 0 || have == total || have == 1) return m;
    int64_t zeros[OL_MAX_RANK] = {0}, more[OL_MAX_RANK] = {0};
    more[type->rank - 1] = total - have;
    const ol_ir_out in[4] = {m, ol_to_i64(t, zeros, type->rank), ol_to_i64(t, more, type->rank), infinite(a, true)};
    const ol_ir_attr mode = ol_ir_say_text("pad_mode", "constant");
    return ol_to_layer(t, "Pad", "opset12", in, 4, &mode, 1, false);
}

static void give_scores(attention *a, int64_t mode, ol_ir_out s) {
    bool asked = a->n->n_outputs > 3 && a->n->outputs[3] && ol_node_int(a->n, "qk_matmul_output_mode", 0) == mode;
    if (asked) ol_to_give(a->t, a->n, 3, ol_ir_add_convert(a->t->e, NULL, s, ol_ir_element_of(a->n->outputs[3]->type.dtype)));
}

/* softmax(cap(scale q k^T) + bias) v */
static ol_ir_out attend(attention *a, double scale, ol_ir_out bias) {
    ol_to *t = a->t;
    double cap = (double)ol_node_float(a->n, "softcap", 0);
    ol_ir_out s = ol_to_matmul(t, ol_to_two(t, "Multiply", a->q, ol_to_number(t, a->q, scale)), a->k, false, true);
    give_scores(a, 0, s);
    if (cap > 0) s = ol_to_two(t, "Multiply", ol_to_one(t, "Tanh", ol_to_two(t, "Divide", s, ol_to_number(t, s, cap))), ol_to_number(t, s, cap));
    give_scores(a, 1, s);
    if (bias.layer >= 0) s = ol_to_two(t, "Add", s, bias);
    give_scores(a, 2, s);
    ol_ir_out p = ol_to_softmax(t, "SoftMax", s, -1);
    if (bias.layer >= 0) { /* rows that see nothing are zero */
        const int64_t last = -1;
        ol_ir_out none = ol_to_two(t, "Equal", ol_to_reduce(t, "ReduceMax", s, &last, 1, true), infinite(a, true));
        p = ol_to_select(t, none, infinite(a, false), p);
    }
    give_scores(a, 3, p);
    return ol_to_matmul(t, p, a->v, false, false);
}

/* OpenVINO's own layer, where nothing else is asked for. */
static ol_ir_out fused(attention *a, double scale, ol_ir_out bias) {
    ol_to *t = a->t;
    const ol_ir_out in[5] = {a->q, a->k, a->v, bias.layer >= 0 ? bias : infinite(a, false), ol_ir_const_number(t->e, a->type, scale)};
    const ol_ir_attr causal = ol_ir_say_bool("causal", false);
    return ol_to_layer(t, "ScaledDotProductAttention", "opset13", in, 5, &causal, 1, true);
}

/* Whether a row of the scores may see no key at all: then its place in the result is 0, and not what SDPA makes of it. */
static bool may_hide_all(const attention *a) {
    const ol_node *n = a->n;
    return ol_to_has(n, 3) || ol_to_has(n, 6);
}

void ol_to_attention(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    attention a = {.t = t, .n = n, .flat = ol_to_rank(t, n, 0) == 3};
    const ol_type *q = ol_to_type(n, 0), *k = ol_to_type(n, 1);
    a.heads = a.flat ? ol_node_int(n, "q_num_heads", 0) : ol_to_dim(q, 1);
    a.kv_heads = a.flat ? ol_node_int(n, "kv_num_heads", 0) : ol_to_dim(k, 1);
    int64_t size = ol_to_dim(q, q->rank - 1);
    if (a.flat && a.heads > 0 && size > 0) size /= a.heads;
    if (a.heads < 1 || a.kv_heads < 1 || (size < 1 && !ol_node_attr(n, "scale"))) {
        ol_to_refuse(t, "heads whose number or size is not known");
        return;
    }
    double scale = ol_node_attr(n, "scale") ? (double)ol_node_float(n, "scale", 0) : 1 / sqrt((double)size);
    ol_dtype type = ol_to_dtype(n, 0);
    a.type = type == OL_F64 ? OL_F64 : OL_F32;
    a.q = ol_to_cast(t, split_heads(&a, ol_to_in(t, n, 0), a.heads), a.type);
    a.k = with_past(&a, split_heads(&a, ol_to_in(t, n, 1), a.kv_heads), 4, 1);
    a.v = with_past(&a, split_heads(&a, ol_to_in(t, n, 2), a.kv_heads), 5, 2);
    a.k = ol_to_cast(t, a.k, a.type);
    a.v = ol_to_cast(t, a.v, a.type);
    ol_ir_out keys = ol_to_size(t, a.k, 2, true), bias = OL_IR_NONE;
    bool causal = ol_node_int(n, "is_causal", 0) != 0;
    if (ol_to_has(n, 3)) bias = mask_bias(&a);
    ol_ir_out more = OL_IR_NONE;
    if (ol_to_has(n, 6)) more = length_bias(&a, keys, causal);
    else if (causal) more = causal_bias(&a, ol_to_has(n, 4) ? ol_to_size(t, ol_to_in(t, n, 4), 2, true) : ol_to_scalar(t, 0), keys);
    if (more.layer >= 0) bias = bias.layer >= 0 ? ol_to_two(t, "Add", bias, more) : more;
    a.k = repeat_heads(&a, a.k);
    a.v = repeat_heads(&a, a.v);
    bool plain = a.type == OL_F32 && ol_node_float(n, "softcap", 0) == 0 && !(n->n_outputs > 3 && n->outputs[3]) && !may_hide_all(&a);
    ol_ir_out y = plain ? fused(&a, scale, bias) : attend(&a, scale, bias);
    const int64_t perm[4] = {0, 2, 1, 3}, dims[3] = {0, 0, -1};
    if (a.flat) y = ol_ir_add_reshape(t->e, NULL, ol_ir_add_transpose(t->e, NULL, y, perm, 4), dims, 3, true);
    ol_to_give(t, n, 0, ol_to_cast(t, y, type));
}

/* Rows of q, k or v [B, S, width] plus their part of the common bias. */
static ol_ir_out biased(attention *a, int i, int64_t from, int64_t to) {
    ol_ir_out x = ol_to_in(a->t, a->n, i);
    return ol_to_has(a->n, 3) && from >= 0 && to >= 0 ? ol_to_two(a->t, "Add", x, ol_to_slice(a->t, ol_to_in(a->t, a->n, 3), from, to, 1, 0)) : x;
}

/* Keys that a mask [B, keys] leaves out, or those from the lengths [B] on. */
static ol_ir_out padding_bias(attention *a) {
    ol_to *t = a->t;
    const int64_t axes[2] = {1, 2}, column[2] = {-1, 1};
    ol_ir_out m = ol_to_in(t, a->n, 4);
    if (ol_to_type(a->n, 4)->rank == 1) {
        ol_ir_out lengths = ol_ir_add_reshape(t->e, NULL, ol_to_cast(t, m, OL_I64), column, 2, false);
        m = ol_to_two(t, "Less", ol_to_range(t, ol_to_size(t, a->k, 2, true)), lengths);
    }
    m = ol_ir_add_unsqueeze(t->e, NULL, ol_to_cast(t, m, OL_BOOL), axes, 2);
    double filter = (double)ol_node_float(a->n, "mask_filter_value", -10000.0f);
    return ol_to_select(t, m, infinite(a, false), ol_ir_const_number(t->e, a->type, filter));
}

/* Inputs: q, k, v, bias, key mask, what is added to the scores, past keys, past values. */
void ol_to_multi_head_attention(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    attention a = {.t = t, .n = n, .flat = true, .type = OL_F32, .heads = ol_node_int(n, "num_heads", 0)};
    const ol_type *q = ol_to_type(n, 0), *k = ol_to_type(n, 1), *v = ol_to_type(n, 2);
    int64_t width = ol_to_dim(q, 2), v_width = v ? ol_to_dim(v, 2) : -1;
    bool fits = q->rank == 3 && k && k->rank == 3 && v && v->rank == 3 && width > 0 && a.heads > 0 && q->dtype == OL_F32 && (!ol_to_has(n, 3) || v_width > 0);
    if (!fits || (ol_to_has(n, 4) && ol_to_type(n, 4)->rank != 2 && ol_to_type(n, 4)->rank != 1)) {
        ol_to_refuse(t, "q, k and v that are not f32 [batch, length, heads size], or another mask than [batch, keys] or [batch]");
        return;
    }
    double scale = (double)ol_node_float(n, "scale", 0);
    if (scale == 0) scale = 1 / sqrt((double)width / (double)a.heads);
    a.q = split_heads(&a, biased(&a, 0, 0, width), a.heads);
    a.k = with_past(&a, split_heads(&a, biased(&a, 1, width, 2 * width), a.heads), 6, 1);
    a.v = with_past(&a, split_heads(&a, biased(&a, 2, 2 * width, 2 * width + v_width), a.heads), 7, 2);
    ol_ir_out bias = ol_to_in(t, n, 5), more = OL_IR_NONE;
    if (ol_to_has(n, 4)) more = padding_bias(&a);
    if (more.layer >= 0) bias = bias.layer >= 0 ? ol_to_two(t, "Add", bias, more) : more;
    if (ol_node_int(n, "unidirectional", 0)) {
        more = causal_bias(&a, ol_to_has(n, 6) ? ol_to_size(t, ol_to_in(t, n, 6), 2, true) : ol_to_scalar(t, 0), ol_to_size(t, a.k, 2, true));
        bias = bias.layer >= 0 ? ol_to_two(t, "Add", bias, more) : more;
    }
    const int64_t perm[4] = {0, 2, 1, 3}, dims[3] = {0, 0, -1};
    ol_ir_out y = fused(&a, scale, bias);
    ol_to_give(t, n, 0, ol_ir_add_reshape(t->e, NULL, ol_ir_add_transpose(t->e, NULL, y, perm, 4), dims, 3, true));
}

/* Halves, or every other number: x1 cos - x2 sin, x2 cos + x1 sin; numbers behind the rotated ones stay. */
void ol_to_rotary(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    attention a = {.t = t, .n = n, .flat = ol_to_rank(t, n, 0) == 3};
    const ol_type *x_type = ol_to_type(n, 0);
    int64_t heads = ol_node_int(n, "num_heads", 0), rotated = ol_node_int(n, "rotary_embedding_dim", 0), size = ol_to_dim(x_type, x_type->rank - 1);
    bool apart = ol_node_int(n, "interleaved", 0) != 0;
    if (a.flat && heads > 0 && size > 0) size /= heads;
    if (!rotated) rotated = size;
    if (rotated < 2 || size < 2 || (a.flat && heads < 1)) {
        ol_to_refuse(t, "heads whose number or size is not known");
        return;
    }
    ol_ir_out x = split_heads(&a, ol_to_in(t, n, 0), heads), rest = OL_IR_NONE, table[2];
    if (rotated < size) {
        rest = ol_to_slice(t, x, rotated, size, 1, 3);
        x = ol_to_slice(t, x, 0, rotated, 1, 3);
    }
    const int64_t one = 1;
    for (int i = 0; i < 2; i++) {
        ol_ir_out c = ol_to_in(t, n, 1 + i);
        if (ol_to_has(n, 3)) c = ol_to_gather(t, c, ol_to_in(t, n, 3), 0);
        table[i] = ol_ir_add_unsqueeze(t->e, NULL, ol_to_slice(t, c, 0, rotated / 2, 1, -1), &one, 1);
    }
    ol_ir_out x1 = apart ? ol_to_slice(t, x, 0, INT64_MAX, 2, 3) : ol_to_slice(t, x, 0, rotated / 2, 1, 3);
    ol_ir_out x2 = apart ? ol_to_slice(t, x, 1, INT64_MAX, 2, 3) : ol_to_slice(t, x, rotated / 2, rotated, 1, 3);
    ol_ir_out y[3] = {ol_to_two(t, "Subtract", ol_to_two(t, "Multiply", x1, table[0]), ol_to_two(t, "Multiply", x2, table[1])),
                      ol_to_two(t, "Add", ol_to_two(t, "Multiply", x1, table[1]), ol_to_two(t, "Multiply", x2, table[0])), rest};
    if (apart) {
        const int64_t axis = 4, merged[4] = {0, 0, 0, rotated};
        for (int i = 0; i < 2; i++) y[i] = ol_ir_add_unsqueeze(t->e, NULL, y[i], &axis, 1);
        y[0] = ol_ir_add_reshape(t->e, NULL, ol_to_concat(t, y, 2, 4), merged, 4, true);
        y[1] = rest;
    }
    int count = (apart ? 1 : 2) + (rest.layer >= 0 ? 1 : 0);
    x = count > 1 ? ol_to_concat(t, y, count, 3) : y[0];
    const int64_t perm[4] = {0, 2, 1, 3}, dims[3] = {0, 0, -1};
    if (a.flat) x = ol_ir_add_reshape(t->e, NULL, ol_ir_add_transpose(t->e, NULL, x, perm, 4), dims, 3, true);
    ol_to_give(t, n, 0, x);
}
