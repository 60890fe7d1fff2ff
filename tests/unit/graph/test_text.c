/* SPDX-License-Identifier: Apache-2.0 */
/* Graph text: dump, parse, dump again; building, verifying, pruning, sorting; traced shapes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "graph/op.h"

static const char lm[] =
    "graph \"small\" {\n"
    "  meta \"model_type\" = \"llama\"\n"
    "  state kv0 kv heads=1 k=4 v=4 window=0 elements=0\n"
    "  input x: f32[T, 8]\n"
    "  input positions: i64[T]\n"
    "  const inv: f32[2] {1.0, 0.5}\n"
    "  const w: f32[4, 8] {0.5, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.25, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, "
    "-1.5, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0, 0.0}\n"
    "  table: f32[T, 4] = olivine::RotaryTable(positions, inv) mode=\"plain\" @RotaryTable_0\n"
    "  k: f32[T, 4] = olivine::Linear(x, w) @Linear_1\n"
    "  r: f32[T, 4] = olivine::Rotary(k, table) heads=1 interleaved=0 @Rotary_2\n"
    "  y: f32[T, 4] = olivine::Attention(r, r, k) heads=1 kv_heads=1 scale=0.5 state=0 @\"odd name\"\n"
    "  output y\n"
    "}\n";

static ol_graph *parse(const char *text) {
    ol_graph *g = NULL;
    olv_error err;
    if (ol_graph_parse(text, strlen(text), &g, &err) != OLV_OK) fail_msg("%s", err.message);
    if (ol_graph_verify(g, &err) != OLV_OK) fail_msg("%s", err.message);
    return g;
}

static void check_round_trip(const char *text) {
    ol_graph *g = parse(text);
    ol_buf a = OL_BUF_INIT;
    ol_graph_dump(g, &a);
    assert_string_equal(a.data, text);
    ol_buf_deinit(&a);
    ol_graph_destroy(g);
}

static void test_round_trip(void **s) {
    (void)s;
    check_round_trip(lm);
    check_round_trip("graph \"\" {\n  input c: bool[]\n  input \"a/b:0\": f32[N, 3]\n  const one: i64[1] {1}\n"
                     "  y: f32[N, 3] = If(c) then_branch=graph \"t\" {\n    z: f32[N, 3] = Neg(\"a/b:0\") @n1\n    output z\n"
                     "  } else_branch=graph \"e\" {\n    q: f32[N, 3] = Abs(\"a/b:0\") @n2\n    output q\n  } @if\n"
                     "  t: f32[3, N] = Transpose(y) perm=ints[1, 0] @t\n  output t\n}\n");
}

static void test_traced_shape(void **s) {
    (void)s;
    ol_graph *g = parse("graph \"\" { input x: f32[B, S, 64]\n const zero: i64[1] {0}\n const one: i64[1] {1}\n"
                        " const heads: i64[2] {4, 16}\n sh = Shape(x)\n b = Gather(sh, zero)\n n = Gather(sh, one)\n"
                        " target = Concat(b, n, heads) axis=0\n y = Reshape(x, target)\n"
                        " const rest: i64[2] {-1, 64}\n back = Reshape(y, rest)\n output y\n output back }");
    const ol_type *y = &ol_graph_find_value(g, "y")->type, *x = &g->inputs[0]->type;
    assert_int_equal(y->rank, 4);
    assert_true(y->dims[0] == x->dims[0] && y->dims[1] == x->dims[1]);
    assert_true(y->dims[2] == 4 && y->dims[3] == 16);
    const ol_type *back = &ol_graph_find_value(g, "back")->type;
    assert_true(back->dims[0] == ol_dim_mul(g->dims, x->dims[0], x->dims[1]));
    ol_graph_destroy(g);
}

static void test_errors(void **s) {
    (void)s;
    static const struct {
        const char *text, *part;
    } bad[] = {{"graph \"\" { y = Nope(x) }", "not known"},
               {"graph \"\" { y = Relu(x) }", "not defined"},
               {"graph \"\" { input x: f32[2, 3]\n input z: f32[4, 5]\n y = MatMul(x, z)\n output y }", "inner sizes 3 and 4"},
               {"graph \"\" { input x: f32[2]\n input x: f32[2] }", "taken"},
               {"graph \"\" { input x: f32[2]\n y = Softmax(x) axis=3 }", "axis 3"},
               {"graph \"\" { input x: f32[2]\n y = Softmax(x) axis=\"a\" }", "attribute 'axis'"},
               {"graph \"\" { input x: f32[2]\n y = Add(x) }", "1 inputs found"},
               {"graph \"\" { const c: f32[2] {1.0} }", "expected"},
               {"graph \"\" {", "expected"},
               {"", "graph expected"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ol_graph *g = NULL;
        olv_error err = {OLV_OK, ""};
        assert_int_not_equal(ol_graph_parse(bad[i].text, strlen(bad[i].text), &g, &err), OLV_OK);
        assert_null(g);
        if (!strstr(err.message, bad[i].part)) fail_msg("'%s' lacks '%s'", err.message, bad[i].part);
    }
}

static void test_change(void **s) {
    (void)s;
    olv_error err;
    ol_graph *g = parse("graph \"\" { input x: f32[2]\n a = Relu(x)\n b = Neg(a)\n c = Abs(a)\n dead = Exp(c)\n output b }");
    ol_value *a = ol_graph_find_value(g, "a"), *b = ol_graph_find_value(g, "b");
    assert_int_equal(a->n_uses, 2);
    assert_null(ol_value_only_user(a));
    ol_graph_prune(g);
    assert_int_equal(g->n_nodes, 2);
    assert_ptr_equal(ol_value_only_user(a), b->producer);
    assert_null(ol_graph_find_value(g, "dead"));
    ol_value_replace_uses(a, g->inputs[0]);
    ol_graph_prune(g);
    assert_int_equal(g->n_nodes, 1);
    assert_int_equal(ol_graph_verify(g, &err), OLV_OK);
    /* put a node before the producer of its input, then sort */
    ol_node *n = ol_graph_add_node(g, b->producer, ol_op_find("", "Relu"), "late", &b, 1, NULL, 1, NULL, 0, &err);
    assert_non_null(n);
    assert_int_not_equal(ol_graph_verify(g, &err), OLV_OK);
    assert_int_equal(ol_graph_sort(g, &err), OLV_OK);
    assert_int_equal(ol_graph_verify(g, &err), OLV_OK);
    /* a cycle */
    ol_node_set_input(b->producer, 0, n->outputs[0]);
    assert_int_equal(ol_graph_sort(g, &err), OLV_FORMAT);
    assert_non_null(strstr(err.message, "cycle"));
    ol_graph_destroy(g);
}

/* Every allocation of a parse may fail: an error, nothing leaked or lost (the sanitizer build sees leaks). */
static void test_no_memory(void **s) {
    (void)s;
    olv_error err;
    for (uint64_t n = 1; n < 4000; n++) {
        ol_graph *g = NULL;
        ol_alloc_fail_at(n, true);
        olv_status st = ol_graph_parse(lm, strlen(lm), &g, &err);
        ol_alloc_fail_at(0, false);
        if (st == OLV_OK) {
            ol_graph_destroy(g);
            assert_true(n > 10);
            return;
        }
        assert_null(g);
    }
    fail_msg("parsing never succeeded");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_round_trip), cmocka_unit_test(test_traced_shape),
                                       cmocka_unit_test(test_errors), cmocka_unit_test(test_change),
                                       cmocka_unit_test(test_no_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
