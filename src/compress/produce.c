/* SPDX-License-Identifier: Apache-2.0 */
/* Producing constants that are quantized on demand, on all threads, into the weight store. */
#include "base/alloc.h"
#include "base/checked.h"
#include "base/cpu.h"
#include "base/error.h"
#include "compress/compress.h"
#include "graph/op.h"
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define TILE_WEIGHTS (1 << 20)

/* Codes, scales and zero points in one piece. */
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

/* Where the parts of a form lie in its piece. false: they are too many. */
static bool measure(job *j, size_t *scales_at, size_t *zeros_at, size_t *total) {
    const ol_qconst *f = j->form;
    size_t codes, scales, zeros;
    j->scale_row = (size_t)f->n_groups * (size_t)(ol_dtype_bits(f->scale_dtype) / 8);
    if (!ol_mul_size((size_t)f->rows, f->row_bytes, &codes) || !ol_mul_size((size_t)f->rows, j->scale_row, &scales) ||
        !ol_mul_size((size_t)f->rows, f->zero_row_bytes, &zeros) || !ol_add_size(codes, scales + 128, total) ||
        !ol_add_size(*total, zeros, total) || codes > SIZE_MAX / 4)
        return false;
    *scales_at = ol_align_up(codes, 64);
    *zeros_at = *scales_at + ol_align_up(scales, 64);
    return true;
}

/* What a produced constant keeps: its room, and the source, whose form may own a permutation or a table. */
typedef struct kept {
    ol_store *store;
    ol_const *source;
} kept;

static void release_kept(void *p) {
    kept *k = p;
    ol_store_release(k->store);
    ol_const_release(k->source);
    ol_free(k);
}

/* A QUANT constant with the codes of one that is quantized on demand. NULL on failure. */
static ol_const *produce(const ol_value *v, ol_executor *e, ol_store *store, olv_error *err) {
    const ol_const *lazy = v->constant;
    const ol_qconst *f = ol_const_quant_form(lazy);
    job j = {.src = lazy, .form = f};
    size_t scales_at, zeros_at, total;
    bool made, fits = measure(&j, &scales_at, &zeros_at, &total);
    char full[256];
    snprintf(full, sizeof full, "codes of %d %.200s", v->id, v->name); /* parts of a matrix may have its name */
    const ol_store_item *item = fits ? ol_store_get(store, full, total, &made) : NULL;
    if (!item) {
        ol_fail(err, OLV_NOMEM, "no memory for %lld x %lld compressed weights", (long long)f->rows, (long long)f->k);
        return NULL;
    }
    j.codes = item->data;
    j.scales = j.codes + scales_at;
    j.zeros = j.codes + zeros_at;
    j.tile = TILE_WEIGHTS / (f->k ? f->k : 1);
    j.tile = j.tile < 16 ? 16 : j.tile / 16 * 16;
    if (made) ol_executor_for(e, (size_t)((f->rows + j.tile - 1) / j.tile), produce_tile, &j);
    if (atomic_load(&j.failed)) {
        if (err) *err = j.err;
        return NULL;
    }
    ol_qconst q = *f;
    q.codes = j.codes;
    q.scales = j.scales;
    q.zeros = f->zero_row_bytes ? j.zeros : NULL;
    kept *k = ol_alloc(sizeof *k);
    if (!k) {
        ol_fail(err, OLV_NOMEM, "no memory for a constant");
        return NULL;
    }
    ol_const *c = ol_const_quant(ol_const_rank(lazy), ol_const_dims(lazy), &q, NULL, 0, release_kept, k, err);
    if (!c) {
        ol_free(k);
        return NULL;
    }
    ol_store_retain(store);
    *k = (kept){store, ol_const_retain(v->constant)};
    return c;
}

/* ---- the graph --------------------------------------------------------------------------------------- */

typedef struct use {
    const ol_const *c;
    bool wanted;
} use;

/* Experts whose rows lie in their files are read there. */
static bool look_at_use(void *ctx, ol_node *user, int input) {
    use *u = ctx;
    int64_t at;
    if (!user || input < 0) return true;
    bool experts = !strcmp(user->op->name, "ExpertLinear") && ol_const_rank(u->c) == 3;
    const ol_const *src = experts ? ol_const_source_rows(u->c, 0, ol_const_dims(u->c)[1], &at) : u->c;
    if (src == u->c || ol_const_get_kind(src) == OL_CONST_LAZY_QUANT) u->wanted = true;
    return !u->wanted;
}

static bool is_wanted(ol_value *v) {
    if (!v || !v->constant || ol_const_get_kind(v->constant) != OL_CONST_LAZY_QUANT) return false;
    use u = {v->constant, false};
    ol_value_each_use(v, look_at_use, &u);
    return u.wanted;
}

static uint64_t elements(const ol_const *c) { return (uint64_t)ol_const_rows(c) * (uint64_t)ol_const_width(c); }

olv_status ol_compress_produce(ol_graph *g, ol_executor *e, ol_store *store, const ol_produce_progress *progress, olv_error *err) {
    uint64_t total = 0, done = 0;
    for (int i = 0; i < g->n_values; i++)
        if (is_wanted(g->values[i])) total += elements(g->values[i]->constant);
    for (int i = 0; i < g->n_values; i++) {
        ol_value *v = g->values[i];
        if (!is_wanted(v)) continue;
        ol_const *lazy = ol_const_retain(v->constant), *c = produce(v, e, store, err);
        for (int k = i; c && k < g->n_values; k++) { /* a table used in several places */
            ol_value *other = g->values[k];
            if (!other || other->constant != lazy) continue;
            ol_value_set_constant(other, ol_const_retain(c));
            done += elements(c);
        }
        ol_const_release(lazy);
        if (!c) return ol_error_at(err, "%s", v->name);
        ol_const_release(c);
        if (progress && progress->fn && !progress->fn(progress->ctx, done, total)) return ol_fail(err, OLV_CANCELLED, "cancelled");
    }
    return OLV_OK;
}

olv_status ol_compress_to_bits(ol_graph *g, int bits, olv_error *err) {
    olv_compress_params p;
    olv_compress_params_init(&p);
    if (bits == 8)
        p.weights = p.head;
    else if (bits != 4)
        return ol_fail(err, OLV_ARG, "weights of %d bits asked for, 4 or 8 expected", bits);
    return ol_compress_graph(g, &p, ol_cpu_probe(), NULL, err);
}

olv_status ol_compress_in_memory(ol_graph *g, int bits, ol_executor *e, olv_error *err) {
    ol_store *store = ol_store_open(NULL, "");
    if (!store) return ol_fail(err, OLV_NOMEM, "no memory for compressed weights");
    olv_status s = ol_compress_to_bits(g, bits, err);
    if (s == OLV_OK) s = ol_compress_produce(g, e, store, NULL, err);
    ol_store_release(store);
    return s;
}
