/* SPDX-License-Identifier: Apache-2.0 */
/* Quantized constants, as NNCF spells compressed weights and OpenVINO's fusions look for them:
 *
 *     codes -> Convert -> [Subtract(zero points -> Convert)] -> Multiply(scales) -> [Reshape] -> Convert f32
 *
 * in f16 where the scales are f16 or can be, else in f32. Groups are an axis of their own: [N, groups, group]. Codes with
 * the usual zero point in the middle are stored as signed ones, and signed ones with zero points as unsigned ones. */
#include "base/alloc.h"
#include "base/checked.h"
#include "base/error.h"
#include "formats/openvino/emit_private.h"
#include "tensor/qconst_form.h"
#include <math.h>

#define TILE_BYTES ((size_t)4 << 20)

/* How the codes of a form are stored. */
typedef struct spelling {
    const ol_ir_element *codes, *zeros; /* zeros NULL: no Subtract */
    uint8_t flip;                       /* xor for every byte of codes; of zero points too when they are integers */
    const float *table;                 /* codes are places in it */
    int n_table;
} spelling;

static bool integer_zero(const ol_qconst *q) { return q->zero_dtype != OL_DTYPE_NONE && ol_dtype_class(q->zero_dtype) != 'f'; }

static bool spell(const ol_qconst *q, spelling *s) {
    bool zero = q->zero_dtype != OL_DTYPE_NONE, integer = integer_zero(q);
    *s = (spelling){NULL, NULL, 0, NULL, 0};
    switch (q->code) {
    case OL_Q_I8: case OL_Q_U8:
        s->codes = ol_ir_element_of(integer ? OL_U8 : zero ? (q->code == OL_Q_I8 ? OL_I8 : OL_U8) : OL_I8);
        s->flip = (q->code == OL_Q_I8) == (s->codes->dtype == OL_I8) ? 0 : 0x80;
        break;
    case OL_Q_I4: case OL_Q_U4:
        s->codes = ol_ir_element_of(integer ? OL_U4 : zero ? (q->code == OL_Q_I4 ? OL_I4 : OL_U4) : OL_I4);
        s->flip = (q->code == OL_Q_I4) == (s->codes->dtype == OL_I4) ? 0 : 0x88;
        break;
    case OL_Q_U2: s->codes = ol_ir_element_of(OL_U2); break;
    case OL_Q_NF4: s->codes = ol_ir_element_named("nf4"); break;
    case OL_Q_F4: s->codes = ol_ir_element_of(OL_F4E2M1); break;
    case OL_Q_F8: s->codes = ol_ir_element_of(OL_F8E4M3); break;
    case OL_Q_TABLE4: *s = (spelling){ol_ir_element_of(OL_U4), NULL, 0, q->table, 16}; break;
    case OL_Q_TABLE8: *s = (spelling){ol_ir_element_of(OL_U8), NULL, 0, q->table, 256}; break;
    default: return false;
    }
    bool is_signed = q->code == OL_Q_I8 || q->code == OL_Q_I4;
    if (integer && (ol_dtype_bits(q->zero_dtype) != s->codes->bits || (ol_dtype_class(q->zero_dtype) == 's') != is_signed)) return false;
    if (integer) s->zeros = s->codes;
    else if (zero) s->zeros = ol_ir_element_of(q->zero_dtype);
    else if (q->code == OL_Q_U2) s->zeros = s->codes;
    bool plain = !s->table && s->codes->dtype != OL_DTYPE_NONE && ol_dtype_class(s->codes->dtype) != 'f';
    return plain || !zero;
}

/* Forms that the layers can say. */
static bool can_spell(const ol_const *c, const ol_qconst *q, spelling *s) {
    return spell(q, s) && q->min_dtype == OL_DTYPE_NONE && !q->perm && !q->input_scale && (q->group >= q->k || q->k % q->group == 0) &&
           ol_const_rank(c) >= 2 && ol_const_rank(c) < OL_MAX_RANK && (!s->table || s->table[0] == s->table[0]);
}

/* ---- payloads ---- */

/* Appends rows of sub-byte codes without the padding behind each row. */
static void pack_rows(const uint8_t *in, int64_t n, size_t row_bytes, int64_t k, int bits, uint8_t *out, uint64_t *at) {
    int per = 8 / bits, mask = (1 << bits) - 1;
    for (int64_t r = 0; r < n; r++)
        for (int64_t i = 0; i < k; i++, ++*at) {
            int v = in[(size_t)r * row_bytes + (size_t)(i / per)] >> (bits * (int)(i % per)) & mask;
            uint8_t *b = out + *at / (uint64_t)per;
            int shift = bits * (int)(*at % (uint64_t)per);
            *b = (uint8_t)((*b & ~(mask << shift)) | v << shift);
        }
}

/* Codes go to the data file; scales and zero points stay: they are a small part. */
typedef struct parts {
    uint64_t codes_at, codes_bytes;
    uint8_t *scales, *zeros;
    size_t scale_row;
} parts;

