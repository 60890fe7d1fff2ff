/* SPDX-License-Identifier: Apache-2.0 */
/* Rounding a layer's weights so that what it computes from the rows seen in calibration changes least: the loss of errors e
 * of a row of weights is e^T H e, H the Hessian (sum over tokens of x x^T). Columns are rounded one after another, each to
 * make good for those before it (factor.h); then codes and scales are improved in turn, one at a time, as long as the
 * loss falls. The order of the columns is one of processing alone: groups stay as they are, and nothing of it is stored.
 *
 * Rows are independent: the work is cut into tiles of rows, and results do not depend on threads or instruction sets. */
#ifndef OL_COMPRESS_GPTQ_H
#define OL_COMPRESS_GPTQ_H

#include "base/executor.h"
#include "base/store.h"
#include "compress/factor.h"
#include "compress/round.h"
#include "tensor/constant.h"

typedef struct ol_gptq_options {
    const float *hessian;    /* [k, k], both halves */
    const ol_factor *factor; /* of it; NULL: no compensation, every weight to its nearest code */
    const float *scale_weights; /* [k]: weights of the columns when scales are searched; NULL: the diagonal of the Hessian */
    int sweeps;              /* over codes and scales after rounding */
    bool scales_alone;       /* sweeps leave the codes alone */
    double damping;          /* of the sweeps, as in ol_factor_init */
} ol_gptq_options;

typedef struct ol_gptq_result {
    ol_const *codes; /* of the form of ol_compress_form */
    double error, energy; /* sums of squares of what rounding changed, and of the weights */
    double loss;     /* sum over rows of e^T H e */
} ol_gptq_result;

/* True for the weight types that are rounded here: integers of 4 and 8 bits. */
bool ol_gptq_takes(const olv_weight_spec *spec);
/* Rounds `source` [rows, k]; scales are searched (spec->rounding SEARCH) or those of plain rounding. The codes lie in the store as
 * item `name`. */
OLV_MUST_USE olv_status ol_gptq(const ol_const *source, const olv_weight_spec *spec, const ol_gptq_options *o, ol_store *store,
                                const char *name, ol_executor *e, uint64_t cpu, ol_gptq_result *out, olv_error *err);

#endif
