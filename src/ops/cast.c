/* SPDX-License-Identifier: Apache-2.0 */
/* Cast and CastLike: numbers, strings and the 8-bit floats with or without saturation. */
#include "ops/ops.h"
#include <stdio.h>
#include <stdlib.h>

/* Smallest magnitude that does not round to a finite value, and what saturate=0 makes of it. */
static bool overflow_code(ol_dtype t, double v, uint8_t *code) {
    double a = fabs(v);
    uint8_t sign = signbit(v) ? 0x80 : 0;
    switch (t) {
    case OL_F8E4M3: *code = (uint8_t)(sign | 0x7f); return a > 464;
    case OL_F8E5M2: *code = (uint8_t)(sign | 0x7c); return a >= 61440;
    case OL_F8E4M3FNUZ: *code = 0x80; return a >= 248;
    case OL_F8E5M2FNUZ: *code = 0x80; return a >= 61440;
    default: return false;
    }
}

/* E8M0 holds powers of two only: exponent + 127. */
static uint8_t power_code(double v, ol_str mode) {
    if (isnan(v)) return 255;
    v = fabs(v);
    if (v == 0) return 0;
    if (isinf(v)) return 254;
    int e;
    double m = frexp(v, &e); /* v = m 2^e, m in [0.5, 1) */
    e--;
    if (ol_str_is(mode, "up") ? m > 0.5 : ol_str_is(mode, "nearest") && m >= 0.75) e++;
    return (uint8_t)(e < -127 ? 0 : e > 127 ? 254 : e + 127);
}

static double text_number(ol_str s) {
    char text[64];
    size_t n = s.len < sizeof text - 1 ? s.len : sizeof text - 1;
    memcpy(text, s.ptr, n);
    text[n] = 0;
    return strtod(text, NULL);
}

/* Shortest text that reads back as the same value; floats always have a point or an exponent. */
static void number_text(const ol_tensor *x, int64_t i, ol_buf *b) {
    if (x->dtype == OL_BOOL) {
        ol_buf_puts(b, ol_tensor_i64(x, i) ? "True" : "False");
    } else if (!ol_is_float(x->dtype)) {
        if (x->dtype == OL_U64) ol_buf_printf(b, "%llu", (unsigned long long)ol_tensor_i64(x, i));
        else ol_buf_printf(b, "%lld", (long long)ol_tensor_i64(x, i));
    } else {
        double v = ol_tensor_get(x, i);
        char text[40];
        if (isnan(v) || isinf(v)) {
            ol_buf_puts(b, isnan(v) ? "NaN" : v < 0 ? "-INF" : "INF");
            return;
        }
        for (int p = 1; p < 18; p++) {
            snprintf(text, sizeof text, "%.*g", p, v);
            double back = strtod(text, NULL);
            if (x->dtype == OL_F64 ? back == v : (float)back == (float)v) break;
        }
        ol_buf_puts(b, text);
        if (!strpbrk(text, ".e")) ol_buf_puts(b, ".0");
    }
}

static olv_status to_strings(const ol_tensor *x, ol_tensor *y, olv_error *err) {
    int64_t n = ol_tensor_count(x);
    ol_buf b = OL_BUF_INIT;
    size_t *ends = ol_calloc((size_t)n + 1, sizeof *ends);
    for (int64_t i = 0; ends && i < n; i++) {
        number_text(x, i, &b);
        ends[i] = b.len;
    }
    bool ok = ends && !b.failed;
    char *text = ok ? ol_buf_take(&b, NULL) : NULL;
    if (!text) text = ol_calloc(1, 1);
    ok = ok && text;
    for (int64_t i = 0; ok && i < n; i++) {
        size_t from = i ? ends[i - 1] : 0;
        ((ol_str *)y->data)[i] = (ol_str){text + from, ends[i] - from};
    }
    y->strings = text;
    ol_buf_deinit(&b);
    ol_free(ends);
    return ok ? OLV_OK : ol_fail(err, OLV_NOMEM, "no memory for strings");
}

