/* SPDX-License-Identifier: Apache-2.0 */
/* State dicts: what the tensors hold, and what is said of broken files (those of fuzz/corpus/pytorch). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/file.h"
#include "formats/pytorch/pytorch.h"

#include <stdio.h>

static olv_status open_file(const char *name, ol_pytorch **out, olv_error *err) {
    char path[1024];
    snprintf(path, sizeof path, "%s/../../fuzz/corpus/pytorch/%s", OL_TEST_DATA, name);
    return ol_pytorch_open(path, out, err);
}

static void check_values(const ol_pytorch *p, const char *name, int rank, const int64_t *dims, const float *want) {
    olv_error err = {OLV_OK, ""};
    ol_const *c = NULL;
    float got[8];
    const ol_st_tensor *t = ol_pytorch_find(p, name);
    assert_non_null(t);
    assert_int_equal(t->rank, rank);
    for (int i = 0; i < rank; i++) assert_int_equal(t->dims[i], dims[i]);
    assert_int_equal(ol_pytorch_const(p, t, &c, &err), OLV_OK);
    int64_t n = ol_const_rows(c) * ol_const_width(c);
    assert_true(n <= 8);
    assert_int_equal(ol_const_rows_f32(c, 0, ol_const_rows(c), got, &err), OLV_OK);
    for (int64_t i = 0; i < n; i++) assert_true(got[i] == want[i]);
    ol_const_release(c);
}

static void reads_both_forms(void **state) {
    (void)state;
    static const char *const names[] = {"good-zip", "good-zip64", "good-old", "good-parameter", "good-nested", "good-ordered-pairs"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        olv_error err = {OLV_OK, ""};
        ol_pytorch *p = NULL;
        if (open_file(names[i], &p, &err) != OLV_OK) fail_msg("%s: %s", names[i], err.message);
        assert_int_equal(ol_pytorch_count(p), 1);
        check_values(p, "w", 2, (const int64_t[]){2, 2}, (const float[]){1, 2, 3, 4});
        ol_pytorch_close(p);
    }
}

/* Views of one storage: as it lies, transposed, from the second element on. */
static void reads_views(void **state) {
    (void)state;
    olv_error err = {OLV_OK, ""};
    ol_pytorch *p = NULL;
    assert_int_equal(open_file("good-shared", &p, &err), OLV_OK);
    check_values(p, "a", 2, (const int64_t[]){2, 2}, (const float[]){1, 2, 3, 4});
    check_values(p, "b", 2, (const int64_t[]){2, 2}, (const float[]){1, 3, 2, 4});
    check_values(p, "c", 1, (const int64_t[]){3}, (const float[]){2, 3, 4});
    assert_ptr_equal(ol_pytorch_find(p, "d"), NULL);
    ol_pytorch_close(p);
    assert_int_equal(open_file("good-strided", &p, &err), OLV_OK);
    check_values(p, "a", 2, (const int64_t[]){2, 1}, (const float[]){1, 3});
    ol_pytorch_close(p);
}

/* Views in place share the file's bytes. */
static void copies_nothing(void **state) {
    (void)state;
    olv_error err = {OLV_OK, ""};
    ol_pytorch *p = NULL;
    ol_const *a, *c;
    size_t bytes;
    assert_int_equal(open_file("good-shared", &p, &err), OLV_OK);
    assert_int_equal(ol_pytorch_const(p, ol_pytorch_find(p, "a"), &a, &err), OLV_OK);
    assert_int_equal(ol_pytorch_const(p, ol_pytorch_find(p, "c"), &c, &err), OLV_OK);
    ol_pytorch_close(p); /* constants outlive it */
    const uint8_t *whole = ol_const_data(a, &bytes);
    assert_int_equal(bytes, 16);
    assert_ptr_equal(whole + 4, ol_const_data(c, &bytes));
    assert_int_equal(bytes, 12);
    ol_const_release(a);
    ol_const_release(c);
}

static void says_what_is_wrong(void **state) {
    (void)state;
    static const struct {
        const char *file, *words;
        olv_status status;
    } cases[] = {
        {"bad-posix-system", "names posix.system, which is not needed for tensors: refused", OLV_FORMAT},
        {"bad-old-posix-system", "posix.system", OLV_FORMAT},
        {"bad-stack-global-eval", "builtins.eval", OLV_FORMAT},
        {"bad-hooks", "os.system", OLV_FORMAT},
        {"bad-inst", "opcode 0x69", OLV_FORMAT},
        {"bad-memo-far", "memo", OLV_FORMAT},
        {"bad-dict-bomb", "values", OLV_LIMIT},
        {"bad-beyond-storage", "tensor 'w': it reaches element 6 of a storage of 4", OLV_FORMAT},
        {"bad-stride-overflow", "overflow", OLV_FORMAT},
        {"bad-expanded", "a view of 2199023255552 elements over a storage of 4", OLV_UNSUPPORTED},
        {"bad-storage-count", "storage '0': found 16 bytes, its type and count need 1600", OLV_FORMAT},
        {"bad-big-endian", "byte order", OLV_UNSUPPORTED},
        {"bad-old-big-endian", "byte order", OLV_UNSUPPORTED},
        {"bad-compressed", "compressed (method 8), stored expected", OLV_UNSUPPORTED},
        {"bad-encrypted", "encrypted", OLV_UNSUPPORTED},
        {"bad-parent-name", "bad name 'm/../../etc'", OLV_FORMAT},
        {"bad-entries-overlap", "local header differs", OLV_FORMAT},
        {"bad-entry-inside-entry", "overlaps", OLV_FORMAT},
        {"bad-zip64-size", "9223372036854775808", OLV_FORMAT},
        {"bad-zip64-where", "zip64 end record expected", OLV_FORMAT},
        {"bad-torchscript", "TorchScript", OLV_UNSUPPORTED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        olv_error err = {OLV_OK, ""};
        ol_pytorch *p = NULL;
        olv_status s = open_file(cases[i].file, &p, &err);
        if (s != cases[i].status || !strstr(err.message, cases[i].words) || !strstr(err.message, cases[i].file))
            fail_msg("%s: status %d, '%s', expected %d and '%s'", cases[i].file, (int)s, err.message, (int)cases[i].status,
                     cases[i].words);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(reads_both_forms), cmocka_unit_test(reads_views),
                                       cmocka_unit_test(copies_nothing), cmocka_unit_test(says_what_is_wrong)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
