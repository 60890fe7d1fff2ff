/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/lazy.h"
#include "base/alloc.h"
#include "base/checked.h"
#include "base/error.h"
#include "compress/table.h"
#include "tensor/qconst_form.h"
#include <stdio.h>
#include <string.h>

#define BATCH_FLOATS 65536 /* of source rows read at once: well within the second-level cache */

/* Per row: written once by the thread that produces it. */
typedef struct row_stats {
    float error, energy;
    bool done;
} row_stats;

typedef struct producer {
    ol_const *src;
    olv_weight_spec spec;
    uint64_t cpu;
    ol_qconst form;
    ol_value_table *table; /* NULL for integers */
    int64_t padded; /* floats of a group, a multiple of 16 */
    row_stats *stats;
    bool renewed; /* then the sums are those of an earlier run */
    double error, energy;
} producer;

static void destroy(void *ctx) {
    producer *p = ctx;
    ol_const_release(p->src);
    ol_free(p->stats);
    ol_free(p->table);
    ol_free(p);
}

static void each_file(const void *ctx, ol_const_file_fn *fn, void *fn_ctx) {
    ol_const_each_file(((const producer *)ctx)->src, fn, fn_ctx);
}

/* Codes of a group from code `first` of a row on, over zeros. Groups start at whole bytes. */
static void pack(ol_qcode code, const uint8_t *codes, int64_t n, int64_t first, uint8_t *restrict row) {
    int bits = ol_qcode_bits(code);
    uint8_t *out = row + (size_t)(first * bits / 8);
    if (bits == 8) {
        memcpy(out, codes, (size_t)n);
    } else if (bits == 4) {
        for (int64_t i = 0; i < n / 2; i++) out[i] = (uint8_t)(codes[2 * i] | codes[2 * i + 1] << 4);
        if (n % 2) out[n / 2] = codes[n - 1];
    } else if (bits == 3) {
        for (int64_t i = 0; i < n; i++) ol_u3_set(out, i, codes[i]);
    } else {
        for (int64_t i = 0; i < n; i++) out[i / 4] = (uint8_t)(out[i / 4] | codes[i] << (i % 4 * 2));
    }
}

/* Where the results of a call to fill go. */
typedef struct target {
    uint8_t *codes, *zeros;
    void *scales;
} target;

static void put_group(const producer *p, const target *t, int64_t row, int64_t g, const uint8_t *codes,
                      const ol_rounded_group *r) {
    const ol_qconst *f = &p->form;
    pack(f->code, codes, f->group, g * f->group, t->codes + (size_t)row * f->row_bytes);
    int64_t i = row * f->n_groups + g;
    if (f->scale_dtype == OL_F16)
        ((uint16_t *)t->scales)[i] = ol_f32_to_f16(r->scale);
    else if (f->scale_dtype == OL_F32)
        ((float *)t->scales)[i] = r->scale;
    else
        ol_elem_set(f->scale_dtype, t->scales, (uint64_t)i, (double)(r->scale / f->global_scale));
    if (f->zero_dtype != OL_DTYPE_NONE)
        ol_elem_set(f->zero_dtype, t->zeros + (size_t)row * f->zero_row_bytes, (uint64_t)g, r->zero);
}

/* Reads rows into groups padded with zeros. */
static olv_status read_rows(const producer *p, int64_t row, int64_t n, float *x, olv_error *err) {
    const ol_qconst *f = &p->form;
    int64_t stride = f->n_groups * p->padded;
    if (stride == f->k) return ol_const_rows_f32(p->src, row, n, x, err);
    memset(x, 0, (size_t)(n * stride) * sizeof *x);
    for (int64_t i = 0; i < n; i++) OL_TRY(ol_const_rows_f32(p->src, row + i, 1, x + i * stride, err));
    return OLV_OK;
}

static void count_group(row_stats *s, const ol_rounded_group *r, bool first, bool last) {
    s->error = (first ? 0 : s->error) + r->error;
    s->energy = (first ? 0 : s->energy) + r->energy;
    if (last) s->done = true;
}

/* Rounds n rows that lie in x; target rows start at `to`. */
static olv_status round_rows(producer *p, ol_rounder *r, const float *x, uint8_t *codes, int64_t row, int64_t n,
                             const target *t, int64_t to, olv_error *err) {
    int64_t groups = p->form.n_groups, total = n * groups;
    ol_rounded_group out[OL_ROUND_LANES];
    for (int64_t i = 0; i < total; i += OL_ROUND_LANES) {
        int count = (int)(total - i < OL_ROUND_LANES ? total - i : OL_ROUND_LANES);
        if (ol_rounder_run(r, x + i * p->padded, count, codes, out, err) != OLV_OK)
            return ol_error_at(err, "row %lld", (long long)(row + i / groups));
        for (int j = 0; j < count; j++) {
            int64_t at = (i + j) / groups, g = (i + j) % groups;
            put_group(p, t, to + at, g, codes + j * p->padded, &out[j]);
            count_group(&p->stats[row + at], &out[j], g == 0, g == groups - 1);
        }
    }
    return OLV_OK;
}

