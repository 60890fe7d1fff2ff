/* SPDX-License-Identifier: Apache-2.0 */
/* Post-training quantization: weights and activations of a model in 8 bits, with ranges seen on data.
 *
 *     olv_quantize_params p;
 *     olv_quantize_params_init(&p);
 *     if (olv_dataset_open("calibration.npz", model, &data, &err) != OLV_OK) ...
 *     if (olv_quantize(core, model, data, &p, &quantized, NULL, &err) != OLV_OK) ...
 *     olv_model_save(quantized, "model-int8.onnx", 0, &err);
 *
 * Thread rule: a dataset serves one thread at a time. */
#ifndef OLIVINE_QUANTIZE_H
#define OLIVINE_QUANTIZE_H

#include <olivine/model.h>
#include <olivine/progress.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- data ---- */

/* Gives the inputs of sample `index` (0, 1, ...) in inputs[i], a tensor of its own for input i of the model, which the caller
 * takes; *end is set instead when there is no such sample. */
typedef olv_status olv_sample_fn(void *ctx, size_t index, olv_tensor **inputs, bool *end, olv_error *err);
typedef struct olv_dataset olv_dataset;
/* Samples of a function; `destroy` (may be NULL) is called with ctx at the end. */
OLV_API OLV_MUST_USE olv_status olv_dataset_create(olv_sample_fn *fn, void (*destroy)(void *), void *ctx, olv_dataset **out, olv_error *err);
/* Samples from PATH for the inputs of a model, which must outlive the dataset: an .npy file (one input) or .npz file (arrays
 * named like the inputs), whose first axis counts samples where the array has one more than the input, and else items, which
 * are joined to the input's batch (1 when it is open); a folder of .npy files, .npz files or pictures, a sample each, in the order of their names; or a .jsonl file of
 * objects {"input": nested arrays, or the name of a file}. Arrays of an .npy or .npz file are held whole, of the others one sample
 * at a time. */
OLV_API OLV_MUST_USE olv_status olv_dataset_open(const char *path, const olv_model *m, olv_dataset **out, olv_error *err);
OLV_API void olv_dataset_destroy(olv_dataset *d);

/* ---- settings ---- */

typedef enum olv_quantize_preset { OLV_PRESET_AUTO, OLV_PRESET_PERFORMANCE, OLV_PRESET_MIXED } olv_quantize_preset;
typedef enum olv_quantize_kind { OLV_QUANTIZE_ANY, OLV_QUANTIZE_TRANSFORMER } olv_quantize_kind;
typedef enum olv_quantize_target { OLV_TARGET_ANY, OLV_TARGET_CPU, OLV_TARGET_GPU, OLV_TARGET_NPU, OLV_TARGET_CPU_SPR } olv_quantize_target;
/* Halves the range of weights' codes so that sums of two products fit 16 bits, on processors that add them so. */
typedef enum olv_overflow_fix { OLV_OVERFLOW_FIRST_LAYER, OLV_OVERFLOW_ENABLE, OLV_OVERFLOW_DISABLE } olv_overflow_fix;
typedef enum olv_bias_correction { OLV_BIAS_FAST, OLV_BIAS_FULL, OLV_BIAS_NONE } olv_bias_correction;
/* How quantizers are spelled: QuantizeLinear and DequantizeLinear, or FakeQuantize. */
typedef enum olv_quantize_form { OLV_FORM_QDQ, OLV_FORM_FAKE_QUANTIZE } olv_quantize_form;

/* How a bound of a range is seen: a statistic of each sample, and what it becomes over the samples. */
typedef enum olv_statistic { OLV_STAT_MIN, OLV_STAT_MAX, OLV_STAT_ABS_MAX, OLV_STAT_QUANTILE, OLV_STAT_ABS_QUANTILE, OLV_STAT_MEAN } olv_statistic;
typedef enum olv_aggregator {
    OLV_AGGREGATE_MEAN, OLV_AGGREGATE_MIN, OLV_AGGREGATE_MAX, OLV_AGGREGATE_MEDIAN, OLV_AGGREGATE_MEAN_NO_OUTLIERS,
    OLV_AGGREGATE_MEDIAN_NO_OUTLIERS, OLV_AGGREGATE_HISTOGRAM
} olv_aggregator;
typedef struct olv_range_estimator {
    olv_statistic statistic_min, statistic_max;
    olv_aggregator aggregator_min, aggregator_max; /* HISTOGRAM: both; the range of the least expected squared error */
    double outliers; /* share of values cut by quantiles, and of samples dropped as outliers */
    bool given;      /* false: HISTOGRAM per tensor, extremes per channel (NNCF: mean of minima and maxima) */
} olv_range_estimator;

typedef struct olv_quantize_params {
    size_t struct_size; /* set by olv_quantize_params_init */
    olv_quantize_preset preset;
    olv_quantize_kind model_type;
    olv_quantize_target target;
    olv_quantize_form form;
    olv_overflow_fix overflow_fix;
    olv_bias_correction bias_correction;
    int64_t subset_size; /* samples looked at */
    bool quantize_outputs, channel_alignment, quantize_inputs;
    int per_channel_activations;  /* of depthwise convolutions; -1: as the form's runtimes like it */
    double smooth_quant_alpha;    /* of matrix products in transformers; negative: off */
    olv_range_estimator activations;
    /* borrowed: what stays in float: names of nodes, "re:PATTERN" of whole names, "type:OPERATOR", "sub:A,B->C" (all nodes on
     * ways from A or B to C) */
    const char *const *ignored;
    size_t n_ignored;
    bool ignored_may_miss; /* entries of `ignored` that match nothing are no error */
    /* accuracy control: layers go back to float until what is lost is at most max_drop (negative: off) */
    double max_drop;
    bool relative_drop;
    const olv_tensor *labels; /* borrowed; NULL: the metric is the outputs' likeness to the float model's (1 - NMSE) */
    olv_dataset *validation;  /* borrowed; NULL: the calibration data */
    int64_t ranking_subset;   /* 0: subset_size */
    olv_progress_fn *progress; /* of samples; may be NULL */
    void *progress_ctx;
} olv_quantize_params;

OLV_API void olv_quantize_params_init(olv_quantize_params *p);
/* Sets one by NNCF's name and text ("preset", "mixed"; "activations_range_estimator", "mean_quantile"). OLV_ARG says what is known. */
OLV_API OLV_MUST_USE olv_status olv_quantize_params_set(olv_quantize_params *p, const char *name, const char *value, olv_error *err);

/* Settings of a config file of NNCF's (JSON or YAML), on top of what stands in *p: {"input_info", "target_device", "compression":
 * {"algorithm": "quantization", ...}, ...}, and any setting by its name. What training would need is refused. An unknown key is
 * named with its line. *p borrows from the config, which must outlive it. */
typedef struct olv_quantize_config olv_quantize_config;
OLV_API OLV_MUST_USE olv_status olv_quantize_config_read(const char *path, olv_quantize_params *p, olv_quantize_config **out, olv_error *err);
OLV_API void olv_quantize_config_destroy(olv_quantize_config *c);

/* Makes a quantized copy of a model. report (may be NULL) becomes JSON text: every quantizer with its range and why it is there,
 * what stays in float and why, metrics (olv_free it). */
OLV_API OLV_MUST_USE olv_status olv_quantize(olv_core *core, const olv_model *model, olv_dataset *data, const olv_quantize_params *p,
                                             olv_model **out, char **report, olv_error *err);

#ifdef __cplusplus
}
#endif
#endif
