/* SPDX-License-Identifier: Apache-2.0 */
/* Runs of whole texts through graphs without state: attention over the rows of the own text and pooling, on the CPU device
 * against the reference, in random forms. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/cpu.h"
#include "device/reference/reference.h"
#include "runtime/session.h"
#include <math.h>
#include <string.h>

#define VOCAB 50
#define MAX_TEXTS 6
#define MAX_ROWS 1200

static uint64_t seed = 4;
static int draw(int from, int to) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return from + (int)((seed >> 33) % (uint64_t)(to - from + 1));
}
static float real(void) { return (float)draw(-1000, 1000) / 500.0f; }

static void must(olv_status s, const olv_error *err) {
    if (s != OLV_OK) fail_msg("%s", err->message);
}

typedef struct form {
    int heads, kv_heads, dim, v_dim, window, span;
    bool causal, alibi, sinks, types;
    const char *kind; /* of pooling; NULL: none */
} form;

static form draw_form(void) {
    static const char *const kinds[] = {"first", "last", "max", "mean", "mean_sqrt", "weighted", NULL};
    form f = {.kv_heads = draw(1, 3), .dim = draw(1, 40), .span = draw(0, 3) ? 0 : draw(1, 90)};
    f.heads = f.kv_heads * draw(1, 3);
    f.v_dim = draw(0, 1) ? f.dim : draw(1, 40);
    f.window = draw(0, 2) ? 0 : draw(1, 90);
    f.causal = draw(0, 3) == 0;
    f.alibi = draw(0, 3) == 0;
    f.sinks = draw(0, 3) == 0;
    f.types = draw(0, 1) == 0;
    f.kind = kinds[draw(0, 6)];
    return f;
}

static ol_value *matrix(ol_graph *g, const char *name, int64_t rows, int64_t width) {
    ol_tensor t;
    olv_error err;
    must(ol_tensor_init(&t, OL_F32, 2, (int64_t[]){rows, width}, &err), &err);
    for (int64_t i = 0; i < rows * width; i++) ((float *)t.data)[i] = real();
    ol_const *c = ol_const_tensor(&t, &err);
    ol_tensor_deinit(&t);
    assert_non_null(c);
    ol_value *v = ol_graph_add_constant(g, name, c, &err);
    assert_non_null(v);
    return v;
}

static ol_value *vector(ol_graph *g, const char *name, int n) {
    float v[16];
    olv_error err;
    for (int i = 0; i < n; i++) v[i] = real();
    return ol_graph_add_f32(g, name, v, n, &err);
}

static ol_value *node(ol_graph *g, const char *domain, const char *op, ol_value *const *in, int n, const ol_attr *a, int n_a) {
    olv_error err;
    ol_node *made = ol_graph_add_node(g, NULL, ol_op_find(domain, op), NULL, in, n, NULL, 1, a, n_a, &err);
    if (!made) fail_msg("%s", err.message);
    return made->outputs[0];
}

static ol_value *input(ol_graph *g, const char *name) {
    ol_type t = {.kind = OL_VALUE_TENSOR, .dtype = OL_I64, .rank = 1};
    olv_error err;
    t.dims[0] = ol_dim_symbol(g->dims, "T");
    return ol_graph_add_input(g, name, &t, &err);
}

static ol_value *rows_of(ol_graph *g, const char *name, int64_t width, ol_value *ids) {
    ol_attr axis = ol_attr_int("axis", 0);
    ol_value *in[] = {matrix(g, name, VOCAB, width), ids};
    return node(g, "", "Gather", in, 2, &axis, 1);
}

