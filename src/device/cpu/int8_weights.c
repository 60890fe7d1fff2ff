/* SPDX-License-Identifier: Apache-2.0 */
#include "device/cpu/int8_weights.h"
#include "base/alloc.h"
#include "base/error.h"
#include "device/cpu/cpu.h"
#include <math.h>
#include <string.h>

#define MAX_BYTES ((size_t)1 << 31)

void ol_int8_weights_deinit(ol_int8_weights *w) {
    ol_free(w->own), ol_free(w->scales), ol_free(w->zeros);
    memset(w, 0, sizeof *w);
}

static bool make_arrays(ol_int8_weights *w) {
    w->scales = ol_calloc((size_t)w->outputs + 1, sizeof *w->scales);
    w->zeros = ol_calloc((size_t)w->outputs + 1, sizeof *w->zeros);
    return w->scales && w->zeros;
}

/* The codes where they lie, or their own: turned when they are unsigned, in the order of the outputs. */
static olv_status take_codes(ol_int8_weights *w, const uint8_t *codes, bool stays, bool turned, bool transposed, olv_error *err) {
    w->codes = (const int8_t *)codes;
    if (stays && !turned && !transposed) return OLV_OK;
    size_t n = (size_t)(w->outputs * w->k);
    uint8_t flip = turned ? 0x80 : 0;
    uint8_t *own = w->own = ol_alloc(n + 1);
    if (!own) return ol_fail(err, OLV_NOMEM, "no memory for weights");
    for (size_t i = 0; i < n && !transposed; i++) own[i] = codes[i] ^ flip;
    for (int64_t i = 0; i < w->outputs && transposed; i++)
        for (int64_t j = 0; j < w->k; j++) own[i * w->k + j] = codes[j * w->outputs + i] ^ flip;
    w->codes = w->own;
    return OLV_OK;
}

/* Scales, zero points: `n` of them, 1 or as many as outputs. */
static olv_status take_numbers(ol_int8_weights *w, const ol_value *scale, const ol_value *zero, int turn, olv_error *err) {
    ol_tensor s, z;
    if (!scale || scale->is_input || scale->type.rank > 1 || !ol_value_const_tensor(scale, MAX_BYTES, &s)) return ol_fail(err, OLV_UNSUPPORTED, "no constant scale");
    int64_t n = ol_tensor_count(&s);
    bool good = ol_dtype_class(s.dtype) == 'f' && (n == 1 || n == w->outputs);
    for (int64_t i = 0; good && i < w->outputs; i++) w->scales[i] = (float)ol_elem_get(s.dtype, s.data, (uint64_t)(n == 1 ? 0 : i));
    ol_tensor_deinit(&s);
    if (!good) return ol_fail(err, OLV_UNSUPPORTED, "scales that are not one for each output");
    for (int64_t i = 0; i < w->outputs; i++) w->zeros[i] = -turn;
    if (zero) {
        if (zero->is_input || !ol_value_const_tensor(zero, MAX_BYTES, &z)) return ol_fail(err, OLV_UNSUPPORTED, "no constant zero point");
        n = ol_tensor_count(&z);
        good = n == 1 || n == w->outputs;
        for (int64_t i = 0; good && i < w->outputs; i++) w->zeros[i] += (int32_t)ol_elem_get(z.dtype, z.data, (uint64_t)(n == 1 ? 0 : i));
        ol_tensor_deinit(&z);
        if (!good) return ol_fail(err, OLV_UNSUPPORTED, "zero points that are not one for each output");
    }
    for (int64_t i = 0; i < w->outputs; i++) w->has_zeros |= w->zeros[i] != 0;
    return OLV_OK;
}

