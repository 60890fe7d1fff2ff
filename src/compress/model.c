/* SPDX-License-Identifier: Apache-2.0 */
/* Compressing any model that was read: its constant matrices become codes, and it can be saved again. */
#include "base/alloc.h"
#include "base/cpu.h"
#include "base/error.h"
#include "compress/compress.h"
#include "graph/op.h"
#include "passes/passes.h"
#include "runtime/core.h"
#include <string.h>

/* Products with constant matrices in the one form that is compressed. */
static olv_status raise(ol_graph *g, olv_error *err) {
    bool changed = false;
    const ol_pass *pass = ol_pass_find("raise-linear");
    if (!pass) return ol_fail(err, OLV_INTERNAL, "no pass raise-linear");
    OL_TRY(pass->run(g, &changed, err));
    return changed ? ol_graph_infer(g, err) : OLV_OK;
}

static bool take_name(void *ctx, ol_node *user, int input) {
    const char **name = ctx;
    if (user && input >= 0) *name = user->name;
    return *name == NULL;
}

/* Matrices of products have no names of their own: a table is called after the first node that reads it. */
static olv_status name_after_nodes(const ol_graph *g, ol_compress_plan *p, olv_error *err) {
    for (size_t i = 0; i < p->n; i++) {
        ol_compress_entry *e = &p->entries[i];
        const char *name = NULL;
        for (int v = 0; v < g->n_values && !name; v++)
            if (g->values[v] && g->values[v]->constant == e->result) ol_value_each_use(g->values[v], take_name, &name);
        if (!name) continue;
        char *copy = ol_alloc(strlen(name) + 1);
        if (!copy) return ol_fail(err, OLV_NOMEM, "no memory for a name");
        strcpy(copy, name);
        ol_free(e->name);
        e->name = copy;
    }
    return OLV_OK;
}

static olv_status compress(ol_graph *g, const olv_compress_params *p, ol_compress_plan *plan, ol_executor *e, olv_error *err) {
    uint64_t cpu = ol_cpu_probe();
    OL_TRY(raise(g, err));
    OL_TRY(ol_compress_graph(g, p, cpu, plan, err));
    OL_TRY(name_after_nodes(g, plan, err));
    if (p->budget_bytes || p->bits > 0) OL_TRY(ol_compress_budget(g, plan, p, cpu, e, err));
    else OL_TRY(ol_compress_mix(g, plan, p, cpu, e, err));
    ol_store *store = ol_store_open(NULL, "");
    if (!store) return ol_fail(err, OLV_NOMEM, "no memory for compressed weights");
    olv_status s = ol_compress_produce(g, e, store, NULL, err);
    ol_store_release(store);
    return s;
}

olv_status olv_compress_model(olv_model *m, const olv_compress_params *p, int threads, char **report_json, olv_error *err) {
    ol_compress_plan plan = {NULL, 0};
    ol_executor *e;
    ol_graph *g;
    OL_TRY(ol_executor_create(threads, &e, err));
    olv_status s = ol_graph_clone(m->graph, NULL, &g, err);
    if (s == OLV_OK) {
        s = compress(g, p, &plan, e, err);
        if (s == OLV_OK && report_json) {
            ol_buf b = OL_BUF_INIT;
            ol_compress_report_json(&plan, &b);
            *report_json = ol_buf_take(&b, NULL);
            if (!*report_json) s = ol_fail(err, OLV_NOMEM, "no memory for the report");
        }
        if (s == OLV_OK) {
            ol_graph_destroy(m->graph);
            m->graph = g;
        } else {
            ol_graph_destroy(g);
        }
    }
    ol_compress_plan_deinit(&plan);
    ol_executor_destroy(e);
    return s;
}
