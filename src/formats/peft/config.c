/* SPDX-License-Identifier: Apache-2.0 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "formats/peft/config.h"
#include "base/error.h"
#include "formats/peft/peft.h"
#include <math.h>
#include <pcre2.h>
#include <stdio.h>

#define MATCH_LIMIT 100000 /* steps for one module name: patterns of a file must not run for ever */
#define MAX_PATTERN 1024

/* ---- kinds that are refused ---- */

static bool is_set(const json_t *v) {
    if (!v || json_is_null(v) || json_is_false(v)) return false;
    if (json_is_array(v)) return json_array_size(v) > 0;
    if (json_is_object(v)) return json_object_size(v) > 0;
    return true;
}

/* Other methods bring their settings in a key of their own; those listed here only say how the factors were begun or
 * trained. */
static olv_status refuse_methods(const json_t *j, olv_error *err) {
    static const char *const harmless[] = {"corda_config", "eva_config", "loftq_config", "lora_ga_config", "megatron_config"};
    const char *key;
    const json_t *v;
    json_object_foreach((json_t *)(uintptr_t)j, key, v) {
        bool known = !ol_str_ends(ol_str_of(key), "_config") || !is_set(v);
        for (size_t i = 0; !known && i < sizeof harmless / sizeof harmless[0]; i++) known = strcmp(key, harmless[i]) == 0;
        if (!known) return ol_fail(err, OLV_UNSUPPORTED, "%.60s: adapters of this method are not supported", key);
    }
    return OLV_OK;
}

static olv_status refuse_kinds(const json_t *j, olv_error *err) {
    static const char *const features[][2] = {
        {"use_dora", "DoRA adapters are not supported"},
        {"modules_to_save", "trained copies of modules are not supported"},
        {"alora_invocation_tokens", "activated LoRA (aLoRA) adapters are not supported"},
        {"lora_bias", "adapters with a bias in B are not supported"},
        {"layer_replication", "replicated layers are not supported"},
        {"trainable_token_indices", "trained tokens are not supported"},
        {"target_parameters", "adapters of bare parameters (experts) are not supported"},
        {"use_qalora", "QA-LoRA adapters are not supported"},
        {"use_bdlora", "block-diagonal LoRA adapters are not supported"}};
    const char *type, *bias;
    OL_TRY(ol_json_string(j, "peft_type", "LORA", &type, err));
    if (strcmp(type, "LORA") != 0)
        return ol_fail(err, OLV_UNSUPPORTED, "peft_type: found '%.40s', expected LORA", type);
    for (size_t i = 0; i < sizeof features / sizeof features[0]; i++)
        if (is_set(json_object_get(j, features[i][0])))
            return ol_fail(err, OLV_UNSUPPORTED, "%s: %s", features[i][0], features[i][1]);
    OL_TRY(refuse_methods(j, err));
    OL_TRY(ol_json_string(j, "bias", "none", &bias, err));
    if (strcmp(bias, "none") != 0)
        return ol_fail(err, OLV_UNSUPPORTED, "bias: found '%.40s', expected none (trained biases are not supported)", bias);
    return OLV_OK;
}

static olv_status check_pattern_table(const json_t *j, const char *key, olv_error *err) {
    const json_t *t = json_object_get(j, key), *v;
    const char *name;
    if (!t || json_is_null(t)) return OLV_OK;
    if (!json_is_object(t)) return ol_fail(err, OLV_FORMAT, "%s: expected an object of patterns and numbers", key);
    json_object_foreach((json_t *)(uintptr_t)t, name, v) {
        if (strlen(name) > MAX_PATTERN) return ol_fail(err, OLV_LIMIT, "%s: a pattern of %zu bytes, expected at most %d", key, strlen(name), MAX_PATTERN);
        if (!json_is_number(v) || !(json_number_value(v) > 0 && json_number_value(v) < 1e9))
            return ol_fail(err, OLV_FORMAT, "%s: '%.60s': expected a positive number", key, name);
    }
    return OLV_OK;
}

