/* SPDX-License-Identifier: Apache-2.0 */
/* Compressed weights: Const of few bits, Convert, [Subtract zero], Multiply scale, [Reshape] into one quantized constant;
 * likewise Gather of a table by constant indices. Codes (and where they lie fit, scales and zero points) are views. */
#include "base/alloc.h"
#include "base/checked.h"
#include "base/error.h"
#include "formats/openvino/reader.h"

typedef struct weight {
    ol_ir_bytes codes, scale, zero, table;
    bool has_zero, has_table;
    float global;        /* second scale */
    bool narrow;         /* the product of both is rounded to f16 */
    ol_ir_layer *last;   /* whose result it is: the Multiply or a Reshape */
    int rank;            /* of the result */
    int64_t dims[OL_MAX_RANK];
    ol_qconst q;
} weight;

static const struct {
    const char *element;
    ol_qcode code;
    int bits;
    bool zero; /* a zero point must be given, for that of the code is not 0 */
} codes[] = {{"i8", OL_Q_I8, 8, false}, {"u8", OL_Q_U8, 8, true},   {"i4", OL_Q_I4, 4, false},     {"u4", OL_Q_U4, 4, true},
             {"u2", OL_Q_U2, 2, true},  {"nf4", OL_Q_NF4, 4, false}, {"f4e2m1", OL_Q_F4, 4, false}, {"f8e4m3", OL_Q_F8, 8, false}};

/* The Const behind Converts; NULL when there is none. */
static const ol_ir_layer *source(const ol_ir_layer *l) {
    for (int i = 0; i < 3 && ol_ir_is(l, "Convert") && l->n_in == 1; i++) l = l->in[0].layer;
    return ol_ir_is(l, "Const") ? l : NULL;
}

static bool get(const ol_ir *t, const ol_ir_layer *l, ol_ir_bytes *out) {
    const ol_ir_layer *c = source(l);
    return c && ol_ir_const_bytes(t->r, c, out, NULL) == OLV_OK;
}

static bool of_float(const ol_ir_bytes *b) {
    return b->element->dtype != OL_DTYPE_NONE && ol_dtype_class(b->element->dtype) == 'f' && b->element->bits >= 8;
}

/* The chain of codes that ends in l. */
static bool match_codes(const ol_ir *t, const ol_ir_layer *l, weight *w) {
    if (ol_ir_is(l, "Convert") && l->n_in == 1 && ol_ir_is(l->in[0].layer, "Gather")) l = l->in[0].layer;
    if (ol_ir_is(l, "Gather") && l->n_in >= 2) {
        w->has_table = true;
        return get(t, l->in[0].layer, &w->table) && get(t, l->in[1].layer, &w->codes) && w->table.rank == 1 && of_float(&w->table);
    }
    if (ol_ir_is(l, "Subtract") && l->n_in == 2) {
        w->has_zero = true;
        if (!get(t, l->in[1].layer, &w->zero)) return false;
        l = l->in[0].layer;
    }
    return ol_ir_is(l, "Convert") && get(t, l, &w->codes);
}

/* A scale, or a scale of scales. */
static bool match_scale(const ol_ir *t, const ol_ir_layer *l, weight *w) {
    ol_ir_bytes second;
    w->global = 1;
    if (ol_ir_is(l, "Convert") && l->n_in == 1 && ol_ir_is(l->in[0].layer, "Multiply")) {
        const char *to = ol_xml_get(l->data, "destination_type");
        w->narrow = to && !strcmp(to, "f16");
        l = l->in[0].layer;
    }
    if (ol_ir_is(l, "Multiply") && l->n_in == 2) {
        for (int i = 0; i < 2; i++)
            if (get(t, l->in[i].layer, &w->scale) && get(t, l->in[1 - i].layer, &second) && second.count == 1 && of_float(&second) && of_float(&w->scale)) {
                w->global = (float)ol_elem_get(second.element->dtype, second.data, 0);
                return true;
            }
        return false;
    }
    return get(t, l, &w->scale) && of_float(&w->scale);
}

/* One number for all, or one for each row of the codes. */
static bool by_row(const weight *w, const ol_ir_bytes *b, bool *one) {
    *one = b->count == 1;
    if (*one) return true;
    if (b->rank != w->codes.rank || b->dims[b->rank - 1] != 1) return false;
    for (int i = 0; i + 1 < b->rank; i++)
        if (b->dims[i] != w->codes.dims[i]) return false;
    return true;
}

