/* SPDX-License-Identifier: Apache-2.0 */
/* Reproducible exp, log and random numbers. */
#include "generate/sampler/stage.h"

static double from_bits(uint64_t u) {
    double d;
    memcpy(&d, &u, sizeof d);
    return d;
}

static uint64_t to_bits(double d) {
    uint64_t u;
    memcpy(&u, &d, sizeof u);
    return u;
}

/* x = k ln 2 + r with |r| <= ln 2 / 2; exp(r) by its series to degree 13 (remainder below 2^-57). */
double ol_exp_repro(double x) {
    static const double c[] = {1.0, 1.0, 1.0 / 2, 1.0 / 6, 1.0 / 24, 1.0 / 120, 1.0 / 720, 1.0 / 5040, 1.0 / 40320,
                               1.0 / 362880, 1.0 / 3628800, 1.0 / 39916800, 1.0 / 479001600, 1.0 / 6227020800.0};
    if (!(x > -745.0)) return x != x ? x : 0.0;
    if (x > 709.7) return INFINITY;
    static const double log2e = 1.4426950408889634, hi = 6.93147180369123816490e-01, lo = 1.90821492927058770002e-10;
    double k = x * log2e;
    k = (k + 6755399441055744.0) - 6755399441055744.0; /* nearest integer */
    double r = (x - k * hi) - k * lo, q = r * r, q2 = q * q;
    /* Estrin's order: short chains of operations, the same on every machine. */
    double e = (((c[0] + c[1] * r) + (c[2] + c[3] * r) * q) + ((c[4] + c[5] * r) + (c[6] + c[7] * r) * q) * q2) +
               (((c[8] + c[9] * r) + (c[10] + c[11] * r) * q) + (c[12] + c[13] * r) * q2) * (q2 * q2);
    int n = (int)k;
    if (n >= -1022) return e * from_bits((uint64_t)(n + 1023) << 52);
    return e * from_bits((uint64_t)(n + 1023 + 60) << 52) * from_bits((uint64_t)(1023 - 60) << 52);
}

/* x = 2^k m with m in [sqrt(1/2), sqrt 2); ln m = 2 atanh((m - 1) / (m + 1)) by its series. */
double ol_log_repro(double x) {
    if (!(x > 0)) return x == 0 ? -INFINITY : NAN;
    if (x > 1.7976931348623157e308) return x;
    int k = 0;
    if (x < 2.2250738585072014e-308) {
        x *= 18014398509481984.0; /* 2^54 */
        k = -54;
    }
    uint64_t u = to_bits(x);
    k += (int)(u >> 52) - 1023;
    double m = from_bits((u & 0xfffffffffffffull) | 0x3ff0000000000000ull);
    if (m > 1.4142135623730951) {
        m *= 0.5;
        k++;
    }
    static const double c[] = {1.0,      1.0 / 3,  1.0 / 5,  1.0 / 7,  1.0 / 9, 1.0 / 11,
                               1.0 / 13, 1.0 / 15, 1.0 / 17, 1.0 / 19, 1.0 / 21};
    double f = (m - 1.0) / (m + 1.0), q = f * f, s = 0;
    for (int i = 10; i >= 0; i--) s = s * q + c[i];
    static const double hi = 6.93147180369123816490e-01, lo = 1.90821492927058770002e-10;
    return (double)k * hi + (2.0 * f * s + (double)k * lo);
}

/* Philox 4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011). */
static void philox(uint32_t c[4], uint32_t k0, uint32_t k1) {
    for (int round = 0; round < 10; round++) {
        uint64_t a = (uint64_t)0xD2511F53u * c[0], b = (uint64_t)0xCD9E8D57u * c[2];
        uint32_t n0 = (uint32_t)(b >> 32) ^ c[1] ^ k0, n2 = (uint32_t)(a >> 32) ^ c[3] ^ k1;
        c[1] = (uint32_t)b;
        c[3] = (uint32_t)a;
        c[0] = n0;
        c[2] = n2;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
}

double ol_sampler_uniform(const ol_sampler *s, uint32_t stream) {
    uint64_t at = s->n_history - s->n_prompt;
    uint32_t c[4] = {(uint32_t)at, (uint32_t)(at >> 32), stream, 0};
    philox(c, (uint32_t)s->p.seed, (uint32_t)(s->p.seed >> 32));
    uint64_t bits = ((uint64_t)c[0] << 21) ^ (c[1] >> 11); /* 53 bits */
    return (double)bits * 0x1p-53;
}
