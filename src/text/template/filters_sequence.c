/* SPDX-License-Identifier: Apache-2.0 */
/* Filters over sequences and mappings. */
#include "text/template/filters.h"

#define UNUSED (void)v, (void)a, (void)args

static ol_tv undefined_use(ol_trun *r, ol_tv v) { return ol_tfail(r, OLV_FORMAT, "%s", v.s); }

static ol_tseq *copy_of(ol_trun *r, const ol_tseq *s, ol_tseq_flavor flavor) {
    ol_tseq *out = ol_tseq_new(r, flavor);
    ol_ttick(r, s->n / 8);
    for (uint32_t i = 0; i < s->n; i++) ol_tseq_push(r, out, s->items[i]);
    return out;
}

ol_tv ol_tf_length(ol_trun *r, ol_tv v, const ol_tv *a, const ol_targs *args) {
    UNUSED;
    return ol_tint(ol_tlen(r, v));
}

ol_tv ol_tf_list(ol_trun *r, ol_tv v, const ol_tv *a, const ol_targs *args) {
    UNUSED;
    return ol_tseq_value(copy_of(r, ol_titer(r, v), OL_SEQ_LIST));
}

ol_tv ol_tf_first(ol_trun *r, ol_tv v, const ol_tv *a, const ol_targs *args) {
    UNUSED;
    const ol_tseq *s = ol_titer(r, v);
    return s->n ? s->items[0] : ol_tundef(r, "No first item, sequence was empty.");
}

ol_tv ol_tf_last(ol_trun *r, ol_tv v, const ol_tv *a, const ol_targs *args) {
    UNUSED;
    if (v.kind == OL_TV_SEQ && (v.seq->flavor == OL_SEQ_GENERATOR))
        return ol_tfail(r, OLV_FORMAT, "'generator' object is not reversible");
    const ol_tseq *s = ol_titer(r, v);
    return s->n ? s->items[s->n - 1] : ol_tundef(r, "No last item, sequence was empty.");
}

ol_tv ol_tf_items(ol_trun *r, ol_tv v, const ol_tv *a, const ol_targs *args) {
    UNUSED;
    ol_tseq *s = ol_tseq_new(r, OL_SEQ_GENERATOR);
    if (v.kind == OL_TV_UNDEF) return ol_tseq_value(s);
    if (v.kind != OL_TV_DICT) return ol_tfail(r, OLV_FORMAT, "Can only get item pairs from a mapping.");
    const ol_tseq *items = ol_tm_dict_items(r, v, NULL, NULL).seq;
    if (ol_tbad(r)) return ol_tnone();
    return ol_tseq_value(copy_of(r, items, OL_SEQ_GENERATOR));
}

ol_tv ol_tf_reverse(ol_trun *r, ol_tv v, const ol_tv *a, const ol_targs *args) {
    UNUSED;
    if (v.kind == OL_TV_STR) return ol_tslice(r, v, ol_tnone(), ol_tnone(), ol_tint(-1));
    bool generator = v.kind == OL_TV_SEQ && v.seq->flavor == OL_SEQ_GENERATOR;
    const ol_tseq *s = ol_titer(r, v);
    ol_tseq *out = ol_tseq_new(r, generator ? OL_SEQ_LIST : OL_SEQ_GENERATOR);
    for (uint32_t i = s->n; i > 0; i--) ol_tseq_push(r, out, s->items[i - 1]);
    return ol_tseq_value(out);
}

/* What items are compared by: a path when `attribute` is given, and without case unless asked. */
static ol_tv sort_key(ol_trun *r, ol_tv item, ol_tv attribute, bool case_sensitive) {
    if (ol_tgiven_value(attribute)) item = ol_tpath(r, item, attribute);
    return case_sensitive ? item : ol_tfold_case(r, item);
}

