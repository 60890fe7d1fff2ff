/* SPDX-License-Identifier: Apache-2.0 */
#include "inspect_graph.h"
#include "args.h"
#include "graph_model.h"
#include "graph_svg.h"
#include "html.h"
#include <jansson.h>
#include <olivine/pipeline.h>
#include <stdlib.h>
#include <string.h>

typedef struct view {
    olv_core *core;
    olv_model *model;
    json_t *summary, *graph;
    char *plan;
} view;

/* ---- text ---- */

static void print_ports(const char *title, const json_t *ports) {
    size_t i;
    json_t *p;
    json_array_foreach(ports, i, p) {
        char type[512];
        format_value_type(p, type, sizeof type);
        printf("%-12s %-40s %s%s\n", i ? "" : title, json_string_value(json_object_get(p, "name")), type, json_object_get(p, "default") ? " (has a default)" : "");
    }
}

static int by_number(const void *a, const void *b) {
    const json_t *const *x = a, *const *y = b;
    json_int_t i = json_integer_value(json_array_get(*x, 1)), k = json_integer_value(json_array_get(*y, 1));
    return i < k ? 1 : i > k ? -1 : strcmp(json_string_value(json_array_get(*x, 0)), json_string_value(json_array_get(*y, 0)));
}

/* Pairs of operator and number, the most frequent first (free it; the pairs too). */
static json_t **sorted_operators(const json_t *summary, size_t *n) {
    json_t *operators = json_object_get(summary, "operators"), *count;
    const char *name;
    json_t **list = calloc(json_object_size(operators) + 1, sizeof *list);
    *n = 0;
    if (!list) return NULL;
    json_object_foreach(operators, name, count) list[(*n)++] = json_pack("[s,O]", name, count);
    qsort(list, *n, sizeof *list, by_number);
    return list;
}

static void print_summary(const json_t *s) {
    const char *name;
    json_t *v;
    size_t n;
    printf("name         %s\n", json_string_value(json_object_get(s, "name")));
    json_object_foreach(json_object_get(s, "metadata"), name, v) printf("%-12s %s\n", name, json_string_value(v));
    print_ports("inputs", json_object_get(s, "inputs"));
    print_ports("outputs", json_object_get(s, "outputs"));
    printf("nodes        %lld\n", (long long)json_integer_value(json_object_get(s, "nodes")));
    json_t **list = sorted_operators(s, &n);
    for (size_t i = 0; list && i < n; i++) {
        printf("%-12s %-40s %6lld\n", i ? "" : "operators", json_string_value(json_array_get(list[i], 0)), (long long)json_integer_value(json_array_get(list[i], 1)));
        json_decref(list[i]);
    }
    free(list);
    bool first = true;
    json_object_foreach(json_object_get(s, "weights"), name, v) {
        printf("%-12s %-12s %14lld elements %12.2f MB\n", first ? "weights" : "", name, (long long)json_integer_value(json_object_get(v, "elements")),
               (double)json_integer_value(json_object_get(v, "bytes")) / 1e6);
        first = false;
    }
    printf("parameters   %lld\n", (long long)json_integer_value(json_object_get(s, "parameters")));
}

/* ---- the page ---- */

static void page_ports(FILE *out, const char *title, const json_t *ports) {
    static const char *const columns[] = {"name", "type", NULL};
    size_t i;
    json_t *p;
    fprintf(out, "<h2>%s</h2>\n", title);
    html_table(out, columns);
    json_array_foreach(ports, i, p) {
        char type[512];
        format_value_type(p, type, sizeof type);
        fputs("<tr>", out);
        html_cell(out, json_string_value(json_object_get(p, "name")));
        html_cell(out, type);
        fputs("</tr>\n", out);
    }
    fputs("</table>\n", out);
}

static void page_operators(FILE *out, const json_t *summary) {
    static const char *const columns[] = {"operator", "nodes", NULL}, *const weights[] = {"type", "elements", "bytes", NULL};
    size_t n;
    const char *name;
    json_t *v, **list = sorted_operators(summary, &n);
    fputs("<h2>operators</h2>\n", out);
    html_table(out, columns);
    for (size_t i = 0; list && i < n; i++) {
        fputs("<tr>", out);
        html_cell(out, json_string_value(json_array_get(list[i], 0)));
        fprintf(out, "<td class=\"n\">%lld</td></tr>\n", (long long)json_integer_value(json_array_get(list[i], 1)));
        json_decref(list[i]);
    }
    free(list);
    fputs("</table>\n<h2>weights</h2>\n", out);
    html_table(out, weights);
    json_object_foreach(json_object_get(summary, "weights"), name, v) {
        fputs("<tr>", out);
        html_cell(out, name);
        fprintf(out, "<td class=\"n\">%lld</td><td class=\"n\">%lld</td></tr>\n", (long long)json_integer_value(json_object_get(v, "elements")),
                (long long)json_integer_value(json_object_get(v, "bytes")));
    }
    fputs("</table>\n", out);
}

