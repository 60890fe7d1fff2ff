/* SPDX-License-Identifier: Apache-2.0 */
/* The chain: building it, running it, keeping the history. */
#include "base/alloc.h"
#include "base/checked.h"
#include "generate/sampler/stage.h"

enum { VOCAB_MAX = 1 << 24, RESERVE = 4096 };

static const ol_sampler_stage *const stages[] = {
#define X(stage) &ol_sampler_##stage,
#include "generate/sampler/sampler.def"
#undef X
};
enum { N_STAGES = sizeof stages / sizeof *stages };

void ol_sampler_params_init(ol_sampler_params *p) {
    *p = (ol_sampler_params){.temperature = 1, .top_p = 1, .typical_p = 1, .xtc_threshold = 0.1, .mirostat_tau = 5,
                             .mirostat_eta = 0.1, .repetition_penalty = 1, .dry_base = 1.75, .dry_allowed_length = 2,
                             .forced_bos = -1, .forced_eos = -1, .length_decay = 1};
}

olv_status ol_sampler_params_check(const ol_sampler_params *p, olv_error *err) {
    for (int i = 0; i < N_STAGES; i++)
        if (stages[i]->check) OL_TRY(stages[i]->check(p, err));
    return OLV_OK;
}

static void *copy_of(const void *p, size_t n, size_t each, bool *ok) {
    if (n == 0) return NULL;
    void *d = ol_calloc(n, each);
    if (d) memcpy(d, p, n * each);
    else *ok = false;
    return d;
}

/* Copies the biases and, in one block, their tokens. */
static bool copy_sequences(ol_sampler *s, const ol_sampler_params *p) {
    size_t total = 0, at = 0;
    bool ok = true;
    for (size_t i = 0; i < p->n_sequence_bias; i++)
        if (!ol_add_size(total, p->sequence_bias[i].n, &total)) return false;
    ol_sequence_bias *b = copy_of(p->sequence_bias, p->n_sequence_bias, sizeof *b, &ok);
    s->p.sequence_bias = b;
    if (!ok || total == 0) return ok;
    s->sequence_ids = ol_calloc(total, sizeof *s->sequence_ids);
    for (size_t i = 0; i < p->n_sequence_bias && s->sequence_ids; i++) {
        memcpy(s->sequence_ids + at, b[i].ids, b[i].n * sizeof *s->sequence_ids);
        b[i].ids = s->sequence_ids + at;
        at += b[i].n;
    }
    return s->sequence_ids != NULL;
}

static bool allocate(ol_sampler *s, const ol_sampler_params *p) {
    size_t v = (size_t)s->vocab;
    bool ok = true;
    s->p.eos_ids = copy_of(p->eos_ids, p->n_eos, sizeof *p->eos_ids, &ok);
    s->p.dry_breakers = copy_of(p->dry_breakers, p->n_dry_breakers, sizeof *p->dry_breakers, &ok);
    s->p.logit_bias = copy_of(p->logit_bias, p->n_logit_bias, sizeof *p->logit_bias, &ok);
    s->p.suppress = copy_of(p->suppress, p->n_suppress, sizeof *p->suppress, &ok);
    s->p.begin_suppress = copy_of(p->begin_suppress, p->n_begin_suppress, sizeof *p->begin_suppress, &ok);
    ok = copy_sequences(s, p) && ok;
    s->row = ol_calloc(v, sizeof *s->row);
    s->ids = ol_calloc(v, sizeof *s->ids);
    s->logit = ol_calloc(v, sizeof *s->logit);
    s->weight = ol_calloc(v, sizeof *s->weight);
    s->key = ol_calloc(v, sizeof *s->key);
    s->count_all = ol_calloc(v, sizeof *s->count_all);
    s->count_new = ol_calloc(v, sizeof *s->count_new);
    return ok && s->row && s->ids && s->logit && s->weight && s->key && s->count_all && s->count_new;
}

static void build_chain(ol_sampler *s) {
    bool cutting = false;
    for (int i = 0; i < N_STAGES; i++) {
        if (stages[i] == &ol_sampler_collect) cutting = true;
        if (!stages[i]->wanted(&s->p)) continue;
        if (cutting) s->cut_stages[s->n_cut++] = stages[i];
        else s->row_stages[s->n_row++] = stages[i];
    }
}

