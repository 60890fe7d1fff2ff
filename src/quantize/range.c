/* SPDX-License-Identifier: Apache-2.0 */
#include "quantize/range.h"
#include "base/alloc.h"
#include "base/error.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static olv_status no_memory(olv_error *err) { return ol_fail(err, OLV_NOMEM, "no memory for the ranges of activations"); }

void ol_observer_init(ol_observer *o, const olv_quantize_params *p, bool per_channel, bool symmetric) {
    *o = (ol_observer){.per_channel = per_channel, .symmetric = symmetric, .axis = 1, .how = p->activations};
    if (!o->how.given) {
        olv_aggregator lowest = per_channel ? OLV_AGGREGATE_MIN : OLV_AGGREGATE_HISTOGRAM, highest = per_channel ? OLV_AGGREGATE_MAX : OLV_AGGREGATE_HISTOGRAM;
        o->how = (olv_range_estimator){OLV_STAT_MIN, OLV_STAT_MAX, lowest, highest, 0, true};
    }
    if (per_channel && o->how.aggregator_max == OLV_AGGREGATE_HISTOGRAM) o->how.aggregator_min = OLV_AGGREGATE_MIN, o->how.aggregator_max = OLV_AGGREGATE_MAX;
    if (!symmetric) return;
    if (o->how.statistic_max == OLV_STAT_MAX) o->how.statistic_max = OLV_STAT_ABS_MAX;
    if (o->how.statistic_max == OLV_STAT_QUANTILE) o->how.statistic_max = OLV_STAT_ABS_QUANTILE;
}

void ol_observer_deinit(ol_observer *o) {
    ol_free(o->mins), ol_free(o->maxs), ol_free(o->histogram.bins);
    o->mins = o->maxs = NULL;
    o->histogram.bins = NULL;
}

/* ---- statistics of one sample ---- */

