/* SPDX-License-Identifier: Apache-2.0 */
#include "bundle/hub_place.h"
#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "bundle/bundle.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define NOTES ".cache/huggingface/download"

static olv_status too_long(olv_error *err) { return ol_fail(err, OLV_LIMIT, "a path is too long"); }

#define PRINT(out, ...) (snprintf(out, sizeof out, __VA_ARGS__) < (int)sizeof out)

olv_status ol_hub_place_init(ol_hub_place *p, const char *id, const char *cache_dir, const char *local, olv_error *err) {
    char root[2048], name[256];
    *p = (ol_hub_place){.local = local};
    if (local) return PRINT(p->snapshot, "%s", local) ? OLV_OK : too_long(err);
    if (cache_dir) {
        if (!PRINT(root, "%s", cache_dir)) return too_long(err);
    } else if (!ol_bundle_hub_cache(root, sizeof root)) {
        return ol_fail(err, OLV_NOT_FOUND, "no cache folder is known: HOME is not set");
    }
    const char *slash = strchr(id, '/');
    bool ok = slash ? PRINT(name, "models--%.*s--%s", (int)(slash - id), id, slash + 1) : PRINT(name, "models--%s", id);
    return ok && PRINT(p->repo, "%s/%s", root, name) && PRINT(p->locks, "%s/.locks/%s", root, name) ? OLV_OK : too_long(err);
}

/* The folder of a file. */
static olv_status make_parent(const char *path, olv_error *err) {
    char dir[4800];
    const char *name = ol_path_name(path);
    if (name == path) return OLV_OK;
    snprintf(dir, sizeof dir, "%.*s", (int)(name - path - 1), path);
    return ol_dir_create(dir, err);
}

olv_status ol_hub_place_commit(ol_hub_place *p, const char *commit, const char *revision, olv_error *err) {
    char path[4096];
    if (p->local) return ol_dir_create(p->local, err);
    if (!PRINT(p->snapshot, "%s/snapshots/%s", p->repo, commit) || !PRINT(path, "%s/blobs", p->repo)) return too_long(err);
    OL_TRY(ol_dir_create(path, err));
    OL_TRY(ol_dir_create(p->locks, err));
    OL_TRY(ol_dir_create(p->snapshot, err));
    if (strcmp(revision, commit) == 0 || !ol_hub_path_ok(revision)) return OLV_OK;
    if (!PRINT(path, "%s/refs/%s", p->repo, revision)) return too_long(err);
    OL_TRY(make_parent(path, err));
    return ol_file_write_atomic(path, commit, strlen(commit), err);
}

olv_status ol_hub_target_init(ol_hub_target *t, const ol_hub_place *p, const char *path, const char *etag, olv_error *err) {
    bool ok;
    if (p->local)
        ok = PRINT(t->final, "%s/%s", p->local, path) && PRINT(t->shown, "%s/%s", p->local, path) &&
             PRINT(t->part, "%s/" NOTES "/%s.%s.incomplete", p->local, path, etag) &&
             PRINT(t->lock, "%s/" NOTES "/%s.lock", p->local, path);
    else
        ok = PRINT(t->final, "%s/blobs/%s", p->repo, etag) && PRINT(t->part, "%s/blobs/%s.incomplete", p->repo, etag) &&
             PRINT(t->lock, "%s/%s.lock", p->locks, etag) && PRINT(t->shown, "%s/%s", p->snapshot, path);
    if (!ok) return too_long(err);
    OL_TRY(make_parent(t->part, err));
    return make_parent(t->shown, err);
}

/* ---- notes of a local folder: commit, etag, time, a line each ---- */

static bool note_path(char *out, size_t size, const ol_hub_place *p, const char *path) {
    return snprintf(out, size, "%s/" NOTES "/%s.metadata", p->local, path) < (int)size;
}

static bool note_says(const ol_hub_place *p, const char *path, const char *etag) {
    char name[4800], *text;
    size_t n;
    if (!note_path(name, sizeof name, p, path) || ol_file_read(name, 4096, &text, &n, NULL) != OLV_OK) return false;
    char *second = strchr(text, '\n');
    if (second) second[1 + strcspn(second + 1, "\r\n")] = 0;
    bool same = second && strcmp(second + 1, etag) == 0;
    ol_free(text);
    return same;
}

static olv_status write_note(const ol_hub_place *p, const char *path, const char *commit, const char *etag, olv_error *err) {
    char name[4800], text[512];
    if (!note_path(name, sizeof name, p, path)) return too_long(err);
    int n = snprintf(text, sizeof text, "%s\n%s\n%lld\n", commit, etag, (long long)time(NULL));
    return ol_file_write_atomic(name, text, (size_t)n, err);
}

/* ---- */

bool ol_hub_target_there(const ol_hub_target *t, const ol_hub_place *p, const char *path, const char *commit, const char *etag,
                         uint64_t size) {
    struct stat st;
    (void)commit;
    if (stat(t->final, &st) != 0 || !S_ISREG(st.st_mode)) return false;
    if (size != UINT64_MAX && (uint64_t)st.st_size != size) return false;
    return !p->local || note_says(p, path, etag);
}

olv_status ol_hub_target_link(const ol_hub_target *t, const ol_hub_place *p, const char *path, const char *etag, olv_error *err) {
    char to[4096] = "", found[4096];
    size_t at = 0;
    if (p->local) return OLV_OK;
    for (const char *s = path; s; s = strchr(s + 1, '/')) at += (size_t)snprintf(to + at, sizeof to - at, "../");
    at += (size_t)snprintf(to + at, sizeof to - at, "../blobs/%s", etag);
    ssize_t n = readlink(t->shown, found, sizeof found - 1);
    if (n == (ssize_t)at && memcmp(found, to, at) == 0) return OLV_OK;
    if (n >= 0 || ol_file_exists(t->shown)) unlink(t->shown);
    if (symlink(to, t->shown) == 0) return OLV_OK;
    if (errno == EEXIST) return OLV_OK; /* another process was first */
    return ol_fail_errno(err, "%s", t->shown);
}

olv_status ol_hub_target_finish(const ol_hub_target *t, const ol_hub_place *p, const char *path, const char *commit,
                                const char *etag, olv_error *err) {
    if (rename(t->part, t->final) != 0) return ol_fail_errno(err, "%s", t->final);
    if (p->local) return write_note(p, path, commit, etag, err);
    return ol_hub_target_link(t, p, path, etag, err);
}
