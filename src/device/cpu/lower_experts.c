/* SPDX-License-Identifier: Apache-2.0 */
/* ExpertLinear: y[t, a] = x[t] W[id[t, a]]^T + bias. Three steps, the first two shared by all
 * ExpertLinear nodes that read the same ids, or the same rows in the same packed form: group  sorts
 * the R = T A choices by expert (stable, so the order depends on the ids alone); pack   packs the
 * rows of each expert, in units of 16; linear multiplies; a tile is (chosen expert, range of
 * columns) and takes all blocks of rows of its expert, while the weights' rows are in the cache. A
 * block is 16 rows in a decode run (GEMV family), 512 in a prefill run (GEMM family). Weights stay
 * where the file has them: one weight per expert, also when the constant is put together from one
 * matrix per expert. The family follows from the entry, never from how many rows chose an expert,
 * so that a row's bits do not depend on which rows share its expert. */
#include "base/checked.h"
#include "base/error.h"
#include "device/cpu/cpu.h"
#include "graph/op.h"
#include "kernels/elementwise/elementwise.h"
#include "tensor/qconst_form.h"
#include <string.h>

#define CHUNK OL_DECODE_ROWS
#define TILE_BYTES 24576

/* ---- grouping ---- */

/* The grouping lies in one i32 buffer: number of chosen experts, then for each of them (at most E)
 * the expert, its first choice and its first unit of packed rows, with an end entry, then the R
 * choices sorted. */
typedef struct group_args {
    int ids, out;
    int64_t experts;
    ol_dim count; /* R */
} group_args;

typedef struct grouping {
    int32_t *n, *expert, *start, *chunk, *order;
} grouping;

static grouping grouping_at(int32_t *p, int64_t experts) {
    grouping g = {p, p + 1, p + 1 + experts, p + 2 + 2 * experts, p + 3 + 3 * experts};
    return g;
}

static size_t group_bytes(const void *ctx, const ol_run *r) {
    const group_args *a = ctx;
    return (size_t)(ol_cpu_rows(r, a->count) + 3 + 3 * a->experts + a->experts) * sizeof(int32_t);
}

static unsigned one_tile(const ol_step *s, const ol_run *r) {
    const group_args *a = s->args;
    return ol_cpu_rows(r, a->count) > 0;
}

static int64_t expert_of(const group_args *a, const ol_step *s, const ol_run *r, int64_t i) {
    int64_t e = ((const int64_t *)ol_run_buffer(r, a->ids))[i];
    if (e >= 0 && e < a->experts) return e;
    olv_error *err = ol_run_claim_failure(r);
    if (err)
        ol_fail(err, OLV_ARG, "node '%.200s' (ExpertLinear): expert %lld of %lld", s->name,
                (long long)e, (long long)a->experts);
    return 0;
}

static void group_run(const ol_step *s, const ol_run *r, unsigned tile, void *scratch) {
    const group_args *a = s->args;
    (void)tile, (void)scratch;
    int64_t count = ol_cpu_rows(r, a->count);
    grouping g = grouping_at(ol_run_buffer(r, a->out), a->experts);
    int32_t *at = g.order + count; /* by expert: how many, then where the next goes */
    memset(at, 0, (size_t)a->experts * sizeof *at);
    for (int64_t i = 0; i < count; i++) at[expert_of(a, s, r, i)]++;
    int32_t n = 0, row = 0, chunk = 0;
    for (int64_t e = 0; e < a->experts; e++) {
        int32_t have = at[e];
        at[e] = row;
        if (!have) continue;
        g.expert[n] = (int32_t)e;
        g.start[n] = row;
        g.chunk[n++] = chunk;
        row += have;
        chunk += (have + CHUNK - 1) / CHUNK;
    }
    *g.n = n;
    g.start[n] = row;
    g.chunk[n] = chunk;
    for (int64_t i = 0; i < count; i++) g.order[at[expert_of(a, s, r, i)]++] = (int32_t)i;
}
static const ol_step_class group_class = {"expert_group", one_tile, NULL, NULL, group_run};

