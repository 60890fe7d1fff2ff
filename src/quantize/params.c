/* SPDX-License-Identifier: Apache-2.0 */
/* Settings by name: NNCF's, and those of its older config files. */
#include "base/error.h"
#include "quantize/placement.h"
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

void olv_quantize_params_init(olv_quantize_params *p) {
    *p = (olv_quantize_params){.struct_size = sizeof *p, .subset_size = 300, .quantize_inputs = true, .per_channel_activations = -1, .smooth_quant_alpha = 0.95, .max_drop = -1};
}

typedef enum setting_kind { SETTING_WORD, SETTING_BOOL, SETTING_NOT, SETTING_INT, SETTING_REAL, SETTING_ESTIMATOR } setting_kind;

typedef struct setting {
    const char *name;
    setting_kind kind;
    size_t offset;
    const char *words; /* of WORD, in the order of its values: "auto|performance|mixed" */
} setting;

#define AT(field) offsetof(olv_quantize_params, field)
#define STATISTICS "min|max|abs_max|quantile|abs_quantile|mean"
#define AGGREGATORS "mean|min|max|median|mean_no_outliers|median_no_outliers|histogram"
static const setting settings[] = {
    {"preset", SETTING_WORD, AT(preset), "auto|performance|mixed"},
    {"model_type", SETTING_WORD, AT(model_type), "any|transformer"},
    {"target_device", SETTING_WORD, AT(target), "any|cpu|gpu|npu|cpu_spr"},
    {"format", SETTING_WORD, AT(form), "onnx|openvino"},
    {"overflow_fix", SETTING_WORD, AT(overflow_fix), "first_layer_only|enable|disable"},
    {"bias_correction", SETTING_WORD, AT(bias_correction), "fast|full|none"},
    {"subset_size", SETTING_INT, AT(subset_size), NULL},
    {"quantize_outputs", SETTING_BOOL, AT(quantize_outputs), NULL},
    {"quantize_inputs", SETTING_BOOL, AT(quantize_inputs), NULL},
    {"disable_channel_alignment", SETTING_NOT, AT(channel_alignment), NULL},
    {"channel_alignment", SETTING_BOOL, AT(channel_alignment), NULL},
    {"per_channel_activations", SETTING_WORD, AT(per_channel_activations), "false|true"},
    {"smooth_quant_alpha", SETTING_REAL, AT(smooth_quant_alpha), NULL},
    {"activations_range_estimator", SETTING_ESTIMATOR, AT(activations), NULL},
    {"statistic_min", SETTING_WORD, AT(activations.statistic_min), STATISTICS},
    {"statistic_max", SETTING_WORD, AT(activations.statistic_max), STATISTICS},
    {"aggregator_min", SETTING_WORD, AT(activations.aggregator_min), AGGREGATORS},
    {"aggregator_max", SETTING_WORD, AT(activations.aggregator_max), AGGREGATORS},
    {"quantile_outlier_prob", SETTING_REAL, AT(activations.outliers), NULL},
    {"max_drop", SETTING_REAL, AT(max_drop), NULL},
    {"drop_type", SETTING_WORD, AT(relative_drop), "absolute|relative"},
    {"ranking_subset_size", SETTING_INT, AT(ranking_subset), NULL},
};
#define N_SETTINGS (sizeof settings / sizeof settings[0])

/* Range estimators by NNCF's names. */
static const struct {
    const char *name;
    olv_range_estimator how;
} estimators[] = {
    {"minmax", {OLV_STAT_MIN, OLV_STAT_MAX, OLV_AGGREGATE_MIN, OLV_AGGREGATE_MAX, 1e-4, true}},
    {"mean_minmax", {OLV_STAT_MIN, OLV_STAT_MAX, OLV_AGGREGATE_MEAN, OLV_AGGREGATE_MEAN, 1e-4, true}},
    {"median_minmax", {OLV_STAT_MIN, OLV_STAT_MAX, OLV_AGGREGATE_MEDIAN, OLV_AGGREGATE_MEDIAN, 1e-4, true}},
    {"mean_no_outliers_minmax", {OLV_STAT_MIN, OLV_STAT_MAX, OLV_AGGREGATE_MEAN_NO_OUTLIERS, OLV_AGGREGATE_MEAN_NO_OUTLIERS, 1e-4, true}},
    {"mean_quantile", {OLV_STAT_QUANTILE, OLV_STAT_QUANTILE, OLV_AGGREGATE_MEAN, OLV_AGGREGATE_MEAN, 1e-4, true}},
    {"quantile", {OLV_STAT_QUANTILE, OLV_STAT_QUANTILE, OLV_AGGREGATE_MIN, OLV_AGGREGATE_MAX, 1e-4, true}},
    {"histogram", {OLV_STAT_MIN, OLV_STAT_MAX, OLV_AGGREGATE_HISTOGRAM, OLV_AGGREGATE_HISTOGRAM, 1e-4, true}},
};

