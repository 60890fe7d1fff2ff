/* SPDX-License-Identifier: Apache-2.0 */
/* Elementary functions in f32, our own so that they are the same on every machine and C library.
 *
 * Measured against double over all exponents: exp, log, tanh, sigmoid and erf stay within 2 ulp, erf and tanh near zero and
 * sin and cos up to |x| < 2^17 included (beyond, sin and cos reduce in double). Results that would be subnormal may be
 * flushed gradually as IEEE does. exp(-inf) = 0, exp(>88.73) = inf, log(0) = -inf, log(<0) = NaN; NaN gives NaN.
 * The vector forms of vec_x86.h use the same polynomials; scalar and vector results agree within 2 ulp. */
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
