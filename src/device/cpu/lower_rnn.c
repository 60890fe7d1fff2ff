/* SPDX-License-Identifier: Apache-2.0 */
/* LSTM and GRU with constant weights and their usual functions, over [S, B, I], in both directions. What the inputs give to the
 * gates is one product for all time steps; then each direction, and some samples of the batch, walks through time by itself. */
#include "base/error.h"
#include "device/cpu/cpu.h"
#include "graph/op.h"
#include "kernels/gemm/gemm.h"
#include <string.h>

#define KC 384
#define TILE_ROWS 42   /* of the product of the inputs */
#define TILE_PANELS 4
#define TILE_SAMPLES 8 /* that walk together */
#define FORM_PANELS 107

/* A constant matrix [dir][rows][k] as B panels of its transpose: [dir][panel][k][nb]. */
typedef struct matrix {
    const float *panels;
    int64_t rows, k, n_panels;
} matrix;

typedef struct rnn_args {
    bool lstm, linear_before_reset, reverse; /* reverse: the only direction */
    int x, h0, c0, y, yh, yc, gates;         /* buffers, or -1 */
    int64_t dirs, n, n_gates;                /* n: hidden values */
    ol_dim steps, batch;
    matrix w, r, rh;   /* rh: the third gate of GRU, which comes later */
    const float *bias; /* [dir][gates][n], of inputs and states together */
    const float *late; /* [dir][n]: of the third gate, when it belongs to the product with the state */
    const olk_gemm *gemm;
    const olk_activation *activation;
} rnn_args;

/* ---- inputs to gates: [dir][step, sample][gates][n] ---- */

static unsigned input_tiles(const ol_step *s, const ol_run *r) {
    const rnn_args *a = *(rnn_args *const *)s->args;
    int64_t rows = ol_cpu_rows(r, a->steps) * ol_cpu_rows(r, a->batch);
    return (unsigned)(a->dirs * ((rows + TILE_ROWS - 1) / TILE_ROWS) * ((a->w.n_panels + TILE_PANELS - 1) / TILE_PANELS));
}
static size_t input_scratch(const ol_step *s, const ol_run *r) {
    (void)s, (void)r;
    return (size_t)KC * (TILE_ROWS + OLK_GEMM_MAX_MR) * sizeof(float);
}

/* c [m, columns of panels p0 .. p1) += rows of x times the matrix. */
static void multiply(const rnn_args *a, const matrix *w, int64_t dir, const float *x, int64_t ldx, int64_t m, int64_t p0, int64_t p1, float *c, int64_t ldc, float *packed) {
    const olk_gemm *g = a->gemm;
    int mr = olk_gemm_panel_rows(g, m);
    for (int64_t k0 = 0; k0 < w->k; k0 += KC) {
        olk_gemm_tile t = {.mr = mr, .ldb = g->nb, .k = w->k - k0 < KC ? w->k - k0 : KC, .ldc = ldc, .add = true};
        g->pack_a(x + k0, ldx, 1, m, t.k, mr, packed);
        for (int64_t p = p0; p < p1; p++)
            for (int64_t i = 0; i < m; i += mr) {
                int64_t left = w->rows - p * g->nb;
                t.a = packed + i * t.k, t.m = m - i < mr ? (int)(m - i) : mr;
                t.b = w->panels + ((dir * w->n_panels + p) * w->k + k0) * g->nb, t.n = left < g->nb ? left : g->nb;
                t.c = c + i * ldc + p * g->nb;
                g->multiply(&t);
            }
    }
}

static void run_inputs(const ol_step *s, const ol_run *r, unsigned tile, void *scratch) {
    const rnn_args *a = *(rnn_args *const *)s->args;
    int64_t rows = ol_cpu_rows(r, a->steps) * ol_cpu_rows(r, a->batch), parts = (a->w.n_panels + TILE_PANELS - 1) / TILE_PANELS;
    int64_t row_tiles = (rows + TILE_ROWS - 1) / TILE_ROWS, p0 = tile % parts * TILE_PANELS, m0 = tile / parts % row_tiles * TILE_ROWS, dir = tile / parts / row_tiles;
    int64_t p1 = p0 + TILE_PANELS < a->w.n_panels ? p0 + TILE_PANELS : a->w.n_panels, m = rows - m0 < TILE_ROWS ? rows - m0 : TILE_ROWS;
    int64_t width = a->w.rows, c0 = p0 * a->gemm->nb, c1 = p1 * a->gemm->nb < width ? p1 * a->gemm->nb : width;
    float *c = (float *)ol_run_buffer(r, a->gates) + (dir * rows + m0) * width;
    for (int64_t i = 0; i < m; i++) memcpy(c + i * width + c0, a->bias + dir * width + c0, (size_t)(c1 - c0) * sizeof *c);
    multiply(a, &a->w, dir, (const float *)ol_run_buffer(r, a->x) + m0 * a->w.k, a->w.k, m, p0, p1, c, width, scratch);
}
static const ol_step_class input_class = {"gates", input_tiles, input_scratch, NULL, run_inputs};

