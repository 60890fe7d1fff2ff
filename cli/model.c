/* SPDX-License-Identifier: Apache-2.0 */
#include "model.h"
#include "fetch.h"
#include "jsonl.h"
#include "progress.h"
#include <math.h>
#include <olivine/core.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

generation_options gen;

/* --config KEY=VALUE by OpenVINO's names, as far as they mean something here. */
static int apply_properties(olv_pipeline_options *o) {
    for (size_t i = 0; i < common.config.count; i++) {
        const char *kv = common.config.items[i], *eq = strchr(kv, '=');
        if (!eq) return usage_error("--config %s: expected KEY=VALUE", kv);
        size_t n = (size_t)(eq - kv);
        const char *v = eq + 1;
        if (n == 21 && !strncasecmp(kv, "INFERENCE_NUM_THREADS", n)) o->threads = strcasecmp(v, "AUTO") ? atoi(v) : 0;
        else if (n == 24 && !strncasecmp(kv, "INFERENCE_PRECISION_HINT", n)) o->precision = strcmp(v, "dynamic") ? v : "default";
        else if (n == 18 && !strncasecmp(kv, "KV_CACHE_PRECISION", n)) o->kv_cache = v;
        else if (n == 9 && !strncasecmp(kv, "CACHE_DIR", n)) o->cache_dir = v;
        else if (n == 19 && !strncasecmp(kv, "EXECUTION_MODE_HINT", n)) o->precision = strcasecmp(v, "ACCURACY") ? "default" : "f32";
        else if (n == 16 && !strncasecmp(kv, "PERFORMANCE_HINT", n)) continue;
        else if (n == 11 && !strncasecmp(kv, "NUM_STREAMS", n)) continue;
        else return usage_error("--config %.*s: known are INFERENCE_NUM_THREADS, INFERENCE_PRECISION_HINT, KV_CACHE_PRECISION, "
                                "EXECUTION_MODE_HINT, CACHE_DIR, PERFORMANCE_HINT, NUM_STREAMS", (int)n, kv);
    }
    return 0;
}

/* Lines of the library on standard error, with -v. */
static void show_line(void *ctx, olv_log_level level, const char *line) {
    (void)ctx;
    if (level > OLV_LOG_DEBUG) fprintf(stderr, "olivine: %s\n", line);
}

/* The common options; an exit code, 0: all is well. */
static int pipeline_options(olv_pipeline_options *options) {
    olv_pipeline_options o;
    olv_pipeline_options_init(&o);
    o.device = common.device;
    o.threads = (int)common.threads;
    o.precision = common.precision;
    o.weights = common.weights;
    o.kv_cache = common.kv_cache;
    o.isa = common.isa;
    o.cache_dir = common.cache_dir;
    o.draft_model = common.draft_model;
    o.hidden_states = gen.penalty_alpha > 0;
    o.no_cache = common.no_cache;
    if (common.threads < 0 || common.threads > 64)
        return usage_error("--threads is %lld, expected 0 (all) to 64", (long long)common.threads);
    int code = apply_properties(&o);
    if (common.verbose) olv_set_log(show_line, NULL);
    *options = o;
    return code ? code : progress_check();
}

static bool go_on(void *ctx, size_t done, size_t total) {
    (void)ctx, (void)done, (void)total;
    return !interrupted;
}

olv_encoder *open_encoder(arg_list *positionals, olv_task task, int *code) {
    const char *name = take_model(positionals);
    olv_pipeline_options o;
    olv_encoder *e = NULL;
    olv_error err = {.message = ""};
    *code = name ? pipeline_options(&o) : 2;
    if (!*code) *code = fetch_missing(name);
    if (*code) return NULL;
    if (olv_encoder_open(name, task, &o, &e, &err) != OLV_OK) *code = report(&err);
    if (e) olv_encoder_on_progress(e, go_on, NULL);
    if (e && olv_encoder_notice(e) && !common.quiet) fprintf(stderr, "olivine: %s\n", olv_encoder_notice(e));
    return e;
}

olv_pipeline *open_named_model(const char *name, bool no_tokenizer, int *code) {
    olv_pipeline_options o;
    if ((*code = pipeline_options(&o)) || (*code = fetch_missing(name))) return NULL;
    o.no_tokenizer = no_tokenizer;
    olv_error err = {.message = ""};
    olv_pipeline *p;
    progress bar;
    progress_begin(&bar, "load", PROGRESS_WEIGHTS);
    o.progress = progress_show;
    o.progress_ctx = &bar;
    olv_status s = olv_pipeline_open(name, &o, &p, &err);
    progress_end(&bar);
    if (s == OLV_OK) return p;
    *code = report(&err);
    return NULL;
}

