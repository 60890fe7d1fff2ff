/* SPDX-License-Identifier: Apache-2.0 */
#include "base/alloc.h"
#include "base/error.h"
#include "formats/huggingface/build.h"
#include "formats/huggingface/recurrent.h"

#include <stdio.h>

static ol_value *plain(ol_hf_build *b, ol_value *h, const char *gate, const char *up, const char *down, int64_t inter) {
    const ol_hf_config *c = b->c;
    ol_value *u = ol_hf_linear(b, h, up, inter, c->hidden, c->mlp_bias);
    if (gate) {
        ol_value *g = ol_hf_scale(b, ol_hf_linear(b, h, gate, inter, c->hidden, c->mlp_bias), c->gate_scale);
        u = ol_hf_op2(b, "Mul", ol_hf_activate(b, g), u);
    } else {
        u = ol_hf_activate(b, u);
    }
    return ol_hf_scale(b, ol_hf_linear(b, u, down, c->hidden, inter, c->mlp_bias), c->down_scale);
}

/* Rows [row, row + n) of a fused matrix of `rows` rows as a Linear of its own. */
static ol_value *half(ol_hf_build *b, ol_value *h, const char *part, const char *suffix, int64_t rows, int64_t row,
                      int64_t n) {
    ol_const *all = ol_hf_weight(b, part, rows, b->c->hidden);
    if (!all) return NULL;
    ol_const *view = ol_const_slice_rows(all, row, n, &b->error);
    ol_const_release(all);
    if (!view) b->failed = true;
    char name[300];
    snprintf(name, sizeof name, "%s.%s", view ? ol_hf_find(b, part, ".weight")->name.ptr : part, suffix);
    ol_value *w = ol_hf_constant(b, name, view), *bias = NULL;
    float *all_bias = ol_hf_vector(b, part, ".bias", rows, 0, b->c->mlp_bias);
    if (all_bias) {
        float *v = ol_calloc((size_t)n, sizeof *v);
        if (v) memcpy(v, all_bias + row, (size_t)n * sizeof *v);
        ol_free(all_bias);
        bias = ol_hf_vector_value(b, NULL, v, n);
    }
    return ol_hf_linear_of(b, h, w, bias);
}

/* The same with gate and up in one tensor. */
static ol_value *fused(ol_hf_build *b, ol_value *h, const char *gate_up, const char *down, int64_t inter) {
    const ol_hf_config *c = b->c;
    int64_t gate = c->family->up_first ? inter : 0;
    ol_value *g = half(b, h, gate_up, "gate", 2 * inter, gate, inter);
    ol_value *u = half(b, h, gate_up, "up", 2 * inter, inter - gate, inter);
    return ol_hf_linear(b, ol_hf_op2(b, "Mul", ol_hf_activate(b, g), u), down, c->hidden, inter, c->mlp_bias);
}

ol_value *ol_hf_mlp(ol_hf_build *b, ol_value *h) {
    const ol_hf_config *c = b->c;
    const ol_hf_names *n = c->names;
    int64_t inter = c->intermediate;
    if (b->failed) return NULL;
    if (c->layers[b->layer].mixer == OL_HF_MIX_RWKV) return ol_hf_rwkv_mlp(b, h);
    if (c->layers[b->layer].experts) return ol_hf_experts(b, h);
    if (!c->gated || !n->gate_up || !ol_hf_has(b, n->gate_up))
        return plain(b, h, c->gated ? n->gate : NULL, n->up, n->down, inter);
    return fused(b, h, n->gate_up, n->down, inter);
}

/* ---- mixture of experts ---- */

static ol_value *reduce(ol_hf_build *b, const char *op, ol_value *x, int64_t axis, bool keep) {
    ol_value *in[] = {x, ol_hf_ints(b, &axis, 1)};
    ol_attr a = ol_attr_int("keepdims", keep);
    return ol_hf_node(b, "", op, in, 2, 1, &a, 1, NULL);
}

static ol_value *softmax(ol_hf_build *b, ol_value *x) {
    ol_attr axis = ol_attr_int("axis", -1);
    return ol_hf_node(b, "", "Softmax", &x, 1, 1, &axis, 1, NULL);
}

