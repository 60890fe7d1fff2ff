/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/openvino/lm_read.h"

#include "base/alloc.h"
#include "base/error.h"

#include <inttypes.h>

/* ---- tables ---- */

static ol_verdict angles(ol_translate *tr, const ol_node *n) {
    int at = ol_lmr_find(tr, n, OL_LMR_POSITION);
    const ol_old *o = at >= 0 ? ol_tr_in(tr, n, 1 - at) : NULL;
    if (!o || (o->kind != OL_OLD_CONST && o->kind != OL_OLD_CHOICE) || ol_dtype_class(ol_const_dtype(o->c)) != 'f') return OL_PASSED;
    bool two = o->kind == OL_OLD_CHOICE;
    const ol_const *c = two ? o->c2 : o->c;
    int64_t half = ol_const_rows(c) * ol_const_width(c);
    if (half < 1 || half > 65536 || ol_const_rows(o->c) * ol_const_width(o->c) != half) return OL_PASSED;
    return ol_lmr_set(tr, n, 0, &(ol_lmr_form){.kind = OL_LMR_ANGLES, .inv_freq = c, .inv_long = two ? o->c : NULL, .count = half,
                                               .original = o->threshold, .factor = 1});
}

/* cos or sin by a number. */
static ol_verdict scaled(ol_translate *tr, const ol_node *n, int at) {
    double by;
    if (!ol_tr_scalar(tr, n, 1 - at, &by)) return OL_PASSED;
    ol_lmr_form f = *ol_lmr_in(tr, n, at);
    f.factor *= by;
    return ol_lmr_set(tr, n, 0, &f);
}

static ol_value *frequencies(ol_translate *tr, const ol_const *c, int64_t count) {
    float *v = ol_calloc((size_t)count, sizeof *v);
    ol_value *f = NULL;
    if (!v) ol_fail(tr->err, OLV_NOMEM, "out of memory");
    else if (ol_const_rows_f32(c, 0, ol_const_rows(c), v, tr->err) == OLV_OK) f = ol_graph_add_f32(tr->g, NULL, v, (int)count, tr->err);
    ol_free(v);
    return f;
}

/* The table of these frequencies, made once. */
static ol_value *table_of(ol_translate *tr, const ol_lmr_form *f) {
    for (int i = 0; i < tr->n_tables; i++) {
        const ol_node *t = tr->tables[i].table->producer;
        if (tr->tables[i].key[0] == f->inv_freq && ol_node_float(t, "attention_factor", 1) == (float)f->factor) return tr->tables[i].table;
    }
    bool two = f->inv_long != NULL;
    ol_value *in[] = {tr->positions, frequencies(tr, f->inv_freq, f->count), two ? frequencies(tr, f->inv_long, f->count) : NULL};
    if (!in[1] || (two && !in[2])) return NULL;
    ol_attr attrs[] = {ol_attr_string("mode", two ? "longrope" : "plain"), ol_attr_float("attention_factor", (float)f->factor),
                       ol_attr_float("attention_factor_long", (float)f->factor), ol_attr_int("original_length", f->original)};
    ol_value *table = ol_tr_node(tr, "olivine", "RotaryTable", in, two ? 3 : 2, attrs, two ? 4 : 2);
    if (table && tr->n_tables < (int)(sizeof tr->tables / sizeof tr->tables[0])) {
        tr->tables[tr->n_tables].key[0] = f->inv_freq;
        tr->tables[tr->n_tables++].table = table;
    }
    return table;
}

/* ---- ranges of heads ---- */

/* What input i shows of each head: all of rows that are shown as heads, or a range. */
static ol_lmr_form range_of(ol_translate *tr, const ol_node *n, int i) {
    const ol_lmr_form *f = ol_lmr_in(tr, n, i);
    if (f->kind == OL_LMR_PART) return *f;
    const ol_old *o = ol_tr_in(tr, n, i);
    bool rows = o->kind == OL_OLD_ROWS && o->split > 0 && !o->cached;
    return (ol_lmr_form){.kind = rows ? OL_LMR_PART : OL_LMR_NONE, .x = rows ? o->v : NULL, .split = o->split, .count = o->split, .step = 1};
}

