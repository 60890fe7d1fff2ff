/* SPDX-License-Identifier: Apache-2.0 */
/* Mamba, Mamba-2, gated short convolutions, and what the recurrent layers share. */
#include "formats/huggingface/recurrent.h"

#include "base/alloc.h"
#include "base/error.h"
#include "formats/huggingface/rows.h"

#include <math.h>
#include <stdio.h>

/* ---- parts ---- */

const char *ol_hf_mixer_part(ol_hf_build *b, const char *part) {
    char name[128];
    snprintf(name, sizeof name, "%s%s", b->c->names->mixer, part);
    const char *kept = ol_arena_strdup(b->g->arena, name);
    if (!kept) ol_hf_build_fail(b, OLV_NOMEM, "out of memory");
    return kept ? kept : part;
}

int ol_hf_state(ol_hf_build *b, const char *kind, int64_t elements) {
    char name[64];
    if (b->failed) return -1;
    snprintf(name, sizeof name, "%s.%d", kind, b->layer);
    ol_state_decl s = {.name = name, .kind = OL_STATE_FIXED, .elements = elements};
    int state = ol_graph_add_state(b->g, &s);
    if (state < 0) ol_hf_build_fail(b, OLV_NOMEM, "out of memory");
    return state;
}

ol_value *ol_hf_matrix_value(ol_hf_build *b, const char *name, float *v, int64_t rows,
                             int64_t width) {
    ol_value *out = NULL;
    ol_tensor t;
    if (v && !b->failed) {
        if (ol_tensor_init(&t, OL_F32, 2, (int64_t[]){rows, width}, &b->error) == OLV_OK) {
            memcpy(t.data, v, (size_t)(rows * width) * sizeof *v);
            ol_const *c = ol_const_tensor(&t, &b->error);
            ol_tensor_deinit(&t);
            if (!c) b->failed = true;
            out = ol_hf_constant(b, name, c);
        } else {
            b->failed = true;
        }
    }
    ol_free(v);
    return out;
}

ol_value *ol_hf_filled(ol_hf_build *b, int64_t n, double v) {
    float *p = b->failed ? NULL : ol_calloc((size_t)n, sizeof *p);
    if (!p && !b->failed) ol_hf_build_fail(b, OLV_NOMEM, "out of memory");
    for (int64_t i = 0; p && i < n; i++) p[i] = (float)v;
    return ol_hf_vector_value(b, NULL, p, n);
}

/* Values [row, row + n) of v (taken), times `scale`, as a new array. */
static float *cut(ol_hf_build *b, float *v, int64_t row, int64_t n, double scale) {
    float *p = v ? ol_calloc((size_t)n, sizeof *p) : NULL;
    if (v && !p) ol_hf_build_fail(b, OLV_NOMEM, "out of memory");
    for (int64_t i = 0; p && i < n; i++) p[i] = (float)(scale * (double)v[row + i]);
    ol_free(v);
    return p;
}

ol_value *ol_hf_conv(ol_hf_build *b, ol_value *x, const char *part, const char *what, int64_t all,
                     int64_t row, int64_t n, double scale, bool silu) {
    int64_t k = b->c->recurrent->conv;
    char name[300];
    if (b->failed) return NULL;
    const ol_st_tensor *t = ol_hf_find(b, part, ".weight");
    snprintf(name, sizeof name, "%s.%s", t ? t->name.ptr : part, what);
    float *w = cut(b, ol_hf_vector(b, part, ".weight", all * k, 0, true), row * k, n * k, scale);
    ol_value *in[] = {x, ol_hf_matrix_value(b, name, w, n, k), NULL};
    in[2] = ol_hf_vector_value(b, NULL,
                               cut(b, ol_hf_vector(b, part, ".bias", all, 0, false), row, n, 1), n);
    snprintf(name, sizeof name, "conv.%s", what);
    ol_attr attrs[] = {ol_attr_int("state", ol_hf_state(b, name, (k - 1) * n)),
                       ol_attr_string("activation", silu ? "silu" : "none")};
    return ol_hf_node(b, "olivine", "CausalConv", in, in[2] ? 3 : 2, 1, attrs, 2, NULL);
}

/* -exp(A_log) of the file, [rows, width] or, with width 0, [rows]. */
static ol_value *rates(ol_hf_build *b, int64_t rows, int64_t width) {
    const char *part = ol_hf_mixer_part(b, "A_log");
    const ol_st_tensor *t = ol_hf_find(b, part, "");
    int64_t n = width ? rows * width : rows;
    float *v = ol_hf_vector(b, part, "", n, 0, true);
    for (int64_t i = 0; v && i < n; i++) v[i] = (float)-exp((double)v[i]);
    return width ? ol_hf_matrix_value(b, t ? t->name.ptr : part, v, rows, width)
                 : ol_hf_vector_value(b, t ? t->name.ptr : NULL, v, n);
}

