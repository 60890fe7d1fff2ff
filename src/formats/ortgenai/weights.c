/* SPDX-License-Identifier: Apache-2.0 */
/* Constants of the old graph: float matrices, quantized ones in their three spellings (MatMulNBits, GatherBlockQuantized,
 * DequantizeLinear), and the linear layers and tables made of them. */
#include "base/alloc.h"
#include "base/checked.h"
#include "base/error.h"
#include "formats/ortgenai/translate.h"

#include <inttypes.h>
#include <stdio.h>

#define MAX_VECTOR (1 << 24) /* elements of a small constant that is copied as f32 */

/* Do two constants of one shape show the same bytes? */
static bool same_bytes(const ol_const *a, const ol_const *b) {
    size_t na = 0, nb = 0;
    const ol_qconst *p = ol_const_qconst(a), *q = ol_const_qconst(b);
    const void *x = p ? (const void *)p->codes : ol_const_data(a, &na), *y = q ? (const void *)q->codes : ol_const_data(b, &nb);
    return a == b || (x && x == y && na == nb);
}

/* Names of the old graph may be taken by other things in the new one. */
ol_value *ol_tr_constant(ol_translate *tr, const char *name, ol_const *c) {
    if (!c) return NULL;
    ol_value *v = ol_graph_find_value(tr->g, name);
    bool same = v && v->constant && ol_const_rank(v->constant) == ol_const_rank(c) &&
                memcmp(ol_const_dims(v->constant), ol_const_dims(c), (size_t)ol_const_rank(c) * sizeof(int64_t)) == 0 &&
                same_bytes(v->constant, c);
    if (same) {
        ol_const_release(c);
        return v;
    }
    return ol_graph_add_constant(tr->g, v ? NULL : name, c, tr->err);
}

static int64_t count_of(const ol_const *c) {
    int64_t n;
    return ol_mul_i64(ol_const_rows(c), ol_const_width(c), &n) ? n : -1;
}

/* All elements of a small constant as f32 (ol_free). */
static float *floats(ol_translate *tr, const ol_node *n, const ol_const *c, int64_t count) {
    float *v = ol_calloc((size_t)(count ? count : 1), sizeof *v);
    if (!v) {
        ol_tr_fail(tr, n, OLV_NOMEM, "out of memory");
    } else if (ol_const_rows_f32(c, 0, ol_const_rows(c), v, tr->err) != OLV_OK) {
        ol_free(v);
        v = NULL;
    }
    return v;
}

ol_value *ol_tr_vector(ol_translate *tr, const ol_node *n, int input, int64_t count) {
    const ol_const *c = ol_tr_const(tr, n, input);
    int64_t have = c ? count_of(c) : 0;
    if (!c || (count >= 0 && have != count) || have > MAX_VECTOR || have < 1) {
        ol_tr_fail(tr, n, OLV_SHAPE, "input %d: found %" PRId64 " constant values, expected %" PRId64, input, have, count);
        return NULL;
    }
    ol_old *o = &tr->known[n->inputs[input]->id];
    if (o->v) return o->v;
    float *v = floats(tr, n, c, have);
    if (!v) return NULL;
    const char *name = o->source && !ol_graph_find_value(tr->g, o->source->name) ? o->source->name : NULL;
    o->v = ol_graph_add_f32(tr->g, name, v, have == 1 ? -1 : (int)have, tr->err);
    if (have == 1 && count == 1) o->v = o->v ? ol_graph_add_f32(tr->g, NULL, v, 1, tr->err) : NULL;
    ol_free(v);
    return o->v;
}

bool ol_tr_scalar(ol_translate *tr, const ol_node *n, int input, double *out) {
    const ol_const *c = ol_tr_const(tr, n, input);
    ol_tensor t;
    if (!c || count_of(c) != 1 || ol_const_materialize(c, 64, &t, NULL) != OLV_OK) return false;
    *out = ol_elem_get(t.dtype, t.data, 0);
    ol_tensor_deinit(&t);
    return true;
}

