/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the emitter share. */
#ifndef OL_FORMATS_OPENVINO_EMIT_PRIVATE_H
#define OL_FORMATS_OPENVINO_EMIT_PRIVATE_H

#include "base/map.h"
#include "formats/openvino/emit.h"

typedef struct ol_ir_edge {
    int from, from_port, to, to_port;
} ol_ir_edge;

/* Number of inputs and the types of the outputs of a layer. */
typedef struct ol_ir_ports {
    int n_in, n_out;
    ol_ir_type *out;
    bool *named;       /* of the outputs: have tensor names */
    size_t at, out_at; /* where the layer and its outputs stand in `layers` */
} ol_ir_ports;

struct ol_ir_emit {
    ol_ir_file *file;
    ol_buf layers; /* XML */
    ol_ir_edge *edges;
    size_t n_edges, cap_edges;
    ol_ir_ports *ports; /* by layer id */
    int n_layers, cap_layers;
    int depth; /* of the layers in the document, for indenting */
    ol_map names;
    ol_ir_emit *next; /* chain of the emitters of a file */
};

struct ol_ir_file {
    ol_ir_options opt;
    char *path, *data_path, *data_part;
    int fd;
    uint64_t at;
    ol_map payloads; /* length and hash of small payloads -> their place */
    ol_arena *arena;
    const char **info; /* pairs of path and value */
    size_t n_info, cap_info;
    ol_ir_emit *net;
    ol_ir_emit *emitters;
    olv_status status;
    olv_error *err, own;
};

/* ---- the data file (emit_data.c) ---- */

/* Pads to the place of a payload and tells it. */
uint64_t ol_ir_data_start(ol_ir_file *f, uint64_t bytes);
void ol_ir_data_put(ol_ir_file *f, const void *p, size_t n);
/* A whole payload, shared with an equal one that is there when it is small. */
uint64_t ol_ir_data_payload(ol_ir_file *f, const void *p, size_t n);
/* The Const layer of a payload. */
ol_ir_out ol_ir_const_layer(ol_ir_emit *e, const char *name, const char *names, const ol_ir_type *t, uint64_t offset, uint64_t bytes);
/* The layers of a quantized constant (emit_quant.c); OL_IR_NONE without a failure when its form has no such spelling. */
ol_ir_out ol_ir_const_quant(ol_ir_emit *e, const char *name, const char *names, const ol_const *c);
/* Rows of a constant as values of t, streamed: the payload's place. */
uint64_t ol_ir_data_rows(ol_ir_file *f, const ol_const *c, ol_dtype t, uint64_t *bytes);

#endif
