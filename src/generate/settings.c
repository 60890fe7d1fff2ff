/* SPDX-License-Identifier: Apache-2.0 */
/* Generation settings: defaults, what a model folder says, what is allowed. */
#include "base/alloc.h"
#include "base/error.h"
#include "base/log.h"
#include "generate/pipeline.h"
#include <math.h>
#include <string.h>

void olv_generation_config_init(olv_generation_config *c) {
    memset(c, 0, sizeof *c);
    c->struct_size = sizeof *c;
    c->max_new_tokens = c->max_length = -1;
    c->temperature = c->top_p = c->typical_p = c->repetition_penalty = 1;
    c->top_k = 50;
    c->bos_token_id = c->pad_token_id = -1;
    c->skip_special_tokens = c->apply_chat_template = true;
    c->num_beams = c->num_return_sequences = 1;
    c->length_penalty = 1;
    c->max_ngram_size = 2;
    c->num_assistant_tokens = 5;
    c->xtc_threshold = 0.1;
    c->dry_base = 1.75;
    c->dry_allowed_length = 2;
    c->mirostat_tau = 5;
    c->mirostat_eta = 0.1;
    c->forced_bos_token_id = c->forced_eos_token_id = -1;
    c->length_decay = c->guidance_scale = 1;
    c->num_beam_groups = 1;
}

/* What beam search and its kin take from the folder. A folder may ask for beams and sampling at once: sampling wins. */
static void take_search(const ol_gen_config *g, olv_generation_config *c) {
    c->length_penalty = g->length_penalty;
    c->early_stopping = g->early_stopping;
    c->penalty_alpha = g->penalty_alpha;
    if (g->do_sample || g->num_beams < 2) return;
    if (g->num_beams > OL_DECODE_ROWS)
        ol_log(OLV_LOG_WARNING, "the generation setting 'num_beams' is %lld; at most %d are searched", (long long)g->num_beams, OL_DECODE_ROWS);
    c->num_beams = g->num_beams < OL_DECODE_ROWS ? g->num_beams : OL_DECODE_ROWS;
    c->num_return_sequences = g->num_return_sequences < c->num_beams ? g->num_return_sequences : c->num_beams;
    if (g->num_beam_groups < 2 || c->num_beams % g->num_beam_groups) return;
    c->num_beam_groups = g->num_beam_groups;
    c->diversity_penalty = g->diversity_penalty;
}

static int64_t at_most(int64_t v, int64_t most) { return v < most ? v : most; }

static void take_assistant(const ol_gen_config *g, olv_generation_config *c) {
    if (g->prompt_lookup_num_tokens >= 0) c->prompt_lookup_num_tokens = at_most(g->prompt_lookup_num_tokens, OL_DECODE_ROWS - 1);
    if (g->max_matching_ngram_size >= 1) c->max_ngram_size = at_most(g->max_matching_ngram_size, 1024);
    if (g->num_assistant_tokens >= 0) c->num_assistant_tokens = at_most(g->num_assistant_tokens, OL_DECODE_ROWS - 1);
    if (g->assistant_confidence_threshold >= 0) c->assistant_confidence_threshold = g->assistant_confidence_threshold;
}

static bool is_single_end(const ol_gen_config *g, const int64_t *ids, int64_t n) {
    for (int i = 0; i < g->n_eos; i++)
        if (n == 1 && ids[0] == g->eos[i]) return true;
    return false;
}

