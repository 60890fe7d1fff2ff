/* SPDX-License-Identifier: Apache-2.0 */
/* Linear layers. All Linear nodes that read the same rows become one step of several parts, so that activations are
 * packed once; what follows a part in the graph (bias, activation, the gate product, the residual sum) happens while
 * its tile is in the cache, and so does, in a decode run, the normalization before it (each lane normalizes and packs
 * the few rows for itself, which is cheaper than a barrier). In a prefill run packing is a step of its own.
 *
 * Decode and the head (any linear over the rows of `output_rows`) use the GEMV family, in chunks of 16 rows; prefill
 * uses the GEMM family. Tiles are cut by the weight's shape alone. */
#include "base/alloc.h"
#include "base/checked.h"
#include "base/error.h"
#include "device/cpu/codes.h"
#include "device/cpu/cpu.h"
#include "device/cpu/lowrank.h"
#include "graph/op.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/linear/panels.h"
#include <string.h>

#define CHUNK OL_DECODE_ROWS
#define MAX_PARTS OL_CPU_LOWRANK_LAYERS
/* Weights of a decode tile: a sixteenth of the matrix, long enough to stream, short enough to share. */
#define TILE_SHARE 16
#define MIN_TILE_BYTES 16384
#define MAX_TILE_BYTES 196608

typedef struct part {
    olk_weight w;
    ol_qconst q;
    const olk_linear *kernel[CHUNK + 1]; /* by rows; [0] for prefill */
    const float *bias;
    const ol_const *turned; /* the matrix that w shows transposed, when its panels are the only copy */
    int out, residual; /* buffers */
    ol_cpu_act act;
    int up;            /* part that multiplies act(this one), or -1 */
    bool silent;       /* computed by the part whose `up` it is */
    int64_t tile_rows; /* of W */
    unsigned first_tile, n_tiles;
} part;

typedef struct linear_args {
    part parts[MAX_PARTS];
    int n_parts;
    int x;
    ol_dim rows;
    int64_t k;
    bool chunked; /* GEMV family */
    int act;      /* buffer of packed rows (x itself, when it is packed as it lies), or -1: each lane packs into its scratch */
    ol_cpu_norm norm;
    const olk_activation *activation;
    const olk_elementwise *elementwise;
    ol_cpu_lowrank *lowrank; /* additions by part, or NULL: these rows carry none */
} linear_args;

static const olk_linear *kernel_of(const linear_args *a, const part *p, int64_t m) {
    return a->chunked ? p->kernel[m < CHUNK ? m : CHUNK] : p->kernel[0];
}

static int64_t run_rows(const linear_args *a, const ol_run *r) { return ol_cpu_rows(r, a->rows); }

/* ---- packed rows: chunk after chunk of 16 in the GEMV family, all rows at once in the GEMM family ---- */

static size_t act_bytes(const linear_args *a, int64_t m) {
    const part *p = &a->parts[0];
    if (!a->chunked) return kernel_of(a, p, m)->act_bytes(&p->w, m);
    size_t full = ol_align_up(p->kernel[CHUNK]->act_bytes(&p->w, CHUNK), 64);
    return full * (size_t)((m + CHUNK - 1) / CHUNK);
}

static size_t act_buffer_bytes(const void *ctx, const ol_run *r) { return act_bytes(ctx, run_rows(ctx, r)); }

static uint8_t *act_chunk(const linear_args *a, uint8_t *act, int64_t chunk) {
    const part *p = &a->parts[0];
    return act + ol_align_up(p->kernel[CHUNK]->act_bytes(&p->w, CHUNK), 64) * (size_t)chunk;
}

/* Normalizes (if asked) and packs rows [r0, r1) of m; tmp holds (r1 - r0) * k floats. */
static void pack_rows(const linear_args *a, const float *x, int64_t r0, int64_t r1, int64_t m, uint8_t *act, float *tmp) {
    const part *p = &a->parts[0];
    const float *src = x + r0 * a->k;
    if (a->norm.kernel) {
        ol_cpu_norm_rows(&a->norm, src, a->k, tmp, a->k, r1 - r0);
        src = tmp;
    }
    if (!a->chunked) {
        kernel_of(a, p, m)->pack(&p->w, src - r0 * a->k, a->k, r0, r1, m, act);
        return;
    }
    for (int64_t c0 = r0 / CHUNK * CHUNK; c0 < r1; c0 += CHUNK) {
        int64_t mc = m - c0 < CHUNK ? m - c0 : CHUNK;
        int64_t b = r0 > c0 ? r0 - c0 : 0, e = r1 - c0 < mc ? r1 - c0 : mc;
        kernel_of(a, p, mc)->pack(&p->w, src + (c0 - r0) * a->k, a->k, b, e, mc, act_chunk(a, act, c0 / CHUNK));
    }
}