olv_pipeline *open_model(arg_list *positionals, bool no_tokenizer, int *code) {
    const char *name = take_model(positionals);
    if (!name) {
        *code = 2;
        return NULL;
    }
    return open_named_model(name, no_tokenizer, code);
}

/* Greedy decoding asked for by name is plain: the penalties of a generation_config.json belong to its sampling. */
static void plain_greedy(olv_generation_config *c) {
    c->do_sample = false;
    c->temperature = 1;
    if (c->greedy_penalties) return;
    c->repetition_penalty = 1;
    c->presence_penalty = c->frequency_penalty = 0;
    c->no_repeat_ngram_size = 0;
}

/* The whole file as a string; NULL after an error. */
static char *read_text(const char *path) {
    FILE *f = fopen(path, "rb");
    size_t len = 0, cap = 4096;
    char *text = f ? malloc(cap) : NULL;
    for (size_t got; text && (got = fread(text + len, 1, cap - len - 1, f)) > 0;) {
        len += got;
        if (len + 1 < cap) continue;
        char *more = cap < (1u << 26) ? realloc(text, cap *= 2) : NULL;
        if (!more) free(text);
        text = more;
    }
    if (f) fclose(f);
    if (text) text[len] = 0;
    return text;
}

/* -1: none of the words. */
static int early_stopping(const char *word) {
    static const char *const words[] = {"false", "true", "never"};
    for (int i = 0; i < 3; i++)
        if (!strcmp(word, words[i])) return i;
    return -1;
}

int load_generation_options(void) {
    if (gen.early_stopping && early_stopping(gen.early_stopping) < 0)
        return usage_error("--early-stopping %s: expected true, false or never", gen.early_stopping);
    if (gen.grammar) {
        const char *path = gen.grammar;
        if (!(gen.grammar = read_text(path))) return usage_error("--grammar %s: cannot read that file", path);
    }
    if (gen.json_schema) {
        const char *given = gen.json_schema, *start = given + strspn(given, " \t\r\n");
        if (*start == '{' || !strcmp(start, "true") || !strcmp(start, "false")) return 0;
        if (!(gen.json_schema = read_text(given)))
            return usage_error("--json-schema %s: neither a schema nor a readable file", given);
    }
    return 0;
}

void apply_generation_options(olv_generation_config *c) {
    if (gen.greedy) plain_greedy(c);
    const bool *g = gen.given;
    if (g[0]) c->max_new_tokens = gen.max_new_tokens;
    if (g[1]) c->min_new_tokens = gen.min_new_tokens;
    if (g[2]) c->max_length = gen.max_length, c->max_new_tokens = g[0] ? gen.max_new_tokens : -1;
    if (g[3]) c->temperature = gen.temperature;
    if (g[4]) c->top_k = gen.top_k;
    if (g[5]) c->top_p = gen.top_p;
    if (g[6]) c->min_p = gen.min_p;
    if (g[7]) c->typical_p = gen.typical_p;
    if (g[8]) c->repetition_penalty = gen.repetition_penalty;
    if (g[9]) c->presence_penalty = gen.presence_penalty;
    if (g[10]) c->frequency_penalty = gen.frequency_penalty;
    if (g[11]) c->no_repeat_ngram_size = gen.no_repeat_ngram_size;
    if (g[12]) c->seed = (uint64_t)gen.seed;
    if (g[13]) c->do_sample = gen.do_sample;
    if (g[3] || g[4] || g[5] || g[6] || g[7]) c->do_sample = true;
    if (gen.greedy || (g[3] && gen.temperature == 0)) {
        c->do_sample = false;
        c->temperature = 1;
    }
    if (g[14]) c->xtc_probability = gen.xtc_probability;
    if (g[15]) c->xtc_threshold = gen.xtc_threshold;
    if (g[16]) c->dry_multiplier = gen.dry_multiplier;
    if (g[17]) c->dry_base = gen.dry_base;
    if (g[18]) c->dry_allowed_length = gen.dry_allowed_length;
    if (g[19]) c->mirostat = gen.mirostat;
    if (g[20]) c->mirostat_tau = gen.mirostat_tau;
    if (g[21]) c->mirostat_eta = gen.mirostat_eta;
    if (g[22]) c->num_assistant_tokens = gen.num_assistant_tokens;
    if (g[23]) c->prompt_lookup_num_tokens = gen.prompt_lookup_num_tokens;
    if (g[24]) c->max_ngram_size = gen.max_ngram_size;
    if (g[25]) c->num_beams = gen.num_beams;
    if (g[26]) c->num_return_sequences = gen.num_return_sequences;
    if (g[27]) c->length_penalty = gen.length_penalty;
    if (gen.early_stopping) c->early_stopping = early_stopping(gen.early_stopping);
    if (g[32]) c->num_beam_groups = gen.num_beam_groups;
    if (g[33]) c->diversity_penalty = gen.diversity_penalty;
    if (g[34]) c->penalty_alpha = gen.penalty_alpha;
    if (g[34] && !gen.do_sample) c->do_sample = false; /* top_k is its number of candidates */
    if (g[35]) c->guidance_scale = gen.guidance_scale;
    if (g[36]) c->max_time = gen.max_time;
    if (g[38]) c->keep = gen.keep;
    if (g[39]) c->keep = gen.sinks;
    if (g[37] || g[39]) c->context_shift = true;
    c->prompt_cache = gen.prompt_cache;
    c->no_prompt_reuse = gen.no_prompt_reuse;
    c->json_schema = gen.json_schema;
    c->regex = gen.regex;
    c->grammar = gen.grammar;
    c->json_object = gen.json_object;
    c->ignore_eos |= gen.ignore_eos;
    if (gen.stop.count) {
        c->stop_strings = gen.stop.items;
        c->n_stop_strings = (int)gen.stop.count;
    }
}

