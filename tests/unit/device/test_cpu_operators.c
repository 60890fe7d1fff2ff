/* SPDX-License-Identifier: Apache-2.0 */
/* Operators planned for the CPU against their reference evaluation: the same graph text runs
 * through a plan (decode and prefill entries, one lane and three) and on the reference device. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/cpu.h"
#include "base/executor.h"
#include "device/reference/reference.h"
#include "runtime/session.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define MOST_ROWS 70

static ol_graph *parse(const char *text) {
    ol_graph *g = NULL;
    olv_error err;
    if (ol_graph_parse(text, strlen(text), &g, &err) != OLV_OK)
        fail_msg("%s\n%s", err.message, text);
    return g;
}

/* ---- running ---- */

typedef struct bench {
    ol_plan *plan;
    ol_executor *executor;
    ol_session *session;
    ol_state_pool *pool;
} bench;

static void bench_open(bench *b, ol_graph *g /* taken */, int lanes) {
    olv_error err;
    ol_plan_options o = {.device = ol_device_find("CPU"),
                         .cpu = ol_cpu_probe(),
                         .precision = OLK_F32,
                         .kv_dtype = OL_F32};
    if (ol_plan_create(g, &o, &b->plan, &err) != OLV_OK) fail_msg("%s", err.message);
    assert_int_equal(ol_executor_create(lanes, &b->executor, &err), OLV_OK);
    assert_int_equal(ol_session_create(b->plan, b->executor, &b->session, &err), OLV_OK);
    assert_int_equal(ol_state_pool_create(ol_plan_states(b->plan), 0, &b->pool, &err), OLV_OK);
}

static void bench_close(bench *b) {
    ol_session_destroy(b->session);
    ol_state_pool_destroy(b->pool);
    ol_executor_destroy(b->executor);
    ol_plan_destroy(b->plan);
}

static olv_status bench_run(bench *b, ol_entry e, const int64_t *ids, int64_t n, const float **out,
                            int64_t *width, olv_error *err) {
    ol_sequence *seq;
    assert_int_equal(ol_sequence_create(b->pool, &seq, err), OLV_OK);
    ol_run_item it = {.sequence = seq, .ids = ids, .count = n, .n_outputs = n};
    olv_status s = ol_session_run(b->session, e, &it, 1, out, width, err);
    ol_sequence_destroy(seq);
    return s;
}

static bool has_step(const bench *b, const char *cls) {
    const ol_plan_entry *e = ol_plan_get_entry(b->plan, OL_ENTRY_DECODE);
    for (int i = 0; i < e->n_steps; i++)
        if (!strcmp(e->steps[i].cls->name, cls)) return true;
    return false;
}

static void check_rows(const ol_graph *g, bench *b, ol_entry e, const int64_t *ids, int64_t n,
                       double tolerance) {
    const char *name = "input_ids";
    ol_datum in = {.present = true}, out = {.present = false};
    olv_error err = {.status = OLV_OK};
    const float *have;
    int64_t width;
    assert_int_equal(ol_tensor_init(&in.tensor, OL_I64, 1, &n, &err), OLV_OK);
    memcpy(in.tensor.data, ids, (size_t)n * sizeof *ids);
    if (ol_reference_run(g, NULL, &name, &in, 1, &out, &err) != OLV_OK) fail_msg("%s", err.message);
    if (bench_run(b, e, ids, n, &have, &width, &err) != OLV_OK) fail_msg("%s", err.message);
    assert_int_equal(out.tensor.dtype, OL_F32);
    const float *want = out.tensor.data;
    for (int64_t i = 0; i < ol_tensor_count(&out.tensor); i++) {
        bool same = isnan(want[i]) ? isnan(have[i])
                                   : fabs((double)want[i] - (double)have[i]) <=
                                         tolerance * (1 + fabs((double)want[i]));
        if (!same)
            fail_msg("%d rows, element %d: %g, %g expected", (int)n, (int)i, (double)have[i],
                     (double)want[i]);
    }
    ol_datum_deinit(&in);
    ol_datum_deinit(&out);
}

/* `cls`: a step class that the plan must have. */
static void check_graph(ol_graph *(*make)(const char *), const char *text, const char *cls,
                        double tolerance) {
    int64_t ids[MOST_ROWS];
    for (int i = 0; i < MOST_ROWS; i++) ids[i] = i * 7 % 23;
    ol_graph *g = make(text);
    for (int lanes = 1; lanes <= 3; lanes += 2) {
        bench b;
        bench_open(&b, make(text), lanes);
        if (!has_step(&b, cls)) fail_msg("no step '%s' for\n%s", cls, text);
        check_rows(g, &b, OL_ENTRY_DECODE, ids, 1, tolerance);
        check_rows(g, &b, OL_ENTRY_DECODE, ids, 13, tolerance);
        check_rows(g, &b, OL_ENTRY_PREFILL, ids, MOST_ROWS, tolerance);
        check_rows(g, &b, OL_ENTRY_DECODE, ids + 3, 2, tolerance);
        bench_close(&b);
    }
    ol_graph_destroy(g);
}

