/* SPDX-License-Identifier: Apache-2.0 */
/* Metaspace: spaces become the replacement character, one is put in front (always, only at the
 * beginning of the text, or never), and the text may be cut before each. */
#include "text/tokenizer/metaspace.h"

olv_status ol_tk_metaspace_create(ol_arena *a, const json_t *cfg, void **state, olv_error *err) {
    ol_tk_metaspace *m = ol_arena_alloc(a, sizeof *m);
    if (!m) return ol_fail(err, OLV_NOMEM, "out of memory");
    *state = m;
    ol_str rep, scheme;
    bool prefix;
    OL_TRY(ol_tk_cfg_string(cfg, "replacement", NULL, &rep, err));
    if (rep.len > sizeof m->text || ol_utf8_count(rep.ptr, rep.len) != 1)
        return ol_fail(err, OLV_FORMAT, "\"replacement\" is not one character");
    memcpy(m->text, rep.ptr, rep.len);
    m->len = (uint32_t)rep.len;
    OL_TRY(ol_tk_cfg_bool(cfg, "split", 1, &m->split, err));
    OL_TRY(ol_tk_cfg_bool(cfg, "add_prefix_space", 1, &prefix, err));
    OL_TRY(ol_tk_cfg_string(cfg, "prepend_scheme", "always", &scheme, err));
    if (ol_str_is(scheme, "always"))
        m->scheme = OL_TK_ALWAYS;
    else if (ol_str_is(scheme, "first"))
        m->scheme = OL_TK_FIRST;
    else if (ol_str_is(scheme, "never"))
        m->scheme = OL_TK_NEVER;
    else
        return ol_fail(err, OLV_FORMAT,
                       "\"prepend_scheme\" is \"%.*s\", expected always, first or never",
                       (int)(scheme.len < 40 ? scheme.len : 40), scheme.ptr);
    if (!prefix && m->scheme != OL_TK_NEVER && json_object_get(cfg, "prepend_scheme"))
        return ol_fail(err, OLV_FORMAT,
                       "\"add_prefix_space\" is false, but \"prepend_scheme\" is not \"never\"");
    if (!prefix) m->scheme = OL_TK_NEVER;
    return OLV_OK;
}

/* The piece with its spaces replaced, as a new piece; a replacement takes the span of the space. */
static bool replace(ol_tk_work *w, ol_tk_piece *p, const ol_tk_metaspace *m) {
    if (!memchr(p->text, ' ', p->len)) return true;
    ol_tk_xf x;
    ol_tk_xf_begin(&x, w, p, 0);
    for (uint32_t i = 0, k; i < p->len; i = k) {
        for (k = i; k < p->len && p->text[k] != ' ';) k++;
        ol_tk_xf_copy(&x, i, k);
        if (k < p->len) {
            ol_tk_xf_bytes(&x, m->text, m->len, ol_tk_piece_span(p, k));
            k++;
        }
    }
    return ol_tk_xf_end(&x, p);
}

static bool starts(const ol_tk_piece *p, const ol_tk_metaspace *m) {
    return p->len >= m->len && memcmp(p->text, m->text, m->len) == 0;
}

static olv_status piece(ol_tk_work *w, ol_tk_piece *p, const void *ctx, olv_error *err) {
    const ol_tk_metaspace *m = ctx;
    bool ok = replace(w, p, m);
    if (ok && !starts(p, m) &&
        (m->scheme == OL_TK_ALWAYS || (m->scheme == OL_TK_FIRST && p->origin == 0)))
        ok = ol_tk_prepend(w, p, (ol_str){m->text, m->len});
    if (!ok) return ol_fail(err, OLV_NOMEM, "out of memory");
    if (!m->split) {
        ol_tk_push(w, p);
        return OLV_OK;
    }
    ol_tk_cutter c;
    ol_tk_cut_begin(&c, w, p, OL_TK_MERGED_WITH_NEXT);
    uint32_t done = 0;
    for (uint32_t i = 0; i < p->len;) {
        const char *hit = memmem(p->text + i, p->len - i, m->text, m->len);
        if (!hit) break;
        i = (uint32_t)(hit - p->text);
        if (done < i) ol_tk_cut(&c, done, i, false);
        ol_tk_cut(&c, i, i + m->len, true);
        done = i += m->len;
    }
    if (done < p->len) ol_tk_cut(&c, done, p->len, false);
    ol_tk_cut_end(&c);
    return OLV_OK;
}

static olv_status apply(const void *state, ol_tk_work *w, olv_error *err) {
    return ol_tk_each(w, piece, state, err);
}

const ol_tk_pretokenizer_kind ol_tk_pretokenizer_metaspace = {"Metaspace", ol_tk_metaspace_create,
                                                              NULL, apply};
