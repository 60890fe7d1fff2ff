/* SPDX-License-Identifier: Apache-2.0 */
/* The evaluator: scopes, calls, attributes, expressions, statements. */
#ifndef OL_TEXT_TEMPLATE_CALL_H
#define OL_TEXT_TEMPLATE_CALL_H

#include "text/template/ast.h"

typedef struct ol_targs {
    ol_tseq *pos;
    ol_tdict *kw; /* keys are strings */
} ol_targs;

/* A scope: names are indices into the template's table. The outermost holds every name of the template. */
typedef struct ol_tenv {
    struct ol_tenv *parent;
    uint32_t *names;
    ol_tv *values;
    uint32_t n, cap;
    bool captured; /* a macro was made here: the scope outlives its block */
} ol_tenv;

typedef struct ol_tmacro {
    const ol_tnode *node; /* OL_N_MACRO or OL_N_CALL_BLOCK */
    ol_tenv *env;
    const char *name;
} ol_tmacro;

typedef struct ol_tloop {
    const ol_tseq *items;
    uint32_t index; /* from 0 */
    int depth0;
    const ol_tnode *node; /* for recursion; NULL when not recursive */
    ol_tenv *env;         /* scope around the loop */
    ol_tv last_changed;
    bool has_changed;
} ol_tloop;

const char *ol_tmacro_name(const ol_tmacro *m);
void ol_tput_loop(ol_buf *b, const ol_tloop *l);

ol_tenv *ol_tenv_push(ol_trun *r);
void ol_tenv_set(ol_trun *r, ol_tenv *env, uint32_t name, ol_tv v);
ol_tv ol_tenv_get(ol_trun *r, uint32_t name);

/* Value of a global function by name; false if there is none. */
bool ol_tglobal_find(const char *name, ol_tv *out);
ol_tv ol_tglobal_call(ol_trun *r, uint8_t index, const ol_targs *args);

ol_tv ol_teval(ol_trun *r, const ol_tnode *n);
ol_targs ol_teval_args(ol_trun *r, const ol_tnode *call);
ol_tv ol_tbinary(ol_trun *r, ol_top op, ol_tv a, ol_tv b);
void ol_texec(ol_trun *r, const ol_tnode *chain);
void ol_temit(ol_trun *r, ol_tv v);
/* Applies the filters of a block (innermost `a` is NULL) to text. */
ol_tv ol_tapply_chain(ol_trun *r, const ol_tnode *chain, ol_tv text);
/* Runs `chain` with its output caught as a string. */
ol_tv ol_tcapture(ol_trun *r, const ol_tnode *chain);

ol_tv ol_tget_attr(ol_trun *r, ol_tv v, ol_str name);
ol_tv ol_tget_item(ol_trun *r, ol_tv v, ol_tv key);
ol_tv ol_tcall(ol_trun *r, ol_tv callee, const ol_targs *args);
/* Runs a recursive loop over another iterable and gives its text. */
ol_tv ol_tloop_recurse(ol_trun *r, const ol_tloop *loop, ol_tv items);

#endif
