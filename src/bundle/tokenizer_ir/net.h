/* SPDX-License-Identifier: Apache-2.0 */
/* The models under construction: texts on their way through the operations of openvino_tokenizers.
 *
 * There a list of texts is three tensors: begins, ends (i32) and the bytes of all (u8). Texts cut into pieces have two
 * more, the first and the last piece of each text; and pieces that are added tokens are marked in a sixth, so that no
 * later operation touches them. */
#ifndef OL_BUNDLE_TOKENIZER_IR_NET_H
#define OL_BUNDLE_TOKENIZER_IR_NET_H

#include "bundle/tokenizer_ir/document.h"
#include "formats/openvino/emit.h"

typedef struct ol_ti_net {
    const ol_ti_document *doc;
    ol_ir_emit *e;
    olv_error *err;
    ol_ir_out rows[2];                   /* first and last piece of each text */
    ol_ir_out begins, ends, chars, skip; /* skip: OL_IR_NONE before the added tokens are cut out */
} ol_ti_net;

/* ---- constants ---- */

ol_ir_out ol_ti_i32(ol_ti_net *n, const int32_t *v, int count); /* count < 0: a scalar */
ol_ir_out ol_ti_bytes(ol_ti_net *n, const char *s, size_t len);
/* The three tensors of a list, at out[0..2]. */
void ol_ti_list(ol_ti_net *n, const ol_ti_names *names, ol_ir_out *out);

/* ---- layers ---- */

/* An extension's layer whose outputs have these types: 'i' i32 [?], 'u' u8 [?], 'b' boolean [?], 'D' i32 [?,?],
 * 'M' boolean [?,?]. */
ol_ir_out ol_ti_layer(ol_ti_net *n, const char *type, const ol_ir_out *in, int n_in, const ol_ir_attr *attrs, int n_attrs,
                      const char *outputs);
/* begins, ends, chars become the outputs that begin with `first`. */
void ol_ti_take(ol_ti_net *n, ol_ir_out first);

/* ---- steps on texts ---- */

/* White space as Unicode has it: PCRE2's takes the Mongolian vowel separator in. */
#define OL_TI_SPACE "[^\\S\\x{180E}]"

/* Replaces matches of a regular expression (PCRE2, UTF and UCP) in every piece that is not marked. */
void ol_ti_replace(ol_ti_net *n, const char *pattern, const char *replacement, bool everywhere);
typedef enum ol_ti_cut { OL_TI_REMOVE, OL_TI_ISOLATE, OL_TI_CONTIGUOUS, OL_TI_WITH_PREVIOUS, OL_TI_WITH_NEXT } ol_ti_cut;
void ol_ti_split(ol_ti_net *n, const char *pattern, ol_ti_cut cut, bool invert);
/* Appends s so that it stands for itself in a pattern, or in a replacement. */
void ol_ti_quote(ol_buf *out, ol_str s);
void ol_ti_quote_replacement(ol_buf *out, ol_str s);
/* The text of a buffer, kept as long as the file, and the buffer is released. NULL after a failure. */
const char *ol_ti_keep(ol_ti_net *n, ol_buf *b);

/* ---- parts ---- */

/* What a tokenizer.json puts before the added tokens are cut out, the normalizers, and the pre-tokenizers
 * (normalize.c, pretokenize.c). Unsupported steps are named. */
olv_status ol_ti_normalize(ol_ti_net *n);
olv_status ol_ti_pretokenize(ol_ti_net *n);
/* The prefix that Metaspace gives to a text, not to its pieces; before anything else. */
olv_status ol_ti_first_prefix(ol_ti_net *n);
/* Metaspace's replacement character and whether it is put before a text. */
const char *ol_ti_metaspace(const json_t *step, const char **scheme);

/* The model: ids of pieces at out[0..2] (model.c). */
olv_status ol_ti_tokenize(ol_ti_net *n, ol_ir_out out[3]);
/* Template, truncation, padding and the results (postprocess.c). */
olv_status ol_ti_postprocess(ol_ti_net *n, ol_ir_out ids[3]);
/* The whole of ids -> text (decode.c). */
olv_status ol_ti_decode(ol_ti_net *n);
/* Settings and templates, for both models (info.c). */
olv_status ol_ti_info(const ol_ti_document *d, ol_ir_file *f, olv_error *err);
/* Special tokens that the template puts around a single text, with the text itself as -1 and type ids (postprocess.c). */
#define OL_TI_MAX_PARTS 64
typedef struct ol_ti_template {
    int32_t ids[OL_TI_MAX_PARTS], types[OL_TI_MAX_PARTS];
    int count;
} ol_ti_template;
olv_status ol_ti_template_read(const ol_ti_document *d, bool pair, ol_ti_template *t, olv_error *err);

#endif
