/* SPDX-License-Identifier: Apache-2.0 */
/* ByteLevel: an optional space in front, an optional cut by GPT-2's pattern, then every byte
 * becomes a character. The rewrite is left out where the model takes plain bytes
 * (olv_tokenizer.byte_pieces; see steps.c). */
#include "text/tokenizer/pretokenizer_bytelevel.h"

static olv_status create(ol_arena *a, const json_t *cfg, void **state, olv_error *err) {
    ol_tk_bytelevel *s = ol_arena_alloc(a, sizeof *s);
    if (!s) return ol_fail(err, OLV_NOMEM, "out of memory");
    *state = s;
    bool trim;
    OL_TRY(ol_tk_cfg_bool(cfg, "add_prefix_space", -1, &s->add_prefix_space, err));
    OL_TRY(ol_tk_cfg_bool(cfg, "trim_offsets", -1, &trim, err));
    OL_TRY(ol_tk_cfg_bool(cfg, "use_regex", 1, &s->use_regex, err));
    if (!s->use_regex) return OLV_OK;
    return ol_tk_regex_create(ol_str_of(OL_TK_GPT2_PATTERN), OL_TK_ONIGURUMA, false, &s->re, err);
}

static void destroy(void *state) {
    ol_tk_regex_destroy(((ol_tk_bytelevel *)state)->re);
}

static olv_status cut(ol_tk_work *w, ol_tk_piece *p, const void *ctx, olv_error *err) {
    const ol_tk_bytelevel *s = ctx;
    if (s->add_prefix_space && p->text[0] != ' ' && !ol_tk_prepend(w, p, (ol_str){" ", 1}))
        return ol_fail(err, OLV_NOMEM, "out of memory");
    if (s->re) return ol_tk_cut_regex(w, p, s->re, OL_TK_ISOLATED, false, err);
    ol_tk_push(w, p);
    return OLV_OK;
}

static olv_status apply(const void *state, ol_tk_work *w, olv_error *err) {
    const ol_tk_bytelevel *s = state;
    if (s->add_prefix_space || s->re) OL_TRY(ol_tk_each(w, cut, s, err));
    if (s->leave_bytes) return OLV_OK;
    for (size_t i = 0; i < w->cur.count; i++) {
        ol_tk_piece *p = &w->cur.items[i];
        if (p->token == OL_TK_NO_TOKEN && !ol_tk_byte_level(w, p))
            return ol_fail(err, OLV_NOMEM, "out of memory");
    }
    return OLV_OK;
}

const ol_tk_pretokenizer_kind ol_tk_pretokenizer_bytelevel = {"ByteLevel", create, destroy, apply};
