/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/linear/narrow.h"
#include "base/cpu.h"
#include "tensor/dtype.h"
#include <string.h>

bool olk_narrow_f16(const float *x, uint16_t *y, size_t n) {
#if defined(__x86_64__)
    if ((ol_cpu_probe() & OL_ISA_AVX2) == OL_ISA_AVX2) return olk_narrow_f16__avx2(x, y, n); /* the same bits, faster */
#endif
    for (size_t i = 0; i < n; i++) {
        float v;
        memcpy(&v, (const char *)x + i * sizeof v, sizeof v); /* files place scales where they like */
        y[i] = ol_f32_to_f16(v);
        if (ol_f16_to_f32(y[i]) != v) return false;
    }
    return true;
}
