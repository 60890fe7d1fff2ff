/* SPDX-License-Identifier: Apache-2.0 */
/* Character classes as the regular expressions of tokenizers see them: Unicode 16 general
 * categories (utf8proc's tables, completed where they are older), white space and word characters.
 */
#ifndef OL_TEXT_TOKENIZER_UNICODE_H
#define OL_TEXT_TOKENIZER_UNICODE_H

#include <stdbool.h>
#include <stdint.h>
#include <utf8proc.h>

#define OL_UC_BIT(name) (1u << UTF8PROC_CATEGORY_##name)
#define OL_UC_L (OL_UC_BIT(LU) | OL_UC_BIT(LL) | OL_UC_BIT(LT) | OL_UC_BIT(LM) | OL_UC_BIT(LO))
#define OL_UC_M (OL_UC_BIT(MN) | OL_UC_BIT(MC) | OL_UC_BIT(ME))
#define OL_UC_N (OL_UC_BIT(ND) | OL_UC_BIT(NL) | OL_UC_BIT(NO))
#define OL_UC_P                                                                      \
    (OL_UC_BIT(PC) | OL_UC_BIT(PD) | OL_UC_BIT(PS) | OL_UC_BIT(PE) | OL_UC_BIT(PI) | \
     OL_UC_BIT(PF) | OL_UC_BIT(PO))
#define OL_UC_S (OL_UC_BIT(SM) | OL_UC_BIT(SC) | OL_UC_BIT(SK) | OL_UC_BIT(SO))
/* Not a general category, but kept in the same mask. */
#define OL_UC_SPACE (1u << 31)

/* Mask with the bit of the category of cp, and OL_UC_SPACE if it is white space. */
uint32_t ol_uc_mask(int32_t cp);
static inline bool ol_uc_is(int32_t cp, uint32_t mask) {
    return (ol_uc_mask(cp) & mask) != 0;
}
static inline bool ol_uc_space(int32_t cp) {
    return ol_uc_is(cp, OL_UC_SPACE);
}
/* An older character of the same category and length in UTF-8, for engines with older tables; cp
 * itself if it is old. */
int32_t ol_uc_stand_in(int32_t cp);
/* \w of Rust's regex crate. */
bool ol_uc_word(int32_t cp);

#endif