olv_status ol_sampler_create(const ol_sampler_params *p, int64_t vocab, ol_sampler **out, olv_error *err) {
    if (vocab < 1 || vocab > VOCAB_MAX)
        return ol_fail(err, OLV_ARG, "a vocabulary of %lld tokens; expected 1 to %d", (long long)vocab, (int)VOCAB_MAX);
    OL_TRY(ol_sampler_params_check(p, err));
    ol_sampler *s = ol_calloc(1, sizeof *s);
    if (!s) return ol_fail(err, OLV_NOMEM, "out of memory for a sampler");
    s->p = *p;
    s->p.eos_ids = s->p.dry_breakers = s->p.suppress = s->p.begin_suppress = NULL;
    s->p.logit_bias = NULL;
    s->p.sequence_bias = NULL;
    s->vocab = vocab;
    if (!allocate(s, p)) {
        ol_sampler_destroy(s);
        return ol_fail(err, OLV_NOMEM, "out of memory for a sampler of %lld tokens", (long long)vocab);
    }
    build_chain(s);
    olv_status st = ol_sampler_prompt(s, NULL, 0, err);
    if (st != OLV_OK) ol_sampler_destroy(s);
    else *out = s;
    return st;
}

static void free_copy(const void *p) { ol_free((void *)(uintptr_t)p); }

void ol_sampler_destroy(ol_sampler *s) {
    if (!s) return;
    free_copy(s->p.eos_ids);
    free_copy(s->p.dry_breakers);
    free_copy(s->p.logit_bias);
    free_copy(s->p.sequence_bias);
    free_copy(s->p.suppress);
    free_copy(s->p.begin_suppress);
    ol_free(s->sequence_ids);
    ol_free(s->row);
    ol_free(s->ids);
    ol_free(s->logit);
    ol_free(s->weight);
    ol_free(s->key);
    ol_free(s->history);
    ol_free(s->count_all);
    ol_free(s->count_new);
    ol_free(s);
}

static bool reserve(ol_sampler *s, size_t cap) {
    if (cap <= s->history_cap) return true;
    int32_t *h = ol_realloc(s->history, cap * sizeof *h);
    if (!h) return false;
    s->history = h;
    s->history_cap = cap;
    return true;
}

olv_status ol_sampler_prompt(ol_sampler *s, const int64_t *ids, size_t n, olv_error *err) {
    if (n > (SIZE_MAX / 8) - RESERVE || !reserve(s, n + RESERVE))
        return ol_fail(err, OLV_NOMEM, "out of memory for the history of %zu tokens", n);
    for (size_t i = 0; i < n; i++)
        if (ids[i] < 0 || ids[i] >= s->vocab)
            return ol_fail(err, OLV_ARG, "token %lld of the prompt is outside of the vocabulary of %lld", (long long)ids[i],
                           (long long)s->vocab);
    memset(s->count_all, 0, (size_t)s->vocab * sizeof *s->count_all);
    memset(s->count_new, 0, (size_t)s->vocab * sizeof *s->count_new);
    for (size_t i = 0; i < n; i++) {
        s->history[i] = (int32_t)ids[i];
        s->count_all[ids[i]]++;
    }
    s->n_history = s->n_prompt = n;
    s->mirostat_mu = 2 * s->p.mirostat_tau;
    return OLV_OK;
}

void ol_sampler_accept(ol_sampler *s, int64_t token) {
    if (token < 0 || token >= s->vocab) return;
    if (s->n_history == s->history_cap && !reserve(s, s->history_cap * 2)) {
        /* Without memory the oldest half goes: penalties of far repetitions weaken, nothing else. */
        size_t half = s->n_history / 2;
        memmove(s->history, s->history + half, (s->n_history - half) * sizeof *s->history);
        s->n_history -= half;
        s->n_prompt = s->n_prompt > half ? s->n_prompt - half : 0;
    }
    s->history[s->n_history++] = (int32_t)token;
    s->count_all[token]++;
    s->count_new[token]++;
}

