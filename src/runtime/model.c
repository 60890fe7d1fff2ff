/* SPDX-License-Identifier: Apache-2.0 */
/* Models: reading, looking, reshaping, saving. */
#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "formats/onnx/onnx.h"
#include "passes/passes.h"
#include "runtime/core.h"
#include "runtime/tensor.h"
#include <stdlib.h>
#include <string.h>

olv_status ol_model_create(ol_graph *graph, olv_model **out, olv_error *err) {
    olv_model *m = ol_calloc(1, sizeof *m);
    if (!m) {
        ol_graph_destroy(graph);
        return ol_fail(err, OLV_NOMEM, "no memory for a model");
    }
    m->graph = graph;
    m->ranges = ol_calloc((size_t)graph->n_inputs + 1, sizeof *m->ranges);
    if (!m->ranges) {
        olv_model_destroy(m);
        return ol_fail(err, OLV_NOMEM, "no memory for a model");
    }
    for (int i = 0; i < graph->n_inputs; i++)
        for (int d = 0; d < OL_MAX_RANK; d++) m->ranges[i][d] = (olv_range){0, -1};
    *out = m;
    return OLV_OK;
}

/* The one model file of a folder, or PATH itself, or PATH with the ending that it lacks (ol_free it). */
static olv_status find_file(const char *path, char **out, olv_error *err) {
    char **names = NULL;
    size_t n = 0, found = 0;
    *out = NULL;
    if (!ol_dir_exists(path)) {
        size_t len = strlen(path);
        char *p = ol_alloc(len + 6);
        if (!p) return ol_fail(err, OLV_NOMEM, "no memory for a path");
        memcpy(p, path, len + 1);
        if (!ol_file_exists(p)) strcpy(p + len, ".onnx");
        if (!ol_file_exists(p)) p[len] = 0;
        *out = p;
        return OLV_OK;
    }
    OL_TRY(ol_dir_list(path, &names, &n, err));
    for (size_t i = 0; i < n; i++) {
        if (!ol_str_ends(ol_str_of(names[i]), ".onnx")) continue;
        if (!found++) *out = ol_path_join(path, names[i]);
    }
    ol_dir_list_free(names, n);
    if (found == 1 && *out) return OLV_OK;
    ol_free(*out);
    *out = NULL;
    return found == 1 ? ol_fail(err, OLV_NOMEM, "no memory for a path")
                      : ol_fail(err, OLV_NOT_FOUND, "'%.300s' holds %zu .onnx files, one expected; name the file", path, found);
}

olv_status olv_model_read(const char *path, olv_model **out, olv_error *err) {
    char *file;
    ol_graph *g;
    OL_TRY(find_file(path, &file, err));
    olv_status s = ol_onnx_read(file, &g, err);
    ol_free(file);
    return s == OLV_OK ? ol_model_create(g, out, err) : s;
}

olv_status olv_model_read_bytes(const void *data, size_t bytes, const char *folder, olv_model **out, olv_error *err) {
    ol_graph *g;
    OL_TRY(ol_onnx_read_bytes(data, bytes, "model", folder, &g, err));
    return ol_model_create(g, out, err);
}

void olv_model_destroy(olv_model *m) {
    if (!m) return;
    ol_graph_destroy(m->graph);
    ol_free(m->ranges);
    ol_free(m);
}

size_t olv_model_n_inputs(const olv_model *m) { return (size_t)m->graph->n_inputs; }
size_t olv_model_n_outputs(const olv_model *m) { return (size_t)m->graph->n_outputs; }
void olv_model_get_input(const olv_model *m, size_t i, olv_port *out) { ol_port_of(m->graph->inputs[i], m->ranges[i], out); }
void olv_model_get_output(const olv_model *m, size_t i, olv_port *out) { ol_port_of(m->graph->outputs[i], NULL, out); }

olv_status ol_no_such_input(const ol_graph *g, const char *name, olv_error *err) {
    ol_buf names = OL_BUF_INIT;
    for (int i = 0; i < g->n_inputs && i < 12; i++) ol_buf_printf(&names, "%s'%s'", i ? ", " : "", g->inputs[i]->name);
    olv_status s = ol_fail(err, OLV_ARG, "the model has no input '%.100s'; its inputs: %.600s", name, names.data ? names.data : "none");
    ol_buf_deinit(&names);
    return s;
}

