/* SPDX-License-Identifier: Apache-2.0 */
/* Preprocessing as nodes in front of an input. The input keeps its value (and name, and place); those that read it read the
 * end of the chain instead. */
#include "base/alloc.h"
#include "base/error.h"
#include "runtime/core.h"
#include <olivine/preprocess.h>
#include <string.h>
#include <strings.h>

void olv_preprocess_init(olv_preprocess *p) { *p = (olv_preprocess){.struct_size = sizeof *p}; }

typedef struct chain {
    ol_graph *g;
    ol_value *input, *end;
    ol_node *before, *first; /* where nodes go; the first of them */
    const olv_preprocess *p;
    char given[OL_MAX_RANK + 1], model[OL_MAX_RANK + 1]; /* layouts in capitals */
    ol_type type; /* the model's */
} chain;

/* ---- layouts ---- */

static olv_status read_layout(const char *text, const char *standard, int rank, char *out, olv_error *err) {
    if (!text) text = standard;
    if (!text || strlen(text) != (size_t)rank) return ol_fail(err, OLV_ARG, "layout '%.30s' does not have the %d dimensions of the input", text ? text : "", rank);
    for (int i = 0; i < rank; i++) {
        out[i] = text[i] >= 'a' && text[i] <= 'z' ? (char)(text[i] - 'a' + 'A') : text[i];
        if (out[i] < 'A' || out[i] > 'Z' || memchr(out, out[i], (size_t)i)) return ol_fail(err, OLV_ARG, "layout '%.30s': letters, each once, expected", text);
    }
    out[rank] = 0;
    return OLV_OK;
}

static int axis_of(const char *layout, char c) {
    const char *at = strchr(layout, c);
    return at ? (int)(at - layout) : -1;
}

static olv_status read_layouts(chain *c, olv_error *err) {
    static const char *const standard[] = {NULL, NULL, "HW", "CHW", "NCHW"};
    int rank = c->type.rank;
    if (c->type.kind != OL_VALUE_TENSOR || rank < 1) return ol_fail(err, OLV_ARG, "input '%.200s' is no tensor of known rank", c->input->name);
    const char *model = c->p->model_layout ? c->p->model_layout : rank <= 4 ? standard[rank] : NULL;
    if (!model && !c->p->layout && rank <= 16) model = "ABDEFGIJKLMNOPQR" + (16 - rank); /* no letters needed */
    OL_TRY(read_layout(model, NULL, rank, c->model, err));
    OL_TRY(read_layout(c->p->layout, c->model, rank, c->given, err));
    for (int i = 0; i < rank; i++)
        if (axis_of(c->model, c->given[i]) < 0) return ol_fail(err, OLV_ARG, "layout '%s' has a '%c' that layout '%s' of the model lacks", c->given, c->given[i], c->model);
    return OLV_OK;
}

/* ---- nodes ---- */

static olv_status append(chain *c, const char *op, ol_value *const *more, int n_more, const ol_attr *attrs, int n_attrs, olv_error *err) {
    ol_value *in[4] = {c->end};
    for (int i = 0; i < n_more; i++) in[i + 1] = more[i];
    ol_node *n = ol_graph_add_node(c->g, c->before, ol_op_find("", op), NULL, in, n_more + 1, NULL, 1, attrs, n_attrs, err);
    if (!n) return err && err->status != OLV_OK ? err->status : OLV_NOMEM;
    if (!c->first) c->first = n;
    c->end = n->outputs[0];
    return OLV_OK;
}

static olv_status cast(chain *c, ol_dtype to, olv_error *err) {
    if (c->end->type.dtype == to) return OLV_OK;
    ol_attr a = ol_attr_int("to", ol_dtype_onnx(to));
    return append(c, "Cast", NULL, 0, &a, 1, err);
}

static olv_status transpose(chain *c, olv_error *err) {
    int64_t perm[OL_MAX_RANK];
    bool same = true;
    for (int i = 0; i < c->type.rank; i++) {
        perm[i] = axis_of(c->given, c->model[i]);
        same &= perm[i] == i;
    }
    ol_attr a = ol_attr_ints("perm", perm, (size_t)c->type.rank);
    return same ? OLV_OK : append(c, "Transpose", NULL, 0, &a, 1, err);
}

/* A constant with an element for each channel (or one), in the shape that meets the channel axis from behind. */
static ol_value *channel_constant(chain *c, const float *v, size_t n, olv_error *err) {
    int64_t dims[OL_MAX_RANK];
    ol_tensor t;
    int rank = 0;
    for (int i = axis_of(c->model, 'C'); n > 1 && i >= 0 && i < c->type.rank; i++, rank++) dims[rank] = rank ? 1 : (int64_t)n;
    if (ol_tensor_init(&t, OL_F32, rank, dims, err) != OLV_OK) return NULL;
    memcpy(t.data, v, n * sizeof *v);
    ol_const *k = ol_const_tensor(&t, err);
    ol_tensor_deinit(&t);
    return k ? ol_graph_add_constant(c->g, NULL, k, err) : NULL;
}

