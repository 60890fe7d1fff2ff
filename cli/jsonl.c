/* SPDX-License-Identifier: Apache-2.0 */
#include "jsonl.h"
#include "args.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_LINE ((size_t)256 << 20)

olv_status cli_fail(olv_error *err, olv_status status, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(err->message, sizeof err->message, fmt, ap);
    va_end(ap);
    return err->status = status;
}

json_t *json_ids(const int64_t *ids, size_t n) {
    json_t *a = json_array();
    for (size_t i = 0; i < n; i++) json_array_append_new(a, json_integer(ids[i]));
    return a;
}

olv_status jsonl_ids(const json_t *item, const char *key, int64_t **ids, size_t *n, olv_error *err) {
    const json_t *a = json_object_get(item, key);
    if (!json_is_array(a)) return cli_fail(err, OLV_ARG, "the item has no list \"%s\"", key);
    int64_t *v = malloc((json_array_size(a) + 1) * sizeof *v);
    if (!v) return cli_fail(err, OLV_NOMEM, "no memory for %zu ids", json_array_size(a));
    for (size_t i = 0; i < json_array_size(a); i++) {
        const json_t *e = json_array_get(a, i);
        if (!json_is_integer(e)) {
            free(v);
            return cli_fail(err, OLV_ARG, "entry %zu of \"%s\" is no integer", i, key);
        }
        v[i] = json_integer_value(e);
    }
    *ids = v;
    *n = json_array_size(a);
    return OLV_OK;
}

static void put(json_t *answer) {
    char *text = json_dumps(answer, JSON_COMPACT | JSON_ENCODE_ANY | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(9));
    if (text) fputs(text, stdout);
    else fputs("{\"error\":{\"code\":\"internal error\",\"message\":\"the answer is no valid text\"}}", stdout);
    fputc('\n', stdout);
    fflush(stdout);
    free(text);
    json_decref(answer);
}

static int answer_line(jsonl_fn *fn, void *ctx, size_t index, const char *line, size_t len) {
    olv_error err = {.message = ""};
    json_error_t je;
    json_t *answer = NULL, *item = json_loadb(line, len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &je);
    olv_status s = item && json_is_object(item) ? fn(ctx, index, item, &answer, &err)
                                                : cli_fail(&err, OLV_ARG, "the line is no JSON object: %s", item ? "another value" : je.text);
    json_decref(item);
    if (s == OLV_OK) {
        put(answer);
        return 0;
    }
    put(json_pack("{s:{s:s,s:s}}", "error", "code", olv_status_text(s), "message", err.message));
    return 1;
}

int jsonl_run(jsonl_fn *fn, void *ctx) {
    char *line = NULL;
    size_t cap = 0, index = 0;
    int code = 0;
    for (ssize_t n; !interrupted && (n = getline(&line, &cap, stdin)) >= 0;) {
        if ((size_t)n > MAX_LINE) {
            code = usage_error("a line of more than 256 MiB");
            break;
        }
        while (n > 0 && (line[n - 1] == '\n' || line[n - 1] == '\r')) n--;
        if (n && answer_line(fn, ctx, index++, line, (size_t)n)) code = 1;
    }
    free(line);
    return interrupted ? 130 : code;
}
