/* SPDX-License-Identifier: Apache-2.0 */
/* The work of olv_hub_pull: the listing, then the files, several at a time. Each is asked for its etag, size and commit; what lies
 * there already is only linked; the rest is fetched into its .incomplete file, from where that ends, checked and renamed. */
#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/http.h"
#include "bundle/bundle.h"
#include "bundle/hub_place.h"
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS 4
#define MAX_CONNECTIONS 16
#define TRIES 5 /* of a file, without any byte between them */
#define PUBLIC_HUB "https://huggingface.co"

typedef struct pull {
    const char *id, *revision, *endpoint, *token;
    const olv_hub_options *o;
    ol_hub_listing listing;
    ol_hub_place place;
    int stall;
    pthread_mutex_t lock; /* next, done, total, error */
    size_t next;
    uint64_t done, total;
    olv_error error; /* the first */
    atomic_bool stopped;
} pull;

void olv_hub_options_init(olv_hub_options *o) { *o = (olv_hub_options){.struct_size = sizeof *o}; }

const char *olv_hub_client(void) { return ol_http_library(); }

bool olv_hub_is_id(const char *s) {
    int slashes = 0;
    if (!isalnum((unsigned char)*s) || strlen(s) > 200) return false;
    for (const char *p = s; *p; p++) {
        if (*p == '/') slashes++;
        else if (!isalnum((unsigned char)*p) && !strchr("._-", *p)) return false;
    }
    return slashes <= 1 && s[strlen(s) - 1] != '/' && !strstr(s, "..") && !strstr(s, "--");
}

/* ---- requests ---- */

static bool stop(void *ctx) { return atomic_load(&((pull *)ctx)->stopped); }

/* Adds bytes to what is done and tells; a refusal stops all. */
static void tell(pull *p, int64_t bytes) {
    pthread_mutex_lock(&p->lock);
    p->done += (uint64_t)bytes;
    if (p->o->progress && !p->o->progress(p->o->progress_ctx, p->done, p->total)) atomic_store(&p->stopped, true);
    pthread_mutex_unlock(&p->lock);
}

/* What a refusal of the hub means, and what helps. */
static olv_status refused(const pull *p, const ol_http_answer *a, const char *what, olv_error *err) {
    const char *code = a->error_code;
    if (a->status == 401 || a->status == 403)
        return ol_fail(err, OLV_STATE, "%s: the hub refuses access (%d%s%s); %s", what, a->status, *code ? " " : "", code,
                       p->token ? "ask for access on the model's page, or use another token" : "set HF_TOKEN");
    if (a->status == 404 && strcmp(code, "RevisionNotFound") == 0) return ol_fail(err, OLV_NOT_FOUND, "%s: no revision '%.100s'", p->id, p->revision);
    if (a->status == 404) return ol_fail(err, OLV_NOT_FOUND, "%s: the hub has no such %s", what, strcmp(what, p->id) ? "file" : "model");
    return ol_fail(err, OLV_IO, "%s: the hub answers %d", what, a->status);
}

static bool worth_another(olv_status s, const ol_http_answer *a) {
    if (s == OLV_IO || s == OLV_TIMEOUT) return true;
    return s == OLV_OK && (a->status == 429 || a->status == 408 || (a->status >= 500 && a->status != 501));
}

/* Waits before try number n + 1; false when stopped meanwhile. */
static bool pause_after(pull *p, int n, int seconds) {
    int64_t ms = seconds > 0 ? (int64_t)(seconds > 60 ? 60 : seconds) * 1000 : (int64_t)200 << n;
    for (; ms > 0 && !stop(p); ms -= 50) nanosleep(&(struct timespec){0, 50000000}, NULL);
    return !stop(p);
}

