/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/extension.h"
#include "base/alloc.h"
#include "base/error.h"
#include "formats/onnx/onnx.h"
#include "runtime/core.h"
#include "runtime/tensor.h"
#include <dlfcn.h>
#include <olivine/extension.h>
#include <string.h>

struct ol_custom_op {
    ol_op op; /* first: a node's op leads here */
    olv_op_fn *infer, *eval;
    void *ctx;
    void (*destroy)(void *ctx);
    ol_custom_op *next;
    char names[]; /* domain, name */
};

struct olv_op_call {
    const ol_node *node;
    ol_infer *infer; /* one of the two */
    ol_eval *eval;
};

/* ---- the set ---- */

static const ol_op *find(const ol_op_set *s, const char *domain, const char *name) {
    const ol_custom_ops *o = (const ol_custom_ops *)s;
    for (const ol_custom_op *c = atomic_load(&o->first); c; c = c->next)
        if (!strcmp(c->op.name, name) && !strcmp(c->op.domain, domain)) return &c->op;
    return NULL;
}

void ol_custom_ops_init(ol_custom_ops *o) {
    o->set.find = find;
    atomic_init(&o->first, NULL);
}

void ol_custom_ops_deinit(ol_custom_ops *o) {
    for (ol_custom_op *c = atomic_load(&o->first), *next; c; c = next) {
        next = c->next;
        if (c->destroy) c->destroy(c->ctx);
        ol_free(c);
    }
}

/* ---- callbacks ---- */

/* What a callback says, with a message in any case. */
static olv_status call(const ol_custom_op *c, olv_op_fn *fn, olv_op_call *with, olv_error *err) {
    olv_error own = {.status = OLV_OK};
    olv_status s = fn(with, c->ctx, &own);
    if (s == OLV_OK) return s;
    own.message[sizeof own.message - 1] = 0;
    return own.status == s && own.message[0] ? ol_fail(err, s, "%s", own.message) : ol_fail(err, s, "operator '%s' failed: %s", c->op.name, olv_status_text(s));
}

static olv_status infer_node(ol_infer *i, olv_error *err) {
    const ol_custom_op *c = (const ol_custom_op *)i->node->op;
    olv_op_call with = {i->node, i, NULL};
    return call(c, c->infer, &with, err);
}

static olv_status eval_node(ol_eval *e, olv_error *err) {
    const ol_custom_op *c = (const ol_custom_op *)e->node->op;
    olv_op_call with = {e->node, NULL, e};
    OL_TRY(call(c, c->eval, &with, err));
    for (int i = 0; i < e->node->n_outputs; i++)
        if (e->node->outputs[i] && !e->out[i].present) return ol_fail(err, OLV_INTERNAL, "operator '%s' has not made output %d", c->op.name, i);
    return OLV_OK;
}

/* ---- registering ---- */

static olv_status check(const olv_core *core, const olv_op *op, olv_error *err) {
    if (op->struct_size != sizeof *op) return ol_fail(err, OLV_ARG, "an operator's struct_size is %zu, %zu expected", op->struct_size, sizeof *op);
    if (!op->name || !*op->name || !op->domain || !op->infer || !op->eval) return ol_fail(err, OLV_ARG, "an operator needs a domain, a name, infer and eval");
    if (op->min_inputs < 0 || op->min_outputs < 1 || (op->max_inputs >= 0 && op->max_inputs < op->min_inputs) ||
        (op->max_outputs >= 0 && op->max_outputs < op->min_outputs))
        return ol_fail(err, OLV_ARG, "operator '%.100s': its numbers of inputs and outputs make no sense", op->name);
    if (ol_op_find(op->domain, op->name) || find(&core->ops.set, op->domain, op->name))
        return ol_fail(err, OLV_STATE, "there is an operator '%.100s::%.100s' already", op->domain, op->name);
    return OLV_OK;
}

