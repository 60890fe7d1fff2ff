/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/session.h"
#include "base/alloc.h"
#include "base/error.h"
#include "runtime/execute.h"
#include <stdlib.h>
#include <string.h>

/* Sizes that the layout of an entry holds for; they follow the largest run so far. */
typedef struct laid_out {
    int64_t rows, output_rows, max_position, lowrank_width;
} laid_out;

struct ol_session {
    const ol_plan *plan;
    ol_executor *executor;
    ol_bound entries[OL_N_ENTRIES];
    laid_out sizes[OL_N_ENTRIES];
    uint8_t *workspace;
    size_t workspace_bytes;
    ol_scratch scratch;
    int lanes;
    int64_t *symbols;
    int t_symbol, r_symbol;
    int ids_input, positions_input, rows_input, types_input;
    const void **fed; /* by graph input: data given from outside, or NULL */
    int64_t *ids, *positions, *output_rows, *types;
    int32_t *position32, *span_of;
    ol_row_span *spans;
    int cap_rows, cap_spans;
};

static int input_index(const ol_graph *g, const char *name) {
    for (int i = 0; i < g->n_inputs; i++)
        if (strcmp(g->inputs[i]->name, name) == 0) return i;
    return -1;
}

static bool reserve_rows(ol_session *s, int64_t rows, int n_spans) {
    if (rows > s->cap_rows) {
        size_t n = (size_t)rows;
        ol_free(s->ids), ol_free(s->positions), ol_free(s->output_rows), ol_free(s->position32), ol_free(s->span_of);
        ol_free(s->types);
        s->types = ol_calloc(n, sizeof *s->types);
        s->ids = ol_calloc(n, sizeof *s->ids);
        s->positions = ol_calloc(n, sizeof *s->positions);
        s->output_rows = ol_calloc(n, sizeof *s->output_rows);
        s->position32 = ol_calloc(n, sizeof *s->position32);
        s->span_of = ol_calloc(n, sizeof *s->span_of);
        bool all = s->ids && s->positions && s->output_rows && s->position32 && s->span_of && s->types;
        s->cap_rows = all ? (int)rows : 0;
        if (!s->cap_rows) return false;
    }
    if (n_spans > s->cap_spans) {
        ol_row_span *p = ol_realloc(s->spans, (size_t)n_spans * sizeof *p);
        if (!p) return false;
        s->spans = p;
        s->cap_spans = n_spans;
    }
    return true;
}

olv_status ol_session_create(const ol_plan *plan, ol_executor *executor, ol_session **out, olv_error *err) {
    const ol_graph *g = ol_plan_graph(plan);
    ol_session *s = ol_calloc(1, sizeof *s);
    if (!s) return ol_fail(err, OLV_NOMEM, "no memory for a session");
    s->plan = plan;
    s->executor = executor;
    s->lanes = ol_executor_lanes(executor);
    s->ids_input = input_index(g, "input_ids");
    s->positions_input = input_index(g, "positions");
    s->rows_input = input_index(g, "output_rows");
    s->types_input = input_index(g, "token_types");
    size_t n_symbols = ol_dim_n_symbols(g->dims);
    s->symbols = ol_calloc(n_symbols + 1, sizeof *s->symbols);
    s->fed = ol_calloc((size_t)g->n_inputs + 1, sizeof *s->fed);
    olv_status st = s->symbols && s->fed ? ol_scratch_init(&s->scratch, err) : ol_fail(err, OLV_NOMEM, "no memory for a session");
    for (size_t i = 0; st == OLV_OK && i < n_symbols; i++) s->symbols[i] = -1;
    for (int e = 0; st == OLV_OK && e < OL_N_ENTRIES; e++) st = ol_bound_init(&s->entries[e], ol_plan_get_entry(plan, (ol_entry)e), err);
    if (st == OLV_OK && !reserve_rows(s, OL_PREFILL_ROWS, OL_DECODE_ROWS))
        st = ol_fail(err, OLV_NOMEM, "no memory for a session");
    if (st == OLV_OK) {
        s->t_symbol = ol_dim_symbol_index(g->dims, ol_dim_symbol(g->dims, "T"));
        s->r_symbol = ol_dim_symbol_index(g->dims, ol_dim_symbol(g->dims, "R"));
        if (s->t_symbol < 0 || (size_t)s->t_symbol >= n_symbols || s->ids_input < 0)
            st = ol_fail(err, OLV_UNSUPPORTED, "the graph is no row-wise model: it has no input 'input_ids' [T]");
    }
    if (st != OLV_OK) {
        ol_session_destroy(s);
        return st;
    }
    *out = s;
    return OLV_OK;
}

