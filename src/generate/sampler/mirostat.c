/* SPDX-License-Identifier: Apache-2.0 */
/* Mirostat 2 (Basu et al., 2021): tokens with at most mu bits of surprise; mu follows the target tau. */
#include "generate/sampler/stage.h"

static olv_status check(const ol_sampler_params *p, olv_error *err) {
    if (p->mirostat != 0 && p->mirostat != 2)
        return ol_fail(err, OLV_ARG, "mirostat is %d; expected 0 (off) or 2", p->mirostat);
    if (!(p->mirostat_tau >= 0) || !(p->mirostat_eta >= 0))
        return ol_fail(err, OLV_ARG, "mirostat_tau is %g and mirostat_eta %g; expected numbers of 0 or more",
                       p->mirostat_tau, p->mirostat_eta);
    return OLV_OK;
}

static bool wanted(const ol_sampler_params *p) { return p->mirostat == 2; }

static const double ln2 = 0.6931471805599453;

static bool keep(const ol_sampler *s, int64_t i, double least) { return s->weight[i] >= least; }

static void apply(ol_sampler *s) {
    ol_sampler_filter(s, keep, ol_exp_repro(-s->mirostat_mu * ln2) * s->sum);
}

static void chosen(ol_sampler *s, double p) {
    double surprise = -ol_log_repro(p) / ln2;
    s->mirostat_mu -= s->p.mirostat_eta * (surprise - s->p.mirostat_tau);
}

const ol_sampler_stage ol_sampler_mirostat = {"mirostat", check, wanted, apply, chosen};
