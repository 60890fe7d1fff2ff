/* SPDX-License-Identifier: Apache-2.0 */
/* BertProcessing, RobertaProcessing, and ByteLevel, which trims white space off offsets. */
#include "text/tokenizer/state.h"

typedef struct pair_state {
    uint32_t sep, cls;
    bool trim, prefix_space;
} pair_state;

static olv_status get_id(const json_t *cfg, const char *key, uint32_t *out, olv_error *err) {
    const json_t *v = json_object_get(cfg, key), *id = json_array_get(v, 1);
    json_int_t n = json_integer_value(id);
    if (!json_is_string(json_array_get(v, 0)) || !json_is_integer(id) || n < 0 || n > UINT32_MAX)
        return ol_fail(err, OLV_FORMAT, "\"%s\" is not [token, id]", key);
    *out = (uint32_t)n;
    return OLV_OK;
}

static olv_status bert_create(ol_arena *a, const json_t *cfg, void **state, olv_error *err) {
    pair_state *s = ol_arena_alloc(a, sizeof *s);
    if (!s) return ol_fail(err, OLV_NOMEM, "out of memory");
    *state = s;
    OL_TRY(get_id(cfg, "sep", &s->sep, err));
    return get_id(cfg, "cls", &s->cls, err);
}

static olv_status roberta_create(ol_arena *a, const json_t *cfg, void **state, olv_error *err) {
    OL_TRY(bert_create(a, cfg, state, err));
    pair_state *s = *state;
    OL_TRY(ol_tk_cfg_bool(cfg, "trim_offsets", 1, &s->trim, err));
    return ol_tk_cfg_bool(cfg, "add_prefix_space", 1, &s->prefix_space, err);
}

static size_t bert_added(const void *state, bool pair) {
    (void)state;
    return pair ? 3 : 2;
}
static size_t roberta_added(const void *state, bool pair) {
    (void)state;
    return pair ? 4 : 2;
}

/* [first] part [last]; first or last NULL: none. */
static bool surround(ol_tk_parts *parts, size_t i, const ol_tk_token *first,
                     const ol_tk_token *last) {
    ol_tk_part *p = &parts->items[i];
    ol_tk_token *t = ol_arena_calloc(parts->arena, p->count + 2, sizeof *t);
    if (!t) return false;
    size_t n = 0;
    if (first) t[n++] = *first;
    if (p->count) memcpy(t + n, p->items, p->count * sizeof *t);
    n += p->count;
    if (last) t[n++] = *last;
    *p = (ol_tk_part){t, n};
    return true;
}

static olv_status bert_apply(const void *state, ol_tk_parts *parts, olv_error *err) {
    const pair_state *s = state;
    if (!parts->add_special) return OLV_OK;
    for (size_t i = 0; i < parts->count; i++) {
        ol_tk_token cls = {.id = s->cls}, sep = {.id = s->sep, .type_id = i ? 1 : 0};
        if (!surround(parts, i, i ? NULL : &cls, &sep))
            return ol_fail(err, OLV_NOMEM, "out of memory");
    }
    return OLV_OK;
}

/* Cuts the white space at both ends of a token's name off its offsets. One space in front of the
 * first token stays: it may be the one that the pre-tokenizer put there. */
static void trim(ol_tk_part *p, bool prefix_space) {
    for (size_t i = 0; i < p->count; i++) {
        ol_tk_token *t = &p->items[i];
        uint32_t lead = t->lead, trail = t->trail;
        if (lead == 1 && prefix_space && (i == 0 || t->start == 0)) lead = 0;
        if (lead) t->start = t->end - t->start < lead ? t->end : t->start + lead;
        if (trail && t->end >= trail)
            t->end = t->end - trail > t->start ? t->end - trail : t->start;
    }
}

static olv_status roberta_apply(const void *state, ol_tk_parts *parts, olv_error *err) {
    const pair_state *s = state;
    for (size_t i = 0; i < parts->count; i++) {
        if (s->trim) trim(&parts->items[i], s->prefix_space);
        for (size_t k = 0; k < parts->items[i].count; k++) parts->items[i].items[k].type_id = 0;
    }
    if (!parts->add_special) return OLV_OK;
    for (size_t i = 0; i < parts->count; i++) {
        ol_tk_token cls = {.id = s->cls}, sep = {.id = s->sep};
        if (!surround(parts, i, i ? &sep : &cls, &sep))
            return ol_fail(err, OLV_NOMEM, "out of memory");
    }
    return OLV_OK;
}

static olv_status bytelevel_create(ol_arena *a, const json_t *cfg, void **state, olv_error *err) {
    pair_state *s = ol_arena_alloc(a, sizeof *s);
    if (!s) return ol_fail(err, OLV_NOMEM, "out of memory");
    *state = s;
    OL_TRY(ol_tk_cfg_bool(cfg, "trim_offsets", 1, &s->trim, err));
    return ol_tk_cfg_bool(cfg, "add_prefix_space", 1, &s->prefix_space, err);
}
static size_t nothing_added(const void *state, bool pair) {
    (void)state, (void)pair;
    return 0;
}
static olv_status bytelevel_apply(const void *state, ol_tk_parts *parts, olv_error *err) {
    const pair_state *s = state;
    (void)err;
    for (size_t i = 0; s->trim && i < parts->count; i++) trim(&parts->items[i], s->prefix_space);
    return OLV_OK;
}

const ol_tk_postprocessor_kind ol_tk_postprocessor_bert = {"BertProcessing", bert_create,
                                                           bert_added, bert_apply};
const ol_tk_postprocessor_kind ol_tk_postprocessor_roberta = {"RobertaProcessing", roberta_create,
                                                              roberta_added, roberta_apply};
const ol_tk_postprocessor_kind ol_tk_postprocessor_bytelevel = {"ByteLevel", bytelevel_create,
                                                                nothing_added, bytelevel_apply};
