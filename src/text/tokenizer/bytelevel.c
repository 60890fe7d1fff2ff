/* SPDX-License-Identifier: Apache-2.0 */
#include "text/tokenizer/state.h"

/* Bytes that stand for themselves: ! to ~, and Latin-1 from U+00A1 on but for the soft hyphen. The
 * others are numbered from U+0100 on in their order. */
static bool prints(int b) {
    return (b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b != 0xAD);
}

int32_t ol_tk_byte_char(uint8_t b) {
    if (prints(b)) return b;
    if (b <= 0x20) return 0x100 + b;
    if (b == 0xAD) return 0x100 + 0x43;
    return 0x100 + 0x21 + (b - 0x7F); /* 0x7F to 0xA0 */
}

int ol_tk_char_byte(int32_t cp) {
    if (cp < 0x100) return prints(cp) ? cp : -1;
    int k = cp - 0x100;
    if (k <= 0x20) return k;
    if (k <= 0x42) return 0x7F + (k - 0x21);
    return k == 0x43 ? 0xAD : -1;
}

bool ol_tk_byte_level(ol_tk_work *w, ol_tk_piece *p) {
    ol_tk_xf x;
    ol_tk_xf_begin(&x, w, p, 0);
    for (uint32_t i = 0; i < p->len; i++) {
        char utf8[4];
        int n = ol_utf8_encode(ol_tk_byte_char((uint8_t)p->text[i]), utf8);
        ol_tk_xf_bytes(&x, utf8, (size_t)n, ol_tk_piece_span(p, i));
    }
    return ol_tk_xf_end(&x, p);
}
