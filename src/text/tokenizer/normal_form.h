/* SPDX-License-Identifier: Apache-2.0 */
/* Unicode normal forms with alignment. */
#ifndef OL_TEXT_TOKENIZER_NORMAL_FORM_H
#define OL_TEXT_TOKENIZER_NORMAL_FORM_H

#include "text/tokenizer/pieces.h"

/* Rewrites p in the form: compat for NFKC and NFKD, compose for NFC and NFKC. False when out of
 * memory. */
bool ol_tk_normal_form(ol_tk_work *w, ol_tk_piece *p, bool compat, bool compose);

#endif
