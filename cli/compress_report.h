/* SPDX-License-Identifier: Apache-2.0 */
/* What became of a compressed model: a report for people and scripts, and conditions on it. */
#ifndef CLI_COMPRESS_REPORT_H
#define CLI_COMPRESS_REPORT_H

#include <jansson.h>
#include <stdbool.h>

/* Writes the report (of olv_optimize) about the model `name`: JSON, or one HTML page when the path ends in .html. 0, or the exit code
 * with its message printed. */
int compress_report_write(const json_t *report, const char *name, const char *path);

/* Conditions as `snr<20`: one of snr (dB, of the worst table), mean_snr (dB, of all compressed tables together), bits (per weight),
 * size (bytes; KB, MB, GB), kept (tables), with <, <=, > or >=. Several with commas: any. check_only: whether they can be read. 2 with
 * its message printed when not; 4 when one holds, naming it; else 0. */
int compress_fail_if(const json_t *report, const char *conditions, bool check_only);

#endif
