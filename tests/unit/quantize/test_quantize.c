/* SPDX-License-Identifier: Apache-2.0 */
#include "../runtime/graph_fixture.h"
#include "base/alloc.h"
#include "quantize/range.h"
#include <math.h>

static olv_error err;

static ol_graph *graph_of(const char *text) {
    ol_graph *g;
    ASSERT_OK(ol_graph_parse(text, strlen(text), &g, &err));
    return g;
}

static const ol_quantizer *quantizer_on(const ol_placement *pl, const char *value) {
    const ol_value *v = ol_graph_find_value(pl->graph, value);
    assert_non_null(v);
    return pl->by_value[v->id] < 0 ? NULL : &pl->quantizers[pl->by_value[v->id]];
}

static ol_placement place(ol_graph *g, const olv_quantize_params *p) {
    ol_placement pl;
    ASSERT_OK(ol_placement_make(g, p, NULL, &pl, &err));
    return pl;
}

/* A quantizer moves up through what rearranges, and stays below where a reader wants floats. */
static const char forked[] = "graph \"g\" {\n"
                             "  input x: f32[1, 4, 6]\n"
                             "  const w: f32[6, 5] {0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0, 13.0, 14.0, 15.0, 16.0, 17.0, 18.0, 19.0, 20.0, 21.0, 22.0, 23.0, 24.0, 25.0, 26.0, 27.0, 28.0, 29.0}\n"
                             "  a: f32[1, 4, 6] = Sigmoid(x) @\"a\"\n"
                             "  b: f32[1, 4, 6] = Identity(a) @\"b\"\n"
                             "  c: f32[1, 4, 5] = MatMul(b, w) @\"c\"\n"
                             "  d: f32[1, 4, 6] = Tanh(a) @\"d\"\n"
                             "  output c\n"
                             "  output d\n"
                             "}\n";

static void test_propagation(void **state) {
    (void)state;
    olv_quantize_params p;
    olv_quantize_params_init(&p);
    ol_graph *g = graph_of(forked);
    ol_placement pl = place(g, &p);
    assert_non_null(quantizer_on(&pl, "b"));
    assert_false(quantizer_on(&pl, "b")->echo && !quantizer_on(&pl, "a"));
    const ol_quantizer *a = quantizer_on(&pl, "a");
    assert_non_null(a); /* serves b alone: Tanh reads a itself */
    const ol_node *d = ol_graph_find_value(g, "d")->producer;
    assert_int_equal(ol_placement_mark(&pl, d, 0), OL_EDGE_FLOAT);
    assert_int_equal(a->grid, quantizer_on(&pl, "b")->grid);
    assert_true(ol_placement_has_weights(&pl, ol_graph_find_value(g, "c")->producer));
    ol_placement_deinit(&pl);
    ol_graph_destroy(g);
}

static void test_ignored_scope(void **state) {
    (void)state;
    static const char *const none[] = {"re:z.*"}, *const misspelt[] = {"type:MatMull"}, *const between[] = {"sub:a->c"};
    olv_quantize_params p;
    ol_placement pl;
    olv_quantize_params_init(&p);
    ol_graph *g = graph_of(forked);
    p.n_ignored = 1;
    p.ignored = none;
    ASSERT_FAILS(OLV_ARG, "matches none of 4 nodes", ol_placement_make(g, &p, NULL, &pl, &err));
    ol_placement_deinit(&pl);
    p.ignored = misspelt;
    ASSERT_FAILS(OLV_ARG, "did you mean 'MatMul'", ol_placement_make(g, &p, NULL, &pl, &err));
    ol_placement_deinit(&pl);
    p.ignored = between;
    pl = place(g, &p);
    assert_int_equal(pl.n_quantizers, 0);
    assert_non_null(pl.reasons[ol_graph_find_value(g, "b")->producer->id]);
    assert_null(pl.reasons[ol_graph_find_value(g, "d")->producer->id]);
    ol_placement_deinit(&pl);
    ol_graph_destroy(g);
}

