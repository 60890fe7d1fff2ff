/* SPDX-License-Identifier: Apache-2.0 */
/* Normalizers without settings: NFC, NFD, NFKC, NFKD, Lowercase, StripAccents, Nmt, ByteLevel. */
#include "text/tokenizer/normal_form.h"
#include "text/tokenizer/rewrite.h"
#include "text/tokenizer/unicode_older.h"

static olv_status nothing_create(ol_arena *a, const json_t *cfg, void **state, olv_error *err) {
    (void)a, (void)cfg, (void)state, (void)err;
    return OLV_OK;
}

#define FORM(name, text, compat, compose)                                                          \
    static olv_status name##_apply(const void *s, ol_tk_work *w, ol_tk_piece *p, olv_error *err) { \
        (void)s;                                                                                   \
        if (ol_tk_normal_form(w, p, compat, compose)) return OLV_OK;                               \
        return ol_fail(err, OLV_NOMEM, "out of memory");                                           \
    }                                                                                              \
    const ol_tk_normalizer_kind ol_tk_normalizer_##name = {text, nothing_create, NULL,             \
                                                           name##_apply};
FORM(nfc, "NFC", false, true)
FORM(nfd, "NFD", false, false)
FORM(nfkc, "NFKC", true, true)
FORM(nfkd, "NFKD", true, false)

bool ol_tk_lowercase(ol_tk_work *w, ol_tk_piece *p) {
    ol_tk_xf x;
    ol_tk_xf_begin(&x, w, p, 0);
    for (uint32_t i = 0, n; i < p->len; i += n) {
        int32_t cp = ol_tk_char(p->text + i, p->len - i, &n);
        ol_tk_xf_put(&x, ol_uc_lower(cp), 0);
        if (cp == 0x130) ol_tk_xf_put(&x, 0x307, 1);
    }
    return ol_tk_xf_end(&x, p);
}
static olv_status lowercase_apply(const void *s, ol_tk_work *w, ol_tk_piece *p, olv_error *err) {
    (void)s;
    return ol_tk_lowercase(w, p) ? OLV_OK : ol_fail(err, OLV_NOMEM, "out of memory");
}
const ol_tk_normalizer_kind ol_tk_normalizer_lowercase = {"Lowercase", nothing_create, NULL,
                                                          lowercase_apply};

bool ol_tk_filter(ol_tk_work *w, ol_tk_piece *p, bool (*drop)(int32_t cp),
                  int32_t (*map)(int32_t cp)) {
    size_t skip = 0;
    uint32_t i = 0, n;
    while (i < p->len && drop(ol_tk_char(p->text + i, p->len - i, &n))) {
        skip++;
        i += n;
    }
    ol_tk_xf x;
    ol_tk_xf_begin(&x, w, p, skip);
    while (i < p->len) {
        int32_t cp = ol_tk_char(p->text + i, p->len - i, &n);
        ptrdiff_t dropped = 0;
        for (i += n; i < p->len && drop(ol_tk_char(p->text + i, p->len - i, &n)); i += n) dropped++;
        ol_tk_xf_put(&x, map ? map(cp) : cp, -dropped);
    }
    return ol_tk_xf_end(&x, p);
}

static olv_status strip_accents_apply(const void *s, ol_tk_work *w, ol_tk_piece *p,
                                      olv_error *err) {
    (void)s;
    return ol_tk_filter(w, p, ol_uc_old_mark, NULL) ? OLV_OK
                                                    : ol_fail(err, OLV_NOMEM, "out of memory");
}
const ol_tk_normalizer_kind ol_tk_normalizer_strip_accents = {"StripAccents", nothing_create, NULL,
                                                              strip_accents_apply};

/* The rules of the nmt normalization of SentencePiece. */
static bool nmt_drops(int32_t cp) {
    return (cp >= 1 && cp <= 8) || cp == 0xB || (cp >= 0xE && cp <= 0x1F) || cp == 0x7F ||
           cp == 0x8F || cp == 0x9F;
}
static int32_t nmt_maps(int32_t cp) {
    bool space = cp == 9 || cp == 0xA || cp == 0xC || cp == 0xD || cp == 0x1680 ||
                 (cp >= 0x200B && cp <= 0x200F) || cp == 0x2028 || cp == 0x2029 || cp == 0x2581 ||
                 cp == 0xFEFF || cp == 0xFFFD;
    return space ? ' ' : cp;
}
static olv_status nmt_apply(const void *s, ol_tk_work *w, ol_tk_piece *p, olv_error *err) {
    (void)s;
    return ol_tk_filter(w, p, nmt_drops, nmt_maps) ? OLV_OK
                                                   : ol_fail(err, OLV_NOMEM, "out of memory");
}
const ol_tk_normalizer_kind ol_tk_normalizer_nmt = {"Nmt", nothing_create, NULL, nmt_apply};

static olv_status bytelevel_apply(const void *s, ol_tk_work *w, ol_tk_piece *p, olv_error *err) {
    (void)s;
    return ol_tk_byte_level(w, p) ? OLV_OK : ol_fail(err, OLV_NOMEM, "out of memory");
}
const ol_tk_normalizer_kind ol_tk_normalizer_bytelevel = {"ByteLevel", nothing_create, NULL,
                                                          bytelevel_apply};