static ol_value *top_k(ol_hf_build *b, ol_value *x, int64_t k, ol_value **index) {
    ol_value *in[] = {x, ol_hf_ints(b, &k, 1)};
    ol_attr axis = ol_attr_int("axis", -1);
    return ol_hf_node(b, "", "TopK", in, 2, 2, &axis, 1, index);
}

static ol_value *gather_elements(ol_hf_build *b, ol_value *x, ol_value *index) {
    ol_value *in[] = {x, index};
    ol_attr axis = ol_attr_int("axis", 1);
    return ol_hf_node(b, "", "GatherElements", in, 2, 1, &axis, 1, NULL);
}

static ol_value *where(ol_hf_build *b, ol_value *cond, ol_value *x, ol_value *y) {
    ol_value *in[] = {cond, x, y};
    return ol_hf_node(b, "", "Where", in, 3, 1, NULL, 0, NULL);
}

/* Sets the scores outside of the best `topk_group` groups to `low`. A group's worth is the sum of its two best
 * scores, or its best one. A group stays when its worth reaches the smallest of the chosen. */
static ol_value *limit_groups(ol_hf_build *b, ol_value *scores, int best, double low) {
    const ol_hf_moe *m = &b->c->moe;
    int64_t per = m->n_experts / m->n_group;
    if (m->n_group == 1 || m->topk_group == m->n_group) return scores;
    ol_value *index, *g = ol_hf_reshape(b, scores, (const int64_t[]){0, m->n_group, per}, 3);
    ol_value *worth = reduce(b, "ReduceSum", top_k(b, g, best < per ? best : per, &index), 2, false);
    ol_value *least = reduce(b, "ReduceMin", top_k(b, worth, m->topk_group, &index), 1, true);
    ol_value *in = ol_hf_reshape(b, ol_hf_op2(b, "GreaterOrEqual", worth, least), (const int64_t[]){0, m->n_group, 1}, 3);
    return ol_hf_reshape(b, where(b, in, g, ol_hf_scalar(b, low)), (const int64_t[]){0, m->n_experts}, 2);
}

/* One step of phimoe's choice: the largest of `left`; its weight is the softmax over the scores that lie near it. */
static ol_value *mixer_step(ol_hf_build *b, ol_value *scores, ol_value *left, ol_value **index) {
    ol_value *max = top_k(b, left, 1, index);
    ol_value *gap = ol_hf_op2(b, "Sub", max, scores);
    ol_value *rel = ol_hf_op2(b, "Div", gap, ol_hf_op2(b, "Max", ol_hf_op1(b, "Abs", scores), max));
    ol_value *far = ol_hf_op2(b, "Greater", rel, ol_hf_scalar(b, 2 * b->c->moe.jitter));
    ol_value *near = where(b, far, ol_hf_scalar(b, -1e30), left);
    return gather_elements(b, softmax(b, near), *index);
}

static ol_value *sparse_mixer(ol_hf_build *b, ol_value *scores, ol_value **chosen) {
    ol_value *i1, *i2, *w1 = mixer_step(b, scores, scores, &i1);
    if (b->c->moe.top_k == 1) {
        *chosen = i1;
        return w1;
    }
    ol_value *in[] = {scores, i1, NULL};
    ol_attr axis = ol_attr_int("axis", 1);
    ol_value *low = ol_hf_op2(b, "Add", ol_hf_op2(b, "Mul", w1, ol_hf_scalar(b, 0)), ol_hf_scalar(b, -1e30));
    in[2] = low;
    ol_value *left = ol_hf_node(b, "", "ScatterElements", in, 3, 1, &axis, 1, NULL);
    ol_value *w2 = mixer_step(b, scores, left, &i2);
    ol_value *weights[] = {w1, w2}, *indices[] = {i1, i2};
    *chosen = ol_hf_node(b, "", "Concat", indices, 2, 1, &axis, 1, NULL);
    return ol_hf_node(b, "", "Concat", weights, 2, 1, &axis, 1, NULL);
}

/* Scores by which experts are chosen, but not weighed: with the bias of the file. */
static ol_value *corrected(ol_hf_build *b, ol_value *scores) {
    int64_t n = b->c->moe.n_experts;
    float *bias = ol_hf_vector(b, b->c->names->router_bias, "", n, 0, false);
    return bias ? ol_hf_op2(b, "Add", scores, ol_hf_vector_value(b, NULL, bias, n)) : scores;
}

