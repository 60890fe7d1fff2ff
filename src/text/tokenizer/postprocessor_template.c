/* SPDX-License-Identifier: Apache-2.0 */
/* TemplateProcessing: special tokens and sequences in a given order, each with its type id. */
#include "text/tokenizer/state.h"

#define MAX_PIECES 64
#define MAX_SPECIAL_IDS 64

typedef struct template_piece {
    int sequence; /* 0 A, 1 B, -1 special */
    uint32_t type_id;
    const uint32_t *ids;
    size_t n_ids;
} template_piece;

typedef struct template_state {
    template_piece items[2][MAX_PIECES]; /* single, pair */
    size_t count[2], added[2];
} template_state;

static olv_status get_type_id(const json_t *o, uint32_t *out, olv_error *err) {
    int64_t v;
    OL_TRY(ol_json_int(o, "type_id", 0, UINT32_MAX, 0, &v, err));
    *out = (uint32_t)v;
    return OLV_OK;
}

static olv_status special_ids(ol_arena *a, const json_t *specials, const char *name,
                              template_piece *p, olv_error *err) {
    const json_t *ids = json_object_get(json_object_get(specials, name), "ids");
    size_t n = json_array_size(ids);
    if (!json_is_array(ids) || n > MAX_SPECIAL_IDS)
        return ol_fail(err, OLV_FORMAT,
                       "special token \"%s\" of the template has no list of at most %d \"ids\"",
                       name, MAX_SPECIAL_IDS);
    uint32_t *out = ol_arena_calloc(a, n + 1, sizeof *out);
    if (!out) return ol_fail(err, OLV_NOMEM, "out of memory");
    for (size_t i = 0; i < n; i++) {
        json_int_t v = json_integer_value(json_array_get(ids, i));
        if (!json_is_integer(json_array_get(ids, i)) || v < 0 || v > UINT32_MAX)
            return ol_fail(err, OLV_FORMAT,
                           "special token \"%s\" of the template: id %zu is no token id", name, i);
        out[i] = (uint32_t)v;
    }
    p->ids = out;
    p->n_ids = n;
    return OLV_OK;
}

static olv_status get_piece(ol_arena *a, const json_t *o, const json_t *specials, template_piece *p,
                            olv_error *err) {
    const json_t *seq = json_object_get(o, "Sequence"),
                 *special = json_object_get(o, "SpecialToken");
    const char *id = json_string_value(json_object_get(seq ? seq : special, "id"));
    if (!id)
        return ol_fail(
            err, OLV_FORMAT,
            "a piece of the template is neither Sequence nor SpecialToken with an \"id\"");
    OL_TRY(get_type_id(seq ? seq : special, &p->type_id, err));
    p->sequence = -1;
    if (!seq) return special_ids(a, specials, id, p, err);
    if (strcmp(id, "A") != 0 && strcmp(id, "B") != 0)
        return ol_fail(err, OLV_FORMAT, "a sequence of the template is \"%s\", expected A or B",
                       id);
    p->sequence = id[0] == 'B';
    return OLV_OK;
}

static olv_status create(ol_arena *a, const json_t *cfg, void **state, olv_error *err) {
    static const char *const keys[2] = {"single", "pair"};
    template_state *s = ol_arena_alloc(a, sizeof *s);
    if (!s) return ol_fail(err, OLV_NOMEM, "out of memory");
    *state = s;
    const json_t *specials = json_object_get(cfg, "special_tokens");
    for (int k = 0; k < 2; k++) {
        const json_t *list = json_object_get(cfg, keys[k]);
        s->count[k] = json_array_size(list);
        if (!json_is_array(list) || s->count[k] > MAX_PIECES)
            return ol_fail(err, OLV_FORMAT, "\"%s\" is not a list of at most %d pieces", keys[k],
                           MAX_PIECES);
        for (size_t i = 0; i < s->count[k]; i++) {
            template_piece *p = &s->items[k][i];
            OL_TRY(get_piece(a, json_array_get(list, i), specials, p, err));
            if (k == 0 && p->sequence == 1)
                return ol_fail(err, OLV_FORMAT, "\"single\" uses sequence B");
            s->added[k] += p->n_ids;
        }
    }
    return OLV_OK;
}

static size_t added(const void *state, bool pair) {
    return ((const template_state *)state)->added[pair];
}

static bool put(ol_tk_parts *parts, ol_tk_part *out, const template_piece *p,
                const ol_tk_part *sequences) {
    size_t n = p->sequence < 0 ? p->n_ids : sequences[p->sequence].count;
    ol_tk_token *t = ol_arena_calloc(parts->arena, n + 1, sizeof *t);
    if (!t) return false;
    for (size_t i = 0; i < n; i++) {
        if (p->sequence < 0)
            t[i].id = p->ids[i];
        else
            t[i] = sequences[p->sequence].items[i];
        t[i].type_id = p->type_id;
    }
    *out = (ol_tk_part){t, n};
    return true;
}

static olv_status apply(const void *state, ol_tk_parts *parts, olv_error *err) {
    const template_state *s = state;
    if (parts->count != 1 && parts->count != 2)
        return ol_fail(err, OLV_UNSUPPORTED,
                       "a template after another post-processor that adds tokens");
    size_t k = parts->count - 1, n = 0;
    ol_tk_part sequences[2] = {parts->items[0], parts->items[k]};
    for (size_t i = 0; i < s->count[k]; i++) {
        const template_piece *p = &s->items[k][i];
        if (p->sequence < 0 && !parts->add_special) continue;
        if (!put(parts, &parts->items[n++], p, sequences))
            return ol_fail(err, OLV_NOMEM, "out of memory");
    }
    parts->count = n;
    return OLV_OK;
}

const ol_tk_postprocessor_kind ol_tk_postprocessor_template = {"TemplateProcessing", create, added,
                                                               apply};
