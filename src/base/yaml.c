/* SPDX-License-Identifier: Apache-2.0 */
#include "base/yaml.h"
#include "base/error.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

typedef struct builder {
    yaml_document_t doc;
    const char *name;
    size_t n_nodes; /* made, repetitions counted */
    olv_error *err;
} builder;

static olv_status fail_at(const builder *b, olv_status s, const yaml_mark_t *m, const char *what) {
    return ol_fail(b->err, s, "%s:%zu: %s", b->name, m->line + 1, what);
}

static bool is_one_of(const char *v, const char *const *words) {
    for (; *words; words++)
        if (!strcmp(v, *words)) return true;
    return false;
}

/* The number of a plain scalar, NULL when it is none. */
static json_t *number_of(const char *v) {
    static const char *const infinite[] = {".inf", ".Inf", ".INF", "+.inf", NULL}, *const lowest[] = {"-.inf", "-.Inf", "-.INF", NULL};
    char *end;
    if (is_one_of(v, infinite)) return json_real(INFINITY);
    if (is_one_of(v, lowest)) return json_real(-INFINITY);
    if (!v[strspn(v, "+-0123456789.eExXoabcdfABCDF_")] && v[strcspn(v, "0123456789")]) {
        errno = 0;
        long long i = v[0] == '0' && v[1] == 'o' ? strtoll(v + 2, &end, 8) : strtoll(v, &end, strchr(v, 'x') ? 16 : 10);
        if (!*end && !errno) return json_integer(i);
        double d = strtod(v, &end);
        if (!*end && !strchr(v, 'x')) return json_real(d);
    }
    return NULL;
}

static json_t *plain_of(const char *v) {
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL}, *const yes[] = {"true", "True", "TRUE", NULL},
                            *const no[] = {"false", "False", "FALSE", NULL};
    if (is_one_of(v, nulls)) return json_null();
    if (is_one_of(v, yes)) return json_true();
    if (is_one_of(v, no)) return json_false();
    json_t *n = number_of(v);
    return n ? n : json_string(v);
}

static olv_status build(builder *b, int index, int depth, json_t **out);

static olv_status build_scalar(builder *b, const yaml_node_t *n, json_t **out) {
    const char *v = (const char *)n->data.scalar.value;
    if (strlen(v) != n->data.scalar.length) return fail_at(b, OLV_FORMAT, &n->start_mark, "a NUL inside a text");
    bool text = n->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    *out = text ? json_string(v) : plain_of(v);
    return *out ? OLV_OK : fail_at(b, OLV_FORMAT, &n->start_mark, "a text that is no UTF-8");
}

static olv_status build_sequence(builder *b, const yaml_node_t *n, int depth, json_t **out) {
    json_t *list = json_array();
    olv_status s = list ? OLV_OK : ol_fail(b->err, OLV_NOMEM, "%s: no memory", b->name);
    for (const yaml_node_item_t *i = n->data.sequence.items.start; s == OLV_OK && i < n->data.sequence.items.top; i++) {
        json_t *v;
        s = build(b, *i, depth, &v);
        if (s == OLV_OK && json_array_append_new(list, v)) s = ol_fail(b->err, OLV_NOMEM, "%s: no memory", b->name);
    }
    if (s == OLV_OK) *out = list;
    else json_decref(list);
    return s;
}

/* Keys of the merged mapping yield to those that are there. */
static olv_status merge(builder *b, const yaml_node_t *at, json_t *into, const json_t *from) {
    size_t i;
    const json_t *each;
    if (json_is_object(from)) return json_object_update_missing(into, (json_t *)(uintptr_t)from) ? ol_fail(b->err, OLV_NOMEM, "%s: no memory", b->name) : OLV_OK;
    if (!json_is_array(from)) return fail_at(b, OLV_FORMAT, &at->start_mark, "'<<' merges mappings alone");
    json_array_foreach(from, i, each) OL_TRY(json_is_object(each) ? merge(b, at, into, each) : fail_at(b, OLV_FORMAT, &at->start_mark, "'<<' merges mappings alone"));
    return OLV_OK;
}

