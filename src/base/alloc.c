/* SPDX-License-Identifier: Apache-2.0 */
#include "base/alloc.h"
#include "base/checked.h"
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define HUGE_BYTES ((size_t)2 << 20)

static atomic_uint_fast64_t n_calls;
static atomic_uint_fast64_t fail_at; /* call number that fails; 0: none */
static atomic_bool fail_after;

static bool must_fail(void) {
    uint64_t n = atomic_fetch_add_explicit(&n_calls, 1, memory_order_relaxed) + 1;
    uint64_t at = atomic_load_explicit(&fail_at, memory_order_relaxed);
    if (at == 0 || n < at) return false;
    return n == at || atomic_load_explicit(&fail_after, memory_order_relaxed);
}

void ol_alloc_fail_at(uint64_t n, bool all_after) {
    atomic_store(&fail_after, all_after);
    atomic_store(&fail_at, n ? atomic_load(&n_calls) + n : 0);
}

uint64_t ol_alloc_count(void) { return atomic_load_explicit(&n_calls, memory_order_relaxed); }

void *ol_alloc(size_t bytes) { return must_fail() ? NULL : malloc(bytes ? bytes : 1); }

void *ol_calloc(size_t count, size_t bytes_each) {
    size_t n;
    if (must_fail() || !ol_mul_size(count, bytes_each, &n)) return NULL;
    return calloc(1, n ? n : 1);
}

void *ol_realloc(void *p, size_t bytes) { return must_fail() ? NULL : realloc(p, bytes ? bytes : 1); }

void ol_free(void *p) { free(p); }

void *ol_alloc_aligned(size_t bytes) {
    if (must_fail() || bytes > SIZE_MAX - HUGE_BYTES) return NULL;
    bool huge = bytes >= 2 * HUGE_BYTES;
    size_t align = huge ? HUGE_BYTES : 64, size = ol_align_up(bytes ? bytes : 1, 64);
    void *p = aligned_alloc(align, ol_align_up(size, align));
    if (p && huge) madvise(p, size, MADV_HUGEPAGE);
    return p;
}

void ol_free_aligned(void *p) { free(p); }
