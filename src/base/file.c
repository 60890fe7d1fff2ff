/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"
#include "base/alloc.h"
#include "base/error.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static olv_status map_fd(int fd, const char *path, ol_file **out, olv_error *err) {
    struct stat st;
    if (fstat(fd, &st)) return ol_fail_errno(err, "cannot look at '%s'", path);
    if (!S_ISREG(st.st_mode)) return ol_fail(err, OLV_FORMAT, "'%s' is no regular file", path);
    ol_file *f = ol_calloc(1, sizeof *f);
    char *name = f ? ol_alloc(strlen(path) + 1) : NULL;
    if (!name) {
        ol_free(f);
        return ol_fail(err, OLV_NOMEM, "no memory to open '%s'", path);
    }
    strcpy(name, path);
    *f = (ol_file){NULL, (uint64_t)st.st_size, (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec, name, 1, false};
    if (f->size) {
        void *p = mmap(NULL, (size_t)f->size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (p == MAP_FAILED) {
            int code = errno;
            ol_free(name);
            ol_free(f);
            errno = code;
            return ol_fail_errno(err, "cannot map '%s' (%lld bytes)", path, (long long)st.st_size);
        }
        f->data = p;
    }
    *out = f;
    return OLV_OK;
}

olv_status ol_file_open(const char *path, ol_file **out, olv_error *err) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return ol_fail_errno(err, "cannot open '%s'", path);
    olv_status s = map_fd(fd, path, out, err);
    close(fd);
    return s;
}

static bool is_contained_name(const char *name) {
    if (!*name || *name == '/' || strchr(name, '\\')) return false;
    for (const char *p = name; p;) {
        size_t n = strcspn(p, "/");
        if (n == 2 && p[0] == '.' && p[1] == '.') return false;
        p = p[n] ? p + n + 1 : NULL;
    }
    return true;
}

static bool is_inside(const char *path, const char *dir) {
    size_t n = strlen(dir);
    if (n == 1 && dir[0] == '/') return true;
    return strncmp(path, dir, n) == 0 && path[n] == '/';
}

/* The "/snapshots/..." part of a folder inside a hub cache entry (".../models--ORG--NAME/snapshots/REV"), or NULL. */
static const char *find_snapshots(const char *real_dir) {
    const char *found = NULL;
    for (const char *s = real_dir; (s = strstr(s, "/snapshots/")); s++) {
        const char *entry = s;
        while (entry > real_dir && entry[-1] != '/') entry--;
        if (strncmp(entry, "models--", 8) == 0) found = s;
    }
    return found;
}

/* A hub cache entry keeps its snapshots as links into a `blobs` folder beside `snapshots`. */
static bool is_hub_blob(const char *path, const char *real_dir) {
    const char *s = find_snapshots(real_dir);
    if (!s) return false;
    char blobs[PATH_MAX];
    int n = snprintf(blobs, sizeof blobs, "%.*s/blobs", (int)(s - real_dir), real_dir);
    return n > 0 && (size_t)n < sizeof blobs && is_inside(path, blobs);
}

olv_status ol_file_open_in(const char *dir, const char *name, ol_file **out, olv_error *err) {
    if (!is_contained_name(name)) return ol_fail(err, OLV_FORMAT, "file name '%.200s' leaves the model's folder", name);
    char *path = ol_path_join(dir, name);
    if (!path) return ol_fail(err, OLV_NOMEM, "no memory to open '%s'", name);
    char real_dir[PATH_MAX], real_path[PATH_MAX];
    olv_status s = OLV_OK;
    if (!realpath(*dir ? dir : ".", real_dir)) s = ol_fail_errno(err, "cannot open folder '%s'", dir);
    else if (!realpath(path, real_path)) s = ol_fail_errno(err, "cannot open '%s'", path);
    else if (!is_inside(real_path, real_dir) && !is_hub_blob(real_path, real_dir))
        s = ol_fail(err, OLV_FORMAT, "file '%s' leads outside of the model's folder", path);
    else s = ol_file_open(path, out, err);
    ol_free(path);
    return s;
}

