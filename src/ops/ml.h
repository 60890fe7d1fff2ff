/* SPDX-License-Identifier: Apache-2.0 */
/* What the operators of ai.onnx.ml share: rows of features, class labels, scores and their transforms. Where the standard
 * is silent (two classes with one score), they do what onnxruntime does. */
#ifndef OL_OPS_ML_H
#define OL_OPS_ML_H

#include "ops/ops.h"

typedef enum ol_ml_post { OL_ML_NONE, OL_ML_SOFTMAX, OL_ML_LOGISTIC, OL_ML_SOFTMAX_ZERO, OL_ML_PROBIT } ol_ml_post;
OLV_MUST_USE olv_status ol_ml_post_of(const ol_node *n, ol_ml_post *out, olv_error *err);
/* n scores of one row in place; softmax leaves a single score as it is. */
void ol_ml_transform(ol_ml_post p, double *v, int64_t n);
/* The one score v[0] of two classes becomes two (v has room for them): their sum is 1 when `complement`, else they are
 * opposite, or logistic of opposites. */
void ol_ml_second_score(ol_ml_post p, double *v, bool complement);

/* Rows of features: rank 1 is one row. Fails for strings and complex numbers. */
OLV_MUST_USE olv_status ol_ml_rows(const ol_eval *c, int i, const ol_tensor **x, int64_t *rows, int64_t *features, olv_error *err);
/* Rows of input 0 as far as known. */
ol_dim ol_ml_rows_dim(ol_infer *c);
/* A list of floats: attribute `name`, or the tensor attribute `name`_as_tensor. *out is the caller's (ol_free). */
OLV_MUST_USE olv_status ol_ml_floats(const ol_node *n, const char *name, double **out, size_t *count, olv_error *err);

/* Class labels: strings or integers; neither: 0, 1, .. */
typedef struct ol_ml_labels {
    const int64_t *ints;
    const ol_str *strings;
    size_t n;
} ol_ml_labels;
ol_ml_labels ol_ml_labels_of(const ol_node *n, const char *ints, const char *strings);
ol_dtype ol_ml_labels_type(const ol_ml_labels *l);
/* Label k as element i of t; of strings a view. */
void ol_ml_set_label(ol_tensor *t, int64_t i, const ol_ml_labels *l, size_t k);

const ol_str *ol_node_strings(const ol_node *n, const char *name, size_t *count);
const float *ol_node_floats(const ol_node *n, const char *name, size_t *count);

/* Descriptor of an operator of ai.onnx.ml with one line. */
#define OL_ML_OP(op, text, in0, in1, out0, out1, at, inf, ev)                                        \
    extern const ol_op ol_op_ml_##op;                                                                \
    const ol_op ol_op_ml_##op = {"ai.onnx.ml", #op, text, in0, in1, out0, out1, at, OL_COUNT(at), inf, ev, NULL, false, false};

#endif
