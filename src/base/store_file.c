/* SPDX-License-Identifier: Apache-2.0 */
#include "base/store_file.h"
#include "base/alloc.h"
#include "base/bytes.h"
#include "base/checked.h"
#include "base/hash.h"
#include "base/log.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define VERSION 2
#define HEADER 128
#define HASHED 80 /* bytes of the header under its hash */
#define BOOT 88
#define BOOT_BYTES 40
#define ENTRY 24
#define STALE_SECONDS 86400 /* of unfinished files */

static const char magic[8] = {'O', 'L', 'V', 'S', 'T', 'O', 'R', 'E'};

typedef struct header {
    uint64_t file_bytes, index, index_bytes, index_hash, data_hash, items, key_bytes;
} header;

/* "" where the system does not say; then no file counts as known. */
static void this_boot(char out[BOOT_BYTES]) {
    memset(out, 0, BOOT_BYTES);
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, out, BOOT_BYTES - 1);
    if (fd >= 0) close(fd);
    out[n < 0 ? 0 : n] = 0;
    out[strcspn(out, "\n")] = 0;
}

/* Data are hashed in pieces, each with the hash before it as the seed, so that a maker need not map all of them twice. */
#define PIECE ((uint64_t)16 << 20)
static uint64_t piece_bytes(uint64_t at, uint64_t end) { return end - at < PIECE ? end - at : PIECE; }
static uint64_t hash_data(const uint8_t *file, uint64_t end) {
    uint64_t h = 0;
    for (uint64_t at = OL_STORE_DATA; at < end; at += PIECE) h = ol_hash64(file + at, (size_t)piece_bytes(at, end), h);
    return h;
}

static const char *read_header(const ol_file *f, header *h) {
    if (f->size < HEADER || memcmp(f->data, magic, sizeof magic)) return "it is no store";
    ol_bytes r = ol_bytes_of(f->data + 8, HEADER - 8);
    if (ol_bytes_u32(&r) != VERSION || ol_bytes_u32(&r) != HEADER) return "it is of another version";
    uint64_t *fields[] = {&h->file_bytes, &h->index, &h->index_bytes, &h->index_hash, &h->data_hash, &h->items, &h->key_bytes};
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) *fields[i] = ol_bytes_u64(&r);
    uint64_t zero = ol_bytes_u64(&r), hash = ol_bytes_u64(&r);
    if (zero || hash != ol_hash64(f->data, HASHED, 0)) return "its header has changed";
    if (h->file_bytes != f->size) return "it was cut";
    return NULL;
}

static const char *check_index(const ol_file *f, const header *h, const char *key) {
    size_t n;
    if (h->index < OL_STORE_DATA || !ol_range_ok(h->index, h->index_bytes, f->size) || h->key_bytes > h->index_bytes ||
        h->items > h->index_bytes / ENTRY || !ol_mul_size((size_t)h->items, ENTRY, &n) || n != h->index_bytes - h->key_bytes)
        return "its index does not fit";
    if (h->index_hash != ol_hash64(f->data + h->index, (size_t)h->index_bytes, 0)) return "its index has changed";
    if (h->key_bytes != strlen(key) || memcmp(f->data + h->index, key, strlen(key))) return "it was made of something else";
    for (size_t i = 0; i < (size_t)h->items; i++) {
        ol_store_entry e = ol_store_file_entry(f, i);
        if (e.place == 0) continue;
        if (e.place < OL_STORE_DATA || e.place % 64 || !ol_range_ok(e.place, e.bytes, h->index)) return "its index does not fit";
    }
    return NULL;
}

/* Once a boot. */
static const char *check_data(const ol_file *f, const header *h) {
    char boot[BOOT_BYTES];
    this_boot(boot);
    if (boot[0] && !memcmp(f->data + BOOT, boot, BOOT_BYTES)) return NULL;
    if (h->data_hash != hash_data(f->data, h->index)) return "its data have changed";
    int fd = open(f->path, O_WRONLY | O_CLOEXEC);
    if (fd >= 0 && pwrite(fd, boot, BOOT_BYTES, BOOT) != BOOT_BYTES)
        ol_log(OLV_LOG_DEBUG, "cannot mark '%s' as checked", f->path);
    if (fd >= 0) close(fd);
    return NULL;
}

ol_store_entry ol_store_file_entry(const ol_file *f, size_t i) {
    ol_bytes r = ol_bytes_of(f->data + 24, 48);
    uint64_t index = ol_bytes_u64(&r);
    r = ol_bytes_of(f->data + 64, 8);
    uint64_t key = ol_bytes_u64(&r);
    r = ol_bytes_of(f->data + index + key + i * ENTRY, ENTRY);
    ol_store_entry e;
    e.id = ol_bytes_u64(&r);
    e.place = ol_bytes_u64(&r);
    e.bytes = ol_bytes_u64(&r);
    return e;
}

ol_file *ol_store_file_open(const char *path, const char *key, size_t *n_entries, const char **why) {
    ol_file *f;
    header h;
    struct stat st;
    *why = "";
    if (lstat(path, &st)) return NULL;
    *why = "it cannot be opened";
    if (ol_file_open(path, &f, NULL) != OLV_OK) return NULL;
    *why = read_header(f, &h);
    if (!*why) *why = check_index(f, &h, key);
    if (!*why) *why = check_data(f, &h);
    if (*why) {
        ol_file_release(f);
        return NULL;
    }
    *n_entries = (size_t)h.items;
    return f;
}

