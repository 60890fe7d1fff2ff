/* SPDX-License-Identifier: Apache-2.0 */
#include "base/store.h"
#include "base/alloc.h"
#include "base/file.h"
#include "base/store_file.h"
#include <olivine/core.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define BIG ((size_t)3 << 20)
#define HEADER 128
#define BOOT 88 /* where the header tells the boot: the rest is under a hash */

static char dir[] = "/tmp/olivine-store-XXXXXX";
static char last_line[1024];
static int n_lines;

static void on_line(void *ctx, olv_log_level level, const char *line) {
    (void)ctx;
    if (level < OLV_LOG_INFO) return;
    snprintf(last_line, sizeof last_line, "%s", line);
    n_lines++;
}

static void clear_lines(void) {
    last_line[0] = 0;
    n_lines = 0;
}

static void fill(void *p, size_t n, unsigned seed) {
    uint8_t *b = p;
    for (size_t i = 0; i < n; i++) b[i] = (uint8_t)((i * 31 + i / 251 + seed) & 255);
}

static bool is_filled(const void *p, size_t n, unsigned seed) {
    const uint8_t *b = p;
    for (size_t i = 0; i < n; i++)
        if (b[i] != (uint8_t)((i * 31 + i / 251 + seed) & 255)) return false;
    return true;
}

/* Gets three items, fills those that are new, and checks them; how many were new. */
static int use(ol_store *s) {
    static const struct {
        const char *name;
        size_t bytes;
    } items[] = {{"a", BIG}, {"b", 100}, {"c", 2 * BIG}};
    int n_made = 0;
    bool made;
    for (unsigned i = 0; i < 3; i++) {
        const ol_store_item *it = ol_store_get(s, items[i].name, items[i].bytes, &made);
        assert_non_null(it);
        assert_int_equal((uintptr_t)it->data % 64, 0);
        if (made) fill(it->data, items[i].bytes, i);
        assert_true(is_filled(it->data, items[i].bytes, i));
        n_made += made;
    }
    const ol_store_item *none = ol_store_get(s, "d", 4000, &made);
    assert_non_null(none);
    if (made) ol_store_refuse(s, none);
    assert_null(none->data);
    assert_ptr_equal(ol_store_get(s, "d", 4000, &made), none); /* it is not tried again */
    assert_false(made);
    return n_made;
}

/* Opens, uses and closes; how many items were new. */
static int round_of(const char *at, const char *key) {
    ol_store *s = ol_store_open(at, key);
    assert_non_null(s);
    int n = use(s);
    ol_store_finish(s);
    assert_int_equal(use(s), 0);
    ol_store_release(s);
    return n;
}

static int count_files(const char *end) {
    char **names;
    size_t n;
    int found = 0;
    assert_int_equal(ol_dir_list(dir, &names, &n, NULL), OLV_OK);
    for (size_t i = 0; i < n; i++) found += ol_str_ends(ol_str_of(names[i]), end);
    ol_dir_list_free(names, n);
    return found;
}

static char *only_store(void) {
    char **names, *path = NULL;
    size_t n;
    assert_int_equal(ol_dir_list(dir, &names, &n, NULL), OLV_OK);
    for (size_t i = 0; i < n; i++)
        if (ol_str_ends(ol_str_of(names[i]), ".store")) path = ol_path_join(dir, names[i]);
    ol_dir_list_free(names, n);
    assert_non_null(path);
    return path;
}

static int empty_folder(void **state) {
    (void)state;
    clear_lines();
    return ol_dir_remove(dir, NULL) == OLV_OK && mkdir(dir, 0700) == 0 ? 0 : -1;
}

static void in_memory(void **state) {
    (void)state;
    assert_int_equal(round_of(NULL, "key"), 3);
    assert_int_equal(round_of(NULL, "key"), 3);
}

static void is_found_again(void **state) {
    (void)state;
    assert_int_equal(round_of(dir, "key"), 3);
    assert_int_equal(count_files(".store"), 1);
    assert_int_equal(count_files(".part"), 0);
    assert_int_equal(round_of(dir, "key"), 0);
    assert_int_equal(round_of(dir, "another"), 3);
    assert_int_equal(round_of(dir, "key"), 0);
    ol_store *s = ol_store_open(dir, "key"); /* more than was kept lives in memory */
    bool made;
    assert_true(ol_store_was_found(s));
    const ol_store_item *more = ol_store_get(s, "e", 5000, &made);
    assert_true(more && made);
    fill(more->data, 5000, 9);
    assert_int_equal(use(s), 0);
    assert_int_equal(count_files(".store"), 2);
    ol_store_finish(s); /* and the file is made anew at the next start */
    assert_int_equal(use(s), 0);
    ol_store_release(s);
    assert_int_equal(count_files(".store"), 1);
    assert_int_equal(round_of(dir, "key"), 3);
}

