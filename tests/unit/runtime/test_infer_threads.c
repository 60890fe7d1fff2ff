/* SPDX-License-Identifier: Apache-2.0 */
/* Requests on threads: runs apart, waiting, cancelling, several streams, several models of one core. */
#include "graph_fixture.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ROWS 96

static const char product[] = "graph \"\" { input x: f32[N, 96]\n y = MatMul(x, x)\n z = Softmax(y) axis=-1\n output z }";

/* A graph of many products, one after the other: seconds of work. */
static char *long_graph(int n) {
    size_t size = 256 + (size_t)n * 64, at = 0;
    char *text = malloc(size);
    assert_non_null(text);
    at += (size_t)snprintf(text + at, size - at, "graph \"\" { input v0: f32[512, 512]\n");
    for (int i = 0; i < n; i++) at += (size_t)snprintf(text + at, size - at, " v%d = MatMul(v%d, v0)\n", i + 1, i);
    snprintf(text + at, size - at, " output v%d }", n);
    return text;
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

typedef struct seen {
    atomic_int calls;
    olv_status status;
    char message[200];
} seen;

static void on_done(void *ctx, olv_status status, const olv_error *err) {
    seen *s = ctx;
    s->status = status;
    snprintf(s->message, sizeof s->message, "%.150s", err ? err->message : "");
    atomic_fetch_add(&s->calls, 1);
}

static void a_run_apart_tells_its_end(void **state) {
    (void)state;
    olv_error err;
    compiled_fixture f = compile_text(product, "CPU", NULL);
    olv_request *r;
    seen s = {0};
    olv_tensor *x = ramp(2, (int64_t[]){96, 96});
    ASSERT_OK(olv_request_create(f.compiled, &r, &err));
    ASSERT_OK(olv_request_start(r, on_done, &s, &err));
    ASSERT_FAILS(OLV_ARG, "input 'x'", olv_request_wait(r, -1, &err)); /* not given */
    assert_int_equal(s.calls, 1);
    assert_int_equal(s.status, OLV_ARG);
    assert_non_null(strstr(s.message, "input 'x'"));
    ASSERT_OK(olv_request_set_input(r, "x", x, &err));
    for (int i = 0; i < 20; i++) {
        ASSERT_OK(olv_request_start(r, on_done, &s, &err));
        ASSERT_OK(olv_request_wait(r, -1, &err));
        ASSERT_OK(olv_request_wait(r, 0, &err)); /* asked again, it says the same */
        assert_int_equal(s.calls, i + 2);
        assert_int_equal(s.status, OLV_OK);
    }
    olv_request_destroy(r);
    olv_tensor_destroy(x);
    release_fixture(&f);
}

static void a_long_run_can_be_awaited_and_cancelled(void **state) {
    (void)state;
    olv_error err;
    char *text = long_graph(20000);
    compiled_fixture f = compile_text(text, "CPU", NULL);
    olv_request *r;
    olv_tensor *x = ramp(2, (int64_t[]){512, 512});
    memset(olv_tensor_get_data(x), 0, olv_tensor_get_bytes(x));
    ASSERT_OK(olv_request_create(f.compiled, &r, &err));
    ASSERT_OK(olv_request_set_input(r, "v0", x, &err));
    for (int i = 0; i < 2; i++) {
        ASSERT_OK(olv_request_start(r, NULL, NULL, &err));
        ASSERT_FAILS(OLV_TIMEOUT, "not over", olv_request_wait(r, 1, &err));
        ASSERT_FAILS(OLV_STATE, "running", olv_request_start(r, NULL, NULL, &err));
        ASSERT_FAILS(OLV_STATE, "running", olv_request_run(r, &err));
        ASSERT_FAILS(OLV_STATE, "running", olv_request_set_input(r, "v0", x, &err));
        double t0 = now();
        olv_request_cancel(r);
        ASSERT_FAILS(OLV_CANCELLED, "cancelled", olv_request_wait(r, -1, &err));
        assert_true(now() - t0 < 10); /* the whole takes much longer */
        assert_null(olv_request_get_output(r, 0));
    }
    ASSERT_OK(olv_request_start(r, NULL, NULL, &err));
    olv_request_cancel(r);
    olv_request_destroy(r); /* waits */
    olv_tensor_destroy(x);
    release_fixture(&f);
    free(text);
}

/* ---- several at once ---- */

typedef struct worker {
    olv_compiled *compiled;
    const olv_tensor *x;
    float want;
    bool fine;
} worker;

static void *work(void *p) {
    worker *w = p;
    olv_error err;
    olv_request *r;
    w->fine = olv_request_create(w->compiled, &r, &err) == OLV_OK;
    if (!w->fine) return NULL;
    w->fine = olv_request_set_input_at(r, 0, w->x, &err) == OLV_OK;
    for (int i = 0; w->fine && i < 15; i++) {
        w->fine = olv_request_run(r, &err) == OLV_OK;
        const olv_tensor *z = w->fine ? olv_request_get_output(r, 0) : NULL;
        w->fine = w->fine && ((const float *)olv_tensor_get_data(z))[olv_tensor_get_count(z) - 1] == w->want;
    }
    olv_request_destroy(r);
    return NULL;
}

static float answer_of(olv_compiled *c, const olv_tensor *x) {
    olv_error err;
    olv_request *r;
    ASSERT_OK(olv_request_create(c, &r, &err));
    ASSERT_OK(olv_request_set_input_at(r, 0, x, &err));
    ASSERT_OK(olv_request_run(r, &err));
    const olv_tensor *z = olv_request_get_output(r, 0);
    float v = ((const float *)olv_tensor_get_data(z))[olv_tensor_get_count(z) - 1];
    olv_request_destroy(r);
    return v;
}

/* Bits do not depend on how many run, or on the number of streams. */
static void requests_do_not_disturb_each_other(void **state) {
    olv_error err;
    const char *property = *state;
    olv_core *core;
    olv_model *m = model_of(product), *other = model_of("graph \"\" { input x: f32[N, 96]\n y = Gelu(x)\n z = MatMul(y, x)\n output z }");
    olv_compiled *c[2];
    olv_tensor *x = ramp(2, (int64_t[]){ROWS, 96});
    for (int64_t i = 0; i < ROWS * 96; i++) ((float *)olv_tensor_get_data(x))[i] = (float)(i % 7) * 0.01f;
    ASSERT_OK(olv_core_create(&core, &err));
    ASSERT_OK(olv_compile(core, m, "CPU", &property, 1, &c[0], &err));
    ASSERT_OK(olv_compile(core, other, "CPU", &property, 1, &c[1], &err)); /* two models share the core */
    worker w[6];
    pthread_t t[6];
    float want[2] = {answer_of(c[0], x), answer_of(c[1], x)};
    for (int i = 0; i < 6; i++) {
        w[i] = (worker){c[i % 2], x, want[i % 2], false};
        assert_int_equal(pthread_create(&t[i], NULL, work, &w[i]), 0);
    }
    const char *value;
    ASSERT_OK(olv_core_set_property(core, "NUM_STREAMS", "2", &err)); /* of no matter for what is compiled */
    ASSERT_OK(olv_core_get_property(core, "NUM_STREAMS", &value, &err));
    assert_string_equal(value, "2");
    for (int i = 0; i < 6; i++) pthread_join(t[i], NULL);
    for (int i = 0; i < 6; i++) assert_true(w[i].fine);
    olv_tensor_destroy(x);
    olv_compiled_destroy(c[0]), olv_compiled_destroy(c[1]);
    olv_model_destroy(m), olv_model_destroy(other);
    olv_core_destroy(core);
}

static char one[] = "NUM_STREAMS=1", three[] = "NUM_STREAMS=3";

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_run_apart_tells_its_end), cmocka_unit_test(a_long_run_can_be_awaited_and_cancelled),
                                       cmocka_unit_test_prestate(requests_do_not_disturb_each_other, one),
                                       cmocka_unit_test_prestate(requests_do_not_disturb_each_other, three)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
