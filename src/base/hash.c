/* SPDX-License-Identifier: Apache-2.0 */
#include "base/hash.h"
#include <nettle/sha2.h>
#include <xxhash.h>

_Static_assert(sizeof(struct sha256_ctx) <= sizeof(ol_sha256), "ol_sha256 is too small");

uint64_t ol_hash64(const void *p, size_t n, uint64_t seed) { return XXH3_64bits_withSeed(n ? p : "", n, seed); }

void ol_sha256_init(ol_sha256 *s) { sha256_init((struct sha256_ctx *)(void *)s->state); }

void ol_sha256_update(ol_sha256 *s, const void *p, size_t n) {
    if (n) sha256_update((struct sha256_ctx *)(void *)s->state, n, p);
}

void ol_sha256_hex(ol_sha256 *s, char out[65]) {
    static const char digits[] = "0123456789abcdef";
    uint8_t d[SHA256_DIGEST_SIZE];
    sha256_digest((struct sha256_ctx *)(void *)s->state, sizeof d, d);
    for (int i = 0; i < SHA256_DIGEST_SIZE; i++) {
        out[2 * i] = digits[d[i] >> 4];
        out[2 * i + 1] = digits[d[i] & 15];
    }
    out[64] = 0;
}
