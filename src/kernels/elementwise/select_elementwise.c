/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cpu.h"
#include "kernels/elementwise/elementwise.h"

#define X(isa, flags) extern const olk_elementwise olk_elementwise__##isa;
#include "kernels/elementwise/elementwise.def"
#undef X

static const olk_elementwise *const variants[] = {
#define X(isa, flags) &olk_elementwise__##isa,
#include "kernels/elementwise/elementwise.def"
#undef X
};
static const uint64_t needs[] = {
#define X(isa, flags) flags,
#include "kernels/elementwise/elementwise.def"
#undef X
};

const olk_elementwise *const *olk_elementwise_variants(int *count) {
    *count = (int)(sizeof variants / sizeof variants[0]);
    return variants;
}

const olk_elementwise *olk_elementwise_select(uint64_t cpu) {
    int i = 0;
    while ((cpu & needs[i]) != needs[i]) i++;
    return variants[i];
}
