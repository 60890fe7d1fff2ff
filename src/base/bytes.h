/* SPDX-License-Identifier: Apache-2.0 */
/* The bounds-checked latching reader through which every byte of an untrusted file goes. After the first read
 * past the end `failed` is set and every later read gives zeros. Little-endian. */
#ifndef OL_BASE_BYTES_H
#define OL_BASE_BYTES_H

#include "base/str.h"

typedef struct ol_bytes {
    const uint8_t *ptr, *end;
    const uint8_t *start;
    bool failed;
} ol_bytes;

static inline ol_bytes ol_bytes_of(const void *p, size_t n) {
    const uint8_t *b = (const uint8_t *)p;
    return (ol_bytes){b, b ? b + n : b, b, false};
}
static inline size_t ol_bytes_left(const ol_bytes *r) { return (size_t)(r->end - r->ptr); }
static inline size_t ol_bytes_pos(const ol_bytes *r) { return (size_t)(r->ptr - r->start); }
/* Borrowed pointer to the next n bytes, or NULL (and failed). */
const uint8_t *ol_bytes_take(ol_bytes *r, uint64_t n);
uint8_t ol_bytes_u8(ol_bytes *r);
uint16_t ol_bytes_u16(ol_bytes *r);
uint32_t ol_bytes_u32(ol_bytes *r);
uint64_t ol_bytes_u64(ol_bytes *r);
float ol_bytes_f32(ol_bytes *r);
double ol_bytes_f64(ol_bytes *r);
/* Base-128 varint of at most 10 bytes. */
uint64_t ol_bytes_varint(ol_bytes *r);

#endif
