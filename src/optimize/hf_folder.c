/* SPDX-License-Identifier: Apache-2.0 */
#include "optimize/hf_folder.h"
#include "base/alloc.h"
#include "base/checked.h"
#include "base/cpu.h"
#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "compress/round.h"
#include "formats/ortgenai/output.h"
#include "formats/safetensors/safetensors.h"
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define WEIGHTS "model.safetensors"
#define MAX_CONFIG ((size_t)64 << 20)
#define MAX_COMPANION ((uint64_t)64 << 20)
#define TILE_WEIGHTS (1 << 20)
#define COPY_BYTES ((size_t)4 << 20)
#define SLACK ((uint64_t)8 << 20) /* room for the small files */

enum { CODES, SCALES, ZEROS, SHAPE, N_PARTS };

/* A tensor of the source, and what it becomes. */
typedef struct item {
    const ol_st_tensor *t;
    ol_const *source, *quant; /* quant NULL: kept as it is */
    const ol_compress_entry *entry; /* of the plan; NULL: no linear layer */
    uint64_t at[N_PARTS], bytes[N_PARTS]; /* places in the data; of a kept one at[0] */
} item;

typedef struct writer {
    const char *folder;
    ol_safetensors *st;
    item *items;
    size_t n;
    ol_buf header;
    uint64_t data_at, total; /* of the data in the file; of the file */
    json_t *config;
    int fd;
} writer;

static olv_status no_memory(olv_error *err) { return ol_fail(err, OLV_NOMEM, "out of memory"); }

/* ---- what becomes of a tensor ------------------------------------------------------------------------ */

/* The plan's entry for a tensor: of its name, or a part of it (fused layers are cut in the graph). */
static const ol_compress_entry *entry_of(const ol_compress_plan *plan, const char *name) {
    size_t n = strlen(name);
    for (size_t i = 0; i < plan->n; i++) {
        const char *e = plan->entries[i].name;
        if (!strncmp(e, name, n) && (e[n] == 0 || e[n] == '.')) return &plan->entries[i];
    }
    return NULL;
}

/* Experts are tensors of their own here and one in the graph. */
static const ol_compress_entry *expert_entry(const ol_compress_plan *plan, const char *name) {
    if (!strstr(name, ".experts.")) return NULL;
    for (size_t i = 0; i < plan->n; i++)
        if (strstr(plan->entries[i].name, "experts") && !plan->entries[i].kept) return &plan->entries[i];
    return NULL;
}

/* Why a linear layer has no form here; NULL: it has. */
static const char *why_kept(const item *it) {
    const olv_weight_spec *s = &it->entry->spec;
    if (it->entry->kept) return it->entry->kept;
    if (ol_weight_bits(s->type) == 0 || s->type == OLV_WEIGHT_NF4) return "compressed-tensors has no such form";
    if (s->group_size > 0 && it->t->dims[1] % s->group_size) return "rows are no multiple of the group";
    return NULL;
}

/* Codes that a method with data gave, with their errors: of the whole tensor, or of the parts that the graph cuts it into, in their
 * order. NULL: none, or they do not make up the tensor. */
static ol_const *given_codes(const ol_compress_plan *plan, const item *it, ol_compress_entry *out, olv_error *err) {
    ol_const *parts[8];
    size_t len = it->t->name.len;
    int n = 0;
    int64_t rows = 0;
    for (size_t i = 0; i < plan->n && n < 8; i++) {
        const ol_compress_entry *e = &plan->entries[i];
        bool mine = !strncmp(e->name, it->t->name.ptr, len) && (e->name[len] == 0 || e->name[len] == '.');
        if (!mine || !e->method || e->k != it->t->dims[1]) continue;
        parts[n++] = e->result;
        rows += e->rows;
        out->error += e->error;
        out->energy += e->energy;
    }
    if (n == 0 || rows != it->t->dims[0]) return NULL;
    return n == 1 ? ol_const_retain(parts[0]) : ol_const_concat_rows(parts, n, err);
}

static ol_const *codes_of(const ol_compress_plan *plan, const item *it, ol_compress_entry *out, olv_error *err) {
    if (!it->entry->method) return ol_compress_const(it->source, &out->spec, ol_cpu_probe(), err);
    ol_const *c = given_codes(plan, it, out, err);
    out->method = it->entry->method;
    if (!c) ol_fail(err, OLV_UNSUPPORTED, "the codes that %s gave are not those of a tensor of the folder", it->entry->method);
    return c;
}

