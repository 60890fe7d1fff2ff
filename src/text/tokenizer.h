/* SPDX-License-Identifier: Apache-2.0 */
/* Tokenizers, for other layers: what the public header has, and opening from memory. */
#ifndef OL_TEXT_TOKENIZER_H
#define OL_TEXT_TOKENIZER_H

#include "base/str.h"
#include <olivine/tokenizer.h>

/* A tokenizer from the text of a tokenizer.json; name is used in messages. text need not outlive
 * the call. */
olv_status ol_tokenizer_open_json(const char *text, size_t len, const char *name,
                                  olv_tokenizer **out, olv_error *err);
/* A tokenizer from the bytes of a SentencePiece model. */
olv_status ol_tokenizer_open_spm(const void *data, size_t len, const char *name,
                                 olv_tokenizer **out, olv_error *err);

/* A tokenizer from the tokenizer models of OpenVINO: document and data of the one that gives ids, then of the one that
 * gives text (empty: there is none). */
olv_status ol_tokenizer_open_openvino(const ol_str parts[4], olv_tokenizer **out, olv_error *err);
/* The chat template that a folder's openvino_tokenizer.xml holds, in *out (ol_free it); *out stays as it is when there is
 * none. */
olv_status ol_tokenizer_openvino_template(const char *dir, char **out, olv_error *err);

/* Byte-level alphabet of GPT-2: printable Latin-1 stands for itself, the other bytes for U+0100 and
 * on. */
int32_t ol_tk_byte_char(uint8_t b);
/* Byte that a character stands for, or -1. */
int ol_tk_char_byte(int32_t cp);

#endif
