/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/openvino/lm_read.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "formats/huggingface/config.h"
#include "formats/openvino/openvino.h"

#include <stdio.h>

#define MAX_CONFIG (16u << 20)
#define ONES "ones."

/* ---- forms ---- */

static const ol_lmr_form no_form;

const ol_lmr_form *ol_lmr_in(ol_translate *tr, const ol_node *n, int i) {
    return ol_tr_given(n, i) && n->inputs[i]->graph == tr->old ? &ol_lmr_of(tr)->forms[n->inputs[i]->id] : &no_form;
}

ol_verdict ol_lmr_set(ol_translate *tr, const ol_node *n, int output, const ol_lmr_form *f) {
    if (output < n->n_outputs && n->outputs[output]) ol_lmr_of(tr)->forms[n->outputs[output]->id] = *f;
    return OL_DONE;
}

int ol_lmr_find(ol_translate *tr, const ol_node *n, ol_lmr_kind kind) {
    for (int i = 0; i < n->n_inputs; i++)
        if (ol_lmr_in(tr, n, i)->kind == kind) return i;
    return -1;
}

bool ol_lmr_last_axis(const ol_node *n, int64_t axis) {
    return axis == -1 || (n->inputs[0]->type.rank > 0 && axis == n->inputs[0]->type.rank - 1);
}

ol_value *ol_lmr_ones(ol_translate *tr, int64_t n) {
    char name[40];
    snprintf(name, sizeof name, ONES "%lld", (long long)n);
    ol_value *v = ol_graph_find_value(tr->g, name);
    if (v) return v;
    float *f = ol_calloc((size_t)(n > 0 ? n : 1), sizeof *f);
    for (int64_t i = 0; f && i < n; i++) f[i] = 1;
    v = f ? ol_graph_add_f32(tr->g, name, f, (int)n, tr->err) : NULL;
    ol_free(f);
    return v;
}

bool ol_lmr_is_ones(const ol_value *v) { return strncmp(v->name, ONES, sizeof ONES - 1) == 0; }

/* ---- nodes ---- */

static ol_verdict copy(ol_translate *tr, const ol_node *n) {
    const ol_old *o = ol_tr_in(tr, n, 0);
    ol_verdict v = ol_tr_set_rows(tr, n, 0, o->v, o->split);
    tr->known[n->outputs[0]->id].cached = o->cached;
    return v;
}

static bool is_view(const char *op) {
    static const char *const names[] = {"Unsqueeze", "Squeeze", "Transpose", "Reshape", "Expand", "Tile", "Identity", "Cast"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(op, names[i]) == 0) return true;
    return false;
}

/* [B, S, n] from a shape that is computed: its last size is known from the types. */
static ol_verdict computed_shape(ol_translate *tr, const ol_node *n, const ol_old *o) {
    const ol_type *t = &n->outputs[0]->type;
    int64_t width = ol_tr_width(o->v), last = t->rank > 0 ? t->dims[t->rank - 1] : -1;
    if (o->cached || last < 1 || width % last) return OL_PASSED;
    return ol_tr_set_rows(tr, n, 0, o->v, last == width ? 0 : last);
}

/* Other views: of forms the form stays; ids and positions stay what they are; positions become reals. */
static ol_verdict view(ol_translate *tr, const ol_node *n) {
    const ol_lmr_form *f = ol_lmr_in(tr, n, 0);
    const ol_old *o = ol_tr_in(tr, n, 0);
    const char *op = n->op->name;
    if (!is_view(op)) return OL_PASSED;
    if (f->kind != OL_LMR_NONE && o->kind != OL_OLD_ROWS) return ol_lmr_set(tr, n, 0, f);
    if (o->kind == OL_OLD_CHOICE) return ol_lmr_view_choice(tr, n);
    if (o->kind == OL_OLD_CONST && strcmp(op, "Expand") == 0) return ol_tr_set_const(tr, n, 0, ol_const_retain(o->c), o->source);
    if (o->kind != OL_OLD_ROWS) return OL_PASSED;
    if (o->v->type.dtype == OL_I64) {
        bool real = strcmp(op, "Cast") == 0 && ol_dtype_class(ol_dtype_from_onnx(ol_node_int(n, "to", 0))) == 'f';
        if (!real) return copy(tr, n);
        return o->v == tr->positions ? ol_lmr_set(tr, n, 0, &(ol_lmr_form){.kind = OL_LMR_POSITION}) : OL_PASSED;
    }
    int64_t dims[OL_MAX_RANK];
    int rank = strcmp(op, "Reshape") == 0 ? ol_tr_ints(tr, n, 1, dims, OL_MAX_RANK) : OL_MAX_RANK;
    if (rank < 2) return computed_shape(tr, n, o);
    bool one_head = rank == 4 && dims[3] == ol_tr_width(o->v) && !o->cached;
    return one_head ? ol_tr_set_rows(tr, n, 0, o->v, dims[3]) : OL_PASSED;
}

