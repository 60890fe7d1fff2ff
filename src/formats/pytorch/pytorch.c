/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/pytorch/pytorch.h"

#include "base/alloc.h"
#include "base/checked.h"
#include "base/error.h"
#include "formats/pytorch/archive.h"
#include "formats/safetensors/index.h"

#include <inttypes.h>

static const char *const file_names[] = {"pytorch_model.bin", "pytorch_model.pt", "model.pt"};
static const char index_name[] = "pytorch_model.bin.index.json";

typedef struct part {
    ol_file *file; /* NULL for bytes in memory, which outlive the constants */
    ol_pt_archive archive;
    const char *name;
} part;

/* One tensor: `named` is what others see. */
typedef struct entry {
    ol_st_tensor named;
    const ol_pk_tensor *view;
    uint64_t storage_at; /* of the storage, in the file */
} entry;

struct ol_pytorch {
    ol_arena *arena;
    part *parts;
    size_t n_parts;
    entry *entries;
    size_t n, cap;
    ol_map names; /* → entry */
};

void ol_pytorch_close(ol_pytorch *p) {
    if (!p) return;
    for (size_t i = 0; i < p->n_parts; i++) {
        ol_pt_archive_deinit(&p->parts[i].archive);
        ol_file_release(p->parts[i].file);
    }
    ol_free(p->parts);
    ol_free(p->entries);
    ol_map_deinit(&p->names);
    if (p->arena) ol_arena_destroy(p->arena);
    ol_free(p);
}

static olv_status out_of_memory(olv_error *err) { return ol_fail(err, OLV_NOMEM, "out of memory reading a state dict"); }

/* ---- the tensors of one file ---- */

/* Elements of the tensor, and how many of the storage its farthest element needs. False on overflow. */
static bool measure(const ol_pk_tensor *t, uint64_t *count, uint64_t *reach) {
    uint64_t n = 1, last = t->offset;
    for (int i = 0; i < t->rank; i++)
        if (t->dims[i] == 0) n = 0;
    *count = n;
    *reach = 0;
    if (n == 0) return true;
    for (int i = 0; i < t->rank; i++) {
        uint64_t step;
        if (__builtin_mul_overflow(n, (uint64_t)t->dims[i], &n)) return false;
        if (__builtin_mul_overflow((uint64_t)(t->dims[i] - 1), (uint64_t)t->strides[i], &step)) return false;
        if (__builtin_add_overflow(last, step, &last)) return false;
    }
    *count = n;
    return !__builtin_add_overflow(last, 1, reach);
}

/* A view that shows an element twice could be as large as it likes: the storage bounds it. */
static olv_status check_view(const ol_pk_tensor *t, uint64_t storage_bytes, uint64_t *bytes, olv_error *err) {
    uint64_t count, reach, each = (uint64_t)ol_dtype_bits(t->dtype) / 8, has = storage_bytes / each;
    if (!measure(t, &count, &reach)) return ol_fail(err, OLV_FORMAT, "sizes and strides overflow");
    if (reach > has)
        return ol_fail(err, OLV_FORMAT, "it reaches element %" PRIu64 " of a storage of %" PRIu64, reach, has);
    if (count > has)
        return ol_fail(err, OLV_UNSUPPORTED, "a view of %" PRIu64 " elements over a storage of %" PRIu64, count, has);
    *bytes = count * each;
    return OLV_OK;
}

static olv_status describe(ol_pytorch *p, size_t file, ol_str name, const ol_pk_tensor *t, entry *e, olv_error *err) {
    uint64_t storage_bytes = 0, bytes = 0;
    char *text = ol_arena_strndup(p->arena, name.ptr, name.len);
    if (!text) return out_of_memory(err);
    OL_TRY(ol_pt_archive_storage(&p->parts[file].archive, t->storage, &e->storage_at, &storage_bytes, err));
    OL_TRY(check_view(t, storage_bytes, &bytes, err));
    e->view = t;
    e->named = (ol_st_tensor){.name = {text, name.len}, .dtype = t->dtype, .type_name = ol_dtype_name(t->dtype),
                              .bits = ol_dtype_bits(t->dtype), .rank = t->rank, .file = (int)file, .bytes = bytes};
    memcpy(e->named.dims, t->dims, sizeof t->dims);
    uint64_t skip = bytes ? t->offset * ((uint64_t)e->named.bits / 8) : 0; /* inside the storage: checked above */
    e->named.offset = e->storage_at + skip;
    return OLV_OK;
}

