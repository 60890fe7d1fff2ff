/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/gguf/gguf.h"

#include "base/alloc.h"
#include "base/checked.h"
#include "base/error.h"
#include "base/file.h"
#include "formats/gguf/arch.h"
#include "formats/gguf/mix.h"
#include "formats/gguf/output.h"
#include "formats/huggingface/source.h"
#include "tensor/constant.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <unistd.h>

#define MAX_CONFIG (16u << 20)
#define TILE_FLOATS (256u << 10)
#define ALIGN 32u

typedef struct item { /* a tensor of the output */
    char *name;
    ol_const *c; /* NULL: values */
    const float *values;
    float plus;
    uint32_t type;
    int64_t rows, width;
    int rank;
    uint64_t bytes;
} item;

typedef struct writer {
    ol_arena *arena;
    ol_hf_weights *weights;
    const ol_hf_source *source; /* of them */
    ol_hf_config c;
    const ol_hf_names *to;
    const ol_gguf_arch *arch;
    ol_gguf_outtype type;
    item *items;
    size_t n, cap;
    bool *used; /* of each tensor of the container */
    olv_progress_fn *progress;
    void *progress_ctx;
} writer;

/* ---- which tensors ---- */

static olv_status add(writer *w, item it, olv_error *err) {
    if (w->n == w->cap) {
        size_t cap = w->cap ? w->cap * 2 : 64;
        item *more = ol_realloc(w->items, cap * sizeof *more);
        if (!more) {
            ol_const_release(it.c);
            return ol_fail(err, OLV_NOMEM, "out of memory");
        }
        w->items = more;
        w->cap = cap;
    }
    uint32_t block = 1, bytes = 4;
    (void)ol_gguf_type_size(it.type, &block, &bytes);
    it.bytes = (uint64_t)(it.rows * (it.width / block)) * bytes;
    w->items[w->n++] = it;
    return OLV_OK;
}

/* GGUF's order of the rows of q and k. */
static ol_const *pair_rows(ol_const *c, int64_t d, olv_error *err) {
    int64_t n = ol_const_dims(c)[0];
    if (d % 2 || n % d || n > INT32_MAX) {
        (void)ol_fail(err, OLV_SHAPE, "%lld rows, expected a multiple of the head's %lld", (long long)n, (long long)d);
        return NULL;
    }
    int32_t *order = ol_calloc((size_t)n, sizeof *order);
    if (!order) {
        (void)ol_fail(err, OLV_NOMEM, "out of memory");
        return NULL;
    }
    for (int64_t i = 0; i < n; i++) order[i] = (int32_t)(i / d * d + ol_gguf_head_row(i % d, d));
    ol_const *v = ol_const_permute_rows(c, order, n, err);
    ol_free(order);
    return v;
}

typedef struct part {
    size_t at; /* of the name in ol_hf_names */
    bool layer, norm, rotated;
} part;
#define ROOT(x, is_norm) {offsetof(ol_hf_names, x), false, is_norm, false}
#define LAYER(x, is_norm, turns) {offsetof(ol_hf_names, x), true, is_norm, turns}
static const part parts[] = {
    ROOT(embed, false), ROOT(positions, false), ROOT(embed_norm, true), ROOT(final_norm, true),
    LAYER(attn_norm, true, false), LAYER(q, false, true), LAYER(k, false, true), LAYER(v, false, false),
    LAYER(qkv, false, false), LAYER(o, false, false), LAYER(q_norm, true, false), LAYER(k_norm, true, false),
    LAYER(post_attn_norm, true, false), LAYER(mlp_norm, true, false), LAYER(gate, false, false),
    LAYER(up, false, false), LAYER(gate_up, false, false), LAYER(down, false, false), LAYER(post_mlp_norm, true, false)};

static const char *name_at(const ol_hf_names *n, const part *p) {
    const char *s;
    memcpy(&s, (const char *)n + p->at, sizeof s);
    return s;
}