/* Key of `sort`: a list, one entry for each attribute of "a,b"; equal entries are never ordered. */
static ol_tv sort_keys(ol_trun *r, ol_tv item, ol_tv attribute, bool case_sensitive) {
    ol_tseq *keys = ol_tseq_new(r, OL_SEQ_LIST);
    if (!ol_tgiven(attribute) || attribute.kind != OL_TV_STR) {
        ol_tseq_push(r, keys, sort_key(r, item, attribute, case_sensitive));
        return ol_tseq_value(keys);
    }
    for (size_t i = 0; i <= attribute.len && !ol_tbad(r);) {
        const char *comma = memchr(attribute.s + i, ',', attribute.len - i);
        size_t end = comma ? (size_t)(comma - attribute.s) : attribute.len;
        ol_tseq_push(r, keys, sort_key(r, item, ol_tstr_ref(attribute.s + i, end - i), case_sensitive));
        i = end + 1;
    }
    return ol_tseq_value(keys);
}

static ol_tseq *sorted(ol_trun *r, ol_tv v, ol_tv attribute, bool case_sensitive, bool reverse, ol_tseq **keys_out) {
    ol_tseq *out = copy_of(r, ol_titer(r, v), OL_SEQ_LIST), *keys = ol_tseq_new(r, OL_SEQ_LIST);
    for (uint32_t i = 0; i < out->n && ol_ttick(r, 1); i++)
        ol_tseq_push(r, keys, sort_keys(r, out->items[i], attribute, case_sensitive));
    if (!ol_tbad(r)) ol_tsort(r, out->items, keys->items, out->n, reverse);
    if (keys_out) *keys_out = keys;
    return out;
}

ol_tv ol_tf_sort(ol_trun *r, ol_tv v, const ol_tv *a, const ol_targs *args) {
    UNUSED;
    return ol_tseq_value(sorted(r, v, a[2], ol_ttruth(a[1]), ol_ttruth(a[0]), NULL));
}

ol_tv ol_tf_dictsort(ol_trun *r, ol_tv v, const ol_tv *a, const ol_targs *args) {
    UNUSED;
    if (v.kind == OL_TV_UNDEF) return undefined_use(r, v);
    if (v.kind != OL_TV_DICT) return ol_tfail(r, OLV_FORMAT, "'%s' object has no attribute 'items'", ol_ttype(v));
    ol_str by = ol_tview(ol_targ_str(r, a[1], "key"));
    if (!ol_str_is(by, "key") && !ol_str_is(by, "value"))
        return ol_tfail(r, OLV_FORMAT, "You can only sort by either \"key\" or \"value\"");
    ol_tv index = ol_tint(ol_str_is(by, "value"));
    ol_tv pairs = ol_tm_dict_items(r, v, NULL, NULL);
    if (ol_tbad(r)) return ol_tnone();
    return ol_tseq_value(sorted(r, pairs, index, ol_ttruth(a[0]), ol_ttruth(a[2]), NULL));
}

ol_tv ol_tf_groupby(ol_trun *r, ol_tv v, const ol_tv *a, const ol_targs *args) {
    UNUSED;
    bool cased = ol_ttruth(a[2]);
    ol_tseq *items = copy_of(r, ol_titer(r, v), OL_SEQ_LIST), *keys = ol_tseq_new(r, OL_SEQ_LIST);
    for (uint32_t i = 0; i < items->n && ol_ttick(r, 1); i++) {
        ol_tv k = ol_tpath(r, items->items[i], a[0]);
        if (k.kind == OL_TV_UNDEF && ol_tgiven_value(a[1])) k = a[1];
        ol_tseq_push(r, keys, cased ? k : ol_tfold_case(r, k));
    }
    ol_tseq *out = ol_tseq_new(r, OL_SEQ_LIST);
    if (ol_tbad(r)) return ol_tnone();
    ol_tsort(r, items->items, keys->items, items->n, false);
    for (uint32_t i = 0; i < items->n && ol_ttick(r, 1);) {
        ol_tseq *group = ol_tseq_new(r, OL_SEQ_GROUP), *list = ol_tseq_new(r, OL_SEQ_LIST);
        ol_tv name = keys->items[i];
        if (!cased) { /* the group is called as its first member spells it */
            name = ol_tpath(r, items->items[i], a[0]);
            if (name.kind == OL_TV_UNDEF && ol_tgiven_value(a[1])) name = a[1];
        }
        uint32_t k = i;
        for (; k < items->n && !ol_tbad(r) && ol_tequal(r, keys->items[i], keys->items[k]); k++)
            ol_tseq_push(r, list, items->items[k]);
        ol_tseq_push(r, group, name);
        ol_tseq_push(r, group, ol_tseq_value(list));
        ol_tseq_push(r, out, ol_tseq_value(group));
        i = k;
    }
    return ol_tseq_value(out);
}

