/* SPDX-License-Identifier: Apache-2.0 */
/* Progress of long work on standard error: a bar on a terminal, a JSON object a line with --progress json, else nothing. */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

typedef enum progress_unit { PROGRESS_BYTES, PROGRESS_WEIGHTS, PROGRESS_ITEMS } progress_unit;

typedef struct progress {
    const char *step; /* what is done: "compress" */
    progress_unit unit;
    double start, last; /* seconds */
    bool json, bar, shown;
} progress;

/* How --progress says it: "json", "bar", "none"; NULL: a bar when standard error is a terminal. 0, or 2 after a usage error. */
int progress_check(void);
void progress_begin(progress *p, const char *step, progress_unit unit);
/* Shows at most ten times a second, and the end. Fits the library's progress callbacks, ctx being the progress; false after an
 * interruption. */
bool progress_show(void *ctx, uint64_t done, uint64_t total);
/* Ends the bar's line; seconds since the beginning. */
double progress_end(progress *p);

#endif
