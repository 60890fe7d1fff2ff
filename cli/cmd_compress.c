/* SPDX-License-Identifier: Apache-2.0 */
/* Weight compression, with NNCF's names and defaults. */
#include "args.h"
#include "calibration_data.h"
#include "compress_report.h"
#include "progress.h"
#include <jansson.h>
#include <olivine/convert.h>
#include <olivine/model.h>
#include <olivine/optimize.h>
#include <olivine/pipeline.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

int cmd_compress(int argc, char **argv);

typedef struct compress_args {
    const char *output, *mode, *backup, *rounding, *head, *format, *metric, *provider;
    int64_t group_size;
    double ratio;
    arg_list ignored;
    const char *budget, *report, *fail_if, *codebook, *target;
    double bits;
    bool all_layers, given_group, given_ratio, given_bits, force, fresh, dry_run;
    calibration_args calibration;
    bool lora; /* not there yet */
} compress_args;

static int unsupported(const char *what, const char *remedy) {
    fprintf(stderr, "olivine: error: %s; %s\n", what, remedy);
    return 3;
}

/* NNCF's INT8 is the asymmetric one. */
static int parse_mode(const char *option, const char *name, olv_weight_type *type) {
    olv_error err = {.message = ""};
    if (!strcasecmp(name, "int8")) name = "int8_asym";
    if (olv_weight_type_parse(name, type, &err) == OLV_OK) return 0;
    return usage_error("%s %s: %s", option, name, err.message);
}

/* "480MB", "1.5GiB", a number of bytes. */
static int parse_size(const char *option, const char *text, uint64_t *out) {
    static const struct {
        const char *name;
        double bytes;
    } units[] = {{"", 1}, {"B", 1}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"KiB", 1024}, {"MiB", 1048576}, {"GiB", 1073741824}};
    char *end;
    double v = strtod(text, &end);
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (end != text && v > 0 && v < 1e15 && !strcasecmp(end, units[i].name)) return *out = (uint64_t)(v * units[i].bytes), 0;
    return usage_error("%s %s: expected a size as 480MB or 1.5GiB", option, text);
}

/* Values of a codebook, ascending and separated by commas. */
static int parse_codebook(const char *text, float *values, int32_t *n) {
    const char *s = text;
    for (*n = 0; *s && *n < 256; (*n)++) {
        char *end;
        values[*n] = strtof(s, &end);
        if (end == s || (*end && *end != ',')) return usage_error("--codebook %s: expected numbers with commas between them", text);
        s = *end ? end + 1 : end;
    }
    return *s ? usage_error("--codebook: more than 256 values") : 0;
}

static bool is_eight(olv_weight_type t) { return t == OLV_WEIGHT_INT8_SYM || t == OLV_WEIGHT_INT8_ASYM; }

/* Names of GGUF's types are modes where GGUF is written. */
static bool is_gguf_mode(const char *mode) { return (mode[0] == 'q' || mode[0] == 'Q') && mode[1] >= '0' && mode[1] <= '9'; }

static int read_rounding(const char *name, olv_rounding *r) {
    static const char *const names[] = {"search", "nncf", "ort"};
    for (int i = 0; i < 3; i++)
        if (!strcasecmp(name, names[i])) return *r = (olv_rounding)i, 0;
    return usage_error("--rounding %s: expected search, nncf or ort", name);
}

/* Types whose compression without words of the user comes with another backup than INT8. */
static const char *default_backup(olv_weight_type mode) {
    switch (mode) {
    case OLV_WEIGHT_MXFP4:
    case OLV_WEIGHT_MXFP8_E4M3: return "mxfp8_e4m3";
    case OLV_WEIGHT_FP4:
    case OLV_WEIGHT_FP8_E4M3: return "fp8_e4m3";
    default: return "int8_asym";
    }
}

