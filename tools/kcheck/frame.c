/* SPDX-License-Identifier: Apache-2.0 */
/* One case at a time: random numbers, guarded buffers, verdicts, and catching of crashes. */
#include "frame.h"
#include "tensor/dtype.h"
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define PAGE 4096u
#define CANARY 0xa5

/* ---- random numbers (splitmix64) ---- */

uint64_t kc_u64(kc *k) {
    uint64_t z = (k->state += 0x9e3779b97f4a7c15u);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

int64_t kc_int(kc *k, int64_t lo, int64_t hi) { return lo + (int64_t)(kc_u64(k) % (uint64_t)(hi - lo + 1)); }
bool kc_chance(kc *k, int one_in) { return kc_u64(k) % (uint64_t)one_in == 0; }
float kc_float(kc *k) { return (float)((double)(kc_u64(k) >> 40) / (1 << 23) - 1.0); }

int64_t kc_size(kc *k, int64_t tile, int64_t max) {
    int64_t v;
    switch (kc_int(k, 0, 5)) {
    case 0: v = kc_int(k, 0, 2); break;
    case 1: v = tile + kc_int(k, -1, 1); break;
    case 2: v = tile * kc_int(k, 1, max / tile > 1 ? max / tile : 1) + kc_int(k, -1, 1); break;
    case 3: v = kc_int(k, 0, tile); break;
    default: v = kc_int(k, 0, max); break;
    }
    return v < 0 ? 0 : v > max ? max : v;
}

kc_values kc_any_values(kc *k) {
    int64_t v = kc_int(k, 0, 15);
    return v < 12 ? KC_NORMAL : v == 12 ? KC_WIDE : v == 13 ? KC_TINY : v == 14 ? KC_SPECIAL : KC_ZERO;
}

static float bits_float(uint32_t u) {
    float f;
    memcpy(&f, &u, 4);
    return f;
}

static float special(kc *k) {
    static const uint32_t bits[] = {0x7fc00000, 0xffc12345, 0x7f800000, 0xff800000, 0x80000000, 0, 1, 0x807fffff};
    return bits_float(bits[kc_int(k, 0, 7)]);
}

void kc_fill_f32(kc *k, float *x, size_t n, kc_values kind) {
    for (size_t i = 0; i < n; i++) {
        float v = kc_float(k);
        switch (kind) {
        case KC_NORMAL: v = kc_chance(k, 50) ? v * 30 : v; break;
        case KC_WIDE: v = ldexpf(v, (int)kc_int(k, -120, 120)); break;
        case KC_TINY: v = kc_chance(k, 2) ? bits_float((uint32_t)kc_u64(k) & 0x807fffffu) : v; break;
        case KC_SPECIAL: v = kc_chance(k, 40) ? special(k) : v; break;
        default: v = 0; break;
        }
        x[i] = v;
    }
}

void kc_fill_bytes(kc *k, void *p, size_t n) {
    for (size_t i = 0; i < n; i++) ((uint8_t *)p)[i] = (uint8_t)(kc_u64(k) >> 32);
}

void kc_fill_typed(kc *k, int dtype, void *p, size_t n, float magnitude) {
    for (size_t i = 0; i < n; i++) ol_elem_set((ol_dtype)dtype, p, i, (double)(kc_float(k) * magnitude));
}

/* ---- guarded memory: [guard | canary | data | canary | guard] ---- */

void *kc_alloc(kc *k, size_t bytes, size_t align, size_t skew) {
    if (k->n_buffers == KC_MAX_BUFFERS) {
        kc_fail(k, "the case takes more than %d buffers", KC_MAX_BUFFERS);
        return NULL;
    }
    kc_buffer *b = &k->buffers[k->n_buffers];
    size_t room = (bytes + align + skew + PAGE - 1) / PAGE * PAGE;
    b->map_bytes = room + 2 * PAGE;
    b->map = mmap(NULL, b->map_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (b->map == MAP_FAILED) {
        kc_fail(k, "no memory for a buffer of %zu bytes", bytes);
        return NULL;
    }
    k->n_buffers++;
    mprotect(b->map, PAGE, PROT_NONE);
    mprotect(b->map + PAGE + room, PAGE, PROT_NONE);
    memset(b->map + PAGE, CANARY, room);
    size_t at = skew; /* close to the first guard, or as close to the last as alignment allows */
    if (kc_chance(k, 2)) at = (room - bytes - skew) / align * align + skew;
    b->data = b->map + PAGE + at;
    b->bytes = bytes;
    b->guarded = true;
    memset(b->data, 0xff, bytes);
    return b->data;
}

void kc_protect(kc *k, void *p) {
    for (int i = 0; i < k->n_buffers; i++)
        if (k->buffers[i].data == p)
            mprotect(k->buffers[i].map + PAGE, k->buffers[i].map_bytes - 2 * PAGE, PROT_READ);
}

void *kc_bench_alloc(kc *k, size_t bytes) {
    if (k->n_buffers == KC_MAX_BUFFERS) return NULL;
    kc_buffer *b = &k->buffers[k->n_buffers];
    size_t huge = (size_t)2 << 20;
    *b = (kc_buffer){.map_bytes = bytes + huge, .bytes = bytes};
    b->map = mmap(NULL, b->map_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (b->map == MAP_FAILED) return NULL;
    k->n_buffers++;
    b->data = (uint8_t *)(((uintptr_t)b->map + huge - 1) / huge * huge);
    madvise(b->data, bytes, MADV_HUGEPAGE);
    return b->data;
}

static bool canaries_intact(const kc_buffer *b) {
    const uint8_t *p = b->map + PAGE, *end = b->map + b->map_bytes - PAGE;
    for (; p < end; p++)
        if ((p < b->data || p >= b->data + b->bytes) && *p != CANARY) return false;
    return true;
}

void kc_begin(kc *k, uint64_t seed) {
    k->state = seed;
    k->n_buffers = 0;
    k->about[0] = k->failure[0] = 0;
}

void kc_end(kc *k) {
    for (int i = 0; i < k->n_buffers; i++) {
        kc_buffer *b = &k->buffers[i];
        if (b->guarded && !k->failure[0] && !canaries_intact(b))
            kc_fail(k, "wrote outside of buffer %d (%zu bytes)", i, b->bytes);
        munmap(b->map, b->map_bytes);
    }
    k->n_buffers = 0;
}

/* ---- verdicts ---- */

void kc_describe(kc *k, const char *format, ...) {
    va_list ap;
    va_start(ap, format);
    vsnprintf(k->about, sizeof k->about, format, ap);
    va_end(ap);
}

void kc_fail(kc *k, const char *format, ...) {
    if (k->failure[0]) return; /* the first one counts */
    va_list ap;
    va_start(ap, format);
    vsnprintf(k->failure, sizeof k->failure, format, ap);
    va_end(ap);
}

static bool close_enough(float got, double want, double absolute, double relative) {
    if (isnan(want)) return isnan(got);
    if (isnan(got)) return false;
    if (isinf(want) || isinf(got)) return (double)got == want || (float)want == got;
    return fabs((double)got - want) <= absolute + relative * fabs(want);
}

bool kc_compare_f32(kc *k, const char *what, const float *got, const double *want, size_t n, double absolute,
                    double relative) {
    for (size_t i = 0; i < n; i++) {
        if (close_enough(got[i], want[i], absolute, relative)) continue;
        kc_fail(k, "%s[%zu] is %.9g, expected %.9g (off by %.3g)", what, i, (double)got[i], want[i],
                fabs((double)got[i] - want[i]));
        return false;
    }
    return true;
}

bool kc_same_f32(kc *k, const char *what, const float *a, const float *b, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (!memcmp(a + i, b + i, 4) || (isnan(a[i]) && isnan(b[i]))) continue;
        kc_fail(k, "%s[%zu] is %.9g, expected the same bits as %.9g", what, i, (double)a[i], (double)b[i]);
        return false;
    }
    return true;
}

/* ---- running, with crashes caught ---- */

static sigjmp_buf crash_jump;
static volatile sig_atomic_t crash_armed;

static void on_crash(int sig) {
    if (crash_armed) siglongjmp(crash_jump, sig);
    signal(sig, SIG_DFL);
    raise(sig);
}

bool kc_run_case(kc *k, const kc_family *f, size_t variant, uint64_t seed) {
    struct sigaction sa = {.sa_handler = on_crash, .sa_flags = SA_NODEFER};
    static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE};
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) sigaction(signals[i], &sa, NULL);
    kc_begin(k, seed);
    int sig = sigsetjmp(crash_jump, 1);
    if (sig == 0) {
        crash_armed = 1;
        f->check(k, variant);
    } else {
        kc_fail(k, "crashed: %s", sig == SIGILL ? "an instruction this machine lacks" : strsignal(sig));
    }
    crash_armed = 0;
    kc_end(k);
    return !k->failure[0];
}