/* ---- packing ---- */

typedef struct expert {
    olk_weight w;
    ol_qconst q;
    const olk_linear *kernel[CHUNK + 1]; /* by rows; [0] for prefill */
} expert;

typedef struct expert_args {
    expert *experts;
    const group_args *group;
    int x, act, out;
    int64_t chosen; /* A when rows of x are shared by the choices of a token, else 1 */
    int64_t n, k, tile_rows;
    int64_t block; /* rows multiplied at once */
    size_t slot;   /* bytes of a unit: a block of m rows takes ceil(m / 16) of them */
    const float *bias;
    const olk_elementwise *elementwise;
} expert_args;

static const olk_linear *kernel_of(const expert_args *a, const expert *e, int64_t m) {
    return e->kernel[a->block > CHUNK ? 0 : m];
}

/* Most chosen experts, and most units, for R choices. */
static int64_t most_chosen(const expert_args *a, int64_t count) {
    return count < a->group->experts ? count : a->group->experts;
}
static int64_t most_chunks(const expert_args *a, int64_t count) {
    int64_t n = most_chosen(a, count) + count / CHUNK;
    return n < count ? n : count;
}
static size_t act_bytes(const void *ctx, const ol_run *r) {
    const expert_args *a = ctx;
    return a->slot * (size_t)most_chunks(a, ol_cpu_rows(r, a->group->count));
}

static unsigned pack_tiles(const ol_step *s, const ol_run *r) {
    const expert_args *a = s->args;
    return (unsigned)most_chunks(a, ol_cpu_rows(r, a->group->count));
}
static size_t pack_scratch(const ol_step *s, const ol_run *r) {
    const expert_args *a = s->args;
    (void)r;
    return (size_t)a->k * CHUNK * sizeof(float) + 64;
}

static void pack_run(const ol_step *s, const ol_run *r, unsigned tile, void *scratch) {
    const expert_args *a = s->args;
    grouping g = grouping_at(ol_run_buffer(r, a->group->out), a->group->experts);
    int32_t c = (int32_t)tile, lo = 0, hi = *g.n;
    if (c >= g.chunk[hi]) return;
    while (hi - lo > 1) { /* the expert whose chunks hold c */
        int32_t mid = lo + (hi - lo) / 2;
        if (g.chunk[mid] <= c)
            lo = mid;
        else
            hi = mid;
    }
    const expert *e = &a->experts[g.expert[lo]];
    int64_t row = (int64_t)(c - g.chunk[lo]) * CHUNK, have = g.start[lo + 1] - g.start[lo];
    int64_t first = row / a->block * a->block; /* of the block */
    int64_t m = have - first < a->block ? have - first : a->block, m0 = row - first,
            m1 = m0 + CHUNK < m ? m0 + CHUNK : m;
    const float *x = ol_run_buffer(r, a->x);
    float *rows = scratch;
    for (int64_t i = m0; i < m1; i++)
        memcpy(rows + (i - m0) * a->k, x + g.order[g.start[lo] + first + i] / a->chosen * a->k,
               (size_t)a->k * sizeof *rows);
    uint8_t *act =
        (uint8_t *)ol_run_buffer(r, a->act) + a->slot * (size_t)(g.chunk[lo] + first / CHUNK);
    kernel_of(a, e, m)->pack(&e->w, rows - m0 * a->k, a->k, m0, m1, m, act);
}
static const ol_step_class pack_class = {"expert_pack", pack_tiles, pack_scratch, NULL, pack_run};

/* ---- multiplying ---- */

static int64_t column_tiles(const expert_args *a) {
    return (a->n + a->tile_rows - 1) / a->tile_rows;
}

static unsigned linear_tiles(const ol_step *s, const ol_run *r) {
    const expert_args *a = s->args;
    return (unsigned)(most_chosen(a, ol_cpu_rows(r, a->group->count)) * column_tiles(a));
}

