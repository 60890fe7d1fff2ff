/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/linear/narrow.h"
#include "base/cpu.h"
#include "tensor/dtype.h"

bool olk_narrow_f16(const float *x, uint16_t *y, size_t n) {
#if defined(__x86_64__)
    if ((ol_cpu_probe() & OL_ISA_AVX2) == OL_ISA_AVX2) return olk_narrow_f16__avx2(x, y, n); /* the same bits, faster */
#endif
    for (size_t i = 0; i < n; i++) {
        y[i] = ol_f32_to_f16(x[i]);
        if (ol_f16_to_f32(y[i]) != x[i]) return false;
    }
    return true;
}
