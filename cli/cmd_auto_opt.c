/* SPDX-License-Identifier: Apache-2.0 */
/* Olive's auto-opt: the flags are Olive's; those that steer tools that are not needed here are accepted with a notice. */
#include "calibration_data.h"
#include "jsonl.h"
#include "model.h"
#include "fetch.h"
#include "progress.h"
#include <math.h>
#include <olivine/optimize.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

int cmd_auto_opt(int argc, char **argv);

typedef struct auto_opt {
    const char *output, *precision, *provider, *format, *rounding, *head, *embeddings, *goal, *max_memory, *task;
    int64_t group_size, accuracy_level;
    bool sym, asym, given_sym, given_asym, given_level, dry_run, force, fresh, use_ort_genai, qdq;
    calibration_args calibration;
} auto_opt;

/* ---- options to library settings --------------------------------------------------------------------- */

static int word_index(const char *w, const char *const *words, int n) {
    for (int i = 0; i < n; i++)
        if (!strcasecmp(w, words[i])) return i;
    return -1;
}

static int set_type(const auto_opt *a, const char *name, olv_weight_spec *s) {
    olv_error err = {.message = ""};
    char full[32];
    bool four = !strcasecmp(name, "int4") || !strcasecmp(name, "uint4"), eight = !strcasecmp(name, "int8") || !strcasecmp(name, "uint8");
    if (!strcasecmp(name, "fp32") || !strcasecmp(name, "f32")) name = "keep";
    if (!strcasecmp(name, "fp16")) name = "f16";
    if (four || eight) {
        bool asym = a->asym || (name[0] == 'u' && !a->sym);
        snprintf(full, sizeof full, "int%d_%s", four ? 4 : 8, asym ? "asym" : "sym");
        name = full;
    }
    return olv_weight_type_parse(name, &s->type, &err) == OLV_OK ? 0 : usage_error("%s", err.message);
}

static int read_settings(const auto_opt *a, olv_optimize_options *o) {
    static const char *const providers[] = {"CPUExecutionProvider", "CUDAExecutionProvider", "DmlExecutionProvider", "WebGpuExecutionProvider"};
    static const char *const roundings[] = {"search", "nncf", "ort"};
    int p = word_index(a->provider, providers, 4), r = word_index(a->rounding, roundings, 3), code = 0;
    bool openvino = !strcasecmp(a->format, "openvino") || !strcasecmp(a->provider, "OpenVINOExecutionProvider");
    if (openvino) p = 0;
    if (p < 0) return usage_error("--provider %s: expected CPUExecutionProvider, CUDAExecutionProvider, DmlExecutionProvider, WebGpuExecutionProvider or OpenVINOExecutionProvider", a->provider);
    if (r < 0) return usage_error("--rounding %s: expected search, nncf or ort", a->rounding);
    if (!strcasecmp(a->format, "hf")) o->format = OLV_OUTPUT_HF;
    else if (openvino) o->format = OLV_OUTPUT_OPENVINO;
    else if (strcasecmp(a->format, "ort-genai")) {
        fprintf(stderr, "olivine: error: --format %s is not written yet; use ort-genai, openvino or hf\n", a->format);
        return 3;
    }
    if (a->sym && a->asym) return usage_error("--sym and --asym exclude each other");
    if (p == 0 && !strcasecmp(common.device, "gpu")) return usage_error("--device gpu needs a GPU's provider (CUDAExecutionProvider, DmlExecutionProvider)");
    o->target = (olv_target)p;
    olv_compress_params *c = &o->compress;
    olv_weight_spec *specs[] = {&c->weights, &c->embeddings, &c->head};
    const char *types[] = {a->precision, a->embeddings ? a->embeddings : a->head ? a->head : a->precision, a->head ? a->head : a->precision};
    for (int i = 0; i < 3 && !code; i++) {
        code = set_type(a, types[i], specs[i]);
        specs[i]->rounding = (olv_rounding)r;
        bool wide = specs[i]->type == OLV_WEIGHT_INT8_SYM || specs[i]->type == OLV_WEIGHT_INT8_ASYM;
        specs[i]->group_size = a->group_size ? (int32_t)a->group_size : wide ? 128 : 32;
        if (specs[i]->type < OLV_WEIGHT_INT8_SYM) specs[i]->group_size = -1;
        olv_error err = {.message = ""};
        if (!code && olv_weight_spec_check(specs[i], &err) != OLV_OK) code = usage_error("%s", err.message);
    }
    if (a->given_level) o->accuracy_level = (int)a->accuracy_level;
    if (o->accuracy_level < -1 || o->accuracy_level > 4) code = usage_error("--int4-accuracy-level %d: expected 0 to 4", o->accuracy_level);
    o->threads = (int)common.threads;
    o->qdq = a->qdq;
    o->force = a->force;
    o->fresh = a->fresh;
    return code;
}