static olv_status get_listing(pull *p, ol_http *h, olv_error *err) {
    ol_buf url = OL_BUF_INIT, body = OL_BUF_INIT;
    ol_http_answer a = {0};
    ol_buf_printf(&url, "%s/api/models/", p->endpoint);
    ol_http_escape(&url, p->id);
    ol_buf_puts(&url, "/revision/");
    for (const char *r = p->revision; *r; r++) { /* a slash is part of the name here */
        char one[2] = {*r, 0};
        if (*r == '/') ol_buf_puts(&url, "%2F");
        else ol_http_escape(&url, one);
    }
    ol_buf_puts(&url, "?blobs=true");
    olv_status s = url.failed ? ol_fail(err, OLV_NOMEM, "out of memory") : OLV_OK;
    for (int n = 0; s == OLV_OK; n++) {
        s = ol_http_get(h, url.data, OL_HUB_MAX_LISTING, &body, &a, err);
        if (n + 1 == TRIES || !worth_another(s, &a)) break;
        s = pause_after(p, n, a.retry_after) ? OLV_OK : ol_fail(err, OLV_CANCELLED, "cancelled");
    }
    if (s == OLV_OK && a.status != 200) s = refused(p, &a, p->id, err);
    if (s == OLV_OK && (s = ol_hub_listing_read(body.data ? body.data : "", body.len, &p->listing, err)) != OLV_OK)
        ol_error_at(err, "%s: the hub's answer", p->id);
    ol_buf_deinit(&url);
    ol_buf_deinit(&body);
    return s;
}

/* ---- one file ---- */

typedef struct file_job {
    pull *p;
    ol_http *h;
    const ol_hub_file *f;
    char url[4096];
    char etag[160];
    uint64_t size; /* UINT64_MAX: not known */
    ol_hub_target t;
    int fd;
    uint64_t have; /* bytes of the part, all told */
    bool broken;   /* the disk, or an answer that does not fit: see error */
    olv_error error;
} file_job;

/* "W/\"abc\"" → abc; only what can be a file's name. */
static bool clean_etag(const char *in, char *out, size_t size) {
    if (strncmp(in, "W/", 2) == 0) in += 2;
    if (*in == '"') in++;
    size_t n = strcspn(in, "\"");
    if (n == 0 || n >= size || n > 128) return false;
    for (size_t i = 0; i < n; i++)
        if (!isalnum((unsigned char)in[i]) && !strchr("._-", in[i])) return false;
    memcpy(out, in, n);
    out[n] = 0;
    return out[0] != '.';
}

static olv_status ask(file_job *j, olv_error *err) {
    ol_http_answer a = {0};
    olv_status s = OLV_OK;
    for (int n = 0;; n++) {
        s = ol_http_head(j->h, j->url, &a, err);
        if (n + 1 == TRIES || !worth_another(s, &a)) break;
        if (!pause_after(j->p, n, a.retry_after)) return ol_fail(err, OLV_CANCELLED, "cancelled");
    }
    OL_TRY(s);
    if (a.status >= 400 || a.status < 200) return refused(j->p, &a, j->f->path, err);
    if (!clean_etag(a.linked_etag[0] ? a.linked_etag : a.etag, j->etag, sizeof j->etag))
        return ol_fail(err, OLV_FORMAT, "%s: the hub gives no usable ETag ('%.80s')", j->f->path, a.linked_etag[0] ? a.linked_etag : a.etag);
    if (a.commit[0] && strcmp(a.commit, j->p->listing.commit))
        return ol_fail(err, OLV_FORMAT, "%s: found commit '%.80s', expected %s", j->f->path, a.commit, j->p->listing.commit);
    j->size = a.linked_size != UINT64_MAX ? a.linked_size : a.status < 300 && a.length != UINT64_MAX ? a.length : j->f->size;
    return OLV_OK;
}

static void fail_io(file_job *j, const char *what) {
    j->broken = true;
    ol_fail_errno(&j->error, "%s: %s", j->t.part, what);
}

/* An answer without the wanted range begins anew. */
static bool begin_anew(file_job *j) {
    if (ftruncate(j->fd, 0) != 0 || lseek(j->fd, 0, SEEK_SET) < 0) return fail_io(j, "cannot begin anew"), false;
    tell(j->p, -(int64_t)j->have);
    j->have = 0;
    return true;
}

/* Where an answer begins is looked at once, with its first bytes. */
typedef struct stream {
    file_job *j;
    bool begun;
} stream;

static bool right_place(file_job *j, const ol_http_answer *a) {
    uint64_t first = a->status == 206 ? a->range_first : 0;
    if (first == j->have) return true;
    if (first == 0) return begin_anew(j);
    j->broken = true;
    ol_fail(&j->error, OLV_FORMAT, "%s: the hub sends bytes from %llu on, asked for %llu", j->f->path, (unsigned long long)first,
            (unsigned long long)j->have);
    return false;
}

