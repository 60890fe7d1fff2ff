/* SPDX-License-Identifier: Apache-2.0 */
/* Reading IR: what becomes of small models, and what is refused with which words. */
#include "base/alloc.h"
#include "device/reference/reference.h"
#include "formats/openvino/openvino.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static olv_error err;

#define PORT(id, type) "<port id=\"" #id "\" precision=\"" type "\"/>"
#define PARAMETER(id, name, type, shape, precision)                                                                   \
    "<layer id=\"" #id "\" name=\"" name "\" type=\"Parameter\" version=\"opset1\"><data shape=\"" shape              \
    "\" element_type=\"" type "\"/><output>" PORT(0, precision) "</output></layer>"
#define CONST(id, type, shape, offset, size, precision)                                                               \
    "<layer id=\"" #id "\" name=\"c" #id "\" type=\"Const\" version=\"opset1\"><data element_type=\"" type            \
    "\" shape=\"" shape "\" offset=\"" offset "\" size=\"" size "\"/><output>" PORT(0, precision) "</output></layer>"
#define UNARY(id, type, data)                                                                                         \
    "<layer id=\"" #id "\" name=\"l" #id "\" type=\"" type "\" version=\"opset1\">" data "<input>" PORT(0, "FP32")       \
    "</input><output>" PORT(1, "FP32") "</output></layer>"
#define BINARY(id, type, data)                                                                                        \
    "<layer id=\"" #id "\" name=\"l" #id "\" type=\"" type "\" version=\"opset1\">" data "<input>" PORT(0, "FP32")       \
    PORT(1, "FP32") "</input><output>" PORT(2, "FP32") "</output></layer>"
#define RESULT(id) "<layer id=\"" #id "\" name=\"y\" type=\"Result\" version=\"opset1\"><input>" PORT(0, "FP32") "</input></layer>"
#define EDGE(a, p, b, q) "<edge from-layer=\"" #a "\" from-port=\"" #p "\" to-layer=\"" #b "\" to-port=\"" #q "\"/>"
#define NET(layers, edges) "<net name=\"n\" version=\"11\"><layers>" layers "</layers><edges>" edges "</edges></net>"

static ol_graph *read_ok(const char *xml, const void *bin, size_t n) {
    ol_graph *g = NULL;
    if (ol_openvino_read_bytes(xml, strlen(xml), bin, n, "m.xml", &g, &err) != OLV_OK) fail_msg("%s", err.message);
    assert_int_equal(ol_graph_verify(g, &err), OLV_OK);
    return g;
}

/* Output 0 of a graph with one input of f32. */
static void run(const ol_graph *g, float *x, int rank, const int64_t *dims, float *y, size_t n) {
    ol_datum in = {.kind = OL_VALUE_TENSOR, .present = true}, out = {.kind = OL_VALUE_TENSOR};
    const char *name = g->inputs[0]->name;
    size_t bytes = sizeof *x;
    for (int i = 0; i < rank; i++) bytes *= (size_t)dims[i];
    assert_int_equal(ol_tensor_view(&in.tensor, OL_F32, rank, dims, x, bytes, &err), OLV_OK);
    if (ol_reference_run(g, NULL, &name, &in, 1, &out, &err) != OLV_OK) fail_msg("%s", err.message);
    assert_int_equal(out.tensor.bytes, n * sizeof *y);
    memcpy(y, out.tensor.data, out.tensor.bytes);
    ol_datum_deinit(&out);
}

static void sums(void **state) {
    (void)state;
    static const char xml[] = NET(PARAMETER(0, "x", "f32", "?,2", "FP32") CONST(1, "f32", "2", "0", "8", "FP32") BINARY(2, "Add", "") RESULT(3),
                                  EDGE(0, 0, 2, 0) EDGE(1, 0, 2, 1) EDGE(2, 2, 3, 0));
    float bin[2] = {10, 20}, x[4] = {1, 2, 3, 4}, y[4];
    ol_graph *g = read_ok(xml, bin, sizeof bin);
    assert_string_equal(g->inputs[0]->name, "x");
    assert_string_equal(g->outputs[0]->name, "l2");
    assert_int_equal(ol_graph_find_output(g, "y"), 0);
    assert_string_equal(ol_graph_get_meta(g, "format"), "openvino");
    run(g, x, 2, (const int64_t[]){2, 2}, y, 4);
    assert_true(y[0] == 11 && y[1] == 22 && y[2] == 13 && y[3] == 24);
    ol_graph_destroy(g);
}