/* ---- the pack step of a prefill run ---- */

#define PACK_ROWS CHUNK

typedef struct pack_args {
    const linear_args *linear;
} pack_args;

static unsigned pack_tiles(const ol_step *s, const ol_run *r) {
    const pack_args *a = s->args;
    return (unsigned)((run_rows(a->linear, r) + PACK_ROWS - 1) / PACK_ROWS);
}
static size_t pack_scratch(const ol_step *s, const ol_run *r) {
    const pack_args *a = s->args;
    (void)r;
    return a->linear->norm.kernel ? (size_t)a->linear->k * PACK_ROWS * sizeof(float) : 0;
}
static void pack_run(const ol_step *s, const ol_run *r, unsigned tile, void *scratch) {
    const linear_args *a = ((const pack_args *)s->args)->linear;
    int64_t m = run_rows(a, r), r0 = (int64_t)tile * PACK_ROWS, r1 = r0 + PACK_ROWS < m ? r0 + PACK_ROWS : m;
    pack_rows(a, ol_run_buffer(r, a->x), r0, r1, m, ol_run_buffer(r, a->act), scratch);
}
static const ol_step_class pack_class = {"pack", pack_tiles, pack_scratch, NULL, pack_run};

/* ---- the linear step ---- */

/* Scratch of a lane: [packed rows | normalized rows] when it packs for itself, then the kernel's, then two tiles. */
typedef struct scratch_plan {
    size_t act, tmp, kernel, tile, total;
} scratch_plan;

static scratch_plan plan_scratch(const linear_args *a, int64_t m) {
    scratch_plan s = {0};
    size_t at = 0, kernel = 0, tile = 0;
    int64_t mt = a->chunked && m > CHUNK ? CHUNK : m;
    s.act = at;
    if (a->act < 0) at += ol_align_up(act_bytes(a, m), 64);
    s.tmp = at;
    if (a->act < 0 && a->norm.kernel) at += ol_align_up((size_t)(m * a->k) * sizeof(float), 64);
    for (int i = 0; i < a->n_parts; i++) {
        const part *p = &a->parts[i];
        size_t need = kernel_of(a, p, mt)->scratch_bytes(&p->w, mt);
        if (need > kernel) kernel = need;
        size_t floats = (size_t)(mt * p->tile_rows);
        if (floats * sizeof(float) > tile) tile = floats * sizeof(float);
    }
    s.kernel = at;
    at += ol_align_up(kernel, 64);
    s.tile = at;
    at += 2 * ol_align_up(tile, 64);
    s.total = at + 64;
    return s;
}

static unsigned linear_tiles(const ol_step *s, const ol_run *r) {
    const linear_args *a = s->args;
    if (run_rows(a, r) == 0) return 0;
    const part *last = &a->parts[a->n_parts - 1];
    return last->first_tile + last->n_tiles;
}
static size_t linear_scratch(const ol_step *s, const ol_run *r) {
    const linear_args *a = s->args;
    int64_t m = run_rows(a, r); /* 0: a chunk of a prompt whose scores nobody wants */
    return m ? plan_scratch(a, m).total : 0;
}
static void linear_begin(const ol_step *s, const ol_run *r, void *scratch) {
    const linear_args *a = s->args;
    if (a->act >= 0) return;
    int64_t m = run_rows(a, r);
    scratch_plan sp = plan_scratch(a, m);
    uint8_t *base = scratch;
    pack_rows(a, ol_run_buffer(r, a->x), 0, m, m, base + sp.act, (float *)(void *)(base + sp.tmp));
}

typedef struct tile_ctx {
    const linear_args *a;
    const ol_run *r;
    const uint8_t *act;
    int64_t m0, m, n0, n1; /* rows [m0, m0 + m) of the run, columns */
    void *kernel_scratch;
    float *tile[2];
} tile_ctx;