static olv_status choose(writer *w, const ol_compress_plan *plan, item *it, ol_compress_entry *out, olv_error *err) {
    const char *name = it->t->name.ptr;
    OL_TRY(ol_safetensors_const(w->st, it->t, &it->source, err));
    bool matrix = it->t->rank == 2 && ol_dtype_class(it->t->dtype) == 'f' && ol_str_ends(it->t->name, ".weight");
    it->entry = matrix ? entry_of(plan, name) : NULL;
    if (matrix && !it->entry) it->entry = expert_entry(plan, name);
    if (!it->entry) return OLV_OK;
    if (!strcmp(it->entry->name, name) && it->entry->rows == it->t->dims[1] && it->entry->k == it->t->dims[0] &&
        it->entry->rows != it->entry->k)
        return ol_fail(err, OLV_UNSUPPORTED, "tensor '%s' is transposed (Conv1D), which compressed-tensors has no form for", name);
    out->kept = why_kept(it);
    out->name = ol_alloc(strlen(name) + 1);
    if (!out->name) return no_memory(err);
    strcpy(out->name, name);
    out->roles = it->entry->roles;
    out->spec = it->entry->spec;
    out->spec.scale = OLV_SCALE_F16;
    out->rows = it->t->dims[0];
    out->k = it->t->dims[1];
    out->bits_before = out->bits_after = it->t->bits;
    if (!out->kept && !(it->quant = codes_of(plan, it, out, err))) return ol_error_at(err, "%s", name);
    if (it->quant) out->bits_after = ol_qconst_bits(ol_const_quant_form(it->quant));
    out->source = ol_const_retain(it->source);
    out->result = ol_const_retain(it->quant ? it->quant : it->source);
    return OLV_OK;
}

static olv_status choose_all(writer *w, const ol_compress_plan *plan, ol_compress_plan *report, olv_error *err) {
    w->n = ol_safetensors_count(w->st);
    w->items = ol_calloc(w->n + 1, sizeof *w->items);
    report->entries = ol_calloc(w->n + 1, sizeof *report->entries);
    if (!w->items || !report->entries) return no_memory(err);
    size_t quantized = 0;
    for (size_t i = 0; i < w->n; i++) {
        w->items[i].t = ol_safetensors_get(w->st, i);
        olv_status s = choose(w, plan, &w->items[i], &report->entries[report->n], err);
        report->n += report->entries[report->n].name != NULL;
        OL_TRY(s);
        quantized += w->items[i].quant != NULL;
    }
    return quantized ? OLV_OK : ol_fail(err, OLV_UNSUPPORTED, "'%s' has no linear layer that compressed-tensors has a form for", w->folder);
}

/* ---- the header -------------------------------------------------------------------------------------- */

static int64_t words(int64_t numbers, int bits) { return (numbers * bits + 31) / 32; }

static void put_tensor(writer *w, const char *stem, size_t stem_len, const char *suffix, const char *type, const int64_t *dims, int rank,
                       uint64_t bytes, uint64_t *at) {
    ol_buf name = OL_BUF_INIT;
    ol_buf_append(&name, stem, stem_len);
    ol_buf_puts(&name, suffix);
    if (w->header.len > 1) ol_buf_putc(&w->header, ',');
    ol_buf_json_string(&w->header, name.data ? name.data : "", name.len);
    ol_buf_printf(&w->header, ":{\"dtype\":\"%s\",\"shape\":[", type);
    for (int i = 0; i < rank; i++) ol_buf_printf(&w->header, "%s%lld", i ? "," : "", (long long)dims[i]);
    ol_buf_printf(&w->header, "],\"data_offsets\":[%llu,%llu]}", (unsigned long long)w->total, (unsigned long long)(w->total + bytes));
    if (name.failed) w->header.failed = true;
    ol_buf_deinit(&name);
    *at = w->total;
    w->total += bytes;
}

