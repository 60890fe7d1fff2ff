/* SPDX-License-Identifier: Apache-2.0 */
/* Convolutions of codes by constant weights of 8 bits. Channels lie last, so that what a window place reads is a row of
 * codes: an output is the product of the rows that its window points at (kernels/int8), and nothing is unfolded; places
 * outside the image point at a row of zero points. An activation that only bounds, and the QuantizeLinear behind it, are the
 * end of the product; without one the result is f32. */
#include "base/alloc.h"
#include "base/error.h"
#include "device/cpu/codes.h"
#include "device/cpu/cpu.h"
#include "device/cpu/int8_weights.h"
#include "kernels/int8/int8.h"
#include "ops/window.h"
#include <math.h>
#include <string.h>

#define ROW_TILE 48     /* outputs of a tile */
#define LEAST_TILES 16  /* of an image, if there are panels enough */
#define FORM_INT8 111   /* prepared forms */
#define FORM_DEPTHWISE 112

/* Of a run. One spatial dim is a width. */
typedef struct sizes {
    int64_t batch, height, width, out_height, out_width, outs;
    int64_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w, top, left;
    int64_t row_tiles, panels, panel_tile, column_tiles;
} sizes;

typedef struct conv_args {
    sizes known; /* when all dims are: batch not 0 */
    const ol_node *node;
    int n_spatial, x, y;
    ol_dim batch, in[2];
    int64_t kernel[2]; /* of the node's spatial dims */
    int64_t groups, channels, outputs; /* of a group */
    int64_t places;
    const uint8_t *outside; /* a row of zero points */
    const int8_t *weights;
    ol_int8_ends ends;
    bool depthwise;
    const olk_int8 *int8;
} conv_args;

static int64_t value_of(const ol_run *r, ol_dim d) { return ol_dim_known(d) ? d : ol_cpu_rows(r, d); }

static bool find_sizes(const conv_args *a, const ol_run *r, sizes *z) {
    if (a->known.batch) {
        *z = a->known;
        return true;
    }
    int64_t in[2] = {1, 1};
    ol_window w;
    int n = a->n_spatial, h = 0, v = n - 1;
    for (int i = 0; i < n; i++) in[i] = value_of(r, a->in[i]);
    if (ol_window_init(&w, a->node, n, in, a->kernel, NULL) != OLV_OK) return false;
    bool flat = n == 1;
    *z = (sizes){.batch = value_of(r, a->batch), .height = flat ? 1 : w.in[h], .width = w.in[v], .out_height = flat ? 1 : w.out[h], .out_width = w.out[v],
                 .kernel_h = flat ? 1 : w.kernel[h], .kernel_w = w.kernel[v], .stride_h = flat ? 1 : w.stride[h], .stride_w = w.stride[v],
                 .dilation_h = flat ? 1 : w.dilation[h], .dilation_w = w.dilation[v], .top = flat ? 0 : w.begin[h], .left = w.begin[v]};
    z->outs = z->out_height * z->out_width;
    z->row_tiles = (z->outs + ROW_TILE - 1) / ROW_TILE;
    z->panels = (a->outputs + a->int8->nb - 1) / a->int8->nb;
    int64_t pieces = z->row_tiles ? (LEAST_TILES + z->row_tiles - 1) / z->row_tiles : 1;
    z->panel_tile = (z->panels + pieces - 1) / pieces;
    z->column_tiles = (z->panels + z->panel_tile - 1) / z->panel_tile;
    return true;
}

static unsigned tiles(const ol_step *s, const ol_run *r) {
    const conv_args *a = s->args;
    sizes z;
    if (!find_sizes(a, r, &z)) return 0;
    return (unsigned)(a->depthwise ? z.batch * z.row_tiles : z.batch * a->groups * z.row_tiles * z.column_tiles);
}

/* Pointers of a tile, sums of its rows, and a block of its result. */
static size_t scratch_bytes(const ol_step *s, const ol_run *r) {
    const conv_args *a = s->args;
    size_t result = a->ends.codes ? 0 : a->depthwise ? (size_t)a->groups : ROW_TILE * (size_t)a->int8->nb;
    (void)r;
    return (size_t)a->places * ROW_TILE * sizeof(uint8_t *) + ROW_TILE * sizeof(int32_t) + result * sizeof(float);
}

