/* SPDX-License-Identifier: Apache-2.0 */
/* Convolutions of one and two spatial dims with constant weights. Each group is a matrix product: the weights, packed once
 * per plan, times the image laid out in panels (kernels/conv). Where a tile has all outputs of its columns, it lays them out
 * for itself, and nothing of the size of the unfolded image is ever stored; small images with many channels are laid out
 * once, by a step of its own, and tiles share that. Depthwise ones have a kernel of their own; windows of 3 x 3 over many channels become
 * products over 16 places (kernels/conv/winograd.h). What follows in the graph is done while a tile is in the
 * cache: normalization by constants (into weights and bias), the sum with another value, an activation. */
#include "base/alloc.h"
#include "base/error.h"
#include "device/cpu/cpu.h"
#include "graph/op.h"
#include "kernels/conv/conv.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/gemm/gemm.h"
#include "ops/window.h"
#include <math.h>
#include <string.h>

#define KC 384             /* rows of a panel at a time: a panel of A stays in the first cache, those of B in the second */
#define TILE_PANELS 4      /* B panels of a tile */
#define LEAST_TILES 16     /* of an image, if its channels allow that */
#define UNFOLD_ROWS 1024   /* panel rows of a tile of the step that lays out */
#define PLANE_TILE 8192    /* outputs of a depthwise tile */
#define FORM_PANELS 101    /* prepared forms */
#define FORM_PLACES 105
#define PLACES 16          /* of Winograd's transform */
#define PLACE_CHANNELS 32  /* fewer do not pay for it */
#define PLACE_PANELS 2     /* A panels of a tile */
#define PLACE_COLUMNS 128

typedef struct sizes {
    olk_conv_form form;
    int64_t batch, columns, k;
    int64_t column_tile, row_tile, column_tiles, row_tiles; /* products */
    bool in_place;                                          /* the image is the matrix */
    int64_t panels, unfold_parts;                           /* of an image, when it is laid out by its own step; else 0 */
    int64_t plane_rows, row_blocks;                         /* depthwise */
    int64_t blocks, ldb, block_rows;                        /* by places: blocks of an image, of a tile's rows */
} sizes;

typedef struct conv_args {
    olk_conv_form form; /* sizes are filled in at each run */
    int n_spatial;
    ol_window window;   /* of the node: strides, pads; sizes unknown */
    const ol_node *node;
    int x, y, residual, unfolded;
    ol_dim batch, in[2];
    sizes known; /* valid when all dims are: batch not 0 */
    int64_t groups, channels, outputs; /* of a group */
    const float *weights, *bias;       /* packed panels by group, or windows by channel; bias of all outputs */
    int mr;
    bool depthwise, places;
    ol_cpu_act act;
    bool clamped;   /* the activation is to stay within the range, and is done by the product */
    float range[2];
    const olk_gemm *gemm;
    const olk_conv *conv;
    const olk_activation *activation;
    const olk_elementwise *elementwise;
} conv_args;

/* ---- sizes of a run ---- */

static int64_t value_of(const ol_run *r, ol_dim d) { return ol_dim_known(d) ? d : ol_cpu_rows(r, d); }

/* A window of one position at every place reads the image as one row. */
static bool flatten(olk_conv_form *f) {
    if (f->kernel_h * f->kernel_w != 1 || f->stride_h * f->stride_w != 1 || f->out_height != f->height || f->out_width != f->width) return false;
    f->width = f->out_width = f->height * f->width;
    f->height = f->out_height = 1;
    return true;
}

