/* SPDX-License-Identifier: Apache-2.0 */
/* Shapes: reshaping, broadcasting, joining, splitting, borders, ranges. */
#include "base/error.h"
#include "formats/openvino/reader.h"
#include <strings.h>

/* special_zero: a 0 in the pattern keeps a size. */
static void reshape(ol_ir *t) {
    ol_value *x = ol_ir_need(t, 0), *p = ol_ir_need(t, 1);
    int64_t v[OL_IR_MAX_INTS];
    bool plain = ol_ir_flag(t, "special_zero", false);
    int n = ol_ir_value_ints(p, v, OL_IR_MAX_INTS);
    if (n >= 0 && !plain) { /* a pattern without zeros means the same in both forms */
        plain = true;
        for (int i = 0; i < n; i++) plain &= v[i] != 0;
    }
    ol_attr a = ol_attr_int("allowzero", !plain);
    ol_ir_result(t, 0, "Reshape", (ol_value *[]){x, ol_ir_vector(t, p)}, 2, &a, plain ? 0 : 1);
}

static void squeeze(ol_ir *t) {
    bool un = !strcasecmp(t->l->type, "Unsqueeze");
    ol_value *x = ol_ir_need(t, 0), *axes = ol_ir_has(t, 1) ? ol_ir_vector(t, ol_ir_in(t, 1)) : NULL;
    if (un && !axes) ol_ir_fail(t, OLV_FORMAT, "no axes");
    ol_ir_result(t, 0, un ? "Unsqueeze" : "Squeeze", (ol_value *[]){x, axes}, 2, NULL, 0);
}

static void transpose(ol_ir *t) {
    ol_value *x = ol_ir_need(t, 0);
    int64_t perm[OL_MAX_RANK];
    int n = ol_ir_const_ints(t, 1, perm, OL_MAX_RANK), rank = n ? ol_ir_rank(t, x) : 0;
    if (n < 0) ol_ir_fail(t, OLV_UNSUPPORTED, "an order that is no constant");
    for (int i = 0; i < n; i++)
        if (perm[i] < 0) perm[i] += rank;
    ol_attr a = ol_attr_ints("perm", perm, n > 0 ? (size_t)n : 0);
    ol_ir_result(t, 0, "Transpose", &x, 1, &a, n > 0);
}

static void shape_of(ol_ir *t) {
    ol_value *x = ol_ir_need(t, 0);
    ol_dtype type = ol_ir_attr_type(t, "output_type", OL_I64);
    if (type == OL_I64) ol_ir_result(t, 0, "Shape", &x, 1, NULL, 0);
    else ol_ir_set(t, 0, ol_ir_cast(t, ol_ir_unary(t, "Shape", x), type));
}

/* With mapping: dim i of the data is dim mapping[i] of the result. */
static void broadcast(ol_ir *t) {
    ol_value *x = ol_ir_need(t, 0), *shape = ol_ir_vector(t, ol_ir_need(t, 1));
    if (ol_ir_text_is(t, "mode", "numpy", "explicit") && ol_ir_has(t, 2)) {
        int64_t map[OL_MAX_RANK], axes[OL_MAX_RANK];
        int n = ol_ir_const_ints(t, 2, map, OL_MAX_RANK), m = 0;
        int64_t rank = shape && shape->type.rank == 1 ? shape->type.dims[0] : -1;
        if (n < 0 || rank < 0 || rank > OL_MAX_RANK) ol_ir_fail(t, OLV_UNSUPPORTED, "a mapping of axes that is no constant");
        for (int64_t d = 0; d < rank && t->status == OLV_OK; d++) {
            bool mapped = false;
            for (int i = 0; i < n; i++) mapped |= map[i] == d;
            if (!mapped) axes[m++] = d;
        }
        if (m) x = ol_ir_binary(t, "Unsqueeze", x, ol_ir_ints(t, axes, m));
    }
    ol_ir_result(t, 0, "Expand", (ol_value *[]){x, shape}, 2, NULL, 0);
}

