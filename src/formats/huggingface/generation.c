/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/huggingface/generation.h"

#include "base/alloc.h"
#include "base/error.h"

#include "base/log.h"
#include <stddef.h>
#include <stdlib.h>

#define MAX_LIST 1000000 /* entries of a token list */
#define MAX_ID INT32_MAX

void ol_gen_config_init(ol_gen_config *c) {
    memset(c, 0, sizeof *c);
    c->max_length = c->max_new_tokens = c->seed = -1;
    c->temperature = c->top_p = c->typical_p = c->repetition_penalty = c->length_penalty = c->guidance_scale = 1;
    c->length_decay = 1;
    c->prompt_lookup_num_tokens = c->max_matching_ngram_size = c->num_assistant_tokens = -1;
    c->assistant_confidence_threshold = -1;
    c->top_k = 50;
    c->num_beams = c->num_beam_groups = c->num_return_sequences = 1;
    c->bos = c->pad = c->decoder_start = c->forced_bos = c->forced_eos = -1;
}

void ol_gen_config_deinit(ol_gen_config *c) {
    ol_free(c->suppress);
    ol_free(c->begin_suppress);
    ol_free(c->bad_words);
    ol_free(c->biased);
    ol_free(c->biases);
    for (size_t i = 0; i < c->n_stop_strings; i++) ol_free(c->stop_strings[i]);
    ol_free(c->stop_strings);
    ol_gen_config_init(c);
}

static olv_status id_of(const json_t *v, const char *key, int64_t *out, olv_error *err) {
    json_int_t i = json_is_integer(v) ? json_integer_value(v) : -1;
    if (json_is_real(v) && json_real_value(v) >= 0 && json_real_value(v) <= MAX_ID) {
        i = (json_int_t)json_real_value(v);
        if ((double)i != json_real_value(v)) i = -1;
    }
    if (i < 0 || i > MAX_ID) {
        char *text = json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT);
        olv_status s = ol_fail(err, OLV_FORMAT, "key '%s': found %.60s, expected a token id (0 to %d)", key,
                               text ? text : "?", MAX_ID);
        free(text);
        return s;
    }
    *out = i;
    return OLV_OK;
}

olv_status ol_gen_ids(const json_t *obj, const char *key, int64_t *ids, int max, int *n, olv_error *err) {
    const json_t *v = json_object_get(obj, key);
    if (!v || json_is_null(v)) return OLV_OK;
    if (!json_is_array(v)) {
        int64_t id;
        /* -1 is how some folders write "none". */
        if (json_is_integer(v) && json_integer_value(v) == -1) return OLV_OK;
        OL_TRY(id_of(v, key, &id, err));
        ids[0] = id;
        *n = 1;
        return OLV_OK;
    }
    if (json_array_size(v) > (size_t)max)
        return ol_fail(err, OLV_FORMAT, "key '%s': found %zu ids, expected at most %d", key, json_array_size(v), max);
    int64_t tmp[OL_GEN_MAX_IDS];
    if (max > OL_GEN_MAX_IDS) return ol_fail(err, OLV_ARG, "key '%s': room for more than %d ids", key, OL_GEN_MAX_IDS);
    int count = 0;
    size_t i;
    json_t *item;
    json_array_foreach(v, i, item) OL_TRY(id_of(item, key, &tmp[count++], err));
    memcpy(ids, tmp, (size_t)count * sizeof *ids);
    *n = count;
    return OLV_OK;
}

/* One id; absent or null leaves it. */
static olv_status one_id(const json_t *obj, const char *key, int64_t *out, olv_error *err) {
    int64_t ids[OL_GEN_MAX_IDS];
    int n = 0;
    OL_TRY(ol_gen_ids(obj, key, ids, OL_GEN_MAX_IDS, &n, err));
    if (n) *out = ids[0];
    return OLV_OK;
}

static olv_status id_list(const json_t *obj, const char *key, int64_t **out, size_t *n, olv_error *err) {
    const json_t *v = json_object_get(obj, key);
    if (!v || json_is_null(v)) return OLV_OK;
    size_t count = json_array_size(v);
    if (!json_is_array(v) || count > MAX_LIST)
        return ol_fail(err, OLV_FORMAT, "key '%s': expected a list of at most %d token ids", key, MAX_LIST);
    int64_t *ids = ol_calloc(count ? count : 1, sizeof *ids);
    if (!ids) return ol_fail(err, OLV_NOMEM, "out of memory");
    for (size_t i = 0; i < count; i++) {
        olv_status s = id_of(json_array_get(v, i), key, &ids[i], err);
        if (s != OLV_OK) {
            ol_free(ids);
            return s;
        }
    }
    ol_free(*out);
    *out = ids;
    *n = count;
    return OLV_OK;
}