int ol_tr_ints(ol_translate *tr, const ol_node *n, int input, int64_t *out, int max) {
    const ol_const *c = ol_tr_const(tr, n, input);
    int64_t count = c ? count_of(c) : -1;
    ol_tensor t;
    if (!c || count < 0 || count > max || ol_dtype_class(ol_const_dtype(c)) != 's') return -1;
    if (ol_const_materialize(c, 4096, &t, NULL) != OLV_OK) return -1;
    for (int64_t i = 0; i < count; i++)
        out[i] = t.dtype == OL_I64 ? ((const int64_t *)t.data)[i] : (int64_t)ol_elem_get(t.dtype, t.data, (uint64_t)i);
    ol_tensor_deinit(&t);
    return (int)count;
}

/* ---- linear layers ---- */

ol_value *ol_tr_linear(ol_translate *tr, ol_value *x, ol_value *w, ol_value *bias) {
    ol_value *in[] = {x, w, bias};
    return w ? ol_tr_node(tr, "olivine", "Linear", in, bias ? 3 : 2, NULL, 0) : NULL;
}

/* Rows of the weight (and values of the bias) of a Linear. */
static ol_value *part_of_linear(ol_translate *tr, const ol_node *l, int64_t from, int64_t count) {
    ol_value *bias = NULL;
    char name[600];
    snprintf(name, sizeof name, "%.500s.rows%" PRId64, l->inputs[1]->name, from);
    ol_value *w = ol_tr_constant(tr, name, ol_const_slice_rows(l->inputs[1]->constant, from, count, tr->err));
    if (w && l->n_inputs > 2 && l->inputs[2]) {
        const ol_const *bc = l->inputs[2]->constant;
        int64_t all = count_of(bc);
        float *v = ol_calloc((size_t)(all ? all : 1), sizeof *v);
        if (v && ol_const_rows_f32(bc, 0, ol_const_rows(bc), v, tr->err) == OLV_OK)
            bias = ol_graph_add_f32(tr->g, NULL, v + from, (int)count, tr->err);
        ol_free(v);
        if (!bias) return NULL;
    }
    return ol_tr_linear(tr, l->inputs[0], w, bias);
}

ol_value *ol_tr_columns(ol_translate *tr, ol_value *x, int64_t from, int64_t count) {
    const ol_node *l = x->producer;
    if (from == 0 && count == ol_tr_width(x)) return x;
    bool constant_bias = l && (l->n_inputs < 3 || !l->inputs[2] || l->inputs[2]->constant);
    if (l && strcmp(l->op->name, "Linear") == 0 && l->inputs[1]->constant && constant_bias)
        return part_of_linear(tr, l, from, count);
    int64_t starts = from, ends = from + count, axes = 1;
    ol_value *in[] = {x, ol_graph_add_i64(tr->g, NULL, &starts, 1, tr->err), ol_graph_add_i64(tr->g, NULL, &ends, 1, tr->err),
                      ol_graph_add_i64(tr->g, NULL, &axes, 1, tr->err)};
    return in[1] && in[2] && in[3] ? ol_tr_node(tr, "", "Slice", in, 4, NULL, 0) : NULL;
}

static bool columns_ok(ol_translate *tr, const ol_node *n, const ol_value *x, int64_t from, int64_t count) {
    if (from >= 0 && count > 0 && from <= ol_tr_width(x) && count <= ol_tr_width(x) - from) return true;
    ol_tr_fail(tr, n, OLV_SHAPE, "columns %" PRId64 " to %" PRId64 " of %" PRId64, from, from + count, ol_tr_width(x));
    return false;
}

/* ---- quantized constants ---- */

typedef struct held { /* keeps the old constants alive as long as the new one views their bytes */
    ol_const *c[3];
    void *heap;
} held;

