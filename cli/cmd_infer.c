/* SPDX-License-Identifier: Apache-2.0 */
/* One inference, or one for each JSON line. */
#include "args.h"
#include "graph_model.h"
#include "jsonl.h"
#include <errno.h>
#include <olivine/model.h>
#include <olivine/pipeline.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int cmd_infer(int argc, char **argv);

typedef struct infer_ctx {
    graph_model model;
    olv_request *request;
    const char *dir, *format;
    olv_tensor **held; /* by input */
} infer_ctx;

static olv_status give(infer_ctx *c, const char *name, const char *path, olv_error *err) {
    int i = olv_compiled_find_input(c->model.compiled, name);
    olv_port port;
    olv_tensor *t;
    if (i < 0) return olv_request_set_input(c->request, name, NULL, err); /* says which names there are */
    olv_compiled_get_input(c->model.compiled, (size_t)i, &port);
    olv_status s = olv_tensor_read(path, &port, &t, err);
    if (s != OLV_OK) return s;
    olv_tensor_destroy(c->held[i]);
    c->held[i] = t;
    return olv_request_set_input_at(c->request, (size_t)i, t, err);
}

/* Takes every input away, so that one line does not see another's. */
static void forget(infer_ctx *c) {
    olv_error ignored;
    for (size_t i = 0; i < olv_compiled_n_inputs(c->model.compiled); i++) {
        olv_port port;
        olv_compiled_get_input(c->model.compiled, i, &port);
        if (!port.has_default && olv_request_set_input_at(c->request, i, NULL, &ignored) != OLV_OK) continue;
        olv_tensor_destroy(c->held[i]);
        c->held[i] = NULL;
    }
}

/* A name of an output as part of a file's name. */
static void file_name(char *out, size_t size, const char *dir, size_t index, const char *name, const char *format) {
    size_t n = (size_t)snprintf(out, size, "%s/%zu_", dir, index);
    for (; *name && n + 8 < size; name++) out[n++] = strchr("/\\: \t\n", *name) ? '_' : *name;
    if (n < size) snprintf(out + n, size - n, ".%s", format);
}

static olv_status write_outputs(infer_ctx *c, size_t index, json_t **out, olv_error *err) {
    json_t *files = json_object();
    olv_status s = OLV_OK;
    for (size_t i = 0; s == OLV_OK && i < olv_compiled_n_outputs(c->model.compiled); i++) {
        olv_port port;
        char path[4096];
        olv_compiled_get_output(c->model.compiled, i, &port);
        file_name(path, sizeof path, c->dir, index, port.name, c->format);
        const olv_tensor *t = olv_request_get_output(c->request, i);
        s = olv_tensor_write(t, path, c->format, err);
        if (s == OLV_OK) json_object_set_new(files, port.name, json_string(path));
    }
    if (s == OLV_OK) *out = json_pack("{s:o}", "outputs", files);
    else json_decref(files);
    return s;
}

static olv_status answer(void *ctx, size_t index, const json_t *item, json_t **out, olv_error *err) {
    infer_ctx *c = ctx;
    const json_t *inputs = json_object_get(item, "inputs"), *path;
    const char *name;
    if (!json_is_object(inputs)) return cli_fail(err, OLV_ARG, "\"inputs\": an object of names and files is expected");
    olv_status s = OLV_OK;
    json_object_foreach((json_t *)(uintptr_t)inputs, name, path) {
        if (s == OLV_OK && !json_is_string(path)) s = cli_fail(err, OLV_ARG, "input '%s': the path of a file is expected", name);
        if (s == OLV_OK) s = give(c, name, json_string_value(path), err);
    }
    if (s == OLV_OK) s = olv_request_run(c->request, err);
    if (s == OLV_OK) s = write_outputs(c, index, out, err);
    forget(c);
    return s;
}