/* The range as rows of its own, where a Linear gives x: the rows of its weight in another order. */
static ol_value *range_rows(ol_translate *tr, const ol_lmr_form *p) {
    const ol_node *l = p->x->producer;
    if (!l || strcmp(l->op->name, "Linear") != 0 || !l->inputs[1]->constant || p->negative) return NULL;
    ol_value *bias = l->n_inputs > 2 ? l->inputs[2] : NULL, *w = NULL;
    int64_t heads = ol_tr_width(p->x) / p->split, n = heads * p->count;
    int32_t *order = ol_calloc((size_t)n, sizeof *order);
    float *all = ol_calloc((size_t)ol_tr_width(p->x), sizeof *all), *some = ol_calloc((size_t)n, sizeof *some);
    bool ok = order && all && some && (!bias || (bias->constant && ol_const_rows_f32(bias->constant, 0, 1, all, NULL) == OLV_OK));
    for (int64_t i = 0; ok && i < n; i++) {
        order[i] = (int32_t)(i / p->count * p->split + p->from + i % p->count * p->step);
        some[i] = all[order[i]];
    }
    if (ok) w = ol_graph_add_constant(tr->g, NULL, ol_const_permute_rows(l->inputs[1]->constant, order, n, tr->err), tr->err);
    if (w && bias) bias = ol_graph_add_f32(tr->g, NULL, some, (int)n, tr->err);
    ol_free(order);
    ol_free(all);
    ol_free(some);
    return w ? ol_tr_linear(tr, l->inputs[0], w, bias) : NULL;
}

/* Sets a range; q, k and v that lie together head by head become rows of their own. */
static ol_verdict set_range(ol_translate *tr, const ol_node *n, int output, const ol_lmr_form *p) {
    if (p->step == 1 && p->count * 3 == p->split && !p->negative) {
        ol_value *rows = range_rows(tr, p);
        if (rows) return ol_tr_set_rows(tr, n, output, rows, p->count);
        if (tr->err->status != OLV_OK) return OL_FAILED;
    }
    return ol_lmr_set(tr, n, output, p);
}

/* Values of each head that output i has, from its type: -1 when that is not known. */
static int64_t known_count(const ol_node *n, int i) {
    const ol_value *v = i < n->n_outputs ? n->outputs[i] : NULL;
    return v && v->type.rank > 0 && v->type.dims[v->type.rank - 1] > 0 ? v->type.dims[v->type.rank - 1] : -1;
}

/* A whole number that is computed from known sizes. */
static bool computed(ol_translate *tr, const ol_value *v, int depth, int64_t *out) {
    const ol_node *n = v ? v->producer : NULL;
    int64_t a, b;
    if (v && v->constant) {
        ol_tensor t;
        if (ol_const_rows(v->constant) * ol_const_width(v->constant) != 1 || ol_const_materialize(v->constant, 64, &t, NULL) != OLV_OK) return false;
        *out = t.dtype == OL_I64 ? ((const int64_t *)t.data)[0] : (int64_t)ol_elem_get(t.dtype, t.data, 0);
        ol_tensor_deinit(&t);
        return true;
    }
    if (!n || depth > 16 || n->n_inputs < 1) return false;
    static const char *const views[] = {"Cast", "Reshape", "Squeeze", "Unsqueeze", "Floor", "Identity"};
    for (size_t i = 0; i < sizeof views / sizeof views[0]; i++)
        if (strcmp(n->op->name, views[i]) == 0) return computed(tr, n->inputs[0], depth + 1, out);
    if (n->n_inputs < 2 || !computed(tr, n->inputs[1], depth + 1, &b)) return false;
    if (strcmp(n->op->name, "Gather") == 0) {
        const ol_node *shape = n->inputs[0]->producer;
        if (!shape || strcmp(shape->op->name, "Shape") != 0 || ol_node_attr(shape, "start")) return false;
        const ol_value *x = shape->inputs[0];
        const ol_type *t = &x->type;
        const ol_lmr_form *f = &ol_lmr_of(tr)->forms[x->id];
        if (x->graph == tr->old && f->kind == OL_LMR_PART && (b == -1 || b == 3)) return *out = f->count, true;
        if (b < 0) b += t->rank;
        if (b < 0 || b >= t->rank || t->dims[b] < 0) return false;
        *out = t->dims[b];
        return true;
    }
    if (strcmp(n->op->name, "Div") != 0 || b <= 0 || !computed(tr, n->inputs[0], depth + 1, &a) || a < 0) return false;
    *out = a / b;
    return true;
}

