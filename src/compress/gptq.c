/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/gptq.h"
#include "base/alloc.h"
#include "base/checked.h"
#include "base/error.h"
#include "compress/gptq_tile.h"
#include "compress/lazy.h"
#include <math.h>
#include <stdatomic.h>
#include <string.h>

#define L OL_GPTQ_LANES

bool ol_gptq_takes(const olv_weight_spec *spec) {
    return spec->type == OLV_WEIGHT_INT4_SYM || spec->type == OLV_WEIGHT_INT4_ASYM || spec->type == OLV_WEIGHT_INT8_SYM ||
           spec->type == OLV_WEIGHT_INT8_ASYM;
}

/* ---- panels ---- */

static int64_t padded_block(const olk_gemm *g, int64_t block) { return (block + g->mr - 1) / g->mr * g->mr; }

/* Columns [j0, j0 + n) of a matrix [k, k], the first `depth` rows of them. */
static void pack_columns_of(const olk_gemm *g, const float *m, int64_t k, int64_t j0, int64_t n, int64_t depth, float *out) {
    if (depth) g->pack_a(m + j0, 1, k, n, depth, g->mr, out);
}

static float *pack_factor(const olk_gemm *g, const ol_factor *f) {
    int64_t blocks = (f->k + OL_GPTQ_BLOCK - 1) / OL_GPTQ_BLOCK, padded = padded_block(g, OL_GPTQ_BLOCK);
    float *all = ol_alloc_aligned((size_t)(padded * OL_GPTQ_BLOCK * (blocks * (blocks + 1) / 2)) * sizeof *all), *p = all;
    for (int64_t b = 0; all && b < f->k; p += padded * b, b += OL_GPTQ_BLOCK)
        pack_columns_of(g, f->m, f->k, b, f->k - b < OL_GPTQ_BLOCK ? f->k - b : OL_GPTQ_BLOCK, b, p);
    return all;
}

static float *pack_hessian(const olk_gemm *g, const float *h, int64_t k, int64_t block) {
    int64_t blocks = (k + block - 1) / block, padded = padded_block(g, block);
    float *all = ol_alloc_aligned((size_t)(padded * k * blocks) * sizeof *all), *p = all;
    for (int64_t b = 0; all && b < k; b += block, p += padded * k) pack_columns_of(g, h, k, b, k - b < block ? k - b : block, k, p);
    return all;
}

/* ---- tiles ---- */

typedef struct sums {
    double error, energy, loss;
} sums;

typedef struct job {
    ol_gptq_plan p;
    const ol_const *source;
    ol_qconst form;
    uint8_t *codes, *scales, *zeros; /* of the result */
    ol_gptq_tile *tiles;             /* one a lane */
    float *rows;                     /* [lanes][L, k] */
    sums *sums;                      /* by tile of rows */
    atomic_int failed;
    olv_error err;
} job;

static bool tile_init(ol_gptq_tile *t, int64_t k, int64_t groups) {
    int64_t work = k + OL_GPTQ_MAX_GROUP + OL_GPTQ_BLOCK;
    t->w = ol_alloc_aligned((size_t)(3 * k + 2 * groups + work) * sizeof(ol_lanes));
    if (!t->w) return false;
    t->e = t->w + k;
    t->c = t->e + k;
    t->s = t->c + k;
    t->z = t->s + groups;
    t->g = t->z + groups;
    return true;
}

static olv_status load(const job *j, ol_gptq_tile *t, float *rows, int64_t row, int64_t n, olv_error *err) {
    OL_TRY(ol_const_rows_f32(j->source, row, n, rows, err));
    memset(t->w, 0, (size_t)j->p.k * sizeof(ol_lanes));
    bool finite = true;
    for (int64_t l = 0; l < n; l++)
        for (int64_t k = 0; k < j->p.k; k++) {
            float v = rows[l * j->p.k + k];
            t->w[k][l] = v;
            finite = finite && isfinite(v);
        }
    return finite ? OLV_OK : ol_fail(err, OLV_FORMAT, "a weight of rows %lld to %lld is infinite or no number", (long long)row, (long long)(row + n - 1));
}

