/* SPDX-License-Identifier: Apache-2.0 */
/* What a MODEL argument means, and what lies there. */
#include "bundle/bundle.h"

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"
#include "base/wire/protobuf.h"
#include "formats/pytorch/pytorch.h"
#include "formats/safetensors/safetensors.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

const char *ol_bundle_kind_name(ol_bundle_kind k) {
    static const char *const names[] = {"none", "hf", "ort-genai", "openvino", "gguf", "onnx"};
    return names[k];
}

/* ---- hub ids ---- */

static bool is_hub_id(const char *s) {
    int slashes = 0;
    if (!isalnum((unsigned char)*s)) return false;
    for (const char *p = s; *p; p++) {
        if (*p == '/')
            slashes++;
        else if (!isalnum((unsigned char)*p) && !strchr("._-", *p))
            return false;
    }
    return slashes == 1 && s[strlen(s) - 1] != '/' && !strstr(s, "..");
}

/* The first line of a small file, trimmed; NULL when there is none. */
static char *first_line(const char *path) {
    char *text;
    size_t len;
    if (ol_file_read(path, 4096, &text, &len, NULL) != OLV_OK) return NULL;
    text[strcspn(text, "\r\n \t")] = 0;
    return text;
}

/* The snapshot folder of a cached repository, or NULL. */
static char *find_snapshot(const char *repo, const char *rev) {
    char buf[4096 + 512], *hash = NULL, *found = NULL;
    if (strstr(rev, "..") || *rev == '/') return NULL;
    snprintf(buf, sizeof buf, "%s/refs/%s", repo, rev);
    hash = first_line(buf);
    if (hash && *hash && !strchr(hash, '/') && hash[0] != '.') {
        snprintf(buf, sizeof buf, "%s/snapshots/%s", repo, hash);
        if (ol_dir_exists(buf)) found = ol_path_join(repo, buf + strlen(repo) + 1);
    }
    ol_free(hash);
    snprintf(buf, sizeof buf, "%s/snapshots/%s", repo, rev);
    if (!found && !strchr(rev, '/') && ol_dir_exists(buf)) found = ol_path_join(repo, buf + strlen(repo) + 1);
    if (!found && strcmp(rev, "main") == 0) { /* a copy without refs: its only snapshot */
        char **names;
        size_t n;
        snprintf(buf, sizeof buf, "%s/snapshots", repo);
        if (ol_dir_exists(buf) && ol_dir_list(buf, &names, &n, NULL) == OLV_OK) {
            if (n == 1) found = ol_path_join(buf, names[0]);
            ol_dir_list_free(names, n);
        }
    }
    return found;
}

/* The places of the hub cache, the first of them by the environment. */
static size_t cache_roots(char roots[4][2048]) {
    const char *hub = getenv("HF_HUB_CACHE"), *home = getenv("HF_HOME"), *xdg = getenv("XDG_CACHE_HOME");
    const char *user = getenv("HOME");
    size_t n = 0;
    if (hub && *hub) snprintf(roots[n++], sizeof roots[0], "%s", hub);
    if (home && *home) {
        snprintf(roots[n++], sizeof roots[0], "%s/hub", home);
        snprintf(roots[n++], sizeof roots[0], "%s", home);
    } else if (xdg && *xdg) {
        snprintf(roots[n++], sizeof roots[0], "%s/huggingface/hub", xdg);
    } else if (user && *user) {
        snprintf(roots[n++], sizeof roots[0], "%s/.cache/huggingface/hub", user);
    }
    return n;
}

bool ol_bundle_hub_cache(char *root, size_t size) {
    char roots[4][2048];
    return cache_roots(roots) && snprintf(root, size, "%s", roots[0]) < (int)size;
}

olv_status ol_bundle_hub_find(const char *id, const char *cache_dir, const char *rev, char **path, olv_error *err) {
    char roots[4][2048], repo[4096];
    size_t n = cache_dir ? 1 : cache_roots(roots);
    if (cache_dir && snprintf(roots[0], sizeof roots[0], "%s", cache_dir) >= (int)sizeof roots[0])
        return ol_fail(err, OLV_LIMIT, "the cache folder's path is too long");
    const char *slash = strchr(id, '/');
    for (size_t i = 0; i < n; i++) {
        if (slash) snprintf(repo, sizeof repo, "%s/models--%.*s--%s", roots[i], (int)(slash - id), id, slash + 1);
        else snprintf(repo, sizeof repo, "%s/models--%s", roots[i], id);
        if (!ol_dir_exists(repo)) continue;
        char *found = find_snapshot(repo, rev);
        if (found) {
            *path = found;
            return OLV_OK;
        }
        return ol_fail(err, OLV_NOT_FOUND, "%s: the local hub cache %s has no snapshot of revision '%s'", id, repo, rev);
    }
    return ol_fail(err, OLV_NOT_FOUND, "%s: neither a folder ./%s nor in the local hub cache (%s)", id, id,
                   n ? roots[0] : "no cache folder is known");
}

