/* SPDX-License-Identifier: Apache-2.0 */
/* What the front ends build: expressions over code points and rules, in one arena. */
#ifndef OL_TEXT_GRAMMAR_EXPR_H
#define OL_TEXT_GRAMMAR_EXPR_H

#include "base/arena.h"
#include "base/error.h"
#include "base/map.h"
#include "base/str.h"
#include "text/grammar/grammar.h"

typedef enum ol_gexpr_kind {
    OL_G_EMPTY,
    OL_G_FAIL, /* matches nothing */
    OL_G_TEXT, /* bytes */
    OL_G_CLASS, /* one code point of the ranges */
    OL_G_SEQ,
    OL_G_ALT,
    OL_G_REPEAT, /* a, min to max times; max -1: no bound */
    OL_G_RULE
} ol_gexpr_kind;

typedef struct ol_grange {
    int32_t lo, hi;
} ol_grange;

typedef struct ol_gexpr {
    ol_gexpr_kind kind;
    ol_str text;
    ol_grange *ranges; /* sorted, disjoint */
    int n_ranges;
    struct ol_gexpr *a, *b; /* sequences and alternatives are lists: a, then b (NULL at the end) */
    int64_t min, max;
    uint32_t rule;
} ol_gexpr;

typedef struct ol_gbuilder {
    ol_arena *arena;
    ol_gexpr **rules;   /* body of each; NULL while undefined */
    const char **names; /* for messages */
    uint32_t n_rules, rules_cap;
    ol_map by_name;
    int depth;
    olv_status status; /* latched */
    olv_error *err;
} ol_gbuilder;

enum { OL_GDEPTH_MAX = 200, OL_GRULES_MAX = 100000 };

OLV_MUST_USE olv_status ol_gbuilder_init(ol_gbuilder *b, olv_error *err);
void ol_gbuilder_deinit(ol_gbuilder *b);
/* Records the first failure; gives an expression that matches nothing. */
ol_gexpr *ol_gfail(ol_gbuilder *b, olv_status status, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Never NULL. */
ol_gexpr *ol_gexpr_new(ol_gbuilder *b, ol_gexpr_kind kind);
ol_gexpr *ol_gtext(ol_gbuilder *b, const char *p, size_t n); /* copied */
ol_gexpr *ol_gtext_z(ol_gbuilder *b, const char *z);
ol_gexpr *ol_gseq(ol_gbuilder *b, ol_gexpr *x, ol_gexpr *y);
ol_gexpr *ol_galt(ol_gbuilder *b, ol_gexpr *x, ol_gexpr *y);
ol_gexpr *ol_grepeat(ol_gbuilder *b, ol_gexpr *x, int64_t min, int64_t max);
ol_gexpr *ol_goptional(ol_gbuilder *b, ol_gexpr *x);
/* Sorts, merges, copies; inverted: all other code points (surrogates never). */
ol_gexpr *ol_gclass(ol_gbuilder *b, ol_grange *ranges, int n, bool inverted);
/* The same class as it stands inside a JSON string: what must be escaped is escaped. */
ol_gexpr *ol_gclass_json(ol_gbuilder *b, const ol_gexpr *cls);
ol_gexpr *ol_gclass_of(ol_gbuilder *b, const char *ranges); /* pairs of ASCII: "azAZ09" */
/* Index of the rule of that name, made when new; a NULL name makes one without. */
uint32_t ol_grule(ol_gbuilder *b, const char *name, size_t len);
ol_gexpr *ol_grule_ref(ol_gbuilder *b, uint32_t rule);
/* Makes x a rule of its own and refers to it. */
ol_gexpr *ol_grule_of(ol_gbuilder *b, ol_gexpr *x);

/* A regular expression that must match as a whole; json: as it stands inside a JSON string, where it
 * matches anywhere unless anchored. */
ol_gexpr *ol_gregex(ol_gbuilder *b, const char *p, size_t n, bool json);
/* Turns the rules into a network; checks that finite texts exist and nothing recurs to the left. */
OLV_MUST_USE olv_status ol_gcompile(ol_gbuilder *b, uint32_t root, ol_grammar **out, olv_error *err);

#endif
