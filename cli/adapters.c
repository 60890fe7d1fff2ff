/* SPDX-License-Identifier: Apache-2.0 */
#include "adapters.h"
#include "jsonl.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

arg_list adapter_args;

#define MAX_USES 16

/* "NAME=SCALE": the name's length, and the scale; a '=' that no number follows belongs to the name. */
static size_t split(const char *text, double *scale) {
    const char *eq = strrchr(text, '=');
    char *end = NULL;
    *scale = 1;
    if (!eq || !eq[1]) return strlen(text);
    double v = strtod(eq + 1, &end);
    if (*end) return strlen(text);
    *scale = v;
    return (size_t)(eq - text);
}

/* Uses what `texts` name; by_path: they are the folders of the command line, whose order is that of loading. */
static olv_status use(olv_pipeline *p, const char *const *texts, size_t n, bool by_path, olv_error *err) {
    olv_adapter_use uses[MAX_USES] = {{0}};
    char *names[MAX_USES];
    olv_status s = OLV_OK;
    if (n > MAX_USES) return cli_fail(err, OLV_LIMIT, "%zu adapters together are too many", n);
    for (size_t i = 0; i < n; i++) {
        size_t len = split(texts[i], &uses[i].scale);
        names[i] = strndup(texts[i], len);
        uses[i].name = by_path ? olv_pipeline_adapter_name(p, i) : names[i];
        if (!names[i]) s = cli_fail(err, OLV_NOMEM, "out of memory");
    }
    if (s == OLV_OK) s = olv_pipeline_use_adapters(p, uses, n, err);
    for (size_t i = 0; i < n; i++) free(names[i]);
    return s;
}

int load_adapters(olv_pipeline *p) {
    olv_error err = {.message = ""};
    for (size_t i = 0; i < adapter_args.count; i++) {
        double scale;
        char *path = strndup(adapter_args.items[i], split(adapter_args.items[i], &scale));
        olv_status s = path ? olv_pipeline_load_adapter(p, path, NULL, &err) : cli_fail(&err, OLV_NOMEM, "out of memory");
        free(path);
        if (s != OLV_OK) return report(&err);
    }
    return use(p, adapter_args.items, adapter_args.count, true, &err) == OLV_OK ? 0 : report(&err);
}

olv_status apply_adapter_field(olv_pipeline *p, const json_t *item, olv_error *err) {
    const json_t *v = json_object_get(item, "adapter");
    const char *texts[MAX_USES] = {0};
    size_t n = 0;
    if (!v) return use(p, adapter_args.items, adapter_args.count, true, err);
    if (json_is_null(v)) return use(p, NULL, 0, false, err);
    if (json_is_string(v)) texts[n++] = json_string_value(v);
    else if (!json_is_array(v) || json_array_size(v) > MAX_USES) return cli_fail(err, OLV_ARG, "\"adapter\" must be a name, null or a list of names");
    for (size_t i = 0; json_is_array(v) && i < json_array_size(v); i++)
        if (!(texts[n++] = json_string_value(json_array_get(v, i)))) return cli_fail(err, OLV_ARG, "\"adapter\" must be a list of names");
    return use(p, texts, n, false, err);
}
