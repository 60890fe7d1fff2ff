/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of a quantization, in their order. Each changes the graph of a copy of the model, or what is known of it. */
#ifndef OL_QUANTIZE_STEPS_H
#define OL_QUANTIZE_STEPS_H

#include "base/json.h"
#include "quantize/placement.h"
#include "quantize/probe.h"

/* Folds constants and batch normalizations, so that layers read constant weights. */
OLV_MUST_USE olv_status ol_quantize_prepare(ol_graph *g, olv_error *err);
/* Moves the reach of activations into the weights that multiply them: scales between a value and the layers behind it. */
OLV_MUST_USE olv_status ol_quantize_smooth(ol_graph *g, const olv_quantize_params *p, ol_prober *prober, olv_error *err);
/* Evens out the reach of the channels between two layers without anything nonlinear in between. */
OLV_MUST_USE olv_status ol_quantize_align(ol_graph *g, ol_prober *prober, olv_error *err);

/* What data showed of a layer's input: the mean of each channel. */
typedef struct ol_layer_mean {
    float *mean; /* NULL: not known */
    int64_t n;
} ol_layer_mean;

typedef struct ol_value_range {
    float *low, *high; /* NULL: not looked at */
    int n;             /* 1, or the channels */
} ol_value_range;

typedef struct ol_calibration {
    const ol_graph *graph;  /* whose values and nodes these are */
    ol_layer_mean *means;   /* by node id */
    size_t n_nodes;
    ol_value_range *ranges; /* by value id */
    size_t n_values, samples;
    const char **kept;      /* by node id: why a node stays in float by what the data showed; NULL: it need not */
} ol_calibration;

/* Sees the ranges of all quantizers, and, with fast bias correction, the means of layers' inputs, in one pass over the data. *out
 * is deinitialized first, but for `kept`, which outlives it. */
OLV_MUST_USE olv_status ol_quantize_calibrate(const ol_placement *pl, const olv_quantize_params *p, ol_prober *prober, ol_calibration *out,
                                              olv_error *err);
void ol_calibration_deinit(ol_calibration *c);
/* Gives the grids of a placement, in the same graph or a copy, their scales. */
OLV_MUST_USE olv_status ol_calibration_apply(const ol_calibration *c, ol_placement *pl, olv_error *err);

/* Layers whose codes keep to half of the range; by node id (ol_free it). */
OLV_MUST_USE olv_status ol_quantize_half_range(const ol_placement *pl, const olv_quantize_params *p, bool **out, olv_error *err);

/* Adds to biases what the rounding of weights takes from the means of layers' outputs. */
OLV_MUST_USE olv_status ol_quantize_correct_fast(const ol_placement *pl, const bool *half, const ol_calibration *c, olv_error *err);
/* The same by running the quantized model, layer after layer, beside the float model. */
OLV_MUST_USE olv_status ol_quantize_correct_full(const ol_placement *pl, const olv_quantize_params *p, const bool *half, ol_prober *prober,
                                                 olv_error *err);

/* What the lowering spells: */
typedef struct ol_lowering_options {
    const bool *half;     /* by node id */
    olv_quantize_form form;
    bool weights_only;
} ol_lowering_options;
/* Writes the placement into its graph, whose node ids stay; the placement's marks are spent. */
OLV_MUST_USE olv_status ol_quantize_lower_qdq(const ol_placement *pl, const ol_lowering_options *o, olv_error *err);
OLV_MUST_USE olv_status ol_quantize_lower_fake(const ol_placement *pl, const ol_lowering_options *o, olv_error *err);

/* Keeps operators in float whose inputs reach so far that a grid would hold nothing else (masks); *found: there are such. */
OLV_MUST_USE olv_status ol_calibration_keep_wild(ol_calibration *c, ol_placement *pl, bool *found, olv_error *err);

/* A quantized copy of the graph that was calibrated. `reverted` (why, by node id; may be NULL): layers that stay in float.
 * report, when not NULL, is an object that is filled. */
OLV_MUST_USE olv_status ol_quantize_build(const ol_calibration *c, const olv_quantize_params *p, ol_prober *prober, const char *const *reverted,
                                          json_t *report, ol_graph **out, olv_error *err);

/* Puts layers back to float until what is lost is at most p->max_drop; *out is replaced. */
OLV_MUST_USE olv_status ol_quantize_control(const ol_calibration *c, const olv_quantize_params *p, ol_prober *prober, json_t *report,
                                            ol_graph **out, olv_error *err);

#endif
