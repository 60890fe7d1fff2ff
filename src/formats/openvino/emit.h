/* SPDX-License-Identifier: Apache-2.0 */
/* Emits OpenVINO IR, version 11: layers in the order in which they come, and the bytes of their constants into the data file.
 *
 *     OL_TRY(ol_ir_begin("model.xml", &(ol_ir_options){.name = "model"}, &f, err));
 *     ol_ir_emit *e = ol_ir_net(f);
 *     ol_ir_out x = ol_ir_add_parameter(e, "x", "x", &type), y = ol_ir_add_unary(e, "ReLU", "relu", x);
 *     ol_ir_add_result(e, "y", y);
 *     olv_status s = ol_ir_finish(f);
 *     ol_ir_abort(f);
 *
 * Parameters come first, then everything before what uses it, then Assign, then results. Failures latch: later calls give
 * OL_IR_NONE, and ol_ir_finish tells the first one. Both files lie under temporary names until ol_ir_finish. Nothing big is
 * held in memory: constants go to the data file by tiles, equal small ones lie there once. The bytes of both files depend
 * on the calls alone. */
#ifndef OL_FORMATS_OPENVINO_EMIT_H
#define OL_FORMATS_OPENVINO_EMIT_H

#include "base/arena.h"
#include "base/str.h"
#include "formats/openvino/element.h"
#include "tensor/constant.h"

typedef struct ol_ir_file ol_ir_file; /* both files under way */
typedef struct ol_ir_emit ol_ir_emit; /* the net, or the body of a layer */

/* An output of a layer. */
typedef struct ol_ir_out {
    int layer, port; /* layer < 0: none, an input left out */
} ol_ir_out;
#define OL_IR_NONE ((ol_ir_out){-1, 0})

typedef struct ol_ir_type {
    const ol_ir_element *element;
    int rank;                  /* -1: unknown */
    int64_t dims[OL_MAX_RANK]; /* -1: any size */
} ol_ir_type;
ol_ir_type ol_ir_type_of(ol_dtype t, int rank, const int64_t *dims);

/* A text attribute of <data>, made by the functions below. text NULL: left out. */
typedef struct ol_ir_attr {
    const char *name, *text;
} ol_ir_attr;

typedef struct ol_ir_layer {
    const char *type;         /* "MatMul" */
    const char *version;      /* "opset1", "extension"; NULL: opset1 */
    const char *name;         /* NULL: made of the type. Taken names get a number */
    const ol_ir_out *in;
    int n_in;
    const ol_ir_attr *attrs;
    int n_attrs;
    const ol_ir_type *out;    /* NULL: one output of unknown type */
    int n_out;
    const char *const *names; /* of the output tensors, from ol_ir_names; NULL, or entries NULL: none */
    const char *rt_info;      /* a mark, "decompression"; NULL: none */
    const ol_buf *tail;       /* elements behind the ports: port_map, back_edges, body; NULL: none */
} ol_ir_layer;

typedef struct ol_ir_options {
    const char *name;     /* of the net; NULL: "Model" */
    bool compress_to_f16; /* f32 and f64 constants are stored as f16 */
} ol_ir_options;

/* ---- files ---- */

/* PATH.xml and PATH.bin for a PATH with or without ".xml". *out is the caller's: ol_ir_abort. err is kept for what fails later. */
OLV_MUST_USE olv_status ol_ir_begin(const char *path, const ol_ir_options *opt, ol_ir_file **out, olv_error *err);
ol_ir_emit *ol_ir_net(ol_ir_file *f);
/* A leaf of the model's rt_info: names joined by '/' ("nncf/weight_compression/mode"); those with one parent come together. */
void ol_ir_info(ol_ir_file *f, const char *path, const char *value);
/* Writes the net and gives both files their names. */
OLV_MUST_USE olv_status ol_ir_finish(ol_ir_file *f);
/* Releases f; without ol_ir_finish before, its temporary files go too. NULL accepted. */
void ol_ir_abort(ol_ir_file *f);
/* OLV_OK or the latched failure; and latching one (the message is made by ol_fail on the error of ol_ir_begin). */
olv_status ol_ir_status(const ol_ir_file *f);
void ol_ir_latch(ol_ir_file *f, olv_status s);
olv_error *ol_ir_error(const ol_ir_file *f);
ol_ir_file *ol_ir_file_of(const ol_ir_emit *e);
ol_arena *ol_ir_arena(const ol_ir_emit *e); /* lives as long as the file: for names and attributes */

/* ---- layers ---- */

