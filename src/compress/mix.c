/* SPDX-License-Identifier: Apache-2.0 */
/* Mixed precision without data, as NNCF's weight quantization error has it: layers whose 8-bit error is large go to few bits
 * first. */
#include "base/alloc.h"
#include "base/checked.h"
#include "base/error.h"
#include "compress/compress.h"
#include <stdatomic.h>
#include <stdlib.h>

#define TILE_WEIGHTS (1 << 18)

typedef struct candidate {
    ol_compress_entry *entry;
    double error; /* of 8 bits: the largest of the rows' mean squares */
} candidate;

typedef struct job {
    const ol_const *c;
    const ol_qconst *form;
    int64_t tile;
    atomic_int failed;
    olv_error err;
} job;

/* Produces rows for their errors alone. */
static void run_tile(void *ctx, size_t i, int lane) {
    job *j = ctx;
    const ol_qconst *f = j->form;
    int64_t row = (int64_t)i * j->tile, n = f->rows - row < j->tile ? f->rows - row : j->tile;
    size_t codes = ol_align_up((size_t)n * f->row_bytes, 64), scales = ol_align_up((size_t)(n * f->n_groups) * sizeof(float), 64);
    olv_error err = {OLV_OK, ""};
    (void)lane;
    if (atomic_load(&j->failed)) return;
    uint8_t *p = ol_alloc_aligned(codes + scales + (size_t)n * f->zero_row_bytes + 64);
    olv_status s = p ? ol_const_rows_quant(j->c, row, n, p, p + codes, f->zero_row_bytes ? p + codes + scales : NULL, &err)
                     : ol_fail(&err, OLV_NOMEM, "out of memory");
    if (s != OLV_OK && atomic_exchange(&j->failed, 1) == 0) j->err = err;
    ol_free_aligned(p);
}

static olv_status measure(candidate *c, ol_executor *e, uint64_t cpu, olv_error *err) {
    const olv_weight_spec eight = {.type = OLV_WEIGHT_INT8_ASYM, .group_size = -1, .rounding = OLV_ROUND_NNCF, .scale = OLV_SCALE_F32};
    ol_const *q = ol_compress_const(c->entry->source, &eight, cpu, err);
    if (!q) return ol_error_at(err, "%s", c->entry->name);
    job j = {.c = q, .form = ol_const_quant_form(q)};
    j.tile = TILE_WEIGHTS / (j.form->k ? j.form->k : 1) + 1;
    ol_executor_for(e, (size_t)((j.form->rows + j.tile - 1) / j.tile), run_tile, &j);
    c->error = ol_compress_const_worst(q);
    ol_const_release(q);
    if (!atomic_load(&j.failed)) return OLV_OK;
    if (err) *err = j.err;
    return ol_error_at(err, "%s", c->entry->name);
}

/* Largest error first; the order of the graph among equals. */
static int by_error(const void *a, const void *b) {
    const candidate *x = a, *y = b;
    if (x->error != y->error) return x->error > y->error ? -1 : 1;
    return (x->entry > y->entry) - (x->entry < y->entry);
}

olv_status ol_compress_mix(ol_graph *g, ol_compress_plan *r, double ratio, const olv_weight_spec *backup, uint64_t cpu, ol_executor *e,
                           olv_error *err) {
    if (!(ratio >= 0 && ratio <= 1)) return ol_fail(err, OLV_ARG, "ratio %g found, 0 to 1 expected", ratio);
    if (ratio >= 1) return OLV_OK;
    candidate *all = ol_calloc(r->n + 1, sizeof *all);
    if (!all) return ol_fail(err, OLV_NOMEM, "no memory for %zu tables", r->n);
    size_t n = 0;
    double total = 0, taken = 0;
    olv_status s = OLV_OK;
    for (size_t i = 0; s == OLV_OK && i < r->n; i++) {
        ol_compress_entry *t = &r->entries[i];
        if (t->kept || t->roles != OL_ROLE_WEIGHT || !ol_const_quant_form(t->result)) continue;
        all[n].entry = t;
        total += (double)t->rows * (double)t->k;
        s = measure(&all[n++], e, cpu, err);
    }
    if (n) qsort(all, n, sizeof *all, by_error);
    bool full = false;
    for (size_t i = 0; s == OLV_OK && i < n; i++) {
        double size = (double)all[i].entry->rows * (double)all[i].entry->k;
        full = full || (taken + size) / total >= ratio;
        if (!full) taken += size;
        else s = ol_compress_decide(g, all[i].entry, backup, cpu, err);
    }
    ol_free(all);
    return s;
}
