/* SPDX-License-Identifier: Apache-2.0 */
/* Regions of images brought to one size: RoiAlign samples between pixels, MaxRoiPool takes whole
 * pixels. Regions are x1, y1, x2, y2. */
#include "ops/ops.h"

#define MAX_SAMPLES 4096 /* of a bin, along a dim */

typedef struct align {
    const ol_tensor *x, *rois, *batch;
    int64_t h, w, out_h, out_w, ratio;
    double scale, offset;
    bool max;
} align;

static olv_status align_init(ol_eval *c, align *a, olv_error *err) {
    OL_TRY(ol_eval_need(c, 0, &a->x, err));
    OL_TRY(ol_eval_need(c, 1, &a->rois, err));
    OL_TRY(ol_eval_need(c, 2, &a->batch, err));
    if (a->x->rank != 4 || a->rois->rank != 2 || a->rois->dims[1] != 4 ||
        ol_tensor_count(a->batch) != a->rois->dims[0])
        return ol_fail(err, OLV_SHAPE, "input, regions and their images do not fit");
    a->h = a->x->dims[2];
    a->w = a->x->dims[3];
    a->out_h = ol_node_int(c->node, "output_height", 1);
    a->out_w = ol_node_int(c->node, "output_width", 1);
    a->ratio = ol_node_int(c->node, "sampling_ratio", 0);
    a->scale = (double)ol_node_float(c->node, "spatial_scale", 1);
    ol_str mode = ol_node_string(c->node, "mode", "avg");
    ol_str place = ol_node_string(c->node, "coordinate_transformation_mode", "half_pixel");
    a->offset = ol_str_is(place, "half_pixel") ? 0.5 : 0;
    a->max = ol_str_is(mode, "max");
    if (a->out_h < 1 || a->out_w < 1 || a->ratio > MAX_SAMPLES)
        return ol_fail(err, OLV_SHAPE, "output [%lld, %lld], sampling_ratio %lld",
                       (long long)a->out_h, (long long)a->out_w, (long long)a->ratio);
    return OLV_OK;
}

/* Interpolated value at a place; for mode max, as the published vectors have it, the greatest of the
 * four weighted pixels. */
static double sample(const align *a, int64_t base, double y, double x) {
    if (!(y >= -1 && y <= (double)a->h && x >= -1 && x <= (double)a->w)) return 0;
    y = fmax(y, 0);
    x = fmax(x, 0);
    int64_t r = (int64_t)y, k = (int64_t)x, r1 = r + 1, k1 = k + 1;
    if (r >= a->h - 1) y = (double)(r = r1 = a->h - 1);
    if (k >= a->w - 1) x = (double)(k = k1 = a->w - 1);
    double v = y - (double)r, u = x - (double)k;
    double part[4] = {(1 - v) * (1 - u) * ol_tensor_get(a->x, base + r * a->w + k),
                      (1 - v) * u * ol_tensor_get(a->x, base + r * a->w + k1),
                      v * (1 - u) * ol_tensor_get(a->x, base + r1 * a->w + k),
                      v * u * ol_tensor_get(a->x, base + r1 * a->w + k1)};
    if (a->max) return fmax(fmax(part[0], part[1]), fmax(part[2], part[3]));
    return part[0] + part[1] + part[2] + part[3];
}

static int64_t samples(const align *a, double size, int64_t bins, olv_error *err) {
    double n = a->ratio > 0 ? (double)a->ratio : ceil(size / (double)bins);
    if (n <= MAX_SAMPLES) return n > 0 ? (int64_t)n : 0;
    ol_fail(err, OLV_LIMIT, "region of %g pixels", size);
    return -1;
}

static double bin(const align *a, int64_t base, const double *start, const double *size,
                  const int64_t *n) {
    double sum = 0;
    for (int64_t i = 0; i < n[0] * n[1]; i++) {
        double y = start[0] + ((double)(i / n[1]) + 0.5) * size[0] / (double)n[0];
        double x = start[1] + ((double)(i % n[1]) + 0.5) * size[1] / (double)n[1];
        double v = sample(a, base, y, x);
        sum = !a->max ? sum + v : i ? fmax(sum, v) : v;
    }
    return a->max || n[0] * n[1] == 0 ? sum : sum / (double)(n[0] * n[1]);
}

