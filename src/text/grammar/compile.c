/* SPDX-License-Identifier: Apache-2.0 */
/* From expressions to the network, and the checks that make every later state a live one. */
#include "base/alloc.h"
#include "text/grammar/expr.h"
#include "text/grammar/network.h"

enum { NODES_MAX = 2000000, RECURSION_MAX = 2000, NONE = UINT32_MAX };

typedef struct compiler {
    ol_gbuilder *b;
    ol_grammar *g;
    int depth;
    uint32_t rules_cap;
} compiler;

static uint32_t node(compiler *c, ol_gnode_kind kind, uint8_t lo, uint8_t hi, uint32_t out, uint32_t out2) {
    ol_grammar *g = c->g;
    if (c->b->status != OLV_OK) return 0;
    if (g->n_nodes == g->cap) {
        uint32_t cap = g->cap ? g->cap * 2 : 1024;
        ol_gnode *n = cap <= 2 * NODES_MAX ? ol_realloc(g->nodes, cap * sizeof *n) : NULL;
        if (!n) {
            ol_gfail(c->b, OLV_LIMIT, "the grammar is too large: more than %u places", g->n_nodes);
            return 0;
        }
        g->nodes = n;
        g->cap = cap;
    }
    g->nodes[g->n_nodes] = (ol_gnode){(uint8_t)kind, lo, hi, false, out, out2};
    return g->n_nodes++;
}

static uint32_t split(compiler *c, uint32_t a, uint32_t b) { return node(c, OL_GN_SPLIT, 0, 0, a, b); }

/* Byte sequences of the code points [lo, hi] that all have the length of `n` bytes. */
static uint32_t utf8_same_length(compiler *c, const uint8_t *lo, const uint8_t *hi, int n, uint32_t out) {
    static const uint8_t low[3] = {0x80, 0x80, 0x80}, high[3] = {0xbf, 0xbf, 0xbf};
    if (n == 1) return node(c, OL_GN_RANGE, lo[0], hi[0], out, 0);
    bool full_low = memcmp(lo + 1, low, (size_t)n - 1) == 0, full_high = memcmp(hi + 1, high, (size_t)n - 1) == 0;
    if (lo[0] == hi[0])
        return node(c, OL_GN_RANGE, lo[0], lo[0], utf8_same_length(c, lo + 1, hi + 1, n - 1, out), 0);
    uint32_t alt = NONE;
    int from = full_low ? lo[0] : lo[0] + 1, to = full_high ? hi[0] : hi[0] - 1;
    if (from <= to)
        alt = node(c, OL_GN_RANGE, (uint8_t)from, (uint8_t)to, utf8_same_length(c, low, high, n - 1, out), 0);
    if (!full_low) {
        uint32_t x = node(c, OL_GN_RANGE, lo[0], lo[0], utf8_same_length(c, lo + 1, high, n - 1, out), 0);
        alt = alt == NONE ? x : split(c, x, alt);
    }
    if (!full_high) {
        uint32_t x = node(c, OL_GN_RANGE, hi[0], hi[0], utf8_same_length(c, low, hi + 1, n - 1, out), 0);
        alt = alt == NONE ? x : split(c, x, alt);
    }
    return alt;
}

static uint32_t emit_range(compiler *c, int32_t lo, int32_t hi, uint32_t out) {
    static const int32_t last[] = {0x7f, 0x7ff, 0xffff, 0x10ffff};
    uint32_t alt = NONE;
    for (int n = 0; n < 4 && lo <= hi; n++) {
        if (lo > last[n]) continue;
        int32_t end = hi < last[n] ? hi : last[n];
        char a[4], b[4];
        ol_utf8_encode(lo, a);
        ol_utf8_encode(end, b);
        uint32_t x = utf8_same_length(c, (const uint8_t *)a, (const uint8_t *)b, n + 1, out);
        alt = alt == NONE ? x : split(c, alt, x);
        lo = end + 1;
    }
    return alt;
}

static uint32_t emit_class(compiler *c, const ol_gexpr *e, uint32_t out) {
    uint32_t alt = NONE;
    for (int i = 0; i < e->n_ranges; i++) {
        uint32_t x = emit_range(c, e->ranges[i].lo, e->ranges[i].hi, out);
        alt = alt == NONE ? x : split(c, alt, x);
    }
    return alt;
}

