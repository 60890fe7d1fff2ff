/* SPDX-License-Identifier: Apache-2.0 */
#include "optimize/manifest.h"
#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include <olivine/core.h>

#define PIECE ((uint64_t)16 << 20)
#define MANIFEST_NAME "olivine.json"

/* ---- sums -------------------------------------------------------------------------------------------- */

static olv_status sha256_of_file(const char *folder, const char *name, char hex[65], uint64_t *size, olv_error *err) {
    ol_file *f;
    OL_TRY(ol_file_open_in(folder, name, &f, err));
    ol_sha256 h;
    ol_sha256_init(&h);
    if (f->size) ol_sha256_update(&h, f->data, (size_t)f->size);
    ol_sha256_hex(&h, hex);
    *size = f->size;
    ol_file_release(f);
    return OLV_OK;
}

typedef struct piece_job {
    const ol_file *file;
    uint64_t *sums;
} piece_job;

static void hash_piece(void *ctx, size_t i, int lane) {
    const piece_job *j = ctx;
    uint64_t at = (uint64_t)i * PIECE, left = j->file->size - at;
    (void)lane;
    j->sums[i] = ol_hash64(j->file->data + at, (size_t)(left < PIECE ? left : PIECE), 0);
}

static olv_status add_file(ol_sha256 *h, const char *dir, const char *name, ol_executor *e, olv_error *err) {
    ol_file *f;
    OL_TRY(ol_file_open_in(dir, name, &f, err));
    size_t n = (size_t)((f->size + PIECE - 1) / PIECE);
    piece_job j = {f, ol_calloc(n + 1, sizeof(uint64_t))};
    olv_status s = j.sums ? OLV_OK : ol_fail(err, OLV_NOMEM, "no memory to hash '%s'", name);
    if (s == OLV_OK) {
        ol_executor_for(e, n, hash_piece, &j);
        ol_sha256_update(h, name, strlen(name) + 1);
        ol_sha256_update(h, &f->size, sizeof f->size);
        ol_sha256_update(h, j.sums, n * sizeof *j.sums);
    }
    ol_free(j.sums);
    ol_file_release(f);
    return s;
}

static bool is_model_file(const char *name) {
    static const char *const ends[] = {".safetensors", ".json", ".onnx", ".data", ".bin", ".model", ".jinja", ".txt", ".gguf", ".xml"};
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
        if (ol_str_ends(ol_str_of(name), ends[i])) return true;
    return false;
}

olv_status ol_manifest_source_hash(const char *path, ol_executor *e, char out[65], olv_error *err) {
    ol_sha256 h;
    ol_sha256_init(&h);
    if (!ol_dir_exists(path)) {
        char *dir = ol_alloc(strlen(path) + 1);
        if (!dir) return ol_fail(err, OLV_NOMEM, "no memory to hash '%s'", path);
        size_t n = (size_t)(ol_path_name(path) - path);
        memcpy(dir, path, n);
        dir[n] = 0;
        olv_status s = add_file(&h, dir, ol_path_name(path), e, err);
        ol_free(dir);
        OL_TRY(s);
        ol_sha256_hex(&h, out);
        return OLV_OK;
    }
    char **names;
    size_t n;
    OL_TRY(ol_dir_list(path, &names, &n, err));
    olv_status s = OLV_OK;
    for (size_t i = 0; s == OLV_OK && i < n; i++) {
        char *full = is_model_file(names[i]) ? ol_path_join(path, names[i]) : NULL;
        if (full && ol_file_exists(full)) s = add_file(&h, path, names[i], e, err);
        ol_free(full);
    }
    ol_dir_list_free(names, n);
    OL_TRY(s);
    ol_sha256_hex(&h, out);
    return OLV_OK;
}

/* ---- the document ------------------------------------------------------------------------------------ */

static void put_spec(ol_buf *b, const char *name, const olv_weight_spec *s) {
    static const char *const roundings[] = {"search", "nncf", "ort"};
    ol_buf_printf(b, "{\"applies_to\": \"%s\", \"type\": \"%s\"", name, olv_weight_type_name(s->type));
    if (s->type >= OLV_WEIGHT_INT8_SYM)
        ol_buf_printf(b, ", \"group_size\": %d, \"rounding\": \"%s\", \"scale\": \"%s\"", s->group_size, roundings[s->rounding],
                      s->scale == OLV_SCALE_F16 ? "f16" : "f32");
    ol_buf_puts(b, "}");
}

