/* SPDX-License-Identifier: Apache-2.0 */
/* Room comes from few big blocks, which lie on huge pages where the system has them: they are made and read faster. */
#include "device/prepared.h"
#include "base/alloc.h"
#include "base/checked.h"
#include <stdint.h>

#define BLOCK_BYTES ((size_t)8 << 20)
#define HEADER 64

typedef struct ol_prepared_block {
    struct ol_prepared_block *next;
    size_t used, size;
} block;

static size_t room_of(size_t bytes) { return ol_align_up(bytes ? bytes : 1, 64); }

static void *room(ol_prepared *p, size_t bytes) {
    if (bytes > SIZE_MAX / 2) return NULL;
    size_t need = room_of(bytes);
    block *b = p->blocks;
    if (!b || b->size - b->used < need) {
        size_t size = need + HEADER > BLOCK_BYTES ? need + HEADER : BLOCK_BYTES;
        b = ol_alloc_aligned(size);
        if (!b) return NULL;
        *b = (block){.next = p->blocks, .used = HEADER, .size = size};
        p->blocks = b;
    }
    uint8_t *at = (uint8_t *)b + b->used;
    b->used += need;
    return at;
}

ol_prepared_item *ol_prepare(ol_prepared *p, const void *source, int form, size_t bytes, bool *made) {
    *made = false;
    for (ol_prepared_item *i = p->items; i; i = i->next)
        if (i->source == source && i->form == form && i->bytes == bytes) return i;
    ol_prepared_item *item = ol_calloc(1, sizeof *item);
    if (!item || !(item->data = room(p, bytes))) {
        ol_free(item);
        return NULL;
    }
    item->source = source;
    item->form = form;
    item->bytes = bytes;
    item->next = p->items;
    p->items = item;
    *made = true;
    return item;
}

void ol_prepare_refuse(ol_prepared *p, ol_prepared_item *item) {
    p->blocks->used -= room_of(item->bytes);
    item->data = NULL;
}

void ol_prepared_deinit(ol_prepared *p) {
    for (ol_prepared_item *i = p->items, *next; i; i = next) {
        next = i->next;
        ol_free(i);
    }
    for (block *b = p->blocks, *next; b; b = next) {
        next = b->next;
        ol_free_aligned(b);
    }
    *p = (ol_prepared){0};
}
