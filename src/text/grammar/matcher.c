/* SPDX-License-Identifier: Apache-2.0 */
/* Masks: per place set what stays inside a rule, per state the union with what leaves it. */
#include "text/grammar/matcher.h"
#include "base/alloc.h"

#include <string.h>

enum { FLUSH_STATES = 40000, FLUSH_FRAMES = 200000, FLUSH_LOCALS = 4096, FLUSH_BYTES = 32 << 20, FEW_TOKENS = 1024, HORIZON = OL_GPLAIN_MAX };

static olv_status failure(const ol_grammar_matcher *m, olv_error *err) {
    return ol_fail(err, m->status, m->status == OLV_LIMIT ? "the grammar can be read in too many ways at once here"
                                                          : "out of memory while following a grammar");
}

void ol_glocals_clear(ol_grammar_matcher *m) {
    for (uint32_t i = 0; i < m->n_locals; i++) {
        ol_free(m->locals[i].bits);
        ol_free(m->locals[i].tokens);
        ol_free(m->locals[i].roots);
    }
    m->n_locals = 0;
    m->locals_bytes = 0;
}

void ol_grammar_matcher_destroy(ol_grammar_matcher *m) {
    if (!m) return;
    ol_glocals_clear(m);
    ol_free(m->frames);
    ol_free(m->frame_table.slots);
    ol_free(m->pairs);
    ol_free(m->states);
    ol_free(m->next);
    ol_free(m->state_table.slots);
    ol_free(m->locals);
    ol_free(m->set);
    ol_free(m->work);
    ol_free(m->seen.slots);
    ol_free(m->seen_keys);
    ol_free(m->masks);
    ol_free(m->mask_owner);
    ol_free(m->path);
    ol_free(m->path_popped);
    ol_free(m->list);
    ol_free(m->roots);
    ol_free(m->whole);
    ol_free(m->loops);
    ol_free(m);
}

olv_status ol_grammar_matcher_create(const ol_grammar *g, const ol_grammar_vocab *v, ol_grammar_matcher **out,
                                     olv_error *err) {
    ol_grammar_matcher *m = ol_calloc(1, sizeof *m);
    if (!m) return ol_fail(err, OLV_NOMEM, "out of memory for a grammar's matcher");
    m->g = g;
    m->v = v;
    m->words = (uint32_t)((v->n_tokens + 31) / 32);
    m->masks = ol_calloc((size_t)OL_GMASK_SLOTS * m->words, sizeof *m->masks);
    m->mask_owner = ol_calloc(OL_GMASK_SLOTS, sizeof *m->mask_owner);
    m->path = ol_calloc((size_t)v->longest + 2, sizeof *m->path);
    m->path_popped = ol_calloc((size_t)v->longest + 2, 1);
    olv_status st = m->masks && m->mask_owner && m->path && m->path_popped ? ol_gstates_start(m) : OLV_NOMEM;
    if (st != OLV_OK) {
        m->status = st;
        failure(m, err);
        ol_grammar_matcher_destroy(m);
        return st;
    }
    *out = m;
    return OLV_OK;
}

olv_status ol_grammar_reset(ol_grammar_matcher *m, olv_error *err) {
    m->now = m->start;
    return m->status == OLV_OK ? OLV_OK : failure(m, err);
}

static void allow(const ol_grammar_vocab *v, uint32_t *bits, int32_t token) {
    for (; token >= 0; token = v->same[token]) bits[token / 32] |= 1u << (token % 32);
}

static void push(ol_grammar_matcher *m, uint32_t **list, uint32_t *n, uint32_t *cap, uint32_t x) {
    if (ol_ggrow(m, (void **)list, cap, *n + 1, sizeof **list)) (*list)[(*n)++] = x;
}

static const ol_gchain *chain_of(const ol_grammar *g, uint32_t place) {
    uint32_t lo = 0, hi = g->n_chains;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        const ol_gchain *c = &g->chains[mid];
        if (place < c->first) hi = mid;
        else if (place >= c->first + c->stride * c->copies) lo = mid + 1;
        else return c;
    }
    return NULL;
}

