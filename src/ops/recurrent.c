/* SPDX-License-Identifier: Apache-2.0 */
/* RNN, GRU and LSTM over [S, B, I] (layout 1: [B, S, I]), forward, reverse or both, with lengths, clipping and peepholes. */
#include "ops/ops.h"

typedef enum cell_kind { RNN, GRU, LSTM } cell_kind;

typedef struct cell {
    cell_kind kind;
    int64_t s, b, in, h, dirs, gates;
    const ol_tensor *x, *w, *r, *bias, *lens, *h0, *c0, *peep;
    bool batch_first, linear_before_reset, couple;
    double clip;
    const ol_attr *acts, *alphas, *betas;
} cell;

static double sigmoid(double x) { return x >= 0 ? 1 / (1 + exp(-x)) : exp(x) / (1 + exp(x)); }

/* Activation number k of the list, of which the defaults are Sigmoid and Tanh. */
static double activate(const cell *c, int64_t k, const char *def, double x) {
    ol_str name = c->acts && k < (int64_t)c->acts->count ? c->acts->v.strings[k] : ol_str_of(def);
    double a = c->alphas && k < (int64_t)c->alphas->count ? (double)c->alphas->v.floats[k] : NAN;
    double b = c->betas && k < (int64_t)c->betas->count ? (double)c->betas->v.floats[k] : NAN;
    if (ol_str_is(name, "Sigmoid")) return sigmoid(x);
    if (ol_str_is(name, "Relu")) return x > 0 ? x : 0;
    if (ol_str_is(name, "Affine")) return (isnan(a) ? 1 : a) * x + (isnan(b) ? 0 : b);
    if (ol_str_is(name, "LeakyRelu")) return x < 0 ? (isnan(a) ? 0.01 : a) * x : x;
    if (ol_str_is(name, "HardSigmoid")) return fmax(0, fmin(1, (isnan(a) ? 0.2 : a) * x + (isnan(b) ? 0.5 : b)));
    if (ol_str_is(name, "Elu")) return x < 0 ? (isnan(a) ? 1 : a) * expm1(x) : x;
    if (ol_str_is(name, "Softsign")) return x / (1 + fabs(x));
    if (ol_str_is(name, "Softplus")) return log1p(exp(x));
    return tanh(x);
}

/* The same of a gate's sum, which is clipped; the state of an LSTM is not, as onnxruntime and OpenVINO have it. */
static double gate(const cell *c, int64_t k, const char *def, double x) {
    if (c->clip > 0) x = x > c->clip ? c->clip : x < -c->clip ? -c->clip : x;
    return activate(c, k, def, x);
}

/* Row `g * h + j` of W x + Wb (or R h + Rb) of direction d. */
static double part(const cell *c, bool recurrent, int64_t d, int64_t row, const double *v) {
    const ol_tensor *m = recurrent ? c->r : c->w;
    int64_t n = recurrent ? c->h : c->in, rows = c->gates * c->h;
    double sum = c->bias ? ol_tensor_get(c->bias, d * 2 * rows + (recurrent ? rows : 0) + row) : 0;
    for (int64_t i = 0; i < n; i++) sum += ol_tensor_get(m, (d * rows + row) * n + i) * v[i];
    return sum;
}

static double peephole(const cell *c, int64_t d, int64_t k, int64_t j, double state) {
    return c->peep ? ol_tensor_get(c->peep, (d * 3 + k) * c->h + j) * state : 0;
}

/* One time step: x [in], h and cs [h] are replaced; next and reset are scratch of h each. */
static void step(const cell *c, int64_t d, const double *x, double *h, double *cs, double *next, double *reset) {
    int64_t n = c->h, f = d * (c->kind == LSTM ? 3 : c->kind == GRU ? 2 : 1);
    for (int64_t j = 0; c->kind == GRU && j < n; j++) reset[j] = gate(c, f, "Sigmoid", part(c, false, d, n + j, x) + part(c, true, d, n + j, h));
    if (c->kind == GRU && !c->linear_before_reset)
        for (int64_t j = 0; j < n; j++) reset[j] *= h[j];
    for (int64_t j = 0; j < n; j++) {
        if (c->kind == RNN) {
            next[j] = gate(c, f, "Tanh", part(c, false, d, j, x) + part(c, true, d, j, h));
        } else if (c->kind == GRU) {
            double z = gate(c, f, "Sigmoid", part(c, false, d, j, x) + part(c, true, d, j, h));
            double hidden = c->linear_before_reset ? reset[j] * part(c, true, d, 2 * n + j, h) : part(c, true, d, 2 * n + j, reset);
            next[j] = (1 - z) * gate(c, f + 1, "Tanh", part(c, false, d, 2 * n + j, x) + hidden) + z * h[j];
        } else { /* gates i, o, f, c; peepholes i, o, f */
            double i = gate(c, f, "Sigmoid", part(c, false, d, j, x) + part(c, true, d, j, h) + peephole(c, d, 0, j, cs[j]));
            double forget = c->couple ? 1 - i : gate(c, f, "Sigmoid", part(c, false, d, 2 * n + j, x) + part(c, true, d, 2 * n + j, h) + peephole(c, d, 2, j, cs[j]));
            double g = gate(c, f + 1, "Tanh", part(c, false, d, 3 * n + j, x) + part(c, true, d, 3 * n + j, h));
            double state = forget * cs[j] + i * g;
            double o = gate(c, f, "Sigmoid", part(c, false, d, n + j, x) + part(c, true, d, n + j, h) + peephole(c, d, 1, j, state));
            next[j] = o * activate(c, f + 2, "Tanh", state);
            cs[j] = state;
        }
    }
    memcpy(h, next, (size_t)n * sizeof *h);
}

