/* SPDX-License-Identifier: Apache-2.0 */
#include "model.h"
#include "jsonl.h"
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

olv_pipeline *open_named_model(const char *name, bool no_tokenizer, int *code) {
    olv_pipeline_options o;
    olv_pipeline_options_init(&o);
    o.device = common.device;
    o.threads = (int)common.threads;
    o.precision = common.precision;
    o.weights = common.weights;
    o.kv_cache = common.kv_cache;
    o.isa = common.isa;
    o.cache_dir = common.cache_dir;
    o.no_cache = common.no_cache;
    o.no_tokenizer = no_tokenizer;
    if (common.threads < 0 || common.threads > 64) {
        *code = usage_error("--threads is %lld, expected 0 (all) to 64", (long long)common.threads);
        return NULL;
    }
    if ((*code = apply_properties(&o))) return NULL;
    olv_error err = {.message = ""};
    olv_pipeline *p;
    if (olv_pipeline_open(name, &o, &p, &err) == OLV_OK) return p;
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

olv_status apply_generation_fields(const json_t *item, olv_generation_config *c, const char ***strings, olv_error *err) {
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
        olv_status s = OLV_OK;
        if (!strcmp(key, "eos_token_id")) s = set_eos(v, c, err);
        else if (!strcmp(key, "stop_strings") || !strcmp(key, "stop")) s = set_stop(v, c, strings, err);
        if (s != OLV_OK) return s;
    }
    if (c->do_sample && c->temperature == 0) {
        c->do_sample = false;
        c->temperature = 1;
    }
    if (json_object_get(item, "max_length") && !json_object_get(item, "max_new_tokens")) c->max_new_tokens = -1;
    return OLV_OK;
}