/* A place deep in a chain stands for all deeper ones: for HORIZON bytes they allow the same. */
static uint32_t canonical(const ol_grammar *g, uint32_t place, bool *limited) {
    const ol_gchain *c = chain_of(g, place);
    if (!c) return place;
    uint32_t copy = (place - c->first) / c->stride;
    if (copy < HORIZON) return place;
    *limited = true;
    return place - (copy - HORIZON) * c->stride;
}

/* All bytes from lo to hi (one of each class) and `more` continuation bytes lead to *home (-1: not known yet). */
static bool leads_to(ol_grammar_matcher *m, uint32_t state, int lo, int hi, int more, int32_t *home) {
    for (int b = lo; b <= hi; b++) {
        if (b > lo && m->g->class_of[b] == m->g->class_of[b - 1]) continue;
        uint32_t t = ol_gstep(m, state, (uint8_t)b);
        if (more > 0 && !leads_to(m, t, 0x80, 0xbf, more - 1, home)) return false;
        if (more == 0 && *home < 0) *home = (int32_t)t;
        if (more == 0 && *home != (int32_t)t) return false;
    }
    return true;
}

/* Whether all characters beyond ASCII lead to *home. */
static bool leads_beyond_ascii(ol_grammar_matcher *m, uint32_t s, int32_t *home) {
    static const struct {
        uint8_t lead_lo, lead_hi, lo, hi, more;
    } rows[] = {{0xc2, 0xdf, 0x80, 0xbf, 0}, {0xe0, 0xe0, 0xa0, 0xbf, 1}, {0xe1, 0xec, 0x80, 0xbf, 1},
                {0xed, 0xed, 0x80, 0x9f, 1}, {0xee, 0xef, 0x80, 0xbf, 1}, {0xf0, 0xf0, 0x90, 0xbf, 2},
                {0xf1, 0xf3, 0x80, 0xbf, 2}, {0xf4, 0xf4, 0x80, 0x8f, 2}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int b = rows[i].lead_lo; b <= rows[i].lead_hi; b++) {
            if (b > rows[i].lead_lo && m->g->class_of[b] == m->g->class_of[b - 1]) continue;
            if (!leads_to(m, ol_gstep(m, s, (uint8_t)b), rows[i].lo, rows[i].hi, rows[i].more, home)) return false;
        }
    return true;
}

/* The one state that all plain characters lead to (0: the dead one), or -2. */
static int32_t uniform_next(ol_grammar_matcher *m, uint32_t s) {
    if (m->states[s].uniform != -1) return m->states[s].uniform;
    int32_t home = -1;
    bool same = leads_to(m, s, 0x20, 0x21, 0, &home) && leads_to(m, s, 0x23, 0x5b, 0, &home) &&
                leads_to(m, s, 0x5d, 0x7e, 0, &home) && leads_beyond_ascii(m, s, &home);
    m->states[s].uniform = same ? home : -2;
    return m->states[s].uniform;
}

/* How many plain characters may follow, whichever they are (OL_GPLAIN_MAX: that many or more), when that is all there
 * is to say about plain tokens; 0 when it is not. Inside of JSON strings it is. */
static uint32_t plain_reach(ol_grammar_matcher *m, uint32_t state) {
    uint32_t s = state;
    for (uint32_t n = 0; n < OL_GPLAIN_MAX; n++) {
        int32_t next = uniform_next(m, s);
        if (next < 0 || m->status != OLV_OK) return 0;
        if ((uint32_t)next == s && s != 0) return OL_GPLAIN_MAX;
        if (next == 0 || m->states[next].n == 0) return m->states[s].popped || next != 0 ? 0 : n;
        s = (uint32_t)next;
        if (m->states[s].popped) return 0;
    }
    return OL_GPLAIN_MAX;
}

/* ---- where most characters lead ------------------------------------------------------------------------ */