void ol_session_destroy(ol_session *s) {
    if (!s) return;
    for (int e = 0; e < OL_N_ENTRIES; e++) ol_bound_deinit(&s->entries[e]);
    ol_free_aligned(s->workspace);
    ol_scratch_deinit(&s->scratch);
    ol_free(s->symbols);
    ol_free(s->ids), ol_free(s->positions), ol_free(s->output_rows), ol_free(s->position32), ol_free(s->span_of);
    ol_free(s->types);
    ol_free(s->spans);
    ol_free(s->fed);
    ol_free(s);
}

size_t ol_session_workspace_bytes(const ol_session *s) {
    return s->workspace_bytes + s->scratch.bytes * (size_t)s->lanes;
}

olv_status ol_session_feed(ol_session *s, int input, const void *data, olv_error *err) {
    if (input < 0 || input >= ol_plan_graph(s->plan)->n_inputs) return ol_fail(err, OLV_ARG, "there is no graph input %d", input);
    s->fed[input] = data;
    return OLV_OK;
}

/* ---- binding ---------------------------------------------------------------------------------------- */

/* Lays out the workspace again when this run is larger than any before. */
static olv_status bind_layout(ol_session *s, ol_bound *b, laid_out *z, ol_run *r, olv_error *err) {
    if (r->rows <= z->rows && r->output_rows <= z->output_rows && r->max_position <= z->max_position &&
        r->lowrank_width <= z->lowrank_width && s->workspace)
        return OLV_OK;
    int64_t rows = r->rows > z->rows ? r->rows : z->rows;
    int64_t outs = r->output_rows > z->output_rows ? r->output_rows : z->output_rows;
    ol_run big = *r;
    big.rows = rows;
    big.output_rows = outs;
    big.max_position = r->max_position > z->max_position ? r->max_position | 1023 : z->max_position;
    big.lowrank_width = r->lowrank_width > z->lowrank_width ? r->lowrank_width : z->lowrank_width;
    s->symbols[s->t_symbol] = rows;
    if (s->r_symbol >= 0) s->symbols[s->r_symbol] = outs;
    size_t need = 0;
    bool ok = ol_plan_layout(b->entry, 0, &big, b->offsets, &need);
    s->symbols[s->t_symbol] = r->rows;
    if (s->r_symbol >= 0) s->symbols[s->r_symbol] = r->output_rows;
    if (ok) {
        olv_status st = ol_grow_memory(&s->workspace, &s->workspace_bytes, need, 1, "a workspace", err);
        if (st != OLV_OK) z->rows = z->output_rows = z->max_position = 0; /* the offsets hold for no workspace we have */
        OL_TRY(st);
    } else {
        z->rows = z->output_rows = z->max_position = 0;
        if (need) return ol_fail(err, OLV_NOMEM, "no memory to lay out a workspace");
        return ol_fail(err, OLV_LIMIT, "a run of %lld rows is too large", (long long)rows);
    }
    z->rows = rows;
    z->output_rows = outs;
    z->max_position = big.max_position;
    z->lowrank_width = big.lowrank_width;
    return OLV_OK;
}

