/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

olv_status ol_fail(olv_error *err, olv_status status, const char *fmt, ...) {
    if (!err) return status;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(err->message, sizeof err->message, fmt, ap);
    va_end(ap);
    err->status = status;
    return status;
}

olv_status ol_fail_errno(olv_error *err, const char *fmt, ...) {
    int code = errno;
    olv_status status = code == ENOENT ? OLV_NOT_FOUND : code == ENOMEM ? OLV_NOMEM : OLV_IO;
    if (!err) return status;
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(err->message, sizeof err->message, fmt, ap);
    va_end(ap);
    size_t at = n < 0 ? 0 : (size_t)n < sizeof err->message ? (size_t)n : sizeof err->message - 1;
    char text[128];
    snprintf(err->message + at, sizeof err->message - at, ": %s", strerror_r(code, text, sizeof text));
    err->status = status;
    return status;
}

olv_status ol_error_at(olv_error *err, const char *fmt, ...) {
    if (!err) return OLV_INTERNAL;
    char old[sizeof err->message];
    memcpy(old, err->message, sizeof old);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(err->message, sizeof err->message, fmt, ap);
    va_end(ap);
    strncat(err->message, ": ", sizeof err->message - 1 - strlen(err->message));
    strncat(err->message, old, sizeof err->message - 1 - strlen(err->message));
    return err->status;
}
