/* SPDX-License-Identifier: Apache-2.0 */
/* Expressions. Precedence, loosest first: if-else, or, and, not, comparisons, + -, ~, * / // %, unary, **. */
#include "text/template/filters.h"
#include "text/template/parse.h"

static bool enter(ol_tparser *p) {
    if (p->depth >= OL_TPARSE_DEPTH) {
        ol_tparse_fail(p, "expressions and blocks are nested deeper than %d", (int)OL_TPARSE_DEPTH);
        return false;
    }
    p->depth++;
    return true;
}

static ol_tnode *constant(ol_tparser *p, ol_tv v) {
    ol_tnode *n = ol_tparse_node(p, OL_N_CONST);
    n->value = v;
    return n;
}

static ol_tnode *pair(ol_tparser *p, ol_tnode_kind kind, ol_tnode *a, ol_tnode *b) {
    ol_tnode *n = ol_tparse_node(p, kind);
    n->a = a;
    n->b = b;
    return n;
}

static ol_tnode *parse_list(ol_tparser *p) {
    ol_tnode *n = ol_tparse_node(p, OL_N_LIST), *last = NULL;
    ol_tparse_expect_op(p, "[");
    while (p->status == OLV_OK && !ol_tparse_is_op(p, "]")) {
        if (n->count) ol_tparse_expect_op(p, ",");
        if (ol_tparse_is_op(p, "]")) break;
        ol_tparse_append(n, &last, ol_tparse_expression(p, true));
    }
    ol_tparse_expect_op(p, "]");
    return n;
}

static ol_tnode *parse_dict(ol_tparser *p) {
    ol_tnode *n = ol_tparse_node(p, OL_N_DICT), *last = NULL;
    ol_tparse_expect_op(p, "{");
    while (p->status == OLV_OK && !ol_tparse_is_op(p, "}")) {
        if (n->count) ol_tparse_expect_op(p, ",");
        if (ol_tparse_is_op(p, "}")) break;
        ol_tnode *key = ol_tparse_expression(p, true);
        ol_tparse_expect_op(p, ":");
        ol_tparse_append(n, &last, pair(p, OL_N_PAIR, key, ol_tparse_expression(p, true)));
    }
    ol_tparse_expect_op(p, "}");
    return n;
}

static ol_tnode *parse_strings(ol_tparser *p) {
    ol_tnode *n = constant(p, ol_tstr_ref(p->now.text.ptr, p->now.text.len));
    ol_tparse_next(p);
    while (p->status == OLV_OK && p->now.kind == OL_T_STRING) {
        size_t len = n->value.len + p->now.text.len;
        char *both = ol_arena_alloc(p->t->arena, len + 1);
        if (!both) {
            ol_tparse_fail(p, "out of memory");
            return n;
        }
        memcpy(both, n->value.s, n->value.len);
        memcpy(both + n->value.len, p->now.text.ptr, p->now.text.len);
        n->value = ol_tstr_ref(both, len);
        ol_tparse_next(p);
    }
    return n;
}

static ol_tnode *parse_word(ol_tparser *p) {
    ol_str w = p->now.text;
    ol_tnode *n;
    if (ol_str_is(w, "true") || ol_str_is(w, "True")) n = constant(p, ol_tbool(true));
    else if (ol_str_is(w, "false") || ol_str_is(w, "False")) n = constant(p, ol_tbool(false));
    else if (ol_str_is(w, "none") || ol_str_is(w, "None")) n = constant(p, ol_tnone());
    else {
        n = ol_tparse_node(p, OL_N_NAME);
        n->name = ol_tparse_name(p, w);
    }
    ol_tparse_next(p);
    return n;
}

static ol_tnode *parse_primary(ol_tparser *p) {
    ol_tnode *n;
    switch (p->now.kind) {
    case OL_T_NAME: return parse_word(p);
    case OL_T_STRING: return parse_strings(p);
    case OL_T_INT:
    case OL_T_FLOAT:
        n = constant(p, p->now.kind == OL_T_INT ? ol_tint(p->now.i) : ol_tfloat(p->now.f));
        ol_tparse_next(p);
        return n;
    default: break;
    }
    if (ol_tparse_skip_op(p, "(")) {
        n = ol_tparse_tuple(p, true, NULL, true);
        ol_tparse_expect_op(p, ")");
        return n;
    }
    if (ol_tparse_is_op(p, "[")) return parse_list(p);
    if (ol_tparse_is_op(p, "{")) return parse_dict(p);
    ol_tparse_fail(p, "unexpected %s where a value should stand", ol_tparse_describe(p));
    return constant(p, ol_tnone());
}