static olv_status bind(ol_session *s, ol_bound *b, laid_out *z, ol_run *r, olv_error *err) {
    const ol_plan_entry *e = b->entry;
    const void *inputs[] = {s->ids, s->positions, s->output_rows, s->types};
    const int input_of[] = {s->ids_input, s->positions_input, s->rows_input, s->types_input};
    OL_TRY(bind_layout(s, b, z, r, err));
    for (int i = 0; i < e->n_buffers; i++) {
        if (e->buffers[i].fixed) {
            b->buffers[i] = e->buffers[i].fixed;
        } else if (e->buffers[i].input >= 0) {
            b->buffers[i] = (void *)(uintptr_t)s->fed[e->buffers[i].input];
            for (int k = 0; k < 4; k++)
                if (input_of[k] == e->buffers[i].input) b->buffers[i] = (void *)(uintptr_t)inputs[k];
            if (!b->buffers[i]) return ol_fail(err, OLV_UNSUPPORTED, "graph input %d is not fed by a row-wise run", e->buffers[i].input);
        } else {
            b->buffers[i] = b->offsets[i] == SIZE_MAX ? NULL : s->workspace + b->offsets[i];
        }
    }
    r->buffers = b->buffers;
    return ol_bind_steps(b, 0, e->n_steps, r, &s->scratch, s->lanes, err);
}

/* ---- running ---------------------------------------------------------------------------------------- */

static olv_status check_ids(const ol_graph *g, const ol_run_item *it, int64_t vocab, olv_error *err) {
    (void)g;
    for (int64_t i = 0; i < it->count; i++)
        if (it->ids[i] < 0 || it->ids[i] >= vocab)
            return ol_fail(err, OLV_ARG, "token id %lld is outside the vocabulary of %lld", (long long)it->ids[i],
                           (long long)vocab);
    return OLV_OK;
}

static int64_t vocab_of(const ol_graph *g) {
    const char *v = ol_graph_get_meta(g, "vocab_size");
    return v ? strtoll(v, NULL, 10) : INT64_MAX;
}

/* Grows the sequences; undoes that when one of them fails. */
static olv_status append_all(const ol_run_item *items, int n, olv_error *err) {
    for (int i = 0; i < n; i++) {
        olv_status s = ol_sequence_append(items[i].sequence, items[i].count, err);
        if (s == OLV_OK) continue;
        for (int k = 0; k < i; k++) {
            ol_sequence *q = items[k].sequence;
            olv_status undo = ol_sequence_truncate(q, ol_sequence_length(q) - items[k].count, NULL);
            (void)undo; /* nothing ran since the append */
        }
        return s;
    }
    return OLV_OK;
}

/* Undoes the appending of a run that did not happen. */
static void take_back(const ol_run_item *items, int n) {
    for (int i = 0; i < n; i++) {
        ol_sequence *q = items[i].sequence;
        olv_status undo = ol_sequence_truncate(q, ol_sequence_length(q) - items[i].count, NULL);
        (void)undo;
    }
}

static void fill_rows(ol_session *s, const ol_run_item *items, int n) {
    int64_t row = 0, out = 0;
    for (int i = 0; i < n; i++) {
        const ol_run_item *it = &items[i];
        int64_t p0 = ol_sequence_length(it->sequence) - it->count;
        s->spans[i] = (ol_row_span){.row0 = row, .count = it->count, .position0 = p0,
                                    .length = p0 + it->count + it->ahead};
        s->spans[i].lowrank = ol_sequence_lowrank(it->sequence, &s->spans[i].n_lowrank);
        s->spans[i].blocks = ol_sequence_blocks(it->sequence);
        s->spans[i].fixed = ol_sequence_fixed_before(it->sequence);
        s->spans[i].fixed_next = ol_sequence_fixed(it->sequence);
        for (int64_t k = 0; k < it->count; k++, row++) {
            s->ids[row] = it->ids[k];
            s->positions[row] = p0 + k;
            s->position32[row] = (int32_t)(p0 + k);
            s->span_of[row] = i;
            s->types[row] = 0;
            if (k >= it->count - it->n_outputs) s->output_rows[out++] = row;
        }
    }
}