static void test_functions_stay_float(void **state) {
    (void)state;
    olv_quantize_params p;
    olv_quantize_params_init(&p);
    ol_graph *g = graph_of("graph \"g\" {\n"
                           "  input x: f32[2, 3]\n"
                           "  a: f32[2, 3] = Sigmoid(x) @\"a\"\n"
                           "  b: f32[2, 3] = Mul(x, a) @\"b\"\n"
                           "  c: f32[2, 3] = Tanh(x) @\"c\"\n"
                           "  d: f32[2, 3] = Neg(b) @\"d\"\n"
                           "  output d\n"
                           "  output c\n"
                           "}\n");
    ol_placement pl = place(g, &p);
    assert_int_equal(pl.n_quantizers, 0);
    assert_string_equal(pl.reasons[ol_graph_find_value(g, "b")->producer->id], "part of a function");
    ol_placement_deinit(&pl);
    ol_graph_destroy(g);
}

static ol_grid settled(float low, float high, bool symmetric) {
    ol_grid g = {.symmetric = symmetric, .n = 1, .low = ol_alloc(sizeof(float)), .high = ol_alloc(sizeof(float))};
    g.low[0] = low, g.high[0] = high;
    ASSERT_OK(ol_grid_settle(&g, &err));
    return g;
}

static void free_grid(ol_grid *g) { ol_free(g->low), ol_free(g->high), ol_free(g->scale), ol_free(g->zero); }

static void test_grids(void **state) {
    (void)state;
    ol_grid g = settled(-0.5f, 2, true);
    assert_true(g.is_signed && g.zero[0] == 0);
    assert_float_equal(g.scale[0], 2.0f / 127, 1e-7);
    assert_float_equal(g.low[0], -2.0f * 128 / 127, 1e-6);
    free_grid(&g);
    g = settled(0, 6, true);
    assert_true(!g.is_signed && g.zero[0] == 0);
    assert_float_equal(g.scale[0], 6.0f / 255, 1e-7);
    free_grid(&g);
    g = settled(-1, 3, false); /* zero lies on the grid, and the range only grows */
    float z = -g.low[0] / g.scale[0];
    assert_float_equal(z, roundf(z), 1e-3);
    assert_true(g.low[0] <= -1 + 1e-6f && g.high[0] >= 3 - 1e-6f && g.zero[0] == (int)roundf(z) - 128);
    free_grid(&g);
    g = settled(5, 5, false); /* one value: zero is in the range all the same */
    assert_true(g.low[0] == 0 && g.zero[0] == 0 && g.high[0] >= 5);
    free_grid(&g);
}

/* One far element in many does not stretch the grid. */
static void test_histogram(void **state) {
    (void)state;
    enum { N = 100000 };
    float *x = ol_alloc(N * sizeof *x);
    uint32_t seed = 1;
    double low, high;
    for (int i = 0; i < N; i++) {
        seed = seed * 1664525u + 1013904223u;
        x[i] = (float)(seed >> 8) / 16777216.0f * 2 - 1;
    }
    x[777] = 4;
    ol_histogram h = {.bins = NULL};
    ASSERT_OK(ol_histogram_add(&h, x, N / 2, &err));
    ASSERT_OK(ol_histogram_add(&h, x + N / 2, N / 2, &err));
    ol_histogram_search(&h, true, &low, &high);
    assert_true(high < 3.5 && high >= 1);
    double sum = 0;
    for (int i = 0; i < OL_HISTOGRAM_BINS; i++) sum += h.bins[i];
    assert_float_equal(sum, N, 1e-3);
    ol_free(h.bins);
    ol_free(x);
}