/* Entry i of a list of sequences: bad_words_ids hold them plainly, sequence_bias as pairs with an amount. */
static const json_t *sequence_at(const json_t *list, size_t i, bool biased, double *bias) {
    const json_t *v = json_array_get(list, i);
    if (!biased) return v;
    const json_t *amount = json_array_get(v, 1);
    if (json_array_size(v) != 2 || !json_is_number(amount)) return NULL;
    *bias = json_number_value(amount);
    return json_array_get(v, 0);
}

/* A list of sequences as one array, each preceded by its length. */
static olv_status sequences(const json_t *obj, const char *key, int64_t **out, size_t *n, double **biases, size_t *n_biases,
                            olv_error *err) {
    const json_t *v = json_object_get(obj, key);
    if (!v || json_is_null(v)) return OLV_OK;
    size_t total = 0, count = json_array_size(v), at = 0;
    double bias = 0;
    const char *form = biases ? "pairs of a list of token ids and a number" : "lists of token ids";
    if (!json_is_array(v)) return ol_fail(err, OLV_FORMAT, "key '%s': expected a list of %s", key, form);
    for (size_t i = 0; i < count; i++) {
        const json_t *word = sequence_at(v, i, biases != NULL, &bias);
        if (!json_is_array(word) || json_array_size(word) == 0)
            return ol_fail(err, OLV_FORMAT, "key '%s': entry %zu: expected %s", key, i, form);
        total += 1 + json_array_size(word);
        if (total > MAX_LIST) return ol_fail(err, OLV_FORMAT, "key '%s': more than %d ids", key, MAX_LIST);
    }
    int64_t *ids = ol_calloc(total + 1, sizeof *ids);
    double *amounts = biases ? ol_calloc(count + 1, sizeof *amounts) : NULL;
    olv_status s = ids && (amounts || !biases) ? OLV_OK : ol_fail(err, OLV_NOMEM, "out of memory");
    for (size_t i = 0; i < count && s == OLV_OK; i++) {
        const json_t *word = sequence_at(v, i, biases != NULL, &bias);
        if (amounts) amounts[i] = bias;
        ids[at++] = (int64_t)json_array_size(word);
        for (size_t j = 0; j < json_array_size(word) && s == OLV_OK; j++) s = id_of(json_array_get(word, j), key, &ids[at++], err);
    }
    if (s != OLV_OK) {
        ol_free(ids);
        ol_free(amounts);
        return s;
    }
    ol_free(*out);
    *out = ids;
    *n = total;
    if (!biases) return OLV_OK;
    ol_free(*biases);
    *biases = amounts;
    *n_biases = count;
    return OLV_OK;
}

static olv_status stop_strings(const json_t *obj, ol_gen_config *c, olv_error *err) {
    static const char key[] = "stop_strings";
    const json_t *v = json_object_get(obj, key);
    if (!v || json_is_null(v)) return OLV_OK;
    size_t n = json_is_string(v) ? 1 : json_array_size(v);
    if (!json_is_string(v) && (!json_is_array(v) || n > 1024))
        return ol_fail(err, OLV_FORMAT, "key '%s': expected a string or a list of at most 1024 strings", key);
    for (size_t i = 0; json_is_array(v) && i < n; i++)
        if (!json_is_string(json_array_get(v, i)))
            return ol_fail(err, OLV_FORMAT, "key '%s': entry %zu: expected a string", key, i);
    char **list = ol_calloc(n ? n : 1, sizeof *list);
    bool ok = list != NULL;
    for (size_t i = 0; ok && i < n; i++) {
        const char *s = json_string_value(json_is_string(v) ? v : json_array_get(v, i));
        size_t len = strlen(s) + 1;
        list[i] = ol_alloc(len);
        ok = list[i] != NULL;
        if (ok) memcpy(list[i], s, len);
    }
    if (!ok) {
        for (size_t i = 0; list && i < n; i++) ol_free(list[i]);
        ol_free(list);
        return ol_fail(err, OLV_NOMEM, "out of memory");
    }
    for (size_t i = 0; i < c->n_stop_strings; i++) ol_free(c->stop_strings[i]);
    ol_free(c->stop_strings);
    c->stop_strings = list;
    c->n_stop_strings = n;
    return OLV_OK;
}