ol_tv ol_tf_unique(ol_trun *r, ol_tv v, const ol_tv *a, const ol_targs *args) {
    UNUSED;
    const ol_tseq *s = ol_titer(r, v);
    ol_tseq *out = ol_tseq_new(r, OL_SEQ_GENERATOR);
    ol_tdict *seen = ol_tdict_new(r);
    for (uint32_t i = 0; i < s->n && ol_ttick(r, 1); i++) {
        ol_tv k = sort_key(r, s->items[i], a[1], ol_ttruth(a[0]));
        uint32_t before = seen->n;
        ol_ttick(r, before / 8);
        ol_tdict_set(r, seen, k, ol_tnone());
        if (seen->n > before) ol_tseq_push(r, out, s->items[i]);
    }
    return ol_tseq_value(out);
}

static ol_tv extreme(ol_trun *r, ol_tv v, const ol_tv *a, bool want_max) {
    const ol_tseq *s = ol_titer(r, v);
    if (s->n == 0) return ol_tundef(r, "No aggregated item, sequence was empty.");
    ol_tv best = s->items[0], key = sort_key(r, best, a[1], ol_ttruth(a[0]));
    for (uint32_t i = 1; i < s->n && ol_ttick(r, 1); i++) {
        ol_tv k = sort_key(r, s->items[i], a[1], ol_ttruth(a[0]));
        int c = ol_tcompare(r, k, key);
        if (c != 2 && (want_max ? c > 0 : c < 0)) {
            best = s->items[i];
            key = k;
        }
    }
    return best;
}

ol_tv ol_tf_max(ol_trun *r, ol_tv v, const ol_tv *a, const ol_targs *args) {
    UNUSED;
    return extreme(r, v, a, true);
}

ol_tv ol_tf_min(ol_trun *r, ol_tv v, const ol_tv *a, const ol_targs *args) {
    UNUSED;
    return extreme(r, v, a, false);
}

ol_tv ol_tf_sum(ol_trun *r, ol_tv v, const ol_tv *a, const ol_targs *args) {
    UNUSED;
    ol_tv total = ol_tgiven(a[1]) ? a[1] : ol_tint(0);
    const ol_tseq *s = ol_titer(r, v);
    if (ol_tis_str(total)) return ol_tfail(r, OLV_FORMAT, "sum() can't sum strings [use ''.join(seq) instead]");
    for (uint32_t i = 0; i < s->n && ol_ttick(r, 1); i++) {
        ol_tv x = ol_tgiven_value(a[0]) ? ol_tpath(r, s->items[i], a[0]) : s->items[i];
        total = ol_tbinary(r, OL_OP_ADD, total, x);
    }
    return total;
}

ol_tv ol_tf_join(ol_trun *r, ol_tv v, const ol_tv *a, const ol_targs *args) {
    UNUSED;
    ol_tv sep = ol_tgiven(a[0]) ? ol_tto_str(r, a[0]) : ol_tstr_ref("", 0);
    const ol_tseq *s = ol_titer(r, v);
    ol_buf b = ol_tbuf(r);
    for (uint32_t i = 0; i < s->n && ol_ttick(r, 1); i++) {
        if (i) ol_buf_append(&b, sep.s, sep.len);
        ol_tv x = ol_tgiven_value(a[1]) ? ol_tpath(r, s->items[i], a[1]) : s->items[i];
        ol_tput_str(r, &b, x);
        if (b.failed) break;
    }
    return ol_tstr_take(r, &b);
}