static void test_settings(void **state) {
    (void)state;
    olv_quantize_params p;
    olv_quantize_params_init(&p);
    ASSERT_OK(olv_quantize_params_set(&p, "preset", "MIXED", &err));
    ASSERT_OK(olv_quantize_params_set(&p, "fast-bias-correction", "false", &err));
    ASSERT_OK(olv_quantize_params_set(&p, "aggregator_max", "median_no_outliers", &err));
    ASSERT_OK(olv_quantize_params_set(&p, "drop_type", "relative", &err));
    assert_true(p.preset == OLV_PRESET_MIXED && p.bias_correction == OLV_BIAS_FULL && p.relative_drop && p.activations.given);
    assert_int_equal(p.activations.aggregator_max, OLV_AGGREGATE_MEDIAN_NO_OUTLIERS);
    ASSERT_FAILS(OLV_ARG, "expected a whole number", olv_quantize_params_set(&p, "subset_size", "many", &err));
    ASSERT_FAILS(OLV_ARG, "did you mean 'overflow_fix'", olv_quantize_params_set(&p, "overflow_fx", "enable", &err));
}

/* A convolution scaled and shifted channel by channel is the same function, with or without alignment, but for rounding. */
static olv_status give_ramp(void *ctx, size_t index, olv_tensor **inputs, bool *end, olv_error *e) {
    (void)ctx, (void)e;
    const int64_t dims[] = {1, 2, 5, 5};
    if (index == 3) return *end = true, OLV_OK;
    inputs[0] = ramp(4, dims);
    float *x = olv_tensor_get_data(inputs[0]);
    for (int i = 0; i < 50; i++) x[i] = x[i] / 12 - 0.5f * (float)index;
    return OLV_OK;
}

static void test_alignment_keeps_function(void **state) {
    (void)state;
    olv_model *m = model_of("graph \"g\" {\n"
                            "  input x: f32[1, 2, 5, 5]\n"
                            "  const w: f32[2, 2, 1, 1] {0.01, -0.02, 3.0, 2.0}\n"
                            "  const b: f32[2] {0.5, -1.0}\n"
                            "  const v: f32[2, 2, 1, 1] {20.0, 0.25, -30.0, 0.5}\n"
                            "  const c: f32[2] {0.1, 0.2}\n"
                            "  y: f32[1, 2, 5, 5] = Conv(x, w, b) @\"first\"\n"
                            "  z: f32[1, 2, 5, 5] = Conv(y, v, c) @\"second\"\n"
                            "  output z\n"
                            "}\n");
    olv_core *core;
    olv_dataset *data;
    double worst[2];
    ASSERT_OK(olv_core_create(&core, &err));
    ASSERT_OK(olv_dataset_create(give_ramp, NULL, NULL, &data, &err));
    for (int aligned = 0; aligned < 2; aligned++) {
        olv_quantize_params p;
        olv_model *made[2] = {m, NULL};
        float got[2][50];
        olv_quantize_params_init(&p);
        p.channel_alignment = aligned;
        ASSERT_OK(olv_quantize(core, m, data, &p, &made[1], NULL, &err));
        for (int k = 0; k < 2; k++) {
            olv_compiled *c;
            olv_request *r;
            olv_tensor *x = NULL;
            bool end = false;
            ASSERT_OK(olv_compile(core, made[k], "REFERENCE", NULL, 0, &c, &err));
            ASSERT_OK(olv_request_create(c, &r, &err));
            ASSERT_OK(give_ramp(NULL, 1, &x, &end, &err));
            ASSERT_OK(olv_request_set_input_at(r, 0, x, &err));
            ASSERT_OK(olv_request_run(r, &err));
            memcpy(got[k], olv_tensor_get_data(olv_request_get_output(r, 0)), sizeof got[k]);
            olv_request_destroy(r);
            olv_compiled_destroy(c);
            olv_tensor_destroy(x);
        }
        worst[aligned] = 0;
        for (int i = 0; i < 50; i++) worst[aligned] = fmax(worst[aligned], (double)fabsf(got[0][i] - got[1][i]));
        olv_model_destroy(made[1]);
    }
    if (!(worst[1] < worst[0] / 2)) fail_msg("error %g aligned, %g not", worst[1], worst[0]);
    olv_dataset_destroy(data);
    olv_model_destroy(m);
    olv_core_destroy(core);
}

