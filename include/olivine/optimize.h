/* SPDX-License-Identifier: Apache-2.0 */
/* The main job: a model folder in, an optimized, compressed folder out, ready to run.
 *
 * Streams: weights are mapped, worked on in tiles by all processors and written once; memory does not grow with the
 * model. The output is the same bits on every machine and for any number of threads. Unfinished work lies beside OUT and is
 * continued by the same call; OUT appears complete or not at all.
 *
 * Thread rule: any number of calls may run at the same time on different OUT folders. */
#ifndef OLIVINE_OPTIMIZE_H
#define OLIVINE_OPTIMIZE_H

#include <olivine/calibrate.h>
#include <olivine/compress.h>
#include <olivine/progress.h>
#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum olv_target { OLV_TARGET_CPU, OLV_TARGET_CUDA, OLV_TARGET_DML, OLV_TARGET_WEBGPU } olv_target;

/* What is written: a folder of onnxruntime-genai, a Hugging Face folder whose linear layers are quantized in the form of
 * compressed-tensors (tables and scales of other types stay as they are), or a folder of OpenVINO GenAI. */
typedef enum olv_output_format { OLV_OUTPUT_ORT_GENAI, OLV_OUTPUT_HF, OLV_OUTPUT_OPENVINO } olv_output_format;

typedef struct olv_optimize_options {
    size_t struct_size;
    olv_output_format format;
    olv_compress_params compress;
    olv_calibration_options calibration;
    olv_target target;   /* what the ORT-GenAI folder is for: CPU has f32 inputs and outputs, the others f16 */
    int accuracy_level;  /* of MatMulNBits; -1: 4 on CPU */
    bool qdq;            /* layers as DequantizeLinear and MatMul instead of MatMulNBits (larger in memory, and slower there) */
    int threads;         /* 0: all usable processors */
    bool force, fresh;   /* replace a foreign or non-empty OUT; discard unfinished work */
} olv_optimize_options;
/* int4_sym in groups of 32 for linear layers, embeddings and head, searched scales; CPU. */
OLV_API void olv_optimize_options_init(olv_optimize_options *opt);

/* What the work will take. */
typedef struct olv_optimize_plan {
    uint64_t source_bytes, output_bytes; /* of weights */
    uint64_t parameters;
    uint64_t disk_free;  /* where OUT will lie */
    uint64_t memory_bytes; /* anonymous memory at most, about */
    double bits_per_weight;
    size_t tensors, compressed;
} olv_optimize_plan;
OLV_API OLV_MUST_USE olv_status olv_optimize_dry_run(const char *model, const olv_optimize_options *opt, const char *out_dir,
                                                     olv_optimize_plan *plan, olv_error *err);

/* Writes the folder OUT_DIR for MODEL. progress (may be NULL) hears of bytes; cancelled work can be continued.
 * *report_json (may be NULL; olv_free it): per-tensor report. */
OLV_API OLV_MUST_USE olv_status olv_optimize(const char *model, const olv_optimize_options *opt, const char *out_dir,
                                             olv_progress_fn *progress, void *ctx, char **report_json, olv_error *err);

/* Checks the files of an output folder against the SHA-256 sums of its olivine.json; OLV_FORMAT names the first that
 * differs. */
OLV_API OLV_MUST_USE olv_status olv_verify_folder(const char *folder, olv_error *err);

#ifdef __cplusplus
}
#endif
#endif
