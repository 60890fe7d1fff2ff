/* SPDX-License-Identifier: Apache-2.0 */
/* The ONNX reader and writer: round trips, external data and its containment, hostile bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/wire/protobuf.h"
#include "formats/onnx/emit.h"
#include "formats/onnx/onnx.h"
#include "graph/op.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char dir[] = "/tmp/olivine-onnx-XXXXXX";

static const char text[] =
    "graph \"g\" {\n input x: f32[N, 4]\n input c: bool[]\n const w: f32[3, 4] {1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 1.0, 2.0, 3.0}\n"
    " const s: string[2] {\"a\", \"ü\"}\n i = Identity(s)\n y = olivine::Linear(x, w)\n"
    " z = If(c) then_branch=graph \"t\" { a = Neg(y)\n output a } else_branch=graph \"e\" { b = LeakyRelu(y) alpha=0.25\n output b }\n"
    " output z\n output i }";

static ol_graph *parse(const char *t) {
    ol_graph *g = NULL;
    olv_error err;
    if (ol_graph_parse(t, strlen(t), &g, &err) != OLV_OK) fail_msg("%s", err.message);
    return g;
}

static void read_all(const char *name, char **data, size_t *len) {
    char path[256];
    olv_error err;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    if (ol_file_read(path, 1 << 20, data, len, &err) != OLV_OK) fail_msg("%s", err.message);
}

static void write_text_graph(const char *name, uint64_t inline_max) {
    char path[256];
    olv_error err;
    ol_graph *g = parse(text);
    ol_onnx_write_options opt = {.inline_max = inline_max};
    snprintf(path, sizeof path, "%s/%s", dir, name);
    if (ol_onnx_write(g, path, &opt, &err) != OLV_OK) fail_msg("%s", err.message);
    ol_graph_destroy(g);
}

static void test_round_trip(void **s) {
    (void)s;
    char path[256], *a, *b, *data;
    size_t na, nb, nd;
    olv_error err;
    ol_graph *g;
    write_text_graph("a.onnx", 16);
    snprintf(path, sizeof path, "%s/a.onnx", dir);
    if (ol_onnx_read(path, &g, &err) != OLV_OK) fail_msg("%s", err.message);
    assert_int_equal(ol_graph_verify(g, &err), OLV_OK);
    assert_string_equal(g->inputs[0]->name, "x");
    assert_string_equal(ol_dim_symbol_name(g->dims, g->inputs[0]->type.dims[0]), "N");
    const ol_value *w = ol_graph_find_value(g, "w");
    assert_non_null(w->constant);
    float row[4];
    assert_int_equal(ol_const_rows_f32(w->constant, 1, 1, row, &err), OLV_OK);
    assert_true(row[0] == 5 && row[3] == 8);
    read_all("a.onnx.data", &data, &nd);
    assert_int_equal(nd, 48);
    /* written again: the same bytes */
    ol_onnx_write_options opt = {.inline_max = 16};
    snprintf(path, sizeof path, "%s/a.onnx", dir);
    read_all("a.onnx", &a, &na);
    ol_graph *again = parse(text);
    assert_int_equal(ol_onnx_write(again, path, &opt, &err), OLV_OK);
    read_all("a.onnx", &b, &nb);
    assert_int_equal(na, nb);
    assert_memory_equal(a, b, na);
    ol_graph_destroy(again);
    ol_graph_destroy(g);
    ol_free(a);
    ol_free(b);
    ol_free(data);
}

static olv_status read_model(const ol_buf *m, const char *in, olv_error *err) {
    ol_graph *g = NULL;
    olv_status s = ol_onnx_read_bytes(m->data, m->len, "m.onnx", in, &g, err);
    if (s == OLV_OK) ol_graph_destroy(g);
    return s;
}

/* A model whose only constant lies at [offset, offset + length) of `location`. */
static olv_status read_external(const char *location, uint64_t offset, uint64_t length, int64_t elements, olv_error *err) {
    ol_onnx_emit e = OL_ONNX_EMIT_INIT;
    ol_buf m = OL_BUF_INIT;
    ol_onnx_import import = {"", 24};
    const char *in[] = {"w"}, *out[] = {"y"};
    ol_onnx_emit_external(&e, "w", OL_F32, 1, &elements, location, offset, length);
    ol_onnx_emit_node(&e, "", "Relu", "r", in, 1, out, 1, NULL);
    ol_onnx_emit_output(&e, "y", OL_F32, -1, NULL, 0);
    assert_true(ol_onnx_emit_model(&e, "g", 12, &import, 1, NULL, NULL, 0, &m));
    olv_status s = read_model(&m, dir, err);
    ol_onnx_emit_deinit(&e);
    ol_buf_deinit(&m);
    return s;
}

static void expect_error(olv_status s, const olv_error *err, const char *part) {
    assert_int_not_equal(s, OLV_OK);
    if (!strstr(err->message, part)) fail_msg("'%s' lacks '%s'", err->message, part);
}

static void test_external(void **s) {
    (void)s;
    char path[256];
    olv_error err;
    snprintf(path, sizeof path, "%s/d.bin", dir);
    assert_int_equal(ol_file_write_atomic(path, "0123456789abcdef", 16, &err), OLV_OK);
    assert_int_equal(read_external("d.bin", 0, 16, 4, &err), OLV_OK);
    expect_error(read_external("d.bin", 8, 16, 4, &err), &err, "outside");
    expect_error(read_external("d.bin", UINT64_MAX / 2, 16, 4, &err), &err, "outside");
    expect_error(read_external("d.bin", 0, 12, 4, &err), &err, "12 bytes of data found, 16 expected");
    expect_error(read_external("../d.bin", 0, 16, 4, &err), &err, "leaves");
    expect_error(read_external("/etc/passwd", 0, 16, 4, &err), &err, "leaves");
    expect_error(read_external("none.bin", 0, 16, 4, &err), &err, "none.bin");
    expect_error(read_external("d.bin", 0, 16, (int64_t)1 << 61, &err), &err, "w");
}

