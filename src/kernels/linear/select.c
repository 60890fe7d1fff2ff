/* SPDX-License-Identifier: Apache-2.0 */
/* Choice of a linear-layer variant: the first of linear.def that the machine, the rows and the weight allow. */
#include "kernels/linear/variants.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define OLK_ANY(name) &olk_linear_##name,
#if defined(__x86_64__)
#define OLK_X86(name) &olk_linear_##name,
#else
#define OLK_X86(name)
#endif
#if defined(__aarch64__)
#define OLK_ARM(name) &olk_linear_##name,
#else
#define OLK_ARM(name)
#endif
static const olk_linear *const variants[] = {
#include "kernels/linear/linear.def"
};
#define N_VARIANTS (sizeof variants / sizeof *variants)

const olk_linear *const *olk_linear_variants(size_t *count) {
    *count = N_VARIANTS;
    return variants;
}

/* Appends one line "name: reason" as far as it fits. */
static void refuse(char *why, size_t size, const char *name, const char *format, ...) {
    if (!why || !size) return;
    size_t at = strlen(why);
    int n = snprintf(why + at, size - at, "%s%s: ", at ? "\n" : "", name);
    if (n < 0 || (size_t)n >= size - at) return;
    va_list ap;
    va_start(ap, format);
    vsnprintf(why + at + n, size - at - (size_t)n, format, ap);
    va_end(ap);
}

/* Float activations serve every precision but OLK_REPRO; others only their own. Quantized weights have no bf16 form of their own yet
 * other than those that say OLK_BF16. */
static bool precision_ok(const olk_linear *v, olk_precision p) {
    if (p == OLK_REPRO) return v->in_order;
    return v->precision == OLK_F32 || v->precision == p;
}

const olk_linear *olk_linear_select(const olk_weight *w, int64_t m, olk_precision p, uint64_t cpu, char *why,
                                    size_t why_size) {
    if (why && why_size) *why = 0;
    for (size_t i = 0; i < N_VARIANTS; i++) {
        const olk_linear *v = variants[i];
        if (!precision_ok(v, p)) continue;
        if (!v->accepts(w))
            refuse(why, why_size, v->name, "not for this weight");
        else if (m < v->min_m || m > v->max_m)
            refuse(why, why_size, v->name, "made for %lld to %lld rows", (long long)v->min_m, (long long)v->max_m);
        else if (v->cpu & ~cpu)
            refuse(why, why_size, v->name, "no %s", ol_cpu_flag_name(__builtin_ctzll(v->cpu & ~cpu)));
        else
            return v;
    }
    return NULL;
}
