/* SPDX-License-Identifier: Apache-2.0 */
#include "graph_svg.h"
#include "html.h"
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define WIDTH 168 /* of a node with the room beside it */
#define HEIGHT 74 /* of a row */
#define BOX_W 148
#define BOX_H 42

typedef struct vertex {
    const json_t *node;  /* NULL: an input or output of the graph */
    const char *value;   /* of an input or output */
    int row, first_edge, n_edges; /* edges to what it reads */
    double x, wish;
} vertex;

typedef struct drawing {
    const json_t *graph;
    json_t *producer; /* of a value: number of a vertex */
    json_t *types;    /* of a value: its object */
    vertex *v;
    int n, n_edges, n_rows;
    int *edges;
    double right;
} drawing;

void format_value_type(const json_t *value, char *out, size_t size) {
    const char *kind = json_string_value(json_object_get(value, "kind")), *type = json_string_value(json_object_get(value, "type"));
    const json_t *shape = json_object_get(value, "shape");
    size_t n = (size_t)snprintf(out, size, "%s%.40s%s", kind && strcmp(kind, "tensor") ? kind : "", type ? type : "", shape ? "[" : "");
    for (size_t i = 0; shape && i < json_array_size(shape) && n < size; i++) {
        const json_t *d = json_array_get(shape, i);
        if (json_is_integer(d)) n += (size_t)snprintf(out + n, size - n, "%s%lld", i ? "," : "", (long long)json_integer_value(d));
        else n += (size_t)snprintf(out + n, size - n, "%s%.40s", i ? "," : "", json_string_value(d));
    }
    if (shape && n < size) snprintf(out + n, size - n, "]");
}

/* ---- the graph as vertices ---- */

static bool produce(drawing *d, const json_t *names, int vertex_number) {
    size_t i;
    json_t *name;
    json_array_foreach(names, i, name) if (json_object_set_new(d->producer, json_string_value(name), json_integer(vertex_number))) return false;
    return true;
}

static void read_value(drawing *d, vertex *v, const char *name) {
    const json_t *p = json_object_get(d->producer, name);
    if (!p || !*name) return;
    int from = (int)json_integer_value(p);
    d->edges[d->n_edges++] = from;
    v->n_edges++;
    if (d->v[from].row + 1 > v->row) v->row = d->v[from].row + 1;
}

static bool collect(drawing *d) {
    const json_t *inputs = json_object_get(d->graph, "inputs"), *outputs = json_object_get(d->graph, "outputs"), *nodes = json_object_get(d->graph, "nodes");
    size_t i, k, n_edges = json_array_size(outputs);
    json_t *j, *name;
    json_array_foreach(nodes, i, j) n_edges += json_array_size(json_object_get(j, "inputs"));
    d->v = calloc(json_array_size(inputs) + json_array_size(outputs) + json_array_size(nodes) + 1, sizeof *d->v);
    d->edges = calloc(n_edges + 1, sizeof *d->edges);
    if (!d->v || !d->edges || !d->producer || !d->types) return false;
    json_array_foreach(json_object_get(d->graph, "values"), i, j) json_object_set(d->types, json_string_value(json_object_get(j, "name")), j);
    json_array_foreach(inputs, i, name) {
        d->v[d->n] = (vertex){.value = json_string_value(name)};
        if (json_object_set_new(d->producer, d->v[d->n].value, json_integer(d->n))) return false;
        d->n++;
    }
    json_array_foreach(nodes, i, j) {
        vertex *v = &d->v[d->n];
        *v = (vertex){.node = j, .first_edge = d->n_edges};
        json_array_foreach(json_object_get(j, "inputs"), k, name) read_value(d, v, json_string_value(name));
        if (!produce(d, json_object_get(j, "outputs"), d->n)) return false;
        d->n++;
    }
    json_array_foreach(outputs, i, name) {
        vertex *v = &d->v[d->n++];
        *v = (vertex){.value = json_string_value(name), .first_edge = d->n_edges};
        read_value(d, v, v->value);
    }
    for (int n = 0; n < d->n; n++)
        if (d->v[n].row >= d->n_rows) d->n_rows = d->v[n].row + 1;
    return true;
}

