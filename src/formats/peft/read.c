/* SPDX-License-Identifier: Apache-2.0 */
#include "base/alloc.h"
#include "base/error.h"
#include "base/map.h"
#include "formats/peft/config.h"
#include "formats/peft/peft.h"
#include "formats/safetensors/safetensors.h"
#include <stdlib.h>

#define MAX_CONFIG (4u << 20)

void ol_peft_close(ol_peft *p) {
    if (!p) return;
    for (size_t i = 0; i < p->n_modules; i++) {
        ol_const_release(p->modules[i].a);
        ol_const_release(p->modules[i].b);
    }
    ol_free(p->modules);
    if (p->arena) ol_arena_destroy(p->arena);
    ol_free(p);
}

/* ---- names of tensors ---- */

/* "base_model.model.<module>.lora_A[.<adapter>].weight" → module and letter. */
static olv_status parse_key(ol_str key, ol_str *module, char *letter, olv_error *err) {
    static const char prefix[] = "base_model.model.";
    ol_str k = key;
    if (ol_str_starts(k, prefix)) k = (ol_str){k.ptr + sizeof prefix - 1, k.len - (sizeof prefix - 1)};
    const char *at = memmem(k.ptr, k.len, ".lora_", 6), *end = k.ptr + k.len;
    int shown = (int)(key.len < 200 ? key.len : 200);
    if (!at) return ol_fail(err, OLV_UNSUPPORTED, "tensor '%.*s': expected the A or B of a LoRA module", shown, key.ptr);
    ol_str rest = {at + 6, (size_t)(end - at) - 6};
    if (ol_str_starts(rest, "magnitude")) return ol_fail(err, OLV_UNSUPPORTED, "tensor '%.*s': DoRA adapters are not supported", shown, key.ptr);
    if (ol_str_starts(rest, "embedding")) return ol_fail(err, OLV_UNSUPPORTED, "tensor '%.*s': adapters of embeddings are not supported", shown, key.ptr);
    if (rest.len < 8 || (rest.ptr[0] != 'A' && rest.ptr[0] != 'B') || rest.ptr[1] != '.' || !ol_str_ends(rest, ".weight") || at == k.ptr)
        return ol_fail(err, OLV_UNSUPPORTED, "tensor '%.*s': expected lora_A.weight or lora_B.weight of a module", shown, key.ptr);
    *module = (ol_str){k.ptr, (size_t)(at - k.ptr)};
    *letter = rest.ptr[0];
    return OLV_OK;
}

typedef struct reader {
    ol_peft *p;
    ol_map *index; /* of the modules by name */
    const ol_safetensors *st;
    const ol_peft_config *config;
} reader;

static ol_peft_module *module_of(const reader *r, ol_str name, olv_error *err) {
    ol_peft *p = r->p;
    const uint64_t *at = ol_map_get(r->index, name);
    if (at) return &p->modules[*at];
    ol_peft_module *m = &p->modules[p->n_modules];
    m->name = ol_arena_strndup(p->arena, name.ptr, name.len);
    if (!m->name || ol_map_put(r->index, (ol_str){m->name, name.len}, p->n_modules) < 0) {
        ol_fail(err, OLV_NOMEM, "out of memory");
        return NULL;
    }
    p->n_modules++;
    return m;
}

static olv_status add_tensor(const reader *r, const ol_st_tensor *t, olv_error *err) {
    ol_str name = {NULL, 0};
    char letter = 0;
    if (ol_str_ends(t->name, ".base_layer.weight")) return OLV_OK; /* the base model's own, saved along for heads */
    OL_TRY(parse_key(t->name, &name, &letter, err));
    if (t->rank != 2 || ol_dtype_class(t->dtype) != 'f' || ol_dtype_bits(t->dtype) < 16)
        return ol_fail(err, OLV_UNSUPPORTED, "tensor '%.200s': found %s of rank %d, expected a matrix of F32, F16 or BF16", t->name.ptr, t->type_name, t->rank);
    ol_peft_module *m = module_of(r, name, err);
    if (!m) return OLV_NOMEM;
    ol_const **c = letter == 'A' ? &m->a : &m->b;
    if (*c) return ol_fail(err, OLV_FORMAT, "tensor '%.200s': its module has a second one", t->name.ptr);
    return ol_safetensors_const(r->st, t, c, err);
}

/* ---- modules ---- */

static olv_status finish_module(const reader *r, ol_peft_module *m, olv_error *err) {
    double scale;
    if (!m->a || !m->b) return ol_fail(err, OLV_FORMAT, "module '%.200s': lora_%c is missing", m->name, m->a ? 'B' : 'A');
    OL_TRY(ol_peft_config_module(r->config, m->name, &m->rank, &scale, err));
    const int64_t *a = ol_const_dims(m->a), *b = ol_const_dims(m->b);
    m->n = b[0];
    m->k = a[1];
    if (a[0] != m->rank || b[1] != m->rank)
        return ol_fail(err, OLV_SHAPE, "module '%.200s': found A [%lld,%lld] and B [%lld,%lld], expected rank %lld as the config says",
                       m->name, (long long)a[0], (long long)a[1], (long long)b[0], (long long)b[1], (long long)m->rank);
    m->scale = (float)scale;
    return OLV_OK;
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const ol_peft_module *)a)->name, ((const ol_peft_module *)b)->name);
}