/* The type that an input has with these sizes; `dims` is the table of its graph. */
static olv_status set_sizes(ol_type *t, ol_dim_table *dims, const char *input, int rank, const olv_range *sizes, olv_error *err) {
    if (t->kind != OL_VALUE_TENSOR) return ol_fail(err, OLV_ARG, "input '%.200s' is no tensor", input);
    if (rank < 0 || rank > OL_MAX_RANK || (t->rank >= 0 && t->rank != rank))
        return ol_fail(err, OLV_SHAPE, "input '%.200s' has rank %d, not %d", input, t->rank, rank);
    bool fresh = t->rank < 0;
    t->rank = rank;
    for (int i = 0; i < rank; i++) {
        olv_range r = sizes[i];
        if (r.least < 0 || (r.most >= 0 && r.most < r.least) || r.most < -1)
            return ol_fail(err, OLV_ARG, "input '%.200s': %lld to %lld is no range of sizes", input, (long long)r.least, (long long)r.most);
        if (r.least == r.most) t->dims[i] = r.least;
        else if (fresh || ol_dim_known(t->dims[i])) t->dims[i] = ol_dim_fresh(dims, "size");
        if (t->dims[i] == OL_DIM_NONE) return ol_fail(err, OLV_NOMEM, "no memory to reshape a model");
    }
    return OLV_OK;
}

olv_status olv_model_reshape_ranges(olv_model *m, const char *input, int rank, const olv_range *sizes, olv_error *err) {
    const ol_graph *g = m->graph;
    ol_type *types = ol_calloc((size_t)g->n_inputs + 1, sizeof *types);
    if (!types) return ol_fail(err, OLV_NOMEM, "no memory to reshape a model");
    int found = -1;
    for (int i = 0; i < g->n_inputs; i++) {
        types[i] = g->inputs[i]->type;
        if (!strcmp(g->inputs[i]->name, input)) found = i;
    }
    ol_graph *fresh;
    olv_status s = found < 0 ? ol_no_such_input(g, input, err) : set_sizes(&types[found], g->dims, input, rank, sizes, err);
    if (s == OLV_OK) s = ol_graph_clone(g, types, &fresh, err);
    ol_free(types);
    if (s != OLV_OK) return s;
    ol_graph_destroy(m->graph);
    m->graph = fresh;
    memcpy(m->ranges[found], sizes, (size_t)rank * sizeof *sizes);
    return OLV_OK;
}

olv_status olv_model_reshape(olv_model *m, const char *input, int rank, const int64_t *dims, olv_error *err) {
    olv_range sizes[OLV_MAX_RANK];
    if (rank > OLV_MAX_RANK) return ol_fail(err, OLV_SHAPE, "rank %d, %d at most", rank, OLV_MAX_RANK);
    for (int i = 0; i < rank; i++) {
        if (dims[i] < -1) return ol_fail(err, OLV_ARG, "input '%.200s': size %lld in dimension %d", input, (long long)dims[i], i);
        sizes[i] = dims[i] < 0 ? (olv_range){0, -1} : (olv_range){dims[i], dims[i]};
    }
    return olv_model_reshape_ranges(m, input, rank, sizes, err);
}

olv_status olv_model_save(const olv_model *m, const char *path, int64_t opset, olv_error *err) {
    const ol_onnx_write_options o = {.opset = opset};
    return ol_onnx_write(m->graph, path, &o, err);
}

olv_status olv_model_graph_text(const olv_model *m, const char *after_pass, char **text, olv_error *err) {
    ol_graph *g;
    ol_buf b = OL_BUF_INIT;
    OL_TRY(ol_graph_clone(m->graph, NULL, &g, err));
    size_t n;
    const ol_pass *const *all = ol_pass_all(&n);
    olv_status s = OLV_OK;
    bool found = !after_pass;
    for (size_t i = 0; s == OLV_OK && !found && i < n; i++) {
        bool changed = false;
        s = all[i]->run(g, &changed, err);
        if (s == OLV_OK && changed) s = ol_graph_infer(g, err);
        found = !strcmp(all[i]->name, after_pass);
    }
    if (s == OLV_OK && !found) {
        ol_buf names = OL_BUF_INIT;
        for (size_t i = 0; i < n; i++) ol_buf_printf(&names, "%s%s", i ? ", " : "", all[i]->name);
        s = ol_fail(err, OLV_ARG, "there is no pass '%.60s'; known: %s", after_pass, names.data ? names.data : "");
        ol_buf_deinit(&names);
    }
    if (s == OLV_OK) {
        ol_graph_dump(g, &b);
        if (!(*text = ol_buf_take(&b, NULL))) s = ol_fail(err, OLV_NOMEM, "no memory for the text of a graph");
    }
    ol_buf_deinit(&b);
    ol_graph_destroy(g);
    return s;
}

/* ---- description ---- */

