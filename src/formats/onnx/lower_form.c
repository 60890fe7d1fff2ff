/* SPDX-License-Identifier: Apache-2.0 */
/* One node in the form of an older opset. What the form has no place for is left out when it says nothing (the value that
 * the older form means anyway), and refused by name otherwise. */
#include "base/error.h"
#include "formats/onnx/lower.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct attr_age {
    const char *op, *attr;
    int64_t since;
    const char *means; /* in older versions: a number, a word, "ones", or "" for nothing */
} attr_age;
typedef struct op_age {
    const char *op;
    int64_t since;
} op_age;
typedef struct input_age {
    const char *op;
    int64_t since;
    int before;
} input_age;

#define OL_ONNX_OP(op, since) {#op, since},
#define OL_ONNX_ATTR(op, attr, since, means)
#define OL_ONNX_INPUTS(op, since, before)
static const op_age ops[] = {
#include "formats/onnx/opset.def"
};
#undef OL_ONNX_OP
#undef OL_ONNX_ATTR
#define OL_ONNX_OP(op, since)
#define OL_ONNX_ATTR(op, attr, since, means) {#op, #attr, since, means},
static const attr_age ages[] = {
#include "formats/onnx/opset.def"
};
#undef OL_ONNX_ATTR
#undef OL_ONNX_INPUTS
#define OL_ONNX_ATTR(op, attr, since, means)
#define OL_ONNX_INPUTS(op, since, before) {#op, since, before},
static const input_age inputs[] = {
#include "formats/onnx/opset.def"
};

int64_t ol_onnx_since(const ol_op *op) {
    for (size_t i = 0; !*op->domain && i < sizeof ops / sizeof *ops; i++)
        if (!strcmp(op->name, ops[i].op)) return ops[i].since;
    return 1;
}

/* Constant inputs that were attributes before an opset. kind: i ints, 1 one int, f a float. */
static const struct {
    const char *op, *attr;
    int input;
    int64_t before;
    char kind;
} moved[] = {{"Slice", "starts", 1, 10, 'i'}, {"Slice", "ends", 2, 10, 'i'}, {"Slice", "axes", 3, 10, 'i'}, {"Slice", "", 4, 10, 'n'},
             {"Squeeze", "axes", 1, 13, 'i'}, {"Unsqueeze", "axes", 1, 13, 'i'}, {"Split", "split", 1, 13, 'i'}, {"TopK", "k", 1, 10, '1'},
             {"Pad", "pads", 1, 11, 'i'}, {"Pad", "value", 2, 11, 'f'}, {"Clip", "min", 1, 11, 'f'}, {"Clip", "max", 2, 11, 'f'},
             {"Dropout", "ratio", 1, 12, 'f'}, {"DFT", "axis", 2, 20, '1'},
             {"ReduceSum", "axes", 1, 13, 'i'}, {"ReduceMean", "axes", 1, 18, 'i'}, {"ReduceProd", "axes", 1, 18, 'i'},
             {"ReduceMax", "axes", 1, 18, 'i'}, {"ReduceMin", "axes", 1, 18, 'i'}, {"ReduceL1", "axes", 1, 18, 'i'},
             {"ReduceL2", "axes", 1, 18, 'i'}, {"ReduceLogSum", "axes", 1, 18, 'i'}, {"ReduceLogSumExp", "axes", 1, 18, 'i'},
             {"ReduceSumSquare", "axes", 1, 18, 'i'}};

