/* SPDX-License-Identifier: Apache-2.0 */
#include "bundle/tokenizer_ir/net.h"

#include "base/alloc.h"
#include "base/error.h"

static ol_ir_type vector(const char *element, int64_t n) {
    return (ol_ir_type){.element = ol_ir_element_named(element), .rank = 1, .dims = {n}};
}

/* ---- constants ---- */

ol_ir_out ol_ti_i32(ol_ti_net *n, const int32_t *v, int count) {
    ol_ir_type t = vector("i32", count);
    if (count < 0) t.rank = 0;
    return ol_ir_const_raw(n->e, NULL, NULL, &t, v, (size_t)(count < 0 ? 1 : count) * sizeof *v);
}

ol_ir_out ol_ti_bytes(ol_ti_net *n, const char *s, size_t len) {
    ol_ir_type t = vector("u8", (int64_t)len);
    /* A reader wants a byte behind the offset even of nothing. */
    return ol_ir_const_raw(n->e, NULL, NULL, &t, len ? s : "", len ? len : 1);
}

void ol_ti_list(ol_ti_net *n, const ol_ti_names *names, ol_ir_out *out) {
    ol_ir_type ints = vector("i32", (int64_t)names->count);
    size_t bytes = names->count * sizeof(int32_t);
    char *begins = ol_calloc(1, bytes + sizeof(int32_t));
    if (!begins || ol_ti_names_failed(names)) {
        ol_fail(n->err, OLV_NOMEM, "out of memory");
        ol_ir_latch(ol_ir_file_of(n->e), OLV_NOMEM);
        ol_free(begins);
        return;
    }
    if (names->count > 1) memcpy(begins + sizeof(int32_t), names->ends.data, bytes - sizeof(int32_t));
    out[0] = ol_ir_const_raw(n->e, NULL, NULL, &ints, begins, names->count ? bytes : 1);
    out[1] = ol_ir_const_raw(n->e, NULL, NULL, &ints, names->count ? names->ends.data : begins, names->count ? bytes : 1);
    out[2] = ol_ti_bytes(n, names->text.data, names->text.len);
    ol_free(begins);
}

/* ---- layers ---- */

ol_ir_out ol_ti_layer(ol_ti_net *n, const char *type, const ol_ir_out *in, int n_in, const ol_ir_attr *attrs, int n_attrs,
                      const char *outputs) {
    ol_ir_type out[8];
    int count = 0;
    for (; outputs[count] && count < 8; count++) {
        char c = outputs[count];
        out[count] = vector(c == 'u' ? "u8" : c == 'b' || c == 'M' ? "boolean" : "i32", -1);
        if (c == 'D' || c == 'M') {
            out[count].rank = 2;
            out[count].dims[1] = -1;
        }
    }
    return ol_ir_add(n->e, &(ol_ir_layer){.type = type, .version = "extension", .in = in, .n_in = n_in, .attrs = attrs,
                                          .n_attrs = n_attrs, .out = out, .n_out = count});
}

void ol_ti_take(ol_ti_net *n, ol_ir_out first) {
    n->begins = first;
    n->ends = ol_ir_nth(first, 1);
    n->chars = ol_ir_nth(first, 2);
}

/* ---- steps on texts ---- */

void ol_ti_replace(ol_ti_net *n, const char *pattern, const char *replacement, bool everywhere) {
    ol_ir_out in[6] = {n->begins, n->ends, n->chars};
    int k = 3;
    bool marked = n->skip.layer >= 0;
    if (marked) in[k++] = n->skip;
    in[k++] = ol_ti_bytes(n, pattern, strlen(pattern));
    in[k++] = ol_ti_bytes(n, replacement, strlen(replacement));
    ol_ir_attr a = ol_ir_say_bool("global_replace", everywhere);
    ol_ti_take(n, ol_ti_layer(n, "RegexNormalization", in, k, &a, 1, marked ? "iiub" : "iiu"));
    if (marked) n->skip = ol_ir_nth(n->begins, 3);
}

void ol_ti_split(ol_ti_net *n, const char *pattern, ol_ti_cut cut, bool invert) {
    static const char *const names[] = {"remove", "isolate", "contiguous", "mergedwithprevious", "mergedwithnext"};
    ol_ir_out in[] = {n->rows[0], n->rows[1], n->begins, n->ends,
                      n->chars,   n->skip,    ol_ti_bytes(n, pattern, strlen(pattern))};
    ol_ir_attr a[] = {ol_ir_say_text("behaviour", names[cut]), ol_ir_say_bool("invert", invert), ol_ir_say_int(n->e, "max_splits", -1)};
    ol_ir_out first = ol_ti_layer(n, "RegexSplit", in, 7, a, 3, "iiiiub");
    n->rows[0] = first;
    n->rows[1] = ol_ir_nth(first, 1);
    ol_ti_take(n, ol_ir_nth(first, 2));
    n->skip = ol_ir_nth(first, 5);
}

void ol_ti_quote(ol_buf *out, ol_str s) {
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        bool plain = c >= 0x80 || c == '_' || (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
        if (!plain) ol_buf_putc(out, '\\');
        ol_buf_putc(out, (char)c);
    }
}

void ol_ti_quote_replacement(ol_buf *out, ol_str s) {
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] == '$') ol_buf_putc(out, '$');
        ol_buf_putc(out, s.ptr[i]);
    }
}

const char *ol_ti_keep(ol_ti_net *n, ol_buf *b) {
    const char *s = b->failed ? NULL : ol_arena_strndup(ol_ir_arena(n->e), b->data ? b->data : "", b->len);
    ol_buf_deinit(b);
    if (!s) ol_fail(n->err, OLV_NOMEM, "out of memory");
    return s;
}