/* *found: path, or path with one of the extensions of model files; NULL when there is none of them. */
static olv_status find_existing(const char *path, char **found, olv_error *err) {
    static const char *const extensions[] = {"", ".xml", ".onnx", ".gguf"};
    char buf[4096];
    for (size_t i = 0; i < sizeof extensions / sizeof extensions[0]; i++) {
        int n = snprintf(buf, sizeof buf, "%s%s", path, extensions[i]);
        if (n > 0 && (size_t)n < sizeof buf && (ol_file_exists(buf) || (i == 0 && ol_dir_exists(buf)))) {
            *found = ol_alloc((size_t)n + 1);
            if (!*found) return ol_fail(err, OLV_NOMEM, "no memory for a path");
            memcpy(*found, buf, (size_t)n + 1);
            return OLV_OK;
        }
    }
    *found = NULL;
    return OLV_OK;
}

olv_status ol_bundle_resolve(const char *model, const char *revision, char **path, olv_error *err) {
    if (!model || !*model) return ol_fail(err, OLV_ARG, "no model given");
    char *found;
    OL_TRY(find_existing(model, &found, err));
    if (found) {
        size_t n = strlen(found);
        while (n > 1 && found[n - 1] == '/') found[--n] = 0;
        *path = found;
        return OLV_OK;
    }
    if (is_hub_id(model)) return ol_bundle_hub_find(model, NULL, revision ? revision : "main", path, err);
    return ol_fail(err, OLV_NOT_FOUND, "%s: no such file or folder", model);
}

/* ---- recognizing ---- */

/* A ModelProto: top-level fields parse, ir_version is a small number, and there is a graph. */
static bool is_onnx(const ol_file *f) {
    if (f->size < 4 || f->data[0] != 0x08) return false;
    ol_bytes r = ol_bytes_of(f->data, (size_t)f->size);
    ol_pb_field field;
    bool graph = false, version = false;
    int more;
    while ((more = ol_pb_next(&r, &field)) == 1) {
        if (field.number == 1 && field.wire == 0) version = field.value > 0 && field.value < 1000;
        if (field.number == 7 && field.wire == 2) graph = true;
    }
    return more == 0 && graph && version;
}

/* An IR: "<net" among the first bytes of an XML text. */
static bool is_openvino(const ol_file *f) {
    size_t n = f->size < 4096 ? (size_t)f->size : 4096;
    return n > 8 && memchr(f->data, '<', 16 < n ? 16 : n) && memmem(f->data, n, "<net", 4);
}

static bool is_safetensors(const ol_file *f) {
    if (f->size < 10) return false;
    ol_bytes r = ol_bytes_of(f->data, (size_t)f->size);
    uint64_t n = ol_bytes_u64(&r);
    return n >= 2 && n <= f->size - 8 && f->data[8] == '{';
}

/* A file that cannot be opened is of no kind; lack of memory alone is an error. */
static olv_status recognize_file(const char *path, ol_bundle_kind *kind, olv_error *err) {
    ol_file *f;
    ol_bundle_kind k = *kind = OL_BUNDLE_NONE;
    olv_status s = ol_file_open(path, &f, err);
    if (s != OLV_OK) return s == OLV_NOMEM ? s : OLV_OK;
    if (f->size >= 8 && memcmp(f->data, "GGUF", 4) == 0)
        k = OL_BUNDLE_GGUF;
    else if (f->size && is_onnx(f))
        k = OL_BUNDLE_ONNX;
    else if (f->size && is_openvino(f))
        k = OL_BUNDLE_OPENVINO;
    else if (is_safetensors(f))
        k = OL_BUNDLE_HF;
    ol_file_release(f);
    *kind = k;
    return OLV_OK;
}

static bool has(const char *dir, const char *name) {
    char path[4096];
    int n = snprintf(path, sizeof path, "%s/%s", dir, name);
    return n > 0 && (size_t)n < sizeof path && ol_file_exists(path);
}

