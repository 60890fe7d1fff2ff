/* SPDX-License-Identifier: Apache-2.0 */
#include "text/tokenizer/charsmap.h"

olv_status ol_tk_charsmap_init(ol_tk_charsmap *m, const void *data, size_t len, olv_error *err) {
    const uint8_t *p = data;
    uint64_t n =
        len >= 4 ? p[0] | (uint64_t)p[1] << 8 | (uint64_t)p[2] << 16 | (uint64_t)p[3] << 24 : 0;
    if (len < 4 || n > len - 4 || n < 4 || n % 4)
        return ol_fail(err, OLV_FORMAT, "charsmap: a trie of %llu bytes in %zu bytes",
                       (unsigned long long)n, len);
    m->units = p + 4;
    m->n_units = (size_t)n / 4;
    m->texts = (ol_str){(const char *)p + 4 + n, len - 4 - (size_t)n};
    if (!ol_utf8_valid(m->texts.ptr, m->texts.len))
        return ol_fail(err, OLV_FORMAT, "charsmap: the replacement texts are not UTF-8");
    return OLV_OK;
}

static uint32_t unit(const ol_tk_charsmap *m, size_t i) {
    const uint8_t *p = m->units + i * 4;
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* Layout of a unit: bits 0-7 label and bit 31 (labels never have it), bit 8 has a leaf, bits 10-30
 * offset, shifted by 8 more where bit 9 is set; in a leaf bits 0-30 are the value. */
static size_t offset_of(uint32_t u) {
    return (size_t)(u >> 10) << ((u & (1u << 9)) >> 6);
}

bool ol_tk_charsmap_find(const ol_tk_charsmap *m, const char *s, size_t n, bool longest,
                         ol_str *text, size_t *used) {
    size_t at = offset_of(unit(m, 0)), value = SIZE_MAX;
    for (size_t i = 0; i < n && s[i]; i++) {
        at ^= (uint8_t)s[i];
        if (at >= m->n_units) break;
        uint32_t u = unit(m, at);
        if ((u & 0x800000FFu) != (uint8_t)s[i]) break;
        at ^= offset_of(u);
        if (at >= m->n_units) break;
        if (u >> 8 & 1) {
            value = unit(m, at) & 0x7FFFFFFFu;
            *used = i + 1;
            if (!longest) break;
        }
    }
    if (value > m->texts.len) return false;
    const char *from = m->texts.ptr + value, *nul = memchr(from, 0, m->texts.len - value);
    *text = (ol_str){from, nul ? (size_t)(nul - from) : m->texts.len - value};
    return true;
}