olv_status ol_peft_config_read(json_t *json, ol_peft_config *out, olv_error *err) {
    ol_peft_config c = {.json = json};
    olv_status s = json_is_object(json) ? OLV_OK : ol_fail(err, OLV_FORMAT, "expected an object");
    if (s == OLV_OK) s = refuse_kinds(json, err);
    if (s == OLV_OK) s = ol_json_int(json, "r", 1, OL_PEFT_MAX_RANK, 8, &c.r, err);
    if (s == OLV_OK) s = ol_json_real(json, "lora_alpha", 8, &c.alpha, err);
    if (s == OLV_OK) s = ol_json_bool(json, "use_rslora", false, &c.rslora, err);
    if (s == OLV_OK && !(fabs(c.alpha) < 1e9)) s = ol_fail(err, OLV_FORMAT, "lora_alpha: found %g, expected a finite number", c.alpha);
    if (s == OLV_OK) s = check_pattern_table(json, "rank_pattern", err);
    if (s == OLV_OK) s = check_pattern_table(json, "alpha_pattern", err);
    if (s == OLV_OK) *out = c;
    else json_decref(json);
    return s;
}

void ol_peft_config_deinit(ol_peft_config *c) { json_decref(c->json); }

/* ---- patterns ---- */

/* A pattern is a regular expression for the end of a module's path that begins at a dot, or for the whole path. */
static olv_status matches(const char *pattern, const char *module, bool *yes, olv_error *err) {
    char text[MAX_PATTERN + 32];
    int code;
    size_t at;
    snprintf(text, sizeof text, "(?:.*\\.)?(?:%s)", pattern);
    pcre2_code *re = pcre2_compile((PCRE2_SPTR)text, PCRE2_ZERO_TERMINATED, PCRE2_ANCHORED | PCRE2_ENDANCHORED, &code, &at, NULL);
    if (!re) return ol_fail(err, OLV_FORMAT, "'%.60s' is no regular expression", pattern);
    pcre2_match_data *md = pcre2_match_data_create_from_pattern(re, NULL);
    pcre2_match_context *mc = pcre2_match_context_create(NULL);
    olv_status s = OLV_OK;
    if (md && mc) {
        pcre2_set_match_limit(mc, MATCH_LIMIT);
        int n = pcre2_match(re, (PCRE2_SPTR)module, PCRE2_ZERO_TERMINATED, 0, 0, md, mc);
        *yes = n >= 0;
        if (n < 0 && n != PCRE2_ERROR_NOMATCH) s = ol_fail(err, OLV_LIMIT, "the pattern '%.60s' takes too long", pattern);
    } else {
        s = ol_fail(err, OLV_NOMEM, "out of memory");
    }
    pcre2_match_context_free(mc);
    pcre2_match_data_free(md);
    pcre2_code_free(re);
    return s;
}

/* The number of the first pattern that the module matches, in the file's order; else *out stays. */
static olv_status look_up(const ol_peft_config *c, const char *table, const char *module, double *out, olv_error *err) {
    json_t *t = json_object_get(c->json, table), *v;
    const char *pattern;
    if (!json_is_object(t)) return OLV_OK;
    json_object_foreach(t, pattern, v) {
        bool yes = false;
        olv_status s = matches(pattern, module, &yes, err);
        if (s != OLV_OK) return ol_error_at(err, "%s", table), s;
        if (!yes) continue;
        *out = json_number_value(v);
        return OLV_OK;
    }
    return OLV_OK;
}

olv_status ol_peft_config_module(const ol_peft_config *c, const char *module, int64_t *rank, double *scale, olv_error *err) {
    double r = (double)c->r, alpha = c->alpha;
    OL_TRY(look_up(c, "rank_pattern", module, &r, err));
    OL_TRY(look_up(c, "alpha_pattern", module, &alpha, err));
    if (r != floor(r) || r > OL_PEFT_MAX_RANK)
        return ol_fail(err, OLV_FORMAT, "rank_pattern: found %g for '%.100s', expected a rank up to %d", r, module, OL_PEFT_MAX_RANK);
    *rank = (int64_t)r;
    *scale = alpha / (c->rslora ? sqrt(r) : r);
    return OLV_OK;
}
