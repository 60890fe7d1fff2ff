/* SPDX-License-Identifier: Apache-2.0 */
/* Extended grapheme clusters. */
#ifndef OL_TEXT_TOKENIZER_GRAPHEMES_H
#define OL_TEXT_TOKENIZER_GRAPHEMES_H

#include "text/tokenizer/pieces.h"

typedef struct ol_tk_graphemes {
    const char *s;
    uint32_t n, pos;
} ol_tk_graphemes;

/* End of the next cluster; false at the end of the text. */
bool ol_tk_grapheme_next(ol_tk_graphemes *g, uint32_t *end);

#endif
