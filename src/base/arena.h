/* SPDX-License-Identifier: Apache-2.0 */
/* Bump allocation for things that die together (graph nodes, names, attributes). Not thread-safe. */
#ifndef OL_BASE_ARENA_H
#define OL_BASE_ARENA_H

#include <stddef.h>

typedef struct ol_arena ol_arena;

ol_arena *ol_arena_create(void); /* NULL when out of memory */
void ol_arena_destroy(ol_arena *a);
/* Zeroed block aligned to 16 bytes; NULL when out of memory. */
void *ol_arena_alloc(ol_arena *a, size_t bytes);
void *ol_arena_calloc(ol_arena *a, size_t count, size_t bytes_each); /* overflow gives NULL */
/* NUL-terminated copy of n bytes; NULL when out of memory. */
char *ol_arena_strndup(ol_arena *a, const char *s, size_t n);
char *ol_arena_strdup(ol_arena *a, const char *s);
char *ol_arena_printf(ol_arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
size_t ol_arena_bytes(const ol_arena *a);

#endif