/* Where the windows of outputs [m0, m0 + m) read: at[p * ROW_TILE + i]. By parts of output rows. */
static void point(const conv_args *a, const sizes *z, const uint8_t *image, int64_t m0, int64_t m, const uint8_t **at) {
    int64_t all = a->groups * a->channels, oy = m0 / z->out_width, ox = m0 % z->out_width;
    for (int64_t i = 0, n; i < m; i += n, oy++, ox = 0) {
        const uint8_t **to = at + i;
        n = z->out_width - ox < m - i ? z->out_width - ox : m - i;
        for (int64_t ky = 0; ky < z->kernel_h; ky++)
            for (int64_t kx = 0; kx < z->kernel_w; kx++, to += ROW_TILE) {
                int64_t y = oy * z->stride_h - z->top + ky * z->dilation_h, x = ox * z->stride_w - z->left + kx * z->dilation_w;
                int64_t width = y >= 0 && y < z->height ? z->width : 0;
                const uint8_t *row = image + y * z->width * all;
                for (int64_t j = 0; j < n; j++, x += z->stride_w) to[j] = x >= 0 && x < width ? row + x * all : a->outside;
            }
    }
}

/* A tile's f32 result, [m][ld], to its places in planes of channels. */
static void spread(const float *from, int64_t ld, int64_t m, int64_t n, float *y, int64_t plane) {
    for (int64_t j = 0; j < n; j++)
        for (int64_t i = 0; i < m; i++) y[j * plane + i] = from[i * ld + j];
}

static void run_depthwise(const conv_args *a, const ol_run *r, const sizes *z, int64_t tile, const uint8_t **at, float *result) {
    int64_t image = tile / z->row_tiles, m0 = tile % z->row_tiles * ROW_TILE, m = z->outs - m0 < ROW_TILE ? z->outs - m0 : ROW_TILE, c = a->groups;
    const uint8_t *x = (const uint8_t *)ol_run_buffer(r, a->x) + image * z->height * z->width * c, *taps[64];
    olk_int8_end end = ol_int8_end(&a->ends, 0);
    void *y = ol_run_buffer(r, a->y);
    point(a, z, x, m0, m, at);
    for (int64_t i = 0; i < m; i++) {
        for (int64_t p = 0; p < a->places; p++) taps[p] = at[p * ROW_TILE + i];
        if (end.codes) {
            a->int8->depthwise(taps, a->places, c, a->weights, &end, (uint8_t *)y + (image * z->outs + m0 + i) * c);
            continue;
        }
        a->int8->depthwise(taps, a->places, c, a->weights, &end, result);
        spread(result, c, 1, c, (float *)y + image * c * z->outs + m0 + i, z->outs);
    }
}

static void run_product(const conv_args *a, const ol_run *r, const sizes *z, int64_t tile, const uint8_t **at, int32_t *sums, float *result) {
    int64_t column_tile = tile % z->column_tiles, row_tile = tile / z->column_tiles % z->row_tiles, group = tile / z->column_tiles / z->row_tiles;
    int64_t image = group / a->groups, g = group % a->groups, m0 = row_tile * ROW_TILE, m = z->outs - m0 < ROW_TILE ? z->outs - m0 : ROW_TILE;
    int64_t nb = a->int8->nb, all = a->groups * a->outputs, panel_bytes = olk_int8_panel_bytes(a->int8, a->places, a->channels);
    const uint8_t *x = (const uint8_t *)ol_run_buffer(r, a->x) + image * z->height * z->width * a->groups * a->channels + g * a->channels;
    int64_t p1 = (column_tile + 1) * z->panel_tile < z->panels ? (column_tile + 1) * z->panel_tile : z->panels;
    olk_int8_tile t = {.rows = at, .row_step = ROW_TILE, .places = a->places, .k = a->channels, .m = m};
    void *y = ol_run_buffer(r, a->y);
    point(a, z, x, m0, m, at);
    if (a->ends.weight_zero) olk_int8_row_sums(at, ROW_TILE, a->places, a->channels, m, sums), t.row_sum = sums;
    for (int64_t p = column_tile * z->panel_tile; p < p1; p++) {
        int64_t o = g * a->outputs + p * nb;
        olk_int8_end end = ol_int8_end(&a->ends, (g * z->panels + p) * nb);
        t.n = a->outputs - p * nb < nb ? a->outputs - p * nb : nb;
        t.end = &end, t.weights = a->weights + (g * z->panels + p) * panel_bytes;
        t.y = end.codes ? (void *)((uint8_t *)y + (image * z->outs + m0) * all + o) : result;
        t.ldy = end.codes ? all : nb;
        a->int8->multiply(&t);
        if (!end.codes) spread(result, nb, m, t.n, (float *)y + (image * all + o) * z->outs + m0, z->outs);
    }
}

