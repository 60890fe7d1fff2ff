/* SPDX-License-Identifier: Apache-2.0 */
/* Resize over the last two dims (or the last), nearest, linear and cubic without antialiasing. Each lane finds the taps of
 * both axes once; a tile is some output rows: the rows of the image are weighed first, then the places along the row. */
#include "base/error.h"
#include "device/cpu/cpu.h"
#include "graph/op.h"
#include "ops/resize.h"
#include <string.h>

#define TAPS 4
#define TILE_OUTPUTS 8192

typedef struct resize_args {
    ol_resize form;
    int x, y;
    ol_dim planes, in[2], out[2];
    double scale[2]; /* 0: sizes are given, the scale is their ratio */
} resize_args;

typedef struct place {
    int32_t at[TAPS];
    float weight[TAPS];
    int n;
} place;

typedef struct sizes {
    int64_t planes, in[2], out[2], rows; /* rows: of a tile */
} sizes;

static sizes find_sizes(const resize_args *a, const ol_run *r) {
    sizes z = {.planes = ol_cpu_rows(r, a->planes)};
    for (int i = 0; i < 2; i++) z.in[i] = ol_cpu_rows(r, a->in[i]), z.out[i] = ol_cpu_rows(r, a->out[i]);
    z.rows = z.out[1] ? TILE_OUTPUTS / z.out[1] + 1 : 1;
    return z;
}

static unsigned tiles(const ol_step *s, const ol_run *r) {
    sizes z = find_sizes(s->args, r);
    return z.out[1] ? (unsigned)((z.planes * z.out[0] + z.rows - 1) / z.rows) : 0;
}

/* Scratch: places of rows, places of columns, a row. */
static size_t scratch_bytes(const ol_step *s, const ol_run *r) {
    sizes z = find_sizes(s->args, r);
    return (size_t)(z.out[0] + z.out[1]) * sizeof(place) + (size_t)z.in[1] * sizeof(float);
}

/* Elements past an end are those at the end; equal ones come together, those without weight go. */
static void find_places(const ol_resize *form, double scale, int64_t in, int64_t out, place *p) {
    ol_resize_axis axis = {in, out, scale > 0 ? scale : (double)out / (double)in, 0, 1};
    double w[OL_RESIZE_MAX_TAPS];
    for (int64_t o = 0; o < out; o++, p++) {
        int64_t first;
        int n = scale == 1 && out == in ? (w[0] = 1, first = o, 1) : ol_resize_taps(form, &axis, o, &first, w);
        p->n = 0;
        for (int i = 0; i < n; i++) {
            int64_t k = first + i < 0 ? 0 : first + i >= in ? in - 1 : first + i;
            if (w[i] == 0) continue;
            if (p->n && p->at[p->n - 1] == (int32_t)k) p->weight[p->n - 1] += (float)w[i];
            else if (p->n < TAPS) p->at[p->n] = (int32_t)k, p->weight[p->n++] = (float)w[i];
        }
    }
}

static void begin(const ol_step *s, const ol_run *r, void *scratch) {
    const resize_args *a = s->args;
    sizes z = find_sizes(a, r);
    place *p = scratch;
    find_places(&a->form, a->scale[0], z.in[0], z.out[0], p);
    find_places(&a->form, a->scale[1], z.in[1], z.out[1], p + z.out[0]);
}

/* The rows of an image that a row of the output is made of, weighed; a single one is read where it lies. */
static const float *weigh_rows(const float *x, int64_t width, const place *p, float *row) {
    if (p->n == 1 && p->weight[0] == 1) return x + p->at[0] * width;
    memset(row, 0, (size_t)width * sizeof *row);
    for (int k = 0; k < p->n; k++) {
        const float *from = x + p->at[k] * width;
        const float w = p->weight[k];
        for (int64_t i = 0; i < width; i++) row[i] += w * from[i];
    }
    return row;
}

