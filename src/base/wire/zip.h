/* SPDX-License-Identifier: Apache-2.0 */
/* Zero-copy view of a zip archive in memory whose entries are stored (method 0), as PyTorch writes them, or, where asked for, deflated (method 8). The central
 * directory tells what is there; every local header must agree with it. Refused: encryption, compression, several
 * disks, names that repeat or leave the folder, entries that overlap, sizes that lie. */
#ifndef OL_BASE_WIRE_ZIP_H
#define OL_BASE_WIRE_ZIP_H

#include "base/str.h"
#include <olivine/status.h>

typedef struct ol_zip_entry {
    ol_str name; /* in the archive's bytes */
    uint64_t offset, bytes; /* of the data in the archive */
    uint64_t full;          /* bytes when unpacked */
    bool deflated;
    uint64_t header; /* place of the local header */
} ol_zip_entry;

typedef struct ol_zip ol_zip;

/* True when the bytes begin as a zip archive does. */
bool ol_zip_recognize(const uint8_t *data, size_t len);
/* The data must outlive the view. `name` is for messages. */
OLV_MUST_USE olv_status ol_zip_open(const uint8_t *data, size_t len, const char *name, ol_zip **out, olv_error *err);
/* The same with deflated entries too. */
OLV_MUST_USE olv_status ol_zip_open_packed(const uint8_t *data, size_t len, const char *name, ol_zip **out, olv_error *err);
void ol_zip_close(ol_zip *z); /* NULL accepted */
size_t ol_zip_count(const ol_zip *z);
const ol_zip_entry *ol_zip_get(const ol_zip *z, size_t i); /* in the order of the directory */
const ol_zip_entry *ol_zip_find(const ol_zip *z, ol_str name); /* NULL when absent */

#endif
