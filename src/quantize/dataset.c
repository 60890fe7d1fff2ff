/* SPDX-License-Identifier: Apache-2.0 */
/* Samples from functions and from files. */
#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "base/wire/inflate.h"
#include "base/wire/zip.h"
#include "formats/npy/npy.h"
#include "quantize/probe.h"
#include "runtime/core.h"
#include "runtime/tensor.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

olv_status olv_dataset_create(olv_sample_fn *fn, void (*destroy)(void *), void *ctx, olv_dataset **out, olv_error *err) {
    olv_dataset *d = ol_calloc(1, sizeof *d);
    if (!d) return ol_fail(err, OLV_NOMEM, "no memory for a dataset");
    *d = (olv_dataset){fn, destroy, ctx};
    *out = d;
    return OLV_OK;
}

void olv_dataset_destroy(olv_dataset *d) {
    if (!d) return;
    if (d->destroy) d->destroy(d->ctx);
    ol_free(d);
}

/* ---- files ---- */

typedef struct file_source {
    char *path;
    const olv_model *model; /* borrowed */
    olv_port *ports; /* of its inputs */
    size_t n;
    olv_tensor **arrays; /* by input: of one .npy or .npz file */
    char **files;        /* of a folder */
    size_t n_files;
    FILE *lines;         /* of a .jsonl file */
    size_t next_line;
    char *line;
    size_t line_cap;
} file_source;

static void destroy_source(void *ctx) {
    file_source *f = ctx;
    for (size_t i = 0; f->arrays && i < f->n; i++) olv_tensor_destroy(f->arrays[i]);
    ol_dir_list_free(f->files, f->n_files);
    if (f->lines) fclose(f->lines);
    free(f->line);
    ol_free(f->path), ol_free(f->ports), ol_free(f->arrays);
    ol_free(f);
}

static bool ends(const char *path, const char *ending) { return ol_str_ends(ol_str_of(path), ending); }

static bool is_picture(const char *path) {
    return ends(path, ".png") || ends(path, ".jpg") || ends(path, ".jpeg") || ends(path, ".PNG") || ends(path, ".JPG") || ends(path, ".JPEG");
}

static char *copy_text(const char *text) {
    size_t n = strlen(text) + 1;
    char *p = ol_alloc(n);
    return p ? memcpy(p, text, n) : NULL;
}

static olv_status describe_model(file_source *f, const olv_model *m, olv_error *err) {
    f->n = olv_model_n_inputs(m);
    f->ports = ol_calloc(f->n + 1, sizeof *f->ports);
    f->arrays = ol_calloc(f->n + 1, sizeof *f->arrays);
    if (!f->ports || !f->arrays) return ol_fail(err, OLV_NOMEM, "no memory for a dataset");
    f->model = m;
    for (size_t i = 0; i < f->n; i++) olv_model_get_input(m, i, &f->ports[i]);
    return OLV_OK;
}

/* By name or alias; f->n: there is none. */
static size_t find_input(const file_source *f, const char *name) {
    int i = ol_graph_find_input(f->model->graph, name);
    return i < 0 ? f->n : (size_t)i;
}

/* The input of a model that has one; the others are to have defaults. */
static olv_status only_input(const file_source *f, size_t *out, olv_error *err) {
    size_t found = f->n;
    for (size_t i = 0; i < f->n; i++) {
        if (f->ports[i].has_default) continue;
        if (found < f->n) return ol_fail(err, OLV_ARG, "the model has the inputs '%.100s' and '%.100s'; give an .npz or .jsonl file with data for each", f->ports[found].name, f->ports[i].name);
        found = i;
    }
    if (found == f->n) return ol_fail(err, OLV_ARG, "the model has no input that needs data");
    *out = found;
    return OLV_OK;
}

/* ---- arrays ---- */

