/* SPDX-License-Identifier: Apache-2.0 */
#include "generate/diverse.h"
#include "base/alloc.h"
#include "base/checked.h"
#include "base/error.h"
#include "generate/beam_result.h"
#include "generate/scores.h"
#include <math.h>
#include <string.h>

enum { MAX_BEAMS = OL_DECODE_ROWS, MAX_KEEP = MAX_BEAMS * 17 };

typedef struct candidate {
    float score;
    int beam; /* of all */
    int64_t token;
} candidate;

typedef struct finished {
    double score; /* per token */
    int64_t length;
    int order; /* of arrival in the group */
} finished;

/* One group: its finished texts and whether it goes on. Texts of finished ones lie in search.done, [beam][limit]. */
typedef struct group {
    finished done[MAX_BEAMS];
    int n_done, arrivals;
    double worst;
    bool over;
} group;

typedef struct search {
    ol_loop *l;
    int n, size, n_groups, keep; /* beams; beams of a group; candidates looked at per group */
    int64_t limit, made, vocab;
    ol_sequence *seqs[MAX_BEAMS];
    int64_t *ids, *next, *done; /* [beam][limit] each */
    float score[MAX_BEAMS];
    int64_t chosen[MAX_BEAMS]; /* in this step */
    int from[MAX_BEAMS];
    group groups[MAX_BEAMS];
    candidate best[MAX_KEEP];
    int n_best;
    float *row;
} search;

static void deinit(search *s) {
    for (int i = 0; i < s->n; i++)
        if (s->seqs[i] != s->l->seq) ol_sequence_destroy(s->seqs[i]);
    ol_free(s->ids);
    ol_free(s->next);
    ol_free(s->done);
    ol_free(s->row);
}

static olv_status init(search *s, ol_loop *l, olv_error *err) {
    const olv_generation_config *c = l->cfg;
    int n_eos = c->ignore_eos ? 0 : c->n_eos;
    size_t count;
    *s = (search){.l = l, .n = (int)c->num_beams, .n_groups = (int)c->num_beam_groups, .limit = l->limit, .vocab = l->p->vocab_size};
    s->size = s->n / s->n_groups;
    s->keep = (n_eos < 1 ? 2 : 1 + n_eos) * s->size;
    if (!ol_mul_size((size_t)s->n, (size_t)s->limit, &count)) return ol_fail(err, OLV_LIMIT, "too many tokens for beam search");
    s->row = ol_calloc((size_t)s->vocab, sizeof *s->row);
    s->ids = ol_calloc(count + 1, sizeof *s->ids);
    s->next = ol_calloc(count + 1, sizeof *s->next);
    s->done = ol_calloc(count + 1, sizeof *s->done);
    if (!s->row || !s->ids || !s->next || !s->done)
        return ol_fail(err, OLV_NOMEM, "no memory for %d beams of %lld tokens", s->n, (long long)s->limit);
    for (int i = 0; i < s->n; i++) s->score[i] = i % s->size ? -1e9f : 0;
    for (int g = 0; g < s->n_groups; g++) s->groups[g].worst = 1e9;
    s->seqs[0] = l->seq;
    for (int i = 1; i < s->n; i++) OL_TRY(ol_sequence_fork(l->seq, &s->seqs[i], err));
    return OLV_OK;
}

/* Keeps the best candidates, best first; the earlier of equal ones stays before. */
static void offer(search *s, float score, int beam, int64_t token) {
    if (s->n_best == s->keep && !(score > s->best[s->keep - 1].score)) return;
    int at = s->n_best < s->keep ? s->n_best++ : s->keep - 1;
    for (; at > 0 && score > s->best[at - 1].score; at--) s->best[at] = s->best[at - 1];
    s->best[at] = (candidate){score, beam, token};
}

