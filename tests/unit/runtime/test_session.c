/* SPDX-License-Identifier: Apache-2.0 */
/* Runs of the shipped model: rows keep their bits whatever runs beside them, no allocation once warm, and lack of memory at
 * any point ends cleanly. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/cpu.h"
#include "bundle/bundle.h"
#include "compress/compress.h"
#include "runtime/session.h"
#include <olivine/pipeline.h>
#include <stdlib.h>
#include <string.h>

#define EMULATED (getenv("OL_TEST_EMULATED") != NULL)

#define MODEL OL_TEST_DATA "/../../models/pebble"
#define MAX_IDS 300

typedef struct model {
    ol_plan *plan;
    int64_t vocab;
} model;

/* The kinds of plans that are tried: weights, arithmetic and cache. */
static const struct {
    const char *name;
    int bits;
    olk_precision precision;
    ol_dtype kv;
} kinds[] = {{"f32", 0, OLK_F32, OL_F32},
             {"int8", 8, OLK_DEFAULT, OL_F16},
             {"int4", 4, OLK_DEFAULT, OL_F16},
             {"int4, int8 cache", 4, OLK_DEFAULT, OL_I8},
             {"bf16", 0, OLK_BF16, OL_F16}};
#define N_KINDS (int)(sizeof kinds / sizeof kinds[0])
static model models[N_KINDS];
static ol_executor *executors[4]; /* by number of threads */
static int64_t ids[MAX_IDS];

static void must(olv_status s, const olv_error *err) {
    if (s != OLV_OK) fail_msg("%s", err->message);
}

static int open_all(void **state) {
    (void)state;
    olv_error err = {OLV_OK, ""};
    for (int t = 1; t <= 3; t++)
        if (ol_executor_create(t, &executors[t], &err) != OLV_OK) return -1;
    for (int i = 0; i < N_KINDS; i++) {
        ol_bundle *b = NULL;
        if (ol_bundle_open(MODEL, NULL, &b, &err) != OLV_OK) return print_error("%s\n", err.message), -1;
        ol_graph *g = ol_bundle_take_graph(b);
        models[i].vocab = b->info.vocab_size;
        ol_plan_options po = {.device = ol_device_find("CPU"), .cpu = ol_cpu_probe(), .precision = kinds[i].precision, .kv_dtype = kinds[i].kv};
        ol_bundle_close(b);
        if (kinds[i].bits && ol_compress_in_memory(g, kinds[i].bits, executors[1], &err) != OLV_OK) return -1;
        if (ol_plan_create(g, &po, &models[i].plan, &err) != OLV_OK) return print_error("%s\n", err.message), -1;
    }
    uint32_t x = 12345;
    for (int i = 0; i < MAX_IDS; i++) ids[i] = (int64_t)((x = x * 1664525u + 1013904223u) >> 21) % models[0].vocab;
    return 0;
}

static int close_all(void **state) {
    (void)state;
    for (int i = 0; i < N_KINDS; i++) ol_plan_destroy(models[i].plan);
    for (int t = 1; t <= 3; t++) ol_executor_destroy(executors[t]);
    return 0;
}

/* A session with its pool, for one test. */
typedef struct bench {
    const model *m;
    ol_state_pool *pool;
    ol_session *session;
} bench;

static bench start(int kind, int threads) {
    bench b = {.m = &models[kind]};
    olv_error err = {OLV_OK, ""};
    must(ol_state_pool_create(ol_plan_states(b.m->plan), 0, &b.pool, &err), &err);
    must(ol_session_create(b.m->plan, executors[threads], &b.session, &err), &err);
    return b;
}

static void finish(bench *b) {
    ol_session_destroy(b->session);
    assert_int_equal(ol_state_pool_bytes(b->pool), 0);
    ol_state_pool_destroy(b->pool);
}

static ol_sequence *sequence(bench *b) {
    ol_sequence *s = NULL;
    olv_error err = {OLV_OK, ""};
    must(ol_sequence_create(b->pool, &s, &err), &err);
    return s;
}

static const float *run(bench *b, ol_entry e, const ol_run_item *items, int n) {
    const float *out;
    int64_t width;
    olv_error err = {OLV_OK, ""};
    must(ol_session_run(b->session, e, items, n, &out, &width, &err), &err);
    assert_int_equal(width, b->m->vocab);
    return out;
}

static size_t row_bytes(const bench *b) { return (size_t)b->m->vocab * sizeof(float); }