/* A Reshape behind that only joins the groups of a row. */
static void join_groups(const ol_ir *t, weight *w, ol_ir_layer *multiply) {
    ol_ir_bytes p;
    ol_ir_layer *u = multiply->n_uses == 1 ? multiply->user : NULL;
    int r = w->codes.rank;
    w->last = multiply;
    w->rank = r;
    memcpy(w->dims, w->codes.dims, sizeof w->dims);
    w->q.k = w->q.group = w->dims[r - 1];
    if (ol_ir_is(u, "Convert") && u->n_uses == 1 && u->n_out == 1 && ol_ir_is(u->user, "Reshape")) u = u->user;
    if (r < 3 || !ol_ir_is(u, "Reshape") || u->n_in != 2 || u->n_out != 1 || !get(t, u->in[1].layer, &p) || p.rank != 1 || p.count != r - 1 ||
        p.element->dtype == OL_DTYPE_NONE || !strchr("su", ol_dtype_class(p.element->dtype)))
        return;
    int64_t k;
    if (!ol_mul_i64(w->dims[r - 2], w->dims[r - 1], &k)) return;
    for (int i = 0; i < r - 1; i++) {
        int64_t d = ol_f64_to_i64(ol_elem_get(p.element->dtype, p.data, (uint64_t)i));
        if (d != (i == r - 2 ? k : w->dims[i]) && d != -1) return;
    }
    w->last = u;
    w->rank = r - 1;
    w->dims[r - 2] = k;
    w->q.k = k;
}

static bool set_form(weight *w) {
    ol_qconst *q = &w->q;
    q->rows = 1;
    for (int i = 0; i + 1 < w->rank; i++)
        if (!ol_mul_i64(q->rows, w->dims[i], &q->rows)) return false;
    if (q->rows < 1 || q->k < 1 || q->group < 1) return false;
    q->n_groups = q->k / q->group;
    int bits = w->codes.element->bits;
    size_t row_bits;
    if (!ol_mul_size((size_t)q->k, (size_t)bits, &row_bits) || row_bits % 8) return false;
    q->row_bytes = row_bits / 8;
    q->codes = w->codes.data;
    q->global_scale = w->narrow ? 1 : w->global;
    return true;
}

static bool recognize(const ol_ir *t, ol_ir_layer *multiply, weight *w, bool *one_scale, bool *one_zero, bool *need_zero) {
    bool found = false;
    for (int i = 0; i < 2 && !found; i++) {
        *w = (weight){.global = 1};
        found = match_codes(t, multiply->in[i].layer, w) && match_scale(t, multiply->in[1 - i].layer, w);
    }
    if (!found || w->codes.rank < 2 || w->codes.count < 1) return false;
    found = false;
    for (size_t i = 0; i < sizeof codes / sizeof *codes && !found; i++)
        if ((found = !strcmp(codes[i].element, w->codes.element->name))) w->q.code = codes[i].code, *need_zero = codes[i].zero;
    if (!found || !by_row(w, &w->scale, one_scale)) return false;
    *one_zero = false;
    if (w->has_table) {
        bool four = !strcmp(w->codes.element->name, "u4");
        if ((!four && strcmp(w->codes.element->name, "u8")) || w->table.count > (four ? 16 : 256)) return false;
        w->q.code = four ? OL_Q_TABLE4 : OL_Q_TABLE8;
        *need_zero = false;
    } else if (w->has_zero) {
        if (w->codes.element->dtype == OL_DTYPE_NONE || !strchr("su", ol_dtype_class(w->codes.element->dtype))) return false;
        if (w->zero.element != w->codes.element || !by_row(w, &w->zero, one_zero)) return false;
    }
    join_groups(t, w, multiply);
    return set_form(w);
}

/* Room in one block of memory that the constant owns. */
static size_t take(size_t *used, size_t bytes) {
    size_t at = *used;
    *used = ol_align_up(at + bytes, 64);
    return at;
}

