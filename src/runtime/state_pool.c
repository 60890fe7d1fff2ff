/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/state_pool.h"
#include "base/alloc.h"
#include "base/bytes.h"
#include "base/checked.h"
#include "base/error.h"
#include "base/hash.h"
#include "kernels/attention/attention.h"
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

/* A block's data follows its header at the next multiple of 64 bytes. */
typedef struct block {
    atomic_int refs;
    struct block *next_free;
} block;
#define BLOCK_HEADER 64

struct ol_state_pool {
    const ol_state_layout *layout;
    size_t budget, used;
    block *free_blocks;
    pthread_mutex_t lock;
};

struct ol_sequence {
    ol_state_pool *pool;
    int64_t length;
    uint8_t **blocks; /* data pointers */
    int64_t n_blocks, cap_blocks;
    float *fixed;   /* two sets of fixed states, or NULL */
    int now;        /* the present one */
    int64_t before; /* length that the other one belongs to; -1: none */
    ol_lowrank_use lowrank[OL_MAX_LOWRANK];
    int n_lowrank;
};

static block *header_of(uint8_t *data) { return (block *)(void *)(data - BLOCK_HEADER); }
static uint8_t *data_of(block *b) { return (uint8_t *)b + BLOCK_HEADER; }

olv_status ol_state_pool_create(const ol_state_layout *layout, size_t budget_bytes, ol_state_pool **out,
                                olv_error *err) {
    ol_state_pool *p = ol_calloc(1, sizeof *p);
    if (!p) return ol_fail(err, OLV_NOMEM, "no memory for a state pool");
    p->layout = layout;
    p->budget = budget_bytes ? budget_bytes : SIZE_MAX;
    pthread_mutex_init(&p->lock, NULL);
    *out = p;
    return OLV_OK;
}

void ol_state_pool_destroy(ol_state_pool *p) {
    if (!p) return;
    while (p->free_blocks) {
        block *b = p->free_blocks;
        p->free_blocks = b->next_free;
        ol_free_aligned(b);
    }
    pthread_mutex_destroy(&p->lock);
    ol_free(p);
}

size_t ol_state_pool_bytes(const ol_state_pool *p) { return p->used; }

static uint8_t *take_block(ol_state_pool *p, olv_error *err) {
    size_t bytes = p->layout->block_bytes;
    pthread_mutex_lock(&p->lock);
    if (bytes > p->budget - p->used) {
        pthread_mutex_unlock(&p->lock);
        ol_fail(err, OLV_LIMIT, "the KV cache budget of %zu MiB is spent", p->budget >> 20);
        return NULL;
    }
    block *b = p->free_blocks;
    if (b) p->free_blocks = b->next_free;
    p->used += bytes;
    pthread_mutex_unlock(&p->lock);
    if (!b) {
        b = ol_alloc_aligned(BLOCK_HEADER + bytes);
        if (!b) {
            pthread_mutex_lock(&p->lock);
            p->used -= bytes;
            pthread_mutex_unlock(&p->lock);
            ol_fail(err, OLV_NOMEM, "no memory for a KV cache block of %zu bytes", bytes);
            return NULL;
        }
    }
    atomic_init(&b->refs, 1);
    return data_of(b);
}

static void drop_block(ol_state_pool *p, uint8_t *data) {
    block *b = header_of(data);
    if (atomic_fetch_sub(&b->refs, 1) != 1) return;
    pthread_mutex_lock(&p->lock);
    b->next_free = p->free_blocks;
    p->free_blocks = b;
    p->used -= p->layout->block_bytes;
    pthread_mutex_unlock(&p->lock);
}

static size_t fixed_bytes(const ol_state_pool *p) { return p->layout->fixed_floats * sizeof(float); }