static bool take(void *ctx, const ol_http_answer *a, const void *data, size_t n) {
    stream *s = ctx;
    file_job *j = s->j;
    if (!s->begun && !right_place(j, a)) return false;
    s->begun = true;
    if (j->size != UINT64_MAX && n > j->size - j->have) {
        j->broken = true;
        ol_fail(&j->error, OLV_FORMAT, "%s: the hub sends more than the %llu bytes that it names", j->f->path, (unsigned long long)j->size);
        return false;
    }
    for (const char *p = data; n;) {
        ssize_t w = write(j->fd, p, n);
        if (w < 0 && errno == EINTR) continue;
        if (w <= 0) return fail_io(j, "cannot write"), false;
        p += w, n -= (size_t)w, j->have += (uint64_t)w;
        tell(j->p, w);
    }
    return !stop(j->p);
}

static bool is_sha256(const char *etag) { return strlen(etag) == 64 && strspn(etag, "0123456789abcdef") == 64; }

static olv_status check(file_job *j, olv_error *err) {
    if (j->size != UINT64_MAX && j->have != j->size)
        return ol_fail(err, OLV_IO, "%s: %llu bytes came, expected %llu", j->f->path, (unsigned long long)j->have, (unsigned long long)j->size);
    if (!is_sha256(j->etag)) return OLV_OK;
    ol_file *f;
    ol_sha256 sha;
    char hex[65];
    OL_TRY(ol_file_open(j->t.part, &f, err));
    ol_sha256_init(&sha);
    for (uint64_t at = 0, n; at < f->size && !stop(j->p); at += n) {
        n = f->size - at < (16u << 20) ? f->size - at : 16u << 20;
        ol_sha256_update(&sha, f->data + at, (size_t)n);
        ol_file_drop_pages(f, f->data + at, (size_t)n);
    }
    ol_sha256_hex(&sha, hex);
    ol_file_release(f);
    if (stop(j->p)) return ol_fail(err, OLV_CANCELLED, "cancelled");
    if (strcmp(hex, j->etag) == 0) return OLV_OK;
    unlink(j->t.part); /* nothing in it can be trusted */
    return ol_fail(err, OLV_FORMAT, "%s: wrong checksum: found SHA-256 %.12s..., expected %.12s...; fetch it again", j->f->path, hex, j->etag);
}

/* The part as it lies there, from its end on, until it is whole. Tries that bring bytes count as none. */
static olv_status fetch_rest(file_job *j, olv_error *err) {
    for (int n = 0;;) {
        ol_http_answer a = {0};
        stream st = {j, false};
        uint64_t before = j->have;
        if (j->size != UINT64_MAX && j->have == j->size) return OLV_OK;
        olv_status s = ol_http_get_from(j->h, j->url, j->have, take, &st, &a, err);
        if (j->broken) {
            if (err) *err = j->error;
            return j->error.status;
        }
        if (stop(j->p)) return ol_fail(err, OLV_CANCELLED, "cancelled");
        if (s == OLV_OK && a.status == 416 && j->have) { /* longer than the file: not a part of it */
            if (!begin_anew(j)) return j->error.status;
            s = OLV_IO;
        }
        if (s == OLV_OK && (a.status == 200 || a.status == 206)) {
            if (j->size == UINT64_MAX || j->have == j->size) return OLV_OK;
            s = ol_fail(err, OLV_IO, "%s: %llu bytes came, expected %llu", j->f->path, (unsigned long long)j->have, (unsigned long long)j->size);
        }
        n = j->have > before ? 0 : n + 1;
        if (n == TRIES || !worth_another(s, &a)) return s == OLV_OK ? refused(j->p, &a, j->f->path, err) : s;
        if (!pause_after(j->p, n, a.retry_after)) return ol_fail(err, OLV_CANCELLED, "cancelled");
    }
}

