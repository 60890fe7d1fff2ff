/* SPDX-License-Identifier: Apache-2.0 */
/* classify: labels of texts, or of pairs of texts. */
#include "jsonl.h"
#include "model.h"
#include "texts.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int cmd_classify(int argc, char **argv);

typedef struct classify_ctx {
    olv_encoder *e;
    olv_score_kind kind;
    int64_t top_k;
} classify_ctx;

typedef struct scored {
    const char *label;
    float score;
    size_t index;
} scored;

static int by_score(const void *a, const void *b) {
    const scored *x = a, *y = b;
    if (x->score != y->score) return x->score < y->score ? 1 : -1;
    return x->index < y->index ? -1 : x->index > y->index;
}

/* Label and score pairs of one text, the best first. */
static json_t *labels_json(const classify_ctx *c, const float *scores) {
    size_t n = olv_encoder_width(c->e);
    scored *s = malloc(n * sizeof *s);
    json_t *a = json_array();
    if (!s) return a;
    for (size_t i = 0; i < n; i++) s[i] = (scored){olv_encoder_label(c->e, i), scores[i], i};
    qsort(s, n, sizeof *s, by_score);
    for (size_t i = 0; i < n && (!c->top_k || i < (size_t)c->top_k); i++)
        json_array_append_new(a, json_pack("{s:s,s:f}", "label", s[i].label, "score", (double)s[i].score));
    free(s);
    return json_pack("{s:o}", "labels", a);
}

static olv_status classify(const classify_ctx *c, const olv_text *texts, size_t n, float **out, olv_error *err) {
    float *v = malloc((n * olv_encoder_width(c->e) + 1) * sizeof *v);
    if (!v) return cli_fail(err, OLV_NOMEM, "no memory for %zu texts", n);
    olv_status s = olv_classify(c->e, texts, n, c->kind, v, err);
    if (s == OLV_OK) *out = v;
    else free(v);
    return s;
}

static olv_status answer(void *ctx, size_t index, const json_t *item, json_t **out, olv_error *err) {
    const classify_ctx *c = ctx;
    const json_t *text = json_object_get(item, "text"), *pair = json_object_get(item, "pair");
    float *v;
    (void)index;
    if (!json_is_string(text)) return cli_fail(err, OLV_ARG, "the item has no string \"text\"");
    if (pair && !json_is_string(pair)) return cli_fail(err, OLV_ARG, "\"pair\" is no string");
    olv_text t = {json_string_value(text), json_string_length(text), json_string_value(pair), json_string_length(pair)};
    olv_status s = classify(c, &t, 1, &v, err);
    if (s != OLV_OK) return s;
    *out = labels_json(c, v);
    free(v);
    return *out ? OLV_OK : cli_fail(err, OLV_NOMEM, "out of memory");
}

static void print_plain(json_t *labels) {
    const json_t *item;
    size_t i;
    json_array_foreach(json_object_get(labels, "labels"), i, item)
        printf(i ? "\t%s %.6f" : "%s %.6f", json_string_value(json_object_get(item, "label")),
               json_real_value(json_object_get(item, "score")));
    putchar('\n');
    json_decref(labels);
}

static int classify_texts(const classify_ctx *c, const char *pair, const arg_list *positionals) {
    text_list t;
    float *v;
    olv_error err = {.message = ""};
    int code = texts_read(positionals, &t);
    if (code) return code;
    for (size_t i = 0; pair && i < t.count; i++) {
        t.items[i].pair = pair;
        t.items[i].pair_len = strlen(pair);
    }
    if (classify(c, t.items, t.count, &v, &err) != OLV_OK) {
        code = report(&err);
    } else {
        for (size_t i = 0; i < t.count; i++) {
            json_t *labels = labels_json(c, v + i * olv_encoder_width(c->e));
            if (common.json) print_json(labels);
            else print_plain(labels);
        }
        free(v);
    }
    texts_free(&t);
    return code ? code : fflush(stdout) == 0 ? 0 : 1;
}

static int read_kind(const char *name, olv_score_kind *kind) {
    static const char *const names[] = {"auto", "none", "softmax", "sigmoid"};
    for (int i = 0; name && i < 4; i++)
        if (!strcmp(name, names[i])) return *kind = (olv_score_kind)i, 0;
    return name ? usage_error("--function-to-apply %s: expected auto, none, softmax or sigmoid", name) : 0;
}

int cmd_classify(int argc, char **argv) {
    arg_list positionals = {0};
    classify_ctx c = {0};
    const char *pair = NULL, *kind = NULL;
    const arg_option options[] = {
        {"pair", ARG_STRING, &pair, "TEXT", "second text of each pair (a hypothesis, an answer)", NULL},
        {"top-k", ARG_INT, &c.top_k, "K", "only the K best labels (0: all)", NULL},
        {"function-to-apply", ARG_STRING, &kind, "F", "auto, none, softmax, sigmoid", NULL},
        {"jsonl", ARG_FLAG, &common.jsonl, NULL, "JSON lines from standard input: {\"text\": ..., \"pair\": ...}", NULL},
        COMMON_OPTIONS};
    const arg_spec spec = {.usage = "MODEL [TEXT...]", .summary = "Labels of texts (or of the lines of standard input).",
                           .example = "olivine classify models/sentiment \"What a day!\" --top-k 1",
                           .options = options, .n_options = sizeof options / sizeof options[0], .positionals = &positionals};
    int code = args_parse("classify", &spec, argc, argv);
    if (code) return code - 1;
    code = read_kind(kind, &c.kind);
    if (c.top_k < 0) code = usage_error("--top-k is %lld, expected 0 or more", (long long)c.top_k);
    if (!code) c.e = open_encoder(&positionals, OLV_TASK_CLASSIFY, &code);
    if (c.e) code = common.jsonl ? jsonl_run(answer, &c) : classify_texts(&c, pair, &positionals);
    olv_encoder_close(c.e);
    args_free_list(&positionals);
    return code;
}