/* The layer's prefix with its number. */
static void layer_prefix(const char *format, int64_t layer, char *out, size_t size) {
    const char *at = strstr(format, "%d");
    snprintf(out, size, "%.*s%lld%s", (int)(at - format), format, (long long)layer, at + 2);
}

static const ol_st_tensor *find(writer *w, const char *name) {
    const ol_st_tensor *t = w->source->find(w->source->ctx, name);
    size_t n = ol_hf_weights_count(w->weights);
    for (size_t i = 0; t && i < n; i++) w->used[i] |= ol_hf_weights_get(w->weights, i) == t;
    return t;
}

/* layer -1: outside of the layers. */
static olv_status add_tensor(writer *w, const ol_st_tensor *t, const part *p, int64_t layer, char *name, const char *suffix,
                             olv_error *err) {
    item it = {.name = name};
    if (!name) return ol_fail(err, OLV_NOMEM, "out of memory");
    if (t->rank < 1 || t->rank > 2 || ol_dtype_class(t->dtype) != 'f')
        return ol_fail(err, OLV_UNSUPPORTED, "tensor '%s': expected a vector or matrix of floats", t->name.ptr);
    OL_TRY(w->source->constant(w->source->ctx, t, &it.c, err));
    ol_const *view = it.c;
    bool turned = w->c.family->conv1d && !ol_hf_weights_quantized(w->weights);
    if (turned && p && p->layer && t->rank == 2) view = ol_const_transpose(it.c, err);
    if (p && p->rotated && w->arch->interleaved) view = pair_rows(it.c, w->c.head_dim, err);
    if (view != it.c) ol_const_release(it.c);
    if (!view) return ol_error_at(err, "tensor '%s'", t->name.ptr);
    it.c = view;
    bool plus = w->c.family->norm == OL_HF_RMS_PLUS_ONE || w->c.family->norm == OL_HF_LAYER_PLUS_ONE;
    if (p && p->norm && plus && strcmp(suffix, ".weight") == 0) it.plus = 1;
    it.rows = ol_const_rows(view);
    it.width = ol_const_width(view);
    const ol_gguf_place place = {name, ol_const_rank(view), it.width, layer, w->c.n_layers, w->c.tied};
    it.type = ol_gguf_type_for(w->type, &place);
    it.rank = t->rank;
    return add(w, it, err);
}

static olv_status add_part(writer *w, const part *p, int64_t layer, olv_error *err) {
    static const char *const suffixes[] = {".weight", ".bias"};
    const char *from = name_at(w->c.names, p), *to = name_at(w->to, p);
    char prefix[2][64] = {"", ""}, name[256];
    if (!from || !to) return OLV_OK;
    if (p->layer) {
        layer_prefix(w->c.names->layer, layer, prefix[0], sizeof prefix[0]);
        layer_prefix(w->to->layer, layer, prefix[1], sizeof prefix[1]);
    }
    for (size_t i = 0; i < 2; i++) {
        snprintf(name, sizeof name, "%s%s%s%s", w->c.names->base, prefix[0], from, suffixes[i]);
        const ol_st_tensor *t = find(w, name);
        if (!t) t = find(w, name + strlen(w->c.names->base));
        if (!t) continue;
        OL_TRY(add_tensor(w, t, p, p->layer ? layer : -1, ol_arena_printf(w->arena, "%s%s%s", prefix[1], to, suffixes[i]), suffixes[i], err));
    }
    return OLV_OK;
}

/* base / frequencies: what the frequencies of the rotation are divided by. */
static olv_status add_factors(writer *w, const char *name, const float *inv, olv_error *err) {
    const ol_hf_rope *r = &w->c.ropes[0];
    int n = r->dim / 2;
    float *f = ol_arena_calloc(w->arena, (size_t)n, sizeof *f);
    char *own = ol_arena_strdup(w->arena, name);
    if (!f || !own) return ol_fail(err, OLV_NOMEM, "out of memory");
    for (int i = 0; i < n; i++) f[i] = (float)(pow(r->theta, -2.0 * i / r->dim) / (double)inv[i]);
    item it = {.name = own, .values = f, .type = OL_GGUF_T_F32, .rows = 1, .width = n, .rank = 1};
    return add(w, it, err);
}