olv_status olv_register_op(olv_core *core, const olv_op *op, olv_error *err) {
    pthread_mutex_lock(&core->lock);
    olv_status s = check(core, op, err);
    size_t domain = s == OLV_OK ? strlen(op->domain) + 1 : 0, name = s == OLV_OK ? strlen(op->name) + 1 : 0;
    ol_custom_op *c = s == OLV_OK ? ol_calloc(1, sizeof *c + domain + name) : NULL;
    if (s == OLV_OK && !c) s = ol_fail(err, OLV_NOMEM, "no memory for an operator");
    if (c) {
        memcpy(c->names, op->domain, domain);
        memcpy(c->names + domain, op->name, name);
        c->op = (ol_op){.domain = c->names, .name = c->names + domain, .summary = "", .min_inputs = op->min_inputs, .max_inputs = op->max_inputs,
                        .min_outputs = op->min_outputs, .max_outputs = op->max_outputs, .infer = infer_node, .eval = eval_node,
                        .stochastic = true, .n_attrs = -1};
        c->infer = op->infer, c->eval = op->eval, c->ctx = op->ctx, c->destroy = op->destroy;
        c->next = atomic_load(&core->ops.first);
        atomic_store(&core->ops.first, c);
    }
    pthread_mutex_unlock(&core->lock);
    return s;
}

olv_status olv_core_load_extension(olv_core *core, const char *path, olv_error *err) {
    void *so = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!so) return ol_fail(err, OLV_NOT_FOUND, "cannot load extension: %.400s", dlerror());
    olv_extension_init_fn *init;
    *(void **)&init = dlsym(so, OLV_EXTENSION_ENTRY);
    if (!init) {
        dlclose(so);
        return ol_fail(err, OLV_FORMAT, "'%.300s' has no function " OLV_EXTENSION_ENTRY, path);
    }
    olv_error own = {.status = OLV_OK};
    olv_status s = init(core, &own);
    own.message[sizeof own.message - 1] = 0;
    return s == OLV_OK ? s : ol_fail(err, s, "extension '%.200s': %.700s", path, own.message[0] ? own.message : olv_status_text(s));
}

/* ---- what callbacks see ---- */

size_t olv_op_n_inputs(const olv_op_call *c) { return (size_t)c->node->n_inputs; }
size_t olv_op_n_outputs(const olv_op_call *c) { return (size_t)c->node->n_outputs; }

static const ol_attr *attr(const olv_op_call *c, const char *name, ol_attr_type type) {
    const ol_attr *a = ol_node_attr(c->node, name);
    return a && a->type == type ? a : NULL;
}

int64_t olv_op_int(const olv_op_call *c, const char *name, int64_t def) {
    const ol_attr *a = attr(c, name, OL_ATTR_INT);
    return a ? a->v.i : def;
}
double olv_op_float(const olv_op_call *c, const char *name, double def) {
    const ol_attr *a = attr(c, name, OL_ATTR_FLOAT);
    return a ? (double)a->v.f : def;
}
const char *olv_op_string(const olv_op_call *c, const char *name, size_t *length) {
    const ol_attr *a = attr(c, name, OL_ATTR_STRING);
    if (a && length) *length = a->v.s.len;
    return a ? a->v.s.ptr : NULL;
}
const int64_t *olv_op_ints(const olv_op_call *c, const char *name, size_t *count) {
    const ol_attr *a = attr(c, name, OL_ATTR_INTS);
    *count = a ? a->count : 0;
    return a ? a->v.ints : NULL;
}
const float *olv_op_floats(const olv_op_call *c, const char *name, size_t *count) {
    const ol_attr *a = attr(c, name, OL_ATTR_FLOATS);
    *count = a ? a->count : 0;
    return a ? a->v.floats : NULL;
}
olv_status olv_op_fail(olv_error *err, olv_status status, const char *message) { return ol_fail(err, status, "%.900s", message); }

