/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/softmax/softmax_vec.h"

extern const olk_softmax olk_softmax__avx512;
const olk_softmax olk_softmax__avx512 = {"olk_softmax__avx512", OL_ISA_AVX512, softmax, log_softmax, log_sum_exp, argmax, topk};
