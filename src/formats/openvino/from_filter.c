/* SPDX-License-Identifier: Apache-2.0 */
/* Convolutions, pools, resizing and sampling. */
#include "base/error.h"
#include "formats/openvino/reader.h"
#include <stdio.h>
#include <strings.h>

#define MAX_AXES 8

/* Attributes of a sliding window, and the memory of their lists. */
typedef struct window {
    int64_t strides[MAX_AXES], dilations[MAX_AXES], kernel[MAX_AXES], pads[2 * MAX_AXES], extra[MAX_AXES];
    ol_attr attrs[10];
    int n, axes;
} window;

static void add(window *w, ol_attr a) { w->attrs[w->n++] = a; }

static void read_list(ol_ir *t, window *w, const char *name, const char *as, int64_t *out) {
    int n = ol_ir_attr_ints(t, name, out, MAX_AXES);
    if (n && w->axes && n != w->axes) ol_ir_fail(t, OLV_FORMAT, "%s with %d numbers, %d expected", name, n, w->axes);
    if (n) w->axes = n;
    if (n) add(w, ol_attr_ints(as, out, (size_t)n));
}

static void read_window(ol_ir *t, window *w) {
    static const char *const paddings[][2] = {{"same_upper", "SAME_UPPER"}, {"same_lower", "SAME_LOWER"}, {"valid", "VALID"}};
    *w = (window){.n = 0};
    read_list(t, w, "strides", "strides", w->strides);
    read_list(t, w, "dilations", "dilations", w->dilations);
    read_list(t, w, "kernel", "kernel_shape", w->kernel);
    for (int i = 0; i < 3; i++)
        if (ol_ir_text_is(t, "auto_pad", "explicit", paddings[i][0])) {
            add(w, ol_attr_string("auto_pad", paddings[i][1]));
            return;
        }
    int n = ol_ir_attr_ints(t, "pads_begin", w->pads, MAX_AXES), m = ol_ir_attr_ints(t, "pads_end", w->pads + n, MAX_AXES);
    if (n != m || (w->axes && n && n != w->axes)) ol_ir_fail(t, OLV_FORMAT, "pads_begin and pads_end with %d and %d numbers", n, m);
    if (n) add(w, ol_attr_ints("pads", w->pads, (size_t)(2 * n)));
}

/* Size of a dim of input i, by its value or else as the port declares it; -1 when neither says. */
static int64_t told_size(const ol_ir *t, int i, const ol_value *v, int dim) {
    if (dim < v->type.rank && ol_dim_known(v->type.dims[dim])) return v->type.dims[dim];
    const ol_xml *port = ol_xml_child(ol_xml_child(t->l->xml, "input"), "port");
    for (; port && i > 0; i--) port = ol_xml_next(port);
    const ol_xml *d = ol_xml_child(port, "dim");
    for (; d && dim > 0; dim--) d = ol_xml_next(d);
    int64_t size;
    return d && ol_xml_parse_int(d->text, strlen(d->text), &size) ? size : -1;
}

/* Filters [groups, a, b, ..] with the first two dims joined. */
static ol_value *join_groups(ol_ir *t, ol_value *f, int64_t *groups) {
    int64_t dims[OL_MAX_RANK] = {-1};
    int rank = ol_ir_rank(t, f);
    if (t->status != OLV_OK) return f;
    *groups = rank >= 3 ? told_size(t, 1, f, 0) : -1;
    if (*groups < 1) {
        ol_ir_fail(t, OLV_SHAPE, "filters of rank %d with an unknown number of groups", rank);
        return f;
    }
    bool known = ol_dim_known(f->type.dims[1]) && !__builtin_mul_overflow(f->type.dims[1], *groups, &dims[0]);
    for (int i = 2; i < rank; i++) {
        dims[i - 1] = told_size(t, 1, f, i);
        known &= dims[i - 1] >= 0;
    }
    if (known && f->constant && !f->is_input) {
        ol_const *c = ol_const_reshape(f->constant, rank - 1, dims, t->err);
        ol_value *v = c ? ol_graph_add_constant(t->g, NULL, c, t->err) : NULL;
        if (!v) t->status = t->err->status;
        return v;
    }
    if (known) return ol_ir_binary(t, "Reshape", f, ol_ir_ints(t, dims, rank - 1));
    ol_attr from = ol_attr_int("start", 2), join = ol_attr_int("axis", 0);
    ol_value *shape[2] = {ol_ir_int1(t, -1), ol_ir_op(t, "Shape", &f, 1, &from, 1)};
    return ol_ir_binary(t, "Reshape", f, ol_ir_op(t, "Concat", shape, 2, &join, 1));
}