static void little_is_not_kept(void **state) {
    (void)state;
    ol_store *s = ol_store_open(dir, "key");
    bool made;
    const ol_store_item *it = ol_store_get(s, "a", 1000, &made);
    fill(it->data, 1000, 0);
    ol_store_finish(s);
    assert_true(is_filled(it->data, 1000, 0));
    ol_store_release(s);
    assert_int_equal(count_files("e") + count_files("t"), 0); /* neither store nor part */
}

static void unfinished_work_goes(void **state) {
    (void)state;
    ol_store *s = ol_store_open(dir, "key");
    use(s);
    assert_int_equal(count_files(".part"), 1);
    ol_store_release(s);
    assert_int_equal(count_files(".part") + count_files(".store"), 0);
}

static void change_byte(const char *path, off_t at, unsigned with) {
    int fd = open(path, O_RDWR);
    uint8_t b;
    assert_true(fd >= 0 && pread(fd, &b, 1, at) == 1);
    b ^= (uint8_t)with;
    assert_int_equal(pwrite(fd, &b, 1, at), 1);
    close(fd);
}

/* Each byte of the header and of the index, in turn: the file is made anew, but for the mark of the boot, which only asks
 * for another look at the data. */
static void changed_bytes_are_noticed(void **state) {
    (void)state;
    round_of(dir, "key");
    char *path = only_store();
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    off_t index = st.st_size - 3 - 4 * 24;
    for (off_t at = 0; at < st.st_size; at = at == HEADER - 1 ? index : at + 1) {
        for (unsigned bit = 1; bit < 256; bit <<= 7) { /* the lowest and the highest */
            change_byte(path, at, bit);
            clear_lines();
            ol_store *s = ol_store_open(dir, "key");
            bool found = ol_store_was_found(s), mark = at >= BOOT && at < HEADER;
            ol_store_release(s);
            assert_int_equal(found, mark);
            assert_int_equal(n_lines, 1);
            if (!mark) assert_non_null(strstr(last_line, "are made anew: it"));
            if (!mark) change_byte(path, at, bit);
        }
    }
    change_byte(path, 0, 1);
    assert_int_equal(round_of(dir, "key"), 3);
    assert_int_equal(round_of(dir, "key"), 0);
    ol_free(path);
}

/* Another boot: the data are checked, once. */
static void lost_data_are_noticed_after_a_boot(void **state) {
    (void)state;
    round_of(dir, "key");
    char *path = only_store();
    change_byte(path, BOOT, 1);
    change_byte(path, 200000, 1);
    ol_store *s = ol_store_open(dir, "key");
    assert_false(ol_store_was_found(s));
    assert_non_null(strstr(last_line, "its data have changed"));
    ol_store_release(s);
    ol_free(path);
}

static void cut_and_foreign_files_are_noticed(void **state) {
    (void)state;
    round_of(dir, "key");
    char *path = only_store();
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    const off_t sizes[] = {0, 1, 127, 128, 65535, 65536, st.st_size / 2, st.st_size - 1, st.st_size + 1};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        assert_int_equal(truncate(path, sizes[i]), 0);
        assert_int_equal(round_of(dir, "key"), 3);
        assert_int_equal(round_of(dir, "key"), 0);
    }
    FILE *f = fopen(path, "w");
    for (int i = 0; i < 100000; i++) fputs("something else ", f);
    fclose(f);
    assert_int_equal(round_of(dir, "key"), 3);
    unlink(path);
    assert_int_equal(mkdir(path, 0700), 0); /* a folder has the name: nothing is kept */
    assert_int_equal(round_of(dir, "key"), 3);
    assert_int_equal(round_of(dir, "key"), 3);
    assert_int_equal(count_files(".part"), 0);
    ol_free(path);
}

static void without_a_folder(void **state) {
    (void)state;
    char inside[64];
    snprintf(inside, sizeof inside, "%s/file", dir);
    fclose(fopen(inside, "w"));
    snprintf(inside, sizeof inside, "%s/file/cache", dir);
    assert_int_equal(round_of(inside, "key"), 3);
    assert_int_equal(n_lines, 1);
    assert_non_null(strstr(last_line, "are not kept in"));
    assert_int_equal(round_of("/proc/nowhere", "key"), 3);
}

