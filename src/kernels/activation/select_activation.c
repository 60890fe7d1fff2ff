/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cpu.h"
#include "kernels/activation/activation.h"

#define X(isa, flags) extern const olk_activation olk_activation__##isa;
#include "kernels/activation/activation.def"
#undef X

static const olk_activation *const variants[] = {
#define X(isa, flags) &olk_activation__##isa,
#include "kernels/activation/activation.def"
#undef X
};
static const uint64_t needs[] = {
#define X(isa, flags) flags,
#include "kernels/activation/activation.def"
#undef X
};

const olk_activation *const *olk_activation_variants(int *count) {
    *count = (int)(sizeof variants / sizeof variants[0]);
    return variants;
}

const olk_activation *olk_activation_select(uint64_t cpu) {
    int i = 0;
    while ((cpu & needs[i]) != needs[i]) i++;
    return variants[i];
}
