/* SPDX-License-Identifier: Apache-2.0 */
/* Calibration: texts go through a language model layer by layer, and what its linear layers read is measured.
 *
 * The model is cut into stages. A stage are the linear layers that read the same rows; it is ready when all of its rows are
 * known, and those of the next one are computed with the codes that its layers were given meanwhile. Between stages only
 * the values that later layers read are kept, for all tokens, outside of memory when they are many; so memory holds the
 * weights of one stage and its statistics. Everything runs in precision OLK_REPRO: results are the same bits on every
 * machine and for any number of threads. */
#ifndef OL_COMPRESS_CALIBRATE_H
#define OL_COMPRESS_CALIBRATE_H

#include "base/executor.h"
#include "compress/plan.h"
#include <olivine/progress.h>

/* Texts as token ids, one after another. */
typedef struct ol_calibration_texts {
    const int64_t *ids;
    const int64_t *lengths; /* [n]: tokens of each text, at least 1 */
    int n;
} ol_calibration_texts;

/* What the rows of a stage are like. */
typedef struct ol_stage_stats {
    int64_t k, tokens;
    int samples;
    float *gram;        /* [k, k]: sum over tokens of x x^T */
    float *means;       /* [samples, k]: mean over the tokens of each text */
    float *mean_square; /* [k] */
    ol_layer_inputs inputs; /* mean_square is the one above */
} ol_stage_stats;

typedef struct ol_stage {
    ol_compress_entry **layers; /* of the plan, not kept */
    int n;
    int index, count;  /* this one, of so many */
    bool head;         /* its layer gives the logits */
    const float *rows; /* [tokens, k] */
    const int64_t *ids; /* [tokens]: of the rows */
    const ol_stage_stats *stats;
    ol_executor *executor;
    uint64_t cpu;
} ol_stage;

/* Called for each stage in the order of the graph; gives codes to the layers as it sees fit (ol_compress_give). */
typedef olv_status ol_stage_fn(void *ctx, ol_graph *g, const ol_stage *stage, olv_error *err);

typedef struct ol_calibration {
    ol_calibration_texts texts;
    ol_executor *executor;
    uint64_t cpu; /* flags that kernels may use; results do not depend on them */
    olv_progress_fn *progress; /* of tokens times stages; may be NULL */
    void *progress_ctx;
} ol_calibration;

/* OLV_UNSUPPORTED for models with recurrent states, OLV_FORMAT when rows are infinite or no numbers. */
OLV_MUST_USE olv_status ol_calibrate(ol_graph *g, ol_compress_plan *plan, const ol_calibration *c, ol_stage_fn *fn, void *ctx,
                                     olv_error *err);

/* Sets the weights of the rows whose inputs are known (entry->inputs): what their relative error costs at the model's scores. */
OLV_MUST_USE olv_status ol_calibrate_sensitivity(const ol_graph *g, ol_compress_plan *plan, const ol_calibration *c, olv_error *err);

/* ---- parts, used by the above and by tests ---- */

OLV_MUST_USE olv_status ol_stage_stats_init(ol_stage_stats *s, int64_t k, int samples, olv_error *err);
void ol_stage_stats_deinit(ol_stage_stats *s);
/* Adds the rows of whole texts: lengths[n] of them, one after another. OLV_FORMAT when a value is not finite. */
OLV_MUST_USE olv_status ol_stage_stats_add(ol_stage_stats *s, const float *rows, const int64_t *lengths, int n, ol_executor *e,
                                           uint64_t cpu, olv_error *err);
/* Makes means of sums and both halves of the gram matrix. */
void ol_stage_stats_finish(ol_stage_stats *s);

/* A graph that computes values of g from others: `fed` become inputs (index in the graph at fed_input), `wanted` outputs,
 * in this order. States are taken away, and every row counts as an output row. Weights that have no codes of a method yet
 * are those of the source. */
OLV_MUST_USE olv_status ol_calibrate_segment(const ol_graph *g, const ol_compress_plan *plan, const ol_value *const *fed, int n_fed,
                                             int *fed_input, const ol_value *const *wanted, int n_wanted, ol_graph **out,
                                             olv_error *err);

#endif
