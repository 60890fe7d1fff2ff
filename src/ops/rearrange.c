/* SPDX-License-Identifier: Apache-2.0 */
/* DepthToSpace, SpaceToDepth, TensorScatter, Einsum. */
#include "ops/ops.h"
#include "ops/window.h"

/* Source element of y for [N, C, H, W]; blocks of b. */
static olv_status eval_space(ol_eval *c, bool to_depth, olv_error *err) {
    const ol_tensor *x;
    ol_tensor *y;
    OL_TRY(ol_eval_need(c, 0, &x, err));
    int64_t b = ol_node_int(c->node, "blocksize", 0);
    if (x->rank != 4 || b < 1 || b > 1 << 15 || (to_depth ? x->dims[2] % b || x->dims[3] % b : x->dims[1] % (b * b))) return ol_fail(err, OLV_SHAPE, "blocks of %lld do not fit", (long long)b);
    int64_t ch = x->dims[1], h = x->dims[2], w = x->dims[3], oc = to_depth ? ch * b * b : ch / (b * b), oh = to_depth ? h / b : h * b, ow = to_depth ? w / b : w * b;
    bool crd = ol_str_is(ol_node_string(c->node, "mode", "DCR"), "CRD");
    OL_TRY(ol_eval_out(c, 0, x->dtype, 4, (int64_t[]){x->dims[0], oc, oh, ow}, &y, err));
    for (int64_t i = 0, n = ol_tensor_count(y); i < n; i++) {
        int64_t k = i % ow, j = i / ow % oh, o = i / (ow * oh) % oc, s = i / (ow * oh * oc), from;
        if (to_depth) {
            int64_t blk = o / ch;
            from = ((s * ch + o % ch) * h + j * b + blk / b) * w + k * b + blk % b;
        } else {
            int64_t by = j % b, bx = k % b, src = crd ? (o * b + by) * b + bx : (by * b + bx) * oc + o;
            from = ((s * ch + src) * h + j / b) * w + k / b;
        }
        ol_elems_copy(y, i, x, from, 1);
    }
    return OLV_OK;
}
static olv_status eval_to_depth(ol_eval *c, olv_error *err) { return eval_space(c, true, err); }
static olv_status eval_to_space(ol_eval *c, olv_error *err) { return eval_space(c, false, err); }

static olv_status infer_space(ol_infer *c, olv_error *err) {
    const ol_type *x = ol_infer_in(c, 0);
    int64_t b = ol_node_int(c->node, "blocksize", 0);
    OL_TRY(ol_infer_rank(c, 0, 4, 4, err));
    if (b < 1 || b > 1 << 15) return ol_fail(err, OLV_SHAPE, "blocksize %lld", (long long)b);
    ol_infer_set(c, 0, x->dtype, 4);
    if (x->rank < 0) return OLV_OK;
    bool to_depth = !strcmp(c->node->op->name, "SpaceToDepth");
    ol_dim_table *t = c->graph->dims;
    ol_dim d[4] = {x->dims[0], to_depth ? ol_dim_mul(t, x->dims[1], b * b) : ol_dim_div_floor(t, x->dims[1], b * b), 0, 0};
    for (int i = 2; i < 4; i++) d[i] = to_depth ? ol_dim_div_floor(t, x->dims[i], b) : ol_dim_mul(t, x->dims[i], b);
    for (int i = 0; i < 4; i++)
        if (d[i] != OL_DIM_NONE) c->out[0].dims[i] = d[i];
    return OLV_OK;
}

/* Writes update [B, .., S, D] into the cache at each batch's index along `axis`. */
static olv_status eval_tensor_scatter(ol_eval *c, olv_error *err) {
    const ol_tensor *x, *u, *ix = ol_eval_in(c, 2);
    ol_tensor *y;
    int axis;
    OL_TRY(ol_eval_need(c, 0, &x, err));
    OL_TRY(ol_eval_need(c, 1, &u, err));
    OL_TRY(ol_axis(ol_node_int(c->node, "axis", -2), x->rank, false, &axis, err));
    bool fits = u->rank == x->rank && u->dtype == x->dtype && axis > 0 && (!ix || ol_tensor_count(ix) == x->dims[0]);
    for (int i = 0; fits && i < x->rank; i++) fits = i == axis ? u->dims[i] <= x->dims[i] : u->dims[i] == x->dims[i];
    if (!fits) return ol_fail(err, OLV_SHAPE, "update does not fit into the cache");
    bool circular = ol_str_is(ol_node_string(c->node, "mode", "linear"), "circular");
    OL_TRY(ol_eval_out(c, 0, x->dtype, x->rank, x->dims, &y, err));
    ol_elems_copy(y, 0, x, 0, ol_tensor_count(x));
    int64_t outer = ol_dims_count(x->dims, 0, axis), per = ol_dims_count(x->dims, 1, axis), inner = ol_dims_count(x->dims, axis + 1, x->rank), n = u->dims[axis], max = x->dims[axis];
    for (int64_t o = 0; o < outer; o++)
        for (int64_t i = 0; i < n; i++) {
            int64_t p = (ix ? ol_tensor_i64(ix, o / per) : 0) + i;
            if (circular && max) p = ((p % max) + max) % max;
            if (p < 0 || p >= max) return ol_fail(err, OLV_ARG, "place %lld of %lld", (long long)p, (long long)max);
            ol_elems_copy(y, (o * max + p) * inner, u, (o * n + i) * inner, inner);
        }
    return OLV_OK;
}

