/* SPDX-License-Identifier: Apache-2.0 */
/* Statements. */
#include "text/template/parse.h"

#include <stdio.h>

void ol_tparse_fail(ol_tparser *p, const char *fmt, ...) {
    if (p->status != OLV_OK) return;
    char text[400];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    p->status = ol_fail(p->err, OLV_FORMAT, "line %d: %s", p->now.line, text);
    p->now = (ol_ttoken){.kind = OL_T_EOF, .line = p->now.line};
}

void ol_tparse_next(ol_tparser *p) {
    if (p->status != OLV_OK) return;
    if (p->has_ahead) {
        p->now = p->ahead;
        p->has_ahead = false;
        return;
    }
    p->status = ol_tlex_next(&p->lex, &p->now);
    if (p->status != OLV_OK) p->now = (ol_ttoken){.kind = OL_T_EOF, .line = p->lex.line};
}

bool ol_tparse_is_op(const ol_tparser *p, const char *op) {
    return p->now.kind == OL_T_OP && ol_str_is(p->now.text, op);
}

bool ol_tparse_is_name(const ol_tparser *p, const char *name) {
    return p->now.kind == OL_T_NAME && ol_str_is(p->now.text, name);
}

bool ol_tparse_skip_op(ol_tparser *p, const char *op) {
    if (!ol_tparse_is_op(p, op)) return false;
    ol_tparse_next(p);
    return true;
}

bool ol_tparse_skip_name(ol_tparser *p, const char *name) {
    if (!ol_tparse_is_name(p, name)) return false;
    ol_tparse_next(p);
    return true;
}

void ol_tparse_expect_op(ol_tparser *p, const char *op) {
    if (!ol_tparse_skip_op(p, op)) ol_tparse_fail(p, "expected '%s', found %s", op, ol_tparse_describe(p));
}

const char *ol_tparse_describe(const ol_tparser *p) {
    static const char *const kinds[] = {"the end of the template", "text", "'{%'", "the end of the block", "'{{'",
                                        "'}}'", "a name", "a string", "an integer", "a number", "an operator"};
    return kinds[p->now.kind];
}

ol_tnode *ol_tparse_node(ol_tparser *p, ol_tnode_kind kind) {
    ol_tnode *n = p->status == OLV_OK ? ol_arena_alloc(p->t->arena, sizeof *n) : NULL;
    if (!n) {
        if (p->status == OLV_OK) p->status = ol_fail(p->err, OLV_NOMEM, "out of memory for a template");
        return &p->scrap;
    }
    n->kind = (uint8_t)kind;
    n->line = p->now.line;
    return n;
}

void ol_tparse_append(ol_tnode *parent, ol_tnode **last, ol_tnode *child) {
    if (*last) (*last)->next = child;
    else parent->list = child;
    *last = child;
    parent->count++;
}

uint32_t ol_tparse_name(ol_tparser *p, ol_str name) {
    struct ol_template *t = p->t;
    uint64_t *known = ol_map_get(&t->name_index, name);
    if (known) return (uint32_t)*known;
    if (t->n_names == t->names_cap) {
        uint32_t cap = t->names_cap ? t->names_cap * 2 : 32;
        const char **names = ol_arena_calloc(t->arena, cap, sizeof *names);
        if (!names) goto oom;
        if (t->n_names) memcpy(names, t->names, t->n_names * sizeof *names);
        t->names = names;
        t->names_cap = cap;
    }
    char *copy = ol_arena_strndup(t->arena, name.ptr, name.len);
    if (!copy || ol_map_put(&t->name_index, (ol_str){copy, name.len}, t->n_names) < 0) goto oom;
    t->names[t->n_names] = copy;
    return t->n_names++;
oom:
    if (p->status == OLV_OK) p->status = ol_fail(p->err, OLV_NOMEM, "out of memory for a template");
    return 0;
}

