/* SPDX-License-Identifier: Apache-2.0 */
#include "base/wire/json_pull.h"
#include "base/error.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* What may come next. */
enum { VALUE, FIRST_KEY, KEY, COLON_VALUE, FIRST_ITEM, AFTER_VALUE, DONE, FAILED };

void ol_jp_init(ol_jp *p, const char *text, size_t len, const char *name, olv_error *err) {
    memset(p, 0, sizeof *p);
    p->start = p->ptr = text;
    p->end = text + len;
    p->name = name;
    p->err = err;
    p->state = VALUE;
    if (len >= 3 && !memcmp(text, "\xef\xbb\xbf", 3)) p->ptr += 3;
}

olv_status ol_jp_fail(ol_jp *p, const char *fmt, ...) {
    char message[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(message, sizeof message, fmt, ap);
    va_end(ap);
    size_t line = 1, column = 1;
    for (const char *s = p->start; s < p->ptr && s < p->end; s++) {
        column++;
        if (*s == '\n') line++, column = 1;
    }
    p->state = FAILED;
    return ol_fail(p->err, OLV_FORMAT, "%s:%zu:%zu: %s", p->name, line, column, message);
}

static ol_jp_event fail(ol_jp *p, const char *what) {
    if (p->state != FAILED) ol_jp_fail(p, "%s", what);
    return OL_JP_ERROR;
}

static void skip_space(ol_jp *p) {
    while (p->ptr < p->end && (*p->ptr == ' ' || *p->ptr == '\n' || *p->ptr == '\r' || *p->ptr == '\t')) p->ptr++;
}

static bool is_hex(char c) { return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'f'); }

/* Reads a string after its opening quote. */
static bool read_string(ol_jp *p) {
    const char *begin = ++p->ptr;
    p->escaped = false;
    for (;;) {
        p->ptr = ol_jp_plain_run(p->ptr, p->end);
        if (p->ptr >= p->end) return fail(p, "the string does not end"), false;
        unsigned char c = (unsigned char)*p->ptr;
        if (c == '"') break;
        if (c < 32) return fail(p, "a control character in a string"), false;
        if (c == '\\') {
            p->escaped = true;
            if (p->end - p->ptr < 2) return fail(p, "the string does not end"), false;
            char e = p->ptr[1];
            if (e == 'u') {
                if (p->end - p->ptr < 6 || !is_hex(p->ptr[2]) || !is_hex(p->ptr[3]) || !is_hex(p->ptr[4]) || !is_hex(p->ptr[5]))
                    return fail(p, "\\u without four hexadecimal digits"), false;
                p->ptr += 6;
            } else if (e && strchr("\"\\/bfnrt", e)) {
                p->ptr += 2;
            } else {
                return fail(p, "an unknown escape in a string"), false;
            }
            continue;
        }
        if (c >= 0xC2 && c < 0xE0 && p->end - p->ptr >= 2 && ((unsigned char)p->ptr[1] & 0xC0) == 0x80) {
            p->ptr += 2;
            continue;
        }
        int32_t cp;
        int n = ol_utf8_decode(p->ptr, (size_t)(p->end - p->ptr), &cp);
        if (cp < 0) return fail(p, "malformed UTF-8 in a string"), false;
        p->ptr += n;
    }
    p->text = (ol_str){begin, (size_t)(p->ptr - begin)};
    p->ptr++;
    return true;
}

static bool is_digit(const ol_jp *p) { return p->ptr < p->end && *p->ptr >= '0' && *p->ptr <= '9'; }

static bool read_number(ol_jp *p) {
    const char *begin = p->ptr;
    if (*p->ptr == '-') p->ptr++;
    if (!is_digit(p)) return fail(p, "a number without digits"), false;
    if (*p->ptr == '0') p->ptr++;
    else
        while (is_digit(p)) p->ptr++;
    if (p->ptr < p->end && *p->ptr == '.') {
        p->ptr++;
        if (!is_digit(p)) return fail(p, "no digit after the decimal point"), false;
        while (is_digit(p)) p->ptr++;
    }
    if (p->ptr < p->end && (*p->ptr | 32) == 'e') {
        p->ptr++;
        if (p->ptr < p->end && (*p->ptr == '+' || *p->ptr == '-')) p->ptr++;
        if (!is_digit(p)) return fail(p, "an exponent without digits"), false;
        while (is_digit(p)) p->ptr++;
    }
    p->text = (ol_str){begin, (size_t)(p->ptr - begin)};
    return true;
}

