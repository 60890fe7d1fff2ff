/* SPDX-License-Identifier: Apache-2.0 */
/* Language models: load a model folder, generate text, score tokens.
 *
 *     olv_pipeline_options opt;
 *     olv_pipeline_options_init(&opt);
 *     olv_pipeline *p;
 *     if (olv_pipeline_open("models/pebble", &opt, &p, &err) != OLV_OK) ...
 *     olv_generation_config cfg;
 *     olv_pipeline_get_config(p, &cfg);           // generation_config.json of the folder
 *     cfg.max_new_tokens = 64;
 *     olv_generate(p, &(olv_prompt){.text = "2 + 2 ="}, &cfg, on_text, NULL, &result, &err);
 *
 * Thread rule: one olv_pipeline is used by one thread at a time, except olv_pipeline_cancel, which any thread may call. */
#ifndef OLIVINE_PIPELINE_H
#define OLIVINE_PIPELINE_H

#include <olivine/progress.h>
#include <olivine/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct olv_pipeline olv_pipeline;

typedef struct olv_pipeline_options {
    size_t struct_size;
    const char *device;    /* "CPU" */
    int threads;           /* 0: all usable processors */
    const char *precision; /* "default", "f32", "bf16", or "i8": rows rounded to 8 bits before they meet compressed weights, which
                              default does but in small folders of OpenVINO; NULL = default */
    const char *weights;   /* "as-is", "int8", "int4": compress while loading; NULL = as-is */
    const char *kv_cache;  /* "f32", "f16", "int8"; NULL = f16 (f32 with precision f32) */
    const char *isa;       /* upper bound: "scalar", "avx2", "avx512", "amx"; NULL = none */
    size_t cache_budget;   /* bytes of KV cache at most; 0 = no bound */
    bool no_tokenizer;     /* open without a tokenizer: ids only */
    const char *cache_dir; /* where weights that were compressed while loading are kept; NULL: $XDG_CACHE_HOME/olivine */
    bool no_cache;         /* keep them nowhere */
    bool hidden_states; /* keep what contrastive search needs (a folder with penalty_alpha has it anyway) */
    const char *draft_model; /* a smaller model with the same tokenizer, for speculative decoding; NULL: none */
    olv_progress_fn *progress; /* of weights compressed while loading; NULL: nobody listens */
    void *progress_ctx;
} olv_pipeline_options;
OLV_API void olv_pipeline_options_init(olv_pipeline_options *opt);

/* MODEL: a folder or file of any readable kind, or a hub id found in the local hub cache. */
OLV_API OLV_MUST_USE olv_status olv_pipeline_open(const char *model, const olv_pipeline_options *opt,
                                                  olv_pipeline **out, olv_error *err);
OLV_API void olv_pipeline_close(olv_pipeline *p);

typedef struct olv_logit_bias {
    int64_t token;
    double bias; /* added to the token's score; -INFINITY bans it */
} olv_logit_bias;

typedef struct olv_sequence_bias {
    const int64_t *ids;
    size_t n_ids;
    double bias; /* added to the last token's score where the text ends in those before it; -INFINITY bans it */
} olv_sequence_bias;

