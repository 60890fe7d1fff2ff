/* SPDX-License-Identifier: Apache-2.0 */
/* detokenize: token ids to text, at once or piece by piece as a generation streams it. */
#include "args.h"
#include "jsonl.h"
#include "tokenizer.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int cmd_detokenize(int argc, char **argv);

typedef struct detokenize_ctx {
    olv_tokenizer *t;
    bool skip_special, stream;
} detokenize_ctx;

static olv_status take_ids(const json_t *item, uint32_t **out, size_t *n, olv_error *err) {
    int64_t *wide;
    olv_status s = jsonl_ids(item, "ids", &wide, n, err);
    if (s != OLV_OK) return s;
    uint32_t *ids = malloc((*n + 1) * sizeof *ids);
    if (!ids) s = cli_fail(err, OLV_NOMEM, "out of memory");
    for (size_t i = 0; i < *n && s == OLV_OK; i++) {
        if (wide[i] < 0 || wide[i] > UINT32_MAX)
            s = cli_fail(err, OLV_ARG, "entry %zu of \"ids\" is %lld, which is no token id", i,
                         (long long)wide[i]);
        else
            ids[i] = (uint32_t)wide[i];
    }
    free(wide);
    if (s != OLV_OK)
        free(ids);
    else
        *out = ids;
    return s;
}

static olv_status stream(const detokenize_ctx *c, const uint32_t *ids, size_t n, json_t **out,
                         olv_error *err) {
    olv_detokenizer *d;
    olv_status s = olv_detokenizer_create(c->t, c->skip_special, &d, err);
    if (s != OLV_OK) return s;
    json_t *pieces = json_array();
    for (size_t i = 0; i <= n && s == OLV_OK; i++) {
        const char *piece;
        size_t len;
        s = i < n ? olv_detokenizer_push(d, ids[i], &piece, &len, err)
                  : olv_detokenizer_flush(d, &piece, &len, err);
        if (s != OLV_OK) break;
        /* One piece an id; what the flush gives is one more only if it is not empty. */
        if (i < n || len) json_array_append_new(pieces, json_stringn(piece, len));
    }
    olv_detokenizer_destroy(d);
    if (s != OLV_OK)
        json_decref(pieces);
    else
        *out = json_pack("{s:o}", "pieces", pieces);
    return s;
}

static olv_status answer(void *ctx, size_t index, const json_t *item, json_t **out,
                         olv_error *err) {
    const detokenize_ctx *c = ctx;
    uint32_t *ids;
    size_t n, len;
    char *text;
    (void)index;
    olv_status s = take_ids(item, &ids, &n, err);
    if (s != OLV_OK) return s;
    if (c->stream) {
        s = stream(c, ids, n, out, err);
    } else if ((s = olv_tokenizer_decode(c->t, ids, n, c->skip_special, &text, &len, err)) ==
               OLV_OK) {
        *out = json_pack("{s:s%}", "text", text, len);
        olv_tokenizer_free(text);
    }
    free(ids);
    return s != OLV_OK || *out ? s : cli_fail(err, OLV_FORMAT, "the text is not valid UTF-8");
}

static int detokenize_arguments(const detokenize_ctx *c, const arg_list *positionals) {
    olv_error err;
    uint32_t *ids = malloc((positionals->count + 1) * sizeof *ids);
    char *text;
    size_t len;
    int code = 0;
    if (!ids) return 1;
    for (size_t i = 0; i < positionals->count && !code; i++) {
        char *end;
        errno = 0;
        unsigned long v = strtoul(positionals->items[i], &end, 10);
        if (*end || end == positionals->items[i] || errno || v > UINT32_MAX ||
            positionals->items[i][0] == '-')
            code = usage_error("'%s' is no token id", positionals->items[i]);
        else
            ids[i] = (uint32_t)v;
    }
    if (!code && olv_tokenizer_decode(c->t, ids, positionals->count, c->skip_special, &text, &len,
                                      &err) != OLV_OK) {
        code = report(&err);
    } else if (!code) {
        fwrite(text, 1, len, stdout);
        putchar('\n');
        olv_tokenizer_free(text);
        code = fflush(stdout) == 0 ? 0 : 1;
    }
    free(ids);
    return code;
}

int cmd_detokenize(int argc, char **argv) {
    arg_list positionals = {0};
    detokenize_ctx ctx = {0};
    const arg_option options[] = {
        {"skip-special", ARG_FLAG, &ctx.skip_special, NULL, "leave special tokens out", NULL},
        {"stream", ARG_FLAG, &ctx.stream, NULL,
         "with --jsonl: the piece of text that each id completes", NULL},
        {"jsonl", ARG_FLAG, &common.jsonl, NULL, "JSON lines from standard input: {\"ids\": [...]}",
         NULL},
        COMMON_OPTIONS};
    const arg_spec spec = {.usage = "--model MODEL ID...",
                           .summary = "Token ids to text.",
                           .example = "olivine detokenize --model models/pebble 17 488 17",
                           .options = options,
                           .n_options = sizeof options / sizeof options[0],
                           .positionals = &positionals};
    int code = args_parse("detokenize", &spec, argc, argv);
    if (code) return code - 1;
    ctx.t = open_tokenizer(&positionals, &code);
    if (ctx.t && !common.jsonl && ctx.stream)
        code = usage_error("--stream works on JSON lines: add --jsonl");
    else if (ctx.t)
        code = common.jsonl ? jsonl_run(answer, &ctx) : detokenize_arguments(&ctx, &positionals);
    olv_tokenizer_close(ctx.t);
    args_free_list(&positionals);
    return code;
}
