/* SPDX-License-Identifier: Apache-2.0 */
/* The one door to the heap. Tests make the n-th call fail through ol_alloc_fail_at(). */
#ifndef OL_BASE_ALLOC_H
#define OL_BASE_ALLOC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void *ol_alloc(size_t bytes);                     /* NULL when out of memory; bytes 0 gives a valid pointer */
void *ol_calloc(size_t count, size_t bytes_each); /* zeroed; overflow gives NULL */
void *ol_realloc(void *p, size_t bytes);
void ol_free(void *p); /* NULL accepted */
/* Block aligned to 64 bytes; big blocks (4 MiB and more) are advised to huge pages, and there are never more of them than
 * ol_alloc_limit() bytes together: the system would promise more than it has, and kill when it is written. Freed with
 * ol_free_aligned. */
void *ol_alloc_aligned(size_t bytes);
void ol_free_aligned(void *p);

/* Seven eighths of the memory that this process may use (of the machine, or of its control group). */
size_t ol_alloc_limit(void);

/* Test hooks: bytes 0 brings the limit back to its own value; */
void ol_alloc_set_limit(size_t bytes);
/* n >= 1 makes the n-th allocation from now fail (and all after it when `all_after`); 0 turns it off. */
void ol_alloc_fail_at(uint64_t n, bool all_after);
/* Allocations made since the process started (any of the calls above). */
uint64_t ol_alloc_count(void);

#endif
