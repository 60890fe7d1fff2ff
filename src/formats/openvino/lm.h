/* SPDX-License-Identifier: Apache-2.0 */
/* Folders of OpenVINO GenAI: openvino_model.xml and .bin hold a decoder over padded rows [B, S] whose keys and values are
 * states of the model. Reading translates it to the flat-row form of docs/lm-graph.md; writing does the reverse. */
#ifndef OL_FORMATS_OPENVINO_LM_H
#define OL_FORMATS_OPENVINO_LM_H

#include "graph/graph.h"

#define OL_OPENVINO_MODEL "openvino_model.xml"

/* The language model of a folder. */
OLV_MUST_USE olv_status ol_openvino_lm_read(const char *folder, ol_graph **out, olv_error *err);

typedef struct ol_openvino_lm_options {
    bool compress_to_f16; /* float weights that are f32 are stored as f16 */
    /* Called with values of weights written and in all; false cancels. */
    bool (*progress)(void *ctx, uint64_t done, uint64_t total);
    void *ctx;
} ol_openvino_lm_options;

/* Writes FOLDER/openvino_model.xml and .bin for a graph in the flat-row form, streaming. */
OLV_MUST_USE olv_status ol_openvino_lm_write(ol_graph *g, const char *folder, const ol_openvino_lm_options *opt, olv_error *err);

#endif
