/* SPDX-License-Identifier: Apache-2.0 */
/* Mirostat (Basu et al., "Mirostat: a neural text decoding algorithm that directly controls perplexity", 2021): mu follows
 * the target tau of surprise. Version 1 fits a power law to the best probabilities and keeps the k tokens that it promises mu
 * bits for; version 2 keeps the tokens with at most mu bits. */
#include "generate/sampler/stage.h"

enum { FITTED = 100 }; /* best tokens that the exponent is estimated from */
static const double ln2 = 0.6931471805599453;

static olv_status check(const ol_sampler_params *p, olv_error *err) {
    if (p->mirostat < 0 || p->mirostat > 2) return ol_fail(err, OLV_ARG, "mirostat is %d; expected 0 (off), 1 or 2", p->mirostat);
    if (!(p->mirostat_tau >= 0) || !(p->mirostat_eta >= 0))
        return ol_fail(err, OLV_ARG, "mirostat_tau is %g and mirostat_eta %g; expected numbers of 0 or more",
                       p->mirostat_tau, p->mirostat_eta);
    return OLV_OK;
}

static bool wanted(const ol_sampler_params *p) { return p->mirostat != 0; }

static double power(double base, double e) { return ol_exp_repro(e * ol_log_repro(base)); }

/* The m greatest weights, greatest first; returns how many there are. */
static int64_t best_weights(ol_sampler *s, int64_t m, double *out) {
    int64_t n = 0;
    for (int64_t i = 0; i < s->n; i++) {
        if (n == m && !(s->weight[i] > out[m - 1])) continue;
        int64_t at = n < m ? n++ : m - 1;
        for (; at > 0 && s->weight[i] > out[at - 1]; at--) out[at] = out[at - 1];
        out[at] = s->weight[i];
    }
    return n;
}

/* Exponent of the power law by least squares through the origin: log(p_i / p_i+1) against log((i + 2) / (i + 1)). */
static double exponent(ol_sampler *s) {
    double w[FITTED], tb = 0, tt = 0;
    int64_t n = best_weights(s, FITTED, w);
    for (int64_t i = 0; i + 1 < n; i++) {
        if (!(w[i + 1] > 0)) break;
        double t = ol_log_repro((double)(i + 2) / (double)(i + 1)), b = ol_log_repro(w[i] / w[i + 1]);
        tb += t * b;
        tt += t * t;
    }
    return tt > 0 ? tb / tt : 1;
}

/* k = (e 2^mu / (1 - V^-e))^(1/s) with e = s - 1; the limit for e to 0 is 2^mu / ln V. */
static double promised(const ol_sampler *s, double exponent_s) {
    double e = exponent_s - 1, v = (double)s->vocab, bits = power(2, s->mirostat_mu);
    double inner = fabs(e) < 1e-9 ? bits / ol_log_repro(v) : e * bits / (1 - power(v, -e));
    return exponent_s > 1e-9 ? power(inner, 1 / exponent_s) : v;
}

static bool heavy(const ol_sampler *s, int64_t i, double least) { return s->weight[i] >= least; }
static bool marked(const ol_sampler *s, int64_t i, double arg) {
    (void)arg;
    return s->key[i] != 0;
}

/* The k best; of equal ones at the border those with the lowest ids. */
static void keep_best(ol_sampler *s, int64_t k) {
    double above;
    if (k >= s->n) return;
    for (int64_t i = 0; i < s->n; i++) s->key[i] = -s->logit[i];
    float limit = ol_select_key(s->key, NULL, s->n, (double)k, &above);
    int64_t left = k - (int64_t)above;
    for (int64_t i = 0; i < s->n; i++) s->key[i] = s->key[i] < limit || (s->key[i] == limit && left-- > 0);
    ol_sampler_filter(s, marked, 0);
}

static void apply(ol_sampler *s) {
    if (s->p.mirostat == 2) {
        ol_sampler_filter(s, heavy, ol_exp_repro(-s->mirostat_mu * ln2) * s->sum);
        return;
    }
    double k = promised(s, exponent(s));
    keep_best(s, k < 1 ? 1 : k < (double)s->n ? (int64_t)k : s->n);
}

static void chosen(ol_sampler *s, double p) {
    double surprise = -ol_log_repro(p) / ln2;
    s->mirostat_mu -= s->p.mirostat_eta * (surprise - s->p.mirostat_tau);
}

const ol_sampler_stage ol_sampler_mirostat = {"mirostat", check, wanted, apply, chosen};
