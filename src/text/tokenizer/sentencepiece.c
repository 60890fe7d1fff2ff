/* SPDX-License-Identifier: Apache-2.0 */
/* SentencePiece: normalization, putting out pieces, and decoding. */
#include "text/tokenizer/sentencepiece.h"

#include "base/alloc.h"

#define SPACE "\xE2\x96\x81" /* U+2581 */

uint32_t ol_spm_prefix(const ol_tk_spm *s, const char *text, uint32_t n, bool *user) {
    uint32_t best = 0, entry;
    ol_tk_prefixes names = ol_tk_prefixes_of(&s->user, text, n);
    while (s->has_user && ol_tk_prefixes_next(&names, &best, &entry)) {
    }
    *user = best > 0;
    if (!best) ol_tk_char(text, n, &best);
    return best;
}

typedef struct normalizing {
    const ol_tk_spm *s;
    const ol_spm_normalizer *n;
    bool use_user;
    ol_str rest; /* of the input */
} normalizing;

/* What the rest of the input begins with, normalized; *used bytes of it. */
static ol_str next_prefix(const normalizing *g, size_t *used) {
    bool user = false;
    ol_str text;
    uint32_t len = 0;
    if (g->use_user && g->s->has_user)
        len = ol_spm_prefix(g->s, g->rest.ptr, (uint32_t)g->rest.len, &user);
    if (!user && g->n->has_map &&
        ol_tk_charsmap_find(&g->n->map, g->rest.ptr, g->rest.len, true, &text, used))
        return text;
    if (!user) ol_tk_char(g->rest.ptr, g->rest.len, &len);
    *used = len;
    return (ol_str){g->rest.ptr, len};
}

static void skip(normalizing *g, size_t n) {
    g->rest.ptr += n;
    g->rest.len -= n;
}

/* Appends sp, spaces as U+2581, all with one span. */
static void append(ol_tk_xf *x, const ol_spm_normalizer *n, ol_str sp, ol_tk_span span) {
    for (size_t i = 0; i < sp.len; i++)
        if (n->escape_spaces && sp.ptr[i] == ' ')
            ol_tk_xf_bytes(x, SPACE, 3, span);
        else
            ol_tk_xf_bytes(x, sp.ptr + i, 1, span);
}

static void append_space(ol_tk_xf *x, const ol_spm_normalizer *n, uint32_t at) {
    append(x, n, (ol_str){" ", 1}, (ol_tk_span){at, at});
}

static void trim_end(ol_tk_work *w, const ol_spm_normalizer *n) {
    size_t k = n->escape_spaces ? 3 : 1;
    while (w->xf_len >= k &&
           memcmp(w->xf_text + w->xf_len - k, n->escape_spaces ? SPACE : " ", k) == 0)
        w->xf_len -= k;
}

olv_status ol_spm_normalize(const ol_tk_spm *s, const ol_spm_normalizer *n, bool use_user,
                            ol_tk_work *w, const ol_tk_piece *in, ol_tk_piece *out,
                            olv_error *err) {
    normalizing g = {s, n, use_user, {in->text, in->len}};
    size_t used;
    ol_tk_xf x;
    ol_tk_xf_begin(&x, w, in, 0);
    while (n->trim_spaces && g.rest.len && ol_str_is(next_prefix(&g, &used), " ")) skip(&g, used);
    bool empty = g.rest.len == 0, after_space = n->trim_spaces;
    uint32_t start = (uint32_t)(g.rest.ptr - in->text);
    if (!empty && n->dummy_prefix && !s->space_suffix) append_space(&x, n, start);
    while (g.rest.len) {
        ol_str sp = next_prefix(&g, &used);
        uint32_t at = in->origin + (uint32_t)(g.rest.ptr - in->text);
        while (after_space && sp.len && sp.ptr[0] == ' ') sp = (ol_str){sp.ptr + 1, sp.len - 1};
        if (sp.len) {
            append(&x, n, sp, (ol_tk_span){at, at + (uint32_t)used});
            after_space = n->trim_spaces && sp.ptr[sp.len - 1] == ' ';
        }
        skip(&g, used);
    }
    if (n->trim_spaces) trim_end(w, n);
    if (!empty && n->dummy_prefix && s->space_suffix) append_space(&x, n, in->origin + in->len);
    return ol_tk_xf_end(&x, out) ? OLV_OK : ol_fail(err, OLV_NOMEM, "out of memory");
}

void ol_spm_put_end(ol_spm_out *o, uint32_t at) {
    if (o->in_unk)
        ol_tk_emit(o->sink, o->p, (uint32_t)o->s->unk, o->unk_from, at,
                   (ol_str){o->p->text + o->unk_from, at - o->unk_from});
    o->in_unk = false;
}

void ol_spm_put(ol_spm_out *o, uint32_t from, uint32_t to) {
    const ol_tk_spm *s = o->s;
    uint32_t id;
    const char *text = o->p->text + from;
    if (ol_tk_vocab_find(s->vocab, text, to - from, &id) && s->types[id] != OL_SPM_UNKNOWN) {
        ol_spm_put_end(o, from);
        ol_tk_emit(o->sink, o->p, id, from, to, (ol_str){text, to - from});
        return;
    }
    if (s->byte_fallback) {
        for (uint32_t i = from; i < to; i++) {
            int64_t b = s->bytes[(uint8_t)o->p->text[i]];
            ol_tk_emit(o->sink, o->p, (uint32_t)(b < 0 ? s->unk : b), from, to,
                       (ol_str){text, to - from});
        }
        return;
    }
    if (!o->in_unk) o->unk_from = from;
    o->in_unk = true;
}

