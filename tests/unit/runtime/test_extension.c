/* SPDX-License-Identifier: Apache-2.0 */
/* Operators of users: registered, read, run, and what they may do wrong. */
#include "graph_fixture.h"
#include <olivine/extension.h>
#include <stdio.h>
#include <unistd.h>

static int destroyed;
static void destroy(void *ctx) {
    (void)ctx;
    destroyed++;
}

/* y = repeat(x, times): [n] -> [n * times], of a size that only the run knows when the attribute says so. */
static olv_status infer(olv_op_call *c, void *ctx, olv_error *err) {
    (void)ctx;
    olv_port x;
    if (!olv_op_get_type(c, 0, &x)) return olv_op_fail(err, OLV_SHAPE, "an input is needed");
    if (olv_op_int(c, "like", 0)) return olv_op_set_output(c, 0, OLV_F32, 1, (int64_t[]){OLV_DIM_OF(0, 0)}, err);
    return olv_op_set_output(c, 0, OLV_F32, 1, (int64_t[]){-1}, err);
}

static olv_status eval(olv_op_call *c, void *ctx, olv_error *err) {
    const olv_tensor *x = olv_op_get_input(c, 0);
    int64_t times = olv_op_int(c, "times", 1), n = olv_tensor_get_count(x);
    olv_tensor *y;
    if (times == -1) return OLV_SHAPE; /* without a word */
    if (times == -2) return OLV_OK;    /* without an output */
    olv_status s = olv_op_make_output(c, 0, OLV_F32, 1, (int64_t[]){n * times}, &y, err);
    for (int64_t i = 0; s == OLV_OK && i < n * times; i++) ((float *)olv_tensor_get_data(y))[i] = ((const float *)olv_tensor_get_data(x))[i % n];
    ++*(int *)ctx;
    return s;
}

static int calls;
static const olv_op repeat = {.struct_size = sizeof repeat, .domain = "test", .name = "Repeat", .min_inputs = 1, .max_inputs = 1,
                              .min_outputs = 1, .max_outputs = 1, .infer = infer, .eval = eval, .ctx = &calls, .destroy = destroy};

/* Messages of protobuf, by hand: node Repeat(x) -> y between an input [N] and an output. */
typedef struct message {
    uint8_t bytes[600];
    size_t n;
} message;
static void put_bytes(message *m, int field, const void *p, size_t n) {
    assert_true(n < 128 * 128 && m->n + n + 4 < sizeof m->bytes);
    m->bytes[m->n++] = (uint8_t)(field << 3 | 2);
    if (n >= 128) m->bytes[m->n++] = (uint8_t)(n | 128), m->bytes[m->n++] = (uint8_t)(n >> 7);
    else m->bytes[m->n++] = (uint8_t)n;
    memcpy(m->bytes + m->n, p, n);
    m->n += n;
}
static void put_text(message *m, int field, const char *s) { put_bytes(m, field, s, strlen(s)); }
static void put_message(message *m, int field, const message *sub) { put_bytes(m, field, sub->bytes, sub->n); }
static void put_varint(message *m, uint64_t u) {
    for (; u >= 128; u >>= 7) m->bytes[m->n++] = (uint8_t)((u & 127) | 128);
    m->bytes[m->n++] = (uint8_t)u;
}
static void put_int(message *m, int field, int64_t v) {
    put_varint(m, (uint64_t)field << 3);
    put_varint(m, (uint64_t)v);
}
static void put_attribute(message *node, const char *name, int64_t v) {
    message a = {{0}, 0};
    put_text(&a, 1, name), put_int(&a, 3, v), put_int(&a, 20, 2);
    put_message(node, 5, &a);
}
static void put_port(message *graph, int field, const char *name) {
    message dim = {{0}, 0}, shape = {{0}, 0}, tensor = {{0}, 0}, type = {{0}, 0}, info = {{0}, 0};
    put_text(&dim, 2, name), put_message(&shape, 1, &dim);
    put_int(&tensor, 1, 1), put_message(&tensor, 2, &shape), put_message(&type, 1, &tensor);
    put_text(&info, 1, name), put_message(&info, 2, &type), put_message(graph, field, &info);
}

static char path[64];
static void write_model(int64_t times, int64_t like) {
    message node = {{0}, 0}, graph = {{0}, 0}, model = {{0}, 0}, standard = {{0}, 0}, own = {{0}, 0};
    put_text(&node, 1, "x"), put_text(&node, 2, "y"), put_text(&node, 3, "the_node"), put_text(&node, 4, "Repeat"), put_text(&node, 7, "test");
    put_attribute(&node, "times", times), put_attribute(&node, "like", like);
    put_message(&graph, 1, &node), put_text(&graph, 2, "g"), put_port(&graph, 11, "x"), put_port(&graph, 12, "y");
    put_int(&model, 1, 8), put_message(&model, 7, &graph);
    put_int(&standard, 2, 17), put_text(&own, 1, "test"), put_int(&own, 2, 1);
    put_message(&model, 8, &standard), put_message(&model, 8, &own);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(model.bytes, 1, model.n, f), model.n);
    fclose(f);
}

