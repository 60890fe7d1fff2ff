/* SPDX-License-Identifier: Apache-2.0 */
/* Filters that make numbers, and JSON. */
#include "text/template/filters.h"

#include <math.h>
#include <stdio.h>

#define UNUSED (void)v, (void)a, (void)args

ol_tv ol_tf_abs(ol_trun *r, ol_tv v, const ol_tv *a, const ol_targs *args) {
    UNUSED;
    if (v.kind == OL_TV_UNDEF) return ol_tfail(r, OLV_FORMAT, "%s", v.s);
    if (v.kind == OL_TV_FLOAT) return ol_tfloat(fabs(v.f));
    if (!ol_tis_int(v)) return ol_tfail(r, OLV_FORMAT, "bad operand type for abs(): '%s'", ol_ttype(v));
    if (ol_tint_of(v) >= 0) return ol_tint(ol_tint_of(v));
    return ol_tbinary(r, OL_OP_SUB, ol_tint(0), v);
}

static ol_tv trimmed(ol_tv v) { return ol_tstrip(v, ol_tnone(), 3); }

/* Python allows single underscores between digits; removes them into buf. */
static bool without_underscores(ol_tv v, char *buf, size_t cap, size_t *n) {
    if (v.len >= cap) return false;
    *n = 0;
    for (uint32_t i = 0; i < v.len; i++) {
        if (v.s[i] != '_') {
            buf[(*n)++] = v.s[i];
            continue;
        }
        bool between = i > 0 && i + 1 < v.len && v.s[i - 1] != '_' && v.s[i + 1] != '_';
        if (!between) return false;
    }
    return true;
}

static int digit_value(char c) {
    return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'z' ? (c | 32) - 'a' + 10 : 99;
}

static bool text_to_int(ol_trun *r, ol_tv text, int64_t base, int64_t *out) {
    char buf[128];
    size_t n, i = 0;
    text = trimmed(text);
    if (!without_underscores(text, buf, sizeof buf, &n)) return false;
    bool neg = n && buf[0] == '-';
    if (n && (buf[0] == '-' || buf[0] == '+')) i++;
    if (n - i > 2 && buf[i] == '0') {
        char k = (char)(buf[i + 1] | 32);
        int64_t prefix = k == 'x' ? 16 : k == 'o' ? 8 : k == 'b' ? 2 : 0;
        if (prefix && (prefix == base || base == 0)) {
            base = prefix;
            i += 2;
        }
    }
    if (base == 0) base = 10;
    if (i >= n) return false;
    int64_t v = 0;
    for (; i < n; i++) {
        int d = digit_value(buf[i]);
        if (d >= base) return false;
        if (__builtin_mul_overflow(v, base, &v) || __builtin_sub_overflow(v, (int64_t)d, &v)) {
            ol_tfail(r, OLV_LIMIT, "an integer does not fit in 64 bits");
            return false;
        }
    }
    if (!neg && v == INT64_MIN) ol_tfail(r, OLV_LIMIT, "an integer does not fit in 64 bits");
    *out = neg ? v : -v;
    return !ol_tbad(r);
}

static bool text_to_float(ol_tv text, double *out) {
    char buf[512];
    size_t n;
    text = trimmed(text);
    return without_underscores(text, buf, sizeof buf, &n) && ol_tfloat_parse(buf, n, out);
}

ol_tv ol_tf_int(ol_trun *r, ol_tv v, const ol_tv *a, const ol_targs *args) {
    UNUSED;
    ol_tv def = ol_tgiven(a[0]) ? a[0] : ol_tint(0);
    double f = 0;
    int64_t i;
    if (v.kind == OL_TV_UNDEF) return ol_tfail(r, OLV_FORMAT, "%s", v.s);
    if (ol_tis_int(v)) return ol_tint(ol_tint_of(v));
    if (v.kind == OL_TV_STR) {
        if (text_to_int(r, v, ol_targ_int(r, a[1], 10), &i)) return ol_tint(i);
        if (ol_tbad(r) || !text_to_float(v, &f)) return def;
    } else if (v.kind == OL_TV_FLOAT) f = v.f;
    else return def;
    if (isnan(f)) return def;
    if (isinf(f) || fabs(f) >= 9223372036854775808.0)
        return isinf(f) ? def : ol_tfail(r, OLV_LIMIT, "an integer does not fit in 64 bits");
    return ol_tint((int64_t)f);
}

