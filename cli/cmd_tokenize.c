/* SPDX-License-Identifier: Apache-2.0 */
/* tokenize: text to token ids. */
#include "args.h"
#include "input.h"
#include "jsonl.h"
#include "tokenizer.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int cmd_tokenize(int argc, char **argv);

typedef struct tokenize_ctx {
    olv_tokenizer *t;
    bool no_special, type_ids;
} tokenize_ctx;

static json_t *encoding_json(const tokenize_ctx *c, const olv_encoding *e) {
    json_t *ids = json_array(), *offsets = json_array(), *types = c->type_ids ? json_array() : NULL;
    for (size_t i = 0; i < e->count; i++) {
        json_array_append_new(ids, json_integer(e->ids[i]));
        json_array_append_new(offsets,
                              json_pack("[i,i]", (int)e->offsets[i].start, (int)e->offsets[i].end));
        if (types) json_array_append_new(types, json_integer(e->type_ids[i]));
    }
    json_t *o = json_pack("{s:o,s:o}", "ids", ids, "offsets", offsets);
    if (types) json_object_set_new(o, "type_ids", types);
    return o;
}

static olv_status encode(const tokenize_ctx *c, const char *text, size_t len, const json_t *pair,
                         olv_encoding *out, olv_error *err) {
    olv_encode_options opt;
    olv_encode_options_init(&opt);
    opt.add_special = !c->no_special;
    opt.want_offsets = true;
    opt.want_type_ids = c->type_ids;
    if (json_is_string(pair)) {
        opt.pair = json_string_value(pair);
        opt.pair_len = json_string_length(pair);
    }
    return olv_tokenizer_encode(c->t, text, len, &opt, out, err);
}

static olv_status answer(void *ctx, size_t index, const json_t *item, json_t **out,
                         olv_error *err) {
    const tokenize_ctx *c = ctx;
    const json_t *text = json_object_get(item, "text"), *pair = json_object_get(item, "pair");
    olv_encoding e;
    (void)index;
    if (!json_is_string(text)) return cli_fail(err, OLV_ARG, "the item has no string \"text\"");
    if (pair && !json_is_string(pair) && !json_is_null(pair))
        return cli_fail(err, OLV_ARG, "\"pair\" is no string");
    olv_status s = encode(c, json_string_value(text), json_string_length(text), pair, &e, err);
    if (s != OLV_OK) return s;
    *out = encoding_json(c, &e);
    olv_encoding_deinit(&e);
    return *out ? OLV_OK : cli_fail(err, OLV_NOMEM, "out of memory");
}

static int tokenize_one(const tokenize_ctx *c, const char *text, size_t len) {
    olv_error err;
    olv_encoding e;
    if (encode(c, text, len, NULL, &e, &err) != OLV_OK) return report(&err);
    if (common.json) {
        json_t *o = encoding_json(c, &e);
        char *s = o ? json_dumps(o, JSON_COMPACT) : NULL;
        if (s) puts(s);
        free(s);
        json_decref(o);
    } else {
        for (size_t i = 0; i < e.count; i++) printf(i ? " %u" : "%u", e.ids[i]);
        putchar('\n');
    }
    olv_encoding_deinit(&e);
    return fflush(stdout) == 0 ? 0 : 1;
}

static int tokenize_text(const tokenize_ctx *c, const arg_list *positionals) {
    if (positionals->count > 1) return usage_error("one TEXT is expected; put it in quotes");
    if (positionals->count == 1)
        return tokenize_one(c, positionals->items[0], strlen(positionals->items[0]));
    size_t len;
    char *text = read_input(&len);
    if (!text) return usage_error("standard input does not fit into memory");
    int code = tokenize_one(c, text, len);
    free(text);
    return code;
}

int cmd_tokenize(int argc, char **argv) {
    arg_list positionals = {0};
    tokenize_ctx ctx = {0};
    const arg_option options[] = {{"no-special", ARG_FLAG, &ctx.no_special, NULL,
                                   "do not add the special tokens of the template", NULL},
                                  {"type-ids", ARG_FLAG, &ctx.type_ids, NULL,
                                   "also which text of a pair each token is of", NULL},
                                  {"jsonl", ARG_FLAG, &common.jsonl, NULL,
                                   "JSON lines from standard input: {\"text\": ..., \"pair\": ...}",
                                   NULL},
                                  COMMON_OPTIONS};
    const arg_spec spec = {.usage = "--model MODEL [TEXT]",
                           .summary = "Text (or standard input) to token ids.",
                           .example = "olivine tokenize --model models/pebble \"2 + 2 =\"",
                           .options = options,
                           .n_options = sizeof options / sizeof options[0],
                           .positionals = &positionals};
    int code = args_parse("tokenize", &spec, argc, argv);
    if (code) return code - 1;
    if ((ctx.t = open_tokenizer(&positionals, &code)))
        code = common.jsonl ? jsonl_run(answer, &ctx) : tokenize_text(&ctx, &positionals);
    olv_tokenizer_close(ctx.t);
    args_free_list(&positionals);
    return code;
}