static size_t tile_bytes(const expert_args *a) {
    return ol_align_up((size_t)(a->block * a->tile_rows) * sizeof(float), 64);
}

static size_t linear_scratch(const ol_step *s, const ol_run *r) {
    const expert_args *a = s->args;
    size_t kernel = 0;
    (void)r;
    for (int64_t e = 0; e < a->group->experts; e++)
        for (int64_t m = 1; m <= a->block; m = m < CHUNK      ? m + 1
                                               : a->block > m ? a->block
                                                              : m + 1) {
            size_t need = kernel_of(a, &a->experts[e], m)->scratch_bytes(&a->experts[e].w, m);
            if (need > kernel) kernel = need;
        }
    return tile_bytes(a) + kernel + 64;
}

static void linear_run(const ol_step *s, const ol_run *r, unsigned tile, void *scratch) {
    const expert_args *a = s->args;
    grouping g = grouping_at(ol_run_buffer(r, a->group->out), a->group->experts);
    int64_t per = column_tiles(a), j = tile / per, n0 = tile % per * a->tile_rows;
    int64_t n1 = n0 + a->tile_rows < a->n ? n0 + a->tile_rows : a->n, width = n1 - n0;
    if (j >= *g.n) return;
    const expert *e = &a->experts[g.expert[j]];
    const uint8_t *act = (const uint8_t *)ol_run_buffer(r, a->act) + a->slot * (size_t)g.chunk[j];
    float *tmp = scratch, *out = ol_run_buffer(r, a->out);
    for (int64_t i0 = g.start[j]; i0 < g.start[j + 1];
         i0 += a->block, act += a->slot * (size_t)(a->block / CHUNK)) {
        int64_t m = g.start[j + 1] - i0 < a->block ? g.start[j + 1] - i0 : a->block;
        olk_linear_args la = {&e->w, act, m, tmp - n0, width};
        kernel_of(a, e, m)->run(&la, 0, m, n0, n1, (uint8_t *)scratch + tile_bytes(a));
        for (int64_t i = 0; i < m; i++) {
            float *y = out + (int64_t)g.order[i0 + i] * a->n + n0;
            if (a->bias)
                a->elementwise->full(OLK_ADD, tmp + i * width, a->bias + g.expert[j] * a->n + n0, y,
                                     width);
            else
                memcpy(y, tmp + i * width, (size_t)width * sizeof *y);
        }
    }
}
static const ol_step_class linear_class = {"expert_linear", linear_tiles, linear_scratch, NULL,
                                           linear_run};

/* ---- lowering ---- */

/* Rows [at, at + n) of a constant that is quantized on demand: all of it is made once. */
static olv_status make_codes(ol_lowering *l, const char *name, const ol_const *src, int64_t at, int64_t n, ol_qconst *q,
                             olv_error *err) {
    *q = *ol_const_quant_form(src); /* a permutation and a table belong to the source */
    size_t rows = (size_t)q->rows, scale_row = ol_qconst_scale_row_bytes(q), codes, scales, zeros, total;
    bool made, fits = ol_mul_size(rows, q->row_bytes, &codes) && ol_mul_size(rows, scale_row, &scales) &&
                      ol_mul_size(rows, q->zero_row_bytes, &zeros) && ol_add_size(codes, scales + 128, &total) &&
                      ol_add_size(total, zeros, &total);
    ol_prepared_item *p = fits ? ol_prepare(l->prepared, name, src, OL_CPU_FORM_CODES, total, &made) : NULL;
    if (!p) return ol_fail(err, OLV_NOMEM, "no memory for an expert's weight");
    uint8_t *c = p->data, *s = c + ol_align_up(codes, 64), *z = s + ol_align_up(scales, 64);
    if (made) OL_TRY(ol_const_rows_quant(src, 0, q->rows, c, s, z, err));
    q->rows = n;
    q->codes = c + (size_t)at * q->row_bytes;
    q->scales = s + (size_t)at * scale_row;
    q->zeros = q->zero_row_bytes ? z + (size_t)at * q->zero_row_bytes : NULL;
    return OLV_OK;
}