static void put_quantized(writer *w, item *it) {
    const ol_qconst *q = ol_const_quant_form(it->quant);
    int bits = ol_weight_bits(it->entry->spec.type);
    const char *stem = it->t->name.ptr;
    size_t n = it->t->name.len - strlen("weight");
    int64_t codes[] = {q->rows, words(q->k, bits)}, scales[] = {q->rows, q->n_groups}, zeros[] = {words(q->rows, bits), q->n_groups};
    int64_t two[] = {2};
    it->bytes[CODES] = (uint64_t)codes[0] * (uint64_t)codes[1] * 4;
    it->bytes[SCALES] = (uint64_t)scales[0] * (uint64_t)scales[1] * 2;
    it->bytes[SHAPE] = 16;
    put_tensor(w, stem, n, "weight_packed", "I32", codes, 2, it->bytes[CODES], &it->at[CODES]);
    put_tensor(w, stem, n, "weight_scale", "F16", scales, 2, it->bytes[SCALES], &it->at[SCALES]);
    if (q->zero_dtype != OL_DTYPE_NONE) {
        it->bytes[ZEROS] = (uint64_t)zeros[0] * (uint64_t)zeros[1] * 4;
        put_tensor(w, stem, n, "weight_zero_point", "I32", zeros, 2, it->bytes[ZEROS], &it->at[ZEROS]);
    }
    put_tensor(w, stem, n, "weight_shape", "I64", two, 1, it->bytes[SHAPE], &it->at[SHAPE]);
}

static olv_status make_header(writer *w, olv_error *err) {
    ol_buf_puts(&w->header, "{\"__metadata__\":{\"format\":\"pt\"}");
    for (size_t i = 0; i < w->n; i++) {
        item *it = &w->items[i];
        it->bytes[0] = it->t->bytes;
        if (it->quant) put_quantized(w, it);
        else put_tensor(w, it->t->name.ptr, it->t->name.len, "", it->t->type_name, it->t->dims, it->t->rank, it->t->bytes, &it->at[0]);
    }
    ol_buf_putc(&w->header, '}');
    while (w->header.len % 64 != 56 && !w->header.failed) ol_buf_putc(&w->header, ' '); /* data on a cache line */
    w->data_at = 8 + w->header.len;
    w->total += w->data_at;
    return w->header.failed ? no_memory(err) : OLV_OK;
}

/* ---- the data ---------------------------------------------------------------------------------------- */

static olv_status put(int fd, const void *data, size_t n, uint64_t at, olv_error *err) {
    const char *p = data;
    while (n) {
        ssize_t k = pwrite(fd, p, n, (off_t)at);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) return ol_fail_errno(err, WEIGHTS);
        p += k;
        at += (uint64_t)k;
        n -= (size_t)k;
    }
    return OLV_OK;
}

typedef struct job {
    const writer *w;
    const item *it;
    int64_t tile;
    atomic_int failed;
    olv_error err;
} job;

/* Zero points of `n` rows, one code a row and group, into words of consecutive rows. */
static void pack_zeros(const ol_qconst *q, int bits, const uint8_t *zeros, int64_t n, uint32_t *out) {
    int64_t per = 32 / bits;
    for (int64_t r = 0; r < n; r++)
        for (int64_t g = 0; g < q->n_groups; g++) {
            const uint8_t *row = zeros + (size_t)r * q->zero_row_bytes;
            uint32_t z = bits == 8 ? row[g] : (uint32_t)(row[g / 2] >> (g % 2 * 4)) & 15;
            out[r / per * q->n_groups + g] |= z << (r % per * bits);
        }
}