static olv_status take_parts(ol_ir_emit *e, const ol_const *c, const ol_qconst *q, const spelling *s, parts *p) {
    ol_ir_file *f = e->file;
    int bits = s->codes->bits;
    bool whole = q->k * bits % 8 == 0 && (size_t)(q->k * bits / 8) == q->row_bytes;
    int64_t step = (int64_t)(TILE_BYTES / (q->row_bytes + 1)) / 8 * 8 + 8; /* rows: whole bytes together */
    size_t scale_bytes, zero_bytes;
    p->scale_row = ol_qconst_scale_row_bytes(q);
    if (!ol_mul_size((size_t)q->rows, p->scale_row, &scale_bytes) || !ol_mul_size((size_t)q->rows, q->zero_row_bytes, &zero_bytes))
        return ol_fail(f->err, OLV_LIMIT, "constant too large");
    p->scales = ol_alloc(scale_bytes + 1);
    p->zeros = ol_alloc(zero_bytes + 1);
    uint8_t *tile = ol_calloc((size_t)step, q->row_bytes + 1), *dense = whole ? tile : ol_calloc((size_t)step, q->row_bytes + 1);
    olv_status st = p->scales && p->zeros && tile && dense ? OLV_OK : ol_fail(f->err, OLV_NOMEM, "no memory for a tile");
    p->codes_bytes = ((uint64_t)q->rows * (uint64_t)q->k * (uint64_t)bits + 7) / 8;
    p->codes_at = ol_ir_data_start(f, p->codes_bytes);
    for (int64_t r = 0; r < q->rows && st == OLV_OK && f->status == OLV_OK; r += step) {
        int64_t n = r + step > q->rows ? q->rows - r : step;
        uint64_t elems = 0;
        st = ol_const_rows_quant(c, r, n, tile, p->scales + (size_t)r * p->scale_row, zero_bytes ? p->zeros + (size_t)r * q->zero_row_bytes : NULL, f->err);
        if (st != OLV_OK) break;
        if (!whole) pack_rows(tile, n, q->row_bytes, q->k, bits, dense, &elems);
        size_t bytes = whole ? (size_t)n * q->row_bytes : (size_t)((elems * (uint64_t)bits + 7) / 8);
        for (size_t i = 0; s->flip && i < bytes; i++) dense[i] ^= s->flip;
        ol_ir_data_put(f, dense, bytes);
    }
    if (!whole) ol_free(dense);
    ol_free(tile);
    return st == OLV_OK ? f->status : st;
}

/* Scales as f16 when that loses nothing, else as f32. */
static bool scales_fit_f16(const ol_qconst *q, const uint8_t *scales) {
    if (q->global_scale != 1) return false;
    for (int64_t i = 0, n = q->rows * q->n_groups; i < n; i++) {
        double v = ol_elem_get(q->scale_dtype, scales, (uint64_t)i);
        if ((double)ol_f16_to_f32(ol_f32_to_f16((float)v)) != v) return false;
    }
    return true;
}

/* ---- layers ---- */

/* What all layers of one constant share. */
typedef struct unfold {
    ol_ir_emit *e;
    const ol_qconst *q;
    const char *name;
    const ol_ir_element *wide; /* of the arithmetic */
    ol_ir_type of_groups;      /* [.., N, groups, 1], or [.., N, 1] */
} unfold;

static const char *part_name(const unfold *u, const char *end) {
    return u->name ? ol_arena_printf(u->e->file->arena, "%s%s", u->name, end) : NULL;
}

/* Numbers of one per group, from `from` to `to`. */
static ol_ir_out group_const(const unfold *u, const char *end, ol_dtype from, const void *data, size_t row_bytes, const ol_ir_element *to, uint8_t flip, double scale) {
    const ol_qconst *q = u->q;
    size_t n = (size_t)(q->rows * q->n_groups), bytes = (n * (size_t)to->bits + 7) / 8;
    ol_ir_type t = u->of_groups;
    uint8_t *out = ol_calloc(1, bytes + 8);
    int bits = ol_dtype_bits(from);
    t.element = to;
    if (!out) {
        ol_ir_latch(u->e->file, OLV_NOMEM);
        return OL_IR_NONE;
    }
    uint64_t at = 0;
    if (bits < 8) pack_rows(data, q->rows, row_bytes, q->n_groups, bits, out, &at);
    else if (from == to->dtype && scale == 1) memcpy(out, data, bytes);
    else
        for (int64_t r = 0; r < q->rows; r++)
            for (int64_t g = 0; g < q->n_groups; g++)
                ol_elem_set(to->dtype, out, (uint64_t)(r * q->n_groups + g), scale * ol_elem_get(from, (const uint8_t *)data + (size_t)r * row_bytes, (uint64_t)g));
    for (size_t i = 0; flip && i < bytes; i++) out[i] ^= flip;
    ol_ir_out o = ol_ir_const_raw(u->e, part_name(u, end), NULL, &t, out, bytes);
    ol_free(out);
    return o;
}

