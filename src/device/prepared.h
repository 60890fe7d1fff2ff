/* SPDX-License-Identifier: Apache-2.0 */
/* Constant data in another form than the file's: made once per plan, shared by its entries, freed with it. */
#ifndef OL_DEVICE_PREPARED_H
#define OL_DEVICE_PREPARED_H

#include <stdbool.h>
#include <stddef.h>

typedef struct ol_prepared_item {
    const void *source; /* what identifies the constant, together with the size: parts of a matrix may begin where it does */
    int form;           /* what `data` holds: the device's business */
    size_t bytes;       /* of data */
    void *data;         /* 64-byte aligned; NULL when there is no such form */
    struct ol_prepared_item *next;
} ol_prepared_item;

typedef struct ol_prepared {
    ol_prepared_item *items;
    struct ol_prepared_block *blocks;
} ol_prepared; /* zeroed at first */

/* The item of (source, form, bytes), or a new one with room for them (then *made is set, and the caller fills it, or says that
 * it cannot). NULL when out of memory. */
ol_prepared_item *ol_prepare(ol_prepared *p, const void *source, int form, size_t bytes, bool *made);
/* There is no such form of the item made last: its room is given back, and it is kept without data. */
void ol_prepare_refuse(ol_prepared *p, ol_prepared_item *item);
void ol_prepared_deinit(ol_prepared *p);

#endif