static void encode_chars(ol_spm_out *o) {
    bool user;
    for (uint32_t i = 0, n; i < o->p->len; i += n) {
        n = ol_spm_prefix(o->s, o->p->text + i, o->p->len - i, &user);
        ol_spm_put(o, i, i + n);
    }
}

/* Words begin with U+2581, or end with it. */
static void encode_words(ol_spm_out *o) {
    const ol_tk_piece *p = o->p;
    uint32_t from = 0;
    for (uint32_t i = 0, n; i < p->len; i += n) {
        ol_tk_char(p->text + i, p->len - i, &n);
        bool space = n == 3 && memcmp(p->text + i, SPACE, 3) == 0;
        uint32_t cut = o->s->space_suffix ? i + n : i;
        if (!space || cut == from) continue;
        ol_spm_put(o, from, cut);
        from = cut;
    }
    if (from < p->len) ol_spm_put(o, from, p->len);
}

olv_status ol_tk_spm_encode(const ol_tk_spm *s, ol_tk_work *w, ol_tk_sink *sink, const char *text,
                            size_t n, olv_error *err) {
    ol_tk_piece in = {text, (uint32_t)n, 0, NULL, OL_TK_NO_TOKEN}, p;
    OL_TRY(ol_spm_normalize(s, &s->normalizer, true, w, &in, &p, err));
    ol_spm_out o = {s, sink, &p, 0, false};
    if (p.len == 0) return OLV_OK;
    if (s->model_type == OL_SPM_UNIGRAM) OL_TRY(ol_spm_encode_unigram(&o, err));
    if (s->model_type == OL_SPM_BPE) OL_TRY(ol_spm_encode_bpe(&o, err));
    if (s->model_type == OL_SPM_WORD) encode_words(&o);
    if (s->model_type == OL_SPM_CHAR) encode_chars(&o);
    ol_spm_put_end(&o, p.len);
    return OLV_OK;
}

/* Bytes of byte tokens as text: what is malformed becomes U+FFFD byte by byte. */
static void flush_bytes(ol_buf *bytes, ol_buf *out) {
    for (size_t i = 0; i < bytes->len;) {
        int32_t cp;
        int n = ol_utf8_decode(bytes->data + i, bytes->len - i, &cp);
        if (cp < 0) {
            ol_buf_puts(out, "\xEF\xBF\xBD");
            i++;
        } else {
            ol_buf_append(out, bytes->data + i, (size_t)n);
            i += (size_t)n;
        }
    }
    ol_buf_clear(bytes);
}

static void append_plain(ol_buf *out, ol_str s) {
    for (size_t i = 0; i < s.len;) {
        bool space = s.len - i >= 3 && memcmp(s.ptr + i, SPACE, 3) == 0;
        ol_buf_putc(out, space ? ' ' : s.ptr[i]);
        i += space ? 3 : 1;
    }
}

static int byte_of(const ol_tk_spm *s, uint32_t id) {
    for (int b = 0; b < 256; b++)
        if (s->bytes[b] == (int64_t)id) return b;
    return 0;
}

static olv_status denormalize(const ol_tk_spm *s, ol_buf *out, size_t from, olv_error *err) {
    ol_tk_work w;
    OL_TRY(ol_tk_work_init(&w, err));
    ol_tk_piece in = {out->data + from, (uint32_t)(out->len - from), 0, NULL, OL_TK_NO_TOKEN}, p;
    olv_status st = ol_spm_normalize(s, &s->denormalizer, false, &w, &in, &p, err);
    if (st == OLV_OK) {
        out->len = from;
        ol_buf_append(out, p.text, p.len);
    }
    ol_tk_work_deinit(&w);
    return st;
}

olv_status ol_tk_spm_decode(const ol_tk_spm *s, const ol_tk_texts *names, ol_buf *out,
                            olv_error *err) {
    ol_buf bytes = OL_BUF_INIT;
    size_t start = out->len;
    bool first = true, seen_space = false,
         strips = s->normalizer.dummy_prefix || s->normalizer.trim_spaces;
    for (size_t i = 0; i < names->count; i++) {
        ol_str name = names->items[i];
        uint32_t id = 0;
        if (!ol_tk_vocab_find(s->vocab, name.ptr, name.len, &id)) continue;
        if (s->types[id] == OL_SPM_BYTE) {
            ol_buf_putc(&bytes, (char)byte_of(s, id));
            continue;
        }
        flush_bytes(&bytes, out);
        if (seen_space || out->len > start) first = false;
        seen_space = false;
        if (s->types[id] == OL_SPM_CONTROL) continue;
        if (s->types[id] == OL_SPM_UNKNOWN) {
            ol_buf_append(out, s->unk_surface.ptr, s->unk_surface.len);
            continue;
        }
        if (first && strips && ol_str_starts(name, SPACE)) {
            name = (ol_str){name.ptr + 3, name.len - 3};
            seen_space = !s->normalizer.trim_spaces;
        }
        append_plain(out, name);
    }
    flush_bytes(&bytes, out);
    bool failed = bytes.failed || out->failed;
    ol_buf_deinit(&bytes);
    if (failed) return ol_fail(err, OLV_NOMEM, "out of memory");
    if (s->has_denormalizer && s->denormalizer.has_map && out->len > start)
        return denormalize(s, out, start, err);
    return OLV_OK;
}
