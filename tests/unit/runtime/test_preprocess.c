/* SPDX-License-Identifier: Apache-2.0 */
/* Preprocessing folded into a model, against the same by hand. */
#include "graph_fixture.h"
#include <math.h>
#include <olivine/preprocess.h>

static const char plain[] = "graph \"\" { input x: f32[N, 3, 4, 6]\n y = Identity(x)\n output y }";

static olv_compiled *compile_with(olv_core *core, const char *text, const olv_preprocess *p, const char *device) {
    olv_error err;
    olv_compiled *c;
    olv_model *m = model_of(text);
    ASSERT_OK(olv_model_preprocess(m, "x", p, &err));
    ASSERT_OK(olv_compile(core, m, device, NULL, 0, &c, &err));
    olv_model_destroy(m);
    return c;
}

/* Values of output 0 for u8 data; the number of them. */
static int64_t run(const char *text, const olv_preprocess *p, const char *device, int rank, const int64_t *dims, float *out) {
    olv_error err;
    olv_core *core;
    olv_request *r;
    olv_tensor *x;
    ASSERT_OK(olv_core_create(&core, &err));
    olv_compiled *c = compile_with(core, text, p, device);
    ASSERT_OK(olv_tensor_create(OLV_U8, rank, dims, &x, &err));
    for (int64_t i = 0; i < olv_tensor_get_count(x); i++) ((uint8_t *)olv_tensor_get_data(x))[i] = (uint8_t)(i * 5 % 251);
    ASSERT_OK(olv_request_create(c, &r, &err));
    ASSERT_OK(olv_request_set_input(r, "x", x, &err));
    ASSERT_OK(olv_request_run(r, &err));
    const olv_tensor *y = olv_request_get_output(r, 0);
    int64_t n = olv_tensor_get_count(y);
    memcpy(out, olv_tensor_get_data(y), (size_t)n * sizeof *out);
    olv_request_destroy(r);
    olv_tensor_destroy(x);
    olv_compiled_destroy(c);
    olv_core_destroy(core);
    return n;
}

static void bytes_become_normalized_planes(void **state) {
    static const float mean[] = {10, 20, 30}, scale[] = {2, 4, 8};
    float y[144];
    olv_preprocess p;
    olv_preprocess_init(&p);
    p.dtype = OLV_U8, p.layout = "nhwc", p.colour = "BGR", p.model_colour = "RGB";
    p.mean = mean, p.n_mean = 3, p.scale = scale, p.n_scale = 3;
    assert_int_equal(run(plain, &p, *state, 4, (int64_t[]){2, 4, 6, 3}, y), 144);
    for (int n = 0; n < 2; n++)
        for (int k = 0; k < 3; k++)
            for (int i = 0; i < 24; i++) {
                float given = (float)(((n * 24 + i) * 3 + 2 - k) * 5 % 251); /* the channels in turn */
                assert_float_equal(y[(n * 3 + k) * 24 + i], (given - mean[k]) / scale[k], 1e-5);
            }
}

static void sizes_are_resized(void **state) {
    float y[72];
    olv_preprocess p;
    olv_preprocess_init(&p);
    p.dtype = OLV_U8, p.height = -1, p.width = -1, p.resize = "nearest";
    assert_int_equal(run(plain, &p, *state, 4, (int64_t[]){1, 3, 8, 12}, y), 72);
    for (int k = 0; k < 3; k++)
        for (int i = 0; i < 24; i++) {
            int row = i / 6 * 2, column = i % 6 * 2; /* halves go to the lower */
            assert_float_equal(y[k * 24 + i], (float)((k * 96 + row * 12 + column) * 5 % 251), 0);
        }
    p.resize = NULL;
    assert_int_equal(run("graph \"\" { input x: f32[1, 1, 1, 4]\n y = Identity(x)\n output y }", &p, *state, 4, (int64_t[]){1, 1, 1, 2}, y), 4);
    assert_float_equal(y[0], 0, 1e-5);
    assert_float_equal(y[1], 1.25f, 1e-5);
    assert_float_equal(y[2], 3.75f, 1e-5);
    assert_float_equal(y[3], 5, 1e-5);
}

