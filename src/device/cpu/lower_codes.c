/* SPDX-License-Identifier: Apache-2.0 */
/* Sums and products of codes with codes or with a row of floats, functions of codes by table, and views of them. */
#include "base/error.h"
#include "device/cpu/codes.h"
#include "device/cpu/cpu.h"
#include "device/cpu/int8_weights.h"
#include <string.h>

#define TILE 16384

typedef struct codes_args {
    int a, b, y; /* b: -1 when it is a row of floats */
    ol_dim count;
    olk_codes_op op;
    olk_codes_form fa, fb, fy;
    const float *row; /* [width], repeated: as many as fill a strip */
    int64_t width;
    const olk_codes *codes;
    uint8_t table[256];
} codes_args;

static unsigned tiles(const ol_step *s, const ol_run *r) {
    return (unsigned)((ol_cpu_rows(r, ((const codes_args *)s->args)->count) + TILE - 1) / TILE);
}

static void run_combine(const ol_step *s, const ol_run *r, unsigned tile, void *scratch) {
    const codes_args *a = s->args;
    int64_t all = ol_cpu_rows(r, a->count), i0 = (int64_t)tile * TILE, i1 = all - i0 < TILE ? all : i0 + TILE;
    const uint8_t *x = ol_run_buffer(r, a->a);
    uint8_t *y = ol_run_buffer(r, a->y);
    (void)scratch;
    if (!a->row) {
        a->codes->combine(a->op, &a->fa, x + i0, &a->fb, (const uint8_t *)ol_run_buffer(r, a->b) + i0, &a->fy, i1 - i0, y + i0);
        return;
    }
    for (int64_t i = i0; i < i1;) {
        int64_t at = i % a->width, n = a->width - at < i1 - i ? a->width - at : i1 - i;
        a->codes->combine_floats(a->op, &a->fa, x + i, a->row + at, &a->fy, n, y + i);
        i += n;
    }
}

static void run_lookup(const ol_step *s, const ol_run *r, unsigned tile, void *scratch) {
    const codes_args *a = s->args;
    int64_t all = ol_cpu_rows(r, a->count), i0 = (int64_t)tile * TILE, n = all - i0 < TILE ? all - i0 : TILE;
    (void)scratch;
    a->codes->lookup(a->table, (const uint8_t *)ol_run_buffer(r, a->a) + i0, n, (uint8_t *)ol_run_buffer(r, a->y) + i0);
}
static const ol_step_class combine_class = {"combine codes", tiles, NULL, NULL, run_combine};
static const ol_step_class lookup_class = {"look up codes", tiles, NULL, NULL, run_lookup};

static olv_status emit(ol_lowering *l, const ol_node *n, const ol_step_class *cls, codes_args *a, const ol_int8_result *result, bool channels_last, olv_error *err) {
    a->count = ol_cpu_count(l, n->outputs[0]);
    a->fy = result->form;
    a->y = ol_int8_take_result(l, result, channels_last);
    ol_step *s = a->y >= 0 ? ol_lower_step(l, cls, n->name, sizeof *a) : NULL;
    if (!s) return ol_fail(err, OLV_NOMEM, "no memory for the plan");
    memcpy(s->args, a, sizeof *a);
    s->kernel = a->codes->name;
    ol_step_reads(s, a->a);
    if (!a->row && cls == &combine_class) ol_step_reads(s, a->b);
    ol_step_writes(s, a->y);
    return OLV_OK;
}

/* ---- two operands ---- */

static bool same_shape(const ol_value *a, const ol_value *b) {
    if (a->type.rank != b->type.rank) return false;
    for (int i = 0; i < a->type.rank; i++)
        if (a->type.dims[i] != b->type.dims[i]) return false;
    return true;
}

static bool has_codes(const ol_lowering *l, const ol_value *v) {
    const ol_codes *c = ol_cpu_codes_of(l, v);
    return c && c->buffer >= 0;
}

