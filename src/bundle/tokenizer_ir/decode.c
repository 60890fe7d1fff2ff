/* SPDX-License-Identifier: Apache-2.0 */
/* Ids -> text: the names of the ids, and the decoders of tokenizer.json. */
#include "bundle/tokenizer_ir/net.h"

#include "base/alloc.h"
#include "base/error.h"

/* Texts of ids under way: one piece an id until they are joined. */
typedef struct decoding {
    ol_ti_net *n;
    bool joined;
    bool drop_space; /* the first space goes when they are joined */
} decoding;

static void join(decoding *d) {
    ol_ti_net *n = d->n;
    if (d->joined) return;
    ol_ir_out in[] = {n->rows[0], n->rows[1], n->begins, n->ends};
    ol_ir_out first = ol_ti_layer(n, "FuzeRagged", in, 4, NULL, 0, "ii");
    n->begins = first;
    n->ends = ol_ir_nth(first, 1);
    d->joined = true;
    if (d->drop_space) ol_ti_replace(n, "\\A ", "", false);
}

/* ---- names ---- */

static void append_replaced(ol_buf *b, const char *from, const char *to) {
    for (char *at = b->data; at && !b->failed && (at = strstr(at, from)) != NULL; at += strlen(to)) {
        size_t tail = b->len - (size_t)(at - b->data) - strlen(from);
        memmove(at + strlen(to), at + strlen(from), tail + 1);
        memcpy(at, to, strlen(to));
        b->len -= strlen(from) - strlen(to);
    }
}

/* A name as it stands behind others: continuing pieces without their prefix, words behind a space, and that space taken
 * away again where English wants none. */