/* Scores of ids[0 .. n), run `chunk` rows at a time (ol_free). */
static float *scores(int kind, int threads, ol_entry e, int64_t n, int64_t chunk) {
    bench b = start(kind, threads);
    ol_sequence *s = sequence(&b);
    float *all = ol_alloc((size_t)n * row_bytes(&b));
    assert_non_null(all);
    for (int64_t at = 0; at < n;) {
        int64_t m = n - at < chunk ? n - at : chunk;
        ol_run_item it = {s, ids + at, m, m, n - at - m};
        memcpy(all + at * b.m->vocab, run(&b, e, &it, 1), (size_t)m * row_bytes(&b));
        at += m;
    }
    ol_sequence_destroy(s);
    finish(&b);
    return all;
}

static void same_rows(const float *a, const float *b, int64_t n, int64_t vocab, const char *kind, const char *what, int arg) {
    for (int64_t i = 0; i < n; i++)
        if (memcmp(a + i * vocab, b + i * vocab, (size_t)vocab * sizeof *a))
            fail_msg("%s, %s %d: row %lld differs", kind, what, arg, (long long)i);
}

/* Decode: 1, 2, 5 or 16 rows a run, on 1, 2 or 3 threads. */
static void decode_rows_keep_their_bits(void **state) {
    (void)state;
    const int chunks[] = {1, 2, 5, 16};
    for (int k = 0; k < N_KINDS; k++) {
        float *want = scores(k, 1, OL_ENTRY_DECODE, 80, 1);
        for (int c = 0; c < 4; c++)
            for (int t = 1; t <= 3; t++) {
                float *have = scores(k, t, OL_ENTRY_DECODE, 80, chunks[c]);
                same_rows(want, have, 80, models[k].vocab, kinds[k].name, "rows in a run", 10 * t + chunks[c]);
                ol_free(have);
            }
        ol_free(want);
    }
}

/* Prefill: the threads make no difference, and neither does where the prompt is cut. */
static void prefill_rows_keep_their_bits(void **state) {
    (void)state;
    const int chunks[] = {MAX_IDS, 200, 33, 7, 1};
    for (int k = 0; k < N_KINDS; k++) {
        float *want = scores(k, 1, OL_ENTRY_PREFILL, MAX_IDS, MAX_IDS);
        for (int t = 2; t <= 3; t++) {
            float *have = scores(k, t, OL_ENTRY_PREFILL, MAX_IDS, MAX_IDS);
            same_rows(want, have, MAX_IDS, models[k].vocab, kinds[k].name, "threads", t);
            ol_free(have);
        }
        for (int c = 1; c < 5; c++) {
            int64_t n = chunks[c] == 1 ? 70 : MAX_IDS;
            float *have = scores(k, 2, OL_ENTRY_PREFILL, n, chunks[c]);
            same_rows(want, have, n, models[k].vocab, kinds[k].name, "rows in a run", chunks[c]);
            ol_free(have);
        }
        ol_free(want);
    }
}

/* Several sequences of different lengths in one run give what each gives alone, in both entries. */
static void neighbours_do_not_matter(void **state) {
    (void)state;
    const int64_t past[] = {70, 3, 1, 40}, more[] = {5, 1, 6, 4};
    for (int k = 0; k < N_KINDS; k++)
        for (int e = 0; e < OL_ENTRY_WHOLE; e++) {
            bench b = start(k, 2);
            ol_sequence *s[4], *copy[4];
            ol_run_item items[4];
            float *alone = ol_alloc(16 * row_bytes(&b));
            olv_error err = {OLV_OK, ""};
            int64_t row = 0;
            for (int i = 0; i < 4; i++) {
                s[i] = sequence(&b);
                ol_run_item first = {s[i], ids + 11 * i, past[i], 0, 0};
                run(&b, OL_ENTRY_PREFILL, &first, 1);
                must(ol_sequence_fork(s[i], &copy[i], &err), &err);
                items[i] = (ol_run_item){s[i], ids + 100 + 13 * i, more[i], more[i], 0};
                ol_run_item apart = items[i];
                apart.sequence = copy[i];
                memcpy(alone + row * b.m->vocab, run(&b, (ol_entry)e, &apart, 1), (size_t)more[i] * row_bytes(&b));
                row += more[i];
            }
            same_rows(alone, run(&b, (ol_entry)e, items, 4), 16, b.m->vocab, kinds[k].name, "entry", e);
            /* And once more through the caches that were written together and apart. */
            for (int i = 0; i < 4; i++) {
                ol_run_item one = {copy[i], ids + 7, 1, 1, 0};
                items[i] = (ol_run_item){s[i], ids + 7, 1, 1, 0};
                memcpy(alone + i * b.m->vocab, run(&b, (ol_entry)e, &one, 1), row_bytes(&b));
            }
            same_rows(alone, run(&b, (ol_entry)e, items, 4), 4, b.m->vocab, kinds[k].name, "again, entry", e);
            for (int i = 0; i < 4; i++) ol_sequence_destroy(s[i]), ol_sequence_destroy(copy[i]);
            ol_free(alone);
            finish(&b);
        }
}

