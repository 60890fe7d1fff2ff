/* SPDX-License-Identifier: Apache-2.0 */
/* Running a plan. A compiled model (plan, state pool, executor) is shared; a session has its own workspace and serves one
 * thread at a time. A run takes flat rows of any number of sequences, never a padded batch. */
#ifndef OL_RUNTIME_SESSION_H
#define OL_RUNTIME_SESSION_H

#include "base/executor.h"
#include "plan/plan.h"
#include "runtime/state_pool.h"

typedef struct ol_session ol_session;

/* Plan and executor are borrowed and must outlive the session. */
OLV_MUST_USE olv_status ol_session_create(const ol_plan *plan, ol_executor *executor, ol_session **out,
                                          olv_error *err);
void ol_session_destroy(ol_session *s);

/* One sequence's share of a run: `count` new tokens; scores are wanted for the last `n_outputs` of them. */
typedef struct ol_run_item {
    ol_sequence *sequence; /* grows by count when the run succeeds */
    const int64_t *ids;
    int64_t count, n_outputs;
    int64_t ahead; /* tokens of the same prompt that later runs will bring: rotations that scale with length need it */
} ol_run_item;

/* Runs one entry over all items together (the rows in all must fit the entry: OL_DECODE_ROWS, OL_PREFILL_ROWS).
 * *out is the first graph output [sum of n_outputs, width], valid until the next run. On failure the sequences are as
 * before. `cancel`, if not NULL, is polled between steps. */
OLV_MUST_USE olv_status ol_session_run(ol_session *s, ol_entry entry, const ol_run_item *items, int n_items,
                                       const float **out, int64_t *width, olv_error *err);
/* Graph output i of the last run of that entry, valid until the next one. */
const float *ol_session_output(const ol_session *s, ol_entry entry, int i, int64_t *width);
/* Gives graph input `input` (none of those that a run fills itself) its data for the runs to come: rows of a run's rows,
 * borrowed. */
OLV_MUST_USE olv_status ol_session_feed(ol_session *s, int input, const void *data, olv_error *err);
/* A whole text for a graph without states, which remembers nothing (encoders). */
typedef struct ol_run_text {
    const int64_t *ids;
    int64_t count;
    const int64_t *types; /* of the tokens, for graphs with the input `token_types`; NULL: all 0 */
    int64_t pool_from;    /* tokens at the start that pooling leaves out */
} ol_run_text;
/* Runs all texts together through the prefill entry, as many rows as they have. *out is the first graph output [n or the
 * number of rows, width], valid until the next run. */
OLV_MUST_USE olv_status ol_session_run_texts(ol_session *s, const ol_run_text *texts, int n, const float **out,
                                             int64_t *width, olv_error *err);
/* Feeds a whole prompt in chunks through the prefill entry (through decode when it has at most OL_DECODE_ROWS tokens,
 * a rule on the prompt's length alone); gives the scores of its last token. */
OLV_MUST_USE olv_status ol_session_prompt(ol_session *s, ol_sequence *seq, const int64_t *ids, int64_t n,
                                          const volatile bool *cancel, const float **out, int64_t *width,
                                          olv_error *err);

/* Profile: nanoseconds per step of the last runs, when enabled. */
void ol_session_profile(ol_session *s, bool on);
/* Text table of the steps that cost most, appended to out. */
void ol_session_profile_dump(const ol_session *s, ol_buf *out);
size_t ol_session_workspace_bytes(const ol_session *s);

#endif