static olv_status bad_value(const char *name, const char *value, const char *expected, olv_error *err) {
    return ol_fail(err, OLV_ARG, "%s is '%.60s', expected %s", name, value, expected);
}

/* Place of a word in "a|b|c", any case, '-' like '_'; -1: none. */
static int word_index(const char *words, const char *value) {
    for (int at = 0;; at++) {
        const char *end = strchr(words, '|');
        size_t n = end ? (size_t)(end - words) : strlen(words), i = 0;
        while (i < n && value[i] && strncasecmp(value[i] == '-' ? "_" : value + i, words + i, 1) == 0) i++;
        if (i == n && !value[n]) return at;
        if (!end) return -1;
        words = end + 1;
    }
}

static olv_status set_estimator(olv_range_estimator *e, const char *name, const char *value, olv_error *err) {
    for (size_t i = 0; i < sizeof estimators / sizeof estimators[0]; i++)
        if (word_index(estimators[i].name, value) == 0) return *e = estimators[i].how, OLV_OK;
    return bad_value(name, value, "minmax, mean_minmax, median_minmax, mean_no_outliers_minmax, mean_quantile, quantile or histogram", err);
}

static olv_status set_one(olv_quantize_params *p, const setting *s, const char *value, olv_error *err) {
    char *end, *at = (char *)p + s->offset;
    int word;
    errno = 0;
    switch (s->kind) {
    case SETTING_WORD:
        if ((word = word_index(s->words, value)) < 0) return bad_value(s->name, value, s->words, err);
        if (s->offset == AT(relative_drop)) p->relative_drop = word == 1;
        else memcpy(at, &word, sizeof word);
        if (s->offset >= AT(activations) && s->offset < AT(activations) + sizeof p->activations) p->activations.given = true;
        return OLV_OK;
    case SETTING_BOOL:
    case SETTING_NOT:
        if ((word = word_index("false|true|0|1", value)) < 0) return bad_value(s->name, value, "true or false", err);
        *(bool *)at = (word % 2 == 1) != (s->kind == SETTING_NOT);
        return OLV_OK;
    case SETTING_INT: {
        long long v = strtoll(value, &end, 10);
        if (errno || end == value || *end || v < 0) return bad_value(s->name, value, "a whole number", err);
        *(int64_t *)(void *)at = v;
        return OLV_OK;
    }
    case SETTING_REAL: {
        double v = strtod(value, &end);
        if (errno || end == value || *end || !(v - v == 0)) return bad_value(s->name, value, "a number", err);
        memcpy(at, &v, sizeof v);
        return OLV_OK;
    }
    case SETTING_ESTIMATOR: return set_estimator((olv_range_estimator *)(void *)at, s->name, value, err);
    }
    return OLV_OK;
}

olv_status olv_quantize_params_set(olv_quantize_params *p, const char *name, const char *value, olv_error *err) {
    const char *names[N_SETTINGS];
    if (word_index("fast_bias_correction", name) == 0) {
        int word = word_index("false|true|0|1", value);
        if (word < 0) return bad_value(name, value, "true or false", err);
        p->bias_correction = word % 2 ? OLV_BIAS_FAST : OLV_BIAS_FULL;
        return OLV_OK;
    }
    if (word_index("disable_bias_correction", name) == 0) {
        if (word_index("true|1", value) >= 0) p->bias_correction = OLV_BIAS_NONE;
        return OLV_OK;
    }
    for (size_t i = 0; i < N_SETTINGS; i++) {
        names[i] = settings[i].name;
        if (word_index(settings[i].name, name) == 0) return set_one(p, &settings[i], value, err);
    }
    const char *near = ol_nearest(name, names, N_SETTINGS);
    return near ? ol_fail(err, OLV_ARG, "there is no setting '%.60s'; did you mean '%s'?", name, near)
                : ol_fail(err, OLV_ARG, "there is no setting '%.60s'", name);
}