/* The successor that the most ASCII characters lead to: the state itself when it is one of them. */
static uint32_t frequent_next(ol_grammar_matcher *m, uint32_t s) {
    uint32_t best = 0, most = 0;
    for (int b = 0; b < 0x80; b++) {
        if (b > 0 && m->g->class_of[b] == m->g->class_of[b - 1]) continue;
        uint32_t t = ol_gstep(m, s, (uint8_t)b), n = 0;
        if (t == s) return s;
        if (t == best || m->states[t].n == 0) continue;
        for (int k = b; k < 0x80; k++) n += ol_gstep(m, s, (uint8_t)k) == t;
        if (n > most) {
            most = n;
            best = t;
        }
    }
    return best;
}

static int32_t loop_of(ol_grammar_matcher *m, uint32_t s) {
    if (m->states[s].loop >= 0) return m->states[s].loop;
    ol_gloop l = {.home = s ? frequent_next(m, s) : 0};
    int32_t home = (int32_t)l.home;
    for (int b = 0; b < 0x80 && l.home; b++)
        if (ol_gstep(m, s, (uint8_t)b) == l.home) l.ascii[b >> 6] |= 1ull << (b & 63);
    l.other = l.home && leads_beyond_ascii(m, s, &home);
    if (m->status != OLV_OK || !ol_ggrow(m, (void **)&m->loops, &m->loops_cap, m->n_loops + 1, sizeof *m->loops)) return -1;
    m->loops[m->n_loops] = l;
    m->states[s].loop = (int32_t)m->n_loops;
    return (int32_t)m->n_loops++;
}

static bool within(const uint64_t a[2], bool other_a, const ol_gloop *b) {
    return !(a[0] & ~b->ascii[0]) && !(a[1] & ~b->ascii[1]) && (!other_a || b->other);
}

/* Whether no character of the loop's set can come in a state. */
static bool stops(ol_grammar_matcher *m, uint32_t s, const ol_gloop *l) {
    for (int b = 0; b < 0x80; b++)
        if (l->ascii[b >> 6] >> (b & 63) & 1 && ol_gstep(m, s, (uint8_t)b) != 0) return false;
    for (int b = 0xc2; b <= 0xf4 && l->other; b++)
        if (ol_gstep(m, s, (uint8_t)b) != 0) return false;
    return true;
}

/* Characters of the loop's set that may follow each other from s on, whichever they are. */
static uint32_t loop_reach(ol_grammar_matcher *m, uint32_t s, int32_t loop) {
    if (m->loops[loop].reach) return m->loops[loop].reach;
    uint32_t n = 1, at = m->loops[loop].home;
    bool closed = !m->states[s].popped && !m->states[at].popped;
    if (at == s) n = UINT8_MAX;
    while (n < OL_GPLAIN_MAX) {
        int32_t next = loop_of(m, at);
        if (next < 0 || !m->loops[next].home || !within(m->loops[loop].ascii, m->loops[loop].other, &m->loops[next])) break;
        n++;
        if (m->loops[next].home == at) n = UINT8_MAX;
        at = m->loops[next].home;
        closed &= !m->states[at].popped;
    }
    ol_gloop l = m->loops[loop];
    m->loops[loop].exact = n <= OL_GPLAIN_MAX && closed && stops(m, at, &l);
    m->loops[loop].reach = (uint8_t)n;
    return n;
}

static uint32_t chars_before(const ol_grammar_matcher *m, const ol_gtrie_node *t) {
    const char *p = m->v->bytes + m->v->offsets[t->sample];
    uint32_t n = 0;
    for (uint32_t i = 0; i < t->depth; i++) n += ((uint8_t)p[i] & 0xc0) != 0x80;
    return n;
}

/* Whether the state before a node keeps all tokens of its subtree, or just those of up to *most characters; looked at where
 * it saves a walk. */
static bool keeps_all(ol_grammar_matcher *m, const ol_gtrie *trie, uint32_t i, uint32_t state, uint32_t limit, uint32_t *most) {
    enum { WORTH = 4 };
    const ol_gspan *span = &trie->spans[i];
    const ol_gtrie_node *t = &trie->nodes[i];
    if (!span->whole || t->end - i < WORTH || (uint64_t)t->depth + span->bytes > limit) return false;
    int32_t loop = loop_of(m, state);
    if (loop < 0 || !m->loops[loop].home || !within(span->ascii, span->other, &m->loops[loop])) return false;
    uint32_t reach = loop_reach(m, state, loop);
    *most = UINT8_MAX;
    if (span->chars <= reach) return true;
    *most = chars_before(m, t) + reach;
    return m->loops[loop].exact;
}

