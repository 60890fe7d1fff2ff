/* SPDX-License-Identifier: Apache-2.0 */
/* The first byte says what follows: s a JSON schema, r a regular expression, g an EBNF grammar; anything else a schema. What
 * compiles is followed for a bounded number of tokens over a vocabulary of bytes and a few longer tokens: each mask must hold
 * only tokens that can be accepted, and leave none when the text is neither complete nor to be gone on with. */
#include "base/alloc.h"
#include "text/grammar/grammar.h"
#include <stdlib.h>
#include <string.h>

enum { N_MORE = 16, N_TOKENS = 256 + N_MORE + 1, EOS = N_TOKENS - 1, WORDS = (N_TOKENS + 31) / 32, STEPS = 24, INPUT_MAX = 4096 };

static const char *const more[N_MORE] = {"{\"", "\":", "\",\"", "\"}", "null", "true", "12", "}]", "ab", " word", "\xc3\xa9", "\xe4\xb8",
                                         "\\u00", "-0.5", "aaaaaaaaaaaaaaaa", "\n  "};

static const char *token_bytes(void *ctx, int64_t t, size_t *len) {
    static char one[256];
    (void)ctx;
    *len = 0;
    if (t == EOS) return NULL;
    if (t >= 256) return *len = strlen(more[t - 256]), more[t - 256];
    one[t] = (char)t;
    *len = 1;
    return &one[t];
}

static olv_status compile(char kind, const char *text, size_t n, ol_grammar **g) {
    olv_error err;
    if (kind == 'r') return ol_grammar_compile_regex(text, n, g, &err);
    if (kind == 'g') return ol_grammar_compile_ebnf(text, n, g, &err);
    return ol_grammar_compile_json_schema(text, n, g, &err);
}

/* Chooses by a generator that the input seeds, so that different inputs go different ways. */
static void follow(ol_grammar_matcher *m, uint32_t seed) {
    uint32_t bits[WORDS];
    olv_error err;
    for (int i = 0; i < STEPS; i++) {
        int64_t allowed[N_TOKENS];
        int n = 0;
        if (ol_grammar_mask(m, bits, &err) != OLV_OK) return;
        for (int64_t t = 0; t < N_TOKENS; t++)
            if (bits[t / 32] >> (t % 32) & 1) allowed[n++] = t;
        if (n == 0) abort(); /* single bytes are tokens: a live text can always go on or end */
        seed = seed * 1664525u + 1013904223u;
        int64_t t = allowed[(seed >> 8) % (uint32_t)n];
        if (t == EOS) {
            if (!ol_grammar_complete(m)) abort();
            return;
        }
        size_t len;
        const char *p = token_bytes(NULL, t, &len);
        olv_status s = ol_grammar_accept(m, p, len, &err);
        if (s == OLV_ARG) abort(); /* the mask allowed it */
        if (s != OLV_OK) return;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static ol_grammar_vocab *v;
    const int64_t eos = EOS;
    olv_error err;
    ol_grammar *g;
    ol_grammar_matcher *m;
    if (size < 1 || size > INPUT_MAX) return 0;
    if (!v && ol_grammar_vocab_create(N_TOKENS, token_bytes, NULL, &eos, 1, &v, &err) != OLV_OK) abort();
    if (compile((char)data[0], (const char *)data + 1, size - 1, &g) != OLV_OK) return 0;
    if (ol_grammar_matcher_create(g, v, &m, &err) == OLV_OK) {
        follow(m, (uint32_t)size * 2654435761u ^ data[size - 1]);
        if (ol_grammar_reset(m, &err) == OLV_OK) follow(m, 77);
        ol_grammar_matcher_destroy(m);
    }
    ol_grammar_destroy(g);
    return 0;
}
