/* SPDX-License-Identifier: Apache-2.0 */
#include "generate/beams.h"
#include "base/alloc.h"
#include "base/error.h"
#include "generate/scores.h"
#include <math.h>
#include <string.h>

bool ol_beam_is_end(const ol_loop *l, int64_t token) {
    const olv_generation_config *c = l->cfg;
    for (int i = 0; i < c->n_eos && !c->ignore_eos; i++)
        if (c->eos_token_id[i] == token) return true;
    return false;
}

/* As the plain loop does it: ids that stand for no token have no text. */
static olv_status fill_text(const ol_loop *l, olv_beam *b, ol_buf *text, olv_error *err) {
    olv_detokenizer *d;
    const char *piece;
    size_t len, n = b->n_ids;
    OL_TRY(olv_detokenizer_create(l->p->tokenizer, l->cfg->skip_special_tokens, &d, err));
    if (n && l->cfg->skip_special_tokens && ol_beam_is_end(l, b->ids[n - 1])) n--;
    olv_status st = OLV_OK;
    for (size_t i = 0; i <= n && st == OLV_OK; i++) {
        st = i < n ? olv_detokenizer_push(d, (uint32_t)b->ids[i], &piece, &len, err) : olv_detokenizer_flush(d, &piece, &len, err);
        if (st == OLV_OK) ol_buf_append(text, piece, len);
    }
    olv_detokenizer_destroy(d);
    if (st != OLV_OK) return st;
    ol_buf_puts(text, "");
    b->text = ol_buf_take(text, NULL);
    return b->text ? OLV_OK : ol_fail(err, OLV_NOMEM, "no memory for the text");
}

static olv_status fill_beam(const ol_loop *l, const ol_found_text *t, olv_beam *b, olv_error *err) {
    b->n_ids = (size_t)t->length;
    b->score = t->score;
    b->ids = ol_alloc(b->n_ids * sizeof *b->ids + 1);
    if (!b->ids) return ol_fail(err, OLV_NOMEM, "no memory for the tokens");
    if (b->n_ids) memcpy(b->ids, t->ids, b->n_ids * sizeof *b->ids);
    b->finish_reason = b->n_ids && ol_beam_is_end(l, b->ids[b->n_ids - 1]) ? OLV_FINISH_STOP : OLV_FINISH_LENGTH;
    if (!l->p->tokenizer) return OLV_OK;
    ol_buf text = OL_BUF_INIT;
    olv_status st = fill_text(l, b, &text, err);
    ol_buf_deinit(&text);
    return st;
}

olv_status ol_beams_fill(ol_loop *l, const ol_found_text *texts, size_t n, olv_generation *out, olv_error *err) {
    out->beams = ol_calloc(n, sizeof *out->beams);
    if (!out->beams) return ol_fail(err, OLV_NOMEM, "no memory for the texts");
    out->n_beams = n;
    for (size_t i = 0; i < n; i++) OL_TRY(fill_beam(l, &texts[i], &out->beams[i], err));
    const olv_beam *best = &out->beams[0];
    ol_buf_append(&l->ids, best->ids, best->n_ids * sizeof(int64_t));
    if (best->text) ol_buf_puts(&l->text, best->text);
    if (l->ids.failed || l->text.failed) return ol_fail(err, OLV_NOMEM, "no memory for the text");
    l->reason = best->finish_reason;
    if (l->on_text && best->n_ids && !l->on_text(l->ctx, l->text.len ? l->text.data : "", l->text.len, best->ids[best->n_ids - 1]))
        l->reason = OLV_FINISH_CANCELLED;
    return OLV_OK;
}

/* ---- searching ---- */

olv_status ol_beams_init(ol_beams *b, ol_loop *l, int of, olv_error *err) {
    int n_eos = l->cfg->ignore_eos ? 0 : l->cfg->n_eos;
    *b = (ol_beams){.l = l, .n = (int)l->cfg->num_beams, .limit = l->limit, .vocab = l->p->vocab_size};
    b->keep = (n_eos < 1 ? 2 : 1 + n_eos) * of;
    b->row = ol_calloc((size_t)b->vocab, sizeof *b->row);
    if (!b->row) return ol_fail(err, OLV_NOMEM, "no memory for %d beams", b->n);
    b->seqs[0] = l->seq;
    for (int i = 1; i < b->n; i++) OL_TRY(ol_sequence_fork(l->seq, &b->seqs[i], err));
    return OLV_OK;
}

void ol_beams_deinit(ol_beams *b) {
    for (int i = 0; i < b->n; i++)
        if (b->seqs[i] != b->l->seq) ol_sequence_destroy(b->seqs[i]);
    ol_free(b->row);
}

/* Keeps the best candidates, best first; the earlier of equal ones stays before. */
static void offer(ol_beams *b, float score, int beam, int64_t token) {
    if (b->n_best == b->keep && !(score > b->best[b->keep - 1].score)) return;
    int at = b->n_best < b->keep ? b->n_best++ : b->keep - 1;
    for (; at > 0 && score > b->best[at - 1].score; at--) b->best[at] = b->best[at - 1];
    b->best[at] = (ol_candidate){score, beam, token, false};
}

olv_status ol_beams_look_at(ol_beams *b, int beam, const int64_t *own, float score, const float *scores, ol_row_fn *adjust,
                            void *ctx, olv_error *err) {
    ol_sampler *sampler = b->l->sampler;
    OL_TRY(ol_sampler_prompt(sampler, ol_loop_ids(b->l), (size_t)b->l->n_prompt, err));
    for (int64_t i = 0; i < b->made; i++) ol_sampler_accept(sampler, own[i]);
    ol_scores_log_softmax(scores, b->vocab, b->row);
    if (adjust) adjust(ctx, b->row);
    const float *row = ol_sampler_row(sampler, b->row);
    if (b->l->cfg->renormalize_logits) {
        ol_scores_log_softmax(row, b->vocab, b->row);
        row = b->row;
    }
    for (int64_t t = 0; t < b->vocab; t++)
        if (row[t] > -INFINITY) offer(b, row[t] + score, beam, t);
    return OLV_OK;
}

static olv_status run_beams(const ol_beams *b, const ol_beam_rules *rules, const void *ctx, const float **scores, olv_error *err) {
    ol_run_item items[OL_MAX_BEAMS];
    int64_t width, token[OL_MAX_BEAMS];
    for (int i = 0; i < b->n; i++) {
        token[i] = rules->newest(ctx, i);
        items[i] = (ol_run_item){.sequence = b->seqs[i], .ids = &token[i], .count = 1, .n_outputs = 1};
    }
    return ol_session_run(b->l->p->session, OL_ENTRY_DECODE, items, b->n, scores, &width, err);
}

olv_status ol_beams_search(ol_beams *b, const ol_beam_rules *rules, void *ctx, const float *scores, olv_generation *out, olv_error *err) {
    bool over = b->limit == 0;
    while (!over) {
        OL_TRY(rules->advance(ctx, scores, &over, err));
        if (over) break;
        if (b->l->p->cancel) return ol_fail(err, OLV_CANCELLED, "cancelled");
        out->n_steps++;
        OL_TRY(run_beams(b, rules, ctx, &scores, err));
    }
    return rules->fill(ctx, out, err);
}