/* One end of a range within `count`; false: computed from sizes, and not known. */
static bool bound(ol_translate *tr, const ol_node *n, int input, int64_t count, int64_t *out) {
    if (ol_tr_ints(tr, n, input, out, 1) != 1 && !computed(tr, n->inputs[input], 0, out)) return false;
    if (*out < 0) *out += count;
    if (*out > count) *out = count;
    return true;
}

/* Heads [start, end) of rows that are shown as [B, S, heads, d]. */
static ol_verdict head_range(ol_translate *tr, const ol_node *n) {
    const ol_old *o = ol_tr_in(tr, n, 0);
    const ol_type *t = &n->inputs[0]->type;
    int64_t start, end, heads = ol_tr_width(o->v) / o->split;
    if (!bound(tr, n, 1, heads, &start) || !bound(tr, n, 2, heads, &end) || t->rank != 4 || t->dims[2] != heads || start < 0 || start >= end)
        return OL_PASSED;
    return ol_tr_set_rows(tr, n, 0, ol_tr_columns(tr, o->v, start * o->split, (end - start) * o->split), o->split);
}

/* Slice of the last axis of heads; of the two ends one may be computed. */
ol_verdict ol_lmr_part(ol_translate *tr, const ol_node *n) {
    int64_t start = 0, end = 0, axis, step = 1;
    ol_lmr_form p = range_of(tr, n, 0);
    if (strcmp(n->op->name, "Slice") != 0 || p.kind == OL_LMR_NONE) return OL_PASSED;
    if (ol_tr_rows(tr, n, 0) && ol_tr_ints(tr, n, 3, &axis, 1) == 1 && (axis == -2 || axis == 2)) return head_range(tr, n);
    bool from = bound(tr, n, 1, p.count, &start), to = bound(tr, n, 2, p.count, &end);
    int64_t count = known_count(n, 0);
    if ((ol_tr_given(n, 4) && ol_tr_ints(tr, n, 4, &step, 1) != 1) || step < 1 || ol_tr_ints(tr, n, 3, &axis, 1) != 1 ||
        !ol_lmr_last_axis(n, axis) || (!from && !to) || ((!from || !to) && (count < 0 || step != 1)))
        return ol_tr_pass(tr, n, "only constant ranges of the last axis are supported");
    if (!from) start = end - count;
    if (!to) end = start + count;
    if (start < 0 || start >= end || end > p.count)
        return ol_tr_fail(tr, n, OLV_SHAPE, "range %" PRId64 " to %" PRId64 " of %" PRId64, start, end, p.count);
    p.from += start * p.step;
    p.count = (end - start + step - 1) / step;
    p.step *= step;
    return set_range(tr, n, 0, &p);
}

/* Plain rows in parts whose sizes are computed. */
static ol_verdict split_rows(ol_translate *tr, const ol_node *n) {
    ol_value *x = ol_tr_rows(tr, n, 0);
    int64_t sizes[64], width = x ? ol_tr_width(x) : 0, part = width / n->n_outputs;
    if (!x || !ol_lmr_last_axis(n, ol_node_int(n, "axis", 0)) || !ol_tr_given(n, 1) || ol_tr_ints(tr, n, 1, sizes, 64) >= 0 ||
        part < 1 || width % n->n_outputs)
        return OL_PASSED;
    for (int i = 0; i < n->n_outputs; i++)
        if (n->outputs[i] && ol_tr_set_rows(tr, n, i, ol_tr_columns(tr, x, i * part, part), 0) != OL_DONE) return OL_FAILED;
    return OL_DONE;
}