/* The first output of the new layer. */
ol_ir_out ol_ir_add(ol_ir_emit *e, const ol_ir_layer *l);
static inline ol_ir_out ol_ir_nth(ol_ir_out first, int i) {
    return first.layer < 0 ? first : (ol_ir_out){first.layer, first.port + i};
}
/* Type of an output; NULL for OL_IR_NONE. Valid until the next layer. */
const ol_ir_type *ol_ir_get_type(const ol_ir_emit *e, ol_ir_out o);
/* Names a layer (NULL: leaves it) and the tensor of one of its outputs after the fact; cheap for the last layer. */
void ol_ir_give_names(ol_ir_emit *e, ol_ir_out o, const char *layer, const char *names);
bool ol_ir_has_names(const ol_ir_emit *e, ol_ir_out o);
const char *ol_ir_names(ol_ir_emit *e, const char *const *names, int n); /* sorted, commas escaped: the text of `names` */

ol_ir_attr ol_ir_say_text(const char *name, const char *text); /* text is borrowed */
ol_ir_attr ol_ir_say_bool(const char *name, bool v);
ol_ir_attr ol_ir_say_int(ol_ir_emit *e, const char *name, int64_t v);
ol_ir_attr ol_ir_say_float(ol_ir_emit *e, const char *name, double v); /* the shortest text that gives v again as f32 or f64 */
ol_ir_attr ol_ir_say_ints(ol_ir_emit *e, const char *name, const int64_t *v, size_t n);

/* "?,4,?,128": sizes of a type as Parameter and ReadValue tell them; "..." for an unknown rank. */
const char *ol_ir_shape_text(ol_ir_emit *e, const ol_ir_type *t);
/* Parameter and Result of the net or of a body. */
ol_ir_out ol_ir_add_parameter(ol_ir_emit *e, const char *name, const char *names, const ol_ir_type *t);
int ol_ir_add_result(ol_ir_emit *e, const char *name, ol_ir_out x); /* id of the layer */

/* Layers of one output and no attributes but auto_broadcast, with types worked out. */
ol_ir_out ol_ir_add_unary(ol_ir_emit *e, const char *type, const char *name, ol_ir_out x);
ol_ir_out ol_ir_add_binary(ol_ir_emit *e, const char *type, const char *name, ol_ir_out a, ol_ir_out b);
ol_ir_out ol_ir_add_convert(ol_ir_emit *e, const char *name, ol_ir_out x, const ol_ir_element *to);
/* Reshape, Squeeze, Unsqueeze, Transpose with a constant second input; dims of the result are worked out where they can be. */
ol_ir_out ol_ir_add_reshape(ol_ir_emit *e, const char *name, ol_ir_out x, const int64_t *dims, int n, bool special_zero);
ol_ir_out ol_ir_add_squeeze(ol_ir_emit *e, const char *name, ol_ir_out x, const int64_t *axes, int n);
ol_ir_out ol_ir_add_unsqueeze(ol_ir_emit *e, const char *name, ol_ir_out x, const int64_t *axes, int n);
ol_ir_out ol_ir_add_transpose(ol_ir_emit *e, const char *name, ol_ir_out x, const int64_t *perm, int n);

/* ---- constants ---- */

/* Bytes that are there: the element says what they are. */
ol_ir_out ol_ir_const_raw(ol_ir_emit *e, const char *name, const char *names, const ol_ir_type *t, const void *data, size_t bytes);
ol_ir_out ol_ir_const_i64(ol_ir_emit *e, const int64_t *v, int n); /* n < 0: a scalar */
ol_ir_out ol_ir_const_number(ol_ir_emit *e, ol_dtype t, double v); /* a scalar */
/* A constant of any kind, streamed. Quantized ones unfold to the layers that OpenVINO takes for compressed weights and give
 * f32; under compress_to_f16 floats are stored as f16 and followed by their decompressing Convert. */
ol_ir_out ol_ir_const(ol_ir_emit *e, const char *name, const char *names, const ol_const *c);
/* The same, never as f16. */
ol_ir_out ol_ir_const_exact(ol_ir_emit *e, const char *name, const char *names, const ol_const *c);

/* ---- bodies ---- */

/* A body: its layers have ids of their own. It lives as long as the file. NULL after a failure. */
ol_ir_emit *ol_ir_body(ol_ir_emit *outer);
/* Appends <TAG>layers, edges</TAG> to the tail of the layer that holds the body. */
void ol_ir_put_body(const ol_ir_emit *body, const char *tag, ol_buf *tail);
/* Appends one empty element with attributes (<input external_port_id="1" .../>). */
void ol_ir_put_element(ol_buf *tail, const char *tag, const ol_ir_attr *attrs, int n);

#endif
