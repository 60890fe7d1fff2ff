/* SPDX-License-Identifier: Apache-2.0 */
/* Objects: declared properties in order, then additional ones under other names. */
#include "text/grammar/schema.h"

#include <stdlib.h>

typedef struct property {
    const char *name;
    ol_gexpr *pair; /* "name": value */
    bool required;
} property;

/* Characters that stand for themselves in a JSON string, but for the n in `not`. */
static ol_gexpr *plain_char(ol_gschema *s, const int32_t *not, int n) {
    ol_grange r[130] = {{0, 31}, {'"', '"'}, {'\\', '\\'}};
    int k = 3;
    for (int i = 0; i < n && k < 130; i++) r[k++] = (ol_grange){not[i], not[i]};
    return ol_gclass(s->b, r, k, true);
}

static int32_t cp_at(const char *z, size_t at) {
    int32_t cp = -1;
    if (z[at]) ol_utf8_decode(z + at, strlen(z + at), &cp);
    return cp;
}

/* Any text but the names (all of them alike up to byte `at`): it differs from each somewhere, or ends elsewhere. */
static ol_gexpr *other_name(ol_gschema *s, const char *const *names, size_t n, size_t at) {
    ol_gbuilder *b = s->b;
    int32_t heads[120] = {0};
    int n_heads = 0;
    bool ends = false;
    ol_gexpr *e = ol_gexpr_new(b, OL_G_FAIL);
    if (++s->depth > OL_GDEPTH_MAX) return ol_gfail(b, OLV_LIMIT, "JSON schema: the names of properties are too long");
    for (size_t i = 0; i < n; i++) {
        int32_t cp = cp_at(names[i], at);
        bool known = cp < 0;
        ends |= cp < 0;
        for (int k = 0; k < n_heads && !known; k++) known = heads[k] == cp;
        if (known) continue;
        if (n_heads == 120) return ol_gfail(b, OLV_LIMIT, "JSON schema: too many properties beside additional ones");
        heads[n_heads++] = cp;
    }
    for (int k = 0; k < n_heads && b->status == OLV_OK; k++) {
        const char **sub = ol_arena_calloc(b->arena, n, sizeof *sub);
        size_t m = 0;
        char u[4];
        size_t len = (size_t)ol_utf8_encode(heads[k], u);
        if (!sub) return ol_gfail(b, OLV_NOMEM, "out of memory for a grammar");
        for (size_t i = 0; i < n; i++)
            if (cp_at(names[i], at) == heads[k]) sub[m++] = names[i];
        e = ol_galt(b, e, ol_gseq(b, ol_gtext(b, u, len), other_name(s, sub, m, at + len)));
    }
    ol_gexpr *rest = ol_grepeat(b, plain_char(s, NULL, 0), 0, -1);
    e = ol_galt(b, e, ol_gseq(b, plain_char(s, heads, n_heads), rest));
    s->depth--;
    return ends ? e : ol_galt(b, ol_gexpr_new(b, OL_G_EMPTY), e);
}

/* A property whose name plain characters cannot spell cannot be met by them either. */
static bool is_plain(const char *z) {
    for (; *z; z++)
        if ((unsigned char)*z < 32 || *z == '"' || *z == '\\') return false;
    return true;
}

static ol_gexpr *additional_pair(ol_gschema *s, const property *p, size_t n, const json_t *schema) {
    ol_gbuilder *b = s->b;
    const char **names = ol_arena_calloc(b->arena, n + 1, sizeof *names);
    size_t m = 0;
    if (!names) return ol_gfail(b, OLV_NOMEM, "out of memory for a grammar");
    for (size_t i = 0; i < n; i++)
        if (is_plain(p[i].name)) names[m++] = p[i].name;
    ol_gexpr *q = ol_gtext_z(b, "\"");
    ol_gexpr *key = m ? ol_gseq(b, ol_gseq(b, q, other_name(s, names, m, 0)), q) : ol_gschema_string(s);
    return ol_grule_of(b, ol_gschema_pair(s, key, ol_gschema_expr(s, schema)));
}

