/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OL_TEXT_TOKENIZER_DECODE_H
#define OL_TEXT_TOKENIZER_DECODE_H

#include "text/tokenizer/state.h"

/* Appends the text of ids. lenient: ids without a token have no text; otherwise they are OLV_ARG.
 */
olv_status ol_tk_decode(const olv_tokenizer *t, const uint32_t *ids, size_t count,
                        bool skip_special, bool lenient, ol_buf *out, olv_error *err);
/* Name of an id, as decoding begins with it; ptr NULL if there is none. */
ol_str ol_tk_id_name(const olv_tokenizer *t, uint32_t id);
/* Appends the bytes of an id, where decoding is nothing but that (byte_decoder, raw_bytes). False:
 * no such token. */
bool ol_tk_id_bytes(const olv_tokenizer *t, uint32_t id, bool skip_special, ol_buf *out);

#endif
