/* SPDX-License-Identifier: Apache-2.0 */
/* What rounding a layer in some way would cost. */
#ifndef OL_COMPRESS_MEASURE_H
#define OL_COMPRESS_MEASURE_H

#include "base/executor.h"
#include "compress/plan.h"

/* Sums over all weights w of the layer of (w - what its code says)^2 and w^2 under `spec`; where the inputs of the layer are known,
 * each weighted by the mean square of its column's inputs. Nothing is kept. Same bits for any number of threads. */
OLV_MUST_USE olv_status ol_compress_measure(const ol_compress_entry *e, const olv_weight_spec *spec, uint64_t cpu, ol_executor *x,
                                            double *error, double *energy, olv_error *err);
/* The largest mean square of the errors of a row, too; no weights of columns. */
OLV_MUST_USE olv_status ol_compress_measure_rows(const ol_compress_entry *e, const olv_weight_spec *spec, uint64_t cpu, ol_executor *x,
                                                 double *worst, double *error, olv_error *err);

#endif
