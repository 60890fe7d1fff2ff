/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cpu.h"
#include "kernels/gemm/gemm.h"

#define X(isa, flags) extern const olk_gemm olk_gemm__##isa;
#include "kernels/gemm/gemm.def"
#undef X

static const olk_gemm *const variants[] = {
#define X(isa, flags) &olk_gemm__##isa,
#include "kernels/gemm/gemm.def"
#undef X
};
static const uint64_t needs[] = {
#define X(isa, flags) flags,
#include "kernels/gemm/gemm.def"
#undef X
};

const olk_gemm *const *olk_gemm_variants(int *count) {
    *count = (int)(sizeof variants / sizeof variants[0]);
    return variants;
}

const olk_gemm *olk_gemm_select(uint64_t cpu) {
    int i = 0;
    while ((cpu & needs[i]) != needs[i]) i++;
    return variants[i];
}
