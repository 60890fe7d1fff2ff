/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cpu.h"
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char *const names[OL_CPU_N_FLAGS] = {
#define NAME(name, text) text,
    OL_CPU_FLAGS(NAME)
#undef NAME
};

const char *ol_cpu_flag_name(int bit) { return bit >= 0 && bit < OL_CPU_N_FLAGS ? names[bit] : "?"; }

#if defined(__x86_64__)
#include <cpuid.h>

static uint64_t xcr0(void) {
    uint32_t lo, hi;
    __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
    return (uint64_t)hi << 32 | lo;
}

/* The kernel hands out tile state on request, once per process. */
static bool tiles_granted(void) {
    const int request_permission = 0x1023, xtiledata = 18;
    return syscall(SYS_arch_prctl, request_permission, xtiledata) == 0;
}

static uint64_t probe(void) {
    unsigned a, b, c, d;
    uint64_t f = 0;
    if (!__get_cpuid(1, &a, &b, &c, &d)) return 0;
    if (c & (1u << 19)) f |= OL_CPU_(SSE41);
    if (!(c & (1u << 27))) return f; /* no OSXSAVE: no AVX */
    uint64_t x = xcr0();
    bool ymm = (x & 6) == 6, zmm = (x & 0xe6) == 0xe6, tile = (x & 0x60000) == 0x60000;
    if (ymm && (c & (1u << 12))) f |= OL_CPU_(FMA);
    if (ymm && (c & (1u << 29))) f |= OL_CPU_(F16C);
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return f;
    if (ymm && (b & (1u << 5))) f |= OL_CPU_(AVX2);
    if (zmm && (b & (1u << 16))) f |= OL_CPU_(AVX512F);
    if (zmm && (b & (1u << 17))) f |= OL_CPU_(AVX512DQ);
    if (zmm && (b & (1u << 30))) f |= OL_CPU_(AVX512BW);
    if (zmm && (b & (1u << 31))) f |= OL_CPU_(AVX512VL);
    if (zmm && (c & (1u << 1))) f |= OL_CPU_(AVX512VBMI);
    if (zmm && (c & (1u << 11))) f |= OL_CPU_(AVX512VNNI);
    if (zmm && (d & (1u << 23))) f |= OL_CPU_(AVX512FP16);
    bool amx = tile && (d & (1u << 24)) && tiles_granted();
    if (amx) f |= OL_CPU_(AMX_TILE);
    if (amx && (d & (1u << 25))) f |= OL_CPU_(AMX_INT8);
    if (amx && (d & (1u << 22))) f |= OL_CPU_(AMX_BF16);
    if (!__get_cpuid_count(7, 1, &a, &b, &c, &d)) return f;
    if (ymm && (a & (1u << 4))) f |= OL_CPU_(AVX_VNNI);
    if (zmm && (a & (1u << 5))) f |= OL_CPU_(AVX512BF16);
    return f;
}
#elif defined(__aarch64__)
#include <sys/auxv.h>
static uint64_t probe(void) {
    unsigned long h = getauxval(AT_HWCAP), h2 = getauxval(AT_HWCAP2);
    uint64_t f = OL_CPU_(NEON);
    if (h & (1ul << 20)) f |= OL_CPU_(DOTPROD);
    if (h2 & (1ul << 13)) f |= OL_CPU_(I8MM);
    return f;
}
#else
static uint64_t probe(void) { return 0; }
#endif

uint64_t ol_cpu_probe(void) {
    static atomic_uint_fast64_t cached;
    const uint64_t known = 1ull << 63;
    uint64_t v = atomic_load_explicit(&cached, memory_order_relaxed);
    if (!v) {
        v = probe() | known;
        atomic_store_explicit(&cached, v, memory_order_relaxed);
    }
    return v & ~known;
}

bool ol_cpu_limit(const char *isa, uint64_t *flags) {
    uint64_t all = ol_cpu_probe(), amx = OL_CPU_(AMX_TILE) | OL_CPU_(AMX_INT8) | OL_CPU_(AMX_BF16);
    if (!isa || !*isa || !strcmp(isa, "amx")) *flags = all;
    else if (!strcmp(isa, "avx512")) *flags = all & ~amx;
    else if (!strcmp(isa, "avx2")) *flags = all & (OL_ISA_AVX2 | OL_CPU_(SSE41) | OL_CPU_(AVX_VNNI));
    else if (!strcmp(isa, "scalar")) *flags = 0;
    else return false;
    return true;
}

static char brand[64] = "unknown processor";

static void read_brand(void) {
    FILE *f = fopen("/proc/cpuinfo", "r");
    char line[256];
    while (f && fgets(line, sizeof line, f)) {
        char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) || !colon) continue;
        snprintf(brand, sizeof brand, "%.*s", (int)strcspn(colon + 2, "\n"), colon + 2);
        break;
    }
    if (f) fclose(f);
}

const char *ol_cpu_brand(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, read_brand);
    return brand;
}

size_t ol_cpu_cache_bytes(int level) {
    long n = level == 1 ? sysconf(_SC_LEVEL1_DCACHE_SIZE) : level == 2 ? sysconf(_SC_LEVEL2_CACHE_SIZE) : sysconf(_SC_LEVEL3_CACHE_SIZE);
    return n > 0 ? (size_t)n : 0;
}

/* cgroup v2 "cpu.max" (quota period), or the v1 pair; 0 when unlimited. */
static int quota(void) {
    long q = -1, period = 0;
    FILE *f = fopen("/sys/fs/cgroup/cpu.max", "r");
    if (f) {
        if (fscanf(f, "%ld %ld", &q, &period) != 2) q = -1;
        fclose(f);
    } else if ((f = fopen("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "r"))) {
        if (fscanf(f, "%ld", &q) != 1) q = -1;
        fclose(f);
        f = fopen("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "r");
        if (f && fscanf(f, "%ld", &period) != 1) period = 0;
        if (f) fclose(f);
    }
    return q > 0 && period > 0 ? (int)((q + period - 1) / period) : 0;
}

int ol_cpu_usable(void) {
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : (int)sysconf(_SC_NPROCESSORS_ONLN);
    int q = quota();
    if (q > 0 && q < n) n = q;
    return n < 1 ? 1 : n;
}
