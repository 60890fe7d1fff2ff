/* SPDX-License-Identifier: Apache-2.0 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "text/tokenizer/regex.h"

#include "base/alloc.h"
#include "text/tokenizer/unicode.h"
#include <pcre2.h>
#include <time.h>

#define MATCH_LIMIT 2000000u
#define HEAP_LIMIT_KIB 65536u
#define MAX_PATTERN (1u << 20)
#define SEARCH_SECONDS 10.0
/* Start positions are searched in windows whose cost is at most about this many steps even if every
 * start scans to the end of the text; the clock is read between windows. */
#define WINDOW_STEPS (1u << 28)

struct ol_tk_regex {
    ol_tk_matcher_fn *fn; /* hand-written */
    pcre2_code *code;     /* or general */
    ol_str literal;       /* or plain text */
};

struct ol_tk_match {
    pcre2_match_data *data;
    pcre2_match_context *context;
    pcre2_jit_stack *stack;
    double deadline;
};

static double now(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

static olv_status compile(ol_tk_regex *re, ol_str pattern, ol_tk_dialect dialect, olv_error *err) {
    ol_buf b = OL_BUF_INIT;
    b.max = MAX_PATTERN * 8;
    olv_status st = ol_tk_regex_translate(pattern, dialect, &b, err);
    pcre2_compile_context *cc = NULL;
    if (st == OLV_OK && !(cc = pcre2_compile_context_create(NULL)))
        st = ol_fail(err, OLV_NOMEM, "out of memory");
    if (st == OLV_OK) {
        uint32_t options = PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C | PCRE2_USE_OFFSET_LIMIT;
        options |= dialect == OL_TK_ONIGURUMA ? PCRE2_MULTILINE : PCRE2_DOLLAR_ENDONLY;
        int code;
        PCRE2_SIZE at;
        pcre2_set_newline(cc, PCRE2_NEWLINE_LF);
        re->code =
            pcre2_compile((PCRE2_SPTR)(b.data ? b.data : ""), b.len, options, &code, &at, cc);
        if (!re->code) {
            char text[160] = "";
            pcre2_get_error_message(code, (PCRE2_UCHAR *)text, sizeof text);
            st = ol_fail(err, OLV_FORMAT, "pattern '%.*s': %s",
                         (int)(pattern.len < 120 ? pattern.len : 120), pattern.ptr, text);
        } else {
            pcre2_jit_compile(re->code,
                              PCRE2_JIT_COMPLETE); /* without it the interpreter is used */
        }
    }
    pcre2_compile_context_free(cc);
    ol_buf_deinit(&b);
    return st;
}

olv_status ol_tk_regex_create(ol_str pattern, ol_tk_dialect dialect, bool general,
                              ol_tk_regex **out, olv_error *err) {
    if (pattern.len > MAX_PATTERN)
        return ol_fail(err, OLV_LIMIT, "pattern of %zu bytes, at most %u are allowed", pattern.len,
                       MAX_PATTERN);
    ol_tk_regex *re = ol_calloc(1, sizeof *re);
    if (!re) return ol_fail(err, OLV_NOMEM, "out of memory");
    if (!general) re->fn = ol_tk_matcher_find(pattern);
    olv_status st = re->fn ? OLV_OK : compile(re, pattern, dialect, err);
    if (st != OLV_OK) {
        ol_tk_regex_destroy(re);
        return st;
    }
    *out = re;
    return OLV_OK;
}

olv_status ol_tk_regex_create_literal(ol_str text, ol_tk_regex **out, olv_error *err) {
    if (text.len == 0) return ol_tk_regex_create(text, OL_TK_ONIGURUMA, true, out, err);
    ol_tk_regex *re = ol_calloc(1, sizeof *re);
    char *copy = re ? ol_alloc(text.len) : NULL;
    if (!copy) {
        ol_free(re);
        return ol_fail(err, OLV_NOMEM, "out of memory");
    }
    memcpy(copy, text.ptr, text.len);
    re->literal = (ol_str){copy, text.len};
    *out = re;
    return OLV_OK;
}

void ol_tk_regex_destroy(ol_tk_regex *re) {
    if (!re) return;
    pcre2_code_free(re->code);
    ol_free((char *)re->literal.ptr);
    ol_free(re);
}

void ol_tk_match_destroy(ol_tk_match *m) {
    if (!m) return;
    pcre2_match_data_free(m->data);
    pcre2_match_context_free(m->context);
    pcre2_jit_stack_free(m->stack);
    ol_free(m);
}

static ol_tk_match *match_create(void) {
    ol_tk_match *m = ol_calloc(1, sizeof *m);
    if (!m) return NULL;
    m->data = pcre2_match_data_create(1, NULL);
    m->context = pcre2_match_context_create(NULL);
    m->stack = pcre2_jit_stack_create(32 * 1024, 1024 * 1024, NULL);
    if (!m->data || !m->context || !m->stack) {
        ol_tk_match_destroy(m);
        return NULL;
    }
    pcre2_set_match_limit(m->context, MATCH_LIMIT);
    pcre2_set_heap_limit(m->context, HEAP_LIMIT_KIB);
    pcre2_jit_stack_assign(m->context, NULL, m->stack);
    m->deadline = now() + SEARCH_SECONDS;
    return m;
}

/* Result of pcre2_match over all start positions from pos on. */
static int search(ol_tk_match *m, const pcre2_code *code, const char *s, size_t n, size_t pos) {
    for (;;) {
        size_t window = WINDOW_STEPS / (n - pos + 1) + 64,
               last = n - pos < window ? n : pos + window;
        pcre2_set_offset_limit(m->context, last);
        int rc = pcre2_match(code, (PCRE2_SPTR)s, n, pos, PCRE2_NO_UTF_CHECK, m->data, m->context);
        if (rc == PCRE2_ERROR_JIT_STACKLIMIT)
            rc = pcre2_match(code, (PCRE2_SPTR)s, n, pos, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT,
                             m->data, m->context);
        if (rc != PCRE2_ERROR_NOMATCH || last == n) return rc;
        if (now() > m->deadline) return PCRE2_ERROR_MATCHLIMIT;
        pos = last;
        while (pos < n && ((unsigned char)s[pos] & 0xC0) == 0x80) pos++;
    }
}

/* PCRE2's tables may be older than the patterns' Unicode: newer characters are replaced by older
 * ones of the same category and length, in a copy. */
static bool replace_newer(ol_tk_work *w, ol_tk_find *f) {
    char *copy = NULL;
    f->looked = true;
    for (uint32_t i = 0, n; i < f->n; i += n) {
        n = 1;
        if ((unsigned char)f->s[i] < 0xE0) continue;
        int32_t cp = ol_tk_char(f->s + i, f->n - i, &n), old = ol_uc_stand_in(cp);
        if (old == cp) continue;
        if (!copy && !(copy = ol_arena_strndup(w->arena, f->s, f->n))) return false;
        ol_utf8_encode(old, copy + i);
    }
    if (copy) f->s = copy;
    return true;
}

/* Match of the general engine at or after f->pos; empty ones right behind the last match do not
 * count. */
static int find_general(ol_tk_work *w, ol_tk_find *f, uint32_t *start, uint32_t *end,
                        olv_error *err) {
    if ((!f->looked && !replace_newer(w, f)) || (!w->match && !(w->match = match_create()))) {
        ol_fail(err, OLV_NOMEM, "out of memory");
        return -1;
    }
    while (f->pos <= f->n) {
        int rc = search(w->match, f->re->code, f->s, f->n, f->pos);
        if (rc == PCRE2_ERROR_NOMATCH) break;
        if (rc < 0) {
            char text[120] = "";
            pcre2_get_error_message(rc, (PCRE2_UCHAR *)text, sizeof text);
            ol_fail(err, OLV_LIMIT, "the tokenizer's pattern gave up on this text: %s", text);
            return -1;
        }
        PCRE2_SIZE *v = pcre2_get_ovector_pointer(w->match->data);
        size_t s = v[0], e = v[1];
        if (s > e || e > f->n) break;
        if (s == e && f->last_end == (int64_t)e) {
            uint32_t len = 1;
            if (f->pos < f->n) ol_tk_char(f->s + f->pos, f->n - f->pos, &len);
            f->pos += len;
            continue;
        }
        f->pos = (uint32_t)e;
        f->last_end = (int64_t)e;
        *start = (uint32_t)s;
        *end = (uint32_t)e;
        return 1;
    }
    f->pos = f->n + 1;
    return 0;
}

int ol_tk_find_next(ol_tk_work *w, ol_tk_find *f, uint32_t *start, uint32_t *end, olv_error *err) {
    if (f->re->fn) {
        if (f->pos >= f->n) return 0;
        *start = f->pos;
        *end = f->pos = f->re->fn(f->s, f->n, f->pos);
        return 1;
    }
    if (f->re->code) return find_general(w, f, start, end, err);
    if (f->pos >= f->n) return 0;
    const char *hit = memmem(f->s + f->pos, f->n - f->pos, f->re->literal.ptr, f->re->literal.len);
    if (!hit) {
        f->pos = f->n;
        return 0;
    }
    *start = (uint32_t)(hit - f->s);
    *end = f->pos = *start + (uint32_t)f->re->literal.len;
    return 1;
}
