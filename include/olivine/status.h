/* SPDX-License-Identifier: Apache-2.0 */
/* Status codes and the caller-owned error record of the Olivine library.
 *
 * Every function that can fail returns an olv_status and takes an olv_error * as its last parameter (it may
 * be NULL). The record is written only on failure; outputs are left untouched then. Thread rule: an
 * olv_error belongs to one thread at a time. */
#ifndef OLIVINE_STATUS_H
#define OLIVINE_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define OLV_API __attribute__((visibility("default")))
#define OLV_MUST_USE __attribute__((warn_unused_result))
#else
#define OLV_API
#define OLV_MUST_USE
#endif

/* One row per status: X(name, command exit code, HTTP code, gRPC code, text). */
#define OLV_STATUS_LIST(X)                                                                         \
    X(OK, 0, 200, 0, "ok")                                                                         \
    X(ARG, 2, 400, 3, "invalid argument")                                                          \
    X(STATE, 1, 409, 9, "wrong state")                                                             \
    X(NOMEM, 1, 503, 8, "out of memory")                                                           \
    X(IO, 1, 500, 14, "input or output failed")                                                    \
    X(NOT_FOUND, 1, 404, 5, "not found")                                                           \
    X(FORMAT, 1, 400, 3, "malformed data")                                                         \
    X(UNSUPPORTED, 3, 501, 12, "unsupported")                                                      \
    X(SHAPE, 1, 400, 3, "shape or type mismatch")                                                  \
    X(DEVICE, 1, 500, 13, "device failure")                                                        \
    X(CANCELLED, 130, 499, 1, "cancelled")                                                         \
    X(TIMEOUT, 1, 504, 4, "timed out")                                                             \
    X(LIMIT, 1, 413, 8, "limit exceeded")                                                          \
    X(GOAL, 4, 500, 9, "goal not met")                                                             \
    X(INTERNAL, 1, 500, 13, "internal error")

typedef enum olv_status {
#define OLV_STATUS_ENUM(name, exit_code, http, grpc, text) OLV_##name,
    OLV_STATUS_LIST(OLV_STATUS_ENUM)
#undef OLV_STATUS_ENUM
} olv_status;

typedef struct olv_error {
    olv_status status;
    char message[1020]; /* NUL-terminated, no newline, no final stop */
} olv_error;

/* Lower-case text of a status ("out of memory"); never NULL. */
OLV_API const char *olv_status_text(olv_status status);
/* Exit code that the command line uses for a status. */
OLV_API int olv_status_exit_code(olv_status status);
/* HTTP response code for a status. */
OLV_API int olv_status_http(olv_status status);

#ifdef __cplusplus
}
#endif
#endif