typedef enum field_kind { INT, UINT, REAL, BOOL } field_kind;

static olv_status set_field(const json_t *v, const char *name, field_kind kind, void *target, olv_error *err) {
    if (kind == BOOL) {
        if (!json_is_boolean(v)) return cli_fail(err, OLV_ARG, "\"%s\" must be true or false", name);
        *(bool *)target = json_is_true(v);
    } else if (kind == REAL) {
        if (!json_is_number(v)) return cli_fail(err, OLV_ARG, "\"%s\" must be a number", name);
        *(double *)target = json_number_value(v);
    } else {
        if (!json_is_integer(v)) return cli_fail(err, OLV_ARG, "\"%s\" must be an integer", name);
        *(int64_t *)target = json_integer_value(v);
    }
    return OLV_OK;
}

static olv_status set_eos(const json_t *v, olv_generation_config *c, olv_error *err) {
    c->n_eos = 0;
    if (json_is_integer(v)) c->eos_token_id[c->n_eos++] = json_integer_value(v);
    else if (json_is_array(v) && json_array_size(v) <= 16)
        for (size_t i = 0; i < json_array_size(v); i++) c->eos_token_id[c->n_eos++] = json_integer_value(json_array_get(v, i));
    else return cli_fail(err, OLV_ARG, "\"eos_token_id\" must be an integer or a list of at most 16");
    return OLV_OK;
}

static olv_status set_bias(const json_t *v, olv_generation_config *c, request_storage *r, olv_error *err) {
    const char *key;
    json_t *amount;
    int n = 0;
    if (!json_is_object(v)) return cli_fail(err, OLV_ARG, "\"logit_bias\" must be an object of token ids and numbers");
    free(r->bias);
    if (!(r->bias = calloc(json_object_size(v) + 1, sizeof *r->bias))) return cli_fail(err, OLV_NOMEM, "no memory for logit_bias");
    json_object_foreach((json_t *)(uintptr_t)v, key, amount) {
        char *end;
        long long token = strtoll(key, &end, 10);
        if (!*key || *end || token < 0 || !json_is_number(amount))
            return cli_fail(err, OLV_ARG, "\"logit_bias\": expected token ids as keys and numbers as values");
        r->bias[n++] = (olv_logit_bias){token, json_number_value(amount)};
    }
    c->logit_bias = r->bias;
    c->n_logit_bias = n;
    return OLV_OK;
}

static olv_status set_breakers(const json_t *v, olv_generation_config *c, request_storage *r, olv_error *err) {
    size_t n = json_array_size(v);
    if (!json_is_array(v) || n > 4096) return cli_fail(err, OLV_ARG, "\"dry_breakers\" must be a list of at most 4096 token ids");
    free(r->breakers);
    if (!(r->breakers = calloc(n + 1, sizeof *r->breakers))) return cli_fail(err, OLV_NOMEM, "no memory for dry_breakers");
    for (size_t i = 0; i < n; i++) {
        if (!json_is_integer(json_array_get(v, i))) return cli_fail(err, OLV_ARG, "\"dry_breakers\" must be token ids");
        r->breakers[i] = json_integer_value(json_array_get(v, i));
    }
    c->dry_breakers = r->breakers;
    c->n_dry_breakers = (int)n;
    return OLV_OK;
}

