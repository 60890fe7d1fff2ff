/* SPDX-License-Identifier: Apache-2.0 */
/* Work on rows that several steps of the CPU device share. */
#ifndef OL_DEVICE_CPU_ROWS_H
#define OL_DEVICE_CPU_ROWS_H

#include "device/cpu/cpu.h"

#include "kernels/rope/rope.h"

/* Norm of each head's values in a row of heads. */
typedef struct ol_cpu_head_norm {
    ol_cpu_norm norm;
    int heads;
} ol_cpu_head_norm;

olv_status ol_cpu_head_norm_of(ol_lowering *l, ol_node *n, ol_cpu_head_norm *out, olv_error *err);
/* In place on one row. */
void ol_cpu_head_norm_row(const ol_cpu_head_norm *h, float *x);

/* Attention without state. */
olv_status ol_cpu_lower_row_attention(ol_lowering *l, ol_node *n, olv_error *err);

/* Steps of HeadNorm and Rotary nodes that lead to no Attention. */
olv_status ol_cpu_lower_lone_head_norm(ol_lowering *l, ol_node *n, olv_error *err);
olv_status ol_cpu_lower_lone_rotary(ol_lowering *l, ol_node *n, olv_error *err);

#endif