/* Both sets of fixed states, counted in the budget. */
static olv_status take_fixed(ol_state_pool *p, float **out, olv_error *err) {
    size_t bytes;
    *out = NULL;
    if (!p->layout->fixed_floats) return OLV_OK;
    if (!ol_mul_size(p->layout->fixed_floats, 2 * sizeof(float), &bytes))
        return ol_fail(err, OLV_LIMIT, "recurrent states of %zu values are too large", p->layout->fixed_floats);
    pthread_mutex_lock(&p->lock);
    bool room = bytes <= p->budget - p->used;
    if (room) p->used += bytes;
    pthread_mutex_unlock(&p->lock);
    if (!room) return ol_fail(err, OLV_LIMIT, "the budget of %zu MiB for states is spent", p->budget >> 20);
    if ((*out = ol_calloc(1, bytes))) return OLV_OK;
    pthread_mutex_lock(&p->lock);
    p->used -= bytes;
    pthread_mutex_unlock(&p->lock);
    return ol_fail(err, OLV_NOMEM, "no memory for recurrent states of %zu bytes", bytes);
}

static void drop_fixed(ol_state_pool *p, float *fixed) {
    if (!fixed) return;
    pthread_mutex_lock(&p->lock);
    p->used -= 2 * fixed_bytes(p);
    pthread_mutex_unlock(&p->lock);
    ol_free(fixed);
}

olv_status ol_sequence_create(ol_state_pool *p, ol_sequence **out, olv_error *err) {
    ol_sequence *s = ol_calloc(1, sizeof *s);
    if (!s) return ol_fail(err, OLV_NOMEM, "no memory for a sequence");
    olv_status st = take_fixed(p, &s->fixed, err);
    if (st != OLV_OK) {
        ol_free(s);
        return st;
    }
    s->pool = p;
    s->before = -1;
    *out = s;
    return OLV_OK;
}

static void drop_lowrank(ol_sequence *s) {
    while (s->n_lowrank) ol_lowrank_release(s->lowrank[--s->n_lowrank].adapter);
}

static void take_lowrank(ol_sequence *s, const ol_lowrank_use *uses, int n) {
    for (int i = 0; i < n; i++) s->lowrank[i] = (ol_lowrank_use){ol_lowrank_retain(uses[i].adapter), uses[i].scale};
    s->n_lowrank = n;
}

olv_status ol_sequence_set_lowrank(ol_sequence *s, const ol_lowrank_use *uses, int n, olv_error *err) {
    if (s->length) return ol_fail(err, OLV_STATE, "a sequence of %lld positions cannot change its adapters", (long long)s->length);
    if (n < 0 || n > OL_MAX_LOWRANK)
        return ol_fail(err, OLV_LIMIT, "%d adapters for one text, expected at most %d", n, OL_MAX_LOWRANK);
    drop_lowrank(s);
    take_lowrank(s, uses, n);
    return OLV_OK;
}

const ol_lowrank_use *ol_sequence_lowrank(const ol_sequence *s, int *n) {
    *n = s->n_lowrank;
    return s->lowrank;
}

static void release_all(ol_sequence *s) {
    drop_lowrank(s);
    for (int64_t i = 0; i < s->n_blocks; i++) drop_block(s->pool, s->blocks[i]);
    ol_free(s->blocks);
    drop_fixed(s->pool, s->fixed);
}

void ol_sequence_destroy(ol_sequence *s) {
    if (!s) return;
    release_all(s);
    ol_free(s);
}

int64_t ol_sequence_length(const ol_sequence *s) { return s->length; }
const uint8_t *const *ol_sequence_blocks(const ol_sequence *s) { return (const uint8_t *const *)s->blocks; }
static float *fixed_set(const ol_sequence *s, int which) {
    return s->fixed ? s->fixed + (size_t)which * s->pool->layout->fixed_floats : NULL;
}
float *ol_sequence_fixed(const ol_sequence *s) { return fixed_set(s, s->now); }
const float *ol_sequence_fixed_before(const ol_sequence *s) { return fixed_set(s, 1 - s->now); }

static bool reserve_blocks(ol_sequence *s, int64_t n) {
    if (n <= s->cap_blocks) return true;
    int64_t cap = s->cap_blocks * 2 > n ? s->cap_blocks * 2 : n + 8;
    uint8_t **p = ol_realloc(s->blocks, (size_t)cap * sizeof *p);
    if (!p) return false;
    s->blocks = p;
    s->cap_blocks = cap;
    return true;
}

