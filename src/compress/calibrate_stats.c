/* SPDX-License-Identifier: Apache-2.0 */
/* Statistics of the rows that linear layers read. Sums over tokens run in their order: the gram matrix in f32 by fused
 * multiply-adds (kernels/gemm), the figures in f64. */
#include "base/alloc.h"
#include "base/error.h"
#include "compress/calibrate.h"
#include "kernels/gemm/gemm.h"
#include <math.h>
#include <string.h>

#define CHUNK 256 /* rows that meet the gram matrix at once */

olv_status ol_stage_stats_init(ol_stage_stats *s, int64_t k, int samples, olv_error *err) {
    *s = (ol_stage_stats){.k = k, .samples = 0};
    if (k < 1 || k > 65536) return ol_fail(err, OLV_LIMIT, "layers with rows of %lld are too wide for calibration", (long long)k);
    size_t n = (size_t)k;
    s->gram = ol_alloc_aligned(n * n * sizeof(float));
    s->means = ol_calloc((size_t)(samples + 1), n * sizeof(float));
    s->mean_square = ol_calloc(n, sizeof(float));
    if (!s->gram || !s->means || !s->mean_square) {
        ol_stage_stats_deinit(s);
        return ol_fail(err, OLV_NOMEM, "no memory for the statistics of rows of %lld", (long long)k);
    }
    memset(s->gram, 0, n * n * sizeof(float));
    return OLV_OK;
}

void ol_stage_stats_deinit(ol_stage_stats *s) {
    ol_free_aligned(s->gram);
    ol_free(s->means);
    ol_free(s->mean_square);
    *s = (ol_stage_stats){.k = 0};
}

/* ---- the gram matrix: its upper half ---- */

typedef struct gram_job {
    const olk_gemm *g;
    const float *rows, *panels;
    float *gram, *scratch; /* one B panel a lane */
    int64_t k, m;
} gram_job;

static void gram_columns(void *ctx, size_t i, int lane) {
    const gram_job *j = ctx;
    int64_t nb = j->g->nb, j0 = (int64_t)i * nb, n = j->k - j0 < nb ? j->k - j0 : nb, mr = j->g->mr;
    float *b = j->scratch + (int64_t)lane * CHUNK * nb;
    j->g->pack_b(j->rows + j0, j->k, 1, j->m, n, b);
    for (int64_t i0 = 0; i0 < j0 + n; i0 += mr) {
        olk_gemm_tile t = {.a = j->panels + i0 * j->m, .mr = (int)mr, .m = (int)(j->k - i0 < mr ? j->k - i0 : mr), .b = b, .ldb = nb,
                           .k = j->m, .n = n, .c = j->gram + i0 * j->k + j0, .ldc = j->k, .add = true};
        j->g->multiply(&t);
    }
}

static olv_status add_gram(ol_stage_stats *s, const float *rows, int64_t m, ol_executor *e, uint64_t cpu, olv_error *err) {
    const olk_gemm *g = olk_gemm_select(cpu);
    int64_t panels = (s->k + g->mr - 1) / g->mr;
    float *a = ol_alloc_aligned((size_t)(panels * g->mr * CHUNK) * sizeof *a);
    float *b = ol_alloc_aligned((size_t)(ol_executor_lanes(e) * CHUNK * g->nb) * sizeof *b);
    bool ok = a && b;
    for (int64_t r = 0; ok && r < m; r += CHUNK) {
        gram_job j = {g, rows + r * s->k, a, s->gram, b, s->k, m - r < CHUNK ? m - r : CHUNK};
        g->pack_a(j.rows, 1, s->k, s->k, j.m, g->mr, a);
        ol_executor_for(e, (size_t)((s->k + g->nb - 1) / g->nb), gram_columns, &j);
    }
    ol_free_aligned(a);
    ol_free_aligned(b);
    return ok ? OLV_OK : ol_fail(err, OLV_NOMEM, "no memory for the statistics of rows of %lld", (long long)s->k);
}

/* ---- figures ---- */

/* Sums over one text, by columns; the criteria of the text are added to the running ones. */
static void add_text(ol_stage_stats *s, const float *rows, int64_t m, double *sum, double *square, double *magnitude) {
    int64_t k = s->k;
    memset(sum, 0, (size_t)k * sizeof *sum);
    memset(square, 0, (size_t)k * sizeof *square);
    memset(magnitude, 0, (size_t)k * sizeof *magnitude);
    for (int64_t t = 0; t < m; t++)
        for (int64_t c = 0; c < k; c++) {
            double x = (double)rows[t * k + c];
            sum[c] += x;
            square[c] += x * x;
            magnitude[c] = fabs(x) > magnitude[c] ? fabs(x) : magnitude[c];
        }
    float *means = s->means + (int64_t)s->samples * k;
    double variance = 0, most = 0, largest = 0, energy = 0;
    for (int64_t c = 0; c < k; c++) {
        double mean = sum[c] / (double)m, v = square[c] / (double)m - mean * mean;
        means[c] = (float)mean;
        v = v > 0 ? v : 0;
        variance += v;
        most = v > most ? v : most;
        largest += magnitude[c];
        energy += square[c];
    }
    s->inputs.mean_variance += variance / (double)k;
    s->inputs.max_variance += most;
    s->inputs.mean_magnitude += largest / (double)k;
    s->inputs.hessian_trace += energy;
    s->samples++;
    s->tokens += m;
}

olv_status ol_stage_stats_add(ol_stage_stats *s, const float *rows, const int64_t *lengths, int n, ol_executor *e, uint64_t cpu,
                              olv_error *err) {
    double *sums = ol_calloc((size_t)s->k * 3, sizeof *sums);
    if (!sums) return ol_fail(err, OLV_NOMEM, "no memory for the statistics of rows of %lld", (long long)s->k);
    int64_t m = 0;
    double before = s->inputs.hessian_trace;
    for (int i = 0; i < n; i++) {
        add_text(s, rows + m * s->k, lengths[i], sums, sums + s->k, sums + 2 * s->k);
        m += lengths[i];
    }
    ol_free(sums);
    if (!isfinite(s->inputs.hessian_trace - before))
        return ol_fail(err, OLV_FORMAT, "an infinite value or NaN was found in what the layers read during calibration");
    return add_gram(s, rows, m, e, cpu, err);
}

void ol_stage_stats_finish(ol_stage_stats *s) {
    double samples = s->samples ? s->samples : 1, tokens = s->tokens ? (double)s->tokens : 1;
    for (int64_t i = 0; i < s->k; i++) {
        for (int64_t j = 0; j < i; j++) s->gram[i * s->k + j] = s->gram[j * s->k + i];
        s->mean_square[i] = (float)((double)s->gram[i * s->k + i] / tokens);
    }
    s->inputs.mean_variance /= samples;
    s->inputs.max_variance /= samples;
    s->inputs.mean_magnitude /= samples;
    s->inputs.hessian_trace *= 2 / tokens;
    s->inputs.mean_square = s->mean_square;
}
