/* SPDX-License-Identifier: Apache-2.0 */
/* The writer of IR: what it says, that it says the same twice, and that it leaves nothing behind when it cannot. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/file.h"
#include "formats/openvino/emit.h"
#include "formats/openvino/openvino.h"
#include "formats/openvino/write.h"
#include "graph/op.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char dir[] = "/tmp/olivine-ir-XXXXXX";

static const char plain[] =
    "graph \"g\" {\n input x: f32[N, 4]\n input c: bool[]\n const w: f32[4, 3] {1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 1.0, 2.0, 3.0}\n"
    " const w2: f32[4, 3] {1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 1.0, 2.0, 3.0}\n y = MatMul(x, w)\n y2 = MatMul(x, w2)\n d = Add(y, y2)\n"
    " z = If(c) then_branch=graph \"t\" { a = Neg(d)\n output a } else_branch=graph \"e\" { b = LeakyRelu(d) alpha=0.25\n output b }\n"
    " same = Identity(z)\n output same\n}";

static ol_graph *parse(const char *t) {
    ol_graph *g = NULL;
    olv_error err;
    if (ol_graph_parse(t, strlen(t), &g, &err) != OLV_OK) fail_msg("%s", err.message);
    return g;
}

static char *path_of(const char *name) {
    static char path[4][256];
    static int at;
    at = (at + 1) % 4;
    snprintf(path[at], sizeof path[at], "%s/%s", dir, name);
    return path[at];
}

static char *content(const char *name, size_t *len) {
    char *data = NULL;
    olv_error err;
    if (ol_file_read(path_of(name), 1 << 20, &data, len, &err) != OLV_OK) fail_msg("%s", err.message);
    return data;
}

static void write_graph(const char *text, const char *name, bool f16) {
    olv_error err;
    ol_graph *g = parse(text);
    const ol_openvino_write_options o = {.compress_to_f16 = f16};
    if (ol_openvino_write(g, path_of(name), &o, &err) != OLV_OK) fail_msg("%s", err.message);
    ol_graph_destroy(g);
}

static void assert_same(const char *a, const char *b) {
    size_t na, nb;
    char *x = content(a, &na), *y = content(b, &nb);
    assert_int_equal(na, nb);
    assert_memory_equal(x, y, na);
    ol_free(x);
    ol_free(y);
}

static size_t count(const char *name, const char *what) {
    size_t len, n = 0;
    char *text = content(name, &len);
    for (const char *p = text; (p = strstr(p, what)); p++) n++;
    ol_free(text);
    return n;
}

static void test_twice_the_same(void **s) {
    (void)s;
    write_graph(plain, "a.xml", false);
    write_graph(plain, "b.xml", false);
    assert_same("a.xml", "b.xml");
    assert_same("a.bin", "b.bin");
    assert_int_equal(count("a.xml", "type=\"MatMul\""), 2);
    assert_int_equal(count("a.xml", "size=\"48\""), 2);   /* two constants .. */
    assert_int_equal(count("a.xml", "offset=\"0\" size=\"48\""), 2); /* .. of the same bytes */
    assert_int_equal(count("a.xml", "<then_body>"), 1);
    assert_int_equal(count("a.xml", "names=\"same,z\""), 1);
}

static void test_read_again(void **s) {
    (void)s;
    olv_error err;
    ol_graph *g;
    write_graph(plain, "a.xml", false);
    if (ol_openvino_read(path_of("a.xml"), &g, &err) != OLV_OK) fail_msg("%s", err.message);
    assert_int_equal(ol_graph_verify(g, &err), OLV_OK);
    assert_string_equal(g->inputs[0]->name, "x");
    assert_int_equal(ol_graph_find_output(g, "same"), 0);
    if (ol_openvino_write(g, path_of("b.xml"), NULL, &err) != OLV_OK) fail_msg("%s", err.message);
    ol_graph_destroy(g);
    if (ol_openvino_read(path_of("b.xml"), &g, &err) != OLV_OK) fail_msg("%s", err.message);
    if (ol_openvino_write(g, path_of("c.xml"), NULL, &err) != OLV_OK) fail_msg("%s", err.message);
    ol_graph_destroy(g);
    assert_same("b.xml", "c.xml");
    assert_same("b.bin", "c.bin");
}

static void test_f16(void **s) {
    (void)s;
    write_graph(plain, "h.xml", true);
    assert_int_equal(count("h.xml", "name=\"decompression\""), count("h.xml", "element_type=\"f16\""));
    assert_true(count("h.xml", "element_type=\"f16\"") >= 2);
}

static void test_refusal_leaves_nothing(void **s) {
    (void)s;
    olv_error err;
    ol_graph *g = parse("graph \"g\" {\n input x: f32[2]\n const w: f32[2] {1.0, 2.0}\n y = Add(x, w)\n z = BitCast(y) to=6 @odd\n output z\n}");
    assert_int_equal(ol_openvino_write(g, path_of("no.xml"), NULL, &err), OLV_UNSUPPORTED);
    assert_non_null(strstr(err.message, "odd"));
    assert_non_null(strstr(err.message, "BitCast"));
    assert_false(ol_file_exists(path_of("no.xml")));
    assert_false(ol_file_exists(path_of("no.bin")));
    assert_false(ol_file_exists(path_of("no.bin.part")));
    ol_graph_destroy(g);
}