/* ---- sealing ----------------------------------------------------------------------------------------- */

static void put(ol_buf *b, uint64_t v, int bytes) {
    for (int i = 0; i < bytes; i++) ol_buf_putc(b, (char)(uint8_t)(v >> 8 * i));
}

static bool write_at(int fd, const char *p, size_t n, uint64_t at) {
    while (n) {
        ssize_t k = pwrite(fd, p, n, (off_t)at);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) return false;
        p += k;
        at += (uint64_t)k;
        n -= (size_t)k;
    }
    return true;
}

static bool hash_file(int fd, uint64_t end, uint64_t *hash) {
    *hash = 0;
    for (uint64_t at = OL_STORE_DATA; at < end; at += PIECE) {
        size_t n = (size_t)piece_bytes(at, end);
        void *p = mmap(NULL, n, PROT_READ, MAP_SHARED, fd, (off_t)at);
        if (p == MAP_FAILED) return false;
        *hash = ol_hash64(p, n, *hash);
        munmap(p, n);
    }
    return true;
}

bool ol_store_file_seal(int fd, uint64_t end, const char *key, const ol_store_entry *entries, size_t n) {
    ol_buf index = OL_BUF_INIT, head = OL_BUF_INIT;
    char boot[BOOT_BYTES];
    uint64_t data_hash;
    ol_buf_puts(&index, key);
    for (size_t i = 0; i < n; i++) {
        put(&index, entries[i].id, 8);
        put(&index, entries[i].place, 8);
        put(&index, entries[i].bytes, 8);
    }
    errno = ENOMEM;
    bool ok = !index.failed && write_at(fd, index.data, index.len, end) && ftruncate(fd, (off_t)(end + index.len)) == 0 &&
              hash_file(fd, end, &data_hash);
    if (ok) {
        ol_buf_append(&head, magic, sizeof magic);
        put(&head, VERSION, 4);
        put(&head, HEADER, 4);
        const uint64_t fields[] = {end + index.len, end, index.len, ol_hash64(index.data, index.len, 0), data_hash, n, strlen(key), 0};
        for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) put(&head, fields[i], 8);
        put(&head, head.failed ? 0 : ol_hash64(head.data, HASHED, 0), 8);
        this_boot(boot);
        ol_buf_append(&head, boot, BOOT_BYTES);
        ok = !head.failed && write_at(fd, head.data, head.len, 0);
    }
    ol_buf_deinit(&index);
    ol_buf_deinit(&head);
    return ok;
}

/* ---- the folder -------------------------------------------------------------------------------------- */

void ol_store_file_touch(const char *path) {
    const struct timespec now[2] = {{0, UTIME_NOW}, {0, UTIME_NOW}};
    if (utimensat(AT_FDCWD, path, now, 0)) ol_log(OLV_LOG_DEBUG, "cannot mark '%s' as used", path);
}

typedef struct kept {
    char *path;
    struct timespec used;
    uint64_t bytes;
} kept;

static int by_use(const void *a, const void *b) {
    const kept *x = a, *y = b;
    if (x->used.tv_sec != y->used.tv_sec) return x->used.tv_sec < y->used.tv_sec ? -1 : 1;
    return (x->used.tv_nsec > y->used.tv_nsec) - (x->used.tv_nsec < y->used.tv_nsec);
}

/* Unfinished files whose maker is gone. */
static void remove_stale(const char *path, const struct stat *st) {
    if (time(NULL) - st->st_mtim.tv_sec < STALE_SECONDS) return;
    int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0) unlink(path);
    if (fd >= 0) close(fd);
}

void ol_store_trim(const char *dir, uint64_t limit, const char *keep) {
    char **names;
    size_t n, n_kept = 0;
    uint64_t total = 0;
    if (ol_dir_list(dir, &names, &n, NULL) != OLV_OK) return;
    kept *files = ol_calloc(n + 1, sizeof *files);
    for (size_t i = 0; files && i < n; i++) {
        struct stat st;
        bool store = ol_str_ends(ol_str_of(names[i]), ".store"), part = ol_str_ends(ol_str_of(names[i]), ".part");
        char *path = store || part ? ol_path_join(dir, names[i]) : NULL;
        if (!path || lstat(path, &st) || !S_ISREG(st.st_mode) || part) {
            if (path && part && S_ISREG(st.st_mode)) remove_stale(path, &st);
            ol_free(path);
            continue;
        }
        total += (uint64_t)st.st_size;
        files[n_kept++] = (kept){path, st.st_mtim, (uint64_t)st.st_size};
    }
    if (n_kept) qsort(files, n_kept, sizeof *files, by_use);
    for (size_t i = 0; i < n_kept; i++) {
        bool goes = total > limit && !(keep && !strcmp(files[i].path, keep));
        if (goes && unlink(files[i].path) == 0) total -= files[i].bytes;
        ol_free(files[i].path);
    }
    ol_free(files);
    ol_dir_list_free(names, n);
}