/* "size<2GB" goals against the plan: 4 when one is missed. */
static int check_goal(const char *goal, const olv_optimize_plan *plan) {
    char *end;
    if (!goal) return 0;
    if (strncmp(goal, "size<", 5)) return usage_error("--goal %s: known is size<N[KB|MB|GB]", goal);
    double v = strtod(goal + 5, &end);
    v *= !strncasecmp(end, "GB", 2) ? 1e9 : !strncasecmp(end, "MB", 2) ? 1e6 : !strncasecmp(end, "KB", 2) ? 1e3 : 1;
    if ((double)plan->output_bytes <= v) return 0;
    fprintf(stderr, "olivine: error: goal %s is missed: these settings give %.1f MB\n", goal, (double)plan->output_bytes / 1e6);
    return 4;
}

static const char *folder_kind(const auto_opt *a) {
    if (!strcasecmp(a->format, "hf")) return "Hugging Face";
    return !strcasecmp(a->format, "openvino") || !strcasecmp(a->provider, "OpenVINOExecutionProvider") ? "OpenVINO" : "ORT-GenAI";
}

static void print_plan(const auto_opt *a, const olv_optimize_plan *p) {
    if (common.json) {
        json_t *o = json_pack("{s:I,s:I,s:I,s:I,s:I,s:f,s:I,s:I}", "source_bytes", (json_int_t)p->source_bytes, "output_bytes", (json_int_t)p->output_bytes,
                              "parameters", (json_int_t)p->parameters, "disk_free", (json_int_t)p->disk_free, "memory_bytes", (json_int_t)p->memory_bytes,
                              "bits_per_weight", p->bits_per_weight, "tensors", (json_int_t)p->tensors, "compressed", (json_int_t)p->compressed);
        json_dumpf(o, stdout, JSON_COMPACT);
        putchar('\n');
        json_decref(o);
        return;
    }
    printf("1. read        %s: %.1f M parameters, %.1f MB\n", common.model, (double)p->parameters / 1e6, (double)p->source_bytes / 1e6);
    printf("2. compress    %zu of %zu tables to %s, %.2f bit per weight\n", p->compressed, p->tensors, a->precision, p->bits_per_weight);
    printf("3. write       %s folder '%s', about %.1f MB (%.1f MB free)\n", folder_kind(a), a->output, (double)p->output_bytes / 1e6, (double)p->disk_free / 1e6);
    printf("memory         about %.0f MB; time about %.0f s\n", (double)p->memory_bytes / 1e6, ceil((double)p->parameters * 3e-9));
}

static void print_result(const auto_opt *a, const olv_optimize_plan *plan, const char *report, double seconds) {
    if (common.json) {
        json_t *r = report ? json_loads(report, 0, NULL) : NULL;
        json_t *o = json_pack("{s:s,s:f,s:I,s:f}", "output", a->output, "seconds", seconds, "output_bytes", (json_int_t)plan->output_bytes,
                              "bits_per_weight", plan->bits_per_weight);
        if (r) json_object_set_new(o, "tensors", r);
        json_dumpf(o, stdout, JSON_COMPACT);
        putchar('\n');
        json_decref(o);
        return;
    }
    printf("%s: %.1f MB, %.2f bit per weight (was %.1f MB), %.1f s\n", a->output, (double)plan->output_bytes / 1e6, plan->bits_per_weight,
           (double)plan->source_bytes / 1e6, seconds);
}

