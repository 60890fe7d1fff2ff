/* SPDX-License-Identifier: Apache-2.0 */
/* Adapters on the shipped model: the same as merged weights on an int4 base, rows that keep their bits whatever adapters run
 * beside them, and what sequences and sites refuse. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/cpu.h"
#include "bundle/bundle.h"
#include "compress/compress.h"
#include "graph/op.h"
#include "runtime/adapter.h"
#include "runtime/session.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MODEL OL_TEST_DATA "/../../models/pebble"
#define N_IDS 40

static ol_executor *executor;
static int64_t ids[N_IDS];

typedef struct model {
    ol_graph *graph; /* the plan's, once there is one */
    ol_adapter_sites *sites;
    ol_plan *plan;
} model;

static uint32_t seed = 1;
static float draw(void) { return (float)((seed = seed * 1664525u + 1013904223u) >> 8) / 8388608.0f - 1; }

static void must(olv_status s, const olv_error *err) {
    if (s != OLV_OK) fail_msg("%s", err->message);
}

static model open_model(int bits) {
    olv_error err;
    ol_bundle *b = NULL;
    model m = {0};
    must(ol_bundle_open(MODEL, NULL, &b, &err), &err);
    m.graph = ol_bundle_take_graph(b);
    ol_bundle_close(b);
    must(ol_adapter_sites_create(m.graph, &m.sites, &err), &err);
    if (bits) must(ol_compress_in_memory(m.graph, bits, executor, &err), &err);
    return m;
}

static void compile(model *m, olk_precision precision) {
    olv_error err;
    ol_plan_options o = {.device = ol_device_find("CPU"), .cpu = ol_cpu_probe(), .precision = precision, .kv_dtype = OL_F32};
    must(ol_plan_create(m->graph, &o, &m->plan, &err), &err);
}

static void close_model(model *m) {
    ol_adapter_sites_destroy(m->sites);
    ol_plan_destroy(m->plan);
}

static ol_const *matrix(int64_t rows, int64_t width, float magnitude) {
    int64_t dims[2] = {rows, width};
    olv_error err;
    ol_tensor t;
    must(ol_tensor_init(&t, OL_F32, 2, dims, &err), &err);
    for (int64_t i = 0; i < rows * width; i++) ((float *)t.data)[i] = draw() * magnitude;
    ol_const *c = ol_const_tensor(&t, &err);
    ol_tensor_deinit(&t);
    assert_non_null(c);
    return c;
}

/* Random factors for the modules of the first two layers. */
static ol_peft *make_peft(int64_t rank, const char *only) {
    static const struct {
        const char *name;
        int64_t n, k;
    } kinds[] = {{"self_attn.q_proj", 256, 256}, {"self_attn.v_proj", 128, 256}, {"self_attn.o_proj", 256, 256},
                 {"mlp.gate_proj", 512, 256}, {"mlp.down_proj", 256, 512}};
    ol_peft *p = ol_calloc(1, sizeof *p);
    p->arena = ol_arena_create();
    p->modules = ol_calloc(10, sizeof *p->modules);
    for (int i = 0; i < 10; i++) {
        if (only && !strstr(kinds[i / 2].name, only)) continue;
        ol_peft_module *m = &p->modules[p->n_modules++];
        m->name = ol_arena_printf(p->arena, "model.layers.%d.%s", i % 2, kinds[i / 2].name);
        m->rank = rank, m->n = kinds[i / 2].n, m->k = kinds[i / 2].k, m->scale = 0.5f;
        m->a = matrix(rank, m->k, 0.1f);
        m->b = matrix(m->n, rank, 0.1f);
    }
    return p;
}

static ol_lowrank *bind(const model *m, const ol_peft *p, bool exact) {
    olv_error err;
    ol_lowrank *a = NULL;
    must(ol_adapter_bind(m->sites, p, &(ol_adapter_options){ol_cpu_probe(), exact}, &a, &err), &err);
    return a;
}

