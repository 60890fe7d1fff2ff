/* SPDX-License-Identifier: Apache-2.0 */
/* The two files: begun under temporary names, given their own when everything is there. */
#include "base/alloc.h"
#include "base/error.h"
#include "formats/openvino/emit_private.h"
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

olv_status ol_ir_status(const ol_ir_file *f) { return f->status; }
olv_error *ol_ir_error(const ol_ir_file *f) { return f->err; }
ol_ir_emit *ol_ir_net(ol_ir_file *f) { return f->net; }
ol_ir_file *ol_ir_file_of(const ol_ir_emit *e) { return e->file; }
ol_arena *ol_ir_arena(const ol_ir_emit *e) { return e->file->arena; }

void ol_ir_latch(ol_ir_file *f, olv_status s) {
    if (f->status != OLV_OK || s == OLV_OK) return;
    f->status = s;
    if (f->err->status == OLV_OK) ol_fail(f->err, s, "no memory to write '%.300s'", f->path);
}

static ol_ir_emit *new_emit(ol_ir_file *f, int depth) {
    ol_ir_emit *e = ol_arena_alloc(f->arena, sizeof *e);
    if (!e) {
        ol_ir_latch(f, OLV_NOMEM);
        return NULL;
    }
    *e = (ol_ir_emit){.file = f, .layers = OL_BUF_INIT, .depth = depth, .next = f->emitters};
    ol_map_init(&e->names);
    f->emitters = e;
    return e;
}

ol_ir_emit *ol_ir_body(ol_ir_emit *outer) { return outer->file->status == OLV_OK ? new_emit(outer->file, outer->depth + 3) : NULL; }

