/* SPDX-License-Identifier: Apache-2.0 */
/* convert-tokenizer: a tokenizer as the two models that OpenVINO GenAI loads. */
#include "args.h"
#include "fetch.h"
#include "model.h"
#include <olivine/tokenizer.h>
#include <stdio.h>

int cmd_convert_tokenizer(int argc, char **argv);

int cmd_convert_tokenizer(int argc, char **argv) {
    arg_list positionals = {0};
    const char *out = NULL, *model;
    bool both = true; /* the detokenizer is always written */
    const arg_option options[] = {
        {"output o output_path", ARG_STRING, &out, "DIR", "folder to write to", NULL},
        {"model model_name_or_path m", ARG_STRING, &common.model, "MODEL", "folder or hub id with tokenizer.json", NULL},
        {"with-detokenizer", ARG_FLAG, &both, NULL, "write the detokenizer too (always)", NULL},
        {"offline", ARG_FLAG, &common.offline, NULL, "fetch nothing", NULL}};
    const arg_spec spec = {.usage = "MODEL -o DIR",
                           .summary = "Writes openvino_tokenizer.xml and openvino_detokenizer.xml, each with its .bin.",
                           .example = "olivine convert-tokenizer models/pebble -o pebble-openvino",
                           .options = options, .n_options = sizeof options / sizeof options[0], .positionals = &positionals};
    int code = args_parse("convert-tokenizer", &spec, argc, argv);
    if (code) return code - 1;
    olv_error err = {.message = ""};
    model = take_model(&positionals);
    if (!model) code = 2;
    else if (!out) code = usage_error("convert-tokenizer: --output is missing");
    else code = fetch_missing(model);
    if (!code && olv_tokenizer_write_openvino(model, out, &err) != OLV_OK) code = report(&err);
    if (!code) printf("%s\n", out);
    args_free_list(&positionals);
    return code;
}
