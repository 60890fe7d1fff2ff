/* SPDX-License-Identifier: Apache-2.0 */
#include "device/prepared.h"
#include "base/alloc.h"
#include <stdio.h>

ol_prepared_item *ol_prepare(ol_prepared *p, const char *name, const void *source, int form, size_t bytes, bool *made) {
    char full[256];
    *made = false;
    for (ol_prepared_item *i = p->items; i; i = i->next)
        if (i->source == source && i->form == form && i->bytes == bytes) return i;
    /* The number tells values of the same name apart. */
    snprintf(full, sizeof full, "form %d of %u %.200s", form, p->n, name);
    const ol_store_item *kept = ol_store_get(p->store, full, bytes, made);
    ol_prepared_item *item = kept ? ol_calloc(1, sizeof *item) : NULL;
    if (!item) return NULL;
    *item = (ol_prepared_item){source, form, bytes, kept->data, kept, p->items};
    p->items = item;
    p->n++;
    return item;
}

void ol_prepare_refuse(ol_prepared *p, ol_prepared_item *item) {
    ol_store_refuse(p->store, item->kept);
    item->data = NULL;
}

void ol_prepared_deinit(ol_prepared *p) {
    for (ol_prepared_item *i = p->items, *next; i; i = next) {
        next = i->next;
        ol_free(i);
    }
    ol_store_release(p->store);
    *p = (ol_prepared){0};
}
