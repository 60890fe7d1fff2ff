/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cpu.h"
#include "kernels/norm/norm.h"

#define X(isa, flags) extern const olk_norm olk_norm__##isa;
#include "kernels/norm/norm.def"
#undef X

static const olk_norm *const variants[] = {
#define X(isa, flags) &olk_norm__##isa,
#include "kernels/norm/norm.def"
#undef X
};
static const uint64_t needs[] = {
#define X(isa, flags) flags,
#include "kernels/norm/norm.def"
#undef X
};

const olk_norm *const *olk_norm_variants(int *count) {
    *count = (int)(sizeof variants / sizeof variants[0]);
    return variants;
}

const olk_norm *olk_norm_select(uint64_t cpu) {
    int i = 0;
    while ((cpu & needs[i]) != needs[i]) i++;
    return variants[i];
}
