/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/ortgenai/data.h"

#include "base/alloc.h"
#include "base/checked.h"
#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"

#include <errno.h>
#include <stdio.h>
#include <fcntl.h>
#include <math.h>
#include <unistd.h>

#define TILE_BYTES (1u << 20)   /* f32 bytes of a tile */
#define BATCH_BYTES (16u << 20) /* written between two looks at the journal */

static ol_og_tensor *add(ol_og_data *d, const char *name, ol_const *c, int64_t rows, int64_t width) {
    if (d->n == d->cap) {
        size_t cap = d->cap ? d->cap * 2 : 64;
        ol_og_tensor *t = ol_realloc(d->tensors, cap * sizeof *t);
        if (!t) return NULL;
        d->tensors = t;
        d->cap = cap;
    }
    ol_og_tensor *t = &d->tensors[d->n++];
    memset(t, 0, sizeof *t);
    t->name = name;
    t->c = c ? ol_const_retain(c) : NULL;
    t->rows = rows;
    t->tile = (int64_t)(TILE_BYTES / sizeof(float)) / (width > 0 ? width : 1);
    if (t->tile < 1) t->tile = 1;
    return t;
}

/* Reserves space: page-aligned from a page on, so that readers can map it, else on cache lines. */
static uint64_t place(ol_og_data *d, uint64_t bytes) {
    uint64_t align = bytes >= 4096 ? 4096 : 64, at = (d->size + align - 1) / align * align;
    d->size = at + bytes;
    return at;
}

ol_og_tensor *ol_og_data_float(ol_og_data *d, const char *name, ol_const *c, ol_dtype type) {
    ol_og_tensor *t = add(d, name, c, ol_const_rows(c), ol_const_width(c));
    if (!t) return NULL;
    t->type = type;
    t->row_bytes[0] = (size_t)ol_const_width(c) * (size_t)ol_dtype_bits(type) / 8;
    t->offset[0] = place(d, (uint64_t)t->rows * t->row_bytes[0]);
    return t;
}

ol_og_tensor *ol_og_data_rope(ol_og_data *d, const char *name, const ol_og_rope *rope, int64_t rows, ol_dtype type) {
    ol_og_tensor *t = add(d, name, NULL, rows, rope->half);
    if (!t) return NULL;
    t->rope = *rope;
    t->type = type;
    t->row_bytes[0] = (size_t)rope->half * (size_t)ol_dtype_bits(type) / 8;
    t->offset[0] = place(d, (uint64_t)rows * t->row_bytes[0]);
    return t;
}

static int code_bits(const ol_qconst *q) {
    return q->code == OL_Q_U8 || q->code == OL_Q_I8 ? 8 : q->code == OL_Q_U2 ? 2 : 4;
}

ol_og_tensor *ol_og_data_quant(ol_og_data *d, const char *name, ol_const *c, ol_dtype scale_type, uint8_t flip,
                               int64_t block) {
    const ol_qconst *q = ol_const_quant_form(c);
    ol_og_tensor *t = add(d, name, c, ol_const_rows(c), ol_const_width(c));
    if (!t) return NULL;
    size_t bits = (size_t)code_bits(q);
    t->type = scale_type;
    t->quantized = true;
    t->flip = flip;
    t->block = block ? block : q->group;
    t->n_blocks = block ? (q->k + block - 1) / block : q->n_groups;
    t->row_bytes[0] = block ? (size_t)(t->n_blocks * block) * bits / 8 : q->row_bytes;
    t->row_bytes[1] = (size_t)t->n_blocks * (size_t)ol_dtype_bits(scale_type) / 8;
    if (q->zero_dtype != OL_DTYPE_NONE) t->row_bytes[2] = ((size_t)t->n_blocks * bits + 7) / 8;
    for (int i = 0; i < 3; i++) t->offset[i] = t->row_bytes[i] ? place(d, (uint64_t)t->rows * t->row_bytes[i]) : 0;
    return t;
}

void ol_og_data_deinit(ol_og_data *d) {
    for (size_t i = 0; i < d->n; i++) ol_const_release(d->tensors[i].c);
    ol_free(d->tensors);
    memset(d, 0, sizeof *d);
}

