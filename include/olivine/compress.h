/* SPDX-License-Identifier: Apache-2.0 */
/* Weight compression without data: what the weights of a model are stored as.
 *
 * A compressed matrix [rows, k] is cut along k into groups that share a scale. Integer types store q with w = scale * q
 * (sym) or scale * (q - zero point) (asym). The last group of a row may be shorter. Results are the same bits on every
 * machine and for every number of threads. */
#ifndef OLIVINE_COMPRESS_H
#define OLIVINE_COMPRESS_H

#include <olivine/model.h>
#include <olivine/status.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* X(NAME, text) */
#define OLV_WEIGHT_TYPES(X)                                                                        \
    X(KEEP, "keep")           /* as they are */                                                    \
    X(F16, "f16")                                                                                  \
    X(BF16, "bf16")                                                                                \
    X(INT8_SYM, "int8_sym")                                                                        \
    X(INT8_ASYM, "int8_asym")                                                                      \
    X(INT4_SYM, "int4_sym")                                                                        \
    X(INT4_ASYM, "int4_asym")                                                                      \
    X(NF4, "nf4")                                                                                  \
    X(INT2_SYM, "int2_sym")                                                                        \
    X(INT3_SYM, "int3_sym")                                                                        \
    X(MXFP4, "mxfp4")         /* E2M1, groups of 32, scales are powers of two */                   \
    X(NVFP4, "nvfp4")         /* E2M1, groups of 16, E4M3 scales of a scale of the table */        \
    X(FP4, "fp4")             /* E2M1 */                                                           \
    X(MXFP8_E4M3, "mxfp8_e4m3")                                                                    \
    X(FP8_E4M3, "fp8_e4m3")                                                                        \
    X(CB4, "cb4")             /* NNCF's table of sixteen 8-bit floats */                           \
    X(CODEBOOK, "codebook")   /* the spec's own table */                                           \
    X(ADAPTIVE_CODEBOOK, "adaptive_codebook") /* sixteen values fitted to each layer */

typedef enum olv_weight_type {
#define OLV_WEIGHT_ENUM_(name, text) OLV_WEIGHT_##name,
    OLV_WEIGHT_TYPES(OLV_WEIGHT_ENUM_)
#undef OLV_WEIGHT_ENUM_
        OLV_N_WEIGHT_TYPES
} olv_weight_type;

/* How a scale is found. SEARCH tries many per group and keeps the one with the least squared error, which is never
 * larger than that of the others with the same stored scale type. NNCF and ORT give the codes and scales that NNCF's
 * compress_weights and ONNX Runtime's default block quantizer give, bit for bit. ORT knows integer types of 4 and 8 bits. */
typedef enum olv_rounding { OLV_ROUND_SEARCH, OLV_ROUND_NNCF, OLV_ROUND_ORT } olv_rounding;

/* Scales as f16, or as f32. SEARCH gives values that f16 holds in both, where they are within its normal range. */
typedef enum olv_scale_type { OLV_SCALE_F16, OLV_SCALE_F32 } olv_scale_type;

typedef struct olv_weight_spec {
    olv_weight_type type;
    int32_t group_size; /* 16, 32, ... 256, or -1: one group per row */
    olv_rounding rounding;
    olv_scale_type scale;
    const float *codebook; /* CODEBOOK: borrowed, ascending, 2 to 256 finite values that are not all 0 */
    int32_t n_codebook;
} olv_weight_spec;

/* What decides which layers become `weights` and which `backup`: NNCF's criteria by their names. X(NAME, text). All but the first
 * need data. */
#define OLV_SENSITIVITIES(X)                                                                       \
    X(WEIGHT_QUANTIZATION_ERROR, "weight_quantization_error")                                      \
    X(HESSIAN_INPUT_ACTIVATION, "hessian_input_activation")                                        \
    X(MEAN_ACTIVATION_VARIANCE, "mean_activation_variance")                                        \
    X(MAX_ACTIVATION_VARIANCE, "max_activation_variance")                                          \
    X(MEAN_ACTIVATION_MAGNITUDE, "mean_activation_magnitude")

typedef enum olv_sensitivity {
#define OLV_SENSITIVITY_ENUM_(name, text) OLV_SENSITIVITY_##name,
    OLV_SENSITIVITIES(OLV_SENSITIVITY_ENUM_)
#undef OLV_SENSITIVITY_ENUM_
        OLV_N_SENSITIVITIES
} olv_sensitivity;

typedef struct olv_compress_params {
    size_t struct_size;         /* set by olv_compress_params_init */
    olv_weight_spec weights;    /* linear layers */
    olv_weight_spec embeddings; /* tables that rows are looked up in */
    olv_weight_spec head;       /* the linear layer that gives the logits; a table shared with it becomes this too */
    int64_t min_elements;       /* smaller matrices are kept */
    double ratio;               /* share of the linear layers' weights that become `weights`; the others become `backup` */
    olv_weight_spec backup;
    olv_sensitivity sensitivity;
    /* Borrowed: what is kept. The name of a table or of the node that reads it; "re:" and a regular expression that a part of such
     * a name matches; "type:" and an operator; "between:A,B": nodes on a way from node A to node B. One that nothing matches is
     * an error. */
    const char *const *ignored;
    size_t n_ignored;
    /* Instead of ratio: the size that all tables may have together, or bits per weight over all of them (0: neither). Each layer then
     * gets the type and group size that make the sum of the relative errors least. */
    uint64_t budget_bytes;
    double bits;
} olv_compress_params;

/* Linear layers int4_sym in groups of 32, embeddings and head int8_sym per row, searched, f16 scales; ratio 1, backup
 * int8_asym per row, nothing ignored. */
OLV_API void olv_compress_params_init(olv_compress_params *p);
/* Type named `name` in any case, also in the spellings of NNCF and OpenVINO ("e2m1", "cb4_f8e4m3", "f8e4m3", "none"); "int4" and
 * "int8" mean the symmetric ones. OLV_ARG says which names there are. */
OLV_API OLV_MUST_USE olv_status olv_weight_type_parse(const char *name, olv_weight_type *out, olv_error *err);
OLV_API const char *olv_weight_type_name(olv_weight_type t); /* never NULL */
/* Group size that NNCF takes for a type where none is asked for (fixed for MXFP4, MXFP8_E4M3 and NVFP4); -1: whole rows. */
OLV_API int32_t olv_weight_type_group(olv_weight_type t);
/* In any case; OLV_ARG says which there are. */
OLV_API OLV_MUST_USE olv_status olv_sensitivity_parse(const char *name, olv_sensitivity *out, olv_error *err);
/* OLV_ARG when the parts do not fit together. */
OLV_API OLV_MUST_USE olv_status olv_weight_spec_check(const olv_weight_spec *s, olv_error *err);

/* Compresses the weights of a model that was read: matrices of MatMul and Gemm, and tables of Gather. It is then saved with
 * olv_model_save; for ONNX, scales should be f32. threads: 0 for all. *report_json (may be NULL; olv_free it): what became of each
 * table. The model is untouched on failure. */
OLV_API OLV_MUST_USE olv_status olv_compress_model(olv_model *m, const olv_compress_params *p, int threads, char **report_json, olv_error *err);

#ifdef __cplusplus
}
#endif

#endif