ol_tv ol_tf_float(ol_trun *r, ol_tv v, const ol_tv *a, const ol_targs *args) {
    UNUSED;
    double f;
    if (v.kind == OL_TV_UNDEF) return ol_tfail(r, OLV_FORMAT, "%s", v.s);
    if (ol_tis_number(v)) return ol_tfloat(ol_tfloat_of(v));
    if (v.kind == OL_TV_STR && text_to_float(v, &f)) return ol_tfloat(f);
    return ol_tgiven(a[0]) ? a[0] : ol_tfloat(0);
}

/* Correctly rounded decimal rounding, ties to even, as Python's round: through the exact decimal expansion. */
static double round_decimal(double f, int64_t digits) {
    char text[400];
    if (digits > 22 || !isfinite(f)) return f;
    if (digits >= 0) {
        snprintf(text, sizeof text, "%.*f", (int)digits, f);
        for (char *p = text; *p; p++)
            if (*p == ',') *p = '.';
        double out = f;
        ol_tfloat_parse(text, strlen(text), &out);
        return out;
    }
    if (digits < -308) return copysign(0.0, f);
    double scale = pow(10.0, (double)-digits);
    return rint(f / scale) * scale;
}

ol_tv ol_tf_round(ol_trun *r, ol_tv v, const ol_tv *a, const ol_targs *args) {
    UNUSED;
    int64_t digits = ol_targ_int(r, a[0], 0);
    ol_str how = ol_tview(ol_targ_str(r, a[1], "common"));
    if (v.kind == OL_TV_UNDEF) return ol_tfail(r, OLV_FORMAT, "%s", v.s);
    if (!ol_tis_number(v)) return ol_tfail(r, OLV_FORMAT, "type %s doesn't define __round__ method", ol_ttype(v));
    if (ol_str_is(how, "common")) {
        if (ol_tis_int(v) && digits >= 0) return ol_tint(ol_tint_of(v));
        double f = round_decimal(ol_tfloat_of(v), digits);
        return ol_tis_int(v) ? ol_tint((int64_t)f) : ol_tfloat(f);
    }
    if (!ol_str_is(how, "ceil") && !ol_str_is(how, "floor"))
        return ol_tfail(r, OLV_FORMAT, "method must be common, ceil or floor");
    double scale = pow(10.0, (double)(digits > 300 ? 300 : digits < -300 ? -300 : digits));
    double f = ol_tfloat_of(v) * scale;
    return ol_tfloat((ol_str_is(how, "ceil") ? ceil(f) : floor(f)) / scale);
}

ol_tv ol_tf_tojson(ol_trun *r, ol_tv v, const ol_tv *a, const ol_targs *args) {
    UNUSED;
    ol_tjson_style style = {.ensure_ascii = ol_ttruth(a[0]), .sort_keys = ol_ttruth(a[3])};
    style.indent = style.item_separator = style.key_separator = ol_tnone();
    if (ol_tgiven_value(a[1])) {
        if (!ol_tis_int(a[1]) && !ol_tis_str(a[1])) return ol_tfail(r, OLV_FORMAT, "indent must be an integer or text");
        style.indent = a[1];
    }
    if (ol_tgiven_value(a[2])) {
        const ol_tseq *s = ol_titer(r, a[2]);
        if (s->n != 2 || !ol_tis_str(s->items[0]) || !ol_tis_str(s->items[1]))
            return ol_tfail(r, OLV_FORMAT, "separators must be two strings");
        style.item_separator = s->items[0];
        style.key_separator = s->items[1];
    }
    ol_buf b = ol_tbuf(r);
    ol_tput_json(r, &b, v, &style);
    return ol_tstr_take(r, &b);
}

ol_tv ol_tf_filesizeformat(ol_trun *r, ol_tv v, const ol_tv *a, const ol_targs *args) {
    static const char *const si[] = {"kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"};
    static const char *const binary[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"};
    const ol_tv no_default[1] = {ol_tnone()};
    ol_tv f = ol_tf_float(r, v, no_default, args);
    if (ol_tbad(r)) return f;
    if (f.kind != OL_TV_FLOAT) return ol_tfail(r, OLV_FORMAT, "could not convert %s to float", ol_ttype(v));
    double base = ol_ttruth(a[0]) ? 1024 : 1000, unit = base;
    ol_buf b = ol_tbuf(r);
    if (f.f == 1) ol_buf_puts(&b, "1 Byte");
    else if (f.f < base) ol_buf_printf(&b, "%lld Bytes", (long long)f.f);
    else {
        int i = 0;
        for (unit = base * base; i < 7 && f.f >= unit; i++) unit *= base;
        ol_buf_printf(&b, "%.1f %s", base * f.f / unit, (ol_ttruth(a[0]) ? binary : si)[i]);
    }
    return ol_tstr_take(r, &b);
}
