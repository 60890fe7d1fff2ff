/* SPDX-License-Identifier: Apache-2.0 */
/* ConvTranspose of one or two spatial dims with constant weights: what every output and place of the window gets from every
 * input position is a matrix product; its rows are then added into the outputs. A tile is some outputs of an image, taken a
 * stretch of input rows at a time. */
#include "base/alloc.h"
#include "base/error.h"
#include "device/cpu/cpu.h"
#include "graph/op.h"
#include "kernels/gemm/gemm.h"
#include "ops/window.h"
#include <string.h>

#define KC 384
#define TILE_ROWS 56          /* of the product, unless one output has more */
#define PRODUCT_FLOATS 131072 /* of a stretch */
#define FORM_PANELS 103       /* prepared form */

typedef struct conv_args {
    const ol_node *node;
    int x, y, n_spatial, mr;
    ol_dim batch, in[2];
    int64_t kernel[2], groups, channels, outputs; /* of a group */
    int64_t per, blocks;                          /* outputs of a tile; tiles of a group */
    size_t block_floats;
    const float *weights, *bias; /* panels by group and block */
    const olk_gemm *gemm;
} conv_args;

typedef struct sizes {
    int64_t batch, in[2], out[2], kernel[2], stride[2], dilation[2], begin[2]; /* two dims; the first is 1 if there is one */
    int64_t taps, columns, rows;                                               /* rows: input rows of a stretch */
} sizes;

static bool find_sizes(const conv_args *a, const ol_run *r, sizes *z) {
    int64_t in[2] = {1, 1};
    ol_window w;
    int n = a->n_spatial, first = 2 - n;
    for (int i = 0; i < n; i++) in[i] = ol_cpu_rows(r, a->in[i]);
    if (ol_window_init_transposed(&w, a->node, n, in, a->kernel, NULL) != OLV_OK) return false;
    *z = (sizes){.batch = ol_cpu_rows(r, a->batch), .in = {1, 1}, .out = {1, 1}, .kernel = {1, 1}, .stride = {1, 1}, .dilation = {1, 1}};
    for (int i = 0; i < n; i++) {
        z->in[first + i] = w.in[i], z->out[first + i] = w.out[i], z->kernel[first + i] = w.kernel[i];
        z->stride[first + i] = w.stride[i], z->dilation[first + i] = w.dilation[i], z->begin[first + i] = w.begin[i];
    }
    z->taps = z->kernel[0] * z->kernel[1];
    z->columns = z->in[0] * z->in[1];
    z->rows = PRODUCT_FLOATS / (a->per * z->taps * z->in[1] + 1) + 1;
    if (z->rows > z->in[0]) z->rows = z->in[0];
    return true;
}

static unsigned tiles(const ol_step *s, const ol_run *r) {
    const conv_args *a = s->args;
    sizes z;
    return find_sizes(a, r, &z) ? (unsigned)(z.batch * a->groups * a->blocks) : 0;
}

/* Scratch: a panel of the input, the product. */
static size_t scratch_bytes(const ol_step *s, const ol_run *r) {
    const conv_args *a = s->args;
    sizes z;
    if (!find_sizes(a, r, &z)) return 0;
    return ((size_t)KC * (size_t)a->gemm->nb + (size_t)(a->per * z.taps * z.rows * z.in[1])) * sizeof(float);
}

static void multiply(const conv_args *a, const float *x, int64_t columns, const float *weights, int64_t rows, int64_t n, float *panel, float *product) {
    olk_gemm_tile t = {.mr = a->mr, .ldc = n};
    bool in_place = olk_gemm_in_place(columns);
    for (int64_t j = 0; j < n; j += a->gemm->nb)
        for (int64_t k0 = 0; k0 < a->channels; k0 += KC) {
            t.k = a->channels - k0 < KC ? a->channels - k0 : KC;
            t.n = n - j < a->gemm->nb ? n - j : a->gemm->nb;
            t.add = k0 > 0;
            t.b = x + k0 * columns + j, t.ldb = columns;
            if (!in_place) a->gemm->pack_b(t.b, columns, 1, t.k, t.n, panel);
            if (!in_place) t.b = panel, t.ldb = a->gemm->nb;
            for (int64_t i = 0; i < rows; i += a->mr) {
                t.a = weights + (i / a->mr * a->channels + k0) * a->mr;
                t.m = rows - i < a->mr ? (int)(rows - i) : a->mr;
                t.c = product + i * n + j;
                a->gemm->multiply(&t);
            }
        }
}

/* Adds rows [r0, r1) of the product of one output and one place of the window. */
static void add_place(const sizes *z, const float *product, int64_t tap, int64_t r0, int64_t r1, float *y) {
    int64_t s = z->stride[1], x0 = tap % z->kernel[1] * z->dilation[1] - z->begin[1], y0 = tap / z->kernel[1] * z->dilation[0] - z->begin[0];
    int64_t lo = x0 >= 0 ? 0 : (-x0 + s - 1) / s, hi = x0 >= z->out[1] ? 0 : (z->out[1] - 1 - x0) / s + 1;
    if (hi > z->in[1]) hi = z->in[1];
    for (int64_t i = r0; i < r1; i++, product += z->in[1]) {
        int64_t oy = i * z->stride[0] + y0;
        if (oy < 0 || oy >= z->out[0]) continue;
        float *row = y + oy * z->out[1] + x0;
        for (int64_t k = lo; k < hi; k++) row[k * s] += product[k];
    }
}

