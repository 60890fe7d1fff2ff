/* SPDX-License-Identifier: Apache-2.0 */
/* Arithmetic over one row of scores. */
#ifndef OL_GENERATE_SCORES_H
#define OL_GENERATE_SCORES_H

#include <stdint.h>

/* y = log of the softmax of x; x and y may be the same. */
void ol_scores_log_softmax(const float *x, int64_t n, float *y);
/* The probability that the softmax of x gives entry i. */
double ol_scores_probability(const float *x, int64_t n, int64_t i);

#endif
