/* SPDX-License-Identifier: Apache-2.0 */
/* JSON schemas (draft 2020-12 and 7, the part that a grammar can keep). */
#include "text/grammar/schema.h"

#include "base/json.h"

#include <stdio.h>
#include <stdlib.h>

ol_gexpr *ol_gschema_bad(ol_gschema *s, olv_status status, const char *what, const char *key) {
    return ol_gfail(s->b, status, "JSON schema: %s '%.80s'", what, key);
}

static ol_gexpr *rule_once(ol_gschema *s, const char *name, ol_gexpr *(*make)(ol_gschema *)) {
    uint32_t before = s->b->n_rules, r = ol_grule(s->b, name, strlen(name));
    if (s->b->status != OLV_OK) return ol_gexpr_new(s->b, OL_G_FAIL);
    if (r >= before) {
        ol_gexpr *body = make(s);
        if (s->b->status == OLV_OK) s->b->rules[r] = body;
    }
    return ol_grule_ref(s->b, r);
}

/* White space between tokens: none, one space, or a line break with at most 20 spaces of indent. */
static ol_gexpr *make_space(ol_gschema *s) {
    ol_gbuilder *b = s->b;
    ol_gexpr *indent = ol_grepeat(b, ol_gtext_z(b, " "), 0, 20);
    return ol_galt(b, ol_galt(b, ol_gexpr_new(b, OL_G_EMPTY), ol_gtext_z(b, " ")), ol_gseq(b, ol_gtext_z(b, "\n"), indent));
}

ol_gexpr *ol_gschema_space(ol_gschema *s) { return rule_once(s, "%space", make_space); }

static ol_gexpr *make_char(ol_gschema *s) {
    ol_gbuilder *b = s->b;
    ol_grange no[] = {{0, 31}, {'"', '"'}, {'\\', '\\'}};
    ol_gexpr *hex = ol_gclass_of(b, "09afAF");
    /* \uXXXX without surrogates, so that every string is a valid text by itself. */
    ol_gexpr *first = ol_galt(b, ol_gseq(b, ol_gclass_of(b, "09acACefEF"), hex),
                              ol_gseq(b, ol_gclass_of(b, "ddDD"), ol_gclass_of(b, "07")));
    ol_gexpr *u = ol_gseq(b, ol_gseq(b, ol_gseq(b, ol_gtext_z(b, "u"), first), hex), hex);
    ol_gexpr *esc = ol_galt(b, ol_gclass_of(b, "\"\"\\\\//bbffnnrrtt"), u);
    return ol_galt(b, ol_gclass(b, no, 3, true), ol_gseq(b, ol_gtext_z(b, "\\"), esc));
}

static ol_gexpr *string_of(ol_gschema *s, int64_t min, int64_t max) {
    ol_gbuilder *b = s->b;
    ol_gexpr *q = ol_gtext_z(b, "\"");
    return ol_gseq(b, ol_gseq(b, q, ol_grepeat(b, make_char(s), min, max)), q);
}

static ol_gexpr *make_string(ol_gschema *s) { return string_of(s, 0, -1); }
ol_gexpr *ol_gschema_string(ol_gschema *s) { return rule_once(s, "%string", make_string); }

/* Numbers keep to 15 digits before and after the point, so that every reader takes them. */
static ol_gexpr *make_integer(ol_gschema *s) { return ol_gregex(s->b, "-?(?:0|[1-9][0-9]{0,14})", 24, false); }

static ol_gexpr *make_number(ol_gschema *s) {
    static const char z[] = "-?(?:0|[1-9][0-9]{0,14})(?:\\.[0-9]{1,15})?(?:[eE][+-]?[0-9]{1,2})?";
    return ol_gregex(s->b, z, sizeof z - 1, false);
}

static ol_gexpr *integer(ol_gschema *s) { return rule_once(s, "%integer", make_integer); }
static ol_gexpr *number(ol_gschema *s) { return rule_once(s, "%number", make_number); }