static void run(const ol_step *s, const ol_run *r, unsigned tile, void *scratch) {
    const conv_args *a = s->args;
    sizes z;
    if (!find_sizes(a, r, &z)) return;
    int64_t block = tile % a->blocks, image = tile / a->blocks, g = image % a->groups, o0 = block * a->per, area = z.out[0] * z.out[1];
    int64_t count = a->outputs - o0 < a->per ? a->outputs - o0 : a->per;
    const float *x = (const float *)ol_run_buffer(r, a->x) + image * a->channels * z.columns;
    const float *weights = a->weights + (size_t)(g * a->blocks + block) * a->block_floats;
    float *y = (float *)ol_run_buffer(r, a->y) + (image * a->outputs + o0) * area, *panel = scratch, *product = panel + (size_t)KC * (size_t)a->gemm->nb;
    for (int64_t o = 0; o < count; o++)
        for (int64_t i = 0; i < area; i++) y[o * area + i] = a->bias ? a->bias[g * a->outputs + o0 + o] : 0;
    for (int64_t r0 = 0; r0 < z.in[0]; r0 += z.rows) {
        int64_t r1 = r0 + z.rows < z.in[0] ? r0 + z.rows : z.in[0], n = (r1 - r0) * z.in[1];
        multiply(a, x + r0 * z.in[1], z.columns, weights, count * z.taps, n, panel, product);
        for (int64_t i = 0; i < count * z.taps; i++) add_place(&z, product + i * n, i % z.taps, r0, r1, y + i / z.taps * area);
    }
}
static const ol_step_class conv_class = {"conv transpose", tiles, scratch_bytes, NULL, run};

/* Weights lie as [channel][output][place]: a row of the product is an output and a place. */
static olv_status pack_weights(ol_lowering *l, const ol_node *n, conv_args *a, int64_t taps, olv_error *err) {
    int64_t rows = a->per * taps, line = a->outputs * taps;
    const float *w = ol_lower_f32(l, n->inputs[1], err);
    if (!w) return err ? err->status : OLV_NOMEM;
    a->mr = olk_gemm_panel_rows(a->gemm, rows);
    a->block_floats = (size_t)((rows + a->mr - 1) / a->mr * a->mr * a->channels);
    bool made;
    ol_prepared_item *item = ol_prepare(l->prepared, n->name, n->inputs[1]->constant, FORM_PANELS,
                                        ((size_t)(a->groups * a->blocks) * a->block_floats + 16) * sizeof(float), &made);
    if (!item) return ol_fail(err, OLV_NOMEM, "no memory for weight '%s'", n->inputs[1]->name);
    float *to = item->data;
    for (int64_t i = 0; made && i < a->groups * a->blocks; i++, to += a->block_floats) {
        int64_t g = i / a->blocks, o0 = i % a->blocks * a->per, count = a->outputs - o0 < a->per ? a->outputs - o0 : a->per;
        a->gemm->pack_a(w + g * a->channels * line + o0 * taps, 1, line, count * taps, a->channels, a->mr, to);
    }
    a->weights = item->data;
    return OLV_OK;
}

olv_status ol_lower_conv_transpose(ol_lowering *l, ol_node *n, olv_error *err) {
    const ol_type *t = &n->inputs[0]->type, *tw = &n->inputs[1]->type;
    conv_args a = {.node = n, .n_spatial = t->rank - 2, .batch = t->dims[0], .gemm = olk_gemm_select(l->opt.cpu)};
    ol_value *bias = n->n_inputs > 2 ? n->inputs[2] : NULL;
    if (a.n_spatial < 1 || a.n_spatial > 2 || tw->rank != t->rank || !n->inputs[1]->constant || n->inputs[1]->is_input || ol_dtype_class(tw->dtype) != 'f')
        return ol_fail(err, OLV_UNSUPPORTED, "only one or two spatial dims with constant weights");
    int64_t taps = 1;
    for (int i = 0; i < a.n_spatial; i++) {
        a.in[i] = t->dims[2 + i];
        a.kernel[i] = tw->dims[2 + i];
        taps *= a.kernel[i];
    }
    a.groups = ol_node_int(n, "group", 1);
    a.outputs = tw->dims[1];
    if (a.groups < 1 || tw->dims[0] % a.groups || t->dims[1] != tw->dims[0] || a.outputs < 1 || taps < 1)
        return ol_fail(err, OLV_UNSUPPORTED, "%lld groups, or sizes that do not fit", (long long)a.groups);
    a.channels = tw->dims[0] / a.groups;
    a.per = TILE_ROWS / taps > 0 ? TILE_ROWS / taps : 1;
    if (a.per > a.outputs) a.per = a.outputs;
    a.blocks = (a.outputs + a.per - 1) / a.per;
    if (bias && (!bias->constant || bias->type.rank != 1 || bias->type.dims[0] != a.outputs * a.groups)) return ol_fail(err, OLV_UNSUPPORTED, "the bias is no constant that fits");
    if (bias && !(a.bias = ol_lower_f32(l, bias, err))) return err ? err->status : OLV_NOMEM;
    OL_TRY(pack_weights(l, n, &a, taps, err));
    if ((a.x = ol_lower_input(l, n->inputs[0], err)) < 0) return err ? err->status : OLV_INTERNAL;
    a.y = ol_lower_output(l, n->outputs[0]);
    ol_step *s = ol_lower_step(l, &conv_class, n->name, sizeof a);
    if (!s) return OLV_OK; /* latched */
    memcpy(s->args, &a, sizeof a);
    s->kernel = a.gemm->name;
    ol_step_reads(s, a.x);
    ol_step_writes(s, a.y);
    return OLV_OK;
}