static void free_held(void *p) {
    held *h = p;
    for (int i = 0; i < 3; i++) ol_const_release(h->c[i]);
    ol_free_aligned(h->heap);
    ol_free(h);
}

/* The view itself; takes `heap` (aligned block or NULL), and retains the constants given. */
static ol_const *view(ol_translate *tr, const ol_qconst *q, const ol_const *const *keep, void *heap) {
    held *h = ol_calloc(1, sizeof *h);
    if (!h) {
        ol_free_aligned(heap);
        ol_fail(tr->err, OLV_NOMEM, "out of memory");
        return NULL;
    }
    ol_file *files[3];
    int n_files = 0, n;
    for (int i = 0; i < 3 && keep; i++) {
        if (!keep[i]) continue;
        h->c[i] = ol_const_retain((ol_const *)(uintptr_t)keep[i]);
        ol_file *const *own = ol_const_files(keep[i], &n);
        if (n == 1) files[n_files++] = own[0];
    }
    h->heap = heap;
    int64_t dims[] = {q->rows, q->k};
    ol_const *c = ol_const_quant(2, dims, q, files, n_files, free_held, h, tr->err);
    if (!c) free_held(h);
    return c;
}

/* Blocked codes as MatMulNBits has them: [rows, groups, group · bits / 8], scales [rows · groups], zero points. */
ol_const *ol_tr_blocked(ol_translate *tr, const ol_node *n, int64_t rows, int64_t k, int64_t bits, int64_t group,
                        const ol_const *codes, const ol_const *scales, const ol_const *zeros) {
    const ol_const *all[3] = {codes, scales, zeros};
    const void *data[3] = {NULL, NULL, NULL};
    size_t bytes[3] = {0, 0, 0};
    for (int i = 0; i < 3; i++) {
        if (!all[i]) continue;
        data[i] = ol_const_data(all[i], &bytes[i]);
        if (!data[i]) return ol_tr_fail(tr, n, OLV_UNSUPPORTED, "weights that are not stored densely"), NULL;
    }
    if (rows < 1 || k < 1 || group < 1 || group > (1 << 20) || (bits != 2 && bits != 4 && bits != 8))
        return ol_tr_fail(tr, n, OLV_FORMAT, "found N %" PRId64 ", K %" PRId64 ", %" PRId64 " bits in blocks of %" PRId64,
                          rows, k, bits, group), NULL;
    ol_qconst q = {.code = bits == 4 ? OL_Q_U4 : bits == 8 ? OL_Q_U8 : OL_Q_U2, .rows = rows, .k = k,
                   .group = group < k ? group : k, .global_scale = 1};
    q.n_groups = (k + group - 1) / group;
    q.codes = data[0];
    q.row_bytes = (size_t)(q.n_groups * group * bits / 8);
    q.scale_dtype = ol_const_dtype(scales);
    q.scales = data[1];
    if (zeros) {
        ol_dtype z = ol_const_dtype(zeros);
        q.zeros = data[2];
        q.zero_dtype = z == OL_U8 ? (bits == 4 ? OL_U4 : bits == 8 ? OL_U8 : OL_U2) : z;
        if (!ol_dtype_bytes(q.zero_dtype, (uint64_t)q.n_groups, &q.zero_row_bytes))
            return ol_tr_fail(tr, n, OLV_FORMAT, "zero points of type %s", ol_dtype_name(z)), NULL;
    }
    if (ol_qconst_check(&q, bytes[0], bytes[1], bytes[2], tr->err) != OLV_OK) {
        ol_error_at(tr->err, "node '%s' (%s)", n->name, n->op->name);
        return NULL;
    }
    return view(tr, &q, all, NULL);
}

