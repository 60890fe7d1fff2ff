/* SPDX-License-Identifier: Apache-2.0 */
/* Mixtures of experts become one QMoE (or, with float weights, MoE) node, in the form that onnxruntime's CPU takes: gates and
 * ups in one tensor [E, 2I, H], their rows taking turns.
 *
 * What is recognized is the block as docs/lm-graph.md has it, from the ReduceSum over the chosen experts backwards to
 * three values that stay outside: the rows, the scores by which experts are chosen, and the scores by which they are
 * weighed. The runtime either takes the softmax over the chosen scores itself, or gets weights of all experts. */
#include "base/alloc.h"
#include "base/error.h"
#include "formats/ortgenai/write.h"

#include <math.h>
#include <stdio.h>

struct ol_og_experts {
    const ol_node *sum; /* the last node */
    ol_value *rows, *choice, *weights; /* weights NULL: softmax over the chosen of `choice` */
    const ol_node *gate, *up, *down;   /* ExpertLinear; up NULL: gates and ups take turns in `gate` */
    int64_t experts, inter, hidden, top_k;
    double alpha, beta, limit; /* limit infinite: none */
    bool normalize;
    double scale; /* of the weights */
    ol_og_experts *next;
};

static bool is(const ol_value *v, const char *op) {
    return v && v->producer && strcmp(v->producer->op->name, op) == 0;
}

static ol_value *in(const ol_value *v, int i) { return v->producer->inputs[i]; }

/* The other operand of a product or sum with a number; NULL when there is no number. */
static ol_value *with_number(const ol_value *v, const char *op, double *number) {
    if (!is(v, op)) return NULL;
    for (int i = 0; i < 2; i++) {
        float f;
        const ol_value *c = in(v, i);
        if (!c->constant || ol_const_rank(c->constant) != 0) continue;
        if (ol_const_rows_f32(c->constant, 0, 1, &f, NULL) != OLV_OK) continue;
        *number = (double)f;
        return in(v, 1 - i);
    }
    return NULL;
}

/* Behind reshapes and slices. */
static ol_value *behind_views(ol_value *v) {
    while (is(v, "Reshape") || is(v, "Slice")) v = in(v, 0);
    return v;
}

/* ---- how experts are chosen and weighed ---- */

static ol_value *output_of(const ol_node *n, int i) { return i < n->n_outputs ? n->outputs[i] : NULL; }

/* w [T, A] of the chosen experts `ids`. */
static bool read_route(ol_og_experts *e, ol_value *w, const ol_value *ids) {
    ol_value *v = with_number(w, "Mul", &e->scale);
    if (v) w = v;
    else e->scale = 1;
    if (!is(ids, "TopK") || output_of(ids->producer, 1) != ids) return false;
    e->choice = in(ids, 0);
    if (is(w, "Softmax") && in(w, 0) == ids->producer->outputs[0]) {
        e->normalize = true;
        return true;
    }
    if (is(w, "Div")) {
        ol_value *sum = in(w, 1), *above = with_number(sum, "Max", &(double){0});
        if (above) sum = above; /* a sum of probabilities: the least one guards against zero */
        if (!is(sum, "ReduceSum") || in(sum, 0) != in(w, 0)) return false;
        e->normalize = true;
        w = in(w, 0);
    }
    if (w == ids->producer->outputs[0]) e->weights = e->choice;
    else if (is(w, "GatherElements") && in(w, 1) == ids) e->weights = in(w, 0);
    else return false;
    if (e->normalize && e->weights == e->choice && is(e->choice, "Softmax")) { /* the same as over the chosen ones */
        e->choice = in(e->choice, 0);
        e->weights = NULL;
    }
    return true;
}

/* ---- the experts themselves ---- */

/* min(max(v, -limit), limit), or either half; the limit found is kept. */
static ol_value *behind_limits(ol_value *v, double *limit) {
    double low, high;
    ol_value *x = with_number(v, "Max", &low);
    if (x) v = x;
    x = with_number(v, "Min", &high);
    if (x) *limit = high;
    return x ? x : v;
}

/* y = act(gate) * (up + beta). */
static bool read_gated(ol_og_experts *e, const ol_value *y) {
    if (!is(y, "Mul")) return false;
    for (int i = 0; i < 2; i++) {
        ol_value *g = in(y, i), *u = in(y, 1 - i), *x;
        if (!is(g, "Swish")) continue;
        e->alpha = (double)ol_node_float(g->producer, "alpha", 1);
        e->limit = INFINITY;
        x = with_number(u, "Add", &e->beta);
        if (!x) e->beta = 0;
        u = behind_views(behind_limits(x ? x : u, &e->limit));
        g = behind_views(behind_limits(in(g, 0), &e->limit));
        if (!is(g, "ExpertLinear") || !is(u, "ExpertLinear")) return false;
        e->gate = g->producer;
        e->up = g == u ? NULL : u->producer;
        return true;
    }
    return false;
}

