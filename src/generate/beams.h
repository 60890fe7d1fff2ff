/* SPDX-License-Identifier: Apache-2.0 */
/* What the searches over several texts share: the beams' sequences, the candidates for their next tokens, the loop that
 * runs them together, and the handing out of what was found. */
#ifndef OL_GENERATE_BEAMS_H
#define OL_GENERATE_BEAMS_H

#include "generate/loop.h"

enum { OL_MAX_BEAMS = OL_DECODE_ROWS, OL_MAX_CANDIDATES = OL_MAX_BEAMS * 17 };

/* One token more on one beam. */
typedef struct ol_candidate {
    float score;
    int beam;
    int64_t token;
    bool ended;
} ol_candidate;

typedef struct ol_beams {
    ol_loop *l;
    int n, keep; /* beams; candidates kept at a time */
    int64_t limit, made, vocab;
    ol_sequence *seqs[OL_MAX_BEAMS];
    ol_candidate best[OL_MAX_CANDIDATES]; /* best first */
    int n_best;
    float *row; /* [vocab] */
} ol_beams;

/* num_beams beams that begin alike. `of`: the beams that candidates are kept for together. Deinit also after a failure. */
OLV_MUST_USE olv_status ol_beams_init(ol_beams *b, ol_loop *l, int of, olv_error *err);
void ol_beams_deinit(ol_beams *b);

/* Changes log-probabilities before the settings' rules apply. */
typedef void ol_row_fn(void *ctx, float *row);
/* Offers every token that may follow `own` (made tokens) on a beam of this score; penalties see the beam's own text. */
OLV_MUST_USE olv_status ol_beams_look_at(ol_beams *b, int beam, const int64_t *own, float score, const float *scores,
                                         ol_row_fn *adjust, void *ctx, olv_error *err);

/* How a search goes on. */
typedef struct ol_beam_rules {
    /* One token more on every beam; reorders the sequences. Sets *over when the search has ended. */
    olv_status (*advance)(void *ctx, const float *scores, bool *over, olv_error *err);
    int64_t (*newest)(const void *ctx, int beam); /* token of a running beam */
    olv_status (*fill)(void *ctx, olv_generation *out, olv_error *err);
} ol_beam_rules;
OLV_MUST_USE olv_status ol_beams_search(ol_beams *b, const ol_beam_rules *rules, void *ctx, const float *scores,
                                        olv_generation *out, olv_error *err);

typedef struct ol_found_text {
    const int64_t *ids;
    int64_t length;
    double score;
} ol_found_text;

bool ol_beam_is_end(const ol_loop *l, int64_t token);
/* Fills the beams of out and, with the first text, ids, text and finish reason of the loop. */
OLV_MUST_USE olv_status ol_beams_fill(ol_loop *l, const ol_found_text *texts, size_t n, olv_generation *out, olv_error *err);

#endif
