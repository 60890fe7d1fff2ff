/* SPDX-License-Identifier: Apache-2.0 */
/* MaxPool, AveragePool, and the global pools, over one or two spatial dims. A tile is some planes; a window of a row is
 * gathered into the sum or maximum of whole output rows, so that the inner loop runs along the image. */
#include "base/error.h"
#include "device/cpu/cpu.h"
#include "graph/op.h"
#include "ops/window.h"
#include <float.h>
#include <math.h>
#include <string.h>

#define TILE_INPUTS 16384

typedef struct pool_args {
    const ol_node *node;
    int x, y, n_spatial;
    ol_dim planes, in[2];
    bool global, max, count_pads;
    int64_t kernel[2];
} pool_args;

typedef struct sizes {
    ol_window w; /* always two dims, the first of size 1 if there is one */
    int64_t planes, in, out, per;
} sizes;

static bool find_sizes(const pool_args *a, const ol_run *r, sizes *z) {
    int64_t in[2] = {1, 1};
    int n = a->n_spatial;
    for (int i = 0; i < n; i++) in[i] = ol_cpu_rows(r, a->in[i]);
    memset(&z->w, 0, sizeof z->w);
    if (a->global) {
        z->w.n = n;
        for (int i = 0; i < n; i++) {
            z->w.in[i] = z->w.kernel[i] = in[i];
            z->w.out[i] = z->w.stride[i] = z->w.dilation[i] = 1;
        }
    } else if (ol_window_init(&z->w, a->node, n, in, a->kernel, NULL) != OLV_OK) {
        return false;
    }
    if (n == 1) { /* as the only row of a plane */
        z->w.in[1] = z->w.in[0], z->w.out[1] = z->w.out[0], z->w.kernel[1] = z->w.kernel[0], z->w.stride[1] = z->w.stride[0];
        z->w.dilation[1] = z->w.dilation[0], z->w.begin[1] = z->w.begin[0], z->w.end[1] = z->w.end[0];
        z->w.in[0] = z->w.out[0] = z->w.kernel[0] = z->w.stride[0] = z->w.dilation[0] = 1;
        z->w.begin[0] = z->w.end[0] = 0;
    }
    z->planes = ol_cpu_rows(r, a->planes);
    z->in = z->w.in[0] * z->w.in[1];
    z->out = z->w.out[0] * z->w.out[1];
    z->per = z->in ? TILE_INPUTS / z->in + 1 : 1;
    return true;
}

static unsigned tiles(const ol_step *s, const ol_run *r) {
    sizes z;
    return find_sizes(s->args, r, &z) ? (unsigned)((z.planes + z.per - 1) / z.per) : 0;
}

/* Outputs [*lo, *hi) of a row whose input at tap j lies inside. */
static void inside(const ol_window *w, int64_t j, int64_t *lo, int64_t *hi) {
    int64_t x0 = j * w->dilation[1] - w->begin[1], s = w->stride[1];
    *lo = x0 >= 0 ? 0 : (-x0 + s - 1) / s;
    *hi = x0 >= w->in[1] ? 0 : (w->in[1] - 1 - x0) / s + 1;
    if (*hi > w->out[1]) *hi = w->out[1];
    if (*lo > *hi) *lo = *hi;
}

static void add_row(bool max, const float *x, int64_t stride, float *y, int64_t n) {
    if (max)
        for (int64_t i = 0; i < n; i++) {
            float v = x[i * stride];
            y[i] = v > y[i] || v != v ? v : y[i];
        }
    else
        for (int64_t i = 0; i < n; i++) y[i] += x[i * stride];
}

/* How many taps an average divides by: those inside, or those inside the padded image. */
static int64_t taps_of(const ol_window *w, int axis, int64_t o, bool pads) {
    int64_t start = o * w->stride[axis] - w->begin[axis], n = 0;
    int64_t first = pads ? -w->begin[axis] : 0, end = w->in[axis] + (pads ? w->end[axis] : 0);
    for (int64_t k = 0; k < w->kernel[axis]; k++) {
        int64_t at = start + k * w->dilation[axis];
        n += at >= first && at < end;
    }
    return n;
}

