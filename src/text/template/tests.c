/* SPDX-License-Identifier: Apache-2.0 */
/* The tests of "x is name". */
#include "text/template/filters.h"

#define TEST(fn, expr)                                                                             \
    ol_tv fn(ol_trun *r, ol_tv v, const ol_tv *a, const ol_targs *args) {                          \
        (void)r, (void)v, (void)a, (void)args;                                                     \
        return ol_tbool(expr);                                                                     \
    }

static bool needs(ol_trun *r, const ol_tv *a) {
    if (!ol_tgiven(a[0])) ol_tfail(r, OLV_FORMAT, "a test lacks its argument");
    return !ol_tbad(r);
}

/* Order against the argument; 3 when they have none. */
static int order(ol_trun *r, ol_tv v, const ol_tv *a) {
    if (!needs(r, a)) return 3;
    int c = ol_tcompare(r, v, a[0]);
    return ol_tbad(r) || c == 2 ? 3 : c < 0 ? -1 : c > 0;
}

static int64_t modulo(ol_trun *r, ol_tv v, ol_tv by) {
    ol_tv m = ol_tbinary(r, OL_OP_MOD, v, by);
    return m.kind == OL_TV_INT ? m.i : m.kind == OL_TV_FLOAT && m.f == 0 ? 0 : m.kind == OL_TV_FLOAT && m.f == 1 ? 1 : -1;
}

static bool all_case(ol_tv v, ol_tcase how, ol_trun *r) {
    ol_tv s = ol_tto_str(r, v);
    const ol_tv no[1] = {ol_tnone()};
    return ol_ttruth(how == OL_CASE_UPPER ? ol_tm_isupper(r, s, no, NULL) : ol_tm_islower(r, s, no, NULL));
}

static bool hashable(ol_trun *r, ol_tv v) {
    if (!ol_thashable(v)) ol_tfail(r, OLV_FORMAT, "unhashable type: '%s'", ol_ttype(v));
    return !ol_tbad(r);
}

static bool same(ol_tv a, ol_tv b) {
    if (a.kind != b.kind) return false;
    switch ((ol_tv_kind)a.kind) {
    case OL_TV_NONE: return true;
    case OL_TV_BOOL: return a.b == b.b;
    case OL_TV_INT: return a.i == b.i;
    case OL_TV_STR: return a.len == b.len && memcmp(a.s, b.s, a.len) == 0;
    default: return a.s == b.s;
    }
}

TEST(ol_tt_eq, needs(r, a) && ol_tequal(r, v, a[0]))
TEST(ol_tt_ne, needs(r, a) && !ol_tequal(r, v, a[0]))
TEST(ol_tt_lt, order(r, v, a) == -1)
TEST(ol_tt_le, order(r, v, a) <= 0)
TEST(ol_tt_gt, order(r, v, a) == 1)
TEST(ol_tt_ge, order(r, v, a) == 0 || order(r, v, a) == 1)
TEST(ol_tt_boolean, v.kind == OL_TV_BOOL)
TEST(ol_tt_callable, v.kind == OL_TV_MACRO || v.kind == OL_TV_FUNCTION || v.kind == OL_TV_METHOD ||
                         v.kind == OL_TV_LOOP || v.kind == OL_TV_JOINER || v.kind == OL_TV_UNDEF)
TEST(ol_tt_defined, v.kind != OL_TV_UNDEF)
TEST(ol_tt_undefined, v.kind == OL_TV_UNDEF)
TEST(ol_tt_divisibleby, needs(r, a) && modulo(r, v, a[0]) == 0)
TEST(ol_tt_even, modulo(r, v, ol_tint(2)) == 0)
TEST(ol_tt_odd, modulo(r, v, ol_tint(2)) == 1)
TEST(ol_tt_escaped, v.kind == OL_TV_STR && v.aux)
TEST(ol_tt_false, v.kind == OL_TV_BOOL && !v.b)
TEST(ol_tt_true, v.kind == OL_TV_BOOL && v.b)
TEST(ol_tt_filter, hashable(r, v) && ol_tis_str(v) && ol_tfilter_find(ol_tview(v)) != OL_TNO_ID)
TEST(ol_tt_test, hashable(r, v) && ol_tis_str(v) && ol_ttest_find(ol_tview(v)) != OL_TNO_ID)
TEST(ol_tt_float, v.kind == OL_TV_FLOAT)
TEST(ol_tt_integer, v.kind == OL_TV_INT)
TEST(ol_tt_number, ol_tis_number(v))
TEST(ol_tt_in, needs(r, a) && ol_tcontains(r, a[0], v))
TEST(ol_tt_iterable, ol_titerable(v))
TEST(ol_tt_lower, all_case(v, OL_CASE_LOWER, r))
TEST(ol_tt_upper, all_case(v, OL_CASE_UPPER, r))
TEST(ol_tt_mapping, v.kind == OL_TV_DICT)
TEST(ol_tt_none, v.kind == OL_TV_NONE)
TEST(ol_tt_sameas, needs(r, a) && same(v, a[0]))
TEST(ol_tt_sequence, v.kind == OL_TV_UNDEF || v.kind == OL_TV_STR || v.kind == OL_TV_DICT ||
                         (v.kind == OL_TV_SEQ && v.seq->flavor <= OL_SEQ_RANGE))
TEST(ol_tt_string, v.kind == OL_TV_STR)
