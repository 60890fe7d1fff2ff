/* SPDX-License-Identifier: Apache-2.0 */
/* Windows that slide over the spatial dims [2, rank) of [N, C, ...]: geometry of convolutions and pools. */
#ifndef OL_OPS_WINDOW_H
#define OL_OPS_WINDOW_H

#include "ops/ops.h"

typedef struct ol_window {
    int n; /* spatial dims */
    int64_t in[OL_MAX_RANK], out[OL_MAX_RANK], kernel[OL_MAX_RANK], stride[OL_MAX_RANK], dilation[OL_MAX_RANK];
    int64_t begin[OL_MAX_RANK], end[OL_MAX_RANK]; /* pads */
} ol_window;

/* Reads strides, dilations, pads and auto_pad of the node; `kernel` (n sizes). Sizes of outputs are computed, with
 * ceil_mode where the node has it. in[i] may be any known size. */
OLV_MUST_USE olv_status ol_window_init(ol_window *w, const ol_node *node, int n, const int64_t *in, const int64_t *kernel,
                                       olv_error *err);
/* The same for the window of a ConvTranspose, whose inputs are places of the window in the output. */
OLV_MUST_USE olv_status ol_window_init_transposed(ol_window *w, const ol_node *node, int n, const int64_t *in, const int64_t *kernel,
                                                  olv_error *err);
/* Output types of such an operator: [N, channels, ...]; kernel NULL: unknown. */
OLV_MUST_USE olv_status ol_window_infer(ol_infer *c, const ol_type *x, const int64_t *kernel, ol_dim channels, ol_type *out,
                                        olv_error *err);
/* Places of a window: element index within the spatial block of the k-th tap at output index o, or -1 in the padding. */
int64_t ol_window_tap(const ol_window *w, const int64_t *o, const int64_t *k);
/* Counts up a mixed-radix index; false after the last. */
bool ol_index_next(int64_t *index, const int64_t *dims, int n);

#endif