static bool has_groups(const ol_ir *t) { return !strncasecmp(t->l->type, "Group", 5); }

static void convolution(ol_ir *t) {
    window w;
    int64_t groups = 1;
    ol_value *x = ol_ir_need(t, 0), *f = ol_ir_need(t, 1);
    read_window(t, &w);
    if (has_groups(t)) f = join_groups(t, f, &groups);
    add(&w, ol_attr_int("group", groups));
    ol_ir_result(t, 0, "Conv", (ol_value *[]){x, f}, 2, w.attrs, w.n);
}

static void backprop(ol_ir *t) {
    window w;
    int64_t groups = 1, shape[MAX_AXES];
    ol_value *x = ol_ir_need(t, 0), *f = ol_ir_need(t, 1);
    read_window(t, &w);
    if (has_groups(t)) f = join_groups(t, f, &groups);
    add(&w, ol_attr_int("group", groups));
    read_list(t, &w, "output_padding", "output_padding", w.extra);
    if (ol_ir_has(t, 2)) {
        int n = ol_ir_const_ints(t, 2, shape, MAX_AXES);
        if (n < 1) ol_ir_fail(t, OLV_UNSUPPORTED, "an output shape that is no constant");
        add(&w, ol_attr_ints("output_shape", shape, n > 0 ? (size_t)n : 0));
    }
    ol_ir_result(t, 0, "ConvTranspose", (ol_value *[]){x, f}, 2, w.attrs, w.n);
}

static void col2im(ol_ir *t) {
    window w;
    ol_value *in[3] = {ol_ir_need(t, 0), ol_ir_vector(t, ol_ir_need(t, 1)), ol_ir_vector(t, ol_ir_need(t, 2))};
    read_window(t, &w);
    ol_ir_result(t, 0, "Col2Im", in, 3, w.attrs, w.n);
}

static void deformable(ol_ir *t) {
    window w;
    ol_value *in[5] = {ol_ir_need(t, 0), ol_ir_need(t, 2), ol_ir_need(t, 1), NULL, ol_ir_has(t, 3) ? ol_ir_in(t, 3) : NULL};
    read_window(t, &w);
    add(&w, ol_attr_int("group", ol_ir_attr_int(t, "group", 1)));
    add(&w, ol_attr_int("offset_group", ol_ir_attr_int(t, "deformable_group", 1)));
    if (!ol_ir_text_is(t, "auto_pad", "explicit", "explicit")) ol_ir_fail(t, OLV_UNSUPPORTED, "auto_pad of a deformable convolution");
    ol_ir_result(t, 0, "DeformConv", in, 5, w.attrs, w.n);
}

/* rounding_type="ceil" keeps windows that begin in the padding, which ceil_mode drops: where the sizes are known, padding
 * at the end makes such windows whole. */
static bool widen_pads(const ol_ir *t, window *w, const ol_value *x) {
    ol_attr *pads = NULL;
    if (!ol_ir_text_is(t, "rounding_type", "floor", "ceil") || !x || x->type.rank != w->axes + 2) return false;
    for (int i = 0; i < w->n; i++)
        if (!strcmp(w->attrs[i].name, "pads")) pads = &w->attrs[i];
    for (int i = 0; pads && i < w->axes; i++) {
        int64_t size = x->type.dims[i + 2], step = w->strides[i], reach = (w->kernel[i] - 1) * (w->dilations[i] > 0 ? w->dilations[i] : 1) + 1;
        int64_t room = size + w->pads[i] + w->pads[w->axes + i] - reach;
        if (!ol_dim_known(size) || size > INT32_MAX || step < 1 || room < 0) return false;
        w->pads[w->axes + i] += (step - room % step) % step;
    }
    return pads != NULL;
}

static bool rounds_up(const ol_ir *t) { return !ol_ir_text_is(t, "rounding_type", "floor", "floor"); }

static void average_pool(ol_ir *t) {
    window w;
    ol_value *x = ol_ir_need(t, 0);
    read_window(t, &w);
    add(&w, ol_attr_int("ceil_mode", rounds_up(t)));
    add(&w, ol_attr_int("count_include_pad", !ol_ir_flag(t, "exclude-pad", true)));
    ol_ir_result(t, 0, "AveragePool", &x, 1, w.attrs, w.n);
}