static ol_gexpr *make_value(ol_gschema *s) {
    ol_gbuilder *b = s->b;
    ol_gexpr *any = ol_gschema_any(s);
    ol_gexpr *e = ol_galt(b, ol_gschema_string(s), number(s));
    e = ol_galt(b, e, ol_gtext_z(b, "true"));
    e = ol_galt(b, e, ol_gtext_z(b, "false"));
    e = ol_galt(b, e, ol_gtext_z(b, "null"));
    e = ol_galt(b, e, ol_gschema_list(s, any, 0, -1));
    return ol_galt(b, e, ol_gschema_any_object(s));
}

ol_gexpr *ol_gschema_any(ol_gschema *s) { return rule_once(s, "%value", make_value); }

ol_gexpr *ol_gschema_any_object(ol_gschema *s) {
    ol_gexpr *any = ol_gschema_any(s);
    ol_gexpr *pair = ol_gschema_pair(s, ol_gschema_string(s), any);
    return ol_gschema_brackets(s, "{", "}", ol_gschema_separated(s, pair, 0, -1));
}

ol_gexpr *ol_gschema_pair(ol_gschema *s, ol_gexpr *key, ol_gexpr *value) {
    ol_gexpr *colon = ol_gseq(s->b, ol_gtext_z(s->b, ":"), ol_gschema_space(s));
    return ol_gseq(s->b, ol_gseq(s->b, key, colon), value);
}

static ol_gexpr *comma(ol_gschema *s) { return ol_gseq(s->b, ol_gtext_z(s->b, ","), ol_gschema_space(s)); }

/* min to max items with commas between them. */
ol_gexpr *ol_gschema_separated(ol_gschema *s, ol_gexpr *item, int64_t min, int64_t max) {
    ol_gbuilder *b = s->b;
    if (max == 0) return ol_gexpr_new(b, OL_G_EMPTY);
    ol_gexpr *more = ol_grepeat(b, ol_gseq(b, comma(s), item), min > 0 ? min - 1 : 0, max < 0 ? -1 : max - 1);
    ol_gexpr *e = ol_gseq(b, item, more);
    return min == 0 ? ol_goptional(b, e) : e;
}

ol_gexpr *ol_gschema_brackets(ol_gschema *s, const char *open, const char *close, ol_gexpr *inside) {
    ol_gbuilder *b = s->b;
    ol_gexpr *e = ol_gseq(b, ol_gtext_z(b, open), ol_gschema_space(s));
    e = ol_gseq(b, ol_gseq(b, e, inside), ol_gschema_space(s));
    return ol_gseq(b, e, ol_gtext_z(b, close));
}

ol_gexpr *ol_gschema_list(ol_gschema *s, ol_gexpr *item, int64_t min, int64_t max) {
    return ol_gschema_brackets(s, "[", "]", ol_gschema_separated(s, item, min, max));
}

bool ol_gschema_count(ol_gschema *s, const json_t *schema, const char *key, int64_t def, int64_t *out) {
    const json_t *v = json_object_get(schema, key);
    *out = def;
    if (!v) return true;
    double d = json_number_value(v);
    if (!json_is_number(v) || d < 0 || d != (double)(int64_t)d) {
        ol_gschema_bad(s, OLV_ARG, "expected a count of 0 or more for", key);
        return false;
    }
    if (d > 10000) {
        ol_gschema_bad(s, OLV_LIMIT, "a count above 10000 for", key);
        return false;
    }
    *out = (int64_t)d;
    return true;
}

static ol_gexpr *quoted_regex(ol_gschema *s, const char *z, size_t n) {
    ol_gbuilder *b = s->b;
    ol_gexpr *q = ol_gtext_z(b, "\"");
    return ol_gseq(b, ol_gseq(b, q, ol_gregex(b, z, n, true)), q);
}

/* Days up to 28 of every month: always valid, whatever the year. */
#define DATE "[1-9][0-9]{3}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])"
#define TIME "(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\\.[0-9]{1,6})?(?:Z|[+-](?:0[0-9]|1[0-2]):[0-5][0-9])"
#define OCTET "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
#define LABEL "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"