static olv_status quant_tile(const job *j, int64_t row, int64_t n, olv_error *err) {
    const item *it = j->it;
    const ol_qconst *q = ol_const_quant_form(it->quant);
    int bits = ol_weight_bits(it->entry->spec.type);
    size_t line = (size_t)words(q->k, bits) * 4, rows = (size_t)n, scale_row = (size_t)q->n_groups * 2;
    size_t zero_words = q->zero_row_bytes ? (size_t)(words(n, bits) * q->n_groups) : 0;
    uint8_t *codes = ol_alloc(rows * q->row_bytes), *lines = ol_calloc(rows, line), *scales = ol_alloc(rows * scale_row);
    uint8_t *zeros = ol_alloc(rows * q->zero_row_bytes + 1);
    uint32_t *packed = ol_calloc(zero_words + 1, 4);
    olv_status s = codes && lines && scales && zeros && packed ? OLV_OK : no_memory(err);
    if (s == OLV_OK) s = ol_const_rows_quant(it->quant, row, n, codes, scales, q->zero_row_bytes ? zeros : NULL, err);
    if (s == OLV_OK) {
        size_t have = q->row_bytes < line ? q->row_bytes : line;
        for (size_t r = 0; r < rows; r++) memcpy(lines + r * line, codes + r * q->row_bytes, have);
        if (zero_words) pack_zeros(q, bits, zeros, n, packed);
        uint64_t base = j->w->data_at, r = (uint64_t)row;
        s = put(j->w->fd, lines, rows * line, base + it->at[CODES] + r * line, err);
        if (s == OLV_OK) s = put(j->w->fd, scales, rows * scale_row, base + it->at[SCALES] + r * scale_row, err);
        if (s == OLV_OK && zero_words)
            s = put(j->w->fd, packed, zero_words * 4, base + it->at[ZEROS] + r * (uint64_t)bits / 32 * (uint64_t)q->n_groups * 4, err);
    }
    ol_free(codes);
    ol_free(lines);
    ol_free(scales);
    ol_free(zeros);
    ol_free(packed);
    return s;
}

static olv_status copy_tile(const job *j, size_t i, olv_error *err) {
    size_t size = 0, at = i * COPY_BYTES;
    const uint8_t *p = ol_const_data(j->it->source, &size);
    if (!p || size != j->it->t->bytes) return ol_fail(err, OLV_INTERNAL, "tensor '%s' does not lie in its file", j->it->t->name.ptr);
    return put(j->w->fd, p + at, size - at < COPY_BYTES ? size - at : COPY_BYTES, j->w->data_at + j->it->at[0] + at, err);
}

static void run_tile(void *ctx, size_t i, int lane) {
    job *j = ctx;
    olv_error err = {OLV_OK, ""};
    (void)lane;
    if (atomic_load(&j->failed)) return;
    int64_t row = (int64_t)i * j->tile, rows = j->it->t->dims[0];
    olv_status s = j->it->quant ? quant_tile(j, row, rows - row < j->tile ? rows - row : j->tile, &err) : copy_tile(j, i, &err);
    if (s != OLV_OK && atomic_exchange(&j->failed, 1) == 0) j->err = err;
}

static olv_status write_item(const writer *w, const item *it, ol_executor *e, olv_error *err) {
    job j = {.w = w, .it = it};
    size_t tiles = (size_t)((it->t->bytes + COPY_BYTES - 1) / COPY_BYTES);
    if (it->quant) {
        j.tile = TILE_WEIGHTS / (it->t->dims[1] ? it->t->dims[1] : 1) / 32 * 32; /* whole words of zero points */
        if (j.tile < 32) j.tile = 32;
        tiles = (size_t)((it->t->dims[0] + j.tile - 1) / j.tile);
    }
    ol_executor_for(e, tiles, run_tile, &j);
    if (atomic_load(&j.failed)) {
        if (err) *err = j.err;
        return ol_error_at(err, "tensor '%s'", it->t->name.ptr);
    }
    int64_t shape[2] = {it->t->rank > 0 ? it->t->dims[0] : 1, it->t->rank > 1 ? it->t->dims[1] : 1};
    return it->quant ? put(w->fd, shape, sizeof shape, w->data_at + it->at[SHAPE], err) : OLV_OK;
}

static olv_status write_data(writer *w, ol_output *o, ol_executor *e, olv_progress_fn *progress, void *ctx, olv_error *err) {
    uint64_t done = 0, size = w->header.len, all = 0;
    char head[8];
    for (int i = 0; i < 8; i++) head[i] = (char)(uint8_t)(size >> 8 * i);
    for (size_t i = 0; i < w->n; i++) all += w->items[i].t->bytes;
    OL_TRY(put(w->fd, head, 8, 0, err));
    OL_TRY(put(w->fd, w->header.data, w->header.len, 8, err));
    for (size_t i = 0; i < w->n; i++) {
        const item *it = &w->items[i];
        if (!ol_output_is_done(o, it->t->name.ptr)) {
            OL_TRY(write_item(w, it, e, err));
            OL_TRY(ol_output_mark(o, it->t->name.ptr, err));
        }
        done += it->t->bytes;
        if (progress && !progress(ctx, done, all)) return ol_fail(err, OLV_CANCELLED, "cancelled; the same command goes on");
    }
    return fdatasync(w->fd) == 0 ? OLV_OK : ol_fail_errno(err, WEIGHTS);
}