static uint32_t emit(compiler *c, const ol_gexpr *e, uint32_t out);

static uint32_t new_rule(compiler *c, const ol_gexpr *body) {
    ol_grammar *g = c->g;
    if (g->n_rules == c->rules_cap) {
        uint32_t cap = c->rules_cap ? c->rules_cap * 2 : 64;
        uint32_t *s = ol_realloc(g->starts, cap * sizeof *s);
        if (!s) {
            ol_gfail(c->b, OLV_NOMEM, "out of memory for a grammar");
            return 0;
        }
        g->starts = s;
        c->rules_cap = cap;
    }
    uint32_t r = g->n_rules++;
    g->starts[r] = 0;
    uint32_t start = emit(c, body, node(c, OL_GN_END, 0, 0, 0, 0));
    g->starts[r] = start;
    return r;
}

/* About how many places an expression takes. */
static int64_t size_of(const ol_gexpr *e, int depth) {
    if (depth > 20) return 1000;
    switch (e->kind) {
    case OL_G_TEXT: return (int64_t)e->text.len;
    case OL_G_CLASS: return 4 + 6 * (int64_t)e->n_ranges;
    case OL_G_SEQ:
    case OL_G_ALT: return 1 + size_of(e->a, depth + 1) + size_of(e->b, depth + 1);
    case OL_G_REPEAT: return 2 + size_of(e->a, depth + 1) * (e->max > 0 ? e->max : e->min + 1);
    default: return 1;
    }
}

/* Copies of small bodies are written out, so that texts stay inside one rule. */
static bool is_small(const ol_gexpr *e) {
    int64_t size = size_of(e->a, 0), copies = e->max > 0 ? e->max : e->min + 1;
    return size <= 250 && size * copies <= 500000;
}

/* Remembers `copies` copies that were laid out from node `first` on. */
static void note_chain(compiler *c, uint32_t first, int64_t copies) {
    ol_grammar *g = c->g;
    if (c->b->status != OLV_OK || copies < 2 || (g->n_nodes - first) % (uint32_t)copies) return;
    if (g->n_chains == g->chains_cap) {
        uint32_t cap = g->chains_cap ? g->chains_cap * 2 : 16;
        ol_gchain *p = ol_realloc(g->chains, cap * sizeof *p);
        if (!p) {
            ol_gfail(c->b, OLV_NOMEM, "out of memory for a grammar");
            return;
        }
        g->chains = p;
        g->chains_cap = cap;
    }
    g->chains[g->n_chains++] = (ol_gchain){first, (g->n_nodes - first) / (uint32_t)copies, (uint32_t)copies};
}

/* Whether copies of it are alike node by node: nothing in it is remembered or made on the side. */
static bool is_flat(const ol_gexpr *e, int depth) {
    if (depth > 20 || e->kind == OL_G_REPEAT) return false;
    if (e->kind == OL_G_SEQ || e->kind == OL_G_ALT) return is_flat(e->a, depth + 1) && is_flat(e->b, depth + 1);
    return true;
}

/* Copies from the last to the first; the optional ones may leave to `out` at once. Larger bodies become a rule, so
 * that a copy is one call. */
static uint32_t emit_repeat(compiler *c, const ol_gexpr *e, uint32_t out) {
    const ol_gexpr *x = e->a;
    bool many = e->min > 1 || e->max > 1;
    uint32_t rule = NONE;
    if (many && !is_small(e)) rule = new_rule(c, x);
#define COPY(to) (rule != NONE ? node(c, OL_GN_CALL, 0, 0, to, rule) : emit(c, x, to))
    uint32_t at = out;
    if (e->max < 0) {
        uint32_t loop = split(c, out, out);
        uint32_t body = COPY(loop);
        if (c->b->status == OLV_OK) c->g->nodes[loop].out2 = body;
        at = loop;
    }
    bool chain = many && rule == NONE && is_flat(x, 0);
    uint32_t first = c->g->n_nodes;
    for (int64_t i = e->min; i < e->max && c->b->status == OLV_OK; i++) at = split(c, COPY(at), out);
    if (chain && e->max > e->min) note_chain(c, first, e->max - e->min);
    first = c->g->n_nodes;
    for (int64_t i = 0; i < e->min && c->b->status == OLV_OK; i++) at = COPY(at);
    if (chain) note_chain(c, first, e->min);
#undef COPY
    return at;
}