/* A constant that is the same row for all; a number is one of them. */
static bool is_row(const ol_value *v, const ol_value *x) {
    if (!v->constant || v->is_input || v->type.dtype != OL_F32 || v->type.rank > x->type.rank) return false;
    for (int i = 0; i + 1 < v->type.rank; i++)
        if (v->type.dims[i] != 1) return false;
    int64_t width = ol_lower_width(v);
    return width > 0 && (width == 1 || width == ol_lower_width(x));
}

static olv_status lower_codes(ol_lowering *l, ol_node *n, codes_args *a, const ol_int8_result *result, olv_error *err) {
    const ol_value *va = n->inputs[0], *vb = n->inputs[1];
    const ol_codes *ca = ol_cpu_codes_of(l, va), *cb = ol_cpu_codes_of(l, vb);
    if (!same_shape(va, vb)) return ol_fail(err, OLV_UNSUPPORTED, "codes of several shapes");
    bool last = ca->channels_last || cb->channels_last;
    a->fa = ca->form, a->fb = cb->form;
    a->a = ol_cpu_codes_buffer(l, va, last);
    a->b = ol_cpu_codes_buffer(l, vb, last);
    if (a->a < 0 || a->b < 0) return ol_fail(err, OLV_NOMEM, "no memory for the plan");
    return emit(l, n, &combine_class, a, result, last, err);
}

static float apply(const char *op, float x, float c) {
    return *op == 'A' ? x + c : *op == 'S' ? x - c : *op == 'M' ? x * c : x / c;
}

/* A number: by table. left: it is the first operand. */
static olv_status lower_number(ol_lowering *l, ol_node *n, codes_args *a, const ol_value *x, float c, bool left, const ol_int8_result *result, olv_error *err) {
    const ol_codes *codes = ol_cpu_codes_of(l, x);
    float in[256], out[256];
    uint8_t all[256];
    for (int i = 0; i < 256; i++) all[i] = (uint8_t)i;
    a->codes->dequantize(&codes->form, all, 256, in);
    for (int i = 0; i < 256; i++) out[i] = left ? apply(n->op->name, c, in[i]) : apply(n->op->name, in[i], c);
    a->codes->quantize(&result->form, out, 256, a->table);
    a->a = codes->buffer;
    return emit(l, n, &lookup_class, a, result, codes->channels_last, err);
}

olv_status ol_cpu_lower_codes_binary(ol_lowering *l, ol_node *n, olv_error *err) {
    codes_args a = {.b = -1, .codes = olk_codes_select(l->opt.cpu)};
    bool first = has_codes(l, n->inputs[0]), second = has_codes(l, n->inputs[1]), divides = !strcmp(n->op->name, "Div");
    if (!first && !second) return ol_fail(err, OLV_UNSUPPORTED, "no codes");
    ol_int8_result result = ol_int8_result_of(l, n->outputs[0]);
    if (!result.codes) return ol_fail(err, OLV_UNSUPPORTED, "no codes as the result");
    if (strcmp(n->op->name, "Add") && strcmp(n->op->name, "Sub") && strcmp(n->op->name, "Mul") && !divides) return ol_fail(err, OLV_UNSUPPORTED, "no kernel");
    a.op = *n->op->name == 'A' ? OLK_CODES_ADD : *n->op->name == 'S' ? OLK_CODES_SUB : OLK_CODES_MUL;
    if (first && second) return divides ? ol_fail(err, OLV_UNSUPPORTED, "no kernel") : lower_codes(l, n, &a, &result, err);
    ol_value *x = n->inputs[!first], *other = n->inputs[first];
    const ol_codes *c = ol_cpu_codes_of(l, x);
    if (!is_row(other, x) || !same_shape(x, n->outputs[0])) return ol_fail(err, OLV_UNSUPPORTED, "no row of constants");
    if (!(a.row = ol_lower_f32(l, other, err))) return err ? err->status : OLV_NOMEM;
    a.width = ol_lower_width(other);
    if (a.width == 1) {
        float number = a.row[0];
        a.row = NULL;
        return lower_number(l, n, &a, x, number, !first, &result, err);
    }
    if (c->channels_last || divides || (a.op == OLK_CODES_SUB && !first)) return ol_fail(err, OLV_UNSUPPORTED, "no kernel");
    a.fa = c->form;
    a.a = c->buffer;
    return emit(l, n, &combine_class, &a, &result, false, err);
}