/* A short look at each output, and its file. */
static int print_outputs(infer_ctx *c) {
    olv_error err;
    json_t *files;
    if (write_outputs(c, 0, &files, &err) != OLV_OK) return report(&err);
    if (common.json) {
        char *text = json_dumps(files, JSON_PRESERVE_ORDER);
        puts(text ? text : "{}");
        free(text);
    } else {
        for (size_t i = 0; i < olv_compiled_n_outputs(c->model.compiled); i++) {
            olv_port port;
            olv_compiled_get_output(c->model.compiled, i, &port);
            const olv_tensor *t = olv_request_get_output(c->request, i);
            printf("%s: %s[", port.name, olv_dtype_name(olv_tensor_get_dtype(t)));
            for (int d = 0; d < olv_tensor_get_rank(t); d++) printf("%s%lld", d ? "," : "", (long long)olv_tensor_get_dims(t)[d]);
            printf("] -> %s\n", json_string_value(json_object_get(json_object_get(files, "outputs"), port.name)));
        }
    }
    json_decref(files);
    return 0;
}

static int infer_once(infer_ctx *c, const arg_list *inputs) {
    olv_error err;
    for (size_t i = 0; i < inputs->count; i++) {
        const char *eq = strchr(inputs->items[i], '=');
        if (!eq) return usage_error("--input %s: name=FILE expected", inputs->items[i]);
        char *name = strndup(inputs->items[i], (size_t)(eq - inputs->items[i]));
        olv_status s = name ? give(c, name, eq + 1, &err) : cli_fail(&err, OLV_NOMEM, "out of memory");
        free(name);
        if (s != OLV_OK) return report(&err);
    }
    if (olv_request_run(c->request, &err) != OLV_OK) return report(&err);
    return print_outputs(c);
}

int cmd_infer(int argc, char **argv) {
    arg_list positionals = {0}, inputs = {0}, shapes = {0};
    graph_preprocess preprocess = {0};
    infer_ctx c = {.dir = ".", .format = "npy"};
    const arg_option options[] = {{"input i", ARG_LIST, &inputs, "NAME=FILE", ".npy, .pb, .json, .png or .jpg file of an input", NULL},
                                  {"output-dir o", ARG_STRING, &c.dir, "DIR", "where the outputs go", NULL},
                                  {"output-format", ARG_STRING, &c.format, "F", "npy, pb, json", NULL},
                                  {"shape", ARG_LIST, &shapes, "NAME[1,3,224,224]", "fixes the shape of an input", NULL},
                                  {"jsonl", ARG_FLAG, &common.jsonl, NULL, "one inference for each JSON line of standard input", NULL},
                                  PREPROCESS_OPTIONS(preprocess), EXTENSION_OPTION,
                                  COMMON_OPTIONS};
    const arg_spec spec = {.usage = "MODEL --input NAME=FILE ... [--output-dir DIR]", .summary = "Runs a model once.",
                           .example = "olivine infer model.onnx --input x=x.npy --output-dir out",
                           .options = options, .n_options = sizeof options / sizeof options[0], .positionals = &positionals};
    int code = args_parse("infer", &spec, argc, argv);
    if (code) return code - 1;
    olv_error err;
    if (mkdir(c.dir, 0777) && errno != EEXIST) code = usage_error("cannot make folder '%s': %s", c.dir, strerror(errno));
    if (!code) code = open_graph_model(&positionals, &shapes, &preprocess, &c.model);
    if (!code) {
        c.held = calloc(olv_compiled_n_inputs(c.model.compiled) + 1, sizeof *c.held);
        if (!c.held || olv_request_create(c.model.compiled, &c.request, &err) != OLV_OK) code = report(&err);
    }
    if (!code) code = common.jsonl ? jsonl_run(answer, &c) : infer_once(&c, &inputs);
    for (size_t i = 0; c.held && i < olv_compiled_n_inputs(c.model.compiled); i++) olv_tensor_destroy(c.held[i]);
    free(c.held);
    olv_request_destroy(c.request);
    close_graph_model(&c.model);
    args_free_list(&positionals), args_free_list(&inputs), args_free_list(&shapes);
    return code;
}