static olv_status early_stopping(const json_t *obj, ol_gen_config *c, olv_error *err) {
    const char *word = json_string_value(json_object_get(obj, "early_stopping"));
    bool on = c->early_stopping == 1;
    if (word && strcmp(word, "never") == 0) {
        c->early_stopping = 2;
        return OLV_OK;
    }
    OL_TRY(ol_json_bool(obj, "early_stopping", on, &on, err));
    if (json_is_boolean(json_object_get(obj, "early_stopping"))) c->early_stopping = on;
    return OLV_OK;
}

/* [start, factor] */
static olv_status length_decay(const json_t *obj, ol_gen_config *c, olv_error *err) {
    static const char key[] = "exponential_decay_length_penalty";
    const json_t *v = json_object_get(obj, key), *start = json_array_get(v, 0), *factor = json_array_get(v, 1);
    if (!v || json_is_null(v)) return OLV_OK;
    if (json_array_size(v) != 2 || !json_is_integer(start) || json_integer_value(start) < 0 || !json_is_number(factor) ||
        !(json_number_value(factor) > 0))
        return ol_fail(err, OLV_FORMAT, "key '%s': expected a start of 0 or more and a factor above 0", key);
    c->length_decay_start = json_integer_value(start);
    c->length_decay = json_number_value(factor);
    return OLV_OK;
}

/* Settings that change what is generated and that nothing here keeps, with the value that changes nothing (NULL: none). */
static void notice_ignored(const json_t *obj) {
    static const struct {
        const char *key, *neutral;
    } keys[] = {{"watermarking_config", NULL}, {"constraints", NULL}, {"force_words_ids", NULL}, {"dola_layers", NULL},
                {"encoder_repetition_penalty", "1.0"}, {"encoder_no_repeat_ngram_size", "0"}, {"token_healing", "false"},
                {"top_h", NULL}, {"assistant_early_exit", NULL}, {"prefix_allowed_tokens_fn", NULL}};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        const json_t *v = json_object_get(obj, keys[i].key);
        if (!v || json_is_null(v)) continue;
        char *text = json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT);
        bool neutral = text && keys[i].neutral && (!strcmp(text, keys[i].neutral) || (json_is_integer(v) && json_integer_value(v) == atoi(keys[i].neutral)));
        free(text);
        if (!neutral) ol_log(OLV_LOG_WARNING, "the generation setting '%s' is not supported and has no effect", keys[i].key);
    }
}

typedef struct int_field {
    const char *key;
    size_t at;
    int64_t min, max;
} int_field;

typedef struct real_field {
    const char *key;
    size_t at;
    double min, max;
    bool open; /* min itself is refused */
} real_field;

#define AT(field) offsetof(ol_gen_config, field)
static const int_field ints[] = {
    {"max_length", AT(max_length), -1, INT64_MAX},
    {"max_new_tokens", AT(max_new_tokens), -1, INT64_MAX},
    {"min_length", AT(min_length), 0, INT64_MAX},
    {"min_new_tokens", AT(min_new_tokens), 0, INT64_MAX},
    {"top_k", AT(top_k), -1, INT64_MAX},
    {"no_repeat_ngram_size", AT(no_repeat_ngram_size), 0, INT32_MAX},
    {"num_beams", AT(num_beams), 1, 65536},
    {"num_beam_groups", AT(num_beam_groups), 1, 65536},
    {"num_return_sequences", AT(num_return_sequences), 1, 65536},
    {"prompt_lookup_num_tokens", AT(prompt_lookup_num_tokens), 0, INT32_MAX},
    {"max_matching_ngram_size", AT(max_matching_ngram_size), 1, INT32_MAX},
    {"num_assistant_tokens", AT(num_assistant_tokens), 0, INT32_MAX},
    {"random_seed", AT(seed), INT64_MIN, INT64_MAX},
};
static const real_field reals[] = {
    {"temperature", AT(temperature), 0, 1e6, false},
    {"top_p", AT(top_p), 0, 1, false},
    {"min_p", AT(min_p), 0, 1, false},
    {"typical_p", AT(typical_p), 0, 1, false},
    {"epsilon_cutoff", AT(epsilon_cutoff), 0, 1, false},
    {"eta_cutoff", AT(eta_cutoff), 0, 1, false},
    {"top_n_sigma", AT(top_n_sigma), -1, 1e6, false},
    {"repetition_penalty", AT(repetition_penalty), 0, 1e6, true},
    {"presence_penalty", AT(presence_penalty), -1e6, 1e6, false},
    {"frequency_penalty", AT(frequency_penalty), -1e6, 1e6, false},
    {"length_penalty", AT(length_penalty), -1e6, 1e6, false},
    {"diversity_penalty", AT(diversity_penalty), -1e6, 1e6, false},
    {"penalty_alpha", AT(penalty_alpha), 0, 1e6, false},
    {"max_time", AT(max_time), 0, 1e12, false},
    {"assistant_confidence_threshold", AT(assistant_confidence_threshold), -1, 1, false},
    {"guidance_scale", AT(guidance_scale), -1e6, 1e6, false},
};