static void test_errors(void **s) {
    (void)s;
    ol_buf m = OL_BUF_INIT;
    olv_error err;
    expect_error(read_model(&m, NULL, &err), &err, "m.onnx: no graph");
    ol_buf_puts(&m, "this is no model at all");
    assert_int_not_equal(read_model(&m, NULL, &err), OLV_OK);
    ol_buf_deinit(&m);
    static const struct {
        const char *op, *in, *part;
    } bad[] = {{"Nonsense", "x", "node 'n' (Nonsense): operator 'Nonsense' is not supported"},
               {"Relu", "missing", "input 'missing' is not defined"},
               {"Relu", "y", "cycle"},
               {"Add", "x", "1 inputs found"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ol_onnx_emit e = OL_ONNX_EMIT_INIT;
        ol_buf b = OL_BUF_INIT;
        ol_onnx_import import = {"", 24};
        const char *out[] = {"y"};
        ol_onnx_emit_input(&e, "x", OL_F32, -1, NULL, 0);
        ol_onnx_emit_node(&e, "", bad[i].op, "n", &bad[i].in, 1, out, 1, NULL);
        ol_onnx_emit_output(&e, "y", OL_F32, -1, NULL, 0);
        assert_true(ol_onnx_emit_model(&e, "g", 12, &import, 1, NULL, NULL, 0, &b));
        expect_error(read_model(&b, NULL, &err), &err, bad[i].part);
        ol_onnx_emit_deinit(&e);
        ol_buf_deinit(&b);
    }
}

/* Thousands of graphs inside one another: refused, without a deep stack. */
static void test_depth(void **s) {
    (void)s;
    ol_buf inner = OL_BUF_INIT;
    olv_error err;
    for (int i = 0; i < 2000; i++) {
        ol_buf attr = OL_BUF_INIT, node = OL_BUF_INIT, graph = OL_BUF_INIT;
        ol_pb_put_string(&attr, 1, "then_branch");
        ol_pb_put_bytes(&attr, 6, inner.data ? inner.data : "", inner.len);
        ol_pb_put_varint(&attr, 20, 5);
        ol_pb_put_string(&node, 4, "If");
        ol_pb_put_bytes(&node, 5, attr.data, attr.len);
        ol_pb_put_bytes(&graph, 1, node.data, node.len);
        ol_buf_deinit(&inner);
        ol_buf_deinit(&attr);
        ol_buf_deinit(&node);
        inner = graph;
    }
    ol_buf m = OL_BUF_INIT;
    ol_pb_put_bytes(&m, 7, inner.data, inner.len);
    expect_error(read_model(&m, NULL, &err), &err, "inside one another");
    ol_buf_deinit(&inner);
    ol_buf_deinit(&m);
}

/* Two functions that call each other twice would grow without end. */
static void test_recursion(void **s) {
    (void)s;
    ol_buf m = OL_BUF_INIT, graph = OL_BUF_INIT, node = OL_BUF_INIT, fn = OL_BUF_INIT;
    olv_error err;
    ol_pb_put_string(&node, 4, "F");
    ol_pb_put_string(&node, 7, "d");
    ol_pb_put_bytes(&graph, 1, node.data, node.len);
    ol_pb_put_string(&fn, 1, "F");
    ol_pb_put_bytes(&fn, 7, node.data, node.len);
    ol_pb_put_bytes(&fn, 7, node.data, node.len);
    ol_pb_put_string(&fn, 10, "d");
    ol_pb_put_bytes(&m, 7, graph.data, graph.len);
    ol_pb_put_bytes(&m, 25, fn.data, fn.len);
    expect_error(read_model(&m, NULL, &err), &err, "deep");
    ol_buf_deinit(&m);
    ol_buf_deinit(&graph);
    ol_buf_deinit(&node);
    ol_buf_deinit(&fn);
}

/* Cut at every length, and with changed bytes: errors or graphs, never a crash. */
static void test_mutations(void **s) {
    (void)s;
    char *a;
    size_t n;
    uint32_t seed = 12345;
    olv_error err;
    write_text_graph("m.onnx", 1 << 20);
    read_all("m.onnx", &a, &n);
    for (size_t i = 0; i < n; i++) {
        ol_buf b = {.data = a, .len = i, .cap = n};
        (void)read_model(&b, NULL, &err);
    }
    for (int i = 0; i < 20000; i++) {
        seed = seed * 1664525u + 1013904223u;
        size_t at = (seed >> 8) % n;
        char old = a[at];
        a[at] = (char)(seed >> 3);
        ol_buf b = {.data = a, .len = n, .cap = n};
        (void)read_model(&b, NULL, &err);
        if (i % 4) a[at] = old; /* some changes stay */
    }
    ol_free(a);
}

static int make_dir(void **s) {
    (void)s;
    return mkdtemp(dir) ? 0 : -1;
}
static int drop_dir(void **s) {
    (void)s;
    return ol_dir_remove(dir, NULL) == OLV_OK ? 0 : -1;
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_round_trip), cmocka_unit_test(test_external), cmocka_unit_test(test_errors),
                                       cmocka_unit_test(test_depth), cmocka_unit_test(test_recursion), cmocka_unit_test(test_mutations)};
    return cmocka_run_group_tests(tests, make_dir, drop_dir);
}
