/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OL_BASE_BASE64_H
#define OL_BASE_BASE64_H

#include "base/str.h"

/* Appends the bytes that s stands for; padding is optional. False at a character that is not base64
 * (*at). */
bool ol_base64_decode(ol_str s, ol_buf *out, size_t *at);
/* Appends the base64 of the bytes, padded. */
void ol_base64_encode(ol_str s, ol_buf *out);

#endif
