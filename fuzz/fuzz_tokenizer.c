/* SPDX-License-Identifier: Apache-2.0 */
/* The input is a tokenizer file (tokenizer.json, or a SentencePiece model where it begins with a
 * newline); after the bytes FF 00 FF may follow a text to encode. What was encoded is decoded at
 * once and as a stream. */
#include "base/alloc.h"
#include "base/str.h"
#include "text/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void stream(const olv_tokenizer *t, const olv_encoding *e) {
    olv_detokenizer *d;
    olv_error err;
    const char *piece;
    size_t len;
    if (olv_detokenizer_create(t, false, &d, &err) != OLV_OK) return;
    for (size_t i = 0; i < e->count && i < 64; i++)
        if (olv_detokenizer_push(d, e->ids[i], &piece, &len, &err) != OLV_OK) break;
    if (olv_detokenizer_flush(d, &piece, &len, &err) != OLV_OK) len = 0;
    olv_detokenizer_destroy(d);
}

static void use(const olv_tokenizer *t, const char *text, size_t n) {
    olv_encode_options opt;
    olv_encoding e;
    olv_error err;
    olv_encode_options_init(&opt);
    opt.want_offsets = opt.want_type_ids = true;
    opt.pair = "b a";
    opt.pair_len = 3;
    if (olv_tokenizer_encode(t, text, n, &opt, &e, &err) != OLV_OK) return;
    char *back;
    if (olv_tokenizer_decode(t, e.ids, e.count, true, &back, NULL, &err) == OLV_OK)
        olv_tokenizer_free(back);
    stream(t, &e);
    olv_encoding_deinit(&e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char sample[] = "The quick  brown\nfox: it's 3.14, caf\xC3\xA9 "
                                 "\xE4\xB8\xAD\xE6\x96\x87 \xF0\x9F\x91\x8D <s>";
    const uint8_t *mark = size ? memmem(data, size, "\xFF\0\xFF", 3) : NULL;
    size_t n = mark ? (size_t)(mark - data) : size;
    olv_tokenizer *t;
    olv_error err;
    olv_status s = n && data[0] == '\n'
                       ? ol_tokenizer_open_spm(data, n, "fuzz.model", &t, &err)
                       : ol_tokenizer_open_json((const char *)data, n, "fuzz.json", &t, &err);
    if (s != OLV_OK) return 0;
    use(t, sample, sizeof sample - 1);
    if (mark && size - n - 3 < 4096) use(t, (const char *)mark + 3, size - n - 3);
    olv_tokenizer_close(t);
    return 0;
}
