/* SPDX-License-Identifier: Apache-2.0 */
/* Hand-written matchers of the split patterns that most byte-level models share. Each returns the
 * end of the match at byte i; the alternatives are tried in the pattern's order, and backtracking
 * is done by remembering, so a run of any length costs its length.
 * tests/unit/text/test_tokenizer_regex.c compares them with the general path. */
#include "text/tokenizer/regex.h"
#include "text/tokenizer/unicode.h"

/* Class of the character at byte i, its length in *len; 0 with *len 0 at the end. */
static inline uint32_t class_at(const char *s, uint32_t n, uint32_t i, uint32_t *len) {
    if (i >= n) {
        *len = 0;
        return 0;
    }
    return ol_uc_mask(ol_tk_char(s + i, n - i, len));
}

/* End of the run of characters that are (want true) or are not in mask, from byte i. */
static uint32_t run(const char *s, uint32_t n, uint32_t i, uint32_t mask, bool want) {
    while (i < n) {
        uint32_t len, m = class_at(s, n, i, &len);
        if (((m & mask) != 0) != want) break;
        i += len;
    }
    return i;
}

#define OTHER_THAN (OL_UC_SPACE | OL_UC_L | OL_UC_N)

/* Bytes of 's 't 're 've 'm 'll 'd at i, or 0. Folding adds one letter outside ASCII: U+017F is an
 * s. */
static uint32_t contraction(const char *s, uint32_t n, uint32_t i, bool fold) {
    if (n - i < 2 || s[i] != '\'') return 0;
    char a = s[i + 1], b = i + 2 < n ? s[i + 2] : 0;
    if (fold && a == '\xC5' && b == '\xBF') return 3;
    if (fold && a >= 'A' && a <= 'Z') a = (char)(a + 32);
    if (fold && b >= 'A' && b <= 'Z') b = (char)(b + 32);
    if (a == 's' || a == 't' || a == 'm' || a == 'd') return 2;
    if ((a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l')) return 3;
    return 0;
}

/* \s+(?!\S)|\s+ at white space: all of the run at the end of the text, else all but its last
 * character. */
static uint32_t spaces(const char *s, uint32_t n, uint32_t i) {
    uint32_t last = i, k = i, len;
    while (k < n && (class_at(s, n, k, &len) & OL_UC_SPACE)) {
        last = k;
        k += len;
    }
    return k == n || last == i ? k : last;
}

/* \s*[\r\n]+ before spaces(): up to the last line end of the run, if it has one. */
static uint32_t lines(const char *s, uint32_t n, uint32_t i) {
    uint32_t end = 0, len;
    for (uint32_t k = i; k < n && (class_at(s, n, k, &len) & OL_UC_SPACE); k += len)
        if (s[k] == '\r' || s[k] == '\n') end = k + 1;
    return end ? end : spaces(s, n, i);
}

static uint32_t digits(const char *s, uint32_t n, uint32_t i, int most) {
    uint32_t len;
    while (most-- > 0 && (class_at(s, n, i, &len) & OL_UC_N)) i += len;
    return i;
}

/* [^\s\p{L}\p{N}]+ and then any of \r, \n and `extra`. */
static uint32_t symbols(const char *s, uint32_t n, uint32_t i, char extra) {
    i = run(s, n, i, OTHER_THAN, false);
    while (i < n && (s[i] == '\r' || s[i] == '\n' || (extra && s[i] == extra))) i++;
    return i;
}

static uint32_t match_gpt2(const char *s, uint32_t n, uint32_t i) {
    uint32_t k = contraction(s, n, i, false), len, m = class_at(s, n, i, &len), at = i;
    if (k) return i + k;
    if (s[i] == ' ' && i + 1 < n) {
        uint32_t next = class_at(s, n, i + 1, &len);
        if (!(next & OL_UC_SPACE)) {
            m = next;
            at = i + 1;
        }
    }
    if (m & OL_UC_L) return run(s, n, at, OL_UC_L, true);
    if (m & OL_UC_N) return run(s, n, at, OL_UC_N, true);
    if (m & OL_UC_SPACE) return spaces(s, n, i);
    return run(s, n, at, OTHER_THAN, false);
}

static uint32_t match_cl100k(const char *s, uint32_t n, uint32_t i, int most_digits) {
    uint32_t k = contraction(s, n, i, true), len, next_len, m = class_at(s, n, i, &len);
    if (k) return i + k;
    if (m & OL_UC_L) return run(s, n, i + len, OL_UC_L, true);
    uint32_t next = class_at(s, n, i + len, &next_len);
    if (!(m & OL_UC_N) && s[i] != '\r' && s[i] != '\n' && (next & OL_UC_L))
        return run(s, n, i + len, OL_UC_L, true);
    if (m & OL_UC_N) return digits(s, n, i, most_digits);
    if (s[i] == ' ' && i + 1 < n && !(next & OTHER_THAN)) return symbols(s, n, i + 1, 0);
    if (!(m & OTHER_THAN)) return symbols(s, n, i, 0);
    return lines(s, n, i);
}

static uint32_t match_llama3(const char *s, uint32_t n, uint32_t i) {
    return match_cl100k(s, n, i, 3);
}
static uint32_t match_qwen2(const char *s, uint32_t n, uint32_t i) {
    return match_cl100k(s, n, i, 1);
}

#define UPPER (OL_UC_BIT(LU) | OL_UC_BIT(LT) | OL_UC_BIT(LM) | OL_UC_BIT(LO) | OL_UC_M)
#define LOWER (OL_UC_BIT(LL) | OL_UC_BIT(LM) | OL_UC_BIT(LO) | OL_UC_M)

/* UPPER* LOWER+ from i: its end, or 0. Where no LOWER follows the run of UPPER, the match ends with
 * the last of the run that is LOWER too. */
static uint32_t upper_lower(const char *s, uint32_t n, uint32_t i) {
    uint32_t k = i, both = 0, len, m = 0;
    for (; (m = class_at(s, n, k, &len)) & UPPER; k += len)
        if (m & LOWER) both = k + len;
    return m & LOWER ? run(s, n, k, LOWER, true) : both;
}

static uint32_t match_o200k(const char *s, uint32_t n, uint32_t i) {
    uint32_t len, next_len, m = class_at(s, n, i, &len), end = 0;
    bool prefix = !(m & (OL_UC_L | OL_UC_N)) && s[i] != '\r' && s[i] != '\n';
    if (prefix) end = upper_lower(s, n, i + len);
    if (!end) end = upper_lower(s, n, i);
    if (!end && prefix && (class_at(s, n, i + len, &next_len) & UPPER))
        end = run(s, n, i + len, UPPER, true);
    if (!end && (m & UPPER)) end = run(s, n, i, UPPER, true);
    if (end) return end < n ? end + contraction(s, n, end, true) : end;
    if (m & OL_UC_N) return digits(s, n, i, 3);
    if (s[i] == ' ' && i + 1 < n && !(class_at(s, n, i + 1, &next_len) & OTHER_THAN))
        return symbols(s, n, i + 1, '/');
    if (!(m & OTHER_THAN)) return symbols(s, n, i, '/');
    return lines(s, n, i);
}

static const struct known {
    const char *pattern;
    ol_tk_matcher_fn *fn;
} known[] = {
#define OL_TK_MATCHER(fn, pattern) {pattern, fn},
#include "text/tokenizer/matchers.def"
#undef OL_TK_MATCHER
};

ol_tk_matcher_fn *ol_tk_matcher_find(ol_str pattern) {
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (ol_str_is(pattern, known[i].pattern)) return known[i].fn;
    return NULL;
}
