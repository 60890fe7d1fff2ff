/* SPDX-License-Identifier: Apache-2.0 */
/* Translation of a decoder that was traced operation by operation into flat rows: on top of ortgenai/translate.h, which
 * follows rows and constants, this follows what the pieces of norms, rotations and attention stand for until they are
 * whole. A value may have both, rows and a form; nodes that turn out to be pieces are pruned. */
#ifndef OL_FORMATS_OPENVINO_LM_READ_H
#define OL_FORMATS_OPENVINO_LM_READ_H

#include "formats/openvino/lm.h"
#include "formats/ortgenai/translate.h"

typedef enum ol_lmr_kind {
    OL_LMR_NONE,
    /* norms of x: squares, their mean, that plus eps, its root, one over it; the mean of x, and x less it */
    OL_LMR_SQUARES, OL_LMR_MEAN, OL_LMR_STABLE, OL_LMR_ROOT, OL_LMR_INVERSE, OL_LMR_AVERAGE, OL_LMR_CENTERED,
    /* rotations: positions as reals, times frequencies, cos and sin of that */
    OL_LMR_POSITION, OL_LMR_ANGLES, OL_LMR_COS, OL_LMR_SIN,
    OL_LMR_PART,   /* values [from, from + count * step) of each head of x, each step-th */
    OL_LMR_TURNED, /* (-second, first) of the range's halves, or of its pairs */
    OL_LMR_BY_COS, OL_LMR_BY_SIN, OL_LMR_ROTATED,
    /* attention: scores of x and other, probabilities */
    OL_LMR_SCORES, OL_LMR_PROBABILITIES
} ol_lmr_kind;

typedef struct ol_lmr_form {
    ol_lmr_kind kind;
    ol_value *x, *other;
    int64_t split;             /* size of the heads of x; 0: none */
    int64_t from, count, step; /* ranges within a head */
    bool negative, interleaved, centered;
    double eps;
    const ol_const *inv_freq, *inv_long; /* of angles, borrowed; inv_long of sequences beyond `original`, or NULL */
    int64_t original;
    double factor;             /* of cos and sin; of scores */
    double cap;                /* of scores: 0 none, -1 behind tanh and not yet multiplied */
} ol_lmr_form;

typedef struct ol_lmr {
    ol_translate tr; /* first: handlers are given its address */
    ol_lmr_form *forms; /* by id of the old values */
    const int64_t *windows; /* by layer; NULL: none */
    int64_t n_windows;
} ol_lmr;

/* lm_read.c */
static inline ol_lmr *ol_lmr_of(ol_translate *tr) { return (ol_lmr *)(void *)tr; }
const ol_lmr_form *ol_lmr_in(ol_translate *tr, const ol_node *n, int i); /* never NULL */
ol_verdict ol_lmr_set(ol_translate *tr, const ol_node *n, int output, const ol_lmr_form *f);
int ol_lmr_find(ol_translate *tr, const ol_node *n, ol_lmr_kind kind); /* first input of that kind, or -1 */
bool ol_lmr_last_axis(const ol_node *n, int64_t axis); /* of input 0 */
ol_value *ol_lmr_ones(ol_translate *tr, int64_t n);
bool ol_lmr_is_ones(const ol_value *v); /* made by ol_lmr_ones */

ol_verdict ol_lmr_view_choice(ol_translate *tr, const ol_node *n); /* lm_read_fold.c */

/* Handlers; what is not theirs they pass. */
ol_node_handler ol_lmr_fold; /* lm_read_fold.c */
ol_node_handler ol_lmr_norm_piece, ol_lmr_norm_scale, ol_lmr_layer_norm;  /* lm_read_norm.c */
ol_node_handler ol_lmr_rope_piece, ol_lmr_part, ol_lmr_split, ol_lmr_join; /* lm_read_rope.c */
ol_node_handler ol_lmr_scores, ol_lmr_attention;                           /* lm_read_attention.c */

#endif
