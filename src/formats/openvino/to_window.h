/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OL_FORMATS_OPENVINO_TO_WINDOW_H
#define OL_FORMATS_OPENVINO_TO_WINDOW_H

#include "formats/openvino/to.h"

/* The convolution that the attributes of a node say, without bias: of x and w, or, when `filter` is there, that value. */
ol_ir_out ol_to_convolve(ol_to *t, const ol_node *n, ol_ir_out x, ol_ir_out w, const ol_value *filter);

#endif