static ol_value *skip_weights(ol_hf_build *b, int64_t n) {
    const ol_st_tensor *t = ol_hf_find(b, ol_hf_mixer_part(b, "D"), "");
    return ol_hf_vector_value(b, t ? t->name.ptr : NULL,
                              ol_hf_vector(b, ol_hf_mixer_part(b, "D"), "", n, 0, true), n);
}

static ol_value *scan(ol_hf_build *b, ol_value *const *in, int64_t heads, int64_t groups,
                      int64_t elements) {
    ol_attr attrs[] = {ol_attr_int("state", ol_hf_state(b, "scan", elements)),
                       ol_attr_int("heads", heads), ol_attr_int("groups", groups)};
    return ol_hf_node(b, "olivine", "SelectiveScan", in, 6, 1, attrs, 3, NULL);
}

/* ---- Mamba ---- */

/* Falcon Mamba's norm without weights. */
static ol_value *inner_norm(ol_hf_build *b, ol_value *x, int64_t n) {
    const ol_hf_recurrent *r = b->c->recurrent;
    if (r->inner_eps <= 0) return x;
    ol_attr attrs[] = {ol_attr_int("axis", -1), ol_attr_float("epsilon", (float)r->inner_eps)};
    ol_value *in[] = {x, ol_hf_filled(b, n, 1)};
    return ol_hf_node(b, "", "RMSNormalization", in, 2, 1, attrs, 2, NULL);
}

ol_value *ol_hf_mamba(ol_hf_build *b, ol_value *h) {
    const ol_hf_recurrent *r = b->c->recurrent;
    int64_t n = r->inner, s = r->states, all = r->rank + 2 * s, hidden = b->c->hidden;
    const char *in_proj = ol_hf_mixer_part(b, "in_proj"), *x_proj = ol_hf_mixer_part(b, "x_proj");
    ol_value *x = ol_hf_linear_rows(b, h, in_proj, "x", 2 * n, hidden, ol_hf_run(0, n), NULL);
    ol_value *z = ol_hf_linear_rows(b, h, in_proj, "z", 2 * n, hidden, ol_hf_run(n, n), NULL);
    x = ol_hf_conv(b, x, ol_hf_mixer_part(b, "conv1d"), "x", n, 0, n, 1, true);
    ol_value *dt = inner_norm(
        b, ol_hf_linear_rows(b, x, x_proj, "dt", all, n, ol_hf_run(0, r->rank), NULL), r->rank);
    ol_value *in_b =
        inner_norm(b, ol_hf_linear_rows(b, x, x_proj, "B", all, n, ol_hf_run(r->rank, s), NULL), s);
    ol_value *in_c = inner_norm(
        b, ol_hf_linear_rows(b, x, x_proj, "C", all, n, ol_hf_run(r->rank + s, s), NULL), s);
    dt = ol_hf_op1(b, "Softplus",
                   ol_hf_linear(b, dt, ol_hf_mixer_part(b, "dt_proj"), n, r->rank, true));
    ol_value *in[] = {x, dt, rates(b, n, s), in_b, in_c, skip_weights(b, n)};
    ol_value *y = scan(b, in, n, 1, n * s);
    y = ol_hf_op2(b, "Mul", ol_hf_op1(b, "Swish", z), y);
    return ol_hf_linear(b, y, ol_hf_mixer_part(b, "out_proj"), hidden, n, false);
}

/* ---- Mamba-2 ---- */

/* The time step of every head. */
static ol_value *time_step(ol_hf_build *b, ol_value *h, const char *in_proj, int64_t all) {
    const ol_hf_recurrent *r = b->c->recurrent;
    float *bias = ol_hf_vector(b, ol_hf_mixer_part(b, "dt_bias"), "", r->heads, 0, true);
    bool scaled = r->part_scale[4] != 1;
    ol_value *dt = ol_hf_linear_rows(b, h, in_proj, "dt", all, b->c->hidden,
                                     ol_hf_run(all - r->heads, r->heads), scaled ? NULL : bias);
    if (scaled)
        dt = ol_hf_op2(b, "Add", ol_hf_scale(b, dt, r->part_scale[4]),
                       ol_hf_vector_value(b, NULL, bias, r->heads));
    else
        ol_free(bias);
    dt = ol_hf_op1(b, "Softplus", dt);
    if (r->step_min > 0) dt = ol_hf_op2(b, "Max", dt, ol_hf_scalar(b, r->step_min));
    return isfinite(r->step_max) ? ol_hf_op2(b, "Min", dt, ol_hf_scalar(b, r->step_max)) : dt;
}

/* Norm of each head's values, with a weight for every value or (shared) for one head's. */
static ol_value *heads_norm(ol_hf_build *b, ol_value *x, int64_t heads, int64_t n) {
    const char *part = ol_hf_mixer_part(b, "norm");
    const ol_st_tensor *t = ol_hf_find(b, part, ".weight");
    ol_value *in[] = {x, ol_hf_vector_value(b, t ? t->name.ptr : NULL,
                                            ol_hf_vector(b, part, ".weight", n, 0, true), n)};
    ol_attr attrs[] = {ol_attr_int("heads", heads), ol_attr_float("epsilon", (float)b->c->eps),
                       ol_attr_string("kind", "rms"), ol_attr_float("offset", 0)};
    return ol_hf_node(b, "olivine", "HeadNorm", in, 2, 1, attrs, 4, NULL);
}