/* Bad words and sequence biases as one list. End tokens are no bad words (transformers' rule). */
olv_status ol_settings_prepare(olv_pipeline *p, olv_error *err) {
    const ol_gen_config *g = &p->bundle->generation;
    size_t words = 0;
    for (size_t at = 0; at < g->n_bad_words; at += 1 + (size_t)g->bad_words[at]) words++;
    if (words + g->n_biases == 0) return OLV_OK;
    p->sequence_bias = ol_calloc(words + g->n_biases, sizeof *p->sequence_bias);
    if (!p->sequence_bias) return ol_fail(err, OLV_NOMEM, "no memory for biases of sequences");
    for (size_t at = 0; at < g->n_bad_words; at += 1 + (size_t)g->bad_words[at])
        if (!is_single_end(g, g->bad_words + at + 1, g->bad_words[at]))
            p->sequence_bias[p->n_sequence_bias++] = (olv_sequence_bias){g->bad_words + at + 1, (size_t)g->bad_words[at], -INFINITY};
    for (size_t at = 0, i = 0; at < g->n_biased; at += 1 + (size_t)g->biased[at], i++)
        p->sequence_bias[p->n_sequence_bias++] = (olv_sequence_bias){g->biased + at + 1, (size_t)g->biased[at], g->biases[i]};
    return OLV_OK;
}

void olv_pipeline_get_config(const olv_pipeline *p, olv_generation_config *c) {
    const ol_gen_config *g = &p->bundle->generation;
    olv_generation_config_init(c);
    c->max_new_tokens = g->max_new_tokens;
    c->max_length = g->max_length;
    c->min_new_tokens = g->min_new_tokens;
    c->do_sample = g->do_sample;
    c->temperature = g->temperature;
    c->top_p = g->top_p;
    c->min_p = g->min_p;
    c->top_k = g->top_k;
    c->typical_p = g->typical_p;
    c->epsilon_cutoff = g->epsilon_cutoff;
    c->eta_cutoff = g->eta_cutoff;
    c->top_n_sigma = g->top_n_sigma;
    c->repetition_penalty = g->repetition_penalty;
    c->presence_penalty = g->presence_penalty;
    c->frequency_penalty = g->frequency_penalty;
    c->no_repeat_ngram_size = g->no_repeat_ngram_size;
    if (g->seed >= 0) c->seed = (uint64_t)g->seed;
    c->n_eos = g->n_eos < 16 ? g->n_eos : 16;
    memcpy(c->eos_token_id, g->eos, (size_t)c->n_eos * sizeof g->eos[0]);
    c->bos_token_id = g->bos;
    c->pad_token_id = g->pad;
    c->greedy_penalties = p->bundle->kind == OL_BUNDLE_ORT_GENAI;
    c->stop_strings = p->stop_strings;
    c->n_stop_strings = (int)g->n_stop_strings;
    c->min_length = g->min_length;
    c->suppress_tokens = g->suppress;
    c->n_suppress_tokens = (int)g->n_suppress;
    c->begin_suppress_tokens = g->begin_suppress;
    c->n_begin_suppress_tokens = (int)g->n_begin_suppress;
    c->sequence_bias = p->sequence_bias;
    c->n_sequence_bias = p->n_sequence_bias;
    c->forced_bos_token_id = g->forced_bos;
    c->forced_eos_token_id = g->forced_eos;
    c->length_decay = g->length_decay;
    c->length_decay_start = g->length_decay_start;
    c->remove_invalid_values = g->remove_invalid_values;
    c->renormalize_logits = g->renormalize_logits;
    c->guidance_scale = g->guidance_scale;
    c->max_time = g->max_time;
    take_search(g, c);
    take_assistant(g, c);
}

static olv_status check_search(const olv_generation_config *c, olv_error *err) {
    if (c->num_beams > 1 && c->do_sample)
        return ol_fail(err, OLV_ARG, "num_beams is %lld with do_sample; beam search does not sample", (long long)c->num_beams);
    if (c->num_beams % c->num_beam_groups)
        return ol_fail(err, OLV_ARG, "num_beam_groups is %lld; it must divide num_beams, %lld", (long long)c->num_beam_groups,
                       (long long)c->num_beams);
    if (c->num_beam_groups > 1 && c->diversity_penalty == 0)
        return ol_fail(err, OLV_ARG, "num_beam_groups is %lld without a diversity_penalty: the groups would find the same texts",
                       (long long)c->num_beam_groups);
    if (c->num_return_sequences > 1 && c->num_beams == 1 && !c->do_sample)
        return ol_fail(err, OLV_ARG, "num_return_sequences is %lld for greedy decoding, which has one result; set do_sample or num_beams",
                       (long long)c->num_return_sequences);
    return OLV_OK;
}

