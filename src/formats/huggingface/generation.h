/* SPDX-License-Identifier: Apache-2.0 */
/* Generation settings as model folders hold them: generation_config.json (Hugging Face, OpenVINO GenAI) and the
 * sections `search` and `model` of genai_config.json (onnxruntime-genai). Fields have the names of
 * generation_config.json and the defaults of the transformers library. */
#ifndef OL_FORMATS_HUGGINGFACE_GENERATION_H
#define OL_FORMATS_HUGGINGFACE_GENERATION_H

#include "base/json.h"

#define OL_GEN_MAX_IDS 64 /* end-of-text ids a folder may name */

typedef struct ol_gen_config {
    int64_t max_length, max_new_tokens; /* -1: not given */
    int64_t min_length, min_new_tokens; /* 0 */
    bool do_sample;                     /* false */
    double temperature, top_p;          /* 1, 1 */
    int64_t top_k;                      /* 50; 0 = off */
    double min_p, typical_p, epsilon_cutoff, eta_cutoff, top_n_sigma; /* 0, 1, 0, 0, 0: off */
    double repetition_penalty, presence_penalty, frequency_penalty;   /* 1, 0, 0: off */
    double length_penalty, diversity_penalty, penalty_alpha, guidance_scale; /* 1, 0, 0, 1 */
    int64_t no_repeat_ngram_size;                      /* 0 = off */
    int64_t num_beams, num_beam_groups, num_return_sequences; /* 1 */
    int early_stopping; /* 0: false, 1: true, 2: "never" */
    bool renormalize_logits, remove_invalid_values, past_present_share_buffer;
    double max_time;          /* seconds; 0: no bound */
    double length_decay;      /* exponential_decay_length_penalty: factor, 1: off; and start */
    int64_t length_decay_start;
    int64_t prompt_lookup_num_tokens, max_matching_ngram_size, num_assistant_tokens; /* -1: not given */
    double assistant_confidence_threshold;                                           /* -1: not given */
    int64_t seed; /* random_seed; -1: not given */
    int64_t eos[OL_GEN_MAX_IDS];
    int n_eos;
    int64_t bos, pad, decoder_start; /* -1: none */
    int64_t forced_bos, forced_eos;  /* -1: none */
    /* Owned lists; NULL when empty. bad_words and biased are sequences one after the other, each preceded by its length;
     * biases holds the amounts of the latter. */
    int64_t *suppress, *begin_suppress, *bad_words;
    size_t n_suppress, n_begin_suppress, n_bad_words /* entries of the array */;
    int64_t *biased;
    double *biases;
    size_t n_biased /* entries of the array */, n_biases;
    char **stop_strings;
    size_t n_stop_strings;
} ol_gen_config;

void ol_gen_config_init(ol_gen_config *c); /* the defaults */
void ol_gen_config_deinit(ol_gen_config *c);
/* Lays the keys of a generation_config.json object over c; null and unknown keys are passed over; wrong types and
 * impossible values are OLV_FORMAT naming key, found and expected. Token ids of config.json are read the same way. */
OLV_MUST_USE olv_status ol_gen_config_read(ol_gen_config *c, const json_t *obj, olv_error *err);
/* Reads an id or a list of ids (bos, eos, pad as folders spell them); absent or null leaves *n untouched. */
OLV_MUST_USE olv_status ol_gen_ids(const json_t *obj, const char *key, int64_t *ids, int max, int *n, olv_error *err);

#endif