static ol_tnode *target_name(ol_tparser *p, bool with_attribute) {
    if (p->now.kind != OL_T_NAME) ol_tparse_fail(p, "expected a name to assign to, found %s", ol_tparse_describe(p));
    static const char *const reserved[] = {"true", "false", "none", "True", "False", "None"};
    for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++)
        if (ol_tparse_is_name(p, reserved[i])) ol_tparse_fail(p, "cannot assign to '%s'", reserved[i]);
    ol_tnode *n = ol_tparse_node(p, OL_N_NAME);
    n->name = ol_tparse_name(p, p->now.text);
    ol_tparse_next(p);
    if (with_attribute && ol_tparse_skip_op(p, ".")) {
        ol_tnode *attr = ol_tparse_node(p, OL_N_ATTR);
        if (p->now.kind != OL_T_NAME) ol_tparse_fail(p, "expected a name after '.'");
        attr->a = n;
        attr->value = ol_tstr_ref(p->now.text.ptr, p->now.text.len);
        ol_tparse_next(p);
        return attr;
    }
    return n;
}

ol_tnode *ol_tparse_target(ol_tparser *p, bool with_tuple, bool with_attribute, const char *stop) {
    ol_tnode *tuple = NULL, *last = NULL, *first = NULL;
    if (++p->depth > OL_TPARSE_DEPTH) ol_tparse_fail(p, "targets are nested too deep");
    while (p->status == OLV_OK) {
        ol_tnode *n;
        if (ol_tparse_is_op(p, "(") || ol_tparse_is_op(p, "[")) {
            const char *close = ol_tparse_is_op(p, "(") ? ")" : "]";
            ol_tparse_next(p);
            n = ol_tparse_target(p, true, with_attribute, NULL);
            ol_tparse_expect_op(p, close);
        } else n = target_name(p, with_attribute);
        if (!first) first = n;
        else ol_tparse_append(tuple, &last, n);
        if (!with_tuple || !ol_tparse_skip_op(p, ",")) break;
        if (!tuple) {
            tuple = ol_tparse_node(p, OL_N_TUPLE);
            ol_tparse_append(tuple, &last, first);
        }
        if (ol_tparse_is_op(p, "=") || ol_tparse_is_op(p, ")") || (stop && ol_tparse_is_name(p, stop))) break;
    }
    p->depth--;
    return tuple ? tuple : first ? first : ol_tparse_node(p, OL_N_NAME);
}

static ol_tnode *parse_body(ol_tparser *p, const char *const *ends);

/* Statements up to one of the NULL-terminated names; that name is the present token then. */
static ol_tnode *block_until(ol_tparser *p, const char *const *ends) {
    if (ol_tparse_is_op(p, ":")) ol_tparse_next(p);
    if (p->now.kind != OL_T_BLOCK_END && p->status == OLV_OK)
        ol_tparse_fail(p, "expected the end of the block, found %s", ol_tparse_describe(p));
    ol_tparse_next(p);
    return parse_body(p, ends);
}

static ol_tnode *block_to(ol_tparser *p, const char *end) {
    const char *const ends[] = {end, NULL};
    ol_tnode *n = block_until(p, ends);
    ol_tparse_next(p);
    return n;
}

static ol_tnode *parse_for(ol_tparser *p) {
    static const char *const ends[] = {"endfor", "else", NULL};
    ol_tnode *n = ol_tparse_node(p, OL_N_FOR);
    n->a = ol_tparse_target(p, true, false, "in");
    if (!ol_tparse_skip_name(p, "in")) ol_tparse_fail(p, "expected 'in', found %s", ol_tparse_describe(p));
    n->b = ol_tparse_tuple(p, false, "recursive", false);
    if (ol_tparse_skip_name(p, "if")) n->c = ol_tparse_expression(p, true);
    n->flag = ol_tparse_skip_name(p, "recursive");
    p->loops++;
    n->body = block_until(p, ends);
    p->loops--;
    if (ol_tparse_is_name(p, "else")) {
        ol_tparse_next(p);
        n->other = block_to(p, "endfor");
    } else ol_tparse_next(p);
    return n;
}

static ol_tnode *parse_if(ol_tparser *p) {
    static const char *const ends[] = {"elif", "else", "endif", NULL};
    ol_tnode *top = ol_tparse_node(p, OL_N_IF), *n = top;
    while (p->status == OLV_OK) {
        n->a = ol_tparse_tuple(p, false, NULL, false);
        n->body = block_until(p, ends);
        if (ol_tparse_skip_name(p, "elif")) {
            ol_tnode *e = ol_tparse_node(p, OL_N_IF);
            e->flag = true;
            n->other = e;
            n = e;
            continue;
        }
        if (ol_tparse_skip_name(p, "else")) n->other = block_to(p, "endif");
        else ol_tparse_next(p);
        break;
    }
    return top;
}

