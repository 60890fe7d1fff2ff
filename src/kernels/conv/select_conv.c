/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cpu.h"
#include "kernels/conv/conv.h"

#define X(isa, flags) extern const olk_conv olk_conv__##isa;
#include "kernels/conv/conv.def"
#undef X

static const olk_conv *const variants[] = {
#define X(isa, flags) &olk_conv__##isa,
#include "kernels/conv/conv.def"
#undef X
};
static const uint64_t needs[] = {
#define X(isa, flags) flags,
#include "kernels/conv/conv.def"
#undef X
};

const olk_conv *const *olk_conv_variants(int *count) {
    *count = (int)(sizeof variants / sizeof variants[0]);
    return variants;
}

const olk_conv *olk_conv_select(uint64_t cpu) {
    int i = 0;
    while ((cpu & needs[i]) != needs[i]) i++;
    return variants[i];
}
