/* SPDX-License-Identifier: Apache-2.0 */
#include "base/alloc.h"
#include "base/error.h"
#include "formats/ortgenai/write.h"

#include <stdio.h>

enum { ONNX_U8 = 2, ONNX_I8 = 3, ONNX_U4 = 21, ONNX_I4 = 22 };

static void *no_memory(ol_og_writer *w) {
    ol_og_fail(w, NULL, OLV_NOMEM, "out of memory");
    return NULL;
}

/* A float tensor of the data file with the rows of c (not taken) and these dims. */
static const char *put_float(ol_og_writer *w, const char *name, ol_const *c, const int64_t *dims, int rank) {
    ol_og_tensor *t = ol_og_data_float(&w->d, name, c, w->io);
    if (!t) return no_memory(w);
    ol_og_external(&w->m, name, ol_dtype_onnx(w->io), dims, rank, OL_OG_DATA_NAME, t->offset[0],
                   (uint64_t)t->rows * t->row_bytes[0]);
    return name;
}

const char *ol_og_vector(ol_og_writer *w, ol_value *v) {
    if (!w->names[v->id]) {
        const ol_const *c = v->constant;
        w->names[v->id] = put_float(w, ol_og_text(w, "%s", v->name), v->constant, ol_const_dims(c), ol_const_rank(c));
    }
    return w->names[v->id];
}

const char *ol_og_float(ol_og_writer *w, const char *name, ol_const *c) {
    return put_float(w, name, c, ol_const_dims(c), ol_const_rank(c));
}

/* "a.b.weight" → "a.b". */
static const char *base_name(ol_og_writer *w, const char *name) {
    size_t n = strlen(name);
    if (n > 7 && strcmp(name + n - 7, ".weight") == 0) n -= 7;
    return ol_og_text(w, "%.*s", (int)n, name);
}

/* ---- quantized weights ---- */

static int code_bits(ol_qcode c) {
    switch (c) {
    case OL_Q_U8:
    case OL_Q_I8: return 8;
    case OL_Q_U4:
    case OL_Q_I4: return 4;
    case OL_Q_U2: return 2;
    default: return 0;
    }
}

static bool is_power_of_two(int64_t v) { return v > 0 && (v & (v - 1)) == 0; }

/* Blocks of MatMulNBits and GatherBlockQuantized are powers of two from 16 on. A group that is a multiple of one is cut
 * into blocks with equal scales; a scale per row fits any block. `whole`: blocks must fill rows exactly. 0: none fits. */
static int64_t block_for(const ol_qconst *q, bool whole) {
    if (is_power_of_two(q->group) && q->group >= 16 && q->group <= 256 && (!whole || q->k % q->group == 0)) return q->group;
    for (int64_t b = 256; b >= 16; b /= 2) {
        if (q->n_groups > 1 && q->group % b) continue;
        if (q->k % b == 0) return b;
    }
    return q->n_groups == 1 && !whole ? 32 : 0;
}

static const char *why_not(const ol_qconst *q) {
    if (!code_bits(q->code)) return "codes that onnxruntime does not know";
    if (q->min_dtype != OL_DTYPE_NONE) return "float minima";
    if (q->perm || q->input_scale) return "a column permutation or input scale";
    if (q->zero_dtype != OL_DTYPE_NONE && ol_dtype_class(q->zero_dtype) == 'f') return "float zero points";
    return NULL;
}

/* Signed codes become unsigned by turning the highest bit over. */
static uint8_t flip_of(const ol_qconst *q) { return q->code == OL_Q_I4 ? 0x88 : q->code == OL_Q_I8 ? 0x80 : 0; }

static void put_part(ol_og_writer *w, const ol_og_tensor *t, int part, const char *name, int type, const int64_t *dims,
                     int rank) {
    ol_og_external(&w->m, name, type, dims, rank, OL_OG_DATA_NAME, t->offset[part], (uint64_t)t->rows * t->row_bytes[part]);
}

