/* SPDX-License-Identifier: Apache-2.0 */
/* How long work tells how far it is. */
#ifndef OLIVINE_PROGRESS_H
#define OLIVINE_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

/* Called now and then, from the thread that waits for the work, with what is done and what is to be done in all (bytes or
 * weights, as the function says that takes it). false cancels: the work ends with OLV_CANCELLED. */
typedef bool olv_progress_fn(void *ctx, uint64_t done, uint64_t total);

#endif
