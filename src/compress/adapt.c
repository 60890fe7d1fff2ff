/* SPDX-License-Identifier: Apache-2.0 */
/* What is found from a whole table of weights before its first row is rounded: a codebook, the scale of the scales. */
#include "base/alloc.h"
#include "base/error.h"
#include "compress/table.h"
#include <math.h>
#include <string.h>

#define INTERVALS 700
#define ROUNDS 70
#define VALUES 16
#define TOP 3.5f

typedef void group_fn(void *ctx, const float *x, int64_t n);

/* Calls fn for each group of each row. */
static olv_status each_group(const ol_const *src, const olv_weight_spec *spec, group_fn *fn, void *ctx, olv_error *err) {
    int64_t rows = ol_const_rows(src), k = ol_const_width(src), group = spec->group_size < 0 ? k : spec->group_size;
    float *x = ol_alloc((size_t)(k + 1) * sizeof *x);
    olv_status s = x ? OLV_OK : ol_fail(err, OLV_NOMEM, "no memory for a row of %lld weights", (long long)k);
    for (int64_t r = 0; s == OLV_OK && r < rows; r++) {
        s = ol_const_rows_f32(src, r, 1, x, err);
        for (int64_t g = 0; s == OLV_OK && g < k; g += group) fn(ctx, x + g, k - g < group ? k - g : group);
    }
    ol_free(x);
    return s;
}

static float largest(const float *x, int64_t n) {
    float m = 0;
    for (int64_t i = 0; i < n; i++) m = fmaxf(m, fabsf(x[i]));
    return m;
}

/* ---- the codebook ---- */

/* Weights over their scales lie in [-TOP, TOP]. An error counts by the square of the scale. */
typedef struct histogram {
    double weight[INTERVALS], sum[INTERVALS];
} histogram;

static void count(void *ctx, const float *x, int64_t n) {
    histogram *h = ctx;
    float s = largest(x, n) / TOP;
    if (!(s > 0) || !isfinite(s)) return;
    double w = (double)s * (double)s;
    for (int64_t i = 0; i < n; i++) {
        float v = x[i] / s;
        int at = (int)((v + TOP) * (INTERVALS / (2 * TOP)));
        at = at < 0 ? 0 : at >= INTERVALS ? INTERVALS - 1 : at;
        h->weight[at] += w;
        h->sum[at] += w * (double)v;
    }
}

/* Mean values of the intervals stand for what is in them. */
static double loss(const histogram *h, const float *c) {
    double e = 0;
    int at = 0;
    for (int i = 0; i < INTERVALS; i++) {
        if (h->weight[i] <= 0) continue;
        double v = h->sum[i] / h->weight[i];
        while (at + 1 < VALUES && fabs(v - (double)c[at + 1]) <= fabs(v - (double)c[at])) at++;
        e += h->weight[i] * (v - (double)c[at]) * (v - (double)c[at]);
    }
    return e;
}

/* One step of Lloyd's: every value but the first, zero and the last goes to the mean of what is nearest to it. */
static void improve(const histogram *h, float *c) {
    double weight[VALUES] = {0}, sum[VALUES] = {0};
    int at = 0;
    for (int i = 0; i < INTERVALS; i++) {
        if (h->weight[i] <= 0) continue;
        double v = h->sum[i] / h->weight[i];
        while (at + 1 < VALUES && fabs(v - (double)c[at + 1]) <= fabs(v - (double)c[at])) at++;
        weight[at] += h->weight[i];
        sum[at] += h->sum[i];
    }
    for (int i = 1; i < VALUES - 1; i++)
        if (c[i] != 0 && weight[i] > 0) c[i] = (float)(sum[i] / weight[i]);
}

static float as_f8(float v) {
    uint8_t code;
    ol_elem_set(OL_F8E4M3, &code, 0, (double)v);
    return (float)ol_elem_get(OL_F8E4M3, &code, 0);
}

olv_status ol_table_adapt(ol_value_table *t, const ol_const *src, const olv_weight_spec *spec, olv_error *err) {
    histogram *h = ol_calloc(1, sizeof *h);
    float c[VALUES], best[VALUES];
    ol_value_table cb4;
    ol_table_of_type(&(olv_weight_spec){.type = OLV_WEIGHT_CB4}, &cb4);
    if (!h) return ol_fail(err, OLV_NOMEM, "no memory for a histogram");
    olv_status s = each_group(src, spec, count, h, err);
    memcpy(best, cb4.values, sizeof best);
    memcpy(c, cb4.values, sizeof c);
    double least = loss(h, best);
    for (int i = 1; s == OLV_OK && i <= ROUNDS; i++) {
        float r[VALUES];
        improve(h, c);
        if (i % 5) continue;
        bool ascends = true;
        for (int j = 0; j < VALUES; j++) {
            r[j] = as_f8(c[j]);
            ascends = ascends && (j == 0 || r[j] > r[j - 1]);
        }
        double e = ascends ? loss(h, r) : least;
        if (!(e < least)) continue;
        least = e;
        memcpy(best, r, sizeof best);
    }
    ol_table_make(t, best, VALUES);
    ol_free(h);
    return s;
}

/* ---- the scale of the scales ---- */

static void most(void *ctx, const float *x, int64_t n) {
    float *m = ctx;
    *m = fmaxf(*m, largest(x, n) / 6);
}

olv_status ol_table_global_scale(const ol_const *src, const olv_weight_spec *spec, float *out, olv_error *err) {
    float m = 0;
    OL_TRY(each_group(src, spec, most, &m, err));
    *out = m > 0 && isfinite(m) ? m / 448 : 1;
    return OLV_OK;
}