/* Names and defaults as in generation_config.json. */
typedef struct olv_generation_config {
    size_t struct_size;
    int64_t max_new_tokens; /* -1: bounded by max_length, else by the context */
    int64_t max_length;     /* prompt included; -1: context length */
    int64_t min_new_tokens;
    bool ignore_eos;
    bool do_sample;
    double temperature, top_p, min_p;
    int64_t top_k; /* 0: off */
    double typical_p, epsilon_cutoff, eta_cutoff, top_n_sigma; /* 1, 0, 0, 0: off */
    double repetition_penalty, presence_penalty, frequency_penalty;
    int64_t no_repeat_ngram_size;
    uint64_t seed;
    int64_t eos_token_id[16];
    int n_eos;
    int64_t bos_token_id, pad_token_id; /* -1: none */
    const char *const *stop_strings;    /* borrowed */
    int n_stop_strings;
    bool include_stop_str_in_output;
    bool skip_special_tokens; /* in the text; true */
    bool apply_chat_template; /* for messages; true */
    bool greedy_penalties;    /* the folder's penalties hold for greedy decoding too (ORT-GenAI folders) */
    double xtc_probability, xtc_threshold; /* 0: off; 0.1 */
    double dry_multiplier, dry_base;       /* 0: off; 1.75 */
    int64_t dry_allowed_length;            /* 2 */
    const int64_t *dry_breakers;           /* borrowed; tokens over which no repetition reaches */
    int n_dry_breakers;
    int64_t mirostat; /* 0: off, 1, 2 */
    double mirostat_tau, mirostat_eta;
    const olv_logit_bias *logit_bias; /* borrowed */
    int n_logit_bias;
    const olv_sequence_bias *sequence_bias; /* borrowed; bad_words_ids among them */
    int n_sequence_bias;
    const int64_t *suppress_tokens, *begin_suppress_tokens; /* borrowed; never, not as the first token */
    int n_suppress_tokens, n_begin_suppress_tokens;
    int64_t forced_bos_token_id, forced_eos_token_id; /* behind a prompt of one token; as the last token; -1: none */
    int64_t min_length;                               /* prompt included */
    double length_decay; /* exponential_decay_length_penalty: growth of an end token's score; 1: off */
    int64_t length_decay_start;
    bool remove_invalid_values, renormalize_logits; /* NaN and infinite scores; scores of beams after penalties */
    double guidance_scale; /* classifier-free guidance against the prompt's last token alone; 1: off */
    double max_time;       /* seconds from the call on; 0: no bound */
    /* Constrained decoding; at most one of them, borrowed. The text matches it whole when the end token ends it (not when
     * a length limit does). What cannot be kept or has no finite text is refused before anything is generated. */
    const char *json_schema; /* JSON text of a schema */
    const char *regex;
    const char *grammar;     /* EBNF with a rule `root` */
    bool json_object;        /* any JSON object */
    /* Speculative decoding: guessed tokens are checked several at a time. The text is the same as without. */
    int64_t prompt_lookup_num_tokens; /* guesses from the text so far, at most 15; 0: off */
    int64_t max_ngram_size;           /* tokens that must agree for that, at most; 2 */
    int64_t num_assistant_tokens;     /* guesses of the draft model, at most 15; 5 */
    double assistant_confidence_threshold; /* it stops guessing behind a token that it finds less probable; 0 */
    /* Beam search, as transformers does it; not with do_sample, constraints and stop strings. Several sequences without
     * beams need do_sample: sequence i is the one that the seed `seed` + i gives. */
    int64_t num_beams, num_return_sequences; /* 1 to 16; 1 */
    int64_t num_beam_groups;                 /* divides num_beams; above 1: diverse beam search */
    double diversity_penalty;                /* for a token, each time that an earlier group chose it in this step */
    double length_penalty;                   /* 1 */
    int early_stopping;                      /* 0: false, 1: true, 2: "never" */
    /* Contrastive search (Su et al., 2022) among the top_k best tokens, greedy, when above 0: the share of the penalty for
     * likeness to the states of earlier tokens. */
    double penalty_alpha;
    /* When the context is full, the older half of what follows the first `keep` tokens (-1: the prompt) is dropped and
     * generation goes on as from a prompt of the rest; without, it ends there. It takes max_new_tokens or max_length to go
     * past the context. */
    bool context_shift;
    int64_t keep;
    /* The last prompt stays in memory, and the next one that begins alike computes only the rest; the text is the same. */
    bool no_prompt_reuse;
    const char *prompt_cache; /* borrowed path: the prompt's state is read from there and saved there; NULL: no file */
} olv_generation_config;
OLV_API void olv_generation_config_init(olv_generation_config *cfg);
/* The model's own defaults (generation_config.json, genai_config.json). */
OLV_API void olv_pipeline_get_config(const olv_pipeline *p, olv_generation_config *cfg);
/* Checks ranges and combinations; the message names the field. */
OLV_API OLV_MUST_USE olv_status olv_generation_config_check(const olv_generation_config *cfg, olv_error *err);

/* Exactly one of text, messages, ids. */
typedef struct olv_prompt {
    const char *text;       /* encoded with special tokens as the tokenizer adds them */
    const char *messages;   /* JSON text: an array of messages, or an object of template variables with `messages` */
    const int64_t *ids;
    size_t n_ids;
} olv_prompt;

typedef enum olv_finish_reason { OLV_FINISH_NONE, OLV_FINISH_STOP, OLV_FINISH_LENGTH, OLV_FINISH_CANCELLED } olv_finish_reason;
OLV_API const char *olv_finish_reason_name(olv_finish_reason r); /* "stop", "length", ... */

