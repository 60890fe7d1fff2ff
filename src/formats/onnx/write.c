/* SPDX-License-Identifier: Apache-2.0 */
/* Graph -> ONNX file and data file. */
#include "base/alloc.h"
#include "base/checked.h"
#include "base/error.h"
#include "base/map.h"
#include "formats/onnx/emit.h"
#include "formats/onnx/lower.h"
#include "formats/onnx/onnx.h"
#include "graph/op.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define TILE_BYTES ((size_t)4 << 20)
#define PAGE 4096u
#define NEWEST 27 /* opset that can be asked for */

typedef struct writer {
    ol_onnx_write_options opt;
    const char *location; /* name of the data file */
    int fd;               /* of the data file, -1 until needed */
    char *data_path;      /* under its temporary name */
    uint64_t at;
    ol_arena *names;
    ol_map node_names; /* written so far: a second node of a name goes without */
    olv_error *err;
} writer;

static olv_status put_bytes(writer *w, const void *p, size_t n) {
    const char *b = p;
    while (n) {
        ssize_t k = write(w->fd, b, n);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) return ol_fail_errno(w->err, "cannot write '%s'", w->data_path);
        b += k;
        n -= (size_t)k;
        w->at += (uint64_t)k;
    }
    return OLV_OK;
}

/* Opens the data file and pads it to the place of a tensor of `bytes`. */
static olv_status start_tensor(writer *w, uint64_t bytes) {
    static const char zeros[PAGE];
    if (w->fd < 0) w->fd = open(w->data_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (w->fd < 0) return ol_fail_errno(w->err, "cannot create '%s'", w->data_path);
    uint64_t to = bytes >= PAGE ? PAGE : 64, pad = (to - w->at % to) % to;
    return put_bytes(w, zeros, (size_t)pad);
}

static olv_status put_converted(writer *w, const ol_const *c) {
    int64_t rows = ol_const_rows(c), width = ol_const_width(c), step = width ? (int64_t)(TILE_BYTES / 4) / width : rows;
    int bits = ol_dtype_bits(ol_const_dtype(c));
    if (step < 1) step = 1;
    if (step > rows) step = rows;
    if (rows == 0 || width == 0) return OLV_OK;
    float *tile = ol_calloc((size_t)step, (size_t)width * sizeof *tile);
    char *raw = ol_calloc((size_t)step, (size_t)width * 8);
    olv_status s = tile && raw ? OLV_OK : ol_fail(w->err, OLV_NOMEM, "no memory for a tile");
    for (int64_t r = 0; r < rows && s == OLV_OK; r += step) {
        int64_t n = r + step > rows ? rows - r : step;
        s = ol_const_rows_f32(c, r, n, tile, w->err);
        if (s != OLV_OK) break;
        ol_elems_from_f32(ol_const_dtype(c), tile, (uint64_t)(n * width), raw, 0);
        s = put_bytes(w, raw, (size_t)(n * width) * (size_t)bits / 8);
    }
    ol_free(tile);
    ol_free(raw);
    return s;
}

/* Views of float types go by tiles; the rest is materialized. */
static olv_status put_const(writer *w, const ol_const *c) {
    size_t bytes;
    const void *p = ol_const_data(c, &bytes);
    ol_dtype t = ol_const_dtype(c);
    if (p) return put_bytes(w, p, bytes);
    if (t == OL_F32 || t == OL_F16 || t == OL_BF16) return put_converted(w, c);
    ol_tensor x;
    OL_TRY(ol_const_materialize(c, SIZE_MAX, &x, w->err));
    olv_status s = put_bytes(w, x.data, x.bytes);
    ol_tensor_deinit(&x);
    return s;
}

static olv_status const_tensor(writer *w, const ol_const *c, const char *name, ol_buf *out) {
    ol_tensor x;
    if (ol_const_quant_form(c)) {
        OL_TRY(ol_tensor_init(&x, OL_F32, ol_const_rank(c), ol_const_dims(c), w->err));
        OL_TRY(ol_const_rows_f32(c, 0, ol_const_rows(c), x.data, w->err));
    } else {
        OL_TRY(ol_const_materialize(c, SIZE_MAX, &x, w->err));
    }
    if (x.dtype == OL_STRING) ol_onnx_emit_strings(out, name, x.rank, x.dims, x.data, (size_t)ol_tensor_count(&x));
    else ol_onnx_emit_tensor(out, name, x.dtype, x.rank, x.dims, x.data, x.bytes);
    ol_tensor_deinit(&x);
    return OLV_OK;
}

static olv_status plain_const(writer *w, ol_onnx_emit *e, const char *name, const ol_const *c) {
    size_t bytes;
    ol_dtype t = ol_const_dtype(c);
    if (!ol_dtype_bytes(t, (uint64_t)(ol_const_rows(c) * ol_const_width(c)), &bytes)) return ol_fail(w->err, OLV_LIMIT, "constant too large");
    if (bytes <= w->opt.inline_max || t == OL_STRING) {
        ol_buf b = OL_BUF_INIT;
        olv_status s = const_tensor(w, c, name, &b);
        if (s == OLV_OK) ol_onnx_emit_initializer(e, &b);
        ol_buf_deinit(&b);
        return s;
    }
    OL_TRY(start_tensor(w, bytes));
    ol_onnx_emit_external(e, name, t, ol_const_rank(c), ol_const_dims(c), w->location, w->at, bytes);
    return put_const(w, c);
}

/* ---- quantized constants: codes, scales and zero points as three tensors and a DequantizeLinear ---- */

static ol_dtype code_type(ol_qcode c) {
    return c == OL_Q_I8 ? OL_I8 : c == OL_Q_U8 ? OL_U8 : c == OL_Q_I4 ? OL_I4 : c == OL_Q_U4 ? OL_U4 : c == OL_Q_F8 ? OL_F8E4M3 : OL_DTYPE_NONE;
}

static bool can_block(const ol_qconst *q) {
    return code_type(q->code) != OL_DTYPE_NONE && q->k % q->group == 0 && q->min_dtype == OL_DTYPE_NONE && !q->perm && !q->input_scale &&
           q->global_scale == 1 && q->scale_dtype != OL_F8E8M0 && (q->zero_dtype == OL_DTYPE_NONE || !ol_dtype_bits(q->zero_dtype) || ol_dtype_class(q->zero_dtype) != 'f') &&
           (ol_dtype_bits(code_type(q->code)) == 8 || q->k % 2 == 0);
}

/* Zero points of all rows as a dense tensor of the codes' type. */
static void dense_zeros(const ol_qconst *q, const uint8_t *zeros, ol_dtype t, ol_tensor *out) {
    double def = q->code == OL_Q_U4 ? 8 : q->code == OL_Q_U8 ? 128 : 0;
    for (int64_t r = 0; r < q->rows; r++)
        for (int64_t g = 0; g < q->n_groups; g++)
            ol_elem_set(t, out->data, (uint64_t)(r * q->n_groups + g),
                        q->zero_dtype == OL_DTYPE_NONE ? def : ol_elem_get(q->zero_dtype, zeros + (size_t)r * q->zero_row_bytes, (uint64_t)g));
}

static olv_status add_tensor(writer *w, ol_onnx_emit *e, const char *name, ol_dtype t, int rank, const int64_t *dims, const void *data, size_t bytes) {
    if (bytes > w->opt.inline_max) {
        OL_TRY(start_tensor(w, bytes));
        ol_onnx_emit_external(e, name, t, rank, dims, w->location, w->at, bytes);
        return put_bytes(w, data, bytes);
    }
    ol_buf b = OL_BUF_INIT;
    ol_onnx_emit_tensor(&b, name, t, rank, dims, data, bytes);
    ol_onnx_emit_initializer(e, &b);
    ol_buf_deinit(&b);
    return OLV_OK;
}

static olv_status put_codes(writer *w, ol_onnx_emit *e, const char *name, const ol_const *c, const ol_qconst *q) {
    size_t bytes;
    if (!ol_mul_size((size_t)q->rows, q->row_bytes, &bytes)) return ol_fail(w->err, OLV_LIMIT, "constant too large");
    OL_TRY(start_tensor(w, bytes));
    ol_onnx_emit_external(e, name, code_type(q->code), ol_const_rank(c), ol_const_dims(c), w->location, w->at, bytes);
    int64_t step = (int64_t)(TILE_BYTES / (q->row_bytes ? q->row_bytes : 1)) + 1;
    uint8_t *tile = ol_calloc((size_t)step, q->row_bytes);
    olv_status s = tile ? OLV_OK : ol_fail(w->err, OLV_NOMEM, "no memory for a tile");
    for (int64_t r = 0; r < q->rows && s == OLV_OK; r += step) {
        int64_t n = r + step > q->rows ? q->rows - r : step;
        s = ol_const_rows_quant(c, r, n, tile, NULL, NULL, w->err);
        if (s == OLV_OK) s = put_bytes(w, tile, (size_t)n * q->row_bytes);
    }
    ol_free(tile);
    return s;
}

static olv_status quant_const(writer *w, ol_onnx_emit *e, const char *name, const ol_const *c, const ol_qconst *q) {
    int rank = ol_const_rank(c);
    int64_t dims[OL_MAX_RANK];
    memcpy(dims, ol_const_dims(c), (size_t)rank * sizeof *dims);
    dims[rank - 1] = q->n_groups;
    ol_tensor zeros = {.dtype = OL_DTYPE_NONE}, scales = {.dtype = OL_DTYPE_NONE};
    ol_dtype t = code_type(q->code);
    char *text[3] = {ol_arena_printf(w->names, "%s_codes", name), ol_arena_printf(w->names, "%s_scale", name), ol_arena_printf(w->names, "%s_zero", name)};
    if (!text[0] || !text[1] || !text[2]) return ol_fail(w->err, OLV_NOMEM, "no memory");
    bool has_zero = q->zero_dtype != OL_DTYPE_NONE || q->code == OL_Q_U4 || q->code == OL_Q_U8;
    int64_t step = (int64_t)(TILE_BYTES / (q->row_bytes ? q->row_bytes : 1)) + 1;
    size_t scale_row = (size_t)q->n_groups * (size_t)ol_dtype_bits(q->scale_dtype) / 8;
    uint8_t *raw = ol_calloc((size_t)q->rows, q->zero_row_bytes + 1), *codes = ol_calloc((size_t)step, q->row_bytes + 1);
    olv_status s = raw && codes ? ol_tensor_init(&scales, q->scale_dtype, rank, dims, w->err) : ol_fail(w->err, OLV_NOMEM, "no memory");
    if (s == OLV_OK && has_zero) s = ol_tensor_init(&zeros, t, rank, dims, w->err);
    for (int64_t r = 0; s == OLV_OK && r < q->rows; r += step) {
        int64_t n = r + step > q->rows ? q->rows - r : step;
        s = ol_const_rows_quant(c, r, n, codes, (uint8_t *)scales.data + (size_t)r * scale_row,
                                q->zero_dtype == OL_DTYPE_NONE ? NULL : raw + (size_t)r * q->zero_row_bytes, w->err);
    }
    if (s == OLV_OK && has_zero) dense_zeros(q, raw, t, &zeros);
    ol_free(raw);
    ol_free(codes);
    if (s == OLV_OK) s = put_codes(w, e, text[0], c, q);
    if (s == OLV_OK) s = add_tensor(w, e, text[1], q->scale_dtype, rank, dims, scales.data, scales.bytes);
    if (s == OLV_OK && has_zero) s = add_tensor(w, e, text[2], t, rank, dims, zeros.data, zeros.bytes);
    ol_tensor_deinit(&zeros);
    ol_tensor_deinit(&scales);
    OL_TRY(s);
    ol_buf attrs = OL_BUF_INIT;
    const char *in[] = {text[0], text[1], has_zero ? text[2] : NULL}, *wide = name;
    if (q->scale_dtype != OL_F32) wide = ol_arena_printf(w->names, "%s_narrow", name);
    ol_onnx_attr_int(&attrs, "axis", rank - 1);
    ol_onnx_attr_int(&attrs, "block_size", q->group);
    ol_onnx_emit_node(e, "", "DequantizeLinear", NULL, in, 3, &wide, 1, &attrs);
    ol_buf_deinit(&attrs);
    if (wide != name) { /* scales of 16 bits give 16-bit weights: the graph has f32 */
        ol_buf cast = OL_BUF_INIT;
        ol_onnx_attr_int(&cast, "to", ol_dtype_onnx(OL_F32));
        ol_onnx_emit_node(e, "", "Cast", NULL, &wide, 1, &name, 1, &cast);
        ol_buf_deinit(&cast);
    }
    return OLV_OK;
}

/* ---- weights of onnxruntime's MatMulNBits: codes [N, blocks, bytes], scales [N, blocks], zero points [N, bytes] ---- */

/* The block of a matrix; a scale for a whole row serves any. 0: there is none that fits. */
static int64_t nbits_block(const ol_qconst *q) {
    if ((q->code != OL_Q_U4 && q->code != OL_Q_U8) || q->min_dtype != OL_DTYPE_NONE || q->perm || q->input_scale || q->global_scale != 1 ||
        q->scale_dtype != OL_F32 || (q->zero_dtype != OL_DTYPE_NONE && q->zero_dtype != (q->code == OL_Q_U4 ? OL_U4 : OL_U8)))
        return 0;
    for (int64_t b = 256; b >= 16; b /= 2)
        if (q->k % b == 0 && (q->n_groups == 1 || q->group == b)) return b;
    return 0;
}

static bool is_linear(const ol_node *n) { return !strcmp(n->op->domain, "olivine") && !strcmp(n->op->name, "Linear"); }

static bool only_linear(void *ctx, ol_node *user, int input) {
    bool *only = ctx;
    *only = *only && user && input == 1 && is_linear(user) && user->inputs[0]->type.dtype == OL_F32;
    return *only;
}

static int64_t nbits_of(const writer *w, ol_value *v) {
    const ol_qconst *q = w->opt.contrib && v->constant ? ol_const_quant_form(v->constant) : NULL;
    bool only = q && ol_const_rank(v->constant) == 2;
    if (only) ol_value_each_use(v, only_linear, &only);
    return only ? nbits_block(q) : 0;
}

/* Names of the three tensors of a value; NULL when out of memory. */
static const char *nbits_name(const writer *w, const ol_value *v, int part) {
    static const char *const suffix[] = {"codes", "scales", "zeros"};
    return ol_arena_printf(w->names, "%s_%s", v->name, suffix[part]);
}

/* Scales and zero points of every block from those of the groups. */
static olv_status spread_blocks(writer *w, ol_onnx_emit *e, const ol_value *v, const ol_qconst *q, int64_t block, const float *scales, const uint8_t *zeros) {
    int64_t blocks = q->k / block, per = blocks / q->n_groups, bits = q->code == OL_Q_U4 ? 4 : 8, zero_row = (blocks * bits + 7) / 8;
    size_t n = (size_t)q->rows * (size_t)blocks;
    float *s = ol_calloc(n + 1, sizeof *s);
    uint8_t *z = ol_calloc((size_t)q->rows, (size_t)zero_row + 1);
    olv_status status = s && z ? OLV_OK : ol_fail(w->err, OLV_NOMEM, "no memory");
    for (int64_t r = 0; status == OLV_OK && r < q->rows; r++)
        for (int64_t b = 0; b < blocks; b++) {
            s[r * blocks + b] = scales[r * q->n_groups + b / per];
            if (q->zero_dtype != OL_DTYPE_NONE)
                ol_elem_set(q->zero_dtype, z + r * zero_row, (uint64_t)b, ol_elem_get(q->zero_dtype, zeros + (size_t)r * q->zero_row_bytes, (uint64_t)(b / per)));
        }
    if (status == OLV_OK) status = add_tensor(w, e, nbits_name(w, v, 1), OL_F32, 2, (const int64_t[]){q->rows, blocks}, s, n * sizeof *s);
    if (status == OLV_OK && q->zero_dtype != OL_DTYPE_NONE)
        status = add_tensor(w, e, nbits_name(w, v, 2), OL_U8, 2, (const int64_t[]){q->rows, zero_row}, z, (size_t)(q->rows * zero_row));
    ol_free(s);
    ol_free(z);
    return status;
}

static olv_status nbits_const(writer *w, ol_onnx_emit *e, const ol_value *v, int64_t block) {
    const ol_qconst *q = ol_const_quant_form(v->constant);
    size_t bytes;
    if (!nbits_name(w, v, 0) || !ol_mul_size((size_t)q->rows, q->row_bytes, &bytes)) return ol_fail(w->err, OLV_LIMIT, "constant too large");
    uint8_t *codes = ol_alloc(bytes + 1), *zeros = ol_calloc((size_t)q->rows, q->zero_row_bytes + 1);
    float *scales = ol_calloc((size_t)q->rows, (size_t)q->n_groups * sizeof *scales);
    olv_status s = codes && zeros && scales ? OLV_OK : ol_fail(w->err, OLV_NOMEM, "no memory for %zu bytes of codes", bytes);
    if (s == OLV_OK) s = ol_const_rows_quant(v->constant, 0, q->rows, codes, scales, q->zero_row_bytes ? zeros : NULL, w->err);
    int64_t blocks = q->k / block, each = block * (q->code == OL_Q_U4 ? 4 : 8) / 8;
    if (s == OLV_OK) s = add_tensor(w, e, nbits_name(w, v, 0), OL_U8, 3, (const int64_t[]){q->rows, blocks, each}, codes, bytes);
    if (s == OLV_OK) s = spread_blocks(w, e, v, q, block, scales, zeros);
    ol_free(codes);
    ol_free(zeros);
    ol_free(scales);
    return s;
}

static olv_status emit_nbits(writer *w, ol_onnx_emit *e, const ol_node *n, int64_t block) {
    const ol_value *v = n->inputs[1];
    const ol_qconst *q = ol_const_quant_form(v->constant);
    const char *bias = n->n_inputs > 2 && n->inputs[2] ? n->inputs[2]->name : NULL, *out = n->outputs[0]->name;
    const char *y = bias ? ol_arena_printf(w->names, "%s_product", out) : out, *sum[2] = {y, bias};
    const char *in[] = {n->inputs[0]->name, nbits_name(w, v, 0), nbits_name(w, v, 1), q->zero_dtype == OL_DTYPE_NONE ? NULL : nbits_name(w, v, 2)};
    ol_buf attrs = OL_BUF_INIT;
    ol_onnx_attr_int(&attrs, "K", q->k);
    ol_onnx_attr_int(&attrs, "N", q->rows);
    ol_onnx_attr_int(&attrs, "bits", q->code == OL_Q_U4 ? 4 : 8);
    ol_onnx_attr_int(&attrs, "block_size", block);
    ol_onnx_emit_node(e, "com.microsoft", "MatMulNBits", n->name, in, in[3] ? 4 : 3, &y, 1, &attrs);
    if (bias) ol_onnx_emit_node(e, "", "Add", NULL, sum, 2, &out, 1, NULL);
    ol_buf_deinit(&attrs);
    return y ? OLV_OK : ol_fail(w->err, OLV_NOMEM, "no memory");
}

/* ---- graphs ---- */

static olv_status emit_graph(writer *w, const ol_graph *g, ol_onnx_emit *e);

/* The texts of dims, and the kind as emit.h counts it. */
typedef struct type_text {
    char text[OL_MAX_RANK][200];
    const char *dims[OL_MAX_RANK];
    int kind;
} type_text;

static void describe_type(const ol_graph *g, const ol_type *t, type_text *out) {
    for (int i = 0; i < t->rank; i++) {
        ol_dim_format(g->dims, t->dims[i], out->text[i], sizeof out->text[i]);
        out->dims[i] = out->text[i];
    }
    out->kind = t->kind == OL_VALUE_OPTIONAL && t->sequence_inside ? 3 : (int)t->kind;
    if (t->map_key != OL_DTYPE_NONE) out->kind = t->sequence_inside ? OL_ONNX_MAPS(t->map_key) : OL_ONNX_MAP(t->map_key);
}

static void emit_io(const ol_graph *g, ol_onnx_emit *e, const ol_value *v, bool input) {
    type_text t;
    describe_type(g, &v->type, &t);
    if (input) ol_onnx_emit_input(e, v->name, v->type.dtype, v->type.rank, t.dims, t.kind);
    else ol_onnx_emit_output(e, v->name, v->type.dtype, v->type.rank, t.dims, t.kind);
}

static olv_status emit_attr(writer *w, const ol_graph *g, const ol_attr *a, ol_buf *out) {
    switch (a->type) {
    case OL_ATTR_INT: ol_onnx_attr_int(out, a->name, a->v.i); break;
    case OL_ATTR_FLOAT: ol_onnx_attr_float(out, a->name, a->v.f); break;
    case OL_ATTR_STRING: ol_onnx_attr_string(out, a->name, a->v.s.ptr, a->v.s.len); break;
    case OL_ATTR_INTS: ol_onnx_attr_ints(out, a->name, a->v.ints, a->count); break;
    case OL_ATTR_FLOATS: ol_onnx_attr_floats(out, a->name, a->v.floats, a->count); break;
    case OL_ATTR_STRINGS: ol_onnx_attr_strings(out, a->name, a->v.strings, a->count); break;
    case OL_ATTR_TENSOR: {
        ol_buf b = OL_BUF_INIT;
        olv_status s = const_tensor(w, a->v.tensor, NULL, &b);
        if (s == OLV_OK) ol_onnx_attr_tensor(out, a->name, &b);
        ol_buf_deinit(&b);
        return s;
    }
    case OL_ATTR_GRAPH: {
        ol_onnx_emit sub = OL_ONNX_EMIT_INIT;
        olv_status s = emit_graph(w, a->v.graph, &sub);
        if (s == OLV_OK) ol_onnx_attr_graph(out, a->name, *a->v.graph->name ? a->v.graph->name : "graph", &sub);
        ol_onnx_emit_deinit(&sub);
        return s;
    }
    case OL_ATTR_TYPE: {
        type_text t;
        describe_type(g, a->v.type_proto, &t);
        ol_onnx_attr_type(out, a->name, a->v.type_proto->dtype, a->v.type_proto->rank, t.dims, t.kind);
        break;
    }
    default: return ol_fail(w->err, OLV_UNSUPPORTED, "attribute '%s' in an ONNX file", a->name);
    }
    return OLV_OK;
}

static const char *name_of(const ol_value *v) { return v ? v->name : NULL; }

/* y = x W^T + b: Gemm for matrices, else Transpose, MatMul, Add. */
static olv_status emit_linear(writer *w, ol_onnx_emit *e, const ol_node *n) {
    int64_t block = nbits_of(w, n->inputs[1]);
    if (block) return emit_nbits(w, e, n, block);
    const char *in[3] = {name_of(n->inputs[0]), name_of(n->inputs[1]), n->n_inputs > 2 ? name_of(n->inputs[2]) : NULL};
    const char *out = n->outputs[0]->name;
    ol_buf attrs = OL_BUF_INIT;
    if (n->inputs[0]->type.rank == 2) {
        ol_onnx_attr_int(&attrs, "transB", 1);
        ol_onnx_emit_node(e, "", "Gemm", n->name, in, 3, &out, 1, &attrs);
    } else {
        const char *t = ol_arena_printf(w->names, "%s_transposed", out), *m = in[2] ? ol_arena_printf(w->names, "%s_product", out) : out;
        const char *product[2] = {in[0], t}, *sum[2] = {m, in[2]};
        ol_onnx_attr_ints(&attrs, "perm", (const int64_t[]){1, 0}, 2);
        if (t && m) {
            ol_onnx_emit_node(e, "", "Transpose", NULL, &in[1], 1, &t, 1, &attrs);
            ol_onnx_emit_node(e, "", "MatMul", n->name, product, 2, &m, 1, NULL);
            if (in[2]) ol_onnx_emit_node(e, "", "Add", NULL, sum, 2, &out, 1, NULL);
        } else {
            e->failed = true;
        }
    }
    ol_buf_deinit(&attrs);
    return OLV_OK;
}

static olv_status emit_node(writer *w, ol_onnx_emit *e, const ol_node *n) {
    if (is_linear(n)) return emit_linear(w, e, n);
    if (!strcmp(n->op->domain, "olivine")) return ol_fail(w->err, OLV_UNSUPPORTED, "no form in ONNX files");
    ol_onnx_form form;
    OL_TRY(ol_onnx_form_of(n, w->opt.opset, w->names, &form, w->err));
    const char **names = ol_calloc((size_t)(n->n_inputs + n->n_outputs) + 1, sizeof *names);
    if (!names) return ol_fail(w->err, OLV_NOMEM, "no memory");
    ol_buf attrs = OL_BUF_INIT;
    olv_status s = OLV_OK;
    for (int i = 0; i < form.n_inputs; i++) names[i] = name_of(n->inputs[i]);
    for (int i = 0; i < n->n_outputs; i++) names[n->n_inputs + i] = name_of(n->outputs[i]);
    for (int i = 0; i < form.n_attrs && s == OLV_OK; i++) s = emit_attr(w, n->graph, &form.attrs[i], &attrs);
    int fresh = ol_map_put(&w->node_names, ol_str_of(n->name), 1);
    if (fresh < 0) s = ol_fail(w->err, OLV_NOMEM, "no memory");
    if (s == OLV_OK) ol_onnx_emit_node(e, n->op->domain, form.op, fresh > 0 ? n->name : NULL, names, form.n_inputs, names + n->n_inputs, n->n_outputs, &attrs);
    ol_buf_deinit(&attrs);
    ol_free(names);
    return s;
}

static olv_status emit_const(writer *w, ol_onnx_emit *e, ol_value *v) {
    const ol_qconst *q = ol_const_quant_form(v->constant);
    int64_t block = nbits_of(w, v);
    if (block) return nbits_const(w, e, v, block);
    if (q && can_block(q)) return quant_const(w, e, v->name, v->constant, q);
    return plain_const(w, e, v->name, v->constant);
}

static olv_status emit_graph(writer *w, const ol_graph *g, ol_onnx_emit *e) {
    if (g->n_states) return ol_fail(w->err, OLV_UNSUPPORTED, "states have no form in plain ONNX files");
    for (int i = 0; i < g->n_inputs; i++) emit_io(g, e, g->inputs[i], true);
    for (int i = 0; i < g->n_values; i++) {
        ol_value *v = g->values[i];
        if (v->constant && (v->n_uses || v->is_input) && emit_const(w, e, v) != OLV_OK) return ol_error_at(w->err, "constant '%.200s'", v->name);
    }
    for (const ol_node *n = g->first; n; n = n->next)
        if (emit_node(w, e, n) != OLV_OK) return ol_error_at(w->err, "node '%.200s' (%s)", n->name, n->op->name);
    for (int i = 0; i < g->n_outputs; i++) emit_io(g, e, g->outputs[i], false);
    return OLV_OK;
}

/* The IR version of the release that brought the opset, but 4 at least: 3 wants every constant to be an input. */
static int64_t ir_for(int64_t opset) {
    static const struct {
        int64_t opset, ir;
    } releases[] = {{9, 4}, {10, 5}, {11, 6}, {14, 7}, {18, 8}, {20, 9}, {22, 10}, {23, 11}, {24, 12}};
    for (size_t i = 0; i < sizeof releases / sizeof *releases; i++)
        if (opset <= releases[i].opset) return releases[i].ir;
    return 13;
}

/* OL_OPSET, or what the newest operator of the graph needs. */
static int64_t needed_opset(const ol_graph *g) {
    int64_t opset = OL_OPSET;
    for (const ol_node *n = g->first; n; n = n->next) {
        int64_t since = ol_onnx_since(n->op);
        if (since > opset) opset = since;
        for (int i = 0; i < n->n_attrs; i++) {
            int64_t inner = n->attrs[i].type == OL_ATTR_GRAPH ? needed_opset(n->attrs[i].v.graph) : 0;
            if (inner > opset) opset = inner;
        }
    }
    return opset;
}

static bool uses_domain(const ol_graph *g, const char *domain) {
    for (const ol_node *n = g->first; n; n = n->next) {
        if (!strcmp(n->op->domain, domain)) return true;
        for (int i = 0; i < n->n_attrs; i++)
            if (n->attrs[i].type == OL_ATTR_GRAPH && uses_domain(n->attrs[i].v.graph, domain)) return true;
    }
    return false;
}

static olv_status write_model(writer *w, const ol_graph *g, const char *path) {
    ol_onnx_emit e = OL_ONNX_EMIT_INIT;
    ol_buf out = OL_BUF_INIT;
    ol_onnx_import imports[3] = {{"", w->opt.opset}};
    int n = 1;
    if (w->opt.contrib || uses_domain(g, "com.microsoft")) imports[n++] = (ol_onnx_import){"com.microsoft", 1};
    if (uses_domain(g, "ai.onnx.ml")) imports[n++] = (ol_onnx_import){"ai.onnx.ml", 5};
    olv_status s = emit_graph(w, g, &e);
    if (s == OLV_OK && w->fd >= 0 && fsync(w->fd)) s = ol_fail_errno(w->err, "cannot write '%s'", w->data_path);
    if (s == OLV_OK && !ol_onnx_emit_model(&e, *g->name ? g->name : "graph", w->opt.ir_version, imports, n, NULL, NULL, 0, &out))
        s = ol_fail(w->err, OLV_NOMEM, "no memory for a model");
    if (s == OLV_OK && w->fd >= 0) {
        char *to = ol_arena_strndup(w->names, w->data_path, strlen(w->data_path) - strlen(".part"));
        if (!to) s = ol_fail(w->err, OLV_NOMEM, "no memory");
        else if (rename(w->data_path, to)) s = ol_fail_errno(w->err, "cannot rename '%s'", w->data_path);
    }
    if (s == OLV_OK) s = ol_file_write_atomic(path, out.data, out.len, w->err);
    ol_buf_deinit(&out);
    ol_onnx_emit_deinit(&e);
    return s;
}

/* Ranks of outputs that are known, but not by inference. */
static void keep_ranks(const ol_graph *from, ol_graph *to) {
    for (int i = 0; i < from->n_outputs && i < to->n_outputs; i++) {
        const ol_type *a = &from->outputs[i]->type;
        ol_type *b = &to->outputs[i]->type;
        if (a->rank < 0 || b->rank >= 0 || b->kind != OL_VALUE_TENSOR) continue;
        b->rank = a->rank;
        for (int d = 0; d < a->rank; d++) b->dims[d] = ol_dim_fresh(to->dims, "d");
    }
}

olv_status ol_onnx_write(const ol_graph *g, const char *path, const ol_onnx_write_options *opt, olv_error *err) {
    writer w = {.fd = -1, .err = err, .names = ol_arena_create()};
    if (!w.names) return ol_fail(err, OLV_NOMEM, "no memory");
    ol_map_init(&w.node_names);
    if (opt) w.opt = *opt;
    if (!w.opt.opset) w.opt.opset = needed_opset(g);
    if (!w.opt.ir_version) w.opt.ir_version = ir_for(w.opt.opset);
    if (!w.opt.inline_max) w.opt.inline_max = 1024;
    w.location = ol_arena_printf(w.names, "%s.data", ol_path_name(path));
    w.data_path = ol_arena_printf(w.names, "%s.data.part", path);
    olv_status s = w.location && w.data_path ? OLV_OK : ol_fail(err, OLV_NOMEM, "no memory");
    if (s == OLV_OK && (w.opt.opset < 7 || w.opt.opset > NEWEST))
        s = ol_fail(err, OLV_UNSUPPORTED, "opset %lld, 7 to %d expected", (long long)w.opt.opset, NEWEST);
    if (s == OLV_OK && (w.opt.ir_version < 4 || w.opt.ir_version > 13))
        s = ol_fail(err, OLV_UNSUPPORTED, "IR version %lld, 4 to 13 expected", (long long)w.opt.ir_version);
    ol_graph *older = NULL; /* a copy whose operators the opset has */
    if (s == OLV_OK && (w.opt.opset < OL_OPSET || ol_onnx_must_compose(g))) s = ol_graph_clone(g, NULL, &older, err);
    if (older) keep_ranks(g, older);
    if (older) s = ol_onnx_compose(older, w.opt.opset, err);
    if (s == OLV_OK) s = write_model(&w, older ? older : g, path);
    ol_map_deinit(&w.node_names);
    ol_graph_destroy(older);
    if (w.fd >= 0) close(w.fd);
    if (s != OLV_OK && w.fd >= 0) unlink(w.data_path);
    ol_arena_destroy(w.names);
    return s == OLV_OK ? s : ol_error_at(err, "%.200s", path);
}
