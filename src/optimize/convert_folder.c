/* SPDX-License-Identifier: Apache-2.0 */
/* A Hugging Face folder again, with its float tensors in another type. */
#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "bundle/bundle.h"
#include "formats/safetensors/output.h"
#include "formats/safetensors/safetensors.h"
#include <dirent.h>
#include <olivine/convert.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MAX_COMPANION (512u << 20)
#define MAX_CONFIG (64u << 20)

/* ---- tensors ---- */

static void release_items(ol_st_item *items, size_t n) {
    for (size_t i = 0; i < n; i++) ol_const_release(items[i].c);
    ol_free(items);
}

/* type NONE: as they are. */
static olv_status write_tensors(const ol_safetensors *st, const char *dir, ol_dtype type, uint64_t shard, olv_progress_fn *progress,
                                void *ctx, olv_error *err) {
    size_t n = ol_safetensors_count(st), made = 0;
    ol_st_item *items = ol_calloc(n + 1, sizeof *items);
    olv_status s = items ? OLV_OK : ol_fail(err, OLV_NOMEM, "out of memory");
    for (; s == OLV_OK && made < n; made++) {
        const ol_st_tensor *t = ol_safetensors_get(st, made);
        bool cast = type != OL_DTYPE_NONE && (t->dtype == OL_F32 || t->dtype == OL_F16 || t->dtype == OL_BF16);
        items[made] = (ol_st_item){t->name.ptr, NULL, cast ? type : t->dtype};
        if ((s = ol_safetensors_const(st, t, &items[made].c, err)) != OLV_OK) break;
    }
    if (s == OLV_OK) s = ol_safetensors_write(dir, items, n, shard, progress, ctx, err);
    release_items(items, made);
    return s;
}

/* ---- other files ---- */

static bool is_companion(const char *name) {
    static const char *const ends[] = {".json", ".jinja", ".txt", ".model", ".tiktoken", ".py", ".md"};
    ol_str s = ol_str_of(name);
    if (name[0] == '.' || ol_str_ends(s, ".index.json") || ol_str_is(s, "olivine.json")) return false;
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
        if (ol_str_ends(s, ends[i])) return true;
    return false;
}

static olv_status copy_file(const char *from, const char *to, olv_error *err) {
    char *data;
    size_t n;
    OL_TRY(ol_file_read(from, MAX_COMPANION, &data, &n, err));
    olv_status s = ol_file_write_atomic(to, data, n, err);
    ol_free(data);
    return s;
}

/* config.json says in which type the weights are, in one of two spellings. */
static olv_status write_config(const char *from, const char *to, ol_dtype type, olv_error *err) {
    json_t *j;
    const char *name = type == OL_F32 ? "float32" : type == OL_F16 ? "float16" : "bfloat16";
    if (type == OL_DTYPE_NONE) return copy_file(from, to, err);
    OL_TRY(ol_json_read_file(from, MAX_CONFIG, &j, err));
    bool ok = json_object_set_new(j, json_object_get(j, "dtype") ? "dtype" : "torch_dtype", json_string(name)) == 0;
    char *text = ok ? json_dumps(j, JSON_INDENT(2)) : NULL;
    json_decref(j);
    if (!text) return ol_fail(err, OLV_NOMEM, "out of memory");
    olv_status s = ol_file_write_atomic(to, text, strlen(text), err);
    free(text);
    return s;
}

static olv_status copy_companions(const char *from, const char *to, ol_dtype type, olv_error *err) {
    char **names;
    size_t n;
    OL_TRY(ol_dir_list(from, &names, &n, err));
    olv_status s = OLV_OK;
    for (size_t i = 0; i < n && s == OLV_OK; i++) {
        char *a = ol_path_join(from, names[i]), *b = ol_path_join(to, names[i]);
        if (!a || !b) s = ol_fail(err, OLV_NOMEM, "out of memory");
        else if (strcmp(names[i], "config.json") == 0) s = write_config(a, b, type, err);
        else if (is_companion(names[i]) && ol_file_exists(a)) s = copy_file(a, b, err);
        ol_free(a);
        ol_free(b);
    }
    ol_dir_list_free(names, n);
    return s;
}

