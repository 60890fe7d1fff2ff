/* SPDX-License-Identifier: Apache-2.0 */
#include "generate/scores.h"
#include <math.h>

static double log_sum(const float *x, int64_t n, float *max) {
    double sum = 0;
    *max = -INFINITY;
    for (int64_t i = 0; i < n; i++) *max = x[i] > *max ? x[i] : *max;
    for (int64_t i = 0; i < n; i++) sum += exp((double)(x[i] - *max));
    return log(sum);
}

void ol_scores_log_softmax(const float *x, int64_t n, float *y) {
    float max;
    double shift = log_sum(x, n, &max);
    for (int64_t i = 0; i < n; i++) y[i] = (float)((double)(x[i] - max) - shift);
}

double ol_scores_probability(const float *x, int64_t n, int64_t i) {
    float max;
    double shift = log_sum(x, n, &max);
    return exp((double)(x[i] - max) - shift);
}