/* ---- elementwise, movements, choices ---- */

/* x f32[T, 6] out of the ids; the rest is given. */
#define BODY(rest)                                                                            \
    "graph \"\" { input input_ids: i64[T]\n const a: i64[2] {-1, 1}\n const c: f32[6] {0.5, " \
    "-1.0, 2.0, 0.25, -3.0, 1.5}\n"                                                           \
    " f = Cast(input_ids) to=1\n col = Reshape(f, a)\n s = Mul(col, c)\n x = Sin(s)\n" rest   \
    "\n output y }"

static const struct {
    const char *text, *cls;
} cases[] = {
    /* broadcasting over the middle, of both operands, of scalars */
    {BODY("const r: i64[3] {0, 2, 3}\n const w: f32[2, 1] {2.0, -1.0}\n v = Reshape(x, r)\n y = "
          "Mul(v, w)"),
     "broadcast"},
    {BODY("k = Div(col, c)\n y = Add(k, x)"), "broadcast"},
    {BODY("y = Sub(c, col)"), "broadcast"},
    {BODY("const e: f32[] {2.0}\n y = Pow(x, e)"), "broadcast"},
    {BODY("const e: f32[6] {0.3, -0.4, 0.3, -0.7, 1.0, 0.3}\n y = Mod(x, e) fmod=1"), "broadcast"},
    {BODY("const one: i64[3] {2, 1, 1}\n y = Expand(x, one)"), "broadcast"},
    {BODY("const z: f32[] {0.0}\n p = Greater(x, z)\n n = Not(p)\n q = Or(n, p)\n r = Xor(q, p)\n "
          "y = Where(r, x, z)"),
     "broadcast"},
    /* integers */
    {BODY("const two: i64[] {2}\n const four: i64[1] {4}\n i = Add(input_ids, two)\n m = Mod(i, "
          "four)\n d = Div(i, four)\n"
          " e = Mul(m, d)\n k = Max(e, two)\n p = Pow(k, two)\n g = Less(p, four)\n h = Where(g, "
          "p, i)\n n = Neg(h)\n"
          " y0 = Cast(n) to=1\n y = Reshape(y0, a)"),
     "broadcast"},
    {BODY("i = Cast(s) to=7\n b = Cast(i) to=9\n j = Cast(b) to=7\n k = Sub(i, j)\n y = Cast(k) "
          "to=1"),
     "broadcast"},
    /* reductions */
    {BODY("const m: i64[1] {1}\n y = ReduceSum(x, m) keepdims=1"), "reduce"},
    {BODY("const m: i64[1] {-1}\n y = ReduceMean(x, m)"), "reduce"},
    {BODY("const r: i64[3] {0, 3, 2}\n const m: i64[1] {-2}\n v = Reshape(x, r)\n y = "
          "ReduceMean(v, m) keepdims=0"),
     "reduce"},
    {BODY("const r: i64[3] {0, 3, 2}\n const m: i64[2] {1, 2}\n v = Reshape(x, r)\n y = "
          "ReduceMax(v, m)"),
     "reduce"},
    {BODY("const r: i64[3] {0, 3, 2}\n const m: i64[1] {1}\n v = Reshape(x, r)\n y = ReduceMin(v, "
          "m)"),
     "reduce"},
    /* choices: equal values too (columns 0 and 1 of u are the same) */
    {BODY("const i: i64[6] {0, 0, 2, 3, 4, 5}\n u = Gather(x, i) axis=1\n const k: i64[1] {4}\n v, "
          "ix = TopK(u, k) axis=-1\n"
          " fx = Cast(ix) to=1\n y = Add(v, fx)"),
     "topk"},
    {BODY("const k: i64[1] {2}\n v, ix = TopK(x, k) largest=0\n g = GatherElements(s, ix) axis=1\n "
          "z = Sub(v, g)\n"
          " y = ScatterElements(x, ix, z) axis=1"),
     "scatter_elements"},
    /* movements */
    {BODY("y = Concat(x, col, s) axis=1"), "copy"},
    {BODY("const n: i64[2] {2, 4}\n p, q = Split(x, n) axis=1\n y = Concat(q, p) axis=-1"), "copy"},
    {BODY("const b: i64[1] {-5}\n const e: i64[1] {5}\n const m: i64[1] {1}\n y = Slice(x, b, e, "
          "m)"),
     "copy"},
    {BODY("const r: i64[3] {0, 2, 3}\n v = Reshape(x, r)\n y = Transpose(v) perm=ints[2, 0, 1]"),
     "transpose"},
    {BODY("y = Transpose(x)"), "transpose"},
    /* what has no kernel */
    {BODY("const m: i64[1] {1}\n y = ReduceLogSumExp(x, m)"), "reference"},
    {BODY("const z: i64[] {1}\n y = CumSum(x, z)"), "reference"},
    {BODY("y = Softmax(x) axis=0"), "softmax"},
    {BODY("y = LogSoftmax(x) axis=1"), "softmax"},
    {BODY("y = Hardmax(x) axis=1"), "reference"},
    {BODY("i = Cast(s) to=6\n j = Add(i, i)\n y = Cast(j) to=1"), "reference"},
    {BODY("const b: i64[1] {5}\n const e: i64[1] {-9223372036854775807}\n const m: i64[1] {1}\n "
          "const d: i64[1] {-2}\n"
          " y = Slice(x, b, e, m, d)"),
     "reference"},
};

