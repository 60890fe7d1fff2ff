/* SPDX-License-Identifier: Apache-2.0 */
/* WordPiece (greedy longest match with a prefix for continuing pieces) and WordLevel (the piece is
 * the token). */
#include "text/tokenizer/state.h"

#include "base/alloc.h"

typedef struct words {
    const ol_tk_vocab *vocab;
    int64_t unk; /* -1: not in the vocabulary */
    char *unk_name, *prefix;
    size_t max_chars;
    uint32_t max_name; /* bytes of the longest name */
} words;

static void destroy(void *model) {
    words *m = model;
    ol_free(m->unk_name);
    ol_free(m->prefix);
    ol_free(m);
}

static char *copy_text(const char *z) {
    size_t n = strlen(z);
    char *p = ol_alloc(n + 1);
    if (p) memcpy(p, z, n + 1);
    return p;
}

static olv_status create(ol_tk_model_spec *spec, void **model, olv_error *err) {
    words *m = ol_calloc(1, sizeof *m);
    if (!m) return ol_fail(err, OLV_NOMEM, "out of memory");
    m->vocab = spec->vocab;
    m->max_chars = spec->max_chars >= 0 ? (size_t)spec->max_chars : 100;
    m->unk_name = copy_text(spec->unk_token ? spec->unk_token : "");
    m->prefix = copy_text(spec->prefix ? spec->prefix : "");
    if (!m->unk_name || !m->prefix) {
        destroy(m);
        return ol_fail(err, OLV_NOMEM, "out of memory");
    }
    uint32_t id;
    m->unk = ol_tk_vocab_find(m->vocab, m->unk_name, strlen(m->unk_name), &id) ? (int64_t)id : -1;
    for (uint32_t i = 0; i < m->vocab->count; i++)
        if (m->vocab->off[i + 1] - m->vocab->off[i] > m->max_name)
            m->max_name = m->vocab->off[i + 1] - m->vocab->off[i];
    *model = m;
    return OLV_OK;
}

static olv_status unknown(const words *m, ol_tk_sink *s, const ol_tk_piece *p, olv_error *err) {
    if (m->unk < 0)
        return ol_fail(err, OLV_FORMAT,
                       "the unknown token '%.80s' is not in the vocabulary, but is needed",
                       m->unk_name);
    ol_tk_emit(s, p, (uint32_t)m->unk, 0, p->len, ol_str_of(m->unk_name));
    return OLV_OK;
}

/* Longest name that the piece has at byte `from`: its end, or 0. */
static uint32_t longest(const words *m, ol_buf *b, const ol_tk_piece *p, uint32_t from,
                        uint32_t *id) {
    size_t skip = from > 0 ? strlen(m->prefix) : 0;
    uint32_t end = p->len, n;
    if (end - from > m->max_name) { /* a name cannot be longer: go back to a character's end */
        end = from + m->max_name;
        while (end > from && ((unsigned char)p->text[end] & 0xC0) == 0x80) end--;
    }
    ol_buf_clear(b);
    ol_buf_append(b, m->prefix, skip);
    ol_buf_append(b, p->text + from, end - from);
    if (b->failed) return 0;
    while (end > from) {
        if (ol_tk_vocab_find(m->vocab, b->data, skip + end - from, id)) return end;
        ol_tk_last_char(p->text + from, end - from, &n);
        end -= n;
    }
    return 0;
}

static olv_status wordpiece_tokenize(const void *model, ol_tk_sink *s, const ol_tk_piece *p,
                                     olv_error *err) {
    const words *m = model;
    if (ol_utf8_count(p->text, p->len) > m->max_chars) return unknown(m, s, p, err);
    size_t mark = s->out.count;
    ol_buf b = OL_BUF_INIT;
    uint32_t at = 0, end, id;
    while (at < p->len && (end = longest(m, &b, p, at, &id))) {
        ol_tk_emit(s, p, id, at, end, (ol_str){NULL, 0});
        at = end;
    }
    bool failed = b.failed;
    ol_buf_deinit(&b);
    if (failed) return ol_fail(err, OLV_NOMEM, "out of memory");
    if (at == p->len) return OLV_OK;
    s->out.count = mark;
    return unknown(m, s, p, err);
}

static olv_status wordlevel_tokenize(const void *model, ol_tk_sink *s, const ol_tk_piece *p,
                                     olv_error *err) {
    const words *m = model;
    uint32_t id;
    if (!ol_tk_vocab_find(m->vocab, p->text, p->len, &id)) return unknown(m, s, p, err);
    ol_tk_emit(s, p, id, 0, p->len, (ol_str){NULL, 0});
    return OLV_OK;
}

const ol_tk_model_kind ol_tk_model_wordpiece = {"WordPiece", create, destroy, wordpiece_tokenize,
                                                NULL};
const ol_tk_model_kind ol_tk_model_wordlevel = {"WordLevel", create, destroy, wordlevel_tokenize,
                                                NULL};