/* Two layers with one matrix: its codes are there once. */
static olv_status give_rows(void *ctx, size_t index, olv_tensor **inputs, bool *end, olv_error *e) {
    static float rows[] = {0.25f, -0.5f, 0.75f, 1};
    const int64_t dims[] = {2, 2};
    (void)ctx;
    if (index) return *end = true, OLV_OK;
    return olv_tensor_wrap(OLV_F32, 2, dims, rows, sizeof rows, &inputs[0], e);
}

static void test_shared_weights(void **state) {
    (void)state;
    olv_model *m = model_of("graph \"g\" {\n"
                            "  input x: f32[2, 2]\n"
                            "  const w: f32[2, 2] {1.0, -2.0, 0.5, 4.0}\n"
                            "  y: f32[2, 2] = MatMul(x, w) @\"first\"\n"
                            "  z: f32[2, 2] = MatMul(y, w) @\"second\"\n"
                            "  output z\n"
                            "}\n");
    olv_core *core;
    olv_dataset *data;
    olv_model *made;
    olv_quantize_params p;
    olv_quantize_params_init(&p);
    ASSERT_OK(olv_core_create(&core, &err));
    ASSERT_OK(olv_dataset_create(give_rows, NULL, NULL, &data, &err));
    ASSERT_OK(olv_quantize(core, m, data, &p, &made, NULL, &err));
    int codes = 0;
    for (int i = 0; i < made->graph->n_values; i++) codes += made->graph->values[i]->constant && made->graph->values[i]->type.rank == 2;
    assert_int_equal(codes, 1);
    ASSERT_OK(ol_graph_verify(made->graph, &err));
    olv_model_destroy(made);
    olv_dataset_destroy(data);
    olv_model_destroy(m);
    olv_core_destroy(core);
}

/* Every allocation that fails in turn ends with a status, and leaks nothing. */
static void test_out_of_memory(void **state) {
    (void)state;
    olv_model *m = model_of("graph \"g\" {\n"
                            "  input x: f32[2, 2]\n"
                            "  const w: f32[2, 2] {1.0, -2.0, 0.5, 4.0}\n"
                            "  const b: f32[2] {1.0, -2.0}\n"
                            "  y: f32[2, 2] = Gemm(x, w, b) @\"first\"\n"
                            "  z: f32[2, 2] = Add(x, y) @\"second\"\n"
                            "  output z\n"
                            "}\n");
    olv_core *core;
    olv_dataset *data;
    olv_quantize_params p;
    olv_quantize_params_init(&p);
    p.model_type = OLV_QUANTIZE_TRANSFORMER;
    ASSERT_OK(olv_core_create(&core, &err));
    ASSERT_OK(olv_dataset_create(give_rows, NULL, NULL, &data, &err));
    uint64_t least = 0, before = ol_alloc_count();
    for (uint64_t n = 0; n <= least; n++) { /* without a failure first: how many there are */
        olv_model *made = NULL;
        char *text = NULL;
        ol_alloc_fail_at(n, false);
        olv_status s = olv_quantize(core, m, data, &p, &made, &text, &err);
        ol_alloc_fail_at(0, false);
        if (!n) least = ol_alloc_count() - before;
        if (s != OLV_OK && (made || text)) fail_msg("a result beside a failure");
        if (!n) ASSERT_OK(s);
        olv_model_destroy(made);
        ol_free(text);
    }
    assert_true(least > 100);
    olv_dataset_destroy(data);
    olv_model_destroy(m);
    olv_core_destroy(core);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_propagation), cmocka_unit_test(test_ignored_scope), cmocka_unit_test(test_functions_stay_float),
                                       cmocka_unit_test(test_grids), cmocka_unit_test(test_histogram), cmocka_unit_test(test_settings),
                                       cmocka_unit_test(test_alignment_keeps_function), cmocka_unit_test(test_shared_weights), cmocka_unit_test(test_out_of_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