static bool same_rows_and_ids(const ol_og_experts *e) {
    const ol_node *g = e->gate, *u = e->up, *d = e->down;
    bool ok = g->inputs[2] == d->inputs[2] && g->inputs[1]->constant && d->inputs[1]->constant;
    return ok && (!u || (u->inputs[0] == g->inputs[0] && u->inputs[2] == g->inputs[2] && u->inputs[1]->constant && u->n_inputs < 4 &&
                         g->n_inputs < 4));
}

static bool recognize(ol_og_experts *e, const ol_node *sum) {
    ol_value *y = sum->inputs[0];
    e->sum = sum;
    if (!is(y, "Mul")) return false;
    for (int i = 0; i < 2 && !e->down; i++) {
        if (!is(in(y, i), "ExpertLinear") || !is(in(y, 1 - i), "Reshape")) continue;
        e->down = in(y, i)->producer;
        if (!read_route(e, in(in(y, 1 - i), 0), e->down->inputs[2]) || !read_gated(e, e->down->inputs[0])) return false;
    }
    if (!e->down || !same_rows_and_ids(e)) return false;
    const int64_t *d = ol_const_dims(e->down->inputs[1]->constant), *g = ol_const_dims(e->gate->inputs[1]->constant);
    e->experts = d[0];
    e->hidden = d[1];
    e->inter = d[2];
    e->top_k = e->sum->inputs[0]->type.dims[1];
    e->rows = e->gate->inputs[0];
    return g[0] == e->experts && g[1] == (e->up ? 1 : 2) * e->inter && g[2] == e->hidden && e->rows->type.rank == 2;
}

/* Everything between the last node and the three values outside belongs to the block. */
static void cover(ol_og_writer *w, const ol_og_experts *e, const ol_value *v) {
    if (!v || !v->producer || v == e->rows || v == e->choice || v == e->weights || w->covered[v->producer->id]) return;
    w->covered[v->producer->id] = true;
    for (int i = 0; i < v->producer->n_inputs; i++) cover(w, e, v->producer->inputs[i]);
}

void ol_og_find_experts(ol_og_writer *w) {
    for (const ol_node *n = w->g->first; n && !w->failed; n = n->next) {
        if (strcmp(n->op->name, "ReduceSum") != 0) continue;
        ol_og_experts *e = ol_arena_calloc(w->arena, 1, sizeof *e);
        if (!e) {
            ol_og_fail(w, NULL, OLV_NOMEM, "out of memory");
            return;
        }
        if (!recognize(e, n)) continue;
        cover(w, e, n->inputs[0]);
        e->next = w->experts;
        w->experts = e;
    }
    for (const ol_node *n = w->g->first; n && !w->failed; n = n->next)
        if (strcmp(n->op->name, "ExpertLinear") == 0 && !w->covered[n->id])
            ol_og_fail(w, n, OLV_UNSUPPORTED, "onnxruntime-genai has no operator for experts of this form");
}

const ol_og_experts *ol_og_experts_of(const ol_og_writer *w, const ol_node *sum) {
    const ol_og_experts *e = w->experts;
    while (e && e->sum != sum) e = e->next;
    return e;
}

/* ---- writing ---- */

/* [E * N, K] of an expert weight. */
static ol_const *flat(ol_og_writer *w, const ol_node *linear) {
    ol_const *c = linear->inputs[1]->constant;
    const int64_t *d = ol_const_dims(c);
    ol_const *f = ol_const_reshape(c, 2, (const int64_t[]){d[0] * d[1], d[2]}, w->err);
    if (!f) w->failed = true;
    return f;
}

/* Rows of both, taking turns. */
static ol_const *take_turns(ol_og_writer *w, const ol_og_experts *e) {
    ol_const *parts[2] = {flat(w, e->gate), flat(w, e->up)}, *both = NULL, *turns = NULL;
    int64_t n = e->experts * e->inter;
    int32_t *order = n <= INT32_MAX / 2 ? ol_calloc((size_t)(2 * n), sizeof *order) : NULL;
    if (parts[0] && parts[1] && order) both = ol_const_concat_rows(parts, 2, w->err);
    for (int64_t i = 0; order && i < n; i++) {
        order[2 * i] = (int32_t)i;
        order[2 * i + 1] = (int32_t)(n + i);
    }
    if (both) turns = ol_const_permute_rows(both, order, 2 * n, w->err);
    if (!turns && !w->failed) ol_og_fail(w, e->sum, OLV_NOMEM, "no view of the experts");
    ol_const_release(both);
    ol_const_release(parts[0]);
    ol_const_release(parts[1]);
    ol_free(order);
    return turns;
}