uint64_t ol_og_data_layout(const ol_og_data *d) {
    uint64_t h = 0;
    for (size_t i = 0; i < d->n; i++) {
        const ol_og_tensor *t = &d->tensors[i];
        uint64_t facts[] = {(uint64_t)t->type, t->quantized, t->flip, (uint64_t)t->rows, t->row_bytes[0], t->row_bytes[1],
                            t->row_bytes[2], t->offset[0], t->offset[1], t->offset[2]};
        h = ol_hash64(t->name, strlen(t->name), h);
        h = ol_hash64(facts, sizeof facts, h);
    }
    return h;
}

/* ---- tiles ---- */

typedef struct tile {
    const ol_og_tensor *t;
    int64_t row, n;
} tile;

typedef struct job {
    int fd;
    const tile *tiles;
    atomic_int failed;
    olv_error error; /* of the lane that failed first */
} job;

static olv_status put(int fd, const void *data, size_t n, uint64_t at, olv_error *err) {
    const char *p = data;
    while (n) {
        ssize_t k = pwrite(fd, p, n, (off_t)at);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) return ol_fail_errno(err, OL_OG_DATA_NAME);
        p += k;
        at += (uint64_t)k;
        n -= (size_t)k;
    }
    return OLV_OK;
}

static olv_status rope_rows(const ol_og_rope *p, int64_t row, int64_t n, float *out) {
    for (int64_t r = 0; r < n; r++) {
        for (int64_t i = 0; i < p->half; i++) {
            double angle = (double)(row + r) * (double)p->inv_freq[i];
            *out++ = (float)((p->sine ? sin(angle) : cos(angle)) * p->factor);
        }
    }
    return OLV_OK;
}

static olv_status float_tile(int fd, const tile *x, olv_error *err) {
    const ol_og_tensor *t = x->t;
    size_t count = (size_t)x->n * (size_t)(t->c ? ol_const_width(t->c) : t->rope.half), bytes = (size_t)x->n * t->row_bytes[0];
    float *f = ol_alloc(count * sizeof *f);
    void *out = t->type == OL_F32 ? (void *)f : ol_alloc(bytes);
    olv_status s = !f || !out ? ol_fail(err, OLV_NOMEM, "out of memory")
                   : t->c     ? ol_const_rows_f32(t->c, x->row, x->n, f, err)
                              : rope_rows(&t->rope, x->row, x->n, f);
    if (s == OLV_OK && t->type != OL_F32) ol_elems_from_f32(t->type, f, count, out, 0);
    if (s == OLV_OK) s = put(fd, out, bytes, t->offset[0] + (uint64_t)x->row * t->row_bytes[0], err);
    if (out != (void *)f) ol_free(out);
    ol_free(f);
    return s;
}

static void flip_bytes(uint8_t *p, size_t n, uint8_t with) {
    for (size_t i = 0; with && i < n; i++) p[i] ^= with;
}

/* Group of the constant that block b lies in. */
static int64_t group_of(const ol_og_tensor *t, const ol_qconst *q, int64_t b) {
    return q->n_groups == 1 ? 0 : b * t->block / q->group;
}

/* Scales times the second-level scale, in the written type, one per block. */
static void put_scales(const ol_og_tensor *t, const ol_qconst *q, int64_t n, const void *in, void *out) {
    for (int64_t r = 0; r < n; r++)
        for (int64_t b = 0; b < t->n_blocks; b++)
            ol_elem_set(t->type, out, (uint64_t)(r * t->n_blocks + b),
                        ol_elem_get(q->scale_dtype, in, (uint64_t)(r * q->n_groups + group_of(t, q, b))) *
                            (double)q->global_scale);
}

static unsigned get_code(const uint8_t *row, int64_t i, unsigned bits) {
    unsigned per = 8 / bits;
    return (unsigned)(row[(uint64_t)i / per] >> (bits * ((unsigned)i % per))) & ((1u << bits) - 1);
}

