/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/gguf/gguf.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "base/map.h"
#include "formats/gguf/arch.h"
#include "formats/gguf/planar.h"
#include "formats/huggingface/build.h"

#include <math.h>

typedef struct reader {
    const ol_gguf *g;
    ol_file *file; /* NULL: the bytes outlive the constants */
    ol_arena *arena;
    const ol_gguf_arch *arch;
    ol_hf_config c;
    ol_st_tensor *tensors; /* one for each of g's */
    ol_map by_name;
} reader;

/* Element type of plain tensors, F32 for quantized ones; NONE for what is not read. */
static ol_dtype dtype_of(uint32_t type) {
    switch (type) {
    case 0: return OL_F32;
    case 1: return OL_F16;
    case 28: return OL_F64;
    case 30: return OL_BF16;
    default: return ol_gguf_block(type) != OL_QB_NONE ? OL_F32 : OL_DTYPE_NONE;
    }
}

/* The tensors in the terms of the builder. */
static olv_status describe(reader *r, olv_error *err) {
    size_t n = ol_gguf_tensor_count(r->g);
    r->tensors = ol_arena_calloc(r->arena, n + 1, sizeof *r->tensors);
    if (!r->tensors) return ol_fail(err, OLV_NOMEM, "out of memory");
    for (size_t i = 0; i < n; i++) {
        const ol_gguf_tensor *t = ol_gguf_tensor_at(r->g, i);
        ol_st_tensor *d = &r->tensors[i];
        char *name = ol_arena_strndup(r->arena, t->name.ptr, t->name.len);
        if (!name) return ol_fail(err, OLV_NOMEM, "out of memory");
        d->name = (ol_str){name, t->name.len};
        d->dtype = dtype_of(t->type);
        d->type_name = ol_gguf_type_name(t->type);
        d->rank = t->rank;
        memcpy(d->dims, t->dims, sizeof t->dims);
        d->bytes = t->bytes;
        if (ol_map_put(&r->by_name, d->name, i) < 0) return ol_fail(err, OLV_NOMEM, "out of memory");
    }
    return OLV_OK;
}

static const ol_st_tensor *find(const void *ctx, const char *name) {
    const reader *r = ctx;
    const uint64_t *i = ol_map_get(&r->by_name, ol_str_of(name));
    return i ? &r->tensors[*i] : NULL;
}

/* Rows of a head for q and k in GGUF's order, 0 for all others. */
static int64_t paired_rows(const reader *r, const ol_st_tensor *t) {
    if (!r->arch->interleaved || t->rank < 1) return 0;
    bool qk = strstr(t->name.ptr, ".attn_q.") || strstr(t->name.ptr, ".attn_k.");
    int64_t d = r->c.head_dim;
    return qk && d % 2 == 0 && t->dims[0] % d == 0 && t->dims[0] <= INT32_MAX ? d : 0;
}

/* order[i]: GGUF's row of row i. */
static int32_t *row_order(int64_t rows, int64_t d, olv_error *err) {
    int32_t *order = ol_calloc((size_t)rows, sizeof *order);
    if (!order) {
        (void)ol_fail(err, OLV_NOMEM, "out of memory");
        return NULL;
    }
    for (int64_t i = 0; i < rows; i++) order[i / d * d + ol_gguf_head_row(i % d, d)] = (int32_t)i;
    return order;
}

static olv_status constant(const void *ctx, const ol_st_tensor *d, ol_const **out, olv_error *err) {
    const reader *r = ctx;
    const ol_gguf_tensor *t = ol_gguf_tensor_at(r->g, (size_t)(d - r->tensors));
    if (d->dtype == OL_DTYPE_NONE)
        return ol_fail(err, OLV_UNSUPPORTED, "tensor '%s': element type %s is not supported", d->name.ptr, d->type_name);
    int64_t head = paired_rows(r, d);
    int32_t *order = head ? row_order(t->dims[0], head, err) : NULL;
    if (head && !order) return OLV_NOMEM;
    ol_const *c = NULL;
    if (ol_gguf_block(t->type) != OL_QB_NONE) {
        c = ol_gguf_quantized(t, r->file, order, err);
    } else {
        c = ol_const_bytes(d->dtype, t->rank, t->dims, t->data, (size_t)t->bytes, r->file, NULL, err);
        ol_const *view = c && order ? ol_const_permute_rows(c, order, t->dims[0], err) : NULL;
        if (order) {
            ol_const_release(c);
            c = view;
        }
    }
    ol_free(order);
    if (!c) {
        (void)ol_error_at(err, "tensor '%s'", d->name.ptr);
        return err && err->status != OLV_OK ? err->status : OLV_NOMEM;
    }
    *out = c;
    return OLV_OK;
}