/* A choice between two sets of frequencies by the length of the sequence, whose last position is compared with a number. */
static ol_verdict choice(ol_translate *tr, const ol_node *n) {
    const ol_node *cond = n->n_inputs == 3 && n->inputs[0] ? n->inputs[0]->producer : NULL;
    const ol_const *yes = ol_tr_const(tr, n, 1), *no = ol_tr_const(tr, n, 2);
    double bound, more = 0;
    if (strcmp(n->op->name, "Where") != 0 || !cond || !yes || !no || ol_dtype_class(ol_const_dtype(yes)) != 'f') return OL_PASSED;
    bool greater = strcmp(cond->op->name, "Greater") == 0, or_equal = strcmp(cond->op->name, "GreaterOrEqual") == 0;
    if ((!greater && !or_equal) || !ol_tr_scalar(tr, cond, 1, &bound)) return OL_PASSED;
    const ol_node *last = cond->inputs[0]->producer;
    if (last && strcmp(last->op->name, "Add") == 0 && ol_tr_scalar(tr, last, 1, &more)) last = last->inputs[0]->producer;
    if (!last || strcmp(last->op->name, "ReduceMax") != 0 || ol_tr_rows(tr, last, 0) != tr->positions) return OL_PASSED;
    ol_old *o = &tr->known[n->outputs[0]->id];
    o->kind = OL_OLD_CHOICE;
    o->c = ol_const_retain((ol_const *)(uintptr_t)yes);
    o->c2 = ol_const_retain((ol_const *)(uintptr_t)no);
    o->source = n->inputs[1];
    o->threshold = (int64_t)(bound - more) + (greater ? 1 : 0);
    return OL_DONE;
}

/* x · Wᵀ, with the weights as they are. */
static ol_verdict linear(ol_translate *tr, const ol_node *n) {
    if (strcmp(n->op->name, "Linear") != 0 || strcmp(n->op->domain, "olivine") != 0) return OL_PASSED;
    ol_value *x = ol_tr_rows(tr, n, 0);
    const ol_old *w = ol_tr_in(tr, n, 1);
    if (!x || w->kind != OL_OLD_CONST) return OL_PASSED;
    ol_value *c = ol_tr_constant(tr, w->source->name, ol_const_retain(w->c));
    if (c && ol_tr_width(c) != ol_tr_width(x))
        return ol_tr_fail(tr, n, OLV_SHAPE, "found rows of %lld values, expected %lld", (long long)ol_tr_width(x), (long long)ol_tr_width(c));
    return ol_tr_set_rows(tr, n, 0, ol_tr_linear(tr, x, c, NULL), 0);
}

/* Sizes are never looked at. */
static ol_verdict shape(ol_translate *tr, const ol_node *n) {
    (void)tr;
    return strcmp(n->op->name, "Shape") == 0 ? OL_DONE : OL_PASSED;
}

static ol_verdict handle(ol_translate *tr, const ol_node *n) {
    static ol_node_handler *const handlers[] = {shape, view, choice, ol_lmr_fold, linear, ol_lmr_layer_norm, ol_lmr_norm_piece, ol_lmr_norm_scale,
                                                ol_lmr_rope_piece, ol_lmr_part, ol_lmr_split, ol_lmr_join, ol_lmr_scores, ol_lmr_attention};
    for (size_t i = 0; i < sizeof handlers / sizeof handlers[0]; i++) {
        ol_verdict v = handlers[i](tr, n);
        if (v != OL_PASSED) return v;
    }
    return OL_PASSED;
}

/* ---- config.json ---- */

typedef struct facts {
    ol_ortgenai_config c;
    ol_arena *arena;
    int64_t *windows, n_windows;
} facts;

static void whole(const json_t *j, const char *key, int64_t *out) {
    const json_t *v = json_object_get(j, key);
    if (json_is_integer(v) && json_integer_value(v) > 0) *out = json_integer_value(v);
}

