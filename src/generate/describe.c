/* SPDX-License-Identifier: Apache-2.0 */
/* What a loaded pipeline is: a JSON description for `inspect`, and the plan as text. */
#include "base/alloc.h"
#include "base/error.h"
#include "generate/pipeline.h"
#include <string.h>

#define MAX_KINDS 32

typedef struct kind_sum {
    char name[48];
    uint64_t elements, bytes;
} kind_sum;

static uint64_t stored_bytes(const ol_const *c, char *kind, size_t size) {
    const ol_qconst *q = ol_const_qconst(c);
    uint64_t n = (uint64_t)ol_const_rows(c) * (uint64_t)ol_const_width(c);
    if (q) {
        ol_qconst_describe(q, kind, size);
        return (uint64_t)q->rows * (q->row_bytes + (uint64_t)q->n_groups * (uint64_t)ol_dtype_bits(q->scale_dtype) / 8 +
                                    q->zero_row_bytes);
    }
    snprintf(kind, size, "%s", ol_dtype_name(ol_const_dtype(c)));
    return n * (uint64_t)ol_dtype_bits(ol_const_dtype(c)) / 8;
}

static int sum_weights(const ol_graph *g, kind_sum *kinds, uint64_t *elements, uint64_t *bytes) {
    int n = 0;
    for (int i = 0; i < g->n_values; i++) {
        const ol_value *v = g->values[i];
        if (!v || !v->constant || v->n_uses == 0 || ol_const_rank(v->constant) < 1) continue;
        char kind[48];
        uint64_t b = stored_bytes(v->constant, kind, sizeof kind);
        uint64_t e = (uint64_t)ol_const_rows(v->constant) * (uint64_t)ol_const_width(v->constant);
        *elements += e;
        *bytes += b;
        int k = 0;
        while (k < n && strcmp(kinds[k].name, kind)) k++;
        if (k == n && n == MAX_KINDS) k = MAX_KINDS - 1;
        if (k == n) {
            memset(&kinds[n], 0, sizeof kinds[n]);
            memcpy(kinds[n++].name, kind, sizeof kind);
        }
        kinds[k].elements += e;
        kinds[k].bytes += b;
    }
    return n;
}

static void put_field(ol_buf *b, const char *key, const char *value) {
    ol_buf_printf(b, "\"%s\": ", key);
    ol_buf_json_string(b, value, strlen(value));
    ol_buf_puts(b, ", ");
}

static void put_memory(ol_buf *b, const olv_pipeline *p) {
    static const int64_t lengths[] = {512, 2048, 8192, 32768, 131072};
    const ol_state_layout *states = ol_plan_states(p->plan);
    uint64_t block = states->block_bytes;
    if (states->fixed_floats) /* of a sequence, however long; held twice */
        ol_buf_printf(b, "\"recurrent_state_bytes\": %llu, ", (unsigned long long)states->fixed_floats * 2 * sizeof(float));
    ol_buf_puts(b, "\"kv_cache_bytes\": {");
    bool first = true;
    for (size_t i = 0; block && i < sizeof lengths / sizeof lengths[0]; i++) {
        if (lengths[i] > p->context_length && i > 0) break;
        int64_t n = lengths[i] < p->context_length ? lengths[i] : p->context_length;
        ol_buf_printf(b, "%s\"%lld\": %llu", first ? "" : ", ", (long long)n,
                      (unsigned long long)(block * (uint64_t)((n + 63) / 64)));
        first = false;
    }
    ol_buf_puts(b, "}, ");
}

olv_status olv_pipeline_describe(olv_pipeline *p, char **json, olv_error *err) {
    const ol_graph *g = ol_plan_graph(p->plan);
    kind_sum kinds[MAX_KINDS];
    uint64_t elements = 0, bytes = 0;
    int n = sum_weights(g, kinds, &elements, &bytes);
    ol_buf b = OL_BUF_INIT;
    ol_buf_puts(&b, "{");
    put_field(&b, "kind", ol_bundle_kind_name(p->bundle->kind));
    put_field(&b, "model_type", p->bundle->info.model_type);
    put_field(&b, "architecture", p->bundle->info.architecture);
    put_field(&b, "tokenizer", p->tokenizer ? olv_tokenizer_kind(p->tokenizer) : "none");
    ol_buf_printf(&b, "\"chat_template\": %s, ", p->chat ? "true" : "false");
    const ol_bundle_info *i = &p->bundle->info;
    ol_buf_printf(&b, "\"layers\": %lld, \"hidden_size\": %lld, \"heads\": %lld, \"kv_heads\": %lld, \"head_dim\": %lld, ",
                  (long long)i->n_layers, (long long)i->hidden_size, (long long)i->n_heads, (long long)i->n_kv_heads,
                  (long long)i->head_dim);
    ol_buf_printf(&b, "\"vocab_size\": %lld, \"context_length\": %lld, ", (long long)p->vocab_size, (long long)p->context_length);
    ol_buf_printf(&b, "\"parameters\": %llu, \"weight_bytes\": %llu, \"nodes\": %d, ", (unsigned long long)elements,
                  (unsigned long long)bytes, g->n_nodes);
    put_memory(&b, p);
    ol_buf_puts(&b, "\"weights\": [");
    for (int k = 0; k < n; k++) {
        ol_buf_printf(&b, "%s{\"type\": ", k ? ", " : "");
        ol_buf_json_string(&b, kinds[k].name, strlen(kinds[k].name));
        ol_buf_printf(&b, ", \"elements\": %llu, \"bytes\": %llu}", (unsigned long long)kinds[k].elements,
                      (unsigned long long)kinds[k].bytes);
    }
    ol_buf_printf(&b, "], \"load_ms\": %.1f}", p->load_ms);
    *json = ol_buf_take(&b, NULL);
    return *json ? OLV_OK : ol_fail(err, OLV_NOMEM, "no memory for a description");
}

olv_status olv_pipeline_plan_text(olv_pipeline *p, char **text, olv_error *err) {
    ol_buf b = OL_BUF_INIT;
    ol_plan_dump(p->plan, &b);
    *text = ol_buf_take(&b, NULL);
    return *text ? OLV_OK : ol_fail(err, OLV_NOMEM, "no memory for the plan's text");
}
