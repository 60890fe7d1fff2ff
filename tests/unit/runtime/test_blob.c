/* SPDX-License-Identifier: Apache-2.0 */
/* Exported models and the cache of prepared weights: the same numbers, and nothing that is foreign or damaged. */
#include "base/alloc.h"
#include "base/file.h"
#include "graph_fixture.h"
#include <olivine/pipeline.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define DIGITS OL_TEST_DATA "/digits/digits.onnx"

/* Prepared weights of over a mebibyte, which are kept. */
static const char wide[] = "graph \"wide\" { input x: f32[N, 64, 8, 8]\n const w: f32[512, 64, 3, 3] hash 0123456789abcdef\n"
                           " c = Conv(x, w) pads=ints[1, 1, 1, 1] kernel_shape=ints[3, 3]\n y = Relu(c)\n output y }";

static char folder[64], path[128];
static int make_folder(void **state) {
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/ol-test-blob-XXXXXX");
    return !mkdtemp(folder) || snprintf(path, sizeof path, "%s/model.blob", folder) < 0;
}
static int remove_folder(void **state) {
    (void)state;
    return ol_dir_remove(folder, NULL) != OLV_OK;
}

static float answer(olv_compiled *c, const olv_tensor *x) {
    olv_error err;
    olv_request *r;
    ASSERT_OK(olv_request_create(c, &r, &err));
    ASSERT_OK(olv_request_set_input_at(r, 0, x, &err));
    ASSERT_OK(olv_request_run(r, &err));
    const olv_tensor *y = olv_request_get_output(r, 0);
    float sum = 0;
    for (int64_t i = 0; i < olv_tensor_get_count(y); i++) sum += (float)(i % 5 + 1) * ((const float *)olv_tensor_get_data(y))[i];
    olv_request_destroy(r);
    return sum;
}

static void a_blob_is_the_model_again(void **state) {
    (void)state;
    olv_error err;
    olv_core *core;
    olv_model *m;
    olv_compiled *c, *d;
    olv_port p;
    void *data;
    size_t bytes;
    olv_tensor *x = ramp(4, (int64_t[]){2, 1, 16, 16});
    ASSERT_OK(olv_core_create(&core, &err));
    ASSERT_OK(olv_model_read(DIGITS, &m, &err));
    ASSERT_OK(olv_model_reshape_ranges(m, "image", 4, (olv_range[]){{1, 4}, {1, 1}, {16, 16}, {16, 16}}, &err));
    ASSERT_OK(olv_compile(core, m, "CPU", NULL, 0, &c, &err));
    float want = answer(c, x);
    assert_true(want != 0);
    ASSERT_OK(olv_compiled_export_file(c, path, &err));
    ASSERT_OK(olv_compiled_export(c, &data, &bytes, &err));
    olv_compiled_destroy(c);
    olv_model_destroy(m);
    ASSERT_OK(olv_compiled_import(core, data, bytes, NULL, 0, &d, &err));
    olv_free(data);
    assert_true(answer(d, x) == want);
    olv_compiled_get_input(d, 0, &p);
    assert_string_equal(p.name, "image");
    assert_int_equal(p.ranges[0].most, 4);
    olv_compiled_destroy(d);
    ASSERT_OK(olv_compiled_import_file(core, path, NULL, 0, &d, &err));
    ASSERT_OK(olv_compiled_export(d, &data, &bytes, &err)); /* an imported one can be exported */
    olv_free(data);
    unlink(path);
    assert_true(answer(d, x) == want); /* the map outlives the name */
    olv_compiled_destroy(d);
    olv_tensor_destroy(x);
    olv_core_destroy(core);
}

/* With another precision what was prepared does not fit, and is made anew. */
static void a_blob_of_other_terms_still_works(void **state) {
    (void)state;
    olv_error err;
    olv_core *core;
    olv_compiled *c;
    void *data;
    size_t bytes;
    const char *accuracy = "EXECUTION_MODE_HINT=ACCURACY";
    compiled_fixture f = compile_text(wide, "CPU", NULL);
    olv_tensor *x = ramp(4, (int64_t[]){1, 64, 8, 8});
    memset(olv_tensor_get_data(x), 0, olv_tensor_get_bytes(x));
    ASSERT_OK(olv_compiled_export(f.compiled, &data, &bytes, &err));
    ASSERT_OK(olv_core_create(&core, &err));
    ASSERT_OK(olv_compiled_import(core, data, bytes, &accuracy, 1, &c, &err));
    assert_true(answer(c, x) == 0);
    olv_free(data);
    olv_compiled_destroy(c);
    olv_core_destroy(core);
    olv_tensor_destroy(x);
    release_fixture(&f);
}