/* Rows from `row` on of a constant that does not lie in memory as it is: all of it is made once. */
static olv_status make_floats(ol_lowering *l, const char *name, const ol_const *c, olk_weight *w, int64_t row,
                              olv_error *err) {
    size_t floats = (size_t)(ol_const_rows(c) * w->k) + 16; /* bounded by the constant's checked size */
    bool made;
    ol_prepared_item *p = ol_prepare(l->prepared, name, c, OL_CPU_FORM_F32, floats * sizeof(float), &made);
    if (!p) return ol_fail(err, OLV_NOMEM, "no memory for the experts '%s'", name);
    if (made) OL_TRY(ol_const_rows_f32(c, 0, ol_const_rows(c), p->data, err));
    w->data = (const float *)p->data + row * w->k;
    w->dtype = OL_F32;
    return OLV_OK;
}

/* Narrow scales of rows from `at` on of src: those of all its rows are made once. */
static olv_status narrow_scales(ol_lowering *l, const char *name, const ol_const *src, int64_t at, ol_qconst *q,
                                olv_error *err) {
    const ol_qconst *whole = ol_const_qconst(src);
    if (!whole) return OLV_OK;
    ol_qconst all = *whole;
    OL_TRY(ol_cpu_narrow_scales(l, src, name, &all, err));
    q->scale_dtype = all.scale_dtype;
    q->scales = (const uint8_t *)all.scales + (size_t)(at * all.n_groups) * (size_t)ol_dtype_bits(all.scale_dtype) / 8;
    return OLV_OK;
}

/* Rows [row, row + n) as a weight: in place where the file's form allows, else a copy of its codes, or in f32. */
static olv_status weight_of(ol_lowering *l, const char *name, const ol_const *c, int64_t row, int64_t n, expert *e,
                            olv_error *err) {
    int64_t at;
    const ol_const *src = ol_const_source_rows(c, row, n, &at);
    ol_const *flat =
        ol_const_reshape((ol_const *)(uintptr_t)src, 2,
                         (const int64_t[]){ol_const_rows(src), ol_const_width(src)}, err);
    ol_const *part = flat ? ol_const_slice_rows(flat, at, n, err) : NULL;
    ol_dtype t = ol_const_dtype(src);
    size_t bytes;
    olv_status s = part ? OLV_OK : OLV_NOMEM;
    e->w = (olk_weight){.dtype = t, .n = n, .k = ol_const_width(src)};
    if (part && ol_const_qconst(part)) {
        e->q = *ol_const_qconst(part); /* the data belong to src */
        s = narrow_scales(l, name, src, at, &e->q, err);
        e->w.dtype = OL_DTYPE_NONE;
        e->w.q = &e->q;
    } else if (part && ol_const_lazy(src)) {
        s = make_codes(l, name, src, at, n, &e->q, err);
        e->w.dtype = OL_DTYPE_NONE;
        e->w.q = &e->q;
    } else if (part) {
        if (t == OL_F32 || t == OL_F16 || t == OL_BF16) e->w.data = ol_const_data(part, &bytes);
        if (!e->w.data) {
            s = make_floats(l, name, c, &e->w, row, err);
        }
        e->w.row_bytes = (size_t)e->w.k * (size_t)ol_dtype_bits(e->w.dtype) / 8;
    }
    ol_const_release(part);
    ol_const_release(flat);
    return s;
}

static olv_status choose_kernels(const ol_lowering *l, const expert_args *a, expert *e,
                                 olv_error *err) {
    bool many = a->block > CHUNK;
    for (int64_t m = many ? 0 : 1; m <= (many ? 0 : CHUNK); m++) {
        e->kernel[m] = olk_linear_select(&e->w, many ? OL_PREFILL_ROWS : m, l->opt.precision,
                                         l->opt.linear_cpu, NULL, 0);
        if (!e->kernel[m]) return ol_fail(err, OLV_UNSUPPORTED, "no kernel takes this weight");
    }
    return OLV_OK;
}

