/* SPDX-License-Identifier: Apache-2.0 */
#include "args.h"
#include "fetch.h"
#include "progress.h"
#include <olivine/convert.h>
#include <olivine/model.h>
#include <olivine/optimize.h>
#include <stdio.h>
#include <string.h>

int cmd_convert(int argc, char **argv);

typedef struct conversion {
    const char *model, *out, *format, *type;
    int64_t shard, opset, ir; /* MB; of ONNX graphs, 0: the newest, and its own */
    bool force, fp16;
} conversion;

/* The folder of a runtime (ORT-GenAI, OpenVINO GenAI) with its weights left as they are, or in f16. */
static olv_status to_folder(const conversion *c, progress *bar, olv_error *err) {
    olv_optimize_options o;
    olv_optimize_options_init(&o);
    olv_weight_spec *specs[] = {&o.compress.weights, &o.compress.embeddings, &o.compress.head};
    for (int i = 0; i < 3; i++) {
        specs[i]->type = strcmp(c->type, "f16") ? OLV_WEIGHT_KEEP : OLV_WEIGHT_F16;
        specs[i]->group_size = -1;
    }
    if (!strcmp(c->format, "openvino")) o.format = OLV_OUTPUT_OPENVINO;
    o.force = c->force;
    return olv_optimize(c->model, &o, c->out, progress_show, bar, NULL, err);
}

static bool ends_in(const char *path, const char *end) {
    size_t n = strlen(path), k = strlen(end);
    return n > k && !strcmp(path + n - k, end);
}

/* A graph, not a folder of a language model. */
static bool is_graph(const char *path) { return ends_in(path, ".onnx") || ends_in(path, ".xml"); }

static olv_status convert_graph(const conversion *c, olv_error *err) {
    olv_model *model;
    olv_status s = olv_model_read(c->model, &model, err);
    if (s != OLV_OK) return s;
    s = !strcmp(c->format, "openvino") ? olv_model_save_openvino(model, c->out, c->fp16, err) : olv_model_save_onnx(model, c->out, c->opset, c->ir, err);
    olv_model_destroy(model);
    return s;
}

static bool one_of(const char *word, const char *const *words) {
    for (; *words; words++)
        if (!strcmp(word, *words)) return true;
    return false;
}

/* Type for the format; exit code. */
static int check_type(conversion *c) {
    static const char *const gguf[] = {"f32", "f16", "q8_0", "q4_0", "q4_k_s", "q4_k_m", "q5_k_s", "q5_k_m", "q6_k", NULL}, *const st[] = {"f32", "f16", "bf16", "as-is", NULL}, *const onnx[] = {"f32", "f16", NULL};
    if (is_graph(c->model)) {
        if (!c->format) c->format = ends_in(c->out, ".xml") ? "openvino" : "onnx";
        bool ir = !strcmp(c->format, "openvino");
        if (!ir && strcmp(c->format, "onnx")) return usage_error("--format %s: a graph is written as onnx or openvino", c->format);
        if (ir && (c->opset || c->ir)) return usage_error("--%s is for ONNX graphs", c->opset ? "opset" : "ir-version");
        if (ir && c->type && !strcmp(c->type, "f16")) c->fp16 = true;
        else if (c->type && !(ir && !strcmp(c->type, "f32"))) return usage_error("--outtype: the weights of a graph stay as they are; f32 or f16 for openvino");
        if (!ir && c->fp16) return usage_error("--compress_to_fp16 is for --format openvino");
        if (c->opset < 0) return usage_error("--opset is %lld, expected 7 or more", (long long)c->opset);
        return 0;
    }
    if (c->opset || c->ir) return usage_error("--%s is for ONNX graphs", c->opset ? "opset" : "ir-version");
    if (!c->format) c->format = "gguf";
    if (!strcmp(c->format, "hf")) c->format = "safetensors";
    bool to_gguf = !strcmp(c->format, "gguf"), to_st = !strcmp(c->format, "safetensors");
    if (!to_gguf && !to_st && strcmp(c->format, "onnx") && strcmp(c->format, "openvino"))
        return usage_error("--format %s: expected gguf, safetensors, onnx or openvino", c->format);
    if (!c->type) c->type = c->fp16 || to_gguf ? "f16" : to_st ? "as-is" : "f32";
    if (to_gguf && !one_of(c->type, gguf)) return usage_error("--outtype %s: expected f32, f16, q8_0, q4_0, q4_k_s, q4_k_m, q5_k_s, q5_k_m or q6_k", c->type);
    if (to_st && !one_of(c->type, st)) return usage_error("--outtype %s: expected f32, f16, bf16 or as-is", c->type);
    if (!to_gguf && !to_st && !one_of(c->type, onnx)) return usage_error("--outtype %s: expected f32 or f16", c->type);
    if (c->shard < 0) return usage_error("--max-shard-mb is %lld, expected a positive number", (long long)c->shard);
    return 0;
}

