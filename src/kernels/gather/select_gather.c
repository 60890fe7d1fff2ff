/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cpu.h"
#include "kernels/gather/gather.h"

#define X(isa, flags) extern const olk_gather olk_gather__##isa;
#include "kernels/gather/gather.def"
#undef X

static const olk_gather *const variants[] = {
#define X(isa, flags) &olk_gather__##isa,
#include "kernels/gather/gather.def"
#undef X
};
static const uint64_t needs[] = {
#define X(isa, flags) flags,
#include "kernels/gather/gather.def"
#undef X
};

const olk_gather *const *olk_gather_variants(int *count) {
    *count = (int)(sizeof variants / sizeof variants[0]);
    return variants;
}

const olk_gather *olk_gather_select(uint64_t cpu) {
    int i = 0;
    while ((cpu & needs[i]) != needs[i]) i++;
    return variants[i];
}