static olv_status take_path(char **file, const char *dir, const char *name, olv_error *err) {
    if (!file) return OLV_OK;
    ol_free(*file);
    *file = ol_path_join(dir, name);
    return *file ? OLV_OK : ol_fail(err, OLV_NOMEM, "no memory to look at '%s'", dir);
}

/* "x-00002-of-00003.gguf" and the like: a further part of a split file. */
static bool is_later_part(const char *name) {
    const char *of = strstr(name, "-of-");
    return of && of - name >= 6 && of[-6] == '-' && strncmp(of - 5, "00001", 5) != 0;
}

/* The only model file of a folder, tried by content where the name says little. */
static olv_status only_model(const char *dir, ol_bundle_kind *kind, char **file, olv_error *err) {
    char **names;
    size_t n;
    ol_bundle_kind found = *kind = OL_BUNDLE_NONE;
    int count = 0;
    olv_status s = ol_dir_list(dir, &names, &n, err);
    if (s != OLV_OK) return s == OLV_NOMEM ? s : OLV_OK;
    for (size_t i = 0; s == OLV_OK && i < n && n < 4096; i++) {
        static const char *const skip[] = {".json", ".txt", ".jsonl", ".md", ".bin", ".data", ".npy", ".npz", ".py",
                                           ".jinja", ".model", ".safetensors"};
        ol_str name = ol_str_of(names[i]);
        bool skipped = is_later_part(names[i]);
        for (size_t k = 0; k < sizeof skip / sizeof skip[0]; k++) skipped = skipped || ol_str_ends(name, skip[k]);
        /* The tokenizer graphs of an OpenVINO folder are no models of their own. */
        if (skipped || strstr(names[i], "tokenizer") || strstr(names[i], "onnx.data")) continue;
        char *path = ol_path_join(dir, names[i]);
        ol_bundle_kind k = OL_BUNDLE_NONE;
        if (!path) s = ol_fail(err, OLV_NOMEM, "no memory to look at '%s'", dir);
        else if (ol_file_exists(path)) s = recognize_file(path, &k, err);
        ol_free(path);
        if (k == OL_BUNDLE_NONE || k == OL_BUNDLE_HF) continue;
        if (count++ == 0) {
            found = k;
            s = take_path(file, dir, names[i], err);
        }
    }
    ol_dir_list_free(names, n);
    if (count > 1 || s != OLV_OK) found = OL_BUNDLE_NONE;
    if (found == OL_BUNDLE_NONE && file) {
        ol_free(*file);
        *file = NULL;
    }
    *kind = found;
    return s;
}

olv_status ol_bundle_recognize(const char *path, ol_bundle_kind *kind, char **file, olv_error *err) {
    if (file) *file = NULL;
    if (!ol_dir_exists(path)) {
        ol_bundle_kind k;
        OL_TRY(recognize_file(path, &k, err));
        if (k == OL_BUNDLE_NONE) {
            ol_str name = ol_str_of(ol_path_name(path));
            if (ol_str_is(name, "config.json") || ol_str_is(name, "model.safetensors.index.json")) k = OL_BUNDLE_HF;
            if (ol_str_is(name, "genai_config.json")) k = OL_BUNDLE_ORT_GENAI;
        }
        if (k == OL_BUNDLE_ONNX || k == OL_BUNDLE_OPENVINO || k == OL_BUNDLE_GGUF) {
            char dir[4096];
            const char *name = ol_path_name(path);
            snprintf(dir, sizeof dir, "%.*s", name == path ? 1 : (int)(name - path - 1), name == path ? "." : path);
            OL_TRY(take_path(file, dir, name, err));
        }
        *kind = k;
        return OLV_OK;
    }
    *kind = OL_BUNDLE_ORT_GENAI;
    if (has(path, "genai_config.json")) return OLV_OK;
    *kind = OL_BUNDLE_OPENVINO;
    if (has(path, "openvino_model.xml")) return take_path(file, path, "openvino_model.xml", err);
    bool config = has(path, "config.json");
    *kind = OL_BUNDLE_HF;
    if (config && (ol_safetensors_in(path) || ol_pytorch_in(path))) return OLV_OK;
    OL_TRY(only_model(path, kind, file, err));
    if (*kind == OL_BUNDLE_NONE && config) *kind = OL_BUNDLE_HF;
    return OLV_OK;
}