static bool find_sizes(const conv_args *a, const ol_run *r, sizes *z) {
    if (a->known.batch) {
        *z = a->known;
        return true;
    }
    memset(z, 0, sizeof *z);
    int64_t in[2] = {1, 1};
    ol_window w;
    for (int i = 0; i < a->n_spatial; i++) in[i] = value_of(r, a->in[i]);
    if (ol_window_init(&w, a->node, a->n_spatial, in, a->window.kernel, NULL) != OLV_OK) return false;
    bool flat = a->n_spatial == 1;
    z->form = a->form;
    z->form.height = flat ? 1 : in[0];
    z->form.width = flat ? in[0] : in[1];
    z->form.out_height = flat ? 1 : w.out[0];
    z->form.out_width = flat ? w.out[0] : w.out[1];
    z->form.pad_top = flat ? 0 : w.begin[0];
    z->form.pad_left = flat ? w.begin[0] : w.begin[1];
    z->batch = value_of(r, a->batch);
    z->columns = z->form.out_height * z->form.out_width;
    z->k = a->channels * z->form.kernel_h * z->form.kernel_w;
    if (a->depthwise) {
        z->plane_rows = z->form.out_width ? PLANE_TILE / z->form.out_width + 1 : 1;
        z->row_blocks = (z->form.out_height + z->plane_rows - 1) / z->plane_rows;
        return true;
    }
    if (a->places) {
        int64_t high = (z->form.out_height + 1) / 2, wide = (z->form.out_width + 1) / 2;
        z->blocks = high * wide;
        z->ldb = olk_gemm_in_place(z->blocks) ? z->blocks : z->blocks + 16;
        z->block_rows = PLACE_COLUMNS / (wide + 1) + 1;
        z->row_tile = (int64_t)PLACE_PANELS * a->mr;
        z->row_tiles = (a->outputs + z->row_tile - 1) / z->row_tile;
        z->column_tiles = (high + z->block_rows - 1) / z->block_rows;
        return true;
    }
    z->in_place = flatten(&z->form) && olk_gemm_in_place(z->columns);
    z->column_tile = (int64_t)TILE_PANELS * a->gemm->nb;
    z->column_tiles = (z->columns + z->column_tile - 1) / z->column_tile;
    int64_t pieces = z->column_tiles ? (LEAST_TILES + z->column_tiles - 1) / z->column_tiles : 1;
    int64_t panels = (a->outputs + a->mr - 1) / a->mr, per = (panels + pieces - 1) / pieces;
    z->row_tile = per * a->mr;
    z->row_tiles = (panels + per - 1) / per;
    if (z->row_tiles < 2 || z->in_place) return true;
    z->panels = (z->columns + a->gemm->nb - 1) / a->gemm->nb;
    z->unfold_parts = (z->k + UNFOLD_ROWS - 1) / UNFOLD_ROWS;
    return true;
}

static unsigned tiles(const ol_step *s, const ol_run *r) {
    const conv_args *a = s->args;
    sizes z;
    if (!find_sizes(a, r, &z)) return 0;
    int64_t n = a->depthwise ? z.batch * a->groups * z.row_blocks : a->places && !z.blocks ? 0 : z.batch * a->groups * z.column_tiles * z.row_tiles;
    return (unsigned)n;
}

static size_t scratch_bytes(const ol_step *s, const ol_run *r) {
    const conv_args *a = s->args;
    sizes z;
    if (a->depthwise || !find_sizes(a, r, &z) || z.panels || z.in_place) return 0;
    if (a->places)
        return (size_t)(olk_winograd_scratch(&z.form) + PLACES * z.row_tile * z.block_rows * ((z.form.out_width + 1) / 2)) * sizeof(float);
    return TILE_PANELS * (size_t)z.k * (size_t)a->gemm->nb * sizeof(float);
}

/* ---- the step that lays out: [image and group][panel][k][nb] ---- */

static size_t unfolded_bytes(const void *ctx, const ol_run *r) {
    const conv_args *a = ctx;
    sizes z;
    if (!find_sizes(a, r, &z)) return 0;
    if (a->places) return (size_t)(z.batch * PLACES * a->channels * z.ldb + PLACES) * sizeof(float);
    return (size_t)(z.batch * a->groups * z.panels * z.k * a->gemm->nb) * sizeof(float);
}

static unsigned unfold_tiles(const ol_step *s, const ol_run *r) {
    const conv_args *a = *(conv_args *const *)s->args;
    sizes z;
    return find_sizes(a, r, &z) ? (unsigned)(z.batch * a->groups * z.panels * z.unfold_parts) : 0;
}