/* Repeats and rank are made the same from the right. */
static void tile(ol_ir *t) {
    ol_value *x = ol_ir_need(t, 0), *n = ol_ir_vector(t, ol_ir_need(t, 1));
    int rank = ol_ir_rank(t, x);
    int64_t count = n && n->type.rank == 1 ? n->type.dims[0] : -1, ones[OL_MAX_RANK];
    if (count < 0 || count > OL_MAX_RANK) ol_ir_fail(t, OLV_UNSUPPORTED, "an unknown number of repeats");
    for (int i = 0; i < OL_MAX_RANK; i++) ones[i] = i;
    if (count > rank) x = ol_ir_binary(t, "Unsqueeze", x, ol_ir_ints(t, ones, (int)count - rank));
    for (int i = 0; i < OL_MAX_RANK; i++) ones[i] = 1;
    if (t->status == OLV_OK && count < rank) {
        ol_attr a = ol_attr_int("axis", 0);
        n = ol_ir_op(t, "Concat", (ol_value *[]){ol_ir_ints(t, ones, rank - (int)count), n}, 2, &a, 1);
    }
    ol_ir_result(t, 0, "Tile", (ol_value *[]){x, n}, 2, NULL, 0);
}

static void concat(ol_ir *t) {
    ol_value *in[OL_IR_MAX_INTS], *all = NULL;
    ol_attr a = ol_attr_int("axis", ol_ir_attr_int(t, "axis", 0));
    for (int at = 0; at < t->l->n_in && t->status == OLV_OK;) { /* any number of inputs, by parts */
        int n = 0;
        if (all) in[n++] = all;
        while (n < OL_IR_MAX_INTS && at < t->l->n_in) in[n++] = ol_ir_need(t, at++);
        all = at == t->l->n_in ? ol_ir_result(t, 0, "Concat", in, n, &a, 1) : ol_ir_op(t, "Concat", in, n, &a, 1);
    }
    if (!t->l->n_in) ol_ir_fail(t, OLV_FORMAT, "no inputs");
}

static void named_parts(ol_ir *t, ol_value *x, ol_value *sizes, int64_t axis) {
    const char *names[OL_IR_MAX_INTS];
    int n = t->l->n_out;
    if (n < 1 || n > OL_IR_MAX_INTS) {
        ol_ir_fail(t, OLV_LIMIT, "%d parts, 1 to %d expected", n, OL_IR_MAX_INTS);
        return;
    }
    for (int i = 0; i < n; i++) names[i] = ol_ir_output_name(t, i);
    ol_attr a[2] = {ol_attr_int("axis", axis), ol_attr_int("num_outputs", n)};
    const ol_node *node = ol_ir_node(t, "Split", (ol_value *[]){x, sizes}, 2, names, n, a, sizes ? 1 : 2);
    for (int i = 0; node && i < n; i++) ol_ir_set(t, i, node->outputs[i]);
}

static void split(ol_ir *t) {
    ol_value *x = ol_ir_need(t, 0);
    int64_t parts = ol_ir_attr_int(t, "num_splits", t->l->n_out);
    if (parts != t->l->n_out) ol_ir_fail(t, OLV_FORMAT, "%lld parts and %d outputs", (long long)parts, t->l->n_out);
    named_parts(t, x, NULL, ol_ir_axis(t, 1, x));
}

/* A length of -1 is what the others leave. */
static void variadic_split(ol_ir *t) {
    ol_value *x = ol_ir_need(t, 0), *sizes = ol_ir_vector(t, ol_ir_need(t, 2));
    int64_t axis = ol_ir_axis(t, 1, x), v[OL_IR_MAX_INTS], sum = 0;
    int n = ol_ir_value_ints(sizes, v, OL_IR_MAX_INTS), open = -1;
    for (int i = 0; i < n; i++) {
        if (v[i] < 0) open = i;
        else if (__builtin_add_overflow(sum, v[i], &sum)) ol_ir_fail(t, OLV_LIMIT, "lengths too large");
    }
    if (open >= 0 && t->status == OLV_OK && x->type.rank > axis && ol_dim_known(x->type.dims[axis])) {
        v[open] = x->type.dims[axis] - sum;
        if (v[open] < 0) ol_ir_fail(t, OLV_SHAPE, "parts longer than their whole");
        sizes = ol_ir_ints(t, v, n);
    } else if (open >= 0) {
        ol_value *parts[OL_IR_MAX_INTS];
        ol_attr a = ol_attr_int("axis", 0);
        for (int i = 0; i < n; i++)
            parts[i] = i == open ? ol_ir_binary(t, "Sub", ol_ir_size(t, x, axis), ol_ir_int1(t, sum)) : ol_ir_int1(t, v[i]);
        sizes = ol_ir_op(t, "Concat", parts, n, &a, 1);
    }
    named_parts(t, x, sizes, axis);
}

