/* SPDX-License-Identifier: Apache-2.0 */
/* Random tensors: RandomUniform, RandomNormal and their Like forms, Bernoulli, Multinomial.
 *
 * The generator adds a constant of odd bits to a 64-bit state and mixes the sum (two rounds of shift,
 * exclusive or and multiplication); the mixing is a bijection, so no state repeats before 2^64. */
#include "ops/random.h"
#include <stdatomic.h>

static uint64_t mix(uint64_t z) {
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

void ol_random_init(ol_random *r, const ol_node *n) {
    static atomic_uint_fast64_t unseeded = 1;
    const ol_attr *a = ol_node_attr(n, "seed");
    uint64_t seed = 0;
    if (a && a->type == OL_ATTR_FLOAT) memcpy(&seed, &a->v.f, sizeof a->v.f);
    else if (a) seed = (uint64_t)a->v.i;
    else seed = atomic_fetch_add(&unseeded, 1) << 32;
    *r = (ol_random){.state = mix(seed ^ 0x6f6c6976696e6531u)};
}

double ol_random_uniform(ol_random *r) {
    r->state += 0x9e3779b97f4a7c15u;
    return (double)(mix(r->state) >> 11) * 0x1p-53;
}

/* Of two uniform numbers two normal ones: radius sqrt(-2 ln u), angle 2 pi v. */
double ol_random_normal(ol_random *r) {
    if (r->has_spare) {
        r->has_spare = false;
        return r->spare;
    }
    double radius = sqrt(-2 * log(1 - ol_random_uniform(r)));
    double angle = 2 * 3.14159265358979323846 * ol_random_uniform(r);
    r->spare = radius * sin(angle);
    r->has_spare = true;
    return radius * cos(angle);
}

/* Element type of the output: attribute dtype, else that of the input, else `def`. */
static ol_dtype drawn_type(const ol_node *n, ol_dtype def) {
    int64_t code = ol_node_int(n, "dtype", 0);
    return code ? ol_dtype_from_onnx(code) : def;
}

static void draw(const ol_node *n, ol_tensor *y) {
    ol_random r;
    bool normal = strstr(n->op->name, "Normal") != NULL;
    double low = (double)ol_node_float(n, "low", 0), high = (double)ol_node_float(n, "high", 1);
    double mean = (double)ol_node_float(n, "mean", 0), scale = (double)ol_node_float(n, "scale", 1);
    ol_random_init(&r, n);
    for (int64_t i = 0, count = ol_tensor_count(y); i < count; i++)
        ol_tensor_set(y, i, normal ? mean + scale * ol_random_normal(&r)
                                   : low + (high - low) * ol_random_uniform(&r));
}

static olv_status eval_shaped(ol_eval *c, olv_error *err) {
    size_t rank;
    const int64_t *dims = ol_node_ints(c->node, "shape", &rank);
    ol_tensor *y;
    OL_TRY(ol_eval_out(c, 0, drawn_type(c->node, OL_F32), (int)rank, dims, &y, err));
    draw(c->node, y);
    return OLV_OK;
}

static olv_status infer_shaped(ol_infer *c, olv_error *err) {
    size_t rank;
    const int64_t *dims = ol_node_ints(c->node, "shape", &rank);
    ol_dtype t = drawn_type(c->node, OL_F32);
    if (rank > OL_MAX_RANK) return ol_fail(err, OLV_LIMIT, "rank %zu", rank);
    if (!ol_is_float(t)) return ol_fail(err, OLV_FORMAT, "random numbers of type %s", ol_dtype_name(t));
    ol_infer_set(c, 0, t, (int)rank);
    for (size_t i = 0; i < rank; i++) {
        if (dims[i] < 0) return ol_fail(err, OLV_SHAPE, "size %lld", (long long)dims[i]);
        c->out[0].dims[i] = dims[i];
    }
    return OLV_OK;
}

static olv_status eval_like(ol_eval *c, olv_error *err) {
    const ol_tensor *x;
    ol_tensor *y;
    OL_TRY(ol_eval_need(c, 0, &x, err));
    OL_TRY(ol_eval_out(c, 0, c->node->outputs[0]->type.dtype, x->rank, x->dims, &y, err));
    draw(c->node, y);
    return OLV_OK;
}

static olv_status infer_like(ol_infer *c, olv_error *err) {
    c->out[0] = *ol_infer_in(c, 0);
    c->out[0].dtype = drawn_type(c->node, c->out[0].dtype);
    if (c->out[0].dtype == OL_STRING) return ol_fail(err, OLV_FORMAT, "random strings");
    return OLV_OK;
}

static olv_status eval_bernoulli(ol_eval *c, olv_error *err) {
    const ol_tensor *x;
    ol_tensor *y;
    ol_random r;
    OL_TRY(ol_eval_need(c, 0, &x, err));
    OL_TRY(ol_eval_out(c, 0, c->node->outputs[0]->type.dtype, x->rank, x->dims, &y, err));
    ol_random_init(&r, c->node);
    for (int64_t i = 0, n = ol_tensor_count(x); i < n; i++)
        ol_tensor_set(y, i, ol_random_uniform(&r) < ol_tensor_get(x, i));
    return OLV_OK;
}

/* The class in whose share of [0, 1) the number u lies; x holds logarithms of weights. */
static int64_t pick(const ol_tensor *x, int64_t row, int64_t n, double max, double sum, double u) {
    double seen = 0;
    int64_t last = 0;
    for (int64_t k = 0; k < n; k++) {
        double w = exp(ol_tensor_get(x, row * n + k) - max) / sum;
        seen += w;
        if (w > 0) last = k;
        if (u < seen) return k;
    }
    return last;
}

static olv_status eval_multinomial(ol_eval *c, olv_error *err) {
    const ol_tensor *x;
    ol_tensor *y;
    ol_random r;
    int64_t size = ol_node_int(c->node, "sample_size", 1);
    OL_TRY(ol_eval_need(c, 0, &x, err));
    if (x->rank != 2 || x->dims[1] < 1) return ol_fail(err, OLV_SHAPE, "weights [B, classes] expected");
    OL_TRY(ol_eval_out(c, 0, drawn_type(c->node, OL_I32), 2, (int64_t[]){x->dims[0], size}, &y, err));
    ol_random_init(&r, c->node);
    for (int64_t b = 0; b < x->dims[0]; b++) {
        double max = -INFINITY, sum = 0;
        for (int64_t k = 0; k < x->dims[1]; k++) max = fmax(max, ol_tensor_get(x, b * x->dims[1] + k));
        for (int64_t k = 0; k < x->dims[1]; k++) sum += exp(ol_tensor_get(x, b * x->dims[1] + k) - max);
        for (int64_t i = 0; i < size; i++)
            ol_tensor_set_i64(y, b * size + i, pick(x, b, x->dims[1], max, sum, ol_random_uniform(&r)));
    }
    return OLV_OK;
}

static olv_status infer_multinomial(ol_infer *c, olv_error *err) {
    const ol_type *x = ol_infer_in(c, 0);
    int64_t size = ol_node_int(c->node, "sample_size", 1);
    ol_dtype t = drawn_type(c->node, OL_I32);
    OL_TRY(ol_infer_rank(c, 0, 2, 2, err));
    if (size < 0 || !ol_is_int(t))
        return ol_fail(err, OLV_FORMAT, "%lld samples of type %s", (long long)size, ol_dtype_name(t));
    ol_infer_set(c, 0, t, 2);
    if (x->rank == 2) c->out[0].dims[0] = x->dims[0];
    c->out[0].dims[1] = size;
    return OLV_OK;
}

static const ol_attr_spec uniform_attrs[] = {
    {"dtype", OL_ATTR_INT, false}, {"high", OL_ATTR_FLOAT, false}, {"low", OL_ATTR_FLOAT, false},
    {"seed", OL_ATTR_FLOAT, false}, {"shape", OL_ATTR_INTS, true}};
static const ol_attr_spec normal_attrs[] = {
    {"dtype", OL_ATTR_INT, false}, {"mean", OL_ATTR_FLOAT, false}, {"scale", OL_ATTR_FLOAT, false},
    {"seed", OL_ATTR_FLOAT, false}, {"shape", OL_ATTR_INTS, true}};
static const ol_attr_spec bernoulli_attrs[] = {{"dtype", OL_ATTR_INT, false}, {"seed", OL_ATTR_FLOAT, false}};
static const ol_attr_spec multinomial_attrs[] = {{"dtype", OL_ATTR_INT, false},
                                                 {"sample_size", OL_ATTR_INT, false},
                                                 {"seed", OL_ATTR_FLOAT, false}};
#define OP(Name, text, inputs, at, n, inf, ev)                                                     \
    extern const ol_op ol_op_##Name;                                                               \
    const ol_op ol_op_##Name = {"", #Name, text, inputs, inputs, 1, 1, at, n, inf, ev, NULL, true, false};
OP(RandomUniform, "uniform numbers of a given shape", 0, uniform_attrs, 5, infer_shaped, eval_shaped)
OP(RandomNormal, "normal numbers of a given shape", 0, normal_attrs, 5, infer_shaped, eval_shaped)
OP(RandomUniformLike, "uniform numbers in the shape of the input", 1, uniform_attrs, 4, infer_like, eval_like)
OP(RandomNormalLike, "normal numbers in the shape of the input", 1, normal_attrs, 4, infer_like, eval_like)
OP(Bernoulli, "ones by their probability", 1, bernoulli_attrs, 2, infer_like, eval_bernoulli)
OP(Multinomial, "classes drawn by logarithms of weights", 1, multinomial_attrs, 3, infer_multinomial, eval_multinomial)
