/* SPDX-License-Identifier: Apache-2.0 */
/* Elementary functions in f32, our own so that they are the same on every machine and C library.
 *
 * The scalar forms are evaluated in double and within 0.51 ulp of the exact value (erf, sin and cos: 1 ulp); the vector forms of
 * vec_x86.h are within 2.5 ulp. Vector results below the normal range may be 0. exp(-inf) = 0, exp(> 88.73) = inf,
 * log(0) = -inf, log(< 0) = NaN; NaN gives NaN. tests/unit/kernels/test_math.c measures these bounds. */
#ifndef OLK_MATH_H
#define OLK_MATH_H

float olk_exp(float x);
float olk_expm1(float x);
float olk_log(float x);
float olk_log1p(float x);
float olk_tanh(float x);
float olk_sigmoid(float x);
float olk_erf(float x);
float olk_sin(float x);
float olk_cos(float x);

#endif