/* ---- places ---- */

static int by_row_and_wish(const void *a, const void *b) {
    const vertex *x = *(const vertex *const *)a, *y = *(const vertex *const *)b;
    if (x->row != y->row) return x->row - y->row;
    if (x->wish != y->wish) return x->wish < y->wish ? -1 : 1;
    return x < y ? -1 : x > y;
}

/* One row: in the order of wishes, not closer than WIDTH, as near to the wishes as a common shift brings them. */
static void place_row(vertex **row, int n) {
    double off = 0;
    for (int i = 0; i < n; i++) {
        row[i]->x = i && row[i]->wish < row[i - 1]->x + WIDTH ? row[i - 1]->x + WIDTH : row[i]->wish;
        off += row[i]->wish - row[i]->x;
    }
    for (int i = 0; i < n; i++) row[i]->x += off / n;
}

static bool place(drawing *d) {
    vertex **order = calloc((size_t)d->n + 1, sizeof(vertex *));
    if (!order) return false;
    for (int i = 0; i < d->n; i++) order[i] = &d->v[i];
    qsort(order, (size_t)d->n, sizeof(vertex *), by_row_and_wish);
    for (int i = 0, k; i < d->n; i = k) {
        for (k = i; k < d->n && order[k]->row == order[i]->row; k++) {
            vertex *v = order[k];
            for (int e = 0; e < v->n_edges; e++) v->wish += d->v[d->edges[v->first_edge + e]].x / v->n_edges;
        }
        qsort(order + i, (size_t)(k - i), sizeof(vertex *), by_row_and_wish);
        place_row(order + i, k - i);
    }
    free(order);
    double left = 0;
    for (int i = 0; i < d->n; i++)
        if (d->v[i].x < left) left = d->v[i].x;
    for (int i = 0; i < d->n; i++) {
        d->v[i].x += WIDTH / 2.0 - left;
        if (d->v[i].x > d->right) d->right = d->v[i].x;
    }
    return true;
}

/* ---- drawing ---- */

