/* SPDX-License-Identifier: Apache-2.0 */
/* Convolutions and pools. */
#include "formats/openvino/to.h"
#include "formats/openvino/to_window.h"
#include <string.h>

/* Attributes of one value per spatial axis. */
typedef struct window {
    int n; /* spatial axes */
    int64_t kernel[OL_MAX_RANK], strides[OL_MAX_RANK], dilations[OL_MAX_RANK], begin[OL_MAX_RANK], end[OL_MAX_RANK];
    const char *auto_pad;
} window;

static void fill(const ol_node *n, const char *name, int64_t *out, int count, int64_t def) {
    size_t k;
    const int64_t *v = ol_node_ints(n, name, &k);
    for (int i = 0; i < count; i++) out[i] = v && (size_t)i < k ? v[i] : def;
}

static bool read_window(ol_to *t, const ol_node *n, window *w) {
    size_t k;
    int rank = ol_to_rank(t, n, 0);
    const int64_t *pads = ol_node_ints(n, "pads", &k);
    ol_str pad = ol_node_string(n, "auto_pad", "NOTSET");
    if (rank < 3) {
        if (rank >= 0) ol_to_refuse(t, "an input of rank %d", rank);
        return false;
    }
    w->n = rank - 2;
    fill(n, "kernel_shape", w->kernel, w->n, 1);
    fill(n, "strides", w->strides, w->n, 1);
    fill(n, "dilations", w->dilations, w->n, 1);
    for (int i = 0; i < w->n; i++) {
        w->begin[i] = pads && k == 2 * (size_t)w->n ? pads[i] : 0;
        w->end[i] = pads && k == 2 * (size_t)w->n ? pads[i + w->n] : 0;
    }
    w->auto_pad = ol_str_is(pad, "SAME_UPPER") ? "same_upper" : ol_str_is(pad, "SAME_LOWER") ? "same_lower" : ol_str_is(pad, "VALID") ? "valid" : "explicit";
    if (strcmp(w->auto_pad, "explicit"))
        for (int i = 0; i < w->n; i++) w->begin[i] = w->end[i] = 0;
    return true;
}

static int window_attrs(ol_to *t, const window *w, ol_ir_attr *a) {
    size_t n = (size_t)w->n;
    a[0] = ol_ir_say_ints(t->e, "strides", w->strides, n);
    a[1] = ol_ir_say_ints(t->e, "dilations", w->dilations, n);
    a[2] = ol_ir_say_ints(t->e, "pads_begin", w->begin, n);
    a[3] = ol_ir_say_ints(t->e, "pads_end", w->end, n);
    a[4] = ol_ir_say_text("auto_pad", w->auto_pad);
    return 5;
}

/* [a b, c, ..] as [a, b, c, ..] with a groups; the sizes behind stay by 0 of special_zero where they can. */
static ol_ir_out grouped(ol_to *t, const ol_value *v, ol_ir_out w, int64_t groups) {
    int64_t dims[OL_MAX_RANK];
    ol_const *c = NULL;
    if (v && v->type.rank >= 2 && v->type.rank < OL_MAX_RANK && ol_dim_known(v->type.dims[0])) {
        dims[0] = groups;
        dims[1] = v->type.dims[0] / groups;
        for (int i = 1; i < v->type.rank; i++) dims[i + 1] = v->type.dims[i];
        c = ol_to_const(v, v->type.rank + 1, dims);
    }
    if (c) {
        w = ol_ir_const(t->e, v->name, NULL, c);
        ol_const_release(c);
        return w;
    }
    if (w.layer < 0 && v) w = ol_to_value(t, v);
    const ol_ir_type *x = ol_ir_get_type(t->e, w);
    if (!x || x->rank < 2 || x->rank + 1 > OL_MAX_RANK) return OL_IR_NONE;
    bool known = true;
    for (int i = 0; i < x->rank; i++) known = known && x->dims[i] >= 0;
    if (known) {
        dims[0] = groups;
        dims[1] = x->dims[0] / groups;
        for (int i = 1; i < x->rank; i++) dims[i + 1] = x->dims[i];
        return ol_ir_add_reshape(t->e, NULL, w, dims, x->rank + 1, false);
    }
    const int64_t head[2] = {groups, -1};
    const ol_ir_out parts[2] = {ol_to_i64(t, head, 2), ol_to_slice(t, ol_to_shape_of(t, w), 1, INT64_MAX, 1, 0)};
    return ol_to_reshape(t, w, ol_to_concat(t, parts, 2, 0), false);
}

