/* SPDX-License-Identifier: Apache-2.0 */
/* Sequences and optionals: SequenceConstruct, Empty, Length, At, Insert, Erase, ConcatFromSequence, SplitToSequence,
 * Optional, OptionalHasElement, OptionalGetElement. */
#include "ops/sequence.h"

olv_status ol_datum_append(ol_datum *seq, const ol_datum *item, olv_error *err) {
    if (seq->n_items == seq->cap_items) {
        size_t cap = seq->cap_items ? seq->cap_items * 2 : 4;
        ol_datum *p = ol_realloc(seq->items, cap * sizeof *p);
        if (!p) return ol_fail(err, OLV_NOMEM, "no memory for a sequence");
        seq->items = p;
        seq->cap_items = cap;
    }
    seq->items[seq->n_items] = (ol_datum){.kind = OL_VALUE_TENSOR};
    OL_TRY(ol_datum_copy(&seq->items[seq->n_items], item, err));
    seq->n_items++;
    return OLV_OK;
}

static olv_status sequence_in(const ol_eval *c, int i, const ol_datum **out, olv_error *err) {
    *out = i < c->node->n_inputs ? c->in[i] : NULL;
    if (!*out || ((*out)->kind != OL_VALUE_SEQUENCE && !((*out)->kind == OL_VALUE_OPTIONAL && (*out)->present)))
        return ol_fail(err, OLV_ARG, "input %d is no sequence", i);
    return OLV_OK;
}

static olv_status eval_construct(ol_eval *c, olv_error *err) {
    ol_sequence_start(&c->out[0]);
    for (int i = 0; i < c->node->n_inputs; i++) {
        const ol_tensor *t;
        OL_TRY(ol_eval_need(c, i, &t, err));
        OL_TRY(ol_datum_append(&c->out[0], c->in[i], err));
    }
    return OLV_OK;
}

static olv_status eval_empty(ol_eval *c, olv_error *err) {
    (void)err;
    ol_sequence_start(&c->out[0]);
    return OLV_OK;
}

static olv_status eval_length(ol_eval *c, olv_error *err) {
    const ol_datum *s;
    ol_tensor *y;
    OL_TRY(sequence_in(c, 0, &s, err));
    OL_TRY(ol_eval_out(c, 0, OL_I64, 0, NULL, &y, err));
    ol_tensor_set_i64(y, 0, (int64_t)s->n_items);
    return OLV_OK;
}

/* Position given by input i; `past` allows the end. */
static olv_status place(ol_eval *c, int i, const ol_datum *s, bool past, int64_t def, int64_t *out, olv_error *err) {
    const ol_tensor *t = ol_eval_in(c, i);
    int64_t n = (int64_t)s->n_items, k = t && ol_tensor_count(t) == 1 ? ol_tensor_i64(t, 0) : def;
    if (k < 0) k += n;
    if (k < 0 || k > n || (k == n && !past)) return ol_fail(err, OLV_ARG, "position %lld of %lld", (long long)k, (long long)n);
    *out = k;
    return OLV_OK;
}

static olv_status eval_at(ol_eval *c, olv_error *err) {
    const ol_datum *s;
    int64_t k = 0;
    OL_TRY(sequence_in(c, 0, &s, err));
    OL_TRY(place(c, 1, s, false, 0, &k, err));
    return ol_datum_copy(&c->out[0], &s->items[k], err);
}

static olv_status eval_insert(ol_eval *c, olv_error *err) {
    const ol_datum *s;
    const ol_tensor *t;
    int64_t k = 0;
    OL_TRY(sequence_in(c, 0, &s, err));
    OL_TRY(ol_eval_need(c, 1, &t, err));
    OL_TRY(place(c, 2, s, true, (int64_t)s->n_items, &k, err));
    ol_sequence_start(&c->out[0]);
    for (int64_t i = 0; i <= (int64_t)s->n_items; i++) {
        if (i == k) OL_TRY(ol_datum_append(&c->out[0], c->in[1], err));
        if (i < (int64_t)s->n_items) OL_TRY(ol_datum_append(&c->out[0], &s->items[i], err));
    }
    return OLV_OK;
}

