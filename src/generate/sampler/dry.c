/* SPDX-License-Identifier: Apache-2.0 */
/* DRY ("don't repeat yourself"): a token that would lengthen a repetition of the end of the text, of length L at
 * least dry_allowed_length, loses dry_multiplier * dry_base ^ (L - dry_allowed_length). */
#include "generate/sampler/stage.h"

enum { LONGEST = 100 }; /* the penalty of longer repetitions is beyond any score already */

static olv_status check(const ol_sampler_params *p, olv_error *err) {
    if (!(p->dry_multiplier >= 0)) return ol_fail(err, OLV_ARG, "dry_multiplier is %g; expected 0 (off) or more", p->dry_multiplier);
    if (p->dry_multiplier == 0) return OLV_OK;
    if (!(p->dry_base >= 1)) return ol_fail(err, OLV_ARG, "dry_base is %g; expected 1 or more", p->dry_base);
    if (p->dry_allowed_length >= 1) return OLV_OK;
    return ol_fail(err, OLV_ARG, "dry_allowed_length is %lld; expected 1 or more", (long long)p->dry_allowed_length);
}

static bool wanted(const ol_sampler_params *p) { return p->dry_multiplier > 0; }

static bool breaks(const ol_sampler *s, int32_t token) {
    for (size_t i = 0; i < s->p.n_dry_breakers; i++)
        if (s->p.dry_breakers[i] == token) return true;
    return false;
}

static double power(double base, int64_t n) {
    double v = 1;
    for (; n > 0; n--) v *= base;
    return v;
}

/* The row's keys hold, for the tokens touched in this call, the longest repetition; 0 elsewhere. */
static void apply(ol_sampler *s) {
    const int32_t *h = s->history;
    size_t n = s->n_history, reach = 0;
    while (reach < n && reach < LONGEST && !breaks(s, h[n - 1 - reach])) reach++;
    if (reach == 0) return;
    for (size_t i = 0; i + 1 < n; i++) s->key[h[i + 1]] = 0;
    for (size_t i = 0; i + 1 < n; i++) { /* h[..i] against the end of the text; h[i + 1] would follow */
        size_t len = 0;
        while (len < reach && len <= i && h[i - len] == h[n - 1 - len]) len++;
        if (s->key[h[i + 1]] < (float)len) s->key[h[i + 1]] = (float)len;
    }
    for (size_t i = 0; i + 1 < n; i++) {
        int32_t t = h[i + 1];
        int64_t len = (int64_t)s->key[t];
        s->key[t] = 0;
        if (len < s->p.dry_allowed_length) continue;
        s->row[t] = (float)((double)s->row[t] - s->p.dry_multiplier * power(s->p.dry_base, len - s->p.dry_allowed_length));
    }
}

const ol_sampler_stage ol_sampler_dry = {"dry", check, wanted, apply, NULL};
