/* SPDX-License-Identifier: Apache-2.0 */
#include "ops/window.h"

static olv_status get_list(const ol_node *node, const char *name, int n, int64_t def, int64_t min, int64_t *out, olv_error *err) {
    size_t count;
    const int64_t *v = ol_node_ints(node, name, &count);
    if (v && count && count != (size_t)n) return ol_fail(err, OLV_SHAPE, "%zu %s found, %d expected", count, name, n);
    for (int i = 0; i < n; i++) {
        out[i] = v && count ? v[i] : def;
        if (out[i] < min || out[i] > INT32_MAX) return ol_fail(err, OLV_SHAPE, "%s of %lld", name, (long long)out[i]);
    }
    return OLV_OK;
}

static olv_status get_form(ol_window *w, const ol_node *node, int n, const int64_t *kernel, olv_error *err) {
    int64_t pads[2 * OL_MAX_RANK];
    w->n = n;
    OL_TRY(get_list(node, "strides", n, 1, 1, w->stride, err));
    OL_TRY(get_list(node, "dilations", n, 1, 1, w->dilation, err));
    OL_TRY(get_list(node, "pads", 2 * n, 0, INT32_MIN, pads, err));
    for (int i = 0; i < n; i++) {
        w->begin[i] = pads[i];
        w->end[i] = pads[n + i];
        w->kernel[i] = kernel[i];
        if (kernel[i] < 1) return ol_fail(err, OLV_SHAPE, "kernel of %lld", (long long)kernel[i]);
    }
    return OLV_OK;
}

static olv_status size_one(ol_window *w, const ol_node *node, int i, olv_error *err) {
    ol_str pad = ol_node_string(node, "auto_pad", "NOTSET");
    int64_t span = (w->kernel[i] - 1) * w->dilation[i] + 1, total;
    if (ol_str_is(pad, "VALID")) w->begin[i] = w->end[i] = 0;
    if (ol_str_starts(pad, "SAME")) {
        w->out[i] = (w->in[i] + w->stride[i] - 1) / w->stride[i];
        total = (w->out[i] - 1) * w->stride[i] + span - w->in[i];
        if (total < 0) total = 0;
        w->begin[i] = ol_str_is(pad, "SAME_UPPER") ? total / 2 : total - total / 2;
        w->end[i] = total - w->begin[i];
        return OLV_OK;
    }
    int64_t room = w->in[i] + w->begin[i] + w->end[i] - span;
    if (room < 0) return ol_fail(err, OLV_SHAPE, "window of %lld over %lld elements", (long long)span, (long long)w->in[i]);
    w->out[i] = room / w->stride[i] + 1;
    /* Rounding up adds a window that must start within the data or the padding before it. */
    if (ol_node_int(node, "ceil_mode", 0) && room % w->stride[i] && w->out[i] * w->stride[i] < w->in[i] + w->begin[i]) w->out[i]++;
    return OLV_OK;
}

olv_status ol_window_init(ol_window *w, const ol_node *node, int n, const int64_t *in, const int64_t *kernel, olv_error *err) {
    OL_TRY(get_form(w, node, n, kernel, err));
    for (int i = 0; i < n; i++) {
        w->in[i] = in[i];
        OL_TRY(size_one(w, node, i, err));
    }
    return OLV_OK;
}

