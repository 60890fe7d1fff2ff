/* SPDX-License-Identifier: Apache-2.0 */
/* rerank: documents by how well they answer a query. */
#include "jsonl.h"
#include "model.h"
#include "texts.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int cmd_rerank(int argc, char **argv);

typedef struct rerank_ctx {
    olv_encoder *e;
    bool raw;
    int64_t top_k;
} rerank_ctx;

typedef struct ranked {
    size_t index;
    float score;
} ranked;

static int by_score(const void *a, const void *b) {
    const ranked *x = a, *y = b;
    if (x->score != y->score) return x->score < y->score ? 1 : -1;
    return x->index < y->index ? -1 : x->index > y->index;
}

/* *out: the best documents in order (free it), *n of them. */
static olv_status rank(const rerank_ctx *c, const olv_text *query, const text_list *docs, ranked **out, size_t *n,
                       olv_error *err) {
    float *scores = malloc((docs->count + 1) * sizeof *scores);
    ranked *r = malloc((docs->count + 1) * sizeof *r);
    olv_status s = scores && r ? olv_rerank(c->e, query, docs->items, docs->count, c->raw ? OLV_SCORE_RAW : OLV_SCORE_AUTO,
                                            scores, err)
                               : cli_fail(err, OLV_NOMEM, "no memory for %zu documents", docs->count);
    for (size_t i = 0; s == OLV_OK && i < docs->count; i++) r[i] = (ranked){i, scores[i]};
    free(scores);
    if (s != OLV_OK) {
        free(r);
        return s;
    }
    qsort(r, docs->count, sizeof *r, by_score);
    *out = r;
    *n = c->top_k && (size_t)c->top_k < docs->count ? (size_t)c->top_k : docs->count;
    return OLV_OK;
}

static json_t *results_json(const ranked *r, size_t n) {
    json_t *a = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(a, json_pack("{s:I,s:f}", "index", (json_int_t)r[i].index, "relevance_score", (double)r[i].score));
    return json_pack("{s:o}", "results", a);
}

static olv_status answer(void *ctx, size_t index, const json_t *item, json_t **out, olv_error *err) {
    const rerank_ctx *c = ctx;
    const json_t *q = json_object_get(item, "query");
    text_list docs;
    ranked *r;
    size_t n;
    (void)index;
    if (!json_is_string(q)) return cli_fail(err, OLV_ARG, "the item has no string \"query\"");
    olv_text query = {json_string_value(q), json_string_length(q), NULL, 0};
    olv_status s = texts_of_json(json_object_get(item, "documents"), "documents", &docs, err);
    if (s != OLV_OK) return s;
    s = rank(c, &query, &docs, &r, &n, err);
    texts_free(&docs);
    if (s != OLV_OK) return s;
    *out = results_json(r, n);
    free(r);
    return *out ? OLV_OK : cli_fail(err, OLV_NOMEM, "out of memory");
}

static int rerank_texts(const rerank_ctx *c, const char *q, const arg_list *positionals) {
    text_list docs;
    ranked *r;
    size_t n;
    olv_error err = {.message = ""};
    if (!q) return usage_error("no query; give -q QUERY");
    int code = texts_read(positionals, &docs);
    if (code) return code;
    olv_text query = {q, strlen(q), NULL, 0};
    if (rank(c, &query, &docs, &r, &n, &err) != OLV_OK) {
        code = report(&err);
    } else {
        if (common.json) print_json(results_json(r, n));
        for (size_t i = 0; !common.json && i < n; i++)
            printf("%.6f\t%.*s\n", (double)r[i].score, (int)docs.items[r[i].index].len, docs.items[r[i].index].text);
        free(r);
    }
    texts_free(&docs);
    return code ? code : fflush(stdout) == 0 ? 0 : 1;
}

int cmd_rerank(int argc, char **argv) {
    arg_list positionals = {0};
    rerank_ctx c = {0};
    const char *query = NULL;
    const arg_option options[] = {
        {"query q", ARG_STRING, &query, "TEXT", "what the documents should answer", NULL},
        {"top-k top-n", ARG_INT, &c.top_k, "K", "only the K best (0: all)", NULL},
        {"raw", ARG_FLAG, &c.raw, NULL, "the model's own scores (default: between 0 and 1, unless it says otherwise)", NULL},
        {"jsonl", ARG_FLAG, &common.jsonl, NULL, "JSON lines from standard input: {\"query\": ..., \"documents\": [...]}", NULL},
        COMMON_OPTIONS};
    const arg_spec spec = {.usage = "MODEL -q QUERY [DOCUMENT...]",
                           .summary = "Documents (or the lines of standard input), the best answer to a query first.",
                           .example = "olivine rerank models/reranker -q \"what eats mice\" \"Owls hunt.\" \"It rains.\"",
                           .options = options, .n_options = sizeof options / sizeof options[0], .positionals = &positionals};
    int code = args_parse("rerank", &spec, argc, argv);
    if (code) return code - 1;
    if (c.top_k < 0) code = usage_error("--top-k is %lld, expected 0 or more", (long long)c.top_k);
    if (!code) c.e = open_encoder(&positionals, OLV_TASK_CLASSIFY, &code);
    if (c.e) code = common.jsonl ? jsonl_run(answer, &c) : rerank_texts(&c, query, &positionals);
    olv_encoder_close(c.e);
    args_free_list(&positionals);
    return code;
}