/* A fork goes on as its origin would, and the origin is not disturbed; so does what was cut back and written again. */
static void forks_go_on_alike(void **state) {
    (void)state;
    for (int k = 0; k < N_KINDS; k++) {
        bench b = start(k, 2);
        olv_error err = {OLV_OK, ""};
        ol_sequence *a = sequence(&b), *f = NULL;
        float *want = scores(k, 1, OL_ENTRY_DECODE, 90, 5);
        ol_run_item it = {a, ids, 0, 0, 0};
        for (int64_t at = 0; at < 75; at += 15) {
            it.ids = ids + at, it.count = 15;
            run(&b, OL_ENTRY_DECODE, &it, 1);
        }
        must(ol_sequence_fork(a, &f, &err), &err);
        ol_run_item other = {f, ids + 200, 9, 0, 0}; /* the fork first says something else, is cut, and then the same */
        run(&b, OL_ENTRY_DECODE, &other, 1);
        must(ol_sequence_truncate(f, 75, &err), &err);
        it = (ol_run_item){a, ids + 75, 15, 15, 0};
        same_rows(want + 75 * b.m->vocab, run(&b, OL_ENTRY_DECODE, &it, 1), 15, b.m->vocab, kinds[k].name, "origin", 0);
        it.sequence = f;
        same_rows(want + 75 * b.m->vocab, run(&b, OL_ENTRY_DECODE, &it, 1), 15, b.m->vocab, kinds[k].name, "fork", 0);
        ol_free(want);
        ol_sequence_destroy(a), ol_sequence_destroy(f);
        finish(&b);
    }
}

static void allocates_nothing_when_warm(void **state) {
    (void)state;
    for (int k = 0; k < N_KINDS; k++) {
        bench b = start(k, 2);
        olv_error err = {OLV_OK, ""};
        ol_sequence *s = sequence(&b);
        uint64_t before = 0;
        for (int turn = 0; turn < 3; turn++) { /* the first turn warms up */
            if (turn == 1) before = ol_alloc_count();
            ol_run_item it = {s, ids, 200, 200, 0};
            run(&b, OL_ENTRY_PREFILL, &it, 1);
            for (int i = 0; i < 80; i++) {
                it = (ol_run_item){s, ids + i, 1 + i % 2 * 4, 1, 0};
                run(&b, OL_ENTRY_DECODE, &it, 1);
            }
            must(ol_sequence_truncate(s, 0, &err), &err);
        }
        if (ol_alloc_count() != before) fail_msg("%s: %d allocations", kinds[k].name, (int)(ol_alloc_count() - before));
        ol_sequence_destroy(s);
        finish(&b);
    }
}

/* What cannot run leaves the sequences as they were, and the session usable. */
static void refuses_and_goes_on(void **state) {
    (void)state;
    bench b = start(2, 2);
    olv_error err = {OLV_OK, ""};
    ol_sequence *s = sequence(&b), *u = sequence(&b);
    const float *out;
    int64_t width, bad = b.m->vocab, negative = -1;
    float *want = scores(2, 1, OL_ENTRY_DECODE, 20, 10);
    ol_run_item items[2] = {{s, ids, 10, 10, 0}, {u, &bad, 1, 1, 0}};
    assert_int_equal(ol_session_run(b.session, OL_ENTRY_DECODE, items, 2, &out, &width, &err), OLV_ARG);
    assert_non_null(strstr(err.message, "vocabulary"));
    items[1].ids = &negative;
    assert_int_equal(ol_session_run(b.session, OL_ENTRY_DECODE, items, 2, &out, &width, &err), OLV_ARG);
    ol_run_item many = {s, ids, OL_DECODE_ROWS + 1, 1, 0};
    assert_int_equal(ol_session_run(b.session, OL_ENTRY_DECODE, &many, 1, &out, &width, &err), OLV_ARG);
    assert_int_equal(ol_session_run(b.session, OL_ENTRY_DECODE, &many, 0, &out, &width, &err), OLV_ARG);
    assert_int_equal(ol_sequence_length(s), 0);
    assert_int_equal(ol_sequence_length(u), 0);
    same_rows(want, run(&b, OL_ENTRY_DECODE, items, 1), 10, b.m->vocab, "int4", "after refusals", 0);
    for (uint64_t n = 1; n < 30; n++) { /* a larger run without memory, then the small one again */
        many = (ol_run_item){u, ids, MAX_IDS, MAX_IDS, 0};
        ol_alloc_fail_at(n, true);
        olv_status st = ol_session_run(b.session, OL_ENTRY_PREFILL, &many, 1, &out, &width, &err);
        ol_alloc_fail_at(0, false);
        must(ol_sequence_truncate(s, 10, &err), &err);
        items[0] = (ol_run_item){s, ids + 10, 10, 10, 0};
        same_rows(want + 10 * b.m->vocab, run(&b, OL_ENTRY_DECODE, items, 1), 10, b.m->vocab, "int4", "allocation", (int)n);
        ol_sequence *v = sequence(&b); /* a small run of the entry that failed */
        many = (ol_run_item){v, ids, 3, 3, 0};
        run(&b, OL_ENTRY_PREFILL, &many, 1);
        ol_sequence_destroy(v);
        if (st == OLV_OK) break;
        assert_int_equal(st, OLV_NOMEM);
        assert_int_equal(ol_sequence_length(u), 0);
    }
    assert_int_equal(ol_sequence_length(u), MAX_IDS);
    ol_free(want);
    ol_sequence_destroy(s), ol_sequence_destroy(u);
    finish(&b);
}