/* Initializers for MatMulNBits: codes [N, blocks, bytes], scales [N, blocks], zero points [N, bytes]. */
static ol_og_weight *put_nbits(ol_og_writer *w, ol_const *c, const char *base, int64_t block) {
    const ol_qconst *q = ol_const_quant_form(c);
    ol_og_weight *r = ol_arena_calloc(w->arena, 1, sizeof *r);
    if (!r) return no_memory(w);
    r->bits = code_bits(q->code);
    r->block = block;
    r->n_blocks = (q->k + block - 1) / block;
    r->codes = ol_og_text(w, "%s.MatMul.weight_Q%d", base, r->bits);
    r->scales = ol_og_text(w, "%s.MatMul.weight_scales", base);
    ol_og_tensor *t = ol_og_data_quant(&w->d, r->codes, c, w->io, flip_of(q), block);
    if (!t) return no_memory(w);
    put_part(w, t, 0, r->codes, ONNX_U8, (int64_t[]){q->rows, r->n_blocks, block * r->bits / 8}, 3);
    put_part(w, t, 1, r->scales, ol_dtype_onnx(w->io), (int64_t[]){q->rows, r->n_blocks}, 2);
    if (t->row_bytes[2]) {
        r->zeros = ol_og_text(w, "%s.MatMul.weight_zero_points", base);
        put_part(w, t, 2, r->zeros, ONNX_U8, (int64_t[]){q->rows, (int64_t)t->row_bytes[2]}, 2);
    }
    return r;
}

/* Initializers for QMoE: codes [E, N, bytes], scales [E, N, blocks], zero points [E, N, bytes]. */
static ol_og_weight *put_quant_experts(ol_og_writer *w, ol_const *c, int64_t experts, const char *base, int64_t block) {
    const ol_qconst *q = ol_const_quant_form(c);
    int64_t n = q->rows / experts;
    ol_og_weight *r = ol_arena_calloc(w->arena, 1, sizeof *r);
    if (!r) return no_memory(w);
    r->bits = code_bits(q->code);
    r->block = block;
    r->n_blocks = q->k / block;
    r->codes = ol_og_text(w, "%s.qweight", base);
    r->scales = ol_og_text(w, "%s.scales", base);
    ol_og_tensor *t = ol_og_data_quant(&w->d, r->codes, c, w->io, flip_of(q), block);
    if (!t) return no_memory(w);
    put_part(w, t, 0, r->codes, ONNX_U8, (int64_t[]){experts, n, q->k * r->bits / 8}, 3);
    put_part(w, t, 1, r->scales, ol_dtype_onnx(w->io), (int64_t[]){experts, n, r->n_blocks}, 3);
    if (t->row_bytes[2]) {
        r->zeros = ol_og_text(w, "%s.zero_points", base);
        put_part(w, t, 2, r->zeros, ONNX_U8, (int64_t[]){experts, n, (int64_t)t->row_bytes[2]}, 3);
    }
    return r;
}

/* [E, N, K] in floats. */
static ol_og_weight *put_float_experts(ol_og_writer *w, ol_const *c, int64_t experts, const char *base) {
    ol_og_weight *r = ol_arena_calloc(w->arena, 1, sizeof *r);
    if (!r) return no_memory(w);
    const int64_t *d = ol_const_dims(c);
    r->codes = put_float(w, ol_og_text(w, "%s.weight", base), c, (int64_t[]){experts, d[0] / experts, d[1]}, 3);
    return r->codes ? r : NULL;
}