static olv_status add_tensor(ol_pytorch *p, size_t file, ol_str name, const ol_pk_tensor *t, olv_error *err) {
    if (p->n == p->cap) {
        size_t cap = p->cap ? p->cap * 2 : 256;
        entry *e = ol_realloc(p->entries, cap * sizeof *e);
        if (!e) return out_of_memory(err);
        p->entries = e;
        p->cap = cap;
    }
    entry *e = &p->entries[p->n];
    memset(e, 0, sizeof *e);
    if (describe(p, file, name, t, e, err) != OLV_OK)
        return ol_error_at(err, "%s: tensor '%.*s'", p->parts[file].name, (int)(name.len < 200 ? name.len : 200), name.ptr);
    const uint64_t *old = ol_map_get(&p->names, e->named.name);
    if (old)
        return ol_fail(err, OLV_FORMAT, "tensor '%s' is there twice, in %s and %s", e->named.name.ptr,
                       p->parts[p->entries[*old].named.file].name, p->parts[file].name);
    if (ol_map_put(&p->names, e->named.name, p->n) < 0) return out_of_memory(err);
    p->n++;
    return OLV_OK;
}

static bool has_tensor(const ol_pk_value *d) {
    for (size_t i = 1; d && d->kind == OL_PK_DICT && i < d->seq.n; i += 2)
        if (d->seq.items[i]->kind == OL_PK_TENSOR) return true;
    return false;
}

/* The dict of tensors: the object itself, or what training scripts put it under. */
static const ol_pk_value *state_dict(const ol_pk_value *object) {
    static const char *const keys[] = {"state_dict", "model_state_dict", "model", "module"};
    if (has_tensor(object)) return object;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const ol_pk_value *d = ol_pk_get(object, keys[i]);
        if (has_tensor(d)) return d;
    }
    return NULL;
}

static olv_status add_tensors(ol_pytorch *p, size_t file, olv_error *err) {
    const part *f = &p->parts[file];
    const ol_pk_value *d = state_dict(f->archive.object);
    if (!d) return ol_fail(err, OLV_FORMAT, "%s: no dict of tensors found", f->name);
    for (size_t i = 0; i + 1 < d->seq.n; i += 2) {
        const ol_pk_value *k = d->seq.items[i], *v = d->seq.items[i + 1];
        if (v->kind != OL_PK_TENSOR) continue;
        if (k->kind != OL_PK_TEXT || k->text.len == 0 || memchr(k->text.ptr, 0, k->text.len))
            return ol_fail(err, OLV_FORMAT, "%s: tensor without a name", f->name);
        OL_TRY(add_tensor(p, file, k->text, v->tensor, err));
    }
    return OLV_OK;
}

/* ---- files ---- */

static olv_status add_part(ol_pytorch *p, const char *name, ol_file *file /* taken */, const uint8_t *data, size_t len,
                           olv_error *err) {
    part *parts = ol_realloc(p->parts, (p->n_parts + 1) * sizeof *parts);
    if (parts) p->parts = parts;
    char *own = parts ? ol_arena_strdup(p->arena, ol_path_name(name)) : NULL;
    if (!own) {
        ol_file_release(file);
        return out_of_memory(err);
    }
    size_t i = p->n_parts++;
    parts[i] = (part){.file = file, .name = own};
    OL_TRY(ol_pt_archive_init(&parts[i].archive, data, len, own, p->arena, err));
    return add_tensors(p, i, err);
}