/* Windows are not to be seen in the layers; a family that is known tells them. */
static olv_status take_family(const json_t *j, facts *f, olv_error *err) {
    ol_hf_config h;
    olv_error ignored = {OLV_OK, ""};
    memset(&h, 0, sizeof h);
    f->arena = ol_arena_create();
    if (!f->arena) return ol_fail(err, OLV_NOMEM, "out of memory");
    if (ol_hf_config_read(j, f->arena, &h, &ignored) != OLV_OK) {
        const json_t *window = json_object_get(j, "sliding_window");
        if (json_is_integer(window) && !json_is_false(json_object_get(j, "use_sliding_window")))
            return ol_fail(err, OLV_UNSUPPORTED, "config.json: sliding_window of model_type '%s', which is not known here", f->c.type);
        return OLV_OK;
    }
    if (h.position == OL_HF_ALIBI)
        return ol_fail(err, OLV_UNSUPPORTED, "config.json: attention biases of model_type '%s' are not read from OpenVINO models", f->c.type);
    f->n_windows = h.n_layers;
    f->windows = ol_arena_calloc(f->arena, (size_t)h.n_layers, sizeof *f->windows);
    for (int64_t i = 0; f->windows && i < h.n_layers; i++) f->windows[i] = h.layers[i].window;
    return f->windows ? OLV_OK : ol_fail(err, OLV_NOMEM, "out of memory");
}

static olv_status read_facts(const char *folder, facts *f, olv_error *err) {
    char *path = ol_path_join(folder, "config.json");
    json_t *j = NULL;
    if (!path) return ol_fail(err, OLV_NOMEM, "out of memory");
    snprintf(f->c.input_ids, sizeof f->c.input_ids, "input_ids");
    snprintf(f->c.position_ids, sizeof f->c.position_ids, "position_ids");
    snprintf(f->c.logits, sizeof f->c.logits, "logits");
    olv_status s = ol_file_exists(path) ? ol_json_read_file(path, MAX_CONFIG, &j, err)
                                        : ol_fail(err, OLV_NOT_FOUND, "%s: config.json is missing", folder);
    ol_free(path);
    OL_TRY(s);
    const char *type = json_string_value(json_object_get(j, "model_type"));
    snprintf(f->c.type, sizeof f->c.type, "%s", type ? type : "");
    const struct {
        const char *key;
        int64_t *to;
    } numbers[] = {{"vocab_size", &f->c.vocab_size}, {"max_position_embeddings", &f->c.context_length}, {"n_positions", &f->c.context_length},
                   {"hidden_size", &f->c.hidden_size}, {"n_embd", &f->c.hidden_size}, {"num_hidden_layers", &f->c.n_layers},
                   {"n_layer", &f->c.n_layers}, {"num_attention_heads", &f->c.n_heads}, {"n_head", &f->c.n_heads},
                   {"num_key_value_heads", &f->c.n_kv_heads}, {"head_dim", &f->c.head_size}};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) whole(j, numbers[i].key, numbers[i].to);
    if (!f->c.n_kv_heads) f->c.n_kv_heads = f->c.n_heads;
    if (!f->c.head_size && f->c.n_heads) f->c.head_size = f->c.hidden_size / f->c.n_heads;
    s = take_family(j, f, err);
    json_decref(j);
    return s;
}

/* ---- the folder ---- */

static olv_status translate(ol_graph *old, const facts *f, ol_graph **out, olv_error *err) {
    ol_lmr *lm = ol_calloc(1, sizeof *lm);
    if (!lm) return ol_fail(err, OLV_NOMEM, "out of memory");
    lm->tr.old = old;
    lm->tr.config = &f->c;
    lm->tr.first = handle;
    lm->windows = f->windows;
    lm->n_windows = f->n_windows;
    lm->forms = ol_calloc((size_t)(old->n_values ? old->n_values : 1), sizeof *lm->forms);
    olv_status s = lm->forms ? ol_tr_run(&lm->tr, out, err) : ol_fail(err, OLV_NOMEM, "out of memory");
    ol_free(lm->forms);
    ol_free(lm);
    return s;
}

olv_status ol_openvino_lm_read(const char *folder, ol_graph **out, olv_error *err) {
    facts f;
    memset(&f, 0, sizeof f);
    char *path = ol_path_join(folder, OL_OPENVINO_MODEL);
    ol_graph *old = NULL;
    olv_status s = path ? read_facts(folder, &f, err) : ol_fail(err, OLV_NOMEM, "out of memory");
    if (s == OLV_OK) s = ol_openvino_read(path, &old, err);
    if (s == OLV_OK && translate(old, &f, out, err) != OLV_OK) s = ol_error_at(err, "%s", path);
    if (old) ol_graph_destroy(old);
    if (f.arena) ol_arena_destroy(f.arena);
    ol_free(path);
    return s;
}
