/* SPDX-License-Identifier: Apache-2.0 */
/* Operations of a detokenizer model of OpenVINO as decoders. */
#include "text/tokenizer/openvino_read.h"

#include "base/error.h"

#include <stdlib.h>

#define MARK "\xE2\x96\x81"

/* Number at the end of {1,n}, 1 when there is none. */
static int repeats(ol_str p) {
    const char *comma = p.len ? memchr(p.ptr, ',', p.len) : NULL;
    int n = 0;
    for (const char *c = comma ? comma + 1 : p.ptr; comma && c < p.ptr + p.len && *c >= '0' && *c <= '9' && n < 100000; c++)
        n = n * 10 + (*c - '0');
    return n > 0 ? n : 1;
}

/* Spaces at one end of the text, in the forms that converters write. */
static bool strips_spaces(ol_str p, bool *front) {
    *front = ol_str_is(p, "^ ") || ol_str_is(p, "\\A ") || ol_str_starts(p, "\\A(?:\\ )") || ol_str_is(p, "(^ )([^ ])");
    return *front || ol_str_is(p, " $") || ol_str_is(p, " \\z") || ol_str_starts(p, "(?:\\ )");
}

static bool cleans_up(ol_str p) {
    return ol_str_starts(p, "(?| ([");
}

static olv_status replacement(ol_tk_ir_reader *r, const ol_tk_ir_layer *l) {
    ol_tk_ir_replacement p;
    bool front;
    OL_TRY(ol_tk_ir_replacement_of(&r->text, l, &p));
    if (cleans_up(p.pattern)) return OLV_OK; /* of whole texts, when a caller wants it: no decoder */
    if (!strips_spaces(p.pattern, &front)) return ol_tk_ir_put_replace(r, &r->decoders, p);
    ol_tk_ir_step(&r->decoders, "{\"type\":\"Strip\",\"content\":\" \",\"start\":%d,\"stop\":%d}", front ? repeats(p.pattern) : 0,
                  front ? 0 : repeats(p.pattern));
    return OLV_OK;
}

/* The decoders as they stand in the model. */
static olv_status as_they_stand(ol_tk_ir_reader *r, const ol_tk_ir_layer *const *path, int count) {
    for (int i = 1; i < count; i++) {
        const char *type = path[i]->type;
        if (strcmp(type, "RegexNormalization") == 0) OL_TRY(replacement(r, path[i]));
        if (strcmp(type, "ByteFallback") == 0) ol_tk_ir_step(&r->decoders, "{\"type\":\"ByteFallback\"}");
        if (strcmp(type, "FuzeRagged") == 0) ol_tk_ir_step(&r->decoders, "{\"type\":\"Fuse\"}");
    }
    return OLV_OK;
}

static bool on_path(const ol_tk_ir_layer *const *path, int count, const char *type) {
    for (int i = 0; i < count; i++)
        if (strcmp(path[i]->type, type) == 0) return true;
    return false;
}

/* Names with the space before them, where English wants none, taken away. */
static bool names_are_clean(const ol_tk_ir_reader *r, const ol_str *shown, size_t count) {
    for (size_t i = 0; i < count && i < r->n_names; i++)
        if (ol_str_is(r->names[i], ".") || ol_str_is(r->names[i], ",")) return ol_str_eq(shown[i], r->names[i]);
    return true;
}

/* Unigram's names stand there with spaces for marks, and bytes for their names. */
static void metaspace(ol_tk_ir_reader *r, const ol_tk_ir_layer *const *path, int count) {
    bool strips = on_path(path, count, "RegexNormalization");
    if (ol_tk_ir_flag(r->model, "byte_fallback")) ol_tk_ir_step(&r->decoders, "{\"type\":\"ByteFallback\"}");
    ol_tk_ir_step(&r->decoders, "{\"type\":\"Metaspace\",\"replacement\":\"" MARK "\",\"prepend_scheme\":\"%s\",\"split\":true}",
                  strips ? "always" : "never");
}

/* True when the vocabulary of the detokenizer still has marks. */
static bool keeps_marks(const ol_str *shown, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (shown[i].len > 3 && memcmp(shown[i].ptr, MARK, 3) == 0) return true;
    return false;
}

olv_status ol_tk_ir_read_decoders(ol_tk_ir_reader *r) {
    const ol_tk_ir_layer *last = r->has_text ? ol_tk_ir_find(&r->text, "StringTensorPack") : NULL, **path;
    const char *kind = r->model->type;
    ol_str *shown;
    size_t n_shown;
    int count;
    if (r->bytes) {
        ol_tk_ir_step(&r->decoders, "{\"type\":\"ByteLevel\"}");
        return OLV_OK;
    }
    if (!r->has_text) return OLV_OK;
    if (!last) return ol_fail(r->err, OLV_FORMAT, "%s: no StringTensorPack", r->text.path);
    OL_TRY(ol_tk_ir_path(&r->text, last, &path, &count));
    if (strcmp(path[0]->type, "VocabDecoder") != 0)
        return ol_fail(r->err, OLV_UNSUPPORTED, "%s: the text comes from %s, expected VocabDecoder", r->text.path, path[0]->type);
    OL_TRY(ol_tk_ir_strings(&r->text, path[0], 1, &shown, &n_shown));
    if (strcmp(kind, "VocabEncoder") == 0) return OLV_OK; /* words with a space between: no decoder */
    if (strcmp(kind, "WordpieceTokenizer") == 0) {
        const char *prefix = ol_tk_ir_quoted(r, ol_str_of(ol_tk_ir_attr(r->model, "suffix_indicator")));
        if (!prefix) return OLV_NOMEM;
        ol_tk_ir_step(&r->decoders, "{\"type\":\"WordPiece\",\"prefix\":%s,\"cleanup\":%s}", prefix,
                      names_are_clean(r, shown, n_shown) ? "true" : "false");
        return OLV_OK;
    }
    if (strcmp(kind, "UnigramTokenizer") == 0 && !keeps_marks(shown, n_shown)) {
        metaspace(r, path, count);
        return OLV_OK;
    }
    return as_they_stand(r, path, count);
}
