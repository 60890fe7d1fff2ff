/* SPDX-License-Identifier: Apache-2.0 */
/* Room comes from few big blocks: mappings of the file that is made, or memory, which lies on huge pages where the system
 * has them. */
#include "base/store.h"
#include "base/alloc.h"
#include "base/checked.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/store_file.h"
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define BLOCK_BYTES ((size_t)8 << 20)
#define UNIT 65536 /* blocks begin at multiples of this in the file: a multiple of every page size */
#define INDEX_ROOM ((uint64_t)1 << 20) /* an index is smaller */
#define POLL_MS 20
#define PATIENCE_MS 15000 /* without a sign of life of another maker */

typedef struct block {
    uint8_t *data;
    size_t used, size;
    uint64_t place; /* in the file; 0: memory */
    struct block *next;
} block;

struct ol_store {
    atomic_int refs;
    char *key, *dir, *path, *part; /* dir, path, part: NULL in memory */
    int fd;                        /* of the part; -1: none (yet) */
    bool tried;                    /* to make the file */
    ol_file *file;                 /* complete, mapped */
    bool lacks;                    /* the file has not all that was asked for */
    ol_store_item *items, **last;  /* in the order in which they were made */
    size_t n_items;
    block *blocks;
};

/* ---- life -------------------------------------------------------------------------------------------- */

static char *copy_text(const char *s) {
    char *p = ol_alloc(strlen(s) + 1);
    return p ? strcpy(p, s) : NULL;
}

static ol_store_item *add_item(ol_store *s, uint64_t id, size_t bytes, void *data) {
    ol_store_item *item = ol_calloc(1, sizeof *item);
    if (!item) return NULL;
    *item = (ol_store_item){id, bytes, data, NULL};
    *s->last = item;
    s->last = &item->next;
    s->n_items++;
    return item;
}

static void forget_items(ol_store *s) {
    for (ol_store_item *i = s->items, *next; i; i = next) {
        next = i->next;
        ol_free(i);
    }
    s->items = NULL;
    s->last = &s->items;
    s->n_items = 0;
}

/* Takes over the complete file, if there is one. */
static void load(ol_store *s) {
    const char *why;
    size_t n;
    ol_file *f = ol_store_file_open(s->path, s->key, &n, &why);
    if (!f) {
        if (*why) ol_log(OLV_LOG_INFO, "prepared weights in '%s' are made anew: %s", s->path, why);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        ol_store_entry e = ol_store_file_entry(f, i);
        void *data = e.place ? (void *)(uintptr_t)(f->data + e.place) : NULL;
        if (!add_item(s, e.id, (size_t)e.bytes, data)) {
            forget_items(s);
            ol_file_release(f);
            return;
        }
    }
    s->file = f;
    s->tried = true;
    ol_store_file_touch(s->path);
    ol_log(OLV_LOG_INFO, "prepared weights come from '%s'", s->path);
}

static bool name_files(ol_store *s, const char *dir, const char *key) {
    char name[48];
    s->dir = copy_text(dir);
    snprintf(name, sizeof name, "%016llx.store", (unsigned long long)ol_hash64(key, strlen(key), 0));
    s->path = ol_path_join(dir, name);
    strcpy(name + 16, ".part");
    s->part = ol_path_join(dir, name);
    return s->dir && s->path && s->part;
}

ol_store *ol_store_open(const char *dir, const char *key) {
    ol_store *s = ol_calloc(1, sizeof *s);
    if (!s) return NULL;
    atomic_init(&s->refs, 1);
    s->fd = -1;
    s->last = &s->items;
    s->key = copy_text(key);
    if (!s->key || (dir && *dir && !name_files(s, dir, key))) {
        ol_store_release(s);
        return NULL;
    }
    if (s->path) load(s);
    return s;
}

ol_store *ol_store_retain(ol_store *s) {
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}

bool ol_store_was_found(const ol_store *s) { return s->file != NULL; }

static void close_part(ol_store *s, bool remove) {
    if (s->fd < 0) return;
    if (remove) unlink(s->part);
    close(s->fd);
    s->fd = -1;
}