bool ol_og_put_experts(ol_og_writer *w, const ol_node *n, ol_const *gate_up, ol_const *down, int64_t experts, const char *base,
                       ol_og_weight **a, ol_og_weight **b) {
    const ol_qconst *q[2] = {ol_const_quant_form(gate_up), ol_const_quant_form(down)};
    const char *first = ol_og_text(w, "%s.gate_up_proj", base), *second = ol_og_text(w, "%s.down_proj", base);
    int64_t block = 0;
    bool other = q[0] && q[1] && !code_bits(q[0]->code) && !code_bits(q[1]->code); /* 4-bit floats: written as what they are worth */
    for (int i = 0; i < 2 && !other && (q[0] || q[1]); i++) {
        const char *why = !q[0] || !q[1] ? "floats in one product and codes in the other" : why_not(q[i]);
        if (!why && (code_bits(q[i]->code) < 4 || code_bits(q[i]->code) != code_bits(q[0]->code))) why = "other codes than 4 or 8 bits in both products";
        int64_t fits = why ? 0 : block_for(q[i], true);
        if (!why && !fits) why = "rows that no block of 16 or more divides";
        if (why) return ol_og_fail(w, n, OLV_UNSUPPORTED, "experts have %s", why), false;
        if (!block || fits < block) block = fits;
    }
    *a = block ? put_quant_experts(w, gate_up, experts, first, block) : put_float_experts(w, gate_up, experts, first);
    *b = block ? put_quant_experts(w, down, experts, second, block) : put_float_experts(w, down, experts, second);
    return *a && *b;
}

static const char *nbits_product(ol_og_writer *w, const ol_node *n, const char *x, const ol_og_weight *r, int64_t rows,
                                 int64_t k, const char *out) {
    int level = w->opt->accuracy_level;
    if (level < 0) level = w->opt->target == OL_ORTGENAI_CPU ? 4 : 0;
    const char *in[] = {x, r->codes, r->scales, r->zeros}, *outs[] = {out};
    ol_og_attr attrs[] = {OL_OG_I("K", k), OL_OG_I("N", rows), OL_OG_I("bits", r->bits), OL_OG_I("block_size", r->block),
                          level ? OL_OG_I("accuracy_level", level) : OL_OG_END, OL_OG_END};
    ol_og_node(&w->m, "com.microsoft", "MatMulNBits", ol_og_fresh(w, n, "MatMulNBits"), in, 4, outs, 1, attrs);
    return out;
}

/* Rows of codes, and of zero points, must fill bytes. */
static bool fits_dequantize(const ol_qconst *q) {
    int bits = code_bits(q->code);
    bool zeros = q->zero_dtype != OL_DTYPE_NONE;
    return bits >= 4 && q->k % q->group == 0 && (bits == 8 || (q->k % 2 == 0 && !(zeros && q->n_groups % 2)));
}

/* Weights that MatMulNBits cannot take (odd groups), or is not to take: DequantizeLinear of [N, K] along its rows,
 * transposed. Codes without zero points are written signed. */
static const char *dequantized(ol_og_writer *w, const ol_node *n, ol_const *c, const char *base) {
    const ol_qconst *q = ol_const_quant_form(c);
    int bits = code_bits(q->code);
    bool zeros = q->zero_dtype != OL_DTYPE_NONE, is_signed = q->code == OL_Q_I4 || q->code == OL_Q_I8;
    if (!fits_dequantize(q)) {
        ol_og_fail(w, n, OLV_UNSUPPORTED, "%d-bit weights in groups of %lld over rows of %lld%s", bits, (long long)q->group,
                   (long long)q->k, zeros ? " with zero points" : "");
        return NULL;
    }
    uint8_t flip = zeros || is_signed ? 0 : bits == 8 ? 0x80 : 0x88;
    bool out_signed = is_signed || !zeros;
    int type = bits == 8 ? (out_signed ? ONNX_I8 : ONNX_U8) : (out_signed ? ONNX_I4 : ONNX_U4);
    const char *codes = ol_og_text(w, "%s.MatMul.weight_DQ_Q%d", base, bits), *scales = ol_og_text(w, "%s.MatMul.weight_DQ_scales", base);
    ol_og_tensor *t = ol_og_data_quant(&w->d, codes, c, w->io, flip, 0);
    if (!t) return no_memory(w);
    bool per_row = q->n_groups == 1;
    int64_t dims[] = {q->rows, q->k}, groups[] = {q->rows, q->n_groups};
    put_part(w, t, 0, codes, type, dims, 2);
    put_part(w, t, 1, scales, ol_dtype_onnx(w->io), groups, per_row ? 1 : 2);
    const char *in[] = {codes, scales, NULL};
    if (zeros) {
        in[2] = ol_og_text(w, "%s.MatMul.weight_DQ_zero_points", base);
        put_part(w, t, 2, in[2], type, groups, per_row ? 1 : 2);
    }
    const char *dq = ol_og_fresh(w, n, "DequantizeLinear"), *tr = ol_og_fresh(w, n, "Transpose");
    ol_og_attr attrs[] = {OL_OG_I("axis", per_row ? 0 : 1), per_row ? OL_OG_END : OL_OG_I("block_size", q->group), OL_OG_END};
    ol_og_node(&w->m, "", "DequantizeLinear", dq, in, 3, &dq, 1, attrs);
    ol_og_attr perm[] = {OL_OG_LIST("perm", ((const int64_t[]){1, 0}), 2), OL_OG_END};
    ol_og_node(&w->m, "", "Transpose", tr, &dq, 1, &tr, 1, perm);
    return tr;
}