static void run(const ol_step *s, const ol_run *r, unsigned tile, void *scratch) {
    const conv_args *a = s->args;
    const uint8_t **at = scratch;
    int32_t *sums = (int32_t *)(void *)(at + a->places * ROW_TILE);
    sizes z;
    if (!find_sizes(a, r, &z)) return;
    if (a->depthwise) run_depthwise(a, r, &z, tile, at, (float *)(void *)(sums + ROW_TILE));
    else run_product(a, r, &z, tile, at, sums, (float *)(void *)(sums + ROW_TILE));
}
static const ol_step_class conv_class = {"conv int8", tiles, scratch_bytes, NULL, run};

/* ---- lowering ---- */

static olv_status read_form(const ol_lowering *l, const ol_node *n, conv_args *a, const int64_t *d, int rank, olv_error *err) {
    const ol_value *x = n->inputs[0];
    if (x->type.rank != rank || (rank != 3 && rank != 4)) return ol_fail(err, OLV_UNSUPPORTED, "only one or two spatial dims");
    a->node = n;
    a->n_spatial = rank - 2;
    a->places = 1;
    int64_t some[2] = {64, 64};
    for (int i = 0; i < a->n_spatial; i++) {
        a->kernel[i] = d[2 + i];
        some[i] = d[2 + i] * 64 + 64;
        a->places *= d[2 + i];
        a->in[i] = x->type.dims[2 + i];
    }
    ol_window w;
    OL_TRY(ol_window_init(&w, n, a->n_spatial, some, a->kernel, err));
    a->groups = ol_node_int(n, "group", 1);
    if (a->groups < 1 || d[0] % a->groups || d[0] < 1 || d[1] < 1 || x->type.dims[1] != a->groups * d[1])
        return ol_fail(err, OLV_UNSUPPORTED, "channels that do not fit the groups");
    a->channels = d[1];
    a->outputs = d[0] / a->groups;
    a->depthwise = a->channels == 1 && a->outputs == 1 && a->groups > 1;
    a->batch = x->type.dims[0];
    a->int8 = olk_int8_select(l->opt.cpu);
    if (a->places > (a->depthwise ? 64 : 4096) || a->places * a->channels > OLK_INT8_MOST_PRODUCTS) return ol_fail(err, OLV_UNSUPPORTED, "too large a window");
    return OLV_OK;
}

typedef struct packing {
    const conv_args *a;
    const ol_int8_weights *w;
    int8_t *to;
    int64_t panels, bytes;
} packing;

static void pack_panel(void *ctx, size_t i, int lane) {
    const packing *p = ctx;
    const conv_args *a = p->a;
    int64_t g = (int64_t)i / p->panels, j = (int64_t)i % p->panels * a->int8->nb, k = a->channels * a->places, n = a->outputs - j;
    (void)lane;
    olk_int8_pack(p->w->codes + (g * a->outputs + j) * k, k, 1, a->places, n < a->int8->nb ? n : a->int8->nb, a->places, a->channels, a->int8->nb,
                  p->to + (int64_t)i * p->bytes);
}