static ol_ir_out with_bias(ol_to *t, const ol_node *n, ol_ir_out y, int i, int rank) {
    return ol_to_has(n, i) ? ol_to_two(t, "Add", y, ol_to_along(t, ol_to_in(t, n, i), 1, rank)) : y;
}

ol_ir_out ol_to_convolve(ol_to *t, const ol_node *n, ol_ir_out x, ol_ir_out w, const ol_value *filter) {
    window v;
    ol_ir_attr attrs[8];
    int64_t groups = ol_node_int(n, "group", 1);
    if (!read_window(t, n, &v)) return OL_IR_NONE;
    const ol_ir_out in[2] = {x, groups > 1 ? grouped(t, filter, w, groups) : filter ? ol_to_value(t, filter) : w};
    int n_attrs = window_attrs(t, &v, attrs);
    const ol_ir_type *a = ol_ir_get_type(t->e, x);
    if (!a) return OL_IR_NONE;
    ol_ir_type out = *a;
    for (int i = 0; i < out.rank; i++) out.dims[i] = ol_to_dim(&n->outputs[0]->type, i);
    return ol_ir_add(t->e, &(ol_ir_layer){.type = groups > 1 ? "GroupConvolution" : "Convolution", .in = in, .n_in = 2, .attrs = attrs, .n_attrs = n_attrs, .out = &out, .n_out = 1});
}

void ol_to_conv(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    ol_ir_out y = ol_to_convolve(t, n, ol_to_in(t, n, 0), OL_IR_NONE, n->inputs[1]);
    ol_to_give(t, n, 0, with_bias(t, n, y, 2, n->inputs[0]->type.rank));
}

/* Inputs: x, w, offsets, [bias], [mask]. */
void ol_to_deform_conv(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    window v;
    ol_ir_attr attrs[10];
    if (!read_window(t, n, &v)) return;
    int k = window_attrs(t, &v, attrs);
    attrs[k++] = ol_ir_say_int(t->e, "group", ol_node_int(n, "group", 1));
    attrs[k++] = ol_ir_say_int(t->e, "deformable_group", ol_node_int(n, "offset_group", 1));
    attrs[k++] = ol_ir_say_bool("bilinear_interpolation_pad", true);
    const ol_ir_out in[4] = {ol_to_in(t, n, 0), ol_to_in(t, n, 2), ol_to_in(t, n, 1), ol_to_in(t, n, 4)};
    ol_ir_type out = ol_to_ir_type(t, &n->outputs[0]->type);
    ol_ir_out y = ol_ir_add(t->e, &(ol_ir_layer){.type = "DeformableConvolution", .version = "opset8", .in = in, .n_in = ol_to_has(n, 4) ? 4 : 3, .attrs = attrs, .n_attrs = k, .out = &out, .n_out = 1});
    ol_to_give(t, n, 0, with_bias(t, n, y, 3, n->inputs[0]->type.rank));
}

/* Pads that give the known sizes of the output: where `auto_pad` or `output_shape` leave them open. */
static bool transposed_pads(const ol_node *n, window *w, const int64_t *output_padding) {
    const ol_type *x = ol_to_type(n, 0), *k = ol_to_type(n, 1), *y = &n->outputs[0]->type;
    for (int i = 0; i < w->n; i++) {
        int64_t in = ol_to_dim(x, i + 2), kernel = ol_to_dim(k, i + 2), out = ol_to_dim(y, i + 2);
        if (in < 0 || kernel < 0 || out < 0) return false;
        int64_t total = w->strides[i] * (in - 1) + output_padding[i] + (kernel - 1) * w->dilations[i] + 1 - out;
        int64_t less = total / 2;
        bool upper = !strcmp(w->auto_pad, "same_upper");
        w->begin[i] = upper ? less : total - less;
        w->end[i] = total - w->begin[i];
    }
    w->auto_pad = "explicit";
    return true;
}

