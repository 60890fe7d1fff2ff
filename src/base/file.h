/* SPDX-License-Identifier: Apache-2.0 */
/* Files: read-only maps, contained opens, whole reads, atomic writes, folders. Paths are UTF-8 bytes. */
#ifndef OL_BASE_FILE_H
#define OL_BASE_FILE_H

#include "base/str.h"
#include <olivine/status.h>

/* A read-only private mapping of a regular file, shared by reference count (atomic). */
typedef struct ol_file {
    const uint8_t *data; /* NULL when size is 0 */
    uint64_t size;
    int64_t mtime_ns;
    char *path;
    int refs;
    bool heap; /* data is a heap copy, not a map */
} ol_file;

/* Maps PATH. Refuses what is not a regular file. */
OLV_MUST_USE olv_status ol_file_open(const char *path, ol_file **out, olv_error *err);
/* Maps NAME inside folder DIR. NAME must be relative without "..", NUL or backslash, and its final target must
 * lie inside DIR, or inside the `blobs` folder of the hub cache entry that DIR belongs to. */
OLV_MUST_USE olv_status ol_file_open_in(const char *dir, const char *name, ol_file **out, olv_error *err);
/* A file object over a copy of the bytes, aligned to 64; `name` takes the place of the path. */
OLV_MUST_USE olv_status ol_file_of_bytes(const void *data, size_t len, const char *name, ol_file **out, olv_error *err);
ol_file *ol_file_retain(ol_file *f);
void ol_file_release(ol_file *f); /* NULL accepted */
/* Says that bytes of the map (whole pages of them) will hardly be read again: they leave this process's resident memory,
 * and come back when they are read. Nothing happens when they do not lie in the map. */
void ol_file_drop_pages(const ol_file *f, const void *p, size_t bytes);

/* Reads a whole file of at most max bytes, NUL-terminated (ol_free it). */
OLV_MUST_USE olv_status ol_file_read(const char *path, size_t max, char **out, size_t *len, olv_error *err);
/* Writes the bytes to a temporary file beside PATH and renames it into place (fsync'd). */
OLV_MUST_USE olv_status ol_file_write_atomic(const char *path, const void *data, size_t len, olv_error *err);
bool ol_file_exists(const char *path);
bool ol_dir_exists(const char *path);
/* Creates PATH and its missing parents. */
OLV_MUST_USE olv_status ol_dir_create(const char *path, olv_error *err);
/* Removes PATH recursively; never follows links. */
OLV_MUST_USE olv_status ol_dir_remove(const char *path, olv_error *err);
/* Sorted names of the entries of a folder (no "." and ".."); free with ol_dir_list_free. */
OLV_MUST_USE olv_status ol_dir_list(const char *path, char ***names, size_t *count, olv_error *err);
void ol_dir_list_free(char **names, size_t count);
/* Bytes available to us on the file system that holds (or will hold) PATH. */
OLV_MUST_USE olv_status ol_disk_free(const char *path, uint64_t *bytes, olv_error *err);
/* "dir/name" (ol_free it); NULL when out of memory. */
char *ol_path_join(const char *dir, const char *name);
/* Pointer into path after its last '/'. */
const char *ol_path_name(const char *path);

#endif
