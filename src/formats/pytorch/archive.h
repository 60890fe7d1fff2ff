/* SPDX-License-Identifier: Apache-2.0 */
/* One file of torch.save: the pickled object, and where the storages lie. */
#ifndef OL_FORMATS_PYTORCH_ARCHIVE_H
#define OL_FORMATS_PYTORCH_ARCHIVE_H

#include "base/map.h"
#include "base/wire/zip.h"
#include "formats/pytorch/pickle.h"

typedef struct ol_pt_archive {
    const uint8_t *data;
    size_t len;
    ol_pk_value *object; /* in the arena */
    /* zip */
    ol_zip *zip;
    ol_str root; /* name of the folder, with its '/' */
    /* the older form: key → offset of its raw bytes; lens: key → how many */
    ol_map offsets, lens;
} ol_pt_archive;

/* `name` is for messages. A failed archive is to be deinitialized too. */
OLV_MUST_USE olv_status ol_pt_archive_init(ol_pt_archive *a, const uint8_t *data, size_t len, const char *name,
                                           ol_arena *arena, olv_error *err);
void ol_pt_archive_deinit(ol_pt_archive *a);
/* Place of a storage in the file; its extent is what its type and count need. */
OLV_MUST_USE olv_status ol_pt_archive_storage(const ol_pt_archive *a, const ol_pk_storage *s, uint64_t *offset,
                                              uint64_t *bytes, olv_error *err);

#endif
