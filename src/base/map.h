/* SPDX-License-Identifier: Apache-2.0 */
/* Hash map from bytes to a 64-bit value. Keys are borrowed: they must outlive the map. Seeded per process, so
 * hostile keys cannot force collisions. Iteration order is insertion order. Not thread-safe. */
#ifndef OL_BASE_MAP_H
#define OL_BASE_MAP_H

#include "base/str.h"

typedef struct ol_map_entry {
    ol_str key;
    uint64_t value;
    uint64_t hash;
} ol_map_entry;

typedef struct ol_map {
    ol_map_entry *entries; /* in insertion order */
    uint32_t *slots;       /* index + 1 into entries, 0 = free */
    size_t count, cap, n_slots;
} ol_map;

void ol_map_init(ol_map *m);
void ol_map_deinit(ol_map *m);
bool ol_map_reserve(ol_map *m, size_t count); /* false when out of memory */
/* Sets key to value. Returns 1 if the key was new, 0 if it replaced a value, -1 when out of memory. */
int ol_map_put(ol_map *m, ol_str key, uint64_t value);
/* Pointer to the value, valid until the next put; NULL if absent. */
uint64_t *ol_map_get(const ol_map *m, ol_str key);

#endif
