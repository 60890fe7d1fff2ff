/* SPDX-License-Identifier: Apache-2.0 */
/* Multi-head latent attention (deepseek): keys and values come from a small shared vector. A head's query and key hold
 * `nope_dim` plain values, then `rope_dim` rotated ones, which all heads' keys share. Rotary turns the first values of
 * a head, so the rows of the query are permuted to rotated-first and the key is put together in that order; the dot
 * product does not care. */
#include "base/alloc.h"
#include "formats/huggingface/build.h"

#include <stdio.h>

/* View of rows of a part's weight: for every head, `count` rows from `first` on, then `count2` from `first2` on, of
 * heads that are `stride` rows apart. */
static ol_value *head_rows(ol_hf_build *b, const char *part, const char *suffix, int64_t k, int64_t stride,
                           int64_t first, int64_t count, int64_t first2, int64_t count2) {
    int64_t heads = b->c->n_heads, n = heads * (count + count2), at = 0;
    ol_const *all = ol_hf_weight(b, part, heads * stride, k), *view = NULL;
    if (!all) return NULL;
    int32_t *order = ol_calloc((size_t)n, sizeof *order);
    for (int64_t h = 0; order && h < heads; h++) {
        for (int64_t i = 0; i < count; i++) order[at++] = (int32_t)(h * stride + first + i);
        for (int64_t i = 0; i < count2; i++) order[at++] = (int32_t)(h * stride + first2 + i);
    }
    if (order) view = ol_const_permute_rows(all, order, n, &b->error);
    ol_const_release(all);
    ol_free(order);
    if (!view) {
        ol_hf_build_fail(b, OLV_NOMEM, "tensor '%s': no view of its rows", part);
        return NULL;
    }
    char name[300];
    snprintf(name, sizeof name, "%s.%s", ol_hf_find(b, part, ".weight")->name.ptr, suffix);
    return ol_hf_constant(b, name, view);
}

/* Rows [row, row + n) of the joint compression of keys and values. */
static ol_value *compressed(ol_hf_build *b, ol_value *h, const char *suffix, int64_t row, int64_t n) {
    const ol_hf_config *c = b->c;
    int64_t rows = c->latent.kv_rank + c->latent.rope_dim;
    const char *part = c->names->kv_a;
    ol_const *all = ol_hf_weight(b, part, rows, c->hidden);
    if (!all) return NULL;
    ol_const *view = ol_const_slice_rows(all, row, n, &b->error);
    ol_const_release(all);
    if (!view) b->failed = true;
    char name[300];
    snprintf(name, sizeof name, "%s.%s", ol_hf_find(b, part, ".weight") ? ol_hf_find(b, part, ".weight")->name.ptr : part,
             suffix);
    ol_value *w = ol_hf_constant(b, name, view), *bias = NULL;
    float *all_bias = ol_hf_vector(b, part, ".bias", rows, 0, false);
    if (all_bias) {
        float *v = ol_calloc((size_t)n, sizeof *v);
        if (v) memcpy(v, all_bias + row, (size_t)n * sizeof *v);
        ol_free(all_bias);
        bias = ol_hf_vector_value(b, NULL, v, n);
    }
    return ol_hf_linear_of(b, h, w, bias);
}

static ol_value *queries(ol_hf_build *b, ol_value *h) {
    const ol_hf_config *c = b->c;
    const ol_hf_latent *l = &c->latent;
    const char *part = c->names->q;
    int64_t k = c->hidden;
    if (l->q_rank) {
        h = ol_hf_linear(b, h, c->names->q_a, l->q_rank, k, false);
        h = ol_hf_norm_with(b, h, c->names->q_a_norm, l->q_rank, l->eps);
        part = c->names->q_b;
        k = l->q_rank;
    }
    ol_value *w = head_rows(b, part, "rope_first", k, c->head_dim, l->nope_dim, l->rope_dim, 0, l->nope_dim);
    return ol_hf_rotate(b, ol_hf_linear_of(b, h, w, NULL), c->n_heads);
}

/* [T, rope] and [T, heads · nope] → [T, heads · (rope + nope)]. */
static ol_value *join_keys(ol_hf_build *b, ol_value *rope, ol_value *nope) {
    const ol_hf_config *c = b->c;
    ol_value *r = ol_hf_reshape(b, rope, (const int64_t[]){0, 1, c->latent.rope_dim}, 3);
    r = ol_hf_op2(b, "Expand", r, ol_hf_ints(b, (const int64_t[]){1, c->n_heads, 1}, 3));
    ol_value *in[] = {r, ol_hf_reshape(b, nope, (const int64_t[]){0, c->n_heads, c->latent.nope_dim}, 3)};
    ol_attr axis = ol_attr_int("axis", 2);
    ol_value *k = ol_hf_node(b, "", "Concat", in, 2, 1, &axis, 1, NULL);
    return ol_hf_reshape(b, k, (const int64_t[]){0, c->n_heads * c->head_dim}, 2);
}

ol_value *ol_hf_latent_attention(ol_hf_build *b, ol_value *h) {
    const ol_hf_config *c = b->c;
    const ol_hf_latent *l = &c->latent;
    int64_t stride = l->nope_dim + c->v_dim;
    ol_value *q = queries(b, h);
    ol_value *kv = compressed(b, h, "latent", 0, l->kv_rank);
    kv = ol_hf_norm_with(b, kv, c->names->kv_a_norm, l->kv_rank, l->eps);
    ol_value *rope = ol_hf_rotate(b, compressed(b, h, "rope", l->kv_rank, l->rope_dim), 1);
    ol_value *wk = head_rows(b, c->names->kv_b, "k", l->kv_rank, stride, 0, l->nope_dim, 0, 0);
    ol_value *wv = head_rows(b, c->names->kv_b, "v", l->kv_rank, stride, l->nope_dim, c->v_dim, 0, 0);
    ol_value *k = join_keys(b, rope, ol_hf_linear_of(b, kv, wk, NULL));
    ol_value *a = ol_hf_attend(b, q, k, ol_hf_linear_of(b, kv, wv, NULL));
    return ol_hf_linear(b, a, c->names->o, c->hidden, c->n_heads * c->v_dim, false);
}
