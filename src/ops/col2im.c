/* SPDX-License-Identifier: Apache-2.0 */
/* Col2Im: blocks [N, C * block, L] laid back over an image [N, C, ...]; where they overlap their
 * values add up. */
#include "ops/window.h"

static olv_status sizes(ol_eval *c, int i, int64_t *out, int *n, olv_error *err) {
    const ol_tensor *t;
    OL_TRY(ol_eval_need(c, i, &t, err));
    int64_t count = ol_tensor_count(t);
    if (count < 1 || count > OL_MAX_RANK - 2)
        return ol_fail(err, OLV_SHAPE, "%lld sizes", (long long)count);
    *n = (int)count;
    for (int k = 0; k < *n; k++) {
        out[k] = ol_tensor_i64(t, k);
        if (out[k] < 1 || out[k] > INT32_MAX)
            return ol_fail(err, OLV_SHAPE, "size %lld", (long long)out[k]);
    }
    return OLV_OK;
}

/* Adds one channel: `block` taps at each of `places` places of the window. */
static void add_channel(const ol_window *w, const ol_tensor *x, int64_t from, double *image) {
    int64_t tap[OL_MAX_RANK] = {0};
    do {
        int64_t at[OL_MAX_RANK] = {0};
        do {
            int64_t to = ol_window_tap(w, at, tap);
            if (to >= 0) image[to] += ol_tensor_get(x, from);
            from++;
        } while (ol_index_next(at, w->out, w->n));
    } while (ol_index_next(tap, w->kernel, w->n));
}

static olv_status eval(ol_eval *c, olv_error *err) {
    const ol_tensor *x;
    ol_tensor *y;
    ol_window w;
    int n, m;
    int64_t image[OL_MAX_RANK], block[OL_MAX_RANK], dims[OL_MAX_RANK], taps = 1, places = 1, pixels = 1;
    OL_TRY(ol_eval_need(c, 0, &x, err));
    OL_TRY(sizes(c, 1, image, &n, err));
    OL_TRY(sizes(c, 2, block, &m, err));
    if (n != m || x->rank != 3) return ol_fail(err, OLV_SHAPE, "image, block and input do not fit");
    OL_TRY(ol_window_init(&w, c->node, n, image, block, err));
    for (int i = 0; i < n; i++)
        if (!ol_mul_i64(taps, block[i], &taps) || !ol_mul_i64(places, w.out[i], &places) ||
            !ol_mul_i64(pixels, image[i], &pixels))
            return ol_fail(err, OLV_LIMIT, "image too large");
    if (x->dims[1] % taps || x->dims[2] != places)
        return ol_fail(err, OLV_SHAPE, "blocks [%lld, %lld] for %lld taps at %lld places",
                       (long long)x->dims[1], (long long)x->dims[2], (long long)taps,
                       (long long)places);
    dims[0] = x->dims[0];
    dims[1] = x->dims[1] / taps;
    memcpy(dims + 2, image, (size_t)n * sizeof *dims);
    OL_TRY(ol_eval_out(c, 0, x->dtype, n + 2, dims, &y, err));
    double *sum = ol_alloc((size_t)pixels * sizeof *sum);
    if (!sum) return ol_fail(err, OLV_NOMEM, "no memory for an image");
    for (int64_t i = 0; i < dims[0] * dims[1]; i++) {
        memset(sum, 0, (size_t)pixels * sizeof *sum);
        add_channel(&w, x, i * taps * places, sum);
        for (int64_t k = 0; k < pixels; k++) ol_tensor_set(y, i * pixels + k, sum[k]);
    }
    ol_free(sum);
    return OLV_OK;
}

static olv_status infer(ol_infer *c, olv_error *err) {
    const ol_type *x = ol_infer_in(c, 0), *s = ol_infer_in(c, 1);
    ol_dim image[OL_MAX_RANK], block[OL_MAX_RANK];
    int n = ol_infer_ints(c, 1, image, OL_MAX_RANK - 2);
    int m = ol_infer_ints(c, 2, block, OL_MAX_RANK - 2);
    OL_TRY(ol_infer_rank(c, 0, 3, 3, err));
    int rank = n >= 0 ? n : s->rank == 1 && ol_dim_known(s->dims[0]) ? (int)s->dims[0] : -1;
    if (rank > OL_MAX_RANK - 2) return ol_fail(err, OLV_LIMIT, "image of rank %d", rank);
    ol_infer_set(c, 0, x->dtype, rank < 0 ? -1 : rank + 2);
    if (rank < 0) return OLV_OK;
    if (x->rank == 3) c->out[0].dims[0] = x->dims[0];
    for (int i = 0; i < n; i++)
        if (!ol_infer_is_negative(image[i])) c->out[0].dims[i + 2] = image[i];
    ol_dim taps = 1;
    for (int i = 0; i < m && taps != OL_DIM_NONE; i++) taps = ol_dim_mul(c->graph->dims, taps, block[i]);
    if (m > 0 && x->rank == 3 && taps > 0) {
        ol_dim channels = ol_dim_div_floor(c->graph->dims, x->dims[1], taps);
        if (channels != OL_DIM_NONE) c->out[0].dims[1] = channels;
    }
    return OLV_OK;
}

static const ol_attr_spec attrs[] = {{"strides", OL_ATTR_INTS, false},
                                     {"pads", OL_ATTR_INTS, false},
                                     {"dilations", OL_ATTR_INTS, false}};
extern const ol_op ol_op_Col2Im;
const ol_op ol_op_Col2Im = {.domain = "", .name = "Col2Im", .summary = "blocks laid back over an image",
                            .min_inputs = 3, .max_inputs = 3, .min_outputs = 1, .max_outputs = 1,
                            OL_ATTRS(attrs), .infer = infer, .eval = eval};
