/* SPDX-License-Identifier: Apache-2.0 */
/* An HTTP client (libcurl): the only place that opens connections. Requests block; each client serves one thread.
 *
 * A bearer token is sent to the host that the caller named and not to those that it redirects to. Transfers that stand still
 * are given up; how a request may be tried again is the caller's business. */
#ifndef OL_BASE_HTTP_H
#define OL_BASE_HTTP_H

#include "base/str.h"
#include <olivine/status.h>

typedef struct ol_http ol_http;

typedef struct ol_http_options {
    const char *token;  /* bearer token, or NULL; borrowed */
    int stall_seconds;  /* without a byte; 0: 30 */
    bool (*stop)(void *ctx); /* polled while waiting; true gives OLV_CANCELLED; may be NULL */
    void *ctx;
} ol_http_options;

/* What the caller may want to know of an answer. Strings are "" when absent. */
typedef struct ol_http_answer {
    int status;
    uint64_t length; /* UINT64_MAX when not said */
    uint64_t range_first; /* of a partial answer; UINT64_MAX when not said */
    uint64_t linked_size; /* X-Linked-Size; UINT64_MAX when absent */
    int retry_after;      /* seconds; 0 when absent */
    char etag[160], linked_etag[160], commit[80], error_code[64];
} ol_http_answer;

OLV_MUST_USE olv_status ol_http_create(const ol_http_options *o, ol_http **out, olv_error *err);
void ol_http_destroy(ol_http *h); /* NULL accepted */

/* OLV_OK means that an answer came, of whatever status. OLV_IO: none came, or it broke off (worth another try);
 * OLV_TIMEOUT: it stood still. */

/* Headers of URL. Redirects within the host are followed; one to another host is the answer. */
OLV_MUST_USE olv_status ol_http_head(ol_http *h, const char *url, ol_http_answer *a, olv_error *err);
/* A body of at most max bytes into out (emptied first). */
OLV_MUST_USE olv_status ol_http_get(ol_http *h, const char *url, size_t max, ol_buf *out, ol_http_answer *a, olv_error *err);
/* Bytes from `offset` on to a sink, which gets the answer's head with each piece and may refuse (false: OLV_CANCELLED). Bodies of
 * other statuses than 200 and 206 are passed over. */
typedef bool ol_http_sink(void *ctx, const ol_http_answer *a, const void *data, size_t n);
OLV_MUST_USE olv_status ol_http_get_from(ol_http *h, const char *url, uint64_t offset, ol_http_sink *sink, void *ctx,
                                         ol_http_answer *a, olv_error *err);
/* "libcurl/7.88.1 ..."; NULL in builds without it. */
const char *ol_http_library(void);
/* `text` with all but unreserved characters and '/' escaped, appended to out. */
void ol_http_escape(ol_buf *out, const char *text);

#endif
