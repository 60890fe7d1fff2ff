/* SPDX-License-Identifier: Apache-2.0 */
/* The parsed template: a tree in one arena, immutable once parsed. */
#ifndef OL_TEXT_TEMPLATE_AST_H
#define OL_TEXT_TEMPLATE_AST_H

#include "base/map.h"
#include "text/template/value.h"

typedef enum ol_tnode_kind {
    /* expressions */
    OL_N_CONST,
    OL_N_NAME,    /* name */
    OL_N_LIST,    /* list */
    OL_N_TUPLE,   /* list */
    OL_N_DICT,    /* list: key in a, value in b of OL_N_PAIR */
    OL_N_PAIR,
    OL_N_ATTR,    /* a . value(string) */
    OL_N_ITEM,    /* a [ b ] */
    OL_N_SLICE,   /* a [ b : c : d ], parts may be NULL */
    OL_N_CALL,    /* a ( args ) */
    OL_N_FILTER,  /* a | id ( args ); a NULL in filter blocks */
    OL_N_TEST,    /* a is id ( args ) */
    OL_N_NEG,
    OL_N_POS,
    OL_N_NOT,
    OL_N_AND,
    OL_N_OR,
    OL_N_BINARY,  /* a op b */
    OL_N_COMPARE, /* a, then list of OL_N_OPERAND (op, a) */
    OL_N_OPERAND,
    OL_N_CONCAT,  /* list */
    OL_N_IF_EXPR, /* a if b else c (c may be NULL) */
    OL_N_KEYWORD, /* name = a, in calls */
    /* statements */
    OL_N_TEXT,      /* value */
    OL_N_PRINT,     /* a */
    OL_N_FOR,       /* a target, b iterable, c condition, body, other; flag: recursive */
    OL_N_IF,        /* a condition, body, other */
    OL_N_SET,       /* a target, b value */
    OL_N_SET_BLOCK, /* a target, b filter chain or NULL, body */
    OL_N_MACRO,     /* name, list of parameters (OL_N_KEYWORD; a: default or NULL), body */
    OL_N_CALL_BLOCK, /* a call, list of parameters, body */
    OL_N_FILTER_BLOCK, /* a filter chain, body */
    OL_N_WITH,      /* list of OL_N_SET, body */
    OL_N_SCOPE,     /* body in a scope of its own */
    OL_N_BREAK,
    OL_N_CONTINUE
} ol_tnode_kind;

typedef enum ol_top {
    OL_OP_ADD, OL_OP_SUB, OL_OP_MUL, OL_OP_DIV, OL_OP_FLOORDIV, OL_OP_MOD, OL_OP_POW,
    OL_OP_EQ, OL_OP_NE, OL_OP_LT, OL_OP_LE, OL_OP_GT, OL_OP_GE, OL_OP_IN, OL_OP_NOT_IN
} ol_top;

typedef struct ol_tnode {
    uint8_t kind, op;
    bool flag;
    uint16_t id;   /* filter or test */
    uint32_t name; /* index into names */
    uint32_t count; /* of list */
    int line;
    ol_tv value;
    struct ol_tnode *a, *b, *c, *d;
    struct ol_tnode *list;      /* children, by next */
    struct ol_tnode *keywords;  /* of calls, filters, tests */
    struct ol_tnode *star, *star2; /* *args, **kwargs */
    struct ol_tnode *body, *other;
    struct ol_tnode *next;
} ol_tnode;

struct ol_template {
    ol_arena *arena;
    ol_tnode *root; /* chain of statements */
    const char **names;
    uint32_t n_names, names_cap;
    ol_map name_index;
};

typedef struct ol_template ol_template_tree;

/* Parses source (NUL-free UTF-8) into t (arena created, names initialised). */
OLV_MUST_USE olv_status ol_tparse(struct ol_template *t, const char *source, size_t len, olv_error *err);

#endif
