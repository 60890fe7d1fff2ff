/* SPDX-License-Identifier: Apache-2.0 */
#include "generate/diverse.h"
#include "base/alloc.h"
#include "base/checked.h"
#include "base/error.h"
#include "generate/beams.h"
#include <math.h>
#include <string.h>

typedef struct finished {
    double score; /* per token */
    int64_t length;
    int order; /* of arrival in the group */
} finished;

/* One group: its finished texts and whether it goes on. Texts of finished ones lie in search.done, [beam][limit]. */
typedef struct group {
    finished done[OL_MAX_BEAMS];
    int n_done, arrivals;
    double worst;
    bool over;
} group;

typedef struct search {
    ol_beams b;
    int size, n_groups, looking; /* beams of a group; the group that is looked at */
    int64_t *ids, *next, *done; /* [beam][limit] each */
    float score[OL_MAX_BEAMS];
    int64_t chosen[OL_MAX_BEAMS]; /* in this step */
    int from[OL_MAX_BEAMS];
    group groups[OL_MAX_BEAMS];
} search;

static void deinit(search *s) {
    ol_beams_deinit(&s->b);
    ol_free(s->ids);
    ol_free(s->next);
    ol_free(s->done);
}

static olv_status init(search *s, ol_loop *l, olv_error *err) {
    const olv_generation_config *c = l->cfg;
    size_t count;
    s->n_groups = (int)c->num_beam_groups;
    s->size = (int)c->num_beams / s->n_groups;
    OL_TRY(ol_beams_init(&s->b, l, s->size, err));
    if (!ol_mul_size((size_t)s->b.n, (size_t)s->b.limit, &count)) return ol_fail(err, OLV_LIMIT, "too many tokens for beam search");
    s->ids = ol_calloc(count + 1, sizeof *s->ids);
    s->next = ol_calloc(count + 1, sizeof *s->next);
    s->done = ol_calloc(count + 1, sizeof *s->done);
    if (!s->ids || !s->next || !s->done)
        return ol_fail(err, OLV_NOMEM, "no memory for %d beams of %lld tokens", s->b.n, (long long)s->b.limit);
    for (int i = 0; i < s->b.n; i++) s->score[i] = i % s->size ? -1e9f : 0;
    for (int g = 0; g < s->n_groups; g++) s->groups[g].worst = 1e9;
    return OLV_OK;
}

/* What earlier groups chose costs. */
static void charge_chosen(void *ctx, float *row) {
    const search *s = ctx;
    float penalty = (float)s->b.l->cfg->diversity_penalty;
    for (int i = 0; i < s->looking * s->size; i++)
        if (s->chosen[i] < s->b.vocab) row[s->chosen[i]] -= penalty;
}

/* Takes a finished text in when it is among the `size` best of its group. The worst goes; the earliest of equal ones. */
static void finish(search *s, int g, int beam, double sum, int64_t length, int64_t text_length) {
    group *x = &s->groups[g];
    double score = sum / pow((double)(length ? length : 1), s->b.l->cfg->length_penalty);
    if (x->n_done == s->size && !(score > x->worst)) return;
    int at = x->n_done;
    if (x->n_done == s->size) {
        at = 0;
        for (int i = 1; i < x->n_done; i++)
            if (x->done[i].score < x->done[at].score || (x->done[i].score == x->done[at].score && x->done[i].order < x->done[at].order)) at = i;
    } else x->n_done++;
    x->done[at] = (finished){score, text_length, x->arrivals++};
    if (text_length) memcpy(s->done + (g * s->size + at) * s->b.limit, s->ids + beam * s->b.limit, (size_t)text_length * sizeof *s->done);
    x->worst = 1e9;
    for (int i = 0; i < x->n_done; i++) x->worst = x->done[i].score < x->worst ? x->done[i].score : x->worst;
}

/* Whether no running text can still do better than the worst finished one, by transformers' estimate. */
static bool is_over(const search *s, const group *x, double best_sum) {
    const olv_generation_config *c = s->b.l->cfg;
    if (x->n_done < s->size) return false;
    if (c->early_stopping == 1) return true;
    int64_t length = c->early_stopping == 2 && c->length_penalty > 0 ? s->b.limit : s->b.made + 1;
    return x->worst >= best_sum / pow((double)length, c->length_penalty);
}

static void take(search *s, int to, const ol_candidate *c) {
    if (s->b.made) memcpy(s->next + to * s->b.limit, s->ids + c->beam * s->b.limit, (size_t)s->b.made * sizeof *s->next);
    s->next[to * s->b.limit + s->b.made] = c->token;
    s->chosen[to] = c->token;
    s->from[to] = c->beam;
}