ol_verdict ol_tr_matmul_nbits(ol_translate *tr, const ol_node *n) {
    ol_value *x = ol_tr_rows(tr, n, 0), *bias = NULL;
    const ol_const *codes = ol_tr_const(tr, n, 1), *scales = ol_tr_const(tr, n, 2), *zeros = ol_tr_const(tr, n, 3);
    if (!x) return OL_PASSED;
    if (!codes || !scales || (ol_tr_given(n, 3) && !zeros)) return ol_tr_pass(tr, n, "weights are no constants");
    if (ol_tr_given(n, 4)) return ol_tr_pass(tr, n, "g_idx is not supported");
    int64_t rows = ol_node_int(n, "N", 0), k = ol_node_int(n, "K", 0);
    if (ol_tr_width(x) != k)
        return ol_tr_fail(tr, n, OLV_SHAPE, "found rows of %" PRId64 " values, expected K = %" PRId64, ol_tr_width(x), k);
    const ol_value *source = ol_tr_in(tr, n, 1)->source;
    /* 1 asks for f32 arithmetic; kept for whoever plans the model. */
    char level[16];
    snprintf(level, sizeof level, "%d", (int)ol_node_int(n, "accuracy_level", 0));
    if (!ol_graph_get_meta(tr->g, "accuracy_level") && ol_graph_set_meta(tr->g, "accuracy_level", level, tr->err) != OLV_OK)
        return OL_FAILED;
    ol_const *c = ol_tr_blocked(tr, n, rows, k, ol_node_int(n, "bits", 4), ol_node_int(n, "block_size", 32), codes, scales, zeros);
    if (c && ol_tr_given(n, 5) && !(bias = ol_tr_vector(tr, n, 5, rows))) {
        ol_const_release(c);
        return OL_FAILED;
    }
    return ol_tr_set_rows(tr, n, 0, ol_tr_linear(tr, x, ol_tr_constant(tr, source->name, c), bias), 0);
}

/* The table [V, H] of a quantized embedding shares name and constant with a tied head. */
ol_verdict ol_tr_gather_quantized(ol_translate *tr, const ol_node *n) {
    ol_value *ids = ol_tr_rows(tr, n, 1);
    const ol_const *codes = ol_tr_const(tr, n, 0), *scales = ol_tr_const(tr, n, 2), *zeros = ol_tr_const(tr, n, 3);
    if (!ids || ids->type.dtype != OL_I64) return OL_PASSED;
    if (!codes || !scales || (ol_tr_given(n, 3) && !zeros)) return ol_tr_pass(tr, n, "the table is no constant");
    if (ol_node_int(n, "gather_axis", 0) != 0)
        return ol_tr_pass(tr, n, "gather_axis %" PRId64, ol_node_int(n, "gather_axis", 0));
    const ol_value *source = ol_tr_in(tr, n, 0)->source;
    int64_t group = ol_node_int(n, "block_size", 128), rows = ol_const_dims(codes)[0];
    int64_t bits = ol_dtype_bits(ol_const_dtype(codes)) == 4 ? 4 : ol_node_int(n, "bits", 4);
    size_t bytes;
    if (!ol_const_data(codes, &bytes) || rows < 1) return ol_tr_pass(tr, n, "the table is not stored densely");
    int64_t k = (int64_t)bytes / rows * 8 / bits;
    ol_const *c = ol_tr_blocked(tr, n, rows, k, bits, group, codes, scales, zeros);
    ol_value *in[] = {ol_tr_constant(tr, source->name, c), ids};
    if (!in[0]) return OL_FAILED;
    if (ol_const_dtype(codes) == OL_I4 || ol_const_dtype(codes) == OL_I8)
        return ol_tr_pass(tr, n, "signed codes are not supported");
    ol_attr axis = ol_attr_int("axis", 0);
    return ol_tr_set_rows(tr, n, 0, ol_tr_node(tr, "", "Gather", in, 2, &axis, 1), 0);
}

/* ---- DequantizeLinear ---- */

