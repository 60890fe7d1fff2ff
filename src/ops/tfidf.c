/* SPDX-License-Identifier: Apache-2.0 */
/* TfIdfVectorizer: how often each n-gram of a pool occurs in a row of integers or strings, its
 * items next to one another or up to max_skip_count items apart; weighted by the mode. */
#include "base/arena.h"
#include "base/map.h"
#include "ops/ops.h"

typedef struct pool {
    ol_arena *arena;
    ol_map grams; /* bytes of an n-gram -> its number in the pool */
    const int64_t *ints;
    const ol_str *strings;
    int64_t n_items, min, max, skip;
    ol_buf key;
} pool;

/* Items of a row are taken by their bytes; strings are led by their length. */
static void put_item(ol_buf *key, const int64_t *v, const ol_str *s) {
    if (v) {
        ol_buf_append(key, v, sizeof *v);
        return;
    }
    ol_buf_append(key, &s->len, sizeof s->len);
    ol_buf_append(key, s->ptr, s->len);
}

static olv_status add_gram(pool *p, int64_t from, int64_t size, int64_t number, olv_error *err) {
    ol_buf_clear(&p->key);
    for (int64_t i = from; i < from + size; i++)
        put_item(&p->key, p->ints ? &p->ints[i] : NULL, p->strings ? &p->strings[i] : NULL);
    char *bytes = p->key.failed ? NULL : ol_arena_alloc(p->arena, p->key.len + 1);
    if (!bytes) return ol_fail(err, OLV_NOMEM, "no memory for n-grams");
    memcpy(bytes, p->key.data, p->key.len);
    if (ol_map_put(&p->grams, (ol_str){bytes, p->key.len}, (uint64_t)number) < 0)
        return ol_fail(err, OLV_NOMEM, "no memory for n-grams");
    return OLV_OK;
}

/* ngram_counts[k] is where the (k + 1)-grams begin in the pool. */
static olv_status fill(pool *p, const ol_node *n, size_t n_indexes, olv_error *err) {
    size_t sizes;
    const int64_t *starts = ol_node_ints(n, "ngram_counts", &sizes);
    int64_t number = 0;
    for (size_t k = 0; k < sizes; k++) {
        int64_t from = starts[k], to = k + 1 < sizes ? starts[k + 1] : p->n_items;
        int64_t size = (int64_t)k + 1;
        if (from < 0 || from > to || to > p->n_items || (to - from) % size)
            return ol_fail(err, OLV_FORMAT, "ngram_counts %lld to %lld of %lld items",
                           (long long)from, (long long)to, (long long)p->n_items);
        for (int64_t at = from; at < to; at += size, number++) {
            if ((size_t)number >= n_indexes) return ol_fail(err, OLV_FORMAT, "too few ngram_indexes");
            if (size >= p->min && size <= p->max) OL_TRY(add_gram(p, at, size, number, err));
        }
    }
    return OLV_OK;
}

static olv_status pool_init(pool *p, const ol_eval *c, const ol_tensor *x, olv_error *err) {
    const ol_attr *a = ol_node_attr(c->node, x->dtype == OL_STRING ? "pool_strings" : "pool_int64s");
    if (!a) return ol_fail(err, OLV_FORMAT, "no pool for %s", ol_dtype_name(x->dtype));
    p->n_items = (int64_t)a->count;
    if (a->type == OL_ATTR_STRINGS) p->strings = a->v.strings;
    else p->ints = a->v.ints;
    p->min = ol_node_int(c->node, "min_gram_length", 1);
    p->max = ol_node_int(c->node, "max_gram_length", 1);
    p->skip = ol_node_int(c->node, "max_skip_count", 0);
    if (p->min < 1 || p->max < p->min || p->skip < 0)
        return ol_fail(err, OLV_ARG, "n-grams of %lld to %lld items, skips of %lld", (long long)p->min,
                       (long long)p->max, (long long)p->skip);
    p->arena = ol_arena_create();
    return p->arena ? OLV_OK : ol_fail(err, OLV_NOMEM, "no memory for n-grams");
}

/* Counts the n-grams that start at item `at` of a row and have `step` between their items. */
static void count_from(pool *p, const ol_tensor *x, int64_t row, int64_t n, int64_t at, int64_t step,
                       const int64_t *indexes, double *counts) {
    ol_buf_clear(&p->key);
    for (int64_t size = 1; size <= p->max && at < n; size++, at += step) {
        if (p->strings) {
            put_item(&p->key, NULL, &((const ol_str *)x->data)[row * n + at]);
        } else {
            int64_t v = ol_tensor_i64(x, row * n + at);
            put_item(&p->key, &v, NULL);
        }
        /* single items have no distance: they count once, at the first */
        if (size < p->min || (size == 1 && step > 1)) continue;
        const uint64_t *hit = ol_map_get(&p->grams, (ol_str){p->key.data, p->key.len});
        if (hit) counts[indexes[*hit]]++;
    }
}

