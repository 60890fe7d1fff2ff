/* SPDX-License-Identifier: Apache-2.0 */
/* Making states: following splits, calls and ends until only byte ranges are left. */
#include "base/alloc.h"
#include "text/grammar/matcher.h"

#include <stdlib.h>
#include <string.h>

/* A grammar that counts in several ways at once has sets of as many places; SET_MAX bounds one set, WORK_MAX what is followed
 * for one mask or one token. */
enum { STATES_MAX = 1 << 20, PAIRS_MAX = 1 << 26, SET_MAX = 1 << 14, WORK_MAX = 1 << 24 };

bool ol_ggrow(ol_grammar_matcher *m, void **p, uint32_t *cap, uint32_t need, size_t each) {
    if (need <= *cap) return true;
    uint32_t c = *cap ? *cap : 64;
    while (c < need && c < (1u << 30)) c *= 2;
    void *q = c >= need ? ol_realloc(*p, c * each) : NULL;
    if (!q) {
        if (m->status == OLV_OK) m->status = OLV_NOMEM;
        return false;
    }
    *p = q;
    *cap = c;
    return true;
}

static uint64_t mix(uint64_t x) {
    x ^= x >> 31;
    x *= 0x9e3779b97f4a7c15ull;
    x ^= x >> 29;
    x *= 0xbf58476d1ce4e5b9ull;
    return x ^ x >> 32;
}

static bool table_grow(ol_grammar_matcher *m, ol_gtable *t, uint64_t (*hash)(const ol_grammar_matcher *, uint32_t)) {
    if (t->cap && t->n * 2 < t->cap) return true;
    uint32_t cap = t->cap ? t->cap * 2 : 256, *slots = ol_calloc(cap, sizeof *slots);
    if (!slots) {
        if (m->status == OLV_OK) m->status = OLV_NOMEM;
        return false;
    }
    for (uint32_t i = 0; i < t->cap; i++) {
        if (!t->slots[i]) continue;
        uint32_t at = (uint32_t)hash(m, t->slots[i] - 1) & (cap - 1);
        while (slots[at]) at = (at + 1) & (cap - 1);
        slots[at] = t->slots[i];
    }
    ol_free(t->slots);
    t->slots = slots;
    t->cap = cap;
    return true;
}

static void table_clear(ol_gtable *t) {
    if (t->slots) memset(t->slots, 0, t->cap * sizeof *t->slots);
    t->n = 0;
}

static uint64_t frame_hash(const ol_grammar_matcher *m, uint32_t i) {
    return mix((uint64_t)m->frames[i].ret << 32 | m->frames[i].parent);
}

static uint32_t frame_intern(ol_grammar_matcher *m, uint32_t ret, uint32_t parent) {
    if (!table_grow(m, &m->frame_table, frame_hash)) return 0;
    uint32_t mask = m->frame_table.cap - 1, at = (uint32_t)mix((uint64_t)ret << 32 | parent) & mask;
    for (; m->frame_table.slots[at]; at = (at + 1) & mask) {
        uint32_t i = m->frame_table.slots[at] - 1;
        if (m->frames[i].ret == ret && m->frames[i].parent == parent) return i;
    }
    if (!ol_ggrow(m, (void **)&m->frames, &m->frames_cap, m->n_frames + 1, sizeof *m->frames)) return 0;
    m->frames[m->n_frames] = (ol_gframe){ret, parent};
    m->frame_table.slots[at] = m->n_frames + 1;
    m->frame_table.n++;
    return m->n_frames++;
}

static uint64_t seen_hash(const ol_grammar_matcher *m, uint32_t i) { return mix(m->seen_keys[i]); }

/* True the first time in this closure. */
static bool first_time(ol_grammar_matcher *m, uint64_t key) {
    if (!table_grow(m, &m->seen, seen_hash)) return false;
    uint32_t mask = m->seen.cap - 1, at = (uint32_t)mix(key) & mask;
    for (; m->seen.slots[at]; at = (at + 1) & mask)
        if (m->seen_keys[m->seen.slots[at] - 1] == key) return false;
    if (!ol_ggrow(m, (void **)&m->seen_keys, &m->seen_cap, m->n_seen + 1, sizeof *m->seen_keys)) return false;
    m->seen_keys[m->n_seen] = key;
    m->seen.slots[at] = ++m->n_seen;
    m->seen.n++;
    return true;
}

static void seen_clear(ol_grammar_matcher *m) {
    if (m->n_seen * 8 < m->seen.cap) { /* few: take them out one by one */
        for (uint32_t i = 0; i < m->n_seen; i++) {
            uint32_t mask = m->seen.cap - 1, at = (uint32_t)mix(m->seen_keys[i]) & mask;
            for (; m->seen.slots[at]; at = (at + 1) & mask) m->seen.slots[at] = 0;
        }
        m->seen.n = 0;
    } else table_clear(&m->seen);
    m->n_seen = 0;
}