/* Elements [first, first + n) of t as the input's type and with these sizes. */
static olv_status cut(const ol_tensor *t, const olv_port *port, int64_t first, int rank, const int64_t *dims, olv_tensor **out, olv_error *err) {
    olv_dtype dtype = port->dtype ? port->dtype : (olv_dtype)ol_dtype_onnx(t->dtype);
    OL_TRY(olv_tensor_create(dtype, rank, dims, out, err));
    ol_tensor *y = &(*out)->datum.tensor;
    size_t item = (size_t)ol_dtype_bits(t->dtype) / 8;
    if (y->dtype == t->dtype && item) {
        memcpy(y->data, (const char *)t->data + (size_t)first * item, y->bytes);
        return OLV_OK;
    }
    for (int64_t i = 0, n = ol_tensor_count(y); i < n; i++) ol_elem_set(y->dtype, y->data, (uint64_t)i, ol_elem_get(t->dtype, t->data, (uint64_t)(first + i)));
    return OLV_OK;
}

static olv_status wrong_shape(const ol_tensor *t, const olv_port *port, olv_error *err) {
    char found[160], wanted[256];
    size_t n = (size_t)snprintf(wanted, sizeof wanted, "%s[", olv_dtype_name(port->dtype));
    for (int i = 0; i < port->rank && n < sizeof wanted; i++)
        n += (size_t)(port->dims[i] < 0 ? snprintf(wanted + n, sizeof wanted - n, "%s?", i ? "," : "")
                                        : snprintf(wanted + n, sizeof wanted - n, "%s%lld", i ? "," : "", (long long)port->dims[i]));
    ol_tensor_describe(t, found, sizeof found);
    return ol_fail(err, OLV_SHAPE, "the data for input '%.200s' are %s, samples of %s] are expected", port->name, found, wanted);
}

static bool sizes_fit(const ol_tensor *t, int skip, const olv_port *port, int from) {
    for (int i = from; i < port->rank; i++)
        if (port->dims[i] >= 0 && port->dims[i] != t->dims[i - from + skip]) return false;
    return true;
}

/* Sample `index` of a whole array. */
static olv_status slice(const ol_tensor *t, const olv_port *port, size_t index, olv_tensor **out, bool *end, olv_error *err) {
    int64_t dims[OL_MAX_RANK], per = 1;
    if (port->rank < 0 || (t->rank != port->rank && t->rank != port->rank + 1) || t->rank < 1) return wrong_shape(t, port, err);
    for (int i = 1; i < t->rank; i++) per *= t->dims[i];
    if (t->rank == port->rank + 1) {
        if (!sizes_fit(t, 1, port, 0)) return wrong_shape(t, port, err);
        if ((int64_t)index >= t->dims[0]) return *end = true, OLV_OK;
        return cut(t, port, (int64_t)index * per, port->rank, t->dims + 1, out, err);
    }
    int64_t batch = port->dims[0] > 0 ? port->dims[0] : 1;
    if (!sizes_fit(t, 1, port, 1)) return wrong_shape(t, port, err);
    if (((int64_t)index + 1) * batch > t->dims[0]) return *end = true, OLV_OK;
    memcpy(dims, t->dims, sizeof dims);
    dims[0] = batch;
    return cut(t, port, (int64_t)index * batch * per, t->rank, dims, out, err);
}

static olv_status npy_tensor(const uint8_t *data, size_t bytes, olv_tensor **out, olv_error *err) {
    olv_tensor *t = ol_calloc(1, sizeof *t);
    if (!t) return ol_fail(err, OLV_NOMEM, "no memory for data");
    t->datum.kind = OL_VALUE_TENSOR;
    t->datum.present = true;
    olv_status s = ol_npy_read(data, bytes, &t->datum.tensor, err);
    if (s == OLV_OK) *out = t;
    else ol_free(t);
    return s;
}

/* Deflate makes at most 1032 bytes of one. */
static olv_status unpack(const uint8_t *data, const ol_zip_entry *e, olv_tensor **out, olv_error *err) {
    if (!e->deflated) return npy_tensor(data, e->bytes, out, err);
    if (e->full / 1032 > e->bytes) return ol_fail(err, OLV_FORMAT, "%llu bytes do not unpack to %llu", (unsigned long long)e->bytes, (unsigned long long)e->full);
    uint8_t *full = ol_alloc_aligned(e->full + 1);
    if (!full) return ol_fail(err, OLV_NOMEM, "no memory for data");
    olv_status s = ol_inflate(data, e->bytes, full, e->full, err);
    if (s == OLV_OK) s = npy_tensor(full, e->full, out, err);
    ol_free_aligned(full);
    return s;
}

