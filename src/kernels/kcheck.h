/* SPDX-License-Identifier: Apache-2.0 */
/* The frame in which kcheck (tools/kcheck) tries every kernel variant against scalar code over random cases. A kernel
 * family takes part with one file tools/kcheck/check_<family>.c that defines `const kc_family kc_family_<family>`, and
 * one line in tools/kcheck/kcheck.def.
 *
 * check() runs one case: it draws shapes and values from `k`, takes all buffers from kc_alloc (guard pages on both
 * sides), runs the variant and an obvious reference, and compares. It reports with kc_fail or kc_compare_f32; buffers
 * are freed by the frame. A crash in it is caught and reported as a failure. All variants of a family see the same cases
 * (drawn values depend on the seed, the family and the number of the case), if check() draws the same way for all. */
#ifndef OLK_KCHECK_H
#define OLK_KCHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct kc kc;

typedef struct kc_variant {
    const char *name;
    uint64_t cpu; /* OL_CPU_ flags needed; a machine without them skips the variant */
} kc_variant;

typedef struct kc_family {
    const char *name;
    size_t (*count)(void);
    kc_variant (*variant)(size_t i);
    void (*check)(kc *k, size_t variant);
    void (*bench)(kc *k, size_t variant); /* NULL: none */
} kc_family;

/* ---- random numbers ---- */

uint64_t kc_u64(kc *k);
int64_t kc_int(kc *k, int64_t lo, int64_t hi); /* both included */
bool kc_chance(kc *k, int one_in);
/* A size in [0, max] that likes 0, 1, and multiples of tile with -1, 0, +1. */
int64_t kc_size(kc *k, int64_t tile, int64_t max);
float kc_float(kc *k); /* in [-1, 1) */

typedef enum kc_values {
    KC_NORMAL,  /* [-1, 1), some larger */
    KC_WIDE,    /* magnitudes over the whole range, no infinities */
    KC_TINY,    /* denormals and zeros among normal values */
    KC_SPECIAL, /* NaN, infinities, denormals and zeros of both signs among normal values */
    KC_ZERO
} kc_values;
kc_values kc_any_values(kc *k); /* mostly KC_NORMAL */
void kc_fill_f32(kc *k, float *x, size_t n, kc_values kind);
void kc_fill_bytes(kc *k, void *p, size_t n);
/* Normal values in any float type of tensor/dtype.h. */
void kc_fill_typed(kc *k, int dtype, void *p, size_t n, float magnitude);

/* ---- guarded memory ---- */

/* `bytes` bytes whose address is a multiple of align plus skew (0 <= skew < align; align a power of two up to 4096),
 * close to a guard page on one side (which side is drawn) and with canaries up to the guards; freed after the case.
 * Filled with a pattern that is NaN as f32. Zero bytes give a pointer whose every access faults (or hits a canary). */
void *kc_alloc(kc *k, size_t bytes, size_t align, size_t skew);
/* Makes a buffer read-only until the end of the case. */
void kc_protect(kc *k, void *p);

/* ---- verdicts ---- */

/* Says what this case is about ("m 3 n 17 k 100 f16"); shown when it fails. */
void kc_describe(kc *k, const char *format, ...) __attribute__((format(printf, 2, 3)));
void kc_fail(kc *k, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* got within tolerance of want: |got - want| <= absolute + relative * |want|; NaN equals NaN, infinities their like.
 * False, and reported with its index, at the first that is not. */
bool kc_compare_f32(kc *k, const char *what, const float *got, const double *want, size_t n, double absolute,
                    double relative);
/* Bit for bit; NaNs of any payload are equal. */
bool kc_same_f32(kc *k, const char *what, const float *a, const float *b, size_t n);

/* ---- benchmarks ---- */

typedef void kc_bench_fn(void *ctx);
/* Seconds of one call: the median of several rounds of at least 20 ms, after a warm-up. */
double kc_time(kc *k, kc_bench_fn *fn, void *ctx);
/* One line: shape, microseconds, GB/s for bytes moved, GOP/s for ops (either may be 0). */
void kc_report(kc *k, double seconds, double bytes, double ops, const char *shape, ...)
    __attribute__((format(printf, 5, 6)));
/* Memory for benchmarks: 64-byte aligned, huge pages if possible, freed after the benchmark. NULL when there is none. */
void *kc_bench_alloc(kc *k, size_t bytes);

#endif