static int read_size(const compress_args *a, olv_compress_params *c) {
    olv_error err = {.message = ""};
    if (a->metric && olv_sensitivity_parse(a->metric, &c->sensitivity, &err) != OLV_OK) return usage_error("--sensitivity-metric: %s", err.message);
    if (a->budget && a->given_bits) return usage_error("--budget and --bits: one of them");
    if ((a->budget || a->given_bits) && a->given_ratio) return usage_error("--ratio does not go with --budget or --bits, which choose layer by layer");
    if (a->given_bits && !(a->bits > 0 && a->bits <= 32)) return usage_error("--bits %g: expected a number of bits per weight", a->bits);
    c->bits = a->bits;
    return a->budget ? parse_size("--budget", a->budget, &c->budget_bytes) : 0;
}

/* Embeddings and the head get the backup form, unless all layers are asked for; INT8 means all of them. */
static int read_settings(const compress_args *a, olv_optimize_options *o) {
    static float codebook[256]; /* lives as long as the options */
    olv_compress_params *c = &o->compress;
    olv_weight_type mode = OLV_WEIGHT_KEEP, backup = OLV_WEIGHT_KEEP, head = OLV_WEIGHT_KEEP;
    olv_rounding rounding = (olv_rounding)0;
    int code = a->lora ? unsupported("--lora-correction is not there yet", "use --gptq or --profile best") : 0;
    if (!code && is_gguf_mode(a->mode)) mode = OLV_WEIGHT_INT4_SYM;
    else if (!code) code = parse_mode("--mode", a->mode, &mode);
    if (!code) code = parse_mode("--backup-mode", a->backup ? a->backup : default_backup(mode), &backup);
    if (!code) code = read_rounding(a->rounding, &rounding);
    if (!code) code = read_size(a, c);
    if (!code && a->fail_if) code = compress_fail_if(NULL, a->fail_if, true);
    if (code) return code;
    bool eight = is_eight(mode);
    if (backup != OLV_WEIGHT_KEEP && !is_eight(backup) && backup != OLV_WEIGHT_MXFP8_E4M3 && backup != OLV_WEIGHT_FP8_E4M3)
        return usage_error("--backup-mode %s: expected none, int8_sym, int8_asym, mxfp8_e4m3 or fp8_e4m3", a->backup);
    if (eight && (a->given_ratio || a->given_group || a->all_layers || a->budget || a->given_bits))
        return usage_error("--mode %s compresses every layer by rows: --ratio, --group-size, --all-layers, --budget and --bits do not go with it", a->mode);
    if (!(a->ratio >= 0 && a->ratio <= 1)) return usage_error("--ratio %g: expected 0 to 1", a->ratio);
    int32_t group = a->given_group ? (int32_t)a->group_size : olv_weight_type_group(mode);
    c->weights = (olv_weight_spec){.type = mode, .group_size = group, .rounding = rounding, .scale = OLV_SCALE_F16};
    c->weights.codebook = a->codebook ? codebook : NULL;
    if (a->codebook && (code = parse_codebook(a->codebook, codebook, &c->weights.n_codebook))) return code;
    if ((a->codebook != NULL) != (mode == OLV_WEIGHT_CODEBOOK)) return usage_error("--mode codebook and --codebook VALUES belong together");
    c->backup = (olv_weight_spec){.type = backup, .group_size = olv_weight_type_group(backup), .rounding = rounding, .scale = OLV_SCALE_F16};
    c->embeddings = c->head = eight || a->all_layers ? c->weights : c->backup;
    if (a->head) {
        if ((code = parse_mode("--head", a->head, &head))) return code;
        c->head = (olv_weight_spec){.type = head, .group_size = a->given_group && !is_eight(head) ? (int32_t)a->group_size : olv_weight_type_group(head), .rounding = rounding, .scale = OLV_SCALE_F16};
    }
    c->ratio = a->ratio;
    c->ignored = a->ignored.items;
    c->n_ignored = a->ignored.count;
    o->threads = (int)common.threads;
    o->force = a->force;
    o->fresh = a->fresh;
    return 0;
}

/* The format of the input: what lies at the path says it. */
static const char *own_format(const char *model) {
    char path[4096];
    struct stat st;
    size_t n = strlen(model);
    if (n > 5 && !strcasecmp(model + n - 5, ".gguf")) return "gguf";
    snprintf(path, sizeof path, "%s/genai_config.json", model);
    if (stat(path, &st) == 0) return "ort-genai";
    snprintf(path, sizeof path, "%s/openvino_model.xml", model);
    return stat(path, &st) == 0 ? "openvino" : "hf";
}