/* ---- through time ---- */

static int64_t groups_of(const rnn_args *a, const ol_run *r) { return (ol_cpu_rows(r, a->batch) + TILE_SAMPLES - 1) / TILE_SAMPLES; }
static unsigned walk_tiles(const ol_step *s, const ol_run *r) {
    const rnn_args *a = *(rnn_args *const *)s->args;
    return (unsigned)(a->dirs * groups_of(a, r));
}
/* Scratch: packed rows, then h, c, and two more of [samples, n]. */
static size_t walk_scratch(const ol_step *s, const ol_run *r) {
    const rnn_args *a = *(rnn_args *const *)s->args;
    (void)r;
    return ((size_t)KC * OLK_GEMM_MAX_MR + 4 * (size_t)(TILE_SAMPLES * a->n)) * sizeof(float);
}

static void lstm_cell(const rnn_args *a, float *g, float *h, float *c, float *t) {
    int64_t n = a->n;
    a->activation->unary(OLK_ACT_SIGMOID, 0, 0, g, g, 3 * n); /* i, o, f */
    a->activation->unary(OLK_ACT_TANH, 0, 0, g + 3 * n, g + 3 * n, n);
    for (int64_t j = 0; j < n; j++) c[j] = g[2 * n + j] * c[j] + g[j] * g[3 * n + j];
    a->activation->unary(OLK_ACT_TANH, 0, 0, c, t, n);
    for (int64_t j = 0; j < n; j++) h[j] = g[n + j] * t[j];
}

/* m samples: gates z, r, then the new value. hidden and turned hold [m, n]. */
static void gru_cells(const rnn_args *a, int64_t dir, float *g, int64_t ldg, int64_t m, float *h, float *hidden, float *turned, float *packed) {
    int64_t n = a->n;
    for (int64_t i = 0; i < m; i++) {
        float *row = g + i * ldg;
        a->activation->unary(OLK_ACT_SIGMOID, 0, 0, row, row, 2 * n);
        for (int64_t j = 0; j < n; j++) {
            turned[i * n + j] = a->linear_before_reset ? h[i * n + j] : row[n + j] * h[i * n + j];
            hidden[i * n + j] = a->late[dir * n + j];
        }
    }
    multiply(a, &a->rh, dir, turned, n, m, 0, a->rh.n_panels, hidden, n, packed);
    for (int64_t i = 0; i < m; i++) {
        float *row = g + i * ldg, *next = row + 2 * n, *state = h + i * n;
        for (int64_t j = 0; j < n; j++) next[j] += a->linear_before_reset ? row[n + j] * hidden[i * n + j] : hidden[i * n + j];
        a->activation->unary(OLK_ACT_TANH, 0, 0, next, next, n);
        for (int64_t j = 0; j < n; j++) state[j] = (1 - row[j]) * next[j] + row[j] * state[j];
    }
}

