/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OL_TEXT_TOKENIZER_METASPACE_H
#define OL_TEXT_TOKENIZER_METASPACE_H

#include "text/tokenizer/state.h"

typedef struct ol_tk_metaspace {
    char text[4]; /* the replacement character */
    uint32_t len;
    enum { OL_TK_ALWAYS, OL_TK_FIRST, OL_TK_NEVER } scheme;
    bool split;
} ol_tk_metaspace;

olv_status ol_tk_metaspace_create(ol_arena *a, const json_t *cfg, void **state, olv_error *err);

#endif
