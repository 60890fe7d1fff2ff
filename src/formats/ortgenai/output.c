/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/ortgenai/output.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define JOURNAL ".journal"
#define LOCK ".lock"
#define MAX_JOURNAL (64u << 20)

static bool is_empty_dir(const char *path) {
    char **names;
    size_t n;
    if (ol_dir_list(path, &names, &n, NULL) != OLV_OK) return false;
    ol_dir_list_free(names, n);
    return n == 0;
}

static olv_status check_out(const char *out, bool force, olv_error *err) {
    struct stat st;
    if (lstat(out, &st) != 0 || force) return OLV_OK;
    if (S_ISDIR(st.st_mode) && is_empty_dir(out)) return OLV_OK;
    return ol_fail(err, OLV_STATE, "%s exists and is not an empty folder; use --force to replace it", out);
}

static olv_status take_lock(ol_output *o, olv_error *err) {
    char *path = ol_path_join(o->part, LOCK), pid[32] = "";
    if (!path) return ol_fail(err, OLV_NOMEM, "out of memory");
    o->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    olv_status s = o->lock_fd < 0 ? ol_fail_errno(err, "%s", path) : OLV_OK;
    if (s == OLV_OK && flock(o->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        ssize_t n = pread(o->lock_fd, pid, sizeof pid - 1, 0);
        pid[n > 0 ? n : 0] = 0;
        s = ol_fail(err, OLV_STATE, "%s: process %ld is writing there", o->part, strtol(pid, NULL, 10));
    }
    if (s == OLV_OK) {
        int n = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
        if (ftruncate(o->lock_fd, 0) != 0 || pwrite(o->lock_fd, pid, (size_t)n, 0) != n) s = ol_fail_errno(err, "%s", path);
    }
    ol_free(path);
    return s;
}

/* The first line of a journal that may be continued: layout of the files and boot of the machine. */
static void head_line(uint64_t layout, char *out, size_t size) {
    char *boot = NULL;
    size_t len;
    if (ol_file_read("/proc/sys/kernel/random/boot_id", 256, &boot, &len, NULL) == OLV_OK) boot[strcspn(boot, "\n")] = 0;
    snprintf(out, size, "layout %016" PRIx64 " boot %.80s", layout, boot ? boot : "?");
    ol_free(boot);
}

/* Reads the names of finished parts; a torn last line is dropped, and all when the first line is another one. */
static olv_status read_journal(ol_output *o, const char *path, const char *head, olv_error *err) {
    size_t len = 0;
    if (!ol_file_exists(path)) return OLV_OK;
    OL_TRY(ol_file_read(path, MAX_JOURNAL, &o->journal_text, &len, err));
    char *line = o->journal_text;
    size_t n = strlen(head);
    if (strncmp(line, head, n) != 0 || line[n] != '\n') return OLV_OK;
    for (char *end; (end = strchr(line, '\n')); line = end + 1) {
        *end = 0;
        char *tab = strchr(line, '\t'); /* note, tab, name: a torn line has no name, or no whole one */
        if (tab) *tab = 0;
        if (ol_map_put(&o->done, ol_str_of(tab ? tab + 1 : line), (uint64_t)(uintptr_t)(tab ? line : NULL)) < 0) return ol_fail(err, OLV_NOMEM, "out of memory");
    }
    return OLV_OK;
}

static olv_status open_journal(ol_output *o, uint64_t layout, olv_error *err) {
    char *path = ol_path_join(o->part, JOURNAL), head[160];
    if (!path) return ol_fail(err, OLV_NOMEM, "out of memory");
    head_line(layout, head, sizeof head);
    olv_status s = read_journal(o, path, head, err);
    bool goes_on = o->done.count > 0;
    if (s == OLV_OK) {
        o->journal_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | (goes_on ? 0 : O_TRUNC), 0644);
        if (o->journal_fd < 0) s = ol_fail_errno(err, "%s", path);
    }
    /* A torn last line is closed, so that the next name stands alone. */
    if (s == OLV_OK && goes_on && write(o->journal_fd, "\n", 1) != 1) s = ol_fail_errno(err, "%s", path);
    if (s == OLV_OK && !goes_on) s = ol_output_mark(o, head, err);
    ol_free(path);
    return s;
}

/* Bytes that files of a folder hold on the disk. */
static uint64_t held_bytes(const char *dir) {
    char **names;
    size_t n;
    uint64_t total = 0;
    if (ol_dir_list(dir, &names, &n, NULL) != OLV_OK) return 0;
    for (size_t i = 0; i < n; i++) {
        struct stat st;
        char *p = ol_path_join(dir, names[i]);
        if (p && stat(p, &st) == 0) total += (uint64_t)st.st_blocks * 512;
        ol_free(p);
    }
    ol_dir_list_free(names, n);
    return total;
}

static olv_status check_disk(const ol_output *o, uint64_t need, olv_error *err) {
    uint64_t have, held = held_bytes(o->part);
    OL_TRY(ol_disk_free(o->part, &have, err));
    need = need > held ? need - held : 0;
    if (have >= need) return OLV_OK;
    return ol_fail(err, OLV_IO, "%s: %" PRIu64 " MiB are free on the disk, %" PRIu64 " MiB are needed", o->out, have >> 20,
                   (need >> 20) + 1);
}

