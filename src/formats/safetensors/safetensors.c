/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/safetensors/safetensors.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/map.h"
#include "formats/safetensors/header.h"
#include "formats/safetensors/index.h"

#include <inttypes.h>

typedef struct shard {
    ol_file *file;
    ol_st_header header;
    const char *name; /* file name, in the arena */
} shard;

struct ol_safetensors {
    ol_arena *arena;
    shard *shards;
    size_t n_shards, cap_shards;
    ol_map names;  /* name → position in `all` */
    const ol_st_tensor **all;
    size_t n_all;
};

void ol_safetensors_close(ol_safetensors *st) {
    if (!st) return;
    for (size_t i = 0; i < st->n_shards; i++) {
        ol_st_header_deinit(&st->shards[i].header);
        ol_file_release(st->shards[i].file);
    }
    ol_free(st->shards);
    ol_free(st->all);
    ol_map_deinit(&st->names);
    ol_arena_destroy(st->arena);
    ol_free(st);
}

static olv_status out_of_memory(olv_error *err) { return ol_fail(err, OLV_NOMEM, "out of memory reading safetensors"); }

/* Opens NAME of folder DIR (dir NULL: name is a path) as the next shard. */
static olv_status add_shard(ol_safetensors *st, const char *dir, const char *name, olv_error *err) {
    if (st->n_shards == st->cap_shards) {
        size_t cap = st->cap_shards ? st->cap_shards * 2 : 4;
        shard *s = ol_realloc(st->shards, cap * sizeof *s);
        if (!s) return out_of_memory(err);
        st->shards = s;
        st->cap_shards = cap;
    }
    shard *s = &st->shards[st->n_shards];
    memset(s, 0, sizeof *s);
    s->name = ol_arena_strdup(st->arena, ol_path_name(name));
    if (!s->name) return out_of_memory(err);
    OL_TRY(dir ? ol_file_open_in(dir, name, &s->file, err) : ol_file_open(name, &s->file, err));
    st->n_shards++;
    OL_TRY(ol_st_header_read(s->file->data, s->file->size, s->name, st->arena, &s->header, err));
    for (size_t i = 0; i < s->header.n_tensors; i++) s->header.tensors[i].file = (int)(st->n_shards - 1);
    return OLV_OK;
}

static olv_status collect(ol_safetensors *st, olv_error *err) {
    size_t n = 0;
    for (size_t i = 0; i < st->n_shards; i++) n += st->shards[i].header.n_tensors;
    st->all = ol_calloc(n ? n : 1, sizeof(*st->all));
    if (!st->all || !ol_map_reserve(&st->names, n)) return out_of_memory(err);
    for (size_t i = 0; i < st->n_shards; i++) {
        const ol_st_header *h = &st->shards[i].header;
        for (size_t j = 0; j < h->n_tensors; j++) {
            const ol_st_tensor *t = &h->tensors[j];
            const uint64_t *old = ol_map_get(&st->names, t->name);
            if (old)
                return ol_fail(err, OLV_FORMAT, "tensor '%s' is in two files: %s and %s", t->name.ptr,
                               st->shards[st->all[*old]->file].name, st->shards[i].name);
            if (ol_map_put(&st->names, t->name, st->n_all) < 0) return out_of_memory(err);
            st->all[st->n_all++] = t;
        }
    }
    return OLV_OK;
}

/* ---- the index of sharded models ---- */

static olv_status open_shards(ol_safetensors *st, const char *dir, const char *name, const ol_st_index *ix,
                              olv_error *err) {
    for (size_t i = 0; i < ix->n_files; i++)
        if (add_shard(st, dir, ix->files[i], err) != OLV_OK) return ol_error_at(err, "%s", name);
    OL_TRY(collect(st, err));
    for (size_t i = 0; i < ix->n_entries; i++) {
        const ol_st_tensor *t = ol_safetensors_find(st, ix->entries[i].tensor);
        const char *want = ix->files[ix->entries[i].file];
        if (!t || (size_t)t->file != ix->entries[i].file)
            return ol_fail(err, OLV_FORMAT, "%s: tensor '%s' should be in %s, but is %s%s", name, ix->entries[i].tensor,
                           want, t ? "in " : "in no file", t ? st->shards[t->file].name : "");
    }
    return OLV_OK;
}

static olv_status open_index(ol_safetensors *st, const char *dir, const char *name, olv_error *err) {
    ol_st_index ix;
    OL_TRY(ol_st_index_read(dir, name, st->arena, &ix, err));
    olv_status s = open_shards(st, dir, name, &ix, err);
    ol_st_index_deinit(&ix);
    return s;
}

/* ---- folders ---- */