/* A finished group is filled up with padding, whose tokens count for later groups as others do. */
static void pad(search *s, int g) {
    int64_t token = s->b.l->cfg->pad_token_id >= 0 ? s->b.l->cfg->pad_token_id : s->b.l->cfg->n_eos ? s->b.l->cfg->eos_token_id[0] : 0;
    for (int i = g * s->size; i < (g + 1) * s->size; i++) {
        take(s, i, &(ol_candidate){.beam = g * s->size, .token = token});
        s->score[i] = 0;
    }
}

static olv_status advance_group(search *s, int g, const float *scores, olv_error *err) {
    int first = g * s->size, n = 0;
    float score[OL_MAX_BEAMS];
    if (s->groups[g].over) return pad(s, g), OLV_OK;
    s->b.n_best = 0;
    s->looking = g;
    for (int b = first; b < first + s->size; b++) /* before the first token all beams are alike: the others carry -1e9 */
        OL_TRY(ol_beams_look_at(&s->b, b, s->ids + b * s->b.limit, s->score[b], scores + (s->b.made ? b : 0) * s->b.vocab,
                                charge_chosen, s, err));
    for (int i = 0; i < s->b.n_best && n < s->size; i++) {
        const ol_candidate *c = &s->b.best[i];
        if (!ol_beam_is_end(s->b.l, c->token)) {
            score[n] = c->score;
            take(s, first + n++, c);
        } else if (i < s->size) finish(s, g, c->beam, (double)c->score, s->b.made + 1, s->b.made);
    }
    if (n < s->size) return ol_fail(err, OLV_STATE, "the settings leave fewer than %d tokens to choose from", s->size);
    for (int i = 0; i < n; i++) s->score[first + i] = score[i];
    s->groups[g].over = is_over(s, &s->groups[g], (double)s->b.best[0].score);
    return OLV_OK;
}

static olv_status advance(void *ctx, const float *scores, bool *over, olv_error *err) {
    search *s = ctx;
    *over = true;
    for (int g = 0; g < s->n_groups; g++) OL_TRY(advance_group(s, g, scores, err));
    for (int g = 0; g < s->n_groups; g++) *over &= s->groups[g].over;
    int64_t *t = s->ids;
    s->ids = s->next;
    s->next = t;
    s->b.made++;
    *over |= s->b.made == s->b.limit;
    return *over ? OLV_OK : ol_sequence_reorder(s->b.seqs, s->from, s->b.n, err);
}

static int64_t newest(const void *ctx, int beam) {
    const search *s = ctx;
    return s->ids[beam * s->b.limit + s->b.made - 1];
}

/* The best of all groups; running texts of unfinished groups count as they are. The first end token is put behind a text
 * that is shorter than the limit. */
static olv_status fill(void *ctx, olv_generation *out, olv_error *err) {
    search *s = ctx;
    ol_found_text texts[OL_MAX_BEAMS];
    size_t n = 0, want = (size_t)s->b.l->cfg->num_return_sequences;
    bool used[OL_MAX_BEAMS] = {false};
    for (int g = 0; g < s->n_groups; g++)
        for (int i = 0; i < s->size && !s->groups[g].over; i++)
            finish(s, g, g * s->size + i, (double)s->score[g * s->size + i], s->b.made, s->b.made);
    for (; n < want; n++) {
        int top = -1;
        for (int i = 0; i < s->b.n; i++) { /* the later of equal ones */
            const group *x = &s->groups[i / s->size];
            if (i % s->size < x->n_done && !used[i] && (top < 0 || x->done[i % s->size].score >= s->groups[top / s->size].done[top % s->size].score)) top = i;
        }
        if (top < 0) break;
        used[top] = true;
        const finished *f = &s->groups[top / s->size].done[top % s->size];
        int64_t length = f->length;
        if (length < s->b.limit && s->b.l->cfg->n_eos && !s->b.l->cfg->ignore_eos) s->done[top * s->b.limit + length++] = s->b.l->cfg->eos_token_id[0];
        texts[n] = (ol_found_text){s->done + top * s->b.limit, length, f->score};
    }
    return ol_beams_fill(s->b.l, texts, n, out, err);
}

static const ol_beam_rules rules = {advance, newest, fill};

olv_status ol_diverse_search(ol_loop *l, const float *scores, olv_generation *out, olv_error *err) {
    search *s = ol_calloc(1, sizeof *s);
    if (!s) return ol_fail(err, OLV_NOMEM, "no memory for beam search");
    olv_status st = init(s, l, err);
    if (st == OLV_OK) st = ol_beams_search(&s->b, &rules, s, scores, out, err);
    deinit(s);
    ol_free(s);
    return st;
}