/* rope_freqs divides the frequencies, one number a pair. */
static olv_status apply_factors(reader *r, olv_error *err) {
    const ol_gguf_tensor *t = ol_gguf_tensor_find(r->g, "rope_freqs.weight");
    if (!t || r->c.n_ropes == 0) return OLV_OK;
    ol_hf_rope *p = &r->c.ropes[0];
    if (t->type != 0 || t->rank != 1 || t->dims[0] != p->dim / 2)
        return ol_fail(err, OLV_SHAPE, "tensor 'rope_freqs.weight': expected %d values of F32", p->dim / 2);
    ol_bytes b = ol_bytes_of(t->data, (size_t)t->bytes);
    for (int i = 0; i < p->dim / 2; i++) {
        float f = ol_bytes_f32(&b);
        if (!(f > 0) || !isfinite(f))
            return ol_fail(err, OLV_FORMAT, "tensor 'rope_freqs.weight': value %d is %g, expected more than 0", i, (double)f);
        p->inv_freq[i] /= f;
    }
    return OLV_OK;
}

/* The config as GGUF means it: weights stand as [out, in], and norms that multiply by 1 + w have the 1 added. */
static olv_status read_config(reader *r, olv_error *err) {
    json_t *j = NULL;
    OL_TRY(ol_gguf_config(r->g, r->arch, &j, err));
    olv_status s = ol_hf_config_read(j, r->arena, &r->c, err);
    json_decref(j);
    OL_TRY(s);
    ol_hf_family *f = ol_arena_alloc(r->arena, sizeof *f);
    const ol_hf_names *names = ol_gguf_names(&r->c, r->arena);
    if (!f || !names) return ol_fail(err, OLV_NOMEM, "out of memory");
    *f = *r->c.family;
    f->conv1d = false;
    if (f->norm == OL_HF_RMS_PLUS_ONE) f->norm = OL_HF_RMS;
    if (f->norm == OL_HF_LAYER_PLUS_ONE) f->norm = OL_HF_LAYER;
    r->c.family = f;
    r->c.names = names;
    r->c.qkv = OL_HF_QKV_CONCAT;
    return apply_factors(r, err);
}

static olv_status find_arch(reader *r, olv_error *err) {
    ol_str name;
    if (!ol_gguf_string(ol_gguf_find(r->g, "general.architecture"), &name))
        return ol_fail(err, OLV_FORMAT, "key 'general.architecture': missing, expected a string");
    const ol_gguf_pair *split = ol_gguf_find(r->g, "split.count");
    int64_t parts;
    if (ol_gguf_int(split, &parts) && parts > 1)
        return ol_fail(err, OLV_UNSUPPORTED, "key 'split.count': found %lld, expected a model in one file", (long long)parts);
    r->arch = ol_gguf_arch_find(name);
    if (r->arch && ol_str_is(name, "llama") && ol_gguf_find(r->g, "llama.attention.sliding_window"))
        r->arch = ol_gguf_arch_of_family("mistral"); /* what llama's layers with a window are */
    if (r->arch) return OLV_OK;
    ol_buf list = OL_BUF_INIT;
    ol_gguf_arch_list(&list);
    olv_status s = ol_fail(err, OLV_UNSUPPORTED, "architecture '%.*s' is not supported; known are: %s",
                           (int)(name.len < 60 ? name.len : 60), name.ptr, list.failed ? "" : list.data);
    ol_buf_deinit(&list);
    return s;
}

