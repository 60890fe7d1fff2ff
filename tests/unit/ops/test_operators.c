/* SPDX-License-Identifier: Apache-2.0 */
/* Every descriptor is whole, and docs/operators.md lists every operator. `OLIVINE_WRITE_DOCS=docs/operators.md` writes it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/file.h"
#include "graph/op.h"
#include <stdlib.h>

static void test_descriptors(void **s) {
    (void)s;
    size_t n;
    const ol_op *const *all = ol_op_all(&n);
    for (size_t i = 0; i < n; i++) {
        const ol_op *o = all[i];
        assert_ptr_equal(ol_op_find(o->domain, o->name), o); /* found, and no second of this name */
        assert_non_null(o->infer);
        assert_true(o->eval || o->decompose);
        assert_true(*o->summary && o->min_inputs >= 0 && o->min_outputs >= 1);
        assert_true(o->max_inputs < 0 || o->max_inputs >= o->min_inputs);
        assert_true(o->max_outputs < 0 || o->max_outputs >= o->min_outputs);
        for (int a = 0; a < o->n_attrs; a++)
            for (int b = 0; b < a; b++) assert_string_not_equal(o->attrs[a].name, o->attrs[b].name);
    }
    assert_null(ol_op_find("", "NoSuchOperator"));
    assert_string_equal(ol_op_nearest("Sofmax"), "Softmax");
}

static int by_name(const void *a, const void *b) {
    const ol_op *x = *(const ol_op *const *)a, *y = *(const ol_op *const *)b;
    int r = strcmp(x->domain, y->domain);
    return r ? r : strcmp(x->name, y->name);
}

static void put_count(ol_buf *b, int min, int max) {
    if (max < 0) ol_buf_printf(b, "%d…", min);
    else if (min == max) ol_buf_printf(b, "%d", min);
    else ol_buf_printf(b, "%d–%d", min, max);
}

static void put_attrs(ol_buf *b, const ol_op *o) {
    static const char *const types[] = {"int", "float", "string", "tensor", "graph", "ints", "floats", "strings", "tensors", "graphs", "type"};
    for (int i = 0; i < o->n_attrs; i++)
        ol_buf_printf(b, "%s`%s` %s%s", i ? ", " : "", o->attrs[i].name, types[o->attrs[i].type], o->attrs[i].required ? "!" : "");
}

static void make_docs(ol_buf *b) {
    size_t n;
    const ol_op *const *all = ol_op_all(&n);
    const ol_op **sorted = malloc(n * sizeof *sorted);
    assert_non_null(sorted);
    memcpy(sorted, all, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, by_name);
    ol_buf_puts(b, "# Operators\n\nOperators of the default domain have the names and meaning of ONNX at opset 24 (a few are newer); what follows is\n"
                   "the list of those that this version knows. `!` marks required attributes. Operators of the domain `olivine` are\n"
                   "described further in [lm-graph.md](lm-graph.md). A unit test keeps this file and the registry alike.\n");
    const char *domain = NULL;
    for (size_t i = 0; i < n; i++) {
        const ol_op *o = sorted[i];
        if (!domain || strcmp(domain, o->domain)) {
            domain = o->domain;
            ol_buf_printf(b, "\n## %s\n| operator | inputs → outputs | attributes | meaning |\n|---|---|---|---|\n", *domain ? domain : "ai.onnx");
        }
        ol_buf_printf(b, "| `%s` | ", o->name);
        put_count(b, o->min_inputs, o->max_inputs);
        ol_buf_puts(b, " → ");
        put_count(b, o->min_outputs, o->max_outputs);
        ol_buf_puts(b, " | ");
        put_attrs(b, o);
        ol_buf_printf(b, " | ");
        for (const char *p = o->summary; *p; p++) { /* a bar would end the cell */
            if (*p == '|') ol_buf_putc(b, '\\');
            ol_buf_putc(b, *p);
        }
        ol_buf_puts(b, " |\n");
    }
    free(sorted);
}

static void test_docs(void **s) {
    (void)s;
    ol_buf b = OL_BUF_INIT;
    olv_error err;
    char *have;
    size_t len;
    make_docs(&b);
    const char *to = getenv("OLIVINE_WRITE_DOCS");
    if (to) assert_int_equal(ol_file_write_atomic(to, b.data, b.len, &err), OLV_OK);
    assert_int_equal(ol_file_read(OL_TEST_DATA "/../../docs/operators.md", 1 << 20, &have, &len, &err), OLV_OK);
    assert_string_equal(have, b.data);
    ol_free(have);
    ol_buf_deinit(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_descriptors), cmocka_unit_test(test_docs)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
