/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"
#include "base/alloc.h"
#include "base/checked.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define CHUNK_BYTES ((size_t)64 << 10)

typedef struct chunk {
    struct chunk *next;
    size_t used, size;
    _Alignas(16) unsigned char data[];
} chunk;

struct ol_arena {
    chunk *chunks; /* newest first */
    size_t bytes;
};

ol_arena *ol_arena_create(void) { return ol_calloc(1, sizeof(ol_arena)); }

void ol_arena_destroy(ol_arena *a) {
    if (!a) return;
    for (chunk *c = a->chunks; c;) {
        chunk *next = c->next;
        ol_free(c);
        c = next;
    }
    ol_free(a);
}

static chunk *add_chunk(ol_arena *a, size_t need) {
    size_t size = need > CHUNK_BYTES ? need : CHUNK_BYTES, total;
    if (!ol_add_size(size, sizeof(chunk), &total)) return NULL;
    chunk *c = ol_alloc(total);
    if (!c) return NULL;
    c->used = 0;
    c->size = size;
    if (need > CHUNK_BYTES / 4 && a->chunks) { /* keep filling the present chunk */
        c->next = a->chunks->next;
        a->chunks->next = c;
    } else {
        c->next = a->chunks;
        a->chunks = c;
    }
    return c;
}

void *ol_arena_alloc(ol_arena *a, size_t bytes) {
    if (bytes > SIZE_MAX - 64) return NULL;
    size_t need = ol_align_up(bytes ? bytes : 1, 16);
    chunk *c = a->chunks;
    if (!c || c->size - c->used < need) c = add_chunk(a, need);
    if (!c) return NULL;
    void *p = c->data + c->used;
    c->used += need;
    a->bytes += need;
    return memset(p, 0, need);
}

void *ol_arena_calloc(ol_arena *a, size_t count, size_t bytes_each) {
    size_t n;
    return ol_mul_size(count, bytes_each, &n) ? ol_arena_alloc(a, n) : NULL;
}

char *ol_arena_strndup(ol_arena *a, const char *s, size_t n) {
    if (n == SIZE_MAX) return NULL;
    char *p = ol_arena_alloc(a, n + 1);
    if (p && n) memcpy(p, s, n);
    return p;
}

char *ol_arena_strdup(ol_arena *a, const char *s) { return ol_arena_strndup(a, s, strlen(s)); }

char *ol_arena_printf(ol_arena *a, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    char *p = n < 0 ? NULL : ol_arena_alloc(a, (size_t)n + 1);
    if (!p) return NULL;
    va_start(ap, fmt);
    vsnprintf(p, (size_t)n + 1, fmt, ap);
    va_end(ap);
    return p;
}

size_t ol_arena_bytes(const ol_arena *a) { return a->bytes; }
