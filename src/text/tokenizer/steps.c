/* SPDX-License-Identifier: Apache-2.0 */
/* The chains of steps: kinds by name, Sequences flattened, and running and freeing them. */
#include "text/tokenizer/pretokenizer_bytelevel.h"
#include "text/tokenizer/state.h"

#include <stdio.h>

#define OL_TK_NORMALIZER(name) extern const ol_tk_normalizer_kind ol_tk_normalizer_##name;
#include "text/tokenizer/normalizers.def"
#undef OL_TK_NORMALIZER
#define OL_TK_PRETOKENIZER(name) extern const ol_tk_pretokenizer_kind ol_tk_pretokenizer_##name;
#include "text/tokenizer/pretokenizers.def"
#undef OL_TK_PRETOKENIZER
#define OL_TK_POSTPROCESSOR(name) extern const ol_tk_postprocessor_kind ol_tk_postprocessor_##name;
#include "text/tokenizer/postprocessors.def"
#undef OL_TK_POSTPROCESSOR
#define OL_TK_DECODER(name) extern const ol_tk_decoder_kind ol_tk_decoder_##name;
#include "text/tokenizer/decoders.def"
#undef OL_TK_DECODER

static const ol_tk_normalizer_kind *const normalizer_kinds[] = {
#define OL_TK_NORMALIZER(name) &ol_tk_normalizer_##name,
#include "text/tokenizer/normalizers.def"
#undef OL_TK_NORMALIZER
};
static const ol_tk_pretokenizer_kind *const pretokenizer_kinds[] = {
#define OL_TK_PRETOKENIZER(name) &ol_tk_pretokenizer_##name,
#include "text/tokenizer/pretokenizers.def"
#undef OL_TK_PRETOKENIZER
};
static const ol_tk_postprocessor_kind *const postprocessor_kinds[] = {
#define OL_TK_POSTPROCESSOR(name) &ol_tk_postprocessor_##name,
#include "text/tokenizer/postprocessors.def"
#undef OL_TK_POSTPROCESSOR
};
static const ol_tk_decoder_kind *const decoder_kinds[] = {
#define OL_TK_DECODER(name) &ol_tk_decoder_##name,
#include "text/tokenizer/decoders.def"
#undef OL_TK_DECODER
};

#define MAX_NESTING 8

/* One of the four chains: how its kinds are found and made. */
typedef struct chain {
    const char *what, *list_key;
    ol_tk_steps *steps;
    olv_status (*make)(olv_tokenizer *t, const char *type, const json_t *cfg, ol_tk_step *step,
                       olv_error *err);
} chain;