static int64_t lowrank_width(const ol_row_span *spans, int n) {
    int64_t most = 0;
    for (int i = 0; i < n; i++) {
        int64_t width = 0;
        for (int u = 0; u < spans[i].n_lowrank; u++) width += spans[i].lowrank[u].adapter->max_rank;
        if (width > most) most = width;
    }
    return most;
}

olv_status ol_session_run(ol_session *s, ol_entry entry, const ol_run_item *items, int n_items, const float **out,
                          int64_t *width, olv_error *err) {
    const ol_graph *g = ol_plan_graph(s->plan);
    ol_bound *b = &s->entries[entry];
    if (entry == OL_ENTRY_WHOLE) return ol_fail(err, OLV_ARG, "a session runs row-wise models");
    int64_t rows = 0, outs = 0, vocab = vocab_of(g);
    for (int i = 0; i < n_items; i++) {
        OL_TRY(check_ids(g, &items[i], vocab, err));
        rows += items[i].count;
        outs += items[i].n_outputs;
    }
    int64_t most = entry == OL_ENTRY_DECODE ? OL_DECODE_ROWS : OL_PREFILL_ROWS;
    if (rows < 1 || rows > most)
        return ol_fail(err, OLV_ARG, "a run of this entry takes 1 to %lld rows, not %lld", (long long)most, (long long)rows);
    if (!reserve_rows(s, rows, n_items)) return ol_fail(err, OLV_NOMEM, "no memory for %lld rows", (long long)rows);
    OL_TRY(append_all(items, n_items, err));
    fill_rows(s, items, n_items);
    s->symbols[s->t_symbol] = rows;
    if (s->r_symbol >= 0) s->symbols[s->r_symbol] = outs;
    int64_t max_position = 0;
    for (int i = 0; i < n_items; i++)
        if (ol_sequence_length(items[i].sequence) > max_position) max_position = ol_sequence_length(items[i].sequence);
    ol_run r = {.max_position = max_position, .symbols = s->symbols, .dims = g->dims, .rows = rows, .output_rows = outs, .spans = s->spans,
                .n_spans = n_items, .position = s->position32, .span_of = s->span_of,
                .output_row = s->output_rows, .lowrank_width = lowrank_width(s->spans, n_items)};
    olv_status st = bind(s, b, &s->sizes[entry], &r, err);
    if (st != OLV_OK) {
        take_back(items, n_items);
        return st;
    }
    ol_run_failure failure = {.taken = ATOMIC_FLAG_INIT, .error = {.status = OLV_OK}};
    r.failure = &failure;
    ol_execute_steps(b, 0, b->entry->n_steps, &r, &s->scratch, s->executor);
    b->runs++;
    if (failure.error.status != OLV_OK) {
        take_back(items, n_items);
        if (err) *err = failure.error;
        return failure.error.status;
    }
    if (out) {
        const ol_value *v = g->outputs[0];
        *out = b->buffers[b->entry->outputs[0]];
        *width = v->type.rank > 0 ? v->type.dims[v->type.rank - 1] : 1;
    }
    return OLV_OK;
}

const float *ol_session_output(const ol_session *s, ol_entry entry, int i, int64_t *width) {
    const ol_bound *b = &s->entries[entry];
    const ol_type *t = &ol_plan_graph(s->plan)->outputs[i]->type;
    *width = t->rank > 0 ? t->dims[t->rank - 1] : 1;
    return b->buffers[b->entry->outputs[i]];
}

/* ---- texts ------------------------------------------------------------------------------------------- */

static void fill_texts(ol_session *s, const ol_run_text *texts, int n) {
    int64_t row = 0;
    for (int i = 0; i < n; i++) {
        const ol_run_text *t = &texts[i];
        s->spans[i] = (ol_row_span){.row0 = row, .count = t->count, .length = t->count, .pool_from = t->pool_from};
        for (int64_t k = 0; k < t->count; k++, row++) {
            s->ids[row] = t->ids[k];
            s->types[row] = t->types ? t->types[k] : 0;
            s->positions[row] = k;
            s->position32[row] = (int32_t)k;
            s->span_of[row] = i;
        }
    }
}

