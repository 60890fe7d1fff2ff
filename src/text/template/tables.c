/* SPDX-License-Identifier: Apache-2.0 */
/* Looking up and applying the rows of filters.def. */
#include "text/template/filters.h"

static const ol_trow filters[] = {
#define OL_FILTER(name, parameters, fn) {name, parameters, fn},
#define OL_TEST(name, parameters, fn)
#define OL_METHOD(kind, name, parameters, fn)
#include "text/template/filters.def"
#undef OL_FILTER
#undef OL_TEST
};

static const ol_trow tests[] = {
#define OL_FILTER(name, parameters, fn)
#define OL_TEST(name, parameters, fn) {name, parameters, fn},
#include "text/template/filters.def"
#undef OL_TEST
#undef OL_METHOD
};

static const struct {
    ol_trow row;
    uint8_t kind;
} methods[] = {
#define OL_TEST(name, parameters, fn)
#define OL_METHOD(kind, name, parameters, fn) {{name, parameters, fn}, OL_TV_##kind},
#include "text/template/filters.def"
#undef OL_FILTER
#undef OL_TEST
#undef OL_METHOD
};

#define COUNT(a) (sizeof(a) / sizeof *(a))

static uint16_t find(const ol_trow *rows, size_t n, ol_str name) {
    for (size_t i = 0; i < n; i++)
        if (ol_str_is(name, rows[i].name)) return (uint16_t)i;
    return OL_TNO_ID;
}

uint16_t ol_tfilter_find(ol_str name) { return find(filters, COUNT(filters), name); }
uint16_t ol_ttest_find(ol_str name) { return find(tests, COUNT(tests), name); }

/* Index of keyword `key` in the space-separated list, or -1. */
static int parameter_index(const char *parameters, ol_str key) {
    int i = 0;
    for (const char *p = parameters; *p; i++) {
        size_t n = strcspn(p, " ");
        if (n == key.len && memcmp(p, key.ptr, n) == 0) return i;
        p += n;
        p += *p == ' ';
    }
    return -1;
}

static uint32_t parameter_count(const char *parameters) {
    uint32_t n = *parameters != 0;
    for (const char *p = parameters; *p; p++) n += *p == ' ';
    return n;
}

bool ol_tbind(ol_trun *r, const char *what, const char *parameters, const ol_targs *args, ol_tv out[OL_TARGS_MAX]) {
    memset(out, 0, OL_TARGS_MAX * sizeof *out);
    if (*parameters == '*') return true;
    uint32_t n = parameter_count(parameters);
    if (args->pos->n > n) {
        ol_tfail(r, OLV_FORMAT, "%s takes at most %u arguments, got %u", what, n, args->pos->n);
        return false;
    }
    for (uint32_t i = 0; i < args->pos->n; i++) out[i] = args->pos->items[i];
    for (uint32_t i = 0; i < args->kw->n; i++) {
        ol_str key = ol_tview(args->kw->items[i].key);
        int at = parameter_index(parameters, key);
        if (at < 0 || (uint32_t)at < args->pos->n) {
            ol_tfail(r, OLV_FORMAT, "%s got an unexpected keyword argument '%.*s'", what, (int)key.len, key.ptr);
            return false;
        }
        out[at] = args->kw->items[i].value;
    }
    return !ol_tbad(r);
}

static ol_tv apply(ol_trun *r, const ol_trow *row, ol_tv v, const ol_targs *args) {
    ol_tv a[OL_TARGS_MAX];
    if (!ol_tbind(r, row->name, row->parameters, args, a)) return ol_tnone();
    return row->fn(r, v, a, args);
}

ol_tv ol_tfilter_apply(ol_trun *r, uint16_t id, ol_str name, ol_tv v, const ol_targs *args) {
    if (id == OL_TNO_ID) return ol_tfail(r, OLV_UNSUPPORTED, "No filter named '%.*s'.", (int)name.len, name.ptr);
    return apply(r, &filters[id], v, args);
}

bool ol_ttest_apply(ol_trun *r, uint16_t id, ol_str name, ol_tv v, const ol_targs *args) {
    if (id == OL_TNO_ID) {
        ol_tfail(r, OLV_UNSUPPORTED, "No test named '%.*s'.", (int)name.len, name.ptr);
        return false;
    }
    return ol_ttruth(apply(r, &tests[id], v, args));
}

