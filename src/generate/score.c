/* SPDX-License-Identifier: Apache-2.0 */
/* Raw scores of every position, and the speed measurement. */
#include "base/alloc.h"
#include "base/error.h"
#include "generate/pipeline.h"
#include "generate/prompt_cache.h"
#include <string.h>

#define SCORE_ROWS 64 /* rows a run: bounds the buffer of scores at large vocabularies */

static olv_status score_all(olv_pipeline *p, ol_sequence *seq, const int64_t *ids, size_t n, const size_t *row_of,
                            olv_logits_fn *fn, void *ctx, olv_error *err) {
    ol_entry entry = n <= OL_DECODE_ROWS ? OL_ENTRY_DECODE : OL_ENTRY_PREFILL;
    for (size_t at = 0; at < n;) {
        size_t m = n - at < SCORE_ROWS ? n - at : SCORE_ROWS;
        ol_run_item it = {seq, ids + at, (int64_t)m, (int64_t)m, (int64_t)(n - at - m)};
        const float *out;
        int64_t width;
        if (p->cancel) return ol_fail(err, OLV_CANCELLED, "cancelled");
        OL_TRY(ol_session_run(p->session, entry, &it, 1, &out, &width, err));
        for (size_t i = 0; i < m; i++)
            if (!fn(ctx, row_of[at + i], out + (size_t)width * i, (size_t)width))
                return ol_fail(err, OLV_CANCELLED, "stopped by the caller");
        at += m;
    }
    return OLV_OK;
}

static olv_status zero_rows(olv_pipeline *p, const int64_t *mask, size_t n, olv_logits_fn *fn, void *ctx,
                            olv_error *err) {
    float *zeros = ol_calloc((size_t)p->vocab_size, sizeof *zeros);
    if (!zeros) return ol_fail(err, OLV_NOMEM, "no memory for %lld scores", (long long)p->vocab_size);
    olv_status s = OLV_OK;
    for (size_t i = 0; i < n && s == OLV_OK; i++)
        if (mask[i] == 0 && !fn(ctx, i, zeros, (size_t)p->vocab_size))
            s = ol_fail(err, OLV_CANCELLED, "stopped by the caller");
    ol_free(zeros);
    return s;
}

olv_status olv_logits(olv_pipeline *p, const int64_t *ids, const int64_t *mask, size_t n, olv_logits_fn *fn, void *ctx,
                      olv_error *err) {
    if ((int64_t)n > p->context_length)
        return ol_fail(err, OLV_LIMIT, "%zu tokens are more than the context length %lld", n, (long long)p->context_length);
    ol_prompt_forget(p);
    int64_t *kept = ol_calloc(n + 1, sizeof *kept);
    size_t *row_of = ol_calloc(n + 1, sizeof *row_of), m = 0;
    ol_sequence *seq = NULL;
    olv_status s = kept && row_of ? OLV_OK : ol_fail(err, OLV_NOMEM, "no memory for %zu tokens", n);
    for (size_t i = 0; s == OLV_OK && i < n; i++) {
        if (mask && mask[i] == 0) continue;
        kept[m] = ids[i];
        row_of[m++] = i;
    }
    if (s == OLV_OK && m < n) s = zero_rows(p, mask, n, fn, ctx, err);
    if (s == OLV_OK) s = ol_adapters_sequence(&p->adapters, p->pool, &seq, err);
    if (s == OLV_OK) s = score_all(p, seq, kept, m, row_of, fn, ctx, err);
    ol_sequence_destroy(seq);
    ol_free(kept);
    ol_free(row_of);
    return s;
}

static uint64_t next_random(uint64_t *s) {
    *s += 0x9e3779b97f4a7c15u;
    uint64_t z = *s;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static int64_t argmax(const float *x, int64_t n) {
    int64_t best = 0;
    for (int64_t i = 1; i < n; i++)
        if (x[i] > x[best]) best = i;
    return best;
}

static olv_status measure(olv_pipeline *p, ol_sequence *seq, const int64_t *ids, size_t n_prompt, size_t n_new,
                          olv_benchmark *out, olv_error *err) {
    const float *scores;
    int64_t width;
    double t0 = ol_now_ms();
    OL_TRY(ol_session_prompt(p->session, seq, ids, (int64_t)n_prompt, &p->cancel, &scores, &width, err));
    int64_t token = argmax(scores, width);
    double t1 = ol_now_ms();
    for (size_t i = 1; i < n_new; i++) {
        if (p->cancel) return ol_fail(err, OLV_CANCELLED, "cancelled");
        ol_run_item it = {seq, &token, 1, 1, 0};
        OL_TRY(ol_session_run(p->session, OL_ENTRY_DECODE, &it, 1, &scores, &width, err));
        token = argmax(scores, width);
    }
    double t2 = ol_now_ms();
    out->load_ms = p->load_ms;
    out->ttft_ms = t1 - t0;
    out->prefill_tokens_per_s = 1e3 * (double)n_prompt / (t1 - t0);
    out->decode_tokens_per_s = n_new > 1 ? 1e3 * (double)(n_new - 1) / (t2 - t1) : 0;
    out->n_prompt = n_prompt;
    out->n_new = n_new;
    out->kv_bytes = ol_state_pool_bytes(p->pool);
    out->workspace_bytes = ol_session_workspace_bytes(p->session);
    return OLV_OK;
}

olv_status olv_pipeline_benchmark(olv_pipeline *p, size_t n_prompt, size_t n_new, uint64_t seed, olv_benchmark *out,
                                  olv_error *err) {
    if (n_prompt < 1 || n_prompt + n_new > (size_t)p->context_length)
        return ol_fail(err, OLV_LIMIT, "%zu + %zu tokens do not fit the context length %lld", n_prompt, n_new,
                       (long long)p->context_length);
    ol_prompt_forget(p);
    int64_t *ids = ol_calloc(n_prompt, sizeof *ids);
    if (!ids) return ol_fail(err, OLV_NOMEM, "no memory for %zu tokens", n_prompt);
    for (size_t i = 0; i < n_prompt; i++) ids[i] = (int64_t)(next_random(&seed) % (uint64_t)p->vocab_size);
    ol_sequence *seq = NULL;
    olv_status s = ol_adapters_sequence(&p->adapters, p->pool, &seq, err);
    if (s == OLV_OK) s = measure(p, seq, ids, n_prompt, n_new, out, err);
    ol_sequence_destroy(seq);
    ol_free(ids);
    return s;
}

void olv_pipeline_profile(olv_pipeline *p, bool on) { ol_session_profile(p->session, on); }

olv_status olv_pipeline_profile_text(olv_pipeline *p, char **text, olv_error *err) {
    ol_buf b = OL_BUF_INIT;
    ol_session_profile_dump(p->session, &b);
    *text = ol_buf_take(&b, NULL);
    return *text ? OLV_OK : ol_fail(err, OLV_NOMEM, "no memory for a profile");
}