static bool is_required(const json_t *list, const char *name) {
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *z = json_string_value(json_array_get(list, i));
        if (z && strcmp(z, name) == 0) return true;
    }
    return false;
}

static ol_gexpr *property_pair(ol_gschema *s, const char *name, const json_t *schema) {
    json_t *key = json_string(name);
    char *text = key ? json_dumps(key, JSON_ENCODE_ANY) : NULL;
    json_decref(key);
    if (!text) return ol_gfail(s->b, OLV_NOMEM, "out of memory for a grammar");
    ol_gexpr *k = ol_gtext_z(s->b, text);
    free(text);
    return ol_gschema_pair(s, k, ol_gschema_expr(s, schema));
}

/* Declared properties, then required names that are not declared. */
static property *properties_of(ol_gschema *s, const json_t *schema, const json_t *additional, size_t *count) {
    json_t *props = json_object_get(schema, "properties"), *required = json_object_get(schema, "required");
    size_t max = json_object_size(props) + json_array_size(required), n = 0;
    property *p = ol_arena_calloc(s->b->arena, max + 1, sizeof *p);
    const char *name;
    json_t *value;
    *count = 0;
    if (!p) {
        ol_gfail(s->b, OLV_NOMEM, "out of memory for a grammar");
        return NULL;
    }
    json_object_foreach(props, name, value) p[n++] = (property){name, property_pair(s, name, value), is_required(required, name)};
    for (size_t i = 0; i < json_array_size(required); i++) {
        name = json_string_value(json_array_get(required, i));
        if (!name) {
            ol_gschema_bad(s, OLV_ARG, "expected texts in", "required");
            return NULL;
        }
        if (json_object_get(props, name)) continue;
        if (json_is_false(additional)) {
            ol_gschema_bad(s, OLV_ARG, "nothing satisfies: additionalProperties forbids the required", name);
            return NULL;
        }
        bool twice = false;
        for (size_t k = 0; k < n; k++) twice |= strcmp(p[k].name, name) == 0;
        json_t *any = json_true();
        if (!twice) p[n++] = (property){name, property_pair(s, name, additional ? additional : any), true};
    }
    *count = n;
    return p;
}

ol_gexpr *ol_gschema_object(ol_gschema *s, const json_t *schema) {
    ol_gbuilder *b = s->b;
    const json_t *props = json_object_get(schema, "properties"), *required = json_object_get(schema, "required");
    const json_t *additional = json_object_get(schema, "additionalProperties");
    if (props && !json_is_object(props)) return ol_gschema_bad(s, OLV_ARG, "expected an object for", "properties");
    if (required && !json_is_array(required)) return ol_gschema_bad(s, OLV_ARG, "expected a list for", "required");
    if (!props && !required && (!additional || json_is_true(additional))) return ol_gschema_any_object(s);
    size_t n;
    property *p = properties_of(s, schema, additional, &n);
    if (!p) return ol_gexpr_new(b, OL_G_FAIL);
    bool open = additional && !json_is_false(additional);
    ol_gexpr *comma = ol_gseq(b, ol_gtext_z(b, ","), ol_gschema_space(s)), *extra = NULL;
    if (open) extra = additional_pair(s, p, n, additional);
    /* more: what may follow a property; first: what may stand in an object that is empty so far. From the end. */
    ol_gexpr *more = open ? ol_grepeat(b, ol_gseq(b, comma, extra), 0, -1) : ol_gexpr_new(b, OL_G_EMPTY);
    ol_gexpr *first = open ? ol_goptional(b, ol_gseq(b, extra, more)) : ol_gexpr_new(b, OL_G_EMPTY);
    for (size_t i = n; i > 0 && b->status == OLV_OK; i--) {
        ol_gexpr *pair = ol_grule_of(b, p[i - 1].pair), *rest = ol_grule_of(b, more);
        ol_gexpr *with = ol_gseq(b, pair, rest), *next = ol_gseq(b, comma, pair);
        first = p[i - 1].required ? with : ol_galt(b, with, ol_grule_of(b, first));
        more = ol_gseq(b, p[i - 1].required ? next : ol_goptional(b, next), rest);
    }
    return ol_gschema_brackets(s, "{", "}", first);
}