static void pool_plane(const pool_args *a, const ol_window *w, const float *x, float *y) {
    for (int64_t oy = 0; oy < w->out[0]; oy++, y += w->out[1]) {
        for (int64_t i = 0; i < w->out[1]; i++) y[i] = a->max ? -INFINITY : 0;
        for (int64_t i = 0; i < w->kernel[0]; i++) {
            int64_t iy = oy * w->stride[0] - w->begin[0] + i * w->dilation[0];
            if (iy < 0 || iy >= w->in[0]) continue;
            for (int64_t j = 0; j < w->kernel[1]; j++) {
                int64_t lo, hi;
                inside(w, j, &lo, &hi);
                const float *row = x + iy * w->in[1] + j * w->dilation[1] - w->begin[1];
                add_row(a->max, row + lo * w->stride[1], w->stride[1], y + lo, hi - lo);
            }
        }
        if (a->max) continue;
        int64_t high = taps_of(w, 0, oy, a->count_pads);
        for (int64_t i = 0; i < w->out[1]; i++) y[i] /= (float)(high * taps_of(w, 1, i, a->count_pads));
    }
}

/* Sums of many independent chains, so that they stay exact enough and quick. */
static float plane_mean(const float *x, int64_t n) {
    float s[16] = {0};
    int64_t i = 0;
    for (; i + 16 <= n; i += 16)
        for (int k = 0; k < 16; k++) s[k] += x[i + k];
    double sum = 0;
    for (int k = 0; k < 16; k++) sum += (double)s[k];
    for (; i < n; i++) sum += (double)x[i];
    return (float)(sum / (double)n);
}

static void run(const ol_step *s, const ol_run *r, unsigned tile, void *scratch) {
    const pool_args *a = s->args;
    sizes z;
    (void)scratch;
    if (!find_sizes(a, r, &z)) return;
    int64_t p0 = (int64_t)tile * z.per, p1 = p0 + z.per < z.planes ? p0 + z.per : z.planes;
    const float *x = ol_run_buffer(r, a->x);
    float *y = ol_run_buffer(r, a->y);
    for (int64_t p = p0; p < p1; p++) {
        if (a->global && !a->max) y[p] = plane_mean(x + p * z.in, z.in);
        else pool_plane(a, &z.w, x + p * z.in, y + p * z.out);
    }
}
static const ol_step_class pool_class = {"pool", tiles, NULL, NULL, run};

olv_status ol_lower_pool(ol_lowering *l, ol_node *n, olv_error *err) {
    const ol_value *x = n->inputs[0];
    pool_args a = {.node = n, .n_spatial = x->type.rank - 2};
    size_t count = 0;
    a.global = !strncmp(n->op->name, "Global", 6);
    a.max = strstr(n->op->name, "Max") != NULL;
    a.count_pads = ol_node_int(n, "count_include_pad", 0) != 0;
    if (a.n_spatial < 1 || a.n_spatial > 2) return ol_fail(err, OLV_UNSUPPORTED, "only one or two spatial dims");
    if (ol_dtype_class(x->type.dtype) != 'f') return ol_fail(err, OLV_UNSUPPORTED, "only floating point");
    for (int i = 1; i < n->n_outputs; i++)
        if (n->outputs[i]) return ol_fail(err, OLV_UNSUPPORTED, "places of the maxima as an output");
    const int64_t *k = ol_node_ints(n, "kernel_shape", &count);
    if (!a.global && count != (size_t)a.n_spatial) return ol_fail(err, OLV_UNSUPPORTED, "no kernel_shape");
    for (int i = 0; i < a.n_spatial; i++) {
        a.in[i] = x->type.dims[2 + i];
        if (!a.global) a.kernel[i] = k[i];
    }
    a.planes = ol_dim_mul(l->graph->dims, x->type.dims[0], x->type.dims[1]);
    if ((a.x = ol_lower_input(l, n->inputs[0], err)) < 0) return err ? err->status : OLV_INTERNAL;
    a.y = ol_lower_output(l, n->outputs[0]);
    ol_step *s = ol_lower_step(l, &pool_class, n->name, sizeof a);
    if (!s) return OLV_OK; /* latched */
    memcpy(s->args, &a, sizeof a);
    ol_step_reads(s, a.x);
    ol_step_writes(s, a.y);
    return OLV_OK;
}
