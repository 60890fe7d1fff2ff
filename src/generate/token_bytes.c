/* SPDX-License-Identifier: Apache-2.0 */
#include "generate/token_bytes.h"
#include "base/error.h"
#include "text/tokenizer/decode.h"
#include "text/tokenizer/lossy.h"

/* The last token of a plain letter's encoding. */
olv_status ol_token_texts_init(ol_token_texts *x, const olv_tokenizer *t, olv_error *err) {
    olv_encode_options o;
    olv_encoding e;
    *x = (ol_token_texts){.t = t, .buf = OL_BUF_INIT};
    if (t->byte_decoder || t->raw_bytes) return OLV_OK;
    olv_encode_options_init(&o);
    o.add_special = o.pad = o.truncate = false;
    OL_TRY(olv_tokenizer_encode(t, "a", 1, &o, &e, err));
    if (e.count) {
        x->anchor = e.ids[e.count - 1];
        OL_TRY(ol_tk_decode(t, &x->anchor, 1, true, true, &x->buf, err));
        x->anchor_len = x->buf.len;
        x->anchored = true;
    }
    olv_encoding_deinit(&e);
    return OLV_OK;
}

void ol_token_texts_deinit(ol_token_texts *x) { ol_buf_deinit(&x->buf); }

const char *ol_token_texts_get(void *ctx, int64_t token, size_t *len) {
    ol_token_texts *x = ctx;
    *len = 0;
    ol_buf_clear(&x->buf);
    uint32_t id = (uint32_t)token;
    if (olv_tokenizer_is_special(x->t, id) || !ol_tk_id_name(x->t, id).ptr) return NULL;
    int byte = ol_tk_fallback_byte(ol_tk_id_name(x->t, id));
    size_t from = 0;
    if (x->t->byte_decoder || x->t->raw_bytes) {
        if (!ol_tk_id_bytes(x->t, id, true, &x->buf)) return NULL;
    } else if (byte >= 0) {
        ol_buf_putc(&x->buf, (char)byte);
    } else {
        uint32_t both[2] = {x->anchor, id};
        if (ol_tk_decode(x->t, x->anchored ? both : both + 1, x->anchored ? 2 : 1, true, true, &x->buf, NULL) != OLV_OK)
            return NULL;
        from = x->anchored ? x->anchor_len : 0;
    }
    if (x->buf.failed || x->buf.len < from) return NULL;
    *len = x->buf.len - from;
    return x->buf.data ? x->buf.data + from : NULL;
}