void ol_store_release(ol_store *s) {
    if (!s || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1) return;
    close_part(s, true);
    forget_items(s);
    for (block *b = s->blocks, *next; b; b = next) {
        next = b->next;
        if (b->place) munmap(b->data, b->size);
        else ol_free_aligned(b->data);
        ol_free(b);
    }
    ol_file_release(s->file);
    ol_free(s->key);
    ol_free(s->dir);
    ol_free(s->path);
    ol_free(s->part);
    ol_free(s);
}

/* ---- the file that is made --------------------------------------------------------------------------- */

static void give_up(ol_store *s, const char *why) {
    ol_log(OLV_LOG_INFO, "prepared weights are not kept in '%s': %s", s->dir, why);
    close_part(s, true);
}

/* Waits for the lock of fd while the file grows. */
static bool wait_for(int fd) {
    off_t size = -1;
    int waited = 0;
    while (flock(fd, LOCK_EX | LOCK_NB)) {
        struct stat st;
        if (errno != EWOULDBLOCK && errno != EINTR) return false;
        if (fstat(fd, &st)) return false;
        if (st.st_size != size || st.st_nlink == 0) waited = 0;
        size = st.st_size;
        if ((waited += POLL_MS) > PATIENCE_MS) {
            errno = EBUSY;
            return false;
        }
        nanosleep(&(struct timespec){0, POLL_MS * 1000000L}, NULL);
    }
    return true;
}

/* The locked, empty part; -1 with errno. Its lock counts only while it has its name: the maker before renames or removes it. */
static int lock_part(const char *path) {
    for (;;) {
        struct stat own, named;
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
        if (fd < 0) return -1;
        if (!wait_for(fd) || fstat(fd, &own)) {
            int code = errno;
            close(fd);
            errno = code;
            return -1;
        }
        if (stat(path, &named) == 0 && named.st_ino == own.st_ino && named.st_dev == own.st_dev) return fd;
        close(fd);
    }
}

/* Opens the part at the first item, and looks whether somebody else has finished the file meanwhile. */
static void start_file(ol_store *s) {
    s->tried = true;
    olv_error err;
    if (!s->path) return;
    if (ol_dir_create(s->dir, &err) != OLV_OK) {
        give_up(s, err.message);
        return;
    }
    s->fd = lock_part(s->part);
    if (s->fd < 0) {
        give_up(s, errno == EBUSY ? "another process is at it" : strerror(errno));
        return;
    }
    load(s);
    if (s->file) close_part(s, true);
    else if (ftruncate(s->fd, 0)) give_up(s, strerror(errno));
}

/* Reserves [place, place + bytes) of the part; an error code. */
static int reserve(int fd, uint64_t place, size_t bytes) {
    struct rlimit most;
    if (getrlimit(RLIMIT_FSIZE, &most) == 0 && most.rlim_cur != RLIM_INFINITY && place + bytes + INDEX_ROOM > most.rlim_cur) return EFBIG;
    int code;
    do code = posix_fallocate(fd, (off_t)place, (off_t)bytes);
    while (code == EINTR);
    return code;
}

static uint64_t file_end(const ol_store *s) {
    for (const block *b = s->blocks; b; b = b->next)
        if (b->place) return b->place + b->used;
    return OL_STORE_DATA;
}

/* Room of a new block in the file; false: there is none, and none will be had. */
static bool map_block(ol_store *s, block *b) {
    uint64_t place = (file_end(s) + UNIT - 1) / UNIT * UNIT;
    if (s->fd < 0) return false;
    int code = reserve(s->fd, place, b->size);
    void *p = code ? MAP_FAILED : mmap(NULL, b->size, PROT_READ | PROT_WRITE, MAP_SHARED, s->fd, (off_t)place);
    if (p == MAP_FAILED) {
        give_up(s, strerror(code ? code : errno));
        return false;
    }
    b->data = p;
    b->place = place;
    return true;
}

/* ---- items ------------------------------------------------------------------------------------------- */