/* The tokens of a trie against a local state: those that stay alive inside the rule into m->list (trie nodes) and
 * m->whole (nodes of which the whole subtree stays alive, up to a length), and the subtrees that have left the rule, or go
 * past `limit` bytes, into m->roots. */
static void walk_local(ol_grammar_matcher *m, const ol_gtrie *trie, uint32_t state, uint32_t limit) {
    m->n_list = m->n_roots = m->n_whole = 0;
    m->path[0] = state;
    m->path_popped[0] = 0;
    for (uint32_t i = 0; i < trie->n && m->status == OLV_OK;) {
        const ol_gtrie_node *t = &trie->nodes[i];
        uint32_t d = t->depth;
        if (d >= limit) {
            push(m, &m->roots, &m->n_roots, &m->roots_cap, i);
            i = t->end;
            continue;
        }
        uint32_t most;
        if (keeps_all(m, trie, i, m->path[d], limit, &most)) {
            if (ol_ggrow(m, (void **)&m->whole, &m->whole_cap, m->n_whole + 1, sizeof *m->whole))
                m->whole[m->n_whole++] = (uint64_t)most << 32 | i;
            i = t->end;
            continue;
        }
        uint32_t s = ol_gstep(m, m->path[d], t->byte);
        bool popped = m->path_popped[d] || m->states[s].popped;
        if (m->states[s].n == 0) {
            if (popped) push(m, &m->roots, &m->n_roots, &m->roots_cap, i);
            i = t->end;
            continue;
        }
        m->path[d + 1] = s;
        m->path_popped[d + 1] = popped;
        if (t->token >= 0) push(m, &m->list, &m->n_list, &m->list_cap, i);
        i++;
    }
}

static uint32_t *copy_list(const uint32_t *p, uint32_t n) {
    uint32_t *d = ol_alloc(((size_t)n + 1) * sizeof *d);
    if (d && n) memcpy(d, p, n * sizeof *d);
    return d;
}

/* Tokens of a whole subtree, into out when there is one. */
static uint32_t whole_tokens(const ol_gtrie *t, uint64_t whole, int32_t *out) {
    uint32_t node = (uint32_t)whole, most = (uint32_t)(whole >> 32), n = 0;
    uint32_t first = t->spans[node].first, end = t->spans[t->nodes[node].end].first;
    if (!out && most >= OL_GPLAIN_MAX) return end - first;
    for (uint32_t i = first; i < end; i++) {
        if (t->chars[i] > most) continue;
        if (out) out[n] = t->tokens[i];
        n++;
    }
    return n;
}

static void allow_whole(const ol_gtrie *t, uint64_t whole, uint32_t *bits) {
    uint32_t node = (uint32_t)whole, most = (uint32_t)(whole >> 32);
    for (uint32_t i = t->spans[node].first; i < t->spans[t->nodes[node].end].first; i++) {
        uint32_t in = t->chars[i] <= most;
        bits[t->tokens[i] / 32] |= in << (t->tokens[i] % 32);
    }
}

