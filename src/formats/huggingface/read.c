/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/huggingface/huggingface.h"

#include "base/alloc.h"
#include "base/error.h"
#include "formats/huggingface/build.h"

#include <inttypes.h>
#include <stdio.h>

#define MAX_CONFIG (16u << 20) /* bytes of config.json */

/* ---- the frame of the model ---- */

ol_value *ol_hf_add_input(ol_hf_build *b, const char *name, const char *symbol) {
    ol_type t;
    memset(&t, 0, sizeof t);
    t.kind = OL_VALUE_TENSOR;
    t.dtype = OL_I64;
    t.rank = 1;
    t.dims[0] = ol_dim_symbol(b->g->dims, symbol);
    ol_value *v = ol_graph_add_input(b->g, name, &t, &b->error);
    if (!v) b->failed = true;
    return v;
}

static ol_value *gather(ol_hf_build *b, ol_value *table, ol_value *ids) {
    ol_attr axis = ol_attr_int("axis", 0);
    ol_value *in[] = {table, ids};
    return ol_hf_node(b, "", "Gather", in, 2, 1, &axis, 1, NULL);
}

/* Rows of a table as f32. */
ol_value *ol_hf_look_up(ol_hf_build *b, ol_value *table, ol_value *ids) {
    if (b->failed) return NULL;
    ol_value *x = gather(b, table, ids);
    if (ol_const_dtype(table->constant) == OL_F32) return x;
    ol_attr to = ol_attr_int("to", ol_dtype_onnx(OL_F32));
    return ol_hf_node(b, "", "Cast", &x, 1, 1, &to, 1, NULL);
}

static ol_value *table_value(ol_hf_build *b, const char *part, int64_t rows) {
    const ol_st_tensor *t = ol_hf_find(b, part, ".weight");
    ol_const *c = ol_hf_weight(b, part, rows, b->c->hidden);
    return c ? ol_hf_constant(b, t->name.ptr, c) : NULL;
}

/* The table of learned positions without its first `offset` rows, which stand for no position. */
static ol_value *position_table(ol_hf_build *b, int64_t offset) {
    const ol_hf_config *c = b->c;
    const ol_st_tensor *t = ol_hf_find(b, c->names->positions, ".weight");
    ol_const *all = ol_hf_weight(b, c->names->positions, c->context + offset, c->hidden);
    if (!all) return NULL;
    ol_const *rows = offset ? ol_const_slice_rows(all, offset, c->context, &b->error) : ol_const_retain(all);
    ol_const_release(all);
    if (!rows) b->failed = true;
    return ol_hf_constant(b, t->name.ptr, rows);
}

ol_value *ol_hf_embed(ol_hf_build *b, ol_value *ids) {
    const ol_hf_config *c = b->c;
    ol_value *x = ol_hf_look_up(b, table_value(b, c->names->embed, c->vocab), ids);
    x = ol_hf_scale(b, x, c->embed_scale);
    if (c->position == OL_HF_LEARNED)
        x = ol_hf_op2(b, "Add", x, ol_hf_look_up(b, position_table(b, c->family->position_offset), b->positions));
    return c->names->embed_norm ? ol_hf_norm_of(b, x, c->names->embed_norm, c->hidden) : x;
}

/* x + y, y scaled by the family's residual multiplier. */
static ol_value *add_residual(ol_hf_build *b, ol_value *x, ol_value *y) {
    return ol_hf_op2(b, "Add", x, ol_hf_scale(b, y, b->c->residual_scale));
}

static ol_value *norm_if(ol_hf_build *b, ol_value *x, const char *part) {
    return part ? ol_hf_norm_of(b, x, part, b->c->hidden) : x;
}

