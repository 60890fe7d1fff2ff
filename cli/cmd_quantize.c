/* SPDX-License-Identifier: Apache-2.0 */
/* Post-training quantization, with NNCF's names and defaults. */
#include "args.h"
#include "graph_model.h"
#include "jsonl.h"
#include "progress.h"
#include <olivine/pipeline.h>
#include <olivine/quantize.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int cmd_quantize(int argc, char **argv);

typedef struct quantize_args {
    const char *output, *data, *validation, *labels, *report, *recipe;
    const char *preset, *model_type, *target, *fast_bias, *bias, *estimator, *overflow, *drop_type, *format;
    int64_t subset, ranking, opset;
    double max_drop, alpha;
    bool given_subset, given_drop, given_alpha, given_ranking, outputs, alignment, may_miss, force;
    arg_list ignored, advanced;
} quantize_args;

static bool is_ir(const quantize_args *a) {
    size_t n = strlen(a->output);
    return a->format ? !strcmp(a->format, "openvino") : n > 4 && !strcmp(a->output + n - 4, ".xml");
}

/* Options that stand for a setting by its name. */
static olv_status apply_options(const quantize_args *a, olv_quantize_params *p, olv_error *err) {
    char subset[32], ranking[32], drop[40], alpha[40];
    snprintf(subset, sizeof subset, "%lld", (long long)a->subset);
    snprintf(ranking, sizeof ranking, "%lld", (long long)a->ranking);
    snprintf(drop, sizeof drop, "%.17g", a->max_drop);
    snprintf(alpha, sizeof alpha, "%.17g", a->alpha);
    const struct {
        const char *name, *value;
    } given[] = {{"preset", a->preset}, {"model_type", a->model_type}, {"target_device", a->target}, {"bias_correction", a->bias},
                 {"fast_bias_correction", a->fast_bias}, {"activations_range_estimator", a->estimator}, {"overflow_fix", a->overflow},
                 {"subset_size", a->given_subset ? subset : NULL}, {"max_drop", a->given_drop ? drop : NULL}, {"drop_type", a->drop_type},
                 {"ranking_subset_size", a->given_ranking ? ranking : NULL}, {"smooth_quant_alpha", a->given_alpha ? alpha : NULL},
                 {"quantize_outputs", a->outputs ? "true" : NULL}, {"channel_alignment", a->alignment ? "true" : NULL},
                 {"format", is_ir(a) ? "openvino" : "onnx"}};
    for (size_t i = 0; i < sizeof given / sizeof given[0]; i++) {
        if (!given[i].value) continue;
        olv_status s = olv_quantize_params_set(p, given[i].name, given[i].value, err);
        if (s != OLV_OK) return s;
    }
    for (size_t i = 0; i < a->advanced.count; i++) {
        const char *eq = strchr(a->advanced.items[i], '=');
        char name[80];
        if (!eq || (size_t)(eq - a->advanced.items[i]) >= sizeof name) return cli_fail(err, OLV_ARG, "--advanced %s: NAME=VALUE expected", a->advanced.items[i]);
        snprintf(name, sizeof name, "%.*s", (int)(eq - a->advanced.items[i]), a->advanced.items[i]);
        olv_status s = olv_quantize_params_set(p, name, eq + 1, err);
        if (s != OLV_OK) return s;
    }
    p->ignored_may_miss |= a->may_miss;
    return OLV_OK;
}

/* The opset of the source, where the form of quantized models is known (13), or else the newest. */
static int64_t opset_like(const olv_model *m) {
    char *text;
    olv_error err;
    int64_t opset = 0;
    if (olv_model_describe(m, &text, &err) != OLV_OK) return 0;
    json_t *j = json_loads(text, 0, NULL);
    const json_t *v = json_object_get(json_object_get(j, "metadata"), "opset");
    if (json_is_string(v)) opset = atoll(json_string_value(v));
    json_decref(j);
    olv_free(text);
    return opset && opset < 13 ? 13 : opset;
}

