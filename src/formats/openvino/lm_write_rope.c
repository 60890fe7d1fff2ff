/* SPDX-License-Identifier: Apache-2.0 */
/* Rotary tables and rotations, in the layers that OpenVINO fuses to one. */
#include "base/error.h"
#include "formats/openvino/lm_write.h"

/* Frequencies of an input as [1, half, 1]. */
static ol_ir_out frequencies(ol_lmw *w, const ol_node *n, int input, int64_t *half) {
    const ol_const *c = input < n->n_inputs && n->inputs[input] ? n->inputs[input]->constant : NULL;
    ol_tensor t;
    if (!c || ol_const_materialize(c, 1 << 20, &t, ol_ir_error(w->f)) != OLV_OK) {
        ol_lmw_fail(w, n, OLV_UNSUPPORTED, "frequencies that are no constants");
        return OL_IR_NONE;
    }
    *half = ol_tensor_count(&t);
    ol_ir_out out = OL_IR_NONE;
    if (t.dtype == OL_F32) {
        ol_ir_type type = ol_ir_type_of(OL_F32, 3, (const int64_t[]){1, *half, 1});
        out = ol_ir_const_raw(w->e, NULL, NULL, &type, t.data, t.bytes);
    } else {
        ol_lmw_fail(w, n, OLV_UNSUPPORTED, "frequencies of type %s", ol_dtype_name(t.dtype));
    }
    ol_tensor_deinit(&t);
    return out;
}

/* Is some position of the run beyond the original length? A scalar. */
static ol_ir_out is_long(ol_lmw *w, int64_t original) {
    const ol_ir_out axes = ol_ir_const_i64(w->e, (const int64_t[]){0, 1}, 2);
    ol_ir_type scalar = ol_ir_type_of(OL_I64, 0, NULL);
    const ol_ir_attr keep = ol_ir_say_bool("keep_dims", false);
    const ol_ir_out in[] = {w->in_positions, axes};
    ol_ir_out last = ol_lmw_add(w, "ReduceMax", NULL, NULL, in, 2, &keep, 1, &scalar);
    return ol_ir_add_binary(w->e, "GreaterEqual", NULL, last, ol_lmw_scalar(w, original));
}

static ol_ir_out choose(ol_lmw *w, ol_ir_out cond, ol_ir_out yes, ol_ir_out no) {
    const ol_ir_type *t = ol_ir_get_type(w->e, yes);
    if (!t) return OL_IR_NONE;
    ol_ir_type out = *t;
    const ol_ir_out in[] = {cond, yes, no};
    const ol_ir_attr attr = ol_ir_say_text("auto_broadcast", "numpy");
    return ol_lmw_add(w, "Select", NULL, NULL, in, 3, &attr, 1, &out);
}

/* Angles [B, S, half] of a RotaryTable, and what cos and sin are multiplied by (layer < 0: nothing). */
static ol_ir_out angles(ol_lmw *w, const ol_node *table, int64_t *half, ol_ir_out *factor) {
    ol_str mode = ol_node_string(table, "mode", "plain");
    double near = (double)ol_node_float(table, "attention_factor", 1), far = (double)ol_node_float(table, "attention_factor_long", 1);
    ol_ir_out inv = frequencies(w, table, 1, half);
    *factor = near != 1 ? ol_lmw_number(w, near) : OL_IR_NONE;
    if (ol_str_is(mode, "longrope")) {
        int64_t n_long = 0;
        ol_ir_out cond = is_long(w, ol_node_int(table, "original_length", INT32_MAX));
        inv = choose(w, cond, frequencies(w, table, 2, &n_long), inv);
        if (near != far) *factor = choose(w, cond, ol_lmw_number(w, far), ol_lmw_number(w, near));
        if (n_long != *half) ol_lmw_fail(w, table, OLV_SHAPE, "frequencies of different counts");
    } else if (!ol_str_is(mode, "plain")) {
        ol_lmw_fail(w, table, OLV_UNSUPPORTED, "rotation of kind '%.*s' cannot be written", (int)mode.len, mode.ptr);
    }
    ol_ir_out at = ol_ir_add_unsqueeze(w->e, NULL, w->in_positions, (const int64_t[]){1}, 1);
    at = ol_ir_add_convert(w->e, NULL, at, ol_ir_element_of(OL_F32));
    const ol_ir_out in[] = {inv, at};
    const ol_ir_attr attrs[] = {ol_ir_say_bool("transpose_a", false), ol_ir_say_bool("transpose_b", false)};
    ol_ir_type t = ol_ir_type_of(OL_F32, 3, (const int64_t[]){-1, *half, -1});
    ol_ir_out x = ol_lmw_add(w, "MatMul", NULL, NULL, in, 2, attrs, 2, &t);
    return ol_ir_add_transpose(w->e, NULL, x, (const int64_t[]){0, 2, 1}, 3);
}

