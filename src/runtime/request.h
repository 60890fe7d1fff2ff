/* SPDX-License-Identifier: Apache-2.0 */
/* Running the plan of a whole graph: inputs of any names, kinds and shapes that the graph allows, outputs likewise. A plan
 * is shared by requests; a request serves one thread at a time. Nothing is allocated in a run whose sizes are those of
 * the run before, but for values whose size depends on data. */
#ifndef OL_RUNTIME_REQUEST_H
#define OL_RUNTIME_REQUEST_H

#include "base/executor.h"
#include "plan/plan.h"
#include <stdatomic.h>

typedef struct ol_request ol_request;

/* Plan (made with `whole`) and executor are borrowed and must outlive the request. */
OLV_MUST_USE olv_status ol_request_create(const ol_plan *plan, ol_executor *executor, ol_request **out, olv_error *err);
void ol_request_destroy(ol_request *r);

/* Gives the data of a graph input, borrowed until the next run is over or another is given; NULL takes it away. Checked
 * against the declared kind, element type, rank and known sizes. Inputs with a default are constants of the plan. */
OLV_MUST_USE olv_status ol_request_set_input(ol_request *r, int input, const ol_datum *d, olv_error *err);
/* Runs the graph. `cancel`, if not NULL, is polled before every tile. */
OLV_MUST_USE olv_status ol_request_run(ol_request *r, const atomic_bool *cancel, olv_error *err);
/* An output of the last run, valid until the next run or the end of the request. */
const ol_datum *ol_request_output(const ol_request *r, int output);

void ol_request_profile(ol_request *r, bool on);
void ol_request_profile_dump(const ol_request *r, ol_buf *out);
/* Calls fn for every step that ran, in order: node, class, kernel, and milliseconds of all runs together. */
typedef void ol_request_step_fn(void *ctx, const char *node, const char *cls, const char *kernel, double ms);
void ol_request_each_step(const ol_request *r, ol_request_step_fn *fn, void *ctx);

#endif
