/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses; and, in builds without libcurl, a client that says so. */
#include "base/error.h"
#include "base/http.h"

void ol_http_escape(ol_buf *out, const char *text) {
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        bool plain = (*p >= '0' && *p <= '9') || (*p >= 'A' && *p <= 'Z') || (*p >= 'a' && *p <= 'z') || strchr("-._~/", *p);
        if (plain) ol_buf_putc(out, (char)*p);
        else ol_buf_printf(out, "%%%02X", *p);
    }
}

#ifndef OLIVINE_HTTP
const char *ol_http_library(void) { return NULL; }
olv_status ol_http_create(const ol_http_options *o, ol_http **out, olv_error *err) {
    (void)o, (void)out;
    return ol_fail(err, OLV_UNSUPPORTED, "this program was built without libcurl and fetches nothing");
}
void ol_http_destroy(ol_http *h) { (void)h; }
olv_status ol_http_head(ol_http *h, const char *url, ol_http_answer *a, olv_error *err) {
    (void)h, (void)url, (void)a;
    return ol_fail(err, OLV_INTERNAL, "no HTTP client");
}
olv_status ol_http_get(ol_http *h, const char *url, size_t max, ol_buf *out, ol_http_answer *a, olv_error *err) {
    (void)h, (void)url, (void)max, (void)out, (void)a;
    return ol_fail(err, OLV_INTERNAL, "no HTTP client");
}
olv_status ol_http_get_from(ol_http *h, const char *url, uint64_t offset, ol_http_sink *sink, void *ctx, ol_http_answer *a,
                            olv_error *err) {
    (void)h, (void)url, (void)offset, (void)sink, (void)ctx, (void)a;
    return ol_fail(err, OLV_INTERNAL, "no HTTP client");
}
#endif
