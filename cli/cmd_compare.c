/* SPDX-License-Identifier: Apache-2.0 */
/* Two models, or one on two devices, on the same inputs: their outputs, and every value inside that both know by name. */
#include "args.h"
#include "graph_inputs.h"
#include "graph_model.h"
#include "html.h"
#include "jsonl.h"
#include <math.h>
#include <olivine/pipeline.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int cmd_compare(int argc, char **argv);

typedef struct side {
    olv_core *core;
    olv_model *model;
    olv_compiled *compiled;
    olv_request *request;
    graph_inputs inputs;
} side;

typedef struct difference {
    char *name, *type;
    const char *trouble; /* NULL: comparable */
    double most, rms, relative, size; /* |a-b|: largest, rms, rms to that of a; rms of a */
    bool output, bad;
} difference;

typedef struct comparison {
    side a, b;
    const char *device[2], *path[2], *html;
    arg_list inputs, shapes;
    double tolerance;
    bool outputs_only;
    difference *rows;
    size_t n, n_bad;
    double worst_output;
    bool failed; /* an output differs by more than the tolerance */
} comparison;

/* ---- running ---- */

static olv_status run_side(comparison *c, side *s, int which, olv_error *err) {
    const char *properties[GRAPH_PROPERTIES];
    graph_property_texts texts;
    size_t n = graph_properties(properties, &texts);
    olv_status st = olv_compile(s->core, s->model, c->device[which], properties, n, &s->compiled, err);
    if (st == OLV_OK) st = olv_request_create(s->compiled, &s->request, err);
    if (st == OLV_OK) st = make_graph_inputs(s->compiled, &c->inputs, true, &s->inputs, err);
    if (st == OLV_OK) st = give_graph_inputs(s->request, &s->inputs, err);
    if (st == OLV_OK) st = olv_request_run(s->request, err);
    return st;
}

static void close_side(side *s) {
    olv_request_destroy(s->request);
    free_graph_inputs(&s->inputs);
    olv_compiled_destroy(s->compiled);
    olv_model_destroy(s->model);
    olv_core_destroy(s->core);
    *s = (side){0};
}

/* Names of values that nodes make, in order. */
static olv_status value_names(const olv_model *m, json_t **out, olv_error *err) {
    char *text;
    size_t i, k;
    json_t *node, *name;
    olv_status s = olv_model_graph_json(m, NULL, &text, err);
    if (s != OLV_OK) return s;
    json_t *graph = json_loads(text, 0, NULL), *set = json_object();
    olv_free(text);
    json_array_foreach(json_object_get(graph, "nodes"), i, node)
        json_array_foreach(json_object_get(node, "outputs"), k, name)
            if (*json_string_value(name)) json_object_set_new(set, json_string_value(name), json_true());
    json_decref(graph);
    *out = set;
    return OLV_OK;
}

/* Makes the values that both models know outputs of both. */
static olv_status open_inside(comparison *c, olv_error *err) {
    json_t *a = NULL, *b = NULL, *v;
    const char *name;
    olv_status s = value_names(c->a.model, &a, err);
    if (s == OLV_OK) s = value_names(c->b.model, &b, err);
    json_object_foreach(a, name, v) {
        if (s != OLV_OK || !json_object_get(b, name)) continue;
        s = olv_model_add_output(c->a.model, name, err);
        if (s == OLV_OK) s = olv_model_add_output(c->b.model, name, err);
    }
    json_decref(a);
    json_decref(b);
    return s;
}

/* ---- comparing ---- */

static double element(const olv_tensor *t, int64_t i) {
    const void *p = olv_tensor_get_data(t);
    switch (olv_tensor_get_dtype(t)) {
    case OLV_F32: return (double)((const float *)p)[i];
    case OLV_F64: return ((const double *)p)[i];
    case OLV_I64: return (double)((const int64_t *)p)[i];
    case OLV_U64: return (double)((const uint64_t *)p)[i];
    case OLV_I32: return (double)((const int32_t *)p)[i];
    case OLV_U32: return (double)((const uint32_t *)p)[i];
    case OLV_I16: return (double)((const int16_t *)p)[i];
    case OLV_U16: return (double)((const uint16_t *)p)[i];
    case OLV_I8: return (double)((const int8_t *)p)[i];
    case OLV_U8:
    case OLV_BOOL: return (double)((const uint8_t *)p)[i];
    default: return NAN;
    }
}

