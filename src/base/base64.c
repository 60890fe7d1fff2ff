/* SPDX-License-Identifier: Apache-2.0 */
#include "base/base64.h"

static int digit(char c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool ol_base64_decode(ol_str s, ol_buf *out, size_t *at) {
    uint32_t acc = 0, bits = 0;
    while (s.len && s.ptr[s.len - 1] == '=') s.len--;
    if (!ol_buf_reserve(out, s.len)) return true; /* latched; the caller checks the buffer */
    for (size_t i = 0; i < s.len; i++) {
        int d = digit(s.ptr[i]);
        if (d < 0) {
            *at = i;
            return false;
        }
        acc = acc << 6 | (uint32_t)d;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            ol_buf_putc(out, (char)(acc >> bits));
        }
    }
    return true;
}

void ol_base64_encode(ol_str s, ol_buf *out) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < s.len; i += 3) {
        uint32_t acc = 0;
        size_t n = s.len - i < 3 ? s.len - i : 3;
        for (size_t k = 0; k < 3; k++) acc = acc << 8 | (k < n ? (uint8_t)s.ptr[i + k] : 0u);
        for (size_t k = 0; k < 4; k++) ol_buf_putc(out, k <= n ? digits[acc >> (18 - 6 * k) & 63] : '=');
    }
}
