/* SPDX-License-Identifier: Apache-2.0 */
/* Producing compressed constants in memory, on all threads. */
#include "base/alloc.h"
#include "base/checked.h"
#include "base/cpu.h"
#include "base/error.h"
#include "compress/compress.h"
#include <stdatomic.h>

#define TILE_WEIGHTS (1 << 20)

/* Codes, scales and zero points in one block. */
typedef struct job {
    const ol_const *src;
    const ol_qconst *form;
    uint8_t *codes, *scales, *zeros;
    size_t scale_row;
    int64_t tile;
    atomic_int failed; /* 1 once a tile failed; its error is in err */
    olv_error err;
} job;

static void produce_tile(void *ctx, size_t i, int lane) {
    job *j = ctx;
    const ol_qconst *f = j->form;
    int64_t row = (int64_t)i * j->tile, n = f->rows - row < j->tile ? f->rows - row : j->tile;
    size_t r = (size_t)row;
    olv_error err;
    (void)lane;
    if (atomic_load(&j->failed)) return;
    uint8_t *zeros = f->zero_row_bytes ? j->zeros + r * f->zero_row_bytes : NULL;
    olv_status s = ol_const_rows_quant(j->src, row, n, j->codes + r * f->row_bytes, j->scales + r * j->scale_row, zeros,
                                       &err);
    if (s != OLV_OK && atomic_exchange(&j->failed, 1) == 0) j->err = err;
}

ol_const *ol_compress_produce(const ol_const *lazy, ol_executor *e, olv_error *err) {
    const ol_qconst *f = ol_const_quant_form(lazy);
    job j = {.src = lazy, .form = f};
    size_t codes, scales, zeros, total;
    if (!f) {
        ol_fail(err, OLV_STATE, "a constant without codes was to be produced");
        return NULL;
    }
    j.scale_row = (size_t)f->n_groups * (size_t)(ol_dtype_bits(f->scale_dtype) / 8);
    bool fits = ol_mul_size((size_t)f->rows, f->row_bytes, &codes) && ol_mul_size((size_t)f->rows, j.scale_row, &scales) &&
                ol_mul_size((size_t)f->rows, f->zero_row_bytes, &zeros) && ol_add_size(codes, scales + 128, &total) &&
                ol_add_size(total, zeros, &total);
    uint8_t *block = fits ? ol_alloc_aligned(total) : NULL;
    if (!block) {
        ol_fail(err, OLV_NOMEM, "no memory for %lld x %lld compressed weights", (long long)f->rows, (long long)f->k);
        return NULL;
    }
    j.codes = block;
    j.scales = block + ol_align_up(codes, 64);
    j.zeros = j.scales + ol_align_up(scales, 64);
    j.tile = TILE_WEIGHTS / (f->k ? f->k : 1);
    j.tile = j.tile < 16 ? 16 : j.tile / 16 * 16;
    ol_executor_for(e, (size_t)((f->rows + j.tile - 1) / j.tile), produce_tile, &j);
    ol_qconst q = *f;
    q.codes = j.codes;
    q.scales = j.scales;
    q.zeros = f->zero_row_bytes ? j.zeros : NULL;
    ol_const *c = NULL;
    if (atomic_load(&j.failed)) {
        if (err) *err = j.err;
    } else {
        c = ol_const_quant(ol_const_rank(lazy), ol_const_dims(lazy), &q, NULL, 0, ol_free_aligned, block, err);
    }
    if (!c) ol_free_aligned(block);
    return c;
}

/* Every value that holds the lazy constant gets the one in memory. */
static olv_status produce_entry(ol_graph *g, const ol_compress_entry *entry, ol_executor *e, olv_error *err) {
    if (entry->kept || ol_const_get_kind(entry->result) != OL_CONST_LAZY_QUANT) return OLV_OK;
    ol_const *c = ol_compress_produce(entry->result, e, err);
    if (!c) return ol_error_at(err, "%s", entry->name);
    for (int i = 0; i < g->n_values; i++) {
        ol_value *v = g->values[i];
        if (v && v->constant == entry->result) ol_value_set_constant(v, ol_const_retain(c));
    }
    ol_const_release(c);
    return OLV_OK;
}

olv_status ol_compress_in_memory(ol_graph *g, int bits, ol_executor *e, olv_error *err) {
    olv_compress_params p;
    ol_compress_report report;
    olv_compress_params_init(&p);
    if (bits == 8)
        p.weights = p.head;
    else if (bits != 4)
        return ol_fail(err, OLV_ARG, "weights of %d bits asked for, 4 or 8 expected", bits);
    olv_status s = ol_compress_graph(g, &p, ol_cpu_probe(), &report, err);
    for (size_t i = 0; s == OLV_OK && i < report.n; i++) s = produce_entry(g, &report.entries[i], e, err);
    ol_compress_report_deinit(&report);
    return s;
}
