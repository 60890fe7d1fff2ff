/* SPDX-License-Identifier: Apache-2.0 */
/* Any operator with a reference evaluation as a step of one tile: buffers are wrapped in tensors of
 * the declared types and the bound sizes, evaluated, and copied back. Slow (it allocates, and works
 * in double); for what is rare in a model. */
#include "base/alloc.h"
#include "base/checked.h"
#include "base/error.h"
#include "device/cpu/cpu.h"
#include "graph/op.h"
#include <string.h>

#define MAX_CONSTANT_BYTES ((size_t)64 << 20)
#define MAX_VALUES 64 /* inputs, and outputs, of a node */

typedef struct reference_args {
    const ol_node *node;
    int *in, *out;       /* buffers; -1: omitted, or a constant */
    ol_datum *constants; /* by input, data in the plan's memory */
} reference_args;

static bool plain(const ol_value *v) {
    if (v->type.kind != OL_VALUE_TENSOR || v->type.rank < 0 || v->type.dtype == OL_DTYPE_NONE)
        return false;
    char c = ol_dtype_class(v->type.dtype);
    return c == 'f' || c == 's' || c == 'u' || c == 'b';
}

/* True if the numbers of rows fix the value's size. */
static bool sized_by_rows(const ol_value *v) {
    const ol_dim_table *t = v->graph->dims;
    int64_t values[256];
    size_t n = ol_dim_n_symbols(t);
    if (n > sizeof values / sizeof values[0]) n = sizeof values / sizeof values[0];
    for (size_t i = 0; i < n; i++) values[i] = -1;
    for (int i = 0; i < v->graph->n_inputs; i++)
        for (int d = 0; d < v->graph->inputs[i]->type.rank; d++) {
            int k = ol_dim_symbol_index(t, v->graph->inputs[i]->type.dims[d]);
            if (k >= 0 && (size_t)k < n) values[k] = 16;
        }
    for (int d = 0; d < v->type.rank; d++)
        if (ol_dim_eval(t, v->type.dims[d], values, n) < 0) return false;
    return true;
}

const char *ol_cpu_reference_refuses(const ol_node *n) {
    if (!n->op->eval) return "no kernel and no reference evaluation for this operator";
    if (!strcmp(n->op->domain, "olivine") &&
        (!strcmp(n->op->name, "Attention") || !strcmp(n->op->name, "Linear") ||
         !strcmp(n->op->name, "RotaryTable")))
        return "no kernel for this form of the operator";
    if (n->n_inputs > MAX_VALUES || n->n_outputs > MAX_VALUES) return "too many inputs or outputs";
    if (ol_node_attr(n, "state")) return "no kernel for this operator, and it keeps a state";
    for (int i = 0; i < n->n_attrs; i++)
        if (n->attrs[i].type == OL_ATTR_GRAPH || n->attrs[i].type == OL_ATTR_GRAPHS)
            return "it runs a subgraph";
    for (int i = 0; i < n->n_inputs; i++)
        if (n->inputs[i] && !n->inputs[i]->constant && !plain(n->inputs[i]))
            return "no kernel, and an input is no tensor of numbers of known rank";
    for (int i = 0; i < n->n_outputs; i++) {
        if (n->outputs[i] && !plain(n->outputs[i]))
            return "no kernel, and an output is no tensor of numbers of known rank";
        if (n->outputs[i] && !sized_by_rows(n->outputs[i]))
            return "no kernel, and the size of an output depends on data";
    }
    return NULL;
}

/* ---- running ---- */

static unsigned tiles(const ol_step *s, const ol_run *r) {
    (void)s, (void)r;
    return 1;
}

static bool shape_of(const ol_run *r, const ol_value *v, int64_t *dims) {
    for (int d = 0; d < v->type.rank; d++)
        if ((dims[d] =
                 ol_dim_eval(r->dims, v->type.dims[d], r->symbols, ol_dim_n_symbols(r->dims))) < 0)
            return false;
    return true;
}