/* Scores → weights and indices of the chosen experts, both [T, A]. */
static ol_value *route(ol_hf_build *b, ol_value *scores, ol_value **chosen) {
    const ol_hf_moe *m = &b->c->moe;
    ol_value *w = NULL, *p;
    switch (b->c->family->router) {
    case OL_HF_ROUTE_SPARSEMIXER: return sparse_mixer(b, scores, chosen);
    case OL_HF_ROUTE_TOPK_SOFTMAX: return softmax(b, top_k(b, scores, m->top_k, chosen));
    case OL_HF_ROUTE_SOFTMAX_TOPK:
        p = softmax(b, scores);
        w = top_k(b, corrected(b, p), m->top_k, chosen);
        if (b->c->names->router_bias) w = gather_elements(b, p, *chosen);
        break;
    case OL_HF_ROUTE_TOPK_SIGMOID:
        top_k(b, corrected(b, scores), m->top_k, chosen);
        w = ol_hf_op1(b, "Sigmoid", gather_elements(b, scores, *chosen));
        break;
    case OL_HF_ROUTE_GROUPS_MAX: w = top_k(b, limit_groups(b, softmax(b, scores), 1, 0), m->top_k, chosen); break;
    case OL_HF_ROUTE_SIGMOID:
        p = ol_hf_op1(b, "Sigmoid", scores);
        top_k(b, limit_groups(b, corrected(b, p), 2, -1e30), m->top_k, chosen);
        w = gather_elements(b, p, *chosen);
        break;
    }
    if (m->normalize) {
        ol_value *sum = reduce(b, "ReduceSum", w, 1, true);
        if (m->least_sum > 0) sum = ol_hf_op2(b, "Max", sum, ol_hf_scalar(b, m->least_sum));
        w = ol_hf_op2(b, "Div", w, sum);
    }
    return ol_hf_scale(b, w, m->scale);
}

/* [E, N, K] of one tensor per expert, or of rows [row, row + n) of every expert of a joint tensor [E, rows, K]. */
static ol_value *expert_weights(ol_hf_build *b, const char *each, const char *all, const char *suffix, int64_t rows,
                                int64_t row, int64_t n, int64_t k) {
    int64_t e = b->c->moe.n_experts;
    const ol_st_tensor *joint_tensor = ol_hf_find(b, all, "");
    ol_const **parts = ol_calloc((size_t)e, sizeof *parts), *joined = NULL, *shaped = NULL, *joint = NULL;
    char name[300], part[128];
    if (!parts) ol_hf_build_fail(b, OLV_NOMEM, "out of memory");
    if (joint_tensor && !b->failed) {
        const ol_st_tensor *t = joint_tensor;
        if (t->rank != 3 || t->dims[0] != e || t->dims[1] != rows || t->dims[2] != k)
            ol_hf_build_fail(b, OLV_SHAPE, "tensor '%s': expected shape [%lld,%lld,%lld]", t->name.ptr, (long long)e,
                             (long long)rows, (long long)k);
        ol_const *raw = NULL;
        if (!b->failed && ol_hf_const(b, t, &raw) != OLV_OK) b->failed = true;
        if (raw) joint = ol_const_reshape(raw, 2, (const int64_t[]){e * rows, k}, &b->error);
        ol_const_release(raw);
    }
    for (int64_t i = 0; i < e && !b->failed; i++) {
        if (joint) {
            parts[i] = ol_const_slice_rows(joint, i * rows + row, n, &b->error);
            if (!parts[i]) b->failed = true;
        } else if (!each) {
            ol_hf_build_fail(b, OLV_NOT_FOUND, "layer %d: tensor '%s' is missing", b->layer, all);
        } else {
            const char *at = strstr(each, "%d");
            snprintf(part, sizeof part, "%.*s%d%s", (int)(at - each), each, (int)i, at + 2);
            parts[i] = ol_hf_weight(b, part, n, k);
        }
    }
    if (!b->failed) joined = ol_const_concat_rows(parts, (int)e, &b->error);
    if (joined) shaped = ol_const_reshape(joined, 3, (const int64_t[]){e, n, k}, &b->error);
    if (!shaped && !b->failed) ol_hf_build_fail(b, OLV_NOMEM, "no view of the experts");
    for (int64_t i = 0; parts && i < e; i++) ol_const_release(parts[i]);
    ol_const_release(joined);
    ol_const_release(joint);
    ol_free(parts);
    snprintf(name, sizeof name, "layers.%d.experts.%s", b->layer, suffix);
    return ol_hf_constant(b, name, shaped);
}