/* Codes of a matrix quantized along axis 0, turned: out row r holds column r. */
static void turn(ol_dtype t, const void *in, int64_t rows, int64_t cols, uint8_t *out, size_t row_bytes) {
    int bits = ol_dtype_bits(t);
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t j = 0; j < cols; j++) {
            uint64_t at = (uint64_t)i * (uint64_t)cols + (uint64_t)j;
            uint8_t *o = out + (size_t)j * row_bytes;
            const uint8_t *p = in;
            if (bits == 8)
                o[i] = p[at];
            else
                o[i / 2] |= (uint8_t)(((p[at / 2] >> (4 * (at % 2))) & 15) << (4 * (i % 2)));
        }
    }
}

/* A scale or zero-point array [groups, cols] turned to [cols, groups], as bytes of `size`. */
static void turn_bytes(const uint8_t *in, int64_t groups, int64_t cols, size_t size, uint8_t *out) {
    for (int64_t g = 0; g < groups; g++)
        for (int64_t c = 0; c < cols; c++)
            memcpy(out + (size_t)(c * groups + g) * size, in + (size_t)(g * cols + c) * size, size);
}

typedef struct dq { /* a DequantizeLinear over a constant matrix, checked */
    const ol_const *codes, *scales, *zeros;
    const uint8_t *data[3];
    int64_t rows, cols, groups, group; /* of the stored matrix; groups along the quantized axis */
    int axis;                          /* 0 or 1: along which the scale changes in groups */
    bool per_channel;
    ol_dtype type;
} dq;

static const char *read_dq(ol_translate *tr, const ol_node *n, dq *d) {
    size_t bytes[3] = {0, 0, 0};
    d->codes = ol_tr_const(tr, n, 0);
    d->scales = ol_tr_const(tr, n, 1);
    d->zeros = ol_tr_const(tr, n, 2);
    if (!d->codes || !d->scales || (ol_tr_given(n, 2) && !d->zeros)) return "weights are no constants";
    if (ol_const_rank(d->codes) != 2) return "only matrices are dequantized";
    d->type = ol_const_dtype(d->codes);
    if (d->type != OL_I4 && d->type != OL_U4 && d->type != OL_I8 && d->type != OL_U8) return "unsupported type of codes";
    const ol_const *all[3] = {d->codes, d->scales, d->zeros};
    for (int i = 0; i < 3; i++)
        if (all[i] && !(d->data[i] = ol_const_data(all[i], &bytes[i]))) return "weights that are not stored densely";
    d->rows = ol_const_dims(d->codes)[0];
    d->cols = ol_const_dims(d->codes)[1];
    int64_t axis = ol_node_int(n, "axis", 1), block = ol_node_int(n, "block_size", 0), count = count_of(d->scales);
    if (axis < 0) axis += 2;
    if (axis != 0 && axis != 1) return "axis must be 0 or 1";
    if (d->rows < 1 || d->cols < 1 || count < 1) return "empty weights";
    d->per_channel = block == 0;
    /* Per channel: the scale belongs to one index of `axis`, so the group is the whole other axis. */
    d->axis = (int)(d->per_channel ? 1 - axis : axis);
    int64_t along = d->axis == 0 ? d->rows : d->cols, across = d->axis == 0 ? d->cols : d->rows;
    d->group = d->per_channel ? along : block < along ? block : along;
    d->groups = (along + d->group - 1) / d->group;
    if (count != d->groups * across && !(d->per_channel && count == 1)) return "scales do not fit the weights";
    if (count == 1 && across != 1) return "one scale for the whole matrix";
    ol_dtype s = ol_const_dtype(d->scales);
    if (s != OL_F32 && s != OL_F16 && s != OL_BF16) return "unsupported type of scales";
    if (d->zeros && (ol_const_dtype(d->zeros) != d->type || count_of(d->zeros) != count)) return "zero points do not fit";
    return NULL;
}

