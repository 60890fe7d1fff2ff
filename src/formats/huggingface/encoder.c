/* SPDX-License-Identifier: Apache-2.0 */
/* Graphs that do not generate: rows of whole texts go through all layers without state, and give a vector each, or one
 * vector or one list of scores per text. Decoders serve too: their rows look back only, and the last one is pooled. */
#include "formats/huggingface/encoder.h"

#include "base/alloc.h"
#include "base/error.h"
#include "formats/huggingface/build.h"
#include "formats/huggingface/use.h"

#include <math.h>
#include <stdio.h>

/* ---- embeddings ---- */

/* Rows [from, from + rows) of a table as a constant value. */
static ol_value *table(ol_hf_build *b, const char *part, int64_t from, int64_t rows) {
    const ol_st_tensor *t = ol_hf_find(b, part, ".weight");
    ol_const *all = ol_hf_weight(b, part, from + rows, b->c->embed_width), *c = all;
    if (!all) return NULL;
    if (from) {
        c = ol_const_slice_rows(all, from, rows, &b->error);
        ol_const_release(all);
        if (!c) b->failed = true;
    }
    return ol_hf_constant(b, t->name.ptr, c);
}

/* x plus the vector of its token type: looked up, or the only one. */
static ol_value *add_types(ol_hf_build *b, ol_value *x) {
    const char *part = b->c->family->encoder->types;
    int64_t n = b->c->embed_width;
    if (b->failed || !b->c->n_types) return x;
    if (b->types) return ol_hf_op2(b, "Add", x, ol_hf_look_up(b, table(b, part, 0, b->c->n_types), b->types));
    return ol_hf_op2(b, "Add", x, ol_hf_vector_value(b, NULL, ol_hf_vector(b, part, ".weight", n, 0, true), n));
}

static ol_value *embed(ol_hf_build *b, ol_value *ids) {
    const ol_hf_config *c = b->c;
    const ol_hf_encoder *e = c->family->encoder;
    ol_value *x = ol_hf_look_up(b, table(b, c->names->embed, 0, c->vocab), ids);
    x = add_types(b, x);
    if (c->position == OL_HF_LEARNED) {
        ol_value *places = table(b, c->names->positions, e->after_padding ? c->pad + 1 : 0, c->context);
        x = ol_hf_op2(b, "Add", x, ol_hf_look_up(b, places, b->positions));
    }
    x = ol_hf_norm_of(b, x, c->names->embed_norm, c->embed_width);
    bool project = e->project && (c->embed_width != c->hidden || ol_hf_has(b, e->project));
    return project ? ol_hf_linear(b, x, e->project, c->hidden, c->embed_width, true) : x;
}

/* ---- the bias by distance ---- */

#define SPAN 128 /* from there on all distances share a bucket */

/* Buckets of distance d = position of the key - position of the query: half of them for each direction; there the
 * first half stands for a distance each, the others for ranges that grow up to SPAN. */
static int64_t bucket(int64_t d, int64_t n) {
    int64_t half = n / 2, exact = half / 2, far = d < 0 ? -d : d, at = d > 0 ? half : 0;
    if (far < exact) return at + far;
    float ratio = logf((float)far / (float)exact) / (float)log((double)SPAN / (double)exact);
    int64_t large = exact + (int64_t)(ratio * (float)(half - exact));
    return at + (large < half ? large : half - 1);
}

ol_value *ol_hf_relative_bias(ol_hf_build *b) {
    const ol_hf_config *c = b->c;
    const ol_hf_encoder *e = c->family->encoder;
    int layer = b->layer;
    if (b->failed || !e || !e->relative || b->relative) return b->relative;
    b->layer = -1;
    const ol_st_tensor *t = ol_hf_find(b, e->relative, ".weight");
    int64_t buckets = t && t->rank == 2 ? t->dims[0] : 32, width = 2 * SPAN + 1;
    if (buckets < 4) ol_hf_build_fail(b, OLV_SHAPE, "tensor '%s': expected at least 4 rows", t->name.ptr);
    float *by_bucket = ol_hf_vector(b, e->relative, ".weight", buckets * c->n_heads, 0, true);
    float *v = by_bucket ? ol_calloc((size_t)(c->n_heads * width), sizeof *v) : NULL;
    for (int64_t i = 0; v && i < c->n_heads * width; i++)
        v[i] = by_bucket[bucket(i % width - SPAN, buckets) * c->n_heads + i / width];
    if (v && !b->failed) {
        ol_tensor tensor = {.dtype = OL_F32, .rank = 2, .dims = {c->n_heads, width}, .data = v};
        tensor.bytes = (size_t)(c->n_heads * width) * sizeof *v;
        b->relative = ol_hf_constant(b, "relative_bias", ol_const_tensor(&tensor, &b->error));
    }
    if (!b->relative) ol_hf_build_fail(b, OLV_NOMEM, "out of memory");
    ol_free(by_bucket);
    ol_free(v);
    b->layer = layer;
    return b->relative;
}

