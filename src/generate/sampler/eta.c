/* SPDX-License-Identifier: Apache-2.0 */
/* Eta sampling (Hewitt et al., 2022): at least min(eta, sqrt(eta) exp(-entropy)) of probability. */
#include "generate/sampler/stage.h"

static olv_status check(const ol_sampler_params *p, olv_error *err) {
    if (p->eta_cutoff >= 0 && p->eta_cutoff < 1) return OLV_OK;
    return ol_fail(err, OLV_ARG, "eta_cutoff is %g; expected a number from 0 to below 1", p->eta_cutoff);
}

static bool wanted(const ol_sampler_params *p) { return p->eta_cutoff > 0; }

static bool keep(const ol_sampler *s, int64_t i, double least) { return s->weight[i] >= least; }

static void apply(ol_sampler *s) {
    double e = s->p.eta_cutoff, bound = sqrt(e) * ol_exp_repro(-ol_sampler_entropy(s));
    ol_sampler_filter(s, keep, (bound < e ? bound : e) * s->sum);
}

const ol_sampler_stage ol_sampler_eta = {"eta_cutoff", check, wanted, apply, NULL};