static void test_operators(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check_graph(parse, cases[i].text, cases[i].cls, 2e-6);
}

/* ---- experts ---- */

#define EXPERTS 5
#define N 48
#define K 64

static float noise(uint32_t *s) {
    *s = *s * 1664525u + 1013904223u;
    return (float)(int32_t)*s / 2147483648.0f;
}

static ol_const *float_matrix(uint32_t seed, int64_t n, int64_t k) {
    ol_tensor t;
    olv_error err;
    assert_int_equal(ol_tensor_init(&t, OL_F32, 2, (const int64_t[]){n, k}, &err), OLV_OK);
    for (int64_t i = 0; i < n * k; i++) ((float *)t.data)[i] = noise(&seed);
    ol_const *c = ol_const_tensor(&t, &err);
    ol_tensor_deinit(&t);
    return c;
}

/* Signed bytes with a scale per row. */
static ol_const *quantized_matrix(uint32_t seed, int64_t n, int64_t k) {
    olv_error err;
    size_t codes = (size_t)(n * k);
    uint8_t *p = ol_calloc(1, codes + (size_t)n * sizeof(float));
    float *scales = (float *)(void *)(p + codes);
    for (size_t i = 0; i < codes; i++) p[i] = (uint8_t)(int8_t)(noise(&seed) * 100);
    for (int64_t i = 0; i < n; i++) scales[i] = 0.01f + 0.005f * noise(&seed);
    ol_qconst q = {.code = OL_Q_I8,
                   .rows = n,
                   .k = k,
                   .group = k,
                   .n_groups = 1,
                   .codes = p,
                   .row_bytes = (size_t)k,
                   .scale_dtype = OL_F32,
                   .scales = scales,
                   .global_scale = 1};
    ol_const *c = ol_const_quant(2, (const int64_t[]){n, k}, &q, NULL, 0, ol_free, p, &err);
    assert_non_null(c);
    return c;
}

/* [E, n, k] out of one matrix per expert. */
static ol_const *expert_weights(bool quantized, int64_t n, int64_t k) {
    olv_error err;
    ol_const *parts[EXPERTS];
    for (uint32_t i = 0; i < EXPERTS; i++)
        parts[i] = quantized ? quantized_matrix(i + 1, n, k) : float_matrix(i + 1, n, k);
    ol_const *all = ol_const_concat_rows(parts, EXPERTS, &err);
    assert_non_null(all);
    ol_const *shaped = ol_const_reshape(all, 3, (const int64_t[]){EXPERTS, n, k}, &err);
    assert_non_null(shaped);
    for (int i = 0; i < EXPERTS; i++) ol_const_release(parts[i]);
    ol_const_release(all);
    return shaped;
}

/* Rows of K values by id, experts by TopK over a table of scores; two layers that read the same
 * choice. */