static bool slice_part_ends(const ol_tparser *p) {
    return ol_tparse_is_op(p, "]") || ol_tparse_is_op(p, ",") || ol_tparse_is_op(p, ":");
}

/* What stands in brackets: an expression or a slice; slices carry their parts in b, c, d. */
static ol_tnode *parse_index(ol_tparser *p, ol_tnode *a) {
    ol_tnode *first = NULL;
    if (!ol_tparse_is_op(p, ":")) {
        first = ol_tparse_expression(p, true);
        if (!ol_tparse_is_op(p, ":")) return pair(p, OL_N_ITEM, a, first);
    }
    ol_tparse_expect_op(p, ":");
    ol_tnode *n = pair(p, OL_N_SLICE, a, first);
    if (!slice_part_ends(p)) n->c = ol_tparse_expression(p, true);
    if (ol_tparse_skip_op(p, ":") && !slice_part_ends(p)) n->d = ol_tparse_expression(p, true);
    return n;
}

static ol_tnode *parse_subscript(ol_tparser *p, ol_tnode *a) {
    if (ol_tparse_skip_op(p, ".")) {
        ol_tnode *n;
        if (p->now.kind == OL_T_NAME) {
            n = pair(p, OL_N_ATTR, a, NULL);
            n->value = ol_tstr_ref(p->now.text.ptr, p->now.text.len);
        } else if (p->now.kind == OL_T_INT) {
            n = pair(p, OL_N_ITEM, a, constant(p, ol_tint(p->now.i)));
        } else {
            ol_tparse_fail(p, "expected a name after '.', found %s", ol_tparse_describe(p));
            return a;
        }
        ol_tparse_next(p);
        return n;
    }
    ol_tparse_expect_op(p, "[");
    ol_tnode *n = parse_index(p, a);
    if (ol_tparse_is_op(p, ",")) { /* x[a, b] is x[(a, b)] */
        ol_tnode *tuple = ol_tparse_node(p, OL_N_TUPLE), *last = NULL;
        if (n->kind == OL_N_SLICE) ol_tparse_fail(p, "slices in tuples are not supported");
        ol_tparse_append(tuple, &last, n->b);
        while (ol_tparse_skip_op(p, ",")) ol_tparse_append(tuple, &last, ol_tparse_expression(p, true));
        n->b = tuple;
    }
    ol_tparse_expect_op(p, "]");
    return n;
}

static void parse_argument(ol_tparser *p, ol_tnode *call, ol_tnode **last, ol_tnode **last_keyword) {
    if (ol_tparse_skip_op(p, "*")) {
        if (call->star || call->star2) ol_tparse_fail(p, "invalid order of call arguments");
        call->star = ol_tparse_expression(p, true);
        return;
    }
    if (ol_tparse_skip_op(p, "**")) {
        if (call->star2) ol_tparse_fail(p, "invalid order of call arguments");
        call->star2 = ol_tparse_expression(p, true);
        return;
    }
    ol_tnode *e = ol_tparse_expression(p, true);
    if (e->kind == OL_N_NAME && ol_tparse_is_op(p, "=")) {
        ol_tparse_next(p);
        ol_tnode *k = ol_tparse_node(p, OL_N_KEYWORD);
        k->name = e->name;
        k->a = ol_tparse_expression(p, true);
        if (*last_keyword) (*last_keyword)->next = k;
        else call->keywords = k;
        *last_keyword = k;
        return;
    }
    if (*last_keyword || call->star || call->star2) ol_tparse_fail(p, "invalid order of call arguments");
    ol_tparse_append(call, last, e);
}

