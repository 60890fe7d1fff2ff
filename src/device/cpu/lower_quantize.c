/* SPDX-License-Identifier: Apache-2.0 */
/* QuantizeLinear and DequantizeLinear. A quantized value that is only dequantized again by the same numbers, as in graphs
 * that carry quantization for others, stays in f32: it is rounded to the steps of its scale in one pass. Otherwise codes are
 * integers in a buffer. One scale for all, or (dequantizing) one for each place of an axis; all of them constants. */
#include "base/error.h"
#include "device/cpu/codes.h"
#include "device/cpu/cpu.h"
#include "graph/op.h"
#include <math.h>
#include <string.h>

#define TILE 16384

typedef struct quantize_args {
    int x, y;
    ol_dim count, inner; /* inner: elements that share a scale of an axis, in a row */
    int64_t n_scales;
    const float *scales, *zeros; /* zeros: NULL when all are 0 */
    float lo, hi;                /* codes */
    const olk_codes *codes;
} quantize_args;

static unsigned tiles(const ol_step *s, const ol_run *r) {
    return (unsigned)((ol_cpu_rows(r, ((const quantize_args *)s->args)->count) + TILE - 1) / TILE);
}

/* Rounds half to even; |v| is below 2^22. The sum's last bit is worth 1 there. */
static inline float round_even(float v) {
    const float big = 12582912.0f;
    return (v + big) - big;
}

/* The code without its zero point; NaN has code 0. */
static inline float code_of(float v, float lo, float hi, float nan) {
    float c = v > hi ? hi : v < lo ? lo : v;
    c = round_even(c);
    return v == v ? c : nan;
}

/* By way of codes, which there are kernels for. */
static void round_strips(const olk_codes *codes, const olk_codes_form *f, const float *x, int64_t n, float *y) {
    uint8_t strip[1024];
    for (int64_t i = 0; i < n; i += 1024) {
        int64_t some = n - i < 1024 ? n - i : 1024;
        codes->quantize(f, x + i, some, strip);
        codes->dequantize(f, strip, some, y + i);
    }
}

static void run_round(const ol_step *s, const ol_run *r, unsigned tile, void *scratch) {
    const quantize_args *a = s->args;
    int64_t all = ol_cpu_rows(r, a->count), i0 = (int64_t)tile * TILE, n = all - i0 < TILE ? all - i0 : TILE;
    const float *x = (const float *)ol_run_buffer(r, a->x) + i0, scale = a->scales[0], zero = a->zeros ? a->zeros[0] : 0;
    float *y = (float *)ol_run_buffer(r, a->y) + i0, lo = a->lo - zero, hi = a->hi - zero;
    (void)scratch;
    if (a->hi - a->lo < 256) {
        olk_codes_form f = {scale, (int32_t)(zero - a->lo), lo, hi};
        round_strips(a->codes, &f, x, n, y);
        return;
    }
    for (int64_t i = 0; i < n; i++) y[i] = code_of(x[i] / scale, lo, hi, -zero) * scale;
}

static void run_quantize(const ol_step *s, const ol_run *r, unsigned tile, void *scratch) {
    const quantize_args *a = s->args;
    int64_t all = ol_cpu_rows(r, a->count), i0 = (int64_t)tile * TILE, n = all - i0 < TILE ? all - i0 : TILE;
    const float *x = (const float *)ol_run_buffer(r, a->x) + i0, scale = a->scales[0], zero = a->zeros ? a->zeros[0] : 0;
    int64_t *y = (int64_t *)ol_run_buffer(r, a->y) + i0;
    (void)scratch;
    for (int64_t i = 0; i < n; i++) y[i] = (int64_t)(code_of(x[i] / scale, a->lo - zero, a->hi - zero, -zero) + zero);
}