/* ---- the small files --------------------------------------------------------------------------------- */

static bool same_spec(const olv_weight_spec *a, const olv_weight_spec *b) {
    return a->type == b->type && a->group_size == b->group_size;
}

static json_t *weights_of(const olv_weight_spec *s) {
    json_t *w = json_pack("{s:i,s:s,s:b,s:s,s:b}", "num_bits", ol_weight_bits(s->type), "type", "int", "symmetric", !ol_weight_asym(s->type),
                          "strategy", s->group_size > 0 ? "group" : "channel", "dynamic", 0);
    if (w && s->group_size > 0) json_object_set_new(w, "group_size", json_integer(s->group_size));
    return w;
}

static json_t *module_name(const item *it) { return json_stringn(it->t->name.ptr, it->t->name.len - strlen(".weight")); }

/* One group of layers for each form; a single one has all linear layers but those that are ignored. */
static json_t *quantization_config(const writer *w) {
    json_t *groups = json_object(), *ignore = json_array();
    const olv_weight_spec *specs[16];
    size_t n = 0;
    for (size_t i = 0; i < w->n; i++) {
        const item *it = &w->items[i];
        if (it->entry && !it->quant && !(it->entry->roles & OL_ROLE_EMBEDDING && !(it->entry->roles & OL_ROLE_HEAD)))
            json_array_append_new(ignore, module_name(it));
        size_t k = 0;
        while (k < n && it->quant && !same_spec(specs[k], &it->entry->spec)) k++;
        if (it->quant && k == n && n < 16) specs[n++] = &it->entry->spec;
    }
    for (size_t k = 0; k < n; k++) {
        char name[24];
        json_t *targets = json_array();
        snprintf(name, sizeof name, "group_%zu", k);
        if (n == 1) json_array_append_new(targets, json_string("Linear"));
        for (size_t i = 0; n > 1 && i < w->n; i++)
            if (w->items[i].quant && same_spec(specs[k], &w->items[i].entry->spec)) json_array_append_new(targets, module_name(&w->items[i]));
        json_object_set_new(groups, name, json_pack("{s:o,s:o,s:n,s:n,s:s}", "targets", targets, "weights", weights_of(specs[k]),
                                                    "input_activations", "output_activations", "format", "pack-quantized"));
    }
    json_array_append_new(ignore, json_string("lm_head")); /* a tied head has no tensor of its own */
    return json_pack("{s:s,s:s,s:s,s:n,s:o,s:o}", "quant_method", "compressed-tensors", "format", "pack-quantized", "quantization_status",
                     "compressed", "kv_cache_scheme", "ignore", ignore, "config_groups", groups);
}

static bool head_is_quantized(const writer *w) {
    for (size_t i = 0; i < w->n; i++)
        if (w->items[i].quant && !strcmp(w->items[i].t->name.ptr, "lm_head.weight")) return true;
    return false;
}

static olv_status write_config(writer *w, ol_output *o, olv_error *err) {
    json_t *q = quantization_config(w);
    json_t *ignore = json_object_get(q, "ignore");
    if (head_is_quantized(w)) json_array_remove(ignore, json_array_size(ignore) - 1);
    if (!q || json_object_set_new(w->config, "quantization_config", q)) return no_memory(err);
    char *text = json_dumps(w->config, JSON_INDENT(2));
    olv_status s = text ? ol_output_file(o, "config.json", text, strlen(text), err) : no_memory(err);
    free(text);
    return s;
}

static bool is_companion(const char *name) {
    static const char *const not[] = {".safetensors", ".safetensors.index.json", ".bin", ".pt", ".pth", ".gguf", ".onnx", ".data", ".npy"};
    if (!strcmp(name, "config.json") || !strcmp(name, "olivine.json") || name[0] == '.') return false;
    for (size_t i = 0; i < sizeof not / sizeof not[0]; i++)
        if (ol_str_ends(ol_str_of(name), not[i])) return false;
    return true;
}