/* Those of i8 and i4 become unsigned together with the codes. */
static ol_ir_out zero_points(const unfold *u, const spelling *s, const parts *p) {
    const ol_qconst *q = u->q;
    if (q->zero_dtype == OL_DTYPE_NONE) return ol_ir_const_number(u->e, OL_U2, 2);
    bool integer = integer_zero(q);
    return group_const(u, "/zero_point", q->zero_dtype, p->zeros, q->zero_row_bytes, integer ? s->zeros : u->wide, integer ? s->flip : 0, 1);
}

/* Codes that are places in a table. */
static ol_ir_out look_up(const unfold *u, const spelling *s, ol_ir_out codes) {
    const int64_t n = s->n_table;
    ol_ir_type t = ol_ir_type_of(u->wide->dtype, 1, &n), out = *ol_ir_get_type(u->e, codes);
    uint8_t raw[256 * 4];
    ol_elems_from_f32(u->wide->dtype, s->table, (uint64_t)n, raw, 0);
    out.element = u->wide;
    const ol_ir_out in[3] = {ol_ir_const_raw(u->e, part_name(u, "/codebook"), NULL, &t, raw, (size_t)n * (size_t)u->wide->bits / 8), codes,
                             ol_ir_const_i64(u->e, (const int64_t[]){0}, -1)};
    const ol_ir_attr batch = ol_ir_say_text("batch_dims", "0");
    return ol_ir_add(u->e, &(ol_ir_layer){.type = "Gather", .version = "opset8", .in = in, .n_in = 3, .attrs = &batch, .n_attrs = 1, .out = &out, .n_out = 1});
}

static ol_ir_out layers(const unfold *u, const ol_const *c, const spelling *s, const parts *p, const char *names) {
    const ol_qconst *q = u->q;
    ol_ir_emit *e = u->e;
    bool grouped = u->of_groups.rank > ol_const_rank(c);
    ol_ir_type t = u->of_groups;
    t.dims[t.rank - 1] = grouped ? q->group : q->k;
    t.element = s->codes;
    ol_ir_out x = ol_ir_const_layer(e, u->name, NULL, &t, p->codes_at, p->codes_bytes);
    if (x.layer < 0) return x;
    x = s->table ? look_up(u, s, x) : ol_ir_add_convert(e, NULL, x, u->wide);
    if (s->zeros) {
        ol_ir_out z = zero_points(u, s, p);
        const ol_ir_type *zt = ol_ir_get_type(e, z);
        if (zt && zt->element != u->wide) z = ol_ir_add_convert(e, NULL, z, u->wide);
        x = ol_ir_add_binary(e, "Subtract", part_name(u, "/zero_point/subtract"), x, z);
    }
    const ol_ir_element *scale_type = q->scale_dtype == OL_F8E8M0 && q->global_scale == 1 ? ol_ir_element_of(OL_F8E8M0) : u->wide;
    ol_ir_out scale = group_const(u, "/scale", q->scale_dtype, p->scales, p->scale_row, scale_type, 0, (double)q->global_scale);
    if (scale_type != u->wide) scale = ol_ir_add_convert(e, NULL, scale, u->wide);
    x = ol_ir_add_binary(e, "Multiply", part_name(u, "/fq_weights_1"), x, scale);
    if (grouped) x = ol_ir_add_reshape(e, NULL, x, ol_const_dims(c), ol_const_rank(c), false);
    if (u->wide->dtype == OL_F32 && names) ol_ir_give_names(e, x, NULL, names);
    if (u->wide->dtype == OL_F32 || x.layer < 0) return x;
    ol_ir_type f32 = *ol_ir_get_type(e, x);
    f32.element = ol_ir_element_of(OL_F32);
    const ol_ir_attr to = ol_ir_say_text("destination_type", "f32");
    return ol_ir_add(e, &(ol_ir_layer){.type = "Convert", .name = part_name(u, "/fq_weights_1/convert"), .in = &x, .n_in = 1, .attrs = &to, .n_attrs = 1,
                                       .out = &f32, .n_out = 1, .names = names ? &names : NULL});
}

ol_ir_out ol_ir_const_quant(ol_ir_emit *e, const char *name, const char *names, const ol_const *c) {
    const ol_qconst *q = ol_const_quant_form(c);
    spelling s;
    parts p = {0, 0, NULL, NULL, 0};
    if (!can_spell(c, q, &s)) return OL_IR_NONE;
    unfold u = {.e = e, .q = q, .name = name, .of_groups = ol_ir_type_of(OL_F32, ol_const_rank(c), ol_const_dims(c))};
    if (q->n_groups > 1) u.of_groups.dims[u.of_groups.rank++ - 1] = q->n_groups;
    u.of_groups.dims[u.of_groups.rank - 1] = 1;
    olv_status st = take_parts(e, c, q, &s, &p);
    ol_ir_out o = OL_IR_NONE;
    if (st == OLV_OK) {
        u.wide = ol_ir_element_of(q->scale_dtype == OL_F8E8M0 || scales_fit_f16(q, p.scales) ? OL_F16 : OL_F32);
        o = layers(&u, c, &s, &p, names);
    }
    ol_ir_latch(e->file, st);
    ol_free(p.scales);
    ol_free(p.zeros);
    return o;
}
