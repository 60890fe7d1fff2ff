/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/prepared_store.h"
#include "base/alloc.h"
#include "base/error.h"
#include "base/hash.h"
#include "runtime/model_json.h"
#include "runtime/source_key.h"
#include <olivine/core.h>
#include <string.h>

#define RECIPE 1 /* raised when the same graph and terms come to give other data, or other items */

static void count_file(void *ctx, ol_file *f) {
    (void)f;
    ++*(int *)ctx;
}

/* Weights that lie in no file are told by their bytes. false: there is one whose bytes are not at hand. */
static bool put_own_weights(const ol_graph *g, ol_buf *out) {
    for (int i = 0; i < g->n_values; i++) {
        const ol_const *c = g->values[i]->constant;
        int files = 0;
        size_t bytes;
        if (!c) continue;
        ol_const_each_file(c, count_file, &files);
        if (files) continue;
        const void *p = ol_const_data(c, &bytes);
        if (!p) return false;
        ol_buf_printf(out, "%zu %016llx\n", bytes, (unsigned long long)ol_hash64(p, bytes, 0));
    }
    return true;
}

/* All that decides about the bits: the graph with its shapes (without weights), the files, the terms. */
static olv_status put_key(const ol_graph *g, const ol_store_terms *t, bool *whole, ol_buf *key, olv_error *err) {
    ol_buf graph = OL_BUF_INIT;
    graph.max = SIZE_MAX / 2;
    ol_graph_write_json(g, &graph);
    if (graph.failed) {
        ol_buf_deinit(&graph);
        return ol_fail(err, OLV_NOMEM, "no memory for a key of the weight store");
    }
    ol_buf_printf(key, "olivine %s graph recipe %d\ndevice %s %llx precision %d\ngraph %016llx\n", olv_version(), RECIPE, t->device,
                  (unsigned long long)t->cpu, t->precision, (unsigned long long)ol_hash64(graph.data, graph.len, 0));
    ol_buf_deinit(&graph);
    *whole = put_own_weights(g, key);
    return ol_source_key(g, NULL, 0, key, err);
}

olv_status ol_prepared_store_open(const char *dir, const ol_graph *g, const ol_store_terms *terms, ol_store **out, olv_error *err) {
    ol_buf key = OL_BUF_INIT;
    bool whole = true;
    olv_status s = dir && *dir ? put_key(g, terms, &whole, &key, err) : OLV_OK;
    if (s == OLV_OK && !(*out = ol_store_open(whole ? dir : NULL, key.data ? key.data : ""))) s = ol_fail(err, OLV_NOMEM, "no memory for the weight store");
    ol_buf_deinit(&key);
    return s;
}