static olv_status copy_companions(const writer *w, ol_output *o, olv_error *err) {
    char **names;
    size_t n;
    OL_TRY(ol_dir_list(w->folder, &names, &n, err));
    olv_status s = OLV_OK;
    for (size_t i = 0; s == OLV_OK && i < n; i++) {
        ol_file *f;
        char *path = is_companion(names[i]) ? ol_path_join(w->folder, names[i]) : NULL;
        bool fits = path && ol_file_exists(path) && ol_file_open(path, &f, NULL) == OLV_OK;
        ol_free(path);
        if (!fits) continue;
        fits = f->size <= MAX_COMPANION;
        ol_file_release(f);
        if (fits) s = ol_output_copy(o, w->folder, names[i], err);
    }
    ol_dir_list_free(names, n);
    return s;
}

static olv_status write_small_files(writer *w, ol_output *o, const ol_hf_output *opt, olv_error *err) {
    ol_buf b = OL_BUF_INIT;
    OL_TRY(write_config(w, o, err));
    OL_TRY(copy_companions(w, o, err));
    if (!opt->manifest) return OLV_OK;
    olv_status s = opt->manifest(opt->manifest_ctx, o->part, &b, err);
    if (s == OLV_OK) s = b.failed ? no_memory(err) : ol_output_file(o, "olivine.json", b.data, b.len, err);
    ol_buf_deinit(&b);
    return s;
}

/* ---- the folder -------------------------------------------------------------------------------------- */

static olv_status open_source(writer *w, olv_error *err) {
    char *path = ol_path_join(w->folder, "config.json");
    if (!path) return no_memory(err);
    olv_status s = ol_json_read_file(path, MAX_CONFIG, &w->config, err);
    ol_free(path);
    OL_TRY(s);
    if (json_object_get(w->config, "quantization_config"))
        return ol_fail(err, OLV_UNSUPPORTED, "'%s' is quantized already; give the model with float weights", w->folder);
    return ol_safetensors_open(w->folder, &w->st, err);
}

static olv_status write_out(writer *w, const ol_hf_output *opt, const char *out_dir, olv_progress_fn *progress, void *ctx, olv_error *err) {
    ol_output o;
    olv_status s = ol_output_begin(&o, out_dir, opt->key, opt->force, opt->fresh, w->total + SLACK,
                                   ol_hash64(w->header.data, w->header.len, 0), err);
    char *path = s == OLV_OK ? ol_path_join(o.part, WEIGHTS) : NULL;
    if (s == OLV_OK && !path) s = no_memory(err);
    if (s == OLV_OK && (w->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644)) < 0) s = ol_fail_errno(err, "%s", path);
    if (s == OLV_OK && ftruncate(w->fd, (off_t)w->total)) s = ol_fail_errno(err, "%s", path);
    if (s == OLV_OK) s = write_data(w, &o, opt->executor, progress, ctx, err);
    if (s == OLV_OK) s = write_small_files(w, &o, opt, err);
    if (s == OLV_OK) s = ol_output_finish(&o, err);
    ol_free(path);
    ol_output_close(&o);
    return s;
}

olv_status ol_hf_folder_write(const char *folder, const ol_compress_plan *plan, const ol_hf_output *opt, const char *out_dir,
                              ol_compress_plan *report, olv_progress_fn *progress, void *ctx, olv_error *err) {
    writer w = {.folder = folder, .fd = -1, .header = OL_BUF_INIT};
    *report = (ol_compress_plan){NULL, 0};
    olv_status s = open_source(&w, err);
    if (s == OLV_OK) s = choose_all(&w, plan, report, err);
    if (s == OLV_OK) s = make_header(&w, err);
    if (s == OLV_OK) s = write_out(&w, opt, out_dir, progress, ctx, err);
    if (w.fd >= 0) close(w.fd);
    for (size_t i = 0; w.items && i < w.n; i++) {
        ol_const_release(w.items[i].source);
        ol_const_release(w.items[i].quant);
    }
    ol_free(w.items);
    ol_buf_deinit(&w.header);
    ol_safetensors_close(w.st);
    json_decref(w.config);
    return s;
}
