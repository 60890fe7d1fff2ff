/* SPDX-License-Identifier: Apache-2.0 */
/* Resampling of pictures, regions, and Fourier transforms. */
#include "formats/openvino/to.h"
#include <string.h>

/* A text of the node as OpenVINO has it; refused when it has none. */
static const char *translate(ol_to *t, const ol_node *n, const char *attr, const char *def, const char *const (*table)[2], size_t count) {
    ol_str s = ol_node_string(n, attr, def);
    for (size_t i = 0; i < count; i++)
        if (ol_str_is(s, table[i][0])) return table[i][1];
    ol_to_refuse(t, "%s '%.*s'", attr, (int)s.len, s.ptr);
    return "";
}

/* ---- Resize ---- */

static const char *const resize_modes[][2] = {{"nearest", "nearest"}, {"linear", "linear"}, {"cubic", "cubic"}};
static const char *const coordinates[][2] = {{"half_pixel", "half_pixel"}, {"pytorch_half_pixel", "pytorch_half_pixel"}, {"asymmetric", "asymmetric"},
                                             {"align_corners", "align_corners"}, {"tf_half_pixel_for_nn", "tf_half_pixel_for_nn"}};
static const char *const nearest[][2] = {{"round_prefer_floor", "round_prefer_floor"}, {"round_prefer_ceil", "round_prefer_ceil"}, {"floor", "floor"}, {"ceil", "ceil"}};

/* Scales or sizes of all axes, without those in front and behind that stay as they are. */
static bool resized_axes(ol_to *t, const ol_node *n, bool by_sizes, int64_t *axes, int *count, ol_ir_out *amounts) {
    size_t k;
    int rank = ol_to_rank(t, n, 0), given = by_sizes ? 3 : 2;
    const int64_t *a = ol_node_ints(n, "axes", &k);
    const ol_type *x = ol_to_type(n, 0), *y = &n->outputs[0]->type;
    if (rank < 0) return false;
    *count = a ? (int)k : rank;
    for (int i = 0; i < *count; i++) axes[i] = a ? ol_to_axis(a[i], rank) : i;
    *amounts = ol_to_in(t, n, given);
    int from = 0, to = *count;
    while (!a && from < to - 1 && ol_to_dim(x, from) >= 0 && ol_to_dim(x, from) == ol_to_dim(y, from)) from++;
    if (from) *amounts = ol_to_slice(t, *amounts, from, to, 1, 0);
    for (int i = from; i < to; i++) axes[i - from] = axes[i];
    *count = to - from;
    return true;
}

void ol_to_resize(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    bool by_sizes = ol_to_has(n, 3) && !(ol_to_has(n, 2) && ol_to_dim(ol_to_type(n, 2), 0) != 0);
    const char *mode = translate(t, n, "mode", "nearest", resize_modes, 3);
    int64_t axes[OL_MAX_RANK];
    int count;
    ol_ir_out amounts;
    if (!ol_str_is(ol_node_string(n, "keep_aspect_ratio_policy", "stretch"), "stretch")) ol_to_refuse(t, "keep_aspect_ratio_policy");
    if (ol_node_int(n, "exclude_outside", 0) && strcmp(mode, "nearest")) ol_to_refuse(t, "exclude_outside");
    if (!resized_axes(t, n, by_sizes, axes, &count, &amounts)) return;
    bool antialias = ol_node_int(n, "antialias", 0) != 0;
    if (!strcmp(mode, "linear")) mode = count <= 3 && !antialias ? "linear_onnx" : "linear";
    if (antialias) ol_to_refuse(t, "antialias");
    const ol_ir_attr attrs[8] = {ol_ir_say_text("mode", mode), ol_ir_say_text("shape_calculation_mode", by_sizes ? "sizes" : "scales"),
                                 ol_ir_say_text("coordinate_transformation_mode", translate(t, n, "coordinate_transformation_mode", "half_pixel", coordinates, 5)),
                                 ol_ir_say_text("nearest_mode", translate(t, n, "nearest_mode", "round_prefer_floor", nearest, 4)), ol_ir_say_bool("antialias", antialias),
                                 ol_ir_say_text("pads_begin", "0"), ol_ir_say_text("pads_end", "0"),
                                 ol_ir_say_float(t->e, "cube_coeff", (double)ol_node_float(n, "cubic_coeff_a", -0.75f))};
    const ol_ir_out in[3] = {ol_to_in(t, n, 0), amounts, ol_to_i64(t, axes, count)};
    ol_to_put(t, n, "Interpolate", "opset11", in, 3, attrs, 8, 1);
}

