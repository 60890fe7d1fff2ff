/* SPDX-License-Identifier: Apache-2.0 */
/* Recursive descent over the tokens, shared by expressions and statements. */
#ifndef OL_TEXT_TEMPLATE_PARSE_H
#define OL_TEXT_TEMPLATE_PARSE_H

#include "text/template/ast.h"
#include "text/template/lex.h"

typedef struct ol_tparser {
    struct ol_template *t;
    ol_tlexer lex;
    ol_ttoken now, ahead;
    bool has_ahead;
    int depth, loops;
    olv_status status; /* latched; after a failure every token is the end */
    olv_error *err;
    ol_tnode scrap; /* handed out after a failure; nobody reads the tree then */
} ol_tparser;

enum { OL_TPARSE_DEPTH = 200 };

void ol_tparse_fail(ol_tparser *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void ol_tparse_next(ol_tparser *p);
bool ol_tparse_is_op(const ol_tparser *p, const char *op);
bool ol_tparse_is_name(const ol_tparser *p, const char *name);
bool ol_tparse_skip_op(ol_tparser *p, const char *op);
bool ol_tparse_skip_name(ol_tparser *p, const char *name);
void ol_tparse_expect_op(ol_tparser *p, const char *op);
/* Never NULL (after a failure a throw-away node). */
ol_tnode *ol_tparse_node(ol_tparser *p, ol_tnode_kind kind);
void ol_tparse_append(ol_tnode *parent, ol_tnode **last, ol_tnode *child);
uint32_t ol_tparse_name(ol_tparser *p, ol_str name);
const char *ol_tparse_describe(const ol_tparser *p);

ol_tnode *ol_tparse_expression(ol_tparser *p, bool with_if);
/* One expression, or a tuple when commas follow. stop: a name that ends it (may be NULL). */
ol_tnode *ol_tparse_tuple(ol_tparser *p, bool with_if, const char *stop, bool in_parentheses);
/* "f(x) | g": filters applied to `node` (NULL in filter blocks, without the leading bar when first). */
ol_tnode *ol_tparse_filters(ol_tparser *p, ol_tnode *node, bool first_without_bar);
ol_tnode *ol_tparse_unary(ol_tparser *p, bool with_filter);
/* Names of a target: name, tuple, or with attributes (namespace.name) where allowed. */
ol_tnode *ol_tparse_target(ol_tparser *p, bool with_tuple, bool with_attribute, const char *stop);

#endif