static int64_t state_at(const cell *c, int64_t d, int64_t b) { return (c->batch_first ? b * c->dirs + d : d * c->b + b) * c->h; }

static void run_line(const cell *c, int64_t d, int64_t b, bool reverse, double *tmp, ol_tensor *y, ol_tensor *yh, ol_tensor *yc) {
    double *x = tmp, *h = x + c->in, *cs = h + c->h, *next = cs + c->h, *reset = next + c->h;
    int64_t len = c->lens ? ol_tensor_i64(c->lens, b) : c->s;
    len = len < 0 ? 0 : len > c->s ? c->s : len;
    for (int64_t j = 0; j < c->h; j++) {
        h[j] = c->h0 ? ol_tensor_get(c->h0, state_at(c, d, b) + j) : 0;
        cs[j] = c->c0 ? ol_tensor_get(c->c0, state_at(c, d, b) + j) : 0;
    }
    for (int64_t k = 0; k < len; k++) {
        int64_t t = reverse ? len - 1 - k : k, row = c->batch_first ? b * c->s + t : t * c->b + b;
        for (int64_t i = 0; i < c->in; i++) x[i] = ol_tensor_get(c->x, row * c->in + i);
        step(c, d, x, h, cs, next, reset);
        int64_t to = c->batch_first ? (row * c->dirs + d) * c->h : ((t * c->dirs + d) * c->b + b) * c->h;
        for (int64_t j = 0; y && j < c->h; j++) ol_tensor_set(y, to + j, h[j]);
    }
    for (int64_t j = 0; j < c->h; j++) {
        if (yh) ol_tensor_set(yh, state_at(c, d, b) + j, h[j]);
        if (yc) ol_tensor_set(yc, state_at(c, d, b) + j, cs[j]);
    }
}

static olv_status init(ol_eval *e, cell *c, olv_error *err) {
    static const int64_t gates[] = {1, 3, 4};
    const ol_node *n = e->node;
    OL_TRY(ol_eval_need(e, 0, &c->x, err));
    OL_TRY(ol_eval_need(e, 1, &c->w, err));
    OL_TRY(ol_eval_need(e, 2, &c->r, err));
    c->bias = ol_eval_in(e, 3);
    c->lens = ol_eval_in(e, 4);
    c->h0 = ol_eval_in(e, 5);
    c->c0 = c->kind == LSTM ? ol_eval_in(e, 6) : NULL;
    c->peep = c->kind == LSTM ? ol_eval_in(e, 7) : NULL;
    c->batch_first = ol_node_int(n, "layout", 0) != 0;
    c->linear_before_reset = ol_node_int(n, "linear_before_reset", 0) != 0;
    c->couple = ol_node_int(n, "input_forget", 0) != 0;
    c->clip = (double)ol_node_float(n, "clip", 0);
    c->acts = ol_node_attr(n, "activations");
    c->alphas = ol_node_attr(n, "activation_alpha");
    c->betas = ol_node_attr(n, "activation_beta");
    c->gates = gates[c->kind];
    if (c->x->rank != 3 || c->w->rank != 3 || c->r->rank != 3) return ol_fail(err, OLV_SHAPE, "rank 3 expected");
    c->s = c->x->dims[c->batch_first];
    c->b = c->x->dims[!c->batch_first];
    c->in = c->x->dims[2];
    c->dirs = c->w->dims[0];
    c->h = c->r->dims[2];
    int64_t rows = c->gates * c->h, state = c->dirs * c->b * c->h;
    bool both = ol_str_is(ol_node_string(n, "direction", "forward"), "bidirectional");
    bool fits = c->dirs == (both ? 2 : 1) && c->w->dims[1] == rows && c->w->dims[2] == c->in && c->r->dims[0] == c->dirs && c->r->dims[1] == rows &&
                (!c->bias || ol_tensor_count(c->bias) == c->dirs * 2 * rows) && (!c->lens || ol_tensor_count(c->lens) == c->b) &&
                (!c->h0 || ol_tensor_count(c->h0) == state) && (!c->c0 || ol_tensor_count(c->c0) == state) && (!c->peep || ol_tensor_count(c->peep) == c->dirs * 3 * c->h);
    return fits ? OLV_OK : ol_fail(err, OLV_SHAPE, "input, weights or states do not fit");
}

