/* SPDX-License-Identifier: Apache-2.0 */
/* Precompiled: SentencePiece's rules, tried on whole grapheme clusters of under six bytes, else on
 * each character. */
#include "base/base64.h"
#include "text/tokenizer/charsmap.h"
#include "text/tokenizer/graphemes.h"
#include "text/tokenizer/state.h"

static olv_status create(ol_arena *a, const json_t *cfg, void **state, olv_error *err) {
    ol_tk_charsmap *m = ol_arena_alloc(a, sizeof *m);
    ol_str text;
    ol_buf b = OL_BUF_INIT;
    size_t at;
    if (!m) return ol_fail(err, OLV_NOMEM, "out of memory");
    *state = m;
    OL_TRY(ol_tk_cfg_string(cfg, "precompiled_charsmap", NULL, &text, err));
    if (!ol_base64_decode(text, &b, &at)) {
        ol_buf_deinit(&b);
        return ol_fail(err, OLV_FORMAT, "\"precompiled_charsmap\" is not base64 at character %zu",
                       at);
    }
    char *data = b.failed ? NULL : ol_arena_strndup(a, b.data ? b.data : "", b.len);
    size_t len = b.len;
    ol_buf_deinit(&b);
    return data ? ol_tk_charsmap_init(m, data, len, err) : ol_fail(err, OLV_NOMEM, "out of memory");
}

/* The rewrite, one character behind: a replacement by nothing makes the character before it swallow
 * more. */
typedef struct writer {
    ol_tk_xf x;
    int32_t cp; /* not yet written, -1: none */
    ptrdiff_t change;
} writer;

static void put(writer *o, int32_t cp, ptrdiff_t change) {
    if (o->cp >= 0) ol_tk_xf_put(&o->x, o->cp, o->change);
    o->cp = cp;
    o->change = change;
}

/* Replaces `count` characters by text: what is more is inserted, what is less is swallowed by the
 * last one. */
static void put_text(writer *o, ol_str text, ptrdiff_t count) {
    ptrdiff_t total = 0;
    for (size_t i = 0; i < text.len; total++) {
        uint32_t n;
        int32_t cp = ol_tk_char(text.ptr + i, text.len - i, &n);
        i += n;
        put(o, cp, total >= count ? 1 : 0);
    }
    if (total < count && o->cp >= 0) o->change += total - count;
}

static olv_status apply(const void *state, ol_tk_work *w, ol_tk_piece *p, olv_error *err) {
    const ol_tk_charsmap *m = state;
    if (p->len == 0) return OLV_OK;
    writer o = {.cp = -1};
    ol_tk_xf_begin(&o.x, w, p, 0);
    ol_tk_graphemes g = {p->text, p->len, 0};
    ol_str text;
    size_t used;
    for (uint32_t from = 0, to; ol_tk_grapheme_next(&g, &to); from = to) {
        if (to - from < 6 &&
            ol_tk_charsmap_find(m, p->text + from, to - from, false, &text, &used)) {
            put_text(&o, text, (ptrdiff_t)ol_utf8_count(p->text + from, to - from));
            continue;
        }
        for (uint32_t i = from, n; i < to; i += n) {
            int32_t cp = ol_tk_char(p->text + i, p->len - i, &n);
            if (ol_tk_charsmap_find(m, p->text + i, n, false, &text, &used))
                put_text(&o, text, 1);
            else
                put(&o, cp, 0);
        }
    }
    if (o.cp >= 0) ol_tk_xf_put(&o.x, o.cp, o.change);
    return ol_tk_xf_end(&o.x, p) ? OLV_OK : ol_fail(err, OLV_NOMEM, "out of memory");
}

const ol_tk_normalizer_kind ol_tk_normalizer_precompiled = {"Precompiled", create, NULL, apply};
