/* SPDX-License-Identifier: Apache-2.0 */
/* <net>: inputs, outputs, states and metadata of the root graph. */
#include "base/alloc.h"
#include "base/error.h"
#include "formats/openvino/reader.h"
#include <stdio.h>

#define MAX_META 4096 /* leaves of rt_info, and aliases */
#define MAX_PATH 500

static olv_status no_memory(olv_error *err) { return ol_fail(err, OLV_NOMEM, "no memory for a graph"); }

static olv_status add_alias(ol_graph *g, const char *other, const char *name, olv_error *err) {
    const char *key = g->n_meta < 2 * MAX_META ? ol_arena_printf(g->arena, OL_ALIAS "%s", other) : NULL;
    return key && strcmp(other, name) ? ol_graph_set_meta(g, key, name, err) : OLV_OK;
}

/* The names of a port beside its value's become aliases of it. */
static olv_status add_aliases(ol_graph *g, const char *name, const char *layer, const char *names, olv_error *err) {
    const char *other;
    OL_TRY(add_alias(g, layer, name, err));
    for (int k = 0; k < 16 && (other = ol_ir_port_name(g->arena, names, k)); k++) OL_TRY(add_alias(g, other, name, err));
    return OLV_OK;
}

/* The layer's name when the port has it too, else the first name of the port; NULL without any. */
static const char *best_name(ol_graph *g, const char *names, const char *layer) {
    const char *name;
    for (int k = 0; k < 16 && (name = ol_ir_port_name(g->arena, names, k)); k++)
        if (!strcmp(name, layer)) return name;
    return ol_ir_port_name(g->arena, names, 0);
}

static olv_status add_input(ol_graph *g, ol_ir_layer *l, olv_error *err) {
    ol_type type;
    if (l->n_out != 1) return ol_fail(err, OLV_FORMAT, "a Parameter with %d outputs", l->n_out);
    OL_TRY(ol_ir_declared(l, "element_type", "shape", g->dims, &type, err));
    const char *name = best_name(g, l->out_ports[0].names, l->name);
    if (!name) name = l->name;
    l->out[0] = ol_graph_add_input(g, name, &type, err);
    return l->out[0] ? add_aliases(g, name, l->name, l->out_ports[0].names, err) : err ? err->status : OLV_NOMEM;
}

/* A graph output is a value of its own with the name of its tensor. */
static olv_status add_output(ol_ir_reader *r, ol_ir_body *b, ol_ir_layer *l, ol_graph *g, olv_error *err) {
    ol_value *v;
    OL_TRY(ol_ir_result_of(r, b, l, g, &v, err));
    const ol_ir_layer *from = l->in[0].layer;
    const char *told = ol_xml_get(l->xml, "output_names"), *names = from->out_ports[l->in[0].port].names;
    const char *name = best_name(g, told ? told : names, from->name);
    if (!name && from->n_out == 1) name = from->name;
    bool other = v->is_input || v->constant || (name && strcmp(name, v->name));
    for (int i = 0; i < g->n_outputs; i++) other |= g->outputs[i] == v;
    if (other) {
        if (name && ol_graph_find_value(g, name)) name = NULL;
        ol_node *n = ol_graph_add_node(g, NULL, ol_op_find("", "Identity"), NULL, &v, 1, &name, 1, NULL, 0, err);
        if (!n) return err ? err->status : OLV_NOMEM;
        v = n->outputs[0];
    }
    OL_TRY(ol_graph_add_output(g, v, err));
    OL_TRY(add_aliases(g, v->name, l->name, names, err));
    return told ? add_aliases(g, v->name, l->name, told, err) : OLV_OK;
}

/* Inputs and outputs of states come last. */
static olv_status add_states(ol_ir_reader *r, ol_graph *g, olv_error *err) {
    ol_buf list = OL_BUF_INIT;
    olv_status s = OLV_OK;
    for (ol_ir_state *x = r->states; s == OLV_OK && x; x = x->link) {
        if (!x->next) s = ol_fail(err, OLV_FORMAT, "variable '%.200s' is read and never assigned", x->id);
        const char *name = ol_arena_printf(g->arena, "%s.next", x->id);
        if (s == OLV_OK && name && ol_graph_find_value(g, name)) name = NULL;
        ol_node *n = s == OLV_OK ? ol_graph_add_node(g, NULL, ol_op_find("", "Identity"), NULL, &x->next, 1, &name, 1, NULL, 0, err) : NULL;
        if (s == OLV_OK) s = n ? ol_graph_add_output(g, n->outputs[0], err) : err ? err->status : OLV_NOMEM;
        ol_buf_printf(&list, "%s%s", x == r->states ? "" : "\n", x->id);
    }
    if (s == OLV_OK && list.failed) s = no_memory(err);
    if (s == OLV_OK && r->states) s = ol_graph_set_meta(g, "states", list.data, err);
    ol_buf_deinit(&list);
    return s;
}