static ol_graph *expert_graph(const char *kind) {
    ol_graph *g = parse("graph \"\" { input input_ids: i64[T]\n output input_ids }");
    g->n_outputs = 0;
    g->inputs[0]->n_uses = 0;
    olv_error err;
    bool quantized = strstr(kind, "quantized") != NULL;
    ol_value *table = ol_graph_add_constant(g, "table", float_matrix(77, 23, K), &err);
    ol_value *scores = ol_graph_add_constant(g, "scores", float_matrix(78, 23, EXPERTS), &err);
    ol_value *w = ol_graph_add_constant(g, "w", expert_weights(quantized, N, K), &err);
    ol_value *bias = ol_graph_add_constant(g, "bias", float_matrix(79, EXPERTS, N), &err);
    const int64_t two = 2;
    ol_value *k = ol_graph_add_i64(g, "k", &two, 1, &err);
    const ol_op *gather = ol_op_find("", "Gather"), *topk = ol_op_find("", "TopK"),
                *mul = ol_op_find("", "Mul");
    const ol_op *linear = ol_op_find("olivine", "ExpertLinear");
    ol_value *x = ol_graph_add_node(g, NULL, gather, NULL, (ol_value *[]){table, g->inputs[0]}, 2,
                                    NULL, 1, NULL, 0, &err)
                      ->outputs[0];
    ol_value *s = ol_graph_add_node(g, NULL, gather, NULL, (ol_value *[]){scores, g->inputs[0]}, 2,
                                    NULL, 1, NULL, 0, &err)
                      ->outputs[0];
    ol_value *id =
        ol_graph_add_node(g, NULL, topk, NULL, (ol_value *[]){s, k}, 2, NULL, 2, NULL, 0, &err)
            ->outputs[1];
    ol_value *u = ol_graph_add_node(g, NULL, linear, NULL, (ol_value *[]){x, w, id}, 3, NULL, 1,
                                    NULL, 0, &err)
                      ->outputs[0];
    ol_value *v = ol_graph_add_node(g, NULL, linear, NULL, (ol_value *[]){x, w, id, bias}, 4, NULL,
                                    1, NULL, 0, &err)
                      ->outputs[0];
    ol_value *y =
        ol_graph_add_node(g, NULL, mul, NULL, (ol_value *[]){u, v}, 2, NULL, 1, NULL, 0, &err)
            ->outputs[0];
    ol_value *down = ol_graph_add_constant(g, "down", expert_weights(quantized, K, N),
                                           &err); /* rows of [T, A, N] */
    y = ol_graph_add_node(g, NULL, linear, NULL, (ol_value *[]){y, down, id}, 3, NULL, 1, NULL, 0,
                          &err)
            ->outputs[0];
    assert_int_equal(ol_graph_add_output(g, y, &err), OLV_OK);
    return g;
}

static void test_experts(void **state) {
    (void)state;
    /* sums of 48 products of products of sums: terms near 10 that cancel, rounded to f32 on the way
     */
    check_graph(expert_graph, "float", "expert_linear", 2e-4);
    check_graph(expert_graph, "quantized", "expert_linear", 2e-4);
}

/* Experts stay where their own constants have them. */
static void test_experts_stay_in_place(void **state) {
    (void)state;
    for (int quantized = 0; quantized < 2; quantized++) {
        ol_const *w = expert_weights(quantized, N, K);
        for (int64_t e = 0; e < EXPERTS; e++) {
            int64_t at;
            const ol_const *src = ol_const_source_rows(w, e * N + 3, N - 3, &at);
            assert_int_equal(ol_const_get_kind(src), quantized ? OL_CONST_QUANT : OL_CONST_BYTES);
            assert_int_equal(at, 3);
            float a[K], b[K];
            assert_int_equal(ol_const_rows_f32(src, at, 1, a, NULL), OLV_OK);
            assert_int_equal(ol_const_rows_f32(w, e * N + 3, 1, b, NULL), OLV_OK);
            assert_memory_equal(a, b, sizeof a);
            if (e + 1 < EXPERTS)
                assert_ptr_not_equal(ol_const_source_rows(w, e * N + 3, N, &at),
                                     src); /* lies in two */
        }
        ol_const_release(w);
    }
}

/* Feeds all rows in runs of the given sizes, in turn. */
static float *run_in_parts(bench *b, ol_entry e, const int64_t *ids, const int64_t *sizes,
                           int n_sizes, size_t row) {
    float *all = ol_calloc(MOST_ROWS * row, sizeof *all);
    const float *out;
    int64_t width;
    olv_error err;
    for (int64_t at = 0, i = 0; at < MOST_ROWS; i++) {
        int64_t n = sizes[i % n_sizes] < MOST_ROWS - at ? sizes[i % n_sizes] : MOST_ROWS - at;
        assert_int_equal(bench_run(b, e, ids + at, n, &out, &width, &err), OLV_OK);
        memcpy(all + (size_t)at * row, out, (size_t)n * row * sizeof *all);
        at += n;
    }
    return all;
}

