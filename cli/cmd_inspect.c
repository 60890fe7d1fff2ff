/* SPDX-License-Identifier: Apache-2.0 */
#include "graph_model.h"
#include "inspect_graph.h"
#include "model.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int cmd_inspect(int argc, char **argv);

static void print_value(const char *key, const json_t *v) {
    if (json_is_string(v)) printf("%-18s %s\n", key, json_string_value(v));
    else if (json_is_boolean(v)) printf("%-18s %s\n", key, json_is_true(v) ? "yes" : "no");
    else if (json_is_integer(v)) printf("%-18s %lld\n", key, (long long)json_integer_value(v));
    else if (json_is_real(v)) printf("%-18s %.1f\n", key, json_real_value(v));
}

static void print_text(json_t *o) {
    const char *key;
    json_t *v;
    json_object_foreach(o, key, v) {
        if (strcmp(key, "recurrent_state_bytes")) print_value(key, v);
        else printf("recurrent states   %26.2f MB a sequence\n", (double)json_integer_value(v) / 1e6);
        if (!strcmp(key, "weights"))
            for (size_t i = 0; i < json_array_size(v); i++) {
                const json_t *w = json_array_get(v, i);
                double n = (double)json_integer_value(json_object_get(w, "elements")), b = (double)json_integer_value(json_object_get(w, "bytes"));
                printf("weights            %-24s %14.0f elements  %10.2f MB  %.2f bit each\n", json_string_value(json_object_get(w, "type")), n, b / 1e6, n ? 8 * b / n : 0);
            }
        if (!strcmp(key, "kv_cache_bytes")) {
            const char *length;
            json_t *bytes;
            json_object_foreach(v, length, bytes) printf("kv cache           %-8s tokens %10.2f MB\n", length, (double)json_integer_value(bytes) / 1e6);
        }
    }
}

int cmd_inspect(int argc, char **argv) {
    arg_list positionals = {0};
    graph_inspection what = {0};
    const arg_option options[] = {{"plan", ARG_FLAG, &what.plan, NULL, "steps of the plan with their kernels", NULL},
                                  {"graph", ARG_STRING, &what.graph, "text|json|svg", "graphs: every node, on standard output", NULL},
                                  {"after", ARG_STRING, &what.after, "PASS", "graphs: as it is after that pass", NULL},
                                  {"html", ARG_STRING, &what.html, "FILE", "graphs: a page with tables and the drawn graph", NULL},
                                  EXTENSION_OPTION,
                                  COMMON_OPTIONS};
    const arg_spec spec = {.usage = "MODEL", .summary = "What is in a model.", .example = "olivine inspect model.onnx --html model.html",
                           .options = options, .n_options = sizeof options / sizeof options[0], .positionals = &positionals};
    int code = args_parse("inspect", &spec, argc, argv);
    if (code) return code - 1;
    const char *path = common.model ? common.model : positionals.count ? positionals.items[0] : NULL;
    if (is_graph_file(path)) {
        code = inspect_graph(path, &what);
        args_free_list(&positionals);
        return code;
    }
    if (what.graph || what.after || what.html) {
        args_free_list(&positionals);
        return usage_error("--graph, --after and --html show .onnx files");
    }
    olv_pipeline *p = open_model(&positionals, false, &code);
    olv_error err = {.message = ""};
    char *text = NULL;
    if (p && olv_pipeline_describe(p, &text, &err) != OLV_OK) code = report(&err);
    if (p && !code && common.json) puts(text);
    json_t *o = text && !common.json ? json_loads(text, 0, NULL) : NULL;
    if (o) print_text(o);
    json_decref(o);
    olv_free(text);
    text = NULL;
    if (p && !code && what.plan && !common.json) {
        if (olv_pipeline_plan_text(p, &text, &err) == OLV_OK) fputs(text, stdout);
        else code = report(&err);
        olv_free(text);
    }
    olv_pipeline_close(p);
    args_free_list(&positionals);
    return code;
}
