/* SPDX-License-Identifier: Apache-2.0 */
#include "measure.h"
#include "base/alloc.h"
#include "base/cpu.h"
#include "base/error.h"
#include "base/file.h"
#include "bundle/bundle.h"
#include "compress/compress.h"
#include "device/reference/reference.h"
#include "runtime/session.h"
#include <math.h>

static olv_status open_graph(const run_options *o, ol_graph **g, olv_error *err) {
    ol_bundle *b;
    OL_TRY(ol_bundle_open(o->folder, NULL, &b, err));
    *g = ol_bundle_take_graph(b);
    ol_bundle_close(b);
    if (!*g) return ol_fail(err, OLV_UNSUPPORTED, "'%s' holds no graph", o->folder);
    olv_status s = o->bits ? ol_compress_in_memory(*g, o->bits, o->executor, err) : OLV_OK;
    if (s != OLV_OK) ol_graph_destroy(*g);
    return s;
}

/* ---- the CPU device ---- */

static olv_status score_text(ol_session *s, ol_state_pool *pool, const text_ids *t, float **rows, size_t *vocab,
                             olv_error *err) {
    ol_sequence *q;
    const float *out;
    int64_t width = 0;
    OL_TRY(ol_sequence_create(pool, &q, err));
    ol_run_item it = {q, t->ids, (int64_t)t->n, (int64_t)t->n, 0};
    olv_status st = ol_session_run(s, t->n <= OL_DECODE_ROWS ? OL_ENTRY_DECODE : OL_ENTRY_PREFILL, &it, 1, &out, &width, err);
    ol_sequence_destroy(q);
    if (st != OLV_OK) return st;
    size_t bytes = t->n * (size_t)width * sizeof(float);
    *rows = ol_alloc(bytes);
    if (!*rows) return ol_fail(err, OLV_NOMEM, "no memory for scores");
    memcpy(*rows, out, bytes);
    *vocab = (size_t)width;
    return OLV_OK;
}

olv_status cpu_scores(const run_options *o, const text_ids *texts, size_t n_texts, float **rows, size_t *vocab,
                      olv_error *err) {
    ol_graph *g = NULL;
    ol_plan *plan = NULL;
    ol_state_pool *pool = NULL;
    ol_session *session = NULL;
    OL_TRY(open_graph(o, &g, err));
    ol_plan_options po = {.device = ol_device_find("CPU"), .cpu = ol_cpu_probe(), .precision = o->precision, .kv_dtype = o->kv};
    olv_status s = ol_plan_create(g, &po, &plan, err);
    if (s == OLV_OK) s = ol_state_pool_create(ol_plan_states(plan), 0, &pool, err);
    if (s == OLV_OK) s = ol_session_create(plan, o->executor, &session, err);
    for (size_t i = 0; s == OLV_OK && i < n_texts; i++) s = score_text(session, pool, &texts[i], &rows[i], vocab, err);
    ol_session_destroy(session);
    ol_state_pool_destroy(pool);
    ol_plan_destroy(plan);
    return s;
}

/* ---- the reference device ---- */

static olv_status reference_text(const ol_graph *g, const text_ids *t, float **rows, size_t *vocab, olv_error *err) {
    static const char *const names[] = {"input_ids", "positions", "output_rows"};
    ol_datum in[3], out;
    int64_t n = (int64_t)t->n;
    olv_status s = OLV_OK;
    memset(in, 0, sizeof in);
    memset(&out, 0, sizeof out);
    for (int i = 0; s == OLV_OK && i < 3; i++) {
        in[i].present = true;
        s = ol_tensor_init(&in[i].tensor, OL_I64, 1, &n, err);
        for (int64_t k = 0; s == OLV_OK && k < n; k++) ((int64_t *)in[i].tensor.data)[k] = i == 0 ? t->ids[k] : k;
    }
    if (s == OLV_OK) s = ol_reference_run(g, NULL, names, in, 3, &out, err);
    if (s == OLV_OK) {
        size_t count = (size_t)ol_tensor_count(&out.tensor);
        *rows = ol_alloc(count * sizeof **rows);
        if (*rows) ol_elems_to_f32(out.tensor.dtype, out.tensor.data, 0, count, *rows);
        else s = ol_fail(err, OLV_NOMEM, "no memory for scores");
        *vocab = count / t->n;
    }
    for (int i = 0; i < 3; i++) ol_datum_deinit(&in[i]);
    ol_datum_deinit(&out);
    return s;
}

olv_status reference_scores(const run_options *o, const text_ids *texts, size_t n_texts, float **rows, size_t *vocab,
                            olv_error *err) {
    ol_graph *g = NULL;
    OL_TRY(open_graph(o, &g, err));
    olv_status s = OLV_OK;
    for (size_t i = 0; s == OLV_OK && i < n_texts; i++) s = reference_text(g, &texts[i], &rows[i], vocab, err);
    ol_graph_destroy(g);
    return s;
}

/* ---- numbers ---- */

olv_status read_npy(const char *path, float **values, size_t *count, olv_error *err) {
    char *text;
    size_t len;
    OL_TRY(ol_file_read(path, (size_t)1 << 30, &text, &len, err));
    size_t head = len > 10 ? 10 + (size_t)(uint8_t)text[8] + 256 * (size_t)(uint8_t)text[9] : 0;
    olv_status s = OLV_OK;
    if (len < 10 || memcmp(text, "\x93NUMPY\x01", 7) || head > len || !strstr(text + 10, "'<f4'"))
        s = ol_fail(err, OLV_FORMAT, "%s: no f32 array of version 1", path);
    if (s == OLV_OK) {
        *count = (len - head) / sizeof(float);
        *values = ol_alloc(*count * sizeof(float));
        if (*values) memcpy(*values, text + head, *count * sizeof(float));
        else s = ol_fail(err, OLV_NOMEM, "no memory for %s", path);
    }
    ol_free(text);
    return s;
}

double max_difference(const float *a, const float *b, size_t n) {
    double worst = 0;
    for (size_t i = 0; i < n; i++) {
        double d = fabs((double)a[i] - (double)b[i]);
        if (!(d <= worst)) worst = isnan(d) ? INFINITY : d;
    }
    return worst;
}

size_t best_of(const float *row, size_t vocab) {
    size_t best = 0;
    for (size_t i = 1; i < vocab; i++)
        if (row[i] > row[best]) best = i;
    return best;
}

static double log_sum(const float *row, size_t vocab) {
    double top = (double)row[best_of(row, vocab)], sum = 0;
    for (size_t i = 0; i < vocab; i++) sum += exp((double)row[i] - top);
    return top + log(sum);
}

double divergence(const float *p, const float *q, size_t vocab) {
    double lp = log_sum(p, vocab), lq = log_sum(q, vocab), kl = 0;
    for (size_t i = 0; i < vocab; i++) {
        double a = (double)p[i] - lp;
        kl += exp(a) * (a - ((double)q[i] - lq));
    }
    return kl;
}
