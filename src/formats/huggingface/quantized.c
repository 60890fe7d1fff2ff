/* SPDX-License-Identifier: Apache-2.0 */
/* Which method a checkpoint uses, and the source that shows its weights as matrices. */
#include "formats/huggingface/quantized.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/map.h"

#include <stdio.h>

#define MAX_STEM 240

/* Names of methods in config.json. */
static const struct {
    const char *name;
    const ol_hf_qmethod *method;
} methods[] = {
    {"auto-round", &ol_hf_gptq},
    {"awq", &ol_hf_awq},
    {"bitsandbytes", &ol_hf_bitsandbytes},
    {"compressed-tensors", &ol_hf_compressed_tensors},
    {"fbgemm_fp8", &ol_hf_fp8},
    {"fp8", &ol_hf_fp8},
    {"gptq", &ol_hf_gptq},
    {"modelopt", &ol_hf_compressed_tensors},
    {"mxfp4", &ol_hf_mxfp4},
};
#define N_METHODS (sizeof methods / sizeof *methods)

/* A weight that was asked for. */
typedef struct shown {
    ol_st_tensor named;
    char stem[MAX_STEM];
} shown;

struct ol_hf_quantized {
    ol_hf_qread read;
    const ol_hf_qmethod *method;
    ol_map names; /* → shown */
    ol_hf_source source;
};

/* ---- the method ---- */

static olv_status unknown_method(const char *name, olv_error *err) {
    ol_buf list = OL_BUF_INIT;
    for (size_t i = 0; i < N_METHODS; i++) ol_buf_printf(&list, "%s%s", i ? ", " : "", methods[i].name);
    olv_status s = ol_fail(err, OLV_UNSUPPORTED, "key 'quantization_config': found quant_method '%.40s'; known are: %s", name,
                           list.failed ? "" : list.data);
    ol_buf_deinit(&list);
    return s;
}

/* Layouts of auto-round are those of other methods: "auto_round:auto_gptq", "auto_round:auto_awq". */
static const ol_hf_qmethod *auto_round(const json_t *config) {
    const char *format = json_string_value(json_object_get(config, "packing_format"));
    return format && strstr(format, "awq") ? &ol_hf_awq : &ol_hf_gptq;
}

static olv_status configure(ol_hf_qread *q, const json_t *config, const ol_hf_qmethod **out, olv_error *err) {
    const char *name = "";
    if (!json_is_object(config)) return ol_fail(err, OLV_FORMAT, "key 'quantization_config': an object expected");
    OL_TRY(ol_json_string(config, "quant_method", "", &name, err));
    if (!*name && (json_is_true(json_object_get(config, "load_in_4bit")) ||
                   json_is_true(json_object_get(config, "load_in_8bit"))))
        name = "bitsandbytes"; /* before methods had names */
    const ol_hf_qmethod *m = NULL;
    for (size_t i = 0; i < N_METHODS; i++)
        if (strcmp(name, methods[i].name) == 0) m = methods[i].method;
    if (!m) return unknown_method(name, err);
    if (strcmp(name, "auto-round") == 0) m = auto_round(config);
    *out = m;
    if (m->configure && m->configure(q, config, err) != OLV_OK) return ol_error_at(err, "key 'quantization_config'");
    return OLV_OK;
}

olv_status ol_hf_quantized_check(const json_t *config, olv_error *err) {
    ol_hf_qread q;
    const ol_hf_qmethod *m;
    memset(&q, 0, sizeof q);
    if (!config || json_is_null(config)) return OLV_OK;
    return configure(&q, config, &m, err);
}

/* ---- the source ---- */

/* The stem of NAME.weight; false for other names. */
static bool stem_of(const char *name, char *stem) {
    size_t n = strlen(name);
    if (n <= 7 || n - 7 >= MAX_STEM || strcmp(name + n - 7, ".weight") != 0) return false;
    memcpy(stem, name, n - 7);
    stem[n - 7] = 0;
    return true;
}

static const ol_st_tensor *find(const void *ctx, const char *name) {
    ol_hf_quantized *q = *(ol_hf_quantized *const *)ctx;
    const uint64_t *old = ol_map_get(&q->names, ol_str_of(name));
    if (old) return &((const shown *)(uintptr_t)*old)->named;
    char stem[MAX_STEM];
    int64_t dims[2];
    if (!stem_of(name, stem) || !q->method->shape(&q->read, stem, dims)) return q->read.plain->find(q->read.plain->ctx, name);
    shown *s = ol_arena_alloc(q->read.arena, sizeof *s);
    char *own = ol_arena_strdup(q->read.arena, name);
    if (!s || !own) return NULL;
    s->named = (ol_st_tensor){.name = ol_str_of(own), .dtype = OL_F32, .type_name = "quantized", .bits = 32, .rank = 2,
                              .dims = {dims[0], dims[1]}};
    memcpy(s->stem, stem, sizeof stem);
    return ol_map_put(&q->names, s->named.name, (uint64_t)(uintptr_t)s) < 0 ? NULL : &s->named;
}

static olv_status constant(const void *ctx, const ol_st_tensor *t, ol_const **out, olv_error *err) {
    ol_hf_quantized *q = *(ol_hf_quantized *const *)ctx;
    const uint64_t *at = ol_map_get(&q->names, t->name);
    if (!at) return q->read.plain->constant(q->read.plain->ctx, t, out, err);
    const shown *s = (const shown *)(uintptr_t)*at;
    olv_error local = {OLV_OK, ""};
    olv_status status = q->method->constant(&q->read, s->stem, s->named.dims, out, err ? err : &local);
    return status == OLV_OK ? status : ol_error_at(err, "weight '%s' (%s)", s->named.name.ptr, q->method->name);
}

olv_status ol_hf_quantized_open(const ol_hf_source *plain, const json_t *config, ol_hf_quantized **out,
                                olv_error *err) {
    ol_hf_quantized *q = ol_calloc(1, sizeof *q);
    if (!q) return ol_fail(err, OLV_NOMEM, "out of memory");
    ol_map_init(&q->names);
    q->read.plain = plain;
    q->read.arena = ol_arena_create();
    olv_status s = OLV_NOMEM;
    ol_hf_quantized **self = q->read.arena ? ol_arena_alloc(q->read.arena, sizeof *self) : NULL;
    if (self) {
        *self = q;
        q->source = (ol_hf_source){self, find, constant};
        s = configure(&q->read, config, &q->method, err);
    } else {
        ol_fail(err, OLV_NOMEM, "out of memory");
    }
    if (s == OLV_OK)
        *out = q;
    else
        ol_hf_quantized_close(q);
    return s;
}

void ol_hf_quantized_close(ol_hf_quantized *q) {
    if (!q) return;
    ol_const_release(q->read.perm);
    ol_map_deinit(&q->names);
    if (q->read.arena) ol_arena_destroy(q->read.arena);
    ol_free(q);
}

const ol_hf_source *ol_hf_quantized_source(const ol_hf_quantized *q) { return &q->source; }

bool ol_hf_quantized_has_part(const ol_hf_quantized *q, const char *name) {
    char stem[MAX_STEM];
    int64_t dims[2];
    for (const char *dot = strchr(name, '.'); dot; dot = strchr(dot + 1, '.')) {
        size_t n = (size_t)(dot - name);
        if (n >= MAX_STEM) return false;
        memcpy(stem, name, n);
        stem[n] = 0;
        if (q->method->shape(&q->read, stem, dims)) return true;
    }
    return false;
}