static const struct {
    const char *name, *regex;
} formats[] = {
    {"date", "^" DATE "$"},
    {"time", "^" TIME "$"},
    {"date-time", "^" DATE "T" TIME "$"},
    {"duration", "^P(?:[0-9]{1,4}D(?:T[0-9]{1,2}H)?|T[0-9]{1,4}[HMS]|[0-9]{1,4}[YMW])$"},
    {"uuid", "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"},
    {"ipv4", "^" OCTET "\\." OCTET "\\." OCTET "\\." OCTET "$"},
    {"ipv6", "^(?:[0-9a-f]{1,4}:){7}[0-9a-f]{1,4}$"},
    {"email", "^[a-z0-9_]{1,30}(?:[.+-][a-z0-9_]{1,30})?@(?:" LABEL "\\.){1,2}[a-z]{2,18}$"},
    {"hostname", "^" LABEL "(?:\\." LABEL "){0,2}$"},
    {"uri", "^https?://(?:" LABEL "\\.){1,3}[a-z]{2,18}(?:/[A-Za-z0-9_.~-]{0,40}){0,6}$"},
    {"regex", "^[A-Za-z0-9 ]{0,40}$"},
    {"json-pointer", "^(?:/[A-Za-z0-9_]{0,20}){0,8}$"},
};

static ol_gexpr *string_schema(ol_gschema *s, const json_t *schema) {
    int64_t min, max;
    const json_t *pattern = json_object_get(schema, "pattern"), *format = json_object_get(schema, "format");
    bool bounded = json_object_get(schema, "minLength") || json_object_get(schema, "maxLength");
    if (!ol_gschema_count(s, schema, "minLength", 0, &min) || !ol_gschema_count(s, schema, "maxLength", -1, &max))
        return ol_gexpr_new(s->b, OL_G_FAIL);
    if ((pattern || format) && bounded) return ol_gschema_bad(s, OLV_UNSUPPORTED, "a length together with", pattern ? "pattern" : "format");
    if (pattern && format) return ol_gschema_bad(s, OLV_UNSUPPORTED, "a format together with", "pattern");
    if (pattern) {
        if (!json_is_string(pattern)) return ol_gschema_bad(s, OLV_ARG, "expected a text for", "pattern");
        return quoted_regex(s, json_string_value(pattern), json_string_length(pattern));
    }
    if (format) {
        const char *name = json_is_string(format) ? json_string_value(format) : "";
        for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
            if (strcmp(name, formats[i].name) == 0) return quoted_regex(s, formats[i].regex, strlen(formats[i].regex));
        return ol_gschema_bad(s, OLV_UNSUPPORTED, "unknown format", name);
    }
    if (!bounded) return ol_gschema_string(s);
    if (max >= 0 && min > max) return ol_gschema_bad(s, OLV_ARG, "nothing satisfies minLength with", "maxLength");
    return string_of(s, min, max);
}

static ol_gexpr *array_schema(ol_gschema *s, const json_t *schema) {
    ol_gbuilder *b = s->b;
    const json_t *items = json_object_get(schema, "items"), *prefix = json_object_get(schema, "prefixItems");
    const json_t *rest = items;
    int64_t min, max;
    if (!ol_gschema_count(s, schema, "minItems", 0, &min) || !ol_gschema_count(s, schema, "maxItems", -1, &max))
        return ol_gexpr_new(b, OL_G_FAIL);
    if (json_is_array(items)) { /* before draft 2020-12 */
        prefix = items;
        rest = json_object_get(schema, "additionalItems");
    }
    if (max >= 0 && min > max) return ol_gschema_bad(s, OLV_ARG, "nothing satisfies minItems with", "maxItems");
    ol_gexpr *item = rest ? ol_gschema_expr(s, rest) : ol_gschema_any(s);
    if (!prefix || json_array_size(prefix) == 0) return ol_gschema_list(s, ol_grule_of(b, item), min, max);
    /* Fixed places from the last to the first: "x1 (, x2 (, x3 (, more)*)?)?", optional from minItems on. */
    int64_t n = (int64_t)json_array_size(prefix);
    if (max >= 0 && max < n) n = max;
    int64_t more_min = min > n ? min - n : 0, more_max = max < 0 ? -1 : max - n;
    ol_gexpr *tail = ol_grepeat(b, ol_gseq(b, comma(s), ol_grule_of(b, item)), more_min, more_max);
    for (int64_t i = n; i > 0; i--) {
        ol_gexpr *x = ol_gschema_expr(s, json_array_get(prefix, (size_t)i - 1));
        x = ol_gseq(b, i > 1 ? ol_gseq(b, comma(s), x) : x, tail);
        tail = i > min ? ol_goptional(b, x) : x;
    }
    return ol_gschema_brackets(s, "[", "]", tail);
}

