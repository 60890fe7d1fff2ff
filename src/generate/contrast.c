/* SPDX-License-Identifier: Apache-2.0 */
#include "generate/contrast.h"
#include "base/alloc.h"
#include "base/error.h"
#include "generate/prompt_cache.h"
#include "generate/scores.h"
#include "graph/op.h"
#include <math.h>
#include <string.h>

enum { PROMPT_ROWS = 64, CANDIDATES_MAX = 256 }; /* rows of scores of a prompt's run; bound of top_k */

typedef struct search {
    ol_loop *l;
    int k;
    int64_t vocab, hidden;
    ol_buf past;                     /* f32 [positions][hidden], each of length 1 */
    ol_sequence *seqs[CANDIDATES_MAX]; /* the text with each candidate */
    int64_t tokens[CANDIDATES_MAX];
    double probs[CANDIDATES_MAX];
    float *states; /* [k][hidden] */
    float *scores; /* [vocab]: after the newest token */
    float *rows;   /* [k][vocab]: after the candidates */
} search;

bool ol_contrast_wanted(const olv_generation_config *c) {
    return c->penalty_alpha > 0 && c->top_k > 1 && c->num_beams == 1 && !c->do_sample;
}

/* From the logits back over what acts on each of them alone to the linear layer. */
olv_status ol_contrast_add_output(ol_graph *g, olv_error *err) {
    ol_value *v = g->n_outputs ? g->outputs[0] : NULL;
    while (v && v->producer && strcmp(v->producer->op->name, "Linear")) v = v->producer->n_inputs ? v->producer->inputs[0] : NULL;
    if (!v || !v->producer || v->producer->inputs[0]->type.rank != 2)
        return ol_fail(err, OLV_UNSUPPORTED, "penalty_alpha: this model's graph has no head whose hidden states can be read");
    return ol_graph_add_output(g, v->producer->inputs[0], err);
}

static void deinit(search *s) {
    for (int i = 0; i < s->k; i++) ol_sequence_destroy(s->seqs[i]);
    ol_buf_deinit(&s->past);
    ol_free(s->states);
    ol_free(s->scores);
    ol_free(s->rows);
}

static olv_status init(search *s, ol_loop *l, olv_error *err) {
    const olv_generation_config *c = l->cfg;
    if (!l->p->keeps_hidden)
        return ol_fail(err, OLV_UNSUPPORTED, "contrastive search needs hidden states: open the model with hidden_states (--penalty-alpha)");
    if (l->constraint || c->guidance_scale != 1 || c->context_shift)
        return ol_fail(err, OLV_UNSUPPORTED, "contrastive search does not go with constraints, guidance_scale or context_shift");
    if (c->top_k > CANDIDATES_MAX)
        return ol_fail(err, OLV_UNSUPPORTED, "contrastive search takes a top_k of at most %d, not %lld", (int)CANDIDATES_MAX, (long long)c->top_k);
    *s = (search){.l = l, .vocab = l->p->vocab_size, .past = OL_BUF_INIT};
    s->k = (int)(c->top_k < s->vocab ? c->top_k : s->vocab);
    s->past.max = SIZE_MAX / 2;
    s->scores = ol_calloc((size_t)s->vocab, sizeof *s->scores);
    s->rows = ol_calloc((size_t)s->vocab * (size_t)s->k, sizeof *s->rows);
    if (!s->scores || !s->rows) return ol_fail(err, OLV_NOMEM, "no memory for %d candidates", s->k);
    return ol_adapters_sequence(&l->p->adapters, l->p->pool, &l->seq, err);
}

static void scale_to_one(float *x, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (double)x[i] * (double)x[i];
    float by = sum > 0 ? (float)(1 / sqrt(sum)) : 0;
    for (int64_t i = 0; i < n; i++) x[i] *= by;
}

static olv_status keep_state(search *s, const float *state, olv_error *err) {
    size_t at = s->past.len;
    ol_buf_append(&s->past, state, (size_t)s->hidden * sizeof *state);
    if (s->past.failed) return ol_fail(err, OLV_NOMEM, "no memory for hidden states");
    scale_to_one((float *)(void *)(s->past.data + at), s->hidden);
    return OLV_OK;
}

/* The prompt, with the states of all its tokens. */
static olv_status run_prompt(search *s, olv_error *err) {
    ol_loop *l = s->l;
    ol_entry entry = l->n_prompt <= OL_DECODE_ROWS ? OL_ENTRY_DECODE : OL_ENTRY_PREFILL;
    for (int64_t at = 0, m; at < l->n_prompt; at += m) {
        const float *scores, *states;
        int64_t width;
        m = l->n_prompt - at < PROMPT_ROWS ? l->n_prompt - at : PROMPT_ROWS;
        if (l->p->cancel) return ol_fail(err, OLV_CANCELLED, "cancelled");
        const ol_run_item it = {.sequence = l->seq, .ids = ol_loop_ids(l) + at, .count = m, .n_outputs = m, .ahead = l->n_prompt - at - m};
        OL_TRY(ol_session_run(l->p->session, entry, &it, 1, &scores, &width, err));
        states = ol_session_output(l->p->session, entry, 1, &s->hidden);
        for (int64_t i = 0; i < m; i++) OL_TRY(keep_state(s, states + i * s->hidden, err));
        if (at + m == l->n_prompt) memcpy(s->scores, scores + (m - 1) * width, (size_t)s->vocab * sizeof *scores);
    }
    s->states = ol_calloc((size_t)s->hidden * (size_t)s->k, sizeof *s->states);
    return s->states ? OLV_OK : ol_fail(err, OLV_NOMEM, "no memory for hidden states");
}