/* A list of token ids into *ids; -1 after an error. */
static int set_ids(const json_t *v, const char *name, int64_t **ids, olv_error *err) {
    size_t n = json_array_size(v);
    free(*ids);
    *ids = calloc(n + 1, sizeof **ids);
    if (!*ids) return cli_fail(err, OLV_NOMEM, "no memory for \"%s\"", name), -1;
    for (size_t i = 0; i < n && n <= (1u << 24); i++) {
        (*ids)[i] = json_integer_value(json_array_get(v, i));
        if (!json_is_integer(json_array_get(v, i)) || (*ids)[i] < 0) n = SIZE_MAX;
    }
    if (!json_is_array(v) || n > (1u << 24)) return cli_fail(err, OLV_ARG, "\"%s\" must be a list of token ids", name), -1;
    return (int)n;
}

/* "bad_words_ids": [[id, ...], ...] or "sequence_bias": [[[id, ...], amount], ...]; takes the place of the model's own. */
static olv_status set_sequences(const json_t *v, bool biased, olv_generation_config *c, request_storage *r, olv_error *err) {
    const char *form = biased ? "\"sequence_bias\" must be a list of [[id, ...], amount]" : "\"bad_words_ids\" must be a list of lists of token ids";
    size_t n = json_array_size(v), total = 0, at = 0;
    if (!json_is_array(v)) return cli_fail(err, OLV_ARG, "%s", form);
    for (size_t i = 0; i < n; i++) {
        const json_t *e = json_array_get(v, i);
        if (biased && (json_array_size(e) != 2 || !json_is_number(json_array_get(e, 1)))) return cli_fail(err, OLV_ARG, "%s", form);
        const json_t *ids = biased ? json_array_get(e, 0) : e;
        if (json_array_size(ids) < 1) return cli_fail(err, OLV_ARG, "%s", form);
        total += json_array_size(ids);
    }
    free(r->sequences);
    free(r->lists[2]);
    r->sequences = calloc(n + 1, sizeof *r->sequences);
    r->lists[2] = calloc(total + 1, sizeof *r->lists[2]);
    if (!r->sequences || !r->lists[2]) return cli_fail(err, OLV_NOMEM, "no memory for biases");
    for (size_t i = 0; i < n; i++) {
        const json_t *e = json_array_get(v, i), *ids = biased ? json_array_get(e, 0) : e;
        r->sequences[i] = (olv_sequence_bias){r->lists[2] + at, json_array_size(ids), biased ? json_number_value(json_array_get(e, 1)) : -INFINITY};
        for (size_t k = 0; k < json_array_size(ids); k++) {
            if (!json_is_integer(json_array_get(ids, k))) return cli_fail(err, OLV_ARG, "%s", form);
            r->lists[2][at++] = json_integer_value(json_array_get(ids, k));
        }
    }
    c->sequence_bias = r->sequences;
    c->n_sequence_bias = (int)n;
    return OLV_OK;
}

static olv_status set_token_rules(const char *key, const json_t *v, olv_generation_config *c, request_storage *r, olv_error *err) {
    bool begin = !strcmp(key, "begin_suppress_tokens");
    if (!strcmp(key, "bad_words_ids") || !strcmp(key, "sequence_bias")) return set_sequences(v, *key == 's', c, r, err);
    if (!strcmp(key, "exponential_decay_length_penalty")) {
        if (json_array_size(v) != 2 || !json_is_integer(json_array_get(v, 0)) || !json_is_number(json_array_get(v, 1)))
            return cli_fail(err, OLV_ARG, "\"%s\" must be [start, factor]", key);
        c->length_decay_start = json_integer_value(json_array_get(v, 0));
        c->length_decay = json_number_value(json_array_get(v, 1));
    }
    if (!begin && strcmp(key, "suppress_tokens")) return OLV_OK;
    int n = set_ids(v, key, &r->lists[begin], err);
    if (n < 0) return err->status;
    *(begin ? &c->begin_suppress_tokens : &c->suppress_tokens) = r->lists[begin];
    *(begin ? &c->n_begin_suppress_tokens : &c->n_suppress_tokens) = n;
    return OLV_OK;
}