/* ---- from rows to texts ---- */

static ol_value *pool(ol_hf_build *b, ol_value *x, const char *kind) {
    ol_attr a = ol_attr_string("kind", kind);
    return ol_hf_node(b, "olivine", "PoolRows", &x, 1, 1, &a, 1, NULL);
}

static ol_value *pool_all(ol_hf_build *b, ol_value *x) {
    const ol_hf_use *u = b->c->use;
    ol_value *parts[OL_HF_MAX_POOLS];
    for (int i = 0; i < u->n_pools; i++) parts[i] = pool(b, x, u->pools[i]);
    ol_attr axis = ol_attr_int("axis", 1);
    return u->n_pools == 1 ? parts[0] : ol_hf_node(b, "", "Concat", parts, u->n_pools, 1, &axis, 1, NULL);
}

static ol_value *dense(ol_hf_build *b, ol_value *x, const ol_hf_dense *d, int64_t width, const ol_hf_source *source,
                       int number) {
    const ol_hf_source *models = b->source;
    char name[48];
    if (d->in != width) {
        ol_hf_build_fail(b, OLV_SHAPE, "%s: in_features is %lld, the vectors before it have %lld values", d->folder,
                         (long long)d->in, (long long)width);
        return NULL;
    }
    b->source = source;
    snprintf(name, sizeof name, "dense.%d.weight", number);
    ol_value *w = ol_hf_constant(b, name, ol_hf_weight(b, "linear", d->out, d->in)), *bias = NULL;
    snprintf(name, sizeof name, "dense.%d.bias", number);
    if (d->bias) bias = ol_hf_vector_value(b, name, ol_hf_vector(b, "linear", ".bias", d->out, 0, true), d->out);
    b->source = models;
    ol_value *y = ol_hf_linear_of(b, x, w, bias);
    ol_hf_act act;
    if (strcmp(d->act, "identity") != 0) {
        if (ol_hf_act_parse(d->act, &act, &b->error) != OLV_OK) b->failed = true;
        else y = ol_hf_activate_as(b, act, y);
    }
    return d->residual ? ol_hf_op2(b, "Add", y, x) : y;
}

/* The Dense modules, each with the weights of its own folder. */
static ol_value *embedding(ol_hf_build *b, ol_value *x) {
    const ol_hf_use *u = b->c->use;
    int64_t width = b->c->hidden * u->n_pools;
    x = pool_all(b, x);
    for (int i = 0; i < u->n_dense && !b->failed; i++) {
        ol_hf_weights *w;
        if (ol_hf_weights_open(u->dense[i].folder, NULL, &w, &b->error) != OLV_OK) {
            b->failed = true;
            return NULL;
        }
        x = dense(b, x, &u->dense[i], width, ol_hf_weights_source(w), i);
        width = u->dense[i].out;
        ol_hf_weights_close(w);
    }
    return x;
}

static ol_value *scores(ol_hf_build *b, ol_value *x) {
    const ol_hf_config *c = b->c;
    const ol_hf_encoder *e = c->family->encoder;
    const char *out = e ? e->out : "score";
    const ol_st_tensor *t = ol_hf_find(b, out, ".weight");
    if (!t && !b->failed)
        ol_hf_build_fail(b, OLV_UNSUPPORTED, "the model has no classifier (there is no tensor '%s.weight'); it was not "
                         "trained to classify", out);
    int64_t labels = t && t->rank == 2 ? t->dims[0] : 0;
    x = pool(b, x, !e ? "last" : c->classify_mean ? "mean" : "first");
    if (e) {
        x = ol_hf_activate_as(b, e->act, ol_hf_linear(b, x, e->dense, c->hidden, c->hidden, false));
        if (e->norm) x = ol_hf_norm_of(b, x, e->norm, c->hidden);
    }
    return ol_hf_linear(b, x, out, labels, c->hidden, false);
}

void ol_hf_build_encoder(ol_hf_build *b) {
    const ol_hf_config *c = b->c;
    ol_value *ids = ol_hf_add_input(b, "input_ids", "T");
    b->positions = ol_hf_add_input(b, "positions", "T");
    if (c->n_types > 1) b->types = ol_hf_add_input(b, "token_types", "T");
    ol_value *x = c->family->encoder ? embed(b, ids) : ol_hf_embed(b, ids);
    for (b->layer = 0; b->layer < c->n_layers && !b->failed; b->layer++) x = ol_hf_layer_of(b, x);
    b->layer = -1;
    if (c->names->final_norm && ol_hf_has(b, c->names->final_norm))
        x = ol_hf_norm_of(b, x, c->names->final_norm, c->hidden);
    if (c->task == OL_HF_TOKENS) ol_hf_finish(b, "hidden", x);
    else if (c->task == OL_HF_EMBED) ol_hf_finish(b, "embedding", embedding(b, x));
    else ol_hf_finish(b, "scores", scores(b, x));
}
