/* SPDX-License-Identifier: Apache-2.0 */
/* What an encoder family has beside the layers that it describes as every family does (family.h): rows that look both
 * ways, token types, tables of another width, and the head that classifies. Adding a family means adding an entry to
 * encoder_families.c. */
#ifndef OL_FORMATS_HUGGINGFACE_ENCODER_H
#define OL_FORMATS_HUGGINGFACE_ENCODER_H

#include "formats/huggingface/config.h"

/* Names are relative to the family's base, like those of ol_hf_names; NULL: there is none. */
typedef struct ol_hf_encoder {
    const char *other_base; /* that newer files have before their names instead of the family's base */
    const char *types;    /* token type table */
    const char *project;  /* from the width of the tables to the hidden size */
    const char *relative; /* [buckets, heads]: bias of the scores by the distance of two rows */
    bool after_padding;   /* positions count from the id of the padding token + 1 */
    /* scores = out(norm(act(dense(pooled row)))) */
    const char *dense, *norm, *out;
    ol_hf_act act;
} ol_hf_encoder;

const ol_hf_family *ol_hf_encoder_family_find(const char *model_type); /* NULL when unknown */
const ol_hf_family *ol_hf_encoder_families(size_t *count);
void ol_hf_encoder_family_list(ol_buf *out); /* ", albert, bert, ..." */

#endif
