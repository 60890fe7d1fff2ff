/* SPDX-License-Identifier: Apache-2.0 */
/* The public face: parsing, variables from JSON, one rendering. */
#include "text/template.h"
#include "base/alloc.h"
#include "text/template/call.h"

enum { JSON_DEPTH = 200, MEMORY_FACTOR = 64 };

struct olv_template {
    struct ol_template tree;
    json_t *defaults; /* object, or NULL */
    olv_template *tool_use;
};

void olv_template_options_init(olv_template_options *opt) {
    *opt = (olv_template_options){sizeof *opt, 1000000, 4u << 20, NULL};
}

void olv_template_destroy(olv_template *t) {
    if (!t) return;
    olv_template_destroy(t->tool_use);
    ol_map_deinit(&t->tree.name_index);
    ol_arena_destroy(t->tree.arena);
    json_decref(t->defaults);
    ol_free(t);
}

olv_status olv_template_parse(const char *source, size_t len, olv_template **out, olv_error *err) {
    if (len > (16u << 20)) return ol_fail(err, OLV_LIMIT, "a template of %zu bytes is longer than 16 MiB", len);
    if (len && !ol_utf8_valid(source, len)) return ol_fail(err, OLV_FORMAT, "the template is not valid UTF-8");
    if (len && memchr(source, 0, len)) return ol_fail(err, OLV_FORMAT, "the template contains a NUL byte");
    olv_template *t = ol_calloc(1, sizeof *t);
    if (!t) return ol_fail(err, OLV_NOMEM, "out of memory for a template");
    ol_map_init(&t->tree.name_index);
    t->tree.arena = ol_arena_create();
    olv_status st = t->tree.arena ? ol_tparse(&t->tree, source ? source : "", len, err)
                                  : ol_fail(err, OLV_NOMEM, "out of memory for a template");
    if (st != OLV_OK) {
        olv_template_destroy(t);
        return st;
    }
    *out = t;
    return OLV_OK;
}

olv_status ol_template_set_default(olv_template *t, const char *name, const char *value, olv_error *err) {
    if (!t->defaults) t->defaults = json_object();
    if (!t->defaults || json_object_set_new(t->defaults, name, json_string(value)) != 0)
        return ol_fail(err, OLV_NOMEM, "cannot store the template variable '%s'", name);
    return OLV_OK;
}

void ol_template_set_tool_use(olv_template *t, olv_template *alternative) {
    olv_template_destroy(t->tool_use);
    t->tool_use = alternative;
}

static ol_tv from_json(ol_trun *r, const json_t *j, int depth);

static ol_tv array_from_json(ol_trun *r, const json_t *j, int depth) {
    ol_tseq *s = ol_tseq_new(r, OL_SEQ_LIST);
    for (size_t i = 0; i < json_array_size(j) && !ol_tbad(r); i++)
        ol_tseq_push(r, s, from_json(r, json_array_get(j, i), depth + 1));
    return ol_tseq_value(s);
}

static ol_tv object_from_json(ol_trun *r, const json_t *j, int depth) {
    ol_tdict *d = ol_tdict_new(r);
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)j, key, value) {
        if (ol_tbad(r)) break;
        ol_tdict_add(r, d, ol_tstr_z(key), from_json(r, value, depth + 1));
    }
    return ol_tdict_value(d);
}

/* Strings are borrowed from the document, which outlives the rendering. */
static ol_tv from_json(ol_trun *r, const json_t *j, int depth) {
    if (depth > JSON_DEPTH) return ol_tfail(r, OLV_LIMIT, "the variables are nested deeper than %d", (int)JSON_DEPTH);
    switch (json_typeof(j)) {
    case JSON_OBJECT: return object_from_json(r, j, depth);
    case JSON_ARRAY: return array_from_json(r, j, depth);
    case JSON_STRING: return ol_tstr_ref(json_string_value(j), json_string_length(j));
    case JSON_INTEGER: return ol_tint(json_integer_value(j));
    case JSON_REAL: return ol_tfloat(json_real_value(j));
    case JSON_TRUE: return ol_tbool(true);
    case JSON_FALSE: return ol_tbool(false);
    case JSON_NULL: break;
    }
    return ol_tnone();
}

/* reasoning_content, thinking and reasoning of a message fill one another: whichever comes first in this order and
 * is there gives its value to those that are absent. */