static uint32_t emit(compiler *c, const ol_gexpr *e, uint32_t out) {
    if (c->b->status != OLV_OK) return 0;
    if (++c->depth > RECURSION_MAX) {
        ol_gfail(c->b, OLV_LIMIT, "the grammar is nested deeper than %d", (int)RECURSION_MAX);
        return 0;
    }
    uint32_t at = out;
    while (e->kind == OL_G_SEQ && c->b->status == OLV_OK) {
        at = emit(c, e->b, at);
        e = e->a;
    }
    out = at;
    switch (e->kind) {
    case OL_G_EMPTY:
    case OL_G_SEQ: break;
    case OL_G_FAIL: at = node(c, OL_GN_RANGE, 1, 0, out, 0); break;
    case OL_G_TEXT:
        for (size_t i = e->text.len; i > 0; i--) at = node(c, OL_GN_RANGE, (uint8_t)e->text.ptr[i - 1], (uint8_t)e->text.ptr[i - 1], at, 0);
        break;
    case OL_G_CLASS: at = emit_class(c, e, out); break;
    case OL_G_ALT: {
        uint32_t alt = NONE;
        while (e->kind == OL_G_ALT && c->b->status == OLV_OK) {
            uint32_t x = emit(c, e->b, out);
            alt = alt == NONE ? x : split(c, x, alt);
            e = e->a;
        }
        at = split(c, emit(c, e, out), alt);
        break;
    }
    case OL_G_REPEAT: at = emit_repeat(c, e, out); break;
    case OL_G_RULE: at = node(c, OL_GN_CALL, 0, 0, out, e->rule); break;
    }
    c->depth--;
    return at;
}

/* Least fixed point over the network of "leads to the end of its rule": with texts of any bytes (productive), or,
 * into empty[], without reading any. Nodes mostly point to lower ones, so few passes settle it. */
static void settle(ol_grammar *g, uint8_t *empty) {
    for (bool changed = true; changed;) {
        changed = false;
        for (uint32_t i = 0; i < g->n_nodes; i++) {
            ol_gnode *n = &g->nodes[i];
            bool p = n->kind == OL_GN_END, z = p;
            if (n->kind == OL_GN_RANGE) p = n->lo <= n->hi && g->nodes[n->out].productive;
            if (n->kind == OL_GN_SPLIT) {
                p = g->nodes[n->out].productive || g->nodes[n->out2].productive;
                z = empty[n->out] || empty[n->out2];
            }
            if (n->kind == OL_GN_CALL) {
                p = g->nodes[g->starts[n->out2]].productive && g->nodes[n->out].productive;
                z = empty[g->starts[n->out2]] && empty[n->out];
            }
            if (p == n->productive && z == (empty[i] != 0)) continue;
            n->productive = p;
            empty[i] = z;
            changed = true;
        }
    }
}

typedef struct left_search {
    const ol_grammar *g;
    const uint8_t *empty;
    uint32_t *stack;
    uint32_t n;
} left_search;

/* Rules that `rule` may call before reading: appended to s->stack, each node once per rule. */
static void first_calls(left_search *s, uint32_t rule, uint32_t *work, uint32_t *marks, uint32_t mark) {
    uint32_t n = 0;
    work[n++] = s->g->starts[rule];
    while (n > 0) {
        uint32_t at = work[--n];
        const ol_gnode *x = &s->g->nodes[at];
        if (marks[at] == mark || !x->productive) continue;
        marks[at] = mark;
        if (x->kind == OL_GN_SPLIT) {
            work[n++] = x->out;
            work[n++] = x->out2;
        } else if (x->kind == OL_GN_CALL) {
            s->stack[s->n++] = x->out2;
            if (s->empty[s->g->starts[x->out2]]) work[n++] = x->out;
        }
    }
}