/* Like iterating, but what is false (none, 0) counts as empty. */
static const ol_tseq *items_or_none(ol_trun *r, ol_tv v) {
    return ol_ttruth(v) ? ol_titer(r, v) : ol_tseq_new(r, OL_SEQ_LIST);
}

static const ol_targs *rest_of(ol_trun *r, const ol_targs *args, uint32_t skip, ol_targs *out) {
    out->pos = ol_tseq_new(r, OL_SEQ_LIST);
    out->kw = args->kw;
    for (uint32_t i = skip; i < args->pos->n; i++) ol_tseq_push(r, out->pos, args->pos->items[i]);
    return out;
}

static ol_tv map_attribute(ol_trun *r, const ol_tseq *s, const ol_targs *args, ol_tseq *out) {
    ol_tv path = ol_tnone(), def = ol_tnone();
    ol_tdict_find(args->kw, "attribute", 9, &path);
    bool has_def = ol_tdict_find(args->kw, "default", 7, &def);
    if (args->kw->n != 1u + has_def) return ol_tfail(r, OLV_FORMAT, "map got an unexpected keyword argument");
    for (uint32_t i = 0; i < s->n && ol_ttick(r, 1); i++) {
        ol_tv x = ol_tpath(r, s->items[i], path);
        ol_tseq_push(r, out, x.kind == OL_TV_UNDEF && has_def && def.kind != OL_TV_NONE ? def : x);
    }
    return ol_tseq_value(out);
}

ol_tv ol_tf_map(ol_trun *r, ol_tv v, const ol_tv *a, const ol_targs *args) {
    UNUSED;
    ol_tv path;
    const ol_tseq *s = items_or_none(r, v);
    ol_tseq *out = ol_tseq_new(r, OL_SEQ_GENERATOR);
    if (args->pos->n == 0 && ol_tdict_find(args->kw, "attribute", 9, &path)) return map_attribute(r, s, args, out);
    if (args->pos->n == 0) return ol_tfail(r, OLV_FORMAT, "map requires a filter argument");
    if (!ol_tis_str(args->pos->items[0])) return ol_tfail(r, OLV_FORMAT, "map takes the name of a filter");
    ol_str name = ol_tview(args->pos->items[0]);
    uint16_t id = ol_tfilter_find(name);
    ol_targs rest;
    rest_of(r, args, 1, &rest);
    for (uint32_t i = 0; i < s->n && ol_ttick(r, 1); i++)
        ol_tseq_push(r, out, ol_tfilter_apply(r, id, name, s->items[i], &rest));
    return ol_tseq_value(out);
}

/* select, reject, selectattr, rejectattr: items whose test (or truth) equals `keep`. */
static ol_tv choose(ol_trun *r, ol_tv v, const ol_targs *args, bool keep, bool by_attribute) {
    uint32_t skip = by_attribute ? 1 : 0;
    const ol_tseq *s = items_or_none(r, v);
    ol_tseq *out = ol_tseq_new(r, OL_SEQ_GENERATOR);
    if (args->pos->n < skip) return ol_tfail(r, OLV_FORMAT, "the name of an attribute is missing");
    bool has_test = args->pos->n > skip;
    ol_str name = {0};
    uint16_t id = OL_TNO_ID;
    ol_targs rest = {0};
    if (has_test) {
        if (!ol_tis_str(args->pos->items[skip])) return ol_tfail(r, OLV_FORMAT, "expected the name of a test");
        name = ol_tview(args->pos->items[skip]);
        id = ol_ttest_find(name);
        rest_of(r, args, skip + 1, &rest);
    }
    for (uint32_t i = 0; i < s->n && ol_ttick(r, 1); i++) {
        ol_tv x = by_attribute ? ol_tpath(r, s->items[i], args->pos->items[0]) : s->items[i];
        bool yes = has_test ? ol_ttest_apply(r, id, name, x, &rest) : ol_ttruth(x);
        if (yes == keep) ol_tseq_push(r, out, s->items[i]);
    }
    return ol_tseq_value(out);
}

