/* SPDX-License-Identifier: Apache-2.0 */
#include "text/tokenizer/unicode.h"

#include <pthread.h>
#include <stddef.h>

/* Characters that the tables of utf8proc or PCRE2 may lack. */
static const struct range {
    int32_t first, last, category;
} newer[] = {
#define OL_UC_NEWER(first, last, category) {first, last, UTF8PROC_CATEGORY_##category},
#include "text/tokenizer/unicode_newer.def"
#undef OL_UC_NEWER
};

/* Category of a newer character, 0 (not assigned) if it is none. */
static uint32_t newer_category(int32_t cp) {
    size_t lo = 0, hi = sizeof newer / sizeof *newer;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (cp > newer[mid].last)
            lo = mid + 1;
        else
            hi = mid;
    }
    bool in = lo < sizeof newer / sizeof *newer && cp >= newer[lo].first;
    return in ? (uint32_t)newer[lo].category : UTF8PROC_CATEGORY_CN;
}

static bool is_space(int32_t cp) {
    return (cp >= 9 && cp <= 13) || cp == 0x20 || cp == 0x85 || cp == 0xA0 || cp == 0x1680 ||
           (cp >= 0x2000 && cp <= 0x200A) || cp == 0x2028 || cp == 0x2029 || cp == 0x202F ||
           cp == 0x205F || cp == 0x3000;
}

static uint32_t category_mask(int32_t cp) {
    uint32_t c = (uint32_t)utf8proc_category(cp);
    if (c == UTF8PROC_CATEGORY_CN) c = newer_category(cp);
    return (1u << c) | (is_space(cp) ? OL_UC_SPACE : 0);
}

/* Classes of the basic plane, computed once: category, NEWER, white space. */
#define NEWER 0x40
static uint8_t basic[0x10000];
static pthread_once_t basic_once = PTHREAD_ONCE_INIT;

static void fill_basic(void) {
    for (int32_t cp = 0; cp < 0x10000; cp++) {
        uint32_t m = category_mask(cp), c = 0;
        while (!(m >> c & 1)) c++;
        basic[cp] = (uint8_t)(c | (m & OL_UC_SPACE ? 0x80 : 0) | (newer_category(cp) ? NEWER : 0));
    }
}

uint32_t ol_uc_mask(int32_t cp) {
    pthread_once(&basic_once, fill_basic);
    if ((uint32_t)cp >= 0x10000) return category_mask(cp);
    uint8_t b = basic[cp];
    return (1u << (b & 0x3F)) | ((uint32_t)(b & 0x80) << 24);
}

bool ol_uc_word(int32_t cp) {
    if (ol_uc_is(cp, OL_UC_L | OL_UC_M | OL_UC_BIT(ND) | OL_UC_BIT(NL) | OL_UC_BIT(PC)))
        return true;
    return cp == 0x200C || cp == 0x200D || (cp >= 0x24B6 && cp <= 0x24E9) ||
           (cp >= 0x1F130 && cp <= 0x1F149) || (cp >= 0x1F150 && cp <= 0x1F169) ||
           (cp >= 0x1F170 && cp <= 0x1F189);
}

int32_t ol_uc_stand_in(int32_t cp) {
    /* Older characters of each category: below U+4E00, above it, and of four bytes. They must not be
     * ones that patterns list by themselves, as old patterns list the letters that have two cases. */
    static const int32_t older[][3] = {
        [UTF8PROC_CATEGORY_LU] = {0x2C60, 0xA640, 0x104B0},
        [UTF8PROC_CATEGORY_LL] = {0x2C61, 0xA641, 0x104D8},
        [UTF8PROC_CATEGORY_LM] = {0, 0, 0x16B40},
        [UTF8PROC_CATEGORY_LO] = {0, 0, 0x10450},
        [UTF8PROC_CATEGORY_MN] = {0x1AB0, 0, 0x10A01},
        [UTF8PROC_CATEGORY_MC] = {0x1B04, 0, 0x11000},
        [UTF8PROC_CATEGORY_ND] = {0, 0, 0x104A0},
        [UTF8PROC_CATEGORY_NO] = {0, 0, 0x10E60},
        [UTF8PROC_CATEGORY_PD] = {0, 0, 0x10EAD},
        [UTF8PROC_CATEGORY_PO] = {0x1360, 0, 0x10100},
        [UTF8PROC_CATEGORY_SM] = {0, 0, 0x1D6C1},
        [UTF8PROC_CATEGORY_SO] = {0x2300, 0, 0x1D100},
    };
    if (cp < 0x800) return cp;
    if (cp < 0x10000) {
        pthread_once(&basic_once, fill_basic);
        if (!(basic[cp] & NEWER)) return cp;
    }
    uint32_t c = newer_category(cp);
    if (c >= sizeof older / sizeof *older) return cp;
    if (cp >= 0x20000) return c ? 0x20000 : cp; /* ideographs */
    int32_t old = older[c][cp >= 0x10000 ? 2 : cp >= 0x4E00];
    return old ? old : cp;
}
