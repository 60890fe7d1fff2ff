/* SPDX-License-Identifier: Apache-2.0 */
#include "generate/constraint.h"
#include "base/alloc.h"
#include "base/error.h"
#include "generate/token_bytes.h"
#include "text/grammar/vocab.h"
#include <math.h>
#include <string.h>

struct ol_constraint {
    char *key; /* its kind and text */
    const ol_grammar_vocab *vocab; /* the pipeline's */
    ol_grammar *grammar;
    ol_grammar_matcher *matcher;
    uint32_t *mask;
};

static void destroy(ol_constraint *c) {
    if (!c) return;
    ol_grammar_matcher_destroy(c->matcher);
    ol_grammar_destroy(c->grammar);
    ol_free(c->mask);
    ol_free(c->key);
    ol_free(c);
}

void ol_constraint_forget(olv_pipeline *p) {
    for (int i = 0; i < OL_SPARE_CONSTRAINTS; i++) {
        destroy(p->spare_constraints[i]);
        p->spare_constraints[i] = NULL;
    }
    ol_grammar_vocab_destroy(p->grammar_vocab);
    p->grammar_vocab = NULL;
}

static char *key_of(const olv_generation_config *cfg) {
    ol_buf b = OL_BUF_INIT;
    if (cfg->json_schema) ol_buf_printf(&b, "s%s", cfg->json_schema);
    else if (cfg->regex) ol_buf_printf(&b, "r%s", cfg->regex);
    else if (cfg->grammar) ol_buf_printf(&b, "g%s", cfg->grammar);
    else ol_buf_puts(&b, "o");
    return ol_buf_take(&b, NULL);
}

/* Takes the kept one of that key, if there is one. */
static ol_constraint *take_spare(olv_pipeline *p, const char *key) {
    for (int i = 0; i < OL_SPARE_CONSTRAINTS; i++) {
        ol_constraint *c = p->spare_constraints[i];
        if (!c || strcmp(c->key, key)) continue;
        memmove(p->spare_constraints + i, p->spare_constraints + i + 1, (size_t)(OL_SPARE_CONSTRAINTS - 1 - i) * sizeof c);
        p->spare_constraints[OL_SPARE_CONSTRAINTS - 1] = NULL;
        if (ol_grammar_reset(c->matcher, NULL) == OLV_OK) return c;
        destroy(c);
        return NULL;
    }
    return NULL;
}

void ol_constraint_release(olv_pipeline *p, ol_constraint *c) {
    if (!c) return;
    if (c->vocab != p->grammar_vocab) {
        destroy(c);
        return;
    }
    destroy(p->spare_constraints[OL_SPARE_CONSTRAINTS - 1]);
    memmove(p->spare_constraints + 1, p->spare_constraints, (OL_SPARE_CONSTRAINTS - 1) * sizeof c);
    p->spare_constraints[0] = c;
}

static olv_status make_vocab(olv_pipeline *p, const olv_generation_config *cfg, olv_error *err) {
    size_t n = (size_t)cfg->n_eos;
    if (p->grammar_vocab && p->n_grammar_eos == cfg->n_eos && !memcmp(p->grammar_eos, cfg->eos_token_id, n * sizeof(int64_t)))
        return OLV_OK;
    ol_constraint_forget(p);
    ol_token_texts texts;
    OL_TRY(ol_token_texts_init(&texts, p->tokenizer, err));
    olv_status s = ol_grammar_vocab_create(p->vocab_size, ol_token_texts_get, &texts, cfg->eos_token_id, n,
                                           &p->grammar_vocab, err);
    ol_token_texts_deinit(&texts);
    memcpy(p->grammar_eos, cfg->eos_token_id, n * sizeof(int64_t));
    p->n_grammar_eos = cfg->n_eos;
    return s;
}

static olv_status compile(const olv_generation_config *cfg, ol_grammar **g, olv_error *err) {
    if (cfg->json_schema) return ol_grammar_compile_json_schema(cfg->json_schema, strlen(cfg->json_schema), g, err);
    if (cfg->regex) return ol_grammar_compile_regex(cfg->regex, strlen(cfg->regex), g, err);
    if (cfg->grammar) return ol_grammar_compile_ebnf(cfg->grammar, strlen(cfg->grammar), g, err);
    return ol_grammar_compile_json(true, g, err);
}

static olv_status start(olv_pipeline *p, const olv_generation_config *cfg, ol_constraint *c, olv_error *err) {
    OL_TRY(compile(cfg, &c->grammar, err));
    c->vocab = p->grammar_vocab;
    c->mask = ol_calloc((size_t)(p->vocab_size + 31) / 32, sizeof *c->mask);
    if (!c->mask) return ol_fail(err, OLV_NOMEM, "no memory for a mask of tokens");
    OL_TRY(ol_grammar_matcher_create(c->grammar, c->vocab, &c->matcher, err));
    const uint32_t *mask; /* what the grammar cannot do shows before the prompt is run */
    return ol_constraint_mask(c, &mask, err);
}

olv_status ol_constraint_create(olv_pipeline *p, const olv_generation_config *cfg, ol_constraint **out, olv_error *err) {
    *out = NULL;
    if (!cfg->json_schema && !cfg->regex && !cfg->grammar && !cfg->json_object) return OLV_OK;
    if (!p->tokenizer) return ol_fail(err, OLV_UNSUPPORTED, "constrained decoding needs a tokenizer; the model folder has none");
    OL_TRY(make_vocab(p, cfg, err));
    char *key = key_of(cfg);
    if (!key) return ol_fail(err, OLV_NOMEM, "no memory for a constraint");
    ol_constraint *c = take_spare(p, key);
    if (c) {
        ol_free(key);
        *out = c;
        return OLV_OK;
    }
    c = ol_calloc(1, sizeof *c);
    if (!c) {
        ol_free(key);
        return ol_fail(err, OLV_NOMEM, "no memory for a constraint");
    }
    c->key = key;
    olv_status s = start(p, cfg, c, err);
    if (s == OLV_OK) *out = c;
    else destroy(c);
    return s;
}

olv_status ol_constraint_mask(ol_constraint *c, const uint32_t **mask, olv_error *err) {
    OL_TRY(ol_grammar_mask(c->matcher, c->mask, err));
    *mask = c->mask;
    for (uint32_t i = 0; i < c->vocab->words; i++)
        if (c->mask[i]) return OLV_OK;
    return ol_fail(err, OLV_STATE, "no token of the vocabulary can go on with a text of this grammar");
}

int64_t ol_constraint_best(const ol_constraint *c, const float *scores) {
    int64_t best = -1;
    for (int64_t t = 0; t < c->vocab->n_tokens; t++)
        if ((c->mask[t / 32] >> (t % 32) & 1) && (best < 0 || scores[t] > scores[best])) best = t;
    return best;
}

olv_status ol_constraint_accept(ol_constraint *c, int64_t token, olv_error *err) {
    const ol_grammar_vocab *v = c->vocab;
    return ol_grammar_accept(c->matcher, v->bytes + v->offsets[token], (size_t)(v->offsets[token + 1] - v->offsets[token]),
                             err);
}

bool ol_constraint_finished(ol_constraint *c) { return ol_grammar_finished(c->matcher); }