static bool changes_object(ol_tv v, ol_str name) {
    static const char *const list[] = {"append", "extend", "insert", "pop", "remove", "reverse", "sort", "clear", NULL};
    static const char *const dict[] = {"clear", "pop", "popitem", "setdefault", "update", NULL};
    const char *const *p = v.kind == OL_TV_DICT ? dict
                         : v.kind == OL_TV_SEQ && v.seq->flavor == OL_SEQ_LIST ? list : NULL;
    for (; p && *p; p++)
        if (ol_str_is(name, *p)) return true;
    return false;
}

uint16_t ol_tmethod_find(ol_tv v, ol_str name, bool *unsafe) {
    *unsafe = changes_object(v, name);
    if (*unsafe) return OL_TNO_ID;
    if (v.kind == OL_TV_SEQ && v.seq->flavor > OL_SEQ_RANGE) return OL_TNO_ID;
    if (v.kind == OL_TV_SEQ && v.seq->flavor != OL_SEQ_LIST && ol_str_is(name, "copy")) return OL_TNO_ID;
    for (size_t i = 0; i < COUNT(methods); i++)
        if (methods[i].kind == v.kind && ol_str_is(name, methods[i].row.name)) return (uint16_t)i;
    return OL_TNO_ID;
}

const char *ol_tmethod_name(uint16_t id) { return methods[id].row.name; }

ol_tv ol_tmethod_call(ol_trun *r, ol_tv self, uint16_t id, const ol_targs *args) {
    return apply(r, &methods[id].row, self, args);
}

int64_t ol_targ_int(ol_trun *r, ol_tv v, int64_t def) {
    if (!ol_tgiven(v)) return def;
    if (ol_tis_int(v)) return ol_tint_of(v);
    ol_tfail(r, OLV_FORMAT, "'%s' object cannot be interpreted as an integer", ol_ttype(v));
    return def;
}

ol_tv ol_targ_str(ol_trun *r, ol_tv v, const char *def) {
    if (!ol_tgiven(v)) return ol_tstr_z(def);
    if (!ol_tis_str(v)) ol_tfail(r, OLV_FORMAT, "expected a str argument, found %s", ol_ttype(v));
    return ol_tis_str(v) ? v : ol_tstr_ref("", 0);
}

ol_tv ol_tpath(ol_trun *r, ol_tv v, ol_tv path) {
    if (path.kind != OL_TV_STR) return ol_tget_item(r, v, path);
    for (size_t i = 0; i <= path.len && !ol_tbad(r);) {
        const char *dot = memchr(path.s + i, '.', path.len - i);
        size_t end = dot ? (size_t)(dot - path.s) : path.len;
        ol_tv key = ol_tstr_ref(path.s + i, end - i);
        bool digits = key.len > 0 && key.len < 10;
        int64_t n = 0;
        for (uint32_t k = 0; k < key.len && digits; k++) {
            digits = key.s[k] >= '0' && key.s[k] <= '9';
            n = n * 10 + (key.s[k] - '0');
        }
        v = ol_tget_item(r, v, digits ? ol_tint(n) : key);
        i = end + 1;
    }
    return v;
}

ol_tv ol_tfold_case(ol_trun *r, ol_tv v) {
    if (v.kind != OL_TV_STR) return v;
    ol_buf b = ol_tbuf(r);
    ol_tput_case(&b, v.s, v.len, OL_CASE_LOWER);
    return ol_tstr_take(r, &b);
}

static bool goes_after(ol_trun *r, ol_tv a, ol_tv b, bool reverse) {
    return reverse ? ol_tcompare(r, a, b) < 0 : ol_tcompare(r, b, a) < 0;
}

/* Bottom-up merge sort. */
void ol_tsort(ol_trun *r, ol_tv *values, ol_tv *keys, uint32_t n, bool reverse) {
    ol_tv *tv = ol_tmem(r, (size_t)n * sizeof *tv + 1), *tk = ol_tmem(r, (size_t)n * sizeof *tk + 1);
    if (!tv || !tk) return;
    for (uint32_t w = 1; w < n && !ol_tbad(r); w *= 2) {
        for (uint32_t lo = 0; lo < n; lo += 2 * w) {
            uint32_t mid = lo + w < n ? lo + w : n, hi = mid + w < n ? mid + w : n, a = lo, b = mid;
            for (uint32_t k = lo; k < hi; k++) {
                if (!ol_ttick(r, 1)) return;
                bool right = b < hi && (a >= mid || goes_after(r, keys[a], keys[b], reverse));
                tv[k] = values[right ? b : a];
                tk[k] = keys[right ? b++ : a++];
            }
        }
        memcpy(values, tv, n * sizeof *tv);
        memcpy(keys, tk, n * sizeof *tk);
    }
}