static void follow(ol_grammar_matcher *m, uint32_t place, uint32_t frame) {
    if (!m->g->nodes[place].productive) return;
    if (!ol_ggrow(m, (void **)&m->work, &m->work_cap, m->n_work + 1, sizeof *m->work)) return;
    m->work[m->n_work++] = (uint64_t)frame << 32 | place;
}

static void follow_end(ol_grammar_matcher *m, uint32_t frame) {
    if (frame == OL_GFRAME_ROOT) m->set_accepting = true;
    else if (frame == OL_GFRAME_LOCAL) m->set_popped = true;
    else follow(m, m->frames[frame].ret, m->frames[frame].parent);
}

static void follow_call(ol_grammar_matcher *m, const ol_gnode *n, uint32_t frame) {
    if (!m->g->nodes[n->out].productive) return;
    /* A call at the end of a rule needs no frame of its own: stacks stay short and states repeat. */
    uint32_t f = m->g->nodes[n->out].kind == OL_GN_END ? frame : frame_intern(m, n->out, frame);
    follow(m, m->g->starts[n->out2], f);
}

static void drain(ol_grammar_matcher *m) {
    while (m->n_work > 0 && m->status == OLV_OK) {
        uint64_t key = m->work[--m->n_work];
        uint32_t place = (uint32_t)key, frame = (uint32_t)(key >> 32);
        const ol_gnode *n = &m->g->nodes[place];
        if (!first_time(m, key)) continue;
        if (m->n_seen > SET_MAX * 4 || m->n_set > SET_MAX || ++m->followed > WORK_MAX) {
            if (m->status == OLV_OK) m->status = OLV_LIMIT;
            return;
        }
        switch ((ol_gnode_kind)n->kind) {
        case OL_GN_RANGE:
            if (ol_ggrow(m, (void **)&m->set, &m->set_cap, m->n_set + 1, sizeof *m->set)) m->set[m->n_set++] = key;
            break;
        case OL_GN_SPLIT:
            follow(m, n->out, frame);
            follow(m, n->out2, frame);
            break;
        case OL_GN_CALL: follow_call(m, n, frame); break;
        case OL_GN_END: follow_end(m, frame); break;
        }
    }
}

static void begin_set(ol_grammar_matcher *m) {
    m->n_set = m->n_work = 0;
    m->set_accepting = m->set_popped = false;
    seen_clear(m);
}

static int by_value(const void *x, const void *y) {
    uint64_t a = *(const uint64_t *)x, b = *(const uint64_t *)y;
    return (a > b) - (a < b);
}

static uint64_t hash_set(const uint64_t *p, uint32_t n, bool accepting, bool popped) {
    uint64_t h = n * 4u + (accepting ? 2u : 0u) + (popped ? 1u : 0u);
    for (uint32_t i = 0; i < n; i++) h = mix(h ^ p[i]) + 0x9e3779b97f4a7c15ull;
    return mix(h);
}

static uint64_t state_hash(const ol_grammar_matcher *m, uint32_t i) {
    const ol_gstate *s = &m->states[i];
    return hash_set(m->pairs + s->at, s->n, s->accepting, s->popped);
}

static uint32_t add_state(ol_grammar_matcher *m, const uint64_t *p, uint32_t n, bool accepting, bool popped) {
    size_t classes = (size_t)m->g->n_classes;
    uint32_t cap = m->states_cap;
    if (m->n_states >= STATES_MAX || m->n_pairs > PAIRS_MAX - n) {
        if (m->status == OLV_OK) m->status = OLV_LIMIT;
        return 0;
    }
    if (!ol_ggrow(m, (void **)&m->pairs, &m->pairs_cap, m->n_pairs + n, sizeof *m->pairs)) return 0;
    if (m->n_states == cap) {
        uint32_t next_cap = cap;
        if (!ol_ggrow(m, (void **)&m->next, &next_cap, cap + 1, classes * sizeof *m->next) ||
            !ol_ggrow(m, (void **)&m->states, &m->states_cap, cap + 1, sizeof *m->states))
            return 0;
    }
    uint32_t i = m->n_states++;
    m->states[i] = (ol_gstate){m->n_pairs, n, accepting, popped, -1, -1, -1, -1};
    if (n) memcpy(m->pairs + m->n_pairs, p, n * sizeof *p);
    m->n_pairs += n;
    for (size_t c = 0; c < classes; c++) m->next[i * classes + c] = -1;
    return i;
}