static olv_status eval_erase(ol_eval *c, olv_error *err) {
    const ol_datum *s;
    int64_t k = 0;
    OL_TRY(sequence_in(c, 0, &s, err));
    OL_TRY(place(c, 1, s, false, (int64_t)s->n_items - 1, &k, err));
    ol_sequence_start(&c->out[0]);
    for (int64_t i = 0; i < (int64_t)s->n_items; i++)
        if (i != k) OL_TRY(ol_datum_append(&c->out[0], &s->items[i], err));
    return OLV_OK;
}

static olv_status eval_concat(ol_eval *c, olv_error *err) {
    const ol_datum *s;
    ol_tensor *y;
    int axis, stack = ol_node_int(c->node, "new_axis", 0) != 0;
    int64_t dims[OL_MAX_RANK + 1], total = 0, at = 0;
    OL_TRY(sequence_in(c, 0, &s, err));
    if (s->n_items == 0) return ol_fail(err, OLV_ARG, "empty sequence");
    const ol_tensor *x = &s->items[0].tensor;
    OL_TRY(ol_axis(ol_node_int(c->node, "axis", 0), x->rank + stack, false, &axis, err));
    for (size_t i = 0; i < s->n_items; i++) {
        const ol_tensor *t = &s->items[i].tensor;
        bool fits = t->rank == x->rank && t->dtype == x->dtype;
        for (int d = 0; fits && d < x->rank; d++) fits = (d == axis && !stack) || t->dims[d] == x->dims[d];
        if (!fits || !ol_add_i64(total, stack ? 1 : t->dims[axis], &total)) return ol_fail(err, OLV_SHAPE, "items do not fit");
    }
    for (int i = 0, from = 0; i < x->rank + stack; i++) dims[i] = i == axis ? (stack ? total : (from++, total)) : x->dims[from++];
    OL_TRY(ol_eval_out(c, 0, x->dtype, x->rank + stack, dims, &y, err));
    int64_t outer = ol_dims_count(x->dims, 0, axis);
    for (int64_t o = 0; o < outer; o++)
        for (size_t i = 0; i < s->n_items; i++) {
            const ol_tensor *t = &s->items[i].tensor;
            int64_t n = outer ? ol_tensor_count(t) / outer : 0;
            ol_elems_copy(y, at, t, o * n, n);
            at += n;
        }
    return ol_tensor_own_strings(y, err);
}

static olv_status eval_split(ol_eval *c, olv_error *err) {
    const ol_tensor *x, *split = ol_eval_in(c, 1);
    int axis;
    OL_TRY(ol_eval_need(c, 0, &x, err));
    OL_TRY(ol_axis(ol_node_int(c->node, "axis", 0), x->rank, false, &axis, err));
    bool drop = !split && ol_node_int(c->node, "keepdims", 1) == 0;
    int64_t size = x->dims[axis], inner = ol_dims_count(x->dims, axis + 1, x->rank), outer = ol_dims_count(x->dims, 0, axis), at = 0;
    ol_sequence_start(&c->out[0]);
    bool list = split && split->rank == 1;
    for (int64_t i = 0; list ? i < ol_tensor_count(split) : at < size; i++) {
        int64_t n = !split ? 1 : list ? ol_tensor_i64(split, i) : ol_tensor_i64(split, 0);
        if (n < (list ? 0 : 1)) return ol_fail(err, OLV_SHAPE, "part %lld of %lld", (long long)i, (long long)n);
        if (n > size - at) n = size - at;
        ol_datum d = {.kind = OL_VALUE_TENSOR, .present = true};
        int64_t dims[OL_MAX_RANK];
        int rank = 0;
        for (int k = 0; k < x->rank; k++)
            if (k != axis || !drop) dims[rank++] = k == axis ? n : x->dims[k];
        OL_TRY(ol_tensor_init(&d.tensor, x->dtype, rank, dims, err));
        for (int64_t o = 0; o < outer; o++) ol_elems_copy(&d.tensor, o * n * inner, x, (o * size + at) * inner, n * inner);
        olv_status s = ol_datum_append(&c->out[0], &d, err);
        ol_datum_deinit(&d);
        OL_TRY(s);
        at += n;
    }
    return OLV_OK;
}