/* ---- benchmarks ---- */

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double time_calls(kc_bench_fn *fn, void *ctx, long calls) {
    double start = now();
    for (long i = 0; i < calls; i++) fn(ctx);
    return (now() - start) / (double)calls;
}

double kc_time(kc *k, kc_bench_fn *fn, void *ctx) {
    enum { ROUNDS = 7 };
    (void)k;
    double once = time_calls(fn, ctx, 1), t[ROUNDS];
    long calls = once > 0.02 ? 1 : (long)(0.02 / (once > 1e-9 ? once : 1e-9)) + 1;
    for (int i = 0; i < ROUNDS; i++) t[i] = time_calls(fn, ctx, calls);
    for (int i = 1; i < ROUNDS; i++)
        for (int j = i; j > 0 && t[j] < t[j - 1]; j--) {
            double swap = t[j];
            t[j] = t[j - 1];
            t[j - 1] = swap;
        }
    return t[ROUNDS / 2];
}

void kc_report(kc *k, double seconds, double bytes, double ops, const char *shape, ...) {
    char text[128];
    va_list ap;
    va_start(ap, shape);
    vsnprintf(text, sizeof text, shape, ap);
    va_end(ap);
    printf("%-38s %-36s %11.2f us", k->variant, text, seconds * 1e6);
    if (bytes > 0) printf(" %8.1f GB/s", bytes / seconds * 1e-9);
    if (ops > 0) printf(" %9.1f GOP/s", ops / seconds * 1e-9);
    putchar('\n');
    fflush(stdout);
}
