/* SPDX-License-Identifier: Apache-2.0 */
/* Requests of the public API: inputs, shapes, errors, lifetimes, and what is allocated while running. */
#include "base/alloc.h"
#include "graph_fixture.h"
#include <stdlib.h>

static const char affine[] = "graph \"affine\" { input x: f32[N, 4]\n input b: f32[4]\n h = Mul(x, x)\n y = Add(h, b) @sum\n"
                             " z = ReduceSum(y) keepdims=0\n output y\n output z }";
/* The number of rows of y is what the data say. */
static const char nonzero[] = "graph \"nz\" { input x: f32[N]\n i = NonZero(x)\n f = Cast(i) to=1\n y = Mul(f, f)\n output y }";

static const float *floats(const olv_tensor *t) { return olv_tensor_get_data(t); }

static void runs_and_answers(void **state) {
    olv_error err;
    const char *device = *state;
    compiled_fixture f = compile_text(affine, device, NULL);
    olv_request *r;
    ASSERT_OK(olv_request_create(f.compiled, &r, &err));
    assert_null(olv_request_get_output(r, 0)); /* nothing has run */
    olv_tensor *b = ramp(1, (int64_t[]){4});
    ASSERT_OK(olv_request_set_input(r, "b", b, &err));
    for (int64_t n = 1; n < 40; n = n * 3 + 1) {
        olv_tensor *x = ramp(2, (int64_t[]){n, 4});
        ASSERT_OK(olv_request_set_input_at(r, 0, x, &err));
        ASSERT_OK(olv_request_run(r, &err));
        const olv_tensor *y = olv_request_get_output(r, 0);
        double sum = 0;
        assert_int_equal(olv_tensor_get_rank(y), 2);
        assert_int_equal(olv_tensor_get_dims(y)[0], n);
        for (int64_t i = 0; i < 4 * n; i++) {
            float v = floats(x)[i] * floats(x)[i] + floats(b)[i % 4];
            assert_float_equal(floats(y)[i], v, 1e-6);
            sum += (double)v;
        }
        assert_float_equal(floats(olv_request_get_output(r, 1))[0], (float)sum, (float)sum * 1e-6f);
        assert_int_equal(olv_tensor_get_rank(olv_request_get_output(r, 1)), 0);
        assert_null(olv_request_get_output(r, 2));
        olv_tensor_destroy(x);
    }
    olv_request_destroy(r);
    olv_tensor_destroy(b);
    release_fixture(&f);
}

static void wrong_inputs_are_named(void **state) {
    (void)state;
    olv_error err;
    compiled_fixture f = compile_text(affine, "CPU", NULL);
    olv_request *r;
    olv_tensor *x = ramp(2, (int64_t[]){2, 4}), *wide = ramp(2, (int64_t[]){2, 5}), *flat = ramp(1, (int64_t[]){4}), *whole;
    ASSERT_OK(olv_tensor_create(OLV_I64, 2, (int64_t[]){2, 4}, &whole, &err));
    ASSERT_OK(olv_request_create(f.compiled, &r, &err));
    ASSERT_FAILS(OLV_ARG, "input 'x' (f32[N,4]) is not given", olv_request_run(r, &err));
    ASSERT_FAILS(OLV_ARG, "no input 'X'; its inputs: 'x', 'b'", olv_request_set_input(r, "X", x, &err));
    ASSERT_FAILS(OLV_ARG, "input 2 of a model with 2", olv_request_set_input_at(r, 2, x, &err));
    ASSERT_FAILS(OLV_SHAPE, "input 'x' is f32[2,5], f32[N,4] expected", olv_request_set_input(r, "x", wide, &err));
    ASSERT_FAILS(OLV_SHAPE, "input 'x' is f32[4], f32[N,4] expected", olv_request_set_input(r, "x", flat, &err));
    ASSERT_FAILS(OLV_SHAPE, "input 'x' is i64[2,4], f32[N,4] expected", olv_request_set_input(r, "x", whole, &err));
    ASSERT_OK(olv_request_set_input(r, "x", x, &err));
    ASSERT_FAILS(OLV_ARG, "input 'b' (f32[4]) is not given", olv_request_run(r, &err));
    ASSERT_OK(olv_request_set_input(r, "b", flat, &err));
    ASSERT_OK(olv_request_run(r, &err));
    ASSERT_OK(olv_request_set_input(r, "x", NULL, &err)); /* taken away */
    ASSERT_FAILS(OLV_ARG, "input 'x'", olv_request_run(r, &err));
    assert_null(olv_request_get_output(r, 0)); /* the failed run left none */
    ASSERT_FAILS(OLV_STATE, "no run was started", olv_request_wait(r, 0, &err));
    olv_request_destroy(r);
    olv_tensor_destroy(x), olv_tensor_destroy(wide), olv_tensor_destroy(flat), olv_tensor_destroy(whole);
    release_fixture(&f);
}