static void unfold_run(const ol_step *s, const ol_run *r, unsigned tile, void *scratch) {
    const conv_args *a = *(conv_args *const *)s->args;
    sizes z;
    (void)scratch;
    if (!find_sizes(a, r, &z)) return;
    int64_t part = tile % z.unfold_parts, panel = tile / z.unfold_parts, image = panel / z.panels, nb = a->gemm->nb;
    int64_t k0 = part * UNFOLD_ROWS, kn = z.k - k0 < UNFOLD_ROWS ? z.k - k0 : UNFOLD_ROWS, n0 = panel % z.panels * nb;
    const float *x = (const float *)ol_run_buffer(r, a->x) + image * a->channels * z.form.height * z.form.width;
    float *to = (float *)ol_run_buffer(r, a->unfolded) + (panel * z.k + k0) * nb;
    a->conv->pack(&z.form, x, k0, kn, n0, z.columns - n0 < nb ? z.columns - n0 : nb, (int)nb, to);
}

/* By places: [image][place][channel][block]; a tile is a channel. */
static unsigned transform_tiles(const ol_step *s, const ol_run *r) {
    const conv_args *a = *(conv_args *const *)s->args;
    sizes z;
    return find_sizes(a, r, &z) && z.blocks ? (unsigned)(z.batch * a->channels) : 0;
}
static size_t transform_scratch(const ol_step *s, const ol_run *r) {
    sizes z;
    return find_sizes(*(conv_args *const *)s->args, r, &z) ? (size_t)olk_winograd_scratch(&z.form) * sizeof(float) : 0;
}
static void transform_run(const ol_step *s, const ol_run *r, unsigned tile, void *scratch) {
    const conv_args *a = *(conv_args *const *)s->args;
    sizes z;
    if (!find_sizes(a, r, &z)) return;
    int64_t image = tile / a->channels, c = tile % a->channels;
    const float *x = (const float *)ol_run_buffer(r, a->x) + (int64_t)tile * z.form.height * z.form.width;
    float *to = (float *)ol_run_buffer(r, a->unfolded) + (image * PLACES * a->channels + c) * z.ldb;
    a->conv->winograd_input(&z.form, x, a->channels * z.ldb, scratch, to);
}
static const ol_step_class transform_class = {"transform", transform_tiles, transform_scratch, NULL, transform_run};
static const ol_step_class unfold_class = {"unfold", unfold_tiles, NULL, NULL, unfold_run};

/* ---- running ---- */

/* Residual and activation of y rows [o0, o1) of an image, columns [n0, n0 + n). */
static void end_tile(const conv_args *a, const ol_run *r, int64_t plane0, int64_t o0, int64_t o1, int64_t columns, int64_t n0, int64_t n, float *y) {
    const float *res = a->residual >= 0 ? ol_run_buffer(r, a->residual) : NULL;
    if (!res && a->act.f == OLK_ACT_NONE) return;
    for (int64_t o = o0; o < o1; o++) {
        int64_t at = (plane0 + o) * columns + n0;
        if (res) a->elementwise->full(OLK_ADD, y + at, res + at, y + at, n);
        if (a->act.f != OLK_ACT_NONE) a->activation->unary(a->act.f, a->act.a, a->act.b, y + at, y + at, n);
    }
}

