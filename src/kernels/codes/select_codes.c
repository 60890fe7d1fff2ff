/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cpu.h"
#include "kernels/codes/codes.h"

#define X(isa, flags) extern const olk_codes olk_codes__##isa;
#include "kernels/codes/codes.def"
#undef X

static const olk_codes *const variants[] = {
#define X(isa, flags) &olk_codes__##isa,
#include "kernels/codes/codes.def"
#undef X
};
static const uint64_t needs[] = {
#define X(isa, flags) flags,
#include "kernels/codes/codes.def"
#undef X
};

const olk_codes *const *olk_codes_variants(int *count) {
    *count = (int)(sizeof variants / sizeof variants[0]);
    return variants;
}

const olk_codes *olk_codes_select(uint64_t cpu) {
    int i = 0;
    while ((cpu & needs[i]) != needs[i]) i++;
    return variants[i];
}
