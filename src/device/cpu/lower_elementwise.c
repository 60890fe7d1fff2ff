/* SPDX-License-Identifier: Apache-2.0 */
/* Unary and binary elementwise operators that no fused step has taken along. Here the frequent forms of binary operands:
 * f32 of the same shape, a vector along the last axis, or one number; the others go to lower_broadcast.c. */
#include "base/error.h"
#include "device/cpu/broadcast.h"
#include "graph/op.h"
#include "kernels/elementwise/elementwise.h"
#include <string.h>

#define TILE_FLOATS 8192

typedef enum operand_kind { FULL, VECTOR, ONE } operand_kind;

typedef struct elementwise_args {
    int in[2], out;
    operand_kind kind[2];
    olk_binary op;
    ol_cpu_act act;
    ol_dim count;
    int64_t width;
    const olk_activation *activation;
    const olk_elementwise *elementwise;
} elementwise_args;

static unsigned tiles(const ol_step *s, const ol_run *r) {
    const elementwise_args *a = s->args;
    return (unsigned)((ol_cpu_rows(r, a->count) + TILE_FLOATS - 1) / TILE_FLOATS);
}

static void tile_range(const elementwise_args *a, const ol_run *r, unsigned tile, int64_t *i0, int64_t *i1) {
    int64_t n = ol_cpu_rows(r, a->count);
    *i0 = (int64_t)tile * TILE_FLOATS;
    *i1 = *i0 + TILE_FLOATS < n ? *i0 + TILE_FLOATS : n;
}

static void unary_run(const ol_step *s, const ol_run *r, unsigned tile, void *scratch) {
    const elementwise_args *a = s->args;
    int64_t i0, i1;
    (void)scratch;
    tile_range(a, r, tile, &i0, &i1);
    const float *x = ol_run_buffer(r, a->in[0]);
    float *y = ol_run_buffer(r, a->out);
    a->activation->unary(a->act.f, a->act.a, a->act.b, x + i0, y + i0, i1 - i0);
}
static const ol_step_class unary_class = {"unary", tiles, NULL, NULL, unary_run};

/* Tiles of operands along the last axis are whole rows. */
static unsigned binary_tiles(const ol_step *s, const ol_run *r) {
    const elementwise_args *a = s->args;
    int64_t rows = ol_cpu_rows(r, a->count) / a->width, per = TILE_FLOATS / a->width + 1;
    return (unsigned)((rows + per - 1) / per);
}

static void binary_run(const ol_step *s, const ol_run *r, unsigned tile, void *scratch) {
    const elementwise_args *a = s->args;
    const olk_elementwise *e = a->elementwise;
    (void)scratch;
    int64_t w = a->width, per = TILE_FLOATS / w + 1, rows = ol_cpu_rows(r, a->count) / w;
    int64_t r0 = (int64_t)tile * per, n = (r0 + per < rows ? per : rows - r0), at = r0 * w;
    const float *p = ol_run_buffer(r, a->in[0]), *q = ol_run_buffer(r, a->in[1]);
    float *y = (float *)ol_run_buffer(r, a->out) + at;
    if (a->kind[0] == FULL && a->kind[1] == FULL) e->full(a->op, p + at, q + at, y, n * w);
    else if (a->kind[1] == ONE) e->right(a->op, p + at, q[0], y, n * w);
    else if (a->kind[0] == ONE) e->left(a->op, p[0], q + at, y, n * w);
    else if (a->kind[1] == VECTOR) e->rows_right(a->op, p + at, w, q, y, w, n, w);
    else e->rows_left(a->op, p, q + at, w, y, w, n, w);
}
static const ol_step_class binary_class = {"binary", binary_tiles, NULL, NULL, binary_run};

static bool is_one(const ol_value *v) {
    for (int i = 0; i < v->type.rank; i++)
        if (v->type.dims[i] != 1) return false;
    return v->type.rank >= 0;
}
static bool same_dims(const ol_value *a, const ol_value *b) {
    if (a->type.rank != b->type.rank) return false;
    for (int i = 0; i < a->type.rank; i++)
        if (a->type.dims[i] != b->type.dims[i]) return false;
    return true;
}
static bool is_vector(const ol_value *v, int64_t width) {
    for (int i = 0; i + 1 < v->type.rank; i++)
        if (v->type.dims[i] != 1) return false;
    return v->type.rank >= 1 && v->type.dims[v->type.rank - 1] == width;
}