static ol_value *expert_linear(ol_hf_build *b, ol_value *x, ol_value *w, ol_value *chosen) {
    ol_value *in[] = {x, w, chosen};
    return ol_hf_node(b, "olivine", "ExpertLinear", in, 3, 1, NULL, 0, NULL);
}

/* Joint weights of all experts, [E, K, N] as the file has them, as [E, N, K]. */
static ol_value *turned_weights(ol_hf_build *b, const char *all, int64_t n, int64_t k) {
    int64_t e = b->c->moe.n_experts;
    const ol_st_tensor *t = ol_hf_find(b, all, "");
    ol_const *raw = NULL, *flat = NULL, *joined = NULL, *shaped = NULL, **parts = NULL;
    if (!t || t->rank != 3 || t->dims[0] != e || t->dims[1] != k || t->dims[2] != n) {
        ol_hf_build_fail(b, t ? OLV_SHAPE : OLV_NOT_FOUND, "layer %d: tensor '%s': expected shape [%lld,%lld,%lld]", b->layer,
                         all, (long long)e, (long long)k, (long long)n);
        return NULL;
    }
    if (ol_hf_const(b, t, &raw) == OLV_OK) flat = ol_const_reshape(raw, 2, (const int64_t[]){e * k, n}, &b->error);
    if (flat) parts = ol_calloc((size_t)e, sizeof *parts);
    bool ok = parts != NULL;
    for (int64_t i = 0; i < e && ok; i++) {
        ol_const *one = ol_const_slice_rows(flat, i * k, k, &b->error);
        parts[i] = one ? ol_const_transpose(one, &b->error) : NULL;
        ol_const_release(one);
        ok = parts[i] != NULL;
    }
    if (ok) joined = ol_const_concat_rows(parts, (int)e, &b->error);
    if (joined) shaped = ol_const_reshape(joined, 3, (const int64_t[]){e, n, k}, &b->error);
    if (!shaped) ol_hf_build_fail(b, OLV_NOMEM, "tensor '%s': no view of its experts", all);
    for (int64_t i = 0; parts && i < e; i++) ol_const_release(parts[i]);
    ol_const_release(joined);
    ol_const_release(flat);
    ol_const_release(raw);
    ol_free(parts);
    return ol_hf_constant(b, t->name.ptr, shaped);
}

/* One of the two products of experts_turned: quantized experts stand as PART.weight [E * N, K]. */
static ol_value *turned_linear(ol_hf_build *b, ol_value *x, const char *all, int64_t n, int64_t k, ol_value *chosen) {
    int64_t e = b->c->moe.n_experts;
    ol_value *w = NULL;
    const ol_st_tensor *rows = ol_hf_find(b, all, ".weight"), *tb = ol_hf_find(b, all, "_bias");
    if (rows && !b->failed) {
        ol_const *flat = ol_hf_weight(b, all, e * n, k);
        ol_const *shaped = flat ? ol_const_reshape(flat, 3, (const int64_t[]){e, n, k}, &b->error) : NULL;
        if (flat && !shaped) ol_hf_build_fail(b, OLV_NOMEM, "tensor '%s': no view of its experts", all);
        ol_const_release(flat);
        w = ol_hf_constant(b, rows->name.ptr, shaped);
    } else {
        w = turned_weights(b, all, n, k);
    }
    ol_value *bias = ol_hf_vector_value(b, tb ? tb->name.ptr : NULL, ol_hf_vector(b, all, "_bias", e * n, 0, true), e * n);
    ol_value *in[] = {x, w, chosen, bias};
    return ol_hf_node(b, "olivine", "ExpertLinear", in, 4, 1, NULL, 0, NULL);
}