/* Zero points of 8 and 4 bits as one row of packed codes per matrix row. */
static void place_zeros(const dq *d, const ol_qconst *q, int64_t across, uint8_t *out) {
    for (int64_t r = 0; r < across; r++)
        for (int64_t g = 0; g < d->groups; g++) {
            uint64_t at = d->axis == 0 ? (uint64_t)(g * across + r) : (uint64_t)(r * d->groups + g);
            double z = ol_elem_get(d->type, d->data[2], at);
            ol_elem_set(d->type, out + (size_t)r * q->zero_row_bytes, (uint64_t)g, z);
        }
}

/* The quantized constant [across, along] with groups along its rows. The codes are used in place where they lie so;
 * otherwise (axis 0, or packed nibbles of odd rows) they are repacked in memory. */
static ol_const *dequantized(ol_translate *tr, const dq *d) {
    int bits = ol_dtype_bits(d->type);
    int64_t along = d->axis == 0 ? d->rows : d->cols, across = d->axis == 0 ? d->cols : d->rows;
    size_t scale = (size_t)ol_dtype_bits(ol_const_dtype(d->scales)) / 8, codes, scales, zeros, total;
    ol_qconst q = {.rows = across, .k = along, .group = d->group, .n_groups = d->groups, .global_scale = 1,
                   .scale_dtype = ol_const_dtype(d->scales)};
    q.code = d->type == OL_I4 ? OL_Q_I4 : d->type == OL_U4 ? OL_Q_U4 : d->type == OL_I8 ? OL_Q_I8 : OL_Q_U8;
    q.row_bytes = ((size_t)(d->groups * d->group) * (size_t)bits + 7) / 8;
    q.zero_row_bytes = ((size_t)d->groups * (size_t)bits + 7) / 8;
    bool unsigned_codes = ol_dtype_class(d->type) == 'u', in_place = d->axis == 1 && (bits == 8 || along % 2 == 0) &&
                                                                 along % d->group == 0;
    /* Unsigned codes without zero points mean zero 0 here, but the middle in a quantized constant. */
    bool need_zeros = d->zeros || unsigned_codes;
    if (!ol_mul_size((size_t)across, q.row_bytes, &codes) || !ol_mul_size((size_t)(across * d->groups), scale, &scales) ||
        !ol_mul_size((size_t)across, q.zero_row_bytes, &zeros))
        return NULL;
    codes = in_place ? 0 : ol_align_up(codes, 64);
    scales = in_place ? 0 : ol_align_up(scales, 64);
    zeros = need_zeros ? zeros : 0;
    total = codes + scales + zeros;
    uint8_t *heap = total ? ol_alloc_aligned(total) : NULL;
    if (total && !heap) {
        ol_fail(tr->err, OLV_NOMEM, "out of memory");
        return NULL;
    }
    if (heap) memset(heap, 0, total);
    q.codes = in_place ? d->data[0] : heap;
    q.scales = in_place ? (const void *)d->data[1] : heap + codes;
    if (!in_place && d->axis == 0) {
        turn(d->type, d->data[0], d->rows, d->cols, heap, q.row_bytes);
        turn_bytes(d->data[1], d->groups, d->cols, scale, heap + codes);
    } else if (!in_place) {
        for (int64_t r = 0; r < across; r++)
            for (int64_t i = 0; i < along; i++)
                ol_elem_set(d->type, heap + (size_t)r * q.row_bytes, (uint64_t)i,
                            ol_elem_get(d->type, d->data[0], (uint64_t)(r * along + i)));
        memcpy(heap + codes, d->data[1], (size_t)(across * d->groups) * scale);
    }
    if (need_zeros) {
        q.zero_dtype = d->type;
        q.zeros = heap + codes + scales;
        if (d->zeros) place_zeros(d, &q, across, heap + codes + scales);
    }
    return view(tr, &q, (const ol_const *const[3]){d->codes, d->scales, d->zeros}, heap);
}

