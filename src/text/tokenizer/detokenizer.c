/* SPDX-License-Identifier: Apache-2.0 */
/* Streaming. Where decoding only joins bytes, the bytes that may begin a character are held back.
 * Elsewhere a window of ids is decoded again: the ids before `mark` gave text that is out already
 * (they stay as context, so that what a decoder does to the first token does not happen twice), and
 * what the window's text has beyond theirs is new. */
#include "text/tokenizer/decode.h"
#include "text/tokenizer/lossy.h"

#include "base/alloc.h"

struct olv_detokenizer {
    const olv_tokenizer *t;
    bool skip_special;
    ol_buf bytes;  /* held back */
    uint32_t *ids; /* window */
    size_t count, cap, mark;
    ol_buf out, before, now;
};

olv_status olv_detokenizer_create(const olv_tokenizer *t, bool skip_special, olv_detokenizer **out,
                                  olv_error *err) {
    olv_detokenizer *d = ol_calloc(1, sizeof *d);
    if (!d) return ol_fail(err, OLV_NOMEM, "out of memory");
    d->t = t;
    d->skip_special = skip_special;
    *out = d;
    return OLV_OK;
}

void olv_detokenizer_destroy(olv_detokenizer *d) {
    if (!d) return;
    ol_buf_deinit(&d->bytes);
    ol_buf_deinit(&d->out);
    ol_buf_deinit(&d->before);
    ol_buf_deinit(&d->now);
    ol_free(d->ids);
    ol_free(d);
}

static olv_status give(olv_detokenizer *d, const char **piece, size_t *len, olv_error *err) {
    ol_buf_append(&d->out, "", 0);
    if (d->out.failed || d->bytes.failed) return ol_fail(err, OLV_NOMEM, "out of memory");
    *piece = d->out.data ? d->out.data : "";
    if (len) *len = d->out.len;
    return OLV_OK;
}

static bool ends_in_replacement(const char *s, size_t n) {
    return n >= 3 && memcmp(s + n - 3, "\xEF\xBF\xBD", 3) == 0;
}

/* All of the text that ends in an incomplete or malformed character waits, up to this many bytes.
 */
#define MOST_HELD 4096

static void push_bytes(olv_detokenizer *d, uint32_t id) {
    ol_tk_id_bytes(d->t, id, d->skip_special, &d->bytes);
    if (d->bytes.len == 0 || d->bytes.failed) return;
    size_t n = d->bytes.len;
    ol_tk_append_lossy(&d->out, d->bytes.data, n);
    if (d->out.len && ends_in_replacement(d->out.data, d->out.len)) {
        ol_buf_clear(&d->out);
        if (n < MOST_HELD) return;
        n -= ol_tk_incomplete(d->bytes.data, n);
        ol_tk_append_lossy(&d->out, d->bytes.data, n);
    }
    memmove(d->bytes.data, d->bytes.data + n, d->bytes.len - n);
    d->bytes.len -= n;
}

/* How much of the window's text is out already. Byte tokens (<0xXX>) that were characters may turn
 * out to be malformed as a whole when one more comes: then each of their bytes is a U+FFFD, and
 * those that were put out as characters count as said. */
static size_t said(const olv_detokenizer *d) {
    size_t k = 0;
    while (k < d->before.len && k < d->now.len && d->before.data[k] == d->now.data[k]) k++;
    if (k == d->before.len) return k;
    while (k > 0 && k < d->before.len && ((unsigned char)d->before.data[k] & 0xC0) == 0x80) k--;
    return k + 3 * (d->before.len - k);
}

/* Puts out what the window's text has beyond that of the ids before the mark, if final or decided.
 */
static olv_status advance(olv_detokenizer *d, bool final, olv_error *err) {
    ol_buf_clear(&d->before);
    ol_buf_clear(&d->now);
    OL_TRY(ol_tk_decode(d->t, d->ids, d->mark, d->skip_special, true, &d->before, err));
    OL_TRY(ol_tk_decode(d->t, d->ids, d->count, d->skip_special, true, &d->now, err));
    if (!final && d->now.len && ends_in_replacement(d->now.data, d->now.len)) return OLV_OK;
    /* A decoder that drops U+FFFD takes a character back until its bytes are whole again. */
    if (!final && d->now.len < d->before.len) return OLV_OK;
    size_t had = d->before.len, from = said(d);
    if (from < d->now.len) ol_buf_append(&d->out, d->now.data + from, d->now.len - from);
    /* The ids behind the old mark become the context, if they have text of their own. */
    if (d->now.len > had && d->mark > 0) {
        ol_buf_clear(&d->before);
        OL_TRY(ol_tk_decode(d->t, d->ids + d->mark, d->count - d->mark, d->skip_special, true,
                            &d->before, err));
        if (d->before.len) {
            memmove(d->ids, d->ids + d->mark, (d->count - d->mark) * sizeof *d->ids);
            d->count -= d->mark;
        }
    }
    d->mark = d->count;
    return OLV_OK;
}

olv_status olv_detokenizer_push(olv_detokenizer *d, uint32_t id, const char **piece, size_t *len,
                                olv_error *err) {
    ol_buf_clear(&d->out);
    if (d->t->byte_decoder || d->t->raw_bytes) {
        push_bytes(d, id);
        return give(d, piece, len, err);
    }
    if (d->count == d->cap) {
        size_t cap = d->cap ? d->cap * 2 : 64;
        uint32_t *ids = ol_realloc(d->ids, cap * sizeof *ids);
        if (!ids) return ol_fail(err, OLV_NOMEM, "out of memory");
        d->ids = ids;
        d->cap = cap;
    }
    d->ids[d->count++] = id;
    OL_TRY(advance(d, false, err));
    return give(d, piece, len, err);
}

olv_status olv_detokenizer_flush(olv_detokenizer *d, const char **piece, size_t *len,
                                 olv_error *err) {
    ol_buf_clear(&d->out);
    if (d->bytes.len) ol_tk_append_lossy(&d->out, d->bytes.data, d->bytes.len);
    ol_buf_clear(&d->bytes);
    if (d->count) OL_TRY(advance(d, true, err));
    d->count = d->mark = 0;
    return give(d, piece, len, err);
}