/* W + scale · B A in the place of the weight of a module's layer. */
static void merge(model *m, const ol_peft_module *x) {
    char name[256];
    olv_error err;
    snprintf(name, sizeof name, "%s.weight", x->name);
    ol_value *v = ol_graph_find_value(m->graph, name);
    assert_non_null(v);
    int64_t dims[2] = {x->n, x->k};
    ol_tensor t;
    must(ol_tensor_init(&t, OL_F32, 2, dims, &err), &err);
    float *w = t.data, *a = ol_calloc((size_t)(x->rank * x->k), 4), *b = ol_calloc((size_t)(x->n * x->rank), 4);
    must(ol_const_rows_f32(v->constant, 0, x->n, w, &err), &err);
    must(ol_const_rows_f32(x->a, 0, x->rank, a, &err), &err);
    must(ol_const_rows_f32(x->b, 0, x->n, b, &err), &err);
    for (int64_t n = 0; n < x->n; n++)
        for (int64_t k = 0; k < x->k; k++) {
            double sum = 0;
            for (int64_t r = 0; r < x->rank; r++) sum += (double)b[n * x->rank + r] * (double)a[r * x->k + k];
            w[n * x->k + k] += (float)(sum * (double)x->scale);
        }
    ol_const *c = ol_const_tensor(&t, &err);
    assert_non_null(c);
    ol_value_set_constant(v, c);
    ol_tensor_deinit(&t);
    ol_free(a);
    ol_free(b);
}

typedef struct running {
    ol_state_pool *pool;
    ol_session *session;
} running;

static running start(const model *m) {
    running r;
    olv_error err;
    must(ol_state_pool_create(ol_plan_states(m->plan), 0, &r.pool, &err), &err);
    must(ol_session_create(m->plan, executor, &r.session, &err), &err);
    return r;
}

static void end(running *r) {
    ol_session_destroy(r->session);
    ol_state_pool_destroy(r->pool);
}

static ol_sequence *sequence(const running *r, const ol_lowrank_use *uses, int n) {
    ol_sequence *s;
    olv_error err;
    must(ol_sequence_create(r->pool, &s, &err), &err);
    must(ol_sequence_set_lowrank(s, uses, n, &err), &err);
    return s;
}

/* Scores of all positions of `count` tokens of one sequence. */
static float *scores_alone(const running *r, ol_entry entry, const ol_lowrank_use *uses, int n, int64_t first, int64_t count, int64_t *width) {
    const float *out;
    olv_error err;
    ol_sequence *s = sequence(r, uses, n);
    must(ol_session_run(r->session, entry, &(ol_run_item){.sequence = s, .ids = ids + first, .count = count, .n_outputs = count}, 1, &out, width, &err), &err);
    float *copy = ol_alloc((size_t)(count * *width) * sizeof *copy);
    memcpy(copy, out, (size_t)(count * *width) * sizeof *copy);
    ol_sequence_destroy(s);
    return copy;
}

/* Low-rank additions on int4 weights are the merged layer, dequantized. */
static void same_as_merged(void **state) {
    (void)state;
    for (int bits = 0; bits <= 4; bits += 4) {
        model with = open_model(bits), merged = open_model(bits);
        ol_peft *p = make_peft(7, NULL);
        for (size_t i = 0; i < p->n_modules; i++) merge(&merged, &p->modules[i]);
        compile(&with, OLK_F32);
        compile(&merged, OLK_F32);
        ol_lowrank *a = bind(&with, p, true);
        ol_lowrank_use use = {a, 1};
        running r = start(&with), s = start(&merged);
        for (int entry = 0; entry <= OL_ENTRY_PREFILL; entry++) {
            int64_t width, count = entry == OL_ENTRY_DECODE ? 5 : 33;
            float *x = scores_alone(&r, (ol_entry)entry, &use, 1, 0, count, &width), *y = scores_alone(&s, (ol_entry)entry, NULL, 0, 0, count, &width);
            float *z = scores_alone(&r, (ol_entry)entry, NULL, 0, 0, count, &width);
            double worst = 0, moved = 0;
            for (int64_t i = 0; i < count * width; i++) {
                worst = fmax(worst, fabs((double)x[i] - (double)y[i]));
                moved = fmax(moved, fabs((double)x[i] - (double)z[i]));
            }
            if (!(worst < 2e-3) || !(moved > 0.1)) fail_msg("bits %d entry %d: deviates by %g, moved by %g", bits, entry, worst, moved);
            ol_free(x), ol_free(y), ol_free(z);
        }
        end(&r), end(&s);
        ol_lowrank_release(a);
        ol_peft_close(p);
        close_model(&with), close_model(&merged);
    }
}