/* Penalties see the beam's own text; what earlier groups chose costs. */
static olv_status look_at(search *s, int g, int beam, const float *scores, olv_error *err) {
    ol_sampler *sampler = s->l->sampler;
    OL_TRY(ol_sampler_prompt(sampler, ol_loop_ids(s->l), (size_t)s->l->n_prompt, err));
    for (int64_t i = 0; i < s->made; i++) ol_sampler_accept(sampler, s->ids[beam * s->limit + i]);
    ol_scores_log_softmax(scores, s->vocab, s->row);
    float penalty = (float)s->l->cfg->diversity_penalty;
    for (int i = 0; i < g * s->size; i++)
        if (s->chosen[i] < s->vocab) s->row[s->chosen[i]] -= penalty;
    const float *row = ol_sampler_row(sampler, s->row);
    if (s->l->cfg->renormalize_logits) {
        ol_scores_log_softmax(row, s->vocab, s->row);
        row = s->row;
    }
    for (int64_t t = 0; t < s->vocab; t++)
        if (row[t] > -INFINITY) offer(s, row[t] + s->score[beam], beam, t);
    return OLV_OK;
}

/* Takes a finished text in when it is among the `size` best of its group. The worst goes; the earliest of equal ones. */
static void finish(search *s, int g, int beam, double sum, int64_t length, int64_t text_length) {
    group *x = &s->groups[g];
    double score = sum / pow((double)(length ? length : 1), s->l->cfg->length_penalty);
    if (x->n_done == s->size && !(score > x->worst)) return;
    int at = x->n_done;
    if (x->n_done == s->size) {
        at = 0;
        for (int i = 1; i < x->n_done; i++)
            if (x->done[i].score < x->done[at].score || (x->done[i].score == x->done[at].score && x->done[i].order < x->done[at].order)) at = i;
    } else x->n_done++;
    x->done[at] = (finished){score, text_length, x->arrivals++};
    if (text_length) memcpy(s->done + (g * s->size + at) * s->limit, s->ids + beam * s->limit, (size_t)text_length * sizeof *s->done);
    x->worst = 1e9;
    for (int i = 0; i < x->n_done; i++) x->worst = x->done[i].score < x->worst ? x->done[i].score : x->worst;
}

/* Whether no running text can still do better than the worst finished one, by transformers' estimate. */
static bool is_over(const search *s, const group *x, double best_sum) {
    const olv_generation_config *c = s->l->cfg;
    if (x->n_done < s->size) return false;
    if (c->early_stopping == 1) return true;
    int64_t length = c->early_stopping == 2 && c->length_penalty > 0 ? s->limit : s->made + 1;
    return x->worst >= best_sum / pow((double)length, c->length_penalty);
}

static void take(search *s, int to, const candidate *c) {
    if (s->made) memcpy(s->next + to * s->limit, s->ids + c->beam * s->limit, (size_t)s->made * sizeof *s->next);
    s->next[to * s->limit + s->made] = c->token;
    s->chosen[to] = c->token;
    s->from[to] = c->beam;
}

/* A finished group is filled up with padding, whose tokens count for later groups as others do. */
static void pad(search *s, int g) {
    int64_t token = s->l->cfg->pad_token_id >= 0 ? s->l->cfg->pad_token_id : s->l->cfg->n_eos ? s->l->cfg->eos_token_id[0] : 0;
    for (int i = g * s->size; i < (g + 1) * s->size; i++) {
        take(s, i, &(candidate){0, g * s->size, token});
        s->score[i] = 0;
    }
}

static olv_status advance_group(search *s, int g, const float *scores, olv_error *err) {
    int first = g * s->size, n = 0;
    float score[MAX_BEAMS];
    if (s->groups[g].over) return pad(s, g), OLV_OK;
    s->n_best = 0;
    for (int b = first; b < first + s->size; b++) /* before the first token all beams are alike: the others carry -1e9 */
        OL_TRY(look_at(s, g, b, scores + (s->made ? b : 0) * s->vocab, err));
    for (int i = 0; i < s->n_best && n < s->size; i++) {
        const candidate *c = &s->best[i];
        if (!ol_beam_is_end(s->l, c->token)) {
            score[n] = c->score;
            take(s, first + n++, c);
        } else if (i < s->size) finish(s, g, c->beam, (double)c->score, s->made + 1, s->made);
    }
    if (n < s->size) return ol_fail(err, OLV_STATE, "the settings leave fewer than %d tokens to choose from", s->size);
    for (int i = 0; i < n; i++) s->score[first + i] = score[i];
    s->groups[g].over = is_over(s, &s->groups[g], (double)s->best[0].score);
    return OLV_OK;
}