static olv_status check_left(ol_gbuilder *b, const ol_grammar *g, const uint8_t *empty) {
    /* Kahn's algorithm would need the whole graph of rules; a depth-first search with colours needs its edges only
     * when it comes by. color: 0 new, 1 on the path, 2 done. */
    size_t nodes = g->n_nodes, rules = g->n_rules;
    uint32_t *work = ol_calloc(2 * nodes + 2, sizeof *work), *marks = ol_calloc(nodes + 1, sizeof *marks);
    uint32_t *edges = ol_calloc(nodes + 1, sizeof *edges), *todo = ol_calloc(nodes + rules + 2, sizeof *todo);
    uint8_t *color = ol_calloc(rules + 1, 1);
    olv_status st = OLV_OK;
    if (!work || !marks || !edges || !todo || !color) st = ol_fail(b->err, OLV_NOMEM, "out of memory for a grammar");
    left_search s = {.g = g, .empty = empty, .stack = edges};
    uint32_t mark = 0;
    for (uint32_t root = 0; root < rules && st == OLV_OK; root++) {
        size_t n = 0;
        todo[n++] = root;
        while (n > 0 && st == OLV_OK) {
            uint32_t r = todo[n - 1];
            if (color[r] != 0) { /* its callees are done */
                if (color[r] == 1) color[r] = 2;
                n--;
                continue;
            }
            color[r] = 1;
            s.n = 0;
            first_calls(&s, r, work, marks, ++mark);
            for (uint32_t i = 0; i < s.n && st == OLV_OK; i++) {
                if (color[edges[i]] == 1)
                    st = ol_fail(b->err, OLV_UNSUPPORTED, "the rule '%s' calls itself before it reads anything (left recursion)",
                                 edges[i] < b->n_rules ? b->names[edges[i]] : "");
                else if (color[edges[i]] == 0 && n < nodes + rules) todo[n++] = edges[i];
            }
        }
    }
    ol_free(work);
    ol_free(marks);
    ol_free(edges);
    ol_free(todo);
    ol_free(color);
    return st;
}

static void classify_bytes(ol_grammar *g) {
    bool cut[257] = {false};
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        const ol_gnode *n = &g->nodes[i];
        if (n->kind != OL_GN_RANGE || n->lo > n->hi) continue;
        cut[n->lo] = true;
        cut[n->hi + 1] = true;
    }
    int c = 0;
    for (int i = 0; i < 256; i++) {
        if (i && cut[i]) c++;
        if (i == 0 || cut[i]) g->byte_of[c] = (uint8_t)i;
        g->class_of[i] = (uint8_t)c;
    }
    g->n_classes = c + 1;
}

static olv_status check(ol_gbuilder *b, ol_grammar *g) {
    uint8_t *empty = ol_calloc(g->n_nodes, 1);
    if (!empty) return ol_fail(b->err, OLV_NOMEM, "out of memory for a grammar");
    settle(g, empty);
    olv_status st = OLV_OK;
    if (!g->nodes[g->starts[g->root]].productive)
        st = ol_fail(b->err, OLV_ARG, "no finite text matches: the grammar contradicts itself or never ends");
    if (st == OLV_OK) st = check_left(b, g, empty);
    ol_free(empty);
    return st;
}

olv_status ol_gcompile(ol_gbuilder *b, uint32_t root, ol_grammar **out, olv_error *err) {
    (void)err; /* the builder's */
    ol_grammar *g = ol_calloc(1, sizeof *g);
    if (!g) return ol_fail(b->err, OLV_NOMEM, "out of memory for a grammar");
    compiler c = {.b = b, .g = g};
    /* The builder's rules keep their numbers; those of repeats come after them. */
    g->starts = ol_calloc((size_t)b->n_rules + 64, sizeof *g->starts);
    c.rules_cap = b->n_rules + 64;
    g->n_rules = b->n_rules;
    g->root = root;
    if (!g->starts) ol_gfail(b, OLV_NOMEM, "out of memory for a grammar");
    for (uint32_t i = 0; i < b->n_rules && b->status == OLV_OK; i++) {
        if (!b->rules[i]) {
            ol_gfail(b, OLV_ARG, "the rule '%s' is used but not defined", b->names[i]);
            break;
        }
        uint32_t start = emit(&c, b->rules[i], node(&c, OL_GN_END, 0, 0, 0, 0));
        g->starts[i] = start;
    }
    olv_status st = b->status == OLV_OK ? check(b, g) : b->status;
    if (st != OLV_OK) {
        ol_grammar_destroy(g);
        return st;
    }
    classify_bytes(g);
    *out = g;
    return OLV_OK;
}

void ol_grammar_destroy(ol_grammar *g) {
    if (!g) return;
    ol_free(g->nodes);
    ol_free(g->starts);
    ol_free(g->chains);
    ol_free(g);
}