/* The value is the matrix as stored; a MatMul takes its turned form, which is what is made here. */
ol_verdict ol_tr_dequantize(ol_translate *tr, const ol_node *n) {
    dq d;
    memset(&d, 0, sizeof d);
    const char *why = read_dq(tr, n, &d);
    if (why) return ol_tr_pass(tr, n, "%s", why);
    ol_const *c = dequantized(tr, &d);
    if (!c) return ol_tr_fail(tr, n, OLV_NOMEM, "no room for the weights");
    const ol_value *source = ol_tr_in(tr, n, 0)->source;
    if (d.axis == 1) return ol_tr_set_const(tr, n, 0, c, source);
    ol_const *stored = ol_const_transpose(c, tr->err); /* transposing twice gives the constant itself back */
    if (!stored) {
        ol_const_release(c);
        return OL_FAILED;
    }
    ol_old *o = &tr->known[n->outputs[0]->id];
    o->c2 = c; /* the turned form, for matmul */
    return ol_tr_set_const(tr, n, 0, stored, source);
}

/* ---- float matrices ---- */

/* Weight [N, K] for x · B with B [K, N], named after its initializer. */
static ol_value *turned(ol_translate *tr, const ol_node *n, int input) {
    const ol_old *o = ol_tr_in(tr, n, input);
    char name[600];
    if (ol_const_rank(o->c) != 2) return ol_tr_fail(tr, n, OLV_UNSUPPORTED, "weights that are no matrix"), NULL;
    snprintf(name, sizeof name, "%.500s", o->source ? o->source->name : n->name);
    ol_const *c = o->c2 ? ol_const_retain(o->c2) : ol_const_transpose(o->c, tr->err);
    return ol_tr_constant(tr, name, c);
}

ol_verdict ol_tr_matmul(ol_translate *tr, const ol_node *n) {
    ol_value *x = ol_tr_rows(tr, n, 0);
    if (!x) return OL_PASSED;
    if (!ol_tr_const(tr, n, 1)) return ol_tr_pass(tr, n, "the second factor is no constant");
    ol_value *w = turned(tr, n, 1);
    if (w && ol_tr_width(w) != ol_tr_width(x))
        return ol_tr_fail(tr, n, OLV_SHAPE, "found rows of %" PRId64 " values, expected %" PRId64, ol_tr_width(x),
                          ol_tr_width(w));
    return ol_tr_set_rows(tr, n, 0, ol_tr_linear(tr, x, w, NULL), 0);
}

ol_verdict ol_tr_gemm(ol_translate *tr, const ol_node *n) {
    ol_value *x = ol_tr_rows(tr, n, 0), *w, *bias = NULL;
    if (!x) return OL_PASSED;
    if (!ol_tr_const(tr, n, 1) || ol_node_int(n, "transA", 0) || ol_node_float(n, "alpha", 1) != 1.0f ||
        ol_node_float(n, "beta", 1) != 1.0f)
        return ol_tr_pass(tr, n, "only x · W + bias with constant W is supported");
    const ol_old *o = ol_tr_in(tr, n, 1);
    w = ol_node_int(n, "transB", 0) ? ol_tr_constant(tr, o->source->name, ol_const_retain(o->c)) : turned(tr, n, 1);
    if (w && ol_tr_given(n, 2) && !(bias = ol_tr_vector(tr, n, 2, w->type.dims[0]))) return OL_FAILED;
    return ol_tr_set_rows(tr, n, 0, ol_tr_linear(tr, x, w, bias), 0);
}

