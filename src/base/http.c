/* SPDX-License-Identifier: Apache-2.0 */
#include "base/http.h"
#ifdef OLIVINE_HTTP
#include "base/alloc.h"
#include "base/error.h"
#include <curl/curl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define CONNECT_SECONDS 20L
#define STALL_SECONDS 30
#define MAX_REDIRECTS 8

struct ol_http {
    CURL *curl;
    struct curl_slist *headers; /* with the token */
    ol_http_options o;
    char text[CURL_ERROR_SIZE];
    /* of the present request */
    ol_http_answer *answer;
    ol_buf *body;
    ol_http_sink *sink;
    void *sink_ctx;
    char location[2048];
    bool refused;
};

/* ---- headers ---- */

static void copy_value(char *out, size_t size, const char *v, size_t n) {
    if (n < size) memcpy(out, v, n), out[n] = 0;
}

static uint64_t number(const char *v, size_t n) {
    char text[32] = "";
    char *end;
    copy_value(text, sizeof text, v, n);
    if (text[0] < '0' || text[0] > '9') return UINT64_MAX;
    unsigned long long x = strtoull(text, &end, 10);
    return *end ? UINT64_MAX : x;
}

/* "bytes 100-199/200" */
static uint64_t range_first(const char *v, size_t n) {
    char text[64] = "";
    unsigned long long first;
    copy_value(text, sizeof text, v, n);
    return sscanf(text, "bytes %llu-", &first) == 1 ? first : UINT64_MAX;
}

static void start_answer(ol_http_answer *a) {
    *a = (ol_http_answer){.length = UINT64_MAX, .range_first = UINT64_MAX, .linked_size = UINT64_MAX};
}

/* A status line begins the next answer of a chain. What a hub says of the file itself stays from the first that says it: the
 * host behind a redirect knows only its own names. */
static void status_line(ol_http_answer *a, const char *line) {
    ol_http_answer before = *a;
    const char *space = strchr(line, ' ');
    start_answer(a);
    a->status = space ? atoi(space + 1) : 0;
    a->linked_size = before.linked_size;
    memcpy(a->linked_etag, before.linked_etag, sizeof a->linked_etag);
    memcpy(a->commit, before.commit, sizeof a->commit);
    if (!a->linked_etag[0] && before.status >= 300 && before.status < 400 && before.etag[0])
        memcpy(a->linked_etag, before.etag, sizeof a->linked_etag);
}

static size_t on_header(char *p, size_t one, size_t n, void *ctx) {
    ol_http *h = ctx;
    ol_http_answer *a = h->answer;
    char line[4096];
    size_t all = one * n, len = all < sizeof line ? all : sizeof line - 1;
    memcpy(line, p, len);
    line[len] = 0;
    if (strncmp(line, "HTTP/", 5) == 0) return status_line(a, line), all;
    char *colon = strchr(line, ':');
    if (!colon) return all;
    *colon = 0;
    const char *v = colon + 1;
    v += strspn(v, " \t");
    size_t vn = strcspn(v, "\r\n");
    while (vn && (v[vn - 1] == ' ' || v[vn - 1] == '\t')) vn--;
    if (!strcasecmp(line, "content-length")) a->length = number(v, vn);
    else if (!strcasecmp(line, "content-range")) a->range_first = range_first(v, vn);
    else if (!strcasecmp(line, "x-linked-size")) a->linked_size = number(v, vn);
    else if (!strcasecmp(line, "x-linked-etag")) copy_value(a->linked_etag, sizeof a->linked_etag, v, vn);
    else if (!strcasecmp(line, "etag")) copy_value(a->etag, sizeof a->etag, v, vn);
    else if (!strcasecmp(line, "x-repo-commit")) copy_value(a->commit, sizeof a->commit, v, vn);
    else if (!strcasecmp(line, "x-error-code")) copy_value(a->error_code, sizeof a->error_code, v, vn);
    else if (!strcasecmp(line, "retry-after")) a->retry_after = (int)(number(v, vn) > 3600 ? 0 : number(v, vn));
    else if (!strcasecmp(line, "location")) copy_value(h->location, sizeof h->location, v, vn);
    return all;
}

