/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"

const uint8_t *ol_bytes_take(ol_bytes *r, uint64_t n) {
    if (r->failed || n > (uint64_t)(r->end - r->ptr)) {
        r->failed = true;
        r->ptr = r->end;
        return NULL;
    }
    const uint8_t *p = r->ptr;
    if (n) r->ptr += n;
    return p;
}

static uint64_t take_le(ol_bytes *r, unsigned n) {
    const uint8_t *p = ol_bytes_take(r, n);
    uint64_t v = 0;
    for (unsigned i = 0; p && i < n; i++) v |= (uint64_t)p[i] << (8 * i);
    return v;
}

uint8_t ol_bytes_u8(ol_bytes *r) { return (uint8_t)take_le(r, 1); }
uint16_t ol_bytes_u16(ol_bytes *r) { return (uint16_t)take_le(r, 2); }
uint32_t ol_bytes_u32(ol_bytes *r) { return (uint32_t)take_le(r, 4); }
uint64_t ol_bytes_u64(ol_bytes *r) { return take_le(r, 8); }

float ol_bytes_f32(ol_bytes *r) {
    uint32_t u = ol_bytes_u32(r);
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

double ol_bytes_f64(ol_bytes *r) {
    uint64_t u = ol_bytes_u64(r);
    double d;
    memcpy(&d, &u, sizeof d);
    return d;
}

uint64_t ol_bytes_varint(ol_bytes *r) {
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        uint8_t b = ol_bytes_u8(r);
        if (r->failed) return 0;
        if (shift == 63 && b > 1) break; /* does not fit 64 bits */
        v |= (uint64_t)(b & 127) << shift;
        if (!(b & 128)) return v;
    }
    r->failed = true;
    r->ptr = r->end;
    return 0;
}
