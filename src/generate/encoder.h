/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of an olv_encoder: a pipeline whose graph was built for another task than generation. */
#ifndef OL_GENERATE_ENCODER_H
#define OL_GENERATE_ENCODER_H

#include "formats/huggingface/use.h"
#include "generate/pipeline.h"
#include <olivine/encoder.h>

struct olv_encoder {
    olv_pipeline *p;
    ol_arena *arena;
    olv_task task;
    ol_hf_use use;
    int64_t width, max_tokens;
    const char *notice;
    olv_texts_done_fn *progress;
    void *progress_ctx;
    const char **labels;
    olv_score_kind score, rerank_score; /* what AUTO means */
};

/* One text as tokens. */
typedef struct ol_encoded {
    int64_t *ids, *types; /* one block, freed by ids */
    size_t count;
} ol_encoded;
/* Encodes prompt + text (or the pair), at most e->max_tokens tokens. */
OLV_MUST_USE olv_status ol_encode_text(const olv_encoder *e, const char *prompt, const olv_text *text, ol_encoded *out,
                                       olv_error *err);
void ol_encoded_deinit(ol_encoded *e);

/* Receives the result of text i. */
typedef void ol_encoder_take(void *ctx, size_t i, const float *row);
/* Runs n texts in groups and hands over one row for each. pool_from: tokens that pooling leaves out. */
OLV_MUST_USE olv_status ol_encoder_run(olv_encoder *e, const char *prompt, const olv_text *texts, size_t n,
                                       size_t batch_size, int64_t pool_from, ol_encoder_take *take, void *ctx,
                                       olv_error *err);

/* Labels and activations from config.json. */
OLV_MUST_USE olv_status ol_encoder_read_labels(olv_encoder *e, olv_error *err);

#endif
