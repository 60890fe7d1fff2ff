/* SPDX-License-Identifier: Apache-2.0 */
/* Body of the vector variants (see math/vec_x86.h). */
#include "base/cpu.h"
#include "kernels/math/math.h"
#include "kernels/math/vec_x86.h"
#include "kernels/softmax/softmax.h"
#include "kernels/softmax/topk.h"

/* VW values from i on, 0 past the end. */
VI vf value(const olk_softmax_form *f, const float *x, const float *mask, int64_t i) {
    vf v = v_mul(v_set1(f->scale), v_load_n(x + i, f->n - i));
    return mask ? v_add(v, v_load_n(mask + i, f->n - i)) : v;
}

/* Greatest value, NaN left out; -inf if there is none. */
static float row_max(const olk_softmax_form *f, const float *x, const float *mask) {
    vf low = v_set1(-INFINITY), s[2] = {low, low};
    for (int64_t i = 0; i < f->n; i += VW) {
        vf v = value(f, x, mask, i), *t = &s[(i / VW) & 1];
        *t = v_max(f->n - i >= VW ? v : v_select(v_first(f->n - i), v, low), *t);
    }
    return v_greatest(v_max(s[0], s[1]));
}

/* Sum of exp(value - max), each stored to y if y is given. */
static float row_sum(const olk_softmax_form *f, const float *x, const float *mask, float max, float *y) {
    vf s[2] = {v_set1(0), v_set1(0)}, vmax = v_set1(max);
    for (int64_t i = 0; i < f->n; i += VW) {
        vf e = v_keep_n(f->n - i, v_exp(v_sub(value(f, x, mask, i), vmax))), *t = &s[(i / VW) & 1];
        *t = v_add(*t, e);
        if (y) v_store_n(y + i, f->n - i, e);
    }
    return v_sum(v_add(s[0], s[1]));
}

static void fill(float *y, int64_t n, float v) {
    for (int64_t i = 0; i < n; i++) y[i] = v;
}

/* What stands for the result when no value is above -inf: NaN if there is a NaN, else `none`. */
static float nothing(const olk_softmax_form *f, const float *x, const float *mask, float none) {
    for (int64_t i = 0; i < f->n; i++) {
        float v = f->scale * x[i] + (mask ? mask[i] : 0);
        if (v != v) return v;
    }
    return none;
}

static const float *mask_row(const olk_softmax_form *f, int64_t r) {
    return f->mask ? f->mask + r * f->ldmask : NULL;
}

static void softmax(const olk_softmax_form *f, const float *x, int64_t ldx, float *y, int64_t ldy, int64_t rows) {
    for (int64_t r = 0; r < rows; r++, x += ldx, y += ldy) {
        const float *mask = mask_row(f, r);
        float max = row_max(f, x, mask);
        if (max == -INFINITY) {
            fill(y, f->n, nothing(f, x, mask, 0));
            continue;
        }
        vf inv = v_set1(1 / row_sum(f, x, mask, max, y));
        for (int64_t i = 0; i < f->n; i += VW) v_store_n(y + i, f->n - i, v_mul(v_load_n(y + i, f->n - i), inv));
    }
}

static void log_softmax(const olk_softmax_form *f, const float *x, int64_t ldx, float *y, int64_t ldy, int64_t rows) {
    for (int64_t r = 0; r < rows; r++, x += ldx, y += ldy) {
        const float *mask = mask_row(f, r);
        float max = row_max(f, x, mask);
        if (max == -INFINITY) {
            fill(y, f->n, nothing(f, x, mask, -INFINITY));
            continue;
        }
        vf vmax = v_set1(max), log_sum = v_set1(olk_log(row_sum(f, x, mask, max, NULL)));
        for (int64_t i = 0; i < f->n; i += VW)
            v_store_n(y + i, f->n - i, v_sub(v_sub(value(f, x, mask, i), vmax), log_sum));
    }
}

static void log_sum_exp(const olk_softmax_form *f, const float *x, int64_t ldx, float *out, int64_t rows) {
    for (int64_t r = 0; r < rows; r++, x += ldx) {
        const float *mask = mask_row(f, r);
        float max = row_max(f, x, mask);
        out[r] = max == -INFINITY ? nothing(f, x, mask, max) : max + olk_log(row_sum(f, x, mask, max, NULL));
    }
}

#define SEARCH 1024

/* The greatest of each stretch is found by vectors; its place is looked up only when it beats all before. */
static int64_t argmax(const float *x, int64_t n) {
    const olk_softmax_form form = {.scale = 1};
    float best = -INFINITY;
    int64_t at = -1;
    for (int64_t i = 0; i < n; i += SEARCH) {
        olk_softmax_form f = form;
        f.n = n - i < SEARCH ? n - i : SEARCH;
        float max = row_max(&f, x + i, NULL);
        if (!(max > best)) continue;
        best = max;
        for (at = i; x[at] != max;) at++;
    }
    for (int64_t i = 0; at < 0 && i < n; i++) /* nothing above -inf */
        if (x[i] == x[i]) at = i;
    return at;
}

static int64_t topk(const float *x, int64_t n, int64_t k, int32_t *index, float *out) {
    int64_t found = 0;
    for (int64_t i = 0; k > 0 && i < n; i += VW) {
        if (found == k && n - i >= VW && !v_any(v_lt(v_set1(out[k - 1]), v_load(x + i)))) continue;
        for (int64_t j = i; j < n && j < i + VW; j++)
            if (x[j] == x[j] && (found < k || x[j] > out[k - 1])) found = olk_topk_insert(index, out, found, k, x[j], j);
    }
    return found;
}