/* GGUF's own names ("q4_k_m"), or the type that a mode comes nearest to; NULL: none. */
static const char *gguf_type(const compress_args *a, const olv_compress_params *c) {
    olv_weight_type t = c->weights.type;
    if (is_gguf_mode(a->mode)) return a->mode;
    if (t == OLV_WEIGHT_INT8_SYM) return "q8_0";
    if (t == OLV_WEIGHT_INT4_ASYM && (!a->given_group || a->group_size == 32)) return "q4_k_m";
    return t == OLV_WEIGHT_INT4_SYM && (!a->given_group || a->group_size == 32) ? "q4_0" : NULL;
}

static int write_gguf(const compress_args *a, const olv_optimize_options *o, const char *model) {
    const char *type = gguf_type(a, &o->compress);
    olv_error err = {.message = ""};
    if (!strcmp(own_format(model), "gguf")) return unsupported("GGUF files are not compressed again yet", "use --format ort-genai, or the float model's folder");
    if (!type || a->given_ratio || a->budget || a->given_bits || a->ignored.count)
        return unsupported("--format gguf has int8_sym (q8_0), int4_sym (q4_0), int4_asym (q4_k_m), q4_k_s, q5_k_s, q5_k_m and q6_k, for all layers",
                           "leave out the other options");
    progress bar;
    progress_begin(&bar, "compress", PROGRESS_BYTES);
    olv_status s = olv_convert_gguf(model, a->output, type, progress_show, &bar, &err);
    progress_end(&bar);
    if (s != OLV_OK) return report(&err);
    printf("%s\n", a->output);
    return 0;
}

/* Prints what was done and writes the report; the exit code. */
static int finish(const compress_args *a, const char *model, const char *text, double seconds) {
    json_t *r = json_loads(text, 0, NULL), *t;
    size_t i, done = 0;
    json_array_foreach(json_object_get(r, "tensors"), i, t) done += json_object_get(t, "kept") == NULL;
    if (common.json) {
        json_t *o = json_pack("{s:s,s:f,s:O}", "output", a->output, "seconds", seconds, "report", r);
        json_dumpf(o, stdout, JSON_COMPACT);
        putchar('\n');
        json_decref(o);
    } else {
        printf("%s: %zu of %zu tables compressed, %.2f bit per weight (was %.2f), %.1f s\n", a->output, done,
               json_array_size(json_object_get(r, "tensors")), json_number_value(json_object_get(r, "bits")),
               json_number_value(json_object_get(r, "bits_before")), seconds);
    }
    int code = a->report ? compress_report_write(r, model, a->report) : 0;
    if (!code && a->fail_if) code = compress_fail_if(r, a->fail_if, false);
    json_decref(r);
    return code;
}

static bool ends_with(const char *s, const char *end) {
    size_t n = strlen(s), k = strlen(end);
    return n >= k && !strcasecmp(s + n - k, end);
}

static bool is_graph_file(const char *path) { return ends_with(path, ".onnx") || ends_with(path, ".xml"); }

/* A model file to a model file. */
static int write_graph(const compress_args *a, const olv_optimize_options *o, const char *model) {
    olv_error err = {.message = ""};
    olv_model *m = NULL;
    char *text = NULL;
    olv_compress_params p = o->compress;
    olv_weight_spec *specs[] = {&p.weights, &p.embeddings, &p.head, &p.backup};
    for (int i = 0; i < 4; i++) specs[i]->scale = ends_with(a->output, ".xml") ? OLV_SCALE_F16 : OLV_SCALE_F32;
    if (a->target && strcasecmp(a->target, "ort") && strcasecmp(a->target, "onnx")) return usage_error("--target %s: expected onnx or ort", a->target);
    if (!is_graph_file(a->output)) return usage_error("--output %s: expected a file .onnx or .xml for the model file %s", a->output, model);
    progress bar;
    progress_begin(&bar, "compress", PROGRESS_BYTES);
    olv_status s = olv_model_read(model, &m, &err);
    if (s == OLV_OK) s = olv_compress_model(m, &p, (int)common.threads, &text, &err);
    bool ort = a->target && !strcasecmp(a->target, "ort") && ends_with(a->output, ".onnx");
    if (s == OLV_OK) s = ort ? olv_model_save_ort(m, a->output, &err) : olv_model_save(m, a->output, 0, &err);
    double seconds = progress_end(&bar);
    olv_model_destroy(m);
    int code = s == OLV_OK ? finish(a, model, text, seconds) : report(&err);
    olv_free(text);
    return code;
}

