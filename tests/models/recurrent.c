/* SPDX-License-Identifier: Apache-2.0 */
/* States of recurrent models: however a text comes to a session, its scores are the same.
 *
 *     model_recurrent FOLDER_OF_MODELS
 *
 * For every model with recurrent states, in f32 and with int4 weights: rows in one run, in parts, beside other sequences
 * and on several threads give the same bits; so do forks, saved and loaded sequences, and a run that was taken back.
 * Decoding agrees with prefill, and the reference device with itself in parts. One line PASS or FAIL per model. */
#include "base/alloc.h"
#include "base/cpu.h"
#include "base/error.h"
#include "base/file.h"
#include "bundle/bundle.h"
#include "compress/compress.h"
#include "device/reference/reference.h"
#include "runtime/session.h"
#include <math.h>
#include <stdio.h>

#define N 45 /* tokens of the text */

typedef struct subject {
    ol_plan *plan;
    ol_state_pool *pool;
    ol_session *session[4]; /* by threads */
    int64_t ids[N], vocab;
    char why[1400]; /* the first thing that was wrong */
} subject;

static void wrong(subject *s, const char *what, const olv_error *err) {
    if (!*s->why) snprintf(s->why, sizeof s->why, "%s%s%s", what, err ? ": " : "", err ? err->message : "");
}

static ol_sequence *sequence(subject *s) {
    olv_error err;
    ol_sequence *q = NULL;
    if (ol_sequence_create(s->pool, &q, &err) != OLV_OK) wrong(s, "a sequence", &err);
    return q;
}

/* Runs tokens [from, to) of the text; their scores go to `rows`, at row `from` (NULL: dropped). */
static void run(subject *s, int threads, ol_entry e, ol_sequence *q, int64_t from, int64_t to, float *rows) {
    olv_error err;
    const float *out;
    int64_t width = 0;
    ol_run_item it = {.sequence = q, .ids = s->ids + from, .count = to - from, .n_outputs = to - from};
    if (*s->why) return;
    if (ol_session_run(s->session[threads], e, &it, 1, &out, &width, &err) != OLV_OK || width != s->vocab)
        wrong(s, "a run", &err);
    else if (rows)
        memcpy(rows + from * width, out, (size_t)((to - from) * width) * sizeof *rows);
}

/* The text in parts that end at these places. */
static void in_parts(subject *s, int threads, ol_entry e, const int64_t *ends, float *rows) {
    ol_sequence *q = sequence(s);
    for (int64_t at = 0; at < N && !*s->why; at = *ends++) run(s, threads, e, q, at, *ends, rows);
    ol_sequence_destroy(q);
}

static void same(subject *s, const char *what, const float *a, const float *b, int64_t from) {
    if (!*s->why && memcmp(a + from * s->vocab, b + from * s->vocab, (size_t)((N - from) * s->vocab) * sizeof *a)) wrong(s, what, NULL);
}

static void near(subject *s, const char *what, const float *a, const float *b, double bound) {
    double worst = 0;
    for (int64_t i = 0; i < N * s->vocab && !*s->why; i++) {
        double d = fabs((double)a[i] - (double)b[i]);
        worst = d <= worst ? worst : isnan(d) ? INFINITY : d;
    }
    char text[200];
    snprintf(text, sizeof text, "%s: %g", what, worst);
    if (!(worst <= bound)) wrong(s, text, NULL);
}

/* ---- the checks -------------------------------------------------------------------------------------- */

static const int64_t whole[] = {N}, parts[] = {1, 3, 20, 37, N}, blocks[] = {16, 32, N}, few[] = {2, 5, 6, 22, 37, N};

static void parts_and_threads(subject *s, float *want, float *got) {
    in_parts(s, 1, OL_ENTRY_PREFILL, whole, want);
    in_parts(s, 1, OL_ENTRY_PREFILL, parts, got);
    same(s, "prefill in parts differs", want, got, 0);
    in_parts(s, 3, OL_ENTRY_PREFILL, whole, got);
    same(s, "prefill on three threads differs", want, got, 0);
}