/* ---- the folder ---- */

/* Weights that are codes are no float tensors of other types. */
static olv_status refuse_quantized(const char *folder, olv_error *err) {
    char path[4096];
    json_t *j;
    snprintf(path, sizeof path, "%.4000s/config.json", folder);
    OL_TRY(ol_json_read_file(path, MAX_CONFIG, &j, err));
    const char *method = json_string_value(json_object_get(json_object_get(j, "quantization_config"), "quant_method"));
    olv_status s = method ? ol_fail(err, OLV_UNSUPPORTED, "%s: weights quantized by %.40s, expected float weights", folder, method) : OLV_OK;
    json_decref(j);
    return s;
}

static olv_status fill(const char *folder, const char *part, ol_dtype type, uint64_t shard, olv_progress_fn *progress, void *ctx, olv_error *err) {
    ol_safetensors *st;
    OL_TRY(refuse_quantized(folder, err));
    OL_TRY(ol_safetensors_open(folder, &st, err));
    OL_TRY(ol_dir_create(part, err));
    olv_status s = copy_companions(folder, part, type, err);
    if (s == OLV_OK) s = write_tensors(st, part, type, shard, progress, ctx, err);
    ol_safetensors_close(st);
    return s;
}

static bool is_empty(const char *dir) {
    char **names;
    size_t n = 1;
    if (ol_dir_list(dir, &names, &n, NULL) != OLV_OK) return false;
    ol_dir_list_free(names, n);
    return n == 0;
}

/* OUT appears whole or not at all. */
static olv_status write_folder(const char *folder, const char *out, ol_dtype type, uint64_t shard, bool force, olv_progress_fn *progress,
                               void *ctx, olv_error *err) {
    char part[4096];
    bool there = ol_dir_exists(out);
    if (ol_file_exists(out)) return ol_fail(err, OLV_STATE, "%s: found a file, expected a folder to write", out);
    if (there && !force && !is_empty(out)) return ol_fail(err, OLV_STATE, "%s: the folder is not empty; --force replaces it", out);
    size_t n = strlen(out);
    while (n > 1 && out[n - 1] == '/') n--;
    if (snprintf(part, sizeof part, "%.*s.part-%ld", (int)n, out, (long)getpid()) >= (int)sizeof part) return ol_fail(err, OLV_LIMIT, "the output's path is too long");
    OL_TRY(ol_dir_remove(part, NULL) == OLV_NOMEM ? ol_fail(err, OLV_NOMEM, "out of memory") : OLV_OK);
    olv_status s = fill(folder, part, type, shard, progress, ctx, err);
    if (s == OLV_OK && there) s = ol_dir_remove(out, err);
    if (s == OLV_OK && rename(part, out) != 0) s = ol_fail_errno(err, "%s", out);
    if (s != OLV_OK && ol_dir_exists(part)) {
        olv_status undo = ol_dir_remove(part, NULL);
        (void)undo; /* the first failure is the one to tell */
    }
    return s;
}

olv_status olv_convert_safetensors(const char *model, const char *out, const char *out_type, uint64_t shard_bytes, bool force,
                                   olv_progress_fn *progress, void *ctx, olv_error *err) {
    static const struct {
        const char *name;
        ol_dtype type;
    } types[] = {{"f32", OL_F32}, {"f16", OL_F16}, {"bf16", OL_BF16}, {"as-is", OL_DTYPE_NONE}};
    size_t t = 0;
    while (t < 4 && strcmp(out_type, types[t].name) != 0) t++;
    if (t == 4) return ol_fail(err, OLV_ARG, "type '%.40s', expected f32, f16, bf16 or as-is", out_type);
    ol_bundle *b = NULL;
    ol_bundle_options o = {NULL, true};
    OL_TRY(ol_bundle_open(model, &o, &b, err));
    olv_status s = b->kind == OL_BUNDLE_HF ? write_folder(b->folder, out, types[t].type, shard_bytes, force, progress, ctx, err)
                                           : ol_fail(err, OLV_UNSUPPORTED, "%s: a model of kind %s, expected config.json with safetensors",
                                                     b->path, ol_bundle_kind_name(b->kind));
    ol_bundle_close(b);
    return s;
}