/* One of several texts that beam search found. */
typedef struct olv_beam {
    int64_t *ids;
    size_t n_ids;
    char *text; /* NUL-terminated; NULL without a tokenizer */
    double score; /* sum of log-probabilities / length ^ length_penalty */
    olv_finish_reason finish_reason;
} olv_beam;

typedef struct olv_generation {
    int64_t *ids; /* new tokens */
    size_t n_ids;
    char *text; /* of the new tokens, NUL-terminated; NULL without a tokenizer */
    size_t text_len;
    olv_finish_reason finish_reason;
    size_t n_prompt;
    double ttft_ms;       /* from the call to the first token */
    double prefill_tokens_per_s, decode_tokens_per_s;
    size_t n_steps, n_drafted, n_accepted; /* runs after the prompt; tokens guessed; guesses that were right */
    size_t n_reused; /* prompt tokens that were not computed again */
    size_t n_dropped; /* tokens that left the context on the way */
    olv_beam *beams; /* num_return_sequences texts, best first, with num_beams > 1; sampled ones in their order, score 0 */
    size_t n_beams;
} olv_generation;
OLV_API void olv_generation_deinit(olv_generation *g);

/* Called with each piece of text (never inside a character) and the newest token id; false stops the generation. */
typedef bool olv_text_fn(void *ctx, const char *piece, size_t len, int64_t token);

/* Generates. out may be NULL when the callback is enough. A prompt longer than the context is OLV_LIMIT. */
OLV_API OLV_MUST_USE olv_status olv_generate(olv_pipeline *p, const olv_prompt *prompt, const olv_generation_config *cfg,
                                             olv_text_fn *on_text, void *ctx, olv_generation *out, olv_error *err);
/* Makes a running olv_generate (or the next one) return OLV_CANCELLED soon; from any thread or signal handler. */
OLV_API void olv_pipeline_cancel(olv_pipeline *p);
OLV_API void olv_pipeline_clear_cancel(olv_pipeline *p);

/* Raw scores. Calls fn with rows of f32 logits [vocab] for every position of ids in order (row i scores token i + 1).
 * mask, if not NULL, has n entries; rows with mask 0 get no position and fn a row of zeros (left padding). */
typedef bool olv_logits_fn(void *ctx, size_t row, const float *logits, size_t vocab);
OLV_API OLV_MUST_USE olv_status olv_logits(olv_pipeline *p, const int64_t *ids, const int64_t *mask, size_t n,
                                           olv_logits_fn *fn, void *ctx, olv_error *err);

/* Encodes text (olv_free the ids); renders messages through the model's chat template (olv_free the text). */
OLV_API OLV_MUST_USE olv_status olv_pipeline_encode(olv_pipeline *p, const char *text, bool add_special, int64_t **ids,
                                                    size_t *n, olv_error *err);
OLV_API OLV_MUST_USE olv_status olv_pipeline_render(olv_pipeline *p, const char *messages_json, char **text,
                                                    olv_error *err);
OLV_API OLV_MUST_USE olv_status olv_pipeline_decode(olv_pipeline *p, const int64_t *ids, size_t n, bool skip_special,
                                                    char **text, olv_error *err);
OLV_API void olv_free(void *p);

/* JSON description: model_type, context_length, vocab_size, parameters, bytes, weights by type, kernels (`plan`),
 * tokenizer kind, memory by context length. olv_free it. */
OLV_API OLV_MUST_USE olv_status olv_pipeline_describe(olv_pipeline *p, char **json, olv_error *err);
/* Steps of the plan, one per line. olv_free it. */
OLV_API OLV_MUST_USE olv_status olv_pipeline_plan_text(olv_pipeline *p, char **text, olv_error *err);

/* Speed of n_prompt random tokens and n_new greedy ones; sets what it measured. */
typedef struct olv_benchmark {
    double load_ms, ttft_ms, prefill_tokens_per_s, decode_tokens_per_s;
    size_t n_prompt, n_new;
    uint64_t kv_bytes, workspace_bytes;
} olv_benchmark;
OLV_API OLV_MUST_USE olv_status olv_pipeline_benchmark(olv_pipeline *p, size_t n_prompt, size_t n_new, uint64_t seed,
                                                       olv_benchmark *out, olv_error *err);
/* Profile of the runs since it was switched on, as text (olv_free it). */
OLV_API void olv_pipeline_profile(olv_pipeline *p, bool on);
OLV_API OLV_MUST_USE olv_status olv_pipeline_profile_text(olv_pipeline *p, char **text, olv_error *err);

#ifdef __cplusplus
}
#endif
#endif