static void put_zeros(const ol_og_tensor *t, const ol_qconst *q, int64_t n, const uint8_t *in, uint8_t *out) {
    unsigned bits = (unsigned)code_bits(q), per = 8 / bits;
    memset(out, 0, (size_t)n * t->row_bytes[2]);
    for (int64_t r = 0; r < n; r++)
        for (int64_t b = 0; b < t->n_blocks; b++) {
            unsigned z = get_code(in + (size_t)r * q->zero_row_bytes, group_of(t, q, b), bits);
            out[(size_t)r * t->row_bytes[2] + (uint64_t)b / per] |= (uint8_t)(z << (bits * ((unsigned)b % per)));
        }
}

/* Rows of codes, cut or padded (with zero bits, before the flip) to the written length. */
static void put_codes(const ol_og_tensor *t, const ol_qconst *q, int64_t n, const uint8_t *in, uint8_t *out) {
    size_t have = q->row_bytes < t->row_bytes[0] ? q->row_bytes : t->row_bytes[0];
    memset(out, 0, (size_t)n * t->row_bytes[0]);
    for (int64_t r = 0; r < n; r++) memcpy(out + (size_t)r * t->row_bytes[0], in + (size_t)r * q->row_bytes, have);
    flip_bytes(out, (size_t)n * t->row_bytes[0], t->flip);
}

static olv_status quant_tile(int fd, const tile *x, olv_error *err) {
    const ol_og_tensor *t = x->t;
    const ol_qconst *q = ol_const_quant_form(t->c);
    size_t n = (size_t)x->n, in_bytes[3], out_bytes[3], total = 0, at = 0;
    in_bytes[0] = n * q->row_bytes;
    in_bytes[1] = n * (size_t)q->n_groups * (size_t)ol_dtype_bits(q->scale_dtype) / 8;
    in_bytes[2] = q->zero_dtype != OL_DTYPE_NONE ? n * q->zero_row_bytes : 0;
    for (int i = 0; i < 3; i++) {
        out_bytes[i] = n * t->row_bytes[i];
        total += ol_align_up(in_bytes[i], 64) + ol_align_up(out_bytes[i], 64);
    }
    uint8_t *block = ol_alloc_aligned(total), *in[3], *out[3];
    if (!block) return ol_fail(err, OLV_NOMEM, "out of memory");
    for (int i = 0; i < 3; i++) {
        in[i] = block + at;
        at += ol_align_up(in_bytes[i], 64);
        out[i] = block + at;
        at += ol_align_up(out_bytes[i], 64);
    }
    olv_status s = ol_const_rows_quant(t->c, x->row, x->n, in[0], in[1], in_bytes[2] ? in[2] : NULL, err);
    if (s == OLV_OK) {
        put_codes(t, q, x->n, in[0], out[0]);
        put_scales(t, q, x->n, in[1], out[1]);
        if (in_bytes[2]) {
            put_zeros(t, q, x->n, in[2], out[2]);
            flip_bytes(out[2], out_bytes[2], t->flip);
        }
    }
    for (int i = 0; i < 3 && s == OLV_OK; i++)
        s = put(fd, out[i], out_bytes[i], t->offset[i] + (uint64_t)x->row * t->row_bytes[i], err);
    ol_free_aligned(block);
    return s;
}

static void run_tile(void *ctx, size_t i, int lane) {
    job *j = ctx;
    (void)lane;
    if (atomic_load_explicit(&j->failed, memory_order_relaxed)) return;
    olv_error e = {OLV_OK, ""};
    const tile *x = &j->tiles[i];
    if ((x->t->quantized ? quant_tile(j->fd, x, &e) : float_tile(j->fd, x, &e)) == OLV_OK) return;
    int none = 0;
    if (atomic_compare_exchange_strong(&j->failed, &none, 1)) {
        j->error = e;
        ol_error_at(&j->error, "%s", x->t->name);
    }
}

/* ---- the file ---- */

static uint64_t tensor_bytes(const ol_og_tensor *t) {
    return (uint64_t)t->rows * (t->row_bytes[0] + t->row_bytes[1] + t->row_bytes[2]);
}

