/* SPDX-License-Identifier: Apache-2.0 */
#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static char root[64];
static olv_error err;

static const char *at(const char *name) {
    static char buf[4][256];
    static int k;
    char *p = buf[k++ % 4];
    snprintf(p, sizeof buf[0], "%s/%s", root, name);
    return p;
}

static void put(const char *name, const char *text) {
    assert_int_equal(ol_file_write_atomic(at(name), text, strlen(text), &err), OLV_OK);
}

static int make_root(void **state) {
    (void)state;
    snprintf(root, sizeof root, "/tmp/olivine-file-XXXXXX");
    return mkdtemp(root) ? 0 : -1;
}

static int remove_root(void **state) {
    (void)state;
    return ol_dir_remove(root, NULL) == OLV_OK && !ol_dir_exists(root) ? 0 : -1;
}

static void maps_files(void **state) {
    (void)state;
    put("a", "hello");
    put("empty", "");
    ol_file *f, *g;
    assert_int_equal(ol_file_open(at("a"), &f, &err), OLV_OK);
    assert_int_equal(f->size, 5);
    assert_memory_equal(f->data, "hello", 5);
    assert_ptr_equal(ol_file_retain(f), f);
    ol_file_release(f);
    put("a", "other");
    assert_memory_equal(f->data, "hello", 5); /* replaced by rename: the map keeps the old file */
    ol_file_release(f);
    assert_int_equal(ol_file_open(at("empty"), &g, &err), OLV_OK);
    assert_null(g->data);
    ol_file_release(g);
    ol_file_release(NULL);
}

static void refuses_what_is_no_file(void **state) {
    (void)state;
    ol_file *f = NULL;
    assert_int_equal(ol_file_open(at("absent"), &f, &err), OLV_NOT_FOUND);
    assert_non_null(strstr(err.message, "absent"));
    assert_int_equal(ol_file_open(root, &f, &err), OLV_FORMAT);
    assert_int_equal(mkfifo(at("pipe"), 0600), 0);
    assert_int_equal(ol_file_open(at("pipe"), &f, &err), OLV_FORMAT); /* does not wait for a writer */
    assert_int_equal(ol_file_open("/dev/zero", &f, &err), OLV_FORMAT);
    assert_null(f);
}

static void names_stay_in_the_folder(void **state) {
    (void)state;
    assert_int_equal(ol_dir_create(at("m/sub"), &err), OLV_OK);
    put("m/sub/w.bin", "w");
    put("secret", "s");
    put("m-beside", "s");
    assert_int_equal(symlink("../secret", at("m/leak")), 0);
    assert_int_equal(symlink("..", at("m/up")), 0);
    assert_int_equal(symlink("../m-beside", at("m/beside")), 0);
    assert_int_equal(symlink("sub/w.bin", at("m/inner")), 0);
    static const char *const bad[] = {"../secret", "sub/../../secret", "/etc/passwd", "..",   "", "sub/..",
                                      "sub\\w.bin", "leak",            "up/secret",   "beside"};
    static const char *const good[] = {"sub/w.bin", "inner", "./sub//w.bin"};
    ol_file *f = NULL;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(ol_file_open_in(at("m"), bad[i], &f, &err), OLV_FORMAT);
        assert_null(f);
    }
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_int_equal(ol_file_open_in(at("m"), good[i], &f, &err), OLV_OK);
        assert_memory_equal(f->data, "w", 1);
        ol_file_release(f);
    }
    assert_int_equal(ol_file_open_in(at("m"), "none", &f, &err), OLV_NOT_FOUND);
}

static void hub_snapshots_lead_to_blobs(void **state) {
    (void)state;
    assert_int_equal(ol_dir_create(at("snapshots/models--o--n/snapshots/r1/onnx"), &err), OLV_OK);
    assert_int_equal(ol_dir_create(at("snapshots/models--o--n/blobs"), &err), OLV_OK);
    assert_int_equal(ol_dir_create(at("blobs"), &err), OLV_OK);
    put("snapshots/models--o--n/blobs/b1", "blob");
    put("blobs/b2", "foreign");
    put("outside", "o");
    const char *dir = at("snapshots/models--o--n/snapshots/r1");
    char snap[256];
    snprintf(snap, sizeof snap, "%s", dir);
    assert_int_equal(symlink("../../blobs/b1", at("snapshots/models--o--n/snapshots/r1/w")), 0);
    assert_int_equal(symlink("../../../blobs/b1", at("snapshots/models--o--n/snapshots/r1/onnx/w")), 0);
    assert_int_equal(symlink("../../../../blobs/b2", at("snapshots/models--o--n/snapshots/r1/foreign")), 0);
    assert_int_equal(symlink("../../../../outside", at("snapshots/models--o--n/snapshots/r1/outside")), 0);
    ol_file *f = NULL;
    assert_int_equal(ol_file_open_in(snap, "w", &f, &err), OLV_OK);
    assert_memory_equal(f->data, "blob", 4);
    ol_file_release(f);
    assert_int_equal(ol_file_open_in(at("snapshots/models--o--n/snapshots/r1/onnx"), "w", &f, &err), OLV_OK);
    ol_file_release(f);
    assert_int_equal(ol_file_open_in(snap, "foreign", &f, &err), OLV_FORMAT);
    assert_int_equal(ol_file_open_in(snap, "outside", &f, &err), OLV_FORMAT);
}