/* Drops the fraction and keeps the low bits, as casts to byte-sized integers by way of a wider one do. */
static double wrap(double v, ol_dtype t) {
    int bits = ol_dtype_bits(t), mask = (1 << bits) - 1;
    if (isnan(v) || isinf(v)) return 0;
    int low = (int)((int64_t)fmod(trunc(v), 4096) & mask);
    return ol_dtype_class(t) == 's' && low >> (bits - 1) ? low - (1 << bits) : low;
}

static void one_number(const ol_tensor *x, ol_tensor *y, int64_t i, bool saturate, ol_str mode) {
    uint8_t code;
    if (x->dtype != OL_STRING && !ol_is_float(x->dtype) && !ol_is_float(y->dtype)) {
        ol_tensor_set_i64(y, i, ol_tensor_i64(x, i));
        return;
    }
    double v = x->dtype == OL_STRING ? text_number(((const ol_str *)x->data)[i]) : ol_tensor_get(x, i);
    if (ol_dtype_bits(y->dtype) < 8 && ol_is_int(y->dtype)) v = wrap(v, y->dtype);
    if (y->dtype == OL_F8E8M0) ((uint8_t *)y->data)[i] = power_code(v, mode);
    else if (!saturate && !isnan(v) && overflow_code(y->dtype, v, &code)) ((uint8_t *)y->data)[i] = code;
    else ol_tensor_set(y, i, v);
}

static olv_status cast(ol_eval *c, ol_dtype to, olv_error *err) {
    const ol_tensor *x;
    ol_tensor *y;
    OL_TRY(ol_eval_need(c, 0, &x, err));
    if (to == OL_DTYPE_NONE || ol_dtype_class(to) == 'c' || ol_dtype_class(x->dtype) == 'c')
        return ol_fail(err, OLV_UNSUPPORTED, "cast from %s to %s", ol_dtype_name(x->dtype), ol_dtype_name(to));
    OL_TRY(ol_eval_out(c, 0, to, x->rank, x->dims, &y, err));
    int64_t n = ol_tensor_count(x);
    if (to == x->dtype) {
        ol_elems_copy(y, 0, x, 0, n);
        return ol_tensor_own_strings(y, err);
    }
    if (to == OL_STRING) return to_strings(x, y, err);
    bool saturate = ol_node_int(c->node, "saturate", 1) != 0;
    ol_str mode = ol_node_string(c->node, "round_mode", "up");
    for (int64_t i = 0; i < n; i++) one_number(x, y, i, saturate, mode);
    return OLV_OK;
}

static olv_status eval_cast(ol_eval *c, olv_error *err) {
    return cast(c, ol_dtype_from_onnx(ol_node_int(c->node, "to", 0)), err);
}

static olv_status eval_like(ol_eval *c, olv_error *err) {
    const ol_tensor *like;
    OL_TRY(ol_eval_need(c, 1, &like, err));
    return cast(c, like->dtype, err);
}

static olv_status infer_cast(ol_infer *c, olv_error *err) {
    ol_dtype to = ol_dtype_from_onnx(ol_node_int(c->node, "to", 0));
    if (to == OL_DTYPE_NONE)
        return ol_fail(err, OLV_FORMAT, "element type %lld found", (long long)ol_node_int(c->node, "to", 0));
    c->out[0] = *ol_infer_in(c, 0);
    c->out[0].dtype = to;
    return OLV_OK;
}

static olv_status infer_like(ol_infer *c, olv_error *err) {
    (void)err;
    c->out[0] = *ol_infer_in(c, 0);
    c->out[0].dtype = ol_infer_in(c, 1)->dtype;
    return OLV_OK;
}

static const ol_attr_spec attrs[] = {{"to", OL_ATTR_INT, true}, {"saturate", OL_ATTR_INT, false},
                                     {"round_mode", OL_ATTR_STRING, false}};
extern const ol_op ol_op_Cast, ol_op_CastLike;
const ol_op ol_op_Cast = {"", "Cast", "another element type", 1, 1, 1, 1, attrs, 3, infer_cast, eval_cast, NULL, false,
                          true};
const ol_op ol_op_CastLike = {"", "CastLike", "the element type of another tensor", 2, 2, 1, 1, attrs + 1, 2,
                              infer_like, eval_like, NULL, false, false};
