/* SPDX-License-Identifier: Apache-2.0 */
/* The library itself: its version, and what it sees of the machine. All functions are thread-safe. */
#ifndef OLIVINE_CORE_H
#define OLIVINE_CORE_H

#include <olivine/status.h>

#ifdef __cplusplus
extern "C" {
#endif

OLV_API const char *olv_version(void); /* "0.1.0" */
/* JSON text: processor, usable threads, features, cache sizes, devices with their kernels' instruction sets. olv_free it
 * (olivine/pipeline.h). */
OLV_API OLV_MUST_USE olv_status olv_machine_describe(char **json, olv_error *err);

/* Lines about what happens (which cache is used, and why not), for the embedding program; none are made without a function. It
 * may be called from any thread, one at a time, and must not call the library. */
typedef enum olv_log_level { OLV_LOG_DEBUG, OLV_LOG_INFO, OLV_LOG_WARNING, OLV_LOG_ERROR } olv_log_level;
typedef void olv_log_fn(void *ctx, olv_log_level level, const char *line);
OLV_API void olv_set_log(olv_log_fn *fn, void *ctx); /* NULL: silent */

#ifdef __cplusplus
}
#endif
#endif
