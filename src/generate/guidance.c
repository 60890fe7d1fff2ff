/* SPDX-License-Identifier: Apache-2.0 */
#include "generate/guidance.h"
#include "base/alloc.h"
#include "base/error.h"
#include "generate/scores.h"

struct ol_guidance {
    olv_pipeline *p;
    ol_sequence *seq;
    double scale;
    float *row, *plain; /* [vocab] each */
};

olv_status ol_guidance_create(olv_pipeline *p, const olv_generation_config *cfg, ol_guidance **out, olv_error *err) {
    *out = NULL;
    if (cfg->guidance_scale == 1) return OLV_OK;
    if (cfg->num_beams > 1 || cfg->context_shift)
        return ol_fail(err, OLV_UNSUPPORTED, "guidance_scale does not go with %s", cfg->num_beams > 1 ? "beam search" : "context_shift");
    ol_guidance *g = ol_calloc(1, sizeof *g);
    if (!g) return ol_fail(err, OLV_NOMEM, "no memory for guidance");
    *g = (ol_guidance){.p = p, .scale = cfg->guidance_scale};
    g->row = ol_calloc((size_t)p->vocab_size, sizeof *g->row);
    g->plain = ol_calloc((size_t)p->vocab_size, sizeof *g->plain);
    olv_status s = g->row && g->plain ? ol_adapters_sequence(&p->adapters, p->pool, &g->seq, err)
                                      : ol_fail(err, OLV_NOMEM, "no memory for guidance");
    if (s == OLV_OK) *out = g;
    else ol_guidance_destroy(g);
    return s;
}

void ol_guidance_destroy(ol_guidance *g) {
    if (!g) return;
    ol_sequence_destroy(g->seq);
    ol_free(g->row);
    ol_free(g->plain);
    ol_free(g);
}

olv_status ol_guidance_apply(ol_guidance *g, int64_t newest, const float **scores, olv_error *err) {
    const float *unconditional;
    int64_t width, vocab = g->p->vocab_size;
    const ol_run_item it = {.sequence = g->seq, .ids = &newest, .count = 1, .n_outputs = 1};
    ol_scores_log_softmax(*scores, vocab, g->row); /* before the run takes the buffer */
    OL_TRY(ol_session_run(g->p->session, OL_ENTRY_DECODE, &it, 1, &unconditional, &width, err));
    ol_scores_log_softmax(unconditional, vocab, g->plain);
    float scale = (float)g->scale;
    for (int64_t i = 0; i < vocab; i++) g->row[i] = scale * (g->row[i] - g->plain[i]) + g->plain[i];
    *scores = g->row;
    return OLV_OK;
}
