/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files that write GGUF: metadata pairs into a buffer. */
#ifndef OL_FORMATS_GGUF_OUTPUT_H
#define OL_FORMATS_GGUF_OUTPUT_H

#include "base/wire/gguf.h"
#include "formats/huggingface/config.h"

typedef struct ol_gguf_pairs {
    ol_buf buf;
    uint64_t count;
} ol_gguf_pairs;

void ol_gguf_put_raw(ol_buf *b, uint64_t v, int bytes); /* little-endian */
void ol_gguf_put_text(ol_buf *b, const char *s, size_t n);
void ol_gguf_put_key(ol_gguf_pairs *p, const char *key, ol_gguf_kind kind);
void ol_gguf_put_u32(ol_gguf_pairs *p, const char *key, int64_t v);
void ol_gguf_put_f32(ol_gguf_pairs *p, const char *key, double v);
void ol_gguf_put_bool(ol_gguf_pairs *p, const char *key, bool v);
void ol_gguf_put_string(ol_gguf_pairs *p, const char *key, const char *s, size_t n);
void ol_gguf_put_array(ol_gguf_pairs *p, const char *key, ol_gguf_kind item, uint64_t n); /* the items follow */

/* Tokenizer, token ids and chat template of FOLDER. */
OLV_MUST_USE olv_status ol_gguf_put_tokenizer(ol_gguf_pairs *p, const char *folder, const json_t *config, int64_t vocab,
                                              olv_error *err);

#endif
