/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/calibrate.h"
#include "base/alloc.h"
#include "base/error.h"
#include "base/spill.h"
#include "graph/op.h"
#include "runtime/session.h"
#include <string.h>

#define RUN_ROWS 1024 /* of a run, when texts are shorter */

/* A value that later segments read, for all tokens. */
typedef struct kept_value {
    const ol_value *value;
    ol_spill data;
    size_t row_bytes;
} kept_value;

typedef struct stage_def {
    const ol_value *x;
    int position; /* of the first node that belongs to later segments */
    ol_compress_entry **layers;
    int n;
    bool head;
} stage_def;

typedef struct walk {
    ol_graph *g;
    ol_compress_plan *plan;
    const ol_calibration *c;
    stage_def *stages;
    int n_stages;
    kept_value *kept; /* live at the last cut */
    int n_kept;
    int *last_use; /* by value id: node position that reads it last, or -1 */
    int64_t tokens;
    int *run_ends; /* texts of each run end here */
    int n_runs;
    uint64_t done;
} walk;

static olv_status no_memory(olv_error *err) { return ol_fail(err, OLV_NOMEM, "no memory for calibration"); }

/* ---- stages ---- */

static bool is_linear(const ol_node *n) { return !strcmp(n->op->name, "Linear") && !strcmp(n->op->domain, "olivine"); }

static ol_compress_entry *entry_of(const walk *w, const ol_value *v) {
    for (size_t i = 0; v && v->constant && i < w->plan->n; i++)
        if (w->plan->entries[i].result == v->constant && !w->plan->entries[i].kept) return &w->plan->entries[i];
    return NULL;
}

static stage_def *stage_of(walk *w, const ol_node *n) {
    for (int i = 0; i < w->n_stages; i++)
        if (w->stages[i].x == n->inputs[0]) return &w->stages[i];
    stage_def *s = &w->stages[w->n_stages++];
    *s = (stage_def){.x = n->inputs[0], .position = n->id};
    return s;
}

static olv_status add_layer(stage_def *s, ol_compress_entry *e, olv_error *err) {
    for (int i = 0; i < s->n; i++)
        if (s->layers[i] == e) return OLV_OK;
    ol_compress_entry **p = ol_realloc(s->layers, (size_t)(s->n + 1) * sizeof(ol_compress_entry *));
    if (!p) return no_memory(err);
    s->layers = p;
    p[s->n++] = e;
    return OLV_OK;
}

/* What nodes behind the last stage read does not count. */
static void note_uses(walk *w) {
    int end = w->n_stages ? w->stages[w->n_stages - 1].position : 0;
    for (int i = 0; i < w->g->n_values; i++) w->last_use[i] = -1;
    for (const ol_node *n = w->g->first; n && n->id < end; n = n->next)
        for (int i = 0; i < n->n_inputs; i++)
            if (n->inputs[i]) w->last_use[n->inputs[i]->id] = n->id;
}

static olv_status find_stages(walk *w, olv_error *err) {
    ol_graph_renumber(w->g);
    w->stages = ol_calloc((size_t)w->g->n_nodes + 1, sizeof *w->stages);
    w->last_use = ol_calloc((size_t)w->g->n_values + 1, sizeof *w->last_use);
    if (!w->stages || !w->last_use) return no_memory(err);
    for (const ol_node *n = w->g->first; n; n = n->next) {
        ol_compress_entry *e = is_linear(n) ? entry_of(w, n->inputs[1]) : NULL;
        if (!e || !n->inputs[0]->producer) continue;
        stage_def *s = stage_of(w, n);
        s->head = s->head || (e->roles & OL_ROLE_HEAD);
        OL_TRY(add_layer(s, e, err));
    }
    note_uses(w);
    return w->n_stages ? OLV_OK : ol_fail(err, OLV_UNSUPPORTED, "the model has no linear layers to calibrate");
}

/* ---- runs ---- */

static olv_status cut_runs(walk *w, olv_error *err) {
    const ol_calibration_texts *t = &w->c->texts;
    if (t->n < 1) return ol_fail(err, OLV_ARG, "the calibration data are empty");
    w->run_ends = ol_calloc((size_t)t->n, sizeof *w->run_ends);
    if (!w->run_ends) return no_memory(err);
    int64_t rows = 0;
    for (int i = 0; i < t->n; i++) {
        if (t->lengths[i] < 1) return ol_fail(err, OLV_ARG, "text %d of the calibration data has no tokens", i);
        if (rows && rows + t->lengths[i] > RUN_ROWS) {
            w->run_ends[w->n_runs++] = i;
            rows = 0;
        }
        rows += t->lengths[i];
        w->tokens += t->lengths[i];
    }
    w->run_ends[w->n_runs++] = t->n;
    return OLV_OK;
}

/* ---- the values between segments ---- */

