/* SPDX-License-Identifier: Apache-2.0 */
#include "model.h"
#include <olivine/core.h>
#include <stdio.h>
#include <string.h>

int cmd_devices(int argc, char **argv);

static int describe(const char *command, const char *summary, const char *example, int argc, char **argv, json_t **out) {
    const arg_option options[] = {{"json", ARG_FLAG, &common.json, NULL, "results as JSON", NULL}};
    const arg_spec spec = {.usage = "", .summary = summary, .example = example, .options = options, .n_options = 1};
    int code = args_parse(command, &spec, argc, argv);
    if (code) return code;
    olv_error err = {.message = ""};
    char *text;
    if (olv_machine_describe(&text, &err) != OLV_OK) return report(&err) + 1;
    if (common.json) puts(text);
    *out = json_loads(text, 0, NULL);
    olv_free(text);
    return 0;
}

static void print_machine(const json_t *o) {
    printf("processor  %s\nthreads    %lld\nfeatures  ", json_string_value(json_object_get(o, "processor")),
           (long long)json_integer_value(json_object_get(o, "threads")));
    size_t i;
    json_t *f;
    json_array_foreach(json_object_get(o, "features"), i, f) printf(" %s", json_string_value(f));
    putchar('\n');
}

int cmd_devices(int argc, char **argv) {
    json_t *o = NULL;
    int code = describe("devices", "Devices and processor features.", "olivine devices --json", argc, argv, &o);
    if (code) return code - 1;
    if (!common.json) {
        printf("CPU        runs every supported model\n");
        print_machine(o);
    }
    json_decref(o);
    return 0;
}
