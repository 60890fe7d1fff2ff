/* SPDX-License-Identifier: Apache-2.0 */
/* Raw SentencePiece models (.model files): their own normalization, then a model of pieces. */
#ifndef OL_TEXT_TOKENIZER_SENTENCEPIECE_H
#define OL_TEXT_TOKENIZER_SENTENCEPIECE_H

#include "text/tokenizer/state.h"

void ol_tk_spm_destroy(ol_tk_spm *s);
olv_status ol_tk_spm_encode(const ol_tk_spm *s, ol_tk_work *w, ol_tk_sink *sink, const char *text, size_t n,
                            olv_error *err);
/* Text of token names. */
olv_status ol_tk_spm_decode(const ol_tk_spm *s, const ol_tk_texts *names, ol_buf *out, olv_error *err);

#endif