static void parse_arguments(ol_tparser *p, ol_tnode *call) {
    ol_tnode *last = NULL, *last_keyword = NULL;
    bool comma = false;
    ol_tparse_expect_op(p, "(");
    while (p->status == OLV_OK && !ol_tparse_is_op(p, ")")) {
        if (comma) {
            ol_tparse_expect_op(p, ",");
            if (ol_tparse_is_op(p, ")")) break;
        }
        parse_argument(p, call, &last, &last_keyword);
        comma = true;
    }
    ol_tparse_expect_op(p, ")");
}

static ol_tnode *parse_call(ol_tparser *p, ol_tnode *a) {
    ol_tnode *n = pair(p, OL_N_CALL, a, NULL);
    parse_arguments(p, n);
    return n;
}

/* Chains like a.b.c are loops here but deep trees for the evaluator: they count towards the nesting bound. */
static ol_tnode *parse_postfix(ol_tparser *p, ol_tnode *n) {
    for (int links = 0; p->status == OLV_OK; links++) {
        if (links > OL_TPARSE_DEPTH) ol_tparse_fail(p, "a chain of more than %d parts", (int)OL_TPARSE_DEPTH);
        if (ol_tparse_is_op(p, ".") || ol_tparse_is_op(p, "[")) n = parse_subscript(p, n);
        else if (ol_tparse_is_op(p, "(")) n = parse_call(p, n);
        else break;
    }
    return n;
}

/* Dotted name, kept as text for the message when it is unknown. */
static ol_str dotted_name(ol_tparser *p) {
    ol_str w = p->now.text;
    if (p->now.kind != OL_T_NAME) ol_tparse_fail(p, "expected a name, found %s", ol_tparse_describe(p));
    ol_tparse_next(p);
    while (p->status == OLV_OK && ol_tparse_skip_op(p, ".")) {
        if (p->now.kind != OL_T_NAME) {
            ol_tparse_fail(p, "expected a name after '.'");
            return w;
        }
        w.len = (size_t)(p->now.text.ptr + p->now.text.len - w.ptr);
        ol_tparse_next(p);
    }
    return w;
}

ol_tnode *ol_tparse_filters(ol_tparser *p, ol_tnode *node, bool first_without_bar) {
    int links = 0;
    while (p->status == OLV_OK && (ol_tparse_is_op(p, "|") || first_without_bar)) {
        if (++links > OL_TPARSE_DEPTH) ol_tparse_fail(p, "more than %d filters in a row", (int)OL_TPARSE_DEPTH);
        if (!first_without_bar) ol_tparse_next(p);
        first_without_bar = false;
        ol_tnode *n = pair(p, OL_N_FILTER, node, NULL);
        ol_str w = dotted_name(p);
        n->id = ol_tfilter_find(w);
        n->value = ol_tstr_ref(w.ptr, w.len);
        if (ol_tparse_is_op(p, "(")) parse_arguments(p, n);
        node = n;
    }
    return node;
}

static bool test_argument_follows(const ol_tparser *p) {
    switch (p->now.kind) {
    case OL_T_NAME:
        return !ol_tparse_is_name(p, "else") && !ol_tparse_is_name(p, "or") && !ol_tparse_is_name(p, "and");
    case OL_T_STRING:
    case OL_T_INT:
    case OL_T_FLOAT: return true;
    default: return ol_tparse_is_op(p, "[") || ol_tparse_is_op(p, "{");
    }
}

static ol_tnode *parse_test(ol_tparser *p, ol_tnode *a) {
    ol_tparse_next(p); /* is */
    bool negated = ol_tparse_skip_name(p, "not");
    ol_tnode *n = pair(p, OL_N_TEST, a, NULL), *last = NULL;
    ol_str w = dotted_name(p);
    n->id = ol_ttest_find(w);
    n->value = ol_tstr_ref(w.ptr, w.len);
    if (ol_tparse_is_op(p, "(")) parse_arguments(p, n);
    else if (test_argument_follows(p)) {
        if (ol_tparse_is_name(p, "is")) ol_tparse_fail(p, "tests with 'is' cannot be chained");
        ol_tparse_append(n, &last, parse_postfix(p, parse_primary(p)));
    }
    return negated ? pair(p, OL_N_NOT, n, NULL) : n;
}

