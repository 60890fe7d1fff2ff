/* SPDX-License-Identifier: Apache-2.0 */
/* Scores of labels, and of documents for a query. */
#include "base/alloc.h"
#include "base/error.h"
#include "generate/encoder.h"
#include <math.h>
#include <string.h>

typedef struct labelled {
    float *out;
    size_t width;
    olv_score_kind kind;
} labelled;

static void softmax(float *y, size_t n) {
    double max = -INFINITY, sum = 0;
    for (size_t i = 0; i < n; i++) max = fmax(max, (double)y[i]);
    for (size_t i = 0; i < n; i++) sum += exp((double)y[i] - max);
    for (size_t i = 0; i < n; i++) y[i] = (float)(exp((double)y[i] - max) / sum);
}

static void take_scores(void *ctx, size_t i, const float *row) {
    const labelled *l = ctx;
    float *y = l->out + i * l->width;
    memcpy(y, row, l->width * sizeof *y);
    if (l->kind == OLV_SCORE_SOFTMAX) softmax(y, l->width);
    for (size_t k = 0; l->kind == OLV_SCORE_SIGMOID && k < l->width; k++) y[k] = (float)(1 / (1 + exp(-(double)y[k])));
}

olv_status olv_classify(olv_encoder *e, const olv_text *texts, size_t n, olv_score_kind kind, float *out, olv_error *err) {
    if (e->task != OLV_TASK_CLASSIFY) return ol_fail(err, OLV_STATE, "the encoder was not opened to classify");
    labelled l = {out, (size_t)e->width, kind == OLV_SCORE_AUTO ? e->score : kind};
    return ol_encoder_run(e, NULL, texts, n, 0, 0, take_scores, &l, err);
}

olv_status olv_rerank(olv_encoder *e, const olv_text *query, const olv_text *documents, size_t n, olv_score_kind kind,
                      float *out, olv_error *err) {
    if (e->width != 1)
        return ol_fail(err, OLV_UNSUPPORTED, "the model has %lld labels; a reranker has one", (long long)e->width);
    olv_text *pairs = ol_calloc(n + 1, sizeof *pairs);
    if (!pairs) return ol_fail(err, OLV_NOMEM, "no memory for %zu documents", n);
    for (size_t i = 0; i < n; i++)
        pairs[i] = (olv_text){query->text, query->len, documents[i].text, documents[i].len};
    olv_status s = olv_classify(e, pairs, n, kind == OLV_SCORE_AUTO ? e->rerank_score : kind, out, err);
    ol_free(pairs);
    return s;
}
