/* SPDX-License-Identifier: Apache-2.0 */
#include "generate/prompt_cache.h"
#include "base/alloc.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include <string.h>

#define MAGIC 0x31706d6f72706c6full /* "olpromp1" */

static bool can_keep(const olv_pipeline *p) { return !p->rope_switch && !p->dynamic_length; }

/* Recurrent states are of use whole or not at all. What is kept of a prompt then is a copy of the sequence as it was before
 * the last token, so that the same prompt and every longer one can begin with it. */
static bool goes_back(const olv_pipeline *p) { return !ol_plan_states(p->plan)->fixed_floats; }

void ol_prompt_forget(olv_pipeline *p) {
    ol_sequence_destroy(p->kept);
    p->kept = NULL;
    ol_buf_deinit(&p->kept_ids);
    p->kept_file = 0;
}

/* ---- the file ---------------------------------------------------------------------------------------- */

/* What the numbers of a state depend on: settings, processor features, and the weights by a sample of each. */
static olv_status fingerprint(const olv_pipeline *p, uint64_t *key, olv_error *err) {
    const ol_graph *g = ol_plan_graph(p->plan);
    uint64_t h = 0, head[] = {(uint64_t)p->vocab_size, (uint64_t)p->context_length, (uint64_t)p->precision, (uint64_t)p->kv_dtype,
                              p->cpu, (uint64_t)g->n_nodes, ol_adapters_key(&p->adapters)};
    h = ol_hash64(head, sizeof head, h);
    for (int i = 0; i < g->n_values; i++) {
        const ol_const *c = g->values[i] ? g->values[i]->constant : NULL;
        if (!c) continue;
        int64_t shape[2] = {ol_const_rows(c), ol_const_width(c)};
        h = ol_hash64(shape, sizeof shape, h);
        if (shape[0] < 1 || shape[1] < 1 || shape[1] > (1 << 24)) continue;
        float *row = ol_alloc((size_t)shape[1] * sizeof *row);
        if (!row) return ol_fail(err, OLV_NOMEM, "no memory for a row of weights");
        if (ol_const_rows_f32(c, shape[0] / 2, 1, row, NULL) == OLV_OK) h = ol_hash64(row, (size_t)shape[1] * sizeof *row, h);
        ol_free(row);
    }
    *key = h;
    return OLV_OK;
}

static olv_status save(const ol_loop *l, const char *path, olv_error *err) {
    bool whole = goes_back(l->p);
    int64_t n = whole ? l->n_prompt : l->n_prompt - 1;
    uint64_t head[3] = {MAGIC, 0, (uint64_t)n};
    ol_buf b = OL_BUF_INIT;
    b.max = SIZE_MAX / 2;
    OL_TRY(fingerprint(l->p, &head[1], err));
    ol_buf_append(&b, head, sizeof head);
    ol_buf_append(&b, ol_loop_ids(l), (size_t)n * sizeof(int64_t));
    olv_status s = ol_sequence_save(whole ? l->seq : l->p->kept, &b, err);
    if (s == OLV_OK) s = ol_file_write_atomic(path, b.data, b.len, err);
    ol_buf_deinit(&b);
    return s;
}

static olv_status read_ids(olv_pipeline *p, ol_bytes *r, olv_error *err) {
    uint64_t magic = ol_bytes_u64(r), key = ol_bytes_u64(r), n = ol_bytes_u64(r), mine;
    if (r->failed || magic != MAGIC) return ol_fail(err, OLV_FORMAT, "not a saved prompt");
    OL_TRY(fingerprint(p, &mine, err));
    if (key != mine)
        return ol_fail(err, OLV_FORMAT, "the saved prompt belongs to another model, adapter, precision, cache type or processor");
    if (n < 1 || n > (uint64_t)p->context_length || n > ol_bytes_left(r) / sizeof(int64_t))
        return ol_fail(err, OLV_FORMAT, "the saved prompt claims %llu tokens", (unsigned long long)n);
    for (uint64_t i = 0; i < n; i++) {
        int64_t id = (int64_t)ol_bytes_u64(r);
        if (id < 0 || id >= p->vocab_size)
            return ol_fail(err, OLV_FORMAT, "the saved prompt has token %lld, the vocabulary %lld", (long long)id, (long long)p->vocab_size);
        ol_buf_append(&p->kept_ids, &id, sizeof id);
    }
    return p->kept_ids.failed ? ol_fail(err, OLV_NOMEM, "no memory for a saved prompt") : OLV_OK;
}

static olv_status read_file(olv_pipeline *p, const ol_file *f, olv_error *err) {
    ol_bytes r = ol_bytes_of(f->data, f->size);
    OL_TRY(read_ids(p, &r, err));
    OL_TRY(ol_adapters_sequence(&p->adapters, p->pool, &p->kept, err));
    size_t left = ol_bytes_left(&r);
    OL_TRY(ol_sequence_load(p->kept, ol_bytes_take(&r, left), left, err));
    int64_t n = (int64_t)(p->kept_ids.len / sizeof(int64_t)), length = ol_sequence_length(p->kept);
    if (n == length) return OLV_OK;
    return ol_fail(err, OLV_FORMAT, "the saved prompt has %lld tokens but %lld positions", (long long)n, (long long)length);
}

static uint64_t path_key(const char *path) { return ol_hash64(path, strlen(path), 1) | 1; }