static olv_status run_model(olv_core *core, const char *device, float *sum, olv_error *err) {
    olv_model *m = NULL;
    olv_compiled *c = NULL;
    olv_request *r = NULL;
    olv_tensor *x = ramp(1, (int64_t[]){4}); /* 0.25 to 1 */
    olv_status s = olv_core_read_model(core, path, &m, err);
    if (s == OLV_OK) s = olv_compile(core, m, device, NULL, 0, &c, err);
    olv_model_destroy(m);
    if (s == OLV_OK) s = olv_request_create(c, &r, err);
    if (s == OLV_OK) s = olv_request_set_input(r, "x", x, err);
    if (s == OLV_OK) s = olv_request_run(r, err);
    const olv_tensor *y = s == OLV_OK ? olv_request_get_output(r, 0) : NULL;
    *sum = 0;
    for (int64_t i = 0; y && i < olv_tensor_get_count(y); i++) *sum += ((const float *)olv_tensor_get_data(y))[i];
    olv_request_destroy(r);
    olv_compiled_destroy(c);
    olv_tensor_destroy(x);
    return s;
}

static void an_operator_is_read_and_run(void **state) {
    (void)state;
    olv_error err;
    olv_core *core;
    olv_model *m;
    float sum;
    destroyed = calls = 0;
    ASSERT_OK(olv_core_create(&core, &err));
    write_model(3, 0);
    ASSERT_FAILS(OLV_UNSUPPORTED, "'test::Repeat' is not supported", olv_core_read_model(core, path, &m, &err));
    ASSERT_OK(olv_register_op(core, &repeat, &err));
    ASSERT_FAILS(OLV_UNSUPPORTED, "'test::Repeat' is not supported", olv_model_read(path, &m, &err)); /* the core's alone */
    for (int device = 0; device < 2; device++) {
        ASSERT_OK(run_model(core, device ? "REFERENCE" : "CPU", &sum, &err));
        assert_float_equal(sum, 3 * 2.5f, 1e-6);
    }
    assert_int_equal(calls, 2);
    write_model(1, 1);
    ASSERT_OK(run_model(core, "CPU", &sum, &err));
    assert_float_equal(sum, 2.5f, 1e-6);
    ASSERT_OK(olv_core_read_model(core, path, &m, &err));
    olv_core_destroy(core);
    assert_int_equal(destroyed, 0); /* the model knows the operator */
    olv_model_destroy(m);
    assert_int_equal(destroyed, 1);
}

static void what_an_operator_does_wrong_is_said(void **state) {
    (void)state;
    olv_error err;
    olv_core *core;
    float sum;
    ASSERT_OK(olv_core_create(&core, &err));
    ASSERT_OK(olv_register_op(core, &repeat, &err));
    write_model(2, 1); /* says like the input, makes twice as much */
    ASSERT_FAILS(OLV_SHAPE, "another shape than inferred", run_model(core, "CPU", &sum, &err));
    write_model(-1, 1);
    ASSERT_FAILS(OLV_SHAPE, "operator 'Repeat' failed", run_model(core, "CPU", &sum, &err));
    write_model(-2, 1);
    ASSERT_FAILS(OLV_INTERNAL, "has not made output 0", run_model(core, "CPU", &sum, &err));
    ASSERT_FAILS(OLV_STATE, "already", olv_register_op(core, &repeat, &err));
    olv_op bad = repeat;
    bad.domain = "", bad.name = "Relu";
    ASSERT_FAILS(OLV_STATE, "already", olv_register_op(core, &bad, &err));
    bad.name = "Mine", bad.eval = NULL;
    ASSERT_FAILS(OLV_ARG, "infer and eval", olv_register_op(core, &bad, &err));
    bad = repeat, bad.struct_size = 8;
    ASSERT_FAILS(OLV_ARG, "struct_size", olv_register_op(core, &bad, &err));
    bad = repeat, bad.max_inputs = 0;
    ASSERT_FAILS(OLV_ARG, "make no sense", olv_register_op(core, &bad, &err));
    ASSERT_FAILS(OLV_NOT_FOUND, "nowhere.so", olv_core_load_extension(core, "/nowhere.so", &err));
    ASSERT_FAILS(OLV_FORMAT, OLV_EXTENSION_ENTRY, olv_core_load_extension(core, "libm.so.6", &err));
    olv_core_destroy(core);
}

int main(void) {
    snprintf(path, sizeof path, "/tmp/ol-test-extension-%d.onnx", (int)getpid());
    const struct CMUnitTest tests[] = {cmocka_unit_test(an_operator_is_read_and_run), cmocka_unit_test(what_an_operator_does_wrong_is_said)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(path);
    return failed;
}
