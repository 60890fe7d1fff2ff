/* SPDX-License-Identifier: Apache-2.0 */
#include "bundle/tokenizer_ir.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "bundle/bundle.h"
#include "bundle/tokenizer_ir/net.h"
#include <olivine/tokenizer.h>

#include <stdlib.h>
#include <unistd.h>

/* ---- text -> ids ---- */

static ol_ir_out typed(ol_ti_net *n, const char *type, const char *version, const ol_ir_out *in, int n_in, ol_ir_attr a,
                       const ol_ir_type *out) {
    return ol_ir_add(n->e, &(ol_ir_layer){.type = type, .version = version, .in = in, .n_in = n_in, .attrs = &a, .n_attrs = 1,
                                          .out = out, .n_out = 1});
}

static ol_ir_out number(ol_ti_net *n, int64_t v) {
    return ol_ir_const_i64(n->e, &v, -1);
}

/* Each text is one piece: the rows are [i, i + 1). */
static void one_piece_each(ol_ti_net *n) {
    ol_ir_type ints = {.element = ol_ir_element_named("i32"), .rank = 1, .dims = {-1}};
    ol_ir_type size = {.element = ol_ir_element_named("i64"), .rank = 1, .dims = {1}}, scalar = {.element = size.element, .rank = 0};
    ol_ir_out shape = typed(n, "ShapeOf", "opset3", &n->begins, 1, ol_ir_say_text("output_type", "i64"), &size);
    ol_ir_out first[] = {shape, number(n, 0), number(n, 0)};
    ol_ir_out count = typed(n, "Gather", "opset8", first, 3, ol_ir_say_text("batch_dims", "0"), &scalar);
    ol_ir_out from[] = {number(n, 0), count, number(n, 1)};
    n->rows[0] = typed(n, "Range", "opset4", from, 3, ol_ir_say_text("output_type", "i32"), &ints);
    ol_ir_out to[] = {number(n, 1), ol_ir_add_binary(n->e, "Add", NULL, count, number(n, 1)), number(n, 1)};
    n->rows[1] = typed(n, "Range", "opset4", to, 3, ol_ir_say_text("output_type", "i32"), &ints);
}

static int longest_first(const void *a, const void *b) {
    const ol_ti_added *x = *(const ol_ti_added *const *)a, *y = *(const ol_ti_added *const *)b;
    if (x->content.len != y->content.len) return x->content.len < y->content.len ? 1 : -1;
    return x->id < y->id ? -1 : x->id > y->id;
}

/* Added tokens of one kind as an alternative of the pattern: what the group matches becomes a piece. */
static void put_group(ol_buf *b, const ol_ti_added *const *list, size_t count, int kind) {
    bool any = false, left = kind & 1, right = kind & 2, word = kind & 4;
    for (size_t i = 0; i < count; i++) {
        const ol_ti_added *a = list[i];
        if (a->content.len == 0 || a->lstrip != left || a->rstrip != right || a->single_word != word) continue;
        if (!any && b->len) ol_buf_putc(b, '|');
        if (!any && left) ol_buf_puts(b, "(?:\\s*)");
        if (!any && word) ol_buf_puts(b, "(?<!\\w)");
        ol_buf_putc(b, any ? '|' : '(');
        ol_ti_quote(b, a->content);
        any = true;
    }
    if (!any) return;
    ol_buf_putc(b, ')');
    if (word) ol_buf_puts(b, "(?!\\w)");
    if (right) ol_buf_puts(b, "(?:\\s*)");
}

static olv_status cut_added(ol_ti_net *n) {
    const ol_ti_document *d = n->doc;
    const ol_ti_added **list = ol_calloc(d->n_added + 1, sizeof *list);
    ol_buf b = OL_BUF_INIT;
    if (!list) return ol_fail(n->err, OLV_NOMEM, "out of memory");
    for (size_t i = 0; i < d->n_added; i++) list[i] = &d->added[i];
    qsort(list, d->n_added, sizeof *list, longest_first);
    for (int kind = 0; kind < 8; kind++) put_group(&b, list, d->n_added, kind);
    if (b.len == 0) ol_buf_puts(&b, "(?!)()"); /* matches nowhere */
    ol_free(list);
    const char *pattern = ol_ti_keep(n, &b);
    if (!pattern) return OLV_NOMEM;
    ol_ir_out in[] = {n->rows[0], n->rows[1], n->begins, n->ends, n->chars, ol_ti_bytes(n, pattern, strlen(pattern))};
    ol_ir_out first = ol_ti_layer(n, "SpecialTokensSplit", in, 6, NULL, 0, "iiiiub");
    n->rows[0] = first;
    n->rows[1] = ol_ir_nth(first, 1);
    ol_ti_take(n, ol_ir_nth(first, 2));
    n->skip = ol_ir_nth(first, 5);
    return OLV_OK;
}