static bool is_buffer(const char *name) {
    static const char *const ends[] = {".rotary_emb.inv_freq", ".attn.bias", ".attn.masked_bias"};
    for (size_t i = 0; i < 3; i++)
        if (ol_str_ends(ol_str_of(name), ends[i])) return true;
    return false;
}

static olv_status collect(writer *w, olv_error *err) {
    size_t n = ol_hf_weights_count(w->weights);
    w->used = ol_arena_calloc(w->arena, n + 1, sizeof *w->used);
    if (!w->used) return ol_fail(err, OLV_NOMEM, "out of memory");
    const ol_hf_rope *r = &w->c.ropes[0];
    if (w->c.n_ropes && strcmp(r->type, "llama3") == 0) OL_TRY(add_factors(w, "rope_freqs.weight", r->inv_freq, err));
    if (w->c.n_ropes && r->mode == OL_HF_ROPE_LONG) {
        OL_TRY(add_factors(w, "rope_factors_long.weight", r->inv_freq_long, err));
        OL_TRY(add_factors(w, "rope_factors_short.weight", r->inv_freq, err));
    }
    size_t n_parts = sizeof parts / sizeof parts[0];
    for (size_t i = 0; i < n_parts; i++)
        if (!parts[i].layer) OL_TRY(add_part(w, &parts[i], 0, err));
    for (int64_t l = 0; l < w->c.n_layers; l++)
        for (size_t i = 0; i < n_parts; i++)
            if (parts[i].layer) OL_TRY(add_part(w, &parts[i], l, err));
    char head[64];
    snprintf(head, sizeof head, "%s.weight", w->c.names->head);
    const ol_st_tensor *t = find(w, head);
    if (t && !w->c.tied) OL_TRY(add_tensor(w, t, NULL, -1, ol_arena_strdup(w->arena, "output.weight"), ".weight", err));
    for (size_t i = 0; i < n; i++) {
        const char *name = ol_hf_weights_get(w->weights, i)->name.ptr;
        if (!w->used[i] && !is_buffer(name) && !ol_hf_weights_is_part(w->weights, name))
            return ol_fail(err, OLV_UNSUPPORTED, "tensor '%s' has no place in GGUF's architecture %s", name, w->arch->name);
    }
    return OLV_OK;
}

/* ---- metadata ---- */

static const char *key(const writer *w, char *out, const char *name) {
    snprintf(out, 128, "%s.%s", w->arch->name, name);
    return out;
}

static olv_status put_rope(const writer *w, ol_gguf_pairs *p, olv_error *err) {
    char k[128];
    if (w->c.n_ropes == 0) return OLV_OK;
    const ol_hf_rope *r = &w->c.ropes[0];
    bool linear = strcmp(r->type, "linear") == 0, yarn = strcmp(r->type, "yarn") == 0;
    bool plain = strcmp(r->type, "default") == 0 || strcmp(r->type, "llama3") == 0;
    ol_gguf_put_u32(p, key(w, k, "rope.dimension_count"), r->dim);
    ol_gguf_put_f32(p, key(w, k, "rope.freq_base"), r->theta);
    if (plain) return OLV_OK;
    if (!linear && !yarn && r->mode != OL_HF_ROPE_LONG)
        return ol_fail(err, OLV_UNSUPPORTED, "rope_type '%s' has no form in GGUF", r->type);
    if (linear || yarn) ol_gguf_put_string(p, key(w, k, "rope.scaling.type"), r->type, strlen(r->type));
    if (r->factor > 0) ol_gguf_put_f32(p, key(w, k, "rope.scaling.factor"), r->factor);
    if (!linear) {
        ol_gguf_put_u32(p, key(w, k, "rope.scaling.original_context_length"), r->original_length);
        ol_gguf_put_f32(p, key(w, k, "rope.scaling.attn_factor"), r->attention_factor);
    }
    return OLV_OK;
}

