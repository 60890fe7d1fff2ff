/* SPDX-License-Identifier: Apache-2.0 */
#include "text/tokenizer/sentencepiece.h"
void ol_tk_spm_destroy(ol_tk_spm *s){(void)s;}
olv_status ol_tk_spm_encode(const ol_tk_spm *s, ol_tk_work *w, ol_tk_sink *sink, const char *text, size_t n,olv_error *err){(void)s;(void)w;(void)sink;(void)text;(void)n;return ol_fail(err,OLV_UNSUPPORTED,"SentencePiece models are not read yet");}
olv_status ol_tk_spm_decode(const ol_tk_spm *s, const ol_tk_texts *names, ol_buf *out, olv_error *err){(void)s;(void)names;(void)out;return ol_fail(err,OLV_UNSUPPORTED,"SentencePiece models are not read yet");}
olv_status ol_tk_load_spm(olv_tokenizer *t, const void *data, size_t len, const char *name, olv_error *err){(void)t;(void)data;(void)len;(void)name;return ol_fail(err,OLV_UNSUPPORTED,"SentencePiece models are not read yet");}
