/* SPDX-License-Identifier: Apache-2.0 */
/* Which type each tensor of a GGUF file gets. The mixes are those that llama.cpp's files of the same names have. */
#ifndef OL_FORMATS_GGUF_MIX_H
#define OL_FORMATS_GGUF_MIX_H

#include "formats/gguf/encode.h"
#include "formats/gguf/gguf.h"

typedef struct ol_gguf_place {
    const char *name;       /* of the tensor in the file */
    int rank;
    int64_t width;
    int64_t layer, n_layers; /* layer -1: outside of the layers */
    bool tied;               /* the table of embeddings is the head, too */
} ol_gguf_place;

ol_gguf_type ol_gguf_type_for(ol_gguf_outtype mix, const ol_gguf_place *p);
const char *ol_gguf_outtype_name(ol_gguf_outtype t); /* "q4_k_m" */
int ol_gguf_file_type(ol_gguf_outtype t);            /* general.file_type */

#endif