olv_status ol_session_run_texts(ol_session *s, const ol_run_text *texts, int n, const float **out, int64_t *width,
                                olv_error *err) {
    const ol_graph *g = ol_plan_graph(s->plan);
    ol_bound *b = &s->entries[OL_ENTRY_PREFILL];
    int64_t rows = 0, longest = 0, vocab = vocab_of(g);
    if (g->n_states) return ol_fail(err, OLV_STATE, "the model has states; a run of whole texts has none");
    for (int i = 0; i < n; i++) {
        const ol_run_item it = {.ids = texts[i].ids, .count = texts[i].count};
        if (it.count < 1) return ol_fail(err, OLV_ARG, "text %d has no tokens", i);
        OL_TRY(check_ids(g, &it, vocab, err));
        rows += it.count;
        if (it.count > longest) longest = it.count;
        if (rows > INT32_MAX) return ol_fail(err, OLV_LIMIT, "a run of more than %d rows", INT32_MAX);
    }
    if (n < 1) return ol_fail(err, OLV_ARG, "a run without texts");
    if (!reserve_rows(s, rows, n)) return ol_fail(err, OLV_NOMEM, "no memory for %lld rows", (long long)rows);
    fill_texts(s, texts, n);
    s->symbols[s->t_symbol] = rows;
    if (s->r_symbol >= 0) s->symbols[s->r_symbol] = n;
    ol_run_failure failure = {.taken = ATOMIC_FLAG_INIT, .error = {.status = OLV_OK}};
    ol_run r = {.max_position = longest, .symbols = s->symbols, .dims = g->dims, .rows = rows, .output_rows = n,
                .spans = s->spans, .n_spans = n, .position = s->position32, .span_of = s->span_of, .failure = &failure};
    OL_TRY(bind(s, b, &s->sizes[OL_ENTRY_PREFILL], &r, err));
    ol_execute_steps(b, 0, b->entry->n_steps, &r, &s->scratch, s->executor);
    b->runs++;
    if (failure.error.status != OLV_OK) {
        if (err) *err = failure.error;
        return failure.error.status;
    }
    const ol_value *v = g->outputs[0];
    *out = b->buffers[b->entry->outputs[0]];
    *width = v->type.rank > 0 ? v->type.dims[v->type.rank - 1] : 1;
    return OLV_OK;
}

olv_status ol_session_prompt(ol_session *s, ol_sequence *seq, const int64_t *ids, int64_t n,
                             const volatile bool *cancel, const float **out, int64_t *width, olv_error *err) {
    if (n < 1) return ol_fail(err, OLV_ARG, "an empty prompt");
    ol_entry entry = n <= OL_DECODE_ROWS ? OL_ENTRY_DECODE : OL_ENTRY_PREFILL;
    for (int64_t at = 0; at < n;) {
        int64_t m = n - at < OL_PREFILL_ROWS ? n - at : OL_PREFILL_ROWS;
        if (cancel && *cancel) return ol_fail(err, OLV_CANCELLED, "cancelled");
        ol_run_item it = {seq, ids + at, m, at + m == n ? 1 : 0, n - at - m};
        OL_TRY(ol_session_run(s, entry, &it, 1, out, width, err));
        at += m;
    }
    return OLV_OK;
}

/* ---- profile ---------------------------------------------------------------------------------------- */

void ol_session_profile(ol_session *s, bool on) {
    for (int e = 0; e < OL_N_ENTRIES; e++) s->entries[e].profile = on;
}

void ol_session_profile_dump(const ol_session *s, ol_buf *out) {
    for (int e = 0; e < OL_N_ENTRIES; e++) ol_bound_profile_dump(&s->entries[e], ol_entry_name((ol_entry)e), out);
}
