/* SPDX-License-Identifier: Apache-2.0 */
/* TreeEnsembleClassifier, TreeEnsembleRegressor and TreeEnsemble (5) of ai.onnx.ml: all are brought to one form, a list of
 * nodes with the places of their children, and weights sorted by leaf. */
#include "ops/ml.h"
#include <stdio.h>
#include <stdlib.h>

enum { LEQ, LT, GTE, GT, EQ, NEQ, MEMBER, LEAF };
typedef enum aggregate { AVERAGE, SUM, MIN, MAX } aggregate;

typedef struct tree_node {
    int mode;
    bool missing_true; /* where NaN goes */
    bool has_parent;
    int64_t feature, yes, no; /* children; MEMBER: the values from first_member on */
    double value;
    size_t first, count; /* weights of a leaf; members */
} tree_node;

typedef struct weight {
    int64_t node, target;
    double value;
} weight;

typedef struct forest {
    tree_node *nodes;
    size_t n_nodes;
    int64_t *roots;
    size_t n_roots;
    weight *weights;
    size_t n_weights;
    double *base, *members;
    size_t n_base, n_members;
    int64_t n_targets;
    aggregate how;
    ol_ml_post post;
} forest;

static void forest_deinit(forest *f) {
    ol_free(f->nodes);
    ol_free(f->roots);
    ol_free(f->weights);
    ol_free(f->base);
    ol_free(f->members);
}

static int by_node(const void *a, const void *b) {
    const weight *x = a, *y = b;
    return x->node != y->node ? (x->node < y->node ? -1 : 1) : x < y ? -1 : x > y;
}

/* Sorts the weights and gives each leaf its own. */
static void place_weights(forest *f) {
    qsort(f->weights, f->n_weights, sizeof *f->weights, by_node);
    for (size_t i = 0; i < f->n_weights; i++) {
        tree_node *n = &f->nodes[f->weights[i].node];
        if (!n->count++) n->first = i;
    }
}

static olv_status find_roots(forest *f, olv_error *err) {
    f->roots = ol_calloc(f->n_nodes + 1, sizeof *f->roots);
    if (!f->roots) return ol_fail(err, OLV_NOMEM, "no memory for trees");
    for (size_t i = 0; i < f->n_nodes; i++)
        if (!f->nodes[i].has_parent) f->roots[f->n_roots++] = (int64_t)i;
    if (f->n_nodes && !f->n_roots) return ol_fail(err, OLV_FORMAT, "trees without a root");
    return OLV_OK;
}

/* ---- forms 1 to 3: nodes are known by the id of their tree and their own ---- */

typedef struct place {
    int64_t tree, id, index;
} place;