static void compute(const tile_ctx *t, const part *p, float *y, int64_t ldy) {
    olk_linear_args la = {&p->w, t->act, t->m, y, ldy};
    bool added = t->a->lowrank && t->r->lowrank_width;
    int i = (int)(p - t->a->parts);
    if (added) ol_cpu_lowrank_prefetch(t->a->lowrank, t->r, i, t->m0, t->n0, t->n1);
    kernel_of(t->a, p, t->m)->run(&la, 0, t->m, t->n0, t->n1, t->kernel_scratch);
    float *tile = y + t->n0;
    if (added) ol_cpu_lowrank_add(t->a->lowrank, t->r, i, t->m0, t->m, t->n0, t->n1, tile, ldy);
    if (!p->bias) return;
    t->a->elementwise->rows_right(OLK_ADD, tile, ldy, p->bias + t->n0, tile, ldy, t->m, t->n1 - t->n0);
}

/* out = act(gate) or act(gate) * up, row by row out of the two tiles. */
static void finish_activation(const tile_ctx *t, const part *p, float *out, int64_t ld) {
    int64_t n = t->n1 - t->n0;
    const ol_cpu_act f = p->act;
    compute(t, p, t->tile[0] - t->n0, n);
    if (p->up >= 0) compute(t, &t->a->parts[p->up], t->tile[1] - t->n0, n);
    for (int64_t i = 0; i < t->m; i++) {
        const float *g = t->tile[0] + i * n, *u = t->tile[1] + i * n;
        float *o = out + i * ld + t->n0;
        if (p->up >= 0) t->a->activation->gated(f.f, f.a, f.b, g, u, o, n);
        else t->a->activation->unary(f.f, f.a, f.b, g, o, n);
    }
}

static void finish_tile(const tile_ctx *t, const part *p) {
    int64_t ld = p->w.n;
    float *out = (float *)ol_run_buffer(t->r, p->out) + t->m0 * ld;
    if (p->up < 0 && p->act.f == OLK_ACT_NONE) compute(t, p, out, ld);
    else finish_activation(t, p, out, ld);
    if (p->residual < 0) return;
    const float *res = (const float *)ol_run_buffer(t->r, p->residual) + t->m0 * ld + t->n0;
    for (int64_t i = 0; i < t->m; i++) {
        float *o = out + i * ld + t->n0;
        t->a->elementwise->full(OLK_ADD, o, res + i * ld, o, t->n1 - t->n0);
    }
}

static void linear_run(const ol_step *s, const ol_run *r, unsigned tile, void *scratch) {
    const linear_args *a = s->args;
    int64_t m = run_rows(a, r);
    scratch_plan sp = plan_scratch(a, m);
    uint8_t *base = scratch;
    uint8_t *act = a->act < 0 ? base + sp.act : ol_run_buffer(r, a->act);
    int i = 0;
    while (a->parts[i].silent || tile >= a->parts[i].first_tile + a->parts[i].n_tiles) i++;
    const part *p = &a->parts[i];
    size_t tile_bytes = (sp.total - 64 - sp.tile) / 2;
    tile_ctx t = {.a = a, .r = r, .kernel_scratch = base + sp.kernel};
    t.tile[0] = (float *)(void *)(base + sp.tile);
    t.tile[1] = (float *)(void *)(base + sp.tile + tile_bytes);
    t.n0 = (int64_t)(tile - p->first_tile) * p->tile_rows;
    t.n1 = t.n0 + p->tile_rows < p->w.n ? t.n0 + p->tile_rows : p->w.n;
    int64_t step = a->chunked ? CHUNK : m;
    for (t.m0 = 0; t.m0 < m; t.m0 += step) {
        t.m = m - t.m0 < step ? m - t.m0 : step;
        t.act = a->chunked ? act_chunk(a, act, t.m0 / CHUNK) : act;
        finish_tile(&t, p);
    }
}
static const ol_step_class linear_class = {"linear", linear_tiles, linear_scratch, linear_begin, linear_run};

/* ---- choosing ---- */

/* A matrix that lies dense in memory, or NULL. */
static const ol_const *dense_source(const ol_const *c) {
    size_t bytes;
    if (!c || ol_const_rank(c) != 2 || !ol_const_data(c, &bytes)) return NULL;
    ol_dtype t = ol_const_dtype(c);
    return t == OL_F32 || t == OL_F16 || t == OL_BF16 ? c : NULL;
}

/* Panels of a weight that is seen transposed: their rows are stretches of the source's rows. */
typedef struct turning {
    const void *data;
    ol_dtype dtype;
    int64_t k, n, tile_n;
    float *out;
} turning;