/* The last, partly filled block may be shared with a fork: writing needs our own copy. */
static olv_status own_tail(ol_sequence *s, olv_error *err) {
    if (s->length % OLK_KV_BLOCK == 0) return OLV_OK;
    uint8_t **slot = &s->blocks[s->length / OLK_KV_BLOCK];
    if (atomic_load(&header_of(*slot)->refs) == 1) return OLV_OK;
    uint8_t *copy = take_block(s->pool, err);
    if (!copy) return err ? err->status : OLV_LIMIT;
    memcpy(copy, *slot, s->pool->layout->block_bytes);
    drop_block(s->pool, *slot);
    *slot = copy;
    return OLV_OK;
}

/* The end of an append: the states of before stay. */
static void grow(ol_sequence *s, int64_t end) {
    if (end != s->length) {
        s->before = s->length;
        s->now = 1 - s->now;
    }
    s->length = end;
}

olv_status ol_sequence_append(ol_sequence *s, int64_t n, olv_error *err) {
    int64_t end;
    if (n < 0 || !ol_add_i64(s->length, n, &end) || end > INT32_MAX)
        return ol_fail(err, OLV_LIMIT, "a sequence of %lld + %lld positions is too long", (long long)s->length,
                       (long long)n);
    if (s->pool->layout->block_bytes == 0) {
        grow(s, end);
        return OLV_OK;
    }
    int64_t need = (end + OLK_KV_BLOCK - 1) / OLK_KV_BLOCK, had = s->n_blocks;
    if (!reserve_blocks(s, need)) return ol_fail(err, OLV_NOMEM, "no memory for a block table");
    if (n) OL_TRY(own_tail(s, err));
    while (s->n_blocks < need) {
        uint8_t *b = take_block(s->pool, err);
        if (!b) {
            while (s->n_blocks > had) drop_block(s->pool, s->blocks[--s->n_blocks]);
            return err ? err->status : OLV_LIMIT;
        }
        s->blocks[s->n_blocks++] = b;
    }
    grow(s, end);
    return OLV_OK;
}

/* The fixed states of an earlier length, where they are known. */
static olv_status turn_back(ol_sequence *s, int64_t length, olv_error *err) {
    if (!s->fixed || length == s->length) return OLV_OK;
    if (length != 0 && length != s->before)
        return ol_fail(err, OLV_STATE, "a recurrent state cannot go back to position %lld", (long long)length);
    if (length == s->before) s->now = 1 - s->now;
    else memset(fixed_set(s, s->now), 0, fixed_bytes(s->pool));
    s->before = -1;
    return OLV_OK;
}

olv_status ol_sequence_truncate(ol_sequence *s, int64_t length, olv_error *err) {
    if (length < 0 || length > s->length)
        return ol_fail(err, OLV_ARG, "cannot cut a sequence of %lld positions to %lld", (long long)s->length,
                       (long long)length);
    OL_TRY(turn_back(s, length, err));
    int64_t keep = s->pool->layout->block_bytes ? (length + OLK_KV_BLOCK - 1) / OLK_KV_BLOCK : 0;
    while (s->n_blocks > keep) drop_block(s->pool, s->blocks[--s->n_blocks]);
    s->length = length;
    return OLV_OK;
}

olv_status ol_sequence_fork(const ol_sequence *s, ol_sequence **out, olv_error *err) {
    ol_sequence *f;
    OL_TRY(ol_sequence_create(s->pool, &f, err));
    if (!reserve_blocks(f, s->n_blocks)) {
        ol_sequence_destroy(f);
        return ol_fail(err, OLV_NOMEM, "no memory for a block table");
    }
    for (int64_t i = 0; i < s->n_blocks; i++) {
        atomic_fetch_add(&header_of(s->blocks[i])->refs, 1);
        f->blocks[i] = s->blocks[i];
    }
    f->n_blocks = s->n_blocks;
    f->length = s->length;
    take_lowrank(f, s->lowrank, s->n_lowrank);
    if (f->fixed) memcpy(fixed_set(f, f->now), fixed_set(s, s->now), fixed_bytes(s->pool));
    *out = f;
    return OLV_OK;
}