static bool is_live(const walk *w, const ol_value *v, const stage_def *s) {
    if (v == s->x) return true;
    if (v->constant || v->is_input || !v->producer || v->graph != w->g || v->producer->id >= s->position) return false;
    return w->last_use[v->id] >= s->position;
}

static olv_status keep_value(const walk *w, const ol_value *v, kept_value *k, olv_error *err) {
    int64_t width = 1;
    for (int d = 1; d < v->type.rank; d++) width *= v->type.dims[d] > 0 ? v->type.dims[d] : 0;
    int bits = ol_dtype_bits(v->type.dtype);
    bool rows = v->type.rank >= 1 && !ol_dim_known(v->type.dims[0]) && width > 0 && bits % 8 == 0;
    if (!rows || v->type.kind != OL_VALUE_TENSOR)
        return ol_fail(err, OLV_UNSUPPORTED, "'%s' between two layers is no table of rows; compress without data", v->name);
    k->value = v;
    k->row_bytes = (size_t)width * (ol_dtype_class(v->type.dtype) == 'f' ? 4 : (size_t)bits / 8);
    return ol_spill_init(&k->data, k->row_bytes * (size_t)w->tokens, err);
}

static void drop_kept(kept_value *k, int n) {
    for (int i = 0; i < n; i++) ol_spill_deinit(&k[i].data);
    ol_free(k);
}

static const kept_value *find_kept(const kept_value *k, int n, const ol_value *v) {
    for (int i = 0; i < n; i++)
        if (k[i].value == v) return &k[i];
    return NULL;
}

/* A segment between two cuts. */
typedef struct segment {
    const ol_value **fed, **wanted;
    int *fed_input;
    kept_value *made; /* one for each wanted value */
    int n_fed, n_wanted;
    ol_plan *plan;
    ol_session *session;
} segment;

static void segment_deinit(segment *s) {
    ol_session_destroy(s->session);
    ol_plan_destroy(s->plan);
    ol_free(s->fed), ol_free(s->wanted), ol_free(s->fed_input);
    if (s->made) drop_kept(s->made, s->n_wanted);
    *s = (segment){NULL};
}

static olv_status segment_init(segment *s, const walk *w, const stage_def *stage, olv_error *err) {
    size_t n = (size_t)w->g->n_values + 1;
    *s = (segment){.n_fed = w->n_kept};
    s->fed = ol_calloc(n, sizeof *s->fed);
    s->wanted = ol_calloc(n, sizeof *s->wanted);
    s->fed_input = ol_calloc(n, sizeof *s->fed_input);
    s->made = ol_calloc(n, sizeof *s->made);
    if (!s->fed || !s->wanted || !s->fed_input || !s->made) return no_memory(err);
    for (int i = 0; i < w->n_kept; i++) s->fed[i] = w->kept[i].value;
    for (int i = 0; i < w->g->n_values; i++) {
        const ol_value *v = w->g->values[i];
        if (!v || !is_live(w, v, stage) || find_kept(w->kept, w->n_kept, v)) continue;
        OL_TRY(keep_value(w, v, &s->made[s->n_wanted], err));
        s->wanted[s->n_wanted++] = v;
    }
    if (!s->n_wanted) return OLV_OK;
    ol_graph *g;
    OL_TRY(ol_calibrate_segment(w->g, w->plan, s->fed, s->n_fed, s->fed_input, s->wanted, s->n_wanted, &g, err));
    const ol_plan_options o = {.device = ol_device_find("CPU"), .cpu = w->c->cpu, .precision = OLK_REPRO, .kv_dtype = OL_F32,
                               .executor = w->c->executor};
    OL_TRY(ol_plan_create(g, &o, &s->plan, err));
    return ol_session_create(s->plan, w->c->executor, &s->session, err);
}

static olv_status run_texts(segment *s, const walk *w, int begin, int end, const int64_t *ids, int64_t row, olv_error *err) {
    const ol_calibration_texts *t = &w->c->texts;
    ol_run_text *texts = ol_calloc((size_t)(end - begin), sizeof *texts);
    if (!texts) return no_memory(err);
    int64_t rows = 0, width;
    for (int i = begin; i < end; i++) {
        texts[i - begin] = (ol_run_text){.ids = ids + rows, .count = t->lengths[i]};
        rows += t->lengths[i];
    }
    olv_status st = OLV_OK;
    for (int i = 0; st == OLV_OK && i < s->n_fed; i++)
        st = ol_session_feed(s->session, s->fed_input[i], (const uint8_t *)w->kept[i].data.data + (size_t)row * w->kept[i].row_bytes, err);
    const float *first;
    if (st == OLV_OK) st = ol_session_run_texts(s->session, texts, end - begin, &first, &width, err);
    for (int i = 0; st == OLV_OK && i < s->n_wanted; i++) {
        const void *out = ol_session_output(s->session, OL_ENTRY_PREFILL, i, &width);
        memcpy((uint8_t *)s->made[i].data.data + (size_t)row * s->made[i].row_bytes, out, (size_t)rows * s->made[i].row_bytes);
    }
    ol_free(texts);
    return st;
}

