/* SPDX-License-Identifier: Apache-2.0 */
/* A tokenizer.json and what lies beside it, in the form that the models are written from: the large parts as packed
 * lists, the small ones as trees. */
#ifndef OL_BUNDLE_TOKENIZER_IR_DOCUMENT_H
#define OL_BUNDLE_TOKENIZER_IR_DOCUMENT_H

#include "base/json.h"

/* A list of byte strings, one behind the other. */
typedef struct ol_ti_names {
    ol_buf text, ends; /* ends: int32, little-endian */
    size_t count;
} ol_ti_names;

void ol_ti_names_deinit(ol_ti_names *n);
void ol_ti_names_add(ol_ti_names *n, const char *s, size_t len);
ol_str ol_ti_names_at(const ol_ti_names *n, size_t i);
bool ol_ti_names_failed(const ol_ti_names *n);

typedef struct ol_ti_added {
    ol_str content;
    int64_t id;
    bool single_word, lstrip, rstrip, special;
} ol_ti_added;

typedef struct ol_ti_document {
    json_t *normalizer, *pretokenizer, *postprocessor, *decoder, *added_tokens, *truncation, *padding; /* or NULL */
    json_t *model;      /* without vocab and merges */
    json_t *config;     /* tokenizer_config.json; an empty object when there is none */
    json_t *generation; /* generation_config.json, the same way */
    char *chat_template; /* or NULL */
    ol_ti_names vocab;  /* by id; "" where there is none. Of byte-level models: bytes */
    ol_buf scores;      /* Unigram: doubles by id */
    ol_ti_names left, right; /* BPE: the merges, as bytes where vocab is */
    ol_ti_added *added;
    size_t n_added;
    bool byte_level;
    bool causal; /* config.json names a model that generates text */
} ol_ti_document;

/* *d is ready for ol_ti_document_deinit in any case. */
OLV_MUST_USE olv_status ol_ti_document_read(ol_ti_document *d, const char *folder, olv_error *err);
void ol_ti_document_deinit(ol_ti_document *d);

/* Id of a token's name, added tokens first; -1 when there is none. */
int64_t ol_ti_id(const ol_ti_document *d, const char *name, size_t len);
/* Text of a special token of tokenizer_config.json ("pad_token"), or NULL. */
const char *ol_ti_special(const ol_ti_document *d, const char *key);

/* Members of a small tree; a missing or null one gives the default. */
const char *ol_ti_text(const json_t *obj, const char *key, const char *def);
bool ol_ti_flag(const json_t *obj, const char *key, bool def);

#endif