static olv_status run(ol_eval *c, pool *p, const ol_tensor *x, olv_error *err) {
    size_t n_indexes;
    const int64_t *indexes = ol_node_ints(c->node, "ngram_indexes", &n_indexes);
    const ol_attr *w = ol_node_attr(c->node, "weights");
    ol_str mode = ol_node_string(c->node, "mode", "TF");
    ol_tensor *y;
    int64_t width = 0, n = x->rank ? x->dims[x->rank - 1] : 1, rows = x->rank == 2 ? x->dims[0] : 1;
    OL_TRY(fill(p, c->node, n_indexes, err));
    for (size_t i = 0; i < n_indexes; i++) {
        if (indexes[i] < 0 || indexes[i] > 1 << 28) return ol_fail(err, OLV_FORMAT, "index %lld", (long long)indexes[i]);
        if (indexes[i] >= width) width = indexes[i] + 1;
    }
    if (w && w->count && (int64_t)w->count < width) return ol_fail(err, OLV_FORMAT, "too few weights");
    if (rows > 0 && n > 0 && p->skip + 1 > n) p->skip = n - 1;
    OL_TRY(ol_eval_out(c, 0, OL_F32, x->rank == 2 ? 2 : 1, (int64_t[]){x->rank == 2 ? rows : width, width}, &y, err));
    double *counts = ol_calloc((size_t)width + 1, sizeof *counts);
    if (!counts) return ol_fail(err, OLV_NOMEM, "no memory for %lld counts", (long long)width);
    for (int64_t r = 0; r < rows; r++) {
        memset(counts, 0, (size_t)width * sizeof *counts);
        for (int64_t step = 1; step <= p->skip + 1; step++)
            for (int64_t at = 0; at < n; at++) count_from(p, x, r, n, at, step, indexes, counts);
        for (int64_t i = 0; i < width; i++) {
            double v = ol_str_is(mode, "IDF") ? counts[i] > 0 : counts[i];
            if (w && w->count && !ol_str_is(mode, "TF")) v *= (double)w->v.floats[i];
            ol_tensor_set(y, r * width + i, v);
        }
    }
    ol_free(counts);
    return p->key.failed ? ol_fail(err, OLV_NOMEM, "no memory for n-grams") : OLV_OK;
}

static olv_status eval(ol_eval *c, olv_error *err) {
    const ol_tensor *x;
    pool p = {.key = OL_BUF_INIT};
    OL_TRY(ol_eval_need(c, 0, &x, err));
    if ((x->dtype != OL_STRING && !ol_is_int(x->dtype)) || x->rank > 2)
        return ol_fail(err, OLV_SHAPE, "integers or strings [C] or [B, C] expected");
    ol_map_init(&p.grams);
    olv_status s = pool_init(&p, c, x, err);
    if (s == OLV_OK) s = run(c, &p, x, err);
    ol_map_deinit(&p.grams);
    ol_buf_deinit(&p.key);
    if (p.arena) ol_arena_destroy(p.arena);
    return s;
}

static olv_status infer(ol_infer *c, olv_error *err) {
    const ol_type *x = ol_infer_in(c, 0);
    size_t n;
    const int64_t *v = ol_node_ints(c->node, "ngram_indexes", &n);
    int64_t width = 0;
    OL_TRY(ol_infer_rank(c, 0, 0, 2, err));
    ol_infer_set(c, 0, OL_F32, x->rank < 0 ? -1 : x->rank == 2 ? 2 : 1);
    for (size_t i = 0; i < n; i++)
        if (v[i] >= width && v[i] <= 1 << 28) width = v[i] + 1;
    if (x->rank < 0) return OLV_OK;
    if (x->rank == 2) c->out[0].dims[0] = x->dims[0];
    c->out[0].dims[c->out[0].rank - 1] = width;
    return OLV_OK;
}

static const ol_attr_spec attrs[] = {
    {"max_gram_length", OL_ATTR_INT, true}, {"max_skip_count", OL_ATTR_INT, true},
    {"min_gram_length", OL_ATTR_INT, true}, {"mode", OL_ATTR_STRING, true},
    {"ngram_counts", OL_ATTR_INTS, true},   {"ngram_indexes", OL_ATTR_INTS, true},
    {"pool_int64s", OL_ATTR_INTS, false},   {"pool_strings", OL_ATTR_STRINGS, false},
    {"weights", OL_ATTR_FLOATS, false}};
extern const ol_op ol_op_TfIdfVectorizer;
const ol_op ol_op_TfIdfVectorizer = {.domain = "", .name = "TfIdfVectorizer",
                                     .summary = "weighted counts of n-grams", .min_inputs = 1,
                                     .max_inputs = 1, .min_outputs = 1, .max_outputs = 1,
                                     OL_ATTRS(attrs), .infer = infer, .eval = eval};
