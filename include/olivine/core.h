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

#ifdef __cplusplus
}
#endif
#endif