void ol_to_conv_transpose(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    window v;
    ol_ir_attr attrs[8];
    int64_t groups = ol_node_int(n, "group", 1), padding[OL_MAX_RANK];
    if (!read_window(t, n, &v)) return;
    fill(n, "output_padding", padding, v.n, 0);
    bool open = ol_node_attr(n, "output_shape") || !strncmp(v.auto_pad, "same", 4);
    if (open && !transposed_pads(n, &v, padding)) {
        ol_to_refuse(t, "an output of a given shape from sizes that are not known");
        return;
    }
    for (int i = 0; open && i < v.n; i++)
        if (v.begin[i] < 0 || v.end[i] < 0) { /* the output is longer than what the kernel reaches */
            padding[i] -= v.begin[i] < 0 ? v.begin[i] + v.end[i] : v.end[i];
            v.begin[i] = v.begin[i] < 0 ? 0 : v.begin[i];
            v.end[i] = 0;
        }
    ol_ir_out x = ol_to_in(t, n, 0);
    const ol_ir_out in[2] = {x, groups > 1 ? grouped(t, n->inputs[1], OL_IR_NONE, groups) : ol_to_in(t, n, 1)};
    int n_attrs = window_attrs(t, &v, attrs);
    attrs[n_attrs++] = ol_ir_say_ints(t->e, "output_padding", padding, (size_t)v.n);
    ol_ir_type out = ol_to_ir_type(t, &n->outputs[0]->type);
    ol_ir_out y = ol_ir_add(t->e, &(ol_ir_layer){.type = groups > 1 ? "GroupConvolutionBackpropData" : "ConvolutionBackpropData", .in = in, .n_in = 2,
                                                 .attrs = attrs, .n_attrs = n_attrs, .out = &out, .n_out = 1});
    ol_to_give(t, n, 0, with_bias(t, n, y, 2, n->inputs[0]->type.rank));
}

/* ---- pools ---- */

static ol_ir_out average(ol_to *t, const ol_node *n, ol_ir_out x, const window *w, bool exclude) {
    ol_ir_attr a[8];
    bool dilated = false;
    for (int i = 0; i < w->n; i++) dilated |= w->dilations[i] != 1;
    int k = window_attrs(t, w, a);
    if (!dilated) a[1] = (ol_ir_attr){"dilations", NULL};
    bool ceil = ol_node_int(n, "ceil_mode", 0) != 0;
    a[k++] = ol_ir_say_ints(t->e, "kernel", w->kernel, (size_t)w->n);
    a[k++] = ol_ir_say_bool("exclude-pad", exclude);
    a[k++] = ol_ir_say_text("rounding_type", ceil ? "ceil_torch" : "floor");
    ol_ir_type out = ol_to_ir_type(t, &n->outputs[0]->type);
    return ol_ir_add(t->e, &(ol_ir_layer){.type = "AvgPool", .version = dilated ? "opset16" : ceil ? "opset14" : "opset1", .in = &x, .n_in = 1, .attrs = a, .n_attrs = k, .out = &out, .n_out = 1});
}

void ol_to_average_pool(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    window w;
    if (read_window(t, n, &w)) ol_to_give(t, n, 0, average(t, n, ol_to_in(t, n, 0), &w, !ol_node_int(n, "count_include_pad", 0)));
}

/* Places counted along rows of a plane as places counted along its columns. */
static ol_ir_out column_major(ol_to *t, const ol_node *n, ol_ir_out at) {
    int64_t h = ol_to_dim(ol_to_type(n, 0), 2), w = ol_to_dim(ol_to_type(n, 0), 3);
    if (ol_to_rank(t, n, 0) != 4 || h < 1 || w < 1) {
        ol_to_refuse(t, "indices in column-major order of other than pictures of known sizes");
        return OL_IR_NONE;
    }
    ol_ir_out plane = ol_to_two(t, "FloorMod", at, ol_to_scalar(t, h * w)), base = ol_to_two(t, "Subtract", at, plane);
    ol_ir_out row = ol_to_two(t, "Divide", plane, ol_to_scalar(t, w)), column = ol_to_two(t, "FloorMod", plane, ol_to_scalar(t, w));
    return ol_to_two(t, "Add", base, ol_to_two(t, "Add", ol_to_two(t, "Multiply", column, ol_to_scalar(t, h)), row));
}

