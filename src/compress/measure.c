/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/measure.h"
#include "base/alloc.h"
#include "base/checked.h"
#include "base/error.h"
#include <stdatomic.h>

#define TILE_WEIGHTS (1 << 18)

typedef struct job {
    const ol_const *source, *codes;
    const ol_qconst *form;
    const float *columns; /* NULL: all alike */
    int64_t tile;
    double *sums; /* two a tile; NULL: those of the rounding are enough */
    atomic_int failed;
    olv_error err;
} job;

/* Codes of n rows with room for their values. */
typedef struct rows {
    uint8_t *block, *codes, *scales, *zeros;
    float *want, *got;
} rows;

static bool make_rows(const job *j, size_t n, rows *r) {
    const ol_qconst *f = j->form;
    size_t codes = ol_align_up(n * f->row_bytes, 64), scales = ol_align_up(n * (size_t)f->n_groups * sizeof(float), 64);
    size_t zeros = ol_align_up(n * f->zero_row_bytes, 64), values = j->columns ? n * (size_t)f->k * sizeof(float) : 0;
    r->block = ol_alloc_aligned(codes + scales + zeros + 2 * values + 64);
    if (!r->block) return false;
    r->codes = r->block;
    r->scales = r->codes + codes;
    r->zeros = r->scales + scales;
    r->want = (float *)(void *)(r->zeros + zeros);
    r->got = r->want + values / sizeof(float);
    return true;
}

static void add_weighted(const job *j, const rows *r, int64_t n, double *sums) {
    int64_t k = j->form->k;
    for (int64_t i = 0; i < n; i++) {
        const float *a = r->want + i * k, *b = r->got + i * k;
        double error = 0, energy = 0;
        for (int64_t c = 0; c < k; c++) {
            double d = (double)(a[c] - b[c]), w = (double)j->columns[c];
            error += w * d * d;
            energy += w * (double)a[c] * (double)a[c];
        }
        sums[0] += error;
        sums[1] += energy;
    }
}

static olv_status run_rows(job *j, size_t i, int64_t row, int64_t n, olv_error *err) {
    rows r;
    if (!make_rows(j, (size_t)n, &r)) return ol_fail(err, OLV_NOMEM, "out of memory");
    olv_status s = ol_const_rows_quant(j->codes, row, n, r.codes, r.scales, j->form->zero_row_bytes ? r.zeros : NULL, err);
    if (s == OLV_OK && j->columns) {
        ol_qconst q = *j->form;
        q.rows = n;
        q.codes = r.codes;
        q.scales = r.scales;
        q.zeros = j->form->zero_row_bytes ? r.zeros : NULL;
        ol_qconst_rows_f32(&q, 0, n, r.got);
        s = ol_const_rows_f32(j->source, row, n, r.want, err);
        if (s == OLV_OK) add_weighted(j, &r, n, j->sums + 2 * i);
    }
    ol_free_aligned(r.block);
    return s;
}

static void run_tile(void *ctx, size_t i, int lane) {
    job *j = ctx;
    int64_t row = (int64_t)i * j->tile, n = j->form->rows - row < j->tile ? j->form->rows - row : j->tile;
    olv_error err = {OLV_OK, ""};
    (void)lane;
    if (atomic_load(&j->failed)) return;
    olv_status s = run_rows(j, i, row, n, &err);
    if (s != OLV_OK && atomic_exchange(&j->failed, 1) == 0) j->err = err;
}

/* Rounds all rows; *made (released by the caller) has the sums of the rounding. */
static olv_status run(job *j, const ol_compress_entry *e, const olv_weight_spec *spec, uint64_t cpu, ol_executor *x, ol_const **made,
                      double *total, olv_error *err) {
    ol_const *q = ol_compress_const(e->source, spec, cpu, err);
    if (!q) return ol_error_at(err, "%s", e->name);
    *j = (job){.source = e->source, .codes = q, .form = ol_const_quant_form(q), .columns = j->columns};
    j->tile = TILE_WEIGHTS / (e->k ? e->k : 1) + 1;
    size_t tiles = (size_t)((e->rows + j->tile - 1) / j->tile);
    j->sums = ol_calloc(2 * tiles + 2, sizeof *j->sums);
    if (j->sums) ol_executor_for(x, tiles, run_tile, j);
    total[0] = total[1] = 0;
    for (size_t i = 0; j->sums && i < tiles; i++) {
        total[0] += j->sums[2 * i];
        total[1] += j->sums[2 * i + 1];
    }
    bool ok = j->sums && !atomic_load(&j->failed);
    if (!j->sums) ol_fail(&j->err, OLV_NOMEM, "out of memory");
    ol_free(j->sums);
    *made = q;
    if (ok) return OLV_OK;
    ol_const_release(q);
    if (err) *err = j->err;
    return ol_error_at(err, "%s", e->name);
}

olv_status ol_compress_measure(const ol_compress_entry *e, const olv_weight_spec *spec, uint64_t cpu, ol_executor *x, double *error,
                               double *energy, olv_error *err) {
    job j = {.columns = e->inputs ? e->inputs->mean_square : NULL};
    ol_const *made = NULL;
    double total[2] = {0, 0};
    OL_TRY(run(&j, e, spec, cpu, x, &made, total, err));
    ol_compress_stats s = {.rows = 0};
    if (!j.columns && ol_compress_const_stats(made, &s)) {
        total[0] = s.error;
        total[1] = s.energy;
    }
    *error = total[0];
    *energy = total[1];
    ol_const_release(made);
    return OLV_OK;
}

olv_status ol_compress_measure_rows(const ol_compress_entry *e, const olv_weight_spec *spec, uint64_t cpu, ol_executor *x, double *worst,
                                    double *error, olv_error *err) {
    job j = {.columns = NULL};
    ol_const *made = NULL;
    double total[2] = {0, 0};
    OL_TRY(run(&j, e, spec, cpu, x, &made, total, err));
    ol_compress_stats s = {.rows = 0};
    (void)ol_compress_const_stats(made, &s);
    *worst = ol_compress_const_worst(made);
    *error = s.error;
    ol_const_release(made);
    return OLV_OK;
}