static olv_status align_region(const align *a, int64_t i, ol_tensor *y, olv_error *err) {
    double v[4];
    int64_t image = ol_tensor_i64(a->batch, i), channels = a->x->dims[1], n[2];
    if (image < 0 || image >= a->x->dims[0])
        return ol_fail(err, OLV_ARG, "image %lld of %lld", (long long)image, (long long)a->x->dims[0]);
    for (int k = 0; k < 4; k++) {
        v[k] = ol_tensor_get(a->rois, 4 * i + k) * a->scale - a->offset;
        if (!(fabs(v[k]) < 1e9)) return ol_fail(err, OLV_ARG, "region at %g", v[k]);
    }
    double height = v[3] - v[1], width = v[2] - v[0];
    if (a->offset == 0) {
        height = fmax(height, 1);
        width = fmax(width, 1);
    }
    const double size[2] = {height / (double)a->out_h, width / (double)a->out_w};
    if ((n[0] = samples(a, height, a->out_h, err)) < 0) return OLV_LIMIT;
    if ((n[1] = samples(a, width, a->out_w, err)) < 0) return OLV_LIMIT;
    for (int64_t k = 0; k < channels * a->out_h * a->out_w; k++) {
        int64_t col = k % a->out_w, row = k / a->out_w % a->out_h, ch = k / a->out_w / a->out_h;
        const double start[2] = {v[1] + (double)row * size[0], v[0] + (double)col * size[1]};
        ol_tensor_set(y, i * channels * a->out_h * a->out_w + k,
                      bin(a, (image * channels + ch) * a->h * a->w, start, size, n));
    }
    return OLV_OK;
}

static olv_status eval_align(ol_eval *c, olv_error *err) {
    align a;
    ol_tensor *y;
    OL_TRY(align_init(c, &a, err));
    const int64_t dims[4] = {a.rois->dims[0], a.x->dims[1], a.out_h, a.out_w};
    OL_TRY(ol_eval_out(c, 0, a.x->dtype, 4, dims, &y, err));
    if (a.h < 1 || a.w < 1) return ol_fail(err, OLV_SHAPE, "image without pixels");
    for (int64_t i = 0; i < dims[0]; i++) OL_TRY(align_region(&a, i, y, err));
    return OLV_OK;
}

static olv_status infer_regions(ol_infer *c, int64_t h, int64_t w, olv_error *err) {
    const ol_type *x = ol_infer_in(c, 0), *r = ol_infer_in(c, 1);
    OL_TRY(ol_infer_rank(c, 0, 4, 4, err));
    OL_TRY(ol_infer_rank(c, 1, 2, 2, err));
    if (h < 1 || w < 1)
        return ol_fail(err, OLV_SHAPE, "output [%lld, %lld]", (long long)h, (long long)w);
    ol_infer_set(c, 0, x->dtype, 4);
    if (r->rank == 2) c->out[0].dims[0] = r->dims[0];
    if (x->rank == 4) c->out[0].dims[1] = x->dims[1];
    c->out[0].dims[2] = h;
    c->out[0].dims[3] = w;
    return OLV_OK;
}

static olv_status infer_align(ol_infer *c, olv_error *err) {
    return infer_regions(c, ol_node_int(c->node, "output_height", 1),
                         ol_node_int(c->node, "output_width", 1), err);
}

/* ---- MaxRoiPool ---- */

static olv_status pooled_shape(const ol_node *n, int64_t *out, olv_error *err) {
    size_t k;
    const int64_t *v = ol_node_ints(n, "pooled_shape", &k);
    if (k != 2 || v[0] < 1 || v[1] < 1) return ol_fail(err, OLV_SHAPE, "pooled_shape of two sizes expected");
    out[0] = v[0];
    out[1] = v[1];
    return OLV_OK;
}

/* Pixels [from, to) of bin i of n that cover `size` pixels from `start` on. */
static void bin_range(double size, int64_t n, int64_t i, double start, int64_t limit, int64_t *from,
                      int64_t *to) {
    double a = floor((double)i * size / (double)n) + start;
    double b = ceil((double)(i + 1) * size / (double)n) + start;
    *from = a < 0 ? 0 : a > (double)limit ? limit : (int64_t)a;
    *to = b < 0 ? 0 : b > (double)limit ? limit : (int64_t)b;
}