static void make_turned_panel(void *ctx, size_t i, int lane) {
    (void)lane;
    const turning *t = ctx;
    int64_t n0 = (int64_t)i * t->tile_n, m = t->n - n0 < t->tile_n ? t->n - n0 : t->tile_n;
    float *out = t->out + n0 * t->k;
    for (int64_t row = 0; row < t->k; row++, out += t->tile_n) {
        ol_elems_to_f32(t->dtype, t->data, (uint64_t)(row * t->n + n0), (uint64_t)m, out);
        for (int64_t j = m; j < t->tile_n; j++) out[j] = 0;
    }
}

static void make_turned_panels(const ol_lowering *l, const ol_const *source, int64_t tile_n, float *out) {
    size_t bytes;
    turning t = {ol_const_data(source, &bytes), ol_const_dtype(source), ol_const_rows(source), ol_const_width(source), tile_n, out};
    ol_lower_for(l, (size_t)((t.n + tile_n - 1) / tile_n), make_turned_panel, &t);
}

/* The weight as kernels see it: quantized or dense rows in place; other views are copied once as f32. */
static olv_status weight_of(ol_lowering *l, const ol_node *n, part *p, olv_error *err) {
    const ol_value *v = n->inputs[1];
    if (!v->constant) return ol_fail(err, OLV_UNSUPPORTED, "weight '%s' is no constant", v->name);
    ol_const *c = v->constant;
    p->w.n = ol_const_rows(c);
    p->w.k = ol_const_width(c);
    const ol_qconst *q = ol_const_qconst(c);
    if (q) {
        p->q = *q;
        p->w.dtype = OL_DTYPE_NONE;
        return ol_cpu_narrow_scales(l, c, v->name, &p->q, err); /* p->w.q is set when the part has its final place */
    }
    size_t bytes = 0;
    ol_dtype t = ol_const_dtype(c);
    p->w.data = t == OL_F32 || t == OL_F16 || t == OL_BF16 ? ol_const_data(c, &bytes) : NULL;
    p->w.dtype = t;
    p->turned = p->w.data ? NULL : dense_source(ol_const_transposed(c));
    if (!p->w.data && p->turned && !l->graph->n_states && l->entry != OL_ENTRY_DECODE) {
        p->w.dtype = OL_F32; /* of the panels, which are its only copy */
    } else if (!p->w.data) {
        bool made;
        p->turned = NULL;
        size_t floats = (size_t)(p->w.n * p->w.k) + 16; /* both are bounded by the constant's checked size */
        ol_prepared_item *copy = ol_prepare(l->prepared, v->name, c, OL_CPU_FORM_F32, floats * sizeof(float), &made);
        if (!copy) return ol_fail(err, OLV_NOMEM, "no memory for weight '%s'", v->name);
        if (made) OL_TRY(ol_const_rows_f32(c, 0, p->w.n, copy->data, err));
        p->w.data = copy->data;
        p->w.dtype = OL_F32;
    }
    p->w.row_bytes = (size_t)p->w.k * (size_t)ol_dtype_bits(p->w.dtype) / 8;
    return OLV_OK;
}

/* A kernel that reads no panels: the weight is copied after all. */
static olv_status copy_turned(ol_lowering *l, const ol_value *v, part *p, olv_error *err) {
    bool made;
    size_t floats = (size_t)(p->w.n * p->w.k) + 16;
    ol_prepared_item *copy = ol_prepare(l->prepared, v->name, v->constant, OL_CPU_FORM_F32, floats * sizeof(float), &made);
    if (!copy) return ol_fail(err, OLV_NOMEM, "no memory for weight '%s'", v->name);
    if (made) OL_TRY(ol_const_rows_f32(v->constant, 0, p->w.n, copy->data, err));
    p->w.data = copy->data;
    p->turned = NULL;
    return OLV_OK;
}

static bool choose_kernels(const ol_lowering *l, const linear_args *a, part *p) {
    olk_weight w = p->w;
    w.q = p->w.dtype == OL_DTYPE_NONE ? &p->q : NULL;
    if (!a->chunked)
        return (p->kernel[0] = olk_linear_select(&w, OL_PREFILL_ROWS, l->opt.precision, l->opt.linear_cpu, NULL, 0)) != NULL;
    for (int64_t m = 1; m <= CHUNK; m++)
        if (!(p->kernel[m] = olk_linear_select(&w, m, l->opt.precision, l->opt.linear_cpu, NULL, 0))) return false;
    return true;
}