/* Embedding tables; with a table of another type than f32 the rows are cast. */
ol_verdict ol_tr_gather(ol_translate *tr, const ol_node *n) {
    ol_value *ids = ol_tr_rows(tr, n, 1);
    const ol_old *o = ol_tr_in(tr, n, 0);
    if (!ids || ids->type.dtype != OL_I64 || o->kind != OL_OLD_CONST) return OL_PASSED;
    if (ol_node_int(n, "axis", 0) != 0 || ol_const_rank(o->c) != 2) return ol_tr_pass(tr, n, "only rows of a matrix are looked up");
    ol_value *in[] = {ol_tr_constant(tr, o->source->name, ol_const_retain(o->c)), ids};
    ol_attr axis = ol_attr_int("axis", 0), to = ol_attr_int("to", ol_dtype_onnx(OL_F32));
    if (!in[0]) return OL_FAILED;
    ol_value *x = ol_tr_node(tr, "", "Gather", in, 2, &axis, 1);
    if (x && ol_const_dtype(o->c) != OL_F32) x = ol_tr_node(tr, "", "Cast", &x, 1, &to, 1);
    return ol_tr_set_rows(tr, n, 0, x, 0);
}

ol_verdict ol_tr_transpose(ol_translate *tr, const ol_node *n) {
    const ol_old *o = ol_tr_in(tr, n, 0);
    size_t count;
    const int64_t *perm = ol_node_ints(n, "perm", &count);
    if (o->kind == OL_OLD_ROWS && (o->split || o->cached)) {
        ol_verdict v = ol_tr_set_rows(tr, n, 0, o->v, o->split);
        tr->known[n->outputs[0]->id].cached = o->cached;
        return v;
    }
    if (o->kind != OL_OLD_CONST || ol_const_rank(o->c) != 2) return OL_PASSED;
    if (perm && (count != 2 || perm[0] != 1 || perm[1] != 0)) return ol_tr_pass(tr, n, "unexpected permutation");
    ol_const *c = o->c2 ? ol_const_retain(o->c2) : ol_const_transpose(o->c, tr->err);
    return ol_tr_set_const(tr, n, 0, c, o->source);
}

ol_verdict ol_tr_split(ol_translate *tr, const ol_node *n) {
    ol_value *x = ol_tr_rows(tr, n, 0);
    int64_t sizes[64], axis = ol_node_int(n, "axis", 0), from = 0;
    if (!x || n->n_outputs > 64) return OL_PASSED;
    if (axis != -1 && axis != 2) return ol_tr_pass(tr, n, "axis %" PRId64, axis);
    if (ol_tr_given(n, 1)) {
        if (ol_tr_ints(tr, n, 1, sizes, 64) != n->n_outputs) return ol_tr_pass(tr, n, "the sizes are no constants");
    } else {
        for (int i = 0; i < n->n_outputs; i++) sizes[i] = ol_tr_width(x) / n->n_outputs;
    }
    for (int i = 0; i < n->n_outputs; i++) {
        if (!columns_ok(tr, n, x, from, sizes[i])) return OL_FAILED;
        if (n->outputs[i] && ol_tr_set_rows(tr, n, i, ol_tr_columns(tr, x, from, sizes[i]), 0) != OL_DONE) return OL_FAILED;
        from += sizes[i];
    }
    return OL_DONE;
}

ol_verdict ol_tr_slice(ol_translate *tr, const ol_node *n) {
    ol_value *x = ol_tr_rows(tr, n, 0);
    int64_t start, end, axis = 0, step = 1;
    if (!x || x->type.dtype == OL_I64) return OL_PASSED;
    if (ol_tr_ints(tr, n, 1, &start, 1) != 1 || ol_tr_ints(tr, n, 2, &end, 1) != 1 || ol_tr_ints(tr, n, 3, &axis, 1) != 1 ||
        (ol_tr_given(n, 4) && (ol_tr_ints(tr, n, 4, &step, 1) != 1 || step != 1)) || (axis != -1 && axis != 2))
        return ol_tr_pass(tr, n, "only ranges of the last axis are supported");
    int64_t width = ol_tr_width(x);
    if (start < 0) start += width;
    if (end < 0) end += width;
    if (end > width) end = width;
    if (!columns_ok(tr, n, x, start, end - start)) return OL_FAILED;
    return ol_tr_set_rows(tr, n, 0, ol_tr_columns(tr, x, start, end - start), 0);
}
