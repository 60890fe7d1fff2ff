/* SPDX-License-Identifier: Apache-2.0 */
/* Rewrites that several normalizers share. All return false when out of memory. */
#ifndef OL_TEXT_TOKENIZER_REWRITE_H
#define OL_TEXT_TOKENIZER_REWRITE_H

#include "text/tokenizer/state.h"

bool ol_tk_lowercase(ol_tk_work *w, ol_tk_piece *p);
/* Drops characters, then maps those that stay (map may be NULL). */
bool ol_tk_filter(ol_tk_work *w, ol_tk_piece *p, bool (*drop)(int32_t cp),
                  int32_t (*map)(int32_t cp));

#endif
