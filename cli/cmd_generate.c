/* SPDX-License-Identifier: Apache-2.0 */
#include "adapters.h"
#include "jsonl.h"
#include "model.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int cmd_generate(int argc, char **argv);

static olv_pipeline *running;

static bool print_piece(void *ctx, const char *piece, size_t len, int64_t token) {
    (void)ctx, (void)token;
    fwrite(piece, 1, len, stdout);
    fflush(stdout);
    if (interrupted) olv_pipeline_cancel(running);
    return !interrupted;
}

static bool watch(void *ctx, const char *piece, size_t len, int64_t token) {
    (void)ctx, (void)piece, (void)len, (void)token;
    return !interrupted;
}

static json_t *result_json(const olv_generation *g) {
    json_t *o = json_object();
    json_object_set_new(o, "ids", json_ids(g->ids, g->n_ids));
    if (g->text) json_object_set_new(o, "text", json_stringn(g->text, g->text_len));
    json_object_set_new(o, "finish_reason", json_string(olv_finish_reason_name(g->finish_reason)));
    json_object_set_new(o, "prompt_tokens", json_integer((json_int_t)g->n_prompt));
    json_object_set_new(o, "ttft_ms", json_real(g->ttft_ms));
    json_object_set_new(o, "prefill_tokens_per_s", json_real(g->prefill_tokens_per_s));
    json_object_set_new(o, "tokens_per_s", json_real(g->decode_tokens_per_s));
    if (g->n_reused) json_object_set_new(o, "reused_tokens", json_integer((json_int_t)g->n_reused));
    if (g->n_beams) {
        json_t *all = json_array();
        for (size_t i = 0; i < g->n_beams; i++) {
            const olv_beam *b = &g->beams[i];
            json_t *one = json_object();
            json_object_set_new(one, "ids", json_ids(b->ids, b->n_ids));
            if (b->text) json_object_set_new(one, "text", json_string(b->text));
            json_object_set_new(one, "score", json_real(b->score));
            json_object_set_new(one, "finish_reason", json_string(olv_finish_reason_name(b->finish_reason)));
            json_array_append_new(all, one);
        }
        json_object_set_new(o, "sequences", all);
    }
    if (g->n_dropped) json_object_set_new(o, "dropped_tokens", json_integer((json_int_t)g->n_dropped));
    if (!g->n_drafted) return o;
    json_object_set_new(o, "drafted_tokens", json_integer((json_int_t)g->n_drafted));
    json_object_set_new(o, "accepted_tokens", json_integer((json_int_t)g->n_accepted));
    json_object_set_new(o, "accepted_per_step", json_real((double)g->n_accepted / (double)g->n_steps));
    return o;
}

/* The prompt of an item: exactly one of prompt, messages (with the variables beside it), ids. */
static olv_status read_prompt(const json_t *item, olv_prompt *p, char **messages, int64_t **ids, olv_error *err) {
    const json_t *text = json_object_get(item, "prompt"), *m = json_object_get(item, "messages"), *i = json_object_get(item, "ids");
    if ((text != NULL) + (m != NULL) + (i != NULL) != 1) return cli_fail(err, OLV_ARG, "give exactly one of \"prompt\", \"messages\", \"ids\"");
    if (i) {
        olv_status s = jsonl_ids(item, "ids", ids, &p->n_ids, err);
        p->ids = *ids;
        return s;
    }
    if (text) {
        if (!(p->text = json_string_value(text))) return cli_fail(err, OLV_ARG, "\"prompt\" must be a string");
        return OLV_OK;
    }
    json_t *copy = json_copy((json_t *)(uintptr_t)item);
    if (!json_object_get(copy, "add_generation_prompt")) json_object_set_new(copy, "add_generation_prompt", json_true());
    p->messages = *messages = json_dumps(copy, JSON_COMPACT);
    json_decref(copy);
    return *messages ? OLV_OK : cli_fail(err, OLV_NOMEM, "no memory for the messages");
}