static void run_dequantize(const ol_step *s, const ol_run *r, unsigned tile, void *scratch) {
    const quantize_args *a = s->args;
    int64_t all = ol_cpu_rows(r, a->count), inner = ol_cpu_rows(r, a->inner), i0 = (int64_t)tile * TILE, i1 = i0 + TILE < all ? i0 + TILE : all;
    const int64_t *x = ol_run_buffer(r, a->x);
    float *y = ol_run_buffer(r, a->y);
    (void)scratch;
    for (int64_t i = i0; i < i1;) {
        int64_t k = a->n_scales > 1 ? i / inner % a->n_scales : 0, end = a->n_scales > 1 ? (i / inner + 1) * inner : i1;
        float scale = a->scales[k], zero = a->zeros ? a->zeros[k] : 0;
        for (end = end < i1 ? end : i1; i < end; i++) y[i] = ((float)x[i] - zero) * scale;
    }
}
static const ol_step_class round_class = {"round to steps", tiles, NULL, NULL, run_round};
static const ol_step_class quantize_class = {"quantize", tiles, NULL, NULL, run_quantize};
static const ol_step_class dequantize_class = {"dequantize", tiles, NULL, NULL, run_dequantize};

/* Scales and zero points as floats; types whose codes are not exact in f32, or are floats, are left to the reference. */
static olv_status read_scales(ol_lowering *l, const ol_node *n, ol_dtype code, quantize_args *a, olv_error *err) {
    ol_value *scale = n->inputs[1], *zero = n->n_inputs > 2 ? n->inputs[2] : NULL;
    char cls = ol_dtype_class(code);
    if ((cls != 's' && cls != 'u') || ol_dtype_bits(code) < 8 || ol_dtype_bits(code) > 16) return ol_fail(err, OLV_UNSUPPORTED, "only codes of 8 and 16 bits");
    if (!scale || !scale->constant || scale->is_input || scale->type.dtype != OL_F32 || scale->type.rank > 1 || ol_node_int(n, "block_size", 0) ||
        ol_node_int(n, "precision", 0) || (zero && (!zero->constant || zero->is_input)))
        return ol_fail(err, OLV_UNSUPPORTED, "only constant scales in f32, one or along an axis");
    a->n_scales = ol_const_rows(scale->constant) * ol_const_width(scale->constant);
    if (!(a->scales = ol_lower_f32(l, scale, err))) return err ? err->status : OLV_NOMEM;
    for (int64_t i = 0; i < a->n_scales; i++)
        if (!(a->scales[i] > 0)) return ol_fail(err, OLV_UNSUPPORTED, "a scale of %g", (double)a->scales[i]);
    double reach = ldexp(1, ol_dtype_bits(code));
    a->lo = (float)(cls == 's' ? -reach / 2 : 0);
    a->hi = (float)(cls == 's' ? reach / 2 - 1 : reach - 1);
    if (!zero) return OLV_OK;
    ol_tensor t;
    float *zeros = ol_arena_calloc(l->arena, (size_t)a->n_scales + 1, sizeof *zeros);
    if (!zeros || !ol_value_const_tensor(zero, (size_t)1 << 24, &t)) return ol_fail(err, OLV_NOMEM, "no memory for zero points");
    bool fits = ol_tensor_count(&t) == a->n_scales;
    for (int64_t i = 0; fits && i < a->n_scales; i++) zeros[i] = (float)ol_elem_get(t.dtype, t.data, (uint64_t)i);
    ol_tensor_deinit(&t);
    a->zeros = zeros;
    return fits ? OLV_OK : ol_fail(err, OLV_SHAPE, "%lld zero points expected", (long long)a->n_scales);
}

static ol_dim count_of(ol_lowering *l, const ol_type *t, int from) {
    ol_dim n = 1;
    for (int i = from; i < t->rank; i++) n = ol_dim_mul(l->graph->dims, n, t->dims[i]);
    return n;
}

static olv_status emit(ol_lowering *l, const ol_node *n, const ol_step_class *cls, quantize_args *a, olv_error *err) {
    if ((a->x = ol_lower_input(l, n->inputs[0], err)) < 0) return err ? err->status : OLV_INTERNAL;
    ol_step *s = ol_lower_step(l, cls, n->name, sizeof *a);
    if (!s) return OLV_OK; /* latched */
    memcpy(s->args, a, sizeof *a);
    ol_step_reads(s, a->x);
    ol_step_writes(s, a->y);
    return OLV_OK;
}

/* ---- codes that are only dequantized again ---- */

static bool same_constant(const ol_value *a, const ol_value *b) {
    ol_tensor x, y;
    if (a == b) return true;
    if (!a || !b || !a->constant || !b->constant || a->is_input || b->is_input || a->type.dtype != b->type.dtype || !ol_value_const_tensor(a, 4096, &x)) return false;
    bool same = ol_value_const_tensor(b, 4096, &y);
    if (same) {
        same = x.bytes == y.bytes && !memcmp(x.data, y.data, x.bytes);
        ol_tensor_deinit(&y);
    }
    ol_tensor_deinit(&x);
    return same;
}