olv_status ol_ir_begin(const char *path, const ol_ir_options *opt, ol_ir_file **out, olv_error *err) {
    size_t n = strlen(path);
    if (ol_str_ends(ol_str_of(path), ".xml")) n -= 4;
    ol_arena *arena = ol_arena_create();
    ol_ir_file *f = arena ? ol_arena_alloc(arena, sizeof *f) : NULL;
    if (!f) {
        ol_arena_destroy(arena);
        return ol_fail(err, OLV_NOMEM, "no memory to write '%.300s'", path);
    }
    *f = (ol_ir_file){.arena = arena, .fd = -1, .opt = opt ? *opt : (ol_ir_options){NULL, false}};
    f->err = err ? err : &f->own;
    f->err->status = OLV_OK;
    ol_map_init(&f->payloads);
    f->path = ol_arena_printf(arena, "%.*s.xml", (int)n, path);
    f->data_path = ol_arena_printf(arena, "%.*s.bin", (int)n, path);
    f->data_part = f->data_path ? ol_arena_printf(arena, "%s.part", f->data_path) : NULL;
    f->net = new_emit(f, 2);
    if (!f->path || !f->data_part || !f->net) ol_ir_latch(f, OLV_NOMEM);
    if (f->status == OLV_OK) f->fd = open(f->data_part, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (f->status == OLV_OK && f->fd < 0) f->status = ol_fail_errno(f->err, "cannot create '%s'", f->data_part);
    if (f->status != OLV_OK) {
        olv_status s = f->status;
        ol_ir_abort(f);
        return s;
    }
    *out = f;
    return OLV_OK;
}

void ol_ir_info(ol_ir_file *f, const char *path, const char *value) {
    if (f->n_info + 2 > f->cap_info) {
        size_t cap = f->cap_info ? f->cap_info * 2 : 32;
        const char **p = ol_realloc(f->info, cap * sizeof *p);
        if (!p) {
            ol_ir_latch(f, OLV_NOMEM);
            return;
        }
        f->info = p;
        f->cap_info = cap;
    }
    f->info[f->n_info] = ol_arena_strdup(f->arena, path);
    f->info[f->n_info + 1] = ol_arena_strdup(f->arena, value);
    if (!f->info[f->n_info] || !f->info[f->n_info + 1]) ol_ir_latch(f, OLV_NOMEM);
    else f->n_info += 2;
}

static bool is_tag(const char *s, size_t n) {
    if (!n || !((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || *s == '_')) return false;
    for (size_t i = 1; i < n; i++)
        if (!((s[i] >= 'a' && s[i] <= 'z') || (s[i] >= 'A' && s[i] <= 'Z') || (s[i] >= '0' && s[i] <= '9') || s[i] == '_' || s[i] == '-' || s[i] == '.'))
            return false;
    return true;
}

/* The leaves from *at whose path starts with the first `skip` bytes of that of *at. */
static void put_info(ol_ir_file *f, ol_buf *b, size_t *at, size_t skip, int depth) {
    const char *parent = f->info[*at];
    while (*at < f->n_info && !strncmp(f->info[*at], parent, skip)) {
        const char *name = f->info[*at] + skip;
        size_t n = strcspn(name, "/");
        for (int i = 0; i < depth; i++) ol_buf_putc(b, '\t');
        if (!name[n]) {
            ol_ir_attr attrs[2] = {ol_ir_say_text("name", is_tag(name, n) ? NULL : name), ol_ir_say_text("value", f->info[*at + 1])};
            ol_ir_put_element(b, attrs[0].text ? "info" : name, attrs, 2);
            *at += 2;
            continue;
        }
        ol_buf_printf(b, "<%.*s>\n", (int)n, name);
        put_info(f, b, at, skip + n + 1, depth + 1);
        for (int i = 0; i < depth; i++) ol_buf_putc(b, '\t');
        ol_buf_printf(b, "</%.*s>\n", (int)n, name);
    }
}

static void put_document(ol_ir_file *f, ol_buf *b) {
    ol_ir_attr head[2] = {ol_ir_say_text("name", f->opt.name && *f->opt.name ? f->opt.name : "Model"), ol_ir_say_text("version", "11")};
    size_t at = 0;
    ol_buf_puts(b, "<?xml version=\"1.0\"?>\n");
    ol_ir_put_element(b, "net", head, 2);
    if (!b->failed) {
        b->len -= strlen(" />\n"); /* the element stays open */
        ol_buf_puts(b, ">\n");
    }
    ol_ir_put_body(f->net, "", b);
    ol_buf_puts(b, f->n_info ? "\t<rt_info>\n" : "\t<rt_info />\n");
    if (f->n_info) put_info(f, b, &at, 0, 2);
    ol_buf_puts(b, f->n_info ? "\t</rt_info>\n</net>\n" : "</net>\n");
}

olv_status ol_ir_finish(ol_ir_file *f) {
    ol_buf b = OL_BUF_INIT;
    if (f->status == OLV_OK) put_document(f, &b);
    if (b.failed) ol_ir_latch(f, ol_buf_status(&b));
    if (f->status == OLV_OK && fsync(f->fd)) f->status = ol_fail_errno(f->err, "cannot write '%s'", f->data_part);
    if (f->status == OLV_OK && rename(f->data_part, f->data_path)) f->status = ol_fail_errno(f->err, "cannot rename '%s'", f->data_part);
    if (f->status == OLV_OK) {
        close(f->fd);
        f->fd = -1;
        f->status = ol_file_write_atomic(f->path, b.data, b.len, f->err);
        if (f->status != OLV_OK) unlink(f->data_path); /* both files or none */
    }
    ol_buf_deinit(&b);
    return f->status;
}

void ol_ir_abort(ol_ir_file *f) {
    if (!f) return;
    if (f->fd >= 0) {
        close(f->fd);
        unlink(f->data_part);
    }
    for (ol_ir_emit *e = f->emitters; e; e = e->next) {
        ol_buf_deinit(&e->layers);
        ol_map_deinit(&e->names);
        ol_free(e->edges);
        ol_free(e->ports);
    }
    ol_map_deinit(&f->payloads);
    ol_free(f->info);
    ol_arena_destroy(f->arena);
}
