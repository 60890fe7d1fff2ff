/* SPDX-License-Identifier: Apache-2.0 */
#include "args.h"
#include "progress.h"
#include <olivine/hub.h>
#include <olivine/pipeline.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int cmd_pull(int argc, char **argv);

/* The folder; or the file, when one was named alone, as the hub's own program prints it. */
static void print_place(const char *folder, const arg_list *names) {
    bool one = names->count == 1 && !strpbrk(names->items[0], "*?[");
    if (one) printf("%s/%s\n", folder, names->items[0]);
    else printf("%s\n", folder);
}

int cmd_pull(int argc, char **argv) {
    arg_list names = {0}, include = {0}, exclude = {0};
    olv_hub_options o;
    olv_hub_options_init(&o);
    const char *type = "model";
    int64_t workers = 0;
    const arg_option options[] = {
        {"revision", ARG_STRING, &o.revision, "REV", "branch, tag or commit (main)", NULL},
        {"include", ARG_LIST, &include, "PATTERN", "only files that match; may be repeated", NULL},
        {"exclude", ARG_LIST, &exclude, "PATTERN", "no files that match", NULL},
        {"local-dir", ARG_STRING, &o.local_dir, "DIR", "put the files there instead of the cache", NULL},
        {"cache-dir", ARG_STRING, &o.cache_dir, "DIR", "the hub cache (HF_HUB_CACHE)", NULL},
        {"token", ARG_STRING, &o.token, "TOKEN", "for private and gated models (HF_TOKEN)", NULL},
        {"endpoint", ARG_STRING, &o.endpoint, "URL", "the hub (HF_ENDPOINT)", NULL},
        {"model-files", ARG_FLAG, &o.model_files, NULL, "configs, tokenizer and one form of the weights", NULL},
        {"force-download force", ARG_FLAG, &o.force, NULL, "fetch again what is there", NULL},
        {"max-workers", ARG_INT, &workers, "N", "files at a time (4)", NULL},
        {"repo-type", ARG_STRING, &type, "T", "model", NULL},
        {"resume-download", ARG_FLAG, &common.verbose, NULL, NULL, NULL},
        {"offline", ARG_FLAG, &common.offline, NULL, "only say where it lies", NULL},
        {"progress", ARG_STRING, &common.progress, "json|bar|none", "how it tells how far it is", NULL},
        {"quiet q", ARG_FLAG, &common.quiet, NULL, "no progress", NULL}};
    const arg_spec spec = {.usage = "ID [FILE or PATTERN...]", .summary = "Fetches a model from a model hub; what was interrupted goes on.",
                           .example = "olivine pull HuggingFaceTB/SmolLM2-135M-Instruct '*.json' model.safetensors",
                           .options = options, .n_options = sizeof options / sizeof options[0], .positionals = &names};
    int code = args_parse("pull", &spec, argc, argv);
    if (code) return code - 1;
    const char *id = names.count ? names.items[0] : NULL;
    if (id) memmove(names.items, names.items + 1, --names.count * sizeof *names.items);
    if (!id) code = usage_error("no model id given, expected org/name");
    else if (strcmp(type, "model")) code = usage_error("--repo-type %s: expected model", type);
    else if (workers < 0 || workers > 16) code = usage_error("--max-workers is %lld, expected 1 to 16", (long long)workers);
    else if (names.count && include.count) code = usage_error("give file names or --include, not both");
    if (!code) code = progress_check();
    if (!code) {
        const arg_list *wanted = names.count ? &names : &include;
        o.include = wanted->items, o.n_include = wanted->count;
        o.exclude = exclude.items, o.n_exclude = exclude.count;
        o.connections = (int)workers;
        o.offline = common.offline;
        olv_error err = {.message = ""};
        char *path = NULL;
        progress bar;
        progress_begin(&bar, "fetch", PROGRESS_BYTES);
        o.progress = progress_show;
        o.progress_ctx = &bar;
        olv_status s = olv_hub_pull(id, &o, &path, &err);
        progress_end(&bar);
        if (s != OLV_OK) code = report(&err);
        else print_place(path, &names);
        olv_free(path);
    }
    args_free_list(&names);
    args_free_list(&include);
    args_free_list(&exclude);
    return code;
}