static olv_status fill(void *ctx, int64_t row, int64_t n, uint8_t *codes, void *scales, void *zeros, olv_error *err) {
    producer *p = ctx;
    const ol_qconst *f = &p->form;
    int64_t stride = f->n_groups * p->padded, batch = BATCH_FLOATS / (stride ? stride : 1);
    if (stride == 0 || n == 0) return OLV_OK;
    batch = batch < 1 ? 1 : batch > n ? n : batch;
    /* Groups of whole rows: as many rows as there are lanes. */
    if (f->n_groups < OL_ROUND_LANES && batch < OL_ROUND_LANES) batch = n < OL_ROUND_LANES ? n : OL_ROUND_LANES;
    memset(codes, 0, (size_t)n * f->row_bytes);
    if (zeros) memset(zeros, 0, (size_t)n * f->zero_row_bytes);
    float *x = ol_alloc_aligned((size_t)(batch * stride) * sizeof *x);
    uint8_t *tmp = ol_alloc((size_t)p->padded * OL_ROUND_LANES);
    ol_rounder *r = ol_rounder_create(&p->spec, p->table, f->global_scale, p->padded, p->cpu);
    olv_status s = x && tmp && r ? OLV_OK : ol_fail(err, OLV_NOMEM, "no memory for compressing %lld weights", (long long)stride);
    target t = {codes, zeros, scales};
    for (int64_t i = 0; s == OLV_OK && i < n; i += batch) {
        int64_t m = n - i < batch ? n - i : batch;
        s = read_rows(p, row + i, m, x, err);
        if (s == OLV_OK) s = round_rows(p, r, x, tmp, row + i, m, &t, i, err);
    }
    ol_free_aligned(x);
    ol_free(tmp);
    ol_rounder_destroy(r);
    return s;
}

static ol_qcode code_of(const olv_weight_spec *s) {
    switch (s->type) {
    case OLV_WEIGHT_INT2_SYM: return OL_Q_U2;
    case OLV_WEIGHT_INT3_SYM: return OL_Q_U3;
    case OLV_WEIGHT_NF4: return OL_Q_NF4;
    case OLV_WEIGHT_MXFP4:
    case OLV_WEIGHT_NVFP4:
    case OLV_WEIGHT_FP4: return OL_Q_F4;
    case OLV_WEIGHT_MXFP8_E4M3:
    case OLV_WEIGHT_FP8_E4M3: return OL_Q_F8;
    case OLV_WEIGHT_CB4:
    case OLV_WEIGHT_ADAPTIVE_CODEBOOK: return OL_Q_TABLE4;
    case OLV_WEIGHT_CODEBOOK: return s->n_codebook <= 16 ? OL_Q_TABLE4 : OL_Q_TABLE8;
    case OLV_WEIGHT_INT8_SYM:
    case OLV_WEIGHT_INT8_ASYM: return OL_Q_U8;
    default: return OL_Q_U4;
    }
}

static ol_dtype scale_type_of(const olv_weight_spec *s) {
    if (s->type == OLV_WEIGHT_MXFP4 || s->type == OLV_WEIGHT_MXFP8_E4M3) return OL_F8E8M0;
    if (s->type == OLV_WEIGHT_NVFP4) return OL_F8E4M3;
    return s->scale == OLV_SCALE_F16 ? OL_F16 : OL_F32;
}

ol_qconst ol_compress_form(const olv_weight_spec *spec, int64_t rows, int64_t k) {
    ol_qconst f = {.code = code_of(spec), .rows = rows, .k = k, .global_scale = 1};
    f.group = spec->group_size < 0 || spec->group_size > k ? (k ? k : 1) : spec->group_size;
    f.n_groups = (k + f.group - 1) / f.group;
    f.row_bytes = ol_qcode_bytes(f.code, f.n_groups * f.group);
    f.scale_dtype = scale_type_of(spec);
    if (ol_weight_asym(spec->type)) {
        int bits = ol_qcode_bits(f.code);
        f.zero_dtype = bits == 4 ? OL_U4 : OL_U8;
        f.zero_row_bytes = (size_t)((f.n_groups * bits + 7) / 8);
    }
    return f;
}

