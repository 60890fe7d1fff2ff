/* SPDX-License-Identifier: Apache-2.0 */
/* embed: texts to vectors. */
#include "jsonl.h"
#include "model.h"
#include "texts.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int cmd_embed(int argc, char **argv);

typedef struct embed_ctx {
    olv_encoder *e;
    olv_embed_options opt;
    bool tokens;
} embed_ctx;

static json_t *numbers(const float *v, size_t n) {
    json_t *a = json_array();
    for (size_t i = 0; i < n; i++) json_array_append_new(a, json_real((double)v[i]));
    return a;
}

static size_t width_of(const embed_ctx *c) { return c->opt.dimensions ? c->opt.dimensions : olv_encoder_width(c->e); }

static olv_status embed(const embed_ctx *c, const text_list *t, float **out, olv_error *err) {
    float *v = malloc((t->count * width_of(c) + 1) * sizeof *v);
    if (!v) return cli_fail(err, OLV_NOMEM, "no memory for %zu vectors", t->count);
    olv_status s = olv_embed(c->e, t->items, t->count, &c->opt, v, err);
    if (s == OLV_OK) *out = v;
    else free(v);
    return s;
}

static olv_status token_json(const embed_ctx *c, const olv_text *text, json_t **out, olv_error *err) {
    olv_token_vectors v;
    olv_status s = olv_embed_tokens(c->e, text, &v, err);
    if (s != OLV_OK) return s;
    size_t w = olv_encoder_width(c->e);
    json_t *ids = json_array(), *rows = json_array();
    for (size_t i = 0; i < v.count; i++) {
        json_array_append_new(ids, json_integer(v.ids[i]));
        json_array_append_new(rows, numbers(v.values + i * w, w));
    }
    *out = json_pack("{s:o,s:o}", "ids", ids, "embeddings", rows);
    olv_token_vectors_deinit(&v);
    return *out ? OLV_OK : cli_fail(err, OLV_NOMEM, "out of memory");
}

/* A list of texts gives a list of vectors. */
static json_t *vectors_json(const embed_ctx *c, const json_t *text, const float *v, size_t n) {
    size_t w = width_of(c);
    if (!json_is_array(text)) return json_pack("{s:o}", "embedding", numbers(v, w));
    json_t *rows = json_array();
    for (size_t i = 0; i < n; i++) json_array_append_new(rows, numbers(v + i * w, w));
    return json_pack("{s:o}", "embeddings", rows);
}

static olv_status answer(void *ctx, size_t index, const json_t *item, json_t **out, olv_error *err) {
    embed_ctx c = *(const embed_ctx *)ctx;
    const json_t *text = json_object_get(item, "text"), *name = json_object_get(item, "prompt_name");
    text_list t;
    float *v = NULL;
    (void)index;
    if (name && !json_is_string(name)) return cli_fail(err, OLV_ARG, "\"prompt_name\" is no string");
    if (name) c.opt.prompt_name = json_string_value(name);
    olv_status s = texts_of_json(text, "text", &t, err);
    if (s != OLV_OK) return s;
    if (c.tokens) {
        s = t.count == 1 ? token_json(&c, t.items, out, err) : cli_fail(err, OLV_ARG, "with --tokens a line has one text");
    } else if ((s = embed(&c, &t, &v, err)) == OLV_OK) {
        *out = vectors_json(&c, text, v, t.count);
        if (!*out) s = cli_fail(err, OLV_NOMEM, "out of memory");
    }
    free(v);
    texts_free(&t);
    return s;
}

static int embed_tokens(const embed_ctx *c, const text_list *t) {
    olv_error err = {.message = ""};
    for (size_t i = 0; i < t->count; i++) {
        json_t *out;
        if (token_json(c, &t->items[i], &out, &err) != OLV_OK) return report(&err);
        print_json(out);
    }
    return 0;
}

static int embed_texts(const embed_ctx *c, const arg_list *positionals) {
    text_list t;
    float *v;
    olv_error err = {.message = ""};
    int code = texts_read(positionals, &t);
    if (code) return code;
    size_t w = width_of(c);
    if (c->tokens) {
        code = embed_tokens(c, &t);
    } else if (embed(c, &t, &v, &err) != OLV_OK) {
        code = report(&err);
    } else {
        for (size_t i = 0; i < t.count; i++) {
            if (common.json) {
                print_json(json_pack("{s:o}", "embedding", numbers(v + i * w, w)));
                continue;
            }
            for (size_t k = 0; k < w; k++) printf(k ? " %.9g" : "%.9g", (double)v[i * w + k]);
            putchar('\n');
        }
        free(v);
    }
    texts_free(&t);
    return code ? code : fflush(stdout) == 0 ? 0 : 1;
}

int cmd_embed(int argc, char **argv) {
    arg_list positionals = {0};
    embed_ctx c = {0};
    bool normalize = false, given = false, profile = false;
    int64_t dimensions = 0, batch = 0;
    olv_embed_options_init(&c.opt);
    const arg_option options[] = {
        {"prompt-name", ARG_STRING, &c.opt.prompt_name, "NAME", "put this prompt of the model before each text", NULL},
        {"prompt", ARG_STRING, &c.opt.prompt, "TEXT", "put this before each text", NULL},
        {"normalize", ARG_FLAG, &normalize, NULL, "vectors of length 1 (default: as the model says)", &given},
        {"dimensions", ARG_INT, &dimensions, "N", "only the first N values of each vector", NULL},
        {"batch-size", ARG_INT, &batch, "N", "texts computed together at most (0: as many as fit)", NULL},
        {"tokens", ARG_FLAG, &c.tokens, NULL, "a vector for every token, as JSON", NULL},
        {"profile", ARG_FLAG, &profile, NULL, "time by kind of step, on stderr", NULL},
        {"jsonl", ARG_FLAG, &common.jsonl, NULL, "JSON lines from standard input: {\"text\": one or a list}", NULL},
        COMMON_OPTIONS};
    const arg_spec spec = {.usage = "MODEL [TEXT...]", .summary = "Texts (or the lines of standard input) to vectors.",
                           .example = "olivine embed models/all-minilm-l6-v2 \"a fox\" \"a wolf\" --json",
                           .options = options, .n_options = sizeof options / sizeof options[0], .positionals = &positionals};
    int code = args_parse("embed", &spec, argc, argv);
    if (code) return code - 1;
    if (given) c.opt.normalize = normalize;
    if (dimensions < 0 || batch < 0) code = usage_error("dimensions and batch-size: expected 0 or more");
    c.opt.dimensions = (size_t)dimensions;
    c.opt.batch_size = (size_t)batch;
    if (!code) c.e = open_encoder(&positionals, c.tokens ? OLV_TASK_EMBED_TOKENS : OLV_TASK_EMBED, &code);
    if (c.e && profile) olv_encoder_profile(c.e, true);
    if (c.e) code = common.jsonl ? jsonl_run(answer, &c) : embed_texts(&c, &positionals);
    char *text;
    if (c.e && profile && olv_encoder_profile_text(c.e, &text, NULL) == OLV_OK) {
        fputs(text, stderr);
        olv_free(text);
    }
    olv_encoder_close(c.e);
    args_free_list(&positionals);
    return code;
}