/* Runs the tiles of tensors [from, to) that are not done. */
static olv_status write_batch(const ol_og_data *d, size_t from, size_t to, ol_output *out, int fd, ol_executor *e,
                              olv_error *err) {
    size_t n = 0, at = 0;
    for (size_t i = from; i < to; i++)
        if (!ol_output_is_done(out, d->tensors[i].name))
            n += (size_t)((d->tensors[i].rows + d->tensors[i].tile - 1) / d->tensors[i].tile);
    tile *tiles = ol_calloc(n ? n : 1, sizeof *tiles);
    if (!tiles) return ol_fail(err, OLV_NOMEM, "out of memory");
    for (size_t i = from; i < to; i++) {
        const ol_og_tensor *t = &d->tensors[i];
        for (int64_t r = 0; !ol_output_is_done(out, t->name) && r < t->rows; r += t->tile)
            tiles[at++] = (tile){t, r, r + t->tile <= t->rows ? t->tile : t->rows - r};
    }
    job j = {.fd = fd, .tiles = tiles};
    atomic_init(&j.failed, 0);
    if (e)
        ol_executor_for(e, n, run_tile, &j);
    else
        for (size_t i = 0; i < n; i++) run_tile(&j, i, 0);
    ol_free(tiles);
    if (!atomic_load(&j.failed)) return OLV_OK;
    if (err) *err = j.error;
    return j.error.status;
}

/* The journal's name of a note; the final dot tells it from a torn one. */
static void note_name(size_t i, char name[40]) { snprintf(name, 40, "note %zu.", i); }

static olv_status write_notes(ol_output *out, const ol_ortgenai_options *opt, olv_error *err) {
    char note[OL_ORTGENAI_NOTE], name[40];
    for (size_t i = 0; i < opt->n_notes; i++) {
        note_name(i, name);
        if (opt->note(opt->manifest_ctx, i, note)) OL_TRY(ol_output_mark_note(out, name, note, err));
    }
    return OLV_OK;
}

static void renew_notes(const ol_output *out, const ol_ortgenai_options *opt) {
    char name[40];
    for (size_t i = 0; i < opt->n_notes; i++) {
        note_name(i, name);
        const char *note = ol_output_note(out, name);
        if (note) opt->renew(opt->manifest_ctx, i, note);
    }
}

static olv_status fill(const ol_og_data *d, ol_output *out, int fd, const ol_ortgenai_options *opt,
                       ol_ortgenai_progress *progress, void *ctx, olv_error *err) {
    uint64_t done = 0, total = 0;
    for (size_t i = 0; i < d->n; i++) total += tensor_bytes(&d->tensors[i]);
    for (size_t from = 0, to; from < d->n; from = to) {
        uint64_t batch = 0;
        for (to = from; to < d->n && (to == from || batch < BATCH_BYTES); to++) batch += tensor_bytes(&d->tensors[to]);
        OL_TRY(write_batch(d, from, to, out, fd, opt->executor, err));
        OL_TRY(write_notes(out, opt, err));
        for (size_t i = from; i < to; i++)
            if (!ol_output_is_done(out, d->tensors[i].name)) OL_TRY(ol_output_mark(out, d->tensors[i].name, err));
        done += batch;
        if (progress && !progress(ctx, done, total)) return ol_fail(err, OLV_CANCELLED, "cancelled; the same command goes on");
    }
    return fdatasync(fd) == 0 ? OLV_OK : ol_fail_errno(err, OL_OG_DATA_NAME);
}

olv_status ol_og_data_write(const ol_og_data *d, ol_output *out, const ol_ortgenai_options *opt,
                            ol_ortgenai_progress *progress, void *ctx, olv_error *err) {
    renew_notes(out, opt);
    char *path = ol_path_join(out->part, OL_OG_DATA_NAME);
    if (!path) return ol_fail(err, OLV_NOMEM, "out of memory");
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    olv_status s = fd < 0 || ftruncate(fd, (off_t)d->size) != 0 ? ol_fail_errno(err, "%s", path) : OLV_OK;
    if (s == OLV_OK) s = fill(d, out, fd, opt, progress, ctx, err);
    if (fd >= 0) close(fd);
    ol_free(path);
    return s;
}