static ol_graph *make(const form *f) {
    ol_graph *g = ol_graph_create("texts");
    olv_error err;
    ol_value *ids = input(g, "input_ids");
    ol_value *q = rows_of(g, "q", f->heads * f->dim, ids), *k = rows_of(g, "k", f->kv_heads * f->dim, ids);
    ol_value *v = rows_of(g, "v", f->kv_heads * f->v_dim, ids);
    if (f->types) {
        ol_value *sum[] = {q, rows_of(g, "types", f->heads * f->dim, input(g, "token_types"))};
        q = node(g, "", "Add", sum, 2, NULL, 0);
    }
    ol_value *in[] = {q, k, v, f->sinks ? vector(g, "sinks", f->heads) : NULL, f->alibi ? vector(g, "alibi", f->heads) : NULL,
                      f->span ? matrix(g, "relative", f->heads, 2 * f->span + 1) : NULL};
    ol_attr a[] = {ol_attr_int("heads", f->heads), ol_attr_int("kv_heads", f->kv_heads),
                   ol_attr_float("scale", 1 / sqrtf((float)f->dim)), ol_attr_int("window", f->window),
                   ol_attr_int("causal", f->causal)};
    ol_value *x = node(g, "olivine", "Attention", in, 6, a, 5);
    ol_attr kind = ol_attr_string("kind", f->kind ? f->kind : "");
    if (f->kind) x = node(g, "olivine", "PoolRows", &x, 1, &kind, 1);
    must(ol_graph_add_output(g, x, &err), &err);
    return g;
}

typedef struct texts {
    int64_t ids[MAX_ROWS], types[MAX_ROWS], position[MAX_ROWS], rows;
    int32_t sequence[MAX_ROWS];
    ol_run_text items[MAX_TEXTS];
    int n;
} texts;

static void draw_texts(texts *t) {
    t->rows = 0;
    t->n = draw(1, MAX_TEXTS);
    for (int i = 0; i < t->n; i++) {
        int count = draw(0, 2) ? draw(1, 40) : draw(1, 200);
        t->items[i] = (ol_run_text){t->ids + t->rows, count, t->types + t->rows, 0};
        for (int k = 0; k < count; k++, t->rows++) {
            t->ids[t->rows] = draw(0, VOCAB - 1);
            t->types[t->rows] = draw(0, VOCAB - 1);
            t->position[t->rows] = k;
            t->sequence[t->rows] = i;
        }
    }
}

static void reference(const ol_graph *g, const form *f, texts *t, ol_datum *out) {
    static const char *const names[] = {"input_ids", "token_types"};
    const int64_t *data[] = {t->ids, t->types};
    ol_datum in[2] = {{.kind = OL_VALUE_TENSOR, .present = true}, {.kind = OL_VALUE_TENSOR, .present = true}};
    ol_reference_rows rows = {t->rows, t->sequence, t->position};
    olv_error err;
    for (int i = 0; i < 2; i++)
        must(ol_tensor_view(&in[i].tensor, OL_I64, 1, &t->rows, data[i], (size_t)t->rows * 8, &err), &err);
    must(ol_reference_run(g, &rows, names, in, f->types ? 2 : 1, out, &err), &err);
}

static ol_session *open_session(ol_graph *g, ol_executor *x, ol_plan **plan) {
    static const char *const levels[] = {"scalar", "avx2", "avx512"};
    olv_error err;
    ol_session *s;
    ol_plan_options po = {.device = ol_device_find("CPU"), .precision = OLK_F32, .kv_dtype = OL_F32};
    assert_true(ol_cpu_limit(levels[draw(0, 2)], &po.cpu));
    must(ol_plan_create(g, &po, plan, &err), &err);
    must(ol_session_create(*plan, x, &s, &err), &err);
    return s;
}

