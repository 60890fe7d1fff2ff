/* SPDX-License-Identifier: Apache-2.0 */
/* JSON lines mode: one object in, one line out, in order, flushed each. A bad item gives an error line, and exit code 1 in
 * the end. */
#ifndef CLI_JSONL_H
#define CLI_JSONL_H

#include <jansson.h>
#include <olivine/status.h>
#include <stddef.h>

/* Answers item number `index`: sets *answer (taken), or fails. */
typedef olv_status jsonl_fn(void *ctx, size_t index, const json_t *item, json_t **answer, olv_error *err);
int jsonl_run(jsonl_fn *fn, void *ctx);
/* Array of integers under `key` as a new list (free it). OLV_ARG when absent or of another kind. */
olv_status jsonl_ids(const json_t *item, const char *key, int64_t **ids, size_t *n, olv_error *err);
json_t *json_ids(const int64_t *ids, size_t n);
/* Fills an error record of the command line's own. */
olv_status cli_fail(olv_error *err, olv_status status, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#endif