static olv_status open_only_file(ol_safetensors *st, const char *dir, olv_error *err) {
    char **names;
    size_t n;
    OL_TRY(ol_dir_list(dir, &names, &n, err));
    const char *found = NULL;
    int count = 0;
    for (size_t i = 0; i < n; i++) {
        if (ol_str_ends(ol_str_of(names[i]), ".safetensors")) {
            found = names[i];
            count++;
        }
    }
    olv_status s;
    if (count == 1) {
        s = add_shard(st, dir, found, err);
        if (s == OLV_OK) s = collect(st, err);
    } else if (count > 1) {
        s = ol_fail(err, OLV_NOT_FOUND, "%s: %d .safetensors files, but neither model.safetensors nor "
                    "model.safetensors.index.json", dir, count);
    } else {
        s = ol_fail(err, OLV_NOT_FOUND, "%s: no model.safetensors and no model.safetensors.index.json", dir);
    }
    ol_dir_list_free(names, n);
    return s;
}

bool ol_safetensors_in(const char *dir) {
    char **names;
    size_t n;
    bool yes = false;
    if (ol_dir_list(dir, &names, &n, NULL) != OLV_OK) return false;
    for (size_t i = 0; i < n; i++) yes = yes || ol_str_ends(ol_str_of(names[i]), ".safetensors");
    ol_dir_list_free(names, n);
    return yes;
}

static bool has_file(const char *dir, const char *name) {
    char *p = ol_path_join(dir, name);
    bool yes = p && ol_file_exists(p);
    ol_free(p);
    return yes;
}

static olv_status open_path(ol_safetensors *st, const char *path, olv_error *err) {
    static const char index_name[] = "model.safetensors.index.json";
    if (ol_dir_exists(path)) {
        if (has_file(path, "model.safetensors")) {
            OL_TRY(add_shard(st, path, "model.safetensors", err));
            return collect(st, err);
        }
        return has_file(path, index_name) ? open_index(st, path, index_name, err) : open_only_file(st, path, err);
    }
    if (ol_str_ends(ol_str_of(path), ".json")) {
        const char *name = ol_path_name(path);
        char *dir = name == path ? ol_arena_strdup(st->arena, ".")
                                 : ol_arena_strndup(st->arena, path, (size_t)(name - path));
        return dir ? open_index(st, dir, name, err) : out_of_memory(err);
    }
    OL_TRY(add_shard(st, NULL, path, err));
    return collect(st, err);
}

olv_status ol_safetensors_open(const char *path, ol_safetensors **out, olv_error *err) {
    ol_safetensors *st = ol_calloc(1, sizeof *st);
    if (!st) return out_of_memory(err);
    ol_map_init(&st->names);
    st->arena = ol_arena_create();
    olv_status s = st->arena ? open_path(st, path, err) : out_of_memory(err);
    if (s != OLV_OK) {
        ol_safetensors_close(st);
        return s;
    }
    *out = st;
    return OLV_OK;
}

size_t ol_safetensors_count(const ol_safetensors *st) { return st->n_all; }
const ol_st_tensor *ol_safetensors_get(const ol_safetensors *st, size_t i) { return st->all[i]; }

const ol_st_tensor *ol_safetensors_find(const ol_safetensors *st, const char *name) {
    const uint64_t *at = ol_map_get(&st->names, ol_str_of(name));
    return at ? st->all[*at] : NULL;
}

olv_status ol_safetensors_const(const ol_safetensors *st, const ol_st_tensor *t, ol_const **out, olv_error *err) {
    if (t->dtype == OL_DTYPE_NONE)
        return ol_fail(err, OLV_UNSUPPORTED, "tensor '%s': element type %s", t->name.ptr, t->type_name);
    ol_file *f = st->shards[t->file].file;
    ol_const *c = ol_const_bytes(t->dtype, t->rank, t->dims, t->bytes ? f->data + t->offset : f->data, (size_t)t->bytes,
                                 f, NULL, err);
    if (!c) return ol_error_at(err, "tensor '%s'", t->name.ptr);
    *out = c;
    return OLV_OK;
}

const char *ol_safetensors_meta(const ol_safetensors *st, const char *key) {
    for (size_t i = 0; i < st->n_shards; i++) {
        const ol_st_header *h = &st->shards[i].header;
        for (size_t j = 0; j + 1 < h->n_meta; j += 2)
            if (strcmp(h->meta[j], key) == 0) return h->meta[j + 1];
    }
    return NULL;
}

const char *ol_safetensors_file_name(const ol_safetensors *st, int file) { return st->shards[file].name; }

uint64_t ol_safetensors_bytes(const ol_safetensors *st) {
    uint64_t n = 0;
    for (size_t i = 0; i < st->n_all; i++) n += st->all[i]->bytes;
    return n;
}