void ol_to_max_pool(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    window w;
    ol_ir_attr a[10];
    const ol_ir_out x = ol_to_in(t, n, 0);
    bool ceil = ol_node_int(n, "ceil_mode", 0) != 0;
    if (!read_window(t, n, &w)) return;
    bool turned = n->n_outputs > 1 && n->outputs[1] && ol_node_int(n, "storage_order", 0);
    int k = window_attrs(t, &w, a);
    a[k++] = ol_ir_say_ints(t->e, "kernel", w.kernel, (size_t)w.n);
    a[k++] = ol_ir_say_text("rounding_type", ceil ? "ceil_torch" : "floor");
    a[k++] = ol_ir_say_text("index_element_type", "i64");
    a[k++] = ol_ir_say_text("axis", "0");
    const char *version = ceil ? "opset14" : "opset8";
    if (!turned) {
        ol_to_put(t, n, "MaxPool", version, &x, 1, a, k, 2);
        return;
    }
    ol_ir_type types[2] = {ol_to_ir_type(t, &n->outputs[0]->type), ol_to_ir_type(t, &n->outputs[1]->type)};
    ol_ir_out y = ol_ir_add(t->e, &(ol_ir_layer){.type = "MaxPool", .version = version, .in = &x, .n_in = 1, .attrs = a, .n_attrs = k, .out = types, .n_out = 2});
    ol_ir_out places = column_major(t, n, ol_ir_nth(y, 1));
    ol_to_give(t, n, 0, y);
    ol_to_give(t, n, 1, places);
}

/* (sum |x|^p)^(1/p): the sum is the mean times the size of the window, padding counted. */
void ol_to_lp_pool(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    window w;
    double p = (double)ol_node_int(n, "p", 2), size = 1;
    ol_ir_out x = ol_to_in(t, n, 0);
    if (!read_window(t, n, &w)) return;
    for (int i = 0; i < w.n; i++) size *= (double)w.kernel[i];
    x = ol_to_two(t, "Power", ol_to_one(t, "Abs", x), ol_to_number(t, x, p));
    x = ol_to_two(t, "Multiply", average(t, n, x, &w, false), ol_to_number(t, x, size));
    ol_to_give(t, n, 0, ol_to_two(t, "Power", x, ol_to_number(t, x, 1 / p)));
}

static int spatial_axes(ol_to *t, const ol_node *n, int64_t *axes) {
    int rank = ol_to_rank(t, n, 0), count = 0;
    for (int i = 2; i < rank; i++) axes[count++] = i;
    return count;
}

void ol_to_global_pool(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    int64_t axes[OL_MAX_RANK];
    int count = spatial_axes(t, n, axes);
    const ol_ir_out in[2] = {ol_to_in(t, n, 0), ol_to_i64(t, axes, count)};
    const ol_ir_attr attr = ol_ir_say_bool("keep_dims", true);
    ol_to_put(t, n, r->type, NULL, in, 2, &attr, 1, 1);
}

void ol_to_global_lp_pool(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    int64_t axes[OL_MAX_RANK];
    int count = spatial_axes(t, n, axes);
    double p = (double)ol_node_int(n, "p", 2);
    ol_ir_out x = ol_to_in(t, n, 0);
    x = ol_to_reduce(t, "ReduceSum", ol_to_two(t, "Power", ol_to_one(t, "Abs", x), ol_to_number(t, x, p)), axes, count, true);
    ol_to_give(t, n, 0, ol_to_two(t, "Power", x, ol_to_number(t, x, 1 / p)));
}

/* ---- columns to pictures ---- */

void ol_to_col2im(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    size_t k;
    int64_t strides[2], dilations[2], pads[4] = {0}, shape[2];
    const int64_t *given = ol_node_ints(n, "pads", &k);
    int count;
    if (!ol_to_ints(n, 1, shape, 2, &count) && ol_to_dim(ol_to_type(n, 1), 0) != 2) {
        ol_to_refuse(t, "pictures of other than two axes");
        return;
    }
    fill(n, "strides", strides, 2, 1);
    fill(n, "dilations", dilations, 2, 1);
    for (size_t i = 0; given && k == 4 && i < 4; i++) pads[i] = given[i];
    const ol_ir_attr attrs[4] = {ol_ir_say_ints(t->e, "strides", strides, 2), ol_ir_say_ints(t->e, "dilations", dilations, 2),
                                 ol_ir_say_ints(t->e, "pads_begin", pads, 2), ol_ir_say_ints(t->e, "pads_end", pads + 2, 2)};
    const ol_ir_out in[3] = {ol_to_in(t, n, 0), ol_to_in(t, n, 1), ol_to_in(t, n, 2)};
    ol_to_put(t, n, "Col2Im", "opset15", in, 3, attrs, 4, 1);
}