static void run_product(const conv_args *a, const ol_run *r, const sizes *z, int64_t tile, float *panels) {
    int64_t row_tile = tile % z->row_tiles, column_tile = tile / z->row_tiles % z->column_tiles;
    int64_t image = tile / z->row_tiles / z->column_tiles, g = image % a->groups, nb = a->gemm->nb, panel_floats = z->k * nb;
    int64_t o0 = row_tile * z->row_tile, o1 = o0 + z->row_tile < a->outputs ? o0 + z->row_tile : a->outputs;
    int64_t n0 = column_tile * z->column_tile, n = z->columns - n0 < z->column_tile ? z->columns - n0 : z->column_tile;
    const float *x = (const float *)ol_run_buffer(r, a->x) + image * a->channels * z->form.height * z->form.width;
    int64_t plane0 = image * a->outputs, all_panels = (a->outputs + a->mr - 1) / a->mr;
    float *y = ol_run_buffer(r, a->y), *c = y + plane0 * z->columns + n0;
    const float *weights = a->weights + g * all_panels * a->mr * z->k;
    olk_gemm_tile t = {.mr = a->mr, .ldb = z->in_place ? z->columns : nb, .ldc = z->columns};
    const float *b = panels, *bias = a->bias ? a->bias + g * a->outputs : NULL;
    int64_t step = panel_floats; /* from nb columns to the next */
    if (z->in_place) b = x + n0, step = nb;
    else if (z->panels) b = (float *)ol_run_buffer(r, a->unfolded) + (image * z->panels + n0 / nb) * panel_floats;
    else
        for (int64_t j = 0; j < n; j += nb)
            a->conv->pack(&z->form, x, 0, z->k, n0 + j, n - j < nb ? n - j : nb, (int)nb, panels + j / nb * panel_floats);
    for (int64_t k0 = 0; k0 < z->k; k0 += KC) {
        t.k = z->k - k0 < KC ? z->k - k0 : KC;
        t.add = k0 > 0;
        t.range = a->clamped && k0 + t.k == z->k ? a->range : NULL;
        for (int64_t o = o0; o < o1; o += a->mr) {
            t.a = weights + (o / a->mr * z->k + k0) * a->mr;
            t.m = o1 - o < a->mr ? (int)(o1 - o) : a->mr;
            t.start = bias ? bias + o : NULL;
            for (int64_t j = 0; j < n; j += nb) {
                t.b = b + j / nb * step + k0 * t.ldb, t.n = n - j < nb ? n - j : nb, t.c = c + o * z->columns + j;
                a->gemm->multiply(&t);
            }
        }
    }
    end_tile(a, r, plane0, o0, o1, z->columns, n0, n, y);
}

static void run_places(const conv_args *a, const ol_run *r, const sizes *z, int64_t tile, float *scratch) {
    int64_t row_tile = tile % z->row_tiles, column_tile = tile / z->row_tiles % z->column_tiles, image = tile / z->row_tiles / z->column_tiles;
    int64_t o0 = row_tile * z->row_tile, rows = a->outputs - o0 < z->row_tile ? a->outputs - o0 : z->row_tile;
    int64_t high = (z->form.out_height + 1) / 2, wide = (z->form.out_width + 1) / 2, b0 = column_tile * z->block_rows;
    int64_t b1 = b0 + z->block_rows < high ? b0 + z->block_rows : high, n = (b1 - b0) * wide, nb = a->gemm->nb;
    int64_t place_floats = (a->outputs + a->mr - 1) / a->mr * a->mr * a->channels;
    const float *v = (const float *)ol_run_buffer(r, a->unfolded) + image * PLACES * a->channels * z->ldb + b0 * wide;
    float *m = scratch, *work = scratch + PLACES * rows * n, *y = ol_run_buffer(r, a->y);
    olk_gemm_tile t = {.mr = a->mr, .ldb = z->ldb, .ldc = n};
    for (int64_t place = 0; place < PLACES; place++)
        for (int64_t k0 = 0; k0 < a->channels; k0 += KC)
            for (int64_t o = 0; o < rows; o += a->mr)
                for (int64_t j = 0; j < n; j += nb) {
                    t.k = a->channels - k0 < KC ? a->channels - k0 : KC, t.add = k0 > 0;
                    t.a = a->weights + place * place_floats + (o0 + o) * a->channels + k0 * a->mr;
                    t.m = rows - o < a->mr ? (int)(rows - o) : a->mr, t.n = n - j < nb ? n - j : nb;
                    t.b = v + (place * a->channels + k0) * z->ldb + j, t.c = m + (place * rows + o) * n + j;
                    a->gemm->multiply(&t);
                }
    int64_t plane0 = image * a->outputs, first = 2 * b0, last = 2 * b1 < z->form.out_height ? 2 * b1 : z->form.out_height;
    for (int64_t o = 0; o < rows; o++)
        a->conv->winograd_output(&z->form, m + o * n, rows * n, a->bias ? a->bias[o0 + o] : 0, b0, b1, work, y + (plane0 + o0 + o) * z->columns);
    end_tile(a, r, plane0, o0, o0 + rows, z->columns, first * z->form.out_width, (last - first) * z->form.out_width, y);
}