static olv_status read_node(const ol_node *n, int64_t outputs, ol_int8_weights *w, olv_error *err) {
    const ol_value *codes = n->inputs[0];
    ol_tensor t;
    size_t bytes;
    bool turned = codes->type.dtype == OL_U8;
    if ((!turned && codes->type.dtype != OL_I8) || codes->type.rank < 1 || codes->is_input || ol_node_int(n, "block_size", 0) ||
        (n->inputs[1]->type.rank == 1 && n->inputs[1]->type.dims[0] != 1 && ol_node_int(n, "axis", 1) != 0))
        return ol_fail(err, OLV_UNSUPPORTED, "no weights of 8 bits by their outputs");
    w->outputs = outputs;
    w->source = codes->constant;
    const void *data = ol_const_data(codes->constant, &bytes);
    if (data) w->source = data;
    if (!make_arrays(w)) return ol_fail(err, OLV_NOMEM, "no memory for weights");
    w->k = ol_const_rows(codes->constant) * ol_const_width(codes->constant) / outputs;
    olv_status s;
    if (data) {
        s = take_codes(w, data, true, turned, false, err);
    } else {
        if (!ol_value_const_tensor(codes, MAX_BYTES, &t)) return ol_fail(err, OLV_UNSUPPORTED, "weights that cannot be read");
        s = take_codes(w, t.data, false, turned, false, err);
        ol_tensor_deinit(&t);
    }
    return s == OLV_OK ? take_numbers(w, n->inputs[1], n->n_inputs > 2 ? n->inputs[2] : NULL, turned ? 128 : 0, err) : s;
}

olv_status ol_int8_weights_of_node(const ol_node *n, int64_t outputs, ol_int8_weights *w, olv_error *err) {
    olv_status s = read_node(n, outputs, w, err);
    if (s != OLV_OK) ol_int8_weights_deinit(w);
    return s;
}

static olv_status read_const(const ol_const *c, ol_int8_weights *w, olv_error *err) {
    const ol_const *inner = ol_const_transposed(c);
    const ol_qconst *q = ol_const_qconst(inner ? inner : c);
    if (!q || (q->code != OL_Q_I8 && q->code != OL_Q_U8) || q->group != q->k || q->n_groups != 1 || q->scale_dtype != OL_F32 || q->min_dtype != OL_DTYPE_NONE ||
        q->perm || q->input_scale || q->global_scale != 1.0f || (q->zero_dtype != OL_DTYPE_NONE && q->zero_dtype != OL_U8 && q->zero_dtype != OL_I8) ||
        q->row_bytes != (size_t)q->k)
        return ol_fail(err, OLV_UNSUPPORTED, "no matrix of 8 bits by its rows");
    bool turned = q->code == OL_Q_U8;
    const float *scales = q->scales;
    w->outputs = inner ? q->k : q->rows;
    w->k = inner ? q->rows : q->k;
    w->source = q->codes;
    for (int64_t i = 1; inner && i < q->rows; i++)
        if (scales[i] != scales[0] || (q->zeros && ((const uint8_t *)q->zeros)[(size_t)i * q->zero_row_bytes] != ((const uint8_t *)q->zeros)[0]))
            return ol_fail(err, OLV_UNSUPPORTED, "scales along the products");
    if (!make_arrays(w)) return ol_fail(err, OLV_NOMEM, "no memory for weights");
    for (int64_t i = 0; i < w->outputs; i++) {
        const uint8_t *z = q->zeros ? (const uint8_t *)q->zeros + (inner ? 0 : (size_t)i * q->zero_row_bytes) : NULL;
        w->scales[i] = scales[inner ? 0 : i];
        w->zeros[i] = !z ? 0 : q->zero_dtype == OL_I8 ? (int8_t)*z : *z;
        if (turned && z) w->zeros[i] -= 128;
        w->has_zeros |= w->zeros[i] != 0;
    }
    return take_codes(w, q->codes, true, turned, inner != NULL, err);
}

olv_status ol_int8_weights_of_const(const ol_const *c, ol_int8_weights *w, olv_error *err) {
    olv_status s = read_const(c, w, err);
    if (s != OLV_OK) ol_int8_weights_deinit(w);
    return s;
}

/* ---- results ---- */

ol_int8_result ol_int8_result_of(const ol_lowering *l, ol_value *y) {
    ol_int8_result r = {.value = y};
    ol_node *user = ol_value_only_user(y), *bounds = NULL;
    ol_cpu_act act = {OLK_ACT_NONE, 0, 0};
    if (user && user->graph == l->graph) act = ol_cpu_act_of(user);
    if (act.f == OLK_ACT_RELU || (act.f == OLK_ACT_CLIP && act.a <= act.b)) bounds = user;
    ol_node *q = ol_cpu_following_quantize(l, bounds ? bounds->outputs[0] : y, &r.form, &r.is_signed);
    if (!q) return r;
    r.codes = true;
    r.covered[0] = q;
    r.covered[1] = bounds;
    r.value = q->outputs[0];
    float lo = act.f == OLK_ACT_RELU ? 0 : act.a, hi = act.f == OLK_ACT_RELU ? INFINITY : act.b;
    if (!bounds) return r;
    lo = rintf(fmaxf(lo / r.form.scale, r.form.lo));
    hi = rintf(fminf(hi / r.form.scale, r.form.hi));
    r.form.lo = fminf(lo, r.form.hi);
    r.form.hi = fmaxf(hi, r.form.lo);
    return r;
}

