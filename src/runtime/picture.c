/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/picture.h"
#include "base/alloc.h"
#include "base/checked.h"
#include "base/error.h"
#include <math.h>
#include <string.h>

/* Where the axes of a picture lie in a tensor; -1: there is no such axis. */
typedef struct axes {
    int batch, channel, row, column;
} axes;

static bool may_be_channels(int64_t d) { return d == 1 || d == 3; }

static olv_status find_axes(const olv_port *p, axes *out, olv_error *err) {
    int r = p->rank, first = r - 3, last = r - 1;
    *out = (axes){r == 4 ? 0 : -1, -1, r - 2, r - 1};
    if (r == 2) return OLV_OK;
    if (p->kind != OLV_KIND_TENSOR || r < 2 || r > 4)
        return ol_fail(err, OLV_SHAPE, "input '%.200s' has rank %d: a picture needs [N,C,H,W], [N,H,W,C], [C,H,W], [H,W,C] or [H,W]", p->name, r);
    if (r == 4 && p->dims[0] > 1)
        return ol_fail(err, OLV_SHAPE, "input '%.200s' takes %lld pictures at a time, one was given", p->name, (long long)p->dims[0]);
    if (may_be_channels(p->dims[first])) *out = (axes){out->batch, first, first + 1, first + 2};
    else if (may_be_channels(p->dims[last])) *out = (axes){out->batch, last, first, first + 1};
    else return ol_fail(err, OLV_SHAPE, "input '%.200s' has no dimension of 1 or 3 channels before or behind the two last", p->name);
    return OLV_OK;
}

/* One axis of a resampling: the dots [first, first + n) with their weights make dot i of the result. */
typedef struct taps {
    size_t first, n;
    float *weight;
} taps;

static void area_taps(taps *t, size_t i, double scale, size_t from) {
    double begin = (double)i * scale, end = begin + scale;
    t->first = (size_t)begin;
    for (size_t k = t->first; k < from && (double)k < end - 1e-9; k++) {
        double lo = (double)k > begin ? (double)k : begin, hi = (double)(k + 1) < end ? (double)(k + 1) : end;
        t->weight[t->n++] = (float)((hi - lo) / scale);
    }
}

static void linear_taps(taps *t, size_t i, double scale, size_t from) {
    double at = ((double)i + 0.5) * scale - 0.5;
    if (at < 0) at = 0;
    if (at > (double)(from - 1)) at = (double)(from - 1);
    t->first = (size_t)at;
    t->weight[0] = (float)(1 - (at - (double)t->first));
    t->weight[1] = 1 - t->weight[0];
    t->n = t->weight[1] > 0 ? 2 : 1;
}

/* The taps of all dots of an axis, in one block (ol_free it). */
static taps *make_taps(size_t from, size_t to) {
    double scale = (double)from / (double)to;
    size_t each = from > to ? (size_t)scale + 3 : 2, bytes, weights;
    if (!ol_mul_size(to, sizeof(taps), &bytes) || !ol_mul_size(to, each * sizeof(float), &weights) || !ol_add_size(bytes, weights, &weights)) return NULL;
    taps *t = ol_calloc(1, weights);
    for (size_t i = 0; t && i < to; i++) {
        t[i].weight = (float *)((char *)t + bytes) + i * each;
        if (from > to) area_taps(&t[i], i, scale, from);
        else linear_taps(&t[i], i, scale, from);
    }
    return t;
}

/* Dots of one channel as floats 0..255: columns first, then rows. */
static void resample_channel(const ol_picture *p, size_t channel, const taps *tx, const taps *ty, size_t width, size_t height, float *wide, float *out) {
    for (size_t y = 0; y < p->height; y++)
        for (size_t x = 0; x < width; x++) {
            float sum = 0;
            for (size_t k = 0; k < tx[x].n; k++)
                sum += tx[x].weight[k] * (float)p->pixels[(y * p->width + tx[x].first + k) * p->channels + channel];
            wide[y * width + x] = sum;
        }
    for (size_t y = 0; y < height; y++)
        for (size_t x = 0; x < width; x++) {
            float sum = 0;
            for (size_t k = 0; k < ty[y].n; k++) sum += ty[y].weight[k] * wide[(ty[y].first + k) * width + x];
            out[y * width + x] = sum;
        }
}

static void put_channel(ol_tensor *t, const axes *a, size_t channel, const float *v, size_t width, size_t height) {
    size_t channels = a->channel < 0 ? 1 : (size_t)t->dims[a->channel];
    bool last = a->channel > a->column;
    bool fraction = ol_dtype_class(t->dtype) == 'f';
    for (size_t i = 0; i < width * height; i++) {
        size_t at = last ? i * channels + channel : channel * width * height + i;
        ol_elem_set(t->dtype, t->data, at, fraction ? (double)(v[i] / 255.0f) : (double)roundf(v[i]));
    }
}

static olv_status fill(ol_tensor *t, const axes *a, const ol_picture *p, olv_error *err) {
    size_t width = (size_t)t->dims[a->column], height = (size_t)t->dims[a->row], n, m;
    if (!ol_mul_size(width, height, &n) || !ol_mul_size(width, p->height, &m)) return ol_fail(err, OLV_LIMIT, "a picture is too large");
    taps *tx = make_taps(p->width, width), *ty = make_taps(p->height, height);
    float *wide = ol_calloc(m, sizeof *wide), *out = ol_calloc(n, sizeof *out);
    bool ok = tx && ty && wide && out;
    for (size_t c = 0; ok && c < p->channels; c++) {
        resample_channel(p, c, tx, ty, width, height, wide, out);
        put_channel(t, a, c, out, width, height);
    }
    ol_free(tx), ol_free(ty), ol_free(wide), ol_free(out);
    return ok ? OLV_OK : ol_fail(err, OLV_NOMEM, "no memory to resize a picture");
}

olv_status ol_picture_to_tensor(const void *data, size_t len, const olv_port *like, olv_tensor **out, olv_error *err) {
    static const olv_port plain = {.name = "", .kind = OLV_KIND_TENSOR, .dtype = OLV_U8, .rank = 3, .dims = {-1, -1, 3}};
    ol_picture p;
    axes a;
    const olv_port *port = like && like->rank >= 0 ? like : &plain;
    olv_dtype dtype = port->dtype ? port->dtype : OLV_U8;
    if (dtype == OLV_STRING) return ol_fail(err, OLV_ARG, "input '%.200s' takes strings, not a picture", port->name);
    OL_TRY(find_axes(port, &a, err));
    OL_TRY(ol_picture_decode(data, len, port == &plain ? 0 : a.channel < 0 ? 1 : (size_t)port->dims[a.channel], &p, err));
    int64_t dims[4] = {1, 1, 1, 1};
    if (a.channel >= 0) dims[a.channel] = (int64_t)p.channels;
    dims[a.row] = port->dims[a.row] > 0 ? port->dims[a.row] : (int64_t)p.height;
    dims[a.column] = port->dims[a.column] > 0 ? port->dims[a.column] : (int64_t)p.width;
    olv_tensor *t = NULL;
    olv_status s = olv_tensor_create(dtype, port->rank, dims, &t, err);
    if (s == OLV_OK) s = fill(&t->datum.tensor, &a, &p, err);
    ol_picture_deinit(&p);
    if (s == OLV_OK) *out = t;
    else olv_tensor_destroy(t);
    return s;
}
