/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cpu.h"
#include "kernels/softmax/softmax.h"

#define X(isa, flags) extern const olk_softmax olk_softmax__##isa;
#include "kernels/softmax/softmax.def"
#undef X

static const olk_softmax *const variants[] = {
#define X(isa, flags) &olk_softmax__##isa,
#include "kernels/softmax/softmax.def"
#undef X
};
static const uint64_t needs[] = {
#define X(isa, flags) flags,
#include "kernels/softmax/softmax.def"
#undef X
};

const olk_softmax *const *olk_softmax_variants(int *count) {
    *count = (int)(sizeof variants / sizeof variants[0]);
    return variants;
}

const olk_softmax *olk_softmax_select(uint64_t cpu) {
    int i = 0;
    while ((cpu & needs[i]) != needs[i]) i++;
    return variants[i];
}
