/* SPDX-License-Identifier: Apache-2.0 */
#include "adapters.h"
#include "jsonl.h"
#include "model.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int cmd_chat(int argc, char **argv);

static olv_pipeline *running;

static bool print_piece(void *ctx, const char *piece, size_t len, int64_t token) {
    (void)ctx, (void)token;
    fwrite(piece, 1, len, stdout);
    fflush(stdout);
    if (interrupted) olv_pipeline_cancel(running);
    return !interrupted;
}

/* One turn: the user's line goes into the history, and so does the answer. */
static olv_status turn(olv_pipeline *p, json_t *history, const char *line, olv_error *err) {
    olv_generation_config cfg;
    olv_generation g = {0};
    olv_pipeline_get_config(p, &cfg);
    if (cfg.max_new_tokens < 0) cfg.max_new_tokens = 512;
    apply_generation_options(&cfg);
    json_array_append_new(history, json_pack("{s:s,s:s}", "role", "user", "content", line));
    json_t *vars = json_pack("{s:O,s:b}", "messages", history, "add_generation_prompt", 1);
    char *messages = json_dumps(vars, JSON_COMPACT);
    json_decref(vars);
    if (!messages) return cli_fail(err, OLV_NOMEM, "out of memory");
    olv_status s = olv_generate(p, &(olv_prompt){.messages = messages}, &cfg, print_piece, NULL, &g, err);
    free(messages);
    putchar('\n');
    if (s == OLV_OK) json_array_append_new(history, json_pack("{s:s,s:s#}", "role", "assistant", "content", g.text ? g.text : "", (int)g.text_len));
    olv_generation_deinit(&g);
    return s;
}

int cmd_chat(int argc, char **argv) {
    arg_list positionals = {0};
    const char *system = NULL, *first = NULL;
    const arg_option options[] = {{"system", ARG_STRING, &system, "TEXT", "system message", NULL},
                                  {"prompt p", ARG_STRING, &first, "TEXT", "say this, print the answer, end", NULL},
                                  ADAPTER_OPTION, GENERATION_OPTIONS, COMMON_OPTIONS};
    const arg_spec spec = {.usage = "MODEL", .summary = "Talks with a chat model; one line is one turn, an empty line or end of file ends.",
                           .example = "olivine chat models/pebble", .options = options,
                           .n_options = sizeof options / sizeof options[0], .positionals = &positionals};
    int code = args_parse("chat", &spec, argc, argv);
    if (code) return code - 1;
    if ((code = load_generation_options())) return code;
    olv_pipeline *p = running = open_model(&positionals, false, &code);
    if (p) code = load_adapters(p);
    json_t *history = json_array();
    olv_error err = {.message = ""};
    if (p && system) json_array_append_new(history, json_pack("{s:s,s:s}", "role", "system", "content", system));
    char *line = NULL;
    size_t cap = 0;
    bool terminal = isatty(0);
    while (p && !code && !interrupted) {
        const char *say = first;
        if (!first) {
            if (terminal) fputs("> ", stdout), fflush(stdout);
            ssize_t n = getline(&line, &cap, stdin);
            while (n > 0 && (line[n - 1] == '\n' || line[n - 1] == '\r')) line[--n] = 0;
            if (n <= 0) break;
            say = line;
        }
        if (turn(p, history, say, &err) != OLV_OK) code = report(&err);
        if (first) break;
    }
    free(line);
    json_decref(history);
    olv_pipeline_close(p);
    args_free_list(&positionals);
    return interrupted ? 130 : code;
}