static void sizes_that_disagree_are_refused(void **state) {
    (void)state;
    olv_error err;
    compiled_fixture f = compile_text("graph \"\" { input a: f32[N]\n input b: f32[N]\n c = Add(a, b)\n output c }", "CPU", NULL);
    olv_request *r;
    olv_tensor *a = ramp(1, (int64_t[]){3}), *b = ramp(1, (int64_t[]){5});
    ASSERT_OK(olv_request_create(f.compiled, &r, &err));
    ASSERT_OK(olv_request_set_input(r, "a", a, &err));
    ASSERT_OK(olv_request_set_input(r, "b", b, &err));
    ASSERT_FAILS(OLV_SHAPE, "input 'b' has size 5 in dimension 0, but N is 3", olv_request_run(r, &err));
    olv_request_destroy(r);
    olv_tensor_destroy(a), olv_tensor_destroy(b);
    release_fixture(&f);
}

/* The order of destroying does not matter. */
static void parts_keep_the_whole(void **state) {
    (void)state;
    olv_error err;
    compiled_fixture f = compile_text(affine, "CPU", NULL);
    olv_request *r;
    olv_tensor *x = ramp(2, (int64_t[]){2, 4}), *b = ramp(1, (int64_t[]){4});
    ASSERT_OK(olv_request_create(f.compiled, &r, &err));
    release_fixture(&f);
    ASSERT_OK(olv_request_set_input(r, "x", x, &err));
    ASSERT_OK(olv_request_set_input(r, "b", b, &err));
    ASSERT_OK(olv_request_run(r, &err));
    olv_request_destroy(r);
    olv_tensor_destroy(x), olv_tensor_destroy(b);
}

static void shapes_may_depend_on_data(void **state) {
    (void)state;
    olv_error err;
    compiled_fixture f = compile_text(nonzero, "CPU", NULL);
    olv_request *r;
    ASSERT_OK(olv_request_create(f.compiled, &r, &err));
    for (int64_t zeros = 0; zeros <= 8; zeros += 2) {
        olv_tensor *x = ramp(1, (int64_t[]){8});
        memset(olv_tensor_get_data(x), 0, (size_t)zeros * sizeof(float));
        ASSERT_OK(olv_request_set_input(r, "x", x, &err));
        ASSERT_OK(olv_request_run(r, &err));
        const olv_tensor *y = olv_request_get_output(r, 0);
        assert_int_equal(olv_tensor_get_dims(y)[1], 8 - zeros);
        for (int64_t i = 0; i < 8 - zeros; i++) assert_float_equal(floats(y)[i], (float)((i + zeros) * (i + zeros)), 0);
        olv_tensor_destroy(x);
    }
    olv_request_destroy(r);
    release_fixture(&f);
}

static void ranges_bound_what_is_given(void **state) {
    (void)state;
    olv_error err;
    olv_core *core;
    olv_compiled *c;
    olv_request *r;
    olv_port port;
    olv_model *m = model_of(affine);
    ASSERT_OK(olv_core_create(&core, &err));
    ASSERT_OK(olv_model_reshape_ranges(m, "x", 2, (olv_range[]){{1, 3}, {4, 4}}, &err));
    ASSERT_FAILS(OLV_ARG, "5 to 2 is no range", olv_model_reshape_ranges(m, "x", 2, (olv_range[]){{5, 2}, {4, 4}}, &err));
    ASSERT_OK(olv_compile(core, m, "CPU", NULL, 0, &c, &err));
    olv_compiled_get_input(c, 0, &port);
    assert_int_equal(port.dims[0], -1);
    assert_int_equal(port.ranges[0].least, 1);
    assert_int_equal(port.ranges[0].most, 3);
    assert_int_equal(port.ranges[1].most, 4);
    ASSERT_OK(olv_request_create(c, &r, &err));
    olv_tensor *x = ramp(2, (int64_t[]){3, 4}), *tall = ramp(2, (int64_t[]){4, 4}), *none = ramp(2, (int64_t[]){0, 4});
    ASSERT_OK(olv_request_set_input(r, "x", x, &err));
    ASSERT_FAILS(OLV_SHAPE, "input 'x' has size 4 in dimension 0, 1 to 3 expected", olv_request_set_input(r, "x", tall, &err));
    ASSERT_FAILS(OLV_SHAPE, "size 0", olv_request_set_input(r, "x", none, &err));
    olv_tensor_destroy(x), olv_tensor_destroy(tall), olv_tensor_destroy(none);
    olv_request_destroy(r);
    olv_compiled_destroy(c);
    olv_core_destroy(core);
    olv_model_destroy(m);
}

