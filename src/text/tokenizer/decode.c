/* SPDX-License-Identifier: Apache-2.0 */
/* Ids to text, all at once. */
#include "text/tokenizer/decode.h"
#include "text/tokenizer/lossy.h"
#include "text/tokenizer/sentencepiece.h"

#include "base/alloc.h"

ol_str ol_tk_id_name(const olv_tokenizer *t, uint32_t id) {
    ol_str s = ol_tk_vocab_name(&t->added.by_id, id);
    return s.ptr ? s : ol_tk_vocab_name(&t->vocab, id);
}

static bool is_skipped(const olv_tokenizer *t, ol_str name, bool skip_special) {
    return skip_special && t->added.special_text.count && ol_map_get(&t->added.special_text, name);
}

static olv_status unknown_id(const olv_tokenizer *t, uint32_t id, olv_error *err) {
    return ol_fail(err, OLV_ARG,
                   "token id %u is not in the vocabulary (%zu tokens, ids below %llu)", id,
                   olv_tokenizer_vocab_size(t), (unsigned long long)olv_tokenizer_id_bound(t));
}

/* Names of the ids that are not skipped. */
static olv_status names(const olv_tokenizer *t, const uint32_t *ids, size_t count,
                        bool skip_special, bool lenient, ol_tk_texts *out, olv_error *err) {
    out->items = ol_arena_calloc(out->arena, count + 1, sizeof *out->items);
    if (!out->items) return ol_fail(err, OLV_NOMEM, "out of memory");
    for (size_t i = 0; i < count; i++) {
        ol_str s = ol_tk_id_name(t, ids[i]);
        if (!s.ptr && lenient) continue;
        if (!s.ptr) return unknown_id(t, ids[i], err);
        if (!is_skipped(t, s, skip_special)) out->items[out->count++] = s;
    }
    return OLV_OK;
}

bool ol_tk_id_bytes(const olv_tokenizer *t, uint32_t id, bool skip_special, ol_buf *out) {
    ol_str s = ol_tk_id_name(t, id);
    if (!s.ptr) return false;
    if (is_skipped(t, s, skip_special)) return true;
    if (t->byte_decoder)
        ol_tk_name_bytes(s, out);
    else
        ol_buf_append(out, s.ptr, s.len);
    return true;
}

static olv_status decode_bytes(const olv_tokenizer *t, const uint32_t *ids, size_t count,
                               bool skip_special, bool lenient, ol_buf *out, olv_error *err) {
    ol_buf bytes = OL_BUF_INIT;
    for (size_t i = 0; i < count; i++)
        if (!ol_tk_id_bytes(t, ids[i], skip_special, &bytes) && !lenient) {
            ol_buf_deinit(&bytes);
            return unknown_id(t, ids[i], err);
        }
    ol_tk_append_lossy(out, bytes.data ? bytes.data : "", bytes.len);
    bool ok = !bytes.failed && !out->failed;
    ol_buf_deinit(&bytes);
    return ok ? OLV_OK : ol_fail(err, OLV_NOMEM, "out of memory");
}

static olv_status decode_chain(const olv_tokenizer *t, ol_tk_texts *x, ol_buf *out,
                               olv_error *err) {
    for (size_t i = 0; i < t->decoders.count && x->count; i++) {
        const ol_tk_decoder_kind *k = t->decoders.items[i].kind;
        OL_TRY(k->apply(t->decoders.items[i].state, x, err));
    }
    for (size_t i = 0; i < x->count; i++) {
        if (i > 0 && !t->has_decoder) ol_buf_putc(out, ' ');
        ol_buf_append(out, x->items[i].ptr, x->items[i].len);
    }
    return out->failed ? ol_fail(err, OLV_NOMEM, "out of memory") : OLV_OK;
}

olv_status ol_tk_decode(const olv_tokenizer *t, const uint32_t *ids, size_t count,
                        bool skip_special, bool lenient, ol_buf *out, olv_error *err) {
    if (t->byte_decoder || t->raw_bytes)
        return decode_bytes(t, ids, count, skip_special, lenient, out, err);
    ol_tk_texts x = {ol_arena_create(), NULL, 0};
    if (!x.arena) return ol_fail(err, OLV_NOMEM, "out of memory");
    olv_status st = names(t, ids, count, skip_special, lenient, &x, err);
    if (st == OLV_OK)
        st = t->spm ? ol_tk_spm_decode(t->spm, &x, out, err) : decode_chain(t, &x, out, err);
    ol_arena_destroy(x.arena);
    return st;
}

olv_status olv_tokenizer_decode(const olv_tokenizer *t, const uint32_t *ids, size_t count,
                                bool skip_special, char **text, size_t *len, olv_error *err) {
    ol_buf b = OL_BUF_INIT;
    olv_status st = ol_tk_decode(t, ids, count, skip_special, false, &b, err);
    ol_buf_append(&b, "", 0);
    size_t n = b.len;
    char *s = st == OLV_OK && ol_buf_reserve(&b, 1) ? ol_buf_take(&b, &n) : NULL;
    if (!s) {
        ol_buf_deinit(&b);
        return st != OLV_OK ? st : ol_fail(err, OLV_NOMEM, "out of memory");
    }
    *text = s;
    if (len) *len = n;
    return OLV_OK;
}

void olv_tokenizer_free(void *p) {
    ol_free(p);
}