static void run_depthwise(const conv_args *a, const ol_run *r, const sizes *z, int64_t tile) {
    int64_t block = tile % z->row_blocks, plane = tile / z->row_blocks, c = plane % a->groups;
    int64_t r0 = block * z->plane_rows, r1 = r0 + z->plane_rows < z->form.out_height ? r0 + z->plane_rows : z->form.out_height;
    const float *x = (const float *)ol_run_buffer(r, a->x) + plane * z->form.height * z->form.width;
    float *y = (float *)ol_run_buffer(r, a->y) + plane * z->columns;
    int64_t at = r0 * z->form.out_width, n = (r1 - r0) * z->form.out_width;
    a->conv->depthwise(&z->form, x, a->weights + c * z->form.kernel_h * z->form.kernel_w, a->bias ? a->bias[c] : 0, a->clamped ? a->range : NULL, r0, r1, y);
    if (a->residual >= 0) {
        const float *res = (const float *)ol_run_buffer(r, a->residual) + plane * z->columns;
        a->elementwise->full(OLK_ADD, y + at, res + at, y + at, n);
    }
    if (a->act.f != OLK_ACT_NONE) a->activation->unary(a->act.f, a->act.a, a->act.b, y + at, y + at, n);
}

static void run(const ol_step *s, const ol_run *r, unsigned tile, void *scratch) {
    const conv_args *a = s->args;
    sizes z;
    if (!find_sizes(a, r, &z)) return;
    if (a->depthwise) run_depthwise(a, r, &z, tile);
    else if (a->places) run_places(a, r, &z, tile, scratch);
    else run_product(a, r, &z, tile, scratch);
}
static const ol_step_class conv_class = {"conv", tiles, scratch_bytes, NULL, run};

/* ---- lowering ---- */

/* Scale and shift of each output channel by a normalization of constants. */
typedef struct affine {
    float *scale, *shift;
} affine;

static olv_status read_vector(ol_lowering *l, ol_value *v, int64_t n, const float **out, olv_error *err) {
    if (!v->constant || ol_const_rows(v->constant) * ol_const_width(v->constant) != n)
        return ol_fail(err, OLV_UNSUPPORTED, "'%s' is no constant of %lld elements", v->name, (long long)n);
    *out = ol_lower_f32(l, v, err);
    return *out ? OLV_OK : err ? err->status : OLV_NOMEM;
}

/* A BatchNormalization that is the only user of v: its node, else NULL. */
static ol_node *following_norm(ol_lowering *l, const ol_value *v) {
    ol_node *n = ol_value_only_user(v);
    if (!n || n->graph != l->graph || *n->op->domain || strcmp(n->op->name, "BatchNormalization") || n->n_inputs != 5) return NULL;
    if (ol_node_int(n, "training_mode", 0)) return NULL;
    for (int i = 1; i < 5; i++)
        if (!n->inputs[i] || !n->inputs[i]->constant) return NULL;
    for (int i = 1; i < n->n_outputs; i++)
        if (n->outputs[i]) return NULL;
    return n;
}

static olv_status absorb_norm(ol_lowering *l, ol_value **result, int64_t n, affine *f, olv_error *err) {
    ol_node *norm = following_norm(l, *result);
    const float *p[4];
    if (!norm) return OLV_OK;
    for (int i = 0; i < 4; i++) OL_TRY(read_vector(l, norm->inputs[i + 1], n, &p[i], err));
    f->scale = ol_arena_calloc(l->arena, (size_t)n, sizeof(float));
    f->shift = ol_arena_calloc(l->arena, (size_t)n, sizeof(float));
    if (!f->scale || !f->shift) return ol_fail(err, OLV_NOMEM, "no memory for the plan");
    double epsilon = (double)ol_node_float(norm, "epsilon", 1e-5f);
    for (int64_t i = 0; i < n; i++) {
        double s = (double)p[0][i] / sqrt((double)p[3][i] + epsilon);
        f->scale[i] = (float)s;
        f->shift[i] = (float)((double)p[1][i] - (double)p[2][i] * s);
    }
    *result = norm->outputs[0];
    ol_lower_cover(l, norm);
    return OLV_OK;
}

