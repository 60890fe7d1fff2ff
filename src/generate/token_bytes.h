/* SPDX-License-Identifier: Apache-2.0 */
/* What a token adds to a text, as bytes (which may end inside a character). */
#ifndef OL_GENERATE_TOKEN_BYTES_H
#define OL_GENERATE_TOKEN_BYTES_H

#include "base/str.h"
#include <olivine/tokenizer.h>

typedef struct ol_token_texts {
    const olv_tokenizer *t;
    uint32_t anchor;   /* an ordinary token before the one asked for: decoders treat the first token of a text differently */
    size_t anchor_len; /* bytes of its text */
    bool anchored;
    ol_buf buf;
} ol_token_texts;

OLV_MUST_USE olv_status ol_token_texts_init(ol_token_texts *x, const olv_tokenizer *t, olv_error *err);
void ol_token_texts_deinit(ol_token_texts *x);
/* An ol_token_bytes_fn; ctx is an ol_token_texts. NULL for special tokens and ids without a token. */
const char *ol_token_texts_get(void *ctx, int64_t token, size_t *len);

#endif