static void outputs_last_until_the_next_run(void **state) {
    olv_error err;
    compiled_fixture f = compile_text(affine, *state, NULL);
    olv_request *r;
    olv_tensor *x = ramp(2, (int64_t[]){2, 4}), *other = ramp(2, (int64_t[]){9, 4}), *b = ramp(1, (int64_t[]){4}), *kept;
    ASSERT_OK(olv_request_create(f.compiled, &r, &err));
    ASSERT_OK(olv_request_set_input(r, "x", x, &err));
    ASSERT_OK(olv_request_set_input(r, "b", b, &err));
    ASSERT_OK(olv_request_run(r, &err));
    const olv_tensor *y = olv_request_get_output(r, 0);
    ASSERT_OK(olv_tensor_copy(y, &kept, &err));
    ASSERT_OK(olv_request_set_input(r, "x", other, &err)); /* given, not run */
    olv_tensor_destroy(x);
    assert_memory_equal(olv_tensor_get_data(y), olv_tensor_get_data(kept), olv_tensor_get_bytes(kept));
    ASSERT_OK(olv_request_run(r, &err));
    assert_int_equal(olv_tensor_get_dims(olv_request_get_output(r, 0))[0], 9);
    assert_int_equal(olv_tensor_get_dims(kept)[0], 2);
    olv_request_destroy(r);
    olv_tensor_destroy(other), olv_tensor_destroy(b), olv_tensor_destroy(kept);
    release_fixture(&f);
}

static void nothing_is_allocated_while_running(void **state) {
    (void)state;
    olv_error err;
    static const char deep[] = "graph \"\" { input x: f32[N, 64]\n const w: f32[64, 64] hash 0123456789abcdef\n h = MatMul(x, w)\n"
                               " g = Sigmoid(h)\n k = Mul(g, h)\n s = Softmax(k) axis=-1\n t = Transpose(s) perm=ints[1, 0]\n output t\n output k }";
    compiled_fixture f = compile_text(deep, "CPU", NULL);
    olv_request *r;
    ASSERT_OK(olv_request_create(f.compiled, &r, &err));
    for (int64_t n = 5; n > 2; n--) {
        olv_tensor *x = ramp(2, (int64_t[]){n, 64});
        ASSERT_OK(olv_request_set_input(r, "x", x, &err));
        ASSERT_OK(olv_request_run(r, &err));
        uint64_t before = ol_alloc_count();
        ol_alloc_fail_at(1, true);
        olv_status s = olv_request_run(r, &err);
        ol_alloc_fail_at(0, false);
        if (s != OLV_OK) fail_msg("%s", err.message);
        assert_int_equal(ol_alloc_count(), before);
        olv_tensor_destroy(x);
    }
    olv_request_destroy(r);
    release_fixture(&f);
}

/* Kinds of values that pass through: strings and sequences. */
static void strings_and_sequences_pass(void **state) {
    olv_error err;
    compiled_fixture f = compile_text("graph \"\" { input s: string[N]\n input x: f32[2]\n t = Identity(s)\n q = SequenceConstruct(x, x)\n output t\n output q }",
                                      *state, NULL);
    olv_request *r;
    olv_tensor *s, *x = ramp(1, (int64_t[]){2});
    size_t len;
    ASSERT_OK(olv_tensor_create_strings(1, (int64_t[]){2}, (const char *const[]){"one", "zwei"}, NULL, &s, &err));
    ASSERT_OK(olv_request_create(f.compiled, &r, &err));
    ASSERT_OK(olv_request_set_input(r, "s", s, &err));
    ASSERT_OK(olv_request_set_input(r, "x", x, &err));
    ASSERT_OK(olv_request_run(r, &err));
    const char *text = olv_tensor_get_string(olv_request_get_output(r, 0), 1, &len);
    assert_int_equal(len, 4);
    assert_memory_equal(text, "zwei", 4);
    const olv_tensor *q = olv_request_get_output(r, 1);
    assert_int_equal(olv_tensor_get_kind(q), OLV_KIND_SEQUENCE);
    assert_int_equal(olv_tensor_n_items(q), 2);
    assert_float_equal(floats(olv_tensor_get_item(q, 1))[1], 0.5f, 0);
    assert_null(olv_tensor_get_item(q, 2));
    olv_request_destroy(r);
    olv_tensor_destroy(s), olv_tensor_destroy(x);
    release_fixture(&f);
}

static char cpu[] = "CPU", reference[] = "REFERENCE";

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(runs_and_answers, cpu), cmocka_unit_test_prestate(runs_and_answers, reference),
        cmocka_unit_test(wrong_inputs_are_named), cmocka_unit_test(sizes_that_disagree_are_refused),
        cmocka_unit_test(parts_keep_the_whole), cmocka_unit_test(shapes_may_depend_on_data),
        cmocka_unit_test(ranges_bound_what_is_given),
        cmocka_unit_test_prestate(outputs_last_until_the_next_run, cpu), cmocka_unit_test_prestate(outputs_last_until_the_next_run, reference),
        cmocka_unit_test(nothing_is_allocated_while_running),
        cmocka_unit_test_prestate(strings_and_sequences_pass, cpu), cmocka_unit_test_prestate(strings_and_sequences_pass, reference)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