static bool usable_scale(const weight *w, bool one) {
    ol_dtype d = w->scale.element->dtype;
    size_t align = (size_t)w->scale.element->bits / 8;
    return !one && !w->narrow && (d == OL_F32 || d == OL_F16 || d == OL_BF16 || d == OL_F8E8M0) && (uintptr_t)w->scale.data % align == 0;
}

static float scale_value(const weight *w, size_t i) {
    float v = (float)ol_elem_get(w->scale.element->dtype, w->scale.data, i);
    return w->narrow ? ol_f16_to_f32(ol_f32_to_f16(v * w->global)) : v;
}

/* Zero points, packed along the groups of each row. */
static void fill_zeros(const weight *w, bool one, uint8_t *out) {
    const ol_qconst *q = &w->q;
    int bits = w->codes.element->bits, per = 8 / bits;
    memset(out, 0, (size_t)q->rows * q->zero_row_bytes);
    for (int64_t r = 0; w->has_zero && r < q->rows; r++)
        for (int64_t g = 0; g < q->n_groups; g++) {
            int64_t i = one ? 0 : r * q->n_groups + g;
            unsigned v = w->zero.data[i / per] >> (i % per * bits) & ((1u << bits) - 1);
            uint8_t *p = out + (size_t)r * q->zero_row_bytes + g / per;
            *p = (uint8_t)(*p | v << (g % per * bits));
        }
}

static ol_const *build(const ol_ir *t, weight *w, bool one_scale, bool one_zero, bool need_zero) {
    ol_qconst *q = &w->q;
    size_t used = 0, n = (size_t)q->rows * (size_t)q->n_groups, table = 0;
    bool scale_view = usable_scale(w, one_scale), zeros = w->has_zero || need_zero;
    int bits = w->codes.element->bits;
    q->zero_row_bytes = zeros ? ((size_t)q->n_groups * (size_t)bits + 7) / 8 : 0;
    bool zero_view = w->has_zero && !one_zero && ((size_t)q->n_groups * (size_t)bits) % 8 == 0;
    size_t scale_at = take(&used, scale_view ? 0 : n * sizeof(float)), zero_at = take(&used, !zeros || zero_view ? 0 : (size_t)q->rows * q->zero_row_bytes);
    if (w->has_table) table = take(&used, 256 * sizeof(float));
    uint8_t *block = ol_calloc(used + 64, 1);
    if (!block) return NULL;
    q->scale_dtype = scale_view ? w->scale.element->dtype : OL_F32;
    q->scales = scale_view ? (const void *)w->scale.data : (const void *)(block + scale_at);
    for (size_t i = 0; !scale_view && i < n; i++)
        ((float *)(void *)(block + scale_at))[i] = scale_value(w, one_scale ? 0 : i);
    q->zero_dtype = zeros ? w->codes.element->dtype : OL_DTYPE_NONE;
    q->zeros = !zeros ? NULL : zero_view ? (const void *)w->zero.data : (const void *)(block + zero_at);
    if (zeros && !zero_view) fill_zeros(w, one_zero, block + zero_at);
    for (int64_t i = 0; w->has_table && i < w->table.count; i++)
        ((float *)(void *)(block + table))[i] = (float)ol_elem_get(w->table.element->dtype, w->table.data, (uint64_t)i);
    if (w->has_table) q->table = (const float *)(const void *)(block + table);
    ol_const *c = ol_const_quant(w->rank, w->dims, q, t->r->bin ? &t->r->bin : NULL, t->r->bin ? 1 : 0, ol_free, block, t->err);
    if (!c) ol_free(block);
    return c;
}

void ol_ir_fold_weight(ol_ir *t, bool *done) {
    weight w;
    bool one_scale, one_zero, need_zero = false;
    *done = false;
    if (t->l->n_in != 2 || t->l->n_out != 1 || t->status != OLV_OK || !recognize(t, t->l, &w, &one_scale, &one_zero, &need_zero)) return;
    ol_const *c = build(t, &w, one_scale, one_zero, need_zero);
    const char *name = ol_graph_find_value(t->g, w.last->name) ? NULL : w.last->name;
    ol_value *v = c ? ol_graph_add_constant(t->g, name, c, t->err) : NULL;
    if (!v) {
        ol_ir_fail(t, OLV_NOMEM, "no memory for weights");
        return;
    }
    t->l->out[0] = w.last->out[0] = v;
    *done = true;
}