static olv_status add_file(ol_pytorch *p, const char *dir, const char *name, olv_error *err) {
    ol_file *f;
    OL_TRY(dir ? ol_file_open_in(dir, name, &f, err) : ol_file_open(name, &f, err));
    return add_part(p, name, f, f->data, (size_t)f->size, err);
}

static olv_status check_index(const ol_pytorch *p, const ol_st_index *ix, olv_error *err) {
    for (size_t i = 0; i < ix->n_entries; i++) {
        const ol_st_tensor *t = ol_pytorch_find(p, ix->entries[i].tensor);
        if (!t || (size_t)t->file != ix->entries[i].file)
            return ol_fail(err, OLV_FORMAT, "%s: tensor '%s' should be in %s, but is %s%s", index_name,
                           ix->entries[i].tensor, ix->files[ix->entries[i].file], t ? "in " : "in no file",
                           t ? p->parts[t->file].name : "");
    }
    return OLV_OK;
}

static olv_status open_index(ol_pytorch *p, const char *dir, olv_error *err) {
    ol_st_index ix;
    OL_TRY(ol_st_index_read(dir, index_name, p->arena, &ix, err));
    olv_status s = OLV_OK;
    for (size_t i = 0; i < ix.n_files && s == OLV_OK; i++)
        if ((s = add_file(p, dir, ix.files[i], err)) != OLV_OK) ol_error_at(err, "%s", index_name);
    if (s == OLV_OK) s = check_index(p, &ix, err);
    ol_st_index_deinit(&ix);
    return s;
}

static bool has_file(const char *dir, const char *name) {
    char *path = ol_path_join(dir, name);
    bool yes = path && ol_file_exists(path);
    ol_free(path);
    return yes;
}

static const char *file_in(const char *dir) {
    for (size_t i = 0; i < sizeof file_names / sizeof *file_names; i++)
        if (has_file(dir, file_names[i])) return file_names[i];
    return NULL;
}

bool ol_pytorch_in(const char *dir) { return has_file(dir, index_name) || file_in(dir); }

static olv_status open_path(ol_pytorch *p, const char *path, olv_error *err) {
    if (!ol_dir_exists(path)) return add_file(p, NULL, path, err);
    const char *name = file_in(path);
    if (name) return add_file(p, path, name, err);
    if (has_file(path, index_name)) return open_index(p, path, err);
    return ol_fail(err, OLV_NOT_FOUND, "%s: no pytorch_model.bin and no %s", path, index_name);
}

static ol_pytorch *create(void) {
    ol_pytorch *p = ol_calloc(1, sizeof *p);
    if (!p) return NULL;
    ol_map_init(&p->names);
    if ((p->arena = ol_arena_create())) return p;
    ol_pytorch_close(p);
    return NULL;
}

olv_status ol_pytorch_open(const char *path, ol_pytorch **out, olv_error *err) {
    ol_pytorch *p = create();
    if (!p) return out_of_memory(err);
    olv_status s = open_path(p, path, err);
    if (s == OLV_OK)
        *out = p;
    else
        ol_pytorch_close(p);
    return s;
}

/* ---- constants ---- */

/* Strides as a dense tensor of these dims has them, in row-major order; dims of size 1 have any stride. */
static bool row_major(const ol_pk_tensor *t) {
    int64_t expect = 1;
    for (int i = t->rank - 1; i >= 0; i--) {
        if (t->dims[i] != 1 && t->strides[i] != expect) return false;
        expect *= t->dims[i]; /* the tensor lies in its storage: no overflow */
    }
    return true;
}

static bool column_major(const ol_pk_tensor *t) {
    return t->rank == 2 && t->strides[0] == 1 && t->strides[1] == t->dims[0];
}