static int compare(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Linearly interpolated quantile of sorted numbers. */
static float quantile(const float *sorted, int64_t n, double q) {
    double at = q * (double)(n - 1), base = floor(at);
    int64_t i = (int64_t)base;
    if (i >= n - 1) return sorted[n - 1];
    return (float)((double)sorted[i] + (at - base) * ((double)sorted[i + 1] - (double)sorted[i]));
}

/* x is changed: its order, and signs for magnitudes. */
static float statistic(olv_statistic s, float *x, int64_t n, double q) {
    double sum = 0;
    float best = s == OLV_STAT_ABS_MAX ? 0 : x[0];
    switch (s) {
    case OLV_STAT_MIN:
        for (int64_t i = 0; i < n; i++) best = x[i] < best ? x[i] : best;
        return best;
    case OLV_STAT_MAX:
        for (int64_t i = 0; i < n; i++) best = x[i] > best ? x[i] : best;
        return best;
    case OLV_STAT_ABS_MAX:
        for (int64_t i = 0; i < n; i++) best = fabsf(x[i]) > best ? fabsf(x[i]) : best;
        return best;
    case OLV_STAT_MEAN:
        for (int64_t i = 0; i < n; i++) sum += (double)x[i];
        return (float)(sum / (double)n);
    case OLV_STAT_ABS_QUANTILE:
        for (int64_t i = 0; i < n; i++) x[i] = fabsf(x[i]);
        break;
    case OLV_STAT_QUANTILE: break;
    }
    qsort(x, (size_t)n, sizeof *x, compare);
    return quantile(x, n, q);
}

static olv_status room_for(ol_observer *o, size_t samples, int64_t n, olv_error *err) {
    if (o->n && o->n != n)
        return ol_fail(err, OLV_SHAPE, "%lld channels after %lld in other samples", (long long)n, (long long)o->n);
    o->n = n;
    if (o->n_samples + samples <= o->cap) return OLV_OK;
    size_t cap = o->cap * 2 + samples + 8;
    float *a = ol_realloc(o->mins, cap * (size_t)n * sizeof *a);
    if (a) o->mins = a;
    float *b = ol_realloc(o->maxs, cap * (size_t)n * sizeof *b);
    if (b) o->maxs = b;
    if (!a || !b) return no_memory(err);
    o->cap = cap;
    return OLV_OK;
}

/* The elements of channel c of an item. */
static void gather(const float *x, int64_t outer, int64_t channels, int64_t inner, int64_t c, float *out) {
    for (int64_t i = 0; i < outer; i++) memcpy(out + i * inner, x + (i * channels + c) * inner, (size_t)inner * sizeof *x);
}

olv_status ol_observer_look(ol_observer *o, const ol_tensor *x, int64_t items, olv_error *err) {
    int64_t count = ol_tensor_count(x), channels = 1, outer = 1, inner = 1, per = count / (items ? items : 1);
    const float *data = x->data;
    if (!count || !per) return ol_fail(err, OLV_SHAPE, "a value without elements");
    for (int64_t i = 0; i < count; i++)
        if (!isfinite(data[i])) return ol_fail(err, OLV_FORMAT, "element %lld is %s; leave that sample out, or mend the model", (long long)i, isnan(data[i]) ? "NaN" : "infinite");
    if (o->how.aggregator_max == OLV_AGGREGATE_HISTOGRAM) {
        o->n = 1;
        o->n_samples++;
        return ol_histogram_add(&o->histogram, data, count, err);
    }
    int axis = o->axis < 0 ? x->rank + o->axis : o->axis;
    if (o->per_channel && axis < x->rank) {
        channels = x->dims[axis];
        for (int i = axis + 1; i < x->rank; i++) inner *= x->dims[i];
        outer = per / (channels * inner);
    }
    OL_TRY(room_for(o, (size_t)items, channels, err));
    float *part = ol_alloc((size_t)(per / channels) * sizeof *part);
    if (!part) return no_memory(err);
    for (int64_t k = 0; k < items; k++, o->n_samples++)
        for (int64_t c = 0; c < channels; c++) {
            size_t at = o->n_samples * (size_t)channels + (size_t)c;
            int64_t n = per / channels;
            if (channels == 1) memcpy(part, data + k * per, (size_t)n * sizeof *part);
            else gather(data + k * per, outer, channels, inner, c, part);
            o->mins[at] = statistic(o->how.statistic_min, part, n, o->how.outliers);
            o->maxs[at] = statistic(o->how.statistic_max, part, n, 1 - o->how.outliers);
        }
    ol_free(part);
    return OLV_OK;
}

/* ---- over the samples ---- */

/* v is sorted and changed. */
static float aggregate(olv_aggregator a, float *v, size_t n, double outliers) {
    double sum = 0;
    size_t first = 0, last = n;
    qsort(v, n, sizeof *v, compare);
    if (a == OLV_AGGREGATE_MIN) return v[0];
    if (a == OLV_AGGREGATE_MAX) return v[n - 1];
    if (a == OLV_AGGREGATE_MEAN_NO_OUTLIERS || a == OLV_AGGREGATE_MEDIAN_NO_OUTLIERS) {
        float lo = quantile(v, (int64_t)n, outliers), hi = quantile(v, (int64_t)n, 1 - outliers);
        while (first < n - 1 && v[first] < lo) first++;
        while (last > first + 1 && v[last - 1] > hi) last--;
    }
    if (a == OLV_AGGREGATE_MEDIAN || a == OLV_AGGREGATE_MEDIAN_NO_OUTLIERS) return quantile(v + first, (int64_t)(last - first), 0.5);
    for (size_t i = first; i < last; i++) sum += (double)v[i];
    return (float)(sum / (double)(last - first));
}

static void aggregate_all(const ol_observer *o, float *column, float *low, float *high) {
    for (int64_t c = 0; c < o->n; c++) {
        for (size_t i = 0; i < o->n_samples; i++) column[i] = o->mins[i * (size_t)o->n + (size_t)c];
        low[c] = aggregate(o->how.aggregator_min, column, o->n_samples, o->how.outliers);
        for (size_t i = 0; i < o->n_samples; i++) column[i] = o->maxs[i * (size_t)o->n + (size_t)c];
        high[c] = aggregate(o->how.aggregator_max, column, o->n_samples, o->how.outliers);
    }
}

olv_status ol_observer_finish(ol_observer *o, float **low, float **high, olv_error *err) {
    if (!o->n_samples) return ol_fail(err, OLV_STATE, "no sample was seen");
    float *lo = ol_calloc((size_t)o->n, sizeof *lo), *hi = ol_calloc((size_t)o->n, sizeof *hi), *column = ol_alloc(o->n_samples * sizeof *column);
    if (!lo || !hi || !column) {
        ol_free(lo), ol_free(hi), ol_free(column);
        return no_memory(err);
    }
    if (o->how.aggregator_max == OLV_AGGREGATE_HISTOGRAM) {
        double a, b;
        ol_histogram_search(&o->histogram, o->symmetric, &a, &b);
        lo[0] = (float)a;
        hi[0] = (float)b;
    } else {
        aggregate_all(o, column, lo, hi);
    }
    ol_free(column);
    *low = lo, *high = hi;
    return OLV_OK;
}

/* ---- grids ---- */

static void settle_symmetric(ol_grid *g) {
    float most = 0;
    g->is_signed = false;
    for (int i = 0; i < g->n; i++) {
        g->is_signed |= g->low[i] < 0;
        if (g->high[i] > most) most = g->high[i];
    }
    for (int i = 0; i < g->n; i++) {
        float hi = fmaxf(g->high[i], fmaxf(0.01f * most, 8e-5f));
        g->scale[i] = hi / (g->is_signed ? 127.0f : 255.0f);
        g->zero[i] = 0;
        g->low[i] = g->is_signed ? -128 * g->scale[i] : 0;
        g->high[i] = hi;
    }
}

/* The grid's borders move outwards until zero lies on it: by the upper or by the lower one, the wider of the two. */
static void put_zero_on_grid(double *lo, double *hi) {
    double z = nearbyint(-*lo * 255 / (*hi - *lo)), a_lo = *lo, b_hi = *hi;
    bool a = z < 255, b = z > 0;
    if (a) a_lo = z / (z - 255) * *hi;
    if (b) b_hi = (z - 255) / z * *lo;
    if (a && (!b || *hi - a_lo > b_hi - *lo)) *lo = a_lo;
    else if (b) *hi = b_hi;
}

static void settle_asymmetric(ol_grid *g) {
    g->is_signed = false;
    for (int i = 0; i < g->n; i++) {
        double lo = (double)g->low[i], hi = (double)g->high[i];
        if (hi - lo <= 8e-4) lo -= 8e-4, hi += 8e-4;
        if (lo > 0) lo = 0;
        if (hi < 0) hi = 0;
        put_zero_on_grid(&lo, &hi);
        g->low[i] = (float)lo, g->high[i] = (float)hi;
        g->scale[i] = (float)((hi - lo) / 255);
        g->is_signed |= lo < 0;
    }
    for (int i = 0; i < g->n; i++) g->zero[i] = (int32_t)nearbyint(-(double)g->low[i] / (double)g->scale[i]) - (g->is_signed ? 128 : 0);
}

olv_status ol_grid_settle(ol_grid *g, olv_error *err) {
    g->scale = ol_calloc((size_t)g->n, sizeof *g->scale);
    g->zero = ol_calloc((size_t)g->n, sizeof *g->zero);
    if (!g->scale || !g->zero) return no_memory(err);
    if (g->symmetric) settle_symmetric(g);
    else settle_asymmetric(g);
    return OLV_OK;
}