bool olv_op_get_type(const olv_op_call *c, size_t input, olv_port *out) {
    const ol_value *v = input < (size_t)c->node->n_inputs ? c->node->inputs[input] : NULL;
    if (v) ol_port_of(v, NULL, out);
    return v != NULL;
}

static olv_status check_output(const olv_op_call *c, const void *phase, size_t i, olv_error *err) {
    if (!phase) return ol_fail(err, OLV_STATE, "this function belongs to the other callback");
    return i < (size_t)c->node->n_outputs ? OLV_OK : ol_fail(err, OLV_ARG, "output %zu of %d", i, c->node->n_outputs);
}

static olv_status dim_of(const olv_op_call *c, int64_t code, ol_dim *out, olv_error *err) {
    int64_t k = -2 - code, input = k / OLV_MAX_RANK, axis = k % OLV_MAX_RANK;
    const ol_value *v = input < c->node->n_inputs ? c->node->inputs[input] : NULL;
    if (!v || v->type.rank <= axis) return ol_fail(err, OLV_SHAPE, "input %lld has no dimension %lld", (long long)input, (long long)axis);
    *out = v->type.dims[axis];
    return OLV_OK;
}

olv_status olv_op_set_output(olv_op_call *c, size_t output, olv_dtype dtype, int rank, const int64_t *dims, olv_error *err) {
    OL_TRY(check_output(c, c->infer, output, err));
    ol_type t = {.kind = OL_VALUE_TENSOR, .dtype = ol_dtype_from_onnx((int64_t)dtype), .rank = rank};
    if (t.dtype == OL_DTYPE_NONE || rank < 0 || rank > OLV_MAX_RANK) return ol_fail(err, OLV_ARG, "output %zu: type %d of rank %d", output, (int)dtype, rank);
    for (int i = 0; i < rank; i++) {
        if (dims[i] <= -2) OL_TRY(dim_of(c, dims[i], &t.dims[i], err));
        else t.dims[i] = dims[i] < 0 ? ol_dim_fresh(c->infer->graph->dims, "size") : dims[i];
        if (t.dims[i] == OL_DIM_NONE) return ol_fail(err, OLV_NOMEM, "no memory for the type of an output");
    }
    c->infer->out[output] = t;
    return OLV_OK;
}

olv_status olv_op_set_output_like(olv_op_call *c, size_t output, size_t input, olv_error *err) {
    OL_TRY(check_output(c, c->infer, output, err));
    const ol_type *t = input < (size_t)c->node->n_inputs ? ol_infer_in(c->infer, (int)input) : NULL;
    if (!t) return ol_fail(err, OLV_ARG, "input %zu is left out", input);
    c->infer->out[output] = *t;
    return OLV_OK;
}

const olv_tensor *olv_op_get_input(const olv_op_call *c, size_t i) {
    return c->eval && i < (size_t)c->node->n_inputs ? (const olv_tensor *)c->eval->in[i] : NULL;
}

olv_status olv_op_make_output(olv_op_call *c, size_t i, olv_dtype dtype, int rank, const int64_t *dims, olv_tensor **out, olv_error *err) {
    ol_tensor *t;
    OL_TRY(check_output(c, c->eval, i, err));
    if (c->eval->out[i].present) return ol_fail(err, OLV_STATE, "output %zu is made already", i);
    if (rank < 0 || rank > OLV_MAX_RANK) return ol_fail(err, OLV_ARG, "output %zu of rank %d", i, rank);
    OL_TRY(ol_eval_out(c->eval, (int)i, ol_dtype_from_onnx((int64_t)dtype), rank, dims, &t, err));
    *out = (olv_tensor *)&c->eval->out[i];
    return OLV_OK;
}

olv_status olv_core_read_model(olv_core *core, const char *path, olv_model **out, olv_error *err) {
    OL_TRY(ol_model_read_with(path, &core->ops.set, out, err));
    (*out)->core = ol_core_retain(core);
    return OLV_OK;
}
