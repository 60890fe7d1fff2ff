/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cpu.h"
#include "kernels/attention/attention.h"

#define X(isa, flags) extern const olk_attention olk_attention__##isa;
#include "kernels/attention/attention.def"
#undef X

static const olk_attention *const variants[] = {
#define X(isa, flags) &olk_attention__##isa,
#include "kernels/attention/attention.def"
#undef X
};
static const uint64_t needs[] = {
#define X(isa, flags) flags,
#include "kernels/attention/attention.def"
#undef X
};

const olk_attention *const *olk_attention_variants(size_t *count) {
    *count = sizeof variants / sizeof variants[0];
    return variants;
}

const olk_attention *olk_attention_select(const olk_attention_args *a, uint64_t cpu) {
    int i = 0;
    if (a->kv_dtype != OL_F32 && a->kv_dtype != OL_F16 && a->kv_dtype != OL_I8) return NULL;
    if (a->kv_heads < 1 || a->heads < 1 || a->heads % a->kv_heads || a->head_dim < 1 || a->v_dim < 1) return NULL;
    while ((cpu & needs[i]) != needs[i]) i++;
    return variants[i];
}
