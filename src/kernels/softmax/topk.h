/* SPDX-License-Identifier: Apache-2.0 */
/* The k greatest of a stream of (value, index), indices rising, kept in falling order in the caller's arrays. */
#ifndef OLK_SOFTMAX_TOPK_H
#define OLK_SOFTMAX_TOPK_H

#include <stdint.h>
#include <string.h>

/* Where v goes: after all that are >= v. */
static inline int64_t olk_topk_place(const float *value, int64_t n, float v) {
    int64_t lo = 0, hi = n;
    while (lo < hi) {
        int64_t mid = (lo + hi) / 2;
        if (value[mid] >= v) lo = mid + 1;
        else hi = mid;
    }
    return lo;
}

/* Inserts (v, i) into the n <= k kept ones; returns the new n. */
static inline int64_t olk_topk_insert(int32_t *index, float *value, int64_t n, int64_t k, float v, int64_t i) {
    int64_t at = olk_topk_place(value, n, v);
    if (at == k) return n;
    int64_t move = (n < k ? n : k - 1) - at;
    memmove(value + at + 1, value + at, (size_t)move * sizeof *value);
    memmove(index + at + 1, index + at, (size_t)move * sizeof *index);
    value[at] = v;
    index[at] = (int32_t)i;
    return n < k ? n + 1 : n;
}
#endif
