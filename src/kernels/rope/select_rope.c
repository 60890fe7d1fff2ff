/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cpu.h"
#include "kernels/rope/rope.h"

#define X(isa, flags) extern const olk_rope olk_rope__##isa;
#include "kernels/rope/rope.def"
#undef X

static const olk_rope *const variants[] = {
#define X(isa, flags) &olk_rope__##isa,
#include "kernels/rope/rope.def"
#undef X
};
static const uint64_t needs[] = {
#define X(isa, flags) flags,
#include "kernels/rope/rope.def"
#undef X
};

const olk_rope *const *olk_rope_variants(int *count) {
    *count = (int)(sizeof variants / sizeof variants[0]);
    return variants;
}

const olk_rope *olk_rope_select(uint64_t cpu) {
    int i = 0;
    while ((cpu & needs[i]) != needs[i]) i++;
    return variants[i];
}