static void fill_reasoning(ol_trun *r, ol_tv messages) {
    static const char *const names[] = {"reasoning_content", "thinking", "reasoning"};
    if (messages.kind != OL_TV_SEQ) return;
    for (uint32_t i = 0; i < messages.seq->n; i++) {
        ol_tv m = messages.seq->items[i], value, other;
        if (m.kind != OL_TV_DICT) continue;
        bool found = false;
        for (int k = 0; k < 3 && !found; k++) found = ol_tdict_find(m.dict, names[k], strlen(names[k]), &value);
        for (int k = 0; k < 3 && found; k++)
            if (!ol_tdict_find(m.dict, names[k], strlen(names[k]), &other))
                ol_tdict_add(r, m.dict, ol_tstr_z(names[k]), value);
    }
}

static void set_variable(ol_trun *r, const char *name, ol_tv v) {
    const uint64_t *id = ol_map_get(&r->tpl->name_index, ol_str_of(name));
    if (id) r->env->values[*id] = v;
}

static void set_variables(ol_trun *r, const json_t *object, bool messages) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)object, key, value) {
        if (ol_tbad(r)) return;
        if (!ol_map_get(&r->tpl->name_index, ol_str_of(key))) continue;
        ol_tv v = from_json(r, value, 0);
        if (messages && strcmp(key, "messages") == 0) fill_reasoning(r, v);
        set_variable(r, key, v);
    }
}

static void run(ol_trun *r, const olv_template *t, const json_t *defaults, const json_t *variables) {
    r->env = ol_tmem(r, sizeof *r->env);
    if (!r->env) return;
    r->env->values = ol_tmem(r, (t->tree.n_names + 1) * sizeof *r->env->values);
    if (!r->env->values) return;
    set_variable(r, "tools", ol_tnone());
    set_variable(r, "documents", ol_tnone());
    set_variable(r, "add_generation_prompt", ol_tbool(false));
    if (defaults) set_variables(r, defaults, false);
    set_variables(r, variables, true);
    ol_texec(r, t->tree.root);
}

static olv_status set_clock(const olv_template_options *o, ol_clock *c, olv_error *err) {
    if (!o->now) {
        ol_clock_now(c);
        return OLV_OK;
    }
    if (ol_clock_parse(o->now, strlen(o->now), c)) return OLV_OK;
    return ol_fail(err, OLV_ARG, "now: expected a date like 2026-03-05T07:08:09, found '%.60s'", o->now);
}

olv_status ol_template_render(const olv_template *t, const json_t *variables, const olv_template_options *options,
                              char **text, size_t *text_len, olv_error *err) {
    olv_template_options o;
    olv_template_options_init(&o);
    if (options) o = *options;
    if (!json_is_object(variables)) return ol_fail(err, OLV_ARG, "the template variables must be a JSON object");
    const json_t *tools = json_object_get(variables, "tools");
    const json_t *defaults = t->defaults;
    if (tools && !json_is_null(tools) && t->tool_use) t = t->tool_use;
    ol_buf out = OL_BUF_INIT;
    out.max = o.max_output;
    ol_trun r = {.tpl = &t->tree, .err = err, .out = &out, .max_steps = o.max_steps, .max_output = o.max_output,
                 .max_bytes = o.max_output * MEMORY_FACTOR, .line = 1};
    OL_TRY(set_clock(&o, &r.now, err));
    r.arena = ol_arena_create();
    if (!r.arena) return ol_fail(err, OLV_NOMEM, "out of memory for a rendering");
    run(&r, t, defaults, variables);
    olv_status st = r.status;
    if (st == OLV_OK) {
        ol_buf_puts(&out, ""); /* an empty text is a text too */
        size_t n = 0;
        char *z = ol_buf_take(&out, &n);
        if (!z) st = ol_fail(err, OLV_NOMEM, "out of memory for the rendered text");
        else {
            *text = z;
            if (text_len) *text_len = n;
        }
    }
    ol_buf_deinit(&out);
    ol_arena_destroy(r.arena);
    return st;
}

olv_status olv_template_render(const olv_template *t, const char *variables_json, size_t len,
                               const olv_template_options *options, char **text, size_t *text_len, olv_error *err) {
    json_t *j;
    OL_TRY(ol_json_parse(variables_json, len, "template variables", &j, err));
    olv_status st = ol_template_render(t, j, options, text, text_len, err);
    json_decref(j);
    return st;
}