/* Leaves of rt_info by their paths. */
static olv_status add_info(ol_graph *g, const ol_xml *e, const char *path, int *left, olv_error *err) {
    for (const ol_xml *c = e ? e->first : NULL; c && *left > 0; c = c->next) {
        const char *name = ol_xml_get(c, "name"), *value = ol_xml_get(c, "value");
        if (strcmp(c->name, "info") || !name) name = c->name;
        char sub[MAX_PATH];
        if (snprintf(sub, sizeof sub, "%s.%s", path, name) >= MAX_PATH) continue;
        if (value && (*left)-- > 0) OL_TRY(ol_graph_set_meta(g, sub, value, err));
        OL_TRY(add_info(g, c, sub, left, err)); /* as deep as the document at most */
    }
    return OLV_OK;
}

static olv_status read_net(ol_ir_reader *r, const ol_xml *net, ol_graph *g, olv_error *err) {
    int64_t version;
    int left = MAX_META;
    ol_ir_body body;
    char text[24];
    if (strcmp(net->name, "net")) return ol_fail(err, OLV_FORMAT, "line %d: <%.60s> found, <net> expected: no OpenVINO IR", net->line, net->name);
    OL_TRY(ol_xml_int(net, "version", 0, INT32_MAX, &version, err));
    if (version < 10 || version > 11) return ol_fail(err, OLV_UNSUPPORTED, "IR of version %lld; 10 and 11 are read", (long long)version);
    OL_TRY(ol_ir_body_read(r, net, &body, err));
    for (int i = 0; i < body.n; i++)
        if (ol_ir_is(&body.layers[i], "Parameter") && add_input(g, &body.layers[i], err) != OLV_OK) return ol_ir_at(&body.layers[i], err);
    OL_TRY(ol_ir_body_translate(r, &body, g, err));
    for (int i = 0; i < body.n; i++)
        if (ol_ir_is(&body.layers[i], "Result")) OL_TRY(add_output(r, &body, &body.layers[i], g, err));
    OL_TRY(add_states(r, g, err));
    if (!g->n_outputs) return ol_fail(err, OLV_FORMAT, "no Result: a model without outputs");
    snprintf(text, sizeof text, "%lld", (long long)version);
    OL_TRY(ol_graph_set_meta(g, "format", "openvino", err));
    OL_TRY(ol_graph_set_meta(g, "ir_version", text, err));
    OL_TRY(add_info(g, ol_xml_child(net, "rt_info"), "rt_info", &left, err));
    ol_graph_prune(g);
    return OLV_OK;
}

static olv_status read_files(ol_file *xml, ol_file *bin, const char *bin_name, const char *name, ol_graph **out, olv_error *err) {
    ol_ir_reader r = {.arena = ol_arena_create(), .bin = bin, .bin_name = bin_name};
    ol_graph *g = ol_graph_create("");
    ol_xml *net = NULL;
    olv_status s = r.arena && g ? ol_xml_parse((const char *)xml->data, (size_t)xml->size, name, r.arena, &net, err) : no_memory(err);
    if (s == OLV_OK) {
        const char *title = ol_xml_get(net, "name");
        if (title && !(g->name = ol_arena_strdup(g->arena, title))) s = no_memory(err);
        if (s == OLV_OK) s = read_net(&r, net, g, err);
        if (s != OLV_OK) ol_error_at(err, "%.200s", name);
    }
    if (r.arena) ol_arena_destroy(r.arena);
    if (s == OLV_OK) *out = g;
    else ol_graph_destroy(g);
    return s;
}

olv_status ol_openvino_read(const char *path, ol_graph **out, olv_error *err) {
    ol_file *xml, *bin = NULL;
    size_t n = strlen(path);
    if (n > 4 && !strcmp(path + n - 4, ".xml")) n -= 4;
    char *bin_path = ol_alloc(n + 5);
    if (!bin_path) return no_memory(err);
    memcpy(bin_path, path, n);
    memcpy(bin_path + n, ".bin", 5);
    olv_status s = ol_file_open(path, &xml, err);
    if (s == OLV_OK) {
        if (ol_file_exists(bin_path)) s = ol_file_open(bin_path, &bin, err);
        if (s == OLV_OK) s = read_files(xml, bin, ol_path_name(bin_path), ol_path_name(path), out, err);
        ol_file_release(bin);
        ol_file_release(xml);
    }
    ol_free(bin_path);
    return s;
}

olv_status ol_openvino_read_bytes(const char *xml, size_t xml_len, const void *bin, size_t bin_len, const char *name, ol_graph **out,
                                  olv_error *err) {
    ol_file *x, *b = NULL;
    OL_TRY(ol_file_of_bytes(xml, xml_len, name, &x, err));
    olv_status s = bin ? ol_file_of_bytes(bin, bin_len, "data", &b, err) : OLV_OK;
    if (s == OLV_OK) s = read_files(x, b, "data", name, out, err);
    ol_file_release(b);
    ol_file_release(x);
    return s;
}

bool ol_openvino_is_ir(const char *path) {
    char head[4096];
    FILE *f = fopen(path, "rb");
    if (!f) return false;
    size_t n = fread(head, 1, sizeof head, f);
    fclose(f);
    const char *at = memchr(head, '<', n);
    return at && at <= head + 3 && memmem(head, n, "<net", 4);
}
