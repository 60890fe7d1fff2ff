/* SPDX-License-Identifier: Apache-2.0 */
/* The layers of a tokenizer model of OpenVINO, for reading it: who feeds whom, and the constants in the data file. */
#ifndef OL_TEXT_TOKENIZER_OPENVINO_NET_H
#define OL_TEXT_TOKENIZER_OPENVINO_NET_H

#include "base/arena.h"
#include "base/file.h"
#include "base/xml.h"

typedef struct ol_tk_ir_layer ol_tk_ir_layer;
struct ol_tk_ir_layer {
    int64_t id;
    const char *type;
    const ol_xml *xml, *data;   /* data: its <data>, or NULL */
    const ol_tk_ir_layer **in;  /* layers that feed the inputs, in their order; NULL: nothing does */
    int64_t *port;              /* ids of the input ports */
    int n_in;
};

typedef struct ol_tk_ir_net {
    ol_arena *arena;
    ol_file *bin;
    const char *path; /* for messages */
    const ol_xml *root;
    ol_tk_ir_layer *layers; /* by id */
    int count;
    olv_error *err;
} ol_tk_ir_net;

/* Reads DIR/NAME and the data file beside it; or a document and a data file (which is retained), path being its name in
 * messages. *n is ready for ol_tk_ir_close in any case. */
OLV_MUST_USE olv_status ol_tk_ir_open(ol_tk_ir_net *n, const char *dir, const char *name, olv_error *err);
OLV_MUST_USE olv_status ol_tk_ir_parse(ol_tk_ir_net *n, ol_str xml, ol_file *bin, const char *path, olv_error *err);
void ol_tk_ir_close(ol_tk_ir_net *n);

/* First layer of a type, NULL: there is none. */
const ol_tk_ir_layer *ol_tk_ir_find(const ol_tk_ir_net *n, const char *type);
/* What feeds input i, through Convert; fails when nothing does. */
OLV_MUST_USE olv_status ol_tk_ir_source(const ol_tk_ir_net *n, const ol_tk_ir_layer *l, int i, const ol_tk_ir_layer **out);
/* An attribute; "" when absent. */
const char *ol_tk_ir_attr(const ol_tk_ir_layer *l, const char *name);
bool ol_tk_ir_flag(const ol_tk_ir_layer *l, const char *name);
/* A value of the model's rt_info, or NULL. */
const char *ol_tk_ir_info(const ol_tk_ir_net *n, const char *name);

/* ---- constants that feed an input ---- */

/* Bytes (u8); those of strings. */
OLV_MUST_USE olv_status ol_tk_ir_bytes(const ol_tk_ir_net *n, const ol_tk_ir_layer *l, int i, ol_str *out);
/* Numbers: i32 or i64 as int32, f32 or f16 as double; in the arena. */
OLV_MUST_USE olv_status ol_tk_ir_ints(const ol_tk_ir_net *n, const ol_tk_ir_layer *l, int i, int32_t **v, size_t *count);
OLV_MUST_USE olv_status ol_tk_ir_floats(const ol_tk_ir_net *n, const ol_tk_ir_layer *l, int i, double **v, size_t *count);
/* A list of strings: inputs i, i + 1 and i + 2. */
OLV_MUST_USE olv_status ol_tk_ir_strings(const ol_tk_ir_net *n, const ol_tk_ir_layer *l, int i, ol_str **v, size_t *count);

#endif