/* What is known of a local state, worked out the first time. */
static int32_t local_of(ol_grammar_matcher *m, uint32_t state, bool limited) {
    if (m->states[state].local >= 0) return m->states[state].local;
    uint32_t plain = plain_reach(m, state);
    const ol_gtrie *trie = plain ? &m->v->rest : &m->v->all;
    walk_local(m, trie, state, limited ? HORIZON : UINT32_MAX);
    ol_glocal l = {.plain = plain, .n_roots = m->n_roots, .roots = copy_list(m->roots, m->n_roots)};
    uint32_t n = m->n_list;
    for (uint32_t i = 0; i < m->n_whole; i++) n += whole_tokens(trie, m->whole[i], NULL);
    if (n <= FEW_TOKENS) {
        l.tokens = ol_alloc(((size_t)n + 1) * sizeof *l.tokens);
        for (uint32_t i = 0; i < m->n_list && l.tokens; i++) l.tokens[l.n_tokens++] = trie->nodes[m->list[i]].token;
        for (uint32_t i = 0; i < m->n_whole && l.tokens; i++) l.n_tokens += whole_tokens(trie, m->whole[i], l.tokens + l.n_tokens);
    } else {
        l.bits = ol_calloc(m->words, sizeof *l.bits);
        for (uint32_t i = 0; i < m->n_list && l.bits; i++) allow(m->v, l.bits, trie->nodes[m->list[i]].token);
        for (uint32_t i = 0; i < m->n_whole && l.bits; i++) allow_whole(trie, m->whole[i], l.bits);
    }
    if (!l.roots || (!l.tokens && !l.bits)) m->status = OLV_NOMEM;
    if (m->status != OLV_OK || !ol_ggrow(m, (void **)&m->locals, &m->locals_cap, m->n_locals + 1, sizeof *m->locals)) {
        ol_free(l.roots);
        ol_free(l.tokens);
        ol_free(l.bits);
        return -1;
    }
    m->locals_bytes += (l.bits ? m->words * sizeof *l.bits : l.n_tokens * sizeof *l.tokens) + l.n_roots * sizeof *l.roots;
    m->locals[m->n_locals] = l;
    m->states[state].local = (int32_t)m->n_locals;
    return (int32_t)m->n_locals++;
}

/* The states along the bytes before a subtree's root. `shared` of them are known from the root before; the count of
 * those reached is returned. */
static uint32_t walk_prefix(ol_grammar_matcher *m, const char *bytes, uint32_t depth, uint32_t shared) {
    uint32_t d = shared;
    for (; d < depth; d++) {
        m->path[d + 1] = ol_gstep(m, m->path[d], (uint8_t)bytes[d]);
        if (m->path[d + 1] == 0) break;
    }
    return d;
}

/* The tokens of a subtree that the state at its root allows. */
static void walk_subtree(ol_grammar_matcher *m, const ol_gtrie *trie, uint32_t root, uint32_t *bits) {
    const ol_grammar_vocab *v = m->v;
    const ol_gtrie_node *r = &trie->nodes[root];
    for (uint32_t i = root; i < r->end && m->status == OLV_OK;) {
        const ol_gtrie_node *t = &trie->nodes[i];
        uint32_t s = ol_gstep(m, m->path[t->depth], t->byte);
        if (s == 0) {
            i = t->end;
            continue;
        }
        m->path[t->depth + 1] = s;
        if (t->token >= 0) allow(v, bits, t->token);
        i++;
    }
}

static void add_local(ol_grammar_matcher *m, uint32_t state, int32_t local, uint32_t *bits) {
    const ol_glocal *l = &m->locals[local];
    const ol_gtrie *trie = l->plain ? &m->v->rest : &m->v->all;
    if (l->plain)
        for (uint32_t w = 0; w < m->words; w++) bits[w] |= m->v->plain[(size_t)l->plain * m->words + w];
    if (l->bits)
        for (uint32_t w = 0; w < m->words; w++) bits[w] |= l->bits[w];
    for (uint32_t i = 0; i < l->n_tokens; i++) allow(m->v, bits, l->tokens[i]);
    const char *last = NULL;
    uint32_t known = 0; /* bytes of `last` whose states stand in m->path */
    m->path[0] = state;
    for (uint32_t i = 0; i < l->n_roots && m->status == OLV_OK; i++) {
        const ol_gtrie_node *r = &trie->nodes[l->roots[i]];
        const char *bytes = m->v->bytes + m->v->offsets[r->sample];
        uint32_t shared = 0;
        while (shared < known && shared < r->depth && last[shared] == bytes[shared]) shared++;
        last = bytes;
        known = walk_prefix(m, bytes, r->depth, shared);
        if (known == r->depth) walk_subtree(m, trie, l->roots[i], bits);
    }
}

