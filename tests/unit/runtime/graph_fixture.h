/* SPDX-License-Identifier: Apache-2.0 */
/* Models for tests, from graph text. */
#ifndef TESTS_RUNTIME_GRAPH_FIXTURE_H
#define TESTS_RUNTIME_GRAPH_FIXTURE_H

#include "runtime/core.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

/* What a call says when it goes wrong, and that it does so with this status. */
#define ASSERT_OK(call)                                          \
    do {                                                         \
        if ((call) != OLV_OK) fail_msg("%s: %s", #call, err.message); \
    } while (0)
#define ASSERT_FAILS(want, part, call)                                                              \
    do {                                                                                            \
        olv_status status_ = (call);                                                                \
        if (status_ != (want)) fail_msg("%s: %s", #call, olv_status_text(status_));                 \
        if (!strstr(err.message, (part))) fail_msg("%s: no '%s' in: %s", #call, part, err.message); \
    } while (0)

static inline olv_model *model_of(const char *text) {
    ol_graph *g;
    olv_model *m;
    olv_error err;
    ASSERT_OK(ol_graph_parse(text, strlen(text), &g, &err));
    ASSERT_OK(ol_model_create(g, &m, &err));
    return m;
}

typedef struct compiled_fixture {
    olv_core *core;
    olv_compiled *compiled;
} compiled_fixture;

static inline compiled_fixture compile_text(const char *text, const char *device, const char *property) {
    compiled_fixture f;
    olv_error err;
    olv_model *m = model_of(text);
    ASSERT_OK(olv_core_create(&f.core, &err));
    ASSERT_OK(olv_compile(f.core, m, device, &property, property ? 1 : 0, &f.compiled, &err));
    olv_model_destroy(m);
    return f;
}

static inline void release_fixture(compiled_fixture *f) {
    olv_compiled_destroy(f->compiled);
    olv_core_destroy(f->core);
}

/* A tensor of floats 0.25, 0.5, 0.75, ... */
static inline olv_tensor *ramp(int rank, const int64_t *dims) {
    olv_tensor *t;
    olv_error err;
    ASSERT_OK(olv_tensor_create(OLV_F32, rank, dims, &t, &err));
    for (int64_t i = 0; i < olv_tensor_get_count(t); i++) ((float *)olv_tensor_get_data(t))[i] = 0.25f * (float)(i + 1);
    return t;
}

/* Names of whatever test program this is in may not use all of the above. */
static inline void fixture_unused(void) { (void)compile_text, (void)release_fixture, (void)ramp; }

#endif
