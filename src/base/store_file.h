/* SPDX-License-Identifier: Apache-2.0 */
/* The file of a store: a header, the data from OL_STORE_DATA on, and an index behind them. Little-endian.
 *
 *     header   0 "OLVSTORE"   8 u32 version   12 u32 bytes of the header   16 u64 bytes of the file
 *             24 u64 place, 32 u64 bytes, 40 u64 hash of the index   48 u64 hash of the data   56 u64 items
 *             64 u64 bytes of the key   72 u64 0   80 u64 hash of the 80 bytes before
 *             88 the boot during which the data were last known to be whole, in 40 bytes padded with zeros
 *     index   key | items of u64 id, u64 place, u64 bytes; an item of no data is at place 0 */
#ifndef OL_BASE_STORE_FILE_H
#define OL_BASE_STORE_FILE_H

#include "base/file.h"
#include "base/store.h"

#define OL_STORE_DATA ((uint64_t)65536) /* a multiple of every page size */

typedef struct ol_store_entry {
    uint64_t id, place, bytes;
} ol_store_entry;

/* Maps PATH and checks everything. NULL with the reason when it cannot be used ("" when there is no such file). Entries are
 * given out by ol_store_file_entry. */
ol_file *ol_store_file_open(const char *path, const char *key, size_t *n_entries, const char **why);
ol_store_entry ol_store_file_entry(const ol_file *f, size_t i);
/* Writes index and header of a file whose data end at `end`. false with errno. */
bool ol_store_file_seal(int fd, uint64_t end, const char *key, const ol_store_entry *entries, size_t n);
/* Marks a file as just used, for ol_store_trim. */
void ol_store_file_touch(const char *path);

#endif
