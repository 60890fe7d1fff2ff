/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/huggingface/source.h"

#include "base/alloc.h"
#include "base/error.h"
#include "formats/huggingface/quantized.h"
#include "formats/pytorch/pytorch.h"

#define MAX_JSON (1u << 20)

struct ol_hf_weights {
    ol_safetensors *st; /* one of the two */
    ol_pytorch *pt;
    ol_hf_source plain; /* the container's own tensors */
    ol_hf_quantized *quantized; /* NULL: plain weights */
};

static const ol_st_tensor *find_st(const void *ctx, const char *name) { return ol_safetensors_find(ctx, name); }

static olv_status const_st(const void *ctx, const ol_st_tensor *t, ol_const **out, olv_error *err) {
    return ol_safetensors_const(ctx, t, out, err);
}

static const ol_st_tensor *find_pt(const void *ctx, const char *name) { return ol_pytorch_find(ctx, name); }

static olv_status const_pt(const void *ctx, const ol_st_tensor *t, ol_const **out, olv_error *err) {
    return ol_pytorch_const(ctx, t, out, err);
}

static olv_status open_container(ol_hf_weights *w, const char *folder, olv_error *err) {
    if (!ol_safetensors_in(folder) && ol_pytorch_in(folder)) {
        OL_TRY(ol_pytorch_open(folder, &w->pt, err));
        w->plain = (ol_hf_source){w->pt, find_pt, const_pt};
        return OLV_OK;
    }
    OL_TRY(ol_safetensors_open(folder, &w->st, err));
    w->plain = (ol_hf_source){w->st, find_st, const_st};
    return OLV_OK;
}

/* Descriptions of quantization that older tools put into files of their own. */
static olv_status read_own_file(const char *folder, const char *name, const char *method, json_t **out, olv_error *err) {
    char *path = ol_path_join(folder, name);
    json_t *j = NULL;
    olv_status s = path ? OLV_OK : ol_fail(err, OLV_NOMEM, "out of memory");
    if (path && ol_file_exists(path)) s = ol_json_read_file(path, MAX_JSON, &j, err);
    ol_free(path);
    if (s != OLV_OK || !j) return s;
    if (!json_is_object(j) || (!json_object_get(j, "quant_method") &&
                               json_object_set_new(j, "quant_method", json_string(method)) != 0)) {
        json_decref(j);
        return ol_fail(err, OLV_FORMAT, "%s: an object expected", name);
    }
    *out = j;
    return OLV_OK;
}

/* The description of the quantization (a new reference), NULL when there is none. */
static olv_status find_description(const char *folder, const json_t *config, json_t **out, olv_error *err) {
    static const char *const keys[] = {"quantization_config", "compression_config"};
    for (int i = 0; i < 2; i++) {
        json_t *j = json_object_get(config, keys[i]);
        if (!j) j = json_object_get(json_object_get(config, "text_config"), keys[i]);
        if (json_is_object(j)) {
            *out = json_incref(j);
            return OLV_OK;
        }
    }
    OL_TRY(read_own_file(folder, "quantize_config.json", "gptq", out, err));
    return *out ? OLV_OK : read_own_file(folder, "quant_config.json", "awq", out, err);
}

static olv_status open_quantized(ol_hf_weights *w, const char *folder, const json_t *config, olv_error *err) {
    json_t *j = NULL;
    OL_TRY(find_description(folder, config, &j, err));
    if (!j) return OLV_OK;
    olv_status s = ol_hf_quantized_open(&w->plain, j, &w->quantized, err);
    json_decref(j);
    return s;
}

olv_status ol_hf_weights_open(const char *folder, const json_t *config, ol_hf_weights **out, olv_error *err) {
    ol_hf_weights *w = ol_calloc(1, sizeof *w);
    if (!w) return ol_fail(err, OLV_NOMEM, "out of memory");
    olv_status s = open_container(w, folder, err);
    if (s == OLV_OK && config) s = open_quantized(w, folder, config, err);
    if (s == OLV_OK)
        *out = w;
    else
        ol_hf_weights_close(w);
    return s;
}

void ol_hf_weights_close(ol_hf_weights *w) {
    if (!w) return;
    ol_hf_quantized_close(w->quantized);
    ol_safetensors_close(w->st);
    ol_pytorch_close(w->pt);
    ol_free(w);
}

const ol_hf_source *ol_hf_weights_source(const ol_hf_weights *w) {
    return w->quantized ? ol_hf_quantized_source(w->quantized) : &w->plain;
}

bool ol_hf_weights_quantized(const ol_hf_weights *w) { return w->quantized != NULL; }

size_t ol_hf_weights_count(const ol_hf_weights *w) {
    return w->st ? ol_safetensors_count(w->st) : ol_pytorch_count(w->pt);
}

const ol_st_tensor *ol_hf_weights_get(const ol_hf_weights *w, size_t i) {
    return w->st ? ol_safetensors_get(w->st, i) : ol_pytorch_get(w->pt, i);
}

bool ol_hf_weights_is_part(const ol_hf_weights *w, const char *name) {
    return w->quantized && ol_hf_quantized_has_part(w->quantized, name);
}