static olv_status put_metadata(const writer *w, const char *folder, const json_t *j, ol_gguf_pairs *p, olv_error *err) {
    const ol_hf_config *c = &w->c;
    char k[128];
    const char *name = ol_path_name(folder);
    ol_gguf_put_string(p, "general.architecture", w->arch->name, strlen(w->arch->name));
    ol_gguf_put_string(p, "general.name", *name ? name : c->model_type, strlen(*name ? name : c->model_type));
    ol_gguf_put_u32(p, "general.file_type", ol_gguf_file_type(w->type));
    ol_gguf_put_u32(p, "general.quantization_version", 2);
    ol_gguf_put_u32(p, key(w, k, "block_count"), c->n_layers);
    ol_gguf_put_u32(p, key(w, k, "context_length"), c->context);
    ol_gguf_put_u32(p, key(w, k, "embedding_length"), c->hidden);
    ol_gguf_put_u32(p, key(w, k, "feed_forward_length"), c->intermediate);
    ol_gguf_put_u32(p, key(w, k, "attention.head_count"), c->n_heads);
    ol_gguf_put_u32(p, key(w, k, "attention.head_count_kv"), c->n_kv_heads);
    ol_gguf_put_u32(p, key(w, k, "attention.key_length"), c->head_dim);
    ol_gguf_put_u32(p, key(w, k, "attention.value_length"), c->v_dim);
    ol_gguf_put_u32(p, key(w, k, "vocab_size"), c->vocab);
    bool layer = c->family->norm >= OL_HF_LAYER;
    ol_gguf_put_f32(p, key(w, k, layer ? "attention.layer_norm_epsilon" : "attention.layer_norm_rms_epsilon"), c->eps);
    int64_t window = 0;
    for (int64_t i = 0; i < c->n_layers; i++)
        if (c->layers[i].window) window = c->layers[i].window;
    if (window) ol_gguf_put_u32(p, key(w, k, "attention.sliding_window"), window);
    if (strncmp(w->arch->name, "gemma", 5) == 0) {
        ol_gguf_put_f32(p, key(w, k, "attention.scale"), c->attn_scale);
        ol_gguf_put_array(p, key(w, k, "attention.sliding_window_pattern"), OL_GGUF_BOOL, (uint64_t)c->n_layers);
        for (int64_t i = 0; i < c->n_layers; i++) ol_gguf_put_raw(&p->buf, c->layers[i].sliding, 1);
        if (c->n_ropes == 2) ol_gguf_put_f32(p, key(w, k, "rope.freq_base_swa"), c->ropes[1].theta);
    }
    if (c->attn_softcap > 0) ol_gguf_put_f32(p, key(w, k, "attn_logit_softcapping"), c->attn_softcap);
    if (c->final_softcap > 0) ol_gguf_put_f32(p, key(w, k, "final_logit_softcapping"), c->final_softcap);
    if (strcmp(w->arch->name, "granite") == 0) {
        ol_gguf_put_f32(p, key(w, k, "embedding_scale"), c->embed_scale);
        ol_gguf_put_f32(p, key(w, k, "residual_scale"), c->residual_scale);
        ol_gguf_put_f32(p, key(w, k, "attention.scale"), c->attn_scale);
        ol_gguf_put_f32(p, key(w, k, "logit_scale"), 1 / c->logit_scale);
    }
    OL_TRY(put_rope(w, p, err));
    return ol_gguf_put_tokenizer(p, folder, j, c->vocab, err);
}

/* ---- data ---- */