static ol_tnode *parse_filter_expr(ol_tparser *p, ol_tnode *n) {
    for (int links = 0; p->status == OLV_OK; links++) {
        if (links > OL_TPARSE_DEPTH) ol_tparse_fail(p, "a chain of more than %d parts", (int)OL_TPARSE_DEPTH);
        if (ol_tparse_is_op(p, "|")) n = ol_tparse_filters(p, n, false);
        else if (ol_tparse_is_name(p, "is")) n = parse_test(p, n);
        else if (ol_tparse_is_op(p, "(")) n = parse_call(p, n);
        else break;
    }
    return n;
}

ol_tnode *ol_tparse_unary(ol_tparser *p, bool with_filter) {
    ol_tnode *n;
    if (!enter(p)) return constant(p, ol_tnone());
    if (ol_tparse_skip_op(p, "-")) n = pair(p, OL_N_NEG, ol_tparse_unary(p, false), NULL);
    else if (ol_tparse_skip_op(p, "+")) n = pair(p, OL_N_POS, ol_tparse_unary(p, false), NULL);
    else n = parse_primary(p);
    n = parse_postfix(p, n);
    if (with_filter) n = parse_filter_expr(p, n);
    p->depth--;
    return n;
}

static ol_tnode *binary(ol_tparser *p, ol_top op, ol_tnode *a, ol_tnode *b) {
    ol_tnode *n = pair(p, OL_N_BINARY, a, b);
    n->op = (uint8_t)op;
    return n;
}

static ol_tnode *parse_power(ol_tparser *p) {
    ol_tnode *n = ol_tparse_unary(p, true);
    for (int links = 0; ol_tparse_skip_op(p, "**"); links++) {
        if (links > OL_TPARSE_DEPTH) ol_tparse_fail(p, "too many operators in a row");
        n = binary(p, OL_OP_POW, n, ol_tparse_unary(p, true));
    }
    return n;
}

static ol_tnode *parse_product(ol_tparser *p) {
    ol_tnode *n = parse_power(p);
    for (int links = 0; p->status == OLV_OK; links++) {
        if (links > OL_TPARSE_DEPTH) ol_tparse_fail(p, "too many operators in a row");
        if (ol_tparse_skip_op(p, "*")) n = binary(p, OL_OP_MUL, n, parse_power(p));
        else if (ol_tparse_skip_op(p, "/")) n = binary(p, OL_OP_DIV, n, parse_power(p));
        else if (ol_tparse_skip_op(p, "//")) n = binary(p, OL_OP_FLOORDIV, n, parse_power(p));
        else if (ol_tparse_skip_op(p, "%")) n = binary(p, OL_OP_MOD, n, parse_power(p));
        else break;
    }
    return n;
}

static ol_tnode *parse_concat(ol_tparser *p) {
    ol_tnode *first = parse_product(p);
    if (!ol_tparse_is_op(p, "~")) return first;
    ol_tnode *n = ol_tparse_node(p, OL_N_CONCAT), *last = NULL;
    ol_tparse_append(n, &last, first);
    while (ol_tparse_skip_op(p, "~")) ol_tparse_append(n, &last, parse_product(p));
    return n;
}

static ol_tnode *parse_sum(ol_tparser *p) {
    ol_tnode *n = parse_concat(p);
    for (int links = 0; p->status == OLV_OK; links++) {
        if (links > OL_TPARSE_DEPTH) ol_tparse_fail(p, "too many operators in a row");
        if (ol_tparse_skip_op(p, "+")) n = binary(p, OL_OP_ADD, n, parse_concat(p));
        else if (ol_tparse_skip_op(p, "-")) n = binary(p, OL_OP_SUB, n, parse_concat(p));
        else break;
    }
    return n;
}

static bool compare_operator(ol_tparser *p, ol_top *op) {
    static const struct {
        const char *text;
        ol_top op;
    } ops[] = {{"==", OL_OP_EQ}, {"!=", OL_OP_NE}, {"<", OL_OP_LT}, {"<=", OL_OP_LE}, {">", OL_OP_GT}, {">=", OL_OP_GE}};
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
        if (ol_tparse_skip_op(p, ops[i].text)) {
            *op = ops[i].op;
            return true;
        }
    if (ol_tparse_skip_name(p, "in")) {
        *op = OL_OP_IN;
        return true;
    }
    if (ol_tparse_is_name(p, "not")) {
        if (!p->has_ahead && p->status == OLV_OK) {
            olv_status st = ol_tlex_next(&p->lex, &p->ahead);
            if (st != OLV_OK) {
                p->status = st;
                return false;
            }
            p->has_ahead = true;
        }
        if (p->ahead.kind == OL_T_NAME && ol_str_is(p->ahead.text, "in")) {
            ol_tparse_next(p);
            ol_tparse_next(p);
            *op = OL_OP_NOT_IN;
            return true;
        }
    }
    return false;
}

