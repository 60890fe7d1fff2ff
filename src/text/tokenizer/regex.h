/* SPDX-License-Identifier: Apache-2.0 */
/* Patterns of tokenizers. Three engines behind one interface: plain strings, hand-written matchers
 * for the patterns that most models share (linear time; equal to the general path), and PCRE2 with
 * JIT and a step limit for everything else, after translation from the dialect that the file is
 * written in. */
#ifndef OL_TEXT_TOKENIZER_REGEX_H
#define OL_TEXT_TOKENIZER_REGEX_H

#include "text/tokenizer/pieces.h"

typedef enum ol_tk_dialect {
    OL_TK_ONIGURUMA, /* tokenizer.json */
    OL_TK_PERL,      /* tiktoken */
} ol_tk_dialect;

typedef struct ol_tk_regex ol_tk_regex;
typedef struct ol_tk_match ol_tk_match;

/* general: never use a hand-written matcher (for tests). */
olv_status ol_tk_regex_create(ol_str pattern, ol_tk_dialect dialect, bool general,
                              ol_tk_regex **out, olv_error *err);
olv_status ol_tk_regex_create_literal(ol_str text, ol_tk_regex **out, olv_error *err);
void ol_tk_regex_destroy(ol_tk_regex *re);
void ol_tk_match_destroy(ol_tk_match *m);

/* Translates pattern to PCRE2 syntax (appended to out). */
olv_status ol_tk_regex_translate(ol_str pattern, ol_tk_dialect dialect, ol_buf *out,
                                 olv_error *err);

/* End of the match that begins at byte i (< n) of s; the matcher covers every text without gaps. */
typedef uint32_t ol_tk_matcher_fn(const char *s, uint32_t n, uint32_t i);
/* Hand-written matcher of a pattern, or NULL. */
ol_tk_matcher_fn *ol_tk_matcher_find(ol_str pattern);

/* Successive matches in s[0, n), as Oniguruma's find_iter gives them. */
typedef struct ol_tk_find {
    const ol_tk_regex *re;
    const char *s;
    uint32_t n, pos;
    int64_t last_end;
    bool looked; /* for characters that PCRE2 may not know */
} ol_tk_find;
static inline ol_tk_find ol_tk_find_in(const ol_tk_regex *re, const char *s, uint32_t n) {
    return (ol_tk_find){re, s, n, 0, -1, false};
}
/* 1: *start and *end are set; 0: no more; -1: err is filled (step limit, memory). */
int ol_tk_find_next(ol_tk_work *w, ol_tk_find *f, uint32_t *start, uint32_t *end, olv_error *err);

#endif
