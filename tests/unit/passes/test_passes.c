/* SPDX-License-Identifier: Apache-2.0 */
/* Each pass: graph text before and after, and both evaluated on the reference device with the same data. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "device/reference/reference.h"
#include "passes/passes.h"
#include <math.h>

typedef struct pass_case {
    const char *pass;
    const char *before;
    const char *after; /* only the lines of nodes and constants, as the dump has them */
    bool rounded;      /* results may differ in the last bits */
} pass_case;

static const pass_case cases[] = {
    {"fold-constants",
     "graph \"\" { input x: f32[2]\n const a: f32[2] {1.0, 2.0}\n const b: f32[2] {3.0, 4.0}\n"
     " c = Add(a, b)\n y = Mul(x, c) @m\n output y }",
     "graph \"\" {\n  input x: f32[2]\n  const v_1: f32[2] {4.0, 6.0}\n  y: f32[2] = Mul(x, v_1) @m\n  output y\n}\n"},
    {"fold-constants",
     "graph \"\" { input x: f32[2, 3]\n s = Shape(x)\n y = Reshape(x, s) @r\n output y }",
     "graph \"\" {\n  input x: f32[2, 3]\n  const v_1: i64[2] {2, 3}\n  y: f32[2, 3] = Reshape(x, v_1) @r\n  output y\n}\n"},
    {"remove-identities",
     "graph \"\" { input x: f32[2]\n a = Identity(x)\n b = Cast(a) to=1\n y = Neg(b) @n\n output y }",
     "graph \"\" {\n  input x: f32[2]\n  y: f32[2] = Neg(x) @n\n  output y\n}\n"},
    {"remove-identities",
     "graph \"\" { input x: f32[2, 2]\n a = Transpose(x) perm=ints[0, 1]\n y = Transpose(a) perm=ints[1, 0] @t\n output y }",
     "graph \"\" {\n  input x: f32[2, 2]\n  y: f32[2, 2] = Transpose(x) perm=ints[1, 0] @t\n  output y\n}\n"},
    {"merge-equal",
     "graph \"\" { input x: f32[2]\n a = Exp(x) @a\n b = Exp(x) @b\n c = LeakyRelu(x) alpha=0.5 @c\n d = LeakyRelu(x) alpha=0.25 @d\n"
     " e = Add(a, b) @e\n f = Add(c, d) @f\n y = Sub(e, f) @y\n output y }",
     "graph \"\" {\n  input x: f32[2]\n  a: f32[2] = Exp(x) @a\n  c: f32[2] = LeakyRelu(x) alpha=0.5 @c\n"
     "  d: f32[2] = LeakyRelu(x) alpha=0.25 @d\n  e: f32[2] = Add(a, a) @e\n  f: f32[2] = Add(c, d) @f\n"
     "  y: f32[2] = Sub(e, f) @y\n  output y\n}\n"},
    {"fuse-activations",
     "graph \"\" { input x: f32[2, 3]\n s = Sigmoid(x)\n y = Mul(x, s) @m\n output y }",
     "graph \"\" {\n  input x: f32[2, 3]\n  y: f32[2, 3] = Swish(x) @m\n  output y\n}\n", true},
    {"fuse-activations",
     "graph \"\" { input x: f32[2, 3]\n const r: f32[] {1.41421354}\n const o: f32[] {1.0}\n const h: f32[] {0.5}\n d = Div(x, r)\n e = Erf(d)\n"
     " a = Add(e, o)\n m = Mul(x, a)\n y = Mul(m, h) @m\n output y }",
     "graph \"\" {\n  input x: f32[2, 3]\n  y: f32[2, 3] = Gelu(x) @m\n  output y\n}\n", true},
    {"fuse-pads",
     "graph \"\" { input x: f32[1, 1, 3, 3]\n const p: i64[8] {0, 0, 1, 0, 0, 0, 0, 2}\n const w: f32[1, 1, 2, 2] {1.0, 2.0, 3.0, 4.0}\n"
     " a = Pad(x, p)\n y = Conv(a, w) pads=ints[0, 1, 0, 0] @c\n output y }",
     "graph \"\" {\n  input x: f32[1, 1, 3, 3]\n  const w: f32[1, 1, 2, 2] {1.0, 2.0, 3.0, 4.0}\n  y: f32[1, 1, 3, 5] = Conv(x, w) pads=ints[1, 1, 0, 2] @c\n  output y\n}\n"},
    {"raise-linear",
     "graph \"\" { input x: f32[2, 2]\n const w: f32[2, 3] {1.0, 2.0, 3.0, 4.0, 5.0, 6.0}\n const b: f32[1, 3] {0.5, 1.5, 2.5}\n"
     " a = MatMul(x, w) @m\n y = Add(b, a)\n output y }",
     "graph \"\" {\n  input x: f32[2, 2]\n  const v_1: f32[3] {0.5, 1.5, 2.5}\n  const v_2: f32[3, 2] {1.0, 4.0, 2.0, 5.0, 3.0, 6.0}\n  y: f32[2, 3] = olivine::Linear(x, v_2, v_1) @m\n  output y\n}\n"},
    {"raise-linear",
     "graph \"\" { input x: f32[2, 2]\n const w: f32[3, 2] {1.0, 2.0, 3.0, 4.0, 5.0, 6.0}\n y = Gemm(x, w) transB=1 @g\n output y }",
     "graph \"\" {\n  input x: f32[2, 2]\n  const v_0: f32[3, 2] {1.0, 2.0, 3.0, 4.0, 5.0, 6.0}\n  y: f32[2, 3] = olivine::Linear(x, v_0) @g\n  output y\n}\n"},
    {"remove-dead",
     "graph \"\" { input x: f32[2]\n const k: f32[2] {1.0, 1.0}\n a = Add(x, k)\n y = Neg(x) @n\n output y }",
     "graph \"\" {\n  input x: f32[2]\n  y: f32[2] = Neg(x) @n\n  output y\n}\n"},
};