ol_tv ol_tf_select(ol_trun *r, ol_tv v, const ol_tv *a, const ol_targs *args) {
    UNUSED;
    return choose(r, v, args, true, false);
}

ol_tv ol_tf_reject(ol_trun *r, ol_tv v, const ol_tv *a, const ol_targs *args) {
    UNUSED;
    return choose(r, v, args, false, false);
}

ol_tv ol_tf_selectattr(ol_trun *r, ol_tv v, const ol_tv *a, const ol_targs *args) {
    UNUSED;
    return choose(r, v, args, true, true);
}

ol_tv ol_tf_rejectattr(ol_trun *r, ol_tv v, const ol_tv *a, const ol_targs *args) {
    UNUSED;
    return choose(r, v, args, false, true);
}

ol_tv ol_tf_batch(ol_trun *r, ol_tv v, const ol_tv *a, const ol_targs *args) {
    UNUSED;
    int64_t n = ol_targ_int(r, a[0], 0);
    const ol_tseq *s = ol_titer(r, v);
    ol_tseq *out = ol_tseq_new(r, OL_SEQ_GENERATOR), *row = NULL;
    for (uint32_t i = 0; i < s->n && ol_ttick(r, 1); i++) {
        if (!row || row->n == n) {
            row = ol_tseq_new(r, OL_SEQ_LIST);
            ol_tseq_push(r, out, ol_tseq_value(row));
        }
        ol_tseq_push(r, row, s->items[i]);
    }
    while (row && ol_tgiven_value(a[1]) && row->n < n && ol_ttick(r, 1)) ol_tseq_push(r, row, a[1]);
    return ol_tseq_value(out);
}

ol_tv ol_tf_slice(ol_trun *r, ol_tv v, const ol_tv *a, const ol_targs *args) {
    UNUSED;
    int64_t n = ol_targ_int(r, a[0], 0);
    const ol_tseq *s = ol_titer(r, v);
    if (n <= 0) return ol_tfail(r, OLV_FORMAT, "slice needs a positive number of slices");
    int64_t per = s->n / n, more = s->n % n, at = 0;
    ol_tseq *out = ol_tseq_new(r, OL_SEQ_GENERATOR);
    for (int64_t k = 0; k < n && ol_ttick(r, 1); k++) {
        ol_tseq *row = ol_tseq_new(r, OL_SEQ_LIST);
        int64_t end = at + per + (k < more);
        for (; at < end; at++) ol_tseq_push(r, row, s->items[at]);
        if (ol_tgiven_value(a[1]) && k >= more) ol_tseq_push(r, row, a[1]);
        ol_tseq_push(r, out, ol_tseq_value(row));
    }
    return ol_tseq_value(out);
}

ol_tv ol_tf_default(ol_trun *r, ol_tv v, const ol_tv *a, const ol_targs *args) {
    UNUSED;
    (void)r;
    if (v.kind == OL_TV_UNDEF || (ol_ttruth(a[1]) && !ol_ttruth(v)))
        return ol_tgiven(a[0]) ? a[0] : ol_tstr_ref("", 0);
    return v;
}

ol_tv ol_tf_attr(ol_trun *r, ol_tv v, const ol_tv *a, const ol_targs *args) {
    UNUSED;
    ol_tv name = ol_tto_str(r, a[0]);
    if (v.kind == OL_TV_UNDEF) return undefined_use(r, v);
    if (v.kind == OL_TV_DICT) { /* getattr of Python, not the items */
        bool unsafe;
        if (ol_tmethod_find(v, ol_tview(name), &unsafe) == OL_TNO_ID)
            return ol_tundef(r, "'dict object' has no attribute '%.*s'", (int)name.len, name.s);
    }
    return ol_tget_attr(r, v, ol_tview(name));
}