uint32_t ol_gstate_intern(ol_grammar_matcher *m, uint64_t *p, uint32_t n, bool accepting, bool popped) {
    if (m->status != OLV_OK || (n == 0 && !accepting && !popped)) return 0;
    if (n > 1) qsort(p, n, sizeof *p, by_value);
    if (!table_grow(m, &m->state_table, state_hash)) return 0;
    uint32_t mask = m->state_table.cap - 1, at = (uint32_t)hash_set(p, n, accepting, popped) & mask;
    for (; m->state_table.slots[at]; at = (at + 1) & mask) {
        uint32_t i = m->state_table.slots[at] - 1;
        const ol_gstate *s = &m->states[i];
        if (s->n == n && s->accepting == accepting && s->popped == popped &&
            (n == 0 || memcmp(m->pairs + s->at, p, n * sizeof *p) == 0))
            return i;
    }
    uint32_t i = add_state(m, p, n, accepting, popped);
    if (i == 0) return 0;
    m->state_table.slots[at] = i + 1;
    m->state_table.n++;
    return i;
}

uint32_t ol_gstep_slow(ol_grammar_matcher *m, uint32_t state, uint8_t cls) {
    uint8_t byte = m->g->byte_of[cls];
    begin_set(m);
    for (uint32_t i = 0; i < m->states[state].n; i++) {
        uint64_t key = m->pairs[m->states[state].at + i];
        const ol_gnode *n = &m->g->nodes[(uint32_t)key];
        if (byte >= n->lo && byte <= n->hi) follow(m, n->out, (uint32_t)(key >> 32));
    }
    drain(m);
    uint32_t to = ol_gstate_intern(m, m->set, m->n_set, m->set_accepting, m->set_popped);
    if (m->status == OLV_OK) m->next[(size_t)state * (size_t)m->g->n_classes + cls] = (int32_t)to;
    return m->status == OLV_OK ? to : 0;
}

static void clear(ol_grammar_matcher *m) {
    m->n_frames = OL_GFRAMES_FIRST;
    m->n_states = m->n_pairs = m->n_loops = 0;
    table_clear(&m->frame_table);
    table_clear(&m->state_table);
    ol_glocals_clear(m);
    for (int i = 0; i < OL_GMASK_SLOTS; i++) m->mask_owner[i] = -1;
    add_state(m, NULL, 0, false, false); /* the dead state */
    for (int c = 0; c < m->g->n_classes && m->status == OLV_OK; c++) m->next[c] = 0;
}

olv_status ol_gstates_start(ol_grammar_matcher *m) {
    if (!ol_ggrow(m, (void **)&m->frames, &m->frames_cap, OL_GFRAMES_FIRST, sizeof *m->frames)) return m->status;
    clear(m);
    begin_set(m);
    follow(m, m->g->starts[m->g->root], OL_GFRAME_ROOT);
    drain(m);
    m->start = m->now = ol_gstate_intern(m, m->set, m->n_set, m->set_accepting, false);
    return m->status;
}

/* The present state's stacks are copied out, everything is dropped, and the stacks are made again. Frames are younger
 * than those beneath them, so one pass in order of age does. */
void ol_gstates_flush(ol_grammar_matcher *m) {
    ol_gstate now = m->states[m->now];
    uint32_t nf = m->n_frames;
    ol_gframe *frames = ol_calloc(nf + 1, sizeof *frames);
    uint32_t *map = ol_calloc(nf + 1, sizeof *map);
    uint64_t *pairs = ol_calloc(now.n + 1u, sizeof *pairs);
    if (frames && map && pairs) {
        memcpy(frames, m->frames, nf * sizeof *frames);
        if (now.n) memcpy(pairs, m->pairs + now.at, now.n * sizeof *pairs);
        for (uint32_t i = 0; i < now.n; i++) map[pairs[i] >> 32] = 1;
        for (uint32_t f = nf; f-- > OL_GFRAMES_FIRST;)
            if (map[f]) map[frames[f].parent] = 1;
        olv_status st = ol_gstates_start(m);
        for (uint32_t f = OL_GFRAMES_FIRST; f < nf && st == OLV_OK; f++)
            if (map[f]) map[f] = frame_intern(m, frames[f].ret, frames[f].parent < OL_GFRAMES_FIRST ? frames[f].parent : map[frames[f].parent]);
        for (uint32_t i = 0; i < now.n; i++) {
            uint32_t f = (uint32_t)(pairs[i] >> 32);
            if (f >= OL_GFRAMES_FIRST) pairs[i] = (uint64_t)map[f] << 32 | (uint32_t)pairs[i];
        }
        m->now = ol_gstate_intern(m, pairs, now.n, now.accepting, now.popped);
    } else m->status = OLV_NOMEM;
    ol_free(frames);
    ol_free(map);
    ol_free(pairs);
}