/* + another value of the same shape that is there already, then an activation. */
static void absorb_rest(ol_lowering *l, const ol_node *n, ol_value **result, conv_args *a) {
    ol_node *add = ol_value_only_user(*result);
    if (add && add->graph == l->graph && !*add->op->domain && !strcmp(add->op->name, "Add") && add->n_inputs == 2) {
        ol_value *other = add->inputs[add->inputs[0] == *result];
        bool same = !other->constant && other->type.rank == (*result)->type.rank && ol_dtype_class(other->type.dtype) == 'f';
        for (int i = 0; same && i < other->type.rank; i++) same = other->type.dims[i] == (*result)->type.dims[i];
        if (same && other != *result && ol_lower_ready(l, other, n) && l->buffer_of[other->id] >= 0) {
            a->residual = l->buffer_of[other->id];
            *result = add->outputs[0];
            ol_lower_cover(l, add);
        }
    }
    ol_node *user = ol_value_only_user(*result);
    if (!user || user->graph != l->graph) return;
    a->act = ol_cpu_act_of(user);
    if (a->act.f == OLK_ACT_NONE) return;
    *result = user->outputs[0];
    ol_lower_cover(l, user);
}

/* Rows of the weights, scaled, one after the other. */
static olv_status weight_rows(const ol_const *c, int64_t lines, int64_t o, int64_t n, int64_t k, const affine *f, float *out, olv_error *err) {
    OL_TRY(ol_const_rows_f32(c, o * lines, n * lines, out, err));
    for (int64_t i = 0; f->scale && i < n; i++)
        for (int64_t j = 0; j < k; j++) out[i * k + j] *= f->scale[o + i];
    return OLV_OK;
}

/* m rows of windows: a panel for each place, `step` floats apart; behind the rows there is room for the transformed ones. */
static void pack_places(const conv_args *a, float *line, int64_t m, int64_t step, float *to) {
    int64_t windows = m * a->channels;
    float *u = line + windows * 9;
    for (int64_t i = 0; i < windows; i++) a->conv->winograd_window(line + i * 9, u + i * PLACES);
    for (int64_t place = 0; place < PLACES; place++)
        a->gemm->pack_a(u + place, a->channels * PLACES, PLACES, m, a->channels, a->mr, to + place * step);
}

/* Packing of weights: item i is a panel of `rows` rows (the last of a group may have fewer), or one depthwise window. */
typedef struct packing {
    const conv_args *a;
    const ol_const *c;
    const affine *f;
    float *scratch; /* by lane */
    size_t scratch_floats;
    float *to;
    int64_t k, lines, rows, panels; /* a row is `lines` rows of the constant; panels of a group */
    int64_t stride, step;           /* floats from panel to panel; from place to place */
    atomic_int failed;              /* an olv_status */
} packing;

static void pack_panel(void *ctx, size_t i, int lane) {
    packing *p = ctx;
    const conv_args *a = p->a;
    float *line = p->scratch + (size_t)lane * p->scratch_floats, *to = p->to + (int64_t)i * p->stride;
    int64_t g = (int64_t)i / p->panels, o = (int64_t)i % p->panels * p->rows, m = a->outputs - o < p->rows ? a->outputs - o : p->rows;
    olv_status s = weight_rows(p->c, p->lines, g * a->outputs + o, m, p->k, p->f, line, NULL);
    if (s != OLV_OK) p->failed = (int)s;
    else if (a->depthwise) memcpy(to, line, (size_t)p->k * sizeof *to);
    else if (a->places) pack_places(a, line, m, p->step, to);
    else a->gemm->pack_a(line, p->k, 1, m, p->k, a->mr, to);
}