/* Buffers hold f32 or i64, whatever the declared type. */
static void store_tensor(ol_tensor *t, const void *from, int64_t n) {
    bool is_float = ol_dtype_class(t->dtype) == 'f';
    for (int64_t i = 0; i < n; i++) {
        if (is_float)
            ol_elem_set(t->dtype, t->data, (uint64_t)i, (double)((const float *)from)[i]);
        else
            ol_elem_set(t->dtype, t->data, (uint64_t)i, (double)((const int64_t *)from)[i]);
    }
}
static void load_tensor(const ol_tensor *t, void *to, int64_t n) {
    bool is_float = ol_dtype_class(t->dtype) == 'f';
    for (int64_t i = 0; i < n; i++) {
        double v = ol_elem_get(t->dtype, t->data, (uint64_t)i);
        if (is_float)
            ((float *)to)[i] = (float)v;
        else
            ((int64_t *)to)[i] = (int64_t)v;
    }
}
static bool same_bytes(ol_dtype t) {
    return t == OL_F32 || t == OL_I64 || t == OL_U64;
}

static olv_status wrap_input(const ol_run *r, const ol_value *v, int buffer, ol_datum *d,
                             olv_error *err) {
    int64_t dims[OL_MAX_RANK];
    void *p = ol_run_buffer(r, buffer);
    d->kind = OL_VALUE_TENSOR;
    d->present = true;
    if (!shape_of(r, v, dims))
        return ol_fail(err, OLV_SHAPE, "the size of '%.200s' is not known", v->name);
    if (!same_bytes(v->type.dtype)) {
        OL_TRY(ol_tensor_init(&d->tensor, v->type.dtype, v->type.rank, dims, err));
        store_tensor(&d->tensor, p, ol_tensor_count(&d->tensor));
        return OLV_OK;
    }
    size_t bytes = (size_t)ol_dtype_bits(v->type.dtype) / 8;
    for (int i = 0; i < v->type.rank; i++)
        if (!ol_mul_size(bytes, (size_t)dims[i], &bytes))
            return ol_fail(err, OLV_LIMIT, "tensor too large");
    return ol_tensor_view(&d->tensor, v->type.dtype, v->type.rank, dims, p, bytes, err);
}

static olv_status unwrap_output(const ol_run *r, const ol_value *v, int buffer, const ol_datum *d,
                                olv_error *err) {
    const ol_tensor *t = &d->tensor;
    int64_t dims[OL_MAX_RANK];
    bool fits = d->kind == OL_VALUE_TENSOR && t->dtype == v->type.dtype &&
                t->rank == v->type.rank && shape_of(r, v, dims);
    for (int i = 0; fits && i < t->rank; i++) fits = dims[i] == t->dims[i];
    if (!fits)
        return ol_fail(err, OLV_SHAPE, "output '%.200s' came out in another shape than inferred",
                       v->name);
    if (same_bytes(t->dtype) && t->bytes)
        memcpy(ol_run_buffer(r, buffer), t->data, t->bytes);
    else
        load_tensor(t, ol_run_buffer(r, buffer), ol_tensor_count(t));
    return OLV_OK;
}

static olv_status evaluate(const reference_args *a, const ol_run *r, olv_error *err) {
    const ol_node *n = a->node;
    ol_datum held[MAX_VALUES] = {0}, out[MAX_VALUES] = {0};
    const ol_datum *in[MAX_VALUES] = {0};
    olv_status s = OLV_OK;
    for (int i = 0; s == OLV_OK && i < n->n_inputs; i++) {
        if (!n->inputs[i]) continue;
        in[i] = a->in[i] < 0 ? &a->constants[i] : &held[i];
        if (a->in[i] >= 0) s = wrap_input(r, n->inputs[i], a->in[i], &held[i], err);
    }
    ol_eval c = {.node = n, .in = in, .out = out};
    if (s == OLV_OK) s = n->op->eval(&c, err);
    for (int i = 0; s == OLV_OK && i < n->n_outputs; i++)
        if (n->outputs[i]) s = unwrap_output(r, n->outputs[i], a->out[i], &out[i], err);
    for (int i = 0; i < n->n_inputs; i++) ol_datum_deinit(&held[i]);
    for (int i = 0; i < n->n_outputs; i++) ol_datum_deinit(&out[i]);
    return s;
}

static void clear_outputs(const reference_args *a, const ol_run *r) {
    for (int i = 0; i < a->node->n_outputs; i++) {
        const ol_value *v = a->node->outputs[i];
        int64_t dims[OL_MAX_RANK];
        if (!v || !shape_of(r, v, dims)) continue;
        size_t bytes = ol_dtype_class(v->type.dtype) == 'f' ? sizeof(float) : sizeof(int64_t);
        for (int d = 0; d < v->type.rank; d++)
            bytes *= (size_t)dims[d]; /* fits: the layout has room for it */
        memset(ol_run_buffer(r, a->out[i]), 0, bytes);
    }
}