static bool has_numbers(const olv_tensor *t) {
    switch (olv_tensor_get_dtype(t)) {
    case OLV_F32: case OLV_F64: case OLV_I64: case OLV_U64: case OLV_I32: case OLV_U32: case OLV_I16: case OLV_U16: case OLV_I8: case OLV_U8: case OLV_BOOL:
        return true;
    default: return false;
    }
}

static void measure(const olv_tensor *a, const olv_tensor *b, difference *d) {
    int rank = olv_tensor_get_rank(a);
    if (olv_tensor_get_kind(a) != OLV_KIND_TENSOR || olv_tensor_get_kind(b) != OLV_KIND_TENSOR) d->trouble = "not tensors";
    else if (rank != olv_tensor_get_rank(b) || memcmp(olv_tensor_get_dims(a), olv_tensor_get_dims(b), (size_t)rank * sizeof(int64_t))) d->trouble = "shapes differ";
    else if (!has_numbers(a) || !has_numbers(b)) {
        bool same = olv_tensor_get_dtype(a) == olv_tensor_get_dtype(b) && olv_tensor_get_data(a) && olv_tensor_get_bytes(a) == olv_tensor_get_bytes(b) &&
                    !memcmp(olv_tensor_get_data(a), olv_tensor_get_data(b), olv_tensor_get_bytes(a));
        d->trouble = same ? NULL : "bytes differ, of a type that is not measured";
    }
    if (d->trouble || !has_numbers(a)) return;
    int64_t n = olv_tensor_get_count(a);
    double square = 0, size = 0;
    for (int64_t i = 0; i < n; i++) {
        double x = element(a, i), y = element(b, i), e = fabs(x - y);
        if (x == y || (x != x && y != y)) e = 0; /* equal infinities, or no numbers both */
        if (e != e) e = INFINITY;
        if (e > d->most) d->most = e;
        square += e * e;
        if (x - x == 0) size += x * x;
    }
    d->size = n ? sqrt(size / (double)n) : 0;
    d->rms = n ? sqrt(square / (double)n) : 0;
    d->relative = d->size > 0 ? d->rms / d->size : d->rms > 0 ? INFINITY : 0;
}