ol_value *ol_hf_mamba2(ol_hf_build *b, ol_value *h) {
    const ol_hf_recurrent *r = b->c->recurrent;
    int64_t n = r->inner, s = r->groups * r->states, conv = n + 2 * s, all = n + conv + r->heads,
            hidden = b->c->hidden;
    const char *in_proj = ol_hf_mixer_part(b, "in_proj"), *conv1d = ol_hf_mixer_part(b, "conv1d");
    const double *scale = r->part_scale;
    h = ol_hf_scale(b, h, r->in_scale);
    ol_value *z = ol_hf_linear_rows(b, h, in_proj, "z", all, hidden, ol_hf_run(0, n), NULL);
    ol_value *x = ol_hf_linear_rows(b, h, in_proj, "x", all, hidden, ol_hf_run(n, n), NULL);
    ol_value *in_b = ol_hf_linear_rows(b, h, in_proj, "B", all, hidden, ol_hf_run(2 * n, s), NULL);
    ol_value *in_c =
        ol_hf_linear_rows(b, h, in_proj, "C", all, hidden, ol_hf_run(2 * n + s, s), NULL);
    ol_value *dt = time_step(b, h, in_proj, all);
    z = ol_hf_op1(b, "Swish", ol_hf_scale(b, z, scale[0]));
    x = ol_hf_conv(b, x, conv1d, "x", conv, 0, n, scale[1], true);
    in_b = ol_hf_conv(b, in_b, conv1d, "B", conv, n, s, scale[2], true);
    in_c = ol_hf_conv(b, in_c, conv1d, "C", conv, n + s, s, scale[3], true);
    ol_value *in[] = {x, dt, rates(b, r->heads, 0), in_b, in_c, skip_weights(b, r->heads)};
    ol_value *y = scan(b, in, r->heads, r->groups, n * r->states);
    if (r->norm && r->norm_first) y = heads_norm(b, y, r->groups, n);
    y = ol_hf_op2(b, "Mul", z, y);
    if (r->norm && !r->norm_first) y = heads_norm(b, y, r->groups, n);
    return ol_hf_scale(b, ol_hf_linear(b, y, ol_hf_mixer_part(b, "out_proj"), hidden, n, false),
                       r->out_scale);
}

/* ---- gated short convolution ---- */

ol_value *ol_hf_short_conv(ol_hf_build *b, ol_value *h) {
    int64_t n = b->c->hidden;
    const char *in_proj = ol_hf_mixer_part(b, "in_proj");
    ol_value *in = ol_hf_linear_rows(b, h, in_proj, "B", 3 * n, n, ol_hf_run(0, n), NULL);
    ol_value *out = ol_hf_linear_rows(b, h, in_proj, "C", 3 * n, n, ol_hf_run(n, n), NULL);
    ol_value *x = ol_hf_linear_rows(b, h, in_proj, "x", 3 * n, n, ol_hf_run(2 * n, n), NULL);
    x = ol_hf_conv(b, ol_hf_op2(b, "Mul", in, x), ol_hf_mixer_part(b, "conv"), "x", n, 0, n, 1,
                   false);
    return ol_hf_linear(b, ol_hf_op2(b, "Mul", out, x), ol_hf_mixer_part(b, "out_proj"), n, n,
                        false);
}

/* ---- by kind ---- */

/* Falcon-H1: Mamba-2 and attention side by side. */
static ol_value *beside(ol_hf_build *b, ol_value *h) {
    const ol_hf_recurrent *r = b->c->recurrent;
    ol_value *m = ol_hf_mamba2(b, h),
             *a = ol_hf_self_attention(b, ol_hf_scale(b, h, r->attn_in_scale));
    return ol_hf_op2(b, "Add", m, ol_hf_scale(b, a, r->attn_out_scale));
}

ol_value *ol_hf_mix(ol_hf_build *b, ol_value *h) {
    switch (b->c->layers[b->layer].mixer) {
    case OL_HF_MIX_MAMBA: return ol_hf_mamba(b, h);
    case OL_HF_MIX_MAMBA2: return ol_hf_mamba2(b, h);
    case OL_HF_MIX_BESIDE: return beside(b, h);
    case OL_HF_MIX_CONV: return ol_hf_short_conv(b, h);
    case OL_HF_MIX_DELTA: return ol_hf_delta(b, h);
    case OL_HF_MIX_RWKV: return ol_hf_rwkv(b, h);
    case OL_HF_MIX_ATTENTION: break;
    }
    return ol_hf_self_attention(b, h);
}