/* Packed rows of both take the same room. */
static bool same_form(const expert *p, const expert *q) {
    return !memcmp(p->kernel, q->kernel, sizeof p->kernel) && p->w.k == q->w.k &&
           p->w.dtype == q->w.dtype &&
           (!p->w.q ||
            (p->q.code == q->q.code && p->q.block == q->q.block && p->q.group == q->q.group &&
             !p->q.perm == !q->q.perm && !p->q.input_scale == !q->q.input_scale));
}

/* Room of a unit, so that a block of any number of rows fits into its units. */
static void measure_units(expert_args *a, const expert *e) {
    for (int64_t m = 1; m <= a->block; m++) {
        size_t units = (size_t)((m + CHUNK - 1) / CHUNK);
        size_t need =
            ol_align_up((kernel_of(a, e, m)->act_bytes(&e->w, m) + units - 1) / units, 64);
        if (need > a->slot) a->slot = need;
    }
}

static olv_status load_experts(ol_lowering *l, const ol_value *w, expert_args *a, int64_t count,
                               olv_error *err) {
    a->experts = ol_arena_calloc(l->arena, (size_t)count, sizeof *a->experts);
    if (!a->experts) return ol_fail(err, OLV_NOMEM, "no memory for the plan");
    for (int64_t i = 0; i < count; i++) {
        expert *e = &a->experts[i];
        OL_TRY(weight_of(l, w->name, w->constant, i * a->n, a->n, e, err));
        OL_TRY(choose_kernels(l, a, e, err));
        if (i == 0 || !same_form(e, e - 1)) measure_units(a, e);
    }
    return OLV_OK;
}

static void cut_tiles(expert_args *a) {
    const expert *e = &a->experts[0];
    size_t row = e->w.q ? e->q.row_bytes +
                              (size_t)e->q.n_groups * (size_t)ol_dtype_bits(e->q.scale_dtype) / 8
                        : e->w.row_bytes;
    int64_t unit = 1;
    for (int64_t m = 1; m <= CHUNK; m++)
        if (kernel_of(a, e, m)->tile_n > unit) unit = kernel_of(a, e, m)->tile_n;
    a->tile_rows = unit;
    while (a->block == CHUNK && (size_t)(a->tile_rows + unit) * row <= TILE_BYTES)
        a->tile_rows += unit;
}

/* The grouping of these ids: made by an earlier step, or by a new one. */
static const group_args *group_of(ol_lowering *l, const ol_node *n, int ids, int64_t experts) {
    for (int i = 0; i < l->n_steps; i++) {
        const group_args *g = l->steps[i].args;
        if (l->steps[i].cls == &group_class && g->ids == ids && g->experts == experts) return g;
    }
    const ol_type *t = &n->inputs[2]->type;
    ol_step *s = ol_lower_step(l, &group_class, n->name, sizeof(group_args));
    if (!s) return NULL;
    group_args *g = s->args;
    g->ids = ids;
    g->experts = experts;
    g->count = ol_dim_mul(l->graph->dims, t->dims[0], t->dims[1]);
    g->out = ol_lower_temp_sized(l, group_bytes, g);
    ol_step_reads(s, g->ids);
    ol_step_writes(s, g->out);
    return g;
}

/* Both pack the same rows into the same bytes. */
static bool same_act(const expert_args *a, const expert_args *b) {
    if (a->x != b->x || a->group != b->group || a->chosen != b->chosen || a->k != b->k ||
        a->slot != b->slot)
        return false;
    for (int64_t i = 0; i < a->group->experts; i++)
        for (int64_t m = 1; m <= CHUNK; m++) {
            const expert *p = &a->experts[i], *q = &b->experts[i];
            const olk_linear *kp = kernel_of(a, p, m), *kq = kernel_of(b, q, m);
            if (kp->pack != kq->pack || kp->act_key(&p->w) != kq->act_key(&q->w)) return false;
        }
    return true;
}