static int run(const auto_opt *a, const char *model) {
    olv_optimize_options o;
    olv_optimize_plan plan;
    olv_error err = {.message = ""};
    olv_optimize_options_init(&o);
    int code = read_settings(a, &o);
    if (code) return code;
    if ((code = fetch_missing(model))) return code;
    if (olv_optimize_dry_run(model, &o, a->output, &plan, &err) != OLV_OK) return report(&err);
    if ((code = check_goal(a->goal, &plan))) return code;
    if (a->dry_run) {
        print_plan(a, &plan);
        return 0;
    }
    if (common.verbose || common.log_level >= 1) print_plan(a, &plan);
    char *text = NULL;
    calibration_data *data;
    if ((code = calibration_open(&a->calibration, model, &o.calibration, &data))) return code;
    progress bar;
    progress_begin(&bar, "compress", PROGRESS_BYTES);
    olv_status s = olv_optimize(model, &o, a->output, progress_show, &bar, &text, &err);
    double seconds = progress_end(&bar);
    calibration_close(data);
    if (s != OLV_OK) {
        if (interrupted) snprintf(err.message, sizeof err.message, "interrupted; the same command continues the work");
        return interrupted ? (fprintf(stderr, "olivine: %s\n", err.message), 130) : report(&err);
    }
    print_result(a, &plan, text, seconds);
    olv_free(text);
    return 0;
}

