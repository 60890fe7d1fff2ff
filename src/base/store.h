/* SPDX-License-Identifier: Apache-2.0 */
/* The weight store: data that is made from a model's weights (compressed while loading, scales in another type), kept in
 * one file of a cache folder, mapped at the next start and shared by processes.
 *
 * While it is made, the file is KEY.part, locked by its maker and written through mappings of space that is reserved
 * beforehand, so a full disk is an error code and not a signal; it becomes KEY.store by rename when complete. A process that
 * comes meanwhile waits as long as the file grows. Where a file cannot be had (no folder, no room, no rights), the data
 * live in memory, and one log line says so. Nothing here fails but for lack of memory.
 *
 * A file is used after its header and index were checked in full: foreign, cut or changed ones are made anew. Its data are
 * checked against their hash once after each boot, because a machine that stops may lose what was written. */
#ifndef OL_BASE_STORE_H
#define OL_BASE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OL_STORE_LIMIT ((uint64_t)20000000000) /* bytes of all files in a folder; the least recently used go */
#define OL_STORE_LEAST ((uint64_t)1 << 20)     /* less is made again sooner than a file is kept */

typedef struct ol_store ol_store;

typedef struct ol_store_item {
    uint64_t id;
    size_t bytes;
    void *data; /* 64-byte aligned; NULL: it was found that there is no such data */
    struct ol_store_item *next;
} ol_store_item;

/* KEY is text that decides about the contents to the last bit. dir NULL: in memory. NULL when out of memory. The store is
 * used by one thread until ol_store_finish. */
ol_store *ol_store_open(const char *dir, const char *key);
ol_store *ol_store_retain(ol_store *s);
void ol_store_release(ol_store *s); /* NULL accepted; unfinished files go */
bool ol_store_was_found(const ol_store *s); /* its contents came from a file */

/* The item of (name, bytes), or a new one with room for them (then *made is set, and the caller fills it before
 * ol_store_finish, or refuses it). NULL when out of memory. */
const ol_store_item *ol_store_get(ol_store *s, const char *name, size_t bytes, bool *made);
/* There is no such data for the item made last: its room is given back, and it is kept without data. */
void ol_store_refuse(ol_store *s, const ol_store_item *item);
/* Items in the order in which they were made. */
const ol_store_item *ol_store_items(const ol_store *s);
/* Adds an item that was made elsewhere; its data are borrowed and must outlive the store. false: out of memory. */
__attribute__((warn_unused_result)) bool ol_store_adopt(ol_store *s, uint64_t id, size_t bytes, const void *data);
/* All items are made: the file gets its name, and its pages become read-only. A file that was found but lacked an item goes. */
void ol_store_finish(ol_store *s);

/* The folder where stores are kept by default: $XDG_CACHE_HOME/olivine or ~/.cache/olivine; ol_free it. NULL: there is none. */
char *ol_store_default_dir(void);
/* Removes the least recently used files of a folder until those left have at most `limit` bytes; never the file KEEP. */
void ol_store_trim(const char *dir, uint64_t limit, const char *keep);

#endif