/* A request's own constraint takes the place of the command line's. */
static olv_status replace_constraint(olv_generation_config *c, request_storage *r, olv_error *err) {
    if (r->constrained)
        return cli_fail(err, OLV_ARG, "give one of \"json_schema\", \"regex\", \"grammar\", \"response_format\", not several");
    r->constrained = true;
    c->json_schema = c->regex = c->grammar = NULL;
    c->json_object = false;
    return OLV_OK;
}

/* A schema as a JSON value, or as its text. */
static olv_status set_schema(const json_t *v, olv_generation_config *c, request_storage *r, olv_error *err) {
    olv_status s = replace_constraint(c, r, err);
    if (s != OLV_OK) return s;
    r->schema = json_is_string(v) ? strdup(json_string_value(v)) : json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY);
    if (!r->schema) return cli_fail(err, OLV_NOMEM, "no memory for a schema");
    c->json_schema = r->schema;
    return OLV_OK;
}

static olv_status set_text(const json_t *v, const char *name, olv_generation_config *c, const char **target, request_storage *r,
                           olv_error *err) {
    if (!json_is_string(v)) return cli_fail(err, OLV_ARG, "\"%s\" must be a string", name);
    olv_status s = replace_constraint(c, r, err);
    if (s != OLV_OK) return s;
    *target = json_string_value(v);
    return OLV_OK;
}

/* {"type": "text" | "json_object"} or {"type": "json_schema", "json_schema": {"schema": ...}}. */
static olv_status set_response_format(const json_t *v, olv_generation_config *c, request_storage *r, olv_error *err) {
    const char *type = json_string_value(json_object_get(v, "type"));
    if (type && !strcmp(type, "text")) return OLV_OK;
    if (type && !strcmp(type, "json_object")) {
        olv_status s = replace_constraint(c, r, err);
        c->json_object = s == OLV_OK;
        return s;
    }
    const json_t *outer = json_object_get(v, "json_schema"), *schema = json_object_get(outer, "schema");
    if (!schema) schema = json_object_get(v, "schema");
    if (type && !strcmp(type, "json_schema") && schema) return set_schema(schema, c, r, err);
    return cli_fail(err, OLV_ARG, "\"response_format\": expected {\"type\": \"text\"}, {\"type\": \"json_object\"} or "
                                  "{\"type\": \"json_schema\", \"json_schema\": {\"schema\": ...}}");
}

void request_storage_free(request_storage *s) {
    for (int i = 0; i < 3; i++) free(s->lists[i]);
    free(s->sequences);
    free(s->strings);
    free(s->schema);
    free(s->bias);
    free(s->breakers);
}

static olv_status set_stop(const json_t *v, olv_generation_config *c, const char ***strings, olv_error *err) {
    size_t n = json_is_array(v) ? json_array_size(v) : 1;
    const char **s = calloc(n + 1, sizeof *s);
    if (!s) return cli_fail(err, OLV_NOMEM, "no memory for stop strings");
    free(*strings);
    *strings = s;
    for (size_t i = 0; i < n; i++) {
        s[i] = json_string_value(json_is_array(v) ? json_array_get(v, i) : v);
        if (!s[i]) return cli_fail(err, OLV_ARG, "stop strings must be strings");
    }
    c->stop_strings = s;
    c->n_stop_strings = (int)n;
    return OLV_OK;
}

static olv_status set_structured(const char *key, const json_t *v, olv_generation_config *c, request_storage *r,
                                 olv_error *err) {
    if (!strcmp(key, "eos_token_id")) return set_eos(v, c, err);
    if (!strcmp(key, "stop_strings") || !strcmp(key, "stop")) return set_stop(v, c, &r->strings, err);
    if (!strcmp(key, "early_stopping")) {
        const char *word = json_is_boolean(v) ? (json_is_true(v) ? "true" : "false") : json_string_value(v);
        if (!word || early_stopping(word) < 0)
            return cli_fail(err, OLV_ARG, "\"early_stopping\" must be true, false or \"never\"");
        c->early_stopping = early_stopping(word);
        return OLV_OK;
    }
    if (!strcmp(key, "logit_bias")) return set_bias(v, c, r, err);
    if (!strcmp(key, "dry_breakers")) return set_breakers(v, c, r, err);
    if (!strcmp(key, "json_schema")) return set_schema(v, c, r, err);
    if (!strcmp(key, "regex")) return set_text(v, key, c, &c->regex, r, err);
    if (!strcmp(key, "grammar")) return set_text(v, key, c, &c->grammar, r, err);
    if (!strcmp(key, "response_format")) return set_response_format(v, c, r, err);
    return set_token_rules(key, v, c, r, err);
}

