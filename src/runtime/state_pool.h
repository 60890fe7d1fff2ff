/* SPDX-License-Identifier: Apache-2.0 */
/* The memory of sequences: KV caches in blocks of 64 positions and fixed-size recurrent states, owned by one pool per
 * compiled model and bounded by a byte budget. Blocks are shared between forks by reference count and copied when
 * written. A pool may be used from several threads; one sequence by one thread at a time. */
#ifndef OL_RUNTIME_STATE_POOL_H
#define OL_RUNTIME_STATE_POOL_H

#include "plan/plan.h"

typedef struct ol_state_pool ol_state_pool;
typedef struct ol_sequence ol_sequence;

/* budget_bytes 0: no bound. The layout must outlive the pool. */
OLV_MUST_USE olv_status ol_state_pool_create(const ol_state_layout *layout, size_t budget_bytes, ol_state_pool **out,
                                             olv_error *err);
void ol_state_pool_destroy(ol_state_pool *p); /* all its sequences must be gone */
size_t ol_state_pool_bytes(const ol_state_pool *p); /* in use by sequences */

OLV_MUST_USE olv_status ol_sequence_create(ol_state_pool *p, ol_sequence **out, olv_error *err);
void ol_sequence_destroy(ol_sequence *s);
int64_t ol_sequence_length(const ol_sequence *s);
/* Makes room for n more positions after the present end, writable by us alone; the length grows by n, and the fixed
 * states become those of before, next to room for new ones, which the caller writes whole (n 0: nothing changes). Fails
 * with OLV_LIMIT when the budget is spent, leaving the sequence as it was. */
OLV_MUST_USE olv_status ol_sequence_append(ol_sequence *s, int64_t n, olv_error *err);
/* Forgets positions from `length` on. With fixed states only to 0, or to where the last append began (once): else
 * OLV_STATE. */
OLV_MUST_USE olv_status ol_sequence_truncate(ol_sequence *s, int64_t length, olv_error *err);
/* A second sequence with the same past; blocks are shared until written. */
OLV_MUST_USE olv_status ol_sequence_fork(const ol_sequence *s, ol_sequence **out, olv_error *err);
/* Rearranges: sequence i becomes what sequence from[i] was (beam search). */
OLV_MUST_USE olv_status ol_sequence_reorder(ol_sequence **seqs, const int *from, int n, olv_error *err);
/* The low-rank additions that the sequence's rows carry (OL_MAX_LOWRANK at most, retained; forks inherit them). Past and
 * additions belong together: OLV_STATE when the sequence is not empty. */
OLV_MUST_USE olv_status ol_sequence_set_lowrank(ol_sequence *s, const ol_lowrank_use *uses, int n, olv_error *err);
const ol_lowrank_use *ol_sequence_lowrank(const ol_sequence *s, int *n);
const uint8_t *const *ol_sequence_blocks(const ol_sequence *s);
float *ol_sequence_fixed(const ol_sequence *s); /* of the present length; NULL: the model has none */
const float *ol_sequence_fixed_before(const ol_sequence *s); /* of the length before the last append */
/* Bytes of the past (length, blocks, fixed states) appended to out, and back; load checks layout and size. */
OLV_MUST_USE olv_status ol_sequence_save(const ol_sequence *s, ol_buf *out, olv_error *err);
OLV_MUST_USE olv_status ol_sequence_load(ol_sequence *s, const void *data, size_t size, olv_error *err);

#endif
