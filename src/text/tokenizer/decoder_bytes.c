/* SPDX-License-Identifier: Apache-2.0 */
/* Decoders that make bytes into characters: ByteLevel and ByteFallback. */
#include "text/tokenizer/lossy.h"
#include "text/tokenizer/state.h"

static olv_status nothing_create(ol_arena *a, const json_t *cfg, void **state, olv_error *err) {
    (void)a, (void)cfg, (void)state, (void)err;
    return OLV_OK;
}

void ol_tk_name_bytes(ol_str name, ol_buf *out) {
    size_t mark = out->len;
    for (size_t i = 0; i < name.len;) {
        uint32_t n;
        int b = ol_tk_char_byte(ol_tk_char(name.ptr + i, name.len - i, &n));
        if (b < 0) { /* not of the byte-level alphabet: the name stands for itself */
            out->len = mark;
            ol_buf_append(out, name.ptr, name.len);
            return;
        }
        ol_buf_putc(out, (char)b);
        i += n;
    }
}

void ol_tk_append_lossy(ol_buf *out, const char *s, size_t n) {
    size_t done = 0;
    for (size_t i = 0; i < n;) {
        int32_t cp = (unsigned char)s[i] < 0x80 ? s[i] : -1;
        int len = 1;
        if ((unsigned char)s[i] >= 0x80) len = ol_utf8_decode(s + i, n - i, &cp);
        if (cp < 0) {
            ol_buf_append(out, s + done, i - done);
            ol_buf_puts(out, "\xEF\xBF\xBD");
            done = i + (size_t)len;
        }
        i += (size_t)len;
    }
    ol_buf_append(out, s + done, n - done);
}

size_t ol_tk_incomplete(const char *s, size_t n) {
    for (size_t k = 1; k <= 3 && k <= n; k++) {
        unsigned char c = (unsigned char)s[n - k];
        if ((c & 0xC0) == 0x80) continue;
        size_t want = c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : c >= 0xC0 ? 2 : 1;
        if (want <= k || c > 0xF4 || c < 0xC2) return 0;
        /* What follows may already make the character malformed. */
        int32_t cp;
        return (size_t)ol_utf8_decode(s + n - k, k, &cp) == k ? k : 0;
    }
    return 0;
}

static bool replace_items(ol_tk_texts *t, ol_buf *b) {
    char *p = b->failed ? NULL : ol_arena_strndup(t->arena, b->data ? b->data : "", b->len);
    ol_str *one = ol_arena_alloc(t->arena, sizeof *one);
    if (!p || !one) return false;
    *one = (ol_str){p, b->len};
    t->items = one;
    t->count = 1;
    return true;
}

static olv_status bytelevel_apply(const void *state, ol_tk_texts *t, olv_error *err) {
    (void)state;
    ol_buf bytes = OL_BUF_INIT, text = OL_BUF_INIT;
    for (size_t i = 0; i < t->count; i++) ol_tk_name_bytes(t->items[i], &bytes);
    ol_tk_append_lossy(&text, bytes.data ? bytes.data : "", bytes.len);
    bool ok = !bytes.failed && replace_items(t, &text);
    ol_buf_deinit(&bytes);
    ol_buf_deinit(&text);
    return ok ? OLV_OK : ol_fail(err, OLV_NOMEM, "out of memory");
}
const ol_tk_decoder_kind ol_tk_decoder_bytelevel = {"ByteLevel", nothing_create, NULL,
                                                    bytelevel_apply};

int ol_tk_fallback_byte(ol_str s) {
    if (s.len != 6 || memcmp(s.ptr, "<0x", 3) != 0 || s.ptr[5] != '>') return -1;
    int v = 0;
    for (int i = 3; i < 5; i++) {
        char c = s.ptr[i];
        int d = c >= '0' && c <= '9'   ? c - '0'
                : c >= 'A' && c <= 'F' ? c - 'A' + 10
                : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                       : -1;
        if (c == '+' && i == 3) d = 0; /* a number may have a sign, as far as Rust is concerned */
        if (d < 0) return -1;
        v = v * 16 + d;
    }
    return v;
}

/* A run of byte tokens is one text if it is valid as a whole; otherwise every byte is a U+FFFD of
 * its own. Takes the place of the run's tokens, of which there are as many as bytes. */
static bool put_run(ol_tk_texts *t, size_t *n, const ol_buf *run) {
    if (run->failed) return false;
    if (!ol_utf8_valid(run->data, run->len)) {
        for (size_t i = 0; i < run->len; i++) t->items[(*n)++] = (ol_str){"\xEF\xBF\xBD", 3};
        return true;
    }
    char *p = ol_arena_strndup(t->arena, run->data, run->len);
    t->items[(*n)++] = (ol_str){p, run->len};
    return p != NULL;
}

static olv_status byte_fallback_apply(const void *state, ol_tk_texts *t, olv_error *err) {
    (void)state;
    ol_buf run = OL_BUF_INIT;
    size_t n = 0;
    bool ok = true;
    for (size_t i = 0; i <= t->count && ok; i++) {
        int b = i < t->count ? ol_tk_fallback_byte(t->items[i]) : -1;
        if (b >= 0) {
            ol_buf_putc(&run, (char)b);
            continue;
        }
        if (run.len || run.failed) ok = put_run(t, &n, &run);
        ol_buf_clear(&run);
        if (i < t->count && ok) t->items[n++] = t->items[i];
    }
    t->count = n;
    ol_buf_deinit(&run);
    return ok ? OLV_OK : ol_fail(err, OLV_NOMEM, "out of memory");
}
const ol_tk_decoder_kind ol_tk_decoder_byte_fallback = {"ByteFallback", nothing_create, NULL,
                                                        byte_fallback_apply};