static void run(const ol_step *s, const ol_run *r, unsigned tile, void *scratch) {
    const reference_args *a = s->args;
    olv_error why = {.status = OLV_OK};
    (void)tile, (void)scratch;
    if (evaluate(a, r, &why) == OLV_OK) return;
    ol_error_at(&why, "node '%.200s' (%s)", s->name, a->node->op->name);
    clear_outputs(a, r);
    olv_error *err = ol_run_claim_failure(r);
    if (err) *err = why;
}
static const ol_step_class reference_class = {"reference", tiles, NULL, NULL, run};

/* ---- lowering ---- */

/* Constants keep their own type; their data moves into the plan. */
static olv_status load_constant(ol_lowering *l, const ol_value *v, ol_datum *d, olv_error *err) {
    ol_tensor t = {0};
    const ol_const *c = v->constant;
    if (ol_dtype_class(ol_const_dtype(c)) == 'z' || ol_dtype_class(ol_const_dtype(c)) == 'c')
        return ol_fail(err, OLV_UNSUPPORTED, "constant '%s' holds no real numbers", v->name);
    if (ol_const_quant_form(c)) {
        if ((size_t)ol_const_rows(c) >
            MAX_CONSTANT_BYTES / sizeof(float) / (size_t)(ol_const_width(c) + 1))
            return ol_fail(err, OLV_LIMIT, "constant '%s' is too large to be copied into the plan",
                           v->name);
        OL_TRY(ol_tensor_init(&t, OL_F32, ol_const_rank(c), ol_const_dims(c), err));
        olv_status s = ol_const_rows_f32(c, 0, ol_const_rows(c), t.data, err);
        if (s != OLV_OK) return ol_tensor_deinit(&t), s;
    } else {
        OL_TRY(ol_const_materialize(c, MAX_CONSTANT_BYTES, &t, err));
    }
    void *p = ol_arena_alloc(l->arena, t.bytes + 16);
    if (p && t.bytes) memcpy(p, t.data, t.bytes);
    olv_status s = p ? ol_tensor_view(&d->tensor, t.dtype, t.rank, t.dims, p, t.bytes, err)
                     : ol_fail(err, OLV_NOMEM, "no memory for constant '%s'", v->name);
    d->kind = OL_VALUE_TENSOR;
    d->present = true;
    ol_tensor_deinit(&t);
    return s;
}

olv_status ol_cpu_lower_reference(ol_lowering *l, ol_node *n, olv_error *err) {
    reference_args a = {.node = n};
    a.in = ol_arena_calloc(l->arena, (size_t)n->n_inputs + 1, sizeof(int));
    a.out = ol_arena_calloc(l->arena, (size_t)n->n_outputs + 1, sizeof(int));
    a.constants = ol_arena_calloc(l->arena, (size_t)n->n_inputs + 1, sizeof(ol_datum));
    if (!a.in || !a.out || !a.constants) return ol_fail(err, OLV_NOMEM, "no memory for the plan");
    if (n->n_inputs + n->n_outputs > OL_STEP_MAX_BUFFERS)
        return ol_fail(err, OLV_UNSUPPORTED, "%d inputs and outputs, %d at most",
                       n->n_inputs + n->n_outputs, OL_STEP_MAX_BUFFERS);
    for (int i = 0; i < n->n_inputs; i++) {
        a.in[i] = -1;
        if (!n->inputs[i]) continue;
        if (n->inputs[i]->constant)
            OL_TRY(load_constant(l, n->inputs[i], &a.constants[i], err));
        else if ((a.in[i] = ol_lower_input(l, n->inputs[i], err)) < 0)
            return err ? err->status : OLV_INTERNAL;
    }
    for (int i = 0; i < n->n_outputs; i++)
        a.out[i] = n->outputs[i] ? ol_lower_output(l, n->outputs[i]) : -1;
    ol_step *s = ol_lower_step(l, &reference_class, n->name, sizeof a);
    if (!s) return OLV_OK; /* latched */
    memcpy(s->args, &a, sizeof a);
    s->kernel = n->op->name;
    for (int i = 0; i < n->n_inputs; i++) ol_step_reads(s, a.in[i]);
    for (int i = 0; i < n->n_outputs; i++) ol_step_writes(s, a.out[i]);
    return OLV_OK;
}