static olv_status build_pair(builder *b, const yaml_node_pair_t *p, int depth, json_t *into) {
    const yaml_node_t *k = yaml_document_get_node(&b->doc, p->key);
    json_t *v;
    if (!k || k->type != YAML_SCALAR_NODE) return fail_at(b, OLV_FORMAT, k ? &k->start_mark : &b->doc.start_mark, "a key that is no text");
    const char *key = (const char *)k->data.scalar.value;
    if (strlen(key) != k->data.scalar.length) return fail_at(b, OLV_FORMAT, &k->start_mark, "a NUL inside a key");
    OL_TRY(build(b, p->value, depth, &v));
    if (!strcmp(key, "<<")) {
        olv_status s = merge(b, k, into, v);
        json_decref(v);
        return s;
    }
    if (json_object_get(into, key)) {
        json_decref(v);
        return ol_fail(b->err, OLV_FORMAT, "%s:%zu: key '%.100s' is there twice", b->name, k->start_mark.line + 1, key);
    }
    return json_object_set_new(into, key, v) ? fail_at(b, OLV_FORMAT, &k->start_mark, "a key that is no UTF-8") : OLV_OK;
}

static bool is_merge(builder *b, const yaml_node_pair_t *p) {
    const yaml_node_t *k = yaml_document_get_node(&b->doc, p->key);
    return k && k->type == YAML_SCALAR_NODE && !strcmp((const char *)k->data.scalar.value, "<<");
}

static olv_status build_mapping(builder *b, const yaml_node_t *n, int depth, json_t **out) {
    json_t *map = json_object();
    olv_status s = map ? OLV_OK : ol_fail(b->err, OLV_NOMEM, "%s: no memory", b->name);
    for (int merging = 0; merging < 2; merging++) /* own keys first */
        for (const yaml_node_pair_t *p = n->data.mapping.pairs.start; s == OLV_OK && p < n->data.mapping.pairs.top; p++)
            if (is_merge(b, p) == (merging == 1)) s = build_pair(b, p, depth, map);
    if (s == OLV_OK) *out = map;
    else json_decref(map);
    return s;
}

static olv_status build(builder *b, int index, int depth, json_t **out) {
    const yaml_node_t *n = yaml_document_get_node(&b->doc, index);
    if (!n) return ol_fail(b->err, OLV_FORMAT, "%s: an empty document", b->name);
    if (depth == OL_YAML_MAX_DEPTH) return fail_at(b, OLV_LIMIT, &n->start_mark, "nested too deeply, or in itself");
    if (++b->n_nodes > OL_YAML_MAX_NODES) return fail_at(b, OLV_LIMIT, &n->start_mark, "too many values, aliases counted as what they stand for");
    switch (n->type) {
    case YAML_SCALAR_NODE: return build_scalar(b, n, out);
    case YAML_SEQUENCE_NODE: return build_sequence(b, n, depth + 1, out);
    case YAML_MAPPING_NODE: return build_mapping(b, n, depth + 1, out);
    case YAML_NO_NODE: break;
    }
    return fail_at(b, OLV_FORMAT, &n->start_mark, "no value");
}

static olv_status parse_failure(const yaml_parser_t *p, const char *name, olv_error *err) {
    if (p->error == YAML_MEMORY_ERROR) return ol_fail(err, OLV_NOMEM, "%s: no memory", name);
    size_t line = p->problem_mark.line > p->context_mark.line ? p->problem_mark.line : p->context_mark.line;
    return ol_fail(err, OLV_FORMAT, "%s:%zu: %s", name, line + 1, p->problem ? p->problem : "no YAML");
}

olv_status ol_yaml_parse(const char *text, size_t len, const char *name, json_t **out, olv_error *err) {
    yaml_parser_t parser;
    builder b = {.name = name, .err = err};
    if (!yaml_parser_initialize(&parser)) return ol_fail(err, OLV_NOMEM, "%s: no memory", name);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
    bool loaded = yaml_parser_load(&parser, &b.doc);
    olv_status s = loaded ? OLV_OK : parse_failure(&parser, name, err);
    if (s == OLV_OK) s = build(&b, 1, 0, out);
    if (loaded) yaml_document_delete(&b.doc);
    yaml_parser_delete(&parser);
    return s;
}

int ol_yaml_line_of(const char *text, size_t len, const char *key) {
    size_t n = strlen(key);
    int line = 1;
    for (size_t i = 0; i + n <= len; i++) {
        if (text[i] == '\n') line++;
        if (memcmp(text + i, key, n)) continue;
        bool quoted = i && (text[i - 1] == '"' || text[i - 1] == '\'');
        bool begins = !i || strchr(" \t\n{,-\"'", text[i - 1]);
        size_t e = i + n;
        if (quoted && e < len && text[e] == text[i - 1]) e++;
        while (e < len && (text[e] == ' ' || text[e] == '\t')) e++;
        if (begins && e < len && text[e] == ':') return line;
    }
    return 0;
}