/* ---- transfers ---- */

static size_t on_body(char *p, size_t one, size_t n, void *ctx) {
    ol_http *h = ctx;
    size_t len = one * n;
    int s = h->answer->status;
    if (h->body) {
        ol_buf_append(h->body, p, len);
        h->refused = h->body->failed;
    } else if (h->sink && (s == 200 || s == 206)) {
        h->refused = !h->sink(h->sink_ctx, h->answer, p, len);
    }
    return h->refused ? 0 : len;
}

static int on_progress(void *ctx, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d) {
    const ol_http *h = ctx;
    (void)a, (void)b, (void)c, (void)d;
    return h->o.stop && h->o.stop(h->o.ctx);
}

static pthread_once_t once = PTHREAD_ONCE_INIT;
static void start_curl(void) { curl_global_init(CURL_GLOBAL_DEFAULT); }

static bool set_up(ol_http *h) {
    CURL *c = h->curl;
    long stall = h->o.stall_seconds > 0 ? h->o.stall_seconds : STALL_SECONDS;
    CURLcode s = curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    s |= curl_easy_setopt(c, CURLOPT_USERAGENT, "olivine");
    s |= curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    s |= curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    s |= curl_easy_setopt(c, CURLOPT_MAXREDIRS, (long)MAX_REDIRECTS);
    s |= curl_easy_setopt(c, CURLOPT_UNRESTRICTED_AUTH, 0L);
    s |= curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, CONNECT_SECONDS);
    s |= curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1L);
    s |= curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, stall);
    s |= curl_easy_setopt(c, CURLOPT_ERRORBUFFER, h->text);
    s |= curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
    s |= curl_easy_setopt(c, CURLOPT_HEADERDATA, h);
    s |= curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
    s |= curl_easy_setopt(c, CURLOPT_WRITEDATA, h);
    s |= curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
    s |= curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress);
    s |= curl_easy_setopt(c, CURLOPT_XFERINFODATA, h);
    s |= curl_easy_setopt(c, CURLOPT_HTTPHEADER, h->headers);
    return s == CURLE_OK;
}

const char *ol_http_library(void) { return curl_version(); }

olv_status ol_http_create(const ol_http_options *o, ol_http **out, olv_error *err) {
    pthread_once(&once, start_curl);
    ol_http *h = ol_calloc(1, sizeof *h);
    if (!h) return ol_fail(err, OLV_NOMEM, "out of memory");
    h->o = *o;
    h->curl = curl_easy_init();
    bool ok = h->curl != NULL;
    if (ok && o->token && *o->token) { /* libcurl keeps this header from other hosts that a redirect leads to */
        char line[1100];
        bool fits = snprintf(line, sizeof line, "Authorization: Bearer %s", o->token) < (int)sizeof line && !strpbrk(o->token, "\r\n");
        if (!fits) {
            ol_http_destroy(h);
            return ol_fail(err, OLV_ARG, "the token for the model hub is malformed");
        }
        ok = (h->headers = curl_slist_append(NULL, line)) != NULL;
    }
    if (!ok || !set_up(h)) {
        ol_http_destroy(h);
        return ol_fail(err, OLV_NOMEM, "no HTTP client");
    }
    *out = h;
    return OLV_OK;
}

void ol_http_destroy(ol_http *h) {
    if (!h) return;
    if (h->curl) curl_easy_cleanup(h->curl);
    curl_slist_free_all(h->headers);
    ol_free(h);
}

