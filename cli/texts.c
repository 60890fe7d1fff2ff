/* SPDX-License-Identifier: Apache-2.0 */
#include "texts.h"
#include "input.h"
#include "jsonl.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void texts_free(text_list *t) {
    free(t->items);
    free(t->storage);
    *t = (text_list){0};
}

void print_json(json_t *value) {
    char *text = value ? json_dumps(value, JSON_COMPACT | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(9)) : NULL;
    if (text) puts(text);
    free(text);
    json_decref(value);
}

static bool add(text_list *t, size_t *cap, const char *text, size_t len) {
    if (t->count == *cap) {
        size_t more = *cap ? *cap * 2 : 64;
        olv_text *items = realloc(t->items, more * sizeof *items);
        if (!items) return false;
        t->items = items;
        *cap = more;
    }
    t->items[t->count++] = (olv_text){text, len, NULL, 0};
    return true;
}

static bool read_lines(text_list *t, size_t *cap) {
    size_t len, at = 0;
    t->storage = read_input(&len);
    while (t->storage && at < len) {
        const char *line = t->storage + at, *end = memchr(line, '\n', len - at);
        size_t n = end ? (size_t)(end - line) : len - at;
        at += n + 1;
        if (n && line[n - 1] == '\r') n--;
        if (n && !add(t, cap, line, n)) return false;
    }
    return t->storage != NULL;
}

int texts_read(const arg_list *positionals, text_list *out) {
    text_list t = {0};
    size_t cap = 0;
    bool ok = true;
    for (size_t i = 0; ok && i < positionals->count; i++)
        ok = add(&t, &cap, positionals->items[i], strlen(positionals->items[i]));
    if (!positionals->count) ok = read_lines(&t, &cap);
    *out = t;
    if (ok && t.count) return 0;
    texts_free(out);
    return usage_error(ok ? "no text; give TEXT, or lines on standard input" : "the texts do not fit into memory");
}

olv_status texts_of_json(const json_t *value, const char *key, text_list *out, olv_error *err) {
    size_t n = json_is_array(value) ? json_array_size(value) : 1, cap = 0;
    text_list t = {0};
    for (size_t i = 0; i < n; i++) {
        const json_t *v = json_is_array(value) ? json_array_get(value, i) : value;
        if (json_is_string(v) && add(&t, &cap, json_string_value(v), json_string_length(v))) continue;
        texts_free(&t);
        return json_is_string(v) ? cli_fail(err, OLV_NOMEM, "out of memory")
                                 : cli_fail(err, OLV_ARG, "\"%s\" is no string and no list of strings", key);
    }
    *out = t;
    return OLV_OK;
}