static void test_random(void **state) {
    (void)state;
    ol_executor *x;
    static texts t;
    olv_error err;
    must(ol_executor_create(2, &x, &err), &err);
    for (int turn = 0; turn < 60; turn++) {
        form f = draw_form();
        ol_graph *g = make(&f);
        ol_plan *plan;
        ol_datum want = {0};
        const float *got, *alone;
        int64_t width;
        draw_texts(&t);
        reference(g, &f, &t, &want);
        ol_session *s = open_session(g, x, &plan), *single;
        must(ol_session_run_texts(s, t.items, t.n, &got, &width, &err), &err);
        int64_t rows = f.kind ? t.n : t.rows;
        assert_int_equal(width, f.heads * f.v_dim);
        assert_int_equal(ol_tensor_count(&want.tensor), rows * width);
        for (int64_t i = 0; i < rows * width; i++)
            if (!(fabsf(got[i] - ((float *)want.tensor.data)[i]) <= 2e-4f * (1 + fabsf(((float *)want.tensor.data)[i]))))
                fail_msg("turn %d, value %lld: %g, expected %g", turn, (long long)i, (double)got[i], (double)((float *)want.tensor.data)[i]);
        /* The last text alone has the same bits. */
        must(ol_session_create(plan, x, &single, &err), &err);
        must(ol_session_run_texts(single, &t.items[t.n - 1], 1, &alone, &width, &err), &err);
        int64_t n = f.kind ? 1 : t.items[t.n - 1].count;
        assert_memory_equal(alone, got + (rows - n) * width, (size_t)(n * width) * sizeof *got);
        ol_session_destroy(single);
        ol_session_destroy(s);
        ol_plan_destroy(plan);
        ol_datum_deinit(&want);
    }
    ol_executor_destroy(x);
}

static void test_left_out(void **state) {
    (void)state;
    form f = {.heads = 1, .kv_heads = 1, .dim = 4, .v_dim = 4, .kind = "mean"};
    ol_graph *g = make(&f);
    ol_executor *x;
    ol_plan *plan;
    olv_error err;
    int64_t ids[] = {3, 9, 9, 9}, width;
    const float *out;
    float last[4];
    must(ol_executor_create(1, &x, &err), &err);
    ol_session *s = open_session(g, x, &plan);
    ol_run_text all = {ids, 4, NULL, 0};
    all.pool_from = 1; /* equal rows: their mean is each of them */
    must(ol_session_run_texts(s, &all, 1, &out, &width, &err), &err);
    memcpy(last, out, sizeof last);
    all.pool_from = 3;
    must(ol_session_run_texts(s, &all, 1, &out, &width, &err), &err);
    for (int i = 0; i < 4; i++) assert_true(fabsf(out[i] - last[i]) < 1e-6f);
    all.pool_from = 9; /* more than there is: the last row stays */
    must(ol_session_run_texts(s, &all, 1, &out, &width, &err), &err);
    for (int i = 0; i < 4; i++) assert_true(fabsf(out[i] - last[i]) < 1e-6f);
    ol_session_destroy(s);
    ol_plan_destroy(plan);
    ol_executor_destroy(x);
}

static void test_refused(void **state) {
    (void)state;
    form f = {.heads = 1, .kv_heads = 1, .dim = 4, .v_dim = 4, .kind = "first"};
    ol_graph *g = make(&f);
    ol_executor *x;
    ol_plan *plan;
    olv_error err;
    int64_t ids[] = {1, 2, VOCAB}, width;
    const float *out;
    must(ol_executor_create(1, &x, &err), &err);
    ol_session *s = open_session(g, x, &plan);
    ol_run_text none = {ids, 0, NULL, 0}, outside = {ids, 3, NULL, 0};
    assert_int_equal(ol_session_run_texts(s, &none, 1, &out, &width, &err), OLV_ARG);
    assert_int_equal(ol_session_run_texts(s, &none, 0, &out, &width, &err), OLV_ARG);
    assert_int_equal(ol_session_run_texts(s, &outside, 1, &out, &width, &err), OLV_ARG); /* found by Gather */
    assert_non_null(strstr(err.message, "50"));
    ol_session_destroy(s);
    ol_plan_destroy(plan);
    ol_executor_destroy(x);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random), cmocka_unit_test(test_left_out), cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