static olv_status perform(ol_http *h, const char *url, bool head, bool follow, uint64_t offset, ol_http_answer *a, olv_error *err) {
    char range[32] = "";
    start_answer(a);
    h->answer = a;
    h->text[0] = h->location[0] = 0;
    h->refused = false;
    if (offset) snprintf(range, sizeof range, "%llu-", (unsigned long long)offset);
    CURLcode s = curl_easy_setopt(h->curl, CURLOPT_URL, url);
    s |= curl_easy_setopt(h->curl, CURLOPT_NOBODY, head ? 1L : 0L);
    if (!head) s |= curl_easy_setopt(h->curl, CURLOPT_HTTPGET, 1L);
    s |= curl_easy_setopt(h->curl, CURLOPT_FOLLOWLOCATION, follow ? 1L : 0L);
    s |= curl_easy_setopt(h->curl, CURLOPT_RANGE, offset ? range : NULL);
    if (s == CURLE_OK) s = curl_easy_perform(h->curl);
    if (s == CURLE_OK) return OLV_OK;
    const char *why = h->text[0] ? h->text : curl_easy_strerror(s);
    if (s == CURLE_ABORTED_BY_CALLBACK || h->refused) return ol_fail(err, OLV_CANCELLED, "cancelled");
    if (s == CURLE_OUT_OF_MEMORY) return ol_fail(err, OLV_NOMEM, "out of memory");
    if (s == CURLE_URL_MALFORMAT || s == CURLE_UNSUPPORTED_PROTOCOL) return ol_fail(err, OLV_ARG, "%.300s: %s", url, why);
    return ol_fail(err, s == CURLE_OPERATION_TIMEDOUT ? OLV_TIMEOUT : OLV_IO, "%.300s: %s", url, why);
}

/* Absolute form of a redirect that stays on the host of url; false when it leads elsewhere. */
static bool same_host(const char *url, const char *location, char *out, size_t size) {
    const char *host = strstr(url, "://");
    size_t n = host ? (size_t)(host + 3 - url) + strcspn(host + 3, "/?") : 0;
    if (!n || !*location) return false;
    if (*location == '/' && location[1] != '/') return snprintf(out, size, "%.*s%s", (int)n, url, location) < (int)size;
    bool same = strncmp(location, url, n) == 0 && (location[n] == '/' || location[n] == '?' || !location[n]);
    return same && snprintf(out, size, "%s", location) < (int)size;
}

olv_status ol_http_head(ol_http *h, const char *url, ol_http_answer *a, olv_error *err) {
    char at[4096], next[4096];
    h->body = NULL;
    h->sink = NULL;
    if (snprintf(at, sizeof at, "%s", url) >= (int)sizeof at) return ol_fail(err, OLV_LIMIT, "an address of %zu bytes is too long", strlen(url));
    for (int i = 0; i <= MAX_REDIRECTS; i++) {
        OL_TRY(perform(h, at, true, false, 0, a, err));
        if (a->status < 300 || a->status >= 400 || !same_host(at, h->location, next, sizeof next)) return OLV_OK;
        memcpy(at, next, sizeof at);
    }
    return ol_fail(err, OLV_IO, "%.300s: more than %d redirects", url, MAX_REDIRECTS);
}

olv_status ol_http_get(ol_http *h, const char *url, size_t max, ol_buf *out, ol_http_answer *a, olv_error *err) {
    ol_buf_clear(out);
    out->max = max;
    h->body = out;
    olv_status s = perform(h, url, false, true, 0, a, err);
    h->body = NULL;
    if (s != OLV_OK && out->failed) return ol_fail(err, OLV_LIMIT, "%.300s: the answer is longer than %zu bytes", url, max);
    return s;
}

olv_status ol_http_get_from(ol_http *h, const char *url, uint64_t offset, ol_http_sink *sink, void *ctx, ol_http_answer *a,
                            olv_error *err) {
    h->body = NULL;
    h->sink = sink;
    h->sink_ctx = ctx;
    return perform(h, url, false, true, offset, a, err);
}

#endif
