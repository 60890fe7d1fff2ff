/* SPDX-License-Identifier: Apache-2.0 */
/* Operators of onnxruntime's own domains (com.microsoft, com.microsoft.nchwc) that operators of the default domain can
 * say: they are translated while a file is read, so that every pass and kernel knows them. Those that readers of folders
 * look for under their own names stay (src/ops/contrib_*.c). */
#ifndef OL_FORMATS_ONNX_CONTRIB_H
#define OL_FORMATS_ONNX_CONTRIB_H

#include "formats/onnx/reader.h"

/* Translates the draft and fills its results. *done stays false when the operator is none of these. */
OLV_MUST_USE olv_status ol_onnx_translate(ol_onnx_draft *d, bool *done, olv_error *err);

/* ---- what translators use ---- */

/* Nodes in place of a draft. A failure latches: later calls return NULL, and the status is told at the end. */
typedef struct ol_contrib {
    ol_onnx_draft *d;
    olv_error *err;
    olv_status status;
    bool left; /* set by a translator that made nothing: the operator stays as it is */
} ol_contrib;

/* Input i of the draft, NULL when omitted; `need` fails then. */
ol_value *ol_contrib_in(const ol_contrib *t, int i);
ol_value *ol_contrib_need(ol_contrib *t, int i);
/* A node of the default domain; inputs may be NULL. ol_contrib_result gives the value that it makes the name of output i. */
ol_value *ol_contrib_op(ol_contrib *t, const char *op, ol_value *const *in, int n_in, const ol_attr *attrs, int n_attrs);
void ol_contrib_result(ol_contrib *t, int i, const char *op, ol_value *const *in, int n_in, const ol_attr *attrs, int n_attrs);
/* A node of several outputs, under these names (NULL: made up); NULL after a failure. */
ol_node *ol_contrib_node(ol_contrib *t, const char *op, ol_value *const *in, int n_in, const char *const *names, int n_out,
                    const ol_attr *attrs, int n_attrs);
ol_value *ol_contrib_binary(ol_contrib *t, const char *op, ol_value *a, ol_value *b);
/* Constants: i64 (scalar when n < 0), a float scalar of the type of `like`. */
ol_value *ol_contrib_ints(ol_contrib *t, const int64_t *v, int n);
ol_value *ol_contrib_number(ol_contrib *t, double v, const ol_value *like);
ol_value *ol_contrib_cast(ol_contrib *t, ol_value *v, ol_dtype to);
ol_value *ol_contrib_unsqueeze(ol_contrib *t, ol_value *v, const int64_t *axes, int n);
ol_value *ol_contrib_transpose(ol_contrib *t, ol_value *v, const int64_t *perm, int n);
/* Size of one dimension, i64 [1]. */
ol_value *ol_contrib_size(ol_contrib *t, ol_value *v, int64_t axis);
/* x[.., from:to, ..]; to may be INT64_MAX. */
ol_value *ol_contrib_slice(ol_contrib *t, ol_value *x, int64_t axis, int64_t from, int64_t to);
/* (q - zero) scale; scale and zero along `axis` when they are vectors. zero may be NULL. */
ol_value *ol_contrib_dequantize(ol_contrib *t, ol_value *q, ol_value *scale, ol_value *zero, int64_t axis);
/* x quantized becomes result i; without scale x itself (as `op` made it) is. */
void ol_contrib_quantize(ol_contrib *t, int i, ol_value *x, ol_value *scale, ol_value *zero);
/* Attributes of the draft. */
int64_t ol_contrib_int(const ol_contrib *t, const char *name, int64_t def);
float ol_contrib_float(const ol_contrib *t, const char *name, float def);
bool ol_contrib_is(const ol_contrib *t, const char *name, const char *text); /* a string attribute that says so */
/* Those attributes of the draft that are named, copied for a node; returns their number (at most n). */
int ol_contrib_pick(const ol_contrib *t, const char *const *names, int n, ol_attr *out);
void ol_contrib_fail(ol_contrib *t, olv_status s, const char *what); /* one line */

/* Translators of contrib_quantized.c and contrib_attention.c. */
typedef void ol_contrib_fn(ol_contrib *t);
ol_contrib_fn ol_contrib_qlinear_binary, ol_contrib_qlinear_unary, ol_contrib_qlinear_pool, ol_contrib_qlinear_concat, ol_contrib_qlinear_softmax,
    ol_contrib_qlinear_where, ol_contrib_qlinear_reduce, ol_contrib_qgemm, ol_contrib_qlinear_conv, ol_contrib_matmul_to_float, ol_contrib_dynamic_matmul,
    ol_contrib_dynamic_lstm, ol_contrib_attention, ol_contrib_qattention, ol_contrib_embed_norm;

#endif