static bool check_user(void *ctx, ol_node *user, int input) {
    ol_cpu_dequantizers *u = ctx;
    const ol_node *q = u->quantize;
    const ol_value *zq = q->n_inputs > 2 ? q->inputs[2] : NULL, *zd = user && user->n_inputs > 2 ? user->inputs[2] : NULL;
    u->good = user && input == 0 && u->n < 64 && user->graph == q->graph && !*user->op->domain && !strcmp(user->op->name, "DequantizeLinear") &&
              same_constant(q->inputs[1], user->inputs[1]) && same_constant(zq, zd) && user->outputs[0]->type.dtype == OL_F32 && !ol_node_int(user, "block_size", 0);
    if (u->good) u->nodes[u->n++] = user;
    return u->good;
}

olv_status ol_lower_quantize(ol_lowering *l, ol_node *n, olv_error *err) {
    quantize_args a = {.inner = 1};
    const ol_type *t = &n->outputs[0]->type;
    ol_cpu_dequantizers u = {.quantize = n};
    olk_codes_form form;
    bool is_signed, channels_last;
    if (ol_cpu_read_quantizer(n, &form, &is_signed) && ol_cpu_wants_codes(l, n->outputs[0], &channels_last))
        return ol_cpu_emit_quantize(l, n, form, is_signed, channels_last, err);
    if (ol_dtype_class(n->inputs[0]->type.dtype) != 'f') return ol_fail(err, OLV_UNSUPPORTED, "only floating point");
    OL_TRY(read_scales(l, n, t->dtype, &a, err));
    if (a.n_scales != 1) return ol_fail(err, OLV_UNSUPPORTED, "only one scale");
    a.count = count_of(l, t, 0);
    a.codes = olk_codes_select(l->opt.cpu);
    bool is_output = false;
    for (int i = 0; i < l->graph->n_outputs; i++) is_output |= l->graph->outputs[i] == n->outputs[0];
    if (!is_output) ol_value_each_use(n->outputs[0], check_user, &u);
    if (is_output || !u.good || u.n == 0) {
        a.y = ol_lower_output(l, n->outputs[0]);
        return emit(l, n, &quantize_class, &a, err);
    }
    a.y = ol_cpu_take_dequantizers(l, &u);
    return emit(l, n, &round_class, &a, err);
}

/* Codes stay codes until somebody asks for floats; so do the weights of a convolution. */
olv_status ol_lower_dequantize(ol_lowering *l, ol_node *n, olv_error *err) {
    const ol_codes *c = ol_cpu_codes_of(l, n->inputs[0]);
    olk_codes_form form;
    bool is_signed;
    if (c && ol_cpu_read_quantizer(n, &form, &is_signed)) {
        ol_cpu_codes_set(l, n->outputs[0], (ol_codes){.buffer = c->buffer, .channels_last = c->channels_last, .form = form});
        return OLV_OK; /* or latched */
    }
    const ol_node *user = ol_value_only_user(n->outputs[0]);
    if (l->known && n->inputs[0]->constant && !n->inputs[0]->is_input && user && !strcmp(user->op->name, "Conv") && user->inputs[1] == n->outputs[0]) {
        ol_cpu_codes_set(l, n->outputs[0], (ol_codes){.buffer = -1, .node = n});
        return OLV_OK;
    }
    return ol_cpu_lower_dequantize(l, n, err);
}

olv_status ol_cpu_lower_dequantize(ol_lowering *l, const ol_node *n, olv_error *err) {
    quantize_args a = {.inner = 1};
    const ol_type *t = &n->inputs[0]->type;
    OL_TRY(read_scales(l, n, t->dtype, &a, err));
    a.count = count_of(l, t, 0);
    if (a.n_scales != 1) {
        int64_t axis = ol_node_int(n, "axis", 1);
        if (axis < 0) axis += t->rank;
        if (axis < 0 || axis >= t->rank || t->dims[axis] != a.n_scales) return ol_fail(err, OLV_UNSUPPORTED, "the scales do not fit");
        a.inner = count_of(l, t, (int)axis + 1);
    }
    a.y = ol_lower_output(l, n->outputs[0]);
    return emit(l, n, &dequantize_class, &a, err);
}
