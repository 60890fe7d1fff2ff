/* SPDX-License-Identifier: Apache-2.0 */
#include "adapters.h"
#include "jsonl.h"
#include "model.h"
#include "npy.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int cmd_logits(int argc, char **argv);

typedef struct logits_ctx {
    olv_pipeline *pipeline;
    const char *dir;
    FILE *file;
    char path[4096];
    size_t rows, vocab;
    bool failed;
} logits_ctx;

static bool write_row(void *ctx, size_t row, const float *logits, size_t vocab) {
    logits_ctx *c = ctx;
    if (!c->file && !(c->file = npy_create(c->path, c->rows, vocab))) c->failed = true;
    c->vocab = vocab;
    if (!c->failed && fseek(c->file, (long)(128 + row * vocab * sizeof(float)), SEEK_SET)) c->failed = true;
    if (!c->failed && fwrite(logits, sizeof(float), vocab, c->file) != vocab) c->failed = true;
    return !c->failed && !interrupted;
}

static olv_status answer(void *ctx, size_t index, const json_t *item, json_t **out, olv_error *err) {
    logits_ctx *c = ctx;
    int64_t *ids = NULL, *mask = NULL;
    size_t n = 0, n_mask = 0;
    olv_status s = jsonl_ids(item, "ids", &ids, &n, err);
    if (s == OLV_OK && json_object_get(item, "attention_mask")) s = jsonl_ids(item, "attention_mask", &mask, &n_mask, err);
    if (s == OLV_OK && mask && n_mask != n) s = cli_fail(err, OLV_ARG, "%zu ids, but an attention mask of %zu", n, n_mask);
    if (s == OLV_OK && n == 0) s = cli_fail(err, OLV_ARG, "\"ids\" is empty");
    if (s == OLV_OK) s = apply_adapter_field(c->pipeline, item, err);
    snprintf(c->path, sizeof c->path, "%s/logits_%zu.npy", c->dir, index);
    c->rows = n;
    c->failed = false;
    if (s == OLV_OK) s = olv_logits(c->pipeline, ids, mask, n, write_row, c, err);
    if (c->failed) s = cli_fail(err, OLV_IO, "cannot write '%.900s': %s", c->path, strerror(errno));
    if (c->file && fclose(c->file) && s == OLV_OK) s = cli_fail(err, OLV_IO, "cannot write '%.900s'", c->path);
    c->file = NULL;
    if (s == OLV_OK) *out = json_pack("{s:s, s:[I, I]}", "file", c->path, "shape", (json_int_t)n, (json_int_t)c->vocab);
    else remove(c->path);
    free(ids);
    free(mask);
    return s;
}

int cmd_logits(int argc, char **argv) {
    arg_list positionals = {0};
    logits_ctx ctx = {.dir = "."};
    const arg_option options[] = {{"output-dir o", ARG_STRING, &ctx.dir, "DIR", "where the .npy files go", NULL},
                                  {"jsonl", ARG_FLAG, &common.jsonl, NULL, "JSON lines from standard input (the only mode)", NULL},
                                  ADAPTER_OPTION, COMMON_OPTIONS};
    const arg_spec spec = {.usage = "MODEL --jsonl --output-dir DIR", .summary = "Raw scores of every position, as f32 .npy files.",
                           .example = "echo '{\"ids\":[5,9,40]}' | olivine logits models/pebble --jsonl --output-dir /tmp",
                           .options = options, .n_options = sizeof options / sizeof options[0], .positionals = &positionals};
    int code = args_parse("logits", &spec, argc, argv);
    if (code) return code - 1;
    if (mkdir(ctx.dir, 0777) && errno != EEXIST) code = usage_error("cannot make folder '%s': %s", ctx.dir, strerror(errno));
    if (!code) ctx.pipeline = open_model(&positionals, true, &code);
    if (ctx.pipeline) code = load_adapters(ctx.pipeline);
    if (ctx.pipeline && !code) code = jsonl_run(answer, &ctx);
    olv_pipeline_close(ctx.pipeline);
    args_free_list(&positionals);
    return code;
}
