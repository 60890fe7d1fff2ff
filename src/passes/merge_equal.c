/* SPDX-License-Identifier: Apache-2.0 */
/* Common subexpressions: nodes of one operator with the same inputs and attributes become one. Nodes with subgraphs,
 * state or chance, and those that make graph outputs, are left alone. */
#include "base/alloc.h"
#include "base/error.h"
#include "base/map.h"
#include "passes/passes.h"

static bool can_merge(const ol_node *n) {
    if (n->op->stochastic || n->n_outputs == 0 || ol_node_attr(n, "state")) return false;
    for (int i = 0; i < n->n_attrs; i++) {
        ol_attr_type t = n->attrs[i].type;
        if (t == OL_ATTR_GRAPH || t == OL_ATTR_GRAPHS || t == OL_ATTR_TENSORS || t == OL_ATTR_TYPE) return false;
    }
    return true;
}

static void put(ol_buf *b, const void *p, size_t n) {
    ol_buf_append(b, &n, sizeof n);
    ol_buf_append(b, p, n);
}

static void put_attr(ol_buf *b, const ol_attr *a) {
    put(b, a->name, strlen(a->name));
    put(b, &a->type, sizeof a->type);
    switch (a->type) {
    case OL_ATTR_INT: put(b, &a->v.i, sizeof a->v.i); break;
    case OL_ATTR_FLOAT: put(b, &a->v.f, sizeof a->v.f); break;
    case OL_ATTR_STRING: put(b, a->v.s.ptr, a->v.s.len); break;
    case OL_ATTR_INTS: put(b, a->v.ints, a->count * sizeof(int64_t)); break;
    case OL_ATTR_FLOATS: put(b, a->v.floats, a->count * sizeof(float)); break;
    case OL_ATTR_TENSOR: put(b, &a->v.tensor, sizeof a->v.tensor); break;
    case OL_ATTR_STRINGS:
        for (size_t i = 0; i < a->count; i++) put(b, a->v.strings[i].ptr, a->v.strings[i].len);
        break;
    default: break;
    }
}

static void put_key(ol_buf *b, const ol_node *n) {
    put(b, &n->op, sizeof n->op);
    put(b, &n->n_outputs, sizeof n->n_outputs);
    put(b, n->inputs, (size_t)n->n_inputs * sizeof *n->inputs);
    for (int i = 0; i < n->n_attrs; i++) put_attr(b, &n->attrs[i]);
}

static bool makes_output(const ol_node *n) {
    for (int i = 0; i < n->graph->n_outputs; i++)
        if (n->graph->outputs[i]->producer == n) return true;
    return false;
}

/* An unused output of the kept node cannot take over uses. */
static bool covers(const ol_node *kept, const ol_node *n) {
    for (int i = 0; i < n->n_outputs; i++)
        if (n->outputs[i] && !kept->outputs[i]) return false;
    return true;
}

static olv_status visit(ol_graph *g, bool *changed, olv_error *err) {
    ol_map seen;
    ol_arena *keys = ol_arena_create();
    olv_status s = keys ? OLV_OK : ol_fail(err, OLV_NOMEM, "no memory");
    ol_map_init(&seen);
    for (ol_node *n = g->first, *next; n && s == OLV_OK; n = next) {
        next = n->next;
        for (int i = 0; i < n->n_attrs && s == OLV_OK; i++)
            if (n->attrs[i].type == OL_ATTR_GRAPH) s = visit(n->attrs[i].v.graph, changed, err);
        if (!can_merge(n)) continue;
        ol_buf b = OL_BUF_INIT;
        put_key(&b, n);
        const char *key = b.failed ? NULL : ol_arena_strndup(keys, b.data ? b.data : "", b.len);
        ol_str k = {key, b.len};
        ol_buf_deinit(&b);
        if (!key) {
            s = ol_fail(err, OLV_NOMEM, "no memory");
            break;
        }
        uint64_t *old = ol_map_get(&seen, k);
        ol_node *kept = old ? (ol_node *)(uintptr_t)*old : NULL;
        if (!kept || makes_output(n) || !covers(kept, n)) {
            if (!kept && ol_map_put(&seen, k, (uint64_t)(uintptr_t)n) < 0) s = ol_fail(err, OLV_NOMEM, "no memory");
            continue;
        }
        for (int i = 0; i < n->n_outputs; i++)
            if (n->outputs[i]) ol_value_replace_uses(n->outputs[i], kept->outputs[i]);
        ol_graph_remove_node(g, n);
        *changed = true;
    }
    ol_map_deinit(&seen);
    if (keys) ol_arena_destroy(keys);
    return s;
}

static olv_status run(ol_graph *g, bool *changed, olv_error *err) { return visit(g, changed, err); }

extern const ol_pass ol_pass_merge_equal;
const ol_pass ol_pass_merge_equal = {"merge-equal", "makes equal nodes one", run};
