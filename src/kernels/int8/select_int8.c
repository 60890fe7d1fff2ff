/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cpu.h"
#include "kernels/int8/int8.h"

#define X(isa, flags) extern const olk_int8 olk_int8__##isa;
#include "kernels/int8/int8.def"
#undef X

static const olk_int8 *const variants[] = {
#define X(isa, flags) &olk_int8__##isa,
#include "kernels/int8/int8.def"
#undef X
};
static const uint64_t needs[] = {
#define X(isa, flags) flags,
#include "kernels/int8/int8.def"
#undef X
};

const olk_int8 *const *olk_int8_variants(int *count) {
    *count = (int)(sizeof variants / sizeof variants[0]);
    return variants;
}

const olk_int8 *olk_int8_select(uint64_t cpu) {
    int i = 0;
    while ((cpu & needs[i]) != needs[i]) i++;
    return variants[i];
}
