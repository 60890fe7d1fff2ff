/* SPDX-License-Identifier: Apache-2.0 */
/* Constant data in another form than the file's: made once per plan, shared by its entries, freed with it. */
#ifndef OL_DEVICE_PREPARED_H
#define OL_DEVICE_PREPARED_H

#include <stdbool.h>
#include <stddef.h>

typedef struct ol_prepared_item {
    const void *source; /* what identifies the constant */
    int form;           /* what `data` holds: the device's business */
    void *data;         /* 64-byte aligned; set to NULL by who found that there is no such form */
    struct ol_prepared_item *next;
} ol_prepared_item;

typedef struct ol_prepared {
    ol_prepared_item *items;
    struct ol_prepared_block *blocks;
} ol_prepared; /* zeroed at first */

/* The item of (source, form), or a new one with room for `bytes` (then *made is set, and the caller fills it). NULL when out
 * of memory. */
ol_prepared_item *ol_prepare(ol_prepared *p, const void *source, int form, size_t bytes, bool *made);
void ol_prepared_deinit(ol_prepared *p);

#endif