void ol_sampler_truncate(ol_sampler *s, size_t n) {
    while (s->n_history > s->n_prompt + n) {
        int32_t t = s->history[--s->n_history];
        if (s->count_all[t]) s->count_all[t]--;
        if (s->count_new[t]) s->count_new[t]--;
    }
}

size_t ol_sampler_generated(const ol_sampler *s) { return s->n_history - s->n_prompt; }
void ol_sampler_set_mask(ol_sampler *s, const uint32_t *mask) { s->mask = mask; }

/* Eight running maxima let the compiler work on several numbers at once; NaN never compares greater. */
static float highest(const float *row, int64_t n) {
    float m[8], max = -INFINITY;
    int64_t i = 0;
    for (int k = 0; k < 8; k++) m[k] = -INFINITY;
    for (; i + 8 <= n; i += 8)
        for (int k = 0; k < 8; k++) m[k] = row[i + k] > m[k] ? row[i + k] : m[k];
    for (; i < n; i++) max = row[i] > max ? row[i] : max;
    for (int k = 0; k < 8; k++) max = m[k] > max ? m[k] : max;
    return max;
}

/* The lowest id of the highest score; 0 when there is none. */
static int64_t best_of(const float *row, int64_t n) {
    float max = highest(row, n);
    for (int64_t i = 0; i < n; i++)
        if (row[i] == max) return i;
    return 0;
}

/* The row after the stages that change it: `scores` itself when none does. */
static const float *run_row(ol_sampler *s, const float *scores) {
    int n = 0;
    for (int i = 0; i < s->n_row; i++) n += s->row_stages[i] != &ol_sampler_mask || s->mask;
    if (n == 0) return scores;
    memcpy(s->row, scores, (size_t)s->vocab * sizeof *s->row);
    for (int i = 0; i < s->n_row; i++) s->row_stages[i]->apply(s);
    return s->row;
}

const float *ol_sampler_row(ol_sampler *s, const float *scores) { return run_row(s, scores); }

static bool is_greedy(const ol_sampler *s) { return !s->p.do_sample || s->p.temperature == 0; }

/* Leaves weighed candidates; false when every token is ruled out. */
static bool run_chain(ol_sampler *s, const float *scores) {
    const float *row = run_row(s, scores);
    if (row != s->row) memcpy(s->row, scores, (size_t)s->vocab * sizeof *s->row);
    for (int i = 0; i < s->n_cut; i++) {
        s->cut_stages[i]->apply(s);
        if (s->n == 0) return false;
    }
    return true;
}

int64_t ol_sampler_draw(ol_sampler *s, const float *scores) {
    if (is_greedy(s)) return best_of(run_row(s, scores), s->vocab);
    if (!run_chain(s, scores)) return best_of(scores, s->vocab);
    double target = ol_sampler_uniform(s, 0) * s->sum, at = 0;
    int64_t pick = -1;
    for (int64_t i = 0; i < s->n; i++) {
        if (s->weight[i] <= 0) continue;
        at += s->weight[i];
        pick = i;
        if (at > target) break;
    }
    double p = ol_sampler_probability(s, pick);
    for (int i = 0; i < s->n_cut; i++)
        if (s->cut_stages[i]->chosen) s->cut_stages[i]->chosen(s, p);
    return s->ids[pick];
}

int64_t ol_sampler_sample(ol_sampler *s, const float *scores) {
    int64_t token = ol_sampler_draw(s, scores);
    ol_sampler_accept(s, token);
    return token;
}

void ol_sampler_distribution(ol_sampler *s, const float *scores, double *probs) {
    for (int64_t i = 0; i < s->vocab; i++) probs[i] = 0;
    if (is_greedy(s)) {
        probs[best_of(run_row(s, scores), s->vocab)] = 1;
        return;
    }
    if (!run_chain(s, scores)) {
        probs[best_of(scores, s->vocab)] = 1;
        return;
    }
    for (int64_t i = 0; i < s->n; i++) probs[s->ids[i]] = ol_sampler_probability(s, i);
}