static olv_status eval_kind(ol_eval *e, cell_kind kind, olv_error *err) {
    cell c = {.kind = kind};
    ol_tensor *out[3] = {NULL};
    OL_TRY(init(e, &c, err));
    const ol_node *n = e->node;
    for (int i = 0; i < n->n_outputs; i++) {
        if (!n->outputs[i]) continue;
        int64_t y[2][4] = {{c.s, c.dirs, c.b, c.h}, {c.b, c.s, c.dirs, c.h}}, st[2][3] = {{c.dirs, c.b, c.h}, {c.b, c.dirs, c.h}};
        OL_TRY(ol_eval_out(e, i, c.x->dtype, i ? 3 : 4, i ? st[c.batch_first] : y[c.batch_first], &out[i], err));
    }
    double *tmp = ol_calloc((size_t)(c.in + 4 * c.h), sizeof *tmp);
    if (!tmp) return ol_fail(err, OLV_NOMEM, "no memory");
    bool reverse = ol_str_is(ol_node_string(n, "direction", "forward"), "reverse");
    for (int64_t d = 0; d < c.dirs; d++)
        for (int64_t b = 0; b < c.b; b++) run_line(&c, d, b, reverse || d == 1, tmp, out[0], out[1], out[2]);
    ol_free(tmp);
    return OLV_OK;
}

static olv_status infer(ol_infer *c, olv_error *err) {
    const ol_type *x = ol_infer_in(c, 0), *w = ol_infer_in(c, 1), *r = ol_infer_in(c, 2);
    int first = ol_node_int(c->node, "layout", 0) != 0;
    int64_t hidden = ol_node_int(c->node, "hidden_size", 0);
    for (int i = 0; i < 3; i++) OL_TRY(ol_infer_rank(c, i, 3, 3, err));
    for (int i = 0; i < c->node->n_outputs; i++) {
        ol_infer_set(c, i, x->dtype, i ? 3 : 4);
        if (x->rank != 3 || w->rank != 3 || r->rank != 3) continue;
        ol_dim s = x->dims[first], b = x->dims[!first], d = w->dims[0], h = r->dims[2];
        if (!ol_dim_known(d)) d = ol_str_is(ol_node_string(c->node, "direction", "forward"), "bidirectional") ? 2 : 1;
        if (!ol_dim_known(h)) h = hidden > 0 ? hidden : h;
        ol_dim y[2][4] = {{s, d, b, h}, {b, s, d, h}}, st[2][3] = {{d, b, h}, {b, d, h}};
        memcpy(c->out[i].dims, i ? st[first] : y[first], (size_t)(i ? 3 : 4) * sizeof(ol_dim));
    }
    return OLV_OK;
}

static olv_status eval_rnn(ol_eval *c, olv_error *err) { return eval_kind(c, RNN, err); }
static olv_status eval_gru(ol_eval *c, olv_error *err) { return eval_kind(c, GRU, err); }
static olv_status eval_lstm(ol_eval *c, olv_error *err) { return eval_kind(c, LSTM, err); }

#define FORM {"activation_alpha", OL_ATTR_FLOATS, false}, {"activation_beta", OL_ATTR_FLOATS, false}, {"activations", OL_ATTR_STRINGS, false}, \
    {"clip", OL_ATTR_FLOAT, false}, {"direction", OL_ATTR_STRING, false}, {"hidden_size", OL_ATTR_INT, false}, {"layout", OL_ATTR_INT, false}
static const ol_attr_spec rnn_attrs[] = {FORM};
static const ol_attr_spec gru_attrs[] = {FORM, {"linear_before_reset", OL_ATTR_INT, false}};
static const ol_attr_spec lstm_attrs[] = {FORM, {"input_forget", OL_ATTR_INT, false}};
extern const ol_op ol_op_RNN, ol_op_GRU, ol_op_LSTM;
const ol_op ol_op_RNN = {"", "RNN", "simple recurrent layer", 3, 6, 1, 2, rnn_attrs, 7, infer, eval_rnn, NULL, false, false};
const ol_op ol_op_GRU = {"", "GRU", "gated recurrent layer", 3, 6, 1, 2, gru_attrs, 8, infer, eval_gru, NULL, false, false};
const ol_op ol_op_LSTM = {"", "LSTM", "long short-term memory layer", 3, 8, 1, 3, lstm_attrs, 8, infer, eval_lstm, NULL, false, false};
