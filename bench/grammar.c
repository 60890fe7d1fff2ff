/* SPDX-License-Identifier: Apache-2.0 */
/* Time of constrained decoding per token: a vocabulary of 128,000 byte-level tokens made from a seed (words with and without
 * a space before them, numbers, pieces of code and JSON, runs of white space, pieces of other scripts that end inside of
 * characters), and a mix of JSON schemas, regular expressions and EBNF grammars. Each grammar makes texts by choosing among
 * the allowed tokens at random; time is that of the mask and of following the token, in processor time of this thread.
 * usage: bench_grammar [TOKENS [TEXTS]]. Prints one line per grammar and the totals: the first text of each grammar is
 * counted apart, as `cold`; the rest is the steady state. */
#include "base/alloc.h"
#include "text/grammar/grammar.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { LENGTH_MAX = 400, BYTES_MAX = 24 };

typedef enum kind { SCHEMA, REGEX, EBNF } kind;

typedef struct mix_entry {
    kind kind;
    const char *name, *text;
} mix_entry;

static const mix_entry entries[] = {
    {SCHEMA, "person", "{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\"},\"age\":{\"type\":\"integer\",\"minimum\":0,"
     "\"maximum\":130},\"email\":{\"type\":\"string\",\"format\":\"email\"},\"tags\":{\"type\":\"array\",\"items\":{\"type\":"
     "\"string\"},\"maxItems\":5}},\"required\":[\"name\",\"age\"],\"additionalProperties\":false}"},
    {SCHEMA, "enum", "{\"enum\":[\"red\",\"green\",\"blue\",1,2,3,null,true,{\"a\":[1,2]}]}"},
    {SCHEMA, "tree", "{\"$defs\":{\"node\":{\"type\":\"object\",\"properties\":{\"value\":{\"type\":\"string\"},\"children\":{\"type\":"
     "\"array\",\"items\":{\"$ref\":\"#/$defs/node\"}}},\"required\":[\"value\"],\"additionalProperties\":false}},\"$ref\":"
     "\"#/$defs/node\"}"},
    {SCHEMA, "any object", "{\"type\":\"object\"}"},
    {SCHEMA, "strings of bounded length", "{\"type\":\"array\",\"items\":{\"type\":\"string\",\"minLength\":3,\"maxLength\":60},"
     "\"minItems\":2,\"maxItems\":6}"},
    {SCHEMA, "tool call", "{\"anyOf\":[{\"type\":\"object\",\"properties\":{\"tool\":{\"const\":\"search\"},\"arguments\":{\"type\":"
     "\"object\",\"properties\":{\"query\":{\"type\":\"string\"},\"limit\":{\"type\":\"integer\"}},\"required\":[\"query\"],"
     "\"additionalProperties\":false}},\"required\":[\"tool\",\"arguments\"],\"additionalProperties\":false},{\"type\":\"object\","
     "\"properties\":{\"tool\":{\"const\":\"weather\"},\"arguments\":{\"type\":\"object\",\"properties\":{\"city\":{\"type\":"
     "\"string\"},\"day\":{\"type\":\"string\",\"format\":\"date\"}},\"required\":[\"city\",\"day\"],\"additionalProperties\":false}},"
     "\"required\":[\"tool\",\"arguments\"],\"additionalProperties\":false}]}"},
    {SCHEMA, "log record", "{\"type\":\"object\",\"properties\":{\"time\":{\"type\":\"string\",\"format\":\"date-time\"},\"level\":"
     "{\"enum\":[\"debug\",\"info\",\"warning\",\"error\"]},\"id\":{\"type\":\"string\",\"format\":\"uuid\"},\"host\":{\"type\":"
     "\"string\",\"format\":\"ipv4\"},\"message\":{\"type\":\"string\",\"maxLength\":200}},\"required\":[\"time\",\"level\",\"id\","
     "\"host\",\"message\"],\"additionalProperties\":false}"},
    {SCHEMA, "open object", "{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\"},\"namespace\":{\"type\":\"string\"},"
     "\"number\":{\"type\":\"number\"}},\"required\":[\"name\"],\"additionalProperties\":{\"type\":\"string\"}}"},
    {SCHEMA, "pattern", "{\"type\":\"object\",\"properties\":{\"zip\":{\"type\":\"string\",\"pattern\":\"^[0-9]{5}(-[0-9]{4})?$\"},"
     "\"plate\":{\"type\":\"string\",\"pattern\":\"^[A-Z]{1,3}-[A-Z]{1,2} [1-9][0-9]{0,3}$\"},\"slug\":{\"type\":\"string\","
     "\"pattern\":\"^[a-z0-9]+(-[a-z0-9]+)*$\"}},\"required\":[\"zip\",\"plate\",\"slug\"],\"additionalProperties\":false}"},
    {SCHEMA, "matrix", "{\"type\":\"array\",\"items\":{\"type\":\"array\",\"items\":{\"type\":\"number\",\"minimum\":-1,\"maximum\":1},"
     "\"minItems\":3,\"maxItems\":3},\"minItems\":3,\"maxItems\":3}"},
    {REGEX, "date", "[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"},
    {REGEX, "sentence", "[A-Z][a-z]+( [a-z]+){3,12}\\."},
    {REGEX, "address", "https?://([a-z0-9-]+\\.)+[a-z]{2,6}(/[A-Za-z0-9._~-]*)*"},
    {REGEX, "anything in brackets", "\\[[^\\]]{1,200}\\]"},
    {REGEX, "steps", "(Step [1-9]: [^\\n]{10,120}\\n){2,6}Answer: -?[0-9]+"},
    {EBNF, "arithmetic", "root ::= expr\nexpr ::= term ((\"+\" | \"-\") term)*\nterm ::= factor ((\"*\" | \"/\") factor)*\n"
     "factor ::= number | \"(\" expr \")\"\nnumber ::= [0-9]+ (\".\" [0-9]+)?"},
    {EBNF, "list", "root ::= item+\nitem ::= \"- \" [^\\n]+ \"\\n\""},
    {EBNF, "query", "root ::= \"SELECT \" columns \" FROM \" name where? \";\"\ncolumns ::= \"*\" | name (\", \" name)*\n"
     "where ::= \" WHERE \" cond ((\" AND \" | \" OR \") cond)*\ncond ::= name \" \" op \" \" value\nop ::= \"=\" | \"<\" | \">\" | "
     "\"LIKE\"\nvalue ::= [0-9]+ | \"'\" [^']* \"'\"\nname ::= [a-z_] [a-z0-9_]*"},
    {EBNF, "json", "root ::= object\nvalue ::= object | array | string | number | \"true\" | \"false\" | \"null\"\nobject ::= \"{\" ws "
     "(string \":\" ws value (\",\" ws string \":\" ws value)*)? \"}\" ws\narray ::= \"[\" ws (value (\",\" ws value)*)? \"]\" ws\n"
     "string ::= \"\\\"\" ([^\"\\\\\\x00-\\x1f] | \"\\\\\" ([\"\\\\/bfnrt] | \"u\" [0-9a-fA-F]{4}))* \"\\\"\" ws\n"
     "number ::= \"-\"? (\"0\" | [1-9] [0-9]*) (\".\" [0-9]+)? ws\nws ::= [ \\t\\n]{0,4}"},
    {EBNF, "program", "root ::= stmt+\nstmt ::= indent? (assign | call | loop) \"\\n\"\nindent ::= \"    \"{1,3}\nassign ::= name \" = \" "
     "expr\ncall ::= name \"(\" (expr (\", \" expr)*)? \")\"\nloop ::= \"for \" name \" in \" expr \":\"\nexpr ::= atom (\" \" [-+*/] "
     "\" \" atom)*\natom ::= name | [0-9]+ | call | \"(\" expr \")\" | \"\\\"\" [^\"\\n]* \"\\\"\"\nname ::= [a-z] [a-z0-9_]*"},
};
enum { N_ENTRIES = sizeof entries / sizeof *entries };

