/* SPDX-License-Identifier: Apache-2.0 */
/* Pow (base and exponent of different types), Mod, BitShift, Mean. */
#include "ops/ops.h"

static olv_status start(ol_eval *c, const ol_tensor **t, ol_walk *w, ol_tensor **y, olv_error *err) {
    for (int i = 0; i < 2; i++) OL_TRY(ol_eval_need(c, i, &t[i], err));
    OL_TRY(ol_walk_init(w, t, 2, err));
    return ol_eval_out(c, 0, t[0]->dtype, w->rank, w->dims, y, err);
}

static int64_t int_pow(int64_t b, int64_t e) {
    uint64_t r = 1, x = (uint64_t)b;
    if (e < 0) return b == 1 ? 1 : b == -1 ? (e & 1 ? -1 : 1) : 0;
    for (; e; e >>= 1, x *= x)
        if (e & 1) r *= x;
    return (int64_t)r;
}

static olv_status eval_pow(ol_eval *c, olv_error *err) {
    const ol_tensor *t[2];
    ol_tensor *y;
    ol_walk w;
    OL_TRY(start(c, t, &w, &y, err));
    bool exact = ol_is_int(t[0]->dtype) && ol_is_int(t[1]->dtype);
    for (int64_t i = 0; i < w.count; i++, ol_walk_next(&w)) {
        if (exact) ol_tensor_set_i64(y, i, int_pow(ol_tensor_i64(t[0], w.at[0]), ol_tensor_i64(t[1], w.at[1])));
        else ol_tensor_set(y, i, pow(ol_tensor_get(t[0], w.at[0]), ol_tensor_get(t[1], w.at[1])));
    }
    return OLV_OK;
}

static olv_status eval_mod(ol_eval *c, olv_error *err) {
    const ol_tensor *t[2];
    ol_tensor *y;
    ol_walk w;
    OL_TRY(start(c, t, &w, &y, err));
    bool fmod_rule = ol_node_int(c->node, "fmod", 0) != 0;
    for (int64_t i = 0; i < w.count; i++, ol_walk_next(&w)) {
        if (ol_is_float(t[0]->dtype)) {
            double a = ol_tensor_get(t[0], w.at[0]), b = ol_tensor_get(t[1], w.at[1]), r = fmod(a, b);
            if (!fmod_rule && r != 0 && (r < 0) != (b < 0)) r += b;
            ol_tensor_set(y, i, r);
            continue;
        }
        int64_t a = ol_tensor_i64(t[0], w.at[0]), b = ol_tensor_i64(t[1], w.at[1]), r;
        if (b == 0) return ol_fail(err, OLV_ARG, "division by zero");
        if (t[0]->dtype == OL_U64) r = (int64_t)((uint64_t)a % (uint64_t)b);
        else if (b == -1) r = 0;
        else {
            r = a % b;
            if (!fmod_rule && r != 0 && (r < 0) != (b < 0)) r += b;
        }
        ol_tensor_set_i64(y, i, r);
    }
    return OLV_OK;
}

static olv_status eval_shift(ol_eval *c, olv_error *err) {
    const ol_tensor *t[2];
    ol_tensor *y;
    ol_walk w;
    OL_TRY(start(c, t, &w, &y, err));
    bool left = ol_str_is(ol_node_string(c->node, "direction", ""), "LEFT");
    uint64_t bits = (uint64_t)ol_dtype_bits(t[0]->dtype);
    bool is_signed = ol_dtype_class(t[0]->dtype) == 's';
    for (int64_t i = 0; i < w.count; i++, ol_walk_next(&w)) {
        int64_t v = ol_tensor_i64(t[0], w.at[0]);
        uint64_t a = (uint64_t)v, b = (uint64_t)ol_tensor_i64(t[1], w.at[1]);
        /* to the right, what comes in at the top of a signed number is its sign */
        uint64_t sign = is_signed && !left && v < 0 ? UINT64_MAX : 0;
        ol_tensor_set_i64(y, i, (int64_t)(b >= bits ? sign : left ? a << b : ((a ^ sign) >> b) ^ sign));
    }
    return OLV_OK;
}

static olv_status eval_mean(ol_eval *c, olv_error *err) {
    ol_tensor *y = NULL, shape = {.rank = 0};
    int n = c->node->n_inputs;
    for (int i = 0; i < n; i++) { /* the joint shape */
        const ol_tensor *x;
        ol_walk w;
        OL_TRY(ol_eval_need(c, i, &x, err));
        OL_TRY(ol_walk_init(&w, (const ol_tensor *[]){&shape, x}, 2, err));
        shape.rank = w.rank;
        memcpy(shape.dims, w.dims, sizeof shape.dims);
    }
    OL_TRY(ol_eval_out(c, 0, ol_eval_in(c, 0)->dtype, shape.rank, shape.dims, &y, err));
    double *sum = ol_calloc((size_t)ol_tensor_count(y), sizeof *sum);
    if (!sum) return ol_fail(err, OLV_NOMEM, "no memory");
    for (int i = 0; i < n; i++) {
        const ol_tensor *x = ol_eval_in(c, i);
        ol_walk w;
        OL_TRY(ol_walk_init(&w, (const ol_tensor *[]){y, x}, 2, err));
        for (int64_t k = 0; k < w.count; k++, ol_walk_next(&w)) sum[k] += ol_tensor_get(x, w.at[1]) / n;
    }
    ol_tensor_store(y, sum);
    ol_free(sum);
    return OLV_OK;
}

static const ol_attr_spec mod_attrs[] = {{"fmod", OL_ATTR_INT, false}};
static const ol_attr_spec shift_attrs[] = {{"direction", OL_ATTR_STRING, true}};
extern const ol_op ol_op_Pow, ol_op_Mod, ol_op_BitShift, ol_op_Mean;
const ol_op ol_op_Pow = {"", "Pow", "a to the power of b", 2, 2, 1, 1, NULL, 0, ol_infer_elementwise, eval_pow, NULL, false, true};
const ol_op ol_op_Mod = {"", "Mod", "remainder with the sign of the divisor, or of the dividend (fmod)", 2, 2, 1, 1, mod_attrs, 1,
                         ol_infer_elementwise, eval_mod, NULL, false, true};
const ol_op ol_op_BitShift = {"", "BitShift", "bits moved left or right", 2, 2, 1, 1, shift_attrs, 1, ol_infer_elementwise,
                              eval_shift, NULL, false, true};
const ol_op ol_op_Mean = {"", "Mean", "mean of the inputs", 1, -1, 1, 1, NULL, 0, ol_infer_elementwise, eval_mean, NULL, false, true};