/* The arrays of an .npz file, by input. One array alone may have any name when the model has one input. */
static olv_status read_npz(const file_source *f, const char *path, olv_tensor **arrays, olv_error *err) {
    ol_file *file;
    ol_zip *zip = NULL;
    OL_TRY(ol_file_open(path, &file, err));
    olv_status s = ol_zip_open_packed(file->data, file->size, path, &zip, err);
    for (size_t i = 0; s == OLV_OK && i < ol_zip_count(zip); i++) {
        const ol_zip_entry *e = ol_zip_get(zip, i);
        char name[1024];
        size_t len = e->name.len - (ol_str_ends(e->name, ".npy") ? 4 : 0);
        snprintf(name, sizeof name, "%.*s", (int)(len < 1000 ? len : 1000), e->name.ptr);
        size_t at = find_input(f, name);
        if (at == f->n && ol_zip_count(zip) == 1) s = only_input(f, &at, err);
        else if (at == f->n) s = ol_no_such_input(f->model->graph, name, err);
        if (s == OLV_OK) olv_tensor_destroy(arrays[at]);
        if (s == OLV_OK) arrays[at] = NULL, s = unpack(file->data + e->offset, e, &arrays[at], err);
        if (s != OLV_OK) ol_error_at(err, "%.200s: array '%.100s'", path, name);
    }
    for (size_t i = 0; s == OLV_OK && i < f->n; i++)
        if (!arrays[i] && !f->ports[i].has_default) s = ol_fail(err, OLV_NOT_FOUND, "%.200s: no array for the input '%.200s'", path, f->ports[i].name);
    ol_zip_close(zip);
    ol_file_release(file);
    return s;
}

static olv_status array_sample(void *ctx, size_t index, olv_tensor **inputs, bool *end, olv_error *err) {
    const file_source *f = ctx;
    for (size_t i = 0; i < f->n && !*end; i++)
        if (f->arrays[i]) OL_TRY(slice(&f->arrays[i]->datum.tensor, &f->ports[i], index, &inputs[i], end, err));
    return OLV_OK;
}

/* ---- folders ---- */

/* A batch axis of 1 is added to a sample without one. */
static olv_status fit_sample(const olv_port *port, olv_tensor **t, olv_error *err) {
    ol_tensor *x = &(*t)->datum.tensor;
    int64_t dims[OL_MAX_RANK] = {1};
    int extra = port->rank == x->rank + 1;
    if (port->rank < 0 || (x->rank == port->rank && (olv_dtype)ol_dtype_onnx(x->dtype) == port->dtype)) return OLV_OK;
    if (x->rank + extra != port->rank) return wrong_shape(x, port, err);
    memcpy(dims + extra, x->dims, (size_t)x->rank * sizeof *dims);
    olv_tensor *made;
    OL_TRY(cut(x, port, 0, port->rank, dims, &made, err));
    olv_tensor_destroy(*t);
    *t = made;
    return OLV_OK;
}

static olv_status read_sample_file(const file_source *f, const char *path, olv_tensor **inputs, olv_error *err) {
    size_t at;
    if (ends(path, ".npz")) {
        OL_TRY(read_npz(f, path, inputs, err));
        for (size_t i = 0; i < f->n; i++)
            if (inputs[i]) OL_TRY(fit_sample(&f->ports[i], &inputs[i], err));
        return OLV_OK;
    }
    OL_TRY(only_input(f, &at, err));
    OL_TRY(olv_tensor_read(path, &f->ports[at], &inputs[at], err));
    return fit_sample(&f->ports[at], &inputs[at], err);
}

static olv_status folder_sample(void *ctx, size_t index, olv_tensor **inputs, bool *end, olv_error *err) {
    const file_source *f = ctx;
    if (index >= f->n_files) return *end = true, OLV_OK;
    char *path = ol_path_join(f->path, f->files[index]);
    if (!path) return ol_fail(err, OLV_NOMEM, "no memory for a path");
    olv_status s = read_sample_file(f, path, inputs, err);
    if (s != OLV_OK) ol_error_at(err, "%.200s", f->files[index]);
    ol_free(path);
    return s;
}

