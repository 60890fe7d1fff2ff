/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cpu.h"
#include "kernels/quantize/quantize.h"

#define X(isa, flags) extern const olk_quantize olk_quantize__##isa;
#include "kernels/quantize/quantize.def"
#undef X

static const olk_quantize *const variants[] = {
#define X(isa, flags) &olk_quantize__##isa,
#include "kernels/quantize/quantize.def"
#undef X
};
static const uint64_t needs[] = {
#define X(isa, flags) flags,
#include "kernels/quantize/quantize.def"
#undef X
};

const olk_quantize *const *olk_quantize_variants(int *count) {
    *count = (int)(sizeof variants / sizeof variants[0]);
    return variants;
}

const olk_quantize *olk_quantize_select(uint64_t cpu) {
    int i = 0;
    while ((cpu & needs[i]) != needs[i]) i++;
    return variants[i];
}
