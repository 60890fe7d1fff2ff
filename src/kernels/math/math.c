/* SPDX-License-Identifier: Apache-2.0 */
/* Evaluated in double with series whose remainder is far below half an ulp of f32, so that results are correctly rounded
 * but for rare ties (erf: a fit, within 1 ulp). */
#include "kernels/math/math.h"
#include <math.h>
#include <stdint.h>
#include <string.h>

#define LN2 0.693147180559945309417
#define INV_LN2 1.44269504088896340736

/* 2^n for -1022 <= n <= 1023. */
static inline double power_of_two(int n) {
    uint64_t u = (uint64_t)(n + 1023) << 52;
    double d;
    memcpy(&d, &u, sizeof d);
    return d;
}

/* Taylor series; |r| <= ln(2) / 2 leaves a remainder of 2e-13. */
static inline double exp_series(double r) {
    static const double c[] = {1.0 / 3628800, 1.0 / 362880, 1.0 / 40320, 1.0 / 5040, 1.0 / 720, 1.0 / 120,
                               1.0 / 24,      1.0 / 6,      0.5,         1.0,        1.0};
    double s = c[0];
    for (int i = 1; i < 11; i++) s = s * r + c[i];
    return s;
}

static inline double exp_double(double x) {
    if (x > 700) x = 700;
    if (x < -700) x = -700;
    double n = floor(x * INV_LN2 + 0.5);
    return exp_series(x - n * LN2) * power_of_two((int)n);
}

float olk_exp(float x) {
    return x != x ? x : (float)exp_double(x);
}

/* e^x - 1 = r + r^2/2 + ... where the subtraction would cancel. */
static inline double expm1_double(double x) {
    if (x < -0.25 || x > 0.25) return exp_double(x) - 1;
    double s = 1.0 / 3628800;
    static const double c[] = {1.0 / 362880, 1.0 / 40320, 1.0 / 5040, 1.0 / 720, 1.0 / 120, 1.0 / 24, 1.0 / 6, 0.5, 1.0};
    for (int i = 0; i < 9; i++) s = s * x + c[i];
    return s * x;
}

float olk_expm1(float x) {
    return x != x ? x : (float)expm1_double(x);
}

/* log(m) = 2 atanh(s) with s = (m - 1) / (m + 1); m in [sqrt(1/2), sqrt(2)], so |s| < 0.172. */
static double log_double(double x) {
    int e;
    double m = frexp(x, &e);
    if (m < 0.70710678118654752440) {
        m += m;
        e--;
    }
    double s = (m - 1) / (m + 1), z = s * s, t = 1.0 / 17;
    for (int k = 15; k >= 1; k -= 2) t = t * z + 1.0 / k;
    return 2 * s * t + e * LN2;
}

float olk_log(float x) {
    if (x != x || x < 0) return NAN;
    if (x == 0) return -INFINITY;
    return x == INFINITY ? x : (float)log_double(x);
}

float olk_log1p(float x) {
    if (x != x || x < -1) return NAN;
    if (x == -1) return -INFINITY;
    if (x == INFINITY) return x;
    if (x > -1e-4f && x < 1e-4f) return (float)(x * (1 - x * (0.5 - (double)x / 3)));
    return (float)log_double(1 + (double)x);
}

float olk_tanh(float x) {
    if (x != x) return x;
    double a = fabs(x), e = expm1_double(-2 * a);
    return (float)copysign(-e / (e + 2), x);
}

float olk_sigmoid(float x) {
    return x != x ? x : (float)(1 / (1 + exp_double(-(double)x)));
}

/* |x| < 1: x p(x^2); above: 1 - exp(-q(|x|)), q fitted to -log(erfc). Minimax fits; the coefficients' nine
 * digits bound the error at 1e-8. */
float olk_erf(float x) {
    static const double p[] = {-9.641516044e-06, 1.125694762e-04, -8.482828853e-04, 5.220945459e-03,
                               -2.686540037e-02, 1.128378212e-01, -3.761263788e-01, 1.128379167e+00};
    static const double q[] = {2.169760410e-05, -4.414724826e-04, 4.205283243e-03, -2.521033399e-02,
                               1.084220931e-01, 6.332163811e-01,  1.129580259e+00, -1.884659432e-04};
    if (x != x) return x;
    double a = fabs(x), z = a < 1 ? a * a : a < 4 ? a : 4, s = 0;
    const double *c = a < 1 ? p : q;
    for (int i = 0; i < 8; i++) s = s * z + c[i];
    return (float)copysign(a < 1 ? a * s : a < 4 ? 1 - exp_double(-s) : 1, x);
}

/* Reduced by multiples of pi/2 in double: exact enough to 2^17; beyond, the C library reduces. */
static double reduce(double x, int *quadrant) {
    double n = floor(x * 0.63661977236758134308 + 0.5);
    *quadrant = (int)((int64_t)n & 3);
    return (x - n * 1.57079632679489655800) - n * 6.12323399573676603587e-17;
}
static double sin_series(double r) {
    double z = r * r;
    return r * (1 + z * (-1.0 / 6 + z * (1.0 / 120 + z * (-1.0 / 5040 + z * (1.0 / 362880 - z / 39916800)))));
}
static double cos_series(double r) {
    double z = r * r;
    return 1 + z * (-0.5 + z * (1.0 / 24 + z * (-1.0 / 720 + z * (1.0 / 40320 - z * (1.0 / 3628800 - z / 479001600)))));
}

float olk_sin(float x) {
    int q;
    if (!(x > -131072.0f && x < 131072.0f)) return (float)sin(x);
    double r = reduce(x, &q), v = q & 1 ? cos_series(r) : sin_series(r);
    return (float)(q & 2 ? -v : v);
}
float olk_cos(float x) {
    int q;
    if (!(x > -131072.0f && x < 131072.0f)) return (float)cos(x);
    double r = reduce(x, &q), v = q & 1 ? sin_series(r) : cos_series(r);
    return (float)(q == 1 || q == 2 ? -v : v);
}
