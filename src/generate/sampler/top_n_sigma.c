/* SPDX-License-Identifier: Apache-2.0 */
/* Scores within n standard deviations of the best (Tang et al., "Top-n sigma", 2024); ruled-out tokens do not count. */
#include "generate/sampler/stage.h"

static olv_status check(const ol_sampler_params *p, olv_error *err) {
    if (p->top_n_sigma >= 0) return OLV_OK;
    return ol_fail(err, OLV_ARG, "top_n_sigma is %g; expected 0 (off) or more", p->top_n_sigma);
}

static bool wanted(const ol_sampler_params *p) { return p->top_n_sigma > 0; }

static void apply(ol_sampler *s) {
    double sum = 0, squares = 0, max = -INFINITY;
    int64_t n = 0;
    for (int64_t i = 0; i < s->vocab; i++) {
        if (!(s->row[i] > -INFINITY)) continue;
        sum += (double)s->row[i];
        if ((double)s->row[i] > max) max = (double)s->row[i];
        n++;
    }
    if (n == 0 || !isfinite(sum)) return;
    double mean = sum / (double)n;
    for (int64_t i = 0; i < s->vocab; i++) {
        if (!(s->row[i] > -INFINITY)) continue;
        double d = (double)s->row[i] - mean;
        squares += d * d;
    }
    double least = max - s->p.top_n_sigma * sqrt(squares / (double)n);
    for (int64_t i = 0; i < s->vocab; i++)
        if ((double)s->row[i] < least) s->row[i] = -INFINITY;
}

const ol_sampler_stage ol_sampler_top_n_sigma = {"top_n_sigma", check, wanted, apply, NULL};
