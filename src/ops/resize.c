/* SPDX-License-Identifier: Apache-2.0 */
/* Resize: nearest, linear or cubic along each axis in turn, with the coordinate modes of opset 19, antialiasing and crops. */
#include "ops/resize.h"

static double source_place(const ol_resize *r, const ol_resize_axis *p, double x) {
    double n = (double)p->in, s = p->scale, len = s * n;
    if (ol_str_is(r->coords, "asymmetric")) return x / s;
    if (ol_str_is(r->coords, "align_corners")) return p->out == 1 ? 0 : x * (n - 1) / (len - 1);
    if (ol_str_is(r->coords, "pytorch_half_pixel")) return p->out == 1 ? 0 : (x + 0.5) / s - 0.5;
    if (ol_str_is(r->coords, "half_pixel_symmetric")) {
        double adjust = (double)p->out / len, center = n / 2, offset = center * (1 - adjust);
        return offset + (x + 0.5) / s - 0.5;
    }
    if (ol_str_is(r->coords, "tf_crop_and_resize"))
        return p->out == 1 ? 0.5 * (p->start + p->end) * (n - 1) : p->start * (n - 1) + x * (p->end - p->start) * (n - 1) / ((double)p->out - 1);
    return (x + 0.5) / s - 0.5;
}

static double round_place(const ol_resize *r, double x) {
    if (ol_str_is(r->nearest, "floor")) return floor(x);
    if (ol_str_is(r->nearest, "ceil")) return ceil(x);
    if (ol_str_is(r->nearest, "round_prefer_ceil")) return floor(x + 0.5);
    return ceil(x - 0.5);
}