static uint64_t seed;
static uint64_t next_random(void) {
    uint64_t z = seed += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}
static uint32_t below(uint32_t n) { return (uint32_t)(next_random() % n); }

/* ---- the vocabulary ---------------------------------------------------------------------------------- */

typedef struct token_list {
    char (*bytes)[BYTES_MAX + 1];
    uint8_t *len;
    int64_t n;
} token_list;

static void put(token_list *l, const char *p, size_t n) {
    if (n == 0 || n > BYTES_MAX) return;
    memcpy(l->bytes[l->n], p, n);
    l->len[l->n++] = (uint8_t)n;
}

/* A word of one to five syllables, as in European languages. */
static size_t word(char *out) {
    static const char *const onset[] = {"", "b", "c", "d", "f", "g", "h", "l", "m", "n", "p", "r", "s", "t", "v", "st", "tr", "pr", "ch", "sh"};
    static const char *const core[] = {"a", "e", "i", "o", "u", "ea", "io", "ou", "\xc3\xa9", "\xc3\xbc"};
    static const char *const coda[] = {"", "", "n", "r", "s", "t", "l", "ng", "ct", "rd"};
    size_t n = 0;
    for (uint32_t k = 1 + below(3) + below(2); k > 0 && n + 7 < BYTES_MAX - 2; k--) {
        const char *parts[3] = {onset[below(20)], core[below(100) < 95 ? below(8) : 8 + below(2)], coda[below(10)]};
        for (int i = 0; i < 3; i++) {
            size_t len = strlen(parts[i]);
            memcpy(out + n, parts[i], len);
            n += len;
        }
    }
    return n;
}