static void decoding(subject *s, const float *prefill, double bound, float *want, float *got) {
    int64_t ones[N];
    for (int64_t i = 0; i < N; i++) ones[i] = i + 1;
    in_parts(s, 1, OL_ENTRY_DECODE, ones, want);
    near(s, "decoding is far from prefill", want, prefill, bound);
    in_parts(s, 1, OL_ENTRY_DECODE, blocks, got);
    same(s, "decoding in blocks differs", want, got, 0);
    in_parts(s, 2, OL_ENTRY_DECODE, few, got);
    same(s, "decoding on two threads differs", want, got, 0);
}

/* Three sequences at different places of the text run together. */
static void beside_others(subject *s, ol_entry e, const float *want) {
    static const int64_t start[] = {0, 7, 30}, count[] = {4, 5, 3};
    ol_sequence *q[3];
    ol_run_item items[3];
    olv_error err;
    const float *out = NULL;
    int64_t width;
    for (int i = 0; i < 3; i++) {
        q[i] = sequence(s);
        for (int64_t at = 0; at < start[i]; at += 5) run(s, 1, e, q[i], at, at + 5 < start[i] ? at + 5 : start[i], NULL);
        items[i] = (ol_run_item){.sequence = q[i], .ids = s->ids + start[i], .count = count[i], .n_outputs = count[i]};
    }
    if (!*s->why && ol_session_run(s->session[2], e, items, 3, &out, &width, &err) != OLV_OK) wrong(s, "three sequences", &err);
    for (int i = 0; i < 3 && !*s->why; i++) {
        size_t bytes = (size_t)(count[i] * s->vocab) * sizeof *out;
        if (memcmp(out, want + start[i] * s->vocab, bytes)) wrong(s, "a row differs beside other sequences", NULL);
        out += count[i] * s->vocab;
    }
    for (int i = 0; i < 3; i++) ol_sequence_destroy(q[i]);
}

static void going_on(subject *s, const char *what, ol_sequence *q, int64_t from, const float *want, float *got) {
    run(s, 1, OL_ENTRY_DECODE, q, from, from + 3, got);
    run(s, 1, OL_ENTRY_DECODE, q, from + 3, from + 13 < N ? from + 13 : N, got);
    for (int64_t i = from * s->vocab; i < (from + 10) * s->vocab && !*s->why; i++)
        if (got[i] != want[i]) wrong(s, what, NULL);
}

static void forks_and_files(subject *s, const float *want, float *got) {
    ol_sequence *q = sequence(s), *fork = NULL, *loaded = sequence(s), *pair[2];
    olv_error err;
    ol_buf b = OL_BUF_INIT;
    run(s, 1, OL_ENTRY_DECODE, q, 0, 11, NULL);
    run(s, 1, OL_ENTRY_DECODE, q, 11, 13, NULL);
    if (!*s->why && ol_sequence_fork(q, &fork, &err) != OLV_OK) wrong(s, "a fork", &err);
    if (!*s->why && ol_sequence_save(q, &b, &err) != OLV_OK) wrong(s, "saving", &err);
    going_on(s, "a forked sequence differs", q, 13, want, got);
    going_on(s, "a fork differs", fork, 13, want, got);
    run(s, 1, OL_ENTRY_DECODE, loaded, 0, 9, NULL); /* what a load replaces */
    if (!*s->why && ol_sequence_load(loaded, b.data, b.len - 1, &err) != OLV_FORMAT) wrong(s, "a cut file is taken", NULL);
    if (!*s->why && ol_sequence_load(loaded, b.data, b.len, &err) != OLV_OK) wrong(s, "loading", &err);
    if (!*s->why && ol_sequence_truncate(loaded, 9, &err) != OLV_STATE) wrong(s, "a loaded state goes back", NULL);
    pair[0] = fork;
    pair[1] = loaded;
    if (!*s->why && ol_sequence_reorder(pair, (const int[]){1, 1}, 2, &err) != OLV_OK) wrong(s, "reordering", &err);
    going_on(s, "a loaded sequence differs", pair[1], 13, want, got);
    going_on(s, "a reordered sequence differs", pair[0], 13, want, got);
    ol_buf_deinit(&b);
    ol_sequence_destroy(q);
    ol_sequence_destroy(fork);
    ol_sequence_destroy(loaded);
}