/* Takes what the file holds in the place of the kept prompt, unless that is what was kept. No file: nothing. */
static olv_status load(olv_pipeline *p, const char *path, olv_error *err) {
    if ((p->kept && p->kept_file == path_key(path)) || !ol_file_exists(path)) return OLV_OK;
    ol_file *f;
    ol_prompt_forget(p);
    OL_TRY(ol_file_open(path, &f, err));
    olv_status s = read_file(p, f, err);
    ol_file_release(f);
    if (s != OLV_OK) {
        ol_prompt_forget(p);
        return ol_error_at(err, "%s", path), s;
    }
    p->kept_file = path_key(path);
    return OLV_OK;
}

/* ---- running ----------------------------------------------------------------------------------------- */

/* Takes the kept sequence, cut to what it shares with the prompt; one token at least is left to run. */
static olv_status take_kept(ol_loop *l, int64_t *reused, olv_error *err) {
    olv_pipeline *p = l->p;
    const int64_t *ids = ol_loop_ids(l), *kept = (const int64_t *)(const void *)p->kept_ids.data;
    int64_t n = (int64_t)(p->kept_ids.len / sizeof *kept), same = 0;
    while (same < n && same < l->n_prompt - 1 && kept[same] == ids[same]) same++;
    if (same < n && !goes_back(p)) same = 0;
    l->seq = p->kept;
    p->kept = NULL;
    OL_TRY(ol_sequence_truncate(l->seq, same, err));
    *reused = same;
    return OLV_OK;
}

/* Tokens [at, end) of the prompt; scores when that is its end. */
static olv_status run_part(ol_loop *l, int64_t at, int64_t end, const float **scores, int64_t *width, olv_error *err) {
    olv_pipeline *p = l->p;
    const int64_t *ids = ol_loop_ids(l);
    while (at < end) {
        int64_t m = end - at < OL_PREFILL_ROWS ? end - at : OL_PREFILL_ROWS;
        if (p->cancel) return ol_fail(err, OLV_CANCELLED, "cancelled");
        const ol_run_item it = {.sequence = l->seq, .ids = ids + at, .count = m, .n_outputs = at + m == l->n_prompt ? 1 : 0,
                                .ahead = l->n_prompt - at - m};
        OL_TRY(ol_session_run(p->session, OL_ENTRY_PREFILL, &it, 1, scores, width, err));
        at += m;
    }
    return OLV_OK;
}

/* The copy that is kept of a sequence that cannot go back. Lack of memory matters only when a file is asked for. */
static olv_status keep_copy(ol_loop *l, bool needed, olv_error *err) {
    olv_pipeline *p = l->p;
    olv_status s = ol_sequence_fork(l->seq, &p->kept, needed ? err : NULL);
    if (s != OLV_OK) return needed ? s : OLV_OK;
    ol_buf_append(&p->kept_ids, ol_loop_ids(l), (size_t)(l->n_prompt - 1) * sizeof(int64_t));
    if (!p->kept_ids.failed) return OLV_OK;
    ol_prompt_forget(p);
    return needed ? ol_fail(err, OLV_NOMEM, "no memory for a prompt") : OLV_OK;
}

olv_status ol_prompt_run(ol_loop *l, const float **scores, int64_t *width, int64_t *reused, olv_error *err) {
    olv_pipeline *p = l->p;
    const char *path = l->cfg->prompt_cache;
    bool may = can_keep(p) && l->n_prompt > OL_DECODE_ROWS;
    *reused = 0;
    if (path && !can_keep(p))
        return ol_fail(err, OLV_UNSUPPORTED, "prompt_cache: this model's states cannot be cut back to a common beginning");
    if (path) OL_TRY(load(p, path, err));
    if (may && p->kept && (path || !l->cfg->no_prompt_reuse)) OL_TRY(take_kept(l, reused, err));
    else OL_TRY(ol_adapters_sequence(&p->adapters, p->pool, &l->seq, err));
    bool saved = path && p->kept_file == path_key(path) && *reused == l->n_prompt - 1;
    ol_prompt_forget(p);
    int64_t at = *reused, n = l->n_prompt;
    if (may && !goes_back(p) && (path || !l->cfg->no_prompt_reuse)) {
        OL_TRY(run_part(l, at, n - 1, scores, width, err));
        OL_TRY(keep_copy(l, path != NULL, err));
        at = n - 1;
    }
    if (at) OL_TRY(run_part(l, at, n, scores, width, err));
    else OL_TRY(ol_session_prompt(p->session, l->seq, ol_loop_ids(l), l->n_prompt, &p->cancel, scores, width, err));
    if (path && may && !saved) OL_TRY(save(l, path, err));
    p->kept_file = path && may ? path_key(path) : 0;
    return OLV_OK;
}

void ol_prompt_keep(ol_loop *l) {
    olv_pipeline *p = l->p;
    uint64_t file = p->kept_file;
    if (!goes_back(p)) return; /* it was kept when it ran */
    ol_prompt_forget(p);
    if (!l->seq || l->dropped || !can_keep(p) || l->n_prompt <= OL_DECODE_ROWS || ol_sequence_truncate(l->seq, l->n_prompt, NULL) != OLV_OK)
        return;
    ol_buf_append(&p->kept_ids, ol_loop_ids(l), (size_t)l->n_prompt * sizeof(int64_t));
    if (p->kept_ids.failed) return;
    p->kept = l->seq;
    p->kept_file = file;
    l->seq = NULL;
}