static olv_status build(const ol_gguf *g, ol_file *file, ol_graph **out, olv_error *err) {
    reader *r = ol_calloc(1, sizeof *r);
    if (!r) return ol_fail(err, OLV_NOMEM, "out of memory");
    r->g = g;
    r->file = file;
    r->arena = ol_arena_create();
    ol_map_init(&r->by_name);
    olv_status s = r->arena ? find_arch(r, err) : ol_fail(err, OLV_NOMEM, "out of memory");
    if (s == OLV_OK) s = read_config(r, err);
    if (s == OLV_OK) s = describe(r, err);
    if (s == OLV_OK) {
        ol_hf_source source = {r, find, constant};
        s = ol_hf_build_graph(&source, &r->c, true, out, err);
    }
    ol_map_deinit(&r->by_name);
    if (r->arena) ol_arena_destroy(r->arena);
    ol_free(r);
    return s;
}

static void add_eos(const ol_gguf *g, const char *key, ol_gguf_info *i) {
    int64_t id;
    if (!ol_gguf_int(ol_gguf_find(g, key), &id) || id < 0 || id > INT32_MAX || i->n_eos == OL_GGUF_MAX_EOS) return;
    for (int k = 0; k < i->n_eos; k++)
        if (i->eos[k] == id) return;
    i->eos[i->n_eos++] = id;
}

static olv_status fill_info(const ol_gguf *g, ol_gguf_info *i, olv_error *err) {
    ol_str s;
    memset(i, 0, sizeof *i);
    i->bos = i->pad = -1;
    if (ol_gguf_string(ol_gguf_find(g, "general.architecture"), &s) && s.len < sizeof i->architecture)
        memcpy(i->architecture, s.ptr, s.len);
    (void)ol_gguf_int(ol_gguf_find(g, "tokenizer.ggml.bos_token_id"), &i->bos);
    (void)ol_gguf_int(ol_gguf_find(g, "tokenizer.ggml.padding_token_id"), &i->pad);
    if (i->bos > INT32_MAX) i->bos = -1;
    if (i->pad > INT32_MAX) i->pad = -1;
    add_eos(g, "tokenizer.ggml.eos_token_id", i);
    add_eos(g, "tokenizer.ggml.eot_token_id", i);
    add_eos(g, "tokenizer.ggml.eom_token_id", i);
    i->has_tokenizer = ol_gguf_find(g, "tokenizer.ggml.tokens") || ol_gguf_find(g, "tokenizer.huggingface.json");
    if (!ol_gguf_string(ol_gguf_find(g, "tokenizer.chat_template"), &s) || s.len > (4u << 20)) return OLV_OK;
    i->chat_template = ol_alloc(s.len + 1);
    if (!i->chat_template) return ol_fail(err, OLV_NOMEM, "out of memory");
    memcpy(i->chat_template, s.ptr, s.len);
    i->chat_template[s.len] = 0;
    return OLV_OK;
}

olv_status ol_gguf_read(const char *path, ol_graph **graph, ol_gguf_info *info, olv_error *err) {
    ol_file *f;
    ol_gguf *g = NULL;
    OL_TRY(ol_file_open(path, &f, err));
    olv_status s = ol_gguf_parse(f->data, (size_t)f->size, path, &g, err);
    if (s == OLV_OK) {
        s = fill_info(g, info, err);
        if (s == OLV_OK && graph && (s = build(g, f, graph, err)) != OLV_OK) (void)ol_error_at(err, "%s", path);
        if (s != OLV_OK) {
            ol_free(info->chat_template);
            info->chat_template = NULL;
        }
    }
    ol_gguf_destroy(g);
    ol_file_release(f);
    return s;
}

olv_status ol_gguf_check(const uint8_t *bytes, size_t len, olv_error *err) {
    ol_gguf *g = NULL;
    ol_gguf_info info;
    OL_TRY(ol_gguf_parse(bytes, len, "file", &g, err));
    ol_graph *graph = NULL;
    olv_status s = fill_info(g, &info, err);
    ol_free(info.chat_template);
    if (s == OLV_OK) s = build(g, NULL, &graph, err);
    if (s == OLV_OK) ol_graph_destroy(graph);
    ol_gguf_destroy(g);
    return s;
}
