/* SPDX-License-Identifier: Apache-2.0 */
/* Models: reading, looking, reshaping, saving. */
#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "formats/onnx/onnx.h"
#include "formats/openvino/openvino.h"
#include "formats/openvino/write.h"
#include "passes/passes.h"
#include "runtime/core.h"
#include "runtime/model_json.h"
#include "runtime/states.h"
#include "runtime/tensor.h"
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

static const char *const endings[] = {".xml", ".onnx"};

/* A model file by its name. Other .xml files lie beside models too. */
static bool is_model(const char *folder, const char *name) {
    if (ol_str_ends(ol_str_of(name), ".onnx")) return true;
    char *path = ol_str_ends(ol_str_of(name), ".xml") ? ol_path_join(folder, name) : NULL;
    bool is = path && ol_openvino_is_ir(path);
    ol_free(path);
    return is;
}

/* PATH itself, or PATH with the ending that it lacks. */
static char *with_ending(const char *path) {
    size_t len = strlen(path);
    char *p = ol_alloc(len + 6);
    if (!p) return NULL;
    memcpy(p, path, len + 1);
    for (size_t i = 0; i < sizeof endings / sizeof *endings && !ol_file_exists(p); i++) {
        strcpy(p + len, endings[i]);
        if (!ol_file_exists(p)) p[len] = 0;
    }
    return p;
}

/* The one model file of a folder, or the file that is meant (ol_free it). */
static olv_status find_file(const char *path, char **out, olv_error *err) {
    char **names = NULL;
    size_t n = 0, found = 0;
    *out = NULL;
    if (!ol_dir_exists(path)) return (*out = with_ending(path)) ? OLV_OK : ol_fail(err, OLV_NOMEM, "no memory for a path");
    OL_TRY(ol_dir_list(path, &names, &n, err));
    for (size_t i = 0; i < n; i++)
        if (is_model(path, names[i]) && !found++) *out = ol_path_join(path, names[i]);
    ol_dir_list_free(names, n);
    if (found == 1 && *out) return OLV_OK;
    ol_free(*out);
    *out = NULL;
    if (found == 1) return ol_fail(err, OLV_NOMEM, "no memory for a path");
    if (found == 0)
        return ol_fail(err, OLV_NOT_FOUND, "'%.300s' holds no model (.onnx or .xml); `generate` and `embed` run folders of language models", path);
    return ol_fail(err, OLV_NOT_FOUND, "'%.300s' holds %zu models (.onnx or .xml), one expected; name the file", path, found);
}

olv_status olv_model_read(const char *path, olv_model **out, olv_error *err) { return ol_model_read_with(path, NULL, out, err); }

olv_status ol_model_read_with(const char *path, const ol_op_set *ops, olv_model **out, olv_error *err) {
    char *file;
    ol_graph *g;
    OL_TRY(find_file(path, &file, err));
    olv_status s = ol_openvino_is_ir(file) ? ol_openvino_read(file, &g, err) : ol_onnx_read_with(file, ops, &g, err);
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
    olv_core_destroy(m->core);
    ol_free(m);
}

size_t olv_model_n_inputs(const olv_model *m) { return ol_states_visible_inputs(m->graph); }
size_t olv_model_n_outputs(const olv_model *m) { return ol_states_visible_outputs(m->graph); }
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
    int found = ol_graph_find_input(g, input);
    for (int i = 0; i < g->n_inputs; i++) types[i] = g->inputs[i]->type;
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

olv_status olv_model_save_openvino(const olv_model *m, const char *path, bool compress_to_f16, olv_error *err) {
    const ol_openvino_write_options o = {.compress_to_f16 = compress_to_f16};
    return ol_openvino_write(m->graph, path, &o, err);
}

olv_status olv_model_save_ort(const olv_model *m, const char *path, olv_error *err) {
    const ol_onnx_write_options o = {.contrib = true};
    return ol_onnx_write(m->graph, path, &o, err);
}

olv_status olv_model_save(const olv_model *m, const char *path, int64_t opset, olv_error *err) {
    if (ol_str_ends(ol_str_of(path), ".xml")) return olv_model_save_openvino(m, path, false, err);
    return olv_model_save_onnx(m, path, opset, 0, err);
}

olv_status olv_model_save_onnx(const olv_model *m, const char *path, int64_t opset, int64_t ir_version, olv_error *err) {
    const ol_onnx_write_options o = {.opset = opset, .ir_version = ir_version};
    return ol_onnx_write(m->graph, path, &o, err);
}

/* A copy after the pass of that name and those before it; NULL: as read. */
static olv_status copy_after(const olv_model *m, const char *after_pass, ol_graph **out, olv_error *err) {
    ol_graph *g;
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
    if (s == OLV_OK) *out = g;
    else ol_graph_destroy(g);
    return s;
}

static olv_status write_graph(const olv_model *m, const char *after_pass, void (*write)(const ol_graph *, ol_buf *), char **text, olv_error *err) {
    ol_graph *g;
    ol_buf b = OL_BUF_INIT;
    b.max = SIZE_MAX / 2;
    OL_TRY(copy_after(m, after_pass, &g, err));
    write(g, &b);
    *text = ol_buf_take(&b, NULL);
    ol_buf_deinit(&b);
    ol_graph_destroy(g);
    return *text ? OLV_OK : ol_fail(err, OLV_NOMEM, "no memory for the text of a graph");
}

olv_status olv_model_graph_text(const olv_model *m, const char *after_pass, char **text, olv_error *err) {
    return write_graph(m, after_pass, ol_graph_dump, text, err);
}

olv_status olv_model_graph_json(const olv_model *m, const char *after_pass, char **json, olv_error *err) {
    return write_graph(m, after_pass, ol_graph_write_json, json, err);
}

olv_status olv_model_add_output(olv_model *m, const char *value, olv_error *err) {
    ol_graph *g = m->graph;
    ol_value *v = ol_graph_find_value(g, value);
    if (!v) return ol_fail(err, OLV_ARG, "the model has no value '%.200s'", value);
    for (int i = 0; i < g->n_outputs; i++)
        if (g->outputs[i] == v) return OLV_OK;
    return ol_graph_add_output(g, v, err);
}
