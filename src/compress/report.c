/* SPDX-License-Identifier: Apache-2.0 */
#include "base/alloc.h"
#include "compress/compress.h"
#include <math.h>

static const char *role_name(unsigned roles) {
    if (roles & OL_ROLE_HEAD) return roles & OL_ROLE_EMBEDDING ? "head and embedding" : "head";
    return roles & OL_ROLE_WEIGHT ? "weight" : "embedding";
}

static void put_error(const ol_compress_entry *e, ol_buf *out) {
    double error, energy;
    if (!ol_compress_entry_stats(e, &error, &energy)) return;
    ol_buf_printf(out, ",\"squared_error\":%.9g,\"energy\":%.9g", error, energy);
    if (error > 0 && energy > 0) ol_buf_printf(out, ",\"snr_db\":%.3f", 10 * log10(energy / error));
    if (e->method) ol_buf_printf(out, ",\"method\":\"%s\"", e->method);
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
    put_error(e, out);
    ol_buf_putc(out, '}');
}

void ol_compress_report_json(const ol_compress_plan *r, ol_buf *out) {
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
