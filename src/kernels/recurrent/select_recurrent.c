/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cpu.h"
#include "kernels/recurrent/recurrent.h"

#define X(isa, flags) extern const olk_recurrent olk_recurrent__##isa;
#include "kernels/recurrent/recurrent.def"
#undef X

static const olk_recurrent *const variants[] = {
#define X(isa, flags) &olk_recurrent__##isa,
#include "kernels/recurrent/recurrent.def"
#undef X
};
static const uint64_t needs[] = {
#define X(isa, flags) flags,
#include "kernels/recurrent/recurrent.def"
#undef X
};

const olk_recurrent *const *olk_recurrent_variants(int *count) {
    *count = (int)(sizeof variants / sizeof variants[0]);
    return variants;
}

const olk_recurrent *olk_recurrent_select(uint64_t cpu) {
    int i = 0;
    while ((cpu & needs[i]) != needs[i]) i++;
    return variants[i];
}