static olv_status encode(ol_ti_net *n) {
    ol_ir_type text = {.element = ol_ir_element_named("string"), .rank = 1, .dims = {-1}};
    ol_ir_type parts[] = {{.element = ol_ir_element_named("i32"), .rank = 1, .dims = {-1}},
                          {.element = ol_ir_element_named("i32"), .rank = 1, .dims = {-1}},
                          {.element = ol_ir_element_named("u8"), .rank = 1, .dims = {-1}}};
    ol_ir_out texts = ol_ir_add_parameter(n->e, "texts", "texts", &text), ids[3];
    ol_ti_take(n, ol_ir_add(n->e, &(ol_ir_layer){.type = "StringTensorUnpack", .version = "opset15", .in = &texts, .n_in = 1,
                                                 .out = parts, .n_out = 3}));
    n->skip = OL_IR_NONE;
    OL_TRY(ol_ti_first_prefix(n));
    one_piece_each(n);
    OL_TRY(cut_added(n));
    OL_TRY(ol_ti_normalize(n));
    OL_TRY(ol_ti_pretokenize(n));
    OL_TRY(ol_ti_tokenize(n, ids));
    return ol_ti_postprocess(n, ids);
}

/* ---- the pair of models ---- */

static olv_status build(const ol_ti_document *d, const char *folder, const char *file, const char *name,
                        olv_status (*emit)(ol_ti_net *n), ol_ir_file **f, olv_error *err) {
    char *path = ol_path_join(folder, file);
    if (!path) return ol_fail(err, OLV_NOMEM, "out of memory");
    olv_status s = ol_ir_begin(path, &(ol_ir_options){.name = name}, f, err);
    ol_free(path);
    OL_TRY(s);
    ol_ti_net n = {.doc = d, .e = ol_ir_net(*f), .err = err};
    OL_TRY(emit(&n));
    OL_TRY(ol_ti_info(d, *f, err));
    return ol_ir_status(*f);
}

/* Both pairs of files get their names, or none does. */
static olv_status finish(ol_ir_file *to_ids, ol_ir_file *to_text, const char *out, olv_error *err) {
    char *xml = ol_path_join(out, "openvino_tokenizer.xml"), *bin = ol_path_join(out, "openvino_tokenizer.bin");
    olv_status s = xml && bin ? ol_ir_finish(to_ids) : ol_fail(err, OLV_NOMEM, "out of memory");
    if (s == OLV_OK && (s = ol_ir_finish(to_text)) != OLV_OK) {
        unlink(xml);
        unlink(bin);
    }
    ol_free(xml);
    ol_free(bin);
    return s;
}

/* Models that are there already go along as they are. */
static olv_status copy_models(const char *source, const char *out, olv_error *err) {
    static const char *const names[] = {"openvino_tokenizer.bin", "openvino_tokenizer.xml", "openvino_detokenizer.bin",
                                        "openvino_detokenizer.xml"};
    olv_status s = OLV_OK;
    for (size_t i = 0; i < sizeof names / sizeof *names && s == OLV_OK; i++) {
        ol_file *f = NULL;
        char *to = ol_path_join(out, names[i]);
        s = to ? ol_file_open_in(source, names[i], &f, err) : ol_fail(err, OLV_NOMEM, "out of memory");
        if (s == OLV_OK) s = ol_file_write_atomic(to, f->data, (size_t)f->size, err);
        ol_file_release(f);
        ol_free(to);
    }
    return s;
}

static bool has_file(const char *folder, const char *name) {
    char *path = ol_path_join(folder, name);
    bool there = path && ol_file_exists(path);
    ol_free(path);
    return there;
}

olv_status ol_bundle_write_openvino_tokenizer(const char *source, const char *out, olv_error *err) {
    ol_ti_document d;
    ol_ir_file *to_ids = NULL, *to_text = NULL;
    olv_error own = {0};
    if (!err) err = &own;
    if (!has_file(source, "tokenizer.json") && has_file(source, "openvino_tokenizer.xml")) return copy_models(source, out, err);
    olv_status s = ol_ti_document_read(&d, source, err);
    if (s == OLV_OK) {
        s = build(&d, out, "openvino_tokenizer.xml", "tokenizer", encode, &to_ids, err);
        if (s == OLV_OK) s = build(&d, out, "openvino_detokenizer.xml", "detokenizer", ol_ti_decode, &to_text, err);
        if (s != OLV_OK) ol_error_at(err, "%s/tokenizer.json", source);
    }
    if (s == OLV_OK) s = finish(to_ids, to_text, out, err);
    ol_ir_abort(to_ids);
    ol_ir_abort(to_text);
    ol_ti_document_deinit(&d);
    return s;
}

olv_status olv_tokenizer_write_openvino(const char *model, const char *out, olv_error *err) {
    char *path = NULL;
    OL_TRY(ol_bundle_resolve(model, NULL, &path, err));
    olv_status s = ol_dir_create(out, err);
    if (s == OLV_OK) s = ol_bundle_write_openvino_tokenizer(path, out, err);
    ol_free(path);
    return s;
}
