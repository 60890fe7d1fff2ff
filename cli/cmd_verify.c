/* SPDX-License-Identifier: Apache-2.0 */
#include "args.h"
#include <olivine/optimize.h>
#include <stdio.h>

int cmd_verify(int argc, char **argv);

int cmd_verify(int argc, char **argv) {
    arg_list positionals = {0};
    const arg_spec spec = {.usage = "DIR", .summary = "Checks an output folder against the sums in its olivine.json.",
                           .example = "olivine verify pebble-int4", .positionals = &positionals};
    int code = args_parse("verify", &spec, argc, argv);
    if (code) return code - 1;
    olv_error err = {.message = ""};
    if (positionals.count != 1) code = usage_error("expected one folder");
    else if (olv_verify_folder(positionals.items[0], &err) != OLV_OK) code = report(&err);
    else printf("%s: all files as written\n", positionals.items[0]);
    args_free_list(&positionals);
    return code;
}
