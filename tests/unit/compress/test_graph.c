/* SPDX-License-Identifier: Apache-2.0 */
#include "base/alloc.h"
#include "base/json.h"
#include "compress/compress.h"
#include "graph/op.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static olv_error err;
static float table[64 * 96], square[96 * 96], small[4 * 96];

static ol_value *constant(ol_graph *g, const char *name, const float *w, int64_t rows) {
    ol_const *c = ol_const_bytes(OL_F32, 2, (int64_t[]){rows, 96}, w, (size_t)rows * 96 * 4, NULL, NULL, &err);
    assert_non_null(c);
    ol_value *v = ol_graph_add_constant(g, name, c, &err);
    assert_non_null(v);
    return v;
}

static ol_value *node(ol_graph *g, const char *domain, const char *op, ol_value *a, ol_value *b) {
    ol_value *in[2] = {a, b};
    const ol_op *o = ol_op_find(domain, op);
    assert_non_null(o);
    ol_node *n = ol_graph_add_node(g, NULL, o, NULL, in, 2, NULL, 1, NULL, 0, &err);
    assert_non_null(n);
    return n->outputs[0];
}

/* ids -> Gather(table) -> Linear(square) -> logits = 2 * Linear(table, held by a second value), and a side output. */
static ol_graph *model(void) {
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) table[i] = (float)(i * 2654435761u >> 20 & 1023) - 511;
    for (size_t i = 0; i < sizeof square / sizeof *square; i++) square[i] = (float)(i * 40503u >> 4 & 255) - 127;
    for (size_t i = 0; i < sizeof small / sizeof *small; i++) small[i] = (float)i;
    ol_graph *g = ol_graph_create("m");
    ol_type ids = {.dtype = OL_I64, .rank = 1};
    ids.dims[0] = ol_dim_symbol(g->dims, "T");
    ol_value *in = ol_graph_add_input(g, "input_ids", &ids, &err);
    ol_value *x = node(g, "", "Gather", constant(g, "embed", table, 64), in);
    x = node(g, "olivine", "Linear", x, constant(g, "square", square, 96));
    ol_value *side = node(g, "olivine", "Linear", x, constant(g, "small", small, 4));
    ol_value *logits = node(g, "olivine", "Linear", x, constant(g, "head", table, 64));
    logits = node(g, "", "Mul", logits, ol_graph_add_f32(g, "two", (float[]){2}, -1, &err));
    assert_int_equal(ol_graph_add_output(g, logits, &err), OLV_OK);
    assert_int_equal(ol_graph_add_output(g, side, &err), OLV_OK);
    return g;
}

static const ol_compress_entry *entry(const ol_compress_plan *r, const char *name) {
    for (size_t i = 0; i < r->n; i++)
        if (strcmp(r->entries[i].name, name) == 0) return &r->entries[i];
    return NULL;
}

static void roles_and_ties(void **state) {
    (void)state;
    ol_graph *g = model();
    olv_compress_params p;
    ol_compress_plan r;
    olv_compress_params_init(&p);
    p.embeddings.type = OLV_WEIGHT_F16;
    assert_int_equal(ol_compress_graph(g, &p, 0, &r, &err), OLV_OK);
    assert_int_equal(r.n, 3);
    const ol_compress_entry *e = entry(&r, "embed"), *w = entry(&r, "square"), *s = entry(&r, "small");
    assert_true(e && w && s);
    assert_int_equal(e->roles, OL_ROLE_EMBEDDING | OL_ROLE_HEAD);
    assert_int_equal(e->spec.type, OLV_WEIGHT_INT8_SYM);
    assert_int_equal(w->spec.type, OLV_WEIGHT_INT4_SYM);
    assert_string_equal(s->kept, "small");
    ol_value *embed = ol_graph_find_value(g, "embed"), *head = ol_graph_find_value(g, "head");
    assert_ptr_equal(embed->constant, head->constant);
    assert_non_null(ol_const_lazy(head->constant));
    assert_int_equal(ol_graph_verify(g, &err), OLV_OK);
    static float back[64 * 96];
    assert_int_equal(ol_const_rows_f32(head->constant, 0, 64, back, &err), OLV_OK);
    for (int i = 0; i < 64 * 96; i++) assert_true(back[i] - table[i] <= 4.1f && table[i] - back[i] <= 4.1f);
    ol_buf b = OL_BUF_INIT;
    ol_compress_report_json(&r, &b);
    json_t *j = NULL;
    assert_int_equal(ol_json_parse(b.data, b.len, "report", &j, &err), OLV_OK);
    json_t *t = json_array_get(json_object_get(j, "tensors"), 0);
    assert_string_equal(json_string_value(json_object_get(t, "role")), "head and embedding");
    assert_true(json_real_value(json_object_get(t, "snr_db")) > 40);
    json_decref(j);
    ol_buf_deinit(&b);
    ol_compress_plan_deinit(&r);
    /* A second time everything is quantized already. */
    assert_int_equal(ol_compress_graph(g, &p, 0, &r, &err), OLV_OK);
    assert_string_equal(entry(&r, "square")->kept, "quantized already");
    ol_compress_plan_deinit(&r);
    ol_graph_destroy(g);
}

static void in_memory_on_any_number_of_threads(void **state) {
    (void)state;
    uint8_t codes[3][96 * 48];
    for (int threads = 1; threads <= 3; threads++) {
        ol_graph *g = model();
        ol_executor *e;
        assert_int_equal(ol_executor_create(threads, &e, &err), OLV_OK);
        assert_int_equal(ol_compress_in_memory(g, 4, e, &err), OLV_OK);
        const ol_qconst *q = ol_const_qconst(ol_graph_find_value(g, "square")->constant);
        assert_non_null(q);
        assert_int_equal(q->code, OL_Q_U4);
        memcpy(codes[threads - 1], q->codes, sizeof codes[0]);
        q = ol_const_qconst(ol_graph_find_value(g, "head")->constant);
        assert_non_null(q);
        assert_int_equal(q->code, OL_Q_U8);
        ol_graph_destroy(g);
        ol_executor_destroy(e);
    }
    assert_memory_equal(codes[0], codes[1], sizeof codes[0]);
    assert_memory_equal(codes[0], codes[2], sizeof codes[0]);
}

static void errors(void **state) {
    (void)state;
    ol_graph *g = model();
    olv_compress_params p;
    olv_compress_params_init(&p);
    p.weights.group_size = 7;
    assert_int_equal(ol_compress_graph(g, &p, 0, NULL, &err), OLV_ARG);
    ol_executor *e;
    assert_int_equal(ol_executor_create(1, &e, &err), OLV_OK);
    assert_int_equal(ol_compress_in_memory(g, 5, e, &err), OLV_ARG);
    square[5] = (float)(0.0 / (double)(table[0] - table[0]));
    assert_int_equal(ol_compress_in_memory(g, 4, e, &err), OLV_FORMAT);
    assert_string_equal(err.message, "square: row 0: a weight is infinite or no number");
    ol_executor_destroy(e);
    ol_graph_destroy(g);
    olv_compress_params_init(&p);
    for (uint64_t n = 1; n < 60; n++) {
        g = model();
        ol_alloc_fail_at(n, true);
        olv_status s = ol_compress_graph(g, &p, 0, NULL, &err);
        ol_alloc_fail_at(0, false);
        assert_true(s == OLV_OK || s == OLV_NOMEM);
        ol_graph_destroy(g);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(roles_and_ties),
        cmocka_unit_test(in_memory_on_any_number_of_threads),
        cmocka_unit_test(errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
