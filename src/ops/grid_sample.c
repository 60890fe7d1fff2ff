/* SPDX-License-Identifier: Apache-2.0 */
/* GridSample: x [N, C, d...] read at places of grid [N, o..., spatial dims] in [-1, 1], the last dim of x first. Nearest,
 * linear or cubic (2 spatial dims and more, separable); padding by zeros, border or reflection. */
#include "ops/window.h"

typedef struct sampler {
    const ol_tensor *x;
    int n; /* spatial dims */
    bool corners, nearest, cubic, border, reflect;
    int64_t base; /* of the channel */
} sampler;

static double reflect(double v, double lo, double hi) {
    double range = hi - lo;
    if (range <= 0) return lo;
    double d = fmod(fabs(v - lo), 2 * range);
    return lo + (d > range ? 2 * range - d : d);
}

/* Value at an integer place, with padding. */
static double fetch(const sampler *s, const int64_t *at) {
    int64_t i = 0;
    for (int d = 0; d < s->n; d++) {
        int64_t size = s->x->dims[d + 2], k = at[d];
        if (s->border) k = k < 0 ? 0 : k >= size ? size - 1 : k;
        else if (s->reflect) {
            k = ol_f64_to_i64(nearbyint(reflect((double)k, s->corners ? 0 : -0.5, s->corners ? (double)size - 1 : (double)size - 0.5)));
            k = k < 0 ? 0 : k >= size ? size - 1 : k;
        }
        if (k < 0 || k >= size) return 0;
        i = i * size + k;
    }
    return ol_tensor_get(s->x, s->base + i);
}

static double cubic(double x) {
    const double a = -0.75;
    x = fabs(x);
    if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

static double sample(const sampler *s, const double *place) {
    int64_t at[OL_MAX_RANK], tap[OL_MAX_RANK] = {0}, taps[OL_MAX_RANK];
    double sum = 0;
    if (s->nearest) {
        for (int d = 0; d < s->n; d++) at[d] = ol_f64_to_i64(nearbyint(place[d]));
        return fetch(s, at);
    }
    for (int d = 0; d < s->n; d++) taps[d] = s->cubic ? 4 : 2;
    do {
        double w = 1;
        for (int d = 0; d < s->n; d++) {
            double first = floor(place[d]) - (s->cubic ? 1 : 0);
            at[d] = (int64_t)first + tap[d];
            double distance = place[d] - (double)at[d];
            w *= s->cubic ? cubic(distance) : fmax(0, 1 - fabs(distance));
        }
        if (w != 0) sum += w * fetch(s, at);
    } while (ol_index_next(tap, taps, s->n));
    return sum;
}

static double to_place(const sampler *s, int d, double g) {
    double size = (double)s->x->dims[d + 2];
    double v = s->corners ? (g + 1) / 2 * (size - 1) : ((g + 1) * size - 1) / 2;
    if (isnan(v) || fabs(v) > 1e9) v = -1;
    if (s->nearest) v = nearbyint(v);
    double lo = s->corners ? 0 : -0.5, hi = s->corners ? size - 1 : size - 0.5;
    if (s->border && !s->cubic) v = v < 0 ? 0 : v > size - 1 ? size - 1 : v;
    if (s->reflect && !s->cubic && (v < lo || v > hi)) v = reflect(v, lo, hi);
    return v;
}

static olv_status eval(ol_eval *c, olv_error *err) {
    const ol_tensor *x, *grid;
    ol_tensor *y;
    int64_t dims[OL_MAX_RANK];
    OL_TRY(ol_eval_need(c, 0, &x, err));
    OL_TRY(ol_eval_need(c, 1, &grid, err));
    ol_str mode = ol_node_string(c->node, "mode", "linear"), pad = ol_node_string(c->node, "padding_mode", "zeros");
    sampler s = {x, x->rank - 2, ol_node_int(c->node, "align_corners", 0) != 0, ol_str_is(mode, "nearest"), ol_str_is(mode, "cubic"),
                 ol_str_is(pad, "border"), ol_str_is(pad, "reflection"), 0};
    if (x->rank < 3 || grid->rank != x->rank || grid->dims[0] != x->dims[0] || grid->dims[x->rank - 1] != s.n) return ol_fail(err, OLV_SHAPE, "input and grid do not fit");
    dims[0] = x->dims[0];
    dims[1] = x->dims[1];
    memcpy(dims + 2, grid->dims + 1, (size_t)s.n * sizeof *dims);
    OL_TRY(ol_eval_out(c, 0, x->dtype, x->rank, dims, &y, err));
    int64_t out = ol_dims_count(dims, 2, x->rank), in = ol_dims_count(x->dims, 2, x->rank);
    for (int64_t b = 0; b < dims[0] && in > 0; b++)
        for (int64_t i = 0; i < out; i++) {
            double place[OL_MAX_RANK];
            for (int d = 0; d < s.n; d++) place[d] = to_place(&s, d, ol_tensor_get(grid, (b * out + i) * s.n + s.n - 1 - d));
            for (int64_t ch = 0; ch < dims[1]; ch++) {
                s.base = (b * dims[1] + ch) * in;
                ol_tensor_set(y, (b * dims[1] + ch) * out + i, sample(&s, place));
            }
        }
    return OLV_OK;
}

static olv_status infer(ol_infer *c, olv_error *err) {
    const ol_type *x = ol_infer_in(c, 0), *g = ol_infer_in(c, 1);
    if (x->rank >= 0 && g->rank >= 0 && (x->rank != g->rank || x->rank < 3)) return ol_fail(err, OLV_SHAPE, "ranks %d and %d", x->rank, g->rank);
    c->out[0] = *x;
    if (x->rank < 0 || g->rank < 0) return OLV_OK;
    for (int i = 2; i < x->rank; i++) c->out[0].dims[i] = g->dims[i - 1];
    return OLV_OK;
}

static const ol_attr_spec attrs[] = {{"align_corners", OL_ATTR_INT, false}, {"mode", OL_ATTR_STRING, false}, {"padding_mode", OL_ATTR_STRING, false}};
extern const ol_op ol_op_GridSample;
const ol_op ol_op_GridSample = {"", "GridSample", "values at the places of a grid", 2, 2, 1, 1, attrs, 3, infer, eval, NULL, false, false};