olv_status ol_output_begin(ol_output *o, const char *out, const char *key, bool force, bool fresh, uint64_t need,
                           uint64_t layout, olv_error *err) {
    memset(o, 0, sizeof *o);
    o->lock_fd = o->journal_fd = -1;
    ol_map_init(&o->done);
    size_t n = strlen(out);
    while (n > 1 && out[n - 1] == '/') n--;
    o->replace = force;
    o->out = ol_alloc(n + 1);
    o->part = ol_alloc(n + strlen(key) + 16);
    if (!o->out || !o->part) return ol_fail(err, OLV_NOMEM, "out of memory");
    memcpy(o->out, out, n);
    o->out[n] = 0;
    snprintf(o->part, n + strlen(key) + 16, "%s.part-%s", o->out, key);
    OL_TRY(check_out(o->out, force, err));
    OL_TRY(ol_dir_create(o->part, err));
    OL_TRY(take_lock(o, err));
    if (fresh) {
        char *journal = ol_path_join(o->part, JOURNAL);
        if (journal) unlink(journal);
        ol_free(journal);
    }
    OL_TRY(check_disk(o, need, err));
    return open_journal(o, layout, err);
}

bool ol_output_is_done(const ol_output *o, const char *name) { return ol_map_get(&o->done, ol_str_of(name)) != NULL; }

const char *ol_output_note(const ol_output *o, const char *name) {
    const uint64_t *found = ol_map_get(&o->done, ol_str_of(name));
    return found ? (const char *)(uintptr_t)*found : NULL;
}

olv_status ol_output_mark(ol_output *o, const char *name, olv_error *err) { return ol_output_mark_note(o, name, "", err); }

olv_status ol_output_mark_note(ol_output *o, const char *name, const char *note, olv_error *err) {
    char line[1024];
    int n = snprintf(line, sizeof line, "%s%s%s\n", note, *note ? "\t" : "", name);
    if (n < 0 || (size_t)n >= sizeof line) return OLV_OK; /* such a part is done again */
    if (write(o->journal_fd, line, (size_t)n) != n) return ol_fail_errno(err, "%s/" JOURNAL, o->part);
    return OLV_OK;
}

olv_status ol_output_file(ol_output *o, const char *name, const void *data, size_t len, olv_error *err) {
    char *path = ol_path_join(o->part, name);
    if (!path) return ol_fail(err, OLV_NOMEM, "out of memory");
    olv_status s = ol_file_write_atomic(path, data, len, err);
    ol_free(path);
    return s;
}

olv_status ol_output_copy(ol_output *o, const char *from_dir, const char *name, olv_error *err) {
    ol_file *f;
    OL_TRY(ol_file_open_in(from_dir, name, &f, err));
    olv_status s = ol_output_file(o, name, f->data, (size_t)f->size, err);
    ol_file_release(f);
    return s;
}

/* Moves what lies at OUT out of the way; gives the place it went to (NULL: nothing was there). */
static olv_status set_aside(ol_output *o, char **old, olv_error *err) {
    struct stat st;
    *old = NULL;
    if (lstat(o->out, &st) != 0) return OLV_OK;
    if (S_ISDIR(st.st_mode) && rmdir(o->out) == 0) return OLV_OK;
    if (!o->replace) return ol_fail(err, OLV_STATE, "%s was made by somebody else meanwhile", o->out);
    size_t n = strlen(o->out) + 32;
    char *aside = ol_alloc(n);
    if (!aside) return ol_fail(err, OLV_NOMEM, "out of memory");
    snprintf(aside, n, "%s.old-%ld", o->out, (long)getpid());
    if (rename(o->out, aside) != 0) {
        ol_free(aside);
        return ol_fail_errno(err, "%s", o->out);
    }
    *old = aside;
    return OLV_OK;
}

static void remove_in(const ol_output *o, const char *name) {
    char *p = ol_path_join(o->part, name);
    if (p) unlink(p);
    ol_free(p);
}

olv_status ol_output_finish(ol_output *o, olv_error *err) {
    char *old;
    OL_TRY(set_aside(o, &old, err));
    remove_in(o, JOURNAL);
    remove_in(o, LOCK);
    olv_status s = rename(o->part, o->out) == 0 ? OLV_OK : ol_fail_errno(err, "%s", o->out);
    if (old && s == OLV_OK) {
        struct stat st;
        if (lstat(old, &st) == 0 && !S_ISDIR(st.st_mode))
            unlink(old);
        else if (ol_dir_remove(old, err) != OLV_OK)
            s = ol_error_at(err, "the new folder is complete, but the old one is still there");
    } else if (old && rename(old, o->out) != 0) {
        ol_error_at(err, "the old folder now is %s", old);
    }
    ol_free(old);
    return s;
}

void ol_output_close(ol_output *o) {
    if (o->journal_fd >= 0) close(o->journal_fd);
    if (o->lock_fd >= 0) close(o->lock_fd);
    ol_map_deinit(&o->done);
    ol_free(o->journal_text);
    ol_free(o->out);
    ol_free(o->part);
}