static olv_status pack_weights(ol_lowering *l, const ol_node *n, conv_args *a, const ol_int8_weights *w, olv_error *err) {
    packing p = {a, w, NULL, (a->outputs + a->int8->nb - 1) / a->int8->nb, olk_int8_panel_bytes(a->int8, a->places, a->channels)};
    int64_t bytes = a->depthwise ? olk_int8_depthwise_bytes(a->places, a->groups) : a->groups * p.panels * p.bytes;
    bool made;
    ol_prepared_item *item = ol_prepare(l->prepared, n->name, w->source, a->depthwise ? FORM_DEPTHWISE : FORM_INT8, (size_t)bytes, &made);
    if (!item) return ol_fail(err, OLV_NOMEM, "no memory for weight '%s'", n->inputs[1]->name);
    a->weights = p.to = item->data;
    if (!made) return OLV_OK;
    if (a->depthwise) olk_int8_pack_depthwise(w->codes, a->places, a->groups, p.to);
    else ol_lower_for(l, (size_t)(a->groups * p.panels), pack_panel, &p);
    return OLV_OK;
}

/* A row of zero points of x, as long as any kernel reads. */
static const uint8_t *make_outside(ol_lowering *l, int64_t channels, int zero) {
    size_t n = (size_t)channels + 2 * OLK_INT8_SLACK;
    uint8_t *row = ol_arena_alloc(l->arena, n);
    if (row) memset(row, zero, n);
    return row;
}

static void know_sizes(conv_args *a) {
    sizes z;
    bool known = ol_dim_known(a->batch) && a->batch > 0;
    for (int i = 0; i < a->n_spatial; i++) known = known && ol_dim_known(a->in[i]);
    if (known && find_sizes(a, NULL, &z)) a->known = z;
}

static olv_status emit(ol_lowering *l, ol_node *n, conv_args *a, ol_int8_weights *w, const ol_codes *x, olv_error *err) {
    ol_int8_result result = ol_int8_result_of(l, n->outputs[0]);
    int64_t columns = a->depthwise ? a->groups : a->outputs, panels = a->depthwise ? 1 : a->groups;
    OL_TRY(ol_int8_make_ends(l, w, n->n_inputs > 2 ? n->inputs[2] : NULL, x, &result, panels, columns, a->depthwise ? OLK_INT8_CHANNELS : a->int8->nb, &a->ends, err));
    OL_TRY(pack_weights(l, n, a, w, err));
    know_sizes(a);
    a->outside = make_outside(l, a->groups * a->channels, x->form.zero);
    a->x = ol_cpu_codes_buffer(l, n->inputs[0], true);
    a->y = ol_int8_take_result(l, &result, true);
    if (!a->outside) return ol_fail(err, OLV_NOMEM, "no memory for the plan");
    return ol_int8_add_step(l, &conv_class, n, a, a->int8->name, a->x, a->y, err);
}

olv_status ol_cpu_lower_int8_conv(ol_lowering *l, ol_node *n, olv_error *err) {
    const ol_codes *x = ol_cpu_codes_of(l, n->inputs[0]), *c = ol_cpu_codes_of(l, n->inputs[1]);
    ol_int8_weights w = {0};
    if (!x || x->buffer < 0 || !c || c->buffer >= 0) return ol_fail(err, OLV_UNSUPPORTED, "no codes");
    const ol_value *codes = c->node->inputs[0];
    conv_args *a = ol_arena_calloc(l->arena, 1, sizeof *a);
    if (!a) return ol_fail(err, OLV_NOMEM, "no memory for the plan");
    OL_TRY(read_form(l, n, a, ol_const_dims(codes->constant), ol_const_rank(codes->constant), err));
    OL_TRY(ol_int8_weights_of_node(c->node, a->groups * a->outputs, &w, err));
    olv_status s = a->depthwise && w.has_zeros ? ol_fail(err, OLV_UNSUPPORTED, "zero points of depthwise weights") : emit(l, n, a, &w, x, err);
    ol_int8_weights_deinit(&w);
    return s;
}