/* Keeps the files that are samples. */
static olv_status list_folder(file_source *f, olv_error *err) {
    size_t kept = 0;
    OL_TRY(ol_dir_list(f->path, &f->files, &f->n_files, err));
    for (size_t i = 0; i < f->n_files; i++) {
        char *name = f->files[i];
        bool sample = is_picture(name) || ends(name, ".npy") || ends(name, ".npz") || ends(name, ".pb");
        f->files[i] = f->files[kept];
        f->files[kept] = name;
        kept += sample;
    }
    for (size_t i = kept; i < f->n_files; i++) ol_free(f->files[i]);
    f->n_files = kept;
    return kept ? OLV_OK : ol_fail(err, OLV_ARG, "folder '%.300s' holds no .npy, .npz, .pb file or picture", f->path);
}

/* ---- JSON lines ---- */

static olv_status line_input(const file_source *f, const char *name, const json_t *j, olv_tensor **inputs, olv_error *err) {
    size_t at = find_input(f, name);
    if (at == f->n) return ol_no_such_input(f->model->graph, name, err);
    if (json_is_string(j) && f->ports[at].dtype != OLV_STRING) OL_TRY(olv_tensor_read(json_string_value(j), &f->ports[at], &inputs[at], err));
    else OL_TRY(ol_tensor_of_json(j, &f->ports[at], &inputs[at], err));
    return fit_sample(&f->ports[at], &inputs[at], err);
}

static olv_status line_inputs(const file_source *f, const json_t *item, olv_tensor **inputs, olv_error *err) {
    const json_t *inner = json_object_get(item, "inputs"), *j;
    const char *name;
    if (json_is_object(inner)) item = inner;
    if (!json_is_object(item)) return ol_fail(err, OLV_FORMAT, "an object of inputs is expected in each line");
    json_object_foreach((json_t *)(uintptr_t)item, name, j) OL_TRY(line_input(f, name, j, inputs, err));
    for (size_t i = 0; i < f->n; i++)
        if (!inputs[i] && !f->ports[i].has_default) return ol_fail(err, OLV_NOT_FOUND, "no data for the input '%.200s'", f->ports[i].name);
    return OLV_OK;
}

static olv_status line_sample(void *ctx, size_t index, olv_tensor **inputs, bool *end, olv_error *err) {
    file_source *f = ctx;
    ssize_t len;
    if (index < f->next_line) rewind(f->lines), f->next_line = 0;
    do {
        do len = getline(&f->line, &f->line_cap, f->lines);
        while (len == 1 && f->line[0] == '\n');
        if (len < 0) return *end = true, OLV_OK;
    } while (f->next_line++ < index);
    json_t *j;
    OL_TRY(ol_json_parse(f->line, (size_t)len, f->path, &j, err));
    olv_status s = line_inputs(f, j, inputs, err);
    json_decref(j);
    return s;
}

/* ---- */

static olv_status open_source(file_source *f, olv_sample_fn **fn, olv_error *err) {
    size_t at;
    *fn = array_sample;
    if (ol_dir_exists(f->path)) {
        *fn = folder_sample;
        return list_folder(f, err);
    }
    if (ends(f->path, ".jsonl")) {
        *fn = line_sample;
        f->lines = fopen(f->path, "r");
        return f->lines ? OLV_OK : ol_fail_errno(err, "cannot read '%.300s'", f->path);
    }
    if (ends(f->path, ".npz")) return read_npz(f, f->path, f->arrays, err);
    if (!ends(f->path, ".npy")) return ol_fail(err, OLV_ARG, "'%.300s' is no folder, .npy, .npz or .jsonl file", f->path);
    OL_TRY(only_input(f, &at, err));
    return olv_tensor_read(f->path, NULL, &f->arrays[at], err);
}

olv_status olv_dataset_open(const char *path, const olv_model *m, olv_dataset **out, olv_error *err) {
    file_source *f = ol_calloc(1, sizeof *f);
    olv_sample_fn *fn = NULL;
    if (!f) return ol_fail(err, OLV_NOMEM, "no memory for a dataset");
    f->path = copy_text(path);
    olv_status s = f->path ? describe_model(f, m, err) : ol_fail(err, OLV_NOMEM, "no memory for a dataset");
    if (s == OLV_OK) s = open_source(f, &fn, err);
    if (s == OLV_OK) s = olv_dataset_create(fn, destroy_source, f, out, err);
    if (s != OLV_OK) destroy_source(f);
    return s;
}