static void pad(ol_ir *t) {
    static const char *const modes[][2] = {{"constant", "constant"}, {"edge", "edge"}, {"reflect", "reflect"}};
    ol_value *x = ol_ir_need(t, 0), *both[2] = {ol_ir_vector(t, ol_ir_need(t, 1)), ol_ir_vector(t, ol_ir_need(t, 2))};
    ol_value *fill = ol_ir_has(t, 3) ? ol_ir_in(t, 3) : NULL;
    const char *mode = NULL;
    for (int i = 0; i < 3; i++)
        if (ol_ir_text_is(t, "pad_mode", "constant", modes[i][0])) mode = modes[i][1];
    if (!mode) ol_ir_fail(t, OLV_UNSUPPORTED, "pad_mode=\"%.40s\"", ol_ir_text(t, "pad_mode", ""));
    ol_attr axis = ol_attr_int("axis", 0), a = ol_attr_string("mode", mode ? mode : "");
    if (fill && x && fill->type.dtype != x->type.dtype) fill = ol_ir_cast(t, fill, x->type.dtype);
    ol_ir_result(t, 0, "Pad", (ol_value *[]){x, ol_ir_op(t, "Concat", both, 2, &axis, 1), fill}, 3, &a, 1);
}

static void range(ol_ir *t) {
    ol_dtype type = ol_ir_attr_type(t, "output_type", ol_ir_out_type(t, 0));
    ol_value *in[3];
    for (int i = 0; i < 3; i++) {
        in[i] = ol_ir_cast(t, ol_ir_need(t, i), type);
        if (in[i] && in[i]->type.rank == 1) in[i] = ol_ir_squeeze(t, in[i], 0);
    }
    ol_ir_result(t, 0, "Range", in, 3, NULL, 0);
}

static ol_value *filled(ol_ir *t, ol_value *shape, ol_dtype type) {
    return ol_ir_binary(t, "Expand", ol_ir_number(t, 0, type), shape);
}

static void eye(ol_ir *t) {
    ol_value *sizes[2] = {ol_ir_vector(t, ol_ir_need(t, 0)), ol_ir_vector(t, ol_ir_need(t, 1))};
    int64_t k = 0;
    if (ol_ir_has(t, 2) && ol_ir_const_ints(t, 2, &k, 1) != 1) ol_ir_fail(t, OLV_UNSUPPORTED, "a diagonal that is no constant");
    ol_dtype type = ol_ir_attr_type(t, "output_type", OL_I32);
    ol_attr axis = ol_attr_int("axis", 0), a[2] = {ol_attr_int("k", k), ol_attr_int("dtype", ol_dtype_onnx(type))};
    ol_value *like = filled(t, ol_ir_op(t, "Concat", sizes, 2, &axis, 1), type);
    if (!ol_ir_has(t, 3)) {
        ol_ir_result(t, 0, "EyeLike", &like, 1, a, 2);
        return;
    }
    ol_value *parts[3] = {ol_ir_vector(t, ol_ir_in(t, 3)), sizes[0], sizes[1]};
    ol_ir_result(t, 0, "Expand", (ol_value *[]){ol_ir_op(t, "EyeLike", &like, 1, a, 2), ol_ir_op(t, "Concat", parts, 3, &axis, 1)}, 2, NULL, 0);
}