static ol_graph *parse(const char *text) {
    ol_graph *g = NULL;
    olv_error err;
    if (ol_graph_parse(text, strlen(text), &g, &err) != OLV_OK) fail_msg("%s", err.message);
    return g;
}

static void evaluate(const ol_graph *g, ol_datum *out) {
    ol_datum in = {.kind = OL_VALUE_TENSOR, .present = true};
    const char *name = g->inputs[0]->name;
    olv_error err;
    const ol_type *t = &g->inputs[0]->type;
    assert_int_equal(ol_tensor_init(&in.tensor, t->dtype, t->rank, t->dims, &err), OLV_OK);
    for (int64_t i = 0; i < ol_tensor_count(&in.tensor); i++) ((float *)in.tensor.data)[i] = 0.75f - (float)i;
    if (ol_reference_run(g, NULL, &name, &in, 1, out, &err) != OLV_OK) fail_msg("%s", err.message);
    ol_datum_deinit(&in);
}

static void check(const pass_case *c) {
    olv_error err;
    bool changed = false;
    ol_datum before = {.kind = OL_VALUE_TENSOR}, after = {.kind = OL_VALUE_TENSOR};
    ol_graph *g = parse(c->before);
    evaluate(g, &before);
    assert_int_equal(ol_pass_find(c->pass)->run(g, &changed, &err), OLV_OK);
    assert_true(changed);
    ol_graph_prune(g);
    if (ol_graph_verify(g, &err) != OLV_OK) fail_msg("%s", err.message);
    ol_buf b = OL_BUF_INIT;
    ol_graph_dump(g, &b);
    assert_string_equal(b.data, c->after);
    ol_buf_deinit(&b);
    evaluate(g, &after);
    assert_int_equal(before.tensor.bytes, after.tensor.bytes);
    for (int64_t i = 0; c->rounded && i < ol_tensor_count(&before.tensor); i++)
        assert_true(fabsf(((float *)before.tensor.data)[i] - ((float *)after.tensor.data)[i]) < 1e-6f);
    if (!c->rounded) assert_memory_equal(before.tensor.data, after.tensor.data, before.tensor.bytes);
    changed = false;
    assert_int_equal(ol_pass_find(c->pass)->run(g, &changed, &err), OLV_OK);
    assert_false(changed); /* nothing is left to do */
    ol_datum_deinit(&before);
    ol_datum_deinit(&after);
    ol_graph_destroy(g);
}

static void test_cases(void **s) {
    (void)s;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) check(&cases[i]);
}

static void test_all(void **s) {
    (void)s;
    olv_error err;
    ol_graph *g = parse("graph \"\" { input x: f32[4]\n const a: f32[2] {1.0, 2.0}\n i = Identity(a)\n c = Concat(i, a) axis=0\n"
                        " p = Add(x, c)\n q = Add(x, c)\n y = Mul(p, q)\n output y }");
    ol_datum before = {.kind = OL_VALUE_TENSOR}, after = {.kind = OL_VALUE_TENSOR};
    evaluate(g, &before);
    assert_int_equal(ol_passes_run(g, &err), OLV_OK);
    assert_int_equal(g->n_nodes, 2);
    assert_int_equal(ol_graph_verify(g, &err), OLV_OK);
    evaluate(g, &after);
    assert_memory_equal(before.tensor.data, after.tensor.data, before.tensor.bytes);
    ol_datum_deinit(&before);
    ol_datum_deinit(&after);
    ol_graph_destroy(g);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cases), cmocka_unit_test(test_all)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