static int by_place(const void *a, const void *b) {
    const place *x = a, *y = b;
    if (x->tree != y->tree) return x->tree < y->tree ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

static int64_t look_up(const place *p, size_t n, int64_t tree, int64_t id) {
    const place key = {tree, id, 0}, *r = n ? bsearch(&key, p, n, sizeof *p, by_place) : NULL;
    return r ? r->index : -1;
}

static int mode_of(ol_str s) {
    static const char *const names[] = {"BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ", "BRANCH_MEMBER", "LEAF"};
    for (int i = 0; i < OL_COUNT(names); i++)
        if (i != MEMBER && ol_str_is(s, names[i])) return i;
    return -1;
}

static olv_status link_nodes(forest *f, const ol_node *n, const place *p, olv_error *err) {
    size_t count = f->n_nodes, k;
    const int64_t *trees = ol_node_ints(n, "nodes_treeids", &k), *yes = ol_node_ints(n, "nodes_truenodeids", &k);
    const int64_t *no = ol_node_ints(n, "nodes_falsenodeids", &k);
    for (size_t i = 0; i < count; i++) {
        tree_node *t = &f->nodes[i];
        if (t->mode == LEAF) continue;
        t->yes = look_up(p, count, trees[i], yes[i]);
        t->no = look_up(p, count, trees[i], no[i]);
        if (t->yes < 0 || t->no < 0)
            return ol_fail(err, OLV_FORMAT, "node %zu of the trees has a child that is not there", i);
        f->nodes[t->yes].has_parent = f->nodes[t->no].has_parent = true;
    }
    return OLV_OK;
}

static olv_status read_weights(forest *f, const ol_node *n, const char *prefix, const place *p, olv_error *err) {
    char name[4][32];
    size_t count[4] = {0};
    static const char *const parts[] = {"treeids", "nodeids", "ids", "weights"};
    const int64_t *ids[3];
    double *values;
    for (int i = 0; i < 4; i++) snprintf(name[i], sizeof name[i], "%s_%s", prefix, parts[i]);
    for (int i = 0; i < 3; i++) ids[i] = ol_node_ints(n, name[i], &count[i]);
    OL_TRY(ol_ml_floats(n, name[3], &values, &count[3], err));
    olv_status s = count[0] == count[1] && count[1] == count[2] && count[2] == count[3]
                       ? OLV_OK : ol_fail(err, OLV_FORMAT, "lists of weights of %zu, %zu, %zu and %zu elements", count[0], count[1], count[2], count[3]);
    f->weights = ol_calloc(count[0] + 1, sizeof *f->weights);
    if (s == OLV_OK && !f->weights) s = ol_fail(err, OLV_NOMEM, "no memory for weights");
    for (size_t i = 0; s == OLV_OK && i < count[0]; i++) {
        int64_t at = look_up(p, f->n_nodes, ids[0][i], ids[1][i]);
        if (at < 0 || ids[2][i] < 0 || ids[2][i] >= f->n_targets) s = ol_fail(err, OLV_FORMAT, "weight %zu is of no node or target", i);
        else f->weights[f->n_weights++] = (weight){at, ids[2][i], values[i]};
    }
    ol_free(values);
    return s;
}

static olv_status fill_nodes(forest *f, const ol_node *n, place *p, olv_error *err) {
    size_t k[8];
    const int64_t *trees = ol_node_ints(n, "nodes_treeids", &k[0]), *ids = ol_node_ints(n, "nodes_nodeids", &k[1]);
    const int64_t *features = ol_node_ints(n, "nodes_featureids", &k[2]), *missing = ol_node_ints(n, "nodes_missing_value_tracks_true", &k[3]);
    const ol_str *modes = ol_node_strings(n, "nodes_modes", &k[4]);
    double *values;
    (void)ol_node_ints(n, "nodes_truenodeids", &k[5]);
    (void)ol_node_ints(n, "nodes_falsenodeids", &k[6]);
    OL_TRY(ol_ml_floats(n, "nodes_values", &values, &k[7], err));
    olv_status s = OLV_OK;
    for (int i = 1; i < 8; i++)
        if (k[i] != k[0] && (i != 3 || k[3])) s = ol_fail(err, OLV_FORMAT, "lists of nodes of %zu and %zu elements", k[0], k[i]);
    for (size_t i = 0; s == OLV_OK && i < f->n_nodes; i++) {
        tree_node *t = &f->nodes[i];
        *t = (tree_node){.mode = mode_of(modes[i]), .feature = features[i], .value = values[i], .missing_true = missing && missing[i]};
        p[i] = (place){trees[i], ids[i], (int64_t)i};
        if (t->mode < 0) s = ol_fail(err, OLV_FORMAT, "mode '%.*s' of a node", (int)(modes[i].len > 40 ? 40 : modes[i].len), modes[i].ptr);
    }
    ol_free(values);
    return s;
}

/* prefix: of the attributes of weights, "class" or "target". */
static olv_status read_old(forest *f, const ol_node *n, const char *prefix, olv_error *err) {
    (void)ol_node_ints(n, "nodes_treeids", &f->n_nodes);
    f->nodes = ol_calloc(f->n_nodes + 1, sizeof *f->nodes);
    place *p = ol_calloc(f->n_nodes + 1, sizeof *p);
    olv_status s = f->nodes && p ? fill_nodes(f, n, p, err) : ol_fail(err, OLV_NOMEM, "no memory for trees");
    if (s == OLV_OK) qsort(p, f->n_nodes, sizeof *p, by_place);
    if (s == OLV_OK) s = link_nodes(f, n, p, err);
    if (s == OLV_OK) s = find_roots(f, err);
    if (s == OLV_OK) s = read_weights(f, n, prefix, p, err);
    if (s == OLV_OK) s = ol_ml_floats(n, "base_values", &f->base, &f->n_base, err);
    if (s == OLV_OK) place_weights(f);
    ol_free(p);
    return s == OLV_OK ? ol_ml_post_of(n, &f->post, err) : s;
}

/* ---- form 5: branches and leaves in lists of their own ---- */

/* Members of a set stand between NaNs, in the order of the nodes that ask for them. */
static olv_status place_members(forest *f, size_t n_branches, olv_error *err) {
    size_t at = 0;
    for (size_t i = 0; i < n_branches; i++) {
        tree_node *t = &f->nodes[i];
        if (t->mode != MEMBER) continue;
        if (at >= f->n_members) return ol_fail(err, OLV_FORMAT, "fewer sets in membership_values than nodes that ask for them");
        t->first = at;
        while (at < f->n_members && !isnan(f->members[at])) at++;
        t->count = at++ - t->first;
    }
    return OLV_OK;
}

static olv_status fill_branches(forest *f, const ol_node *n, size_t n_branches, size_t n_leaves, const double *splits, const double *modes, olv_error *err) {
    size_t k[6];
    const int64_t *features = ol_node_ints(n, "nodes_featureids", &k[0]), *yes = ol_node_ints(n, "nodes_truenodeids", &k[1]), *no = ol_node_ints(n, "nodes_falsenodeids", &k[2]);
    const int64_t *yes_leaf = ol_node_ints(n, "nodes_trueleafs", &k[3]), *no_leaf = ol_node_ints(n, "nodes_falseleafs", &k[4]), *missing = ol_node_ints(n, "nodes_missing_value_tracks_true", &k[5]);
    for (int i = 0; i < 6; i++)
        if (k[i] != n_branches && (i != 5 || k[5])) return ol_fail(err, OLV_FORMAT, "lists of nodes of %zu and %zu elements", n_branches, k[i]);
    for (size_t i = 0; i < n_branches; i++) {
        tree_node *t = &f->nodes[i];
        if (!(modes[i] >= 0 && modes[i] <= MEMBER)) return ol_fail(err, OLV_FORMAT, "mode %g of a node", modes[i]);
        int64_t child[2] = {yes[i], no[i]};
        for (int j = 0; j < 2; j++) {
            bool leaf = (j ? no_leaf : yes_leaf)[i] != 0;
            if (child[j] < 0 || (size_t)child[j] >= (leaf ? n_leaves : n_branches)) return ol_fail(err, OLV_FORMAT, "node %zu of the trees has a child that is not there", i);
            if (leaf) child[j] += (int64_t)n_branches;
        }
        *t = (tree_node){.mode = (int)modes[i], .feature = features[i], .value = splits[i], .yes = child[0], .no = child[1], .missing_true = missing && missing[i]};
    }
    return place_members(f, n_branches, err);
}

static olv_status fill_leaves(forest *f, const ol_node *n, size_t n_branches, const double *values, size_t n_values, olv_error *err) {
    size_t count;
    const int64_t *targets = ol_node_ints(n, "leaf_targetids", &count);
    if (count != n_values) return ol_fail(err, OLV_FORMAT, "%zu targets and %zu weights of leaves", count, n_values);
    for (size_t i = 0; i < count; i++) {
        if (targets[i] < 0 || targets[i] >= f->n_targets) return ol_fail(err, OLV_FORMAT, "target %lld of %lld", (long long)targets[i], (long long)f->n_targets);
        f->nodes[n_branches + i] = (tree_node){.mode = LEAF, .first = i, .count = 1};
        f->weights[f->n_weights++] = (weight){(int64_t)(n_branches + i), targets[i], values[i]};
    }
    return OLV_OK;
}

static olv_status copy_roots(forest *f, const ol_node *n, size_t n_branches, olv_error *err) {
    const int64_t *r = ol_node_ints(n, "tree_roots", &f->n_roots);
    f->roots = ol_calloc(f->n_roots + 1, sizeof *f->roots);
    if (!f->roots) return ol_fail(err, OLV_NOMEM, "no memory for trees");
    for (size_t i = 0; i < f->n_roots; i++) {
        if (r[i] < 0 || (size_t)r[i] >= n_branches) return ol_fail(err, OLV_FORMAT, "root %lld of %zu nodes", (long long)r[i], n_branches);
        f->roots[i] = r[i];
    }
    return OLV_OK;
}

static olv_status read_new(forest *f, const ol_node *n, olv_error *err) {
    size_t n_branches = 0, n_modes = 0, n_leaves = 0;
    double *splits = NULL, *modes = NULL, *leaves = NULL;
    olv_status s = ol_ml_floats(n, "nodes_splits", &splits, &n_branches, err);
    if (s == OLV_OK) s = ol_ml_floats(n, "nodes_modes", &modes, &n_modes, err);
    if (s == OLV_OK) s = ol_ml_floats(n, "leaf_weights", &leaves, &n_leaves, err);
    if (s == OLV_OK) s = ol_ml_floats(n, "membership_values", &f->members, &f->n_members, err);
    if (s == OLV_OK && n_modes != n_branches) s = ol_fail(err, OLV_FORMAT, "%zu splits and %zu modes", n_branches, n_modes);
    f->n_targets = ol_node_int(n, "n_targets", 1);
    int64_t how = ol_node_int(n, "aggregate_function", SUM);
    if (s == OLV_OK && (f->n_targets < 1 || f->n_targets > 1 << 24 || how < AVERAGE || how > MAX)) s = ol_fail(err, OLV_FORMAT, "n_targets or aggregate_function out of range");
    f->how = (aggregate)how;
    f->n_nodes = n_branches + n_leaves;
    f->nodes = ol_calloc(f->n_nodes + 1, sizeof *f->nodes);
    f->weights = ol_calloc(n_leaves + 1, sizeof *f->weights);
    if (s == OLV_OK && (!f->nodes || !f->weights)) s = ol_fail(err, OLV_NOMEM, "no memory for trees");
    if (s == OLV_OK) s = fill_branches(f, n, n_branches, n_leaves, splits, modes, err);
    if (s == OLV_OK) s = fill_leaves(f, n, n_branches, leaves, n_leaves, err);
    if (s == OLV_OK) s = copy_roots(f, n, n_branches, err);
    if (s == OLV_OK) s = ol_ml_post_of(n, &f->post, err);
    ol_free(splits), ol_free(modes), ol_free(leaves);
    return s;
}

/* ---- evaluation ---- */

static bool is_member(const forest *f, const tree_node *t, double v) {
    for (size_t i = 0; i < t->count; i++)
        if (f->members[t->first + i] == v) return true;
    return false;
}

static bool takes_yes(const forest *f, const tree_node *t, double v) {
    if (isnan(v) && t->missing_true) return true;
    switch (t->mode) {
    case LEQ: return v <= t->value;
    case LT: return v < t->value;
    case GTE: return v >= t->value;
    case GT: return v > t->value;
    case EQ: return v == t->value;
    case NEQ: return v != t->value;
    default: return is_member(f, t, v);
    }
}

/* The leaf of a row; NULL when there is a cycle or a feature that the row lacks. */
static const tree_node *descend(const forest *f, int64_t root, const ol_tensor *x, int64_t row, int64_t width) {
    const tree_node *t = &f->nodes[root];
    for (size_t steps = 0; t->mode != LEAF; steps++) {
        if (steps > f->n_nodes || t->feature < 0 || t->feature >= width) return NULL;
        t = &f->nodes[takes_yes(f, t, ol_tensor_get(x, row * width + t->feature)) ? t->yes : t->no];
    }
    return t;
}

/* Scores of one row without base values; has[k]: some leaf spoke of target k. */
static olv_status score_row(const forest *f, const ol_tensor *x, int64_t row, int64_t width, double *score, bool *has, olv_error *err) {
    memset(has, 0, (size_t)f->n_targets * sizeof *has);
    for (int64_t k = 0; k < f->n_targets; k++) score[k] = 0;
    for (size_t r = 0; r < f->n_roots; r++) {
        const tree_node *leaf = descend(f, f->roots[r], x, row, width);
        if (!leaf) return ol_fail(err, OLV_SHAPE, "trees with a cycle, or with a feature beyond the %lld of a row", (long long)width);
        for (size_t i = 0; i < leaf->count; i++) {
            const weight *w = &f->weights[leaf->first + i];
            double *s = &score[w->target];
            bool first = !has[w->target];
            if (f->how == MIN) *s = first || w->value < *s ? w->value : *s;
            else if (f->how == MAX) *s = first || w->value > *s ? w->value : *s;
            else *s += w->value;
            has[w->target] = true;
        }
    }
    for (int64_t k = 0; f->how == AVERAGE && f->n_roots && k < f->n_targets; k++) score[k] /= (double)f->n_roots;
    return OLV_OK;
}

static olv_status regress(ol_eval *c, forest *f, olv_error *err) {
    const ol_tensor *x;
    ol_tensor *y;
    int64_t rows, width;
    OL_TRY(ol_ml_rows(c, 0, &x, &rows, &width, err));
    ol_dtype t = !strcmp(c->node->op->name, "TreeEnsemble") ? x->dtype : OL_F32;
    OL_TRY(ol_eval_out(c, 0, t, 2, (int64_t[]){rows, f->n_targets}, &y, err));
    double *score = ol_calloc((size_t)f->n_targets + 1, sizeof *score);
    bool *has = ol_calloc((size_t)f->n_targets + 1, sizeof *has);
    olv_status s = score && has ? OLV_OK : ol_fail(err, OLV_NOMEM, "no memory for scores");
    for (int64_t r = 0; s == OLV_OK && r < rows; r++) {
        s = score_row(f, x, r, width, score, has, err);
        for (int64_t k = 0; k < f->n_targets; k++)
            if (f->n_base) score[k] += f->base[(size_t)k < f->n_base ? (size_t)k : 0];
        ol_ml_transform(f->post, score, f->n_targets);
        for (int64_t k = 0; k < f->n_targets; k++) ol_tensor_set(y, r * f->n_targets + k, score[k]);
    }
    ol_free(score), ol_free(has);
    return s;
}

static olv_status eval_regressor(ol_eval *c, olv_error *err) {
    static const char *const names[] = {"AVERAGE", "SUM", "MIN", "MAX"};
    forest f = {.n_targets = ol_node_int(c->node, "n_targets", 1), .how = SUM};
    ol_str how = ol_node_string(c->node, "aggregate_function", "SUM");
    if (f.n_targets < 1 || f.n_targets > 1 << 24) return ol_fail(err, OLV_FORMAT, "n_targets is %lld", (long long)f.n_targets);
    for (int i = 0; i < 4; i++)
        if (ol_str_is(how, names[i])) f.how = (aggregate)i;
    olv_status s = read_old(&f, c->node, "target", err);
    if (s == OLV_OK) s = regress(c, &f, err);
    forest_deinit(&f);
    return s;
}

static olv_status eval_ensemble(ol_eval *c, olv_error *err) {
    forest f = {.n_targets = 1};
    olv_status s = read_new(&f, c->node, err);
    if (s == OLV_OK) s = regress(c, &f, err);
    forest_deinit(&f);
    return s;
}

/* Two classes; returns the one of the label. When all weights are of one class, the label is the second class for scores
 * above 0.5 (no weight is negative) or 0; scores of class 0 alone become two, and take no further transform but LOGISTIC. */
static size_t two_classes(const forest *f, bool one_class, bool positive, double *score, const bool *has) {
    for (int k = 0; k < 2; k++)
        if ((size_t)k < f->n_base && (has[k] || f->n_base == 2)) score[k] += f->base[k];
    if (!one_class || (has[1] && !has[0]) || f->n_base == 2) {
        bool second = one_class && has[1] ? score[1] > (positive ? 0.5 : 0) : score[1] > score[0];
        ol_ml_transform(f->post, score, 2);
        return second;
    }
    bool second = score[0] > (positive ? 0.5 : 0);
    ol_ml_second_score(f->post, score, positive && f->post != OL_ML_LOGISTIC);
    return second;
}

static size_t many_classes(const forest *f, double *score, const bool *has) {
    size_t best = 0;
    bool found = false;
    for (int64_t k = 0; k < f->n_targets; k++) {
        if ((size_t)k < f->n_base) score[k] += f->base[k];
        bool any = has[k] || (size_t)k < f->n_base;
        if (any && (!found || score[k] > score[best])) best = (size_t)k, found = true;
    }
    ol_ml_transform(f->post, score, f->n_targets);
    return best;
}

static olv_status classify(ol_eval *c, const forest *f, const ol_ml_labels *l, olv_error *err) {
    const ol_tensor *x;
    ol_tensor *label, *y;
    int64_t rows, width, n = f->n_targets;
    bool one_class = n == 2, positive = true;
    for (size_t i = 0; i < f->n_weights; i++) {
        one_class &= f->weights[i].target == f->weights[0].target;
        positive &= f->weights[i].value >= 0;
    }
    OL_TRY(ol_ml_rows(c, 0, &x, &rows, &width, err));
    OL_TRY(ol_eval_out(c, 0, ol_ml_labels_type(l), 1, &rows, &label, err));
    OL_TRY(ol_eval_out(c, 1, OL_F32, 2, (int64_t[]){rows, n}, &y, err));
    double *score = ol_calloc((size_t)n + 2, sizeof *score);
    bool *has = ol_calloc((size_t)n + 2, sizeof *has);
    olv_status s = score && has ? OLV_OK : ol_fail(err, OLV_NOMEM, "no memory for scores");
    for (int64_t r = 0; s == OLV_OK && r < rows; r++) {
        s = score_row(f, x, r, width, score, has, err);
        ol_ml_set_label(label, r, l, n == 2 ? two_classes(f, one_class, positive, score, has) : many_classes(f, score, has));
        for (int64_t k = 0; k < n; k++) ol_tensor_set(y, r * n + k, score[k]);
    }
    ol_free(score), ol_free(has);
    return s == OLV_OK ? ol_tensor_own_strings(label, err) : s;
}

static olv_status eval_classifier(ol_eval *c, olv_error *err) {
    ol_ml_labels l = ol_ml_labels_of(c->node, "classlabels_int64s", "classlabels_strings");
    if (!l.n) return ol_fail(err, OLV_FORMAT, "no class labels");
    forest f = {.n_targets = (int64_t)l.n, .how = SUM};
    olv_status s = read_old(&f, c->node, "class", err);
    if (s == OLV_OK) s = classify(c, &f, &l, err);
    forest_deinit(&f);
    return s;
}

static olv_status infer_regressor(ol_infer *c, olv_error *err) {
    int64_t n = ol_node_int(c->node, "n_targets", 1);
    if (n < 1) return ol_fail(err, OLV_FORMAT, "n_targets is %lld", (long long)n);
    c->out[0] = (ol_type){.rank = 2, .dtype = OL_F32, .dims = {ol_ml_rows_dim(c), n}};
    if (!strcmp(c->node->op->name, "TreeEnsemble")) c->out[0].dtype = ol_infer_in(c, 0)->dtype;
    return OLV_OK;
}

static olv_status infer_classifier(ol_infer *c, olv_error *err) {
    (void)err;
    ol_ml_labels l = ol_ml_labels_of(c->node, "classlabels_int64s", "classlabels_strings");
    ol_dim rows = ol_ml_rows_dim(c);
    c->out[0] = (ol_type){.rank = 1, .dtype = ol_ml_labels_type(&l), .dims = {rows}};
    if (c->node->n_outputs > 1) c->out[1] = (ol_type){.rank = 2, .dtype = OL_F32, .dims = {rows, (int64_t)l.n}};
    return OLV_OK;
}

#define NODES {"nodes_treeids", OL_ATTR_INTS, false}, {"nodes_nodeids", OL_ATTR_INTS, false}, {"nodes_featureids", OL_ATTR_INTS, false},      \
    {"nodes_values", OL_ATTR_FLOATS, false}, {"nodes_values_as_tensor", OL_ATTR_TENSOR, false}, {"nodes_hitrates", OL_ATTR_FLOATS, false},     \
    {"nodes_hitrates_as_tensor", OL_ATTR_TENSOR, false}, {"nodes_modes", OL_ATTR_STRINGS, false}, {"nodes_truenodeids", OL_ATTR_INTS, false},  \
    {"nodes_falsenodeids", OL_ATTR_INTS, false}, {"nodes_missing_value_tracks_true", OL_ATTR_INTS, false},                                     \
    {"base_values", OL_ATTR_FLOATS, false}, {"base_values_as_tensor", OL_ATTR_TENSOR, false}, {"post_transform", OL_ATTR_STRING, false}
static const ol_attr_spec classifier_attrs[] = {NODES, {"class_treeids", OL_ATTR_INTS, false}, {"class_nodeids", OL_ATTR_INTS, false},
    {"class_ids", OL_ATTR_INTS, false}, {"class_weights", OL_ATTR_FLOATS, false}, {"class_weights_as_tensor", OL_ATTR_TENSOR, false},
    {"classlabels_strings", OL_ATTR_STRINGS, false}, {"classlabels_int64s", OL_ATTR_INTS, false}};
static const ol_attr_spec regressor_attrs[] = {NODES, {"target_treeids", OL_ATTR_INTS, false}, {"target_nodeids", OL_ATTR_INTS, false},
    {"target_ids", OL_ATTR_INTS, false}, {"target_weights", OL_ATTR_FLOATS, false}, {"target_weights_as_tensor", OL_ATTR_TENSOR, false},
    {"n_targets", OL_ATTR_INT, false}, {"aggregate_function", OL_ATTR_STRING, false}};
static const ol_attr_spec ensemble_attrs[] = {{"nodes_featureids", OL_ATTR_INTS, true}, {"nodes_splits", OL_ATTR_TENSOR, true},
    {"nodes_modes", OL_ATTR_TENSOR, true}, {"nodes_truenodeids", OL_ATTR_INTS, true}, {"nodes_falsenodeids", OL_ATTR_INTS, true},
    {"nodes_trueleafs", OL_ATTR_INTS, true}, {"nodes_falseleafs", OL_ATTR_INTS, true}, {"nodes_hitrates", OL_ATTR_TENSOR, false},
    {"nodes_missing_value_tracks_true", OL_ATTR_INTS, false}, {"leaf_targetids", OL_ATTR_INTS, true}, {"leaf_weights", OL_ATTR_TENSOR, true},
    {"membership_values", OL_ATTR_TENSOR, false}, {"tree_roots", OL_ATTR_INTS, true}, {"n_targets", OL_ATTR_INT, false},
    {"aggregate_function", OL_ATTR_INT, false}, {"post_transform", OL_ATTR_INT, false}};
OL_ML_OP(TreeEnsembleClassifier, "labels and scores by decision trees", 1, 1, 2, 2, classifier_attrs, infer_classifier, eval_classifier)
OL_ML_OP(TreeEnsembleRegressor, "sums, means or extremes over decision trees", 1, 1, 1, 1, regressor_attrs, infer_regressor, eval_regressor)
OL_ML_OP(TreeEnsemble, "decision trees, branches and leaves apart", 1, 1, 1, 1, ensemble_attrs, infer_regressor, eval_ensemble)
