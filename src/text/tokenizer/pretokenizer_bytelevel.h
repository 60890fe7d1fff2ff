/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OL_TEXT_TOKENIZER_PRETOKENIZER_BYTELEVEL_H
#define OL_TEXT_TOKENIZER_PRETOKENIZER_BYTELEVEL_H

#include "text/tokenizer/state.h"

#define OL_TK_GPT2_PATTERN \
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"

typedef struct ol_tk_bytelevel {
    bool add_prefix_space, use_regex;
    bool leave_bytes; /* set while loading: the model takes plain bytes */
    ol_tk_regex *re;
} ol_tk_bytelevel;

#endif
