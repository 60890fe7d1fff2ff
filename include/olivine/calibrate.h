/* SPDX-License-Identifier: Apache-2.0 */
/* Compression with data: what the layers of a language model read while texts go through it decides how their weights
 * are rounded. The texts come from the caller, one at a time; nothing but their tokens is kept. Results are the same bits
 * on every machine and for any number of threads. */
#ifndef OLIVINE_CALIBRATE_H
#define OLIVINE_CALIBRATE_H

#include <olivine/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Samples of a language model: token ids. */
typedef struct olv_token_dataset {
    void *ctx;
    /* Gives the next sample, borrowed until the next call; *n is 0 when there are no more. May fail. */
    olv_status (*next)(void *ctx, const int64_t **ids, size_t *n, olv_error *err);
} olv_token_dataset;

/* Methods, which may be combined. They change weights that become integers of 4 or 8 bits. */
typedef enum olv_data_method {
    OLV_DATA_AWQ = 1,              /* not there yet: OLV_UNSUPPORTED */
    OLV_DATA_SCALE_ESTIMATION = 2, /* searched scales, fitted to the outputs */
    OLV_DATA_GPTQ = 4,             /* columns are rounded one after another, each making good for those before */
    OLV_DATA_BEST = 8              /* searched scales, GPTQ, then codes and scales improved in turn */
} olv_data_method;

typedef struct olv_calibration_options {
    size_t struct_size;         /* set by olv_calibration_options_init */
    unsigned methods;           /* of olv_data_method; 0: without data */
    const olv_token_dataset *dataset; /* borrowed; needed when there are methods; alone, budgets and metrics use it */
    int64_t max_samples;        /* samples that are used at most; 0: all */
    int64_t max_tokens;         /* of a sample: more are cut off; 0: 2048 */
    double damping;             /* share of the Hessian's mean diagonal that is added to it */
} olv_calibration_options;

/* No methods; damping 0.01. */
OLV_API void olv_calibration_options_init(olv_calibration_options *o);

#ifdef __cplusplus
}
#endif
#endif