static void run(const ol_step *s, const ol_run *r, unsigned tile, void *scratch) {
    const resize_args *a = s->args;
    sizes z = find_sizes(a, r);
    const place *high = scratch, *wide = high + z.out[0];
    float *row = (float *)(void *)((place *)scratch + z.out[0] + z.out[1]);
    int64_t r0 = (int64_t)tile * z.rows, all = z.planes * z.out[0], r1 = r0 + z.rows < all ? r0 + z.rows : all;
    for (int64_t o = r0; o < r1; o++) {
        const float *x = (const float *)ol_run_buffer(r, a->x) + o / z.out[0] * z.in[0] * z.in[1];
        float *y = (float *)ol_run_buffer(r, a->y) + o * z.out[1];
        const float *from = weigh_rows(x, z.in[1], &high[o % z.out[0]], row);
        for (int64_t i = 0; i < z.out[1]; i++) {
            const place *p = &wide[i];
            float sum = p->n ? p->weight[0] * from[p->at[0]] : 0;
            for (int k = 1; k < p->n; k++) sum += p->weight[k] * from[p->at[k]];
            y[i] = sum;
        }
    }
}
static const ol_step_class resize_class = {"resize", tiles, scratch_bytes, begin, run};

/* The scales of the last two axes, when those of the others are 1; sizes may be computed, their dims say the same. */
static olv_status read_scales(const ol_node *n, resize_args *a, olv_error *err) {
    int rank = n->inputs[0]->type.rank;
    size_t n_axes = 0;
    const int64_t *axes = ol_node_ints(n, "axes", &n_axes);
    const ol_value *v = n->n_inputs > 2 ? n->inputs[2] : NULL;
    ol_tensor t;
    double all[OL_MAX_RANK];
    for (int i = 0; i < rank; i++) all[i] = axes ? 1 : 0;
    for (size_t i = 0; axes && i < n_axes; i++) {
        int64_t k = axes[i] < 0 ? axes[i] + rank : axes[i];
        if (k < 0 || k >= rank) return ol_fail(err, OLV_SHAPE, "axis %lld", (long long)axes[i]);
        all[k] = 0;
    }
    if (v && v->type.rank == 1 && v->type.dims[0] != 0) {
        if (!v->constant || v->is_input || !ol_value_const_tensor(v, 4096, &t)) return ol_fail(err, OLV_UNSUPPORTED, "the scales are no constant");
        bool fits = ol_tensor_count(&t) == (axes ? (int64_t)n_axes : rank);
        for (int i = 0; fits && i < (axes ? (int)n_axes : rank); i++) {
            int64_t k = axes ? (axes[i] < 0 ? axes[i] + rank : axes[i]) : i;
            all[k] = ol_tensor_get(&t, i);
        }
        ol_tensor_deinit(&t);
        if (!fits) return ol_fail(err, OLV_SHAPE, "the scales do not fit");
    }
    for (int i = 0; i < rank - 2; i++)
        if (n->inputs[0]->type.dims[i] != n->outputs[0]->type.dims[i]) return ol_fail(err, OLV_UNSUPPORTED, "only the last two dims");
    for (int i = 0; i < 2; i++) a->scale[i] = rank - 2 + i < 0 ? 1 : all[rank - 2 + i];
    return OLV_OK;
}

olv_status ol_lower_resize(ol_lowering *l, ol_node *n, olv_error *err) {
    const ol_type *t = &n->inputs[0]->type, *ty = &n->outputs[0]->type;
    resize_args a = {.form = ol_resize_of(n), .planes = 1, .in = {1, 1}, .out = {1, 1}};
    if (t->rank < 1 || ol_dtype_class(t->dtype) != 'f') return ol_fail(err, OLV_UNSUPPORTED, "only floating point");
    if (a.form.antialias || ol_str_is(a.form.coords, "tf_crop_and_resize") || !ol_str_is(ol_node_string(n, "keep_aspect_ratio_policy", "stretch"), "stretch"))
        return ol_fail(err, OLV_UNSUPPORTED, "antialiasing, crops and kept ratios are not planned");
    OL_TRY(read_scales(n, &a, err));
    for (int i = 0; i < t->rank; i++) {
        int k = i - (t->rank - 2);
        if (k < 0) a.planes = ol_dim_mul(l->graph->dims, a.planes, t->dims[i]);
        else a.in[k] = t->dims[i], a.out[k] = ty->dims[i];
    }
    if (t->rank == 1) a.scale[0] = 1;
    if ((a.x = ol_lower_input(l, n->inputs[0], err)) < 0) return err ? err->status : OLV_INTERNAL;
    a.y = ol_lower_output(l, n->outputs[0]);
    ol_step *s = ol_lower_step(l, &resize_class, n->name, sizeof a);
    if (!s) return OLV_OK; /* latched */
    memcpy(s->args, &a, sizeof a);
    ol_step_reads(s, a.x);
    ol_step_writes(s, a.y);
    return OLV_OK;
}