/* The type of a sequence is that of what all its items have in common. */
static olv_status infer_construct(ol_infer *c, olv_error *err) {
    (void)err;
    c->out[0] = *ol_infer_in(c, 0);
    for (int i = 1; i < c->node->n_inputs; i++)
        if (ol_infer_in(c, i)) c->out[0] = ol_infer_join(c, &c->out[0], ol_infer_in(c, i));
    c->out[0].kind = OL_VALUE_SEQUENCE;
    return OLV_OK;
}

static olv_status infer_empty(ol_infer *c, olv_error *err) {
    (void)err;
    c->out[0] = (ol_type){.kind = OL_VALUE_SEQUENCE, .rank = -1, .dtype = ol_dtype_from_onnx(ol_node_int(c->node, "dtype", 1))};
    return OLV_OK;
}

static olv_status infer_insert(ol_infer *c, olv_error *err) {
    (void)err;
    ol_type item = *ol_infer_in(c, 1), s = *ol_infer_in(c, 0);
    item.kind = s.kind = OL_VALUE_SEQUENCE;
    c->out[0] = ol_infer_join(c, &s, &item);
    if (c->out[0].dtype == OL_DTYPE_NONE) c->out[0].dtype = s.dtype;
    return OLV_OK;
}

static olv_status infer_item(ol_infer *c, olv_error *err) {
    (void)err;
    c->out[0] = *ol_infer_in(c, 0);
    c->out[0].kind = OL_VALUE_TENSOR;
    return OLV_OK;
}

static olv_status infer_concat(ol_infer *c, olv_error *err) {
    int axis, stack = ol_node_int(c->node, "new_axis", 0) != 0;
    OL_TRY(infer_item(c, err));
    ol_type *t = &c->out[0];
    if (t->rank < 0) return OLV_OK;
    if (t->rank + stack > OL_MAX_RANK) return ol_fail(err, OLV_LIMIT, "rank %d", t->rank + stack);
    OL_TRY(ol_axis(ol_node_int(c->node, "axis", 0), t->rank + stack, false, &axis, err));
    if (stack) memmove(t->dims + axis + 1, t->dims + axis, (size_t)(t->rank - axis) * sizeof *t->dims);
    t->rank += stack;
    t->dims[axis] = ol_infer_fresh(c);
    return OLV_OK;
}

static olv_status infer_split(ol_infer *c, olv_error *err) {
    int axis;
    ol_type *t = &c->out[0];
    bool given = c->node->n_inputs > 1 && ol_infer_in(c, 1);
    *t = *ol_infer_in(c, 0);
    t->kind = OL_VALUE_SEQUENCE;
    if (t->rank < 0) return OLV_OK;
    OL_TRY(ol_axis(ol_node_int(c->node, "axis", 0), t->rank, false, &axis, err));
    if (given) t->dims[axis] = ol_infer_fresh(c);
    else if (ol_node_int(c->node, "keepdims", 1)) t->dims[axis] = 1;
    else memmove(t->dims + axis, t->dims + axis + 1, (size_t)(--t->rank - axis) * sizeof *t->dims);
    return OLV_OK;
}

static olv_status infer_scalar(ol_infer *c, olv_error *err) {
    (void)err;
    ol_infer_set(c, 0, !strcmp(c->node->op->name, "SequenceLength") ? OL_I64 : OL_BOOL, 0);
    return OLV_OK;
}

static olv_status infer_optional(ol_infer *c, olv_error *err) {
    const ol_attr *a = ol_node_attr(c->node, "type");
    const ol_type *x = c->node->n_inputs ? ol_infer_in(c, 0) : a && a->type == OL_ATTR_TYPE ? a->v.type_proto : NULL;
    (void)err;
    if (x) c->out[0] = *x;
    c->out[0].sequence_inside = x && x->kind == OL_VALUE_SEQUENCE;
    c->out[0].kind = OL_VALUE_OPTIONAL;
    return OLV_OK;
}