/* ---- Einsum ---- */

#define MAX_TERMS 8
#define MAX_LABELS (52 + OL_MAX_RANK)
typedef struct einsum {
    int n; /* inputs */
    int label[MAX_TERMS + 1][OL_MAX_RANK], rank[MAX_TERMS + 1]; /* the last is the output */
    int ell; /* dims of the ellipsis */
} einsum;

static int label_of(char ch) { return ch >= 'a' && ch <= 'z' ? ch - 'a' : ch >= 'A' && ch <= 'Z' ? ch - 'A' + 26 : -1; }

/* One term: labels, with the ellipsis standing for the last `e` of the broadcast labels 52... */
static olv_status term(ol_str s, int rank, int ell, int *labels, int *n, olv_error *err) {
    int letters = 0, k = 0;
    bool dots = false;
    for (size_t i = 0; i < s.len; i++) letters += label_of(s.ptr[i]) >= 0;
    int e = rank < 0 ? ell : rank - letters;
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] == ' ') continue;
        if (s.ptr[i] == '.') {
            if (dots) continue;
            dots = true;
            for (int j = 0; j < e; j++) {
                if (k == OL_MAX_RANK) return ol_fail(err, OLV_LIMIT, "equation too long");
                labels[k++] = 52 + ell - e + j;
            }
            continue;
        }
        if (label_of(s.ptr[i]) < 0 || k == OL_MAX_RANK) return ol_fail(err, OLV_FORMAT, "malformed equation");
        labels[k++] = label_of(s.ptr[i]);
    }
    if (e < 0 || (rank >= 0 && k != rank)) return ol_fail(err, OLV_SHAPE, "term '%.*s' for rank %d", (int)s.len, s.ptr, rank);
    *n = k;
    return OLV_OK;
}

static olv_status parse(const ol_node *node, const int *ranks, einsum *e, olv_error *err) {
    ol_str eq = ol_node_string(node, "equation", "");
    ol_str part[MAX_TERMS], out = {NULL, 0};
    int n = 0;
    size_t from = 0;
    for (size_t i = 0; i <= eq.len; i++) {
        bool arrow = i + 1 < eq.len && eq.ptr[i] == '-' && eq.ptr[i + 1] == '>';
        if (i < eq.len && eq.ptr[i] != ',' && !arrow) continue;
        if (n == MAX_TERMS) return ol_fail(err, OLV_LIMIT, "more than %d terms", MAX_TERMS);
        part[n++] = (ol_str){eq.ptr + from, i - from};
        from = i + 1;
        if (arrow) {
            out = (ol_str){eq.ptr + i + 2, eq.len - i - 2};
            break;
        }
    }
    if (n != node->n_inputs) return ol_fail(err, OLV_SHAPE, "%d terms for %d inputs", n, node->n_inputs);
    e->n = n;
    e->ell = 0;
    for (int i = 0; i < n; i++) {
        int letters = 0;
        bool dots = false;
        for (size_t k = 0; k < part[i].len; k++) {
            letters += label_of(part[i].ptr[k]) >= 0;
            dots |= part[i].ptr[k] == '.';
        }
        if (dots && ranks[i] - letters > e->ell) e->ell = ranks[i] - letters;
    }
    int uses[MAX_LABELS] = {0};
    for (int i = 0; i < n; i++) {
        OL_TRY(term(part[i], ranks[i], e->ell, e->label[i], &e->rank[i], err));
        for (int k = 0; k < e->rank[i]; k++) uses[e->label[i][k]]++;
    }
    if (out.ptr) return term(out, -1, e->ell, e->label[n], &e->rank[n], err);
    int k = 0;
    for (int i = 0; i < e->ell; i++) e->label[n][k++] = 52 + i;
    for (int pass = 0; pass < 2; pass++) /* labels used once, capitals first as in ASCII */
        for (int l = 0; l < 26; l++)
            if (uses[pass ? l : l + 26] == 1 && k < OL_MAX_RANK) e->label[n][k++] = pass ? l : l + 26;
    e->rank[n] = k;
    return OLV_OK;
}

