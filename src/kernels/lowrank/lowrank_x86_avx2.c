/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/lowrank/lowrank_vec.h"

extern const olk_lowrank olk_lowrank__avx2;
const olk_lowrank olk_lowrank__avx2 = {"olk_lowrank__avx2", OL_ISA_AVX2, add};