/* u4 codes in groups of 2 with zero points: one quantized constant. */
static void compressed_weights(void **state) {
    (void)state;
    static const char xml[] =
        NET(PARAMETER(0, "x", "f32", "1,4", "FP32") CONST(1, "u4", "1, 2, 2", "0", "2", "U4") CONST(2, "u4", "1, 2, 1", "2", "1", "U4")
            CONST(3, "f32", "1, 2, 1", "4", "8", "FP32") CONST(4, "i64", "2", "12", "16", "I64")
            UNARY(5, "Convert", "<data destination_type=\"f32\"/>") UNARY(6, "Convert", "<data destination_type=\"f32\"/>")
            BINARY(7, "Subtract", "") BINARY(8, "Multiply", "") BINARY(9, "Reshape", "<data special_zero=\"false\"/>")
            BINARY(10, "MatMul", "<data transpose_a=\"false\" transpose_b=\"true\"/>") RESULT(11),
            EDGE(1, 0, 5, 0) EDGE(2, 0, 6, 0) EDGE(5, 1, 7, 0) EDGE(6, 1, 7, 1) EDGE(7, 2, 8, 0) EDGE(3, 0, 8, 1) EDGE(8, 2, 9, 0)
            EDGE(4, 0, 9, 1) EDGE(0, 0, 10, 0) EDGE(9, 2, 10, 1) EDGE(10, 2, 11, 0));
    uint8_t bin[28] = {0x21, 0x43, 0x52}; /* codes 1, 2, 3, 4; zero points 2, 5 */
    const float scales[2] = {1, 10};
    const int64_t shape[2] = {1, 4};
    float x[4] = {1, 1, 1, 1}, y;
    memcpy(bin + 4, scales, 8);
    memcpy(bin + 12, shape, 16);
    ol_graph *g = read_ok(xml, bin, sizeof bin);
    assert_int_equal(g->n_nodes, 1);
    assert_string_equal(g->first->op->name, "Linear");
    const ol_qconst *q = ol_const_quant_form(g->first->inputs[1]->constant);
    assert_non_null(q);
    assert_true(q->code == OL_Q_U4 && q->group == 2 && q->k == 4 && q->zero_dtype == OL_U4);
    run(g, x, 2, (const int64_t[]){1, 4}, &y, 1);
    assert_true(y == -1 + 0 - 20 - 10);
    ol_graph_destroy(g);
}

static void states(void **state) {
    (void)state;
    static const char xml[] =
        NET(PARAMETER(0, "x", "f32", "1", "FP32") "<layer id=\"1\" name=\"r\" type=\"ReadValue\" version=\"opset6\"><data variable_id=\"v\" "
            "variable_type=\"f32\" variable_shape=\"1\"/><output>" PORT(0, "FP32") "</output></layer>" BINARY(2, "Add", "")
            "<layer id=\"3\" name=\"a\" type=\"Assign\" version=\"opset6\"><data variable_id=\"v\"/><input>" PORT(0, "FP32")
            "</input><output>" PORT(1, "FP32") "</output></layer>" RESULT(4),
            EDGE(0, 0, 2, 0) EDGE(1, 0, 2, 1) EDGE(2, 2, 3, 0) EDGE(2, 2, 4, 0));
    ol_graph *g = read_ok(xml, NULL, 0);
    assert_string_equal(ol_graph_get_meta(g, "states"), "v");
    assert_true(g->n_inputs == 3 && g->n_outputs == 2);
    assert_string_equal(g->inputs[1]->name, OL_IR_FRESH);
    assert_string_equal(g->inputs[2]->name, "v");
    assert_string_equal(g->outputs[1]->name, "v.next");
    ol_graph_destroy(g);
}