static void make_mask(ol_grammar_matcher *m, uint32_t state, uint32_t *bits) {
    uint32_t n = m->states[state].n, i = 0;
    uint64_t *local = ol_alloc(((size_t)n + 1) * sizeof *local);
    if (!local) m->status = OLV_NOMEM;
    memset(bits, 0, m->words * sizeof *bits);
    while (i < n && m->status == OLV_OK) { /* one group of equal stacks after the other */
        uint32_t k = 0;
        bool limited = false;
        uint64_t frame = m->pairs[m->states[state].at + i] >> 32;
        for (; i < n && m->pairs[m->states[state].at + i] >> 32 == frame; i++)
            local[k++] = (uint64_t)OL_GFRAME_LOCAL << 32 |
                         canonical(m->g, (uint32_t)m->pairs[m->states[state].at + i], &limited);
        uint32_t s = ol_gstate_intern(m, local, k, false, false);
        int32_t known = m->status == OLV_OK ? local_of(m, s, limited) : -1;
        if (known >= 0) add_local(m, state, known, bits);
    }
    ol_free(local);
    if (m->states[state].accepting)
        for (size_t e = 0; e < m->v->n_eos; e++) allow(m->v, bits, (int32_t)m->v->eos[e]);
}

static bool too_much(const ol_grammar_matcher *m) {
    return m->n_states > FLUSH_STATES || m->n_frames > FLUSH_FRAMES || m->n_locals > FLUSH_LOCALS ||
           m->locals_bytes > FLUSH_BYTES;
}

olv_status ol_grammar_mask(ol_grammar_matcher *m, uint32_t *bits, olv_error *err) {
    m->followed = 0;
    if (m->status == OLV_OK && too_much(m)) ol_gstates_flush(m);
    if (m->status != OLV_OK) return failure(m, err);
    int32_t slot = m->states[m->now].mask;
    if (slot < 0 || m->mask_owner[slot] != (int32_t)m->now) {
        slot = (int32_t)(m->next_slot++ % OL_GMASK_SLOTS);
        m->mask_owner[slot] = -1;
        make_mask(m, m->now, m->masks + (size_t)slot * m->words);
        if (m->status != OLV_OK) return failure(m, err);
        m->states[m->now].mask = slot;
        m->mask_owner[slot] = (int32_t)m->now;
    }
    memcpy(bits, m->masks + (size_t)slot * m->words, m->words * sizeof *bits);
    return OLV_OK;
}

olv_status ol_grammar_accept(ol_grammar_matcher *m, const char *bytes, size_t len, olv_error *err) {
    if (m->status != OLV_OK) return failure(m, err);
    uint32_t s = m->now;
    m->followed = 0;
    for (size_t i = 0; i < len; i++) {
        s = ol_gstep(m, s, (uint8_t)bytes[i]);
        if (m->status != OLV_OK) return failure(m, err);
        if (s == 0)
            return ol_fail(err, OLV_ARG, "byte %zu (0x%02x) of the text cannot come here in the grammar", i,
                           (unsigned)(uint8_t)bytes[i]);
    }
    m->now = s;
    return OLV_OK;
}

bool ol_grammar_complete(const ol_grammar_matcher *m) { return m->states[m->now].accepting; }
bool ol_grammar_finished(ol_grammar_matcher *m) { return m->states[m->now].accepting && m->states[m->now].n == 0; }

/* The one byte that can come in a state, or -1. */
static int only_byte(ol_grammar_matcher *m, uint32_t state) {
    const ol_gstate *s = &m->states[state];
    int byte = -1;
    if (s->accepting) return -1;
    for (uint32_t i = 0; i < s->n; i++) {
        const ol_gnode *n = &m->g->nodes[(uint32_t)m->pairs[s->at + i]];
        if (n->lo != n->hi || (byte >= 0 && byte != n->lo)) return -1;
        byte = n->lo;
    }
    return byte;
}

size_t ol_grammar_forced(ol_grammar_matcher *m, char *out, size_t cap) {
    uint32_t s = m->now;
    size_t n = 0;
    for (int b; n < cap && (b = only_byte(m, s)) >= 0; n++) {
        s = ol_gstep(m, s, (uint8_t)b);
        if (s == 0) break;
        out[n] = (char)b;
    }
    return n;
}
