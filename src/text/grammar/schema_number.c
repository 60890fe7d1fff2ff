/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers between bounds, digit by digit. Real numbers get at most six digits behind the point. */
#include "text/grammar/schema.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { FRACTION = 6, SCALE = 1000000 };
static const int64_t whole_max = 999999999999999, real_max = 999999999;

bool ol_gschema_has_bounds(const json_t *schema) {
    return json_object_get(schema, "minimum") || json_object_get(schema, "maximum") ||
           json_object_get(schema, "exclusiveMinimum") || json_object_get(schema, "exclusiveMaximum");
}

static int64_t power10(int n) {
    int64_t v = 1;
    while (n-- > 0) v *= 10;
    return v;
}

static ol_gexpr *digit(ol_gschema *s, int lo, int hi) {
    ol_grange r = {'0' + lo, '0' + hi};
    return ol_gclass(s->b, &r, 1, false);
}

/* Texts of exactly `width` digits from lo to hi. */
static ol_gexpr *fixed(ol_gschema *s, int64_t lo, int64_t hi, int width) {
    ol_gbuilder *b = s->b;
    if (lo > hi) return ol_gexpr_new(b, OL_G_FAIL);
    if (width == 0) return ol_gexpr_new(b, OL_G_EMPTY);
    int64_t unit = power10(width - 1);
    int a = (int)(lo / unit), z = (int)(hi / unit);
    int64_t low = lo % unit, high = hi % unit;
    if (low == 0 && high == unit - 1) return ol_gseq(b, digit(s, a, z), ol_grepeat(b, digit(s, 0, 9), width - 1, width - 1));
    if (a == z) return ol_gseq(b, digit(s, a, a), fixed(s, low, high, width - 1));
    ol_gexpr *e = ol_gexpr_new(b, OL_G_FAIL);
    if (low > 0) e = ol_galt(b, e, ol_gseq(b, digit(s, a, a), fixed(s, low, unit - 1, width - 1)));
    int from = low > 0 ? a + 1 : a, to = high < unit - 1 ? z - 1 : z;
    if (from <= to) e = ol_galt(b, e, ol_gseq(b, digit(s, from, to), fixed(s, 0, unit - 1, width - 1)));
    if (high < unit - 1) e = ol_galt(b, e, ol_gseq(b, digit(s, z, z), fixed(s, 0, high, width - 1)));
    return e;
}

/* Integers from lo to hi, 0 <= lo, without leading zeros. */
static ol_gexpr *integers(ol_gschema *s, int64_t lo, int64_t hi) {
    ol_gexpr *e = ol_gexpr_new(s->b, OL_G_FAIL);
    for (int width = 1; width <= 15; width++) {
        int64_t first = width == 1 ? 0 : power10(width - 1), last = power10(width) - 1;
        int64_t a = lo > first ? lo : first, z = hi < last ? hi : last;
        if (a <= z) e = ol_galt(s->b, e, fixed(s, a, z, width));
    }
    return e;
}

static ol_gexpr *with_fraction(ol_gschema *s, ol_gexpr *whole, int64_t lo, int64_t hi) {
    return ol_gseq(s->b, ol_gseq(s->b, whole, ol_gtext_z(s->b, ".")), fixed(s, lo, hi, FRACTION));
}

/* Real numbers from lo to hi, given in millionths, 0 <= lo. */
static ol_gexpr *reals(ol_gschema *s, int64_t lo, int64_t hi) {
    ol_gbuilder *b = s->b;
    int64_t a = lo / SCALE, z = hi / SCALE, fa = lo % SCALE, fz = hi % SCALE;
    ol_gexpr *e = ol_gexpr_new(b, OL_G_FAIL);
    if (lo > hi) return e;
    e = integers(s, fa ? a + 1 : a, z);
    if (a == z) return ol_galt(b, e, with_fraction(s, integers(s, a, a), fa, fz));
    e = ol_galt(b, e, with_fraction(s, integers(s, a, a), fa, SCALE - 1));
    e = ol_galt(b, e, with_fraction(s, integers(s, z, z), 0, fz));
    if (a + 1 <= z - 1) {
        ol_gexpr *digits = ol_grepeat(b, digit(s, 0, 9), 1, FRACTION);
        e = ol_galt(b, e, ol_gseq(b, ol_gseq(b, integers(s, a + 1, z - 1), ol_gtext_z(b, ".")), digits));
    }
    return e;
}

/* The bound in units of 1 / scale, rounded into the interval; `up` for lower bounds. */
static int64_t scaled(double bound, bool exclusive, bool up, int64_t scale, int64_t limit) {
    double limit_d = (double)limit;
    if (bound > limit_d) return up ? INT64_MAX : limit * scale;
    if (bound < -limit_d) return up ? -limit * scale : INT64_MIN;
    /* In long double the product is exact enough: bounds have at most 15 digits. */
    long double x = (long double)bound * (long double)scale;
    long double r = up ? ceill(x - 1e-9L) : floorl(x + 1e-9L);
    int64_t v = (int64_t)r;
    double back = (double)((long double)v / (long double)scale);
    if (up && (back < bound || (exclusive && back <= bound))) v++;
    if (!up && (back > bound || (exclusive && back >= bound))) v--;
    return v;
}

static bool bound_of(ol_gschema *s, const json_t *schema, const char *key, double *out, bool *exclusive) {
    char name[32];
    snprintf(name, sizeof name, "exclusive%c%s", key[0] - 32, key + 1);
    const json_t *plain = json_object_get(schema, key), *strict = json_object_get(schema, name);
    *exclusive = false;
    if ((plain && !json_is_number(plain)) || (strict && !json_is_number(strict) && !json_is_boolean(strict))) {
        ol_gschema_bad(s, OLV_ARG, "expected a number for", key);
        return false;
    }
    if (json_is_boolean(strict)) *exclusive = json_is_true(strict); /* draft 4 */
    if (json_is_number(strict)) {
        double x = json_number_value(strict), y = json_number_value(plain);
        bool tighter = !plain || (key[1] == 'i' ? x >= y : x <= y);
        *exclusive = tighter;
        *out = tighter ? x : y;
        return true;
    }
    if (plain) *out = json_number_value(plain);
    return true;
}

ol_gexpr *ol_gschema_bounded(ol_gschema *s, const json_t *schema, bool whole) {
    ol_gbuilder *b = s->b;
    int64_t limit = whole ? whole_max : real_max, scale = whole ? 1 : SCALE;
    double lo = -(double)limit, hi = (double)limit;
    bool strict_lo, strict_hi;
    if (!bound_of(s, schema, "minimum", &lo, &strict_lo) || !bound_of(s, schema, "maximum", &hi, &strict_hi))
        return ol_gexpr_new(b, OL_G_FAIL);
    int64_t a = scaled(lo, strict_lo, true, scale, limit), z = scaled(hi, strict_hi, false, scale, limit);
    if (a > z) return ol_gschema_bad(s, OLV_ARG, "no number we can write satisfies minimum with", "maximum");
    ol_gexpr *e = ol_gexpr_new(b, OL_G_FAIL);
    if (z >= 0) {
        int64_t from = a > 0 ? a : 0;
        e = whole ? integers(s, from, z) : reals(s, from, z);
    }
    if (a < 0) {
        int64_t to = z < 0 ? -z : 1;
        ol_gexpr *n = whole ? integers(s, to, -a) : reals(s, to, -a);
        e = ol_galt(b, e, ol_gseq(b, ol_gtext_z(b, "-"), n));
    }
    return e;
}