static const char *per_expert(ol_og_writer *w, ol_value *v, const char *name, int64_t experts, int64_t n) {
    ol_const *c = v ? ol_const_reshape(v->constant, 2, (const int64_t[]){experts, n}, w->err) : NULL;
    const char *put = c ? ol_og_float(w, name, c) : NULL;
    if (v && !c) w->failed = true;
    ol_const_release(c);
    return put;
}

static const char *biases(ol_og_writer *w, const ol_node *linear, const char *name, int64_t experts, int64_t n) {
    ol_value *v = linear->n_inputs > 3 ? linear->inputs[3] : NULL;
    if (v && !v->constant) ol_og_fail(w, linear, OLV_UNSUPPORTED, "biases that are no constants");
    return w->failed ? NULL : per_expert(w, v, name, experts, n);
}

/* Scores of all experts as [B * S, E]. */
static const char *router(ol_og_writer *w, const ol_og_experts *e, ol_value *scores) {
    if (!scores) return NULL;
    const char *args[] = {ol_og_name(w, scores), ol_og_ints(w, (const int64_t[]){-1, e->experts}, 2)};
    const char *out = ol_og_fresh(w, e->sum, "router/Reshape/output_0");
    if (args[0]) ol_og_node(&w->m, "", "Reshape", ol_og_fresh(w, e->sum, "router/Reshape"), args, 2, &out, 1, NULL);
    return out;
}

static const char *write_node(ol_og_writer *w, const ol_og_experts *e, const char *const *fixed, const ol_og_weight *first,
                              const ol_og_weight *second, const char *out) {
    bool quantized = first->scales != NULL;
    const char *q[15] = {fixed[0], fixed[1], first->codes, first->scales, fixed[2], second->codes, second->scales, fixed[3]};
    const char *plain[6] = {fixed[0], fixed[1], first->codes, fixed[2], second->codes, fixed[3]};
    q[11] = first->zeros;
    q[12] = second->zeros;
    q[14] = fixed[4];
    ol_og_attr attrs[12] = {OL_OG_I("k", e->top_k), OL_OG_S("activation_type", "swiglu"), OL_OG_I("swiglu_fusion", 1),
                            OL_OG_F("activation_alpha", (float)e->alpha), OL_OG_F("activation_beta", (float)e->beta),
                            OL_OG_I("normalize_routing_weights", e->normalize), OL_OG_I("use_sparse_mixer", 0)};
    int n = 7;
    if (isfinite(e->limit)) attrs[n++] = OL_OG_F("swiglu_limit", (float)e->limit);
    if (quantized) {
        attrs[n++] = OL_OG_I("expert_weight_bits", first->bits);
        attrs[n++] = OL_OG_I("block_size", first->block);
    }
    attrs[n] = OL_OG_END;
    const char *op = quantized ? "QMoE" : "MoE";
    ol_og_node(&w->m, "com.microsoft", op, ol_og_fresh(w, e->sum, op), quantized ? q : plain,
               quantized ? (fixed[4] ? 15 : 13) : 6, &out, 1, attrs);
    return out;
}

void ol_og_write_experts(ol_og_writer *w, const ol_og_experts *e, const char *out) {
    char base[300];
    snprintf(base, sizeof base, "model.layers.%d.moe.experts", w->n_layers - 1);
    ol_const *first = e->up ? take_turns(w, e) : flat(w, e->gate), *second = w->failed ? NULL : flat(w, e->down);
    ol_og_weight *a = NULL, *b = NULL;
    if (second && ol_og_put_experts(w, e->sum, first, second, e->experts, base, &a, &b) && !a->scales && e->weights)
        ol_og_fail(w, e->sum, OLV_UNSUPPORTED, "experts in floats whose weights are no softmax over the chosen ones");
    ol_const_release(first);
    ol_const_release(second);
    const char *fixed[5] = {ol_og_name(w, e->rows), router(w, e, e->choice),
                            biases(w, e->gate, ol_og_text(w, "%s.gate_up_proj.bias", base), e->experts, 2 * e->inter),
                            biases(w, e->down, ol_og_text(w, "%s.down_proj.bias", base), e->experts, e->hidden),
                            router(w, e, e->weights)};
    if (w->failed) return;
    const char *y = e->scale == 1 ? out : ol_og_fresh(w, e->sum, "MoE/output_0");
    y = write_node(w, e, fixed, a, b, y);
    if (e->scale == 1) return;
    const char *args[] = {y, ol_og_scalar(w, e->scale)};
    ol_og_node(&w->m, "", "Mul", ol_og_fresh(w, e->sum, "Mul"), args, 2, &out, 1, NULL);
}
