/* SPDX-License-Identifier: Apache-2.0 */
/* Texts to tokens of bounded number, as the tokenizers of encoders cut them: special tokens stay, a single text loses its
 * end; of a pair the longer one is cut first, down to half of the room. */
#include "base/alloc.h"
#include "base/error.h"
#include "generate/encoder.h"
#include <string.h>
#include <utf8proc.h>

void ol_encoded_deinit(ol_encoded *e) {
    ol_free(e->ids);
    memset(e, 0, sizeof *e);
}

static olv_status encode(const olv_encoder *e, const char *text, size_t len, const olv_text *pair, bool special,
                         olv_encoding *out, olv_error *err) {
    olv_encode_options o;
    olv_encode_options_init(&o);
    o.add_special = special;
    o.want_type_ids = special;
    o.truncate = o.pad = false;
    if (pair) {
        o.pair = pair->pair;
        o.pair_len = pair->pair_len;
    }
    return olv_tokenizer_encode(e->p->tokenizer, text, len, &o, out, err);
}

/* Keeps of n1 and n2 tokens together at most `room`. */
static void share(size_t room, size_t *n1, size_t *n2) {
    size_t *less = *n1 <= *n2 ? n1 : n2, *more = less == n1 ? n2 : n1;
    if (*n1 + *n2 <= room) return;
    size_t left = *less > room ? *less : (room - *less > *less ? room - *less : *less);
    *more = left;
    if (*less + *more > room) {
        *less = room / 2;
        *more = room / 2 + room % 2;
    }
}

/* Takes tokens [from, from + n) out. */
static void cut(olv_encoding *e, size_t from, size_t n) {
    size_t rest = e->count - from - n;
    memmove(e->ids + from, e->ids + from + n, rest * sizeof *e->ids);
    if (e->type_ids) memmove(e->type_ids + from, e->type_ids + from + n, rest * sizeof *e->type_ids);
    e->count -= n;
}

/* [prefix | text | suffix]: the end of the text goes. */
static olv_status shorten_single(const olv_encoder *e, olv_encoding *c, size_t max, olv_error *err) {
    size_t suffix = olv_tokenizer_suffix(e->p->tokenizer, NULL, 0), over = c->count - max;
    if (suffix + over > c->count) return ol_fail(err, OLV_LIMIT, "a text of %zu tokens has no room for the special ones", max);
    cut(c, c->count - suffix - over, over);
    return OLV_OK;
}

/* [prefix | text | between | pair | suffix]: both lose their ends, as share() says. */
static olv_status shorten_pair(const olv_encoder *e, const char *text, size_t len, const olv_text *pair, olv_encoding *c,
                               size_t max, olv_error *err) {
    olv_encoding a, b;
    OL_TRY(encode(e, text, len, NULL, false, &a, err));
    size_t n1 = a.count;
    olv_encoding_deinit(&a);
    OL_TRY(encode(e, pair->pair, pair->pair_len, NULL, false, &b, err));
    size_t n2 = b.count, special = c->count - n1 - n2;
    olv_encoding_deinit(&b);
    size_t prefix = olv_tokenizer_prefix(e->p->tokenizer, NULL, 0), suffix = olv_tokenizer_suffix(e->p->tokenizer, NULL, 0);
    if (n1 + n2 > c->count || special < prefix + suffix || max < special)
        return ol_fail(err, OLV_LIMIT, "a pair of %zu tokens cannot be cut to %zu", c->count, max);
    size_t keep1 = n1, keep2 = n2;
    share(max - special, &keep1, &keep2);
    cut(c, c->count - suffix - (n2 - keep2), n2 - keep2);
    cut(c, prefix + keep1, n1 - keep1);
    return OLV_OK;
}

static olv_status copy(const olv_encoding *c, ol_encoded *out, olv_error *err) {
    int64_t *v = ol_alloc((c->count + 1) * 2 * sizeof *v);
    if (!v) return ol_fail(err, OLV_NOMEM, "no memory for %zu tokens", c->count);
    for (size_t i = 0; i < c->count; i++) {
        v[i] = c->ids[i];
        v[c->count + i] = c->type_ids ? c->type_ids[i] : 0;
    }
    *out = (ol_encoded){v, v + c->count, c->count};
    return OLV_OK;
}

static void append_lower(ol_buf *b, const char *s, size_t n) {
    for (size_t at = 0, len; at < n; at += len) {
        int32_t c;
        char out[4];
        len = (size_t)ol_utf8_decode(s + at, n - at, &c);
        if (c < 0) ol_buf_append(b, s + at, len); /* the tokenizer will say what is wrong */
        else ol_buf_append(b, out, (size_t)ol_utf8_encode(utf8proc_tolower(c), out));
    }
}

static void append(const olv_encoder *e, ol_buf *b, const char *s, size_t n) {
    if (e->use.lower_case) append_lower(b, s, n);
    else ol_buf_append(b, s, n);
}

olv_status ol_encode_text(const olv_encoder *e, const char *prompt, const olv_text *text, ol_encoded *out, olv_error *err) {
    ol_buf joined = OL_BUF_INIT, second = OL_BUF_INIT;
    olv_text t = *text;
    size_t max = (size_t)e->max_tokens;
    if ((prompt && *prompt) || e->use.lower_case) {
        if (prompt) append(e, &joined, prompt, strlen(prompt));
        append(e, &joined, t.text, t.len);
        t.text = joined.data ? joined.data : "";
        t.len = joined.len;
    }
    if (t.pair && e->use.lower_case) {
        append(e, &second, t.pair, t.pair_len);
        t.pair = second.data ? second.data : "";
        t.pair_len = second.len;
    }
    olv_encoding c = {0};
    olv_status st = joined.failed || second.failed ? ol_fail(err, OLV_NOMEM, "no memory for a text")
                                                   : encode(e, t.text, t.len, t.pair ? &t : NULL, true, &c, err);
    if (st == OLV_OK && c.count > max)
        st = t.pair ? shorten_pair(e, t.text, t.len, &t, &c, max, err) : shorten_single(e, &c, max, err);
    if (st == OLV_OK && !c.count) st = ol_fail(err, OLV_ARG, "the text is empty");
    if (st == OLV_OK) st = copy(&c, out, err);
    olv_encoding_deinit(&c);
    ol_buf_deinit(&joined);
    ol_buf_deinit(&second);
    return st;
}