/* A model without state runs short texts as often as long ones, and few rows do not pay for transposing the weights anew:
 * they are kept as panels. */
static olv_status lay_out_panels(ol_lowering *l, const ol_value *v, part *p, olv_error *err) {
    const olk_panels *form = p->kernel[0] ? olk_panels_find(p->kernel[0], &p->w) : NULL;
    size_t floats, bytes = 0;
    bool made;
    if (!form && p->turned) OL_TRY(copy_turned(l, v, p, err));
    if (!form || l->graph->n_states || p->w.dtype == OL_DTYPE_NONE) return OLV_OK;
    floats = form->floats(&p->w);
    ol_prepared_item *item = ol_prepare(l->prepared, v->name, v->constant, OL_CPU_FORM_PANELS, floats * sizeof(float), &made);
    if (!item) return ol_fail(err, OLV_NOMEM, "no memory for weight '%s'", v->name);
    if (made && p->turned) make_turned_panels(l, p->turned, p->kernel[0]->tile_n, item->data);
    else if (made) form->make(&p->w, item->data);
    p->w.panels = item->data;
    const ol_const *read = p->turned ? p->turned : v->constant;
    const void *data = ol_const_data(read, &bytes);
    if (data) ol_const_drop_pages(read, data, bytes);
    return OLV_OK;
}

/* Two parts can read the same packed rows. */
static bool same_act(const linear_args *a, const part *p, const part *q) {
    for (int m = a->chunked ? 1 : 0; m <= (a->chunked ? CHUNK : 0); m++) {
        olk_weight wp = p->w, wq = q->w;
        wp.q = p->w.dtype == OL_DTYPE_NONE ? &p->q : NULL;
        wq.q = q->w.dtype == OL_DTYPE_NONE ? &q->q : NULL;
        if (p->kernel[m]->pack != q->kernel[m]->pack || p->kernel[m]->act_key(&wp) != q->kernel[m]->act_key(&wq))
            return false;
    }
    return true;
}

static void cut_tiles(linear_args *a) {
    unsigned at = 0;
    for (int i = 0; i < a->n_parts; i++) {
        part *p = &a->parts[i];
        int64_t unit = kernel_of(a, p, CHUNK)->tile_n, rows = unit;
        size_t row = p->w.dtype == OL_DTYPE_NONE
                         ? p->q.row_bytes + (size_t)p->q.n_groups * (size_t)ol_dtype_bits(p->q.scale_dtype) / 8
                         : p->w.row_bytes;
        size_t bytes = (size_t)p->w.n * row / TILE_SHARE;
        if (bytes < MIN_TILE_BYTES) bytes = MIN_TILE_BYTES;
        if (bytes > MAX_TILE_BYTES) bytes = MAX_TILE_BYTES;
        if (a->chunked)
            while ((size_t)(rows + unit) * row <= bytes) rows += unit;
        p->tile_rows = rows;
        p->first_tile = at;
        p->n_tiles = p->silent ? 0 : (unsigned)((p->w.n + rows - 1) / rows);
        at += p->n_tiles;
    }
    for (int i = 0; i < a->n_parts; i++) /* a gate and its product share their tile */
        if (a->parts[i].up >= 0) a->parts[a->parts[i].up].tile_rows = a->parts[i].tile_rows;
}

/* ---- what follows a part in the graph ---- */

typedef struct group {
    ol_lowering *l;
    const ol_value *x;
    ol_node *nodes[MAX_PARTS];
    ol_value *result[MAX_PARTS]; /* value that the part's step leaves behind */
    int n;
} group;

static bool collect(void *ctx, ol_node *user, int input) {
    group *g = ctx;
    if (input != 0 || !user || strcmp(user->op->name, "Linear") || user->graph != g->l->graph) return true;
    for (int i = 0; i < g->n; i++)
        if (g->nodes[i] == user) return true;
    if (g->n == MAX_PARTS) return false;
    if (g->n > 0 && g->l->done[user->id]) return true;
    g->nodes[g->n++] = user;
    return true;
}

static int part_that_gives(const group *g, const linear_args *a, const ol_value *v) {
    for (int i = 0; i < a->n_parts; i++)
        if (g->nodes[i]->outputs[0] == v) return i;
    return -1;
}