/* Makes an attribute of constant input `input`. */
static olv_status attr_of_input(const ol_node *n, const char *name, int input, char kind, ol_arena *a, ol_attr *out, olv_error *err) {
    ol_tensor t;
    const ol_value *v = n->inputs[input];
    if (v->is_input || !v->constant || !ol_value_const_tensor(v, 1 << 16, &t))
        return ol_fail(err, OLV_UNSUPPORTED, "input %d ('%.200s') is no constant, as attribute '%s' of the older form must be", input, v->name, name);
    size_t count = (size_t)ol_tensor_count(&t);
    *out = (ol_attr){.name = name, .count = 1};
    if (kind == 'f') {
        *out = ol_attr_float(name, count ? (float)ol_elem_get(t.dtype, t.data, 0) : 0);
    } else if (kind == '1') {
        *out = ol_attr_int(name, count ? (int64_t)ol_elem_get(t.dtype, t.data, 0) : 0);
    } else {
        int64_t *p = ol_arena_calloc(a, count + 1, sizeof *p);
        for (size_t i = 0; p && i < count; i++) p[i] = t.dtype == OL_I64 ? ((const int64_t *)t.data)[i] : (int64_t)ol_elem_get(t.dtype, t.data, i);
        if (p) *out = ol_attr_ints(name, p, count);
        else out->name = NULL;
    }
    ol_tensor_deinit(&t);
    return out->name ? OLV_OK : ol_fail(err, OLV_NOMEM, "no memory");
}

/* Slice before opset 10 had no steps. */
static bool all_ones(const ol_value *v) {
    ol_tensor t;
    if (!v || v->is_input || !ol_value_const_tensor(v, 4096, &t)) return false;
    bool ones = true;
    for (int64_t i = 0; i < ol_tensor_count(&t); i++) ones &= ol_elem_get(t.dtype, t.data, (uint64_t)i) == 1;
    ol_tensor_deinit(&t);
    return ones;
}

static olv_status move_inputs(const ol_node *n, int64_t opset, ol_arena *a, ol_onnx_form *f, olv_error *err) {
    int first = f->n_inputs;
    for (size_t i = 0; i < sizeof moved / sizeof *moved; i++) {
        if (strcmp(n->op->name, moved[i].op) || opset >= moved[i].before || moved[i].input >= n->n_inputs) continue;
        if (moved[i].input < first) first = moved[i].input;
        if (!n->inputs[moved[i].input]) continue;
        if (moved[i].kind == 'n') {
            if (!all_ones(n->inputs[moved[i].input])) return ol_fail(err, OLV_UNSUPPORTED, "steps need opset 10");
            continue;
        }
        OL_TRY(attr_of_input(n, moved[i].attr, moved[i].input, moved[i].kind, a, &f->attrs[f->n_attrs], err));
        f->n_attrs++;
    }
    f->n_inputs = first;
    return OLV_OK;
}

static bool says_nothing(const ol_attr *a, const char *means) {
    switch (a->type) {
    case OL_ATTR_INT: return *means && a->v.i == strtoll(means, NULL, 10);
    case OL_ATTR_FLOAT: return *means && (double)a->v.f == strtod(means, NULL);
    case OL_ATTR_STRING: return ol_str_is(a->v.s, means);
    case OL_ATTR_INTS:
        for (size_t i = 0; i < a->count; i++)
            if (strcmp(means, "ones") || a->v.ints[i] != 1) return false;
        return true;
    default: return false;
    }
}

/* A shape in which allowzero makes no difference. */
static bool has_no_zero(const ol_value *v) {
    ol_tensor t;
    if (!v || v->is_input || !ol_value_const_tensor(v, 4096, &t)) return false;
    bool none = true;
    for (int64_t i = 0; i < ol_tensor_count(&t); i++) none &= ol_elem_get(t.dtype, t.data, (uint64_t)i) != 0;
    ol_tensor_deinit(&t);
    return none;
}

static bool splits_evenly(const ol_node *n) {
    const ol_type *x = &n->inputs[0]->type;
    int64_t axis = ol_node_int(n, "axis", 0), parts = ol_node_int(n, "num_outputs", n->n_outputs);
    if (axis < 0) axis += x->rank;
    return axis >= 0 && axis < x->rank && parts == n->n_outputs && ol_dim_known(x->dims[axis]) && x->dims[axis] % parts == 0;
}