static int run(const compress_args *a, const char *model) {
    olv_optimize_options o;
    olv_error err = {.message = ""};
    olv_optimize_options_init(&o);
    int code = read_settings(a, &o);
    const char *format = a->format ? a->format : own_format(model);
    if (code) return code;
    if (calibration_wanted(&a->calibration) && (!strcasecmp(format, "gguf") || is_graph_file(model)))
        return unsupported("calibration data are for folders of language models, and not yet for GGUF", "use --format ort-genai, openvino or hf");
    if (!strcasecmp(format, "gguf")) return write_gguf(a, &o, model);
    if (is_gguf_mode(a->mode)) return usage_error("--mode %s is a type of GGUF: it goes with --format gguf", a->mode);
    if (is_graph_file(model)) return write_graph(a, &o, model);
    if (!strcasecmp(format, "hf")) o.format = OLV_OUTPUT_HF;
    else if (!strcasecmp(format, "openvino")) o.format = OLV_OUTPUT_OPENVINO;
    else if (strcasecmp(format, "ort-genai")) return usage_error("--format %s: expected hf, ort-genai, openvino or gguf", format);
    if (a->dry_run) {
        olv_optimize_plan plan;
        if (olv_optimize_dry_run(model, &o, a->output, &plan, &err) != OLV_OK) return report(&err);
        printf("%zu of %zu tables, %.2f bit per weight, about %.1f MB (was %.1f MB; %.1f MB free)\n", plan.compressed, plan.tensors,
               plan.bits_per_weight, (double)plan.output_bytes / 1e6, (double)plan.source_bytes / 1e6, (double)plan.disk_free / 1e6);
        return 0;
    }
    char *text = NULL;
    calibration_data *data;
    if ((code = calibration_open(&a->calibration, model, &o.calibration, &data))) return code;
    progress bar;
    progress_begin(&bar, "compress", PROGRESS_BYTES);
    olv_status s = olv_optimize(model, &o, a->output, progress_show, &bar, &text, &err);
    double seconds = progress_end(&bar);
    calibration_close(data);
    if (s != OLV_OK && interrupted) return fprintf(stderr, "olivine: interrupted; the same command continues the work\n"), 130;
    if (s != OLV_OK) return report(&err);
    code = finish(a, model, text, seconds);
    if (o.format == OLV_OUTPUT_HF && !common.quiet && strstr(text, "_asym\""))
        fprintf(stderr, "olivine: note: zero points are stored as compressed-tensors packs them; its loader in transformers (0.20) takes "
                        "folders without (int8_sym, int4_sym with --backup-mode int8_sym)\n");
    olv_free(text);
    return code;
}

