/* SPDX-License-Identifier: Apache-2.0 */
/* DeformConv over images: a convolution whose taps are moved by offsets [N, G * kh * kw * 2, oh, ow]
 * (rows, then columns) and weighted by a mask; between pixels it interpolates, outside is zero. */
#include "ops/window.h"

typedef struct deform {
    const ol_tensor *x, *w, *offset, *bias, *mask;
    ol_window win;
    int64_t group, offset_group, taps, places;
} deform;

static olv_status init(ol_eval *c, deform *d, olv_error *err) {
    OL_TRY(ol_eval_need(c, 0, &d->x, err));
    OL_TRY(ol_eval_need(c, 1, &d->w, err));
    OL_TRY(ol_eval_need(c, 2, &d->offset, err));
    d->bias = ol_eval_in(c, 3);
    d->mask = ol_eval_in(c, 4);
    if (d->x->rank != 4 || d->w->rank != 4 || d->offset->rank != 4)
        return ol_fail(err, OLV_UNSUPPORTED, "deformable convolution of rank %d", d->x->rank);
    OL_TRY(ol_window_init(&d->win, c->node, 2, d->x->dims + 2, d->w->dims + 2, err));
    d->group = ol_node_int(c->node, "group", 1);
    d->offset_group = ol_node_int(c->node, "offset_group", 1);
    d->taps = d->w->dims[2] * d->w->dims[3];
    d->places = d->win.out[0] * d->win.out[1];
    if (d->group < 1 || d->offset_group < 1 || d->x->dims[1] != d->w->dims[1] * d->group ||
        d->w->dims[0] % d->group || d->x->dims[1] % d->offset_group)
        return ol_fail(err, OLV_SHAPE, "channels and groups do not fit");
    int64_t moved = d->x->dims[0] * d->offset_group * d->taps * d->places;
    if (ol_tensor_count(d->offset) != 2 * moved || (d->mask && ol_tensor_count(d->mask) != moved) ||
        (d->bias && ol_tensor_count(d->bias) != d->w->dims[0]))
        return ol_fail(err, OLV_SHAPE, "offsets, mask or bias do not fit");
    return OLV_OK;
}

static double pixel(const deform *d, int64_t base, double row, double col) {
    int64_t h = d->win.in[0], w = d->win.in[1];
    if (!(row > -1 && col > -1 && row < (double)h && col < (double)w)) return 0;
    int64_t r = ol_f64_to_i64(floor(row)), k = ol_f64_to_i64(floor(col));
    double sum = 0;
    for (int64_t i = r; i <= r + 1; i++)
        for (int64_t j = k; j <= k + 1; j++)
            if (i >= 0 && j >= 0 && i < h && j < w)
                sum += (1 - fabs(row - (double)i)) * (1 - fabs(col - (double)j)) *
                       ol_tensor_get(d->x, base + i * w + j);
    return sum;
}

/* Value of input channel ch under a tap at a place of the output. */
static double moved_tap(const deform *d, int64_t b, int64_t ch, int64_t tap, int64_t place) {
    int64_t g = ch / (d->x->dims[1] / d->offset_group), kw = d->w->dims[3];
    int64_t at = (b * d->offset_group + g) * d->taps + tap;
    const ol_window *w = &d->win;
    double row = (double)(place / w->out[1] * w->stride[0] - w->begin[0] + tap / kw * w->dilation[0]);
    double col = (double)(place % w->out[1] * w->stride[1] - w->begin[1] + tap % kw * w->dilation[1]);
    row += ol_tensor_get(d->offset, (2 * at) * d->places + place);
    col += ol_tensor_get(d->offset, (2 * at + 1) * d->places + place);
    double m = d->mask ? ol_tensor_get(d->mask, at * d->places + place) : 1;
    return m * pixel(d, (b * d->x->dims[1] + ch) * w->in[0] * w->in[1], row, col);
}

static olv_status eval(ol_eval *c, olv_error *err) {
    deform d;
    ol_tensor *y;
    OL_TRY(init(c, &d, err));
    int64_t out = d.w->dims[0], in = d.w->dims[1];
    const int64_t dims[4] = {d.x->dims[0], out, d.win.out[0], d.win.out[1]};
    OL_TRY(ol_eval_out(c, 0, d.x->dtype, 4, dims, &y, err));
    for (int64_t i = 0, n = ol_tensor_count(y); i < n; i++) {
        int64_t place = i % d.places, o = i / d.places % out, b = i / d.places / out;
        double sum = d.bias ? ol_tensor_get(d.bias, o) : 0;
        for (int64_t k = 0; k < in * d.taps; k++)
            sum += ol_tensor_get(d.w, o * in * d.taps + k) *
                   moved_tap(&d, b, o / (out / d.group) * in + k / d.taps, k % d.taps, place);
        ol_tensor_set(y, i, sum);
    }
    return OLV_OK;
}

static olv_status infer(ol_infer *c, olv_error *err) {
    const ol_type *x = ol_infer_in(c, 0), *w = ol_infer_in(c, 1), *o = ol_infer_in(c, 2);
    for (int i = 0; i < 3; i++) OL_TRY(ol_infer_rank(c, i, 4, 4, err));
    bool known = w->rank == 4 && ol_dim_known(w->dims[2]) && ol_dim_known(w->dims[3]);
    ol_dim channels = w->rank == 4 ? w->dims[0] : ol_infer_fresh(c);
    OL_TRY(ol_window_infer(c, x, known ? w->dims + 2 : NULL, channels, &c->out[0], err));
    for (int i = 2; c->out[0].rank == 4 && o->rank == 4 && i < 4; i++)
        if (!ol_dim_known(c->out[0].dims[i])) c->out[0].dims[i] = o->dims[i];
    return OLV_OK;
}

static const ol_attr_spec attrs[] = {
    {"dilations", OL_ATTR_INTS, false},    {"group", OL_ATTR_INT, false},
    {"kernel_shape", OL_ATTR_INTS, false}, {"offset_group", OL_ATTR_INT, false},
    {"pads", OL_ATTR_INTS, false},         {"strides", OL_ATTR_INTS, false}};
extern const ol_op ol_op_DeformConv;
const ol_op ol_op_DeformConv = {.domain = "", .name = "DeformConv",
                                .summary = "convolution with moved taps", .min_inputs = 3,
                                .max_inputs = 5, .min_outputs = 1, .max_outputs = 1,
                                OL_ATTRS(attrs), .infer = infer, .eval = eval};