/* [B, S, half] doubled: one after the other, or each value twice. */
static ol_ir_out doubled(ol_lmw *w, ol_ir_out x, int64_t half, bool interleaved) {
    if (!interleaved) {
        ol_ir_type t = ol_ir_type_of(OL_F32, 3, (const int64_t[]){-1, -1, 2 * half});
        return ol_lmw_concat(w, NULL, (const ol_ir_out[]){x, x}, 2, -1, &t);
    }
    ol_ir_type t = ol_ir_type_of(OL_F32, 4, (const int64_t[]){-1, -1, half, 2});
    x = ol_ir_add_unsqueeze(w->e, NULL, x, (const int64_t[]){3}, 1);
    x = ol_lmw_concat(w, NULL, (const ol_ir_out[]){x, x}, 2, -1, &t);
    return ol_ir_add_reshape(w->e, NULL, x, (const int64_t[]){0, 0, 2 * half}, 3, true);
}

/* Rows of a given table [P, half] for each position. */
static ol_ir_out cached(ol_lmw *w, ol_value *cache, int64_t *half) {
    *half = ol_lmw_width(cache);
    ol_ir_type t = ol_ir_type_of(OL_F32, 3, (const int64_t[]){-1, -1, *half});
    return ol_lmw_gather(w, NULL, ol_lmw_weight(w, cache), w->in_positions, 0, &t);
}

static void make_table(ol_lmw *w, const ol_node *node, ol_lmw_table *t) {
    int64_t half = 1;
    if (w->in_positions.layer < 0) {
        ol_lmw_fail(w, node, OLV_UNSUPPORTED, "positions that are no input");
        return;
    }
    if (strcmp(node->op->name, "RotaryTableCached") == 0) {
        t->cos = doubled(w, cached(w, node->inputs[1], &half), half, t->interleaved);
        t->sin = doubled(w, cached(w, node->inputs[2], &half), half, t->interleaved);
    } else {
        ol_ir_out factor, a = angles(w, node, &half, &factor);
        a = doubled(w, a, half, t->interleaved);
        t->cos = ol_ir_add_unary(w->e, "Cos", NULL, a);
        t->sin = ol_ir_add_unary(w->e, "Sin", NULL, a);
        if (factor.layer >= 0) {
            t->cos = ol_ir_add_binary(w->e, "Multiply", NULL, t->cos, factor);
            t->sin = ol_ir_add_binary(w->e, "Multiply", NULL, t->sin, factor);
        }
    }
    t->cos = ol_ir_add_unsqueeze(w->e, NULL, t->cos, (const int64_t[]){1}, 1);
    t->sin = ol_ir_add_unsqueeze(w->e, NULL, t->sin, (const int64_t[]){1}, 1);
}

static const ol_lmw_table *table_of(ol_lmw *w, const ol_node *n, bool interleaved) {
    const ol_value *v = n->inputs[1];
    for (int i = 0; i < w->n_tables; i++)
        if (w->tables[i].table == v && w->tables[i].interleaved == interleaved) return &w->tables[i];
    bool known = v->producer && (strcmp(v->producer->op->name, "RotaryTable") == 0 || strcmp(v->producer->op->name, "RotaryTableCached") == 0);
    if (!known || w->n_tables == OL_LMW_MAX_TABLES) {
        ol_lmw_fail(w, n, OLV_UNSUPPORTED, known ? "more than %d rotary tables" : "a rotary table that nothing gives", OL_LMW_MAX_TABLES);
        return NULL;
    }
    ol_lmw_table *t = &w->tables[w->n_tables++];
    *t = (ol_lmw_table){v, interleaved, OL_IR_NONE, OL_IR_NONE};
    make_table(w, v->producer, t);
    return t;
}

