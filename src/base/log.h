/* SPDX-License-Identifier: Apache-2.0 */
/* Log lines go to the callback of olv_set_log; silent by default. */
#ifndef OL_BASE_LOG_H
#define OL_BASE_LOG_H

#include <olivine/core.h>

void ol_log(olv_log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
