/* SPDX-License-Identifier: Apache-2.0 */
/* Overflow-checked size arithmetic: each returns false on overflow and leaves *out untouched. */
#ifndef OL_BASE_CHECKED_H
#define OL_BASE_CHECKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline bool ol_mul_size(size_t a, size_t b, size_t *out) {
    size_t r;
    if (__builtin_mul_overflow(a, b, &r)) return false;
    *out = r;
    return true;
}
static inline bool ol_add_size(size_t a, size_t b, size_t *out) {
    size_t r;
    if (__builtin_add_overflow(a, b, &r)) return false;
    *out = r;
    return true;
}
static inline bool ol_mul_i64(int64_t a, int64_t b, int64_t *out) {
    int64_t r;
    if (__builtin_mul_overflow(a, b, &r)) return false;
    *out = r;
    return true;
}
static inline bool ol_add_i64(int64_t a, int64_t b, int64_t *out) {
    int64_t r;
    if (__builtin_add_overflow(a, b, &r)) return false;
    *out = r;
    return true;
}
/* True when [off, off + size) lies inside [0, len); cannot wrap. */
static inline bool ol_range_ok(uint64_t off, uint64_t size, uint64_t len) {
    return off <= len && size <= len - off;
}
static inline size_t ol_align_up(size_t v, size_t to) { return (v + to - 1) / to * to; }

#endif
