/* SPDX-License-Identifier: Apache-2.0 */
/* Models and properties of the public API: reading, looking, reshaping, saving; and lack of memory at every place of
 * reading, compiling and running. */
#include "base/alloc.h"
#include "graph_fixture.h"
#include <olivine/pipeline.h>
#include <olivine/preprocess.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char net[] = "graph \"net\" { meta \"who\" = \"me\"\n input x: f32[N, 8]\n const w: f32[8, 3] hash 0123456789abcdef\n"
                          " h = MatMul(x, w) @product\n s = Shape(x)\n f = Flatten(h) axis=1\n y = Relu(f)\n output y\n output s }";

static char path[64];
static int make_file(void **state) {
    (void)state;
    olv_error err;
    olv_model *m = model_of(net);
    snprintf(path, sizeof path, "/tmp/ol-test-model-%d.onnx", (int)getpid());
    olv_status s = olv_model_save(m, path, 0, &err);
    olv_model_destroy(m);
    return s != OLV_OK;
}
static int remove_file(void **state) {
    (void)state;
    return unlink(path);
}

static void a_saved_model_reads_back(void **state) {
    (void)state;
    olv_error err;
    olv_model *m;
    olv_port p;
    char *text;
    ASSERT_OK(olv_model_read(path, &m, &err));
    assert_int_equal(olv_model_n_inputs(m), 1);
    assert_int_equal(olv_model_n_outputs(m), 2);
    olv_model_get_input(m, 0, &p);
    assert_string_equal(p.name, "x");
    assert_int_equal(p.dtype, OLV_F32);
    assert_int_equal(p.dims[0], -1);
    assert_int_equal(p.ranges[0].most, -1);
    assert_int_equal(p.dims[1], 8);
    olv_model_get_output(m, 1, &p);
    assert_int_equal(p.dtype, OLV_I64);
    ASSERT_OK(olv_model_describe(m, &text, &err));
    assert_non_null(strstr(text, "\"MatMul\": 1"));
    assert_non_null(strstr(text, "\"parameters\": 24"));
    olv_free(text);
    ASSERT_OK(olv_model_graph_text(m, NULL, &text, &err));
    assert_non_null(strstr(text, "Shape(x)"));
    olv_free(text);
    ASSERT_FAILS(OLV_ARG, "there is no pass 'no-pass'; known: ", olv_model_graph_text(m, "no-pass", &text, &err));
    olv_model_destroy(m);
    char *stem = strdup(path);
    stem[strlen(stem) - 5] = 0; /* a path without its ending finds the file */
    ASSERT_OK(olv_model_read(stem, &m, &err));
    free(stem);
    olv_model_destroy(m);
    ASSERT_FAILS(OLV_NOT_FOUND, "nowhere", olv_model_read("/nowhere.onnx", &m, &err));
    ASSERT_FAILS(OLV_FORMAT, "", olv_model_read_bytes("\x08\x08garbage", 9, NULL, &m, &err));
}

static void sizes_are_fixed_and_opened(void **state) {
    (void)state;
    olv_error err;
    olv_model *m = model_of(net);
    olv_port p;
    ASSERT_OK(olv_model_reshape(m, "x", 2, (int64_t[]){5, 8}, &err));
    olv_model_get_output(m, 0, &p);
    assert_int_equal(p.dims[0], 5);
    ASSERT_FAILS(OLV_SHAPE, "", olv_model_reshape(m, "x", 2, (int64_t[]){5, 9}, &err)); /* the product does not take it */
    olv_model_get_input(m, 0, &p);
    assert_int_equal(p.dims[1], 8); /* as before */
    ASSERT_FAILS(OLV_SHAPE, "rank 2, not 3", olv_model_reshape(m, "x", 3, (int64_t[]){5, 8, 1}, &err));
    ASSERT_FAILS(OLV_ARG, "no input 'q'", olv_model_reshape(m, "q", 2, (int64_t[]){5, 8}, &err));
    ASSERT_FAILS(OLV_ARG, "size -7", olv_model_reshape(m, "x", 2, (int64_t[]){-7, 8}, &err));
    ASSERT_OK(olv_model_reshape(m, "x", 2, (int64_t[]){-1, 8}, &err));
    olv_model_get_output(m, 0, &p);
    assert_int_equal(p.dims[0], -1);
    olv_model_destroy(m);
}