static bool same_shape(const ol_value *a, const ol_value *b) {
    if (a->type.rank != b->type.rank) return false;
    for (int i = 0; i < a->type.rank; i++)
        if (a->type.dims[i] != b->type.dims[i]) return false;
    return true;
}

static ol_value *other_operand(const ol_node *n, const ol_value *v) {
    return n->inputs[0] == v ? n->inputs[1] : n->inputs[0];
}

/* y → activation → product with another part. */
static void absorb_activation(group *g, linear_args *a, int i) {
    ol_node *user = ol_value_only_user(g->result[i]);
    if (!user || user->graph != g->l->graph) return;
    ol_cpu_act act = ol_cpu_act_of(user);
    if (act.f == OLK_ACT_NONE) return;
    a->parts[i].act = act;
    g->result[i] = user->outputs[0];
    ol_lower_cover(g->l, user);
    ol_node *mul = ol_value_only_user(g->result[i]);
    if (!mul || strcmp(mul->op->name, "Mul") || *mul->op->domain) return;
    ol_value *other = other_operand(mul, g->result[i]);
    int j = part_that_gives(g, a, other);
    if (j < 0 || j == i || other->n_uses != 1 || a->parts[j].act.f != OLK_ACT_NONE || a->parts[j].w.n != a->parts[i].w.n)
        return;
    a->parts[i].up = j;
    a->parts[j].silent = true;
    g->result[i] = mul->outputs[0];
    g->result[j] = NULL;
    ol_lower_cover(g->l, mul);
}

/* + residual, when the other operand is there already. */
static void absorb_residual(group *g, linear_args *a, int i, const ol_node *first) {
    ol_node *add = g->result[i] ? ol_value_only_user(g->result[i]) : NULL;
    if (!add || strcmp(add->op->name, "Add") || *add->op->domain || add->graph != g->l->graph) return;
    ol_value *other = other_operand(add, g->result[i]);
    if (other->constant || !ol_lower_ready(g->l, other, first) || g->l->buffer_of[other->id] < 0 ||
        !same_shape(other, g->result[i]))
        return;
    a->parts[i].residual = g->l->buffer_of[other->id];
    g->result[i] = add->outputs[0];
    ol_lower_cover(g->l, add);
}

/* Keeps the parts whose kernels read the same packed rows as the first; the others stay for steps of their own. */
static olv_status choose_parts(group *g, linear_args *a, olv_error *err) {
    for (int i = 0; i < g->n;) {
        part p = {.up = -1, .residual = -1, .out = -1};
        OL_TRY(weight_of(g->l, g->nodes[i], &p, err));
        if (p.w.k != a->k)
            return ol_fail(err, OLV_SHAPE, "the weight has %lld columns, the input %lld", (long long)p.w.k, (long long)a->k);
        bool ok = choose_kernels(g->l, a, &p);
        if (!ok && i == 0) return ol_fail(err, OLV_UNSUPPORTED, "no kernel takes this weight");
        if (i > 0 && (!ok || !same_act(a, &a->parts[0], &p))) {
            g->nodes[i] = g->nodes[--g->n];
            continue;
        }
        OL_TRY(lay_out_panels(g->l, g->nodes[i]->inputs[1], &p, err));
        if (g->nodes[i]->n_inputs > 2 && g->nodes[i]->inputs[2])
            if (!(p.bias = ol_lower_f32(g->l, g->nodes[i]->inputs[2], err))) return err ? err->status : OLV_NOMEM;
        a->parts[a->n_parts++] = p;
        ol_lower_cover(g->l, g->nodes[i]);
        i++;
    }
    for (int i = 0; i < a->n_parts; i++) a->parts[i].w.q = a->parts[i].w.dtype == OL_DTYPE_NONE ? &a->parts[i].q : NULL;
    return OLV_OK;
}

/* The rows may come from a normalization whose step was left to us. */
static olv_status find_source(group *g, linear_args *a, ol_value *x, olv_error *err) {
    if (g->l->buffer_of[x->id] < 0 && !ol_cpu_codes_of(g->l, x) && x->producer && g->l->done[x->producer->id]) {
        OL_TRY(ol_cpu_norm_of(g->l, x->producer, &a->norm, err));
        x = x->producer->inputs[0];
    }
    a->x = ol_lower_input(g->l, x, err);
    return a->x < 0 ? (err ? err->status : OLV_INTERNAL) : OLV_OK;
}

