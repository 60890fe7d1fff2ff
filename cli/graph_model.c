/* SPDX-License-Identifier: Apache-2.0 */
#include "graph_model.h"
#include "jsonl.h"
#include <dirent.h>
#include <olivine/extension.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* "3", "?" or "-1" (any size), "1..10", "1.." or "..10"; the place behind it, NULL when it is none of these. */
static const char *parse_range(const char *p, olv_range *out) {
    char *end = (char *)(uintptr_t)p + 1;
    *out = (olv_range){0, -1};
    if (*p == '?') return end;
    if (p[0] != '.') {
        out->least = strtoll(p, &end, 10);
        if (end == p || out->least < -1) return NULL;
        out->most = out->least;
        if (out->least < 0) out->least = 0;
    }
    p = p[0] == '.' ? p : end;
    if (p[0] != '.' || p[1] != '.') return p;
    out->most = -1;
    p += 2;
    if (*p < '0' || *p > '9') return p;
    out->most = strtoll(p, &end, 10);
    return end;
}

/* "name[1,3,?,1..8]"; commas may separate several shapes. */
olv_status reshape_graph_model(olv_model *m, const char *text, olv_error *err) {
    while (*text) {
        const char *open = strchr(text, '['), *close = open ? strchr(open, ']') : NULL;
        olv_range sizes[OLV_MAX_RANK];
        int rank = 0;
        char name[512];
        if (!close || (size_t)(open - text) >= sizeof name) return cli_fail(err, OLV_ARG, "--shape %.200s: name[1,2,3] expected", text);
        memcpy(name, text, (size_t)(open - text));
        name[open - text] = 0;
        if (!*name && olv_model_n_inputs(m) > 0) {
            olv_port port;
            olv_model_get_input(m, 0, &port);
            snprintf(name, sizeof name, "%s", port.name);
        }
        for (const char *p = open + 1; p < close;) {
            const char *end = rank < OLV_MAX_RANK ? parse_range(p, &sizes[rank++]) : NULL;
            if (!end || (end < close && !strchr(", ", *end))) return cli_fail(err, OLV_ARG, "--shape %.200s: sizes like 3, ? or 1..8 expected in [...]", text);
            p = end + strspn(end, ", ");
        }
        olv_status s = olv_model_reshape_ranges(m, name, rank, sizes, err);
        if (s != OLV_OK) return s;
        text = close + 1;
        while (*text == ',' || *text == ' ') text++;
    }
    return OLV_OK;
}

/* Properties of --config, and those that other options stand for. */
size_t graph_properties(const char **out, graph_property_texts *texts) {
    size_t n = 0;
    char *threads = texts->threads, *precision = texts->precision;
    if (common.threads > 0) {
        snprintf(threads, sizeof texts->threads, "INFERENCE_NUM_THREADS=%lld", (long long)common.threads);
        out[n++] = threads;
    }
    if (common.precision && strcmp(common.precision, "default")) {
        snprintf(precision, sizeof texts->precision, "INFERENCE_PRECISION_HINT=%.40s", common.precision);
        out[n++] = precision;
    }
    if (common.cache_dir && !common.no_cache) {
        snprintf(texts->cache, sizeof texts->cache, "CACHE_DIR=%s", common.cache_dir);
        out[n++] = texts->cache;
    }
    for (size_t i = 0; i < common.config.count && n < GRAPH_PROPERTIES; i++) out[n++] = common.config.items[i];
    return n;
}

olv_status read_graph_model(olv_core *core, const char *path, olv_model **out, olv_error *err) {
    olv_status s = OLV_OK;
    for (size_t i = 0; s == OLV_OK && i < common.extensions.count; i++) s = olv_core_load_extension(core, common.extensions.items[i], err);
    return s == OLV_OK ? olv_core_read_model(core, path, out, err) : s;
}

int open_graph_model_named(const char *path, const arg_list *shapes, const graph_preprocess *preprocess, graph_model *out) {
    const char *properties[GRAPH_PROPERTIES];
    graph_property_texts texts;
    olv_error err;
    size_t n = graph_properties(properties, &texts);
    olv_status s = olv_core_create(&out->core, &err);
    if (s == OLV_OK) s = read_graph_model(out->core, path, &out->model, &err);
    for (size_t i = 0; s == OLV_OK && shapes && i < shapes->count; i++) s = reshape_graph_model(out->model, shapes->items[i], &err);
    if (s == OLV_OK && preprocess) s = preprocess_graph_model(out->model, preprocess, &err);
    if (s == OLV_OK) s = olv_compile(out->core, out->model, common.device, properties, n, &out->compiled, &err);
    return s == OLV_OK ? 0 : report(&err);
}

int open_graph_model(arg_list *positionals, const arg_list *shapes, const graph_preprocess *preprocess, graph_model *out) {
    const char *path = take_model(positionals);
    if (!path) return 2;
    return open_graph_model_named(path, shapes, preprocess, out);
}

static const char *const endings[] = {".xml", ".onnx"};

static bool ends_as_model(const char *s) {
    size_t n = strlen(s);
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        if (n > strlen(endings[i]) && !strcmp(s + n - strlen(endings[i]), endings[i])) return true;
    return false;
}

/* A folder with one .onnx or .xml file and no configuration of a language model. */
static bool is_graph_folder(const char *path) {
    DIR *d = opendir(path);
    int models = 0, configs = 0;
    for (const struct dirent *e; d && (e = readdir(d));) {
        models += ends_as_model(e->d_name);
        configs += !strcmp(e->d_name, "config.json") || !strcmp(e->d_name, "genai_config.json");
    }
    if (d) closedir(d);
    return models == 1 && !configs;
}

bool is_graph_file(const char *path) {
    struct stat st;
    char longer[4096];
    if (!path) return false;
    if (!stat(path, &st)) return S_ISREG(st.st_mode) ? ends_as_model(path) : is_graph_folder(path);
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        if (snprintf(longer, sizeof longer, "%s%s", path, endings[i]) < (int)sizeof longer && !stat(longer, &st) && S_ISREG(st.st_mode)) return true;
    return false;
}

void close_graph_model(graph_model *m) {
    olv_compiled_destroy(m->compiled);
    olv_model_destroy(m->model);
    olv_core_destroy(m->core);
    *m = (graph_model){0};
}
