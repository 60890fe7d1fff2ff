/* SPDX-License-Identifier: Apache-2.0 */
#include "text/template/value.h"

/* Start, stop and step as Python clamps them for a sequence of n. */
static bool bounds(ol_trun *r, const ol_tv part[3], int64_t n, int64_t out[3]) {
    for (int i = 0; i < 3; i++)
        if (part[i].kind != OL_TV_NONE && !ol_tis_int(part[i])) return false;
    int64_t step = part[2].kind == OL_TV_NONE ? 1 : ol_tint_of(part[2]);
    if (step == 0) {
        ol_tfail(r, OLV_FORMAT, "slice step cannot be zero");
        return false;
    }
    int64_t lo = step > 0 ? 0 : -1, hi = step > 0 ? n : n - 1;
    int64_t def[2] = {step > 0 ? lo : hi, step > 0 ? hi : lo};
    for (int i = 0; i < 2; i++) {
        int64_t v = part[i].kind == OL_TV_NONE ? def[i] : ol_tint_of(part[i]);
        if (part[i].kind != OL_TV_NONE) {
            if (v < 0) v = v < -n ? lo : v + n;
            v = v < lo ? lo : v > hi ? hi : v;
        }
        out[i] = v;
    }
    out[2] = step < -n - 1 ? -n - 1 : step > n + 1 ? n + 1 : step;
    return true;
}

static ol_tv slice_text(ol_trun *r, ol_tv v, const int64_t b[3]) {
    if (b[2] == 1) {
        if (b[1] <= b[0]) return ol_tstr_ref("", 0);
        size_t from = ol_tcp_offset(v.s, v.len, b[0]);
        size_t n = ol_tcp_offset(v.s + from, v.len - from, b[1] - b[0]);
        return ol_tstr_ref(v.s + from, n);
    }
    const ol_tseq *s = ol_titer(r, v);
    ol_buf out = ol_tbuf(r);
    for (int64_t i = b[0]; (b[2] > 0 ? i < b[1] : i > b[1]) && !ol_tbad(r); i += b[2])
        ol_buf_append(&out, s->items[i].s, s->items[i].len);
    return ol_tstr_take(r, &out);
}

ol_tv ol_tslice(ol_trun *r, ol_tv v, ol_tv start, ol_tv stop, ol_tv step) {
    const ol_tv part[3] = {start, stop, step};
    int64_t b[3];
    if (v.kind == OL_TV_UNDEF) return ol_tfail(r, OLV_FORMAT, "%s", v.s);
    bool list = v.kind == OL_TV_SEQ && v.seq->flavor <= OL_SEQ_RANGE;
    if (!list && v.kind != OL_TV_STR) return ol_tfail(r, OLV_FORMAT, "'%s' object is not subscriptable", ol_ttype(v));
    int64_t n = ol_tlen(r, v);
    if (!bounds(r, part, n, b)) return ol_tfail(r, OLV_FORMAT, "slice indices must be integers or None");
    if (v.kind == OL_TV_STR) {
        ol_tv s = slice_text(r, v, b);
        s.aux = v.aux;
        return s;
    }
    ol_tseq_flavor flavor = v.seq->flavor == OL_SEQ_GROUP ? OL_SEQ_TUPLE : (ol_tseq_flavor)v.seq->flavor;
    ol_tseq *out = ol_tseq_new(r, flavor);
    if (flavor == OL_SEQ_RANGE && !ol_tbad(r)) {
        int64_t unit = v.seq->range[2];
        out->range[0] = v.seq->range[0] + b[0] * unit;
        out->range[1] = v.seq->range[0] + b[1] * unit;
        out->range[2] = unit * b[2];
    }
    for (int64_t i = b[0]; (b[2] > 0 ? i < b[1] : i > b[1]) && !ol_tbad(r); i += b[2])
        ol_tseq_push(r, out, v.seq->items[i]);
    ol_ttick(r, out->n / 8);
    return ol_tseq_value(out);
}
