/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/source_key.h"
#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include <stdlib.h>
#include <string.h>

#define BEGINNING ((uint64_t)256 << 10)

typedef struct files {
    ol_file **items; /* retained */
    size_t n, cap;
    bool failed;
} files;

static void add(void *ctx, ol_file *f) {
    files *l = ctx;
    for (size_t i = l->n; i-- > 0;) /* the last one is asked for most */
        if (l->items[i] == f) return;
    if (l->n == l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 16;
        ol_file **p = ol_realloc(l->items, cap * sizeof *p);
        if (!p) {
            l->failed = true;
            return;
        }
        l->items = p;
        l->cap = cap;
    }
    l->items[l->n++] = ol_file_retain(f);
}

/* A file that need not be there. */
static void add_path(files *l, const char *path) {
    ol_file *f;
    if (ol_file_open(path, &f, NULL) != OLV_OK) return;
    add(l, f);
    ol_file_release(f);
}

static int by_path(const void *a, const void *b) {
    return strcmp((*(ol_file *const *)a)->path, (*(ol_file *const *)b)->path);
}

static void put_file(const ol_file *f, ol_buf *out) {
    size_t n = (size_t)(f->heap || f->size < BEGINNING ? f->size : BEGINNING); /* memory has no time of change */
    ol_buf_printf(out, "%s %llu %lld %016llx\n", ol_path_name(f->path), (unsigned long long)f->size, (long long)f->mtime_ns,
                  (unsigned long long)(n ? ol_hash64(f->data, n, 0) : 0));
}

olv_status ol_source_key(const ol_graph *g, const char *const *paths, size_t n_paths, ol_buf *out, olv_error *err) {
    files l = {NULL, 0, 0, false};
    for (int i = 0; i < g->n_values; i++)
        if (g->values[i] && g->values[i]->constant) ol_const_each_file(g->values[i]->constant, add, &l);
    for (size_t i = 0; i < n_paths; i++) add_path(&l, paths[i]);
    if (l.n) qsort(l.items, l.n, sizeof(ol_file *), by_path);
    for (size_t i = 0; i < l.n; i++) {
        if (i == 0 || strcmp(l.items[i - 1]->path, l.items[i]->path)) put_file(l.items[i], out);
        else if (l.items[i - 1]->mtime_ns != l.items[i]->mtime_ns) put_file(l.items[i], out);
    }
    for (size_t i = 0; i < l.n; i++) ol_file_release(l.items[i]);
    ol_free(l.items);
    return l.failed || out->failed ? ol_fail(err, OLV_NOMEM, "no memory for the list of files") : OLV_OK;
}