static olv_status failed(const olv_error *err) { return err && err->status != OLV_OK ? err->status : OLV_NOMEM; }

typedef enum colour { NO_COLOUR, RGB, BGR, GRAY } colour;

static olv_status read_colour(const char *text, colour *out, olv_error *err) {
    static const char *const names[] = {"RGB", "BGR", "GRAY"};
    *out = NO_COLOUR;
    for (int i = 0; text && i < 3; i++)
        if (!strcasecmp(text, names[i]) || (i == 2 && !strcasecmp(text, "GREY"))) *out = (colour)(i + 1);
    return text && !*out ? ol_fail(err, OLV_ARG, "colour '%.30s' is none of RGB, BGR, GRAY", text) : OLV_OK;
}

static olv_status pick_channels(chain *c, const int64_t *which, int axis, olv_error *err) {
    ol_value *index = ol_graph_add_i64(c->g, NULL, which, 3, err);
    ol_attr a = ol_attr_int("axis", axis);
    return index ? append(c, "Gather", &index, 1, &a, 1, err) : failed(err);
}

static olv_status to_grey(chain *c, colour from, int axis, olv_error *err) {
    static const float weights[2][3] = {{0.299f, 0.587f, 0.114f}, {0.114f, 0.587f, 0.299f}};
    const int64_t axes = axis;
    ol_value *w = channel_constant(c, weights[from == BGR], 3, err), *a = w ? ol_graph_add_i64(c->g, NULL, &axes, 1, err) : NULL;
    ol_attr keep = ol_attr_int("keepdims", 1);
    if (!a) return failed(err);
    OL_TRY(append(c, "Mul", &w, 1, NULL, 0, err));
    return append(c, "ReduceSum", &a, 1, &keep, 1, err);
}

static olv_status convert_colours(chain *c, olv_error *err) {
    colour from, to;
    OL_TRY(read_colour(c->p->colour, &from, err));
    OL_TRY(read_colour(c->p->model_colour, &to, err));
    if (!from != !to) return ol_fail(err, OLV_ARG, "both colours or neither must be told");
    if (from == to) return OLV_OK;
    int axis = axis_of(c->model, 'C');
    if (to == GRAY) return to_grey(c, from, axis, err);
    return pick_channels(c, from == GRAY ? (const int64_t[]){0, 0, 0} : (const int64_t[]){2, 1, 0}, axis, err);
}

static olv_status resize(chain *c, olv_error *err) {
    if (!c->p->height && !c->p->width) return OLV_OK;
    const char *mode = c->p->resize ? c->p->resize : "linear";
    if (strcmp(mode, "linear") && strcmp(mode, "cubic") && strcmp(mode, "nearest"))
        return ol_fail(err, OLV_ARG, "resize '%.30s' is none of linear, cubic, nearest", mode);
    int h = axis_of(c->model, 'H'), w = axis_of(c->model, 'W');
    const int64_t axes[2] = {h, w}, size[2] = {c->type.dims[h], c->type.dims[w]};
    if (size[0] < 0 || size[1] < 0) return ol_fail(err, OLV_SHAPE, "height and width of input '%.200s' are open: reshape the model first", c->input->name);
    ol_value *sizes[3] = {NULL, NULL, ol_graph_add_i64(c->g, NULL, size, 2, err)};
    const ol_attr attrs[] = {ol_attr_ints("axes", axes, 2), ol_attr_string("coordinate_transformation_mode", "half_pixel"), ol_attr_string("mode", mode)};
    return sizes[2] ? append(c, "Resize", sizes, 3, attrs, 3, err) : failed(err);
}

static olv_status by_channel(chain *c, const char *op, const float *v, size_t n, olv_error *err) {
    if (!n) return OLV_OK;
    int axis = axis_of(c->model, 'C');
    if (n > 1 && axis < 0) return ol_fail(err, OLV_ARG, "layout '%s' has no channels for %zu numbers", c->model, n);
    if (n > 1 && ol_dim_known(c->type.dims[axis]) && c->type.dims[axis] != (int64_t)n)
        return ol_fail(err, OLV_SHAPE, "%zu numbers for the %lld channels of input '%.200s'", n, (long long)c->type.dims[axis], c->input->name);
    for (size_t i = 0; !strcmp(op, "Div") && i < n; i++)
        if (!(v[i] != 0)) return ol_fail(err, OLV_ARG, "a scale of 0");
    ol_value *k = channel_constant(c, v, n, err);
    return k ? append(c, op, &k, 1, NULL, 0, err) : failed(err);
}