static void store_row(const job *j, const ol_gptq_tile *t, int64_t row, int l) {
    const ol_qconst *f = &j->form;
    uint8_t *out = j->codes + (size_t)row * f->row_bytes;
    float shift = j->p.asym ? 0 : (float)(1 << (j->p.bits - 1));
    for (int64_t k = 0; k < f->n_groups * f->group; k++) {
        int64_t g = k / f->group;
        float q = (k < f->k ? t->c[k][l] : 0) + t->z[g][l] + shift;
        unsigned code = (unsigned)q;
        if (j->p.bits == 8) out[k] = (uint8_t)code;
        else out[k / 2] = (uint8_t)(k % 2 ? out[k / 2] | code << 4 : code);
    }
    for (int64_t g = 0; g < f->n_groups; g++) {
        uint64_t at = (uint64_t)(row * f->n_groups + g);
        ol_elem_set(f->scale_dtype, j->scales, at, (double)t->s[g][l]);
        if (f->zero_row_bytes) ol_elem_set(f->zero_dtype, j->zeros + (size_t)row * f->zero_row_bytes, (uint64_t)g, (double)t->z[g][l]);
    }
}

static void run_tile(void *ctx, size_t i, int lane) {
    job *j = ctx;
    ol_gptq_tile *t = &j->tiles[lane];
    int64_t row = (int64_t)i * L, n = j->form.rows - row < L ? j->form.rows - row : L;
    olv_error err = {.message = ""};
    if (atomic_load(&j->failed)) return;
    if (load(j, t, j->rows + (int64_t)lane * L * j->p.k, row, n, &err) != OLV_OK) {
        if (atomic_exchange(&j->failed, 1) == 0) j->err = err;
        return;
    }
    ol_gptq_scales(&j->p, t);
    ol_gptq_round(&j->p, t);
    for (int s = 0; s < j->p.sweeps; s++) ol_gptq_sweep(&j->p, t, j->p.search);
    sums u = {0, 0, ol_gptq_loss(&j->p, t, (int)n)};
    for (int64_t k = 0; k < j->p.k; k++)
        for (int l = 0; l < n; l++) {
            u.error += (double)t->e[k][l] * (double)t->e[k][l];
            u.energy += (double)t->w[k][l] * (double)t->w[k][l];
        }
    j->sums[i] = u;
    for (int l = 0; l < n; l++) store_row(j, t, row + l, l);
}

/* ---- the whole ---- */

static void release_store(void *store) { ol_store_release(store); }

/* Room for codes, scales and zero points in one piece of the store. */
static olv_status make_room(job *j, ol_store *store, const char *name, olv_error *err) {
    const ol_qconst *f = &j->form;
    size_t codes, scales, zeros, total;
    bool made, fits = ol_mul_size((size_t)f->rows, f->row_bytes, &codes) && codes < SIZE_MAX / 8 &&
                      ol_mul_size((size_t)(f->rows * f->n_groups), (size_t)ol_dtype_bits(f->scale_dtype) / 8, &scales) &&
                      ol_mul_size((size_t)f->rows, f->zero_row_bytes, &zeros);
    if (!fits) return ol_fail(err, OLV_LIMIT, "the layer is too large");
    codes = ol_align_up(codes, 64);
    scales = ol_align_up(scales, 64);
    total = codes + scales + zeros;
    const ol_store_item *item = ol_store_get(store, name, total, &made);
    if (!item) return ol_fail(err, OLV_NOMEM, "no memory for %lld x %lld codes", (long long)f->rows, (long long)f->k);
    j->codes = item->data;
    j->scales = j->codes + codes;
    j->zeros = j->scales + scales;
    memset(j->codes, 0, total);
    return OLV_OK;
}

