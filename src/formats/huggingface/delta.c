/* SPDX-License-Identifier: Apache-2.0 */
/* Qwen3-Next's linear attention by the gated delta rule. */
#include "formats/huggingface/recurrent.h"

#include "base/alloc.h"
#include "base/error.h"
#include "formats/huggingface/rows.h"

#include <math.h>

/* The projections: q, k, v and their gate z, the forgetting a and the rate b. */
typedef struct inputs {
    ol_value *q, *k, *v, *z, *a, *b;
} inputs;

/* The bias of the forgetting, or NULL. */
static float *step_bias(ol_hf_build *b) {
    return ol_hf_vector(b, ol_hf_mixer_part(b, "dt_bias"), "", b->c->recurrent->heads, 0, true);
}

/* Two matrices, whose rows stand by key heads: q, k, and what the value heads that it serves have
 * of v and z; of b and a. */
static inputs by_groups(ol_hf_build *b, ol_value *h, const float *bias) {
    const ol_hf_recurrent *r = b->c->recurrent;
    int64_t dk = r->key_dim, per = r->heads / r->key_heads, dv = per * r->head_dim,
            hidden = b->c->hidden;
    int64_t stride = 2 * (dk + dv), all = r->key_heads * stride, groups = r->key_heads;
    const char *wide = ol_hf_mixer_part(b, "in_proj_qkvz"),
               *thin = ol_hf_mixer_part(b, "in_proj_ba");
    return (inputs){
        .q = ol_hf_linear_rows(b, h, wide, "q", all, hidden, (ol_hf_rows){0, dk, groups, stride},
                               NULL),
        .k = ol_hf_linear_rows(b, h, wide, "k", all, hidden, (ol_hf_rows){dk, dk, groups, stride},
                               NULL),
        .v = ol_hf_linear_rows(b, h, wide, "v", all, hidden,
                               (ol_hf_rows){2 * dk, dv, groups, stride}, NULL),
        .z = ol_hf_linear_rows(b, h, wide, "z", all, hidden,
                               (ol_hf_rows){2 * dk + dv, dv, groups, stride}, NULL),
        .b = ol_hf_linear_rows(b, h, thin, "b", 2 * r->heads, hidden,
                               (ol_hf_rows){0, per, groups, 2 * per}, NULL),
        .a = ol_hf_linear_rows(b, h, thin, "a", 2 * r->heads, hidden,
                               (ol_hf_rows){per, per, groups, 2 * per}, bias),
    };
}

/* Qwen3.5: q, k and v one below the other, the rest apart. */
static inputs by_parts(ol_hf_build *b, ol_value *h, const float *bias) {
    const ol_hf_recurrent *r = b->c->recurrent;
    int64_t nk = r->key_heads * r->key_dim, nv = r->heads * r->head_dim, hidden = b->c->hidden,
            all = 2 * nk + nv;
    const char *qkv = ol_hf_mixer_part(b, "in_proj_qkv");
    return (inputs){
        .q = ol_hf_linear_rows(b, h, qkv, "q", all, hidden, ol_hf_run(0, nk), NULL),
        .k = ol_hf_linear_rows(b, h, qkv, "k", all, hidden, ol_hf_run(nk, nk), NULL),
        .v = ol_hf_linear_rows(b, h, qkv, "v", all, hidden, ol_hf_run(2 * nk, nv), NULL),
        .z = ol_hf_linear(b, h, ol_hf_mixer_part(b, "in_proj_z"), nv, hidden, false),
        .b = ol_hf_linear(b, h, ol_hf_mixer_part(b, "in_proj_b"), r->heads, hidden, false),
        .a = ol_hf_linear_rows(b, h, ol_hf_mixer_part(b, "in_proj_a"), "a", r->heads, hidden,
                               ol_hf_run(0, r->heads), bias),
    };
}