/* Sequences with different adapters in one run, each with the bits that it has alone. */
static void rows_keep_their_bits(void **state) {
    (void)state;
    model m = open_model(4);
    compile(&m, OLK_DEFAULT);
    ol_peft *pa = make_peft(8, NULL), *pb = make_peft(3, "q_proj");
    ol_lowrank *a = bind(&m, pa, false), *b = bind(&m, pb, false);
    const struct {
        ol_lowrank_use uses[2];
        int n;
    } sets[] = {{{{a, 1}}, 1}, {{{b, 2}}, 1}, {{{NULL, 0}}, 0}, {{{a, 0.5f}, {b, 1}}, 2}, {{{a, 1}}, 1}};
    running r = start(&m);
    for (int entry = 0; entry <= OL_ENTRY_PREFILL; entry++) {
        enum { N = 5 };
        int64_t width, count = entry == OL_ENTRY_DECODE ? 3 : 7;
        ol_run_item items[N];
        const float *out;
        olv_error err;
        for (int i = 0; i < N; i++)
            items[i] = (ol_run_item){.sequence = sequence(&r, sets[i].uses, sets[i].n), .ids = ids + i, .count = count, .n_outputs = count};
        must(ol_session_run(r.session, (ol_entry)entry, items, N, &out, &width, &err), &err);
        float *all = ol_alloc((size_t)(N * count * width) * sizeof *all);
        memcpy(all, out, (size_t)(N * count * width) * sizeof *all);
        for (int i = 0; i < N; i++) {
            float *alone = scores_alone(&r, (ol_entry)entry, sets[i].uses, sets[i].n, i, count, &width);
            if (memcmp(alone, all + i * count * width, (size_t)(count * width) * sizeof *alone)) fail_msg("entry %d, sequence %d: other bits alone", entry, i);
            ol_free(alone);
            ol_sequence_destroy(items[i].sequence);
        }
        ol_free(all);
    }
    end(&r);
    ol_lowrank_release(a), ol_lowrank_release(b);
    ol_peft_close(pa), ol_peft_close(pb);
    close_model(&m);
}

static void sequences_hold_on(void **state) {
    (void)state;
    model m = open_model(0);
    compile(&m, OLK_F32);
    ol_peft *p = make_peft(2, "q_proj");
    ol_lowrank *a = bind(&m, p, true);
    running r = start(&m);
    olv_error err;
    ol_sequence *s = sequence(&r, &(ol_lowrank_use){a, 1}, 1), *f;
    ol_lowrank_release(a); /* the sequence has its own hold */
    must(ol_session_run(r.session, OL_ENTRY_DECODE, &(ol_run_item){.sequence = s, .ids = ids, .count = 3, .n_outputs = 1}, 1, NULL, NULL, &err), &err);
    assert_int_equal(ol_sequence_set_lowrank(s, NULL, 0, &err), OLV_STATE);
    must(ol_sequence_fork(s, &f, &err), &err);
    ol_sequence_destroy(s);
    int n;
    assert_ptr_equal(ol_sequence_lowrank(f, &n)->adapter, a);
    assert_int_equal(n, 1);
    must(ol_session_run(r.session, OL_ENTRY_DECODE, &(ol_run_item){.sequence = f, .ids = ids, .count = 1, .n_outputs = 1}, 1, NULL, NULL, &err), &err);
    ol_sequence_destroy(f);
    ol_lowrank_use many[OL_MAX_LOWRANK + 1] = {{0}};
    must(ol_sequence_create(r.pool, &s, &err), &err);
    assert_int_equal(ol_sequence_set_lowrank(s, many, OL_MAX_LOWRANK + 1, &err), OLV_LIMIT);
    ol_sequence_destroy(s);
    end(&r);
    ol_peft_close(p);
    close_model(&m);
}

/* Binding ends cleanly wherever memory runs out. */
static void without_memory(void **state) {
    (void)state;
    model m = open_model(0);
    compile(&m, OLK_F32);
    ol_peft *p = make_peft(2, "q_proj");
    for (uint64_t n = 1;; n++) {
        ol_lowrank *a = NULL;
        olv_error err;
        ol_alloc_fail_at(n, true);
        olv_status s = ol_adapter_bind(m.sites, p, &(ol_adapter_options){ol_cpu_probe(), true}, &a, &err);
        ol_alloc_fail_at(0, false);
        ol_lowrank_release(a);
        if (s == OLV_OK) break;
        assert_int_equal(s, OLV_NOMEM);
        assert_true(n < 100);
    }
    ol_peft_close(p);
    close_model(&m);
}

static int open_all(void **state) {
    olv_error err;
    (void)state;
    for (int i = 0; i < N_IDS; i++) ids[i] = 100 + 7 * i;
    return ol_executor_create(2, &executor, &err) == OLV_OK ? 0 : -1;
}

static int close_all(void **state) {
    (void)state;
    ol_executor_destroy(executor);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(same_as_merged), cmocka_unit_test(rows_keep_their_bits),
                                       cmocka_unit_test(sequences_hold_on), cmocka_unit_test(without_memory)};
    return cmocka_run_group_tests(tests, open_all, close_all);
}
