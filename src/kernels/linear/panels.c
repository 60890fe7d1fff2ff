/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/linear/panels.h"

static const olk_panels *const all[] = {
#if defined(__x86_64__)
    &olk_panels__avx512, &olk_panels__avx2,
#endif
    NULL};

const olk_panels *olk_panels_find(const olk_linear *variant, const olk_weight *w) {
    if (w->q) return NULL;
    for (const olk_panels *const *p = all; *p; p++)
        if ((*p)->variant == variant) return *p;
    return NULL;
}
