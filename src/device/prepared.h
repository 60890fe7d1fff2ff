/* SPDX-License-Identifier: Apache-2.0 */
/* Constant data in another form than the file's: made once per plan, shared by its entries, kept in the weight store. */
#ifndef OL_DEVICE_PREPARED_H
#define OL_DEVICE_PREPARED_H

#include "base/store.h"

typedef struct ol_prepared_item {
    const void *source; /* what identifies the constant, together with the size: parts of a matrix may begin where it does */
    int form;           /* what `data` holds: the device's business */
    size_t bytes;       /* of data */
    void *data;         /* 64-byte aligned; NULL when there is no such form */
    const ol_store_item *kept;
    struct ol_prepared_item *next;
} ol_prepared_item;

typedef struct ol_prepared {
    ol_store *store; /* retained */
    ol_prepared_item *items;
    unsigned n;
} ol_prepared; /* zeroed at first, but for the store */

/* The item of (source, form, bytes), or a new one. *made is set when its data are new: then the caller fills them, or says
 * that it cannot. `name` and the order in which items are asked for must not change from run to run: they tell what an
 * earlier one has kept. NULL when out of memory. */
ol_prepared_item *ol_prepare(ol_prepared *p, const char *name, const void *source, int form, size_t bytes, bool *made);
/* There is no such form of the item made last: its room is given back, and it is kept without data. */
void ol_prepare_refuse(ol_prepared *p, ol_prepared_item *item);
void ol_prepared_deinit(ol_prepared *p);

#endif