void ol_file_drop_pages(const ol_file *f, const void *p, size_t bytes) {
    const uint8_t *from = p;
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), a, b;
    if (f->heap || !f->data || from < f->data || (uint64_t)(from - f->data) > f->size ||
        bytes > f->size - (uint64_t)(from - f->data))
        return;
    a = ((uintptr_t)from + page - 1) / page * page;
    b = ((uintptr_t)from + bytes) / page * page;
    if (a < b) madvise((void *)a, b - a, MADV_DONTNEED); /* of a clean private map: the file's bytes come back */
}

olv_status ol_file_of_bytes(const void *data, size_t len, const char *name, ol_file **out, olv_error *err) {
    ol_file *f = ol_calloc(1, sizeof *f);
    uint8_t *p = ol_alloc_aligned(len);
    char *path = ol_alloc(strlen(name) + 1);
    if (!f || !p || !path) {
        ol_free(f);
        ol_free_aligned(p);
        ol_free(path);
        return ol_fail(err, OLV_NOMEM, "no memory for %zu bytes", len);
    }
    if (len) memcpy(p, data, len);
    strcpy(path, name);
    *f = (ol_file){p, len, 0, path, 1, true};
    *out = f;
    return OLV_OK;
}

ol_file *ol_file_retain(ol_file *f) {
    __atomic_fetch_add(&f->refs, 1, __ATOMIC_RELAXED);
    return f;
}

void ol_file_release(ol_file *f) {
    if (!f || __atomic_fetch_sub(&f->refs, 1, __ATOMIC_ACQ_REL) != 1) return;
    if (f->heap) ol_free_aligned((void *)(uintptr_t)f->data);
    else if (f->data) munmap((void *)(uintptr_t)f->data, (size_t)f->size);
    ol_free(f->path);
    ol_free(f);
}

olv_status ol_file_read(const char *path, size_t max, char **out, size_t *len, olv_error *err) {
    ol_file *f;
    OL_TRY(ol_file_open(path, &f, err));
    olv_status s = OLV_OK;
    if (f->size > max) {
        s = ol_fail(err, OLV_LIMIT, "'%s' has %llu bytes, at most %zu are accepted", path, (unsigned long long)f->size, max);
    } else {
        char *p = ol_alloc((size_t)f->size + 1);
        if (!p) s = ol_fail(err, OLV_NOMEM, "no memory to read '%s'", path);
        else {
            if (f->size) memcpy(p, f->data, (size_t)f->size);
            p[f->size] = 0;
            *out = p;
            *len = (size_t)f->size;
        }
    }
    ol_file_release(f);
    return s;
}

static olv_status write_all(int fd, const char *p, size_t n, const char *path, olv_error *err) {
    while (n) {
        ssize_t k = write(fd, p, n);
        if (k < 0 && errno == EINTR) continue;
        if (k < 0) return ol_fail_errno(err, "cannot write '%s'", path);
        p += k;
        n -= (size_t)k;
    }
    return OLV_OK;
}

olv_status ol_file_write_atomic(const char *path, const void *data, size_t len, olv_error *err) {
    static atomic_uint serial; /* writers of the same path get files of their own */
    size_t n = strlen(path) + 48;
    char *tmp = ol_alloc(n);
    if (!tmp) return ol_fail(err, OLV_NOMEM, "no memory to write '%s'", path);
    snprintf(tmp, n, "%s.tmp-%ld-%u", path, (long)getpid(), atomic_fetch_add(&serial, 1));
    int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    olv_status s = fd < 0 ? ol_fail_errno(err, "cannot write '%s'", path) : write_all(fd, data, len, path, err);
    if (s == OLV_OK && fsync(fd)) s = ol_fail_errno(err, "cannot write '%s'", path);
    if (fd >= 0 && close(fd) && s == OLV_OK) s = ol_fail_errno(err, "cannot write '%s'", path);
    if (s == OLV_OK && rename(tmp, path)) s = ol_fail_errno(err, "cannot write '%s'", path);
    if (s != OLV_OK && fd >= 0) unlink(tmp);
    ol_free(tmp);
    return s;
}

