/* SPDX-License-Identifier: Apache-2.0 */
/* OpenVINO's converter by its own name and flags: ovc MODEL [--output_model PATH] [--input ..] [--output ..]. */
#include "args.h"
#include <olivine/model.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int cmd_ovc(int argc, char **argv);

static char *copy(const char *s, size_t n) {
    char *c = malloc(n + 5);
    if (!c) return NULL;
    memcpy(c, s, n);
    c[n] = 0;
    return c;
}

/* "dir/model.onnx" gives "model.xml" in this folder; a folder or a name without ".xml" is completed. */
static char *output_path(const char *model, const char *out) {
    const char *from = out ? out : strrchr(model, '/') ? strrchr(model, '/') + 1 : model;
    size_t n = strlen(from);
    if (n > 4 && !strcmp(from + n - 4, ".xml")) return copy(from, n);
    const char *dot = strrchr(from, '.');
    if (!out && dot && !strchr(dot, '/')) n = (size_t)(dot - from);
    char *path = copy(from, n);
    if (path) strcpy(path + n, ".xml");
    return path;
}

/* The next part of a list "a[1,3],b[?,2..5]{f32}" up to a comma outside of brackets. */
static const char *part_end(const char *p) {
    for (int depth = 0; *p && (depth || *p != ','); p++) depth += *p == '[' ? 1 : *p == ']' ? -1 : 0;
    return p;
}

/* "1,3,?,2..5" into ranges; -1 when malformed. */
static int parse_shape(const char *p, const char *end, olv_range *out) {
    int rank = 0;
    while (p < end) {
        char *next;
        olv_range r = {0, -1};
        if (rank == OLV_MAX_RANK) return -1;
        while (p < end && *p == ' ') p++;
        if (*p == '?') p++;
        else if (p + 1 < end && p[0] == '-' && p[1] == '1') p += 2;
        else {
            if (*p != '.') {
                r.least = r.most = strtoll(p, &next, 10);
                if (next == p || r.least < 0) return -1;
                p = next;
            }
            if (p + 1 < end && p[0] == '.' && p[1] == '.') {
                p += 2;
                r.most = -1;
                if (p < end && *p >= '0' && *p <= '9') r.most = strtoll(p, &next, 10), p = next;
            }
        }
        out[rank++] = r;
        while (p < end && *p == ' ') p++;
        if (p < end && *p++ != ',') return -1;
    }
    return rank;
}

/* Shapes of inputs: by name, or in their order where a part has brackets alone. Other types than their own are refused. */
static int set_inputs(olv_model *m, const char *list, olv_error *err) {
    size_t index = 0;
    for (const char *p = list; p && *p; index++) {
        const char *end = part_end(p), *open = memchr(p, '[', (size_t)(end - p)), *close = open ? memchr(open, ']', (size_t)(end - open)) : NULL;
        const char *type = memchr(close ? close : p, '{', (size_t)(end - (close ? close : p)));
        olv_port port;
        olv_range sizes[OLV_MAX_RANK];
        char name[512] = "";
        size_t n = (size_t)((open ? open : type ? type : end) - p);
        if (type) return usage_error("--input: element types of inputs stay as they are ('%.*s')", (int)(end - p), p);
        if (n >= sizeof name) return usage_error("--input: a name of %zu bytes", n);
        memcpy(name, p, n);
        name[n] = 0;
        if (!n && index < olv_model_n_inputs(m)) {
            olv_model_get_input(m, index, &port);
            snprintf(name, sizeof name, "%s", port.name);
        }
        if (open) {
            int rank = close ? parse_shape(open + 1, close, sizes) : -1;
            if (rank < 0) return usage_error("--input: '%.*s' is no shape", (int)(end - open), open);
            if (olv_model_reshape_ranges(m, name, rank, sizes, err) != OLV_OK) return report(err);
        }
        p = *end ? end + 1 : end;
    }
    return 0;
}

static int set_outputs(olv_model *m, const char *list, olv_error *err) {
    for (const char *p = list; p && *p;) {
        const char *end = part_end(p);
        char name[512];
        if ((size_t)(end - p) >= sizeof name) return usage_error("--output: a name of %zu bytes", (size_t)(end - p));
        memcpy(name, p, (size_t)(end - p));
        name[end - p] = 0;
        bool there = false;
        for (size_t i = 0; i < olv_model_n_outputs(m); i++) {
            olv_port port;
            olv_model_get_output(m, i, &port);
            there |= !strcmp(port.name, name);
        }
        if (!there && olv_model_add_output(m, name, err) != OLV_OK) return report(err);
        p = *end ? end + 1 : end;
    }
    return 0;
}

/* ovc's way of saying it: True and False, in any case. Nothing said is True. */
static bool says_no(const char *s) { return s && (*s == 'F' || *s == 'f' || *s == '0' || *s == 'N' || *s == 'n'); }

int cmd_ovc(int argc, char **argv) {
    arg_list positionals = {0};
    const char *out = NULL, *input = NULL, *output = NULL, *fp16 = NULL;
    const arg_option options[] = {{"output_model", ARG_STRING, &out, "PATH", "the .xml to write (MODEL.xml in this folder)", NULL},
                                  {"model input_model m", ARG_STRING, &common.model, "MODEL", "an .onnx or .xml file", NULL},
                                  {"input", ARG_STRING, &input, "NAME[SHAPE],..", "shapes of inputs: 'x[1,3,?,2..8]'", NULL},
                                  {"output", ARG_STRING, &output, "NAME,..", "values that are outputs too", NULL},
                                  {"compress_to_fp16", ARG_STRING, &fp16, "True|False", "store f32 constants as f16 (True)", NULL},
                                  {"verbose", ARG_FLAG, &common.verbose, NULL, "say more", NULL}};
    const arg_spec spec = {.usage = "MODEL [--output_model PATH]", .summary = "Writes a model as OpenVINO IR.",
                           .example = "ovc model.onnx --output_model model.xml --compress_to_fp16 False",
                           .options = options, .n_options = sizeof options / sizeof options[0], .positionals = &positionals};
    int code = args_parse("ovc", &spec, argc, argv);
    if (code) return code - 1;
    const char *model = take_model(&positionals);
    char *path = model ? output_path(model, out) : NULL;
    olv_error err = {.message = ""};
    olv_model *m = NULL;
    if (!model) code = 2;
    else if (!path) code = usage_error("ovc: no memory for a path");
    else if (olv_model_read(model, &m, &err) != OLV_OK) code = report(&err);
    if (!code) code = set_inputs(m, input, &err);
    if (!code) code = set_outputs(m, output, &err);
    if (!code && olv_model_save_openvino(m, path, !says_no(fp16), &err) != OLV_OK) code = report(&err);
    if (!code) printf("%s\n", path);
    olv_model_destroy(m);
    free(path);
    args_free_list(&positionals);
    return code;
}
