/* SPDX-License-Identifier: Apache-2.0 */
/* The CPU device: one lower_<op>.c per operator (or family) chooses kernels and fusions. Registered in lower.def. */
#ifndef OL_DEVICE_CPU_CPU_H
#define OL_DEVICE_CPU_CPU_H

#include "device/device.h"
#include "kernels/activation/activation.h"
#include "kernels/norm/norm.h"

typedef olv_status ol_lower_fn(ol_lowering *l, ol_node *n, olv_error *err);

#define X(domain, name, fn) ol_lower_fn fn;
#include "device/cpu/lower.def"
#undef X

/* What ol_prepare makes of constants for this device. */
typedef enum ol_cpu_form { OL_CPU_FORM_F32, OL_CPU_FORM_NARROW_SCALES, OL_CPU_FORM_PANELS, OL_CPU_FORM_CODES } ol_cpu_form;

/* Decoding is bound by the bytes it reads, and scales in f32 are a fifth of them at groups of 32. Where all scales of q, which
 * is the form of c, are f16 numbers, q reads them as such from now on, with the same result to the bit. */
olv_status ol_cpu_narrow_scales(ol_lowering *l, const ol_const *c, const char *name, ol_qconst *q, olv_error *err);

/* Rows of a value (product of all dims but the last) in this run. */
int64_t ol_cpu_rows(const ol_run *r, ol_dim rows);

/* Normalization that a fused step applies to the rows it reads. */
typedef struct ol_cpu_norm {
    const olk_norm *kernel; /* NULL: none */
    olk_norm_form form;
    bool layer; /* LayerNormalization, else RMS */
} ol_cpu_norm;
/* Reads a RMSNormalization or LayerNormalization node over the last axis. */
olv_status ol_cpu_norm_of(ol_lowering *l, ol_node *n, ol_cpu_norm *out, olv_error *err);
void ol_cpu_norm_rows(const ol_cpu_norm *norm, const float *x, int64_t ldx, float *y, int64_t ldy, int64_t rows);

/* True if the rows of `v` are read by Linear nodes alone, so that a norm before them moves into their steps. */
bool ol_cpu_feeds_linear_only(const ol_value *v);

/* A unary function with its parameters. */
typedef struct ol_cpu_act {
    olk_act f; /* NONE: none */
    float a, b;
} ol_cpu_act;
/* The function of a unary operator; NONE when the node is none that kernels know. */
ol_cpu_act ol_cpu_act_of(const ol_node *n);

#endif