/* x / sqrt(sum(x^2) + 1e-6) over each head, as an RMS norm. */
static ol_value *unit(ol_hf_build *b, ol_value *x) {
    const ol_hf_recurrent *r = b->c->recurrent;
    double d = (double)r->key_dim;
    ol_value *in[] = {x, ol_hf_filled(b, r->key_dim, 1 / sqrt(d))};
    ol_attr attrs[] = {ol_attr_int("heads", r->key_heads),
                       ol_attr_float("epsilon", (float)(1e-6 / d)), ol_attr_string("kind", "rms"),
                       ol_attr_float("offset", 0)};
    return ol_hf_node(b, "olivine", "HeadNorm", in, 2, 1, attrs, 4, NULL);
}

/* log of the decay: -exp(A_log) softplus(a). */
static ol_value *forgetting(ol_hf_build *b, ol_value *a) {
    int64_t n = b->c->recurrent->heads;
    float *v = ol_hf_vector(b, ol_hf_mixer_part(b, "A_log"), "", n, 0, true);
    for (int64_t i = 0; v && i < n; i++) v[i] = (float)-exp((double)v[i]);
    return ol_hf_op2(b, "Mul", ol_hf_op1(b, "Softplus", a), ol_hf_vector_value(b, NULL, v, n));
}

/* Norm of each value head's part with the weights of one head. */
static ol_value *head_norm(ol_hf_build *b, ol_value *x) {
    const ol_hf_recurrent *r = b->c->recurrent;
    const char *part = ol_hf_mixer_part(b, "norm");
    const ol_st_tensor *t = ol_hf_find(b, part, ".weight");
    float *w = ol_hf_vector(b, part, ".weight", r->head_dim, 0, true);
    ol_value *in[] = {x, ol_hf_vector_value(b, t ? t->name.ptr : NULL, w, r->head_dim)};
    ol_attr attrs[] = {ol_attr_int("heads", r->heads), ol_attr_float("epsilon", (float)b->c->eps),
                       ol_attr_string("kind", "rms"), ol_attr_float("offset", 0)};
    return ol_hf_node(b, "olivine", "HeadNorm", in, 2, 1, attrs, 4, NULL);
}

ol_value *ol_hf_delta(ol_hf_build *b, ol_value *h) {
    const ol_hf_recurrent *r = b->c->recurrent;
    int64_t nk = r->key_heads * r->key_dim, nv = r->heads * r->head_dim, all = 2 * nk + nv;
    const char *conv = ol_hf_mixer_part(b, "conv1d");
    float *bias = step_bias(b);
    bool groups = ol_hf_has(b, ol_hf_mixer_part(b, "in_proj_qkvz"));
    inputs x = groups ? by_groups(b, h, bias) : by_parts(b, h, bias);
    ol_free(bias);
    x.q = unit(b, ol_hf_conv(b, x.q, conv, "q", all, 0, nk, 1, true));
    x.k = unit(b, ol_hf_conv(b, x.k, conv, "k", all, nk, nk, 1, true));
    x.v = ol_hf_conv(b, x.v, conv, "v", all, 2 * nk, nv, 1, true);
    ol_value *in[] = {x.q, x.k, x.v, forgetting(b, x.a), ol_hf_op1(b, "Sigmoid", x.b)};
    ol_attr attrs[] = {ol_attr_int("state", ol_hf_state(b, "delta", nv * r->key_dim)),
                       ol_attr_int("heads", r->heads), ol_attr_int("key_heads", r->key_heads),
                       ol_attr_float("scale", (float)(1 / sqrt((double)r->key_dim)))};
    ol_value *y = head_norm(b, ol_hf_node(b, "olivine", "DeltaRule", in, 5, 1, attrs, 4, NULL));
    y = ol_hf_op2(b, "Mul", ol_hf_op1(b, "Swish", x.z), y);
    return ol_hf_linear(b, y, ol_hf_mixer_part(b, "out_proj"), b->c->hidden, nv, false);
}