int cmd_compress(int argc, char **argv) {
    arg_list positionals = {0};
    compress_args a = {.mode = "int8_asym", .rounding = "search", .ratio = 1};
    const arg_option options[] = {
        {"output output_path o", ARG_STRING, &a.output, "OUT", "folder or file to write", NULL},
        {"model model_name_or_path m", ARG_STRING, &common.model, "MODEL", "folder, file or hub id of the model", NULL},
        {"mode weight-format", ARG_STRING, &a.mode, "MODE", "int8_asym (INT8), int8_sym, int4_sym, int4_asym, int3_sym, int2_sym, nf4, mxfp4, mxfp8_e4m3, fp8_e4m3, fp4, nvfp4, cb4, codebook, adaptive_codebook; gguf: q4_k_m, q5_k_m, q6_k, q8_0, q4_0", NULL},
        {"ratio", ARG_REAL, &a.ratio, "R", "share of the layers' weights in this mode; the others get the backup mode", &a.given_ratio},
        {"group-size", ARG_INT, &a.group_size, "N", "weights that share a scale: 16 to 256, -1: a row (that of the mode: 128 for int4)", &a.given_group},
        {"all-layers", ARG_FLAG, &a.all_layers, NULL, "embeddings and head in this mode too", NULL},
        {"backup-mode backup-precision", ARG_STRING, &a.backup, "MODE", "of embeddings, head and the rest: int8_asym, int8_sym, mxfp8_e4m3, fp8_e4m3, none", NULL},
        {"ignored-scope", ARG_LIST, &a.ignored, "NAME", "a layer or node to keep; re:PATTERN, type:OPERATOR, between:A,B (repeatable)", NULL},
        {"budget", ARG_STRING, &a.budget, "SIZE", "size of the weights, as 480MB: each layer gets what fits best", NULL},
        {"bits", ARG_REAL, &a.bits, "B", "the same by bits per weight over all tables, as 4.6", &a.given_bits},
        {"codebook", ARG_STRING, &a.codebook, "VALUES", "of --mode codebook: ascending, with commas", NULL},
        {"report", ARG_STRING, &a.report, "FILE", "report by table: .html or .json", NULL},
        {"fail-if", ARG_STRING, &a.fail_if, "EXPR", "exit code 4 when it holds: snr<20, mean_snr<25, bits>5, size>1GB, kept>0", NULL},
        {"rounding", ARG_STRING, &a.rounding, "R", "search, nncf, ort", NULL},
        {"head", ARG_STRING, &a.head, "MODE", "mode of the head", NULL},
        {"format", ARG_STRING, &a.format, "F", "hf, ort-genai, openvino, gguf (default: that of the model)", NULL},
        {"target", ARG_STRING, &a.target, "onnx|ort", "of .onnx files: DequantizeLinear, or onnxruntime's MatMulNBits (onnx)", NULL},
        {"sensitivity-metric", ARG_STRING, &a.metric, "M", "of --ratio: weight_quantization_error; the others need data", NULL},
        {"dry-run", ARG_FLAG, &a.dry_run, NULL, "say what would be written, do nothing", NULL},
        {"force", ARG_FLAG, &a.force, NULL, "replace an output folder that holds something else", NULL},
        {"fresh", ARG_FLAG, &a.fresh, NULL, "discard unfinished work", NULL},
        {"threads", ARG_INT, &common.threads, "N", "processors to use", NULL},
        {"progress", ARG_STRING, &common.progress, "json|bar|none", "how it tells how far it is", NULL},
        {"json", ARG_FLAG, &common.json, NULL, "results as JSON", NULL},
        {"quiet q", ARG_FLAG, &common.quiet, NULL, "no progress", NULL},
        {"verbose v", ARG_FLAG, &common.verbose, NULL, "say more", NULL},
        {"offline", ARG_FLAG, &common.offline, NULL, "fetch nothing", NULL},
        CALIBRATION_OPTIONS(a.calibration),
        {"lora-correction", ARG_FLAG, &a.lora, NULL, NULL, NULL}};
    const arg_spec spec = {.usage = "MODEL -o OUT", .summary = "Compresses the weights of a model, without or with calibration data.",
                           .example = "olivine compress models/pebble -o pebble-int4 --mode int4_sym --group-size 32 --ratio 0.8",
                           .options = options, .n_options = sizeof options / sizeof options[0], .positionals = &positionals};
    int code = args_parse("compress", &spec, argc, argv);
    if (code) return code - 1;
    const char *model = take_model(&positionals);
    if (!model) code = 2;
    else if (!a.output) code = usage_error("compress: --output is missing");
    else if (!(code = progress_check())) code = run(&a, model);
    args_free_list(&positionals);
    args_free_list(&a.ignored);
    args_free_list(&a.calibration.datasets);
    return code;
}