static const char *colour(const char *op) {
    static const char *const table[][2] = {{"Conv", "#cfe3ff"}, {"MatMul", "#cfe3ff"}, {"Gemm", "#cfe3ff"}, {"Linear", "#cfe3ff"}, {"Attention", "#cfe3ff"},
                                           {"Norm", "#e6d8f7"}, {"Pool", "#d5efe8"}, {"Softmax", "#e6d8f7"}, {"Relu", "#ffe3c9"}, {"Sigmoid", "#ffe3c9"},
                                           {"Gelu", "#ffe3c9"}, {"Clip", "#ffe3c9"}, {"Tanh", "#ffe3c9"}, {"Reshape", "#eee"}, {"Transpose", "#eee"},
                                           {"Shape", "#eee"}, {"squeeze", "#eee"}, {"Flatten", "#eee"}, {"Quantize", "#fbd3d9"}, {"If", "#fff3a8"}, {"Loop", "#fff3a8"}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (strstr(op, table[i][0])) return table[i][1];
    return "#f7f7f2";
}

static void put_short(FILE *out, const char *text, size_t most) {
    char part[64];
    size_t n = strlen(text);
    if (n <= most) {
        html_text(out, text);
        return;
    }
    while (most && ((unsigned char)text[most - 1] & 0xc0) == 0x80) most--; /* no character is cut in two */
    if (most && (unsigned char)text[most - 1] >= 0xc0) most--;
    snprintf(part, sizeof part, "%.*s\xe2\x80\xa6", (int)most, text);
    html_text(out, part);
}

static void put_tooltip(const drawing *d, const vertex *v, FILE *out) {
    size_t i;
    json_t *name;
    char type[512];
    fputs("<title>", out);
    html_text(out, v->node ? json_string_value(json_object_get(v->node, "name")) : v->value);
    static const char *const keys[] = {"inputs", "outputs"};
    for (int k = 0; v->node && k < 2; k++)
        json_array_foreach(json_object_get(v->node, keys[k]), i, name) {
            format_value_type(json_object_get(d->types, json_string_value(name)), type, sizeof type);
            fprintf(out, "\n%s ", k ? "\xe2\x86\x92" : "\xe2\x86\x90");
            html_text(out, json_string_value(name));
            fputs(" ", out);
            html_text(out, type);
        }
    const json_t *attributes = v->node ? json_object_get(v->node, "attributes") : NULL;
    if (json_object_size(attributes)) {
        char *text = json_dumps(attributes, JSON_COMPACT);
        if (text && strlen(text) > 600) text[600] = 0;
        fputs("\n", out);
        html_text(out, text);
        free(text);
    }
    fputs("</title>", out);
}

static void put_vertex(const drawing *d, const vertex *v, FILE *out) {
    double y = v->row * (double)HEIGHT + 12;
    const char *op = v->node ? json_string_value(json_object_get(v->node, "op")) : v->value;
    const char *value = v->node ? json_string_value(json_array_get(json_object_get(v->node, "outputs"), 0)) : v->value;
    char type[512];
    format_value_type(json_object_get(d->types, value ? value : ""), type, sizeof type);
    fprintf(out, "<g>");
    put_tooltip(d, v, out);
    fprintf(out, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%d\" height=\"%d\" rx=\"%d\" fill=\"%s\" stroke=\"#667\"/>", v->x - BOX_W / 2.0, y, BOX_W, BOX_H,
            v->node ? 4 : 20, v->node ? colour(op) : "#fff");
    fprintf(out, "<text x=\"%.1f\" y=\"%.1f\" font-weight=\"600\">", v->x, y + 18);
    put_short(out, op, 22);
    fprintf(out, "</text><text x=\"%.1f\" y=\"%.1f\" fill=\"#555\" font-size=\"10\">", v->x, y + 33);
    put_short(out, type, 26);
    fputs("</text></g>\n", out);
}

static void put_edges(const drawing *d, FILE *out) {
    for (int i = 0; i < d->n; i++)
        for (int e = 0; e < d->v[i].n_edges; e++) {
            const vertex *to = &d->v[i], *from = &d->v[d->edges[to->first_edge + e]];
            double y0 = from->row * (double)HEIGHT + 12 + BOX_H, y1 = to->row * (double)HEIGHT + 12, bow = to->row - from->row > 1 ? WIDTH * 0.7 : 0;
            fprintf(out, "<path d=\"M%.1f %.1fC%.1f %.1f %.1f %.1f %.1f %.1f\" marker-end=\"url(#a)\"/>\n", from->x, y0, from->x + bow, y0 + HEIGHT * 0.4,
                    to->x + bow, y1 - HEIGHT * 0.4, to->x, y1 - 4);
        }
}

int write_graph_svg(const json_t *graph, FILE *out) {
    drawing d = {.graph = graph, .producer = json_object(), .types = json_object()};
    bool ok = collect(&d) && place(&d);
    if (ok) {
        int width = (int)(d.right + WIDTH * 1.3), height = d.n_rows * HEIGHT + 24;
        fprintf(out, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" font-family=\"sans-serif\" font-size=\"12\" "
                     "text-anchor=\"middle\">\n<defs><marker id=\"a\" viewBox=\"0 0 6 6\" refX=\"3\" refY=\"3\" markerWidth=\"6\" markerHeight=\"6\" orient=\"auto\">"
                     "<path d=\"M0 0L6 3L0 6z\" fill=\"#889\"/></marker></defs>\n<g fill=\"none\" stroke=\"#889\">\n", width, height, width, height);
        put_edges(&d, out);
        fputs("</g>\n", out);
        for (int i = 0; i < d.n; i++) put_vertex(&d, &d.v[i], out);
        fputs("</svg>\n", out);
    }
    free(d.v);
    free(d.edges);
    json_decref(d.producer);
    json_decref(d.types);
    return ok ? 0 : 1;
}