static size_t punctuation(char *out) {
    static const char marks[] = "{}[]()<>\"':;,.=+-*/\\|&!?#$%_~`@^ \n\t";
    size_t n = 1 + below(5);
    for (size_t i = 0; i < n; i++) out[i] = marks[below(sizeof marks - 1)];
    return n;
}

/* One to three characters of one script, the last of them perhaps not whole. */
static size_t foreign(char *out) {
    static const uint8_t leads[] = {0xce, 0xd0, 0xd1, 0xd8, 0xe0, 0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xec, 0xf0};
    uint8_t lead = leads[below(sizeof leads)];
    int more = lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
    size_t n = 0;
    for (uint32_t k = 1 + below(3); k > 0; k--) {
        out[n++] = (char)lead;
        for (int i = 0; i < more; i++) out[n++] = (char)(lead == 0xf0 && i == 0 ? 0x90 + below(0x30) : lead == 0xe0 && i == 0 ? 0xa0 + below(0x20) : 0x80 + below(0x40));
    }
    return below(8) == 0 ? n - 1 : n;
}

static void fill(token_list *l, int64_t n) {
    char b[64];
    for (int i = 0; i < 256 && l->n < n; i++) put(l, (char[]){(char)i}, 1);
    for (int i = 0; i < 1110 && l->n < n; i++) put(l, b, (size_t)snprintf(b, sizeof b, i < 10 ? "%d" : i < 110 ? "%02d" : "%03d", i < 10 ? i : i < 110 ? i - 10 : i - 110));
    while (l->n < n) {
        uint32_t what = below(100);
        size_t at = 0;
        if (what < 78) {
            if (what < 45) b[at++] = ' ';
            size_t len = word(b + at);
            if (below(4) == 0 && (b[at] >= 'a' && b[at] <= 'z')) b[at] = (char)(b[at] - 32);
            at += len;
            if (what >= 75) b[at++] = "\":,._("[below(6)];
        } else if (what < 86) at = punctuation(b);
        else if (what < 87) {
            at = 2 + below(20);
            memset(b, below(2) ? ' ' : '\n', at);
        } else at = foreign(b);
        put(l, b, at);
    }
}

static const char *token_bytes(void *ctx, int64_t t, size_t *len) {
    const token_list *l = ctx;
    *len = t < l->n ? l->len[t] : 0;
    return t < l->n ? l->bytes[t] : NULL;
}

/* ---- measuring --------------------------------------------------------------------------------------- */

static double now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec * 1e-3;
}

typedef struct samples {
    double *us;
    size_t n, cap;
} samples;