bool ol_file_exists(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}
bool ol_dir_exists(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

olv_status ol_dir_create(const char *path, olv_error *err) {
    char *p = ol_alloc(strlen(path) + 1);
    if (!p) return ol_fail(err, OLV_NOMEM, "no memory to make '%s'", path);
    strcpy(p, path);
    olv_status s = OLV_OK;
    for (char *q = p + (*p == '/'); s == OLV_OK; q++) {
        if (*q && *q != '/') continue;
        char c = *q;
        *q = 0;
        if (*p && mkdir(p, 0777) && errno != EEXIST) s = ol_fail_errno(err, "cannot make folder '%s'", p);
        *q = c;
        if (!c) break;
    }
    if (s == OLV_OK && !ol_dir_exists(path)) s = ol_fail(err, OLV_IO, "cannot make folder '%s': something else has that name", path);
    ol_free(p);
    return s;
}

static olv_status remove_at(int parent, const char *name, int depth, olv_error *err) {
    if (unlinkat(parent, name, 0) == 0 || errno == ENOENT) return OLV_OK;
    if (errno != EISDIR && errno != EPERM) return ol_fail_errno(err, "cannot remove '%s'", name);
    if (depth > 64) return ol_fail(err, OLV_LIMIT, "folder '%s' is nested too deeply", name);
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (!d) {
        olv_status s = ol_fail_errno(err, "cannot remove '%s'", name);
        if (fd >= 0) close(fd);
        return s;
    }
    olv_status s = OLV_OK;
    for (struct dirent *e; s == OLV_OK && (e = readdir(d));)
        if (strcmp(e->d_name, ".") && strcmp(e->d_name, "..")) s = remove_at(fd, e->d_name, depth + 1, err);
    closedir(d);
    if (s == OLV_OK && unlinkat(parent, name, AT_REMOVEDIR)) s = ol_fail_errno(err, "cannot remove '%s'", name);
    return s;
}

olv_status ol_dir_remove(const char *path, olv_error *err) { return remove_at(AT_FDCWD, path, 0, err); }

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

olv_status ol_dir_list(const char *path, char ***names, size_t *count, olv_error *err) {
    DIR *d = opendir(path);
    if (!d) return ol_fail_errno(err, "cannot open folder '%s'", path);
    char **list = NULL;
    size_t n = 0, cap = 0;
    bool ok = true;
    for (struct dirent *e; ok && (e = readdir(d));) {
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..")) continue;
        if (n == cap) {
            cap = cap ? 2 * cap : 16;
            char **p = ol_realloc(list, cap * sizeof *p);
            if (!p) {
                ok = false;
                break;
            }
            list = p;
        }
        list[n] = ol_alloc(strlen(e->d_name) + 1);
        if (!list[n]) ok = false;
        else strcpy(list[n++], e->d_name);
    }
    closedir(d);
    if (!ok) {
        ol_dir_list_free(list, n);
        return ol_fail(err, OLV_NOMEM, "no memory to list '%s'", path);
    }
    if (n) qsort(list, n, sizeof *list, by_name);
    *names = list;
    *count = n;
    return OLV_OK;
}

void ol_dir_list_free(char **names, size_t count) {
    for (size_t i = 0; i < count; i++) ol_free(names[i]);
    ol_free(names);
}

olv_status ol_disk_free(const char *path, uint64_t *bytes, olv_error *err) {
    char *p = ol_alloc(strlen(path) + 2);
    if (!p) return ol_fail(err, OLV_NOMEM, "no memory to look at '%s'", path);
    strcpy(p, *path ? path : ".");
    struct statvfs v;
    int r;
    while ((r = statvfs(p, &v)) && errno == ENOENT && strcmp(p, ".") && strcmp(p, "/")) {
        char *slash = strrchr(p, '/'); /* climb to the nearest folder that exists */
        if (!slash) strcpy(p, ".");
        else if (slash == p) p[1] = 0;
        else *slash = 0;
    }
    olv_status s = r ? ol_fail_errno(err, "cannot look at the file system of '%s'", path) : OLV_OK;
    if (!r) *bytes = (uint64_t)v.f_bavail * v.f_frsize;
    ol_free(p);
    return s;
}

char *ol_path_join(const char *dir, const char *name) {
    size_t n = strlen(dir);
    bool slash = n && dir[n - 1] != '/';
    char *p = ol_alloc(n + strlen(name) + 2);
    if (p) sprintf(p, "%s%s%s", dir, slash ? "/" : "", name);
    return p;
}

const char *ol_path_name(const char *path) {
    const char *s = strrchr(path, '/');
    return s ? s + 1 : path;
}
