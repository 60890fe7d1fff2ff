/* SPDX-License-Identifier: Apache-2.0 */
/* Character properties as Hugging Face tokenizers sees them: some of its parts use tables older
 * than utf8proc's, some newer ones, and results must be the same. */
#ifndef OL_TEXT_TOKENIZER_UNICODE_OLDER_H
#define OL_TEXT_TOKENIZER_UNICODE_OLDER_H

#include <stdbool.h>
#include <stdint.h>

bool ol_uc_numeric(int32_t cp);              /* Digits: Nd, Nl, No of Unicode 17 */
bool ol_uc_old_punctuation(int32_t cp);      /* ASCII punctuation, or P of Unicode 8 */
bool ol_uc_old_other(int32_t cp);            /* Cc, Cf, Co of Unicode 8 */
bool ol_uc_old_nonspacing(int32_t cp);       /* Mn of Unicode 8 */
bool ol_uc_old_mark(int32_t cp);             /* M of Unicode 9, with two later ones */
bool ol_uc_old_no_decomposition(int32_t cp); /* has one in newer tables only */
int32_t ol_uc_lower(int32_t cp); /* Unicode 17; U+0130 gives "i" (its dot is up to the caller) */

#endif