static olv_status save(const quantize_args *a, const olv_model *source, const olv_model *made, olv_error *err) {
    if (is_ir(a)) return olv_model_save_openvino(made, a->output, false, err);
    if (a->opset) return olv_model_save(made, a->output, a->opset, err);
    olv_status s = olv_model_save(made, a->output, opset_like(source), err);
    return s == OLV_UNSUPPORTED ? olv_model_save(made, a->output, 0, err) : s;
}

static olv_status write_report(const char *path, const char *text, olv_error *err) {
    FILE *f = fopen(path, "w");
    if (!f || fputs(text, f) < 0 || fputc('\n', f) < 0 || fclose(f)) return cli_fail(err, OLV_IO, "cannot write '%s'", path);
    return OLV_OK;
}

typedef struct work {
    olv_quantize_config *config;
    olv_core *core;
    olv_model *model, *made;
    olv_dataset *data, *validation;
    olv_tensor *labels;
    char *report;
} work;

static olv_status open_work(const quantize_args *a, const char *path, olv_quantize_params *p, work *w, olv_error *err) {
    olv_status s = olv_core_create(&w->core, err);
    if (s == OLV_OK) s = read_graph_model(w->core, path, &w->model, err);
    if (s == OLV_OK) s = olv_dataset_open(a->data, w->model, &w->data, err);
    if (s == OLV_OK && a->validation) s = olv_dataset_open(a->validation, w->model, &w->validation, err);
    if (s == OLV_OK && a->labels) s = olv_tensor_read(a->labels, NULL, &w->labels, err);
    p->labels = w->labels;
    p->validation = w->validation;
    return s;
}

static void close_work(work *w) {
    olv_free(w->report);
    olv_tensor_destroy(w->labels);
    olv_dataset_destroy(w->data), olv_dataset_destroy(w->validation);
    olv_model_destroy(w->made), olv_model_destroy(w->model);
    olv_core_destroy(w->core);
    olv_quantize_config_destroy(w->config);
}

/* --config FILE is a config of NNCF's; --config KEY=VALUE, as elsewhere, a property. */
static int split_config(quantize_args *a) {
    size_t kept = 0;
    for (size_t i = 0; i < common.config.count; i++) {
        const char *c = common.config.items[i];
        if (strchr(c, '=')) common.config.items[kept++] = c;
        else if (a->recipe) return usage_error("--config %s: one file at most", c);
        else a->recipe = c;
    }
    common.config.count = kept;
    return 0;
}

static int quantize(const quantize_args *a, const char *path) {
    olv_quantize_params p;
    olv_error err;
    work w = {NULL};
    progress bar;
    olv_quantize_params_init(&p);
    p.ignored = a->ignored.items;
    p.n_ignored = a->ignored.count;
    olv_status s = a->recipe ? olv_quantize_config_read(a->recipe, &p, &w.config, &err) : OLV_OK;
    if (s == OLV_OK) s = apply_options(a, &p, &err);
    if (s == OLV_OK) s = open_work(a, path, &p, &w, &err);
    if (s == OLV_OK) {
        progress_begin(&bar, "quantize", PROGRESS_ITEMS);
        p.progress = progress_show;
        p.progress_ctx = &bar;
        s = olv_quantize(w.core, w.model, w.data, &p, &w.made, &w.report, &err);
        progress_end(&bar);
    }
    if (s == OLV_OK) s = save(a, w.model, w.made, &err);
    if (s == OLV_OK && a->report) s = write_report(a->report, w.report, &err);
    if (s == OLV_OK) puts(common.json ? w.report : a->output);
    close_work(&w);
    return s == OLV_OK ? 0 : report(&err);
}