static void run_walk(const ol_step *s, const ol_run *r, unsigned tile, void *scratch) {
    const rnn_args *a = *(rnn_args *const *)s->args;
    int64_t steps = ol_cpu_rows(r, a->steps), batch = ol_cpu_rows(r, a->batch), groups = groups_of(a, r), n = a->n, width = a->w.rows;
    int64_t dir = tile / groups, b0 = tile % groups * TILE_SAMPLES, m = batch - b0 < TILE_SAMPLES ? batch - b0 : TILE_SAMPLES, at = (dir * batch + b0) * n;
    float *packed = scratch, *h = packed + (size_t)KC * OLK_GEMM_MAX_MR, *c = h + TILE_SAMPLES * n, *t = c + TILE_SAMPLES * n, *u = t + TILE_SAMPLES * n;
    size_t bytes = (size_t)(m * n) * sizeof *h;
    memset(h, 0, 2 * (size_t)(TILE_SAMPLES * n) * sizeof *h);
    if (a->h0 >= 0) memcpy(h, (const float *)ol_run_buffer(r, a->h0) + at, bytes);
    if (a->c0 >= 0) memcpy(c, (const float *)ol_run_buffer(r, a->c0) + at, bytes);
    for (int64_t k = 0; k < steps; k++) {
        int64_t time = a->reverse || dir == 1 ? steps - 1 - k : k;
        float *g = (float *)ol_run_buffer(r, a->gates) + ((dir * steps + time) * batch + b0) * width;
        multiply(a, &a->r, dir, h, n, m, 0, a->r.n_panels, g, width, packed);
        if (!a->lstm) gru_cells(a, dir, g, width, m, h, t, u, packed);
        for (int64_t i = 0; a->lstm && i < m; i++) lstm_cell(a, g + i * width, h + i * n, c + i * n, t);
        if (a->y >= 0) memcpy((float *)ol_run_buffer(r, a->y) + ((time * a->dirs + dir) * batch + b0) * n, h, bytes);
    }
    if (a->yh >= 0) memcpy((float *)ol_run_buffer(r, a->yh) + at, h, bytes);
    if (a->yc >= 0) memcpy((float *)ol_run_buffer(r, a->yc) + at, c, bytes);
}
static const ol_step_class walk_class = {"recurrent", walk_tiles, walk_scratch, NULL, run_walk};

/* ---- lowering ---- */

/* Panels of rows [from, from + rows) of each direction of a constant [dir][all][k]. */
static olv_status pack(ol_lowering *l, const rnn_args *a, const ol_node *n, int input, int64_t from, int64_t rows, int64_t all, int64_t k, matrix *m, olv_error *err) {
    ol_value *v = n->inputs[input];
    const float *data = ol_lower_f32(l, v, err);
    if (!data) return err ? err->status : OLV_NOMEM;
    int64_t nb = a->gemm->nb;
    *m = (matrix){.rows = rows, .k = k, .n_panels = (rows + nb - 1) / nb};
    bool made;
    ol_prepared_item *item = ol_prepare(l->prepared, n->name, v->constant, FORM_PANELS + 2 * input + (from != 0), ((size_t)(a->dirs * m->n_panels * k * nb) + 16) * sizeof(float), &made);
    if (!item) return ol_fail(err, OLV_NOMEM, "no memory for weight '%s'", v->name);
    float *to = item->data;
    for (int64_t d = 0; made && d < a->dirs; d++)
        for (int64_t p = 0; p < m->n_panels; p++, to += k * nb)
            a->gemm->pack_b(data + (d * all + from + p * nb) * k, 1, k, k, rows - p * nb < nb ? rows - p * nb : nb, to);
    m->panels = item->data;
    return OLV_OK;
}

/* Biases of both products in one, but for the third gate of GRU: its second one is added before the reset, or with it. */
static olv_status join_biases(ol_lowering *l, const ol_node *n, rnn_args *a, olv_error *err) {
    int64_t width = a->n_gates * a->n;
    float *both = ol_arena_calloc(l->arena, (size_t)(a->dirs * width), sizeof *both), *late = ol_arena_calloc(l->arena, (size_t)(a->dirs * a->n), sizeof *late);
    if (!both || !late) return ol_fail(err, OLV_NOMEM, "no memory for the plan");
    a->bias = both;
    a->late = late;
    if (n->n_inputs < 4 || !n->inputs[3]) return OLV_OK;
    const float *b = ol_lower_f32(l, n->inputs[3], err);
    if (!b) return err ? err->status : OLV_NOMEM;
    for (int64_t d = 0; d < a->dirs; d++)
        for (int64_t i = 0; i < width; i++) {
            const float *of = b + d * 2 * width + i;
            bool apart = !a->lstm && i >= 2 * a->n;
            both[d * width + i] = of[0] + (apart ? 0 : of[width]);
            if (apart) late[d * a->n + i - 2 * a->n] = of[width];
        }
    return OLV_OK;
}

static bool given(const ol_node *n, int i) { return i < n->n_inputs && n->inputs[i]; }
static bool constant(const ol_node *n, int i, int64_t count) {
    const ol_value *v = n->inputs[i];
    return v->constant && !v->is_input && ol_dtype_class(v->type.dtype) == 'f' && ol_const_rows(v->constant) * ol_const_width(v->constant) == count;
}

