/* SPDX-License-Identifier: Apache-2.0 */
/* All operators, from ops.def. */
#include "ops/ops.h"

#define OL_OP(id) extern const ol_op ol_op_##id;
#include "ops/ops.def"
#undef OL_OP

static const ol_op *const all_ops[] = {
#define OL_OP(id) &ol_op_##id,
#include "ops/ops.def"
#undef OL_OP
};

const ol_op *ol_op_find(const char *domain, const char *name) {
    if (!strcmp(domain, "ai.onnx")) domain = "";
    for (int i = 0; i < OL_COUNT(all_ops); i++)
        if (!strcmp(all_ops[i]->name, name) && !strcmp(all_ops[i]->domain, domain)) return all_ops[i];
    return NULL;
}

const ol_op *ol_graph_find_op(const ol_graph *g, const char *domain, const char *name) {
    while (g->parent) g = g->parent;
    const ol_op *op = g->ops ? g->ops->find(g->ops, domain, name) : NULL;
    return op ? op : ol_op_find(domain, name);
}

const ol_op *const *ol_op_all(size_t *count) {
    *count = sizeof all_ops / sizeof *all_ops;
    return all_ops;
}

const char *ol_op_nearest(const char *name) {
    const char *names[sizeof all_ops / sizeof *all_ops];
    for (int i = 0; i < OL_COUNT(all_ops); i++) names[i] = all_ops[i]->name;
    return ol_nearest(name, names, sizeof names / sizeof *names);
}
