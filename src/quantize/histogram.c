/* SPDX-License-Identifier: Apache-2.0 */
/* The range of the least expected squared error, from a histogram of all elements. */
#include "base/alloc.h"
#include "base/error.h"
#include "quantize/range.h"
#include <math.h>
#include <string.h>

#define BINS OL_HISTOGRAM_BINS
#define CUT 1e-5 /* share of the elements that a step of the search gives up */

static int bin_of(const ol_histogram *h, double x) {
    double width = (h->high - h->low) / BINS;
    int i = width > 0 ? (int)((x - h->low) / width) : 0;
    return i < 0 ? 0 : i >= BINS ? BINS - 1 : i;
}

/* Spreads the old bins evenly over the new, wider range. */
static void regrow(ol_histogram *h, double low, double high) {
    double old[BINS], width = (h->high - h->low) / BINS;
    const int parts = 16;
    ol_histogram from = *h;
    memcpy(old, h->bins, sizeof old);
    memset(h->bins, 0, sizeof old);
    h->low = low, h->high = high;
    for (int i = 0; i < BINS; i++)
        for (int k = 0; old[i] > 0 && k < parts; k++) h->bins[bin_of(h, from.low + width * (i + (k + 0.5) / parts))] += old[i] / parts;
}

olv_status ol_histogram_add(ol_histogram *h, const float *x, int64_t n, olv_error *err) {
    double lo = (double)x[0], hi = lo;
    for (int64_t i = 1; i < n; i++) {
        if ((double)x[i] < lo) lo = (double)x[i];
        if ((double)x[i] > hi) hi = (double)x[i];
    }
    if (!h->bins) {
        h->bins = ol_calloc(BINS, sizeof *h->bins);
        if (!h->bins) return ol_fail(err, OLV_NOMEM, "no memory for a histogram");
        h->low = lo, h->high = hi;
    } else if (lo < h->low || hi > h->high) {
        regrow(h, fmin(lo, h->low), fmax(hi, h->high));
    }
    for (int64_t i = 0; i < n; i++) h->bins[bin_of(h, (double)x[i])]++;
    return OLV_OK;
}

/* Integral of t^2 for t from a to b, by one density. */
static double moment(double a, double b, double density) { return density * (b * b * b - a * a * a) / 3; }

/* Expected squared error on the grid low, low + step, ... of so many points; elements beyond go to its ends. */
static double error_of(const ol_histogram *h, double low, double step, int points) {
    double width = (h->high - h->low) / BINS, sum = 0;
    if (step <= 0 || width <= 0) return 0;
    for (int i = 0; i < BINS; i++) {
        if (h->bins[i] <= 0) continue;
        double density = h->bins[i] / width, a = h->low + i * width - low, b = a + width;
        double first = floor(a / step + 0.5), last = floor(b / step + 0.5);
        int from = first < 0 ? 0 : first > points - 1 ? points - 1 : (int)first, to = last < 0 ? 0 : last > points - 1 ? points - 1 : (int)last;
        for (int c = from; c <= to; c++) {
            double centre = c * step, left = c == from ? a : centre - step / 2, right = c == to ? b : centre + step / 2;
            sum += moment(left - centre, right - centre, density);
        }
    }
    return sum;
}

/* Both tails are cut by equal shares of the elements, but only the sparser one at a time, while the error falls. */
static void search_range(const ol_histogram *h, double *low, double *high) {
    double total = 0, width = (h->high - h->low) / BINS;
    for (int i = 0; i < BINS; i++) total += h->bins[i];
    int first = 0, last = BINS - 1, best_first = 0, best_last = BINS - 1;
    double best = error_of(h, h->low, (h->high - h->low) / 255, 256), below = 0, above = 0, cut = 0;
    while (first < last) {
        int l = first, r = last;
        double b = below, a = above;
        cut += CUT;
        while (l < last && b + h->bins[l] < cut * total) b += h->bins[l++];
        while (r > l && a + h->bins[r] < cut * total) a += h->bins[r--];
        if (l == first && r == last) continue;
        if (l - first > last - r) first = l, below = b;
        else last = r, above = a;
        double e = error_of(h, h->low + width * first, width * (last + 1 - first) / 255, 256);
        if (e > best) break;
        best = e, best_first = first, best_last = last;
    }
    *low = h->low + width * best_first;
    *high = h->low + width * (best_last + 1);
}

/* The largest represented magnitude, among parts of the largest seen. */
static double search_magnitude(const ol_histogram *h) {
    double top = fmax(fabs(h->low), fabs(h->high)), best_top = top, best = INFINITY;
    for (int k = 128; k >= 24; k--) {
        double t = top * k / 128, e = h->low < 0 ? error_of(h, -t * 128 / 127, t / 127, 256) : error_of(h, 0, t / 255, 256);
        if (e < best) best = e, best_top = t;
    }
    return best_top;
}

void ol_histogram_search(const ol_histogram *h, bool symmetric, double *low, double *high) {
    if (!symmetric) {
        search_range(h, low, high);
        return;
    }
    *high = search_magnitude(h);
    *low = h->low < 0 ? -*high : 0;
}