void ol_to_grid_sample(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    static const char *const modes[][2] = {{"linear", "bilinear"}, {"bilinear", "bilinear"}, {"cubic", "bicubic"}, {"bicubic", "bicubic"}, {"nearest", "nearest"}};
    static const char *const paddings[][2] = {{"zeros", "zeros"}, {"border", "border"}, {"reflection", "reflection"}};
    const ol_ir_out in[2] = {ol_to_in(t, n, 0), ol_to_in(t, n, 1)};
    if (ol_to_rank(t, n, 0) != 4) ol_to_refuse(t, "an input of rank %d", n->inputs[0]->type.rank);
    const ol_ir_attr attrs[3] = {ol_ir_say_bool("align_corners", ol_node_int(n, "align_corners", 0) != 0),
                                 ol_ir_say_text("mode", translate(t, n, "mode", "linear", modes, 5)),
                                 ol_ir_say_text("padding_mode", translate(t, n, "padding_mode", "zeros", paddings, 3))};
    ol_to_put(t, n, "GridSample", "opset9", in, 2, attrs, 3, 1);
}

/* -1 .. 1 in `count` steps, f32 [count]: the corners themselves, or the middles of the cells. */
static ol_ir_out steps(ol_to *t, ol_ir_out count, bool corners, ol_dtype type) {
    ol_ir_out i = ol_to_cast(t, ol_to_range(t, count), type), size = ol_to_cast(t, count, type), one = ol_to_number(t, i, 1), two = ol_to_number(t, i, 2);
    ol_ir_out width = corners ? ol_to_two(t, "Subtract", size, one) : size;
    ol_ir_out at = ol_to_two(t, "Multiply", i, two);
    if (!corners) at = ol_to_two(t, "Add", at, one);
    return ol_to_two(t, "Subtract", ol_to_two(t, "Divide", at, width), one);
}

/* Points (x, y, [z], 1) of a grid times the matrices theta [N, 2 or 3, 3 or 4]. */
void ol_to_affine_grid(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    bool corners = ol_node_int(n, "align_corners", 0) != 0;
    int64_t axes = ol_to_dim(ol_to_type(n, 1), 0) - 2, back = -1;
    ol_ir_out theta = ol_to_in(t, n, 0), size = ol_to_in(t, n, 1), parts[4], shape[4];
    ol_dtype type = ol_to_dtype_of(t, theta);
    if (axes != 2 && axes != 3) {
        ol_to_refuse(t, "sizes of other than 4 or 5 axes");
        return;
    }
    ol_ir_out space = ol_to_slice(t, size, 2, 2 + axes, 1, 0);
    for (int i = 0; i < axes; i++) { /* coordinate i lies along the axis axes - 1 - i */
        ol_ir_out x = steps(t, ol_to_gather(t, size, ol_to_scalar(t, 1 + axes - i), 0), corners, type);
        x = ol_to_broadcast(t, ol_to_along(t, x, (int)axes - 1 - i, (int)axes), space);
        parts[i] = ol_ir_add_unsqueeze(t->e, NULL, x, &back, 1);
    }
    parts[axes] = ol_ir_add_unsqueeze(t->e, NULL, ol_to_broadcast(t, ol_to_number(t, theta, 1), space), &back, 1);
    const int64_t flat[2] = {-1, axes + 1};
    ol_ir_out points = ol_ir_add_reshape(t->e, NULL, ol_to_concat(t, parts, (int)axes + 1, -1), flat, 2, false);
    shape[0] = ol_to_gather(t, size, ol_to_i64(t, (const int64_t[]){0}, 1), 0);
    shape[1] = space;
    shape[2] = ol_to_i64(t, &axes, 1);
    ol_to_give(t, n, 0, ol_to_reshape(t, ol_to_matmul(t, points, theta, false, true), ol_to_concat(t, shape, 3, 0), false));
}