static olv_status infer_einsum(ol_infer *c, olv_error *err) {
    einsum e;
    int ranks[MAX_TERMS];
    ol_dim size[MAX_LABELS];
    c->out[0].dtype = ol_infer_in(c, 0)->dtype;
    if (c->node->n_inputs > MAX_TERMS) return ol_fail(err, OLV_LIMIT, "more than %d inputs", MAX_TERMS);
    for (int i = 0; i < c->node->n_inputs; i++)
        if ((ranks[i] = ol_infer_in(c, i)->rank) < 0) return OLV_OK;
    OL_TRY(parse(c->node, ranks, &e, err));
    for (int l = 0; l < MAX_LABELS; l++) size[l] = 1;
    for (int i = 0; i < e.n; i++)
        for (int k = 0; k < e.rank[i]; k++) {
            ol_dim d = ol_infer_in(c, i)->dims[k], *have = &size[e.label[i][k]];
            if (*have == 1) *have = d;
            else if (d != 1 && ol_dim_known(d) && ol_dim_known(*have) && d != *have) return ol_fail(err, OLV_SHAPE, "sizes %lld and %lld of one label", (long long)d, (long long)*have);
        }
    c->out[0].rank = e.rank[e.n];
    for (int k = 0; k < e.rank[e.n]; k++) c->out[0].dims[k] = size[e.label[e.n][k]];
    return OLV_OK;
}

static olv_status eval_einsum(ol_eval *c, olv_error *err) {
    einsum e;
    int ranks[MAX_TERMS], order[MAX_LABELS], n = 0;
    const ol_tensor *t[MAX_TERMS];
    ol_tensor *y;
    int64_t size[MAX_LABELS], dims[OL_MAX_RANK], all[MAX_LABELS], index[MAX_LABELS] = {0}, at[MAX_LABELS];
    if (c->node->n_inputs > MAX_TERMS) return ol_fail(err, OLV_LIMIT, "more than %d inputs", MAX_TERMS);
    for (int i = 0; i < c->node->n_inputs; i++) {
        OL_TRY(ol_eval_need(c, i, &t[i], err));
        ranks[i] = t[i]->rank;
    }
    OL_TRY(parse(c->node, ranks, &e, err));
    for (int l = 0; l < MAX_LABELS; l++) size[l] = -1;
    for (int i = 0; i < e.n; i++)
        for (int k = 0; k < e.rank[i]; k++) {
            int64_t d = t[i]->dims[k], *have = &size[e.label[i][k]];
            if (*have < 0 || *have == 1) *have = d;
            else if (d != 1 && d != *have) return ol_fail(err, OLV_SHAPE, "sizes %lld and %lld of one label", (long long)d, (long long)*have);
        }
    for (int k = 0; k < e.rank[e.n]; k++) {
        dims[k] = size[e.label[e.n][k]];
        if (dims[k] < 0) return ol_fail(err, OLV_FORMAT, "output label without input");
    }
    OL_TRY(ol_eval_out(c, 0, t[0]->dtype, e.rank[e.n], dims, &y, err));
    double *sum = ol_calloc((size_t)ol_tensor_count(y), sizeof *sum);
    if (!sum) return ol_fail(err, OLV_NOMEM, "no memory");
    bool empty = false;
    for (int l = 0; l < MAX_LABELS; l++) {
        if (size[l] < 0) continue;
        empty |= size[l] == 0;
        all[n] = size[l];
        order[n++] = l;
    }
    if (!empty) do {
        for (int k = 0; k < n; k++) at[order[k]] = index[k];
        double p = 1;
        for (int i = 0; i < e.n; i++) {
            int64_t from = 0;
            for (int k = 0; k < e.rank[i]; k++) from = from * t[i]->dims[k] + (t[i]->dims[k] == 1 ? 0 : at[e.label[i][k]]);
            p *= ol_tensor_get(t[i], from);
        }
        int64_t to = 0;
        for (int k = 0; k < e.rank[e.n]; k++) to = to * dims[k] + at[e.label[e.n][k]];
        sum[to] += p;
    } while (ol_index_next(index, all, n));
    ol_tensor_store(y, sum);
    ol_free(sum);
    return OLV_OK;
}

static const ol_attr_spec space_attrs[] = {{"blocksize", OL_ATTR_INT, true}, {"mode", OL_ATTR_STRING, false}};
static const ol_attr_spec scatter_attrs[] = {{"axis", OL_ATTR_INT, false}, {"mode", OL_ATTR_STRING, false}};
static const ol_attr_spec einsum_attrs[] = {{"equation", OL_ATTR_STRING, true}};
extern const ol_op ol_op_DepthToSpace, ol_op_SpaceToDepth, ol_op_TensorScatter, ol_op_Einsum;
const ol_op ol_op_DepthToSpace = {"", "DepthToSpace", "channels into blocks of pixels", 1, 1, 1, 1, space_attrs, 2, infer_space, eval_to_space, NULL, false, false};
const ol_op ol_op_SpaceToDepth = {"", "SpaceToDepth", "blocks of pixels into channels", 1, 1, 1, 1, space_attrs, 2, infer_space, eval_to_depth, NULL, false, false};
const ol_op ol_op_TensorScatter = {"", "TensorScatter", "writes new entries into a cache", 2, 3, 1, 1, scatter_attrs, 2, ol_infer_same, eval_tensor_scatter, NULL, false, false};
const ol_op ol_op_Einsum = {"", "Einsum", "sum of products by labels", 1, -1, 1, 1, einsum_attrs, 1, infer_einsum, eval_einsum, NULL, false, false};