static ol_tnode *parse_set(ol_tparser *p) {
    ol_tnode *n = ol_tparse_node(p, OL_N_SET);
    n->a = ol_tparse_target(p, true, true, NULL);
    if (ol_tparse_skip_op(p, "=")) {
        n->b = ol_tparse_tuple(p, true, NULL, false);
        return n;
    }
    n->kind = OL_N_SET_BLOCK;
    n->b = ol_tparse_filters(p, NULL, false);
    n->body = block_to(p, "endset");
    return n;
}

static void parse_signature(ol_tparser *p, ol_tnode *n) {
    ol_tnode *last = NULL;
    bool defaults = false;
    ol_tparse_expect_op(p, "(");
    while (p->status == OLV_OK && !ol_tparse_is_op(p, ")")) {
        if (n->count) ol_tparse_expect_op(p, ",");
        ol_tnode *target = target_name(p, false), *k = ol_tparse_node(p, OL_N_KEYWORD);
        k->name = target->name;
        if (ol_tparse_skip_op(p, "=")) {
            k->a = ol_tparse_expression(p, true);
            defaults = true;
        } else if (defaults) ol_tparse_fail(p, "a parameter without default follows one with a default");
        ol_tparse_append(n, &last, k);
    }
    ol_tparse_expect_op(p, ")");
}

static ol_tnode *parse_macro(ol_tparser *p) {
    ol_tnode *n = ol_tparse_node(p, OL_N_MACRO);
    n->name = target_name(p, false)->name;
    parse_signature(p, n);
    int loops = p->loops;
    p->loops = 0;
    n->body = block_to(p, "endmacro");
    p->loops = loops;
    return n;
}

static ol_tnode *parse_call_block(ol_tparser *p) {
    ol_tnode *n = ol_tparse_node(p, OL_N_CALL_BLOCK);
    if (ol_tparse_is_op(p, "(")) parse_signature(p, n);
    n->a = ol_tparse_expression(p, true);
    if (n->a->kind != OL_N_CALL) ol_tparse_fail(p, "expected a call");
    int loops = p->loops;
    p->loops = 0;
    n->body = block_to(p, "endcall");
    p->loops = loops;
    return n;
}

static ol_tnode *parse_with(ol_tparser *p) {
    ol_tnode *n = ol_tparse_node(p, OL_N_WITH), *last = NULL;
    while (p->status == OLV_OK && p->now.kind != OL_T_BLOCK_END) {
        if (n->count) ol_tparse_expect_op(p, ",");
        ol_tnode *set = ol_tparse_node(p, OL_N_SET);
        set->a = ol_tparse_target(p, false, false, NULL);
        ol_tparse_expect_op(p, "=");
        set->b = ol_tparse_expression(p, true);
        ol_tparse_append(n, &last, set);
    }
    n->body = block_to(p, "endwith");
    return n;
}

static ol_tnode *parse_scope(ol_tparser *p, const char *end) {
    ol_tnode *n = ol_tparse_node(p, OL_N_SCOPE);
    n->body = block_to(p, end);
    return n;
}

static ol_tnode *parse_named_block(ol_tparser *p) {
    ol_tnode *n = ol_tparse_node(p, OL_N_SCOPE);
    ol_tparse_next(p); /* its name */
    while (ol_tparse_skip_name(p, "scoped") || ol_tparse_skip_name(p, "required")) continue;
    static const char *const ends[] = {"endblock", NULL};
    n->body = block_until(p, ends);
    ol_tparse_next(p);
    if (p->now.kind == OL_T_NAME) ol_tparse_next(p);
    return n;
}

static ol_tnode *parse_loop_control(ol_tparser *p, ol_tnode_kind kind, const char *word) {
    if (p->loops == 0) ol_tparse_fail(p, "'%s' outside of a loop", word);
    return ol_tparse_node(p, kind);
}

static ol_tnode *parse_autoescape(ol_tparser *p) {
    ol_tnode *v = ol_tparse_expression(p, true);
    if (v->kind != OL_N_CONST || ol_ttruth(v->value)) ol_tparse_fail(p, "autoescape is not supported");
    return parse_scope(p, "endautoescape");
}