static void grey_and_colours(void **state) {
    float y[72];
    olv_preprocess p;
    olv_preprocess_init(&p);
    p.dtype = OLV_U8, p.colour = "GRAY", p.model_colour = "RGB";
    assert_int_equal(run(plain, &p, *state, 4, (int64_t[]){1, 1, 4, 6}, y), 72);
    for (int i = 0; i < 72; i++) assert_float_equal(y[i], (float)(i % 24 * 5 % 251), 0);
    p.colour = "BGR", p.model_colour = "GRAY";
    assert_int_equal(run("graph \"\" { input x: f32[1, 1, 1, 2]\n y = Identity(x)\n output y }", &p, *state, 4, (int64_t[]){1, 3, 1, 2}, y), 2);
    assert_float_equal(y[0], 0.114f * 0 + 0.587f * 10 + 0.299f * 20, 1e-4);
    assert_float_equal(y[1], 0.114f * 5 + 0.587f * 15 + 0.299f * 25, 1e-4);
}

static void ports_tell_what_is_to_be_given(void **state) {
    (void)state;
    olv_error err;
    olv_preprocess p;
    olv_port port;
    olv_model *m = model_of(plain);
    ASSERT_OK(olv_model_reshape_ranges(m, "x", 4, (olv_range[]){{1, 5}, {3, 3}, {4, 4}, {6, 6}}, &err));
    olv_preprocess_init(&p);
    p.dtype = OLV_U8, p.layout = "HWCN", p.model_layout = "NCHW", p.width = -1, p.height = 100;
    ASSERT_OK(olv_model_preprocess(m, "x", &p, &err));
    olv_model_get_input(m, 0, &port);
    assert_string_equal(port.name, "x");
    assert_int_equal(port.dtype, OLV_U8);
    assert_true(port.dims[0] == 100 && port.dims[1] == -1 && port.dims[2] == 3 && port.dims[3] == -1);
    assert_true(port.ranges[1].most == -1 && port.ranges[3].most == 5 && port.ranges[3].least == 1);
    olv_model_destroy(m);
}

static void what_does_not_fit_is_said(void **state) {
    (void)state;
    static const float v[4] = {1, 2, 0, 4};
    olv_error err;
    olv_preprocess p = {0};
    olv_model *m = model_of(plain);
    ASSERT_FAILS(OLV_ARG, "olv_preprocess_init", olv_model_preprocess(m, "x", &p, &err));
    olv_preprocess_init(&p);
    ASSERT_FAILS(OLV_ARG, "no input 'z'", olv_model_preprocess(m, "z", &p, &err));
    p.layout = "NHC";
    ASSERT_FAILS(OLV_ARG, "does not have the 4 dimensions", olv_model_preprocess(m, "x", &p, &err));
    p.layout = "NHHC";
    ASSERT_FAILS(OLV_ARG, "each once", olv_model_preprocess(m, "x", &p, &err));
    p.layout = "NHQC";
    ASSERT_FAILS(OLV_ARG, "has a 'Q'", olv_model_preprocess(m, "x", &p, &err));
    p.layout = NULL, p.colour = "RGB";
    ASSERT_FAILS(OLV_ARG, "both colours", olv_model_preprocess(m, "x", &p, &err));
    p.model_colour = "CMYK";
    ASSERT_FAILS(OLV_ARG, "RGB, BGR, GRAY", olv_model_preprocess(m, "x", &p, &err));
    p.colour = p.model_colour = NULL;
    p.mean = v, p.n_mean = 4;
    ASSERT_FAILS(OLV_SHAPE, "4 numbers for the 3 channels", olv_model_preprocess(m, "x", &p, &err));
    p.n_mean = 0, p.scale = v, p.n_scale = 3;
    ASSERT_FAILS(OLV_ARG, "scale of 0", olv_model_preprocess(m, "x", &p, &err));
    p.n_scale = 0, p.height = 5, p.resize = "sinc";
    ASSERT_FAILS(OLV_ARG, "linear, cubic, nearest", olv_model_preprocess(m, "x", &p, &err));
    olv_port port;
    olv_model_get_input(m, 0, &port);
    assert_true(port.dtype == OLV_F32 && port.dims[2] == 4); /* as before */
    olv_model_destroy(m);
}

static char cpu[] = "CPU", reference[] = "REFERENCE";

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(bytes_become_normalized_planes, cpu), cmocka_unit_test_prestate(bytes_become_normalized_planes, reference),
        cmocka_unit_test_prestate(sizes_are_resized, cpu), cmocka_unit_test_prestate(sizes_are_resized, reference),
        cmocka_unit_test_prestate(grey_and_colours, cpu), cmocka_unit_test_prestate(grey_and_colours, reference),
        cmocka_unit_test(ports_tell_what_is_to_be_given), cmocka_unit_test(what_does_not_fit_is_said)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