static olv_status read_modules(const reader *r, olv_error *err) {
    size_t n = ol_safetensors_count(r->st);
    ol_peft *p = r->p;
    if (n == 0) return ol_fail(err, OLV_FORMAT, "the adapter has no tensors");
    p->arena = ol_arena_create();
    p->modules = ol_calloc(n, sizeof *p->modules);
    if (!p->arena || !p->modules) return ol_fail(err, OLV_NOMEM, "out of memory");
    for (size_t i = 0; i < n; i++) OL_TRY(add_tensor(r, ol_safetensors_get(r->st, i), err));
    if (p->n_modules == 0) return ol_fail(err, OLV_FORMAT, "the adapter adapts no module");
    for (size_t i = 0; i < p->n_modules; i++) OL_TRY(finish_module(r, &p->modules[i], err));
    qsort(p->modules, p->n_modules, sizeof *p->modules, by_name);
    return OLV_OK;
}

/* ---- files ---- */

static olv_status read_config(const char *dir, ol_peft_config *out, olv_error *err) {
    char *path = ol_path_join(dir, "adapter_config.json");
    json_t *j = NULL;
    if (!path) return ol_fail(err, OLV_NOMEM, "out of memory");
    olv_status s = ol_json_read_file(path, MAX_CONFIG, &j, err);
    if (s == OLV_OK && (s = ol_peft_config_read(j, out, err)) != OLV_OK) ol_error_at(err, "%s", path);
    ol_free(path);
    return s;
}

/* The weights of a folder; pickled ones are named in the message. */
static olv_status open_weights(const char *dir, ol_safetensors **st, olv_error *err) {
    char *path = ol_path_join(dir, "adapter_model.safetensors"), *pickle = ol_path_join(dir, "adapter_model.bin");
    olv_status s;
    if (!path || !pickle) s = ol_fail(err, OLV_NOMEM, "out of memory");
    else if (!ol_file_exists(path) && ol_file_exists(pickle))
        s = ol_fail(err, OLV_UNSUPPORTED, "%s: pickled weights are not read; save the adapter as safetensors", pickle);
    else if (!ol_file_exists(path)) s = ol_fail(err, OLV_NOT_FOUND, "%s: no such file", path);
    else if ((s = ol_safetensors_open(path, st, err)) != OLV_OK) ol_error_at(err, "%s", dir);
    ol_free(path);
    ol_free(pickle);
    return s;
}

static olv_status open_parts(const char *path, ol_safetensors **st, ol_peft_config *config, olv_error *err) {
    if (ol_dir_exists(path)) {
        OL_TRY(read_config(path, config, err));
        return open_weights(path, st, err);
    }
    if (!ol_file_exists(path)) return ol_fail(err, OLV_NOT_FOUND, "%s: no such adapter folder", path);
    size_t n = (size_t)(ol_path_name(path) - path);
    char *dir = n ? strndup(path, n) : strdup("."); /* the config lies beside the weights */
    if (!dir) return ol_fail(err, OLV_NOMEM, "out of memory");
    olv_status s = read_config(dir, config, err);
    free(dir);
    return s == OLV_OK ? ol_safetensors_open(path, st, err) : s;
}

olv_status ol_peft_open(const char *path, ol_peft **out, olv_error *err) {
    ol_peft_config config = {0};
    ol_safetensors *st = NULL;
    ol_map index;
    ol_peft *p = ol_calloc(1, sizeof *p);
    if (!p) return ol_fail(err, OLV_NOMEM, "out of memory");
    ol_map_init(&index);
    olv_status s = open_parts(path, &st, &config, err);
    if (s == OLV_OK && (s = read_modules(&(reader){p, &index, st, &config}, err)) != OLV_OK) ol_error_at(err, "%s", path);
    ol_map_deinit(&index);
    ol_safetensors_close(st);
    ol_peft_config_deinit(&config);
    if (s == OLV_OK) *out = p;
    else ol_peft_close(p);
    return s;
}

olv_status ol_peft_check_config(const char *text, size_t len, olv_error *err) {
    json_t *j;
    ol_peft_config c;
    int64_t rank;
    double scale;
    OL_TRY(ol_json_parse(text, len, "adapter_config.json", &j, err));
    OL_TRY(ol_peft_config_read(j, &c, err));
    olv_status s = ol_peft_config_module(&c, "model.layers.0.self_attn.q_proj", &rank, &scale, err);
    ol_peft_config_deinit(&c);
    return s;
}
