/* SPDX-License-Identifier: Apache-2.0 */
/* What the stages of the chain share. */
#ifndef OL_GENERATE_SAMPLER_STAGE_H
#define OL_GENERATE_SAMPLER_STAGE_H

#include "base/error.h"
#include "generate/sampler/sampler.h"
#include <math.h>
#include <string.h>

#ifdef __clang__
#pragma STDC FP_CONTRACT OFF
#endif

/* One stage. check tests its own parameters; wanted says whether it does anything; apply works on the sampler's row
 * or candidates; chosen sees the token's probability after the draw. check, chosen may be NULL. */
typedef struct ol_sampler_stage {
    const char *name;
    olv_status (*check)(const ol_sampler_params *p, olv_error *err);
    bool (*wanted)(const ol_sampler_params *p);
    void (*apply)(ol_sampler *s);
    void (*chosen)(ol_sampler *s, double probability);
} ol_sampler_stage;

#define X(stage) extern const ol_sampler_stage ol_sampler_##stage;
#include "generate/sampler/sampler.def"
#undef X

struct ol_sampler {
    ol_sampler_params p; /* with pointers to own copies */
    int64_t *sequence_ids; /* of the sequence biases, one after the other */
    int64_t vocab;
    const ol_sampler_stage *row_stages[32], *cut_stages[32];
    int n_row, n_cut;
    float *row; /* [vocab] */
    /* Candidates in ascending order of id. */
    int32_t *ids;
    float *logit;
    double *weight; /* exp((logit - max) / temperature); divided by `sum` it is the probability */
    float *key;     /* scratch of selections */
    int64_t n;
    double sum;
    double temperature; /* so far in the chain */
    /* History: prompt, then generated tokens. */
    int32_t *history;
    size_t n_history, history_cap, n_prompt;
    uint32_t *count_all, *count_new; /* [vocab] each */
    const uint32_t *mask;
    double mirostat_mu;
};

/* Uniform in [0, 1) with 53 bits: number `stream` of this token. */
double ol_sampler_uniform(const ol_sampler *s, uint32_t stream);
/* exp and log in plain double operations: within 2 units in the last place, the same everywhere. */
double ol_exp_repro(double x);
double ol_log_repro(double x);
/* Weights and their sum from logits and temperature. */
void ol_sampler_weigh(ol_sampler *s);
/* Keeps the candidates for which keep(s, i, arg) holds, at least the best one; sums again. */
typedef bool ol_keep_fn(const ol_sampler *s, int64_t i, double arg);
void ol_sampler_filter(ol_sampler *s, ol_keep_fn *keep, double arg);
/* The smallest key such that the entries with keys up to it have at least `want` of mass (NULL: one each);
 * the mass of strictly smaller keys goes to *below. Radix selection: linear, no order of equal keys assumed. */
float ol_select_key(const float *keys, const double *mass, int64_t n, double want, double *below);
/* -sum p ln p of the candidates. */
double ol_sampler_entropy(const ol_sampler *s);

static inline double ol_sampler_probability(const ol_sampler *s, int64_t i) { return s->weight[i] / s->sum; }

#endif
