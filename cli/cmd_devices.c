/* SPDX-License-Identifier: Apache-2.0 */
#include "model.h"
#include <olivine/core.h>
#include <olivine/model.h>
#include <stdio.h>

int cmd_devices(int argc, char **argv);

static void print_machine(const json_t *o) {
    printf("processor  %s\nthreads    %lld\nfeatures  ", json_string_value(json_object_get(o, "processor")),
           (long long)json_integer_value(json_object_get(o, "threads")));
    size_t i;
    json_t *f;
    json_array_foreach(json_object_get(o, "features"), i, f) printf(" %s", json_string_value(f));
    putchar('\n');
}

/* Properties by OpenVINO's names, as a core has them. */
static olv_status properties(json_t **out, olv_error *err) {
    olv_core *core;
    olv_status s = olv_core_create(&core, err);
    if (s != OLV_OK) return s;
    *out = json_object();
    for (size_t i = 0; s == OLV_OK && olv_property_name(i); i++) {
        const char *value;
        s = olv_core_get_property(core, olv_property_name(i), &value, err);
        if (s == OLV_OK) json_object_set_new(*out, olv_property_name(i), json_string(value));
    }
    olv_core_destroy(core);
    return s;
}

int cmd_devices(int argc, char **argv) {
    const arg_option options[] = {{"json", ARG_FLAG, &common.json, NULL, "results as JSON", NULL}};
    const arg_spec spec = {.usage = "", .summary = "Devices, their properties and processor features.", .example = "olivine devices --json", .options = options, .n_options = 1};
    int code = args_parse("devices", &spec, argc, argv);
    if (code) return code - 1;
    olv_error err = {.message = ""};
    char *text;
    json_t *p = NULL, *v;
    const char *name;
    if (olv_machine_describe(&text, &err) != OLV_OK) return report(&err);
    json_t *o = json_loads(text, 0, NULL);
    olv_free(text);
    if (properties(&p, &err) != OLV_OK) code = report(&err);
    if (!code && common.json) {
        json_object_set(o, "properties", p);
        json_dumpf(o, stdout, JSON_INDENT(1) | JSON_PRESERVE_ORDER);
        putchar('\n');
    } else if (!code) {
        printf("CPU        runs every supported model\nREFERENCE  evaluates every operator by its definition, slowly\n");
        print_machine(o);
        printf("\nproperties\n");
        json_object_foreach(p, name, v) printf("  %-34s %s\n", name, json_string_value(v));
    }
    json_decref(o);
    json_decref(p);
    return code;
}