/* ---- products ---- */

static const char *plain_product(ol_og_writer *w, const ol_node *n, const char *x, const char *matrix, const char *out) {
    const char *in[] = {x, matrix}, *outs[] = {out};
    ol_og_node(&w->m, "", "MatMul", ol_og_fresh(w, n, "MatMul"), in, 2, outs, 1, NULL);
    return out;
}

/* The float matrix [K, N], or a chain that ends in it; kept in the record. */
static ol_og_weight *put_matrix(ol_og_writer *w, const ol_node *n, ol_const *weight, const char *base) {
    ol_og_weight *r = ol_arena_calloc(w->arena, 1, sizeof *r);
    if (!r) return no_memory(w);
    if (ol_const_quant_form(weight)) {
        r->codes = dequantized(w, n, weight, base);
        return r->codes ? r : NULL;
    }
    ol_const *turned = ol_const_transpose(weight, w->err);
    if (!turned) {
        w->failed = true;
        return NULL;
    }
    r->codes = put_float(w, ol_og_text(w, "%s.MatMul.weight", base), turned, ol_const_dims(turned), 2);
    ol_const_release(turned);
    return r->codes ? r : NULL;
}

static ol_og_weight *put_weight(ol_og_writer *w, const ol_node *n, ol_const *weight, const char *base) {
    const ol_qconst *q = ol_const_quant_form(weight);
    const char *why = q ? why_not(q) : NULL;
    if (why) {
        ol_og_fail(w, n, OLV_UNSUPPORTED, "weight '%s' has %s", base, why);
        return NULL;
    }
    int64_t block = q && !(w->opt->qdq && fits_dequantize(q)) ? block_for(q, false) : 0;
    return block ? put_nbits(w, weight, base, block) : put_matrix(w, n, weight, base);
}

const char *ol_og_product(ol_og_writer *w, const ol_node *n, const char *x, ol_const *weight, const char *base,
                          ol_og_weight **record, ol_const *bias, const char *out) {
    if (!x || !weight || w->failed) {
        ol_const_release(weight);
        return NULL;
    }
    int64_t rows = ol_const_dims(weight)[0], k = ol_const_width(weight);
    if (!*record) *record = put_weight(w, n, weight, base);
    ol_const_release(weight);
    if (!*record) return NULL;
    const char *y = bias ? ol_og_fresh(w, n, "MatMul/output_0") : out;
    y = (*record)->scales ? nbits_product(w, n, x, *record, rows, k, y) : plain_product(w, n, x, (*record)->codes, y);
    if (!bias) return y;
    const char *in[] = {y, put_float(w, ol_og_text(w, "%s.Add.bias", base), bias, &rows, 1)};
    ol_og_node(&w->m, "", "Add", ol_og_fresh(w, n, "Add"), in, 2, &out, 1, NULL);
    return in[1] ? out : NULL;
}

