/* SPDX-License-Identifier: Apache-2.0 */
/* Work on rows that several steps of the CPU device share. */
#ifndef OL_DEVICE_CPU_ROWS_H
#define OL_DEVICE_CPU_ROWS_H

#include "device/cpu/cpu.h"

typedef struct ol_cpu_head_norm {
    int heads, dim;
    bool layer;
    float epsilon, offset; /* offset is added to w */
    const float *w, *b;    /* [dim], or [heads * dim] when per_head */
    bool per_head;
    uint64_t cpu;
} ol_cpu_head_norm;

olv_status ol_cpu_head_norm_of(ol_lowering *l, ol_node *n, ol_cpu_head_norm *out, olv_error *err);
void ol_cpu_head_norm_row(const ol_cpu_head_norm *h, float *x);
/* Rotates the first rotary_dim values of each head; table: cos of rotary_dim / 2 angles, then sin. */
void ol_cpu_rotate_row(float *x, int heads, int head_dim, const float *table, int64_t rotary_dim, bool interleaved,
                       uint64_t cpu);

/* Steps of HeadNorm and Rotary nodes that lead to no Attention. */
olv_status ol_cpu_lower_lone_head_norm(ol_lowering *l, ol_node *n, olv_error *err);
olv_status ol_cpu_lower_lone_rotary(ol_lowering *l, ol_node *n, olv_error *err);

#endif
