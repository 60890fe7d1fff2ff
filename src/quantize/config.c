/* SPDX-License-Identifier: Apache-2.0 */
/* Config files of NNCF. Every section has a table of the keys that it may hold, and what becomes of them. */
#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "base/yaml.h"
#include <olivine/quantize.h>
#include <stdio.h>
#include <string.h>

#define MAX_CONFIG ((size_t)16 << 20)
#define MAX_KEYS 64

struct olv_quantize_config {
    json_t *tree; /* strings of the ignored scope are its */
    const char **ignored;
    size_t n_ignored, cap_ignored;
};

typedef struct reader {
    const char *path, *text;
    size_t len;
    olv_quantize_params *p;
    olv_quantize_config *config;
    olv_error *err;
} reader;

typedef olv_status key_fn(reader *r, const char *key, const json_t *v);

/* What a key stands for: a setting by its name, a function, or nothing here (of training, or of logs). */
typedef struct key_rule {
    const char *key;
    key_fn *fn;          /* NULL: `setting`, or nothing */
    const char *setting;
} key_rule;

static olv_status fail_at(const reader *r, const char *key, olv_status s, const char *what) {
    return ol_fail(r->err, s, "%s:%d: '%.60s': %s", r->path, ol_yaml_line_of(r->text, r->len, key), key, what);
}

static olv_status set(reader *r, const char *key, const char *setting, const json_t *v) {
    char number[64];
    const char *value = number;
    if (json_is_string(v)) value = json_string_value(v);
    else if (json_is_boolean(v)) value = json_is_true(v) ? "true" : "false";
    else if (json_is_integer(v)) snprintf(number, sizeof number, "%lld", (long long)json_integer_value(v));
    else if (json_is_real(v)) snprintf(number, sizeof number, "%.17g", json_real_value(v));
    else return fail_at(r, key, OLV_FORMAT, "a word, a number or true or false is expected");
    olv_status s = olv_quantize_params_set(r->p, setting, value, r->err);
    return s == OLV_OK ? s : ol_error_at(r->err, "%s:%d", r->path, ol_yaml_line_of(r->text, r->len, key));
}

static olv_status unknown_key(const reader *r, const char *section, const char *key, const key_rule *rules, size_t n) {
    const char *names[MAX_KEYS];
    for (size_t i = 0; i < n && i < MAX_KEYS; i++) names[i] = rules[i].key;
    const char *near = ol_nearest(key, names, n);
    int line = ol_yaml_line_of(r->text, r->len, key);
    return near ? ol_fail(r->err, OLV_ARG, "%s:%d: unknown key '%.60s' in %s; did you mean '%s'?", r->path, line, key, section, near)
                : ol_fail(r->err, OLV_ARG, "%s:%d: unknown key '%.60s' in %s", r->path, line, key, section);
}

static olv_status read_section(reader *r, const char *section, const json_t *v, const key_rule *rules, size_t n) {
    const char *key;
    const json_t *each;
    if (!json_is_object(v)) return fail_at(r, section, OLV_FORMAT, "an object is expected");
    json_object_foreach((json_t *)(uintptr_t)v, key, each) {
        size_t i = 0;
        while (i < n && strcmp(rules[i].key, key)) i++;
        if (i == n) return unknown_key(r, section, key, rules, n);
        if (rules[i].fn) OL_TRY(rules[i].fn(r, key, each));
        else if (rules[i].setting) OL_TRY(set(r, key, rules[i].setting, each));
    }
    return OLV_OK;
}
#define READ_SECTION(r, name, v, rules) read_section(r, name, v, rules, sizeof(rules) / sizeof *(rules))

/* ---- scopes ---- */

static olv_status add_ignored(reader *r, const char *scope) {
    olv_quantize_config *c = r->config;
    if (c->n_ignored == c->cap_ignored) {
        size_t cap = c->cap_ignored * 2 + 16;
        const char **more = ol_realloc(c->ignored, cap * sizeof *more);
        if (!more) return ol_fail(r->err, OLV_NOMEM, "no memory for a config");
        c->ignored = more, c->cap_ignored = cap;
    }
    c->ignored[c->n_ignored++] = scope;
    return OLV_OK;
}

static olv_status read_ignored(reader *r, const char *key, const json_t *v) {
    size_t i;
    const json_t *each;
    if (json_is_string(v)) return add_ignored(r, json_string_value(v));
    if (!json_is_array(v)) return fail_at(r, key, OLV_FORMAT, "a list of names is expected");
    json_array_foreach(v, i, each) {
        if (!json_is_string(each)) return fail_at(r, key, OLV_FORMAT, "a list of names is expected");
        OL_TRY(add_ignored(r, json_string_value(each)));
    }
    return OLV_OK;
}

