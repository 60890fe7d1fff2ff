/* SPDX-License-Identifier: Apache-2.0 */
/* olivine.RotaryTable, RotaryTableCached and Rotary. A table row of width d holds d/2 cosines, then d/2 sines. */
#include "ops/ops.h"

static olv_status infer_table(ol_infer *c, olv_error *err) {
    const ol_type *p = ol_infer_in(c, 0), *f = ol_infer_in(c, 1);
    OL_TRY(ol_infer_rank(c, 0, 1, 1, err));
    ol_infer_set(c, 0, OL_F32, 2);
    if (p->rank == 1) c->out[0].dims[0] = p->dims[0];
    if (f->rank > 0) c->out[0].dims[1] = ol_dim_mul(c->graph->dims, f->dims[f->rank - 1], 2);
    return OLV_OK;
}

static double dynamic_theta(double theta, double factor, int64_t d, int64_t length, int64_t original) {
    if (length <= original || original < 1 || d <= 2) return theta;
    double stretch = factor * (double)length / (double)original - (factor - 1);
    return theta * pow(stretch, (double)d / (double)(d - 2));
}

static olv_status eval_table(ol_eval *c, olv_error *err) {
    const ol_tensor *p, *inv, *inv_long = ol_eval_in(c, 2);
    ol_tensor *y;
    OL_TRY(ol_eval_need(c, 0, &p, err));
    OL_TRY(ol_eval_need(c, 1, &inv, err));
    ol_str mode = ol_node_string(c->node, "mode", "plain");
    int64_t half = ol_tensor_count(inv), rows = ol_tensor_count(p);
    int64_t original = ol_node_int(c->node, "original_length", INT32_MAX);
    bool is_long = ol_str_is(mode, "longrope"), dynamic = ol_str_is(mode, "dynamic");
    double theta = (double)ol_node_float(c->node, "theta", 10000), scaling = (double)ol_node_float(c->node, "scaling", 1);
    if (is_long && (!inv_long || ol_tensor_count(inv_long) != half))
        return ol_fail(err, OLV_SHAPE, "longrope without fitting long frequencies");
    OL_TRY(ol_eval_out(c, 0, OL_F32, 2, (int64_t[]){rows, 2 * half}, &y, err));
    for (int64_t r = 0; r < rows; r++) {
        int64_t at = ol_tensor_i64(p, r);
        int64_t length = c->state && r < c->state->n_rows ? c->state->length[r] : at + 1;
        bool longer = length > original;
        double f = (double)ol_node_float(c->node, "attention_factor", 1);
        if (is_long && longer) f = (double)ol_node_float(c->node, "attention_factor_long", 1);
        double base = dynamic ? dynamic_theta(theta, scaling, 2 * half, length, original) : 0;
        for (int64_t i = 0; i < half; i++) {
            double w = ol_tensor_get(is_long && longer ? inv_long : inv, i);
            if (dynamic && longer) w = (double)(float)pow(base, -(double)i / (double)half);
            ol_tensor_set(y, r * 2 * half + i, cos((double)at * w) * f);
            ol_tensor_set(y, r * 2 * half + half + i, sin((double)at * w) * f);
        }
    }
    return OLV_OK;
}

static olv_status eval_cached(ol_eval *c, olv_error *err) {
    const ol_tensor *p, *cosines, *sines;
    ol_tensor *y;
    OL_TRY(ol_eval_need(c, 0, &p, err));
    OL_TRY(ol_eval_need(c, 1, &cosines, err));
    OL_TRY(ol_eval_need(c, 2, &sines, err));
    if (cosines->rank != 2 || sines->rank != 2 || memcmp(cosines->dims, sines->dims, 2 * sizeof(int64_t)) != 0)
        return ol_fail(err, OLV_SHAPE, "cosines and sines differ");
    int64_t rows = ol_tensor_count(p), half = cosines->dims[1];
    OL_TRY(ol_eval_out(c, 0, OL_F32, 2, (int64_t[]){rows, 2 * half}, &y, err));
    for (int64_t r = 0; r < rows; r++) {
        int64_t at = ol_tensor_i64(p, r);
        if (at < 0 || at >= cosines->dims[0])
            return ol_fail(err, OLV_ARG, "position %lld found in a table of %lld", (long long)at,
                           (long long)cosines->dims[0]);
        for (int64_t i = 0; i < half; i++) {
            ol_tensor_set(y, r * 2 * half + i, ol_tensor_get(cosines, at * half + i));
            ol_tensor_set(y, r * 2 * half + half + i, ol_tensor_get(sines, at * half + i));
        }
    }
    return OLV_OK;
}

static olv_status eval_rotary(ol_eval *c, olv_error *err) {
    const ol_tensor *x, *t;
    ol_tensor *y;
    OL_TRY(ol_eval_need(c, 0, &x, err));
    OL_TRY(ol_eval_need(c, 1, &t, err));
    int64_t heads = ol_node_int(c->node, "heads", 1), rows = x->rank == 2 ? x->dims[0] : -1;
    bool interleaved = ol_node_int(c->node, "interleaved", 0) != 0;
    if (rows < 0 || t->rank != 2 || t->dims[0] != rows || heads < 1 || x->dims[1] % heads ||
        t->dims[1] > x->dims[1] / heads)
        return ol_fail(err, OLV_SHAPE, "input and table do not fit");
    int64_t d = x->dims[1] / heads, half = t->dims[1] / 2;
    OL_TRY(ol_eval_out(c, 0, x->dtype, 2, x->dims, &y, err));
    ol_elems_copy(y, 0, x, 0, ol_tensor_count(x));
    for (int64_t h = 0; h < rows * heads; h++)
        for (int64_t i = 0; i < half; i++) {
            int64_t a = h * d + (interleaved ? 2 * i : i), b = h * d + (interleaved ? 2 * i + 1 : i + half);
            double cs = ol_tensor_get(t, h / heads * t->dims[1] + i), sn = ol_tensor_get(t, h / heads * t->dims[1] + half + i);
            double u = ol_tensor_get(x, a), v = ol_tensor_get(x, b);
            ol_tensor_set(y, a, u * cs - v * sn);
            ol_tensor_set(y, b, v * cs + u * sn);
        }
    return OLV_OK;
}

static const ol_attr_spec table_attrs[] = {
    {"attention_factor", OL_ATTR_FLOAT, false}, {"attention_factor_long", OL_ATTR_FLOAT, false},
    {"original_length", OL_ATTR_INT, false},    {"mode", OL_ATTR_STRING, false},
    {"theta", OL_ATTR_FLOAT, false},            {"scaling", OL_ATTR_FLOAT, false}};
static const ol_attr_spec rotary_attrs[] = {{"heads", OL_ATTR_INT, true}, {"interleaved", OL_ATTR_INT, false}};
extern const ol_op ol_op_olivine_RotaryTable, ol_op_olivine_RotaryTableCached, ol_op_olivine_Rotary;
const ol_op ol_op_olivine_RotaryTable = {"olivine", "RotaryTable", "cosines and sines of each position's angles", 2, 3,
                                         1, 1, table_attrs, 6, infer_table, eval_table, NULL, false, false};
const ol_op ol_op_olivine_RotaryTableCached = {"olivine", "RotaryTableCached", "rows of given tables", 3, 3, 1, 1,
                                               NULL, 0, infer_table, eval_cached, NULL, false, false};
const ol_op ol_op_olivine_Rotary = {"olivine", "Rotary", "rotates the first values of each head", 2, 2, 1, 1,
                                    rotary_attrs, 2, ol_infer_same, eval_rotary, NULL, false, false};