static void add(samples *s, double us) {
    if (s->n == s->cap) {
        s->cap = s->cap ? s->cap * 2 : 4096;
        s->us = ol_realloc(s->us, s->cap * sizeof *s->us);
        if (!s->us) exit(1);
    }
    s->us[s->n++] = us;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double mean(const samples *s) {
    double sum = 0;
    for (size_t i = 0; i < s->n; i++) sum += s->us[i];
    return s->n ? sum / (double)s->n : 0;
}

static double quantile(samples *s, double q) {
    if (!s->n) return 0;
    qsort(s->us, s->n, sizeof *s->us, by_value);
    size_t at = (size_t)(q * (double)s->n);
    return s->us[at < s->n ? at : s->n - 1];
}

/* A token that the mask allows: every second time one of the bytes and numbers, so that texts also go where long tokens
 * do not lead. */
static int64_t choose(const uint32_t *mask, int64_t n_tokens) {
    for (int i = 0; i < 200; i++) {
        int64_t t = (int64_t)(next_random() % (uint64_t)(below(2) ? n_tokens : 256));
        if (mask[t / 32] >> (t % 32) & 1) return t;
    }
    int64_t start = (int64_t)(next_random() % (uint64_t)n_tokens);
    for (int64_t i = 0; i < n_tokens; i++) {
        int64_t t = (start + i) % n_tokens;
        if (mask[t / 32] >> (t % 32) & 1) return t;
    }
    return -1;
}

static olv_status compile(const mix_entry *m, ol_grammar **g, olv_error *err) {
    size_t len = strlen(m->text);
    if (m->kind == SCHEMA) return ol_grammar_compile_json_schema(m->text, len, g, err);
    if (m->kind == REGEX) return ol_grammar_compile_regex(m->text, len, g, err);
    return ol_grammar_compile_ebnf(m->text, len, g, err);
}

static void one_text(ol_grammar_matcher *m, const token_list *l, uint32_t *mask, samples *s, olv_error *err) {
    int64_t eos = l->n;
    if (ol_grammar_reset(m, err) != OLV_OK) exit(1);
    for (int i = 0; i < LENGTH_MAX; i++) {
        double t0 = now_us();
        if (ol_grammar_mask(m, mask, err) != OLV_OK) exit(1);
        double t1 = now_us();
        int64_t t = mask[eos / 32] >> (eos % 32) & 1 && below(8) == 0 ? eos : choose(mask, eos + 1);
        if (t < 0) exit(1);
        if (t == eos) return;
        double t2 = now_us();
        if (ol_grammar_accept(m, l->bytes[t], l->len[t], err) != OLV_OK) exit(1);
        add(s, t1 - t0 + now_us() - t2);
    }
}

static void measure(const mix_entry *e, const ol_grammar_vocab *v, const token_list *l, int texts, samples *all, samples *all_cold) {
    static const char *const kinds[] = {"schema", "regex", "ebnf"};
    olv_error err = {.message = ""};
    ol_grammar *g;
    ol_grammar_matcher *m;
    samples cold = {0}, steady = {0};
    uint32_t *mask = ol_calloc((size_t)l->n / 32 + 2, sizeof *mask);
    double t0 = now_us();
    if (!mask || compile(e, &g, &err) != OLV_OK || ol_grammar_matcher_create(g, v, &m, &err) != OLV_OK) {
        fprintf(stderr, "%s: %s\n", e->name, err.message);
        exit(1);
    }
    double t1 = now_us();
    for (int i = 0; i < texts; i++) one_text(m, l, mask, i ? &steady : &cold, &err);
    for (size_t i = 0; i < steady.n; i++) add(all, steady.us[i]);
    for (size_t i = 0; i < cold.n; i++) add(all_cold, cold.us[i]);
    printf("%-6s %-26s compile %7.0f us  cold mean %7.1f  steady %6zu tokens: mean %6.2f  p99 %7.2f  max %8.1f us\n", kinds[e->kind],
           e->name, t1 - t0, mean(&cold), steady.n, mean(&steady), quantile(&steady, 0.99), quantile(&steady, 1));
    ol_grammar_matcher_destroy(m);
    ol_grammar_destroy(g);
    ol_free(cold.us);
    ol_free(steady.us);
    ol_free(mask);
}

int main(int argc, char **argv) {
    int64_t n = argc > 1 ? atoll(argv[1]) : 128000;
    int texts = argc > 2 ? atoi(argv[2]) : 40;
    if (n < 2000 || n > 1000000 || texts < 2) return fprintf(stderr, "usage: bench_grammar [TOKENS [TEXTS]]\n"), 2;
    token_list l = {ol_calloc((size_t)n, sizeof *l.bytes), ol_calloc((size_t)n, 1), 0};
    ol_grammar_vocab *v;
    olv_error err = {.message = ""};
    samples all = {0}, cold = {0};
    if (!l.bytes || !l.len) return 1;
    seed = 20;
    fill(&l, n);
    double t0 = now_us();
    if (ol_grammar_vocab_create(n + 1, token_bytes, &l, &n, 1, &v, &err) != OLV_OK) return fprintf(stderr, "%s\n", err.message), 1;
    printf("vocabulary of %lld tokens: %.0f ms, once per tokenizer\n", (long long)n, (now_us() - t0) / 1e3);
    for (int i = 0; i < N_ENTRIES; i++) {
        seed = 1000 + (uint64_t)i;
        measure(&entries[i], v, &l, texts, &all, &cold);
    }
    double m = mean(&all), p99 = quantile(&all, 0.99);
    printf("all: cold mean %.1f us, p99 %.1f us; steady state %zu tokens: mean %.2f us, p99 %.2f us, max %.1f us\n", mean(&cold),
           quantile(&cold, 0.99), all.n, m, p99, quantile(&all, 1));
    ol_grammar_vocab_destroy(v);
    ol_free(l.bytes);
    ol_free(l.len);
    ol_free(all.us);
    ol_free(cold.us);
    return m < 50 && p99 < 50 ? 0 : 1;
}
