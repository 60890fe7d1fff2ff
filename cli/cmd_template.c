/* SPDX-License-Identifier: Apache-2.0 */
/* template: chat messages to prompt text, by the template of a model or a template file. */
#include "args.h"
#include "jsonl.h"
#include "model.h"
#include <olivine/template.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int cmd_template(int argc, char **argv);

typedef struct template_ctx {
    olv_template *template; /* of a file or folder, or */
    olv_pipeline *pipeline; /* of a model whose template lies inside it */
} template_ctx;

static olv_status render(const template_ctx *c, const json_t *item, char **text, size_t *len, olv_error *err) {
    const json_t *now = json_object_get(item, "now");
    olv_template_options opt;
    olv_template_options_init(&opt);
    if (json_is_string(now)) opt.now = json_string_value(now);
    char *vars = json_dumps(item, JSON_COMPACT | JSON_REAL_PRECISION(17));
    if (!vars) return cli_fail(err, OLV_NOMEM, "out of memory");
    olv_status s = c->template ? olv_template_render(c->template, vars, strlen(vars), &opt, text, len, err)
                               : olv_pipeline_render(c->pipeline, vars, text, err);
    if (s == OLV_OK && !c->template) *len = strlen(*text);
    free(vars);
    return s;
}

static olv_status answer(void *ctx, size_t index, const json_t *item, json_t **out, olv_error *err) {
    char *text = NULL;
    size_t len = 0;
    (void)index;
    olv_status s = render(ctx, item, &text, &len, err);
    if (s != OLV_OK) return s;
    *out = json_pack("{s:s%}", "text", text, len);
    olv_free(text);
    return *out ? OLV_OK : cli_fail(err, OLV_FORMAT, "the rendered text is not valid UTF-8");
}

/* One JSON object from standard input, its text to standard output. */
static int render_one(const template_ctx *c) {
    json_error_t je;
    olv_error err;
    char *text = NULL;
    size_t len = 0;
    json_t *item = json_loadf(stdin, JSON_REJECT_DUPLICATES, &je);
    if (!item) return usage_error("standard input is not a JSON object: line %d: %s", je.line, je.text);
    if (json_is_array(item)) { /* only the messages */
        json_t *vars = json_pack("{s:o, s:b}", "messages", item, "add_generation_prompt", 1);
        if (!vars) return usage_error("standard input does not hold messages");
        item = vars;
    }
    olv_status s = render(c, item, &text, &len, &err);
    json_decref(item);
    if (s != OLV_OK) return report(&err);
    bool ok = fwrite(text, 1, len, stdout) == len && fflush(stdout) == 0;
    olv_free(text);
    return ok ? 0 : 1;
}

static int open_source(template_ctx *c, const char *file, arg_list *positionals) {
    olv_error err;
    struct stat st;
    int code = 0;
    if (!file && !common.model && positionals->count == 0) return usage_error("name a MODEL or give --template FILE");
    const char *name = file ? file : common.model ? common.model : positionals->items[0];
    if (file || (stat(name, &st) == 0 && S_ISDIR(st.st_mode)))
        return olv_template_open(name, &c->template, &err) == OLV_OK ? 0 : report(&err);
    c->pipeline = open_model(positionals, false, &code);
    return code;
}

int cmd_template(int argc, char **argv) {
    arg_list positionals = {0};
    template_ctx ctx = {0};
    const char *file = NULL;
    const arg_option options[] = {
        {"template chat-template", ARG_STRING, &file, "FILE", "a Jinja template instead of a model's", NULL},
        {"jsonl", ARG_FLAG, &common.jsonl, NULL, "JSON lines from standard input", NULL},
        COMMON_OPTIONS};
    const arg_spec spec = {
        .usage = "MODEL | --template FILE",
        .summary = "Chat messages (JSON on standard input) to the prompt text that the model was trained on.",
        .example = "echo '[{\"role\":\"user\",\"content\":\"Hi\"}]' | olivine template models/pebble",
        .options = options, .n_options = sizeof options / sizeof options[0], .positionals = &positionals};
    int code = args_parse("template", &spec, argc, argv);
    if (code) return code - 1;
    code = open_source(&ctx, file, &positionals);
    if (!code) code = common.jsonl ? jsonl_run(answer, &ctx) : render_one(&ctx);
    olv_template_destroy(ctx.template);
    olv_pipeline_close(ctx.pipeline);
    args_free_list(&positionals);
    return code;
}