olv_status ol_window_init_transposed(ol_window *w, const ol_node *node, int n, const int64_t *in, const int64_t *kernel, olv_error *err) {
    size_t n_pads, n_strides, n_dil, n_out, n_extra;
    const int64_t *pads = ol_node_ints(node, "pads", &n_pads), *strides = ol_node_ints(node, "strides", &n_strides);
    const int64_t *dil = ol_node_ints(node, "dilations", &n_dil), *size = ol_node_ints(node, "output_shape", &n_out);
    const int64_t *extra = ol_node_ints(node, "output_padding", &n_extra);
    ol_str pad = ol_node_string(node, "auto_pad", "NOTSET");
    size_t m = (size_t)n;
    if ((pads && n_pads != 2 * m) || (strides && n_strides != m) || (dil && n_dil != m) || (extra && n_extra != m) || (size && n_out < m))
        return ol_fail(err, OLV_SHAPE, "pads, strides, dilations or output sizes do not fit");
    w->n = n;
    for (int i = 0; i < n; i++) {
        int64_t st = strides ? strides[i] : 1, d = dil ? dil[i] : 1, ex = extra ? extra[i] : 0;
        if (st < 1 || d < 1 || kernel[i] < 1) return ol_fail(err, OLV_SHAPE, "strides or dilations");
        int64_t full = (in[i] - 1) * st + ex + (kernel[i] - 1) * d + 1, total;
        w->in[i] = in[i];
        w->stride[i] = st;
        w->dilation[i] = d;
        w->kernel[i] = kernel[i];
        w->begin[i] = pads ? pads[i] : 0;
        w->end[i] = pads ? pads[n + i] : 0;
        if (size || ol_str_starts(pad, "SAME")) {
            w->out[i] = size ? size[n_out - m + (size_t)i] : in[i] * st;
            total = full - w->out[i];
            if (total < 0 && !size) total = 0;
            w->begin[i] = ol_str_is(pad, "SAME_UPPER") || !ol_str_starts(pad, "SAME") ? total / 2 : total - total / 2;
            if (size && !ol_str_is(pad, "SAME_UPPER") && !ol_str_is(pad, "SAME_LOWER")) w->begin[i] = total - total / 2 - (total - 2 * (total / 2));
            w->end[i] = total - w->begin[i];
        } else {
            if (ol_str_is(pad, "VALID")) w->begin[i] = w->end[i] = 0;
            w->out[i] = full - w->begin[i] - w->end[i];
        }
        if (w->out[i] < 0) return ol_fail(err, OLV_SHAPE, "output of %lld elements", (long long)w->out[i]);
    }
    return OLV_OK;
}

olv_status ol_window_infer(ol_infer *c, const ol_type *x, const int64_t *kernel, ol_dim channels, ol_type *out, olv_error *err) {
    ol_window w;
    out->dtype = x->dtype;
    if (x->rank < 0) return OLV_OK;
    if (x->rank < 3) return ol_fail(err, OLV_SHAPE, "input of rank %d found, 3 or more expected", x->rank);
    out->rank = x->rank;
    out->dims[0] = x->dims[0];
    out->dims[1] = channels;
    if (kernel) OL_TRY(get_form(&w, c->node, x->rank - 2, kernel, err));
    ol_str pad = ol_node_string(c->node, "auto_pad", "NOTSET");
    ol_dim_table *t = c->graph->dims;
    for (int i = 0; i < x->rank - 2; i++) {
        ol_dim d = x->dims[i + 2], r = OL_DIM_NONE;
        if (kernel && ol_dim_known(d)) {
            w.in[i] = d;
            OL_TRY(size_one(&w, c->node, i, err));
            r = w.out[i];
        } else if (kernel && ol_str_starts(pad, "SAME")) {
            r = ol_dim_div_ceil(t, d, w.stride[i]);
        } else if (kernel && !ol_node_int(c->node, "ceil_mode", 0)) {
            if (ol_str_is(pad, "VALID")) w.begin[i] = w.end[i] = 0;
            int64_t more = w.begin[i] + w.end[i] - (w.kernel[i] - 1) * w.dilation[i] - 1 + w.stride[i];
            r = ol_dim_div_floor(t, more < 0 ? ol_dim_sub(t, d, -more) : ol_dim_add(t, d, more), w.stride[i]);
        }
        out->dims[i + 2] = r == OL_DIM_NONE ? ol_infer_fresh(c) : r;
    }
    return OLV_OK;
}

int64_t ol_window_tap(const ol_window *w, const int64_t *o, const int64_t *k) {
    int64_t at = 0;
    for (int i = 0; i < w->n; i++) {
        int64_t p = o[i] * w->stride[i] - w->begin[i] + k[i] * w->dilation[i];
        if (p < 0 || p >= w->in[i]) return -1;
        at = at * w->in[i] + p;
    }
    return at;
}

bool ol_index_next(int64_t *index, const int64_t *dims, int n) {
    for (int d = n - 1; d >= 0; d--) {
        if (++index[d] < dims[d]) return true;
        index[d] = 0;
    }
    return false;
}