static ol_gexpr *constant(ol_gschema *s, const json_t *v) {
    char *text = json_dumps(v, JSON_ENCODE_ANY | JSON_REAL_PRECISION(17));
    if (!text) return ol_gfail(s->b, OLV_NOMEM, "out of memory for a grammar");
    ol_gexpr *e = ol_gtext_z(s->b, text);
    free(text);
    return e;
}

static bool has_type(const json_t *type, const char *name) {
    if (json_is_string(type)) return strcmp(json_string_value(type), name) == 0;
    for (size_t i = 0; i < json_array_size(type); i++) {
        const char *z = json_string_value(json_array_get(type, i));
        if (z && strcmp(z, name) == 0) return true;
    }
    return false;
}

/* Whether a listed value passes the rest of its schema: only types are looked at, other keywords are refused. */
static bool type_allows(const json_t *type, const json_t *v) {
    if (!type) return true;
    switch (json_typeof(v)) {
    case JSON_OBJECT: return has_type(type, "object");
    case JSON_ARRAY: return has_type(type, "array");
    case JSON_STRING: return has_type(type, "string");
    case JSON_INTEGER: return has_type(type, "integer") || has_type(type, "number");
    case JSON_REAL: return has_type(type, "number");
    case JSON_TRUE:
    case JSON_FALSE: return has_type(type, "boolean");
    case JSON_NULL: return has_type(type, "null");
    }
    return false;
}

static bool is_annotation(const char *key) {
    static const char *const keys[] = {"title", "description", "default", "examples", "example", "deprecated", "readOnly",
                                       "writeOnly", "$schema", "$id", "id", "$comment", "$defs", "definitions", "$anchor",
                                       "contentMediaType", "contentEncoding", "discriminator", "strict", "xml"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (strcmp(key, keys[i]) == 0) return true;
    return strncmp(key, "x-", 2) == 0;
}

/* Refuses any keyword that is neither an annotation nor one of the NULL-terminated list. */
static bool only(ol_gschema *s, const json_t *schema, const char *const *allowed) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)schema, key, value) {
        bool ok = is_annotation(key);
        for (const char *const *a = allowed; *a && !ok; a++) ok = strcmp(key, *a) == 0;
        if (strcmp(key, "uniqueItems") == 0 && json_is_false(value)) ok = true;
        if (strcmp(key, "nullable") == 0 && json_is_false(value)) ok = true;
        if (!ok) {
            ol_gschema_bad(s, OLV_UNSUPPORTED, "cannot keep the keyword", key);
            return false;
        }
    }
    return true;
}

static ol_gexpr *listed(ol_gschema *s, const json_t *schema) {
    static const char *const allowed[] = {"enum", "const", "type", NULL};
    const json_t *list = json_object_get(schema, "enum"), *one = json_object_get(schema, "const");
    const json_t *type = json_object_get(schema, "type");
    ol_gexpr *e = ol_gexpr_new(s->b, OL_G_FAIL);
    if (!only(s, schema, allowed)) return e;
    if (list && !json_is_array(list)) return ol_gschema_bad(s, OLV_ARG, "expected a list for", "enum");
    if (one) {
        bool in = !list;
        for (size_t i = 0; i < json_array_size(list); i++) in |= json_equal(json_array_get(list, i), one) != 0;
        return in && type_allows(type, one) ? constant(s, one) : e;
    }
    for (size_t i = 0; i < json_array_size(list); i++)
        if (type_allows(type, json_array_get(list, i))) e = ol_galt(s->b, e, constant(s, json_array_get(list, i)));
    return e;
}

