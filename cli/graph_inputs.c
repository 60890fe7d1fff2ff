/* SPDX-License-Identifier: Apache-2.0 */
#include "graph_inputs.h"
#include "jsonl.h"
#include <stdlib.h>
#include <string.h>

/* Elements that every model takes: 0 and 1 for integers (small numbers for bytes), [0, 1) for floats. */
static void fill_random(olv_tensor *t, uint64_t *seed) {
    int64_t n = olv_tensor_get_count(t);
    void *p = olv_tensor_get_data(t);
    olv_dtype d = olv_tensor_get_dtype(t);
    if (!p) return;
    memset(p, 0, olv_tensor_get_bytes(t));
    for (int64_t i = 0; i < n; i++) {
        *seed = *seed * 6364136223846793005u + 1442695040888963407u;
        uint32_t r = (uint32_t)(*seed >> 40);
        if (d == OLV_F32) ((float *)p)[i] = (float)r / 16777216.0f;
        else if (d == OLV_F64) ((double *)p)[i] = (double)r / 16777216.0;
        else if (d == OLV_F16 || d == OLV_BF16) ((uint16_t *)p)[i] = (uint16_t)(d == OLV_F16 ? 0x3800 | (r & 0x3ff) : 0x3f00 | (r & 0x7f));
        else if (d == OLV_I64 || d == OLV_U64) ((int64_t *)p)[i] = r % 2 ? 1 : 0;
        else if (d == OLV_I32 || d == OLV_U32) ((int32_t *)p)[i] = r % 2 ? 1 : 0;
        else if (olv_tensor_get_bytes(t) == (size_t)n) ((uint8_t *)p)[i] = (uint8_t)(d == OLV_BOOL ? r % 2 : r % 100);
    }
}

static olv_status make_input(const olv_port *port, const arg_list *files, bool fill_open, uint64_t *seed, olv_tensor **out, olv_error *err) {
    for (size_t k = 0; k < files->count; k++) {
        const char *text = files->items[k];
        size_t n = strlen(port->name);
        if (!strncmp(text, port->name, n) && (text[n] == '=' || text[n] == ':')) return olv_tensor_read(text + n + 1, port, out, err);
    }
    if (port->kind != OLV_KIND_TENSOR || port->rank < 0 || !port->dtype)
        return cli_fail(err, OLV_UNSUPPORTED, "input '%.200s' is no tensor of known type and rank; give its data with -i", port->name);
    int64_t dims[OLV_MAX_RANK];
    for (int d = 0; d < port->rank; d++) {
        dims[d] = port->dims[d];
        if (dims[d] < 0 && fill_open) dims[d] = port->ranges[d].least > 1 ? port->ranges[d].least : 1;
        if (dims[d] < 0) return cli_fail(err, OLV_ARG, "input '%.200s' has an open size in dimension %d; give its shape with -shape", port->name, d);
    }
    olv_status s = olv_tensor_create(port->dtype, port->rank, dims, out, err);
    if (s == OLV_OK) fill_random(*out, seed);
    return s;
}

/* Each of `files` names an input. */
static olv_status check_names(const olv_compiled *c, const arg_list *files, olv_error *err) {
    for (size_t k = 0; k < files->count; k++) {
        bool found = false;
        for (size_t i = 0; !found && i < olv_compiled_n_inputs(c); i++) {
            olv_port port;
            olv_compiled_get_input(c, i, &port);
            size_t n = strlen(port.name);
            found = !strncmp(files->items[k], port.name, n) && (files->items[k][n] == '=' || files->items[k][n] == ':');
        }
        if (!found) return cli_fail(err, OLV_ARG, "'%.200s': NAME=FILE with the name of an input expected", files->items[k]);
    }
    return OLV_OK;
}

olv_status make_graph_inputs(const olv_compiled *c, const arg_list *files, bool fill_open, graph_inputs *out, olv_error *err) {
    uint64_t seed = 1;
    out->n = olv_compiled_n_inputs(c);
    out->items = calloc(out->n + 1, sizeof *out->items);
    if (!out->items) return cli_fail(err, OLV_NOMEM, "out of memory");
    olv_status s = check_names(c, files, err);
    for (size_t i = 0; s == OLV_OK && i < out->n; i++) {
        olv_port port;
        olv_compiled_get_input(c, i, &port);
        if (!port.has_default) s = make_input(&port, files, fill_open, &seed, &out->items[i], err);
    }
    return s;
}

olv_status give_graph_inputs(olv_request *r, const graph_inputs *in, olv_error *err) {
    olv_status s = OLV_OK;
    for (size_t i = 0; s == OLV_OK && i < in->n; i++)
        if (in->items[i]) s = olv_request_set_input_at(r, i, in->items[i], err);
    return s;
}

void free_graph_inputs(graph_inputs *in) {
    for (size_t i = 0; in->items && i < in->n; i++) olv_tensor_destroy(in->items[i]);
    free(in->items);
    *in = (graph_inputs){0};
}
