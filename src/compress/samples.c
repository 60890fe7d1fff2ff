/* SPDX-License-Identifier: Apache-2.0 */
#include "base/alloc.h"
#include "base/error.h"
#include "base/hash.h"
#include "compress/with_data.h"
#include <string.h>

#define MAX_TOKENS 2048
#define MAX_SAMPLES ((size_t)1 << 20)

void olv_calibration_options_init(olv_calibration_options *o) { *o = (olv_calibration_options){.struct_size = sizeof *o, .damping = 0.01}; }

static bool reserve(int64_t **p, size_t need, size_t *cap) {
    if (need <= *cap) return true;
    size_t want = *cap * 2 > need ? *cap * 2 : need + 256;
    int64_t *q = want < SIZE_MAX / sizeof *q ? ol_realloc(*p, want * sizeof *q) : NULL;
    if (!q) return false;
    *p = q;
    *cap = want;
    return true;
}

static olv_status add(ol_samples *s, const int64_t *ids, size_t n, int64_t vocab, olv_error *err) {
    for (size_t i = 0; i < n; i++)
        if (ids[i] < 0 || ids[i] >= vocab)
            return ol_fail(err, OLV_ARG, "sample %zu of the calibration data holds token %lld, 0 to %lld expected", s->n, (long long)ids[i], (long long)vocab - 1);
    if (!reserve(&s->ids, s->n_ids + n, &s->cap_ids) || !reserve(&s->lengths, s->n + 1, &s->cap))
        return ol_fail(err, OLV_NOMEM, "no memory for the calibration data");
    memcpy(s->ids + s->n_ids, ids, n * sizeof *ids);
    s->lengths[s->n++] = (int64_t)n;
    s->n_ids += n;
    s->hash = ol_hash64(ids, n * sizeof *ids, s->hash + 1);
    return OLV_OK;
}

olv_status ol_samples_take(ol_samples *s, const olv_calibration_options *o, int64_t vocab, olv_error *err) {
    *s = (ol_samples){NULL};
    if (!o->dataset || !o->dataset->next) return ol_fail(err, OLV_ARG, "compression with data needs calibration data");
    size_t longest = o->max_tokens > 0 ? (size_t)o->max_tokens : MAX_TOKENS;
    size_t most = o->max_samples > 0 ? (size_t)o->max_samples : MAX_SAMPLES;
    while (s->n < most) {
        const int64_t *ids = NULL;
        size_t n = 0;
        OL_TRY(o->dataset->next(o->dataset->ctx, &ids, &n, err));
        if (!n) break;
        OL_TRY(add(s, ids, n < longest ? n : longest, vocab, err));
    }
    return s->n ? OLV_OK : ol_fail(err, OLV_ARG, "the calibration data are empty");
}

void ol_samples_deinit(ol_samples *s) {
    ol_free(s->ids);
    ol_free(s->lengths);
    *s = (ol_samples){NULL};
}
