/* SPDX-License-Identifier: Apache-2.0 */
/* Graph -> OpenVINO IR. */
#ifndef OL_FORMATS_OPENVINO_WRITE_H
#define OL_FORMATS_OPENVINO_WRITE_H

#include "graph/graph.h"

typedef struct ol_openvino_write_options {
    bool compress_to_f16; /* store f32 constants as f16 */
} ol_openvino_write_options;

/* Writes PATH (an ".xml") and the ".bin" beside it: both complete, or neither. Same graph, same bytes. Operators without one
 * of OpenVINO's become several; those that cannot be said (sequences, states, drawn numbers) are refused by node and reason. */
OLV_MUST_USE olv_status ol_openvino_write(const ol_graph *g, const char *path, const ol_openvino_write_options *opt, olv_error *err);

#endif
