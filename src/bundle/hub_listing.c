/* SPDX-License-Identifier: Apache-2.0 */
#include "bundle/hub_listing.h"
#include "base/error.h"
#include "base/json.h"
#include <ctype.h>
#include <fnmatch.h>
#include <stdio.h>

bool ol_hub_path_ok(const char *path) {
    size_t n = strlen(path), part;
    if (n == 0 || n > 1000 || path[0] == '/' || strchr(path, '\\')) return false;
    for (const char *p = path;; p += part + 1) {
        part = strcspn(p, "/");
        bool dots = (part == 1 && p[0] == '.') || (part == 2 && p[0] == '.' && p[1] == '.');
        if (part == 0 || part > 250 || dots) return false;
        for (size_t i = 0; i < part; i++)
            if ((unsigned char)p[i] < 32) return false;
        if (!p[part]) return true;
    }
}

static bool commit_ok(const char *s) {
    size_t n = strlen(s);
    for (size_t i = 0; i < n; i++)
        if (!isalnum((unsigned char)s[i])) return false;
    return n >= 1 && n < 80;
}

static uint64_t size_of(const json_t *item) {
    const json_t *v = json_object_get(item, "size");
    return json_is_integer(v) && json_integer_value(v) >= 0 ? (uint64_t)json_integer_value(v) : UINT64_MAX;
}

static olv_status read_files(const json_t *siblings, ol_hub_listing *l, olv_error *err) {
    size_t n = json_array_size(siblings), i;
    const json_t *item;
    if (n > OL_HUB_MAX_FILES) return ol_fail(err, OLV_LIMIT, "the model has %zu files, expected at most %d", n, OL_HUB_MAX_FILES);
    l->files = ol_arena_calloc(l->arena, n + 1, sizeof *l->files);
    if (!l->files) return ol_fail(err, OLV_NOMEM, "out of memory");
    json_array_foreach(siblings, i, item) {
        const char *path = json_string_value(json_object_get(item, "rfilename"));
        if (!path) return ol_fail(err, OLV_FORMAT, "entry %zu of \"siblings\" has no name", i);
        if (!ol_hub_path_ok(path)) return ol_fail(err, OLV_FORMAT, "the hub names a file '%.100s', expected a plain relative path", path);
        ol_hub_file *f = &l->files[l->n_files++];
        f->path = ol_arena_strdup(l->arena, path);
        f->size = size_of(item);
        if (!f->path) return ol_fail(err, OLV_NOMEM, "out of memory");
    }
    return OLV_OK;
}

static olv_status read_root(const json_t *j, ol_hub_listing *l, olv_error *err) {
    const char *sha = json_string_value(json_object_get(j, "sha"));
    const json_t *siblings = json_object_get(j, "siblings");
    if (!sha || !commit_ok(sha)) return ol_fail(err, OLV_FORMAT, "the hub's answer has no commit (\"sha\")");
    if (!json_is_array(siblings)) return ol_fail(err, OLV_FORMAT, "the hub's answer has no list of files (\"siblings\")");
    snprintf(l->commit, sizeof l->commit, "%s", sha);
    return read_files(siblings, l, err);
}

olv_status ol_hub_listing_read(const char *json, size_t len, ol_hub_listing *out, olv_error *err) {
    ol_hub_listing l = {.arena = ol_arena_create()};
    json_t *j = NULL;
    olv_status s = l.arena ? ol_json_parse(json, len, "model", &j, err) : ol_fail(err, OLV_NOMEM, "out of memory");
    if (s == OLV_OK) s = read_root(j, &l, err);
    json_decref(j);
    if (s == OLV_OK) *out = l;
    else ol_hub_listing_deinit(&l);
    return s;
}

void ol_hub_listing_deinit(ol_hub_listing *l) {
    if (l->arena) ol_arena_destroy(l->arena);
    *l = (ol_hub_listing){0};
}

/* ---- choosing ---- */

/* A pattern that names a folder means all in it. */
static bool matches(const char *pattern, const char *path) {
    size_t n = strlen(pattern);
    if (n && pattern[n - 1] == '/') return strncmp(pattern, path, n) == 0;
    return fnmatch(pattern, path, 0) == 0;
}

static bool matches_any(const char *const *patterns, size_t n, const char *path) {
    for (size_t i = 0; i < n; i++)
        if (matches(patterns[i], path)) return true;
    return false;
}

static bool ends(const char *path, const char *end) { return ol_str_ends(ol_str_of(path), end); }

/* Forms of weights, the most wanted first; a model needs one. */
static int weight_form(const char *path) {
    if (ends(path, ".safetensors")) return 1;
    if (ends(path, ".onnx") || ends(path, ".onnx.data") || ends(path, ".onnx_data")) return 2;
    if (strstr(path, "openvino_") && (ends(path, ".xml") || ends(path, ".bin"))) return 3;
    if (ends(path, ".gguf")) return 4;
    return ends(path, ".bin") || ends(path, ".pth") || ends(path, ".pt") ? 5 : 0;
}

static bool is_companion(const char *path) {
    static const char *const patterns[] = {"*.json", "*.jinja", "*.model", "*.txt", "*.tiktoken", "*.vocab"};
    return matches_any(patterns, sizeof patterns / sizeof patterns[0], path);
}

/* Copies in folders ("original/", "onnx/") are other forms of what lies at the top. */
static void choose_model_files(ol_hub_listing *l) {
    int best = 0;
    for (size_t i = 0; i < l->n_files; i++) {
        int form = strchr(l->files[i].path, '/') ? 0 : weight_form(l->files[i].path);
        if (form && (!best || form < best)) best = form;
    }
    for (size_t i = 0; i < l->n_files; i++) {
        ol_hub_file *f = &l->files[i];
        bool pooling = strncmp(f->path, "1_Pooling/", 10) == 0 || strncmp(f->path, "2_Dense/", 8) == 0;
        if (strchr(f->path, '/') && !pooling) f->wanted = best == 0 && weight_form(f->path) > 0;
        else f->wanted = is_companion(f->path) || (best && weight_form(f->path) == best) || pooling;
    }
}

olv_status ol_hub_listing_choose(ol_hub_listing *l, const olv_hub_options *o, olv_error *err) {
    size_t n = 0;
    if (o->model_files && !o->n_include) choose_model_files(l);
    else
        for (size_t i = 0; i < l->n_files; i++) l->files[i].wanted = !o->n_include || matches_any(o->include, o->n_include, l->files[i].path);
    for (size_t i = 0; i < l->n_files; i++) {
        if (matches_any(o->exclude, o->n_exclude, l->files[i].path)) l->files[i].wanted = false;
        n += l->files[i].wanted;
    }
    if (n) return OLV_OK;
    if (o->n_include) return ol_fail(err, OLV_NOT_FOUND, "none of the model's %zu files is wanted: none matches '%.100s'%s", l->n_files, o->include[0], o->n_include > 1 ? " and the other patterns" : "");
    return ol_fail(err, OLV_NOT_FOUND, "none of the model's %zu files is wanted", l->n_files);
}