static olv_status check_finite(const float *x, size_t n, olv_error *err) {
    for (size_t i = 0; i < n; i++)
        if (!isfinite(x[i])) return ol_fail(err, OLV_FORMAT, "a weight is not a finite number");
    return OLV_OK;
}

static olv_status put_item(FILE *f, const item *it, olv_error *err) {
    static const uint8_t zeros[ALIGN];
    int64_t tile = (int64_t)TILE_FLOATS / (it->width > 0 ? it->width : 1);
    tile = tile < 1 ? 1 : tile > it->rows ? it->rows : tile;
    size_t floats;
    if (!ol_mul_size((size_t)tile, (size_t)it->width, &floats)) return ol_fail(err, OLV_LIMIT, "rows too long");
    float *x = ol_calloc(floats + 1, sizeof *x);
    uint8_t *out = ol_calloc(floats + 1, 4);
    olv_status s = x && out ? OLV_OK : ol_fail(err, OLV_NOMEM, "out of memory");
    for (int64_t r = 0; r < it->rows && s == OLV_OK; r += tile) {
        int64_t n = it->rows - r < tile ? it->rows - r : tile;
        size_t count = (size_t)(n * it->width), bytes = (size_t)(it->bytes / (uint64_t)it->rows * (uint64_t)n);
        if (it->values)
            memcpy(x, it->values, count * sizeof *x);
        else
            s = ol_const_rows_f32(it->c, r, n, x, err);
        if (s == OLV_OK) s = check_finite(x, count, err);
        for (size_t i = 0; i < count && it->plus != 0; i++) x[i] += it->plus;
        ol_gguf_encode((ol_gguf_type)it->type, x, count, out);
        if (s == OLV_OK && fwrite(out, 1, bytes, f) != bytes) s = ol_fail_errno(err, "cannot write");
    }
    size_t pad = (size_t)(-it->bytes % ALIGN);
    if (s == OLV_OK && fwrite(zeros, 1, pad, f) != pad) s = ol_fail_errno(err, "cannot write");
    ol_free(x);
    ol_free(out);
    return s == OLV_OK ? s : ol_error_at(err, "tensor '%s'", it->name);
}

static uint64_t total_bytes(const writer *w) {
    uint64_t n = 0;
    for (size_t i = 0; i < w->n; i++) n += w->items[i].bytes;
    return n;
}

static olv_status put_file(const writer *w, FILE *f, const ol_gguf_pairs *p, olv_error *err) {
    ol_buf b = OL_BUF_INIT;
    uint64_t offset = 0;
    ol_buf_append(&b, "GGUF", 4);
    ol_gguf_put_raw(&b, 3, 4);
    ol_gguf_put_raw(&b, w->n, 8);
    ol_gguf_put_raw(&b, p->count, 8);
    ol_buf_append(&b, p->buf.data, p->buf.len);
    for (size_t i = 0; i < w->n; i++) {
        const item *it = &w->items[i];
        ol_gguf_put_text(&b, it->name, strlen(it->name));
        ol_gguf_put_raw(&b, (uint64_t)it->rank, 4);
        ol_gguf_put_raw(&b, (uint64_t)it->width, 8);
        if (it->rank == 2) ol_gguf_put_raw(&b, (uint64_t)it->rows, 8);
        ol_gguf_put_raw(&b, it->type, 4);
        ol_gguf_put_raw(&b, offset, 8);
        offset += (it->bytes + ALIGN - 1) / ALIGN * ALIGN;
    }
    while (b.len % ALIGN && !b.failed) ol_buf_putc(&b, 0);
    olv_status s = b.failed || p->buf.failed ? ol_fail(err, OLV_NOMEM, "out of memory") : OLV_OK;
    if (s == OLV_OK && fwrite(b.data, 1, b.len, f) != b.len) s = ol_fail_errno(err, "cannot write");
    ol_buf_deinit(&b);
    uint64_t done = 0;
    for (size_t i = 0; i < w->n && s == OLV_OK; i++) {
        s = put_item(f, &w->items[i], err);
        done += w->items[i].bytes;
        if (s == OLV_OK && w->progress && !w->progress(w->progress_ctx, done, total_bytes(w))) s = ol_fail(err, OLV_CANCELLED, "cancelled");
    }
    if (s == OLV_OK && (fflush(f) || fsync(fileno(f)))) s = ol_fail_errno(err, "cannot write");
    return s;
}

