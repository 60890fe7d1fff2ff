/* SPDX-License-Identifier: Apache-2.0 */
/* What this processor can do, probed once, and the upper bound that a user or test sets. */
#ifndef OL_BASE_CPU_H
#define OL_BASE_CPU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* X(name, text) */
#define OL_CPU_FLAGS(X)                                                                            \
    X(SSE41, "sse4.1") X(AVX2, "avx2") X(FMA, "fma") X(F16C, "f16c") X(AVX_VNNI, "avx-vnni")       \
    X(AVX512F, "avx512f") X(AVX512BW, "avx512bw") X(AVX512VL, "avx512vl") X(AVX512DQ, "avx512dq") \
    X(AVX512VBMI, "avx512vbmi") X(AVX512VNNI, "avx512-vnni") X(AVX512BF16, "avx512-bf16")          \
    X(AVX512FP16, "avx512-fp16") X(AMX_TILE, "amx-tile") X(AMX_INT8, "amx-int8")                   \
    X(AMX_BF16, "amx-bf16") X(NEON, "neon") X(DOTPROD, "dotprod") X(I8MM, "i8mm")

enum {
#define OL_CPU_BIT_(name, text) OL_CPU_BIT_##name,
    OL_CPU_FLAGS(OL_CPU_BIT_)
#undef OL_CPU_BIT_
        OL_CPU_N_FLAGS
};
#define OL_CPU_(name) (1ull << OL_CPU_BIT_##name)
/* The sets that kernel variants ask for. */
#define OL_ISA_AVX2 (OL_CPU_(AVX2) | OL_CPU_(FMA) | OL_CPU_(F16C))
#define OL_ISA_AVX512                                                                              \
    (OL_ISA_AVX2 | OL_CPU_(AVX512F) | OL_CPU_(AVX512BW) | OL_CPU_(AVX512VL) | OL_CPU_(AVX512DQ))
#define OL_ISA_VNNI (OL_ISA_AVX512 | OL_CPU_(AVX512VNNI))
#define OL_ISA_BF16 (OL_ISA_VNNI | OL_CPU_(AVX512BF16))
#define OL_ISA_AMX (OL_ISA_VNNI | OL_CPU_(AMX_TILE) | OL_CPU_(AMX_INT8) | OL_CPU_(AMX_BF16))

/* Flags of the machine (what the OS enabled too), probed once. */
uint64_t ol_cpu_probe(void);
/* Flags under an upper bound: "scalar", "avx2", "avx512", "amx", or NULL/"" for all. False if unknown. */
bool ol_cpu_limit(const char *isa, uint64_t *flags);
const char *ol_cpu_flag_name(int bit);
/* Brand text of the processor, and cache sizes in bytes (0 when unknown). */
const char *ol_cpu_brand(void);
size_t ol_cpu_cache_bytes(int level);
/* Processors this process may use: affinity and cgroup quota taken into account; at least 1. */
int ol_cpu_usable(void);

#endif