static void what_is_refused(void **state) {
    (void)state;
#define X PARAMETER(0, "x", "f32", "2", "FP32")
    static const struct {
        const char *xml, *says;
    } bad[] = {
        {"<nut/>", "<net> expected"},
        {"<!DOCTYPE net [<!ENTITY a \"b\">]><net/>", "DOCTYPE"},
        {"<net name=\"n\" version=\"9\"/>", "IR of version 9; 10 and 11 are read"},
        {"<net name=\"n\" version=\"11\"/>", "without <layers>"},
        {NET(X, ""), "without outputs"},
        {NET(X RESULT(1), ""), "input 0 is not connected"},
        {NET(X X RESULT(1), ""), "a second layer with id 0"},
        {NET(X RESULT(1), EDGE(7, 0, 1, 0)), "from layer 7, which there is not"},
        {NET(X RESULT(1), EDGE(0, 5, 1, 0)), "port 5 of layer 'x', which has no such output"},
        {NET(X RESULT(1), EDGE(0, 0, 1, 0) EDGE(0, 0, 1, 0)), "two edges to port 0"},
        {NET(X UNARY(1, "Tanhh", "") RESULT(2), EDGE(0, 0, 1, 0) EDGE(1, 1, 2, 0)), "layer 'l1' (Tanhh, opset1): there is no such operation"},
        {NET(X BINARY(1, "Add", "") BINARY(2, "Add", "") RESULT(3),
             EDGE(0, 0, 1, 0) EDGE(2, 2, 1, 1) EDGE(0, 0, 2, 0) EDGE(1, 2, 2, 1) EDGE(2, 2, 3, 0)), "a cycle"},
        {NET(CONST(0, "f32", "2", "4", "8", "FP32") RESULT(1), EDGE(0, 0, 1, 0)), "lies outside of 'data' (8 bytes)"},
        {NET(CONST(0, "f32", "2", "9223372036854775807", "1", "FP32") RESULT(1), EDGE(0, 0, 1, 0)), "lies outside"},
        {NET(CONST(0, "f32", "2", "-1", "8", "FP32") RESULT(1), EDGE(0, 0, 1, 0)), "offset=\"-1\""},
        {NET(CONST(0, "f32", "3", "0", "8", "FP32") RESULT(1), EDGE(0, 0, 1, 0)), "8 bytes of data found, 12 expected"},
        {NET(CONST(0, "f32", "99999999999, 99999999999", "0", "8", "FP32") RESULT(1), EDGE(0, 0, 1, 0)), "too large"},
        {NET(CONST(0, "f33", "2", "0", "8", "FP32") RESULT(1), EDGE(0, 0, 1, 0)), "element type 'f33'"},
        {NET(CONST(0, "string", "2", "0", "8", "STRING") RESULT(1), EDGE(0, 0, 1, 0)), "a table of 2 strings"},
        {NET(PARAMETER(0, "x", "f32", "2,x", "FP32") RESULT(1), EDGE(0, 0, 1, 0)), "'x' found in a shape"},
        {NET(X UNARY(1, "Elu", "<data alpha=\"z\"/>") RESULT(2), EDGE(0, 0, 1, 0) EDGE(1, 1, 2, 0)), "alpha=\"z\" found, a number expected"},
    };
    const float bin[2] = {0, 0};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ol_graph *g = NULL;
        err.message[0] = 0;
        olv_status s = ol_openvino_read_bytes(bad[i].xml, strlen(bad[i].xml), bin, sizeof bin, "m.xml", &g, &err);
        if (s == OLV_OK || !strstr(err.message, bad[i].says) || strncmp(err.message, "m.xml:", 6) || strchr(err.message, '\n'))
            fail_msg("case %zu: '%s' found, '%s' expected", i, err.message, bad[i].says);
        assert_null(g);
    }
}

static void missing_data_file(void **state) {
    (void)state;
    static const char xml[] = NET(CONST(0, "f32", "2", "0", "8", "FP32") RESULT(1), EDGE(0, 0, 1, 0));
    ol_graph *g = NULL;
    assert_int_equal(ol_openvino_read_bytes(xml, sizeof xml - 1, NULL, 0, "m.xml", &g, &err), OLV_NOT_FOUND);
    assert_non_null(strstr(err.message, "there is no file"));
}

static void without_memory(void **state) {
    (void)state;
    static const char xml[] = NET(PARAMETER(0, "x", "f32", "?,2", "FP32") CONST(1, "f32", "2", "0", "8", "FP32") BINARY(2, "Add", "") RESULT(3),
                                  EDGE(0, 0, 2, 0) EDGE(1, 0, 2, 1) EDGE(2, 2, 3, 0));
    const float bin[2] = {1, 2};
    bool done = false;
    for (uint64_t n = 1; !done && n < 5000; n++) {
        ol_graph *g = NULL;
        ol_alloc_fail_at(n, true);
        olv_status s = ol_openvino_read_bytes(xml, sizeof xml - 1, bin, sizeof bin, "m.xml", &g, &err);
        ol_alloc_fail_at(0, false);
        done = s == OLV_OK;
        if (!done && s != OLV_NOMEM) fail_msg("allocation %d: %s", (int)n, err.message);
        if (done) ol_graph_destroy(g);
    }
    assert_true(done);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(sums), cmocka_unit_test(compressed_weights), cmocka_unit_test(states),
                                       cmocka_unit_test(what_is_refused), cmocka_unit_test(missing_data_file), cmocka_unit_test(without_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