/* ---- the whole ---- */

/* The type of what will be given. */
static olv_status set_input_type(chain *c, olv_error *err) {
    const olv_preprocess *p = c->p;
    ol_type t = c->type;
    colour from;
    OL_TRY(read_colour(p->colour, &from, err));
    int h = axis_of(c->model, 'H'), w = axis_of(c->model, 'W'), channel = axis_of(c->model, 'C');
    if ((p->height || p->width) && (h < 0 || w < 0)) return ol_fail(err, OLV_ARG, "layout '%s' has no height and width to resize", c->model);
    if (from && channel < 0) return ol_fail(err, OLV_ARG, "layout '%s' has no channels to convert", c->model);
    if (p->height < -1 || p->width < -1) return ol_fail(err, OLV_ARG, "sizes of -1, 0 or more expected");
    if (p->dtype != OLV_DTYPE_NONE) t.dtype = ol_dtype_from_onnx((int64_t)p->dtype);
    if (t.dtype == OL_DTYPE_NONE || t.dtype == OL_STRING) return ol_fail(err, OLV_ARG, "input '%.200s' is not of numbers", c->input->name);
    ol_type m = t;
    if (p->height) m.dims[h] = p->height > 0 ? p->height : ol_dim_fresh(c->g->dims, "height");
    if (p->width) m.dims[w] = p->width > 0 ? p->width : ol_dim_fresh(c->g->dims, "width");
    if (from) m.dims[channel] = from == GRAY ? 1 : 3;
    for (int i = 0; i < t.rank; i++) {
        t.dims[i] = m.dims[axis_of(c->model, c->given[i])];
        if (t.dims[i] == OL_DIM_NONE) return ol_fail(err, OLV_NOMEM, "no memory for an input");
    }
    c->input->type = t;
    return OLV_OK;
}

static olv_status build(chain *c, olv_error *err) {
    bool plain = !c->p->n_mean && !c->p->n_scale && !c->p->colour && !c->p->height && !c->p->width;
    OL_TRY(read_layouts(c, err));
    OL_TRY(set_input_type(c, err));
    if (!plain) OL_TRY(cast(c, OL_F32, err));
    OL_TRY(transpose(c, err));
    OL_TRY(convert_colours(c, err));
    OL_TRY(resize(c, err));
    OL_TRY(by_channel(c, "Sub", c->p->mean, c->p->n_mean, err));
    OL_TRY(by_channel(c, "Div", c->p->scale, c->p->n_scale, err));
    OL_TRY(cast(c, c->type.dtype, err));
    if (!c->first) return OLV_OK;
    ol_value_replace_uses(c->input, c->end);
    ol_node_set_input(c->first, 0, c->input);
    OL_TRY(ol_graph_infer(c->g, err));
    return ol_graph_verify(c->g, err);
}

/* Ranges of the given sizes: those of the model where the sizes are still the model's. */
static void move_ranges(const chain *c, olv_range *ranges) {
    olv_range old[OLV_MAX_RANK];
    memcpy(old, ranges, sizeof old);
    for (int i = 0; i < c->type.rank; i++) {
        int from = axis_of(c->model, c->given[i]);
        ol_dim d = c->input->type.dims[i];
        ranges[i] = ol_dim_known(d) ? (olv_range){d, d} : d == c->type.dims[from] ? old[from] : (olv_range){0, -1};
    }
}

olv_status olv_model_preprocess(olv_model *m, const char *input, const olv_preprocess *p, olv_error *err) {
    olv_error own = {.status = OLV_OK};
    if (p->struct_size != sizeof *p) return ol_fail(err, OLV_ARG, "olv_preprocess_init has not filled the options");
    int at = -1;
    for (int i = 0; i < m->graph->n_inputs; i++)
        if (!strcmp(m->graph->inputs[i]->name, input)) at = i;
    if (at < 0) return ol_no_such_input(m->graph, input, err);
    if (m->graph->inputs[at]->constant) return ol_fail(err, OLV_ARG, "input '%.200s' has a default", input);
    ol_graph *g;
    OL_TRY(ol_graph_clone(m->graph, NULL, &g, err));
    chain c = {.g = g, .input = g->inputs[at], .end = g->inputs[at], .before = g->first, .p = p, .type = g->inputs[at]->type};
    olv_status s = build(&c, &own);
    if (s != OLV_OK) {
        if (err) *err = own;
        ol_graph_destroy(g);
        return s;
    }
    move_ranges(&c, m->ranges[at]);
    ol_graph_destroy(m->graph);
    m->graph = g;
    return OLV_OK;
}