static void reads_within_a_limit(void **state) {
    (void)state;
    put("r", "12345");
    char *text = NULL;
    size_t n;
    assert_int_equal(ol_file_read(at("r"), 4, &text, &n, &err), OLV_LIMIT);
    assert_null(text);
    assert_int_equal(ol_file_read(at("r"), 5, &text, &n, &err), OLV_OK);
    assert_string_equal(text, "12345");
    assert_int_equal(n, 5);
    ol_free(text);
    for (uint64_t k = 1; k <= 3; k++) {
        ol_alloc_fail_at(k, true);
        assert_int_equal(ol_file_read(at("r"), 5, &text, &n, &err), OLV_NOMEM);
        ol_alloc_fail_at(0, false);
    }
}

static void failed_writes_leave_nothing(void **state) {
    (void)state;
    assert_int_equal(ol_file_write_atomic(at("no/such/folder"), "x", 1, &err), OLV_NOT_FOUND);
    assert_int_equal(ol_dir_create(at("d/keep"), &err), OLV_OK);
    assert_int_equal(ol_file_write_atomic(at("d"), "x", 1, &err), OLV_IO); /* a folder has that name */
    char **names;
    size_t n;
    assert_int_equal(ol_dir_list(root, &names, &n, &err), OLV_OK);
    for (size_t i = 0; i < n; i++) assert_null(strstr(names[i], ".tmp-"));
    ol_dir_list_free(names, n);
}

static void folders(void **state) {
    (void)state;
    assert_int_equal(ol_dir_create(at("x/y/z/"), &err), OLV_OK);
    assert_int_equal(ol_dir_create(at("x/y/z"), &err), OLV_OK); /* is there already */
    put("x/b", "");
    put("x/a", "");
    assert_int_equal(ol_dir_create(at("x/a"), &err), OLV_IO);
    char **names;
    size_t n;
    assert_int_equal(ol_dir_list(at("x"), &names, &n, &err), OLV_OK);
    assert_int_equal(n, 3);
    assert_string_equal(names[0], "a");
    assert_string_equal(names[1], "b");
    assert_string_equal(names[2], "y");
    ol_dir_list_free(names, n);
    assert_int_equal(ol_dir_list(at("nowhere"), &names, &n, &err), OLV_NOT_FOUND);
    uint64_t bytes = 0;
    assert_int_equal(ol_disk_free(at("not/yet/there"), &bytes, &err), OLV_OK);
    assert_true(bytes > 0);
}

static void removal_does_not_follow_links(void **state) {
    (void)state;
    assert_int_equal(ol_dir_create(at("kept"), &err), OLV_OK);
    put("kept/file", "k");
    assert_int_equal(ol_dir_create(at("gone/deep"), &err), OLV_OK);
    assert_int_equal(symlink("../kept", at("gone/link")), 0);
    put("gone/deep/f", "x");
    assert_int_equal(ol_dir_remove(at("gone"), &err), OLV_OK);
    assert_false(ol_dir_exists(at("gone")));
    assert_true(ol_file_exists(at("kept/file")));
    assert_int_equal(ol_dir_remove(at("gone"), &err), OLV_OK);
}

static void paths(void **state) {
    (void)state;
    static const char *const cases[][3] = {{"a", "b", "a/b"}, {"a/", "b", "a/b"}, {"", "b", "b"}, {"/", "b", "/b"}};
    for (size_t i = 0; i < 4; i++) {
        char *p = ol_path_join(cases[i][0], cases[i][1]);
        assert_string_equal(p, cases[i][2]);
        ol_free(p);
    }
    assert_string_equal(ol_path_name("a/b/c.json"), "c.json");
    assert_string_equal(ol_path_name("c"), "c");
}

static void errors_say_where(void **state) {
    (void)state;
    olv_error e;
    assert_int_equal(ol_fail(&e, OLV_SHAPE, "found %d", 3), OLV_SHAPE);
    assert_int_equal(ol_error_at(&e, "node '%s'", "n"), OLV_SHAPE);
    assert_string_equal(e.message, "node 'n': found 3");
    for (int i = 0; i < 400; i++) assert_int_equal(ol_error_at(&e, "%s", "layer"), OLV_SHAPE);
    assert_int_equal(strnlen(e.message, sizeof e.message), sizeof e.message - 1);
    assert_int_equal(ol_fail(NULL, OLV_LIMIT, "x"), OLV_LIMIT);
    assert_int_equal(ol_error_at(NULL, "x"), OLV_INTERNAL);
    assert_int_equal(olv_status_exit_code(OLV_UNSUPPORTED), 3);
    assert_int_equal(olv_status_http(OLV_NOT_FOUND), 404);
    assert_string_equal(olv_status_text(OLV_NOMEM), "out of memory");
    assert_non_null(olv_status_text((olv_status)999));
}

#define IN_ROOT(fn) cmocka_unit_test_setup_teardown(fn, make_root, remove_root)

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_ROOT(maps_files),           IN_ROOT(refuses_what_is_no_file),       IN_ROOT(names_stay_in_the_folder),
        IN_ROOT(reads_within_a_limit), IN_ROOT(hub_snapshots_lead_to_blobs),   IN_ROOT(failed_writes_leave_nothing),
        IN_ROOT(folders),              IN_ROOT(removal_does_not_follow_links), cmocka_unit_test(paths),
        cmocka_unit_test(errors_say_where),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