static void damaged_blobs_are_refused(void **state) {
    (void)state;
    olv_error err;
    olv_compiled *d;
    void *data;
    size_t bytes;
    compiled_fixture f = compile_text("graph \"\" { input x: f32[2]\n const w: f32[2] {1.0, 2.0}\n y = Mul(x, w)\n output y }", "CPU", NULL);
    ASSERT_OK(olv_compiled_export(f.compiled, &data, &bytes, &err));
    uint8_t *p = data;
    ASSERT_OK(olv_compiled_import(f.core, data, bytes, NULL, 0, &d, &err));
    olv_compiled_destroy(d);
    for (size_t i = 0; i < bytes; i += i < 200 ? 1 : 37) {
        p[i] ^= 0x41;
        assert_int_equal(olv_compiled_import(f.core, data, bytes, NULL, 0, &d, &err), OLV_FORMAT);
        p[i] ^= 0x41;
    }
    for (size_t n = 0; n < bytes; n += n < 200 ? 1 : 97) assert_int_equal(olv_compiled_import(f.core, data, n, NULL, 0, &d, &err), OLV_FORMAT);
    ASSERT_FAILS(OLV_FORMAT, "no exported model", olv_compiled_import_file(f.core, DIGITS, NULL, 0, &d, &err));
    olv_free(data);
    release_fixture(&f);
    f = compile_text("graph \"\" { input x: f32[2]\n y = Neg(x)\n output y }", "REFERENCE", NULL);
    ASSERT_FAILS(OLV_UNSUPPORTED, "reference", olv_compiled_export(f.compiled, &data, &bytes, &err));
    release_fixture(&f);
}

/* Large constants of a text are zeros. */
static void fill_weights(olv_model *m) {
    static float w[512 * 64 * 9];
    olv_error err;
    for (size_t i = 0; i < sizeof w / sizeof *w; i++) w[i] = (float)((i * 7919) % 101) * 0.01f - 0.5f;
    ol_const *c = ol_const_bytes(OL_F32, 4, (int64_t[]){512, 64, 3, 3}, w, sizeof w, NULL, NULL, &err);
    assert_non_null(c);
    ol_value_set_constant(ol_graph_find_value(m->graph, "w"), c);
}

static size_t stores(void) {
    char **names;
    size_t n, count = 0;
    olv_error err;
    ASSERT_OK(ol_dir_list(folder, &names, &n, &err));
    for (size_t i = 0; i < n; i++) count += strstr(names[i], ".store") != NULL;
    ol_dir_list_free(names, n);
    return count;
}

static void prepared_weights_are_kept(void **state) {
    (void)state;
    olv_error err;
    char cache[128];
    olv_core *core;
    olv_compiled *c;
    float sums[3];
    snprintf(cache, sizeof cache, "CACHE_DIR=%s", folder);
    const char *property = cache;
    char file[128];
    snprintf(file, sizeof file, "%s/wide.onnx", folder);
    olv_model *m = model_of(wide);
    fill_weights(m);
    ASSERT_OK(olv_model_save(m, file, 0, &err));
    olv_model_destroy(m);
    olv_tensor *x = ramp(4, (int64_t[]){1, 64, 8, 8});
    ASSERT_OK(olv_core_create(&core, &err));
    for (int i = 0; i < 3; i++) {
        ASSERT_OK(olv_model_read(file, &m, &err));
        if (i == 2) ASSERT_OK(olv_model_reshape(m, "x", 4, (int64_t[]){1, 64, 8, 8}, &err)); /* another key */
        ASSERT_OK(olv_compile(core, m, "CPU", &property, 1, &c, &err));
        assert_int_equal(ol_store_was_found(c->store), i == 1);
        assert_int_equal(stores(), i == 2 ? 2 : 1);
        sums[i] = answer(c, x);
        olv_compiled_destroy(c);
        olv_model_destroy(m);
    }
    assert_true(sums[0] != 0 && sums[0] == sums[1] && sums[0] == sums[2]);
    olv_tensor_destroy(x);
    olv_core_destroy(core);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_blob_is_the_model_again), cmocka_unit_test(a_blob_of_other_terms_still_works),
                                       cmocka_unit_test(damaged_blobs_are_refused), cmocka_unit_test(prepared_weights_are_kept)};
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