static char *type_of(const olv_tensor *t) {
    char text[256];
    size_t n = (size_t)snprintf(text, sizeof text, "%s[", olv_dtype_name(olv_tensor_get_dtype(t)));
    for (int i = 0; i < olv_tensor_get_rank(t) && n < sizeof text; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%lld", i ? "," : "", (long long)olv_tensor_get_dims(t)[i]);
    if (n < sizeof text) snprintf(text + n, sizeof text - n, "]");
    return strdup(text);
}

/* Rows for the outputs of A that B has too; outputs of a model itself may also meet by their place. */
static olv_status compare_outputs(comparison *c, size_t n_own, bool inside, olv_error *err) {
    size_t na = olv_compiled_n_outputs(c->a.compiled), nb = olv_compiled_n_outputs(c->b.compiled);
    difference *p = realloc(c->rows, (c->n + na + 1) * sizeof *p);
    if (!p) return cli_fail(err, OLV_NOMEM, "out of memory");
    c->rows = p;
    for (size_t i = inside ? n_own : 0; i < na; i++) {
        olv_port x, y;
        size_t k = 0;
        olv_compiled_get_output(c->a.compiled, i, &x);
        for (; k < nb; k++) {
            olv_compiled_get_output(c->b.compiled, k, &y);
            if (!strcmp(x.name, y.name)) break;
        }
        if (k == nb && !inside && i < nb) k = i;
        if (k == nb) continue;
        const olv_tensor *ta = olv_request_get_output(c->a.request, i), *tb = olv_request_get_output(c->b.request, k);
        difference *d = &c->rows[c->n];
        *d = (difference){.name = strdup(x.name), .type = type_of(ta), .output = !inside};
        if (!d->name || !d->type) return cli_fail(err, OLV_NOMEM, "out of memory");
        measure(ta, tb, d);
        d->bad = d->trouble || !(d->relative <= c->tolerance);
        c->n_bad += d->bad;
        c->n++;
        if (d->output && d->bad) c->failed = true;
        if (d->output && d->relative > c->worst_output) c->worst_output = d->relative;
    }
    return OLV_OK;
}

static olv_status open_models(comparison *c, olv_error *err) {
    side *sides[2] = {&c->a, &c->b};
    for (int i = 0; i < 2; i++) {
        olv_status s = olv_core_create(&sides[i]->core, err);
        if (s == OLV_OK) s = read_graph_model(sides[i]->core, c->path[i], &sides[i]->model, err);
        for (size_t k = 0; s == OLV_OK && k < c->shapes.count; k++) s = reshape_graph_model(sides[i]->model, c->shapes.items[k], err);
        if (s != OLV_OK) return s;
    }
    return OLV_OK;
}

/* The models as they are give the outputs; with the values inside as outputs too, which keeps them from being fused away,
 * they run once more. */
static olv_status compare(comparison *c, olv_error *err) {
    olv_status s = open_models(c, err);
    if (s == OLV_OK) s = run_side(c, &c->a, 0, err);
    if (s == OLV_OK) s = run_side(c, &c->b, 1, err);
    if (s == OLV_OK) s = compare_outputs(c, 0, false, err);
    if (s == OLV_OK && c->n == 0) s = cli_fail(err, OLV_SHAPE, "the models have no outputs in common");
    if (s != OLV_OK || c->outputs_only) return s;
    close_side(&c->a), close_side(&c->b);
    s = open_models(c, err);
    size_t n_own = s == OLV_OK ? olv_model_n_outputs(c->a.model) : 0;
    if (s == OLV_OK) s = open_inside(c, err);
    if (s == OLV_OK) s = run_side(c, &c->a, 0, err);
    if (s == OLV_OK) s = run_side(c, &c->b, 1, err);
    return s == OLV_OK ? compare_outputs(c, n_own, true, err) : s;
}

/* ---- showing ---- */

static const difference *first_bad(const comparison *c) {
    for (size_t i = 0; i < c->n; i++)
        if (!c->rows[i].output && c->rows[i].bad) return &c->rows[i];
    return NULL;
}

static void print_json(const comparison *c) {
    json_t *rows = json_array();
    for (size_t i = 0; i < c->n; i++) {
        const difference *d = &c->rows[i];
        json_t *o = json_pack("{s:s,s:s,s:b,s:b}", "name", d->name, "type", d->type, "output", d->output, "within", !d->bad);
        if (d->trouble) json_object_set_new(o, "trouble", json_string(d->trouble));
        else {
            json_object_set_new(o, "max_abs", isfinite(d->most) ? json_real(d->most) : json_string("inf"));
            json_object_set_new(o, "rms", isfinite(d->rms) ? json_real(d->rms) : json_string("inf"));
            json_object_set_new(o, "relative", isfinite(d->relative) ? json_real(d->relative) : json_string("inf"));
        }
        json_array_append_new(rows, o);
    }
    const difference *first = first_bad(c);
    json_t *o = json_pack("{s:o,s:f,s:b}", "values", rows, "tolerance", c->tolerance, "within", !c->failed);
    json_object_set_new(o, "first_divergence", first ? json_string(first->name) : json_null());
    json_dumpf(o, stdout, JSON_INDENT(1) | JSON_PRESERVE_ORDER);
    putchar('\n');
    json_decref(o);
}

static void print_row(const difference *d) {
    if (d->trouble) printf("%-7s %-44s %-20s %s\n", d->output ? "output" : "", d->name, d->type, d->trouble);
    else printf("%-7s %-44s %-20s %11.3g %11.3g %11.3g%s\n", d->output ? "output" : "", d->name, d->type, d->most, d->rms, d->relative, d->bad ? "  *" : "");
}

static void print_text(const comparison *c) {
    const difference *first = first_bad(c);
    size_t shown = 0;
    printf("%-7s %-44s %-20s %11s %11s %11s\n", "", "value", "type", "max|a-b|", "rms(a-b)", "relative");
    for (size_t i = 0; i < c->n; i++) {
        const difference *d = &c->rows[i];
        bool wanted = d->output || common.verbose || (d->bad && shown < 20) || d == first;
        if (wanted) print_row(d);
        shown += wanted && !d->output;
    }
    if (first) printf("first divergence: %s\n", first->name);
    else if (!c->outputs_only) printf("all values inside that both have are within %g\n", c->tolerance);
    printf("%zu values compared, %zu above %g; outputs %s\n", c->n, c->n_bad, c->tolerance, c->failed ? "differ" : "agree");
}

static int write_page(const comparison *c) {
    static const char *const columns[] = {"", "value", "type", "max |a-b|", "rms (a-b)", "relative", NULL};
    html_page page;
    const difference *first = first_bad(c);
    int code = html_open(&page, c->html, "comparison");
    if (code) return code;
    fputs("<p>A: ", page.out);
    html_text(page.out, c->path[0]);
    fprintf(page.out, " on %s<br>B: ", c->device[0]);
    html_text(page.out, c->path[1]);
    fprintf(page.out, " on %s<br>tolerance %g: outputs %s", c->device[1], c->tolerance, c->failed ? "differ" : "agree");
    if (first) fputs("<br>first divergence: ", page.out), html_text(page.out, first->name);
    fputs("</p>\n", page.out);
    html_table(page.out, columns);
    for (size_t i = 0; i < c->n; i++) {
        const difference *d = &c->rows[i];
        fprintf(page.out, "<tr%s>", d->bad ? " class=\"bad\"" : "");
        html_cell(page.out, d->output ? "output" : "");
        html_cell(page.out, d->name);
        html_cell(page.out, d->type);
        if (d->trouble) html_cell(page.out, d->trouble);
        else fprintf(page.out, "<td class=\"n\">%.3g</td><td class=\"n\">%.3g</td><td class=\"n\">%.3g</td>", d->most, d->rms, d->relative);
        fputs("</tr>\n", page.out);
    }
    fputs("</table>\n", page.out);
    return html_close(&page);
}

int cmd_compare(int argc, char **argv) {
    arg_list positionals = {0};
    const char *device2 = NULL;
    comparison c = {.tolerance = 1e-3};
    const arg_option options[] = {{"input i", ARG_LIST, &c.inputs, "NAME=FILE", "data of an input; random otherwise", NULL},
                                  {"shape", ARG_LIST, &c.shapes, "NAME[1,3,224,224]", "shapes of inputs; open sizes are 1 otherwise", NULL},
                                  {"device2", ARG_STRING, &device2, "NAME", "device of B, when not that of A", NULL},
                                  {"tolerance", ARG_REAL, &c.tolerance, "T", "exit code 4 when an output's rms error is above T times its rms (0.001)", NULL},
                                  {"outputs-only", ARG_FLAG, &c.outputs_only, NULL, "do not look at the values inside", NULL},
                                  {"html", ARG_STRING, &c.html, "FILE", "the table as a page", NULL},
                                  EXTENSION_OPTION,
                                  COMMON_OPTIONS};
    const arg_spec spec = {.usage = "A [B]", .summary = "Outputs of two models, or of one on two devices, on the same inputs, layer by layer.",
                           .example = "olivine compare model.onnx --device CPU --device2 REFERENCE",
                           .options = options, .n_options = sizeof options / sizeof options[0], .positionals = &positionals};
    int code = args_parse("compare", &spec, argc, argv);
    if (code) return code - 1;
    olv_error err;
    c.path[0] = take_model(&positionals);
    c.path[1] = positionals.count ? positionals.items[0] : c.path[0];
    c.device[0] = common.device;
    c.device[1] = device2 ? device2 : common.device;
    if (!c.path[0]) code = 2;
    else if (compare(&c, &err) != OLV_OK) code = report(&err);
    if (!code) (common.json ? print_json : print_text)(&c);
    if (!code && c.html) code = write_page(&c);
    if (!code && c.failed) {
        fprintf(stderr, "olivine: error: outputs differ by up to %.3g of their size, %g at most was asked for\n", c.worst_output, c.tolerance);
        code = olv_status_exit_code(OLV_GOAL);
    }
    close_side(&c.a), close_side(&c.b);
    for (size_t i = 0; i < c.n; i++) free(c.rows[i].name), free(c.rows[i].type);
    free(c.rows);
    args_free_list(&positionals), args_free_list(&c.inputs), args_free_list(&c.shapes);
    return code;
}