static ol_tnode *parse_compare(ol_tparser *p) {
    ol_tnode *first = parse_sum(p), *n = NULL, *last = NULL;
    ol_top op;
    while (p->status == OLV_OK && compare_operator(p, &op)) {
        if (!n) n = pair(p, OL_N_COMPARE, first, NULL);
        ol_tnode *o = pair(p, OL_N_OPERAND, parse_sum(p), NULL);
        o->op = (uint8_t)op;
        ol_tparse_append(n, &last, o);
    }
    return n ? n : first;
}

static ol_tnode *parse_not(ol_tparser *p) {
    if (!ol_tparse_is_name(p, "not")) return parse_compare(p);
    if (!enter(p)) return constant(p, ol_tnone());
    ol_tparse_next(p);
    ol_tnode *n = pair(p, OL_N_NOT, parse_not(p), NULL);
    p->depth--;
    return n;
}

static ol_tnode *parse_and(ol_tparser *p) {
    ol_tnode *n = parse_not(p);
    for (int links = 0; ol_tparse_skip_name(p, "and"); links++) {
        if (links > OL_TPARSE_DEPTH) ol_tparse_fail(p, "too many operators in a row");
        n = pair(p, OL_N_AND, n, parse_not(p));
    }
    return n;
}

static ol_tnode *parse_or(ol_tparser *p) {
    ol_tnode *n = parse_and(p);
    for (int links = 0; ol_tparse_skip_name(p, "or"); links++) {
        if (links > OL_TPARSE_DEPTH) ol_tparse_fail(p, "too many operators in a row");
        n = pair(p, OL_N_OR, n, parse_and(p));
    }
    return n;
}

ol_tnode *ol_tparse_expression(ol_tparser *p, bool with_if) {
    if (!enter(p)) return constant(p, ol_tnone());
    ol_tnode *n = parse_or(p);
    for (int links = 0; with_if && ol_tparse_skip_name(p, "if"); links++) {
        if (links > OL_TPARSE_DEPTH) ol_tparse_fail(p, "too many conditions in a row");
        ol_tnode *e = pair(p, OL_N_IF_EXPR, n, parse_or(p));
        if (ol_tparse_skip_name(p, "else")) e->c = ol_tparse_expression(p, true);
        n = e;
    }
    p->depth--;
    return n;
}

static bool tuple_ends(const ol_tparser *p, const char *stop) {
    return p->now.kind == OL_T_BLOCK_END || p->now.kind == OL_T_VAR_END || p->now.kind == OL_T_EOF ||
           ol_tparse_is_op(p, ")") || (stop && ol_tparse_is_name(p, stop));
}

ol_tnode *ol_tparse_tuple(ol_tparser *p, bool with_if, const char *stop, bool in_parentheses) {
    ol_tnode *items = NULL, *first = NULL, *last = NULL;
    for (bool more = true; more && p->status == OLV_OK;) {
        if (tuple_ends(p, stop)) break;
        ol_tnode *e = ol_tparse_expression(p, with_if);
        if (!first) first = e;
        else {
            if (!items) {
                items = ol_tparse_node(p, OL_N_TUPLE);
                ol_tparse_append(items, &last, first);
            }
            ol_tparse_append(items, &last, e);
        }
        more = ol_tparse_skip_op(p, ",");
        if (more && !items) {
            items = ol_tparse_node(p, OL_N_TUPLE);
            ol_tparse_append(items, &last, first);
        }
    }
    if (items) return items;
    if (first) return first;
    if (!in_parentheses) ol_tparse_fail(p, "expected an expression, found %s", ol_tparse_describe(p));
    return ol_tparse_node(p, OL_N_TUPLE);
}