static void taking_back(subject *s, const float *want, float *got) {
    ol_sequence *q = sequence(s);
    olv_error err;
    run(s, 1, OL_ENTRY_DECODE, q, 0, 10, NULL);
    run(s, 1, OL_ENTRY_DECODE, q, 20, 25, NULL); /* other tokens */
    if (!*s->why && ol_sequence_truncate(q, 12, &err) != OLV_STATE) wrong(s, "a state goes back into a run", NULL);
    if (!*s->why && ol_sequence_truncate(q, 10, &err) != OLV_OK) wrong(s, "a run cannot be taken back", &err);
    if (!*s->why && ol_sequence_truncate(q, 9, &err) != OLV_STATE) wrong(s, "a state goes back twice", NULL);
    going_on(s, "a run taken back leaves traces", q, 10, want, got);
    if (!*s->why && ol_sequence_truncate(q, 0, &err) != OLV_OK) wrong(s, "an emptied sequence", &err);
    going_on(s, "an emptied sequence is not new", q, 0, want, got);
    ol_sequence_destroy(q);
}

/* The reference device: two sequences, one in parts beside the other. */
static void reference(subject *s, const ol_graph *g, const float *prefill, double bound, float *got) {
    static const char *const names[] = {"input_ids", "positions", "output_rows"};
    static const int64_t ends[] = {2, 9, N};
    ol_reference *r = NULL;
    olv_error err;
    if (!*s->why && ol_reference_create(g, &r, &err) != OLV_OK) wrong(s, "a reference", &err);
    for (int part = 0, at = 0; part < 3 && !*s->why; at = (int)ends[part++]) {
        ol_datum in[3] = {0}, out = {0};
        int64_t n = 2 * (ends[part] - at), position[2 * N];
        int32_t seq[2 * N];
        for (int i = 0; i < 3; i++)
            if (ol_tensor_init(&in[i].tensor, OL_I64, 1, &n, &err) != OLV_OK) wrong(s, "tensors", &err);
            else in[i].present = true;
        for (int64_t i = 0; i < n && !*s->why; i++) { /* rows of both in turn; sequence 7 has the text backwards */
            position[i] = at + i / 2;
            seq[i] = i % 2 ? 7 : 3;
            ((int64_t *)in[0].tensor.data)[i] = s->ids[i % 2 ? N - 1 - position[i] : position[i]];
            ((int64_t *)in[1].tensor.data)[i] = position[i];
            ((int64_t *)in[2].tensor.data)[i] = i;
        }
        ol_reference_rows rows = {n, seq, position};
        if (!*s->why && ol_reference_step(r, &rows, names, in, 3, &out, &err) != OLV_OK) wrong(s, "the reference", &err);
        for (int64_t i = 0; i < n && !*s->why; i += 2)
            memcpy(got + position[i] * s->vocab, (const float *)out.tensor.data + i * s->vocab, (size_t)s->vocab * sizeof *got);
        for (int i = 0; i < 3; i++) ol_datum_deinit(&in[i]);
        ol_datum_deinit(&out);
    }
    ol_reference_destroy(r);
    near(s, "the reference is far", got, prefill, bound);
}

/* ---- the models -------------------------------------------------------------------------------------- */