ol_value *ol_hf_layer_of(ol_hf_build *b, ol_value *x) {
    const ol_hf_names *n = b->c->names;
    ol_value *a, *h;
    switch (b->c->residual) {
    case OL_HF_PARALLEL:
        h = norm_if(b, x, n->attn_norm);
        a = ol_hf_attention(b, h);
        return add_residual(b, add_residual(b, x, a), ol_hf_mlp(b, h));
    case OL_HF_PARALLEL_TWO_NORMS:
        a = ol_hf_attention(b, norm_if(b, x, n->attn_norm));
        return add_residual(b, add_residual(b, x, a), ol_hf_mlp(b, norm_if(b, x, n->mlp_norm)));
    case OL_HF_FROM_NORM:
        h = norm_if(b, x, n->attn_norm);
        h = norm_if(b, add_residual(b, h, ol_hf_attention(b, h)), n->mlp_norm);
        return add_residual(b, h, ol_hf_mlp(b, h));
    case OL_HF_POST_NORM:
        x = norm_if(b, add_residual(b, x, ol_hf_attention(b, x)), n->attn_norm);
        return norm_if(b, add_residual(b, x, ol_hf_mlp(b, x)), n->mlp_norm);
    case OL_HF_SEQUENTIAL: break;
    }
    /* Behind a norm of the embeddings some encoders leave out the first one. */
    bool bare = b->layer == 0 && b->c->family->encoder && !ol_hf_has(b, n->attn_norm);
    a = ol_hf_attention(b, bare ? x : norm_if(b, x, n->attn_norm));
    x = add_residual(b, x, norm_if(b, a, n->post_attn_norm));
    if (!n->mlp_norm && !n->post_mlp_norm) return x; /* the layer ends here */
    h = ol_hf_mlp(b, norm_if(b, x, n->mlp_norm));
    return add_residual(b, x, norm_if(b, h, n->post_mlp_norm));
}

static ol_value *head_bias(ol_hf_build *b, const ol_st_tensor *t) {
    int64_t n = b->c->vocab;
    ol_const *c = NULL;
    if (!t || t->rank != 1 || t->dims[0] != n) return NULL;
    if (ol_hf_const(b, t, &c) != OLV_OK) b->failed = true;
    float *v = c ? ol_calloc((size_t)n, sizeof *v) : NULL;
    if (c && !v) ol_hf_build_fail(b, OLV_NOMEM, "out of memory");
    if (v && ol_const_rows_f32(c, 0, 1, v, &b->error) != OLV_OK) b->failed = true;
    ol_const_release(c);
    return ol_hf_vector_value(b, t->name.ptr, v, n);
}

/* The head's weight: the embedding table when tied, or when the config does not say and the file has none. */
static ol_value *head_weight(ol_hf_build *b, bool said, ol_value **bias) {
    const ol_hf_config *c = b->c;
    char name[64];
    snprintf(name, sizeof name, "%s.weight", c->names->head);
    const ol_st_tensor *t = ol_hf_find_root(b, name);
    char bias_name[64];
    snprintf(bias_name, sizeof bias_name, "%s.bias", c->names->head);
    const ol_st_tensor *tb = ol_hf_find_root(b, bias_name); /* a tied head has its own */
    *bias = head_bias(b, tb);
    if (c->tied && (said || !t)) return table_value(b, c->names->embed, c->vocab);
    if (!t) {
        ol_hf_build_fail(b, OLV_NOT_FOUND, "tensor '%s' is missing (and tie_word_embeddings is false)", name);
        return NULL;
    }
    if (t->rank != 2 || t->dims[0] != c->vocab || t->dims[1] != c->hidden) {
        ol_hf_build_fail(b, OLV_SHAPE, "tensor '%s': found rank %d, %" PRId64 " rows, expected shape [%" PRId64 ",%" PRId64
                         "]", name, t->rank, t->rank ? t->dims[0] : 0, c->vocab, c->hidden);
        return NULL;
    }
    ol_const *w = NULL;
    if (ol_hf_const(b, t, &w) != OLV_OK) b->failed = true;
    return ol_hf_constant(b, t->name.ptr, w);
}