static olv_status fill(ol_lowering *l, ol_node *n, int n_in, elementwise_args *a, olv_error *err) {
    const ol_value *out = n->outputs[0];
    if (ol_dtype_class(out->type.dtype) != 'f')
        return ol_fail(err, OLV_UNSUPPORTED, "only float tensors, not %s", ol_dtype_name(out->type.dtype));
    a->count = ol_lower_rows(l, out);
    a->width = ol_lower_width(out);
    if (a->width < 1) return ol_fail(err, OLV_SHAPE, "the last dimension is not known");
    a->count = ol_dim_mul(l->graph->dims, a->count, a->width);
    a->activation = olk_activation_select(l->opt.cpu);
    a->elementwise = olk_elementwise_select(l->opt.cpu);
    for (int i = 0; i < n_in; i++) {
        const ol_value *v = n->inputs[i];
        if (same_dims(v, out)) a->kind[i] = FULL;
        else if (is_one(v)) a->kind[i] = ONE;
        else if (is_vector(v, a->width)) a->kind[i] = VECTOR;
        else return ol_fail(err, OLV_UNSUPPORTED, "this kind of broadcasting of '%s' is not planned", v->name);
        if ((a->in[i] = ol_lower_input(l, n->inputs[i], err)) < 0) return err ? err->status : OLV_INTERNAL;
    }
    a->out = ol_lower_output(l, n->outputs[0]);
    return OLV_OK;
}

static olv_status emit(ol_lowering *l, const ol_node *n, const ol_step_class *cls, const elementwise_args *a, int n_in) {
    ol_step *s = ol_lower_step(l, cls, n->name, sizeof *a);
    if (!s) return OLV_OK; /* latched */
    memcpy(s->args, a, sizeof *a);
    for (int i = 0; i < n_in; i++) ol_step_reads(s, a->in[i]);
    ol_step_writes(s, a->out);
    return OLV_OK;
}

olv_status ol_lower_unary(ol_lowering *l, ol_node *n, olv_error *err) {
    elementwise_args a = {.act = ol_cpu_act_of(n)};
    if (ol_dtype_class(n->outputs[0]->type.dtype) != 'f') return ol_cpu_lower_broadcast(l, n, err);
    if (a.act.f == OLK_ACT_NONE) return ol_fail(err, OLV_UNSUPPORTED, "no kernel for this form of %s", n->op->name);
    OL_TRY(fill(l, n, 1, &a, err));
    return emit(l, n, &unary_class, &a, 1);
}

/* Two f32 operands, one of the output's shape, the other such or a vector or a number; the last axis of known size. */
static bool frequent_form(const ol_node *n) {
    const ol_value *out = n->outputs[0];
    int64_t width = ol_lower_width(out);
    if (n->n_inputs != 2 || width < 1 || ol_dtype_class(out->type.dtype) != 'f') return false;
    bool full[2];
    for (int i = 0; i < 2; i++) full[i] = same_dims(n->inputs[i], out);
    for (int i = 0; i < 2; i++)
        if (!full[i] && (!full[1 - i] || !(is_one(n->inputs[i]) || is_vector(n->inputs[i], width)))) return false;
    return true;
}

olv_status ol_lower_binary(ol_lowering *l, ol_node *n, olv_error *err) {
    static const char *const names[] = {"Add", "Sub", "Mul", "Div", "Max", "Min"};
    elementwise_args a = {0};
    if (!frequent_form(n)) return ol_cpu_lower_broadcast(l, n, err);
    for (int i = 0; i < 6; i++)
        if (!strcmp(names[i], n->op->name)) a.op = (olk_binary)i;
    OL_TRY(fill(l, n, 2, &a, err));
    return emit(l, n, &binary_class, &a, 2);
}