static ol_gexpr *any_of(ol_gschema *s, const json_t *list) {
    ol_gexpr *e = ol_gexpr_new(s->b, OL_G_FAIL);
    for (size_t i = 0; i < json_array_size(list); i++) e = ol_galt(s->b, e, ol_gschema_expr(s, json_array_get(list, i)));
    return e;
}

/* "#", "#/a/b" with ~0, ~1 and %XX resolved, or "#anchor" nowhere. */
static const json_t *resolve(const ol_gschema *s, const char *ref) {
    const json_t *at = s->root;
    if (ref[0] != '#') return NULL;
    const char *p = ref + 1;
    while (at && *p == '/') {
        char key[256];
        size_t n = 0;
        for (p++; *p && *p != '/' && n + 1 < sizeof key; p++) {
            unsigned hex;
            if (*p == '~' && (p[1] == '0' || p[1] == '1')) key[n++] = *++p == '0' ? '~' : '/';
            else if (*p == '%' && p[1] && p[2] && sscanf(p + 1, "%2x", &hex) == 1) {
                key[n++] = (char)hex;
                p += 2;
            } else key[n++] = *p;
        }
        key[n] = 0;
        char *end;
        if (json_is_array(at)) {
            unsigned long i = strtoul(key, &end, 10);
            at = *end ? NULL : json_array_get(at, i);
        } else at = json_object_get(at, key);
    }
    return *p ? NULL : at;
}

/* Each target becomes one rule, so that recursion is a call. */
static ol_gexpr *reference(ol_gschema *s, const json_t *schema) {
    static const char *const allowed[] = {"$ref", NULL};
    const char *ref = json_string_value(json_object_get(schema, "$ref"));
    if (!ref) return ol_gschema_bad(s, OLV_ARG, "expected a text for", "$ref");
    if (!only(s, schema, allowed)) return ol_gexpr_new(s->b, OL_G_FAIL);
    const json_t *target = resolve(s, ref);
    if (!target) return ol_gschema_bad(s, OLV_ARG, "nothing is found at", ref);
    uint32_t before = s->b->n_rules, r = ol_grule(s->b, ref, strlen(ref));
    if (s->b->status == OLV_OK && r >= before) {
        ol_gexpr *body = ol_gschema_expr(s, target);
        if (s->b->status == OLV_OK) s->b->rules[r] = body;
    }
    return ol_grule_ref(s->b, r);
}

/* allOf with one member, or members merged key by key; what cannot be merged is refused. */
static ol_gexpr *all_of(ol_gschema *s, const json_t *schema, const json_t *list) {
    json_t *merged = json_object();
    bool ok = merged != NULL;
    const char *key;
    json_t *value;
    for (size_t i = 0; i <= json_array_size(list) && ok; i++) {
        const json_t *part = i < json_array_size(list) ? json_array_get(list, i) : schema;
        const char *ref = json_string_value(json_object_get(part, "$ref"));
        if (ref && json_array_size(list) > 1) part = resolve(s, ref);
        ok = json_is_object(part);
        json_object_foreach((json_t *)(uintptr_t)part, key, value) {
            json_t *mine = json_object_get(merged, key);
            if (!ok || is_annotation(key) || (i == json_array_size(list) && strcmp(key, "allOf") == 0)) continue;
            if (!mine) ok = json_object_set_new(merged, key, json_deep_copy(value)) == 0;
            else if (strcmp(key, "properties") == 0) ok = json_object_update_missing(mine, value) == 0;
            else if (strcmp(key, "required") == 0) ok = json_array_extend(mine, value) == 0;
            else ok = json_equal(mine, value);
            if (!ok) ol_gschema_bad(s, OLV_UNSUPPORTED, "allOf disagrees about", key);
        }
    }
    if (!ok && s->b->status == OLV_OK) ol_gschema_bad(s, OLV_UNSUPPORTED, "cannot merge the members of", "allOf");
    ol_gexpr *e = ok ? ol_gschema_expr(s, merged) : ol_gexpr_new(s->b, OL_G_FAIL);
    json_decref(merged);
    return e;
}