/* 4-bit codes in groups with zero points unfold as NNCF spells them, and come back as one quantized constant. */
static void test_quantized(void **s) {
    (void)s;
    enum { ROWS = 3, K = 64, GROUP = 32 };
    static uint8_t codes[ROWS * K / 2];
    static uint16_t scales[ROWS * K / GROUP];
    static uint8_t zeros[ROWS];
    float want[ROWS * K], have[ROWS * K];
    const int64_t dims[2] = {ROWS, K};
    olv_error err;
    for (size_t i = 0; i < sizeof codes; i++) codes[i] = (uint8_t)(i * 37);
    for (size_t i = 0; i < sizeof scales / 2; i++) scales[i] = ol_f32_to_f16(0.125f * (float)(i + 1));
    for (size_t i = 0; i < sizeof zeros; i++) zeros[i] = (uint8_t)(0x97 + i);
    ol_qconst q = {.code = OL_Q_U4, .rows = ROWS, .k = K, .group = GROUP, .n_groups = 2, .codes = codes, .row_bytes = K / 2, .scale_dtype = OL_F16,
                   .scales = scales, .zero_dtype = OL_U4, .zeros = zeros, .zero_row_bytes = 1, .global_scale = 1};
    ol_const *c = ol_const_quant(2, dims, &q, NULL, 0, NULL, NULL, &err);
    assert_non_null(c);
    assert_int_equal(ol_const_rows_f32(c, 0, ROWS, want, &err), OLV_OK);
    ol_ir_file *f;
    assert_int_equal(ol_ir_begin(path_of("q.xml"), NULL, &f, &err), OLV_OK);
    ol_ir_emit *e = ol_ir_net(f);
    const int64_t x_dims[2] = {-1, K}, y_dims[2] = {-1, ROWS};
    ol_ir_type x_type = ol_ir_type_of(OL_F32, 2, x_dims), y_type = ol_ir_type_of(OL_F32, 2, y_dims);
    const ol_ir_out in[2] = {ol_ir_add_parameter(e, "x", "x", &x_type), ol_ir_const(e, "w", NULL, c)};
    const ol_ir_attr turn[2] = {ol_ir_say_bool("transpose_a", false), ol_ir_say_bool("transpose_b", true)};
    ol_ir_add_result(e, "y", ol_ir_add(e, &(ol_ir_layer){.type = "MatMul", .name = "product", .in = in, .n_in = 2, .attrs = turn, .n_attrs = 2, .out = &y_type, .n_out = 1}));
    assert_int_equal(ol_ir_finish(f), OLV_OK);
    ol_ir_abort(f);
    assert_int_equal(count("q.xml", "shape=\"3, 2, 32\""), 1);
    assert_int_equal(count("q.xml", "element_type=\"u4\""), 2);
    assert_int_equal(count("q.xml", "w/zero_point/subtract"), 1);
    ol_graph *g;
    if (ol_openvino_read(path_of("q.xml"), &g, &err) != OLV_OK) fail_msg("%s", err.message);
    const ol_const *back = NULL;
    for (int i = 0; i < g->n_values; i++)
        if (g->values[i]->constant && ol_const_quant_form(g->values[i]->constant)) back = g->values[i]->constant;
    assert_non_null(back);
    assert_int_equal(ol_const_rows_f32(back, 0, ROWS, have, &err), OLV_OK);
    assert_memory_equal(have, want, sizeof want);
    ol_graph_destroy(g);
    ol_const_release(c);
}

static void test_without_memory(void **s) {
    (void)s;
    ol_graph *g = parse(plain);
    olv_error err;
    for (uint64_t n = 1; n < 100000; n++) {
        ol_alloc_fail_at(n, true);
        olv_status st = ol_openvino_write(g, path_of("m.xml"), NULL, &err);
        ol_alloc_fail_at(0, false);
        assert_false(ol_file_exists(path_of("m.bin.part")));
        if (st == OLV_OK) break;
        assert_int_equal(st, OLV_NOMEM);
    }
    ol_graph_destroy(g);
}

static int begin(void **s) {
    (void)s;
    return mkdtemp(dir) ? 0 : -1;
}

static int end(void **s) {
    (void)s;
    olv_error err;
    return ol_dir_remove(dir, &err) == OLV_OK ? 0 : -1;
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_twice_the_same), cmocka_unit_test(test_read_again), cmocka_unit_test(test_f16),
                                       cmocka_unit_test(test_refusal_leaves_nothing), cmocka_unit_test(test_quantized), cmocka_unit_test(test_without_memory)};
    return cmocka_run_group_tests(tests, begin, end);
}
