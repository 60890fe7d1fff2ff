/* SPDX-License-Identifier: Apache-2.0 */
/* The CPU device: one lower_<op>.c per operator (or family) chooses kernels and fusions. Registered in lower.def. */
#ifndef OL_DEVICE_CPU_CPU_H
#define OL_DEVICE_CPU_CPU_H

#include "device/device.h"

typedef olv_status ol_lower_fn(ol_lowering *l, ol_node *n, olv_error *err);

#define X(domain, name, fn) ol_lower_fn fn;
#include "device/cpu/lower.def"
#undef X

/* Rows of a value (product of all dims but the last) in this run. */
int64_t ol_cpu_rows(const ol_run *r, ol_dim rows);

/* Normalization that a fused step applies to the rows it reads. */
typedef struct ol_cpu_norm {
    bool on, layer; /* layer: LayerNormalization, else RMS */
    const float *w, *b;
    float epsilon;
    int64_t width;
    uint64_t cpu;
} ol_cpu_norm;
/* Reads a RMSNormalization or LayerNormalization node over the last axis. */
olv_status ol_cpu_norm_of(ol_lowering *l, ol_node *n, ol_cpu_norm *out, olv_error *err);
void ol_cpu_norm_rows(const ol_cpu_norm *norm, const float *x, int64_t ldx, float *y, int64_t ldy, int64_t rows);

/* True if the rows of `v` are read by Linear nodes alone, so that a norm before them moves into their steps. */
bool ol_cpu_feeds_linear_only(const ol_lowering *l, const ol_value *v);

/* Activations that can be fused. */
typedef enum ol_cpu_act {
    OL_ACT_NONE, OL_ACT_SILU, OL_ACT_GELU, OL_ACT_GELU_TANH, OL_ACT_QUICK_GELU, OL_ACT_RELU, OL_ACT_SIGMOID,
    OL_ACT_TANH, OL_ACT_RELU2, OL_ACT_SOFTPLUS, OL_ACT_EXP, OL_ACT_NEG, OL_ACT_SQRT, OL_ACT_RECIPROCAL, OL_ACT_ABS,
    OL_ACT_LOG, OL_ACT_SIN, OL_ACT_COS
} ol_cpu_act;
ol_cpu_act ol_cpu_act_of(const ol_node *n); /* NONE when it is no unary activation */
void ol_cpu_act_rows(ol_cpu_act act, uint64_t cpu, float *x, int64_t n);

#endif