/* ---- lack of memory in the pipeline -------------------------------------------------------------------- */

/* Tables that refuse to grow say LIMIT, whatever kept them from it. */
static bool tells_of_memory(olv_status s) { return s == OLV_NOMEM || s == OLV_LIMIT; }

static void opening_survives_lack_of_memory(void **state) {
    (void)state;
    olv_pipeline_options o;
    olv_pipeline_options_init(&o);
    o.threads = 1;
    o.weights = "int8";
    uint64_t before = ol_alloc_count();
    olv_pipeline *p = NULL;
    olv_error err = {OLV_OK, ""};
    must(olv_pipeline_open(MODEL, &o, &p, &err), &err);
    olv_pipeline_close(p);
    uint64_t all = ol_alloc_count() - before, step = all / (EMULATED ? 8 : 120) + 1;
    /* The first 40 one by one, then samples all over the work; fewer where an emulator makes each take long. */
    for (uint64_t n = 1; n <= all; n += n < 40 && !EMULATED ? 1 : step) {
        p = NULL;
        err = (olv_error){OLV_OK, ""};
        ol_alloc_fail_at(n, false);
        olv_status s = olv_pipeline_open(MODEL, &o, &p, &err);
        ol_alloc_fail_at(0, false);
        if (s == OLV_OK) olv_pipeline_close(p); /* what failed was only worth trying */
        else if (!tells_of_memory(s) || !err.message[0])
            fail_msg("allocation %llu of %llu: status %s, '%s'", (unsigned long long)n, (unsigned long long)all,
                     olv_status_text(s), err.message);
    }
}

static void generating_survives_lack_of_memory(void **state) {
    (void)state;
    olv_pipeline_options o;
    olv_pipeline_options_init(&o);
    o.threads = 1;
    olv_pipeline *p = NULL;
    olv_error err = {OLV_OK, ""};
    olv_generation g, want;
    olv_generation_config c;
    for (int kind = 0; kind < 2; kind++) {
        olv_prompt prompt = {.text = "One day a fox"};
        if (kind) prompt = (olv_prompt){.messages = "[{\"role\": \"user\", \"content\": \"What is 2 + 2?\"}]"};
        must(olv_pipeline_open(MODEL, &o, &p, &err), &err);
        olv_pipeline_get_config(p, &c);
        c.max_new_tokens = 6;
        must(olv_generate(p, &prompt, &c, NULL, NULL, &want, &err), &err);
        olv_pipeline_close(p);
        bool done = false;
        for (uint64_t n = 1; !done; n += EMULATED ? 16 * 61 : 1) { /* a fresh pipeline now and then: its first run lays out the workspace */
            assert_true(n < 20000);
            if (n % 16 == 1) must(olv_pipeline_open(MODEL, &o, &p, &err), &err);
            ol_alloc_fail_at(n, false);
            uint64_t before = ol_alloc_count();
            olv_status s = olv_generate(p, &prompt, &c, NULL, NULL, &g, &err);
            done = ol_alloc_count() - before < n;
            ol_alloc_fail_at(0, false);
            if (s == OLV_OK) {
                assert_int_equal(g.n_ids, want.n_ids);
                assert_memory_equal(g.ids, want.ids, g.n_ids * sizeof *g.ids);
                olv_generation_deinit(&g);
            } else if (!tells_of_memory(s) || done) {
                fail_msg("allocation %llu: status %s, '%s'", (unsigned long long)n, olv_status_text(s), err.message);
            }
            if (n % 16 == 0 || done || EMULATED) olv_pipeline_close(p), p = NULL;
        }
        olv_generation_deinit(&want);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decode_rows_keep_their_bits),
        cmocka_unit_test(prefill_rows_keep_their_bits),
        cmocka_unit_test(neighbours_do_not_matter),
        cmocka_unit_test(forks_go_on_alike),
        cmocka_unit_test(allocates_nothing_when_warm),
        cmocka_unit_test(refuses_and_goes_on),
        cmocka_unit_test(opening_survives_lack_of_memory),
        cmocka_unit_test(generating_survives_lack_of_memory),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
