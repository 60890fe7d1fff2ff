/* SPDX-License-Identifier: Apache-2.0 */
#include "generate/weights.h"
#include "base/alloc.h"
#include "base/error.h"
#include "compress/compress.h"
#include <olivine/core.h>
#include <strings.h>

static olv_status no_memory(olv_error *err) { return ol_fail(err, OLV_NOMEM, "no memory for the weight store"); }

#define RECIPE 1 /* raised when the same source and settings come to give other bits, or other items */

/* All that decides about the bits of what is made: codes are the same on every instruction set, layouts for kernels are not. */
static olv_status put_key(const olv_pipeline *p, const ol_graph *g, const olv_pipeline_options *o, ol_buf *key, olv_error *err) {
    ol_buf_printf(key, "olivine %s recipe %d\nweights %s\ndevice %s %llx precision %d\n", olv_version(), RECIPE,
                  o->weights ? o->weights : "as-is", o->device ? o->device : "CPU", (unsigned long long)p->cpu, (int)p->precision);
    return ol_bundle_source_key(p->bundle, g, key, err);
}

static olv_status open_store(const olv_pipeline *p, const ol_graph *g, const olv_pipeline_options *o, ol_store **store,
                             olv_error *err) {
    if (o->no_cache) return (*store = ol_store_open(NULL, "")) ? OLV_OK : no_memory(err);
    ol_buf key = OL_BUF_INIT;
    char *standard = o->cache_dir ? NULL : ol_store_default_dir();
    olv_status s = put_key(p, g, o, &key, err);
    if (s == OLV_OK && !(*store = ol_store_open(o->cache_dir ? o->cache_dir : standard, key.data))) s = no_memory(err);
    ol_free(standard);
    ol_buf_deinit(&key);
    return s;
}

olv_status ol_weights_prepare(olv_pipeline *p, ol_graph *g, const olv_pipeline_options *o, ol_store **store, olv_error *err) {
    const char *w = o->weights ? o->weights : "as-is";
    int bits = !strcasecmp(w, "int4") ? 4 : !strcasecmp(w, "int8") ? 8 : 0;
    if (!bits && strcasecmp(w, "as-is")) return ol_fail(err, OLV_ARG, "weights '%s' is none of as-is, int8, int4", w);
    ol_store *made = NULL;
    ol_produce_progress progress = {o->progress, o->progress_ctx};
    olv_status s = open_store(p, g, o, &made, err);
    if (s == OLV_OK && bits) s = ol_compress_to_bits(g, bits, err);
    if (s == OLV_OK) s = ol_compress_produce(g, p->executor, made, &progress, err);
    if (s == OLV_OK) *store = made;
    else ol_store_release(made);
    return s;
}