olv_status apply_generation_fields(const json_t *item, olv_generation_config *c, request_storage *storage, olv_error *err) {
    const struct {
        const char *name;
        field_kind kind;
        void *target;
    } fields[] = {{"max_new_tokens", INT, &c->max_new_tokens}, {"max_tokens", INT, &c->max_new_tokens},
                  {"max_length", INT, &c->max_length}, {"min_new_tokens", INT, &c->min_new_tokens},
                  {"ignore_eos", BOOL, &c->ignore_eos}, {"do_sample", BOOL, &c->do_sample},
                  {"temperature", REAL, &c->temperature}, {"top_p", REAL, &c->top_p}, {"min_p", REAL, &c->min_p},
                  {"top_k", INT, &c->top_k}, {"typical_p", REAL, &c->typical_p}, {"epsilon_cutoff", REAL, &c->epsilon_cutoff},
                  {"eta_cutoff", REAL, &c->eta_cutoff}, {"top_n_sigma", REAL, &c->top_n_sigma},
                  {"repetition_penalty", REAL, &c->repetition_penalty}, {"presence_penalty", REAL, &c->presence_penalty},
                  {"frequency_penalty", REAL, &c->frequency_penalty}, {"no_repeat_ngram_size", INT, &c->no_repeat_ngram_size},
                  {"seed", UINT, &c->seed}, {"rng_seed", UINT, &c->seed}, {"skip_special_tokens", BOOL, &c->skip_special_tokens},
                  {"xtc_probability", REAL, &c->xtc_probability}, {"xtc_threshold", REAL, &c->xtc_threshold},
                  {"dry_multiplier", REAL, &c->dry_multiplier}, {"dry_base", REAL, &c->dry_base},
                  {"dry_allowed_length", INT, &c->dry_allowed_length}, {"mirostat", INT, &c->mirostat},
                  {"mirostat_tau", REAL, &c->mirostat_tau}, {"mirostat_eta", REAL, &c->mirostat_eta},
                  {"prompt_lookup_num_tokens", INT, &c->prompt_lookup_num_tokens}, {"max_ngram_size", INT, &c->max_ngram_size},
                  {"max_matching_ngram_size", INT, &c->max_ngram_size},
                  {"num_assistant_tokens", INT, &c->num_assistant_tokens},
                  {"num_beams", INT, &c->num_beams}, {"num_return_sequences", INT, &c->num_return_sequences},
                  {"length_penalty", REAL, &c->length_penalty}, {"num_beam_groups", INT, &c->num_beam_groups},
                  {"diversity_penalty", REAL, &c->diversity_penalty}, {"penalty_alpha", REAL, &c->penalty_alpha},
                  {"guidance_scale", REAL, &c->guidance_scale}, {"max_time", REAL, &c->max_time},
                  {"context_shift", BOOL, &c->context_shift}, {"keep", INT, &c->keep}, {"min_length", INT, &c->min_length},
                  {"forced_bos_token_id", INT, &c->forced_bos_token_id}, {"forced_eos_token_id", INT, &c->forced_eos_token_id},
                  {"remove_invalid_values", BOOL, &c->remove_invalid_values},
                  {"renormalize_logits", BOOL, &c->renormalize_logits},
                  {"assistant_confidence_threshold", REAL, &c->assistant_confidence_threshold},
                  {"include_stop_str_in_output", BOOL, &c->include_stop_str_in_output}};
    const char *key;
    json_t *v;
    if (json_is_false(json_object_get(item, "do_sample"))) plain_greedy(c);
    json_object_foreach((json_t *)(uintptr_t)item, key, v) {
        if (json_is_null(v)) continue;
        for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
            if (strcmp(fields[i].name, key)) continue;
            olv_status s = set_field(v, key, fields[i].kind, fields[i].target, err);
            if (s != OLV_OK) return s;
        }
        olv_status s = set_structured(key, v, c, storage, err);
        if (s != OLV_OK) return s;
    }
    if (c->do_sample && c->temperature == 0) {
        c->do_sample = false;
        c->temperature = 1;
    }
    if (json_object_get(item, "max_length") && !json_object_get(item, "max_new_tokens")) c->max_new_tokens = -1;
    return OLV_OK;
}