static ol_jp_event open_container(ol_jp *p, bool object) {
    if (p->depth == OL_JP_MAX_DEPTH) return fail(p, "nested too deeply");
    p->stack[p->depth++] = object;
    p->state = object ? FIRST_KEY : FIRST_ITEM;
    p->ptr++;
    return object ? OL_JP_OBJECT : OL_JP_ARRAY;
}

static ol_jp_event close_container(ol_jp *p) {
    bool object = p->stack[--p->depth];
    p->ptr++;
    p->state = p->depth ? AFTER_VALUE : DONE;
    return object ? OL_JP_OBJECT_END : OL_JP_ARRAY_END;
}

static ol_jp_event literal(ol_jp *p, const char *word, ol_jp_event event) {
    size_t n = strlen(word);
    if ((size_t)(p->end - p->ptr) < n || memcmp(p->ptr, word, n)) return fail(p, "an unknown word");
    p->ptr += n;
    return event;
}

static ol_jp_event read_value(ol_jp *p) {
    ol_jp_event e;
    if (p->ptr >= p->end) return fail(p, "the document ends too early");
    switch (*p->ptr) {
    case '{': return open_container(p, true);
    case '[': return open_container(p, false);
    case '"': e = read_string(p) ? OL_JP_STRING : OL_JP_ERROR; break;
    case 't': e = literal(p, "true", OL_JP_TRUE); break;
    case 'f': e = literal(p, "false", OL_JP_FALSE); break;
    case 'n': e = literal(p, "null", OL_JP_NULL); break;
    default:
        if (*p->ptr != '-' && !is_digit(p)) return fail(p, "a value was expected");
        e = read_number(p) ? OL_JP_NUMBER : OL_JP_ERROR;
    }
    if (e != OL_JP_ERROR) p->state = p->depth ? AFTER_VALUE : DONE;
    return e;
}

static ol_jp_event read_key(ol_jp *p) {
    if (p->ptr >= p->end || *p->ptr != '"') return fail(p, "a key was expected");
    if (!read_string(p)) return OL_JP_ERROR;
    p->state = COLON_VALUE;
    return OL_JP_KEY;
}

ol_jp_event ol_jp_next(ol_jp *p) {
    if (p->state == FAILED) return OL_JP_ERROR;
    skip_space(p);
    bool at_end = p->ptr >= p->end;
    switch (p->state) {
    case DONE: return at_end ? OL_JP_END : fail(p, "something follows the document");
    case FIRST_KEY: return !at_end && *p->ptr == '}' ? close_container(p) : read_key(p);
    case KEY: return read_key(p);
    case COLON_VALUE:
        if (at_end || *p->ptr != ':') return fail(p, "':' was expected");
        p->ptr++;
        skip_space(p);
        return read_value(p);
    case FIRST_ITEM: return !at_end && *p->ptr == ']' ? close_container(p) : read_value(p);
    case AFTER_VALUE: {
        bool object = p->stack[p->depth - 1];
        if (!at_end && *p->ptr == (object ? '}' : ']')) return close_container(p);
        if (at_end || *p->ptr != ',') return fail(p, object ? "',' or '}' was expected" : "',' or ']' was expected");
        p->ptr++;
        skip_space(p);
        return object ? read_key(p) : read_value(p);
    }
    default: return read_value(p);
    }
}

bool ol_jp_skip(ol_jp *p, ol_jp_event event) {
    if (event == OL_JP_ERROR) return false;
    if (event != OL_JP_OBJECT && event != OL_JP_ARRAY) return true;
    int depth = p->depth - 1;
    while (p->depth > depth)
        if (ol_jp_next(p) == OL_JP_ERROR) return false;
    return true;
}

static int hex4(const char *s) {
    int v = 0;
    for (int i = 0; i < 4; i++) v = v * 16 + (s[i] <= '9' ? s[i] - '0' : (s[i] | 32) - 'a' + 10);
    return v;
}