static void behind_others(ol_buf *b, ol_str name, const char *prefix, bool cleanup) {
    static const char *const marks[][2] = {{" .", "."},   {" ?", "?"},   {" !", "!"},   {" ,", ","},   {" ' ", "'"}, {" n't", "n't"},
                                           {" 'm", "'m"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
    size_t skip = *prefix && ol_str_starts(name, prefix) ? strlen(prefix) : 0;
    if (!skip) ol_buf_putc(b, ' ');
    ol_buf_append(b, name.ptr + skip, name.len - skip);
    for (size_t i = 0; cleanup && i < sizeof marks / sizeof *marks; i++) append_replaced(b, marks[i][0], marks[i][1]);
}

static void spaced_names(const ol_ti_document *doc, const json_t *step, ol_ti_names *out) {
    const char *prefix = step ? ol_ti_text(step, "prefix", "##") : "";
    bool cleanup = step && ol_ti_flag(step, "cleanup", true);
    for (size_t i = 0; i < doc->vocab.count; i++) {
        ol_buf b = OL_BUF_INIT;
        behind_others(&b, ol_ti_names_at(&doc->vocab, i), prefix, cleanup);
        ol_ti_names_add(out, b.data ? b.data : "", b.len);
        ol_buf_deinit(&b);
    }
}

/* The WordPiece decoder, alone or in a sequence. */
static const json_t *wordpiece_step(const json_t *step) {
    if (strcmp(ol_ti_text(step, "type", ""), "WordPiece") == 0) return step;
    size_t i;
    const json_t *item;
    json_array_foreach(json_object_get(step, "decoders"), i, item)
        if (strcmp(ol_ti_text(item, "type", ""), "WordPiece") == 0) return item;
    return NULL;
}

static ol_ir_out skipped(ol_ti_net *n) {
    const ol_ti_document *doc = n->doc;
    int32_t *ids = ol_calloc(doc->n_added + 1, sizeof *ids);
    int count = 0;
    for (size_t i = 0; ids && i < doc->n_added; i++)
        if (doc->added[i].special) ids[count++] = (int32_t)doc->added[i].id;
    ol_ir_out o = ids ? ol_ti_i32(n, ids, count) : OL_IR_NONE;
    ol_free(ids);
    return o;
}

/* Texts of the ids, of special ones none. */
static olv_status names_of_ids(decoding *d) {
    ol_ti_net *n = d->n;
    const ol_ti_document *doc = n->doc;
    const json_t *wordpiece = wordpiece_step(doc->decoder);
    ol_ti_names names = {OL_BUF_INIT, OL_BUF_INIT, 0};
    bool spaced = wordpiece || !doc->decoder;
    ol_ir_type t = {.element = ol_ir_element_named("i64"), .rank = 2, .dims = {-1, -1}};
    ol_ir_out in[5];
    if (spaced) spaced_names(doc, wordpiece, &names);
    d->drop_space = spaced;
    in[0] = ol_ir_add_convert(n->e, NULL, ol_ir_add_parameter(n->e, "ids", "ids", &t), ol_ir_element_named("i32"));
    ol_ti_list(n, spaced ? &names : &doc->vocab, in + 1);
    in[4] = skipped(n);
    ol_ti_names_deinit(&names);
    ol_ir_attr a = ol_ir_say_text("skip_tokens", "");
    ol_ir_out first = ol_ti_layer(n, "VocabDecoder", in, 5, &a, 1, "iiiiu");
    n->rows[0] = first;
    n->rows[1] = ol_ir_nth(first, 1);
    ol_ti_take(n, ol_ir_nth(first, 2));
    n->skip = OL_IR_NONE;
    return in[4].layer < 0 ? ol_fail(n->err, OLV_NOMEM, "out of memory") : OLV_OK;
}

/* ---- decoders ---- */

static olv_status replace_text(decoding *d, const char *text, const char *with) {
    ol_buf q = OL_BUF_INIT, w = OL_BUF_INIT;
    ol_ti_quote(&q, ol_str_of(text));
    ol_ti_quote_replacement(&w, ol_str_of(with));
    const char *pattern = ol_ti_keep(d->n, &q), *to = ol_ti_keep(d->n, &w);
    if (!pattern || !to) return OLV_NOMEM;
    ol_ti_replace(d->n, pattern, to, true);
    return OLV_OK;
}

static olv_status replace(decoding *d, const json_t *step) {
    const json_t *p = json_object_get(step, "pattern");
    const char *regex = ol_ti_text(p, "Regex", NULL), *text = ol_ti_text(p, "String", json_string_value(p));
    if (regex) {
        ol_ti_replace(d->n, regex, ol_ti_text(step, "content", ""), true);
        return OLV_OK;
    }
    return text ? replace_text(d, text, ol_ti_text(step, "content", "")) : ol_fail(d->n->err, OLV_FORMAT, "no \"pattern\"");
}

static olv_status byte_fallback(decoding *d, const json_t *step) {
    ol_ti_net *n = d->n;
    ol_ir_out in[] = {n->begins, n->ends, n->chars};
    (void)step;
    ol_ti_take(n, ol_ti_layer(n, "ByteFallback", in, 3, NULL, 0, "iiu"));
    return OLV_OK;
}

static olv_status fuse(decoding *d, const json_t *step) {
    (void)step;
    join(d);
    return OLV_OK;
}

/* Up to so many of a character at one end. */
static olv_status strip_end(decoding *d, char end, const char *quoted, const json_t *most) {
    ol_buf b = OL_BUF_INIT;
    json_int_t n = json_integer_value(most);
    if (n <= 0) return OLV_OK;
    if (n > 65535) n = 65535;
    ol_buf_puts(&b, end == 'A' ? "\\A" : "");
    ol_buf_printf(&b, "(?:%s){1,%d}", quoted, (int)n);
    ol_buf_puts(&b, end == 'z' ? "\\z" : "");
    const char *pattern = ol_ti_keep(d->n, &b);
    if (!pattern) return OLV_NOMEM;
    ol_ti_replace(d->n, pattern, "", false);
    return OLV_OK;
}

static olv_status strip(decoding *d, const json_t *step) {
    ol_buf q = OL_BUF_INIT;
    ol_ti_quote(&q, ol_str_of(ol_ti_text(step, "content", " ")));
    const char *quoted = ol_ti_keep(d->n, &q);
    if (!quoted) return OLV_NOMEM;
    OL_TRY(strip_end(d, 'A', quoted, json_object_get(step, "start")));
    return strip_end(d, 'z', quoted, json_object_get(step, "stop"));
}

static olv_status metaspace(decoding *d, const json_t *step) {
    const char *scheme, *mark = ol_ti_metaspace(step, &scheme);
    OL_TRY(replace_text(d, mark, " "));
    if (d->joined && strcmp(scheme, "never") != 0) ol_ti_replace(d->n, "\\A ", "", false);
    if (!d->joined) d->drop_space = strcmp(scheme, "never") != 0;
    return OLV_OK;
}

/* Words end with a suffix; the last one's is no space. */
static olv_status bpe(decoding *d, const json_t *step) {
    join(d);
    OL_TRY(replace_text(d, ol_ti_text(step, "suffix", "</w>"), " "));
    ol_ti_replace(d->n, " \\z", "", false);
    return OLV_OK;
}

/* Done in the names. */
static olv_status nothing(decoding *d, const json_t *step) {
    (void)d;
    (void)step;
    return OLV_OK;
}

static const struct {
    const char *type;
    olv_status (*emit)(decoding *d, const json_t *step);
} kinds[] = {
    {"ByteLevel", nothing}, {"WordPiece", nothing}, {"Replace", replace},     {"ByteFallback", byte_fallback},
    {"Fuse", fuse},         {"Strip", strip},       {"Metaspace", metaspace}, {"BPEDecoder", bpe},
};

static olv_status emit(decoding *d, const json_t *step) {
    const char *type = ol_ti_text(step, "type", "");
    if (strcmp(type, "Sequence") == 0) {
        size_t i;
        const json_t *item;
        json_array_foreach(json_object_get(step, "decoders"), i, item) OL_TRY(emit(d, item));
        return OLV_OK;
    }
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(type, kinds[i].type) == 0)
            return kinds[i].emit(d, step) == OLV_OK ? OLV_OK : ol_error_at(d->n->err, "decoder %s", type);
    return ol_fail(d->n->err, OLV_UNSUPPORTED, "decoder %s has no form in OpenVINO's tokenizer models", type);
}

/* Malformed bytes become U+FFFD; the result. */
static void finish(ol_ti_net *n) {
    const char *name = "string_output";
    ol_ir_type text = {.element = ol_ir_element_named("string"), .rank = 1, .dims = {-1}};
    ol_ir_out in[] = {n->begins, n->ends, n->chars};
    ol_ir_attr a = ol_ir_say_bool("replace_mode", true);
    ol_ti_take(n, ol_ti_layer(n, "UTF8Validate", in, 3, &a, 1, "iiu"));
    ol_ir_out valid[] = {n->begins, n->ends, n->chars};
    ol_ir_out out = ol_ir_add(n->e, &(ol_ir_layer){.type = "StringTensorPack", .version = "opset15", .in = valid, .n_in = 3,
                                                   .out = &text, .n_out = 1, .names = &name});
    ol_ir_add_result(n->e, NULL, out);
}

olv_status ol_ti_decode(ol_ti_net *n) {
    decoding d = {.n = n};
    OL_TRY(names_of_ids(&d));
    if (n->doc->decoder) OL_TRY(emit(&d, n->doc->decoder));
    join(&d);
    if (ol_ti_flag(n->doc->config, "clean_up_tokenization_spaces", false) && n->doc->left.count == 0)
        ol_ti_replace(n, "(?| ([.?!,]|n't|'(?:m|s|ve|re))| (') )", "$1", true);
    finish(n);
    return OLV_OK;
}