static void *room(ol_store *s, size_t bytes) {
    if (bytes > SIZE_MAX / 4) return NULL;
    size_t need = ol_align_up(bytes ? bytes : 1, 64);
    block *b = s->blocks;
    if (!b || b->size - b->used < need || (b->place != 0) != (s->fd >= 0)) {
        block *made = ol_calloc(1, sizeof *made);
        if (!made) return NULL;
        made->size = need > BLOCK_BYTES ? ol_align_up(need, UNIT) : BLOCK_BYTES;
        if (!map_block(s, made) && !(made->data = ol_alloc_aligned(made->size))) {
            ol_free(made);
            return NULL;
        }
        made->next = b;
        s->blocks = b = made;
    }
    uint8_t *at = b->data + b->used;
    b->used += need;
    return at;
}

static ol_store_item *find(const ol_store *s, uint64_t id, size_t bytes) {
    for (ol_store_item *i = s->items; i; i = i->next)
        if (i->id == id && i->bytes == bytes) return i;
    return NULL;
}

const ol_store_item *ol_store_get(ol_store *s, const char *name, size_t bytes, bool *made) {
    uint64_t id = ol_hash64(name, strlen(name), 0);
    *made = false;
    ol_store_item *item = find(s, id, bytes);
    if (!item && !s->tried) {
        start_file(s);
        item = find(s, id, bytes);
    }
    if (item) return item;
    void *data = room(s, bytes);
    if (!data || !(item = add_item(s, id, bytes, data))) return NULL;
    *made = true;
    s->lacks = s->file != NULL;
    return item;
}

void ol_store_refuse(ol_store *s, const ol_store_item *item) {
    s->blocks->used -= ol_align_up(item->bytes ? item->bytes : 1, 64);
    ((ol_store_item *)(uintptr_t)item)->data = NULL;
}

const ol_store_item *ol_store_items(const ol_store *s) { return s->items; }

bool ol_store_adopt(ol_store *s, uint64_t id, size_t bytes, const void *data) {
    return add_item(s, id, bytes, (void *)(uintptr_t)data) != NULL;
}

/* ---- finishing --------------------------------------------------------------------------------------- */

static uint64_t place_of(const ol_store *s, const void *data) {
    const uint8_t *p = data;
    for (const block *b = s->blocks; b && p; b = b->next)
        if (p >= b->data && p < b->data + b->size) return b->place + (uint64_t)(p - b->data);
    return 0;
}

static bool seal(ol_store *s) {
    ol_store_entry *entries = ol_calloc(s->n_items + 1, sizeof *entries);
    size_t n = 0;
    errno = ENOMEM;
    for (const ol_store_item *i = s->items; entries && i; i = i->next)
        entries[n++] = (ol_store_entry){i->id, place_of(s, i->data), i->bytes};
    bool ok = entries && ol_store_file_seal(s->fd, (file_end(s) + 63) / 64 * 64, s->key, entries, n) && rename(s->part, s->path) == 0;
    ol_free(entries);
    return ok;
}

void ol_store_finish(ol_store *s) {
    if (s->lacks && unlink(s->path) == 0) ol_log(OLV_LOG_INFO, "'%s' lacks some weights; the next start makes it anew", s->path);
    s->lacks = false;
    if (s->fd < 0) return;
    uint64_t bytes = file_end(s) - OL_STORE_DATA;
    if (bytes < OL_STORE_LEAST || bytes > OL_STORE_LIMIT) {
        close_part(s, true);
    } else if (!seal(s)) {
        give_up(s, strerror(errno));
    } else {
        close_part(s, false);
        ol_store_trim(s->dir, OL_STORE_LIMIT, s->path);
        ol_log(OLV_LOG_INFO, "prepared weights are kept in '%s' (%.1f MB)", s->path, (double)bytes / 1e6);
    }
    for (block *b = s->blocks; b; b = b->next)
        if (b->place) mprotect(b->data, b->size, PROT_READ);
}

char *ol_store_default_dir(void) {
    const char *base = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (base && *base == '/') return ol_path_join(base, "olivine");
    return home && *home == '/' ? ol_path_join(home, ".cache/olivine") : NULL;
}