static ol_gexpr *typed(ol_gschema *s, const json_t *schema, const char *type) {
    static const char *const for_string[] = {"type", "minLength", "maxLength", "pattern", "format", NULL};
    static const char *const for_array[] = {"type", "items", "prefixItems", "additionalItems", "minItems", "maxItems", NULL};
    static const char *const for_object[] = {"type", "properties", "required", "additionalProperties", NULL};
    static const char *const for_number[] = {"type", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "format", NULL};
    static const char *const plain[] = {"type", NULL};
    bool several = json_array_size(json_object_get(schema, "type")) > 1;
    const char *const *allowed = plain;
    if (strcmp(type, "string") == 0) allowed = for_string;
    else if (strcmp(type, "array") == 0) allowed = for_array;
    else if (strcmp(type, "object") == 0) allowed = for_object;
    else if (strcmp(type, "integer") == 0 || strcmp(type, "number") == 0) allowed = for_number;
    /* With several types each keyword speaks about its own type only. */
    static const char *const all[] = {"type", "minLength", "maxLength", "pattern", "format", "items", "prefixItems",
                                      "additionalItems", "minItems", "maxItems", "properties", "required",
                                      "additionalProperties", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", NULL};
    if (!only(s, schema, several ? all : allowed)) return ol_gexpr_new(s->b, OL_G_FAIL);
    if (allowed == for_string) return string_schema(s, schema);
    if (allowed == for_array) return array_schema(s, schema);
    if (allowed == for_object) return ol_gschema_object(s, schema);
    if (allowed == for_number) {
        bool whole = strcmp(type, "integer") == 0;
        if (ol_gschema_has_bounds(schema)) return ol_gschema_bounded(s, schema, whole);
        return whole ? integer(s) : number(s);
    }
    if (strcmp(type, "boolean") == 0) return ol_galt(s->b, ol_gtext_z(s->b, "true"), ol_gtext_z(s->b, "false"));
    if (strcmp(type, "null") == 0) return ol_gtext_z(s->b, "null");
    return ol_gschema_bad(s, OLV_ARG, "unknown type", type);
}

/* The type that keywords imply when none is named. */
static const char *implied(const json_t *schema) {
    static const char *const rows[][2] = {
        {"properties", "object"}, {"required", "object"}, {"additionalProperties", "object"}, {"items", "array"},
        {"prefixItems", "array"}, {"minItems", "array"}, {"maxItems", "array"}, {"pattern", "string"},
        {"minLength", "string"}, {"maxLength", "string"}, {"format", "string"}, {"minimum", "number"},
        {"maximum", "number"}, {"exclusiveMinimum", "number"}, {"exclusiveMaximum", "number"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (json_object_get(schema, rows[i][0])) return rows[i][1];
    return NULL;
}

static ol_gexpr *combined(ol_gschema *s, const json_t *schema, const char *key) {
    const char *const allowed[] = {key, "type", NULL};
    const json_t *list = json_object_get(schema, key);
    if (!json_is_array(list)) return ol_gschema_bad(s, OLV_ARG, "expected a list for", key);
    if (json_object_get(schema, "type")) { /* the members take the type over where they name none */
        json_t *members = json_deep_copy(list);
        json_t *type = json_object_get(schema, "type");
        ol_gexpr *e = ol_gexpr_new(s->b, OL_G_FAIL);
        if (!only(s, schema, allowed) || !members) {
            json_decref(members);
            return e;
        }
        for (size_t i = 0; i < json_array_size(members); i++) {
            json_t *m = json_array_get(members, i);
            if (json_is_object(m) && !json_object_get(m, "$ref") && !json_object_get(m, "type")) json_object_set(m, "type", type);
            else if (json_is_object(m) && !json_equal(json_object_get(m, "type"), type)) {
                json_decref(members);
                return ol_gschema_bad(s, OLV_UNSUPPORTED, "a type beside", key);
            }
        }
        e = any_of(s, members);
        json_decref(members);
        return e;
    }
    return only(s, schema, allowed) ? any_of(s, list) : ol_gexpr_new(s->b, OL_G_FAIL);
}

static ol_gexpr *of_object(ol_gschema *s, const json_t *schema) {
    const json_t *type = json_object_get(schema, "type"), *all = json_object_get(schema, "allOf");
    if (json_object_get(schema, "$ref")) return reference(s, schema);
    if (json_object_get(schema, "enum") || json_object_get(schema, "const")) return listed(s, schema);
    if (all) {
        if (!json_is_array(all) || json_array_size(all) == 0) return ol_gschema_bad(s, OLV_ARG, "expected a list for", "allOf");
        return all_of(s, schema, all);
    }
    if (json_object_get(schema, "anyOf")) return combined(s, schema, "anyOf");
    if (json_object_get(schema, "oneOf")) return combined(s, schema, "oneOf");
    if (json_is_string(type)) return typed(s, schema, json_string_value(type));
    if (json_is_array(type)) {
        ol_gexpr *e = ol_gexpr_new(s->b, OL_G_FAIL);
        for (size_t i = 0; i < json_array_size(type); i++) {
            const char *z = json_string_value(json_array_get(type, i));
            if (!z) return ol_gschema_bad(s, OLV_ARG, "expected texts in", "type");
            e = ol_galt(s->b, e, typed(s, schema, z));
        }
        return e;
    }
    if (type) return ol_gschema_bad(s, OLV_ARG, "expected a text or list for", "type");
    const char *guess = implied(schema);
    if (guess) return typed(s, schema, guess);
    static const char *const none[] = {NULL};
    return only(s, schema, none) ? ol_gschema_any(s) : ol_gexpr_new(s->b, OL_G_FAIL);
}

ol_gexpr *ol_gschema_expr(ol_gschema *s, const json_t *schema) {
    if (s->b->status != OLV_OK) return ol_gexpr_new(s->b, OL_G_FAIL);
    if (json_is_true(schema)) return ol_gschema_any(s);
    if (json_is_false(schema)) return ol_gexpr_new(s->b, OL_G_FAIL);
    if (!json_is_object(schema)) return ol_gfail(s->b, OLV_ARG, "JSON schema: a schema must be an object or a boolean");
    if (++s->depth > OL_GDEPTH_MAX) return ol_gfail(s->b, OLV_LIMIT, "JSON schema: nested deeper than %d", (int)OL_GDEPTH_MAX);
    ol_gexpr *e = of_object(s, schema);
    s->depth--;
    return e;
}

static olv_status compile(const json_t *schema, ol_grammar **out, olv_error *err) {
    ol_gbuilder b;
    OL_TRY(ol_gbuilder_init(&b, err));
    ol_gschema s = {&b, schema, 0};
    uint32_t root = ol_grule(&b, "#", 1);
    ol_gexpr *e = ol_gschema_expr(&s, schema);
    if (b.status == OLV_OK) b.rules[root] = e;
    olv_status st = b.status == OLV_OK ? ol_gcompile(&b, root, out, err) : b.status;
    ol_gbuilder_deinit(&b);
    return st;
}

olv_status ol_grammar_compile_json_schema(const char *text, size_t len, ol_grammar **out, olv_error *err) {
    json_t *j;
    OL_TRY(ol_json_parse(text, len, "JSON schema", &j, err));
    olv_status st = compile(j, out, err);
    json_decref(j);
    return st;
}

olv_status ol_grammar_compile_json(bool object_only, ol_grammar **out, olv_error *err) {
    static const char object[] = "{\"type\": \"object\", \"additionalProperties\": true}", any[] = "{}";
    if (object_only) return ol_grammar_compile_json_schema(object, sizeof object - 1, out, err);
    return ol_grammar_compile_json_schema(any, sizeof any - 1, out, err);
}
