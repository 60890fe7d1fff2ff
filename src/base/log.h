/* SPDX-License-Identifier: Apache-2.0 */
/* Log lines go to a callback of the embedding program; silent by default. */
#ifndef OL_BASE_LOG_H
#define OL_BASE_LOG_H

typedef enum ol_log_level { OL_LOG_DEBUG, OL_LOG_INFO, OL_LOG_WARNING, OL_LOG_ERROR } ol_log_level;
typedef void ol_log_fn(void *ctx, ol_log_level level, const char *line);
void ol_log_set(ol_log_fn *fn, void *ctx);
void ol_log(ol_log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