static olv_status advance(search *s, const float *scores, bool *over, olv_error *err) {
    *over = true;
    for (int g = 0; g < s->n_groups; g++) OL_TRY(advance_group(s, g, scores, err));
    for (int g = 0; g < s->n_groups; g++) *over &= s->groups[g].over;
    int64_t *t = s->ids;
    s->ids = s->next;
    s->next = t;
    s->made++;
    *over |= s->made == s->limit;
    return *over ? OLV_OK : ol_sequence_reorder(s->seqs, s->from, s->n, err);
}

static olv_status run_beams(search *s, const float **scores, olv_error *err) {
    ol_run_item items[MAX_BEAMS];
    int64_t width, token[MAX_BEAMS];
    for (int i = 0; i < s->n; i++) {
        token[i] = s->ids[i * s->limit + s->made - 1];
        items[i] = (ol_run_item){.sequence = s->seqs[i], .ids = &token[i], .count = 1, .n_outputs = 1};
    }
    return ol_session_run(s->l->p->session, OL_ENTRY_DECODE, items, s->n, scores, &width, err);
}

/* The best of all groups; running texts of unfinished groups count as they are. The first end token is put behind a text
 * that is shorter than the limit. */
static olv_status fill(search *s, olv_generation *out, olv_error *err) {
    ol_found_text texts[MAX_BEAMS];
    size_t n = 0, want = (size_t)s->l->cfg->num_return_sequences;
    bool used[MAX_BEAMS] = {false};
    for (int g = 0; g < s->n_groups; g++)
        for (int i = 0; i < s->size && !s->groups[g].over; i++)
            finish(s, g, g * s->size + i, (double)s->score[g * s->size + i], s->made, s->made);
    for (; n < want; n++) {
        int top = -1;
        for (int i = 0; i < s->n; i++) { /* the later of equal ones */
            const group *x = &s->groups[i / s->size];
            if (i % s->size < x->n_done && !used[i] && (top < 0 || x->done[i % s->size].score >= s->groups[top / s->size].done[top % s->size].score)) top = i;
        }
        if (top < 0) break;
        used[top] = true;
        const finished *f = &s->groups[top / s->size].done[top % s->size];
        int64_t length = f->length;
        if (length < s->limit && s->l->cfg->n_eos && !s->l->cfg->ignore_eos) s->done[top * s->limit + length++] = s->l->cfg->eos_token_id[0];
        texts[n] = (ol_found_text){s->done + top * s->limit, length, f->score};
    }
    return ol_beam_fill(s->l, texts, n, out, err);
}

static olv_status search_all(search *s, const float *scores, olv_generation *out, olv_error *err) {
    bool over = s->limit == 0;
    while (!over) {
        OL_TRY(advance(s, scores, &over, err));
        if (over) break;
        if (s->l->p->cancel) return ol_fail(err, OLV_CANCELLED, "cancelled");
        out->n_steps++;
        OL_TRY(run_beams(s, &scores, err));
    }
    return fill(s, out, err);
}

olv_status ol_diverse_search(ol_loop *l, const float *scores, olv_generation *out, olv_error *err) {
    search *s = ol_calloc(1, sizeof *s);
    if (!s) return ol_fail(err, OLV_NOMEM, "no memory for beam search");
    olv_status st = init(s, l, err);
    if (st == OLV_OK) st = search_all(s, scores, out, err);
    deinit(s);
    ol_free(s);
    return st;
}