/* ---- functions ---- */

olv_status ol_cpu_lower_codes_unary(ol_lowering *l, ol_node *n, olv_error *err) {
    codes_args a = {.b = -1, .codes = olk_codes_select(l->opt.cpu)};
    ol_cpu_act act = ol_cpu_act_of(n);
    if (act.f == OLK_ACT_NONE || !has_codes(l, n->inputs[0])) return ol_fail(err, OLV_UNSUPPORTED, "no codes");
    ol_int8_result result = ol_int8_result_of(l, n->outputs[0]);
    const ol_codes *c = ol_cpu_codes_of(l, n->inputs[0]);
    if (!result.codes) return ol_fail(err, OLV_UNSUPPORTED, "no codes as the result");
    float values[256];
    uint8_t all[256];
    for (int i = 0; i < 256; i++) all[i] = (uint8_t)i;
    a.codes->dequantize(&c->form, all, 256, values);
    olk_activation_select(l->opt.cpu)->unary(act.f, act.a, act.b, values, values, 256);
    a.codes->quantize(&result.form, values, 256, a.table);
    a.a = c->buffer;
    return emit(l, n, &lookup_class, &a, &result, c->channels_last, err);
}

/* ---- views ---- */

/* Of codes, or of floats that live as codes. Images whose places are one or whose channels are one lie the same either way. */
olv_status ol_cpu_lower_codes_view(ol_lowering *l, ol_node *n, olv_error *err) {
    const ol_value *x = n->inputs[0];
    ol_dim from = has_codes(l, x) ? ol_cpu_count(l, x) : OL_DIM_NONE;
    if (from == OL_DIM_NONE || from != ol_cpu_count(l, n->outputs[0])) return ol_fail(err, OLV_UNSUPPORTED, "no codes");
    ol_codes c = *ol_cpu_codes_of(l, x);
    bool same = c.channels_last;
    for (int i = 2; i < x->type.rank; i++) same = same && x->type.dims[i] == 1;
    if (!same && (c.buffer = ol_cpu_codes_buffer(l, x, false)) < 0) return ol_fail(err, OLV_NOMEM, "no memory for the plan");
    c.channels_last = false;
    ol_cpu_codes_set(l, n->outputs[0], c);
    return OLV_OK; /* or latched */
}

/* Codes again: by the same numbers they are the same. */
olv_status ol_cpu_lower_codes_requantize(ol_lowering *l, ol_node *n, olv_error *err) {
    codes_args a = {.b = -1, .codes = olk_codes_select(l->opt.cpu)};
    ol_int8_result result = {.value = n->outputs[0], .codes = true};
    if (!has_codes(l, n->inputs[0]) || ol_dtype_class(n->inputs[0]->type.dtype) != 'f' || !ol_cpu_read_quantizer(n, &result.form, &result.is_signed))
        return ol_fail(err, OLV_UNSUPPORTED, "no codes");
    ol_codes c = *ol_cpu_codes_of(l, n->inputs[0]);
    if (c.form.scale == result.form.scale && c.form.zero == result.form.zero) {
        c.form = result.form, c.is_signed = result.is_signed;
        ol_cpu_codes_set(l, n->outputs[0], c);
        return OLV_OK; /* or latched */
    }
    float values[256];
    uint8_t all[256];
    for (int i = 0; i < 256; i++) all[i] = (uint8_t)i;
    a.codes->dequantize(&c.form, all, 256, values);
    a.codes->quantize(&result.form, values, 256, a.table);
    a.a = c.buffer;
    return emit(l, n, &lookup_class, &a, &result, c.channels_last, err);
}