static olv_status drop_attrs(const ol_node *n, int64_t opset, ol_onnx_form *f, olv_error *err) {
    for (size_t k = 0; k < sizeof ages / sizeof *ages; k++) {
        if (opset >= ages[k].since || strcmp(n->op->name, ages[k].op)) continue;
        for (int i = 0; i < f->n_attrs; i++) {
            if (strcmp(f->attrs[i].name, ages[k].attr)) continue;
            bool axis_of_one = !strcmp(ages[k].attr, "axis") && n->n_inputs > 1 && n->inputs[1] && n->inputs[1]->type.rank == 0;
            bool no_zeros = !strcmp(ages[k].attr, "allowzero") && has_no_zero(n->inputs[1]);
            bool even = !strcmp(ages[k].attr, "num_outputs") && splits_evenly(n);
            if (!axis_of_one && !no_zeros && !even && !says_nothing(&f->attrs[i], ages[k].means))
                return ol_fail(err, OLV_UNSUPPORTED, "attribute '%s' needs opset %lld", ages[k].attr, (long long)ages[k].since);
            f->attrs[i] = f->attrs[--f->n_attrs];
            break;
        }
    }
    return OLV_OK;
}

static ol_attr *find(ol_onnx_form *f, const char *name) {
    for (int i = 0; i < f->n_attrs; i++)
        if (!strcmp(f->attrs[i].name, name)) return &f->attrs[i];
    return NULL;
}

/* Forms whose meaning changed while their attributes stayed. */
static olv_status change_meaning(const ol_node *n, int64_t opset, ol_onnx_form *f, olv_error *err) {
    const char *op = n->op->name;
    if (opset < 13 && (!strcmp(op, "Softmax") || !strcmp(op, "LogSoftmax") || !strcmp(op, "Hardmax"))) {
        int rank = n->inputs[0]->type.rank;
        int64_t axis = ol_node_int(n, "axis", -1);
        if (rank < 1 || (axis != -1 && axis != rank - 1)) return ol_fail(err, OLV_UNSUPPORTED, "an axis that is not known to be the last needs opset 13");
        if (!find(f, "axis")) f->attrs[f->n_attrs++] = ol_attr_int("axis", rank - 1);
        else *find(f, "axis") = ol_attr_int("axis", rank - 1);
    }
    if (opset < 11) /* negative axes came later */
        for (int i = 0; i < f->n_attrs; i++)
            if (!strcmp(f->attrs[i].name, "axis") && f->attrs[i].type == OL_ATTR_INT && f->attrs[i].v.i < 0) {
                if (n->inputs[0]->type.rank < 0) return ol_fail(err, OLV_UNSUPPORTED, "a negative axis needs opset 11");
                f->attrs[i] = ol_attr_int("axis", f->attrs[i].v.i + n->inputs[0]->type.rank);
            }
    if (opset >= 18 && !strcmp(op, "Split") && f->n_inputs < 2 && !find(f, "num_outputs"))
        f->attrs[f->n_attrs++] = ol_attr_int("num_outputs", n->n_outputs);
    ol_attr *mode = find(f, "mode");
    if (opset < 20 && !strcmp(op, "GridSample") && mode && ol_str_is(mode->v.s, "linear")) *mode = ol_attr_string("mode", "bilinear");
    if (opset < 20 && !strcmp(op, "GridSample") && mode && ol_str_is(mode->v.s, "cubic")) *mode = ol_attr_string("mode", "bicubic");
    if (opset < 11 && opset >= 9 && !strcmp(op, "ScatterElements")) f->op = "Scatter";
    if (opset < 11 && !strcmp(op, "Resize")) return ol_fail(err, OLV_UNSUPPORTED, "needs opset 11");
    if (opset < 21 && !strcmp(op, "GroupNormalization")) return ol_fail(err, OLV_UNSUPPORTED, "needs opset 21");
    if (opset < 9 && !strcmp(op, "Scan")) return ol_fail(err, OLV_UNSUPPORTED, "needs opset 9");
    return OLV_OK;
}

/* RoiAlign before 16 meant output_half_pixel alone. */
static void roi_align(int64_t opset, ol_onnx_form *f) {
    ol_attr *a = find(f, "coordinate_transformation_mode");
    if (opset < 16 && !strcmp(f->op, "RoiAlign") && a && ol_str_is(a->v.s, "output_half_pixel")) *a = f->attrs[--f->n_attrs];
}