/* Split of the last axis of heads. Sizes that are computed are those of equal parts. */
ol_verdict ol_lmr_split(ol_translate *tr, const ol_node *n) {
    int64_t sizes[64], from = 0;
    ol_lmr_form p = range_of(tr, n, 0);
    if (strcmp(n->op->name, "Split") != 0 || n->n_outputs > 64) return OL_PASSED;
    if (p.kind == OL_LMR_NONE) return split_rows(tr, n);
    if (!ol_lmr_last_axis(n, ol_node_int(n, "axis", 0))) return ol_tr_pass(tr, n, "only the last axis of heads is split");
    bool constant = ol_tr_given(n, 1) && ol_tr_ints(tr, n, 1, sizes, 64) == n->n_outputs;
    if (!constant && p.count % n->n_outputs) return ol_tr_pass(tr, n, "the sizes are no constants");
    for (int i = 0; i < n->n_outputs; i++) {
        ol_lmr_form q = p;
        q.count = constant ? sizes[i] : p.count / n->n_outputs;
        q.from = p.from + from * p.step;
        from += q.count;
        if (q.count < 1 || from > p.count) return ol_tr_fail(tr, n, OLV_SHAPE, "parts of more than %" PRId64 " values", p.count);
        if (n->outputs[i] && set_range(tr, n, i, &q) == OL_FAILED) return OL_FAILED;
    }
    return OL_DONE;
}

/* ---- rotations ---- */

static ol_verdict rotation(ol_translate *tr, const ol_node *n, const ol_lmr_form *f) {
    ol_value *table = table_of(tr, f);
    if (!table) return OL_FAILED;
    ol_value *y = ol_tr_rotate(tr, f->x, table, ol_tr_width(f->x) / f->split, f->interleaved);
    return ol_tr_set_rows(tr, n, 0, y, f->split);
}

static ol_verdict multiply(ol_translate *tr, const ol_node *n) {
    static const ol_lmr_kind tables[] = {OL_LMR_COS, OL_LMR_SIN};
    double by;
    for (int i = 0; i < 2; i++) {
        int at = ol_lmr_find(tr, n, tables[i]);
        if (at < 0) continue;
        if (ol_tr_const(tr, n, 1 - at)) return scaled(tr, n, at);
        const ol_lmr_form *turned = ol_lmr_in(tr, n, 1 - at), *t = ol_lmr_in(tr, n, at);
        ol_lmr_form f = turned->kind == OL_LMR_TURNED ? *turned : range_of(tr, n, 1 - at);
        if (f.kind != (i ? OL_LMR_TURNED : OL_LMR_PART) || f.step != 1 || f.negative || f.count != 2 * t->count) return OL_PASSED;
        f.kind = i ? OL_LMR_BY_SIN : OL_LMR_BY_COS;
        f.inv_freq = t->inv_freq;
        f.inv_long = t->inv_long;
        f.original = t->original;
        f.factor = t->factor;
        return ol_lmr_set(tr, n, 0, &f);
    }
    int at = ol_lmr_find(tr, n, OL_LMR_PART);
    if (at < 0 || !ol_tr_scalar(tr, n, 1 - at, &by) || by != -1) return OL_PASSED;
    ol_lmr_form f = *ol_lmr_in(tr, n, at);
    f.negative = !f.negative;
    return ol_lmr_set(tr, n, 0, &f);
}

static ol_verdict add(ol_translate *tr, const ol_node *n) {
    int a = ol_lmr_find(tr, n, OL_LMR_BY_COS), b = ol_lmr_find(tr, n, OL_LMR_BY_SIN);
    if (a < 0 || b < 0) return OL_PASSED;
    const ol_lmr_form *c = ol_lmr_in(tr, n, a), *s = ol_lmr_in(tr, n, b);
    if (c->x != s->x || c->split != s->split || c->from != s->from || c->count != s->count || c->inv_freq != s->inv_freq ||
        c->factor != s->factor)
        return ol_tr_pass(tr, n, "cosines and sines of different things");
    ol_lmr_form f = *s;
    f.kind = OL_LMR_ROTATED;
    f.count = 2 * (f.count / 2);
    if (f.from == 0 && f.count == f.split) {
        f.count /= 2; /* of frequencies */
        return rotation(tr, n, &f);
    }
    return ol_lmr_set(tr, n, 0, &f);
}