int cmd_quantize(int argc, char **argv) {
    arg_list positionals = {0};
    quantize_args a = {.output = NULL};
    const arg_option options[] = {
        {"output output_path o", ARG_STRING, &a.output, "OUT", "the .onnx or .xml file to write", NULL},
        {"dataset data calibration-data", ARG_STRING, &a.data, "DATA", ".npy, .npz or .jsonl file, or a folder of arrays or pictures", NULL},
        {"preset", ARG_STRING, &a.preset, "P", "performance (symmetric), mixed (activations asymmetric)", NULL},
        {"model-type", ARG_STRING, &a.model_type, "T", "transformer: matrix products alone, smoothed", NULL},
        {"target-device", ARG_STRING, &a.target, "D", "any, CPU, GPU, NPU, CPU_SPR", NULL},
        {"subset-size", ARG_INT, &a.subset, "N", "samples to look at (300)", &a.given_subset},
        {"ignored-scope", ARG_LIST, &a.ignored, "NODE", "stays in float: a name, re:PATTERN, type:OPERATOR, sub:A->B", NULL},
        {"ignored-may-miss", ARG_FLAG, &a.may_miss, NULL, "an ignored scope may match nothing", NULL},
        {"bias-correction", ARG_STRING, &a.bias, "B", "fast, full, none", NULL},
        {"fast-bias-correction", ARG_STRING, &a.fast_bias, "BOOL", "false: the full one", NULL},
        {"range-estimator", ARG_STRING, &a.estimator, "E", "minmax, mean_minmax, median_minmax, mean_quantile, histogram, ...", NULL},
        {"overflow-fix", ARG_STRING, &a.overflow, "F", "first_layer_only, enable, disable", NULL},
        {"smooth-quant-alpha", ARG_REAL, &a.alpha, "X", "of matrix products in transformers (0.95; -1: off)", &a.given_alpha},
        {"channel-alignment", ARG_FLAG, &a.alignment, NULL, "evens out channels between layers", NULL},
        {"quantize-outputs", ARG_FLAG, &a.outputs, NULL, "the model's outputs too", NULL},
        {"advanced", ARG_LIST, &a.advanced, "NAME=VALUE", "any other setting by its name", NULL},
        {"max-drop", ARG_REAL, &a.max_drop, "X", "layers go back to float until no more is lost", &a.given_drop},
        {"drop-type", ARG_STRING, &a.drop_type, "T", "absolute, relative", NULL},
        {"ranking-subset-size", ARG_INT, &a.ranking, "N", "samples that rank layers", &a.given_ranking},
        {"validation", ARG_STRING, &a.validation, "DATA", "what the loss is measured on (the calibration data)", NULL},
        {"labels", ARG_STRING, &a.labels, "FILE.npy", "right classes of the validation data; else likeness to the float model", NULL},
        {"report", ARG_STRING, &a.report, "FILE.json", "every quantizer, and what stays in float and why", NULL},
        {"format", ARG_STRING, &a.format, "F", "onnx, openvino", NULL},
        {"opset", ARG_INT, &a.opset, "N", "of the ONNX graph to write", NULL},
        EXTENSION_OPTION, COMMON_OPTIONS};
    const arg_spec spec = {.usage = "MODEL --dataset DATA -o OUT", .summary = "Quantizes weights and activations of a model to 8 bits.",
                           .example = "olivine quantize model.onnx --dataset calibration.npz -o model-int8.onnx",
                           .options = options, .n_options = sizeof options / sizeof options[0], .positionals = &positionals};
    int code = args_parse("quantize", &spec, argc, argv);
    if (code) return code - 1;
    const char *model = take_model(&positionals);
    if (!model) code = 2;
    else if (!a.output) code = usage_error("quantize: --output is missing");
    else if (!a.data) code = usage_error("quantize: --dataset is missing: samples of the model's inputs");
    else code = progress_check();
    if (!code) code = split_config(&a);
    if (!code) code = quantize(&a, model);
    args_free_list(&positionals), args_free_list(&a.ignored), args_free_list(&a.advanced);
    return code;
}