#define MAKE(chain_name)                                                                       \
    static olv_status make_##chain_name(olv_tokenizer *t, const char *type, const json_t *cfg, \
                                        ol_tk_step *step, olv_error *err) {                    \
        for (size_t i = 0; i < sizeof chain_name##_kinds / sizeof *chain_name##_kinds; i++)    \
            if (strcmp(chain_name##_kinds[i]->type, type) == 0) {                              \
                step->kind = chain_name##_kinds[i];                                            \
                return chain_name##_kinds[i]->create(t->arena, cfg, &step->state, err);        \
            }                                                                                  \
        return ol_fail(err, OLV_UNSUPPORTED, "type \"%s\" is not known", type);                \
    }
MAKE(normalizer)
MAKE(pretokenizer)
MAKE(postprocessor)
MAKE(decoder)

static olv_status add(olv_tokenizer *t, const chain *c, const json_t *cfg, int depth,
                      olv_error *err) {
    if (!cfg || json_is_null(cfg)) return OLV_OK;
    if (depth > MAX_NESTING)
        return ol_fail(err, OLV_LIMIT, "%s: Sequences nested deeper than %d", c->what, MAX_NESTING);
    const char *type = json_string_value(json_object_get(cfg, "type"));
    if (!type)
        return ol_fail(err, OLV_FORMAT, "%s: an object with a \"type\" is expected", c->what);
    if (strcmp(type, "Sequence") == 0) {
        const json_t *list = json_object_get(cfg, c->list_key);
        if (!json_is_array(list))
            return ol_fail(err, OLV_FORMAT, "%s: Sequence without \"%s\"", c->what, c->list_key);
        for (size_t i = 0; i < json_array_size(list); i++)
            OL_TRY(add(t, c, json_array_get(list, i), depth + 1, err));
        return OLV_OK;
    }
    if (c->steps->count == OL_TK_MAX_STEPS)
        return ol_fail(err, OLV_LIMIT, "%s: more than %d steps", c->what, OL_TK_MAX_STEPS);
    ol_tk_step *step = &c->steps->items[c->steps->count];
    *step = (ol_tk_step){NULL, NULL};
    olv_status st = c->make(t, type, cfg, step, err);
    if (step->state || st == OLV_OK) c->steps->count++; /* so that it is destroyed */
    if (st != OLV_OK) ol_error_at(err, "%s %s", c->what, type);
    return st;
}

olv_status ol_tk_add_normalizers(olv_tokenizer *t, const json_t *cfg, olv_error *err) {
    chain c = {"normalizer", "normalizers", &t->normalizers, make_normalizer};
    return add(t, &c, cfg, 0, err);
}
olv_status ol_tk_add_pretokenizers(olv_tokenizer *t, const json_t *cfg, olv_error *err) {
    chain c = {"pre_tokenizer", "pretokenizers", &t->pretokenizers, make_pretokenizer};
    return add(t, &c, cfg, 0, err);
}
olv_status ol_tk_add_postprocessors(olv_tokenizer *t, const json_t *cfg, olv_error *err) {
    chain c = {"post_processor", "processors", &t->postprocessors, make_postprocessor};
    t->has_postprocessor = cfg && !json_is_null(cfg);
    return add(t, &c, cfg, 0, err);
}
olv_status ol_tk_add_decoders(olv_tokenizer *t, const json_t *cfg, olv_error *err) {
    chain c = {"decoder", "decoders", &t->decoders, make_decoder};
    t->has_decoder = cfg && !json_is_null(cfg);
    return add(t, &c, cfg, 0, err);
}

void ol_tk_steps_destroy(olv_tokenizer *t) {
    for (size_t i = 0; i < t->normalizers.count; i++) {
        const ol_tk_normalizer_kind *k = t->normalizers.items[i].kind;
        if (k->destroy && t->normalizers.items[i].state) k->destroy(t->normalizers.items[i].state);
    }
    for (size_t i = 0; i < t->pretokenizers.count; i++) {
        const ol_tk_pretokenizer_kind *k = t->pretokenizers.items[i].kind;
        if (k->destroy && t->pretokenizers.items[i].state)
            k->destroy(t->pretokenizers.items[i].state);
    }
    for (size_t i = 0; i < t->decoders.count; i++) {
        const ol_tk_decoder_kind *k = t->decoders.items[i].kind;
        if (k->destroy && t->decoders.items[i].state) k->destroy(t->decoders.items[i].state);
    }
}

olv_status ol_tk_normalize(const olv_tokenizer *t, ol_tk_work *w, ol_tk_piece *p, olv_error *err) {
    for (size_t i = 0; i < t->normalizers.count; i++) {
        const ol_tk_normalizer_kind *k = t->normalizers.items[i].kind;
        OL_TRY(k->apply(t->normalizers.items[i].state, w, p, err));
        if (w->nomem) return ol_fail(err, OLV_NOMEM, "out of memory");
    }
    return OLV_OK;
}

#define OL_TK_MODEL(name) extern const ol_tk_model_kind ol_tk_model_##name;
#include "text/tokenizer/models.def"
#undef OL_TK_MODEL
static const ol_tk_model_kind *const model_kinds[] = {
#define OL_TK_MODEL(name) &ol_tk_model_##name,
#include "text/tokenizer/models.def"
#undef OL_TK_MODEL
};

olv_status ol_tk_create_model(olv_tokenizer *t, ol_tk_model_spec *spec, olv_error *err) {
    for (size_t i = 0; i < sizeof model_kinds / sizeof *model_kinds; i++) {
        if (strcmp(model_kinds[i]->type, spec->type) != 0) continue;
        OL_TRY(model_kinds[i]->create(spec, &t->model, err));
        t->model_kind = model_kinds[i];
        return OLV_OK;
    }
    return ol_fail(err, OLV_UNSUPPORTED, "model type \"%s\" is not known", spec->type);
}

olv_status ol_tk_finish(olv_tokenizer *t, const char *model_type, olv_error *err) {
    size_t n = t->pretokenizers.count;
    bool byte_level = n > 0 && t->pretokenizers.items[n - 1].kind == &ol_tk_pretokenizer_bytelevel;
    if (byte_level && t->model_kind->takes_bytes && t->model_kind->takes_bytes(t->model)) {
        t->byte_pieces = true;
        ((ol_tk_bytelevel *)t->pretokenizers.items[n - 1].state)->leave_bytes = true;
    }
    for (size_t i = 0; i < t->postprocessors.count; i++) {
        const void *k = t->postprocessors.items[i].kind;
        if (k == &ol_tk_postprocessor_bytelevel || k == &ol_tk_postprocessor_roberta)
            t->trims = true;
    }
    t->byte_decoder =
        t->decoders.count == 1 && t->decoders.items[0].kind == &ol_tk_decoder_bytelevel;
    snprintf(t->kind, sizeof t->kind, "%s%s, %zu tokens", model_type,
             byte_level || t->raw_bytes ? " (byte-level)" : "", olv_tokenizer_vocab_size(t));
    (void)err;
    return OLV_OK;
}
