/* SPDX-License-Identifier: Apache-2.0 */
#include "base/alloc.h"
#include "base/xml.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static olv_error err;

/* The message of a document that is refused. */
static const char *refusal(const char *text, size_t len, olv_status expected) {
    ol_arena *a = ol_arena_create();
    ol_xml *root = NULL;
    err.message[0] = 0;
    assert_int_equal(ol_xml_parse(text, len, "d.xml", a, &root, &err), expected);
    assert_null(root);
    ol_arena_destroy(a);
    return err.message;
}

static void tree(void **state) {
    (void)state;
    static const char text[] = "<?xml version=\"1.0\"?>\n<net name=\"a&lt;b\" v=\"11\">\n <p id=\"0\"><dim> 1 </dim><dim>\xc3\xa9&#65;</dim></p>"
                               "<!-- c --><q/><p id=\"-7\"/>\n</net>\n";
    ol_arena *a = ol_arena_create();
    ol_xml *net;
    int64_t v;
    assert_int_equal(ol_xml_parse(text, sizeof text - 1, "d.xml", a, &net, &err), OLV_OK);
    assert_string_equal(net->name, "net");
    assert_string_equal(ol_xml_get(net, "name"), "a<b");
    assert_null(ol_xml_get(net, "nam"));
    assert_string_equal(net->text, "");
    const ol_xml *p = ol_xml_child(net, "p"), *second = ol_xml_next(p);
    assert_int_equal(p->line, 3);
    assert_ptr_equal(p->parent, net);
    assert_string_equal(p->first->text, "1 ");
    assert_string_equal(ol_xml_next(p->first)->text, "\xc3\xa9" "A");
    assert_non_null(second);
    assert_null(ol_xml_next(second));
    assert_int_equal(ol_xml_int(second, "id", -10, 10, &v, &err), OLV_OK);
    assert_int_equal(v, -7);
    assert_int_equal(ol_xml_int(second, "id", 0, 10, &v, &err), OLV_FORMAT);
    assert_string_equal(err.message, "line 3: <p> id=\"-7\" found, a number from 0 to 10 expected");
    assert_int_equal(ol_xml_int(second, "x", 0, 10, &v, &err), OLV_FORMAT);
    ol_arena_destroy(a);
}

static void numbers(void **state) {
    (void)state;
    static const char *const bad[] = {"", " ", "-", "+", "1x", "0x1", "1.0", "9223372036854775808", "-9223372036854775809", "1 2"};
    int64_t v;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) assert_false(ol_xml_parse_int(bad[i], strlen(bad[i]), &v));
    assert_true(ol_xml_parse_int(" -9223372036854775808\n", 22, &v));
    assert_true(v == INT64_MIN);
    assert_true(ol_xml_parse_int("+9223372036854775807", 20, &v));
    assert_true(v == INT64_MAX);
}

static void what_is_refused(void **state) {
    (void)state;
    static const char bomb[] = "<!DOCTYPE b [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;&a;\">]>\n<b>&b;</b>";
    static const char outside[] = "<!DOCTYPE b SYSTEM \"file:///etc/passwd\"><b/>";
    assert_non_null(strstr(refusal(bomb, sizeof bomb - 1, OLV_FORMAT), "d.xml:1: a document type (DOCTYPE) is refused"));
    assert_non_null(strstr(refusal(outside, sizeof outside - 1, OLV_FORMAT), "DOCTYPE"));
    static const char *const bad[] = {"", " ", "text", "<a>", "<a></b>", "<a/><b/>", "<a x=1/>", "<a x='1' x='2'/>", "<a>&b;</a>",
                                      "<a>\xff</a>", "<a>\x01</a>", "\0", "<a></a>x"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_non_null(strstr(refusal(bad[i], strlen(bad[i]), OLV_FORMAT), "d.xml:1: "));
    ol_buf deep = OL_BUF_INIT;
    for (int i = 0; i < 100000; i++) ol_buf_puts(&deep, "<a>");
    assert_non_null(strstr(refusal(deep.data, deep.len, OLV_LIMIT), "nested"));
    ol_buf_deinit(&deep);
}

static void without_memory(void **state) {
    (void)state;
    static const char text[] = "<net name=\"n\"><p>x</p><p>y</p></net>";
    bool done = false;
    for (uint64_t n = 1; !done && n < 1000; n++) {
        ol_arena *a = ol_arena_create();
        ol_xml *net = NULL;
        ol_alloc_fail_at(n, true);
        olv_status s = ol_xml_parse(text, sizeof text - 1, "d.xml", a, &net, &err);
        ol_alloc_fail_at(0, false);
        done = s == OLV_OK;
        assert_true(done ? net != NULL : s == OLV_NOMEM && !net);
        ol_arena_destroy(a);
    }
    assert_true(done);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(tree), cmocka_unit_test(numbers), cmocka_unit_test(what_is_refused),
                                       cmocka_unit_test(without_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
