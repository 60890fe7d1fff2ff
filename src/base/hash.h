/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OL_BASE_HASH_H
#define OL_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t ol_hash64(const void *p, size_t n, uint64_t seed); /* XXH3, for keys and caches */

/* SHA-256 (nettle). */
typedef struct ol_sha256 {
    _Alignas(16) unsigned char state[256];
} ol_sha256;
void ol_sha256_init(ol_sha256 *s);
void ol_sha256_update(ol_sha256 *s, const void *p, size_t n);
void ol_sha256_hex(ol_sha256 *s, char out[65]);

#endif