static double cubic(double x, double a) {
    x = fabs(x);
    if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

int ol_resize_taps(const ol_resize *r, const ol_resize_axis *p, int64_t o, int64_t *first, double *w) {
    double x = source_place(r, p, (double)o);
    if (ol_str_is(r->mode, "nearest")) {
        *first = (int64_t)round_place(r, x);
        w[0] = 1;
        return 1;
    }
    bool is_cubic = ol_str_is(r->mode, "cubic");
    double stretch = r->antialias && p->scale < 1 ? 1 / p->scale : 1, reach = (is_cubic ? 2 : 1) * stretch, sum = 0;
    *first = ol_f64_to_i64(ceil(x - reach));
    int64_t last = ol_f64_to_i64(floor(x + reach));
    int n = last - *first + 1 > OL_RESIZE_MAX_TAPS ? OL_RESIZE_MAX_TAPS : (int)(last - *first + 1);
    for (int i = 0; i < n; i++) {
        double d = ((double)(*first + i) - x) / stretch;
        w[i] = is_cubic ? cubic(d, r->cubic_a) : fmax(0, 1 - fabs(d));
        if (r->exclude && (*first + i < 0 || *first + i >= p->in)) w[i] = 0;
        sum += w[i];
    }
    for (int i = 0; i < n && sum != 0; i++) w[i] /= sum;
    return n;
}

/* One axis of v [outer, in, inner] into a new array. */
static double *one_axis(const ol_resize *r, const ol_resize_axis *p, const double *v, int64_t outer, int64_t inner) {
    double *y = ol_calloc((size_t)(outer * p->out), (size_t)inner * sizeof *y + 1), *w = ol_alloc(OL_RESIZE_MAX_TAPS * sizeof *w);
    for (int64_t o = 0; y && w && o < p->out; o++) {
        int64_t first;
        int n = ol_resize_taps(r, p, o, &first, w);
        double place = source_place(r, p, (double)o);
        bool outside = ol_str_is(r->coords, "tf_crop_and_resize") && (place < 0 || place > (double)p->in - 1);
        for (int64_t a = 0; a < outer; a++)
            for (int64_t b = 0; b < inner; b++) {
                double sum = outside ? r->extrapolation : 0;
                for (int i = 0; i < n && !outside; i++) {
                    int64_t k = first + i < 0 ? 0 : first + i >= p->in ? p->in - 1 : first + i;
                    if (w[i] != 0) sum += w[i] * v[(a * p->in + k) * inner + b];
                }
                y[(a * p->out + o) * inner + b] = sum;
            }
    }
    bool ok = w != NULL;
    ol_free(w);
    if (ok) return y;
    ol_free(y);
    return NULL;
}

/* The axes that the node names, or all. */
static olv_status axes_of(const ol_node *n, int rank, int *axes, int *count, olv_error *err) {
    size_t k;
    const int64_t *a = ol_node_ints(n, "axes", &k);
    *count = a ? (int)k : rank;
    if (*count > rank) return ol_fail(err, OLV_SHAPE, "%d axes for rank %d", *count, rank);
    for (int i = 0; i < *count; i++) {
        axes[i] = i;
        if (a) OL_TRY(ol_axis(a[i], rank, false, &axes[i], err));
    }
    return OLV_OK;
}

/* Output sizes and scales from either input. */
static olv_status plan_axes(ol_eval *c, const ol_tensor *x, ol_resize_axis *p, olv_error *err) {
    const ol_tensor *roi = ol_eval_in(c, 1), *scales = ol_eval_in(c, 2), *sizes = ol_eval_in(c, 3);
    int axes[OL_MAX_RANK], n;
    OL_TRY(axes_of(c->node, x->rank, axes, &n, err));
    for (int i = 0; i < x->rank; i++) p[i] = (ol_resize_axis){x->dims[i], x->dims[i], 1, 0, 1};
    bool by_scale = scales && ol_tensor_count(scales) > 0;
    if (by_scale ? ol_tensor_count(scales) != n : !sizes || ol_tensor_count(sizes) != n) return ol_fail(err, OLV_SHAPE, "scales or sizes do not fit");
    ol_str keep = ol_node_string(c->node, "keep_aspect_ratio_policy", "stretch");
    double ratio = 0;
    for (int i = 0; i < n && !by_scale; i++) {
        double s = (double)ol_tensor_i64(sizes, i) / (double)x->dims[axes[i]];
        ratio = i == 0 ? s : ol_str_is(keep, "not_larger") ? fmin(ratio, s) : fmax(ratio, s);
    }
    bool kept = !by_scale && !ol_str_is(keep, "stretch");
    for (int i = 0; i < n; i++) {
        ol_resize_axis *a = &p[axes[i]];
        a->scale = by_scale ? ol_tensor_get(scales, i) : kept ? ratio : (double)ol_tensor_i64(sizes, i) / (double)a->in;
        if (!(a->scale > 0) || a->in < 1 || a->scale * (double)a->in > 1e9) return ol_fail(err, OLV_SHAPE, "scale %g of %lld elements", a->scale, (long long)a->in);
        a->out = by_scale ? ol_f64_to_i64(floor(a->scale * (double)a->in)) : kept ? ol_f64_to_i64(floor(ratio * (double)a->in + 0.5)) : ol_tensor_i64(sizes, i);
        if (roi && ol_tensor_count(roi) == 2 * n) {
            a->start = ol_tensor_get(roi, i);
            a->end = ol_tensor_get(roi, n + i);
            if (by_scale && ol_str_is(ol_node_string(c->node, "coordinate_transformation_mode", ""), "tf_crop_and_resize"))
                a->out = ol_f64_to_i64(floor((double)a->in * (a->end - a->start) * a->scale));
        }
    }
    return OLV_OK;
}

ol_resize ol_resize_of(const ol_node *n) {
    return (ol_resize){ol_node_string(n, "mode", "nearest"), ol_node_string(n, "coordinate_transformation_mode", "half_pixel"),
                       ol_node_string(n, "nearest_mode", "round_prefer_floor"), (double)ol_node_float(n, "cubic_coeff_a", -0.75f),
                       (double)ol_node_float(n, "extrapolation_value", 0), ol_node_int(n, "exclude_outside", 0) != 0, ol_node_int(n, "antialias", 0) != 0};
}

static olv_status eval(ol_eval *c, olv_error *err) {
    const ol_tensor *x;
    ol_tensor *y;
    ol_resize_axis p[OL_MAX_RANK];
    int64_t dims[OL_MAX_RANK];
    double *v;
    const ol_node *n = c->node;
    ol_resize r = ol_resize_of(n);
    OL_TRY(ol_eval_need(c, 0, &x, err));
    OL_TRY(plan_axes(c, x, p, err));
    memcpy(dims, x->dims, sizeof dims);
    OL_TRY(ol_tensor_f64(x, &v, err));
    olv_status s = OLV_OK;
    for (int i = x->rank - 1; i >= 0 && s == OLV_OK; i--) {
        bool crop = ol_str_is(r.coords, "tf_crop_and_resize");
        if (p[i].out == p[i].in && p[i].scale == 1 && (!crop || (p[i].start == 0 && p[i].end == 1))) continue;
        double *next = one_axis(&r, &p[i], v, ol_dims_count(dims, 0, i), ol_dims_count(dims, i + 1, x->rank));
        if (!next) s = ol_fail(err, OLV_NOMEM, "no memory to resize");
        ol_free(v);
        v = next;
        dims[i] = p[i].out;
    }
    if (s == OLV_OK) s = ol_eval_out(c, 0, x->dtype, x->rank, dims, &y, err);
    if (s == OLV_OK) ol_tensor_store(y, v);
    ol_free(v);
    return s;
}

/* Sizes where one ratio, the least or the greatest of those asked for, holds for all axes. */
static void infer_kept_ratio(ol_infer *c, const ol_type *x, const int *axes, int n, const ol_dim *sizes) {
    bool least = ol_str_is(ol_node_string(c->node, "keep_aspect_ratio_policy", "stretch"), "not_larger");
    double ratio = 0;
    for (int i = 0; i < n; i++) {
        ol_dim d = x->dims[axes[i]];
        if (d < 1 || sizes[i] < 1) return; /* not known */
        double s = (double)sizes[i] / (double)d;
        ratio = i == 0 ? s : least ? fmin(ratio, s) : fmax(ratio, s);
    }
    for (int i = 0; i < n; i++) {
        double size = floor(ratio * (double)x->dims[axes[i]] + 0.5);
        if (size < 1e9) c->out[0].dims[axes[i]] = (int64_t)size;
    }
}

static olv_status infer(ol_infer *c, olv_error *err) {
    const ol_type *x = ol_infer_in(c, 0);
    ol_dim sizes[OL_MAX_RANK];
    int axes[OL_MAX_RANK], n;
    ol_tensor t;
    c->out[0].dtype = x->dtype;
    if (x->rank < 0) return OLV_OK;
    ol_infer_set(c, 0, x->dtype, x->rank);
    OL_TRY(axes_of(c->node, x->rank, axes, &n, err));
    for (int i = 0; i < x->rank && n < x->rank; i++) c->out[0].dims[i] = x->dims[i];
    for (int i = 0; i < n && n < x->rank; i++) c->out[0].dims[axes[i]] = ol_infer_fresh(c);
    bool stretch = ol_str_is(ol_node_string(c->node, "keep_aspect_ratio_policy", "stretch"), "stretch");
    bool crop = ol_str_is(ol_node_string(c->node, "coordinate_transformation_mode", ""), "tf_crop_and_resize");
    if (ol_infer_in(c, 3) && ol_infer_ints(c, 3, sizes, OL_MAX_RANK) == n) {
        if (!stretch) infer_kept_ratio(c, x, axes, n, sizes);
        for (int i = 0; i < n && stretch; i++)
            if (!ol_infer_is_negative(sizes[i])) c->out[0].dims[axes[i]] = sizes[i];
    }
    if (ol_infer_in(c, 2) && !crop && ol_value_const_tensor(c->node->inputs[2], 4096, &t)) {
        for (int i = 0; i < n && ol_tensor_count(&t) == n; i++) {
            double s = ol_tensor_get(&t, i);
            ol_dim d = x->dims[axes[i]];
            if (s == 1) c->out[0].dims[axes[i]] = d;
            else if (ol_dim_known(d) && s > 0 && s * (double)d < 1e9) c->out[0].dims[axes[i]] = ol_f64_to_i64(floor(s * (double)d));
            else if (s == floor(s) && s > 0 && s < 1e6) c->out[0].dims[axes[i]] = ol_dim_mul(c->graph->dims, d, (int64_t)s);
        }
        ol_tensor_deinit(&t);
    }
    return OLV_OK;
}

static const ol_attr_spec attrs[] = {{"antialias", OL_ATTR_INT, false}, {"axes", OL_ATTR_INTS, false}, {"coordinate_transformation_mode", OL_ATTR_STRING, false},
    {"cubic_coeff_a", OL_ATTR_FLOAT, false}, {"exclude_outside", OL_ATTR_INT, false}, {"extrapolation_value", OL_ATTR_FLOAT, false},
    {"keep_aspect_ratio_policy", OL_ATTR_STRING, false}, {"mode", OL_ATTR_STRING, false}, {"nearest_mode", OL_ATTR_STRING, false}};
extern const ol_op ol_op_Resize;
const ol_op ol_op_Resize = {"", "Resize", "nearest, linear or cubic interpolation", 1, 4, 1, 1, attrs, 9, infer, eval, NULL, false, false};
