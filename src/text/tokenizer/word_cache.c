/* SPDX-License-Identifier: Apache-2.0 */
#include "text/tokenizer/word_cache.h"

#include "text/tokenizer/state.h"

#include "base/alloc.h"
#include <pthread.h>

struct ol_tk_shared_cache {
    pthread_mutex_t lock;
    struct ol_tk_cache *cache; /* made at the first use */
};

struct ol_tk_shared_cache *ol_tk_cache_create(void) {
    struct ol_tk_shared_cache *s = ol_calloc(1, sizeof *s);
    if (s) pthread_mutex_init(&s->lock, NULL);
    return s;
}

void ol_tk_cache_destroy(struct ol_tk_shared_cache *s) {
    if (!s) return;
    pthread_mutex_destroy(&s->lock);
    ol_free(s->cache);
    ol_free(s);
}

struct ol_tk_cache *ol_tk_cache_borrow(const olv_tokenizer *t) {
    struct ol_tk_shared_cache *s = t->cache;
    if (!s || pthread_mutex_trylock(&s->lock) != 0) return NULL;
    if (!s->cache) s->cache = ol_calloc(1, sizeof *s->cache);
    if (!s->cache) pthread_mutex_unlock(&s->lock);
    return s->cache;
}

void ol_tk_cache_return(const olv_tokenizer *t, struct ol_tk_cache *c) {
    if (c) pthread_mutex_unlock(&t->cache->lock);
}