static olv_status answer(void *ctx, size_t index, const json_t *item, json_t **out, olv_error *err) {
    olv_pipeline *p = ctx;
    olv_generation_config cfg;
    olv_prompt prompt = {0};
    olv_generation g = {0};
    char *messages = NULL;
    int64_t *ids = NULL;
    request_storage storage = {0};
    (void)index;
    olv_pipeline_get_config(p, &cfg);
    apply_generation_options(&cfg);
    olv_status s = read_prompt(item, &prompt, &messages, &ids, err);
    if (s == OLV_OK) s = apply_generation_fields(item, &cfg, &storage, err);
    if (s == OLV_OK) s = apply_adapter_field(p, item, err);
    if (s == OLV_OK) s = olv_generate(p, &prompt, &cfg, watch, NULL, &g, err);
    if (s == OLV_OK) *out = result_json(&g);
    olv_generation_deinit(&g);
    free(messages);
    free(ids);
    request_storage_free(&storage);
    return s;
}

static int generate_one(olv_pipeline *p, const char *text) {
    olv_generation_config cfg;
    olv_generation g = {0};
    olv_error err = {.message = ""};
    olv_pipeline_get_config(p, &cfg);
    if (cfg.max_new_tokens < 0 && cfg.max_length < 0) cfg.max_new_tokens = 256;
    apply_generation_options(&cfg);
    running = p;
    if (olv_generate(p, &(olv_prompt){.text = text}, &cfg, common.json ? watch : print_piece, NULL, &g, &err) != OLV_OK) {
        if (!common.json) putchar('\n');
        return report(&err);
    }
    if (common.json) {
        json_t *o = result_json(&g);
        json_dumpf(o, stdout, JSON_COMPACT);
        json_decref(o);
    }
    putchar('\n');
    if (common.verbose)
        fprintf(stderr, "%zu prompt tokens at %.1f tokens/s, first token after %.1f ms, %zu new tokens at %.1f tokens/s\n",
                g.n_prompt, g.prefill_tokens_per_s, g.ttft_ms, g.n_ids, g.decode_tokens_per_s);
    bool cancelled = g.finish_reason == OLV_FINISH_CANCELLED;
    olv_generation_deinit(&g);
    return cancelled ? 130 : 0;
}

int cmd_generate(int argc, char **argv) {
    arg_list positionals = {0};
    const char *prompt = NULL;
    const arg_option options[] = {{"prompt p", ARG_STRING, &prompt, "TEXT", "text to go on from", NULL},
                                  {"jsonl", ARG_FLAG, &common.jsonl, NULL, "JSON lines from standard input", NULL},
                                  ADAPTER_OPTION, GENERATION_OPTIONS, COMMON_OPTIONS};
    const arg_spec spec = {.usage = "MODEL [-p TEXT]", .summary = "Generates text, streaming it to standard output.",
                           .example = "olivine generate models/pebble -p \"One day a fox\" --max-new-tokens 40",
                           .options = options, .n_options = sizeof options / sizeof options[0], .positionals = &positionals};
    int code = args_parse("generate", &spec, argc, argv);
    if (code) return code - 1;
    olv_pipeline *p = NULL;
    const char *model = take_model(&positionals);
    if (!model) code = 2;
    else code = load_generation_options();
    if (!code && !prompt && positionals.count) prompt = positionals.items[--positionals.count];
    if (!code && positionals.count) code = usage_error("'generate' takes one prompt; '%s' is too much", positionals.items[0]);
    if (!code && !prompt && !common.jsonl) code = usage_error("no prompt; give -p TEXT, or --jsonl and lines on standard input");
    if (!code) p = open_named_model(model, false, &code);
    if (p) code = load_adapters(p);
    if (p && !code) code = common.jsonl ? jsonl_run(answer, p) : generate_one(p, prompt);
    olv_pipeline_close(p);
    args_free_list(&positionals);
    return code;
}