static olv_status refuse_scopes(reader *r, const char *key, const json_t *v) {
    if (json_is_null(v) || (json_is_array(v) && !json_array_size(v)) || (json_is_object(v) && !json_object_size(v))) return OLV_OK;
    return fail_at(r, key, OLV_UNSUPPORTED, "settings for parts of the model; name what is to stay in float in ignored_scopes");
}

static olv_status read_validate(reader *r, const char *key, const json_t *v) {
    if (!json_is_boolean(v)) return fail_at(r, key, OLV_FORMAT, "true or false is expected");
    r->p->ignored_may_miss = json_is_false(v);
    return OLV_OK;
}

/* ---- quantization ---- */

static olv_status read_range_type(reader *r, const char *key, const json_t *v) {
    static const char *const names[][2] = {{"min_max", "minmax"}, {"mixed_min_max", "mean_minmax"}, {"mean_min_max", "mean_minmax"},
                                           {"threesigma", "mean_no_outliers_minmax"}, {"percentile", "quantile"}, {"mean_percentile", "mean_quantile"}};
    double share = r->p->activations.given ? r->p->activations.outliers : 0;
    for (size_t i = 0; json_is_string(v) && i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(json_string_value(v), names[i][0])) continue;
        OL_TRY(olv_quantize_params_set(r->p, "activations_range_estimator", names[i][1], r->err));
        if (i >= 4) r->p->activations.outliers = share > 0 ? share : 1e-3;
        return OLV_OK;
    }
    return fail_at(r, key, OLV_ARG, "min_max, mixed_min_max, mean_min_max, threesigma, percentile or mean_percentile is expected");
}

static olv_status read_percentile(reader *r, const char *key, const json_t *v) {
    double p = json_number_value(v), share = (p > 50 ? 100 - p : p) / 100;
    if (!json_is_number(v) || !(share >= 0 && share < 0.5)) return fail_at(r, key, OLV_ARG, "a percentile from 0 to 100 is expected");
    r->p->activations.outliers = share;
    r->p->activations.given = true;
    return OLV_OK;
}

static olv_status read_range_params(reader *r, const char *key, const json_t *v) {
    static const key_rule rules[] = {{"min_percentile", read_percentile, NULL}, {"max_percentile", read_percentile, NULL}};
    return READ_SECTION(r, key, v, rules);
}

static olv_status read_range(reader *r, const char *key, const json_t *v) {
    static const key_rule rules[] = {{"num_init_samples", NULL, "subset_size"}, {"type", read_range_type, NULL}, {"params", read_range_params, NULL},
                                     {"target_scopes", refuse_scopes, NULL}, {"ignored_scopes", refuse_scopes, NULL}, {"target_quantizer_group", refuse_scopes, NULL}};
    if (json_is_array(v) && json_array_size(v) == 1) v = json_array_get(v, 0);
    return READ_SECTION(r, key, v, rules);
}

static olv_status read_bits(reader *r, const char *key, const json_t *v) {
    if (json_is_integer(v) && json_integer_value(v) == 8) return OLV_OK;
    return fail_at(r, key, OLV_UNSUPPORTED, "quantization is to 8 bits; for fewer bits of weights use compress");
}

/* [[8, "scope"], ...] */
static olv_status read_widths(reader *r, const char *key, const json_t *v) {
    size_t i;
    const json_t *each;
    if (!json_is_array(v)) return fail_at(r, key, OLV_FORMAT, "a list of [bits, scope] is expected");
    json_array_foreach(v, i, each) OL_TRY(read_bits(r, key, json_array_get(each, 0)));
    return OLV_OK;
}

static olv_status read_precision_type(reader *r, const char *key, const json_t *v) {
    if (json_is_string(v) && !strcmp(json_string_value(v), "manual")) return OLV_OK;
    return fail_at(r, key, OLV_UNSUPPORTED, "a search for bit widths; all are 8 here");
}

static olv_status read_precision(reader *r, const char *key, const json_t *v) {
    static const key_rule rules[] = {{"type", read_precision_type, NULL}, {"bitwidth_per_scope", read_widths, NULL}, {"bits", NULL, NULL}, {"num_data_points", NULL, NULL},
                                     {"iter_number", NULL, NULL}, {"tolerance", NULL, NULL}, {"compression_ratio", NULL, NULL}, {"eval_subset_ratio", NULL, NULL},
                                     {"warmup_iter_number", NULL, NULL}, {"traces_per_layer_path", NULL, NULL}, {"bitwidth_assignment_mode", NULL, NULL}, {"dump_init_precision_data", NULL, NULL}};
    return READ_SECTION(r, key, v, rules);
}

