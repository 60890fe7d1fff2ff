/* SPDX-License-Identifier: Apache-2.0 */
/* What the commands over a language model share: opening it by the common options, and generation settings as options. */
#ifndef CLI_MODEL_H
#define CLI_MODEL_H

#include "args.h"
#include <jansson.h>
#include <olivine/encoder.h>
#include <olivine/pipeline.h>

/* Opens the model named by --model or the first positional; *code is the exit code when NULL is returned. */
olv_pipeline *open_model(arg_list *positionals, bool no_tokenizer, int *code);
olv_pipeline *open_named_model(const char *name, bool no_tokenizer, int *code);

/* The same for an encoder; says on stderr what it has to notice. */
olv_encoder *open_encoder(arg_list *positionals, olv_task task, int *code);

/* Generation settings given on the command line; laid over the model's own. */
typedef struct generation_options {
    int64_t max_new_tokens, min_new_tokens, max_length, top_k, no_repeat_ngram_size, seed;
    double temperature, top_p, min_p, typical_p, repetition_penalty, presence_penalty, frequency_penalty;
    bool do_sample, greedy, ignore_eos, no_chat_template;
    arg_list stop;
    double xtc_probability, xtc_threshold, dry_multiplier, dry_base, mirostat_tau, mirostat_eta;
    int64_t dry_allowed_length, mirostat;
    const char *json_schema, *regex, *grammar;
    bool json_object;
    const char *prompt_cache;
    bool no_prompt_reuse;
    int64_t num_beams, num_return_sequences;
    double length_penalty;
    const char *early_stopping;
    int64_t prompt_lookup_num_tokens, max_ngram_size, num_assistant_tokens;
    double penalty_alpha, diversity_penalty, guidance_scale, max_time;
    int64_t num_beam_groups, keep, sinks;
    bool context_shift;
    bool given[48];
} generation_options;
extern generation_options gen;
#define GENERATION_OPTIONS                                                                                             \
    {"max-new-tokens n", ARG_INT, &gen.max_new_tokens, "N", "tokens to make at most", &gen.given[0]},                  \
    {"min-new-tokens", ARG_INT, &gen.min_new_tokens, "N", "no end before that many", &gen.given[1]},                   \
    {"max-length", ARG_INT, &gen.max_length, "N", "prompt and new tokens at most", &gen.given[2]},                     \
    {"temperature", ARG_REAL, &gen.temperature, "T", "0: greedy", &gen.given[3]},                                      \
    {"top-k", ARG_INT, &gen.top_k, "K", "sample from the K best", &gen.given[4]},                                      \
    {"top-p", ARG_REAL, &gen.top_p, "P", "sample from the best of this mass", &gen.given[5]},                          \
    {"min-p", ARG_REAL, &gen.min_p, "P", "least share of the best one's probability", &gen.given[6]},                  \
    {"typical-p", ARG_REAL, &gen.typical_p, "P", "typical sampling", &gen.given[7]},                                   \
    {"repetition-penalty", ARG_REAL, &gen.repetition_penalty, "R", "above 1 repeats less", &gen.given[8]},             \
    {"presence-penalty", ARG_REAL, &gen.presence_penalty, "R", "-2 to 2", &gen.given[9]},                              \
    {"frequency-penalty", ARG_REAL, &gen.frequency_penalty, "R", "-2 to 2", &gen.given[10]},                           \
    {"no-repeat-ngram-size", ARG_INT, &gen.no_repeat_ngram_size, "N", "no N tokens twice", &gen.given[11]},            \
    {"seed", ARG_INT, &gen.seed, "N", "of the sampler", &gen.given[12]},                                               \
    {"do-sample", ARG_FLAG, &gen.do_sample, NULL, "sample (also with a temperature or top-p)", &gen.given[13]},        \
    {"greedy", ARG_FLAG, &gen.greedy, NULL, "take the best token always", NULL},                                       \
    {"ignore-eos", ARG_FLAG, &gen.ignore_eos, NULL, "do not end at the end-of-text token", NULL},                      \
    {"xtc-probability", ARG_REAL, &gen.xtc_probability, "P", "how often the top choices are left out", &gen.given[14]}, \
    {"xtc-threshold", ARG_REAL, &gen.xtc_threshold, "P", "least probability of a top choice", &gen.given[15]},         \
    {"dry-multiplier", ARG_REAL, &gen.dry_multiplier, "R", "above 0: repeated passages cost", &gen.given[16]},         \
    {"dry-base", ARG_REAL, &gen.dry_base, "B", "growth of that cost with length", &gen.given[17]},                     \
    {"dry-allowed-length", ARG_INT, &gen.dry_allowed_length, "N", "repetitions so long are free", &gen.given[18]},     \
    {"mirostat", ARG_INT, &gen.mirostat, "0|2", "2: constant surprise", &gen.given[19]},                               \
    {"mirostat-tau", ARG_REAL, &gen.mirostat_tau, "BITS", "surprise to keep to", &gen.given[20]},                      \
    {"mirostat-eta", ARG_REAL, &gen.mirostat_eta, "R", "how fast to follow", &gen.given[21]},                          \
    {"json-schema", ARG_STRING, &gen.json_schema, "FILE|TEXT", "the text is JSON valid under this schema", NULL},      \
    {"json-object", ARG_FLAG, &gen.json_object, NULL, "the text is a JSON object", NULL},                              \
    {"regex", ARG_STRING, &gen.regex, "REGEX", "the text matches this as a whole", NULL},                              \
    {"grammar", ARG_STRING, &gen.grammar, "FILE", "the text matches this EBNF grammar (rule root)", NULL},             \
    {"draft-model", ARG_STRING, &common.draft_model, "MODEL", "smaller model that guesses ahead; same text", NULL},    \
    {"num-assistant-tokens", ARG_INT, &gen.num_assistant_tokens, "N", "its guesses at a time", &gen.given[22]},        \
    {"prompt-lookup-num-tokens", ARG_INT, &gen.prompt_lookup_num_tokens, "N", "guess from the text; same text",       \
     &gen.given[23]},                                                                                                  \
    {"max-ngram-size", ARG_INT, &gen.max_ngram_size, "N", "tokens that must agree for that", &gen.given[24]},          \
    {"num-beams", ARG_INT, &gen.num_beams, "N", "beam search", &gen.given[25]},                                        \
    {"num-beam-groups", ARG_INT, &gen.num_beam_groups, "N", "groups of beams that avoid each other", &gen.given[32]},  \
    {"diversity-penalty", ARG_REAL, &gen.diversity_penalty, "R", "how much they do", &gen.given[33]},                  \
    {"penalty-alpha", ARG_REAL, &gen.penalty_alpha, "A", "contrastive search (with --top-k)", &gen.given[34]},         \
    {"guidance-scale", ARG_REAL, &gen.guidance_scale, "R", "above 1: keep closer to the prompt", &gen.given[35]},      \
    {"max-time", ARG_REAL, &gen.max_time, "SECONDS", "end after that time", &gen.given[36]},                           \
    {"context-shift", ARG_FLAG, &gen.context_shift, NULL, "drop old tokens when the context is full", &gen.given[37]}, \
    {"keep", ARG_INT, &gen.keep, "N", "first tokens that stay then (-1: the prompt)", &gen.given[38]},                 \
    {"sinks", ARG_INT, &gen.sinks, "N", "the same as --context-shift --keep N", &gen.given[39]},                       \
    {"num-return-sequences", ARG_INT, &gen.num_return_sequences, "N", "texts of beam search to give", &gen.given[26]}, \
    {"length-penalty", ARG_REAL, &gen.length_penalty, "R", "above 0: beam search likes long texts", &gen.given[27]},   \
    {"early-stopping", ARG_STRING, &gen.early_stopping, "HOW", "true, false, never", NULL},                            \
    {"prompt-cache", ARG_STRING, &gen.prompt_cache, "FILE", "read and save the prompt's state there", NULL},           \
    {"no-prompt-reuse", ARG_FLAG, &gen.no_prompt_reuse, NULL, "compute every prompt whole", NULL},                     \
    {"stop", ARG_LIST, &gen.stop, "TEXT", "ends the generation", NULL}
/* Reads the files that generation options name, once, after the arguments were parsed; exit code, 0: all is well. */
int load_generation_options(void);
void apply_generation_options(olv_generation_config *cfg);
/* What a request's settings point into. */
typedef struct request_storage {
    const char **strings;
    char *schema;
    olv_logit_bias *bias;
    int64_t *breakers;
    bool constrained;
    int64_t *lists[3]; /* of tokens: suppressed, suppressed at the beginning, in biased sequences */
    olv_sequence_bias *sequences;
} request_storage;
void request_storage_free(request_storage *s);
/* Fields of a JSON object by their generation_config.json names; unknown keys are passed over. Free the storage, which
 * begins as zeros, after use, also after a failure. */
olv_status apply_generation_fields(const json_t *item, olv_generation_config *cfg, request_storage *storage, olv_error *err);

#endif