int cmd_auto_opt(int argc, char **argv) {
    arg_list positionals = {0};
    const char *ignored = NULL;
    bool flag = false;
    auto_opt a = {.precision = "fp32", .provider = "CPUExecutionProvider", .format = "ort-genai", .rounding = "search", .output = "auto-opt-output"};
    const arg_option options[] = {
        {"output output_path o", ARG_STRING, &a.output, "DIR", "folder to write", NULL},
        {"precision", ARG_STRING, &a.precision, "P", "int4, int8, uint4, uint8, nf4, fp16, bf16, fp32", NULL},
        {"provider", ARG_STRING, &a.provider, "EP", "CPUExecutionProvider, CUDAExecutionProvider, DmlExecutionProvider, OpenVINOExecutionProvider", NULL},
        {"device", ARG_STRING, &common.device, "D", "cpu, gpu", NULL},
        {"model model_name_or_path m", ARG_STRING, &common.model, "MODEL", "folder or hub id of the model", NULL},
        {"format", ARG_STRING, &a.format, "F", "ort-genai, openvino, hf", NULL},
        {"group-size block-size", ARG_INT, &a.group_size, "N", "weights that share a scale: 16 to 256, -1: a row", NULL},
        {"sym", ARG_FLAG, &a.sym, NULL, "symmetric codes (the default)", NULL},
        {"asym", ARG_FLAG, &a.asym, NULL, "codes with zero points", NULL},
        {"rounding", ARG_STRING, &a.rounding, "R", "search, nncf, ort", NULL},
        {"head", ARG_STRING, &a.head, "P", "precision of the head", NULL},
        {"embeddings", ARG_STRING, &a.embeddings, "P", "precision of the embeddings", NULL},
        {"int4-accuracy-level accuracy-level", ARG_INT, &a.accuracy_level, "N", "of MatMulNBits: 0 to 4", &a.given_level},
        {"qdq use-qdq-encoding", ARG_FLAG, &a.qdq, NULL, "layers as DequantizeLinear and MatMul, not MatMulNBits", NULL},
        CALIBRATION_OPTIONS(a.calibration),
        {"goal", ARG_STRING, &a.goal, "GOAL", "size<2GB: fail with 4 when missed", NULL},
        {"dry-run", ARG_FLAG, &a.dry_run, NULL, "print the plan, do nothing", NULL},
        {"force", ARG_FLAG, &a.force, NULL, "replace an output folder that holds something else", NULL},
        {"fresh", ARG_FLAG, &a.fresh, NULL, "discard unfinished work", NULL},
        {"progress", ARG_STRING, &common.progress, "json|bar|none", "how long work tells how far it is", NULL},
        {"threads", ARG_INT, &common.threads, "N", "processors to use", NULL},
        {"max-memory memory", ARG_STRING, &a.max_memory, "N", "accepted; the work needs under 300 MB", NULL},
        {"use-ort-genai", ARG_FLAG, &a.use_ort_genai, NULL, "write the ORT-GenAI folder (always done)", NULL},
        {"task t", ARG_STRING, &a.task, "T", "text-generation", NULL},
        {"log-level", ARG_INT, &common.log_level, "N", "0: the result line only, 1: every step", NULL},
        {"json", ARG_FLAG, &common.json, NULL, "results as JSON", NULL},
        {"verbose v", ARG_FLAG, &common.verbose, NULL, "say more", NULL},
        {"quiet q", ARG_FLAG, &common.quiet, NULL, "no progress", NULL},
        {"offline", ARG_FLAG, &common.offline, NULL, "fetch nothing", NULL},
        /* Olive's flags that have nothing to steer here. */
        {"trust-remote-code", ARG_FLAG, &flag, NULL, NULL, NULL}, {"use-model-builder", ARG_FLAG, &flag, NULL, NULL, NULL},
        {"use-dynamo-exporter", ARG_FLAG, &flag, NULL, NULL, NULL},
        {"save-config-file", ARG_FLAG, &flag, NULL, NULL, NULL}, {"disable-telemetry", ARG_FLAG, &flag, NULL, NULL, NULL},
        {"adapter_path a", ARG_IGNORED, &ignored, NULL, NULL, NULL}, {"model-script", ARG_IGNORED, &ignored, NULL, NULL, NULL},
        {"script-dir", ARG_IGNORED, &ignored, NULL, NULL, NULL}, {"data-name d", ARG_IGNORED, &ignored, NULL, NULL, NULL},
        {"split", ARG_IGNORED, &ignored, NULL, NULL, NULL}, {"subset", ARG_IGNORED, &ignored, NULL, NULL, NULL},
        {"input-cols", ARG_IGNORED, &ignored, NULL, NULL, NULL}, {"batch-size", ARG_IGNORED, &ignored, NULL, NULL, NULL},
        {"dynamic-to-fixed-shape-dim-param", ARG_IGNORED, &ignored, NULL, NULL, NULL},
        {"dynamic-to-fixed-shape-dim-value", ARG_IGNORED, &ignored, NULL, NULL, NULL},
        {"num-splits", ARG_IGNORED, &ignored, NULL, NULL, NULL}, {"cost-model", ARG_IGNORED, &ignored, NULL, NULL, NULL},
        {"mixed-precision-overrides-config", ARG_IGNORED, &ignored, NULL, NULL, NULL},
        {"account-name", ARG_IGNORED, &ignored, NULL, NULL, NULL}, {"container-name", ARG_IGNORED, &ignored, NULL, NULL, NULL}};
    const arg_spec spec = {.usage = "-m MODEL -o DIR", .summary = "Makes an optimized, compressed, ready-to-run folder of a model.",
                           .example = "olivine auto-opt -m models/pebble -o pebble-int4 --use_ort_genai --precision int4",
                           .options = options, .n_options = sizeof options / sizeof options[0], .positionals = &positionals};
    int code = args_parse("auto-opt", &spec, argc, argv);
    if (code) return code - 1;
    const char *model = take_model(&positionals);
    if (!model) code = 2;
    if (!code) code = progress_check();
    common.model = model;
    if (!code) code = run(&a, model);
    args_free_list(&positionals);
    args_free_list(&a.calibration.datasets);
    return code;
}
