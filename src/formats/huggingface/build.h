/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files that build a graph from a family's description: finding tensors and adding nodes. A failure
 * latches: the first error is kept, and every later call gives NULL without doing anything, so that the builders
 * read like the formulas they build and check once at the end. */
#ifndef OL_FORMATS_HUGGINGFACE_BUILD_H
#define OL_FORMATS_HUGGINGFACE_BUILD_H

#include "formats/huggingface/config.h"
#include "formats/huggingface/source.h"
#include "graph/op.h"

typedef struct ol_hf_build {
    ol_graph *g;
    const ol_hf_source *source;
    const ol_hf_config *c;
    bool failed;
    olv_error error;
    int layer;              /* number of the layer being built, -1 outside */
    ol_value *positions;
    ol_value *tables[OL_HF_MAX_ROPES];    /* rotary tables, made when first used */
    ol_value *alibi;
    ol_value *growth;       /* factor of each row's queries, made when first used */
    ol_value *types;        /* input token_types; NULL: none */
    ol_value *relative;     /* bias by distance of encoders, made when first used */
} ol_hf_build;

/* Builds the graph of a model. tie_said: the config says whether the head is tied; else a file without a head is. */
OLV_MUST_USE olv_status ol_hf_build_graph(const ol_hf_source *source, const ol_hf_config *c, bool tie_said,
                                          ol_graph **out, olv_error *err);

/* The tensor as a constant. */
OLV_MUST_USE olv_status ol_hf_const(ol_hf_build *b, const ol_st_tensor *t, ol_const **out);

olv_status ol_hf_build_fail(ol_hf_build *b, olv_status s, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Full name of a part of the present layer (or of the model outside of layers) with a suffix, as the file has it; NULL
 * when part is NULL or the file has no such tensor. In the graph's arena. */
const ol_st_tensor *ol_hf_find(ol_hf_build *b, const char *part, const char *suffix);
const ol_st_tensor *ol_hf_find_root(ol_hf_build *b, const char *name);
bool ol_hf_has(ol_hf_build *b, const char *part);

/* Weight matrix [n, k] of a part as a constant (taken); missing or misshapen tensors are errors. */
ol_const *ol_hf_weight(ol_hf_build *b, const char *part, int64_t n, int64_t k);
/* One-dimensional parameters as f32: n values of part.suffix plus `offset`; NULL (not failed) when absent and not
 * required. ol_free it. */
float *ol_hf_vector(ol_hf_build *b, const char *part, const char *suffix, int64_t n, float offset, bool required);
/* Constant value under NAME (taken; an existing one of the name is reused). */
ol_value *ol_hf_constant(ol_hf_build *b, const char *name, ol_const *c);
ol_value *ol_hf_vector_value(ol_hf_build *b, const char *name, float *v /* taken */, int64_t n);
ol_value *ol_hf_scalar(ol_hf_build *b, double v);
ol_value *ol_hf_ones(ol_hf_build *b, int64_t n); /* the weights of a norm that has none */
ol_value *ol_hf_ints(ol_hf_build *b, const int64_t *v, int n /* -1: rank 0 */);

/* Nodes. Inputs are a NULL-terminated list unless a count is given. */
ol_value *ol_hf_node(ol_hf_build *b, const char *domain, const char *op, ol_value *const *in, int n_in, int n_out,
                     const ol_attr *attrs, int n_attrs, ol_value **second);
ol_value *ol_hf_op1(ol_hf_build *b, const char *op, ol_value *x);
ol_value *ol_hf_op2(ol_hf_build *b, const char *op, ol_value *x, ol_value *y);
ol_value *ol_hf_scale(ol_hf_build *b, ol_value *x, double by); /* x itself when by is 1 */
ol_value *ol_hf_reshape(ol_hf_build *b, ol_value *x, const int64_t *dims, int n);
/* Linear with a weight value and an optional bias value. */
ol_value *ol_hf_linear_of(ol_hf_build *b, ol_value *x, ol_value *w, ol_value *bias);
/* Linear of a part: weight [n, k] and its bias where the file has one (bias_required: it must). */
ol_value *ol_hf_linear(ol_hf_build *b, ol_value *x, const char *part, int64_t n, int64_t k, bool bias_required);
/* The family's normalization with the parameters of a part, over the last n values. */
ol_value *ol_hf_norm_of(ol_hf_build *b, ol_value *x, const char *part, int64_t n);
ol_value *ol_hf_norm_with(ol_hf_build *b, ol_value *x, const char *part, int64_t n, double eps);
ol_value *ol_hf_activate(ol_hf_build *b, ol_value *x);
ol_value *ol_hf_activate_as(ol_hf_build *b, ol_hf_act act, ol_value *x);

/* read.c: the frame of a model. */
ol_value *ol_hf_add_input(ol_hf_build *b, const char *name, const char *symbol); /* i64 [symbol] */
ol_value *ol_hf_look_up(ol_hf_build *b, ol_value *table, ol_value *ids);         /* rows as f32 */
ol_value *ol_hf_embed(ol_hf_build *b, ol_value *ids);
ol_value *ol_hf_layer_of(ol_hf_build *b, ol_value *x);
void ol_hf_finish(ol_hf_build *b, const char *name, ol_value *x); /* x is the output of this name */
void ol_hf_set_meta(ol_hf_build *b, const char *key, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* encoder.c: everything of a graph that is not built to generate, but the metadata. */
void ol_hf_build_encoder(ol_hf_build *b);
ol_value *ol_hf_relative_bias(ol_hf_build *b); /* NULL: the family has none */

/* attention.c, mlp.c: from the normalized rows h to what is added to the residual. */
ol_value *ol_hf_attention(ol_hf_build *b, ol_value *h); /* or what the layer has in its place */
ol_value *ol_hf_self_attention(ol_hf_build *b, ol_value *h);
ol_value *ol_hf_latent_attention(ol_hf_build *b, ol_value *h);
ol_value *ol_hf_attend(ol_hf_build *b, ol_value *q, ol_value *k, ol_value *v);
ol_value *ol_hf_rotate(ol_hf_build *b, ol_value *x, int64_t heads);
ol_value *ol_hf_mlp(ol_hf_build *b, ol_value *h);
ol_value *ol_hf_experts(ol_hf_build *b, ol_value *h);

#endif