static olv_status prepare(job *j, const ol_gptq_options *o, const float **diagonal, ol_executor *e, uint64_t cpu, olv_error *err) {
    ol_gptq_plan *p = &j->p;
    int lanes = ol_executor_lanes(e);
    size_t n_tiles = (size_t)((j->form.rows + L - 1) / L);
    float *d = ol_calloc((size_t)p->k + 1, sizeof *d), *a = NULL, *b = NULL;
    *diagonal = d;
    p->gemm = olk_gemm_select(cpu);
    p->factor_panels = a = o->factor ? pack_factor(p->gemm, o->factor) : NULL;
    p->h_panels = b = pack_hessian(p->gemm, p->h, p->k, p->block);
    j->tiles = ol_calloc((size_t)lanes, sizeof *j->tiles);
    j->rows = ol_alloc_aligned((size_t)(lanes * L * p->k) * sizeof(float));
    j->sums = ol_calloc(n_tiles + 1, sizeof *j->sums);
    bool ok = d && (a || !o->factor) && b && j->tiles && j->rows && j->sums;
    for (int i = 0; ok && i < lanes; i++) ok = tile_init(&j->tiles[i], p->k, p->n_groups);
    if (!ok) return ol_fail(err, OLV_NOMEM, "no memory for rounding rows of %lld", (long long)p->k);
    double mean = 0;
    for (int64_t i = 0; i < p->k; i++) mean += (double)p->h[i * p->k + i] / (double)p->k;
    p->damping = (float)(o->damping * mean);
    for (int64_t i = 0; i < p->k; i++) d[i] = (o->scale_weights ? o->scale_weights[i] : p->h[i * p->k + i]) + (float)(mean > 0 ? 0.01 * mean : 1);
    p->scale_weights = d;
    return OLV_OK;
}

static void job_deinit(job *j, const float *diagonal, int lanes) {
    for (int i = 0; j->tiles && i < lanes; i++) ol_free_aligned(j->tiles[i].w);
    ol_free(j->tiles);
    ol_free_aligned(j->rows);
    ol_free(j->sums);
    ol_free((void *)(uintptr_t)diagonal);
    ol_free_aligned((void *)(uintptr_t)j->p.factor_panels);
    ol_free_aligned((void *)(uintptr_t)j->p.h_panels);
}

static olv_status make_result(const job *j, ol_store *store, ol_gptq_result *out, olv_error *err) {
    ol_qconst q = j->form;
    q.codes = j->codes;
    q.scales = j->scales;
    q.zeros = q.zero_row_bytes ? j->zeros : NULL;
    *out = (ol_gptq_result){NULL, 0, 0, 0};
    for (int64_t i = 0; i < (q.rows + L - 1) / L; i++) {
        out->error += j->sums[i].error;
        out->energy += j->sums[i].energy;
        out->loss += j->sums[i].loss;
    }
    ol_store_retain(store);
    out->codes = ol_const_quant(ol_const_rank(j->source), ol_const_dims(j->source), &q, NULL, 0, release_store, store, err);
    if (out->codes) return OLV_OK;
    ol_store_release(store);
    return OLV_NOMEM;
}

olv_status ol_gptq(const ol_const *source, const olv_weight_spec *spec, const ol_gptq_options *o, ol_store *store, const char *name,
                   ol_executor *e, uint64_t cpu, ol_gptq_result *out, olv_error *err) {
    if (!ol_gptq_takes(spec)) return ol_fail(err, OLV_UNSUPPORTED, "rounding with data is for integers of 4 and 8 bits, not for %s", olv_weight_type_name(spec->type));
    job j = {.source = source, .form = ol_compress_form(spec, ol_const_rows(source), ol_const_width(source))};
    j.p = (ol_gptq_plan){.k = j.form.k, .group = j.form.group, .n_groups = j.form.n_groups, .bits = ol_weight_bits(spec->type),
                         .asym = ol_weight_asym(spec->type), .search = spec->rounding == OLV_ROUND_SEARCH, .spec = spec, .h = o->hessian,
                         .factor = o->factor, .sweeps = o->sweeps, .scales_alone = o->scales_alone};
    j.p.block = j.form.group <= OL_GPTQ_MAX_GROUP ? j.form.group : OL_GPTQ_BLOCK;
    const float *diagonal = NULL;
    olv_status s = make_room(&j, store, name, err);
    if (s == OLV_OK) s = prepare(&j, o, &diagonal, e, cpu, err);
    if (s == OLV_OK) {
        ol_executor_for(e, (size_t)((j.form.rows + L - 1) / L), run_tile, &j);
        if (atomic_load(&j.failed)) {
            s = j.err.status;
            if (err) *err = j.err;
        }
    }
    if (s == OLV_OK) s = make_result(&j, store, out, err);
    job_deinit(&j, diagonal, ol_executor_lanes(e));
    return s;
}