static olv_status emit_pack(ol_lowering *l, const ol_node *n, expert_args *a) {
    for (int i = 0; i < l->n_steps; i++)
        if (l->steps[i].cls == &pack_class && same_act(a, l->steps[i].args)) {
            a->act = ((const expert_args *)l->steps[i].args)->act;
            return OLV_OK;
        }
    a->act = ol_lower_temp_sized(l, act_bytes, a);
    ol_step *s = ol_lower_step(l, &pack_class, n->name, 0);
    if (!s) return OLV_OK; /* latched */
    s->args = a;
    s->kernel = kernel_of(a, &a->experts[0], 1)->name;
    ol_step_reads(s, a->x);
    ol_step_reads(s, a->group->out);
    ol_step_writes(s, a->act);
    return OLV_OK;
}

olv_status ol_lower_expert_linear(ol_lowering *l, ol_node *n, olv_error *err) {
    const ol_value *x = n->inputs[0], *w = n->inputs[1], *ids = n->inputs[2];
    expert_args *a = ol_arena_calloc(l->arena, 1, sizeof *a);
    if (!a) return ol_fail(err, OLV_NOMEM, "no memory for the plan");
    if (!w->constant || ol_const_rank(w->constant) != 3 || ids->type.rank != 2 ||
        !ol_dim_known(ids->type.dims[1]) || (x->type.rank != 2 && x->type.rank != 3) ||
        ol_dtype_class(ids->type.dtype) == 'f')
        return ol_fail(err, OLV_UNSUPPORTED, "only constant weights [E,N,K] with ids [T,A]");
    int64_t experts = ol_const_dims(w->constant)[0];
    a->n = ol_const_dims(w->constant)[1];
    a->k = ol_const_dims(w->constant)[2];
    a->block = l->entry == OL_ENTRY_DECODE ? CHUNK : OL_PREFILL_ROWS;
    a->chosen = x->type.rank == 3 ? 1 : ids->type.dims[1];
    if (experts < 1 || a->n < 1 || a->k < 1 || a->chosen < 1 || ol_lower_width(x) != a->k)
        return ol_fail(err, OLV_SHAPE, "rows of %lld for %lld experts of %lld columns",
                       (long long)ol_lower_width(x), (long long)experts, (long long)a->k);
    if (x->type.dims[0] != ids->type.dims[0] ||
        (x->type.rank == 3 && x->type.dims[1] != ids->type.dims[1]))
        return ol_fail(err, OLV_SHAPE, "rows and ids are not of the same number");
    OL_TRY(load_experts(l, w, a, experts, err));
    if (n->n_inputs > 3 && n->inputs[3] && !(a->bias = ol_lower_f32(l, n->inputs[3], err)))
        return err ? err->status : OLV_NOMEM;
    cut_tiles(a);
    a->elementwise = olk_elementwise_select(l->opt.cpu);
    int id_buffer = ol_lower_input(l, n->inputs[2], err);
    a->x = ol_lower_input(l, n->inputs[0], err);
    if (id_buffer < 0 || a->x < 0) return err ? err->status : OLV_INTERNAL;
    if (!(a->group = group_of(l, n, id_buffer, experts))) return OLV_OK; /* latched */
    OL_TRY(emit_pack(l, n, a));
    a->out = ol_lower_output(l, n->outputs[0]);
    ol_step *s = ol_lower_step(l, &linear_class, n->name, 0);
    if (!s) return OLV_OK; /* latched */
    s->args = a;
    s->kernel = kernel_of(a, &a->experts[0], 1)->name;
    ol_step_reads(s, a->act);
    ol_step_reads(s, a->group->out);
    ol_step_writes(s, a->out);
    return OLV_OK;
}