static ol_value *head(ol_hf_build *b, ol_value *x, ol_value *rows, bool said) {
    const ol_hf_config *c = b->c;
    ol_value *bias;
    x = gather(b, x, rows);
    if (c->residual != OL_HF_POST_NORM || ol_hf_has(b, c->names->final_norm))
        x = ol_hf_norm_with(b, x, c->names->final_norm, c->hidden, c->final_eps > 0 ? c->final_eps : c->eps);
    ol_value *w = head_weight(b, said, &bias);
    x = ol_hf_scale(b, ol_hf_linear_of(b, x, w, bias), c->logit_scale);
    if (c->final_softcap > 0) {
        x = ol_hf_op2(b, "Div", x, ol_hf_scalar(b, c->final_softcap));
        x = ol_hf_op2(b, "Mul", ol_hf_op1(b, "Tanh", x), ol_hf_scalar(b, c->final_softcap));
    }
    return x;
}

void ol_hf_finish(ol_hf_build *b, const char *name, ol_value *x) {
    /* The last node gives the value its final name through an Identity, which passes drop. */
    ol_value *y = NULL;
    if (!b->failed) {
        const char *names[] = {name};
        ol_node *n = ol_graph_add_node(b->g, NULL, ol_op_find("", "Identity"), NULL, &x, 1, names, 1, NULL, 0, &b->error);
        if (n) y = n->outputs[0];
        if (!n || ol_graph_add_output(b->g, y, &b->error) != OLV_OK) b->failed = true;
    }
}

void ol_hf_set_meta(ol_hf_build *b, const char *key, const char *fmt, ...) {
    char text[128];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (!b->failed && *text && ol_graph_set_meta(b->g, key, text, &b->error) != OLV_OK) b->failed = true;
}

static void set_metadata(ol_hf_build *b) {
    const ol_hf_config *c = b->c;
    ol_hf_set_meta(b, "model_type", "%s", c->model_type);
    ol_hf_set_meta(b, "architecture", "%s", c->architecture);
    static const char *const tasks[] = {"text-generation", "feature-extraction", "sentence-similarity",
                                        "text-classification"};
    ol_hf_set_meta(b, "task", "%s", tasks[c->task]);
    ol_hf_set_meta(b, "vocab_size", "%" PRId64, c->vocab);
    ol_hf_set_meta(b, "context_length", "%" PRId64, c->context);
    ol_hf_set_meta(b, "hidden_size", "%" PRId64, c->hidden);
    ol_hf_set_meta(b, "intermediate_size", "%" PRId64, c->intermediate);
    ol_hf_set_meta(b, "n_layers", "%" PRId64, c->n_layers);
    ol_hf_set_meta(b, "n_heads", "%" PRId64, c->n_heads);
    ol_hf_set_meta(b, "n_kv_heads", "%" PRId64, c->n_kv_heads);
    ol_hf_set_meta(b, "head_dim", "%" PRId64, c->head_dim);
    ol_hf_set_meta(b, "tied", "%d", c->tied);
    if (c->moe.n_experts) {
        ol_hf_set_meta(b, "n_experts", "%" PRId64, c->moe.n_experts);
        ol_hf_set_meta(b, "n_experts_used", "%" PRId64, c->moe.top_k);
        ol_hf_set_meta(b, "expert_intermediate_size", "%" PRId64, c->moe.intermediate);
    }
    int64_t window = 0;
    for (int64_t i = 0; i < c->n_layers; i++)
        if (c->layers[i].window) window = c->layers[i].window;
    if (window) ol_hf_set_meta(b, "sliding_window", "%" PRId64, window);
    if (c->n_ropes) {
        const ol_hf_rope *r = &c->ropes[0];
        ol_hf_set_meta(b, "rope_type", "%s", r->type);
        ol_hf_set_meta(b, "rope_theta", "%.17g", r->theta);
        ol_hf_set_meta(b, "rope_dim", "%d", r->dim);
        if (r->factor > 0) ol_hf_set_meta(b, "rope_factor", "%.17g", r->factor);
        if (strcmp(r->type, "default") != 0) ol_hf_set_meta(b, "rope_original_length", "%" PRId64, r->original_length);
    }
}

