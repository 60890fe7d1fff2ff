/* SPDX-License-Identifier: Apache-2.0 */
#include "generate/adapters.h"
#include "base/alloc.h"
#include "base/error.h"
#include "base/hash.h"
#include "generate/pipeline.h"
#include "generate/prompt_cache.h"
#include <math.h>
#include <string.h>

void ol_adapters_deinit(ol_adapters *a) {
    for (size_t i = 0; i < a->n_loaded; i++) {
        ol_free(a->loaded[i].name);
        ol_lowrank_release(a->loaded[i].adapter);
    }
    ol_free(a->loaded);
    ol_adapter_sites_destroy(a->sites);
    memset(a, 0, sizeof *a);
}

static size_t index_of(const ol_adapters *a, const char *name) {
    size_t i = 0;
    while (i < a->n_loaded && strcmp(a->loaded[i].name, name)) i++;
    return i;
}

ol_lowrank *ol_adapters_find(const ol_adapters *a, const char *name) {
    size_t i = index_of(a, name);
    return i < a->n_loaded ? a->loaded[i].adapter : NULL;
}

uint64_t ol_adapters_key(const ol_adapters *a) {
    uint64_t h = 0;
    for (int i = 0; i < a->n_uses; i++) {
        h = ol_hash64(&a->uses[i].adapter->key, sizeof(uint64_t), h + 1);
        h = ol_hash64(&a->uses[i].scale, sizeof(float), h);
    }
    return h;
}

olv_status ol_adapters_sequence(const ol_adapters *a, ol_state_pool *pool, ol_sequence **out, olv_error *err) {
    ol_sequence *s;
    OL_TRY(ol_sequence_create(pool, &s, err));
    olv_status st = ol_sequence_set_lowrank(s, a->uses, a->n_uses, err);
    if (st == OLV_OK) *out = s;
    else ol_sequence_destroy(s);
    return st;
}

/* The last part of a path without slashes at its end. */
static char *name_of(const char *path) {
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/') n--;
    size_t from = n;
    while (from > 0 && path[from - 1] != '/') from--;
    char *name = ol_alloc(n - from + 1);
    if (!name) return NULL;
    memcpy(name, path + from, n - from);
    name[n - from] = 0;
    return name;
}

static olv_status bind(const olv_pipeline *p, const char *path, ol_lowrank **out, olv_error *err) {
    ol_peft *peft;
    ol_adapter_options o = {p->cpu, p->precision == OLK_F32};
    OL_TRY(ol_peft_open(path, &peft, err));
    olv_status s = ol_adapter_bind(p->adapters.sites, peft, &o, out, err);
    ol_peft_close(peft);
    return s == OLV_OK ? s : ol_error_at(err, "%s", path);
}

olv_status olv_pipeline_load_adapter(olv_pipeline *p, const char *path, const char *name, olv_error *err) {
    ol_adapters *a = &p->adapters;
    char *own = name_of(name ? name : path);
    if (!own) return ol_fail(err, OLV_NOMEM, "no memory for an adapter");
    olv_status s = OLV_OK;
    if (!*own) s = ol_fail(err, OLV_ARG, "an adapter without a name");
    else if (ol_adapters_find(a, own)) s = ol_fail(err, OLV_ARG, "there is an adapter '%.100s' already", own);
    else if (a->n_loaded == OL_MAX_ADAPTERS) s = ol_fail(err, OLV_LIMIT, "more than %d adapters", OL_MAX_ADAPTERS);
    ol_adapter_entry *more = s == OLV_OK ? ol_realloc(a->loaded, (a->n_loaded + 1) * sizeof *more) : NULL;
    if (s == OLV_OK && !more) s = ol_fail(err, OLV_NOMEM, "no memory for an adapter");
    if (more) a->loaded = more;
    ol_lowrank *adapter = NULL;
    if (s == OLV_OK) s = bind(p, path, &adapter, err);
    if (s != OLV_OK) {
        ol_free(own);
        return s;
    }
    a->loaded[a->n_loaded++] = (ol_adapter_entry){own, adapter};
    return OLV_OK;
}

olv_status olv_pipeline_unload_adapter(olv_pipeline *p, const char *name, olv_error *err) {
    ol_adapters *a = &p->adapters;
    size_t i = index_of(a, name);
    if (i == a->n_loaded) return ol_fail(err, OLV_NOT_FOUND, "there is no adapter '%.100s'", name);
    for (int u = 0; u < a->n_uses; u++)
        if (a->uses[u].adapter == a->loaded[i].adapter)
            return ol_fail(err, OLV_STATE, "the adapter '%.100s' is in use", name);
    ol_free(a->loaded[i].name);
    ol_lowrank_release(a->loaded[i].adapter);
    memmove(&a->loaded[i], &a->loaded[i + 1], (a->n_loaded - i - 1) * sizeof *a->loaded);
    a->n_loaded--;
    return OLV_OK;
}

const char *olv_pipeline_adapter_name(const olv_pipeline *p, size_t i) {
    return i < p->adapters.n_loaded ? p->adapters.loaded[i].name : NULL;
}

static olv_status unknown_name(const ol_adapters *a, const char *name, olv_error *err) {
    ol_buf known = OL_BUF_INIT;
    for (size_t i = 0; i < a->n_loaded; i++) ol_buf_printf(&known, "%s%s", i ? ", " : "", a->loaded[i].name);
    olv_status s = ol_fail(err, OLV_NOT_FOUND, "there is no adapter '%.100s'; loaded: %.300s", name, known.len ? known.data : "none");
    ol_buf_deinit(&known);
    return s;
}

olv_status olv_pipeline_use_adapters(olv_pipeline *p, const olv_adapter_use *uses, size_t n, olv_error *err) {
    ol_adapters *a = &p->adapters, next = *a;
    if (n > OL_MAX_LOWRANK) return ol_fail(err, OLV_LIMIT, "%zu adapters together, expected at most %d", n, OL_MAX_LOWRANK);
    next.n_uses = 0;
    for (size_t i = 0; i < n; i++) {
        ol_lowrank *adapter = ol_adapters_find(a, uses[i].name);
        if (!adapter) return unknown_name(a, uses[i].name, err);
        if (!isfinite(uses[i].scale)) return ol_fail(err, OLV_ARG, "adapter '%.100s': scale is no finite number", uses[i].name);
        if (uses[i].scale != 0) next.uses[next.n_uses++] = (ol_lowrank_use){adapter, (float)uses[i].scale};
    }
    if (ol_adapters_key(&next) != ol_adapters_key(a)) ol_prompt_forget(p); /* its state was computed with others */
    *a = next;
    return OLV_OK;
}