static olv_status open_subject(subject *s, const char *folder, int bits, ol_executor *const *e, olv_error *err) {
    ol_bundle *b;
    OL_TRY(ol_bundle_open(folder, NULL, &b, err));
    ol_graph *g = ol_bundle_take_graph(b);
    s->vocab = b->info.vocab_size;
    ol_bundle_close(b);
    if (!g) return ol_fail(err, OLV_UNSUPPORTED, "no graph");
    olv_status st = bits ? ol_compress_in_memory(g, bits, e[2], err) : OLV_OK;
    if (st != OLV_OK) {
        ol_graph_destroy(g);
        return st;
    }
    ol_plan_options po = {.device = ol_device_find("CPU"), .cpu = ol_cpu_probe(), .precision = OLK_F32, .kv_dtype = OL_F32};
    OL_TRY(ol_plan_create(g, &po, &s->plan, err));
    OL_TRY(ol_state_pool_create(ol_plan_states(s->plan), 0, &s->pool, err));
    for (int t = 1; t <= 3; t++) OL_TRY(ol_session_create(s->plan, e[t], &s->session[t], err));
    uint32_t x = 4711;
    for (int i = 0; i < N; i++) s->ids[i] = (int64_t)((x = x * 1664525u + 1013904223u) >> 21) % s->vocab;
    return OLV_OK;
}

static void close_subject(subject *s) {
    for (int t = 1; t <= 3; t++) ol_session_destroy(s->session[t]);
    if (s->pool && ol_state_pool_bytes(s->pool)) wrong(s, "the pool is not empty in the end", NULL);
    ol_state_pool_destroy(s->pool);
    ol_plan_destroy(s->plan);
}

static void check(subject *s) {
    size_t bytes = (size_t)(N * s->vocab) * sizeof(float);
    float *prefill = ol_alloc(bytes), *decode = ol_alloc(bytes), *got = ol_alloc(bytes);
    if (!prefill || !decode || !got) wrong(s, "no memory", NULL);
    parts_and_threads(s, prefill, got);
    decoding(s, prefill, 1e-3, decode, got);
    beside_others(s, OL_ENTRY_PREFILL, prefill);
    beside_others(s, OL_ENTRY_DECODE, decode);
    forks_and_files(s, decode, got);
    taking_back(s, decode, got);
    reference(s, ol_plan_graph(s->plan), prefill, 1e-3, got);
    ol_free(prefill);
    ol_free(decode);
    ol_free(got);
}

/* Adds to *n when the model has recurrent states. */
static bool check_model(const char *root, const char *name, ol_executor *const *e, int *n) {
    char folder[1200];
    olv_error err;
    static const int bits[] = {0, 4};
    snprintf(folder, sizeof folder, "%s/%s", root, name);
    for (int i = 0; i < 2; i++) {
        subject s = {0};
        if (open_subject(&s, folder, bits[i], e, &err) != OLV_OK) wrong(&s, "opening", &err);
        bool recurrent = s.plan && ol_plan_states(s.plan)->fixed_floats;
        if (recurrent) check(&s);
        close_subject(&s);
        if (*s.why) return printf("FAIL recurrent/%s, %d bits: %s\n", name, bits[i] ? bits[i] : 32, s.why), false;
        if (!recurrent) return true;
    }
    ++*n;
    return printf("PASS recurrent/%s\n", name), true;
}

int main(int argc, char **argv) {
    if (argc < 2) return fprintf(stderr, "usage: model_recurrent MODELS\n"), 2;
    olv_error err = {OLV_OK, ""};
    ol_executor *e[4] = {0};
    char **names = NULL;
    size_t n = 0;
    int tried = 0;
    bool ok = ol_dir_list(argv[1], &names, &n, &err) == OLV_OK;
    for (int t = 1; t <= 3; t++) ok = ol_executor_create(t, &e[t], &err) == OLV_OK && ok;
    if (!ok) return fprintf(stderr, "%s\n", err.message), 1;
    for (size_t i = 0; i < n; i++) ok = check_model(argv[1], names[i], e, &tried) && ok;
    if (tried < 10) ok = false, printf("FAIL recurrent: only %d models with recurrent states\n", tried);
    ol_dir_list_free(names, n);
    for (int t = 1; t <= 3; t++) ol_executor_destroy(e[t]);
    return ok ? 0 : 1;
}
