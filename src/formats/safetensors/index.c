/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/safetensors/index.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "base/map.h"
#include "base/wire/json_pull.h"

#define MAX_FILES 65536

typedef struct reader {
    ol_jp p;
    ol_arena *arena;
    ol_map files; /* name → number */
    ol_st_index *ix;
} reader;

static olv_status out_of_memory(olv_error *err) { return ol_fail(err, OLV_NOMEM, "out of memory reading the index"); }

static char *text_of(reader *r) {
    ol_buf b = OL_BUF_INIT;
    ol_jp_unescape(&r->p, &b);
    char *s = b.failed ? NULL : ol_arena_strndup(r->arena, b.data ? b.data : "", b.len);
    ol_buf_deinit(&b);
    if (!s) out_of_memory(r->p.err);
    return s;
}

static olv_status add_file(reader *r, const char *file) {
    ol_st_index *ix = r->ix;
    if (ix->n_files == MAX_FILES) return ol_jp_fail(&r->p, "more than %d files", MAX_FILES);
    if ((ix->n_files & (ix->n_files - 1)) == 0) {
        const char **names = ol_realloc(ix->files, (ix->n_files ? ix->n_files * 2 : 1) * sizeof *names);
        if (!names) return out_of_memory(r->p.err);
        ix->files = names;
    }
    if (ol_map_put(&r->files, ol_str_of(file), ix->n_files) < 0) return out_of_memory(r->p.err);
    ix->files[ix->n_files++] = file;
    return OLV_OK;
}

static olv_status add_entry(reader *r, const char *tensor, const char *file) {
    ol_st_index *ix = r->ix;
    if (!*file || strchr(file, '/') || strchr(file, '\\') || strcmp(file, "..") == 0 || strcmp(file, ".") == 0)
        return ol_jp_fail(&r->p, "tensor '%s': '%s' is no plain file name", tensor, file);
    uint64_t *at = ol_map_get(&r->files, ol_str_of(file));
    size_t number = at ? (size_t)*at : ix->n_files;
    if (!at) OL_TRY(add_file(r, file));
    if (ix->n_entries == ix->cap_entries) {
        size_t cap = ix->cap_entries ? ix->cap_entries * 2 : 256;
        ol_st_index_entry *e = ol_realloc(ix->entries, cap * sizeof *e);
        if (!e) return out_of_memory(r->p.err);
        ix->entries = e;
        ix->cap_entries = cap;
    }
    ix->entries[ix->n_entries++] = (ol_st_index_entry){tensor, number};
    return OLV_OK;
}

static olv_status read_weight_map(reader *r) {
    ol_jp *p = &r->p;
    ol_jp_event e = ol_jp_next(p);
    if (e == OL_JP_ERROR) return OLV_FORMAT;
    if (e != OL_JP_OBJECT) return ol_jp_fail(p, "weight_map must be an object");
    while ((e = ol_jp_next(p)) == OL_JP_KEY) {
        char *tensor = text_of(r);
        if (!tensor) return OLV_NOMEM;
        if ((e = ol_jp_next(p)) == OL_JP_ERROR) return OLV_FORMAT;
        if (e != OL_JP_STRING) return ol_jp_fail(p, "weight_map: '%s' must be a file name", tensor);
        char *file = text_of(r);
        if (!file) return OLV_NOMEM;
        OL_TRY(add_entry(r, tensor, file));
    }
    return e == OL_JP_OBJECT_END ? OLV_OK : OLV_FORMAT;
}

static olv_status read_index(reader *r) {
    ol_jp *p = &r->p;
    bool found = false;
    ol_jp_event e = ol_jp_next(p);
    if (e == OL_JP_ERROR) return OLV_FORMAT;
    if (e != OL_JP_OBJECT) return ol_jp_fail(p, "the index must be an object");
    while ((e = ol_jp_next(p)) == OL_JP_KEY) {
        if (!ol_str_is(p->text, "weight_map")) {
            if (!ol_jp_skip(p, ol_jp_next(p))) return OLV_FORMAT;
            continue;
        }
        if (found) return ol_jp_fail(p, "weight_map is given twice");
        found = true;
        OL_TRY(read_weight_map(r));
    }
    if (e != OL_JP_OBJECT_END || ol_jp_next(p) != OL_JP_END) return OLV_FORMAT;
    if (!found || r->ix->n_entries == 0) return ol_jp_fail(p, "weight_map is missing or empty");
    return OLV_OK;
}

olv_status ol_st_index_read(const char *dir, const char *name, ol_arena *arena, ol_st_index *out, olv_error *err) {
    ol_file *f;
    OL_TRY(ol_file_open_in(dir, name, &f, err));
    olv_error local = {OLV_OK, ""};
    reader r = {.arena = arena, .ix = out};
    memset(out, 0, sizeof *out);
    ol_map_init(&r.files);
    ol_jp_init(&r.p, (const char *)f->data, (size_t)f->size, name, err ? err : &local);
    olv_status s = read_index(&r);
    ol_map_deinit(&r.files);
    ol_file_release(f);
    if (s != OLV_OK) ol_st_index_deinit(out);
    return s;
}

void ol_st_index_deinit(ol_st_index *ix) {
    ol_free(ix->files);
    ol_free(ix->entries);
    memset(ix, 0, sizeof *ix);
}