static olv_status put_files(const char *folder, ol_buf *b, olv_error *err) {
    char **names;
    size_t n;
    OL_TRY(ol_dir_list(folder, &names, &n, err));
    olv_status s = OLV_OK;
    bool first = true;
    for (size_t i = 0; s == OLV_OK && i < n; i++) {
        char *full = ol_path_join(folder, names[i]), hex[65];
        uint64_t size;
        bool counts = full && ol_file_exists(full) && names[i][0] != '.' && strcmp(names[i], MANIFEST_NAME) &&
                      strncmp(names[i], "journal", 7) && strncmp(names[i], "lock", 4);
        ol_free(full);
        if (!counts) continue;
        s = sha256_of_file(folder, names[i], hex, &size, err);
        if (s != OLV_OK) break;
        ol_buf_puts(b, first ? "\n    " : ",\n    ");
        ol_buf_json_string(b, names[i], strlen(names[i]));
        ol_buf_printf(b, ": {\"bytes\": %llu, \"sha256\": \"%s\"}", (unsigned long long)size, hex);
        first = false;
    }
    ol_dir_list_free(names, n);
    return s;
}

olv_status ol_manifest_write(void *ctx, const char *folder, ol_buf *out, olv_error *err) {
    const ol_manifest *m = ctx;
    const olv_compress_params *p = &m->options->compress;
    static const char *const targets[] = {"cpu", "cuda", "dml", "webgpu"};
    ol_buf_printf(out, "{\n  \"tool\": \"olivine\",\n  \"version\": \"%s\",\n  \"source\": {\"name\": ", olv_version());
    ol_buf_json_string(out, m->source_name, strlen(m->source_name));
    ol_buf_printf(out, ", \"hash\": \"%s\"},\n  \"steps\": [\n    {\"step\": \"compress\", \"weights\": [", m->source_hash);
    put_spec(out, "linear", &p->weights);
    ol_buf_puts(out, ", ");
    put_spec(out, "embeddings", &p->embeddings);
    ol_buf_puts(out, ", ");
    put_spec(out, "head", &p->head);
    if (p->ratio < 1) {
        ol_buf_puts(out, ", ");
        put_spec(out, "backup", &p->backup);
    }
    ol_buf_printf(out, "], \"ratio\": %.9g},\n    {\"step\": \"write\", \"format\": \"%s\"", p->ratio, m->format);
    if (m->options->format == OLV_OUTPUT_ORT_GENAI)
        ol_buf_printf(out, ", \"target\": \"%s\", \"accuracy_level\": %d", targets[m->options->target], m->options->accuracy_level);
    if (m->options->qdq) ol_buf_puts(out, ", \"qdq\": true");
    ol_buf_puts(out, "}\n  ],\n  \"tensors\": ");
    ol_compress_report_json(m->report, out);
    ol_buf_puts(out, ",\n  \"files\": {");
    OL_TRY(put_files(folder, out, err));
    ol_buf_puts(out, "\n  }\n}\n");
    return OLV_OK;
}

olv_status olv_verify_folder(const char *folder, olv_error *err) {
    char *path = ol_path_join(folder, MANIFEST_NAME), hex[65];
    json_t *j = NULL, *v;
    if (!path) return ol_fail(err, OLV_NOMEM, "no memory to verify '%s'", folder);
    olv_status s = ol_json_read_file(path, (size_t)256 << 20, &j, err);
    ol_free(path);
    OL_TRY(s);
    const char *name;
    const json_t *files = json_object_get(j, "files");
    if (!json_is_object(files)) s = ol_fail(err, OLV_FORMAT, "%s names no files", MANIFEST_NAME);
    json_object_foreach((json_t *)(uintptr_t)files, name, v) {
        uint64_t size;
        const char *want = json_string_value(json_object_get(v, "sha256"));
        if (s != OLV_OK) break;
        s = sha256_of_file(folder, name, hex, &size, err);
        if (s == OLV_OK && (!want || strcmp(want, hex))) s = ol_fail(err, OLV_FORMAT, "file '%s' has changed: its SHA-256 is %s, the manifest says %s", name, hex, want ? want : "nothing");
    }
    json_decref(j);
    return s;
}