static olv_status read_initializer(reader *r, const char *key, const json_t *v) {
    static const key_rule rules[] = {{"range", read_range, NULL}, {"precision", read_precision, NULL}, {"batchnorm_adaptation", NULL, NULL}};
    return READ_SECTION(r, key, v, rules);
}

static olv_status read_weight_mode(reader *r, const char *key, const json_t *v) {
    if (json_is_string(v) && !strcmp(json_string_value(v), "symmetric")) return OLV_OK;
    return fail_at(r, key, OLV_UNSUPPORTED, "weights are symmetric");
}

static olv_status read_activation_mode(reader *r, const char *key, const json_t *v) {
    const char *mode = json_is_string(v) ? json_string_value(v) : "";
    if (!strcmp(mode, "symmetric")) r->p->preset = OLV_PRESET_PERFORMANCE;
    else if (!strcmp(mode, "asymmetric")) r->p->preset = OLV_PRESET_MIXED;
    else return fail_at(r, key, OLV_ARG, "symmetric or asymmetric is expected");
    return OLV_OK;
}

static olv_status read_weights(reader *r, const char *key, const json_t *v) {
    static const key_rule rules[] = {{"mode", read_weight_mode, NULL}, {"bits", read_bits, NULL}, {"signed", NULL, NULL}, {"per_channel", NULL, NULL},
                                     {"logarithm_scale", NULL, NULL}, {"ignored_scopes", read_ignored, NULL}, {"target_scopes", refuse_scopes, NULL}};
    return READ_SECTION(r, key, v, rules);
}

static olv_status read_activations(reader *r, const char *key, const json_t *v) {
    static const key_rule rules[] = {{"mode", read_activation_mode, NULL}, {"bits", read_bits, NULL}, {"signed", NULL, NULL}, {"per_channel", NULL, "per_channel_activations"},
                                     {"logarithm_scale", NULL, NULL}, {"ignored_scopes", read_ignored, NULL}, {"target_scopes", refuse_scopes, NULL}, {"unified_scale_ops", NULL, NULL}};
    return READ_SECTION(r, key, v, rules);
}

static olv_status read_algorithm_name(reader *r, const char *key, const json_t *v) {
    static const char *const trained[] = {"magnitude_sparsity", "rb_sparsity", "const_sparsity", "filter_pruning", "knowledge_distillation", "movement_sparsity",
                                          "bootstrapNAS", "binarization"};
    const char *name = json_is_string(v) ? json_string_value(v) : "";
    if (!strcmp(name, "quantization") || !strcmp(name, "experimental_quantization")) return OLV_OK;
    for (size_t i = 0; i < sizeof trained / sizeof trained[0]; i++)
        if (!strcmp(name, trained[i]))
            return ol_fail(r->err, OLV_UNSUPPORTED, "%s:%d: algorithm '%s' needs training; leave it out to quantize the model as it is", r->path,
                           ol_yaml_line_of(r->text, r->len, key), name);
    return ol_fail(r->err, OLV_ARG, "%s:%d: algorithm '%.60s', expected quantization", r->path, ol_yaml_line_of(r->text, r->len, key), name);
}

static olv_status read_algorithm(reader *r, const json_t *v) {
    static const key_rule rules[] = {
        {"algorithm", read_algorithm_name, NULL}, {"preset", NULL, "preset"}, {"overflow_fix", NULL, "overflow_fix"}, {"quantize_inputs", NULL, "quantize_inputs"},
        {"quantize_outputs", NULL, "quantize_outputs"}, {"initializer", read_initializer, NULL}, {"weights", read_weights, NULL}, {"activations", read_activations, NULL},
        {"ignored_scopes", read_ignored, NULL}, {"target_scopes", refuse_scopes, NULL}, {"validate_scopes", read_validate, NULL}, {"scope_overrides", refuse_scopes, NULL},
        {"export_to_onnx_standard_ops", NULL, NULL}, {"compression_lr_multiplier", NULL, NULL}, {"params", NULL, NULL}};
    return READ_SECTION(r, "compression", v, rules);
}

static olv_status read_compression(reader *r, const char *key, const json_t *v) {
    size_t i;
    const json_t *each;
    if (!json_is_array(v)) return json_is_object(v) ? read_algorithm(r, v) : fail_at(r, key, OLV_FORMAT, "an algorithm, or a list of them, is expected");
    json_array_foreach(v, i, each) OL_TRY(read_algorithm(r, each));
    return OLV_OK;
}

/* ---- the top ---- */

static olv_status read_degradation(reader *r, const char *key, const json_t *v) {
    if (!json_is_number(v) || !(json_number_value(v) >= 0)) return fail_at(r, key, OLV_ARG, "a percentage is expected");
    r->p->max_drop = json_number_value(v) / 100;
    r->p->relative_drop = strstr(key, "relative") != NULL;
    return OLV_OK;
}

