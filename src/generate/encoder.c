/* SPDX-License-Identifier: Apache-2.0 */
/* Opening encoders, and running texts through them in groups. */
#include "generate/encoder.h"
#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "formats/huggingface/huggingface.h"
#include <string.h>

#define GROUP_ROWS 512  /* rows of a run, unless a single text is longer */
#define GROUP_TEXTS 256

/* ---- opening ----------------------------------------------------------------------------------------- */

static olv_status read_graph(void *ctx, ol_bundle *b, olv_error *err) {
    static const ol_hf_task tasks[] = {OL_HF_EMBED, OL_HF_TOKENS, OL_HF_CLASSIFY};
    olv_encoder *e = ctx;
    if (b->kind != OL_BUNDLE_HF)
        return ol_fail(err, OLV_UNSUPPORTED, "'%s' is a model of kind %s; encoders are read from Hugging Face folders",
                       b->path, ol_bundle_kind_name(b->kind));
    OL_TRY(ol_hf_use_read(b->folder, e->arena, &e->use, err));
    return ol_hf_read_for(b->folder, tasks[e->task], &e->use, &b->graph, err);
}

/* model_max_length of tokenizer_config.json; 0 when it is absent or the "no limit" of 1e30. */
static int64_t tokenizer_limit(const ol_bundle *b) {
    json_t *j = NULL;
    int64_t n = 0;
    if (!b->tokenizer_config || ol_json_read_file(b->tokenizer_config, 64u << 20, &j, NULL) != OLV_OK) return 0;
    const json_t *v = json_object_get(j, "model_max_length");
    if (json_is_integer(v) && json_integer_value(v) > 0 && json_integer_value(v) < INT32_MAX) n = json_integer_value(v);
    json_decref(j);
    return n;
}

static void limit_length(olv_encoder *e) {
    int64_t said = e->use.max_length ? e->use.max_length : tokenizer_limit(e->p->bundle);
    e->max_tokens = e->p->context_length;
    if (said && said < e->max_tokens) e->max_tokens = said;
}

static olv_status finish_open(olv_encoder *e, olv_error *err) {
    const ol_graph *g = ol_plan_graph(e->p->plan);
    const ol_type *t = &g->outputs[0]->type;
    if (t->rank != 2 || !ol_dim_known(t->dims[1])) return ol_fail(err, OLV_SHAPE, "the width of the result is not known");
    e->width = t->dims[1];
    if (!e->p->tokenizer) return ol_fail(err, OLV_NOT_FOUND, "%s: the folder has no tokenizer", e->p->bundle->folder);
    limit_length(e);
    if (e->task == OLV_TASK_EMBED && !e->use.given)
        e->notice = "the folder has no modules.json; an embedding is the mean of its rows";
    return e->task == OLV_TASK_CLASSIFY ? ol_encoder_read_labels(e, err) : OLV_OK;
}

olv_status olv_encoder_open(const char *model, olv_task task, const olv_pipeline_options *opt, olv_encoder **out,
                            olv_error *err) {
    olv_pipeline_options defaults;
    olv_pipeline_options_init(&defaults);
    olv_encoder *e = ol_calloc(1, sizeof *e);
    if (!e) return ol_fail(err, OLV_NOMEM, "no memory for an encoder");
    e->task = task;
    e->arena = ol_arena_create();
    olv_status s = e->arena ? OLV_OK : ol_fail(err, OLV_NOMEM, "no memory for an encoder");
    if (s == OLV_OK) s = ol_pipeline_open_with(model, opt ? opt : &defaults, read_graph, e, &e->p, err);
    if (s == OLV_OK) s = finish_open(e, err);
    if (s != OLV_OK) {
        olv_encoder_close(e);
        return s;
    }
    *out = e;
    return OLV_OK;
}

void olv_encoder_close(olv_encoder *e) {
    if (!e) return;
    olv_pipeline_close(e->p);
    ol_arena_destroy(e->arena);
    ol_free(e);
}

size_t olv_encoder_width(const olv_encoder *e) { return (size_t)e->width; }
size_t olv_encoder_max_tokens(const olv_encoder *e) { return (size_t)e->max_tokens; }
const char *olv_encoder_notice(const olv_encoder *e) { return e->notice; }
void olv_encoder_profile(olv_encoder *e, bool on) { olv_pipeline_profile(e->p, on); }
olv_status olv_encoder_profile_text(olv_encoder *e, char **text, olv_error *err) {
    return olv_pipeline_profile_text(e->p, text, err);
}

void olv_encoder_on_progress(olv_encoder *e, olv_texts_done_fn *fn, void *ctx) {
    e->progress = fn;
    e->progress_ctx = ctx;
}

const char *olv_encoder_label(const olv_encoder *e, size_t i) {
    return e->labels && i < (size_t)e->width ? e->labels[i] : NULL;
}

const char *olv_encoder_prompt_name(const olv_encoder *e, size_t i) {
    return i < (size_t)e->use.n_prompts ? e->use.prompts[i].name : NULL;
}

/* ---- groups of texts --------------------------------------------------------------------------------- */

typedef struct group {
    ol_encoded texts[GROUP_TEXTS];
    ol_run_text items[GROUP_TEXTS];
    size_t n, first, total; /* first: texts done */
    int64_t rows;
} group;

static void empty(group *g) {
    for (size_t i = 0; i < g->n; i++) ol_encoded_deinit(&g->texts[i]);
    g->first += g->n;
    g->n = 0;
    g->rows = 0;
}

static olv_status run_group(olv_encoder *e, group *g, int64_t pool_from, ol_encoder_take *take, void *ctx, olv_error *err) {
    const float *rows;
    int64_t width;
    for (size_t i = 0; i < g->n; i++)
        g->items[i] = (ol_run_text){g->texts[i].ids, (int64_t)g->texts[i].count, g->texts[i].types, pool_from};
    OL_TRY(ol_session_run_texts(e->p->session, g->items, (int)g->n, &rows, &width, err));
    for (size_t i = 0; i < g->n; i++) take(ctx, g->first + i, rows + (int64_t)i * width);
    empty(g);
    if (e->progress && !e->progress(e->progress_ctx, g->first, g->total)) return ol_fail(err, OLV_CANCELLED, "cancelled");
    return OLV_OK;
}

olv_status ol_encoder_run(olv_encoder *e, const char *prompt, const olv_text *texts, size_t n, size_t batch_size,
                          int64_t pool_from, ol_encoder_take *take, void *ctx, olv_error *err) {
    group *g = ol_calloc(1, sizeof *g);
    size_t most = batch_size && batch_size < GROUP_TEXTS ? batch_size : GROUP_TEXTS;
    olv_status s = g ? OLV_OK : ol_fail(err, OLV_NOMEM, "no memory for %zu texts", n);
    if (g) g->total = n;
    for (size_t i = 0; s == OLV_OK && i < n; i++) {
        ol_encoded t;
        s = ol_encode_text(e, prompt, &texts[i], &t, err);
        if (s != OLV_OK) {
            if (n > 1) ol_error_at(err, "text %zu", i);
            break;
        }
        if (g->n == most || (g->n && g->rows + (int64_t)t.count > GROUP_ROWS)) s = run_group(e, g, pool_from, take, ctx, err);
        if (s != OLV_OK) {
            ol_encoded_deinit(&t);
            break;
        }
        g->texts[g->n++] = t;
        g->rows += (int64_t)t.count;
    }
    if (s == OLV_OK && g->n) s = run_group(e, g, pool_from, take, ctx, err);
    if (g) empty(g);
    ol_free(g);
    return s;
}
