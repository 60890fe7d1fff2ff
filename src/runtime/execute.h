/* SPDX-License-Identifier: Apache-2.0 */
/* Executing the steps of a plan entry: buffers and tiles bound for the sizes of a run, every lane walking the list. Used by
 * sessions (row-wise models) and requests (whole graphs). */
#ifndef OL_RUNTIME_EXECUTE_H
#define OL_RUNTIME_EXECUTE_H

#include "base/executor.h"
#include "plan/plan.h"
#include <stdatomic.h>

/* What one entry needs in one session or request. */
typedef struct ol_bound {
    const ol_plan_entry *entry;
    void **buffers;  /* addresses; the owner sets those of inputs */
    size_t *offsets; /* in the workspace of the segment; SIZE_MAX: elsewhere */
    unsigned *tiles;
    uint64_t *ns; /* profile, by step */
    uint64_t runs;
    bool profile;
    const atomic_bool *cancel; /* when set there, the steps that are left end without work; may be NULL */
} ol_bound;

/* Scratch memory of all lanes. */
typedef struct ol_scratch {
    uint8_t *memory;
    size_t bytes; /* of one lane */
    ol_tiles *tiles; /* two, used in turn */
} ol_scratch;

OLV_MUST_USE olv_status ol_bound_init(ol_bound *b, const ol_plan_entry *e, olv_error *err);
void ol_bound_deinit(ol_bound *b);
OLV_MUST_USE olv_status ol_scratch_init(ol_scratch *s, olv_error *err);
void ol_scratch_deinit(ol_scratch *s);

/* Makes *p (aligned memory of *have bytes, times `times`) hold `need`; `what` names it in messages. */
OLV_MUST_USE olv_status ol_grow_memory(uint8_t **p, size_t *have, size_t need, size_t times, const char *what, olv_error *err);
/* Counts the tiles of the steps [begin, end) for this run and grows the scratch to their needs. */
OLV_MUST_USE olv_status ol_bind_steps(ol_bound *b, int begin, int end, const ol_run *r, ol_scratch *s, int lanes, olv_error *err);
/* Runs the steps [begin, end) on all lanes. */
void ol_execute_steps(ol_bound *b, int begin, int end, const ol_run *r, ol_scratch *s, ol_executor *x);
/* Text table of what cost most, appended to out. */
void ol_bound_profile_dump(const ol_bound *b, const char *title, ol_buf *out);

#endif