static ol_tnode *parse_filter_block(ol_tparser *p) {
    ol_tnode *n = ol_tparse_node(p, OL_N_FILTER_BLOCK);
    n->a = ol_tparse_filters(p, NULL, true);
    n->body = block_to(p, "endfilter");
    return n;
}

/* The present token is the statement's name. */
static ol_tnode *parse_statement(ol_tparser *p) {
    if (p->now.kind != OL_T_NAME) ol_tparse_fail(p, "expected a statement, found %s", ol_tparse_describe(p));
    ol_str w = p->now.text;
    int line = p->now.line;
    ol_tparse_next(p);
    if (ol_str_is(w, "if")) return parse_if(p);
    if (ol_str_is(w, "for")) return parse_for(p);
    if (ol_str_is(w, "set")) return parse_set(p);
    if (ol_str_is(w, "macro")) return parse_macro(p);
    if (ol_str_is(w, "call")) return parse_call_block(p);
    if (ol_str_is(w, "filter")) return parse_filter_block(p);
    if (ol_str_is(w, "with")) return parse_with(p);
    if (ol_str_is(w, "generation")) return parse_scope(p, "endgeneration");
    if (ol_str_is(w, "block")) return parse_named_block(p);
    if (ol_str_is(w, "autoescape")) return parse_autoescape(p);
    if (ol_str_is(w, "break")) return parse_loop_control(p, OL_N_BREAK, "break");
    if (ol_str_is(w, "continue")) return parse_loop_control(p, OL_N_CONTINUE, "continue");
    if (ol_str_is(w, "print")) {
        ol_tnode *n = ol_tparse_node(p, OL_N_PRINT);
        n->a = ol_tparse_tuple(p, true, NULL, false);
        return n;
    }
    p->now.line = line;
    ol_tparse_fail(p, "unknown statement '%.*s'", (int)(w.len < 60 ? w.len : 60), w.ptr);
    return ol_tparse_node(p, OL_N_TEXT);
}

static bool at_end(const ol_tparser *p, const char *const *ends) {
    for (; ends && *ends; ends++)
        if (ol_tparse_is_name(p, *ends)) return true;
    return false;
}

static ol_tnode *parse_item(ol_tparser *p) {
    ol_tnode *n;
    if (p->now.kind == OL_T_TEXT) {
        n = ol_tparse_node(p, OL_N_TEXT);
        n->value = ol_tstr_ref(p->now.text.ptr, p->now.text.len);
        ol_tparse_next(p);
        return n;
    }
    ol_tparse_next(p); /* {{ */
    n = ol_tparse_node(p, OL_N_PRINT);
    n->a = ol_tparse_tuple(p, true, NULL, false);
    if (p->now.kind != OL_T_VAR_END) ol_tparse_fail(p, "expected '}}', found %s", ol_tparse_describe(p));
    ol_tparse_next(p);
    return n;
}

static ol_tnode *parse_body(ol_tparser *p, const char *const *ends) {
    ol_tnode head = {0}, *last = NULL;
    if (++p->depth > OL_TPARSE_DEPTH) ol_tparse_fail(p, "blocks are nested deeper than %d", (int)OL_TPARSE_DEPTH);
    while (p->status == OLV_OK) {
        if (p->now.kind == OL_T_EOF) {
            if (ends) ol_tparse_fail(p, "the template ends where '%s' is expected", *ends);
            break;
        }
        if (p->now.kind != OL_T_BLOCK_BEGIN) {
            ol_tparse_append(&head, &last, parse_item(p));
            continue;
        }
        ol_tparse_next(p);
        if (at_end(p, ends)) break;
        ol_tparse_append(&head, &last, parse_statement(p));
        if (p->now.kind != OL_T_BLOCK_END)
            ol_tparse_fail(p, "expected the end of the block, found %s", ol_tparse_describe(p));
        ol_tparse_next(p);
    }
    p->depth--;
    return head.list;
}

olv_status ol_tparse(struct ol_template *t, const char *source, size_t len, olv_error *err) {
    ol_tparser p = {.t = t, .err = err};
    OL_TRY(ol_tlex_init(&p.lex, t->arena, source, len, err));
    ol_tparse_next(&p);
    t->root = parse_body(&p, NULL);
    return p.status;
}