static olv_status read_accuracy_params(reader *r, const char *key, const json_t *v) {
    static const key_rule rules[] = {{"maximal_relative_accuracy_degradation", read_degradation, NULL}, {"maximal_absolute_accuracy_degradation", read_degradation, NULL},
                                     {"initial_training_phase_epochs", NULL, NULL}, {"patience_epochs", NULL, NULL}, {"initial_compression_rate_step", NULL, NULL},
                                     {"compression_rate_step_reduction_factor", NULL, NULL}, {"lr_reduction_factor", NULL, NULL}, {"minimal_compression_rate_step", NULL, NULL},
                                     {"maximal_total_epochs", NULL, NULL}};
    return READ_SECTION(r, key, v, rules);
}

static olv_status read_accuracy(reader *r, const char *key, const json_t *v) {
    static const key_rule rules[] = {{"mode", NULL, NULL}, {"params", read_accuracy_params, NULL}};
    return READ_SECTION(r, key, v, rules);
}

static olv_status read_input(reader *r, const json_t *v) {
    static const key_rule rules[] = {{"sample_size", NULL, NULL}, {"type", NULL, NULL}, {"filler", NULL, NULL}, {"keyword", NULL, NULL}};
    return READ_SECTION(r, "input_info", v, rules);
}

static olv_status read_inputs(reader *r, const char *key, const json_t *v) {
    size_t i;
    const json_t *each;
    (void)key;
    if (!json_is_array(v)) return read_input(r, v);
    json_array_foreach(v, i, each) OL_TRY(read_input(r, each));
    return OLV_OK;
}

static olv_status read_target(reader *r, const char *key, const json_t *v) {
    if (json_is_string(v) && (!strcmp(json_string_value(v), "TRIAL") || !strcmp(json_string_value(v), "VPU"))) return OLV_OK;
    return set(r, key, "target_device", v);
}

static olv_status read_top(reader *r, const json_t *tree) {
    static const key_rule rules[] = {
        {"input_info", read_inputs, NULL}, {"target_device", read_target, NULL}, {"compression", read_compression, NULL}, {"ignored_scopes", read_ignored, NULL},
        {"ignored_scope", read_ignored, NULL}, {"target_scopes", refuse_scopes, NULL}, {"validate_scopes", read_validate, NULL}, {"accuracy_aware_training", read_accuracy, NULL},
        {"log_dir", NULL, NULL}, {"disable_shape_matching", NULL, NULL}, {"compression_lr_multiplier", NULL, NULL}, {"$schema", NULL, NULL}, {"preset", NULL, "preset"},
        {"model_type", NULL, "model_type"}, {"subset_size", NULL, "subset_size"}, {"fast_bias_correction", NULL, "fast_bias_correction"},
        {"overflow_fix", NULL, "overflow_fix"}, {"max_drop", NULL, "max_drop"}, {"drop_type", NULL, "drop_type"}, {"smooth_quant_alpha", NULL, "smooth_quant_alpha"},
        {"activations_range_estimator", NULL, "activations_range_estimator"}, {"quantize_outputs", NULL, "quantize_outputs"}};
    return READ_SECTION(r, "the config", tree, rules);
}

static bool is_json(const char *text, size_t len) {
    size_t i = 0;
    while (i < len && strchr(" \t\r\n", text[i])) i++;
    return i < len && text[i] == '{';
}

void olv_quantize_config_destroy(olv_quantize_config *c) {
    if (!c) return;
    json_decref(c->tree);
    ol_free(c->ignored);
    ol_free(c);
}

olv_status olv_quantize_config_read(const char *path, olv_quantize_params *p, olv_quantize_config **out, olv_error *err) {
    char *text;
    olv_quantize_params made = *p;
    olv_error own;
    reader r = {.path = path, .p = &made, .err = err ? err : &own};
    OL_TRY(ol_file_read(path, MAX_CONFIG, &text, &r.len, err));
    r.text = text;
    r.config = ol_calloc(1, sizeof *r.config);
    olv_status s = r.config ? OLV_OK : ol_fail(err, OLV_NOMEM, "no memory for a config");
    for (size_t i = 0; s == OLV_OK && i < p->n_ignored; i++) s = add_ignored(&r, p->ignored[i]);
    if (s == OLV_OK) s = is_json(text, r.len) ? ol_json_parse(text, r.len, path, &r.config->tree, err) : ol_yaml_parse(text, r.len, path, &r.config->tree, err);
    if (s == OLV_OK) s = read_top(&r, r.config->tree);
    ol_free(text);
    if (s != OLV_OK) {
        olv_quantize_config_destroy(r.config);
        return s;
    }
    *p = made;
    p->ignored = r.config->ignored;
    p->n_ignored = r.config->n_ignored;
    *out = r.config;
    return OLV_OK;
}