/* The table of a type, and the scale of its scales. */
static olv_status prepare_table(producer *p, olv_error *err) {
    p->table = ol_alloc(sizeof *p->table);
    if (!p->table) return ol_fail(err, OLV_NOMEM, "no memory for a table of values");
    if (p->spec.type == OLV_WEIGHT_ADAPTIVE_CODEBOOK) OL_TRY(ol_table_adapt(p->table, p->src, &p->spec, err));
    else ol_table_of_type(&p->spec, p->table);
    if (ol_weight_has_own_values(p->spec.type)) p->form.table = p->table->values;
    return p->spec.type == OLV_WEIGHT_NVFP4 ? ol_table_global_scale(p->src, &p->spec, &p->form.global_scale, err) : OLV_OK;
}

static ol_const *lazy_const(ol_const *src, const olv_weight_spec *spec, uint64_t cpu, olv_error *err) {
    int64_t rows = ol_const_rows(src), k = ol_const_width(src);
    if (ol_const_rank(src) < 2 || k > INT32_MAX) {
        ol_fail(err, OLV_SHAPE, "weights of rank %d with rows of %lld cannot be compressed", ol_const_rank(src),
                (long long)k);
        return NULL;
    }
    producer *p = ol_calloc(1, sizeof *p);
    row_stats *stats = ol_calloc((size_t)rows + 1, sizeof *stats);
    if (!p || !stats) {
        ol_free(p);
        ol_free(stats);
        ol_fail(err, OLV_NOMEM, "no memory for a compressed constant");
        return NULL;
    }
    *p = (producer){.src = ol_const_retain(src), .spec = *spec, .cpu = cpu, .form = ol_compress_form(spec, rows, k), .stats = stats};
    p->padded = (p->form.group + 15) / 16 * 16;
    bool ready = !ol_weight_is_table(spec->type) || prepare_table(p, err) == OLV_OK;
    p->spec.codebook = NULL; /* the caller's */
    ol_lazy_quant lazy = {fill, destroy, p, p->form, each_file};
    ol_const *c = ready ? ol_const_lazy_quant(ol_const_rank(src), ol_const_dims(src), &lazy, err) : NULL;
    if (!c) destroy(p);
    return c;
}

ol_const *ol_compress_const(ol_const *src, const olv_weight_spec *spec, uint64_t cpu, olv_error *err) {
    if (olv_weight_spec_check(spec, err) != OLV_OK) return NULL;
    switch (spec->type) {
    case OLV_WEIGHT_KEEP: return ol_const_retain(src);
    case OLV_WEIGHT_F16: return ol_const_cast(src, OL_F16, err);
    case OLV_WEIGHT_BF16: return ol_const_cast(src, OL_BF16, err);
    default: return lazy_const(src, spec, cpu, err);
    }
}

bool ol_compress_const_stats(const ol_const *c, ol_compress_stats *out) {
    const ol_lazy_quant *lazy = ol_const_lazy(c);
    if (!lazy || lazy->fill != fill) return false;
    const producer *p = lazy->ctx;
    *out = (ol_compress_stats){.rows = p->form.rows};
    if (p->renewed) {
        *out = (ol_compress_stats){p->form.rows, p->form.rows, p->error, p->energy};
        return true;
    }
    for (int64_t r = 0; r < p->form.rows; r++) {
        if (!p->stats[r].done) continue;
        out->rows_done++;
        out->error += (double)p->stats[r].error;
        out->energy += (double)p->stats[r].energy;
    }
    return true;
}

double ol_compress_const_worst(const ol_const *c) {
    const ol_lazy_quant *lazy = ol_const_lazy(c);
    if (!lazy || lazy->fill != fill) return 0;
    const producer *p = lazy->ctx;
    double worst = 0;
    for (int64_t r = 0; r < p->form.rows; r++)
        if (p->stats[r].done && (double)p->stats[r].error > worst) worst = (double)p->stats[r].error;
    return p->form.k ? worst / (double)p->form.k : 0;
}

void ol_compress_stats_note(const ol_const *c, char *text, size_t size) {
    ol_compress_stats s;
    *text = 0;
    if (ol_compress_const_stats(c, &s) && s.rows_done == s.rows) snprintf(text, size, "stats %a %a", s.error, s.energy);
}

void ol_compress_stats_renew(ol_const *c, const char *text) {
    const ol_lazy_quant *lazy = ol_const_lazy(c);
    double error, energy;
    if (!lazy || lazy->fill != fill || sscanf(text, "stats %la %la", &error, &energy) != 2) return;
    producer *p = lazy->ctx;
    p->error = error;
    p->energy = energy;
    p->renewed = true;
}