static void properties_have_names_and_values(void **state) {
    (void)state;
    olv_error err;
    olv_core *core;
    olv_compiled *c;
    const char *v;
    olv_model *m = model_of(net);
    ASSERT_OK(olv_core_create(&core, &err));
    size_t n = 0;
    for (; olv_property_name(n); n++) ASSERT_OK(olv_core_get_property(core, olv_property_name(n), &v, &err));
    assert_true(n > 20);
    ASSERT_FAILS(OLV_ARG, "known: PERFORMANCE_HINT", olv_core_set_property(core, "SPEED", "1", &err));
    ASSERT_FAILS(OLV_ARG, "LATENCY|THROUGHPUT", olv_core_set_property(core, "PERFORMANCE_HINT", "fast", &err));
    ASSERT_FAILS(OLV_ARG, "a number or AUTO", olv_core_set_property(core, "NUM_STREAMS", "many", &err));
    ASSERT_FAILS(OLV_STATE, "read only", olv_core_set_property(core, "FULL_DEVICE_NAME", "x", &err));
    ASSERT_OK(olv_core_set_property(core, "PERFORMANCE_HINT", "throughput", &err));
    const char *pairs[] = {"NUM_STREAMS=2", "INFERENCE_NUM_THREADS=2"};
    ASSERT_OK(olv_compile(core, m, "CPU", pairs, 2, &c, &err));
    ASSERT_OK(olv_compiled_get_property(c, "PERFORMANCE_HINT", &v, &err));
    assert_string_equal(v, "THROUGHPUT"); /* the core's default */
    ASSERT_OK(olv_compiled_get_property(c, "OPTIMAL_NUMBER_OF_INFER_REQUESTS", &v, &err));
    assert_string_equal(v, "2");
    ASSERT_OK(olv_compiled_get_property(c, "NETWORK_NAME", &v, &err));
    assert_string_equal(v, "net");
    char *plan;
    ASSERT_OK(olv_compiled_plan_text(c, &plan, &err));
    assert_non_null(strstr(plan, "product"));
    olv_free(plan);
    olv_compiled_destroy(c);
    const char *bad = "NUM_STREAMS";
    ASSERT_FAILS(OLV_ARG, "NAME=VALUE", olv_compile(core, m, "CPU", &bad, 1, &c, &err));
    ASSERT_FAILS(OLV_UNSUPPORTED, "no device 'TPU'", olv_compile(core, m, "TPU", NULL, 0, &c, &err));
    olv_model_destroy(m);
    olv_core_destroy(core);
}

/* ---- lack of memory ---- */

static olv_core *the_core;

static olv_status preprocess(olv_model *m, olv_error *err) {
    static const float mean = 1, scale = 2;
    olv_preprocess p;
    olv_preprocess_init(&p);
    p.mean = &mean, p.n_mean = 1, p.scale = &scale, p.n_scale = 1;
    return olv_model_preprocess(m, "x", &p, err);
}

static olv_status read_compile_and_run(olv_error *err) {
    olv_model *m = NULL;
    olv_compiled *c = NULL, *d = NULL;
    olv_request *r = NULL;
    olv_tensor *x = NULL;
    char *text = NULL;
    void *blob = NULL;
    size_t bytes = 0;
    olv_status s = olv_model_read(path, &m, err);
    if (s == OLV_OK) s = olv_model_describe(m, &text, err);
    olv_free(text);
    if (s == OLV_OK) s = olv_model_reshape(m, "x", 2, (int64_t[]){-1, 8}, err);
    if (s == OLV_OK) s = preprocess(m, err);
    if (s == OLV_OK) s = olv_compile(the_core, m, "CPU", NULL, 0, &c, err);
    if (s == OLV_OK) s = olv_compiled_export(c, &blob, &bytes, err);
    if (s == OLV_OK) s = olv_compiled_import(the_core, blob, bytes, NULL, 0, &d, err);
    if (s == OLV_OK) s = olv_request_create(d, &r, err);
    if (s == OLV_OK) s = olv_tensor_create(OLV_F32, 2, (int64_t[]){3, 8}, &x, err);
    if (s == OLV_OK) s = olv_request_set_input(r, "x", x, err);
    if (s == OLV_OK) s = olv_request_run(r, err);
    olv_request_destroy(r);
    olv_compiled_destroy(c);
    olv_compiled_destroy(d);
    olv_free(blob);
    olv_model_destroy(m);
    olv_tensor_destroy(x);
    return s;
}

static void lack_of_memory_is_said(void **state) {
    (void)state;
    olv_error err;
    ASSERT_OK(olv_core_create(&the_core, &err));
    ASSERT_OK(read_compile_and_run(&err));
    uint64_t before = ol_alloc_count();
    ASSERT_OK(read_compile_and_run(&err));
    uint64_t n = ol_alloc_count() - before;
    assert_true(n > 50);
    for (int all = 0; all < 2; all++)
        for (uint64_t i = 1; i <= n; i++) {
            ol_alloc_fail_at(i, all);
            olv_status s = read_compile_and_run(&err);
            ol_alloc_fail_at(0, false);
            if (s != OLV_NOMEM && s != OLV_OK)
                fail_msg("allocation %llu of %llu%s: %s: %s", (unsigned long long)i, (unsigned long long)n, all ? " and all after it" : "",
                         olv_status_text(s), err.message);
            if (s == OLV_OK && all && i < n / 2) fail_msg("goes on without allocation %llu", (unsigned long long)i);
        }
    ASSERT_OK(read_compile_and_run(&err));
    olv_core_destroy(the_core);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_saved_model_reads_back), cmocka_unit_test(sizes_are_fixed_and_opened),
                                       cmocka_unit_test(properties_have_names_and_values), cmocka_unit_test(lack_of_memory_is_said)};
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
