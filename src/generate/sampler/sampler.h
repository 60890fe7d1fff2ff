/* SPDX-License-Identifier: Apache-2.0 */
/* Choosing the next token from one row of scores.
 *
 * A sampler is a chain of stages in the order of sampler.def (that of transformers where it has the stage): first
 * those that change scores by what was written before, then those that cut the set of candidates, then one draw. With
 * do_sample off (or temperature 0) the draw is the highest score, the lowest id on ties.
 *
 * Draws come from a counter-based generator (Philox 4x32, 10 rounds): the key is the seed, the counter the number of
 * tokens generated so far. The chain uses only IEEE double operations in a fixed order with its own exp and log, so
 * equal scores and an equal seed give equal tokens on every machine.
 *
 * No call of ol_sampler_sample allocates, except when the history outgrows what was reserved. Not thread-safe. */
#ifndef OL_GENERATE_SAMPLER_SAMPLER_H
#define OL_GENERATE_SAMPLER_SAMPLER_H

#include <olivine/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ol_logit_bias {
    int64_t token;
    double bias; /* added to the score; -INFINITY bans the token */
} ol_logit_bias;

typedef struct ol_sequence_bias {
    const int64_t *ids;
    size_t n;
    double bias; /* added to the last one's score when the text ends in those before it */
} ol_sequence_bias;

/* Names as in generation_config.json where it has them. Pointers are borrowed until ol_sampler_create returns. */
typedef struct ol_sampler_params {
    bool do_sample;
    double temperature;            /* 1; 0 is greedy */
    int64_t top_k;                 /* 0: off */
    double top_p;                  /* 1: off */
    double min_p;                  /* 0: off */
    double typical_p;              /* 1: off */
    double epsilon_cutoff;         /* 0: off */
    double eta_cutoff;             /* 0: off */
    double top_n_sigma;            /* 0: off */
    double xtc_probability;        /* 0: off */
    double xtc_threshold;          /* 0.1 */
    int mirostat;                  /* 0: off, 1, 2 */
    double mirostat_tau;           /* 5 bits */
    double mirostat_eta;           /* 0.1 */
    double repetition_penalty;     /* 1: off; of prompt and generated tokens */
    double presence_penalty;       /* 0: off; of generated tokens */
    double frequency_penalty;      /* 0: off; of generated tokens */
    double dry_multiplier;         /* 0: off */
    double dry_base;               /* 1.75 */
    int64_t dry_allowed_length;    /* 2 */
    const int64_t *dry_breakers;   /* tokens over which no repetition reaches */
    size_t n_dry_breakers;
    int64_t no_repeat_ngram_size;  /* 0: off */
    int64_t min_new_tokens;        /* no end token before that many */
    const int64_t *eos_ids;
    size_t n_eos;
    const ol_logit_bias *logit_bias;
    size_t n_logit_bias;
    const ol_sequence_bias *sequence_bias;
    size_t n_sequence_bias;
    const int64_t *suppress, *begin_suppress; /* never; not as the first token */
    size_t n_suppress, n_begin_suppress;
    int64_t forced_bos, forced_eos; /* -1: none */
    int64_t max_new_tokens;         /* forced_eos is the last of them; 0: not known */
    double length_decay;            /* 1: off */
    int64_t length_decay_start;     /* in new tokens */
    bool remove_invalid_values;
    uint64_t seed;
} ol_sampler_params;

typedef struct ol_sampler ol_sampler;

void ol_sampler_params_init(ol_sampler_params *p);
/* Ranges and combinations; the message names the field. */
OLV_MUST_USE olv_status ol_sampler_params_check(const ol_sampler_params *p, olv_error *err);

OLV_MUST_USE olv_status ol_sampler_create(const ol_sampler_params *p, int64_t vocab, ol_sampler **out, olv_error *err);
void ol_sampler_destroy(ol_sampler *s); /* NULL accepted */
/* Starts a text: forgets the history, takes the prompt's tokens into it. */
OLV_MUST_USE olv_status ol_sampler_prompt(ol_sampler *s, const int64_t *ids, size_t n, olv_error *err);
/* Draws a token from `scores` [vocab] (left as they are) and adds it to the history. */
int64_t ol_sampler_sample(ol_sampler *s, const float *scores);
/* The two halves of ol_sampler_sample, for callers that verify guesses. */
int64_t ol_sampler_draw(ol_sampler *s, const float *scores);
void ol_sampler_accept(ol_sampler *s, int64_t token);
/* Takes back all but the first n generated tokens (mirostat keeps its state). */
void ol_sampler_truncate(ol_sampler *s, size_t n);
size_t ol_sampler_generated(const ol_sampler *s);
/* The scores after penalties, biases and mask, before any cut: `scores` itself or a row valid until the next call. */
const float *ol_sampler_row(ol_sampler *s, const float *scores);
/* Tokens allowed from now on: bit i of word i / 32; NULL allows all. Borrowed. */
void ol_sampler_set_mask(ol_sampler *s, const uint32_t *mask);
/* The distribution that a draw would use (probs [vocab], zeros elsewhere); randomized stages use this step's draw. */
void ol_sampler_distribution(ol_sampler *s, const float *scores, double *probs);

#endif