/* A row's bits do not depend on the rows beside it in runs of one entry. */
static void test_expert_rows_are_independent(void **state) {
    (void)state;
    static const char *const kinds[] = {"float", "quantized"};
    static const int64_t ones[] = {1}, mixed[] = {16, 3, 7, 1, 12, 2}, whole[] = {MOST_ROWS},
                         parts[] = {33, 1, 20};
    const size_t row = 2 * K;
    int64_t ids[MOST_ROWS];
    for (int i = 0; i < MOST_ROWS; i++) ids[i] = i * 5 % 23;
    for (int kind = 0; kind < 2; kind++) {
        bench b;
        bench_open(&b, expert_graph(kinds[kind]), 2);
        float *one = run_in_parts(&b, OL_ENTRY_DECODE, ids, ones, 1, row);
        float *some = run_in_parts(&b, OL_ENTRY_DECODE, ids, mixed, 6, row);
        assert_memory_equal(one, some, MOST_ROWS * row * sizeof *one);
        float *all = run_in_parts(&b, OL_ENTRY_PREFILL, ids, whole, 1, row);
        float *cut = run_in_parts(&b, OL_ENTRY_PREFILL, ids, parts, 3, row);
        assert_memory_equal(all, cut, MOST_ROWS * row * sizeof *all);
        ol_free(one);
        ol_free(some);
        ol_free(all);
        ol_free(cut);
        bench_close(&b);
    }
}

/* ---- failures that only the data show ---- */

static void test_bad_indices(void **state) {
    (void)state;
    static const char *const graphs[] = {
        "graph \"\" { input input_ids: i64[T]\n const w: f32[4, 1] {1.0, 2.0, 3.0, 4.0}\n y = "
        "Gather(w, input_ids)\n output y }",
        "graph \"\" { input input_ids: i64[T]\n const a: i64[2] {-1, 1}\n f = Cast(input_ids) "
        "to=1\n x = Reshape(f, a)\n"
        " i = Reshape(input_ids, a)\n y = GatherElements(x, i) axis=1\n output y }",
        "graph \"\" { input input_ids: i64[T]\n const a: i64[2] {-1, 1}\n const w: f32[2, 1, 1] "
        "{1.0, 2.0}\n f = Cast(input_ids) to=1\n"
        " x = Reshape(f, a)\n i = Reshape(input_ids, a)\n y = olivine::ExpertLinear(x, w, i)\n "
        "output y }",
        "graph \"\" { input input_ids: i64[T]\n const w: f32[3, 1] {1.0, 2.0, 3.0}\n const a: "
        "i64[2] {-1, 1}\n"
        " i = Reshape(input_ids, a)\n y = GatherND(w, i)\n output y }"};
    for (size_t i = 0; i < sizeof graphs / sizeof graphs[0]; i++) {
        bench b;
        const int64_t good[] = {0, 0}, bad[] = {0, 9};
        const float *out;
        int64_t width;
        olv_error err = {.status = OLV_OK};
        bench_open(&b, parse(graphs[i]), 2);
        assert_int_equal(bench_run(&b, OL_ENTRY_DECODE, good, 2, &out, &width, &err), OLV_OK);
        assert_int_not_equal(bench_run(&b, OL_ENTRY_DECODE, bad, 2, &out, &width, &err), OLV_OK);
        assert_non_null(strstr(err.message, "9"));
        assert_int_equal(bench_run(&b, OL_ENTRY_DECODE, good, 2, &out, &width, &err), OLV_OK);
        bench_close(&b);
    }
}

static void test_refusals(void **state) {
    (void)state;
    static const char *const graphs[][2] = {
        {"graph \"\" { input input_ids: i64[T]\n y = NonZero(input_ids)\n output y }",
         "depends on data"},
        {"graph \"\" { input input_ids: i64[T]\n s = SequenceConstruct(input_ids)\n y = "
         "ConcatFromSequence(s) axis=0\n output y }",
         "no tensor"}};
    for (size_t i = 0; i < sizeof graphs / sizeof graphs[0]; i++) {
        ol_plan *p;
        olv_error err = {.status = OLV_OK};
        ol_plan_options o = {.device = ol_device_find("CPU"),
                             .cpu = ol_cpu_probe(),
                             .precision = OLK_F32,
                             .kv_dtype = OL_F32};
        assert_int_equal(ol_plan_create(parse(graphs[i][0]), &o, &p, &err), OLV_UNSUPPORTED);
        if (!strstr(err.message, graphs[i][1])) fail_msg("%s", err.message);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_operators),
                                       cmocka_unit_test(test_experts),
                                       cmocka_unit_test(test_experts_stay_in_place),
                                       cmocka_unit_test(test_expert_rows_are_independent),
                                       cmocka_unit_test(test_bad_indices),
                                       cmocka_unit_test(test_refusals)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