olv_status olv_generation_config_check(const olv_generation_config *c, olv_error *err) {
    const struct {
        const char *name;
        double value, min, max;
        bool open_min;
    } ranges[] = {
        {"temperature", c->temperature, 0, 1e6, false},
        {"top_p", c->top_p, 0, 1, true},
        {"min_p", c->min_p, 0, 1, false},
        {"typical_p", c->typical_p, 0, 1, true},
        {"epsilon_cutoff", c->epsilon_cutoff, 0, 1, false},
        {"eta_cutoff", c->eta_cutoff, 0, 1, false},
        {"top_n_sigma", c->top_n_sigma, 0, 1e6, false},
        {"repetition_penalty", c->repetition_penalty, 0, 1e6, true},
        {"presence_penalty", c->presence_penalty, -2, 2, false},
        {"frequency_penalty", c->frequency_penalty, -2, 2, false},
        {"top_k", (double)c->top_k, 0, 1e9, false},
        {"min_new_tokens", (double)c->min_new_tokens, 0, 1e9, false},
        {"no_repeat_ngram_size", (double)c->no_repeat_ngram_size, 0, 1e6, false},
        {"dry_multiplier", c->dry_multiplier, 0, 1e6, false},
        {"xtc_probability", c->xtc_probability, 0, 1, false},
        {"xtc_threshold", c->xtc_threshold, 0, 1, true},
        {"prompt_lookup_num_tokens", (double)c->prompt_lookup_num_tokens, 0, OL_DECODE_ROWS - 1, false},
        {"num_assistant_tokens", (double)c->num_assistant_tokens, 0, OL_DECODE_ROWS - 1, false},
        {"num_beams", (double)c->num_beams, 1, OL_DECODE_ROWS, false},
        {"num_return_sequences", (double)c->num_return_sequences, 1, c->num_beams > 1 ? (double)c->num_beams : 256, false},
        {"num_beam_groups", (double)c->num_beam_groups, 1, (double)c->num_beams, false},
        {"diversity_penalty", c->diversity_penalty, 0, 1e6, false},
        {"penalty_alpha", c->penalty_alpha, 0, 1, false},
        {"guidance_scale", c->guidance_scale, -1e6, 1e6, false},
        {"max_time", c->max_time, 0, 1e12, false},
        {"min_length", (double)c->min_length, 0, 1e15, false},
        {"assistant_confidence_threshold", c->assistant_confidence_threshold, 0, 1, false},
        {"keep", (double)c->keep, -1, 1e15, false},
        {"length_penalty", c->length_penalty, -100, 100, false},
        {"early_stopping", (double)c->early_stopping, 0, 2, false},
        {"max_ngram_size", (double)c->max_ngram_size, 1, 1024, false},
        {"max_new_tokens", (double)c->max_new_tokens, -1, 1e15, false},
    };
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        double v = ranges[i].value;
        if (!(v >= ranges[i].min && v <= ranges[i].max) || (ranges[i].open_min && v == ranges[i].min))
            return ol_fail(err, OLV_ARG, "%s is %g, expected %g%s to %g", ranges[i].name, v, ranges[i].min,
                           ranges[i].open_min ? " (excluded)" : "", ranges[i].max);
    }
    if (c->max_new_tokens >= 0 && c->min_new_tokens > c->max_new_tokens)
        return ol_fail(err, OLV_ARG, "min_new_tokens %lld is more than max_new_tokens %lld", (long long)c->min_new_tokens,
                       (long long)c->max_new_tokens);
    OL_TRY(check_search(c, err));
    if (c->mirostat < 0 || c->mirostat > 2)
        return ol_fail(err, OLV_ARG, "mirostat is %lld, expected 0 (off), 1 or 2", (long long)c->mirostat);
    if ((c->json_schema != NULL) + (c->regex != NULL) + (c->grammar != NULL) + c->json_object > 1)
        return ol_fail(err, OLV_ARG, "give one of json_schema, regex, grammar and a JSON object, not several");
    return OLV_OK;
}