olv_status ol_sequence_reorder(ol_sequence **seqs, const int *from, int n, olv_error *err) {
    for (int i = 0; i < n; i++)
        if (from[i] < 0 || from[i] >= n) return ol_fail(err, OLV_ARG, "beam %d asks for beam %d of %d", i, from[i], n);
    ol_sequence **next = ol_calloc((size_t)n + 1, sizeof *next);
    if (!next) return ol_fail(err, OLV_NOMEM, "no memory for %d beams", n);
    olv_status s = OLV_OK;
    for (int i = 0; s == OLV_OK && i < n; i++) s = ol_sequence_fork(seqs[from[i]], &next[i], err);
    for (int i = 0; i < n; i++) {
        if (s == OLV_OK) { /* the handle stays, its content changes */
            ol_sequence old = *seqs[i];
            *seqs[i] = *next[i];
            *next[i] = old;
        }
        ol_sequence_destroy(next[i]);
    }
    ol_free(next);
    return s;
}

#define SAVE_MAGIC 0x3165746174736c6full /* "olstate1" */

static uint64_t layout_key(const ol_state_layout *l) {
    uint64_t v[3] = {l->block_bytes, l->fixed_floats, (uint64_t)l->window};
    return ol_hash64(v, sizeof v, 1);
}

olv_status ol_sequence_save(const ol_sequence *s, ol_buf *out, olv_error *err) {
    const ol_state_layout *l = s->pool->layout;
    uint64_t head[3] = {SAVE_MAGIC, layout_key(l), (uint64_t)s->length};
    ol_buf_append(out, head, sizeof head);
    for (int64_t i = 0; i < s->n_blocks; i++) ol_buf_append(out, s->blocks[i], l->block_bytes);
    if (s->fixed) ol_buf_append(out, fixed_set(s, s->now), fixed_bytes(s->pool));
    return out->failed ? ol_fail(err, OLV_NOMEM, "no memory to save a state") : OLV_OK;
}

olv_status ol_sequence_load(ol_sequence *s, const void *data, size_t size, olv_error *err) {
    const ol_state_layout *l = s->pool->layout;
    ol_bytes r = ol_bytes_of(data, size);
    uint64_t magic = ol_bytes_u64(&r), key = ol_bytes_u64(&r), length = ol_bytes_u64(&r);
    if (r.failed || magic != SAVE_MAGIC) return ol_fail(err, OLV_FORMAT, "not a saved state");
    if (key != layout_key(l)) return ol_fail(err, OLV_FORMAT, "the saved state belongs to another model or cache type");
    if (length > INT32_MAX) return ol_fail(err, OLV_FORMAT, "the saved state claims %llu positions", (unsigned long long)length);
    size_t blocks = l->block_bytes ? (size_t)(length + OLK_KV_BLOCK - 1) / OLK_KV_BLOCK : 0;
    size_t need = blocks * l->block_bytes + fixed_bytes(s->pool);
    if (ol_bytes_left(&r) != need)
        return ol_fail(err, OLV_FORMAT, "the saved state holds %zu bytes, %zu are needed", ol_bytes_left(&r), need);
    int64_t before = s->length;
    OL_TRY(ol_sequence_truncate(s, 0, err));
    olv_status st = ol_sequence_append(s, (int64_t)length, err);
    if (st != OLV_OK) return ol_error_at(err, "a state of %lld positions was lost", (long long)before), st;
    for (size_t i = 0; i < blocks; i++) memcpy(s->blocks[i], ol_bytes_take(&r, l->block_bytes), l->block_bytes);
    if (s->fixed) memcpy(fixed_set(s, s->now), ol_bytes_take(&r, fixed_bytes(s->pool)), fixed_bytes(s->pool));
    s->before = -1;
    return OLV_OK;
}
