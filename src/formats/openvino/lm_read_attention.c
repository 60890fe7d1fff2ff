/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/openvino/lm_read.h"

#include <inttypes.h>

/* Attention of query rows over the cache that k and v stand for. */
static ol_verdict attend(ol_translate *tr, const ol_node *n, const ol_old *k, const ol_old *v, ol_value *q, int64_t split, double scale,
                         double cap) {
    const ol_lmr *lm = ol_lmr_of(tr);
    ol_tr_attention a = {.q = q, .k = k->v, .v = v->v, .k_dim = split, .scale = (float)scale, .softcap = (float)cap};
    if (!k->cached || !v->cached) return ol_tr_pass(tr, n, "keys or values that no state holds");
    if (!split) return ol_tr_pass(tr, n, "a query that is not shown as heads");
    a.heads = ol_tr_width(q) / split;
    a.kv_heads = ol_tr_width(a.k) / split;
    if (a.kv_heads < 1 || ol_tr_width(a.k) % split || a.heads % a.kv_heads || ol_tr_width(a.v) % a.kv_heads)
        return ol_tr_fail(tr, n, OLV_SHAPE, "keys of %" PRId64 " values for %" PRId64 " heads of %" PRId64, ol_tr_width(a.k), a.heads, split);
    a.v_dim = ol_tr_width(a.v) / a.kv_heads;
    int layer = tr->g->n_states;
    a.window = lm->windows && layer < lm->n_windows ? lm->windows[layer] : 0;
    ol_verdict done = ol_tr_attend(tr, n, &a);
    if (done == OL_DONE) tr->known[n->outputs[0]->id].split = a.v_dim;
    return done;
}

/* Attention (Q, K, V, mask): the mask is that of a decoder. */
ol_verdict ol_lmr_attention(ol_translate *tr, const ol_node *n) {
    if (strcmp(n->op->name, "Attention") != 0 || n->op->domain[0]) return OL_PASSED;
    const ol_old *q = ol_tr_in(tr, n, 0), *k = ol_tr_in(tr, n, 1), *v = ol_tr_in(tr, n, 2);
    if (q->kind != OL_OLD_ROWS || k->kind != OL_OLD_ROWS || v->kind != OL_OLD_ROWS) return ol_tr_pass(tr, n, "query, key or value are unknown");
    if (!ol_node_int(n, "is_causal", 0) && !ol_tr_given(n, 3)) return ol_tr_pass(tr, n, "attention without a causal mask");
    return attend(tr, n, k, v, q->v, q->split, (double)ol_node_float(n, "scale", 0), (double)ol_node_float(n, "softcap", 0));
}

/* ---- spelled out: products, masks, softmax ---- */

static ol_verdict product(ol_translate *tr, const ol_node *n) {
    const ol_old *a = ol_tr_in(tr, n, 0), *b = ol_tr_in(tr, n, 1);
    const ol_lmr_form *f = ol_lmr_in(tr, n, 0);
    if (f->kind == OL_LMR_PROBABILITIES) {
        ol_old k = {.kind = OL_OLD_ROWS, .v = f->other, .cached = true};
        if (b->kind != OL_OLD_ROWS) return ol_tr_pass(tr, n, "values that are unknown");
        return attend(tr, n, &k, b, f->x, f->split, f->factor, f->cap);
    }
    if (a->kind != OL_OLD_ROWS || b->kind != OL_OLD_ROWS || !b->cached || !a->split) return OL_PASSED;
    return ol_lmr_set(tr, n, 0, &(ol_lmr_form){.kind = OL_LMR_SCORES, .x = a->v, .other = b->v, .split = a->split, .factor = 1});
}

/* Scores times a number: of them, or the cap behind tanh. */
static ol_verdict scaled(ol_translate *tr, const ol_node *n, const ol_lmr_form *f, double by) {
    ol_lmr_form g = *f;
    if (by == 0) return OL_PASSED;
    if (g.cap < 0) g.cap = by;
    else if (g.cap > 0) return ol_tr_pass(tr, n, "capped scores that are scaled");
    if (f->cap >= 0 || g.cap > 0) g.factor *= by;
    return ol_lmr_set(tr, n, 0, &g);
}

ol_verdict ol_lmr_scores(ol_translate *tr, const ol_node *n) {
    const char *op = n->op->name;
    if (strcmp(op, "MatMul") == 0) return product(tr, n);
    int at = ol_lmr_find(tr, n, OL_LMR_SCORES);
    if (at < 0) return OL_PASSED;
    ol_lmr_form f = *ol_lmr_in(tr, n, at);
    double by;
    if (strcmp(op, "Mul") == 0 && ol_tr_scalar(tr, n, 1 - at, &by)) return scaled(tr, n, &f, by);
    if (strcmp(op, "Div") == 0 && at == 0 && ol_tr_scalar(tr, n, 1, &by) && by != 0) return scaled(tr, n, &f, 1 / by);
    if (strcmp(op, "Softmax") == 0) f.kind = OL_LMR_PROBABILITIES;
    else if (strcmp(op, "Tanh") == 0) f.cap = -1;
    else if (strcmp(op, "Where") != 0 && strcmp(op, "Add") != 0) return OL_PASSED;
    return ol_lmr_set(tr, n, 0, &f);
}
