/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/lowrank/lowrank_vec.h"

extern const olk_lowrank olk_lowrank__avx512;
const olk_lowrank olk_lowrank__avx512 = {"olk_lowrank__avx512", OL_ISA_AVX512, add};