static void page_nodes(FILE *out, const json_t *graph) {
    static const char *const columns[] = {"#", "node", "operator", "reads", "makes", "attributes", NULL};
    size_t i, k;
    json_t *n, *v;
    fputs("<h2>nodes</h2>\n<p><input id=\"q\" placeholder=\"find a node\" size=\"40\"></p>\n", out);
    html_table(out, columns);
    json_array_foreach(json_object_get(graph, "nodes"), i, n) {
        fprintf(out, "<tr class=\"node\"><td class=\"n\">%zu</td>", i);
        html_cell(out, json_string_value(json_object_get(n, "name")));
        html_cell(out, json_string_value(json_object_get(n, "op")));
        static const char *const keys[] = {"inputs", "outputs"};
        for (int side = 0; side < 2; side++) {
            fputs("<td>", out);
            json_array_foreach(json_object_get(n, keys[side]), k, v) {
                fputs(k ? "<br>" : "", out);
                html_text(out, json_string_value(v));
            }
            fputs("</td>", out);
        }
        char *text = json_dumps(json_object_get(n, "attributes"), JSON_COMPACT);
        if (text && strlen(text) > 400) strcpy(text + 397, "...");
        fputs("<td><code>", out);
        html_text(out, text);
        fputs("</code></td></tr>\n", out);
        free(text);
    }
    fputs("</table>\n<script>document.getElementById('q').oninput=e=>{const w=e.target.value.toLowerCase();"
          "document.querySelectorAll('tr.node').forEach(r=>r.hidden=!r.textContent.toLowerCase().includes(w))}</script>\n", out);
}

static int write_page(const view *v, const char *path) {
    html_page page;
    const char *name = json_string_value(json_object_get(v->summary, "name"));
    int code = html_open(&page, path, name && *name ? name : "model");
    if (code) return code;
    page_ports(page.out, "inputs", json_object_get(v->summary, "inputs"));
    page_ports(page.out, "outputs", json_object_get(v->summary, "outputs"));
    page_operators(page.out, v->summary);
    fputs("<h2>graph</h2>\n<div class=\"graph\">\n", page.out);
    int bad = write_graph_svg(v->graph, page.out);
    fputs("</div>\n", page.out);
    page_nodes(page.out, v->graph);
    if (v->plan) {
        fputs("<h2>plan</h2>\n<pre>", page.out);
        html_text(page.out, v->plan);
        fputs("</pre>\n", page.out);
    }
    code = html_close(&page);
    return bad ? usage_error("out of memory") : code;
}

/* ---- the command ---- */

static olv_status open_view(const char *path, const graph_inspection *what, view *v, olv_error *err) {
    char *text = NULL;
    olv_status s = olv_core_create(&v->core, err);
    if (s == OLV_OK) s = read_graph_model(v->core, path, &v->model, err);
    if (s == OLV_OK) s = olv_model_describe(v->model, &text, err);
    if (s == OLV_OK) v->summary = json_loads(text, 0, NULL);
    olv_free(text);
    text = NULL;
    bool drawn = what->html || (what->graph && !strcmp(what->graph, "svg"));
    if (s == OLV_OK && drawn) s = olv_model_graph_json(v->model, what->after, &text, err);
    if (s == OLV_OK && drawn) v->graph = json_loads(text, 0, NULL);
    olv_free(text);
    return s;
}

/* `inspect --plan` of a graph: as compiled for the device. */
static int make_plan(const char *path, view *v) {
    graph_model m = {0};
    olv_error err;
    int code = open_graph_model_named(path, NULL, NULL, &m);
    if (!code && olv_compiled_plan_text(m.compiled, &v->plan, &err) != OLV_OK) code = report(&err);
    close_graph_model(&m);
    return code;
}

static int print_graph(const view *v, const graph_inspection *what) {
    olv_error err;
    char *text = NULL;
    if (!strcmp(what->graph, "svg")) return write_graph_svg(v->graph, stdout) ? usage_error("out of memory") : 0;
    olv_status s = !strcmp(what->graph, "json") ? olv_model_graph_json(v->model, what->after, &text, &err) : olv_model_graph_text(v->model, what->after, &text, &err);
    if (s != OLV_OK) return report(&err);
    fputs(text, stdout);
    if (!strcmp(what->graph, "json")) putchar('\n');
    olv_free(text);
    return 0;
}

int inspect_graph(const char *path, const graph_inspection *what) {
    view v = {0};
    olv_error err;
    graph_inspection w = *what;
    if (w.after && !w.graph && !w.html) w.graph = "text";
    if (w.graph && strcmp(w.graph, "text") && strcmp(w.graph, "json") && strcmp(w.graph, "svg")) return usage_error("--graph %s: text, json or svg expected", w.graph);
    int code = open_view(path, &w, &v, &err) == OLV_OK ? 0 : report(&err);
    if (!code && w.plan) code = make_plan(path, &v);
    if (!code && w.html) code = write_page(&v, w.html);
    if (!code && w.graph) code = print_graph(&v, &w);
    if (!code && !w.graph && !w.html) {
        if (common.json) {
            if (v.plan) json_object_set_new(v.summary, "plan", json_string(v.plan));
            json_dumpf(v.summary, stdout, JSON_INDENT(1) | JSON_PRESERVE_ORDER);
            putchar('\n');
        } else {
            print_summary(v.summary);
        }
    }
    if (!code && v.plan && !common.json && !w.html) fputs(v.plan, stdout);
    olv_free(v.plan);
    json_decref(v.summary);
    json_decref(v.graph);
    olv_model_destroy(v.model);
    olv_core_destroy(v.core);
    return code;
}