/* Indices count from the start of the whole tensor; from dim `axis` on they are what the sizes behind leave. */
static void max_pool(ol_ir *t) {
    window w;
    ol_value *x = ol_ir_need(t, 0);
    int64_t axis = ol_ir_attr_int(t, "axis", 0);
    read_window(t, &w);
    add(&w, ol_attr_int("ceil_mode", rounds_up(t) && !widen_pads(t, &w, x)));
    const char *names[2] = {ol_ir_output_name(t, 0), NULL};
    const ol_node *n = ol_ir_node(t, "MaxPool", &x, 1, names, t->l->n_out > 1 ? 2 : 1, w.attrs, w.n);
    if (!n) return;
    ol_ir_set(t, 0, n->outputs[0]);
    if (t->l->n_out < 2) return;
    ol_value *index = n->outputs[1];
    if (axis) {
        ol_attr from = ol_attr_int("start", axis), keep = ol_attr_int("keepdims", 0);
        ol_value *sizes = ol_ir_op(t, "Shape", &x, 1, &from, 1);
        index = ol_ir_binary(t, "Mod", index, ol_ir_op(t, "ReduceProd", &sizes, 1, &keep, 1));
    }
    ol_ir_set(t, 1, ol_ir_cast(t, index, ol_ir_attr_type(t, "index_element_type", OL_I64)));
}

/* Only to one element along each axis: the mean or the maximum of all. Else windows that divide the sizes evenly. */
static void adaptive(ol_ir *t) {
    bool max = !strcasecmp(t->l->type, "AdaptiveMaxPool");
    ol_value *x = ol_ir_need(t, 0);
    int64_t out[MAX_AXES], step[MAX_AXES];
    int n = ol_ir_const_ints(t, 1, out, MAX_AXES), rank = ol_ir_rank(t, x);
    bool ones = n == rank - 2 && n > 0, even = ones;
    for (int i = 0; i < n; i++) ones &= out[i] == 1;
    if (t->status == OLV_OK && ones) {
        ol_ir_result(t, 0, max ? "GlobalMaxPool" : "GlobalAveragePool", &x, 1, NULL, 0);
        return;
    }
    for (int i = 0; even && i < n; i++) {
        int64_t size = x->type.dims[i + 2];
        even = size > 0 && out[i] > 0 && size % out[i] == 0;
        if (even) step[i] = size / out[i];
    }
    if (!even) ol_ir_fail(t, OLV_UNSUPPORTED, "sizes that the output does not divide");
    if (t->status != OLV_OK) return;
    ol_attr a[2] = {ol_attr_ints("kernel_shape", step, (size_t)n), ol_attr_ints("strides", step, (size_t)n)};
    ol_ir_result(t, 0, max ? "MaxPool" : "AveragePool", &x, 1, a, 2);
}

/* ---- resizing ---- */

static const char *resize_mode(ol_ir *t, bool *pillow) {
    static const struct {
        const char *name, *mode;
        bool pillow;
    } modes[] = {{"nearest", "nearest", false}, {"linear", "linear", false}, {"linear_onnx", "linear", false}, {"cubic", "cubic", false},
                 {"bilinear_pillow", "linear", true}, {"bicubic_pillow", "cubic", true}};
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        if (ol_ir_text_is(t, "mode", "", modes[i].name)) {
            *pillow = modes[i].pillow;
            return modes[i].mode;
        }
    ol_ir_fail(t, OLV_UNSUPPORTED, "mode=\"%.40s\"", ol_ir_text(t, "mode", ""));
    return "";
}