static void random_uniform(ol_ir *t) {
    double lo = 0, hi = 1;
    ol_dtype type = ol_ir_attr_type(t, "output_type", OL_F32);
    if (!ol_ir_const_real(t, 1, &lo) || !ol_ir_const_real(t, 2, &hi) || ol_dtype_class(type) != 'f')
        ol_ir_fail(t, OLV_UNSUPPORTED, "other than floats between constants");
    ol_value *like = filled(t, ol_ir_vector(t, ol_ir_need(t, 0)), type);
    ol_attr a[3] = {ol_attr_float("low", (float)lo), ol_attr_float("high", (float)hi), ol_attr_float("seed", (float)ol_ir_attr_int(t, "op_seed", 0))};
    ol_ir_result(t, 0, "RandomUniformLike", &like, 1, a, ol_ir_attr_int(t, "op_seed", 0) ? 3 : 2);
}

static void depth_space(ol_ir *t) {
    bool to_space = !strcasecmp(t->l->type, "DepthToSpace"), blocks = ol_ir_text_is(t, "mode", "blocks_first", "blocks_first");
    ol_value *x = ol_ir_need(t, 0);
    if (!to_space && !blocks) ol_ir_fail(t, OLV_UNSUPPORTED, "mode=\"depth_first\"");
    ol_attr a[2] = {ol_attr_int("blocksize", ol_ir_attr_int(t, "block_size", 1)), ol_attr_string("mode", blocks ? "DCR" : "CRD")};
    ol_ir_result(t, 0, to_space ? "DepthToSpace" : "SpaceToDepth", &x, 1, a, to_space ? 2 : 1);
}

/* [.., group, C / group, ..] with the two swapped. */
static void shuffle_channels(ol_ir *t) {
    ol_value *x = ol_ir_need(t, 0);
    int rank = ol_ir_rank(t, x);
    int64_t axis = ol_ir_attr_int(t, "axis", 1), group = ol_ir_attr_int(t, "group", 1), to[OL_MAX_RANK + 1], perm[OL_MAX_RANK + 1];
    if (axis < 0) axis += rank;
    if (t->status != OLV_OK || axis < 0 || axis >= rank || rank >= OL_MAX_RANK) {
        ol_ir_fail(t, OLV_SHAPE, "axis out of range");
        return;
    }
    ol_value *shape = ol_ir_unary(t, "Shape", x), *parts[3];
    ol_attr cut[2] = {ol_attr_int("start", 0), ol_attr_int("end", axis)}, rest = ol_attr_int("start", axis + 1), join = ol_attr_int("axis", 0);
    to[0] = group;
    to[1] = -1;
    parts[0] = ol_ir_op(t, "Shape", &x, 1, cut, 2);
    parts[1] = ol_ir_ints(t, to, 2);
    parts[2] = ol_ir_op(t, "Shape", &x, 1, &rest, 1);
    ol_value *y = ol_ir_binary(t, "Reshape", x, ol_ir_op(t, "Concat", parts, 3, &join, 1));
    for (int i = 0; i <= rank; i++) perm[i] = i;
    perm[axis] = axis + 1;
    perm[axis + 1] = axis;
    ol_ir_result(t, 0, "Reshape", (ol_value *[]){ol_ir_transpose(t, y, perm, rank + 1), shape}, 2, NULL, 0);
}

const ol_ir_operation ol_ir_shapes[] = {
    {"Reshape", reshape, NULL}, {"Squeeze", squeeze, NULL}, {"Unsqueeze", squeeze, NULL}, {"Transpose", transpose, NULL},
    {"ShapeOf", shape_of, NULL}, {"Broadcast", broadcast, NULL}, {"Tile", tile, NULL}, {"Concat", concat, NULL}, {"Split", split, NULL},
    {"VariadicSplit", variadic_split, NULL}, {"Pad", pad, NULL}, {"Range", range, NULL}, {"Eye", eye, NULL},
    {"RandomUniform", random_uniform, NULL}, {"DepthToSpace", depth_space, NULL}, {"SpaceToDepth", depth_space, NULL},
    {"ShuffleChannels", shuffle_channels, NULL}, {NULL, NULL, NULL}};