static void build_decoder(ol_hf_build *b, bool said) {
    ol_value *ids = ol_hf_add_input(b, "input_ids", "T");
    b->positions = ol_hf_add_input(b, "positions", "T");
    ol_value *rows = ol_hf_add_input(b, "output_rows", "R");
    ol_value *x = ol_hf_embed(b, ids);
    if (b->c->family->layers) x = b->c->family->layers(b, ids, x);
    else
        for (b->layer = 0; b->layer < b->c->n_layers && !b->failed; b->layer++) x = ol_hf_layer_of(b, x);
    b->layer = -1;
    ol_hf_finish(b, "logits", head(b, x, rows, said));
}

static void build_model(ol_hf_build *b, bool said) {
    if (b->c->task != OL_HF_GENERATE)
        ol_hf_build_encoder(b);
    else if (b->c->family->encoder)
        ol_hf_build_fail(b, OLV_UNSUPPORTED, "model_type '%s' is an encoder, which generates no text; use embed, rerank or "
                         "classify", b->c->model_type);
    else
        build_decoder(b, said);
    set_metadata(b);
    if (!b->failed && ol_graph_verify(b->g, &b->error) != OLV_OK) b->failed = true;
}

/* ---- entry points ---- */

olv_status ol_hf_build_graph(const ol_hf_source *source, const ol_hf_config *c, bool tie_said, ol_graph **out,
                             olv_error *err) {
    ol_hf_build *b = ol_calloc(1, sizeof *b);
    ol_graph *g = b ? ol_graph_create(c->model_type) : NULL;
    olv_status s = OLV_OK;
    if (!g) {
        s = ol_fail(err, OLV_NOMEM, "out of memory");
    } else {
        b->g = g;
        b->source = source;
        b->c = c;
        b->layer = -1;
        build_model(b, tie_said);
        if (b->failed) {
            if (b->error.status == OLV_OK) ol_fail(&b->error, OLV_NOMEM, "out of memory");
            s = b->error.status;
            if (err) *err = b->error;
        }
    }
    if (s == OLV_OK)
        *out = g;
    else if (g)
        ol_graph_destroy(g);
    ol_free(b);
    return s;
}

static olv_status build_folder(const char *folder, const json_t *j, ol_hf_config *c, ol_graph **out, olv_error *err) {
    ol_hf_weights *w;
    OL_TRY(ol_hf_weights_open(folder, j, &w, err));
    const json_t *tie = json_object_get(j, "tie_word_embeddings");
    ol_hf_family straight = *c->family;
    straight.conv1d = false;
    if (ol_hf_weights_quantized(w)) c->family = &straight;
    olv_status s = ol_hf_build_graph(ol_hf_weights_source(w), c, tie && !json_is_null(tie), out, err);
    ol_hf_weights_close(w);
    return s;
}

olv_status ol_hf_read(const char *folder, ol_graph **out, olv_error *err) {
    return ol_hf_read_for(folder, OL_HF_GENERATE, NULL, out, err);
}

olv_status ol_hf_read_for(const char *folder, ol_hf_task task, const ol_hf_use *use, ol_graph **out, olv_error *err) {
    char *path = ol_path_join(folder, "config.json");
    ol_arena *arena = ol_arena_create();
    json_t *j = NULL;
    ol_hf_config c;
    olv_status s = path && arena ? ol_json_read_file(path, MAX_CONFIG, &j, err)
                                 : ol_fail(err, OLV_NOMEM, "out of memory");
    if (s == OLV_OK) {
        s = ol_hf_config_read(j, arena, &c, err);
        if (s != OLV_OK) ol_error_at(err, "%s", path);
        c.task = task;
        c.use = use;
    }
    if (s == OLV_OK) s = build_folder(folder, j, &c, out, err);
    json_decref(j);
    ol_free(path);
    ol_arena_destroy(arena);
    return s;
}

olv_status ol_hf_check_config(const char *text, size_t len, olv_error *err) {
    json_t *j;
    ol_hf_config c;
    OL_TRY(ol_json_parse(text, len, "config.json", &j, err));
    ol_arena *arena = ol_arena_create();
    olv_status s = arena ? ol_hf_config_read(j, arena, &c, err) : ol_fail(err, OLV_NOMEM, "out of memory");
    json_decref(j);
    if (arena) ol_arena_destroy(arena);
    return s;
}
