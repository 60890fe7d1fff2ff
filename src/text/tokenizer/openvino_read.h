/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of a tokenizer.json on their way out of OpenVINO's tokenizer models. */
#ifndef OL_TEXT_TOKENIZER_OPENVINO_READ_H
#define OL_TEXT_TOKENIZER_OPENVINO_READ_H

#include "base/map.h"
#include "text/tokenizer/openvino_net.h"

typedef struct ol_tk_ir_token {
    ol_str content;
    bool lstrip, rstrip, single_word;
} ol_tk_ir_token;

typedef struct ol_tk_ir_reader {
    ol_tk_ir_net ids, text; /* the two models */
    bool has_text;
    const ol_tk_ir_layer *model; /* what turns pieces into ids */
    ol_str *names;               /* of the model's vocabulary, by id */
    size_t n_names;
    ol_map by_name;
    bool bytes; /* names are bytes, of byte-level text */
    ol_str *left, *right; /* BPE: the merges; right NULL: left has both sides, with a space between */
    size_t n_merges;
    bool whole_pieces; /* some names come from whole pieces only */
    ol_tk_ir_token *added;
    size_t n_added;
    ol_buf normalizers, pretokenizers, decoders; /* JSON objects with commas between */
    olv_error *err;
} ol_tk_ir_reader;

/* Appends a step to a list, as JSON. */
void ol_tk_ir_step(ol_buf *list, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* s as a JSON string, in the net's arena; NULL when out of memory. */
const char *ol_tk_ir_quoted(ol_tk_ir_reader *r, ol_str s);

/* The steps before the model, in order: normalizers and pre-tokenizers; and the added tokens (openvino_steps.c). */
OLV_MUST_USE olv_status ol_tk_ir_read_steps(ol_tk_ir_reader *r);
/* The steps behind the names of ids: decoders (openvino_decoders.c). */
OLV_MUST_USE olv_status ol_tk_ir_read_decoders(ol_tk_ir_reader *r);
/* The layers from the one that starts the texts of `last` to the one before it, in order; in the arena. */
OLV_MUST_USE olv_status ol_tk_ir_path(const ol_tk_ir_net *n, const ol_tk_ir_layer *last, const ol_tk_ir_layer ***path, int *count);

/* A replacement by regular expression. */
typedef struct ol_tk_ir_replacement {
    ol_str pattern, with;
} ol_tk_ir_replacement;
OLV_MUST_USE olv_status ol_tk_ir_replacement_of(const ol_tk_ir_net *n, const ol_tk_ir_layer *l, ol_tk_ir_replacement *out);
/* Appends {"type": "Replace"} when the replacement is plain text; else OLV_UNSUPPORTED with the pattern. */
OLV_MUST_USE olv_status ol_tk_ir_put_replace(ol_tk_ir_reader *r, ol_buf *list, ol_tk_ir_replacement p);

#endif
