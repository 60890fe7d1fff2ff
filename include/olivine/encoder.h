/* SPDX-License-Identifier: Apache-2.0 */
/* Encoders: texts to vectors (embeddings), and texts or pairs of texts to scores (classification, reranking).
 *
 *     olv_encoder *e;
 *     if (olv_encoder_open("models/all-minilm-l6-v2", OLV_TASK_EMBED, NULL, &e, &err) != OLV_OK) ...
 *     olv_text texts[] = {OLV_TEXT("a small model"), OLV_TEXT("a large one")};
 *     float *v = malloc(2 * olv_encoder_width(e) * sizeof *v);
 *     olv_embed(e, texts, 2, NULL, v, &err);
 *     olv_encoder_close(e);
 *
 * MODEL is a Hugging Face folder (or hub id) of a bert-like encoder, or, when it says how its rows are pooled
 * (modules.json) or has a classifier, of a decoder. What sentence-transformers writes into folders is obeyed: pooling,
 * dense layers, normalization, longest text, prompts. Texts of any lengths run together without padding, and a text's
 * numbers do not depend on the others, to the bit. A text longer than the model takes loses its end; of a pair the longer
 * text loses first.
 *
 * Thread rule: an olv_encoder serves one thread at a time. */
#ifndef OLIVINE_ENCODER_H
#define OLIVINE_ENCODER_H

#include <olivine/pipeline.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct olv_encoder olv_encoder;

typedef enum olv_task {
    OLV_TASK_EMBED,        /* one vector per text */
    OLV_TASK_EMBED_TOKENS, /* one vector per token: the last hidden states, neither pooled nor normalized */
    OLV_TASK_CLASSIFY      /* one score per label and text */
} olv_task;

/* Opens MODEL for one task. opt may be NULL. A model that is not made for it is OLV_UNSUPPORTED, with the reason. */
OLV_API OLV_MUST_USE olv_status olv_encoder_open(const char *model, olv_task task, const olv_pipeline_options *opt,
                                                 olv_encoder **out, olv_error *err);
OLV_API void olv_encoder_close(olv_encoder *e); /* NULL accepted */
/* Values of an embedding; number of labels. */
OLV_API size_t olv_encoder_width(const olv_encoder *e);
/* Most tokens of a text (or pair), special ones included. */
OLV_API size_t olv_encoder_max_tokens(const olv_encoder *e);
/* Something that the user should know, in one line: how rows are pooled when the folder does not say. NULL: nothing. */
OLV_API const char *olv_encoder_notice(const olv_encoder *e);

/* Called during a call over many texts with how many of them are done; false ends it with OLV_CANCELLED. */
typedef bool olv_texts_done_fn(void *ctx, size_t done, size_t total);
OLV_API void olv_encoder_on_progress(olv_encoder *e, olv_texts_done_fn *fn, void *ctx); /* NULL: none */

/* UTF-8; `pair` NULL: a single text. */
typedef struct olv_text {
    const char *text;
    size_t len;
    const char *pair;
    size_t pair_len;
} olv_text;
#define OLV_TEXT(literal) {literal, sizeof(literal) - 1, NULL, 0}

typedef struct olv_embed_options {
    size_t struct_size;
    const char *prompt_name; /* of the folder's prompts: its text is put before each text; NULL: the folder's default */
    const char *prompt;      /* such a text itself; overrides prompt_name */
    int normalize;           /* 1: to length 1, 0: no, -1 (default): as the folder says */
    size_t dimensions;       /* only the first ones of each vector (before normalization); 0: all */
    size_t batch_size;       /* texts of a run at most; 0: as many as fit */
} olv_embed_options;
OLV_API void olv_embed_options_init(olv_embed_options *opt);
/* Name of prompt i, NULL past the last. */
OLV_API const char *olv_encoder_prompt_name(const olv_encoder *e, size_t i);

/* out [n, width], or [n, dimensions]: the vectors in order. opt may be NULL. */
OLV_API OLV_MUST_USE olv_status olv_embed(olv_encoder *e, const olv_text *texts, size_t n, const olv_embed_options *opt,
                                          float *out, olv_error *err);

typedef struct olv_token_vectors {
    uint32_t *ids;
    float *values; /* [count, width] */
    size_t count;
} olv_token_vectors;
/* The tokens of one text (special ones included) with their vectors; deinit *out. */
OLV_API OLV_MUST_USE olv_status olv_embed_tokens(olv_encoder *e, const olv_text *text, olv_token_vectors *out,
                                                 olv_error *err);
OLV_API void olv_token_vectors_deinit(olv_token_vectors *v);

typedef enum olv_score_kind {
    OLV_SCORE_AUTO, /* by problem_type: softmax for labels that exclude each other, sigmoid else, raw for regression */
    OLV_SCORE_RAW,
    OLV_SCORE_SOFTMAX,
    OLV_SCORE_SIGMOID
} olv_score_kind;
/* Name of a label (id2label of config.json, else "LABEL_0" ...); NULL past the last. */
OLV_API const char *olv_encoder_label(const olv_encoder *e, size_t i);
/* out [n, labels]. */
OLV_API OLV_MUST_USE olv_status olv_classify(olv_encoder *e, const olv_text *texts, size_t n, olv_score_kind kind,
                                             float *out, olv_error *err);
/* How well each document answers the query: the score of a model with one label over the pair. AUTO: the activation that
 * the folder names, else sigmoid. */
OLV_API OLV_MUST_USE olv_status olv_rerank(olv_encoder *e, const olv_text *query, const olv_text *documents, size_t n,
                                           olv_score_kind kind, float *out, olv_error *err);

/* Profile of the runs since it was switched on, as text (olv_free it). */
OLV_API void olv_encoder_profile(olv_encoder *e, bool on);
OLV_API OLV_MUST_USE olv_status olv_encoder_profile_text(olv_encoder *e, char **text, olv_error *err);

#ifdef __cplusplus
}
#endif
#endif