static olv_status turned(const entry *e, const uint8_t *data, ol_file *file, ol_const **out, olv_error *err) {
    const ol_st_tensor *t = &e->named;
    int64_t dims[2] = {t->dims[1], t->dims[0]};
    ol_const *straight = ol_const_bytes(t->dtype, 2, dims, data, (size_t)t->bytes, file, NULL, err);
    if (!straight) return OLV_NOMEM;
    *out = ol_const_transpose(straight, err);
    ol_const_release(straight);
    return *out ? OLV_OK : OLV_NOMEM;
}

/* Elements in row-major order, copied from `from`, the place of element 0. */
static void copy_strided(const ol_pk_tensor *t, const uint8_t *from, size_t each, size_t count, uint8_t *to) {
    int64_t at[OL_MAX_RANK] = {0};
    uint64_t where = 0; /* wraps, and back, at dims of size 1, whose strides may be anything */
    for (size_t i = 0; i < count; i++) {
        memcpy(to + i * each, from + (size_t)where * each, each);
        for (int d = t->rank - 1; d >= 0; d--) {
            where += (uint64_t)t->strides[d];
            if (++at[d] < t->dims[d]) break;
            where -= (uint64_t)t->strides[d] * (uint64_t)t->dims[d];
            at[d] = 0;
        }
    }
}

static olv_status gathered(const entry *e, const uint8_t *data, ol_const **out, olv_error *err) {
    const ol_st_tensor *t = &e->named;
    size_t each = (size_t)t->bits / 8;
    uint8_t *copy = ol_alloc((size_t)t->bytes);
    if (!copy) return out_of_memory(err);
    copy_strided(e->view, data, each, (size_t)t->bytes / each, copy);
    *out = ol_const_bytes(t->dtype, t->rank, t->dims, copy, (size_t)t->bytes, NULL, ol_free, err);
    if (!*out) ol_free(copy);
    return *out ? OLV_OK : OLV_NOMEM;
}

olv_status ol_pytorch_const(const ol_pytorch *p, const ol_st_tensor *t, ol_const **out, olv_error *err) {
    const entry *e = (const entry *)(const void *)t; /* `named` is the first member */
    const part *f = &p->parts[t->file];
    const uint8_t *data = f->archive.data + (t->bytes ? t->offset : 0);
    olv_status s = OLV_OK;
    if (t->bytes == 0 || row_major(e->view)) {
        *out = ol_const_bytes(t->dtype, t->rank, t->dims, data, (size_t)t->bytes, f->file, NULL, err);
        if (!*out) s = OLV_NOMEM;
    } else if (column_major(e->view)) {
        s = turned(e, data, f->file, out, err);
    } else {
        s = gathered(e, data, out, err);
    }
    return s == OLV_OK ? s : ol_error_at(err, "tensor '%s'", t->name.ptr);
}

size_t ol_pytorch_count(const ol_pytorch *p) { return p->n; }
const ol_st_tensor *ol_pytorch_get(const ol_pytorch *p, size_t i) { return &p->entries[i].named; }

const ol_st_tensor *ol_pytorch_find(const ol_pytorch *p, const char *name) {
    const uint64_t *at = ol_map_get(&p->names, ol_str_of(name));
    return at ? &p->entries[*at].named : NULL;
}

olv_status ol_pytorch_check(const uint8_t *data, size_t len, olv_error *err) {
    ol_pytorch *p = create();
    if (!p) return out_of_memory(err);
    olv_status s = add_part(p, "file", NULL, data, len, err);
    for (size_t i = 0; i < p->n && s == OLV_OK; i++) {
        ol_const *c = NULL;
        if ((s = ol_pytorch_const(p, &p->entries[i].named, &c, err)) != OLV_OK) break;
        float last;
        if (ol_const_rows(c) * ol_const_width(c) > 0 && ol_dtype_class(ol_const_dtype(c)) == 'f' && ol_const_width(c) == 1)
            s = ol_const_rows_f32(c, ol_const_rows(c) - 1, 1, &last, err);
        ol_const_release(c);
    }
    ol_pytorch_close(p);
    return s;
}