static olv_status read_numbers(ol_gen_config *c, const json_t *obj, olv_error *err) {
    for (size_t i = 0; i < sizeof ints / sizeof ints[0]; i++) {
        int64_t *at = (int64_t *)(void *)((char *)c + ints[i].at);
        OL_TRY(ol_json_int(obj, ints[i].key, ints[i].min, ints[i].max, *at, at, err));
    }
    if (c->top_k < 0) c->top_k = 0;
    for (size_t i = 0; i < sizeof reals / sizeof reals[0]; i++) {
        const real_field *f = &reals[i];
        double v, *at = (double *)(void *)((char *)c + f->at);
        OL_TRY(ol_json_real(obj, f->key, *at, &v, err));
        if (!(v >= f->min && v <= f->max) || (f->open && v <= f->min))
            return ol_fail(err, OLV_FORMAT, "key '%s': found %g, expected %s %g and at most %g", f->key, v,
                           f->open ? "more than" : "at least", f->min, f->max);
        *at = v;
    }
    return OLV_OK;
}

olv_status ol_gen_config_read(ol_gen_config *c, const json_t *obj, olv_error *err) {
    if (!json_is_object(obj)) return ol_fail(err, OLV_FORMAT, "expected a JSON object");
    OL_TRY(read_numbers(c, obj, err));
    OL_TRY(ol_json_bool(obj, "do_sample", c->do_sample, &c->do_sample, err));
    OL_TRY(early_stopping(obj, c, err));
    OL_TRY(ol_json_bool(obj, "renormalize_logits", c->renormalize_logits, &c->renormalize_logits, err));
    OL_TRY(ol_json_bool(obj, "remove_invalid_values", c->remove_invalid_values, &c->remove_invalid_values, err));
    OL_TRY(length_decay(obj, c, err));
    OL_TRY(ol_json_bool(obj, "past_present_share_buffer", c->past_present_share_buffer, &c->past_present_share_buffer,
                        err));
    OL_TRY(ol_gen_ids(obj, "eos_token_id", c->eos, OL_GEN_MAX_IDS, &c->n_eos, err));
    OL_TRY(one_id(obj, "bos_token_id", &c->bos, err));
    OL_TRY(one_id(obj, "pad_token_id", &c->pad, err));
    OL_TRY(one_id(obj, "decoder_start_token_id", &c->decoder_start, err));
    OL_TRY(one_id(obj, "forced_bos_token_id", &c->forced_bos, err));
    OL_TRY(one_id(obj, "forced_eos_token_id", &c->forced_eos, err));
    OL_TRY(id_list(obj, "suppress_tokens", &c->suppress, &c->n_suppress, err));
    OL_TRY(id_list(obj, "begin_suppress_tokens", &c->begin_suppress, &c->n_begin_suppress, err));
    OL_TRY(sequences(obj, "bad_words_ids", &c->bad_words, &c->n_bad_words, NULL, NULL, err));
    OL_TRY(sequences(obj, "sequence_bias", &c->biased, &c->n_biased, &c->biases, &c->n_biases, err));
    notice_ignored(obj);
    return stop_strings(obj, c, err);
}
