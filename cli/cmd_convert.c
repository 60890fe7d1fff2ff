/* SPDX-License-Identifier: Apache-2.0 */
#include "args.h"
#include "progress.h"
#include <olivine/convert.h>
#include <stdio.h>
#include <string.h>

int cmd_convert(int argc, char **argv);

int cmd_convert(int argc, char **argv) {
    arg_list positionals = {0};
    const char *out = NULL, *format = "gguf", *type = "f16";
    const arg_option options[] = {{"output o", ARG_STRING, &out, "FILE", "the file to write", NULL},
                                  {"model model_name_or_path m", ARG_STRING, &common.model, "MODEL", "folder or hub id of the model", NULL},
                                  {"format", ARG_STRING, &format, "F", "gguf", NULL},
                                  {"outtype", ARG_STRING, &type, "T", "type of the matrices: f32, f16, q8_0, q4_0", NULL},
                                  {"progress", ARG_STRING, &common.progress, "json|bar|none", "how it tells how far it is", NULL},
                                  {"quiet q", ARG_FLAG, &common.quiet, NULL, "no progress", NULL}};
    const arg_spec spec = {.usage = "MODEL -o OUT.gguf", .summary = "Writes a model in another file format.",
                           .example = "olivine convert models/pebble -o pebble.gguf --outtype q8_0",
                           .options = options, .n_options = sizeof options / sizeof options[0], .positionals = &positionals};
    int code = args_parse("convert", &spec, argc, argv);
    if (code) return code - 1;
    const char *model = take_model(&positionals);
    olv_error err = {.message = ""};
    if (!model) code = 2;
    else if (!out) code = usage_error("convert: --output is missing");
    else if (strcmp(format, "gguf")) code = usage_error("--format %s: expected gguf", format);
    else if (!(code = progress_check())) {
        progress bar;
        progress_begin(&bar, "convert", PROGRESS_BYTES);
        olv_status s = olv_convert_gguf(model, out, type, progress_show, &bar, &err);
        progress_end(&bar);
        if (s != OLV_OK) code = report(&err);
        else printf("%s\n", out);
    }
    args_free_list(&positionals);
    return code;
}