static olv_status fetch_part(file_job *j, olv_error *err) {
    struct stat st;
    j->fd = open(j->t.part, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (j->fd < 0 || fstat(j->fd, &st) != 0) return ol_fail_errno(err, "%s", j->t.part);
    j->have = (uint64_t)st.st_size;
    if (j->p->o->force || (j->size != UINT64_MAX && j->have > j->size)) {
        if (ftruncate(j->fd, 0) != 0) return ol_fail_errno(err, "%s", j->t.part);
        j->have = 0;
    }
    if (lseek(j->fd, 0, SEEK_END) < 0) return ol_fail_errno(err, "%s", j->t.part);
    tell(j->p, (int64_t)j->have);
    OL_TRY(fetch_rest(j, err));
    if (fsync(j->fd) != 0) return ol_fail_errno(err, "%s", j->t.part);
    OL_TRY(check(j, err));
    return ol_hub_target_finish(&j->t, &j->p->place, j->f->path, j->p->listing.commit, j->etag, err);
}

/* Waits for another process that fetches the same file. */
static olv_status lock_file(file_job *j, int *fd, olv_error *err) {
    *fd = open(j->t.lock, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (*fd < 0) return ol_fail_errno(err, "%s", j->t.lock);
    while (flock(*fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR) return OLV_OK; /* a file system without locks */
        if (stop(j->p)) return ol_fail(err, OLV_CANCELLED, "cancelled");
        nanosleep(&(struct timespec){0, 50000000}, NULL);
    }
    return OLV_OK;
}

static olv_status fetch_locked(file_job *j, olv_error *err) {
    const pull *p = j->p;
    if (p->o->force || !ol_hub_target_there(&j->t, &p->place, j->f->path, p->listing.commit, j->etag, j->size)) {
        olv_status s = fetch_part(j, err);
        if (j->fd >= 0) close(j->fd);
        return s;
    }
    if (j->size != UINT64_MAX) tell(j->p, (int64_t)j->size);
    return ol_hub_target_link(&j->t, &p->place, j->f->path, j->etag, err);
}

static olv_status fetch_file(pull *p, ol_http *h, const ol_hub_file *f, olv_error *err) {
    file_job j = {.p = p, .h = h, .f = f, .fd = -1};
    int lock = -1;
    ol_buf url = OL_BUF_INIT;
    ol_buf_printf(&url, "%s/", p->endpoint);
    ol_http_escape(&url, p->id);
    ol_buf_printf(&url, "/resolve/%s/", p->listing.commit);
    ol_http_escape(&url, f->path);
    bool fits = !url.failed && url.len < sizeof j.url;
    if (fits) memcpy(j.url, url.data, url.len + 1);
    ol_buf_deinit(&url);
    if (!fits) return ol_fail(err, OLV_LIMIT, "%.200s: the address is too long", f->path);
    OL_TRY(ask(&j, err));
    if (f->size == UINT64_MAX && j.size != UINT64_MAX) { /* the listing did not say it */
        pthread_mutex_lock(&p->lock);
        p->total += j.size;
        pthread_mutex_unlock(&p->lock);
    }
    OL_TRY(ol_hub_target_init(&j.t, &p->place, f->path, j.etag, err));
    olv_status s = lock_file(&j, &lock, err);
    if (s == OLV_OK) s = fetch_locked(&j, err);
    if (lock >= 0) close(lock);
    return s;
}

/* ---- all files ---- */

static void latch(pull *p, const olv_error *e) {
    pthread_mutex_lock(&p->lock);
    if (p->error.status == OLV_OK) p->error = *e;
    pthread_mutex_unlock(&p->lock);
    atomic_store(&p->stopped, true);
}

static const ol_hub_file *next_file(pull *p) {
    const ol_hub_file *f = NULL;
    pthread_mutex_lock(&p->lock);
    while (!f && p->next < p->listing.n_files) {
        if (p->listing.files[p->next].wanted) f = &p->listing.files[p->next];
        p->next++;
    }
    pthread_mutex_unlock(&p->lock);
    return f;
}

static void *work(void *ctx) {
    pull *p = ctx;
    ol_http *h = NULL;
    olv_error e = {.status = OLV_OK};
    const ol_hub_file *f;
    olv_status s = ol_http_create(&(ol_http_options){p->token, p->stall, stop, p}, &h, &e);
    while (s == OLV_OK && !stop(p) && (f = next_file(p))) s = fetch_file(p, h, f, &e);
    if (s != OLV_OK) latch(p, &e);
    ol_http_destroy(h);
    return NULL;
}

static olv_status fetch_all(pull *p, olv_error *err) {
    pthread_t threads[MAX_CONNECTIONS];
    int n = 0, most = p->o->connections > 0 ? p->o->connections : CONNECTIONS;
    if (most > MAX_CONNECTIONS) most = MAX_CONNECTIONS;
    for (size_t i = 0; i < p->listing.n_files; i++)
        if (p->listing.files[i].wanted && p->listing.files[i].size != UINT64_MAX) p->total += p->listing.files[i].size;
    while (n + 1 < most && pthread_create(&threads[n], NULL, work, p) == 0) n++;
    work(p);
    for (int i = 0; i < n; i++) pthread_join(threads[i], NULL);
    if (p->error.status == OLV_OK && stop(p)) return ol_fail(err, OLV_CANCELLED, "cancelled");
    if (err && p->error.status != OLV_OK) *err = p->error;
    return p->error.status;
}

/* ---- settings ---- */

/* $HF_TOKEN, else the file of the hub's client. "" when there is none. */
static void find_token(char *out, size_t size) {
    static const char *const names[] = {"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"};
    char path[2300], *text = NULL;
    size_t n;
    *out = 0;
    for (size_t i = 0; i < 2 && !*out; i++)
        if (getenv(names[i]) && snprintf(out, size, "%s", getenv(names[i])) >= (int)size) *out = 0;
    if (*out) return;
    const char *file = getenv("HF_TOKEN_PATH"), *home = getenv("HF_HOME"), *user = getenv("HOME");
    if (file) snprintf(path, sizeof path, "%.2000s", file);
    else if (home) snprintf(path, sizeof path, "%.2000s/token", home);
    else snprintf(path, sizeof path, "%.2000s/.cache/huggingface/token", user ? user : "");
    if (ol_file_read(path, 1000, &text, &n, NULL) != OLV_OK) return;
    text[strcspn(text, "\r\n \t")] = 0;
    if (snprintf(out, size, "%s", text) >= (int)size) *out = 0;
    ol_free(text);
}

static bool is_on(const char *name) {
    const char *v = getenv(name);
    return v && *v && strcmp(v, "0") && strcasecmp(v, "false") && strcasecmp(v, "no") && strcasecmp(v, "off");
}

static olv_status pull_online(pull *p, olv_error *err) {
    ol_http *h;
    OL_TRY(ol_http_create(&(ol_http_options){p->token, p->stall, stop, p}, &h, err));
    olv_status s = get_listing(p, h, err);
    ol_http_destroy(h);
    OL_TRY(s);
    OL_TRY(ol_hub_listing_choose(&p->listing, p->o, err));
    OL_TRY(ol_hub_place_commit(&p->place, p->listing.commit, p->revision, err));
    return fetch_all(p, err);
}

olv_status olv_hub_pull(const char *id, const olv_hub_options *o, char **path, olv_error *err) {
    char token[1024], endpoint[1024];
    const char *given = o->endpoint ? o->endpoint : getenv("HF_ENDPOINT"), *stall = getenv("HF_HUB_DOWNLOAD_TIMEOUT");
    if (!olv_hub_is_id(id)) return ol_fail(err, OLV_ARG, "'%.200s' is no model id, expected org/name", id);
    if (snprintf(endpoint, sizeof endpoint, "%s", given && *given ? given : PUBLIC_HUB) >= (int)sizeof endpoint)
        return ol_fail(err, OLV_ARG, "the address of the hub is too long");
    while (*endpoint && endpoint[strlen(endpoint) - 1] == '/') endpoint[strlen(endpoint) - 1] = 0;
    find_token(token, sizeof token);
    pull p = {.id = id, .revision = o->revision ? o->revision : "main", .endpoint = endpoint, .o = o, .stall = stall ? atoi(stall) : 0};
    p.token = o->token ? o->token : *token ? token : NULL;
    OL_TRY(ol_hub_place_init(&p.place, id, o->cache_dir, o->local_dir, err));
    if (o->offline || is_on("HF_HUB_OFFLINE")) {
        if (!o->local_dir) return ol_bundle_hub_find(id, o->cache_dir, p.revision, path, err);
        return ol_fail(err, OLV_ARG, "offline, and a local folder: nothing can be fetched into it");
    }
    pthread_mutex_init(&p.lock, NULL);
    olv_status s = pull_online(&p, err);
    pthread_mutex_destroy(&p.lock);
    ol_hub_listing_deinit(&p.listing);
    if (s != OLV_OK) return s;
    size_t n = strlen(p.place.snapshot) + 1;
    char *copy = ol_alloc(n);
    if (!copy) return ol_fail(err, OLV_NOMEM, "out of memory");
    memcpy(copy, p.place.snapshot, n);
    *path = copy;
    return OLV_OK;
}
