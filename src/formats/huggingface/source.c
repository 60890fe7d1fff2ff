/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/huggingface/source.h"

#include "base/alloc.h"
#include "base/error.h"

struct ol_hf_weights {
    ol_safetensors *st;
    ol_hf_source plain; /* the container's own tensors */
};

static const ol_st_tensor *find_st(const void *ctx, const char *name) { return ol_safetensors_find(ctx, name); }

static olv_status const_st(const void *ctx, const ol_st_tensor *t, ol_const **out, olv_error *err) {
    return ol_safetensors_const(ctx, t, out, err);
}

static olv_status open_container(ol_hf_weights *w, const char *folder, olv_error *err) {
    OL_TRY(ol_safetensors_open(folder, &w->st, err));
    w->plain = (ol_hf_source){w->st, find_st, const_st};
    return OLV_OK;
}

olv_status ol_hf_weights_open(const char *folder, const json_t *config, ol_hf_weights **out, olv_error *err) {
    (void)config;
    ol_hf_weights *w = ol_calloc(1, sizeof *w);
    if (!w) return ol_fail(err, OLV_NOMEM, "out of memory");
    olv_status s = open_container(w, folder, err);
    if (s == OLV_OK)
        *out = w;
    else
        ol_hf_weights_close(w);
    return s;
}

void ol_hf_weights_close(ol_hf_weights *w) {
    if (!w) return;
    ol_safetensors_close(w->st);
    ol_free(w);
}

const ol_hf_source *ol_hf_weights_source(const ol_hf_weights *w) { return &w->plain; }

bool ol_hf_weights_quantized(const ol_hf_weights *w) {
    (void)w;
    return false;
}
