/* SPDX-License-Identifier: Apache-2.0 */
/* Making and passing on errors. The message is made once, where the fact is known, with what was found and
 * what was expected; callers prepend the place. */
#ifndef OL_BASE_ERROR_H
#define OL_BASE_ERROR_H

#include <olivine/status.h>
#include <stdarg.h>

/* Writes status and formatted message into err (if not NULL) and returns status. */
olv_status ol_fail(olv_error *err, olv_status status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Same with "<text of errno>" appended; status is OLV_IO, or OLV_NOT_FOUND for ENOENT. */
olv_status ol_fail_errno(olv_error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Puts "<formatted>: " before the present message; returns err->status (OLV_INTERNAL if err is NULL). */
olv_status ol_error_at(olv_error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Returns from the calling function when `call` fails. */
#define OL_TRY(call)                                                                               \
    do {                                                                                           \
        olv_status ol_try_status_ = (call);                                                        \
        if (ol_try_status_ != OLV_OK) return ol_try_status_;                                       \
    } while (0)

#endif