static olv_status convert(const conversion *c, progress *bar, olv_error *err) {
    if (is_graph(c->model)) return convert_graph(c, err);
    if (!strcmp(c->format, "gguf")) return olv_convert_gguf(c->model, c->out, c->type, progress_show, bar, err);
    if (!strcmp(c->format, "onnx") || !strcmp(c->format, "openvino")) return to_folder(c, bar, err);
    return olv_convert_safetensors(c->model, c->out, c->type, (uint64_t)c->shard * 1000000u, c->force, progress_show, bar, err);
}

int cmd_convert(int argc, char **argv) {
    arg_list positionals = {0};
    conversion c = {.format = NULL};
    const arg_option options[] = {{"output o output_path", ARG_STRING, &c.out, "OUT", "the file (gguf) or folder to write", NULL},
                                  {"model model_name_or_path m", ARG_STRING, &common.model, "MODEL", "folder or hub id of the model", NULL},
                                  {"format", ARG_STRING, &c.format, "F", "gguf, safetensors, onnx, openvino (of an .onnx or .xml file: onnx, openvino)", NULL},
                                  {"opset", ARG_INT, &c.opset, "N", "of the ONNX graph to write, 7 or more (the newest)", NULL},
                                  {"ir-version", ARG_INT, &c.ir, "N", "of the ONNX file's form, 4 or more (the opset's)", NULL},
                                  {"outtype", ARG_STRING, &c.type, "T", "f32, f16; gguf: q8_0, q4_0, q4_k_m, q5_k_m, q6_k; safetensors: bf16, as-is", NULL},
                                  {"compress_to_fp16", ARG_FLAG, &c.fp16, NULL, "the same as --outtype f16", NULL},
                                  {"max-shard-mb", ARG_INT, &c.shard, "MB", "bytes of a safetensors file at most (5000)", NULL},
                                  {"force", ARG_FLAG, &c.force, NULL, "replace a folder that is not empty", NULL},
                                  {"offline", ARG_FLAG, &common.offline, NULL, "fetch nothing", NULL},
                                  {"progress", ARG_STRING, &common.progress, "json|bar|none", "how it tells how far it is", NULL},
                                  {"quiet q", ARG_FLAG, &common.quiet, NULL, "no progress", NULL}};
    const arg_spec spec = {.usage = "MODEL -o OUT", .summary = "Writes a model in another file format.",
                           .example = "olivine convert models/pebble -o pebble.gguf --outtype q8_0",
                           .options = options, .n_options = sizeof options / sizeof options[0], .positionals = &positionals};
    int code = args_parse("convert", &spec, argc, argv);
    if (code) return code - 1;
    c.model = take_model(&positionals);
    olv_error err = {.message = ""};
    if (!c.model) code = 2;
    else if (!c.out) code = usage_error("convert: --output is missing");
    else code = check_type(&c);
    if (!code) code = progress_check();
    if (!code) code = fetch_missing(c.model);
    if (!code) {
        progress bar;
        progress_begin(&bar, "convert", PROGRESS_BYTES);
        olv_status s = convert(&c, &bar, &err);
        progress_end(&bar);
        if (s != OLV_OK) code = report(&err);
        else printf("%s\n", c.out);
    }
    args_free_list(&positionals);
    return code;
}