const char *ol_og_linear(ol_og_writer *w, ol_node *n, const char *out) {
    ol_value *weight = n->inputs[1], *bias = n->n_inputs > 2 ? n->inputs[2] : NULL;
    if (!weight->constant || (bias && !bias->constant)) {
        ol_og_fail(w, n, OLV_UNSUPPORTED, "weights that are no constants");
        return NULL;
    }
    return ol_og_product(w, n, ol_og_name(w, n->inputs[0]), ol_const_retain(weight->constant), base_name(w, weight->name),
                         &w->weights[weight->id], bias ? bias->constant : NULL, out);
}

/* ---- embedding tables ---- */

/* Does a Linear use this table as its weight (a tied head)? */
static bool is_head(ol_value *table) {
    for (ol_node *n = table->graph->first; n; n = n->next)
        if (strcmp(n->op->name, "Linear") == 0 && n->inputs[1] == table) return true;
    return false;
}

/* Rows of a quantized table; a tied head's codes are seen as [V, bytes]. */
static const char *quantized_lookup(ol_og_writer *w, const ol_node *n, ol_value *table, const char *ids, const char *out) {
    ol_og_weight **r = &w->weights[table->id];
    const ol_qconst *q = ol_const_quant_form(table->constant);
    const char *why = why_not(q);
    int64_t block = why ? 0 : block_for(q, true);
    if (!why && (!block || code_bits(q->code) < 4)) why = "groups that GatherBlockQuantized cannot read";
    if (why) {
        ol_og_fail(w, n, OLV_UNSUPPORTED, "table '%s' has %s", table->name, why);
        return NULL;
    }
    if (!*r) *r = put_nbits(w, table->constant, is_head(table) ? "lm_head" : base_name(w, table->name), block);
    if (!*r) return NULL;
    const char *in[] = {(*r)->codes, ol_og_ints(w, (const int64_t[]){q->rows, (int64_t)q->row_bytes}, 2)};
    const char *flat = ol_og_fresh(w, n, "Reshape/output_0");
    ol_og_node(&w->m, "", "Reshape", ol_og_fresh(w, n, "Reshape"), in, 2, &flat, 1, NULL);
    const char *all[] = {flat, ids, (*r)->scales, (*r)->zeros};
    ol_og_attr attrs[] = {OL_OG_I("bits", (*r)->bits), OL_OG_I("block_size", (*r)->block), OL_OG_I("gather_axis", 0),
                          OL_OG_I("quantize_axis", 1), OL_OG_END};
    ol_og_node(&w->m, "com.microsoft", "GatherBlockQuantized", ol_og_fresh(w, n, "GatherBlockQuantized"), all, 4, &out, 1, attrs);
    return out;
}

const char *ol_og_lookup(ol_og_writer *w, const ol_node *n, ol_value *table, const char *ids, const char *out) {
    if (ol_const_quant_form(table->constant)) return quantized_lookup(w, n, table, ids, out);
    const char *rows;
    if (is_head(table)) { /* one copy, as the head wants it */
        ol_og_weight **r = &w->weights[table->id];
        if (!*r) *r = put_weight(w, n, table->constant, "lm_head");
        if (!*r) return NULL;
        rows = ol_og_fresh(w, n, "Transpose");
        ol_og_attr perm[] = {OL_OG_LIST("perm", ((const int64_t[]){1, 0}), 2), OL_OG_END};
        ol_og_node(&w->m, "", "Transpose", rows, &(*r)->codes, 1, &rows, 1, perm);
    } else {
        rows = put_float(w, ol_og_text(w, "%s", table->name), table->constant, ol_const_dims(table->constant), 2);
    }
    if (!rows) return NULL;
    const char *in[] = {rows, ids};
    ol_og_node(&w->m, "", "Gather", ol_og_fresh(w, n, "Gather"), in, 2, &out, 1, NULL);
    return out;
}