/* Panels of every group (or the windows of a depthwise one as they are), made once per plan. */
static olv_status pack_weights(ol_lowering *l, const ol_node *n, conv_args *a, const affine *f, olv_error *err) {
    const ol_const *c = n->inputs[1]->constant;
    const int64_t *d = ol_const_dims(c);
    int64_t k = ol_const_rank(c) == 4 ? d[1] * d[2] * d[3] : d[1] * d[2], rows = a->depthwise ? 1 : a->mr;
    int64_t panels = (a->outputs + rows - 1) / rows, floats = a->groups * panels * rows * k / (a->places ? 9 : 1) * (a->places ? PLACES : 1);
    int form = (a->places ? FORM_PLACES : FORM_PANELS) + (f->scale != NULL), lanes = ol_lower_lanes(l);
    bool made;
    size_t bytes;
    const void *source = ol_const_data(c, &bytes);
    ol_prepared_item *item = ol_prepare(l->prepared, n->name, source ? source : c, form, ((size_t)floats + 16) * sizeof(float), &made);
    if (!item) return ol_fail(err, OLV_NOMEM, "no memory for weight '%s'", n->inputs[1]->name);
    a->weights = item->data;
    if (!made) return OLV_OK;
    packing p = {.a = a, .c = c, .f = f, .to = item->data, .k = k, .lines = ol_const_rank(c) == 4 ? d[1] * d[2] : d[1], .rows = rows, .panels = panels,
                 .stride = a->places ? rows * a->channels : rows * k, .step = floats / PLACES,
                 .scratch_floats = (size_t)(rows * k) * (a->places ? 25 : 9) / 9 + 16};
    p.scratch = ol_alloc((size_t)lanes * p.scratch_floats * sizeof(float));
    if (!p.scratch) return ol_fail(err, OLV_NOMEM, "no memory for weight '%s'", n->inputs[1]->name);
    ol_lower_for(l, (size_t)(a->groups * panels), pack_panel, &p);
    ol_free(p.scratch);
    if (source) ol_const_drop_pages(c, source, bytes);
    return p.failed ? ol_fail(err, (olv_status)p.failed, "weight '%s' cannot be read", n->inputs[1]->name) : OLV_OK;
}

static olv_status make_bias(ol_lowering *l, const ol_node *n, conv_args *a, const affine *f, olv_error *err) {
    int64_t all = a->groups * a->outputs;
    const float *given = NULL;
    if (n->n_inputs > 2 && n->inputs[2]) OL_TRY(read_vector(l, n->inputs[2], all, &given, err));
    a->bias = given;
    if (!f->shift) return OLV_OK;
    for (int64_t i = 0; given && i < all; i++) f->shift[i] += given[i] * f->scale[i];
    a->bias = f->shift;
    return OLV_OK;
}

static olv_status read_form(ol_lowering *l, const ol_node *n, conv_args *a, olv_error *err) {
    const ol_value *x = n->inputs[0], *w = n->inputs[1];
    if (!w->constant || (x->type.rank != 4 && x->type.rank != 3) || ol_dtype_class(w->type.dtype) != 'f')
        return ol_fail(err, OLV_UNSUPPORTED, "only one or two spatial dims with constant weights");
    a->n_spatial = x->type.rank - 2;
    const int64_t *d = ol_const_dims(w->constant);
    int64_t some[2] = {64, 64};
    for (int i = 0; i < a->n_spatial; i++) some[i] = d[2 + i] * 64 + 64;
    OL_TRY(ol_window_init(&a->window, n, a->n_spatial, some, d + 2, err));
    int v = a->n_spatial - 1; /* the axis that becomes the width */
    a->form = (olk_conv_form){.channels = d[1], .kernel_h = v ? d[2] : 1, .kernel_w = d[2 + v], .stride_h = v ? a->window.stride[0] : 1,
                              .stride_w = a->window.stride[v], .dilation_h = v ? a->window.dilation[0] : 1, .dilation_w = a->window.dilation[v]};
    a->groups = ol_node_int(n, "group", 1);
    if (a->groups < 1 || d[0] % a->groups || d[0] < 1 || d[1] < 1) return ol_fail(err, OLV_SHAPE, "%lld outputs in %lld groups", (long long)d[0], (long long)a->groups);
    a->channels = d[1];
    a->outputs = d[0] / a->groups;
    if (ol_dim_known(x->type.dims[1]) && x->type.dims[1] != a->groups * a->channels)
        return ol_fail(err, OLV_SHAPE, "%lld channels found, %lld expected", (long long)x->type.dims[1], (long long)(a->groups * a->channels));
    a->depthwise = a->channels == 1 && a->outputs == 1;
    const olk_conv_form *f = &a->form;
    a->places = f->kernel_h == 3 && f->kernel_w == 3 && f->stride_h * f->stride_w * f->dilation_h * f->dilation_w == 1 && a->groups == 1 &&
                a->channels >= PLACE_CHANNELS && a->outputs >= PLACE_CHANNELS;
    a->batch = x->type.dims[0];
    for (int i = 0; i < a->n_spatial; i++) a->in[i] = x->type.dims[2 + i];
    a->gemm = olk_gemm_select(l->opt.cpu);
    a->conv = olk_conv_select(l->opt.cpu);
    a->activation = olk_activation_select(l->opt.cpu);
    a->elementwise = olk_elementwise_select(l->opt.cpu);
    a->mr = olk_gemm_panel_rows(a->gemm, a->outputs);
    return OLV_OK;
}