static void put_port(ol_buf *b, const ol_graph *g, const ol_value *v) {
    static const char *const kinds[] = {"tensor", "sequence", "optional"};
    ol_buf_puts(b, "{\"name\": ");
    ol_buf_json_string(b, v->name, strlen(v->name));
    ol_buf_printf(b, ", \"kind\": \"%s\", \"type\": \"%s\"", kinds[v->type.kind], ol_dtype_name(v->type.dtype));
    if (v->type.rank >= 0) {
        ol_buf_puts(b, ", \"shape\": [");
        for (int i = 0; i < v->type.rank; i++) {
            char d[96];
            ol_dim_format(g->dims, v->type.dims[i], d, sizeof d);
            if (i) ol_buf_puts(b, ", ");
            if (ol_dim_known(v->type.dims[i])) ol_buf_puts(b, d);
            else ol_buf_json_string(b, d, strlen(d));
        }
        ol_buf_putc(b, ']');
    }
    ol_buf_puts(b, v->is_input && v->constant ? ", \"default\": true}" : "}");
}

static void put_ports(ol_buf *b, const char *key, const ol_graph *g, ol_value *const *v, int n) {
    ol_buf_printf(b, "\"%s\": [", key);
    for (int i = 0; i < n; i++) {
        if (i) ol_buf_puts(b, ", ");
        put_port(b, g, v[i]);
    }
    ol_buf_puts(b, "],\n ");
}

static int by_domain_and_name(const void *a, const void *b) {
    const ol_op *x = *(const ol_op *const *)a, *y = *(const ol_op *const *)b;
    int d = strcmp(x->domain, y->domain);
    return d ? d : strcmp(x->name, y->name);
}

static bool put_operators(ol_buf *b, const ol_graph *g) {
    const ol_op **ops = ol_calloc((size_t)g->n_nodes + 1, sizeof *ops);
    int n = 0;
    if (!ops) return false;
    for (const ol_node *m = g->first; m; m = m->next) ops[n++] = m->op;
    qsort(ops, (size_t)n, sizeof *ops, by_domain_and_name);
    ol_buf_puts(b, "\"operators\": {");
    for (int i = 0, k; i < n; i = k) {
        for (k = i; k < n && ops[k] == ops[i];) k++;
        ol_buf_printf(b, "%s\"%s%s%s\": %d", i ? ", " : "", ops[i]->domain, *ops[i]->domain ? "." : "", ops[i]->name, k - i);
    }
    ol_buf_puts(b, "},\n ");
    ol_free(ops);
    return true;
}

static void put_weights(ol_buf *b, const ol_graph *g) {
    uint64_t elements[OL_N_DTYPES] = {0}, bytes[OL_N_DTYPES] = {0}, all = 0;
    for (int i = 0; i < g->n_values; i++) {
        const ol_const *c = g->values[i]->constant;
        size_t size;
        if (!c) continue;
        ol_dtype t = ol_const_dtype(c);
        uint64_t n = (uint64_t)ol_const_rows(c) * (uint64_t)ol_const_width(c);
        elements[t] += n;
        if (ol_dtype_bytes(t, n, &size)) bytes[t] += size;
        all += n;
    }
    ol_buf_puts(b, "\"weights\": {");
    bool first = true;
    for (int t = 1; t < OL_N_DTYPES; t++) {
        if (!elements[t]) continue;
        ol_buf_printf(b, "%s\"%s\": {\"elements\": %llu, \"bytes\": %llu}", first ? "" : ", ", ol_dtype_name((ol_dtype)t),
                      (unsigned long long)elements[t], (unsigned long long)bytes[t]);
        first = false;
    }
    ol_buf_printf(b, "},\n \"parameters\": %llu}\n", (unsigned long long)all);
}

olv_status olv_model_describe(const olv_model *m, char **json, olv_error *err) {
    const ol_graph *g = m->graph;
    ol_buf b = OL_BUF_INIT;
    ol_buf_puts(&b, "{\"name\": ");
    ol_buf_json_string(&b, g->name, strlen(g->name));
    ol_buf_puts(&b, ",\n \"metadata\": {");
    for (int i = 0; i < g->n_meta; i++) {
        if (i) ol_buf_puts(&b, ", ");
        ol_buf_json_string(&b, g->meta_keys[i], strlen(g->meta_keys[i]));
        ol_buf_puts(&b, ": ");
        ol_buf_json_string(&b, g->meta_values[i], strlen(g->meta_values[i]));
    }
    ol_buf_puts(&b, "},\n ");
    put_ports(&b, "inputs", g, g->inputs, g->n_inputs);
    put_ports(&b, "outputs", g, g->outputs, g->n_outputs);
    ol_buf_printf(&b, "\"nodes\": %d,\n ", g->n_nodes);
    b.failed |= !put_operators(&b, g);
    put_weights(&b, g);
    *json = ol_buf_take(&b, NULL);
    ol_buf_deinit(&b);
    return *json ? OLV_OK : ol_fail(err, OLV_NOMEM, "no memory to describe a model");
}