/* The step that prepares what an adapter adds; the plan has room for it whether there will be one or not. */
static olv_status emit_lowrank(group *g, linear_args *a, const char *name, olv_error *err) {
    ol_cpu_lowrank *lr = ol_arena_alloc(g->l->arena, sizeof *lr);
    if (!lr) return ol_fail(err, OLV_NOMEM, "no memory for the plan");
    *lr = (ol_cpu_lowrank){.x = a->x, .k = a->k, .rows = a->rows, .norm = a->norm, .n_nodes = a->n_parts};
    for (int i = 0; i < a->n_parts; i++) lr->nodes[i] = g->nodes[i]->id;
    a->lowrank = ol_cpu_lower_lowrank(g->l, lr, name) ? lr : NULL;
    return OLV_OK;
}

/* Where packed rows go: nowhere (each lane packs for itself), to a buffer of their own, or they are x as it lies. */
static int act_buffer(ol_lowering *l, const linear_args *a) {
    if (l->entry == OL_ENTRY_DECODE) return -1;
    bool plain = !a->norm.kernel && !a->chunked;
    for (int i = 0; i < a->n_parts; i++) {
        const part *p = &a->parts[i];
        const olk_panels *form = plain ? olk_panels_find(p->kernel[0], &p->w) : NULL;
        plain = form && form->plain_rows(&p->w);
    }
    return plain ? a->x : ol_lower_temp_sized(l, act_buffer_bytes, a);
}

static void emit(group *g, linear_args *a, const char *name) {
    if (a->act >= 0 && a->act != a->x) {
        ol_step *s = ol_lower_step(g->l, &pack_class, name, sizeof(pack_args));
        if (!s) return;
        ((pack_args *)s->args)->linear = a;
        ol_step_reads(s, a->x);
        ol_step_writes(s, a->act);
    }
    ol_step *s = ol_lower_step(g->l, &linear_class, name, 0);
    if (!s) return;
    s->args = a;
    s->kernel = kernel_of(a, &a->parts[0], 1)->name;
    ol_step_reads(s, a->act >= 0 ? a->act : a->x);
    if (a->lowrank) ol_step_reads(s, a->lowrank->down);
    for (int i = 0; i < a->n_parts; i++) {
        if (!g->result[i]) continue;
        a->parts[i].out = ol_lower_output(g->l, g->result[i]);
        ol_step_writes(s, a->parts[i].out);
        ol_step_reads(s, a->parts[i].residual);
    }
}

static bool depends_on_rows(const ol_lowering *l, ol_dim d) {
    return d == ol_dim_symbol(l->graph->dims, "R");
}

olv_status ol_lower_linear(ol_lowering *l, ol_node *n, olv_error *err) {
    linear_args *a = ol_arena_alloc(l->arena, sizeof *a);
    if (!a) return ol_fail(err, OLV_NOMEM, "no memory for the plan");
    ol_value *x = n->inputs[0];
    group g = {.l = l, .x = x, .nodes = {n}, .n = 1};
    ol_value_each_use(x, collect, &g);
    a->rows = ol_lower_rows(l, x);
    a->k = ol_lower_width(x);
    a->activation = olk_activation_select(l->opt.cpu);
    a->elementwise = olk_elementwise_select(l->opt.cpu);
    if (a->k < 1) return ol_fail(err, OLV_SHAPE, "the input's last dimension is not known");
    a->chunked = l->entry == OL_ENTRY_DECODE || depends_on_rows(l, a->rows);
    OL_TRY(choose_parts(&g, a, err));
    OL_TRY(find_source(&g, a, x, err));
    for (int i = 0; i < g.n; i++) g.result[i] = g.nodes[i]->outputs[0];
    for (int i = 0; i < g.n; i++)
        if (g.result[i]) absorb_activation(&g, a, i);
    for (int i = 0; i < g.n; i++) absorb_residual(&g, a, i, n);
    cut_tiles(a);
    a->act = act_buffer(l, a);
    OL_TRY(emit_lowrank(&g, a, n->name, err));
    emit(&g, a, n->name);
    return OLV_OK;
}

static bool only_linear(void *ctx, ol_node *user, int input) {
    bool *all = ctx;
    if (!user || input != 0 || strcmp(user->op->name, "Linear")) *all = false;
    return *all;
}

bool ol_cpu_feeds_linear_only(const ol_value *v) {
    bool all = v->n_uses > 0;
    ol_value_each_use(v, only_linear, &all);
    return all;
}