static void know_range(conv_args *a) {
    if (a->residual >= 0 || a->places || (a->act.f != OLK_ACT_RELU && a->act.f != OLK_ACT_CLIP)) return;
    a->range[0] = a->act.f == OLK_ACT_CLIP ? a->act.a : 0;
    a->range[1] = a->act.f == OLK_ACT_CLIP ? a->act.b : INFINITY;
    a->clamped = a->range[0] <= a->range[1];
    if (a->clamped) a->act.f = OLK_ACT_NONE;
}

static void know_sizes(conv_args *a) {
    sizes z;
    if (!ol_dim_known(a->batch) || a->batch < 1) return;
    for (int i = 0; i < a->n_spatial; i++)
        if (!ol_dim_known(a->in[i])) return;
    if (find_sizes(a, NULL, &z)) a->known = z;
}

/* Without tiles in a run whose sizes do not ask for it; no step at all where that is known. */
static bool emit_unfold(ol_lowering *l, const ol_node *n, conv_args *a) {
    if (a->known.batch && !a->known.panels && !a->places) return true;
    a->unfolded = ol_lower_temp_sized(l, unfolded_bytes, a);
    ol_step *s = ol_lower_step(l, a->places ? &transform_class : &unfold_class, n->name, sizeof a);
    if (!s) return false;
    memcpy(s->args, &a, sizeof a);
    ol_step_reads(s, a->x);
    ol_step_writes(s, a->unfolded);
    return true;
}

olv_status ol_lower_conv(ol_lowering *l, ol_node *n, olv_error *err) {
    conv_args *a = ol_arena_calloc(l->arena, 1, sizeof *a);
    affine f = {NULL, NULL};
    if (!a) return ol_fail(err, OLV_NOMEM, "no memory for the plan");
    a->node = n;
    a->residual = a->unfolded = -1;
    a->act.f = OLK_ACT_NONE;
    OL_TRY(read_form(l, n, a, err));
    if ((a->x = ol_lower_input(l, n->inputs[0], err)) < 0) return err ? err->status : OLV_INTERNAL;
    ol_value *result = n->outputs[0];
    if (n->inputs[1]->n_uses == 1) OL_TRY(absorb_norm(l, &result, a->groups * a->outputs, &f, err));
    OL_TRY(make_bias(l, n, a, &f, err));
    OL_TRY(pack_weights(l, n, a, &f, err));
    absorb_rest(l, n, &result, a);
    know_range(a);
    know_sizes(a);
    if (!a->depthwise && !emit_unfold(l, n, a)) return OLV_OK; /* latched */
    a->y = ol_lower_output(l, result);
    ol_step *s = ol_lower_step(l, &conv_class, n->name, 0);
    if (!s) return OLV_OK;
    s->args = a;
    s->kernel = a->depthwise ? a->conv->name : a->gemm->name;
    ol_step_reads(s, a->x);
    ol_step_reads(s, a->residual);
    ol_step_reads(s, a->unfolded);
    ol_step_writes(s, a->y);
    return OLV_OK;
}