/* The limit of file sizes stands for a full disk: room is asked for in the same way. */
static void without_room(void **state) {
    (void)state;
    const rlim_t limits[] = {0, 1000, (rlim_t)9 << 20};
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        struct rlimit l = {limits[i], before.rlim_max};
        clear_lines();
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &l), 0);
        ol_store *s = ol_store_open(dir, "key");
        bool made;
        for (unsigned k = 0; k < 6; k++) { /* 6 * 3 MiB: some fit into the file, the others do not */
            char name[8];
            snprintf(name, sizeof name, "%u", k);
            const ol_store_item *it = ol_store_get(s, name, BIG, &made);
            assert_true(it && made);
            fill(it->data, BIG, k);
        }
        ol_store_finish(s);
        for (unsigned k = 0; k < 6; k++) {
            char name[8];
            snprintf(name, sizeof name, "%u", k);
            assert_true(is_filled(ol_store_get(s, name, BIG, &made)->data, BIG, k));
        }
        ol_store_release(s);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
        assert_int_equal(n_lines, 1);
        assert_non_null(strstr(last_line, "are not kept in"));
        assert_int_equal(count_files(".part") + count_files(".store"), 0);
    }
}

/* All see the right data; those that wait take what the first has made. */
static void several_at_once(void **state) {
    (void)state;
    pid_t child[6];
    for (int i = 0; i < 6; i++) {
        if ((child[i] = fork()) == 0) {
            ol_store *s = ol_store_open(dir, "key");
            int n = use(s);
            if (n == 3) usleep(100000);
            ol_store_finish(s);
            use(s);
            ol_store_release(s);
            _exit(n);
        }
    }
    int makers = 0;
    for (int i = 0; i < 6; i++) {
        int status;
        assert_int_equal(waitpid(child[i], &status, 0), child[i]);
        assert_true(WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 3));
        makers += WEXITSTATUS(status) == 3;
    }
    assert_int_equal(makers, 1);
    assert_int_equal(count_files(".store"), 1);
    assert_int_equal(count_files(".part"), 0);
}

/* What a killed maker leaves behind is taken over at once. */
static void after_a_kill(void **state) {
    (void)state;
    int ready[2], status;
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        ol_store *s = ol_store_open(dir, "key");
        use(s);
        if (write(ready[1], "x", 1) != 1) _exit(1);
        pause();
        _exit(0);
    }
    char x;
    assert_int_equal(read(ready[0], &x, 1), 1);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    close(ready[0]);
    close(ready[1]);
    assert_int_equal(count_files(".part"), 1);
    assert_int_equal(round_of(dir, "key"), 3);
    assert_int_equal(round_of(dir, "key"), 0);
}

static void least_recently_used_go(void **state) {
    (void)state;
    round_of(dir, "one");
    char *one = only_store();
    round_of(dir, "two");
    round_of(dir, "three");
    struct timespec old[2] = {{1000, 0}, {1000, 0}};
    assert_int_equal(utimensat(AT_FDCWD, one, old, 0), 0);
    assert_int_equal(round_of(dir, "one"), 0); /* now it is the one used last */
    ol_store_trim(dir, (uint64_t)20 << 20, NULL);
    assert_int_equal(count_files(".store"), 2);
    assert_true(ol_file_exists(one));
    ol_store_trim(dir, 1, one);
    assert_int_equal(count_files(".store"), 1);
    assert_int_equal(round_of(dir, "one"), 0);
    ol_store_trim(dir, 1, NULL);
    assert_int_equal(count_files(".store"), 0);
    ol_free(one);
}

static void without_memory(void **state) {
    (void)state;
    round_of(dir, "kept");
    for (int found = 0; found < 2; found++) {
        bool all = false;
        for (uint64_t n = 1; n < 100 && !all; n++) {
            ol_alloc_fail_at(n, true);
            ol_store *s = ol_store_open(dir, found ? "kept" : "new");
            bool made;
            const ol_store_item *it = s ? ol_store_get(s, "a", BIG, &made) : NULL;
            if (it && made) fill(it->data, BIG, 0);
            if (s && it) ol_store_finish(s);
            ol_alloc_fail_at(0, false);
            if (it) assert_true(is_filled(it->data, BIG, 0));
            all = s && it && n > 60;
            ol_store_release(s);
            if (!found) ol_store_trim(dir, 4 * BIG, NULL);
        }
        assert_true(all);
    }
}

static int make_folder(void **state) {
    (void)state;
    olv_set_log(on_line, NULL);
    return mkdtemp(dir) ? 0 : -1;
}
static int remove_folder(void **state) {
    (void)state;
    return ol_dir_remove(dir, NULL) == OLV_OK ? 0 : -1;
}

int main(void) {
#define T(f) cmocka_unit_test_setup(f, empty_folder)
    const struct CMUnitTest tests[] = {
        T(in_memory), T(is_found_again), T(little_is_not_kept), T(unfinished_work_goes), T(changed_bytes_are_noticed),
        T(lost_data_are_noticed_after_a_boot), T(cut_and_foreign_files_are_noticed), T(without_a_folder), T(without_room),
        T(several_at_once), T(after_a_kill), T(least_recently_used_go), T(without_memory),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