/* The k most probable tokens, the most probable first, the lower id of equal ones. */
static olv_status find_candidates(search *s, olv_error *err) {
    const float *row = ol_sampler_row(s->l->sampler, s->scores);
    int n = 0;
    for (int64_t t = 0; t < s->vocab; t++) {
        if (n == s->k && !(row[t] > row[s->tokens[n - 1]])) continue;
        int at = n < s->k ? n++ : n - 1;
        for (; at > 0 && row[t] > row[s->tokens[at - 1]]; at--) s->tokens[at] = s->tokens[at - 1];
        s->tokens[at] = t;
    }
    if (!(row[s->tokens[0]] > -INFINITY)) return ol_fail(err, OLV_STATE, "the settings rule out every token");
    for (int i = 0; i < s->k; i++) s->probs[i] = ol_scores_probability(row, s->vocab, s->tokens[i]);
    return OLV_OK;
}

static olv_status run_candidates(search *s, olv_error *err) {
    ol_run_item items[OL_DECODE_ROWS];
    ol_loop *l = s->l;
    for (int i = 0; i < s->k; i++) OL_TRY(ol_sequence_fork(l->seq, &s->seqs[i], err));
    for (int at = 0, m; at < s->k; at += m) {
        const float *scores;
        int64_t width;
        m = s->k - at < OL_DECODE_ROWS ? s->k - at : OL_DECODE_ROWS;
        for (int i = 0; i < m; i++)
            items[i] = (ol_run_item){.sequence = s->seqs[at + i], .ids = &s->tokens[at + i], .count = 1, .n_outputs = 1};
        OL_TRY(ol_session_run(l->p->session, OL_ENTRY_DECODE, items, m, &scores, &width, err));
        memcpy(s->rows + at * s->vocab, scores, (size_t)(m * s->vocab) * sizeof *scores);
        const float *states = ol_session_output(l->p->session, OL_ENTRY_DECODE, 1, &width);
        memcpy(s->states + at * s->hidden, states, (size_t)(m * s->hidden) * sizeof *states);
    }
    return OLV_OK;
}

static double likeness(const search *s, const float *state) {
    const float *past = (const float *)(const void *)s->past.data;
    size_t n = s->past.len / sizeof *past / (size_t)s->hidden;
    double length = 0, most = -INFINITY;
    for (int64_t i = 0; i < s->hidden; i++) length += (double)state[i] * (double)state[i];
    for (size_t t = 0; t < n; t++, past += s->hidden) {
        float dot = 0;
        for (int64_t i = 0; i < s->hidden; i++) dot += past[i] * state[i];
        if ((double)dot > most) most = (double)dot;
    }
    return length > 0 ? most / sqrt(length) : 0;
}

static int choose(const search *s) {
    double alpha = s->l->cfg->penalty_alpha, top = -INFINITY;
    int best = 0;
    for (int i = 0; i < s->k; i++) {
        double score = (1 - alpha) * s->probs[i] - alpha * likeness(s, s->states + i * s->hidden);
        if (score > top) {
            top = score;
            best = i;
        }
    }
    return best;
}

/* The chosen candidate's sequence, scores and state go on. */
static olv_status go_on(search *s, int best, olv_error *err) {
    ol_sequence_destroy(s->l->seq);
    s->l->seq = s->seqs[best];
    s->seqs[best] = NULL;
    for (int i = 0; i < s->k; i++) {
        ol_sequence_destroy(s->seqs[i]);
        s->seqs[i] = NULL;
    }
    memcpy(s->scores, s->rows + best * s->vocab, (size_t)s->vocab * sizeof *s->scores);
    OL_TRY(keep_state(s, s->states + best * s->hidden, err));
    return ol_loop_take(s->l, s->tokens[best], err);
}

static olv_status search_all(search *s, double start_ms, olv_generation *out, olv_error *err) {
    ol_loop *l = s->l;
    double t0 = ol_now_ms();
    OL_TRY(run_prompt(s, err));
    double t1 = ol_now_ms();
    out->prefill_tokens_per_s = 1e3 * (double)l->n_prompt / (t1 - t0);
    while (l->reason == OLV_FINISH_NONE && ol_loop_made(l) < l->limit) {
        if (l->p->cancel) return ol_fail(err, OLV_CANCELLED, "cancelled");
        OL_TRY(find_candidates(s, err));
        OL_TRY(run_candidates(s, err));
        OL_TRY(go_on(s, choose(s), err));
        out->n_steps++;
        if (ol_loop_made(l) == 1) out->ttft_ms = ol_now_ms() - start_ms;
        ol_loop_check_time(l);
    }
    if (l->reason == OLV_FINISH_NONE) l->reason = OLV_FINISH_LENGTH;
    out->decode_tokens_per_s = 1e3 * (double)ol_loop_made(l) / (ol_now_ms() - t1);
    return ol_loop_finish(l, err);
}

olv_status ol_contrast_search(ol_loop *l, double start_ms, olv_generation *out, olv_error *err) {
    search *s = ol_calloc(1, sizeof *s);
    if (!s) return ol_fail(err, OLV_NOMEM, "no memory for contrastive search");
    ol_prompt_forget(l->p);
    olv_status st = init(s, l, err);
    if (st == OLV_OK) st = search_all(s, start_ms, out, err);
    deinit(s);
    ol_free(s);
    return st;
}