static olv_status infer_get(ol_infer *c, olv_error *err) {
    (void)err;
    c->out[0] = *ol_infer_in(c, 0);
    if (c->out[0].kind == OL_VALUE_OPTIONAL) c->out[0].kind = c->out[0].sequence_inside ? OL_VALUE_SEQUENCE : OL_VALUE_TENSOR;
    return OLV_OK;
}

static olv_status eval_optional(ol_eval *c, olv_error *err) {
    c->out[0] = (ol_datum){.kind = OL_VALUE_OPTIONAL};
    if (!c->node->n_inputs || !c->in[0]) return OLV_OK;
    OL_TRY(ol_datum_copy(&c->out[0], c->in[0], err));
    c->out[0].kind = OL_VALUE_OPTIONAL;
    c->out[0].present = true;
    return OLV_OK;
}

static olv_status eval_has(ol_eval *c, olv_error *err) {
    ol_tensor *y;
    bool has = c->node->n_inputs && c->in[0] && c->in[0]->present;
    OL_TRY(ol_eval_out(c, 0, OL_BOOL, 0, NULL, &y, err));
    ol_tensor_set_i64(y, 0, has);
    return OLV_OK;
}

static olv_status eval_get(ol_eval *c, olv_error *err) {
    if (!c->in[0] || !c->in[0]->present) return ol_fail(err, OLV_ARG, "the optional is empty");
    OL_TRY(ol_datum_copy(&c->out[0], c->in[0], err));
    bool seq = c->out[0].n_items || c->out[0].tensor.dtype == OL_DTYPE_NONE;
    c->out[0].kind = seq ? OL_VALUE_SEQUENCE : OL_VALUE_TENSOR;
    return OLV_OK;
}

static const ol_attr_spec dtype_attrs[] = {{"dtype", OL_ATTR_INT, false}};
static const ol_attr_spec concat_attrs[] = {{"axis", OL_ATTR_INT, true}, {"new_axis", OL_ATTR_INT, false}};
static const ol_attr_spec split_attrs[] = {{"axis", OL_ATTR_INT, false}, {"keepdims", OL_ATTR_INT, false}};
static const ol_attr_spec type_attrs[] = {{"type", OL_ATTR_TYPE, false}};
#define OP(Name, text, in0, in1, at, n, inf, ev)                                                            \
    extern const ol_op ol_op_##Name;                                                                        \
    const ol_op ol_op_##Name = {"", #Name, text, in0, in1, 1, 1, at, n, inf, ev, NULL, false, false};
OP(SequenceConstruct, "sequence of the inputs", 1, -1, NULL, 0, infer_construct, eval_construct)
OP(SequenceEmpty, "empty sequence", 0, 0, dtype_attrs, 1, infer_empty, eval_empty)
OP(SequenceLength, "number of items", 1, 1, NULL, 0, infer_scalar, eval_length)
OP(SequenceAt, "item at a position", 2, 2, NULL, 0, infer_item, eval_at)
OP(SequenceInsert, "with an item put in", 2, 3, NULL, 0, infer_insert, eval_insert)
OP(SequenceErase, "with an item taken out", 1, 2, NULL, 0, ol_infer_same, eval_erase)
OP(ConcatFromSequence, "items joined along an axis", 1, 1, concat_attrs, 2, infer_concat, eval_concat)
OP(SplitToSequence, "parts along an axis", 1, 2, split_attrs, 2, infer_split, eval_split)
OP(Optional, "optional of the input, or empty", 0, 1, type_attrs, 1, infer_optional, eval_optional)
OP(OptionalHasElement, "whether there is a value", 0, 1, NULL, 0, infer_scalar, eval_has)
OP(OptionalGetElement, "the value of an optional", 1, 1, NULL, 0, infer_get, eval_get)