static olv_status read_form(const ol_node *n, rnn_args *a, olv_error *err) {
    const ol_type *x = &n->inputs[0]->type, *w = &n->inputs[1]->type, *r = &n->inputs[2]->type;
    a->lstm = n->op->name[0] == 'L';
    a->n_gates = a->lstm ? 4 : 3;
    if (ol_node_int(n, "layout", 0) || ol_node_attr(n, "clip") || ol_node_attr(n, "activations") || ol_node_int(n, "input_forget", 0) || given(n, 4) || given(n, 7))
        return ol_fail(err, OLV_UNSUPPORTED, "lengths, peepholes, clips, other functions or another layout are not planned");
    if (x->rank != 3 || w->rank != 3 || r->rank != 3 || !ol_dim_known(x->dims[2])) return ol_fail(err, OLV_UNSUPPORTED, "sizes are not known");
    a->dirs = w->dims[0];
    a->n = r->dims[2];
    int64_t width = a->n_gates * a->n;
    bool both = ol_str_is(ol_node_string(n, "direction", "forward"), "bidirectional");
    if (a->dirs != (both ? 2 : 1) || !constant(n, 1, a->dirs * width * x->dims[2]) || !constant(n, 2, a->dirs * width * a->n) ||
        w->dims[2] != x->dims[2] || (given(n, 3) && !constant(n, 3, a->dirs * 2 * width)))
        return ol_fail(err, OLV_UNSUPPORTED, "the weights are no constants that fit");
    for (int i = 5; i < 7; i++) {
        const ol_type *t = given(n, i) ? &n->inputs[i]->type : NULL;
        if (t && (t->rank != 3 || t->dims[0] != a->dirs || t->dims[1] != x->dims[1] || t->dims[2] != a->n)) return ol_fail(err, OLV_UNSUPPORTED, "an initial state is not known to fit");
    }
    a->linear_before_reset = ol_node_int(n, "linear_before_reset", 0) != 0;
    a->reverse = ol_str_is(ol_node_string(n, "direction", "forward"), "reverse");
    a->steps = x->dims[0];
    a->batch = x->dims[1];
    return OLV_OK;
}

static int output_of(ol_lowering *l, const ol_node *n, int i) { return i < n->n_outputs && n->outputs[i] ? ol_lower_output(l, n->outputs[i]) : -1; }

static void emit(ol_lowering *l, const ol_node *n, rnn_args *a) {
    ol_step *s = ol_lower_step(l, &input_class, n->name, sizeof a);
    if (!s) return;
    memcpy(s->args, &a, sizeof a);
    ol_step_reads(s, a->x);
    ol_step_writes(s, a->gates);
    if (!(s = ol_lower_step(l, &walk_class, n->name, sizeof a))) return;
    memcpy(s->args, &a, sizeof a);
    s->kernel = a->gemm->name;
    int reads[] = {a->gates, a->h0, a->c0}, writes[] = {a->y, a->yh, a->yc};
    for (int i = 0; i < 3; i++) ol_step_reads(s, reads[i]);
    for (int i = 0; i < 3; i++)
        if (writes[i] >= 0) ol_step_writes(s, writes[i]);
}

olv_status ol_lower_rnn(ol_lowering *l, ol_node *n, olv_error *err) {
    rnn_args *a = ol_arena_calloc(l->arena, 1, sizeof *a);
    if (!a) return ol_fail(err, OLV_NOMEM, "no memory for the plan");
    OL_TRY(read_form(n, a, err));
    a->gemm = olk_gemm_select(l->opt.cpu);
    a->activation = olk_activation_select(l->opt.cpu);
    int64_t width = a->n_gates * a->n, early = a->lstm ? width : 2 * a->n;
    OL_TRY(pack(l, a, n, 1, 0, width, width, n->inputs[0]->type.dims[2], &a->w, err));
    OL_TRY(pack(l, a, n, 2, 0, early, width, a->n, &a->r, err));
    if (!a->lstm) OL_TRY(pack(l, a, n, 2, early, a->n, width, a->n, &a->rh, err));
    OL_TRY(join_biases(l, n, a, err));
    a->h0 = a->c0 = -1;
    if ((a->x = ol_lower_input(l, n->inputs[0], err)) < 0 || (given(n, 5) && (a->h0 = ol_lower_input(l, n->inputs[5], err)) < 0) ||
        (a->lstm && given(n, 6) && (a->c0 = ol_lower_input(l, n->inputs[6], err)) < 0))
        return err ? err->status : OLV_INTERNAL;
    ol_dim_table *t = l->graph->dims;
    a->gates = ol_lower_temp(l, ol_dim_mul(t, ol_dim_mul(t, a->steps, a->batch), a->dirs * width), sizeof(float));
    a->y = output_of(l, n, 0);
    a->yh = output_of(l, n, 1);
    a->yc = output_of(l, n, 2);
    emit(l, n, a);
    return OLV_OK;
}