/* Opsets that brought element types to operators. */
static int64_t since_type(const ol_node *n, ol_dtype t) {
    static const struct {
        const char *op;
        ol_dtype type;
        int64_t since;
    } rules[] = {{"QuantizeLinear", OL_U16, 21}, {"QuantizeLinear", OL_I16, 21}, {"DequantizeLinear", OL_U16, 21}, {"DequantizeLinear", OL_I16, 21},
                 {"MaxPool", OL_U8, 12}, {"MaxPool", OL_I8, 12}, {"Max", OL_I64, 12}, {"Max", OL_I32, 12}, {"Min", OL_I64, 12}, {"Min", OL_I32, 12},
                 {"Clip", OL_I64, 12}, {"Clip", OL_I32, 12}, {"Pow", OL_I64, 12}, {"Pow", OL_I32, 12}, {"Equal", OL_F32, 11}, {"Equal", OL_STRING, 19},
                 {"MatMul", OL_I64, 9}, {"MatMul", OL_I32, 9}, {"Where", OL_BF16, 16}, {"Relu", OL_I32, 14}, {"Relu", OL_I64, 14}};
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (t == rules[i].type && !strcmp(n->op->name, rules[i].op)) return rules[i].since;
    switch (t) {
    case OL_BF16: return 13;
    case OL_F8E4M3: case OL_F8E4M3FNUZ: case OL_F8E5M2: case OL_F8E5M2FNUZ: return 19;
    case OL_U4: case OL_I4: return 21;
    case OL_F4E2M1: return 23;
    case OL_F8E8M0: return 24;
    case OL_U2: case OL_I2: return 25;
    default: return 1;
    }
}

static olv_status check_types(const ol_node *n, int64_t opset, olv_error *err) {
    for (int i = 0; i < n->n_inputs + n->n_outputs; i++) {
        const ol_value *v = i < n->n_inputs ? n->inputs[i] : n->outputs[i - n->n_inputs];
        int64_t since = v ? since_type(n, v->type.dtype) : 1;
        if (since > opset) return ol_fail(err, OLV_UNSUPPORTED, "%s needs opset %lld, %lld asked for", ol_dtype_name(v->type.dtype), (long long)since, (long long)opset);
    }
    return OLV_OK;
}

olv_status ol_onnx_form_of(const ol_node *n, int64_t opset, ol_arena *a, ol_onnx_form *out, olv_error *err) {
    *out = (ol_onnx_form){n->op->name, n->n_inputs, ol_arena_calloc(a, (size_t)n->n_attrs + 8, sizeof *out->attrs), n->n_attrs};
    if (!out->attrs) return ol_fail(err, OLV_NOMEM, "no memory");
    if (n->n_attrs) memcpy(out->attrs, n->attrs, (size_t)n->n_attrs * sizeof *n->attrs);
    if (*n->op->domain) return OLV_OK;
    int64_t since = ol_onnx_since(n->op);
    bool scatter = !strcmp(n->op->name, "ScatterElements") && opset >= 9;
    if (since > opset && !scatter) return ol_fail(err, OLV_UNSUPPORTED, "needs opset %lld, %lld asked for", (long long)since, (long long)opset);
    OL_TRY(check_types(n, opset, err));
    roi_align(opset, out);
    OL_TRY(drop_attrs(n, opset, out, err));
    OL_TRY(move_inputs(n, opset, a, out, err));
    OL_TRY(change_meaning(n, opset, out, err));
    for (size_t i = 0; i < sizeof inputs / sizeof *inputs; i++) {
        if (strcmp(n->op->name, inputs[i].op) || opset >= inputs[i].since) continue;
        for (int k = inputs[i].before; k < out->n_inputs; k++)
            if (n->inputs[k]) return ol_fail(err, OLV_UNSUPPORTED, "input %d needs opset %lld", k, (long long)inputs[i].since);
    }
    return OLV_OK;
}