static double greatest(const ol_tensor *x, int64_t base, const int64_t *row, const int64_t *col) {
    double max = 0;
    bool any = false;
    for (int64_t r = row[0]; r < row[1]; r++)
        for (int64_t k = col[0]; k < col[1]; k++) {
            double v = ol_tensor_get(x, base + r * x->dims[3] + k);
            if (!any || v > max) max = v;
            any = true;
        }
    return max;
}

static olv_status eval_pool(ol_eval *c, olv_error *err) {
    const ol_tensor *x, *rois;
    ol_tensor *y;
    int64_t size[2] = {0};
    OL_TRY(ol_eval_need(c, 0, &x, err));
    OL_TRY(ol_eval_need(c, 1, &rois, err));
    OL_TRY(pooled_shape(c->node, size, err));
    if (x->rank != 4 || rois->rank != 2 || rois->dims[1] != 5)
        return ol_fail(err, OLV_SHAPE, "input and regions do not fit");
    double scale = (double)ol_node_float(c->node, "spatial_scale", 1);
    const int64_t dims[4] = {rois->dims[0], x->dims[1], size[0], size[1]};
    OL_TRY(ol_eval_out(c, 0, x->dtype, 4, dims, &y, err));
    for (int64_t i = 0, n = ol_tensor_count(y); i < n; i++) {
        int64_t r = i / (dims[1] * size[0] * size[1]), ch = i / (size[0] * size[1]) % dims[1];
        double v[5], image = ol_tensor_get(rois, 5 * r);
        for (int k = 1; k < 5; k++) v[k] = round(ol_tensor_get(rois, 5 * r + k) * scale);
        if (!(image >= 0 && image < (double)x->dims[0])) return ol_fail(err, OLV_ARG, "image %g", image);
        int64_t row[2], col[2];
        bin_range(fmax(v[4] - v[2] + 1, 1), size[0], i / size[1] % size[0], v[2], x->dims[2], &row[0], &row[1]);
        bin_range(fmax(v[3] - v[1] + 1, 1), size[1], i % size[1], v[1], x->dims[3], &col[0], &col[1]);
        int64_t base = ((int64_t)image * dims[1] + ch) * x->dims[2] * x->dims[3];
        ol_tensor_set(y, i, greatest(x, base, row, col));
    }
    return OLV_OK;
}

static olv_status infer_pool(ol_infer *c, olv_error *err) {
    int64_t size[2] = {0};
    OL_TRY(pooled_shape(c->node, size, err));
    return infer_regions(c, size[0], size[1], err);
}

static const ol_attr_spec align_attrs[] = {
    {"coordinate_transformation_mode", OL_ATTR_STRING, false}, {"mode", OL_ATTR_STRING, false},
    {"output_height", OL_ATTR_INT, false},  {"output_width", OL_ATTR_INT, false},
    {"sampling_ratio", OL_ATTR_INT, false}, {"spatial_scale", OL_ATTR_FLOAT, false}};
static const ol_attr_spec pool_attrs[] = {{"pooled_shape", OL_ATTR_INTS, true},
                                          {"spatial_scale", OL_ATTR_FLOAT, false}};
extern const ol_op ol_op_RoiAlign, ol_op_MaxRoiPool;
const ol_op ol_op_RoiAlign = {.domain = "", .name = "RoiAlign",
                              .summary = "regions sampled to one size", .min_inputs = 3,
                              .max_inputs = 3, .min_outputs = 1, .max_outputs = 1,
                              OL_ATTRS(align_attrs), .infer = infer_align, .eval = eval_align};
const ol_op ol_op_MaxRoiPool = {.domain = "", .name = "MaxRoiPool",
                                .summary = "greatest values of the parts of regions",
                                .min_inputs = 2, .max_inputs = 2, .min_outputs = 1,
                                .max_outputs = 1, OL_ATTRS(pool_attrs), .infer = infer_pool,
                                .eval = eval_pool};
