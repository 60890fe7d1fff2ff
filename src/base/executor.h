/* SPDX-License-Identifier: Apache-2.0 */
/* The threads. One executor per core object; the caller takes part as lane 0. A job runs one function on every
 * lane; inside it lanes meet at barriers and share work by tile counters. Work is cut by shape, never by the
 * number of lanes, so results do not depend on it. Workers spin briefly after a job, then sleep. */
#ifndef OL_BASE_EXECUTOR_H
#define OL_BASE_EXECUTOR_H

#include <olivine/status.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OL_MAX_LANES 64

typedef struct ol_executor ol_executor;

/* n_threads 0: ol_cpu_usable(). Threads start at the first job, and again in a forked child. */
OLV_MUST_USE olv_status ol_executor_create(int n_threads, ol_executor **out, olv_error *err);
void ol_executor_destroy(ol_executor *e);
int ol_executor_lanes(const ol_executor *e);

/* State of one job, as seen by a lane. */
typedef struct ol_lane {
    int index, count;
    struct ol_job *job;
} ol_lane;

typedef void ol_lane_fn(void *ctx, ol_lane *lane);
/* Runs fn on `lanes` lanes (0 = all) and returns when all are done. Jobs of several callers queue up. */
void ol_executor_run(ol_executor *e, int lanes, ol_lane_fn *fn, void *ctx);
/* All lanes of the job meet; memory written before is seen after. Cost: well under a microsecond. */
void ol_lane_barrier(ol_lane *lane);

/* Share n tiles among the lanes of a job: each lane owns a contiguous part, and takes from the others' tails
 * when its own is done. `ol_tiles` must be reset by one lane before a barrier that precedes its use. */
typedef struct ol_tiles {
    struct {
        _Alignas(64) atomic_uint next; /* within the part of lane i */
        unsigned end;
    } part[OL_MAX_LANES];
    int lanes;
} ol_tiles;
void ol_tiles_reset(ol_tiles *t, unsigned n_tiles, int lanes);
/* Next tile for this lane, or -1 when none is left anywhere. */
int64_t ol_tiles_next(ol_tiles *t, const ol_lane *lane);

/* Parallel for over [0, n) with stealing: calls fn(ctx, i) from any lane. For work outside of plans. */
typedef void ol_item_fn(void *ctx, size_t i, int lane);
void ol_executor_for(ol_executor *e, size_t n, ol_item_fn *fn, void *ctx);

/* Wakes the workers ahead of a job that is about to come. */
void ol_executor_wake(ol_executor *e);

#endif
