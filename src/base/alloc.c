/* SPDX-License-Identifier: Apache-2.0 */
#include "base/alloc.h"
#include "base/checked.h"
#include <malloc.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

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

/* ---- big blocks ---- */

static atomic_size_t held;  /* bytes of all big blocks, as the heap counts them */
static atomic_size_t limit; /* 0: not asked for yet */

static size_t read_number(const char *path) {
    FILE *f = fopen(path, "r");
    unsigned long long v = 0;
    if (!f) return SIZE_MAX;
    if (fscanf(f, "%llu", &v) != 1 || v == 0) v = SIZE_MAX; /* "max" */
    fclose(f);
    return v > SIZE_MAX ? SIZE_MAX : (size_t)v;
}

size_t ol_alloc_limit(void) {
    size_t l = atomic_load(&limit);
    if (l) return l;
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    l = pages > 0 && page > 0 ? (size_t)pages * (size_t)page : SIZE_MAX;
    const char *const groups[] = {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"};
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
        size_t g = read_number(groups[i]);
        if (g < l) l = g;
    }
    l -= l / 8;
    atomic_store(&limit, l);
    return l;
}

void ol_alloc_set_limit(size_t bytes) { atomic_store(&limit, bytes); }

static bool is_big(size_t bytes) { return bytes >= 2 * HUGE_BYTES; }

static void *alloc_big(size_t size) {
    if (size > ol_alloc_limit() || atomic_load(&held) > ol_alloc_limit() - size) return NULL;
    void *p = aligned_alloc(HUGE_BYTES, ol_align_up(size, HUGE_BYTES));
    if (!p) return NULL;
    atomic_fetch_add(&held, malloc_usable_size(p));
    madvise(p, size, MADV_HUGEPAGE);
    return p;
}

void *ol_alloc_aligned(size_t bytes) {
    if (must_fail() || bytes > SIZE_MAX - HUGE_BYTES) return NULL;
    size_t size = ol_align_up(bytes ? bytes : 1, 64);
    return is_big(size) ? alloc_big(size) : aligned_alloc(64, size);
}

/* Small blocks never count as big ones: their usable size is at most a few words above what was asked for. */
void ol_free_aligned(void *p) {
    size_t usable = p ? malloc_usable_size(p) : 0;
    if (is_big(usable) && ((uintptr_t)p & (HUGE_BYTES - 1)) == 0) atomic_fetch_sub(&held, usable);
    free(p);
}
