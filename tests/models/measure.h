/* SPDX-License-Identifier: Apache-2.0 */
/* Scores of a model under different weights, precisions and devices, and distances between them. */
#ifndef OL_TESTS_MODELS_MEASURE_H
#define OL_TESTS_MODELS_MEASURE_H

#include "base/executor.h"
#include "device/device.h"
#include <olivine/status.h>

/* Token ids of one text, and scores [n, vocab] (either may be NULL); release with ol_free. */
typedef struct text_ids {
    int64_t *ids;
    size_t n;
} text_ids;

typedef struct run_options {
    const char *folder;
    int bits; /* 0: weights as stored; else 8 or 4 */
    olk_precision precision;
    ol_dtype kv;
    ol_executor *executor;
} run_options;

/* Scores of every position of each text on the CPU device, each text a sequence of its own: rows[i] is [n, *vocab],
 * ol_free it. OLV_UNSUPPORTED when the device refuses the model. */
OLV_MUST_USE olv_status cpu_scores(const run_options *o, const text_ids *texts, size_t n_texts, float **rows, size_t *vocab,
                                   olv_error *err);
/* The same by the reference device on the same (quantized) constants. */
OLV_MUST_USE olv_status reference_scores(const run_options *o, const text_ids *texts, size_t n_texts, float **rows,
                                         size_t *vocab, olv_error *err);

/* f32 values of an .npy file of version 1; *count of them. */
OLV_MUST_USE olv_status read_npy(const char *path, float **values, size_t *count, olv_error *err);

double max_difference(const float *a, const float *b, size_t n); /* INFINITY when there is a NaN */
size_t best_of(const float *row, size_t vocab);
/* KL(P || Q) in nats of the softmaxes of two rows. */
double divergence(const float *p, const float *q, size_t vocab);

#endif
