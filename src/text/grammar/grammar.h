/* SPDX-License-Identifier: Apache-2.0 */
/* Constrained decoding: which tokens may come next so that the whole text matches a grammar.
 *
 * A grammar comes from a regular expression, an EBNF text or a JSON schema. It is compiled to a network of byte ranges
 * and rule calls (a pushdown automaton). A matcher follows it: sets of (place, stack), made deterministic lazily, with
 * token masks cached: per place inside a rule (shared by all stacks), with the few tokens that leave the rule checked
 * against the stack at hand.
 *
 *     ol_grammar_compile_json_schema(text, len, &g, &err);
 *     ol_grammar_vocab_create(n, token_bytes, ctx, eos, n_eos, &v, &err);    // once per tokenizer
 *     ol_grammar_matcher_create(g, v, &m, &err);
 *     loop: ol_grammar_mask(m, bits, &err); choose; ol_grammar_accept(m, bytes, len, &err);
 *
 * Grammars and vocabularies are immutable and shareable between threads; a matcher belongs to one thread at a time. */
#ifndef OL_TEXT_GRAMMAR_GRAMMAR_H
#define OL_TEXT_GRAMMAR_GRAMMAR_H

#include <olivine/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ol_grammar ol_grammar;
typedef struct ol_grammar_vocab ol_grammar_vocab;
typedef struct ol_grammar_matcher ol_grammar_matcher;

/* The whole text must match. Unicode code points; no look-around and no back-references (OLV_UNSUPPORTED). */
OLV_MUST_USE olv_status ol_grammar_compile_regex(const char *text, size_t len, ol_grammar **out, olv_error *err);
/* "name ::= ..." lines; rule `root`; "text", [classes], ( ), |, *, +, ?, {m,n}, `.`, comments after #. Left recursion
 * is refused. */
OLV_MUST_USE olv_status ol_grammar_compile_ebnf(const char *text, size_t len, ol_grammar **out, olv_error *err);
/* Texts valid under the schema, with the properties of objects in the schema's order, little white space, and
 * additional properties only where the schema asks for them. A keyword that cannot be kept is OLV_UNSUPPORTED (never
 * ignored); a schema without finite valid text is OLV_ARG. */
OLV_MUST_USE olv_status ol_grammar_compile_json_schema(const char *text, size_t len, ol_grammar **out, olv_error *err);
/* Any JSON value (object_only: any JSON object). */
OLV_MUST_USE olv_status ol_grammar_compile_json(bool object_only, ol_grammar **out, olv_error *err);
void ol_grammar_destroy(ol_grammar *g); /* after its matchers; NULL accepted */

/* Bytes of a token; NULL or length 0 for tokens that are no text. Borrowed until the next call. */
typedef const char *ol_token_bytes_fn(void *ctx, int64_t token, size_t *len);
OLV_MUST_USE olv_status ol_grammar_vocab_create(int64_t n_tokens, ol_token_bytes_fn *bytes, void *ctx, const int64_t *eos,
                                                size_t n_eos, ol_grammar_vocab **out, olv_error *err);
void ol_grammar_vocab_destroy(ol_grammar_vocab *v);

OLV_MUST_USE olv_status ol_grammar_matcher_create(const ol_grammar *g, const ol_grammar_vocab *v, ol_grammar_matcher **out,
                                                  olv_error *err);
void ol_grammar_matcher_destroy(ol_grammar_matcher *m);
/* Back to the beginning; caches stay. */
OLV_MUST_USE olv_status ol_grammar_reset(ol_grammar_matcher *m, olv_error *err);
/* Sets bit t % 32 of word t / 32 for every token t that may come ((n_tokens + 31) / 32 words). End tokens may come when
 * the text so far is complete; then they alone may be left. */
OLV_MUST_USE olv_status ol_grammar_mask(ol_grammar_matcher *m, uint32_t *bits, olv_error *err);
/* Takes in bytes; OLV_ARG, with the state unchanged, when they cannot come here. */
OLV_MUST_USE olv_status ol_grammar_accept(ol_grammar_matcher *m, const char *bytes, size_t len, olv_error *err);
/* The text so far matches the grammar as a whole; and: nothing can follow. */
bool ol_grammar_complete(const ol_grammar_matcher *m);
bool ol_grammar_finished(ol_grammar_matcher *m);
/* The text that must follow whatever is chosen (at most cap bytes; the count is returned): skips whole forward passes. */
size_t ol_grammar_forced(ol_grammar_matcher *m, char *out, size_t cap);

#endif