static void interpolate(ol_ir *t) {
    bool pillow = false, four = !strcmp(t->l->version, "opset4"), sizes = ol_ir_text_is(t, "shape_calculation_mode", "sizes", "sizes");
    const char *mode = resize_mode(t, &pillow);
    int axes_at = four ? 3 : 2;
    int64_t axes[OL_MAX_RANK], pads[2 * OL_MAX_RANK];
    ol_value *x = ol_ir_need(t, 0), *to = ol_ir_need(t, four && !sizes ? 2 : 1);
    if (!strcmp(t->l->version, "opset1") || !strcmp(t->l->version, "opset0")) ol_ir_fail(t, OLV_UNSUPPORTED, "Interpolate of opset1");
    int n = ol_ir_has(t, axes_at) ? ol_ir_const_ints(t, axes_at, axes, OL_MAX_RANK) : 0, rank = ol_ir_rank(t, x);
    if (n < 0) ol_ir_fail(t, OLV_UNSUPPORTED, "axes that are no constant");
    const char *coords = pillow ? "half_pixel" : ol_ir_text(t, "coordinate_transformation_mode", "half_pixel");
    bool blurs = pillow || (ol_ir_flag(t, "antialias", false) && ol_ir_text_is(t, "mode", "", "linear")); /* other modes ignore it */
    const char *nearest = ol_ir_text(t, "nearest_mode", "round_prefer_floor");
    if (!strcasecmp(coords, "tf_half_pixel_for_nn") || (!strcasecmp(nearest, "simple") && !strcmp(mode, "nearest")))
        ol_ir_fail(t, OLV_UNSUPPORTED, "coordinate_transformation_mode=\"%.30s\" with nearest_mode=\"%.30s\"", coords, nearest);
    int np = ol_ir_attr_ints(t, "pads_begin", pads, OL_MAX_RANK), ne = ol_ir_attr_ints(t, "pads_end", pads + np, OL_MAX_RANK);
    bool padded = false;
    for (int i = 0; i < np + ne; i++) padded |= pads[i] != 0;
    if (padded && (np != rank || ne != rank)) ol_ir_fail(t, OLV_UNSUPPORTED, "pads of a part of the axes");
    if (padded) x = ol_ir_op(t, "Pad", (ol_value *[]){x, ol_ir_ints(t, pads, 2 * rank)}, 2, NULL, 0);
    ol_attr a[6] = {ol_attr_string("mode", mode), ol_attr_string("coordinate_transformation_mode", coords),
                    ol_attr_string("nearest_mode", strcmp(mode, "nearest") ? "round_prefer_floor" : nearest),
                    ol_attr_int("antialias", blurs),
                    ol_attr_float("cubic_coeff_a", pillow ? -0.5f : (float)ol_ir_attr_real(t, "cube_coeff", -0.75)), ol_attr_ints("axes", axes, n > 0 ? (size_t)n : 0)};
    ol_value *in[4] = {x, NULL, sizes ? NULL : ol_ir_cast(t, to, OL_F32), sizes ? ol_ir_vector(t, to) : NULL};
    ol_ir_result(t, 0, "Resize", in, 4, a, n > 0 ? 6 : 5);
}

static void grid_sample(ol_ir *t) {
    const char *mode = ol_ir_text(t, "mode", "bilinear");
    ol_attr a[3] = {ol_attr_int("align_corners", ol_ir_flag(t, "align_corners", false)),
                    ol_attr_string("mode", !strcasecmp(mode, "bilinear") ? "linear" : !strcasecmp(mode, "bicubic") ? "cubic" : "nearest"),
                    ol_attr_string("padding_mode", ol_ir_text(t, "padding_mode", "zeros"))};
    ol_ir_result(t, 0, "GridSample", (ol_value *[]){ol_ir_need(t, 0), ol_ir_need(t, 1)}, 2, a, 3);
}

static void roi_align(ol_ir *t) {
    bool half = !ol_ir_text_is(t, "aligned_mode", "asymmetric", "asymmetric"), nn = ol_ir_text_is(t, "aligned_mode", "asymmetric", "half_pixel_for_nn");
    if (nn) ol_ir_fail(t, OLV_UNSUPPORTED, "aligned_mode=\"half_pixel_for_nn\"");
    ol_attr a[6] = {ol_attr_int("output_height", ol_ir_attr_int(t, "pooled_h", 1)), ol_attr_int("output_width", ol_ir_attr_int(t, "pooled_w", 1)),
                    ol_attr_int("sampling_ratio", ol_ir_attr_int(t, "sampling_ratio", 0)),
                    ol_attr_float("spatial_scale", (float)ol_ir_attr_real(t, "spatial_scale", 1)),
                    ol_attr_string("mode", ol_ir_text_is(t, "mode", "avg", "max") ? "max" : "avg"),
                    ol_attr_string("coordinate_transformation_mode", half ? "half_pixel" : "output_half_pixel")};
    ol_ir_result(t, 0, "RoiAlign", (ol_value *[]){ol_ir_need(t, 0), ol_ir_need(t, 1), ol_ir_i64(t, ol_ir_need(t, 2))}, 3, a, 6);
}

const ol_ir_operation ol_ir_filters[] = {
    {"Convolution", convolution, NULL}, {"GroupConvolution", convolution, NULL}, {"ConvolutionBackpropData", backprop, NULL},
    {"GroupConvolutionBackpropData", backprop, NULL}, {"DeformableConvolution", deformable, NULL}, {"Col2Im", col2im, NULL}, {"AvgPool", average_pool, NULL},
    {"MaxPool", max_pool, NULL}, {"AdaptiveAvgPool", adaptive, NULL}, {"AdaptiveMaxPool", adaptive, NULL},
    {"Interpolate", interpolate, NULL}, {"GridSample", grid_sample, NULL}, {"ROIAlign", roi_align, NULL}, {NULL, NULL, NULL}};
