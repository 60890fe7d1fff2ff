/* SPDX-License-Identifier: Apache-2.0 */
#include "base/alloc.h"
#include "compress/compress.h"
#include <math.h>

void ol_compress_report_deinit(ol_compress_report *r) {
    for (size_t i = 0; i < r->n; i++) {
        ol_free(r->entries[i].name);
        ol_const_release(r->entries[i].result);
    }
    ol_free(r->entries);
    *r = (ol_compress_report){NULL, 0};
}

static const char *role_name(unsigned roles) {
    if (roles & OL_ROLE_HEAD) return roles & OL_ROLE_EMBEDDING ? "head and embedding" : "head";
    return roles & OL_ROLE_WEIGHT ? "weight" : "embedding";
}

static void put_error(const ol_const *c, ol_buf *out) {
    ol_compress_stats s;
    if (!ol_compress_const_stats(c, &s) || s.rows_done != s.rows) return;
    ol_buf_printf(out, ",\"squared_error\":%.9g,\"energy\":%.9g", s.error, s.energy);
    if (s.error > 0 && s.energy > 0) ol_buf_printf(out, ",\"snr_db\":%.3f", 10 * log10(s.energy / s.error));
}

static void put_entry(const ol_compress_entry *e, ol_buf *out) {
    ol_buf_puts(out, "{\"name\":");
    ol_buf_json_string(out, e->name ? e->name : "", e->name ? strlen(e->name) : 0);
    ol_buf_printf(out, ",\"role\":\"%s\",\"rows\":%lld,\"columns\":%lld,\"bits_before\":%.6g,\"bits\":%.6g",
                  role_name(e->roles), (long long)e->rows, (long long)e->k, e->bits_before, e->bits_after);
    if (e->kept)
        ol_buf_printf(out, ",\"kept\":\"%s\"", e->kept);
    else
        ol_buf_printf(out, ",\"type\":\"%s\",\"group_size\":%d", olv_weight_type_name(e->spec.type), (int)e->spec.group_size);
    if (e->result) put_error(e->result, out);
    ol_buf_putc(out, '}');
}

void ol_compress_report_json(const ol_compress_report *r, ol_buf *out) {
    double before = 0, after = 0, weights = 0;
    ol_buf_puts(out, "{\"tensors\":[");
    for (size_t i = 0; i < r->n; i++) {
        const ol_compress_entry *e = &r->entries[i];
        double n = (double)e->rows * (double)e->k;
        if (i) ol_buf_putc(out, ',');
        put_entry(e, out);
        weights += n;
        before += n * e->bits_before;
        after += n * e->bits_after;
    }
    ol_buf_printf(out, "],\"weights\":%.0f,\"bits_before\":%.6g,\"bits\":%.6g}", weights, weights > 0 ? before / weights : 0,
                  weights > 0 ? after / weights : 0);
}
