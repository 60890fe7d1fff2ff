/* SPDX-License-Identifier: Apache-2.0 */
/* Elementwise work on tensors of any rank with broadcasting, in buffers of f32 and i64 (bool: 0 and
 * 1). */
#ifndef OL_DEVICE_CPU_BROADCAST_H
#define OL_DEVICE_CPU_BROADCAST_H

#include "device/cpu/cpu.h"

#define OL_CPU_OPERANDS 3

/* y[i] = f(in[0][i * step[0]], ...) for i < n; a step is 0 or 1. */
typedef void ol_cpu_inner(const void *const *in, const int64_t *step, void *y, int64_t n);

/* The function of an operator on inputs of these element classes ('f' float, 's' i64 or bool); NULL
 * when there is none. */
ol_cpu_inner *ol_cpu_inner_of(const ol_node *n);

/* Any elementwise operator that has such a function. OLV_UNSUPPORTED for others. */
olv_status ol_cpu_lower_broadcast(ol_lowering *l, ol_node *n, olv_error *err);

#endif