void ol_jp_unescape(const ol_jp *p, ol_buf *out) {
    const char *s = p->text.ptr, *end = s + p->text.len;
    while (s < end) {
        const char *b = memchr(s, '\\', (size_t)(end - s));
        if (!b) b = end;
        ol_buf_append(out, s, (size_t)(b - s));
        s = b;
        if (s >= end) return;
        if (s[1] != 'u') {
            static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
            const char *at = strchr(from, s[1]);
            ol_buf_putc(out, at ? to[at - from] : s[1]);
            s += 2;
            continue;
        }
        int32_t cp = hex4(s + 2);
        s += 6;
        if (cp >= 0xd800 && cp < 0xdc00 && end - s >= 6 && s[0] == '\\' && s[1] == 'u') {
            int32_t low = hex4(s + 2);
            if (low >= 0xdc00 && low < 0xe000) {
                cp = 0x10000 + ((cp - 0xd800) << 10) + (low - 0xdc00);
                s += 6;
            }
        }
        if (cp >= 0xd800 && cp < 0xe000) cp = 0xfffd;
        char utf8[4];
        ol_buf_append(out, utf8, (size_t)ol_utf8_encode(cp, utf8));
    }
}

bool ol_jp_u64(const ol_jp *p, uint64_t *out) {
    uint64_t v = 0;
    if (!p->text.len) return false;
    for (size_t i = 0; i < p->text.len; i++) {
        char c = p->text.ptr[i];
        if (c < '0' || c > '9' || __builtin_mul_overflow(v, 10u, &v) || __builtin_add_overflow(v, (unsigned)(c - '0'), &v)) return false;
    }
    *out = v;
    return true;
}

bool ol_jp_i64(const ol_jp *p, int64_t *out) {
    int64_t v = 0;
    size_t i = p->text.len && p->text.ptr[0] == '-';
    int sign = i ? -1 : 1;
    if (i == p->text.len) return false;
    for (; i < p->text.len; i++) {
        char c = p->text.ptr[i];
        if (c < '0' || c > '9' || __builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, sign * (c - '0'), &v)) return false;
    }
    *out = v;
    return true;
}

/* Plain decimals of up to 19 digits, up to 27 of them behind the point, without an exponent:
 * digits / 10^k as a quotient of integers with at least 61 bits, its last bit set if a rest is left,
 * so that the one rounding to double is the right one. */
static bool plain_decimal(ol_str s, double *out) {
    uint64_t w = 0, d = 1;
    int digits = 0, k = 0;
    bool negative = s.len && s.ptr[0] == '-', point = false;
    for (size_t i = negative; i < s.len; i++) {
        unsigned c = (unsigned char)s.ptr[i] - (unsigned)'0';
        if (c > 9) {
            if (s.ptr[i] != '.' || point) return false;
            point = true;
            continue;
        }
        if (w && ++digits > 18) return false;
        w = w * 10 + c;
        k += point;
    }
    if (k > 27) return false;
    for (int i = 0; i < k; i++) d *= 5;
    int lw = w ? __builtin_clzll(w) : 0, ld = __builtin_clzll(d);
    unsigned __int128 n = (unsigned __int128)(w << lw) << 62;
    uint64_t q = (uint64_t)(n / (d << ld)), rest = (uint64_t)(n % (d << ld));
    double v = ldexp((double)(q | (rest != 0)), ld - lw - 62 - k);
    *out = negative ? -v : v;
    return true;
}

bool ol_jp_f64(const ol_jp *p, double *out) {
    if (plain_decimal(p->text, out)) return true;
    char small[64], *end;
    ol_buf large = OL_BUF_INIT;
    const char *text = small;
    if (p->text.len < sizeof small) {
        memcpy(small, p->text.ptr, p->text.len);
        small[p->text.len] = 0;
    } else {
        ol_buf_append(&large, p->text.ptr, p->text.len);
        if (large.failed) return ol_buf_deinit(&large), false;
        text = large.data;
    }
    double v = strtod(text, &end);
    bool ok = end != text && !*end;
    if (ok) *out = v;
    ol_buf_deinit(&large);
    return ok;
}
