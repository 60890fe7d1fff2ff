/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cpu.h"
#include "kernels/lowrank/lowrank.h"

#define X(isa, flags) extern const olk_lowrank olk_lowrank__##isa;
#include "kernels/lowrank/lowrank.def"
#undef X

static const olk_lowrank *const variants[] = {
#define X(isa, flags) &olk_lowrank__##isa,
#include "kernels/lowrank/lowrank.def"
#undef X
};

const olk_lowrank *const *olk_lowrank_variants(int *count) {
    *count = (int)(sizeof variants / sizeof variants[0]);
    return variants;
}

const olk_lowrank *olk_lowrank_select(uint64_t cpu) {
    int i = 0;
    while ((cpu & variants[i]->cpu) != variants[i]->cpu) i++;
    return variants[i];
}