static olv_status put_path(const writer *w, const char *path, const ol_gguf_pairs *p, olv_error *err) {
    size_t n = strlen(path) + 40;
    char *tmp = ol_alloc(n);
    if (!tmp) return ol_fail(err, OLV_NOMEM, "out of memory");
    snprintf(tmp, n, "%s.tmp-%ld", path, (long)getpid());
    FILE *f = fopen(tmp, "wb");
    olv_status s = f ? put_file(w, f, p, err) : ol_fail_errno(err, "cannot write '%s'", tmp);
    if (f && fclose(f) && s == OLV_OK) s = ol_fail_errno(err, "cannot write '%s'", tmp);
    if (s == OLV_OK && rename(tmp, path)) s = ol_fail_errno(err, "cannot write '%s'", path);
    if (s != OLV_OK && f) (void)unlink(tmp);
    ol_free(tmp);
    return s;
}

static olv_status prepare(writer *w, const char *folder, const json_t *j, olv_error *err) {
    OL_TRY(ol_hf_config_read(j, w->arena, &w->c, err));
    w->arch = ol_gguf_arch_of_family(w->c.model_type);
    if (!w->arch || w->c.moe.n_experts)
        return ol_fail(err, OLV_UNSUPPORTED, "model_type '%s' cannot be written as GGUF", w->c.model_type);
    w->to = ol_gguf_names(&w->c, w->arena);
    if (!w->to) return ol_fail(err, OLV_NOMEM, "out of memory");
    OL_TRY(ol_hf_weights_open(folder, j, &w->weights, err));
    w->source = ol_hf_weights_source(w->weights);
    /* A head that the config calls tied only by default is its own where the file has one. */
    const json_t *tie = json_object_get(j, "tie_word_embeddings");
    char head[64];
    snprintf(head, sizeof head, "%s.weight", w->c.names->head);
    if ((!tie || json_is_null(tie)) && w->source->find(w->source->ctx, head)) w->c.tied = false;
    return collect(w, err);
}

olv_status ol_gguf_write(const char *folder, const char *path, ol_gguf_outtype type, olv_progress_fn *progress, void *ctx,
                         olv_error *err) {
    writer *w = ol_calloc(1, sizeof *w);
    char *config = ol_path_join(folder, "config.json");
    json_t *j = NULL;
    ol_gguf_pairs pairs = {OL_BUF_INIT, 0};
    olv_status s = w && config && (w->arena = ol_arena_create()) ? ol_json_read_file(config, MAX_CONFIG, &j, err)
                                                                 : ol_fail(err, OLV_NOMEM, "out of memory");
    if (w) {
        w->type = type;
        w->progress = progress;
        w->progress_ctx = ctx;
    }
    if (s == OLV_OK && (s = prepare(w, folder, j, err)) != OLV_OK) (void)ol_error_at(err, "%s", folder);
    if (s == OLV_OK) s = put_metadata(w, folder, j, &pairs, err);
    if (s == OLV_OK && (s = put_path(w, path, &pairs, err)) != OLV_OK) (void)ol_error_at(err, "%s", path);
    ol_buf_deinit(&pairs.buf);
    for (size_t i = 0; w && i < w->n; i++) ol_const_release(w->items[i].c);
    if (w) {
        ol_free(w->items);
        ol_hf_weights_close(w->weights);
        if (w->arena) ol_arena_destroy(w->arena);
    }
    ol_free(w);
    ol_free(config);
    json_decref(j);
    return s;
}
