/* SPDX-License-Identifier: Apache-2.0 */
#include "generate/beam_result.h"
#include "base/alloc.h"
#include "base/error.h"
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

olv_status ol_beam_fill(ol_loop *l, const ol_found_text *texts, size_t n, olv_generation *out, olv_error *err) {
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