int ol_int8_take_result(ol_lowering *l, const ol_int8_result *r, bool channels_last) {
    for (int i = 0; i < 2; i++)
        if (r->covered[i]) ol_lower_cover(l, r->covered[i]);
    if (!r->codes) return ol_lower_output(l, r->value);
    const ol_codes *c = ol_cpu_codes_set(l, r->value, (ol_codes){.buffer = -2, .channels_last = channels_last, .is_signed = r->is_signed, .form = r->form});
    return c ? c->buffer : -1;
}

olv_status ol_int8_add_step(ol_lowering *l, const ol_step_class *class, const ol_node *n, void *args, const char *kernel, int x, int y, olv_error *err) {
    ol_step *s = x >= 0 && y >= 0 ? ol_lower_step(l, class, n->name, 0) : NULL;
    if (!s) return ol_fail(err, OLV_NOMEM, "no memory for the plan");
    s->args = args;
    s->kernel = kernel;
    ol_step_reads(s, x);
    ol_step_writes(s, y);
    return OLV_OK;
}

/* Bias in units of a sum where it is whole, as quantizers write it; else what is added behind the scale. */
static void split_bias(double bias, double unit, int32_t *start, float *shift, double result_scale) {
    double sum = bias / unit, whole = nearbyint(sum);
    if (fabs(whole) < 1 << 29 && fabs(sum - whole) < 1e-3 + 1e-6 * fabs(whole)) *start += (int32_t)whole;
    else *shift = (float)(bias / result_scale);
}

olv_status ol_int8_make_ends(ol_lowering *l, const ol_int8_weights *w, ol_value *bias, const ol_codes *x, const ol_int8_result *r, int64_t groups,
                             int64_t outputs, int64_t panel, ol_int8_ends *out, olv_error *err) {
    int64_t padded = (outputs + panel - 1) / panel * panel;
    size_t n = (size_t)(groups * padded) + OLK_INT8_SLACK;
    const float *b = NULL;
    if (bias && (!bias->constant || bias->is_input || ol_const_rows(bias->constant) * ol_const_width(bias->constant) != w->outputs))
        return ol_fail(err, OLV_UNSUPPORTED, "a bias that is no constant");
    if (bias && !(b = ol_lower_f32(l, bias, err))) return err ? err->status : OLV_NOMEM;
    int32_t *start = ol_arena_calloc(l->arena, n, sizeof *start), *zero = w->has_zeros ? ol_arena_calloc(l->arena, n, sizeof *zero) : NULL;
    float *scale = ol_arena_calloc(l->arena, n, sizeof *scale), *shift = ol_arena_calloc(l->arena, n, sizeof *shift);
    if (!start || !scale || !shift || (w->has_zeros && !zero)) return ol_fail(err, OLV_NOMEM, "no memory for the plan");
    double result_scale = r->codes ? (double)r->form.scale : 1;
    for (int64_t i = 0; i < w->outputs; i++) {
        int64_t at = i / outputs * padded + i % outputs, sum = olk_int8_sum(w->codes + i * w->k, w->k);
        double unit = (double)x->form.scale * (double)w->scales[i];
        if (!isfinite(unit / result_scale)) return ol_fail(err, OLV_UNSUPPORTED, "a scale of %g", (double)w->scales[i]);
        /* sum of (x - zx)(w - zw) = sum x w - zx sum w - zw sum x + k zx zw */
        start[at] = (int32_t)(x->form.zero * (w->k * w->zeros[i] - sum));
        scale[at] = (float)(unit / result_scale);
        if (zero) zero[at] = w->zeros[i];
        if (b) split_bias((double)b[i], unit, &start[at], &shift[at], result_scale);
    }
    *out = (ol_int8_ends){start, zero, scale, shift, r->form.lo, r->form.hi, r->form.zero, r->codes};
    return OLV_OK;
}