/* Every other value of the last dimension [T, A, 2I], from `first` on. */
static ol_value *every_other(ol_hf_build *b, ol_value *x, int64_t first) {
    const ol_hf_moe *m = &b->c->moe;
    int64_t end = first + 1, axis = 3;
    x = ol_hf_reshape(b, x, (const int64_t[]){0, m->top_k, m->intermediate, 2}, 4);
    ol_value *in[] = {x, ol_hf_ints(b, &first, 1), ol_hf_ints(b, &end, 1), ol_hf_ints(b, &axis, 1)};
    x = ol_hf_node(b, "", "Slice", in, 4, 1, NULL, 0, NULL);
    return ol_hf_reshape(b, x, (const int64_t[]){0, m->top_k, m->intermediate}, 3);
}

/* [T, H] -> [T, A, H], not yet weighed. */
static ol_value *turned_experts(ol_hf_build *b, ol_value *h, ol_value *chosen) {
    const ol_hf_config *c = b->c;
    const ol_hf_moe *m = &c->moe;
    ol_value *y = turned_linear(b, h, c->names->e_all_gate_up, 2 * m->intermediate, c->hidden, chosen);
    ol_value *g = every_other(b, y, 0), *u = every_other(b, y, 1);
    ol_attr alpha = ol_attr_float("alpha", (float)m->alpha);
    g = ol_hf_op2(b, "Min", g, ol_hf_scalar(b, m->limit));
    g = ol_hf_node(b, "", "Swish", &g, 1, 1, &alpha, 1, NULL);
    u = ol_hf_op2(b, "Max", ol_hf_op2(b, "Min", u, ol_hf_scalar(b, m->limit)), ol_hf_scalar(b, -m->limit));
    y = ol_hf_op2(b, "Mul", g, ol_hf_op2(b, "Add", u, ol_hf_scalar(b, 1)));
    return turned_linear(b, y, c->names->e_all_down, c->hidden, m->intermediate, chosen);
}

/* The same of gates and ups one below the other, or a tensor for each expert. */
static ol_value *gated_experts(ol_hf_build *b, ol_value *h, ol_value *chosen) {
    const ol_hf_config *c = b->c;
    const ol_hf_names *n = c->names;
    int64_t inter = c->moe.intermediate;
    ol_value *g = expert_linear(b, h, expert_weights(b, n->e_gate, n->e_all_gate_up, "gate", 2 * inter, 0, inter, c->hidden), chosen);
    ol_value *u = expert_linear(b, h, expert_weights(b, n->e_up, n->e_all_gate_up, "up", 2 * inter, inter, inter, c->hidden), chosen);
    ol_value *y = ol_hf_op2(b, "Mul", ol_hf_activate(b, g), u);
    return expert_linear(b, y, expert_weights(b, n->e_down, n->e_all_down, "down", c->hidden, 0, c->hidden, inter), chosen);
}

static ol_value *shared_expert(ol_hf_build *b, ol_value *h) {
    const ol_hf_names *n = b->c->names;
    int64_t inter = b->c->moe.shared_intermediate;
    ol_value *y = n->shared_gate_up ? fused(b, h, n->shared_gate_up, n->shared_down, inter)
                                    : plain(b, h, n->shared_gate, n->shared_up, n->shared_down, inter);
    if (!n->shared_router) return y;
    return ol_hf_op2(b, "Mul", y, ol_hf_op1(b, "Sigmoid", ol_hf_linear(b, h, n->shared_router, 1, b->c->hidden, false)));
}

ol_value *ol_hf_experts(ol_hf_build *b, ol_value *h) {
    const ol_hf_config *c = b->c;
    const ol_hf_names *n = c->names;
    const ol_hf_moe *m = &c->moe;
    ol_value *chosen = NULL;
    const char *router = n->router;
    if (!ol_hf_has(b, router) && n->e_all_gate_up && ol_hf_has(b, "mlp.gate")) router = "mlp.gate"; /* newer spelling */
    ol_value *w = route(b, ol_hf_linear(b, h, router, m->n_experts, c->hidden, false), &chosen);
    ol_value *y = c->family->experts_turned ? turned_experts(b, h, chosen) : gated_experts(b, h, chosen);
    y = ol_hf_op2(b, "Mul", y, ol_hf_reshape(b, w, (const int64_t[]){0, m->top_k, 1}, 3));
    y = reduce(b, "ReduceSum", y, 1, false);
    return m->shared_intermediate && n->shared_down ? ol_hf_op2(b, "Add", y, shared_expert(b, h)) : y;
}