/* What is live at the new cut: parts of what was, and what was made. */
static olv_status advance(walk *w, segment *s, const stage_def *stage, olv_error *err) {
    kept_value *next = ol_calloc((size_t)(w->n_kept + s->n_wanted + 1), sizeof *next);
    int n = 0;
    if (!next) return no_memory(err);
    for (int i = 0; i < w->n_kept; i++) {
        if (is_live(w, w->kept[i].value, stage)) next[n++] = w->kept[i];
        else ol_spill_deinit(&w->kept[i].data);
    }
    for (int i = 0; i < s->n_wanted; i++) next[n++] = s->made[i];
    s->n_wanted = 0;
    ol_free(w->kept);
    w->kept = next;
    w->n_kept = n;
    return OLV_OK;
}

static int64_t rows_of(const ol_calibration_texts *t, int begin, int end) {
    int64_t n = 0;
    for (int i = begin; i < end; i++) n += t->lengths[i];
    return n;
}

static olv_status tell(walk *w, int64_t rows, olv_error *err) {
    w->done += (uint64_t)rows;
    uint64_t all = (uint64_t)w->tokens * (uint64_t)w->n_stages;
    if (w->c->progress && !w->c->progress(w->c->progress_ctx, w->done, all)) return ol_fail(err, OLV_CANCELLED, "cancelled");
    return OLV_OK;
}

static olv_status run_segment(walk *w, segment *s, olv_error *err) {
    int64_t row = 0;
    for (int r = 0, begin = 0; r < w->n_runs; begin = w->run_ends[r++]) {
        int64_t rows = rows_of(&w->c->texts, begin, w->run_ends[r]);
        if (s->n_wanted) OL_TRY(run_texts(s, w, begin, w->run_ends[r], w->c->texts.ids + row, row, err));
        OL_TRY(tell(w, rows, err));
        row += rows;
    }
    return OLV_OK;
}

static olv_status measure(const walk *w, const kept_value *x, ol_stage_stats *stats, olv_error *err) {
    const ol_calibration_texts *t = &w->c->texts;
    OL_TRY(ol_stage_stats_init(stats, (int64_t)(x->row_bytes / 4), t->n, err));
    int64_t row = 0;
    for (int r = 0, begin = 0; r < w->n_runs; begin = w->run_ends[r++]) {
        const float *rows = (const float *)x->data.data + row * stats->k;
        OL_TRY(ol_stage_stats_add(stats, rows, t->lengths + begin, w->run_ends[r] - begin, w->c->executor, w->c->cpu, err));
        row += rows_of(t, begin, w->run_ends[r]);
    }
    ol_stage_stats_finish(stats);
    return OLV_OK;
}

static olv_status run_stage(walk *w, int i, ol_stage_fn *fn, void *ctx, olv_error *err) {
    stage_def *d = &w->stages[i];
    segment s = {NULL};
    olv_status st = segment_init(&s, w, d, err);
    if (st == OLV_OK) st = run_segment(w, &s, err);
    if (st == OLV_OK) st = advance(w, &s, d, err);
    segment_deinit(&s);
    if (st != OLV_OK) return st;
    const kept_value *x = find_kept(w->kept, w->n_kept, d->x);
    ol_stage_stats stats = {.k = 0};
    st = measure(w, x, &stats, err);
    ol_stage stage = {.layers = d->layers, .n = d->n, .index = i, .count = w->n_stages, .head = d->head, .rows = x->data.data,
                      .ids = w->c->texts.ids, .stats = &stats, .executor = w->c->executor, .cpu = w->c->cpu};
    if (st == OLV_OK) st = fn(ctx, w->g, &stage, err);
    ol_stage_stats_deinit(&stats);
    return st;
}

olv_status ol_calibrate(ol_graph *g, ol_compress_plan *plan, const ol_calibration *c, ol_stage_fn *fn, void *ctx, olv_error *err) {
    walk w = {.g = g, .plan = plan, .c = c};
    olv_status s = find_stages(&w, err);
    if (s == OLV_OK) s = cut_runs(&w, err);
    for (int i = 0; s == OLV_OK && i < w.n_stages; i++) {
        s = run_stage(&w, i, fn, ctx, err);
        if (s != OLV_OK && s != OLV_CANCELLED) s = ol_error_at(err, "calibration of %s", w.stages[i].layers[0]->name);
    }
    for (int i = 0; i < w.n_stages; i++) ol_free(w.stages[i].layers);
    drop_kept(w.kept, w.n_kept);
    ol_free(w.stages), ol_free(w.last_use), ol_free(w.run_ends);
    return s;
}