void ol_to_roi_align(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    static const char *const modes[][2] = {{"avg", "avg"}, {"max", "max"}};
    static const char *const aligned[][2] = {{"half_pixel", "half_pixel_for_nn"}, {"output_half_pixel", "asymmetric"}};
    const ol_ir_out in[3] = {ol_to_in(t, n, 0), ol_to_in(t, n, 1), ol_to_in(t, n, 2)};
    const ol_ir_attr attrs[6] = {ol_ir_say_int(t->e, "pooled_h", ol_node_int(n, "output_height", 1)), ol_ir_say_int(t->e, "pooled_w", ol_node_int(n, "output_width", 1)),
                                 ol_ir_say_int(t->e, "sampling_ratio", ol_node_int(n, "sampling_ratio", 0)),
                                 ol_ir_say_float(t->e, "spatial_scale", (double)ol_node_float(n, "spatial_scale", 1)), ol_ir_say_text("mode", translate(t, n, "mode", "avg", modes, 2)),
                                 ol_ir_say_text("aligned_mode", translate(t, n, "coordinate_transformation_mode", "half_pixel", aligned, 2))};
    ol_to_put(t, n, "ROIAlign", "opset9", in, 3, attrs, 6, 1);
}

/* ---- Fourier transforms ---- */

/* Real numbers get an imaginary part of 0; half of the bins of a real transform are cut off. */
void ol_to_dft(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    const ol_type *x = ol_to_type(n, 0);
    bool inverse = ol_node_int(n, "inverse", 0) != 0, half = ol_node_int(n, "onesided", 0) != 0;
    int64_t axis = -2, parts = ol_to_dim(x, x->rank - 1);
    int rank = ol_to_rank(t, n, 0), count;
    bool known = !ol_to_has(n, 2) || ol_to_ints(n, 2, &axis, 1, &count);
    if (rank < 2 || parts < 1 || parts > 2 || (half && (inverse || !known))) {
        ol_to_refuse(t, "a transform of this form");
        return;
    }
    axis = ol_to_axis(axis, rank);
    const int64_t flat = -1;
    ol_ir_out at = known ? ol_to_i64(t, &axis, 1) : ol_ir_add_reshape(t->e, NULL, ol_to_in(t, n, 2), &flat, 1, false);
    if (!known) at = ol_to_select(t, ol_to_two(t, "Less", at, ol_to_scalar(t, 0)), ol_to_two(t, "Add", at, ol_to_scalar(t, rank)), at);
    ol_ir_out v = ol_to_in(t, n, 0), length = ol_to_in(t, n, 1);
    if (parts == 1) {
        const ol_ir_out two[2] = {v, ol_to_two(t, "Multiply", v, ol_to_number(t, v, 0))};
        v = ol_to_concat(t, two, 2, -1);
    }
    const ol_ir_out in[3] = {v, at, ol_to_has(n, 1) ? ol_ir_add_reshape(t->e, NULL, length, &flat, 1, false) : OL_IR_NONE};
    v = ol_to_layer(t, inverse ? "IDFT" : "DFT", "opset7", in, ol_to_has(n, 1) ? 3 : 2, NULL, 0, !ol_to_has(n, 1));
    if (half) {
        ol_ir_out size = ol_to_size(t, v, axis, false);
        const ol_ir_out cut[5] = {v, ol_to_i64(t, (const int64_t[]){0}, 1), ol_to_two(t, "Add", ol_to_two(t, "Divide", size, ol_to_i64(t, (const int64_t[]){2}, 1)), ol_to_i64(t, (const int64_t[]){1}, 1)),
                                  ol_to_i64(t, (const int64_t[]){1}, 1), ol_to_i64(t, &axis, 1)};
        v = ol_to_layer(t, "Slice", "opset8", cut, 5, NULL, 0, false);
    }
    ol_to_give(t, n, 0, v);
}