ol_verdict ol_lmr_rope_piece(ol_translate *tr, const ol_node *n) {
    const char *op = n->op->name;
    const ol_lmr_form *f = ol_lmr_in(tr, n, 0);
    if (strcmp(op, "MatMul") == 0) return angles(tr, n);
    if (strcmp(op, "Mul") == 0) {
        ol_verdict v = angles(tr, n);
        return v == OL_PASSED ? multiply(tr, n) : v;
    }
    if (strcmp(op, "Add") == 0) return add(tr, n);
    /* Each angle twice, by a list of places. */
    if (strcmp(op, "Gather") == 0 && f->kind == OL_LMR_ANGLES && ol_lmr_last_axis(n, ol_node_int(n, "axis", 0))) return ol_lmr_set(tr, n, 0, f);
    bool cosine = strcmp(op, "Cos") == 0;
    ol_lmr_form g = *f;
    if ((cosine || strcmp(op, "Sin") == 0) && f->kind == OL_LMR_ANGLES) {
        g.kind = cosine ? OL_LMR_COS : OL_LMR_SIN;
        return ol_lmr_set(tr, n, 0, &g);
    }
    if (strcmp(op, "Neg") == 0 && f->kind == OL_LMR_PART) {
        g.negative = !g.negative;
        return ol_lmr_set(tr, n, 0, &g);
    }
    return OL_PASSED;
}

/* (-second half, first half), (-odd ones, even ones), (rotated, rest). */
static ol_verdict join_parts(ol_translate *tr, const ol_node *n, const ol_lmr_form *a, const ol_lmr_form *b) {
    if (a->x != b->x || a->split != b->split || b->negative) return OL_PASSED;
    if (a->kind == OL_LMR_ROTATED && b->kind == OL_LMR_PART && a->from == 0 && b->from == a->count && b->step == 1 &&
        a->count + b->count == a->split) {
        ol_lmr_form f = *a;
        f.count /= 2;
        return rotation(tr, n, &f);
    }
    if (a->kind != OL_LMR_PART || b->kind != OL_LMR_PART || !a->negative || a->count != b->count || a->step != b->step) return OL_PASSED;
    ol_lmr_form f = *b;
    f.kind = OL_LMR_TURNED;
    f.count = 2 * b->count;
    f.interleaved = a->step == 2 && a->from == b->from + 1;
    bool halves = a->step == 1 && a->from == b->from + b->count;
    f.step = 1;
    return halves || f.interleaved ? ol_lmr_set(tr, n, 0, &f) : OL_PASSED;
}

/* Concat: angles twice, parts of heads, the past before new rows. */
ol_verdict ol_lmr_join(ol_translate *tr, const ol_node *n) {
    if (strcmp(n->op->name, "Concat") != 0 || n->n_inputs != 2) return OL_PASSED;
    const ol_lmr_form *a = ol_lmr_in(tr, n, 0), *b = ol_lmr_in(tr, n, 1);
    if (a->kind == OL_LMR_ANGLES && b->kind == OL_LMR_ANGLES && a->inv_freq == b->inv_freq) return ol_lmr_set(tr, n, 0, a);
    if (a->kind != OL_LMR_NONE && b->kind != OL_LMR_NONE) return join_parts(tr, n, a, b);
    const ol_old *past = ol_tr_in(tr, n, 0), *now = ol_tr_in(tr, n, 1);
    if (past->kind != OL_OLD_UNKNOWN || now->kind != OL_OLD_ROWS || now->v->type.dtype != OL_F32) return OL_PASSED;
    ol_verdict v = ol_tr_set_rows(tr, n, 0, now->v, now->split);
    tr->known[n->outputs[0]->id].cached = true;
    return v;
}