static ol_ir_out negative(ol_lmw *w, ol_ir_out x) { return ol_ir_add_binary(w->e, "Multiply", NULL, x, ol_lmw_number(w, -1)); }

/* (-second half, first half) of the last axis. */
static ol_ir_out turned(ol_lmw *w, ol_ir_out x, int64_t d, const ol_ir_type *whole) {
    ol_ir_type half = *whole;
    half.dims[3] = d / 2;
    ol_ir_out second = ol_lmw_slice(w, x, d / 2, INT64_MAX, 1, &half), first = ol_lmw_slice(w, x, 0, d / 2, 1, &half);
    return ol_lmw_concat(w, NULL, (const ol_ir_out[]){negative(w, second), first}, 2, -1, whole);
}

/* (-x1, x0, -x3, x2, ...) */
static ol_ir_out turned_pairs(ol_lmw *w, ol_ir_out x, int64_t heads, int64_t d, const ol_ir_type *whole) {
    ol_ir_type half = *whole, pairs = ol_ir_type_of(OL_F32, 5, (const int64_t[]){-1, heads, -1, d / 2, 2});
    half.dims[3] = d / 2;
    ol_ir_out even = ol_lmw_slice(w, x, 0, INT64_MAX, 2, &half), odd = negative(w, ol_lmw_slice(w, x, 1, INT64_MAX, 2, &half));
    even = ol_ir_add_unsqueeze(w->e, NULL, even, (const int64_t[]){4}, 1);
    odd = ol_ir_add_unsqueeze(w->e, NULL, odd, (const int64_t[]){4}, 1);
    ol_ir_out y = ol_lmw_concat(w, NULL, (const ol_ir_out[]){odd, even}, 2, -1, &pairs);
    return ol_ir_add_reshape(w->e, NULL, y, (const int64_t[]){0, heads, -1, d}, 4, true);
}

static ol_ir_out rotated(ol_lmw *w, ol_ir_out x, const ol_lmw_table *t, int64_t heads, int64_t d) {
    ol_ir_type whole = ol_ir_type_of(OL_F32, 4, (const int64_t[]){-1, heads, -1, d});
    ol_ir_out a = ol_ir_add_binary(w->e, "Multiply", NULL, x, t->cos);
    ol_ir_out y = t->interleaved ? turned_pairs(w, x, heads, d, &whole) : turned(w, x, d, &whole);
    return ol_ir_add_binary(w->e, "Add", NULL, a, ol_ir_add_binary(w->e, "Multiply", NULL, y, t->sin));
}

void ol_lmw_rotary(ol_lmw *w, ol_node *n) {
    int64_t heads = ol_node_int(n, "heads", 1), d = ol_lmw_width(n->inputs[0]) / heads, r = ol_lmw_width(n->inputs[1]);
    const ol_lmw_table *t = table_of(w, n, ol_node_int(n, "interleaved", 0) != 0);
    if (!t) return;
    ol_ir_out x = ol_lmw_heads(w, n->inputs[0], heads), y;
    if (r == d) {
        y = rotated(w, x, t, heads, d);
    } else {
        ol_ir_type front = ol_ir_type_of(OL_F32, 4, (const int64_t[]){-1, heads, -1, r}), back = front, whole = front;
        back.dims[3] = d - r;
        whole.dims[3] = d;
        ol_ir_out first = ol_lmw_slice(w, x, 0, r, 1, &front), rest = ol_lmw_slice(w, x, r, INT64_MAX, 1, &back);
        y = ol_lmw_concat(w, NULL, (const ol_ir_out[]){rotated(w, first, t, heads, r), rest}, 2, -1, &whole);
    }
    ol_lmw_set(w, n, 0, y, OL_LMW_HEADS, heads);
}
