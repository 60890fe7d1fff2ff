/* SPDX-License-Identifier: Apache-2.0 */
/* Recurrent layers. OpenVINO has the gates of an LSTM in the order f, i, c, o and ONNX i, o, f, c; those of a GRU are z, r, h in
 * both. One bias stands for the sum of two, but for the h of a GRU with linear_before_reset. */
#include "base/alloc.h"
#include "base/error.h"
#include "formats/openvino/reader.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

typedef struct rnn {
    const char *op;
    int gates, states;
    bool sequence, linear_before_reset;
    int64_t hidden;
} rnn;

static bool recognize(ol_ir *t, rnn *r) {
    static const struct {
        const char *prefix, *op;
        int gates, states;
    } kinds[] = {{"LSTM", "LSTM", 4, 2}, {"GRU", "GRU", 3, 1}, {"RNN", "RNN", 1, 1}};
    for (size_t i = 0; i < 3; i++)
        if (!strncasecmp(t->l->type, kinds[i].prefix, strlen(kinds[i].prefix)))
            *r = (rnn){.op = kinds[i].op, .gates = kinds[i].gates, .states = kinds[i].states};
    r->sequence = strcasestr(t->l->type, "Sequence") != NULL;
    r->linear_before_reset = r->gates == 3 && ol_ir_flag(t, "linear_before_reset", false);
    r->hidden = ol_ir_attr_int(t, "hidden_size", 0);
    if (r->hidden < 1 || r->hidden > INT32_MAX / 16) ol_ir_fail(t, OLV_FORMAT, "hidden_size %lld", (long long)r->hidden);
    return t->status == OLV_OK;
}

/* Rows of each direction in ONNX's order of gates. */
static ol_value *reorder(ol_ir *t, const rnn *r, ol_value *w) {
    static const int64_t order[4] = {1, 3, 0, 2}; /* i, o, f, c in f, i, c, o */
    ol_value *parts[4];
    ol_attr axis = ol_attr_int("axis", 1), even = ol_attr_int("num_outputs", 4), both[2] = {axis, even};
    if (r->gates != 4 || t->status != OLV_OK) return w;
    int64_t rows = 4 * r->hidden, dirs = w->type.rank >= 2 ? w->type.dims[0] : 0;
    if (w->constant && !w->is_input && w->type.rank == 3 && w->type.dims[1] == rows && dirs <= 2) {
        int32_t *rank = ol_alloc((size_t)(dirs * rows) * sizeof *rank + 1);
        for (int64_t i = 0; rank && i < dirs * rows; i++)
            rank[i] = (int32_t)(i / rows * rows + order[i % rows / r->hidden] * r->hidden + i % r->hidden);
        const int64_t flat[2] = {dirs * rows, w->type.dims[2]};
        ol_const *m = rank ? ol_const_reshape(w->constant, 2, flat, t->err) : NULL, *shaped = NULL;
        ol_const *c = m ? ol_const_permute_rows(m, rank, dirs * rows, t->err) : NULL;
        if (c) shaped = ol_const_reshape(c, 3, ol_const_dims(w->constant), t->err);
        ol_const_release(c);
        ol_const_release(m);
        ol_free(rank);
        ol_value *v = shaped ? ol_graph_add_constant(t->g, NULL, shaped, t->err) : NULL;
        if (!v && t->status == OLV_OK) t->status = t->err->status != OLV_OK ? t->err->status : OLV_NOMEM;
        return v;
    }
    const ol_node *n = ol_ir_node(t, "Split", &w, 1, NULL, 4, both, 2);
    for (int i = 0; n && i < 4; i++) parts[i] = n->outputs[order[i]];
    return n ? ol_ir_op(t, "Concat", parts, 4, &axis, 1) : NULL;
}

/* The two biases of each direction. */
static ol_value *biases(ol_ir *t, const rnn *r, ol_value *b) {
    ol_attr axis = ol_attr_int("axis", 1);
    if (!b || t->status != OLV_OK) return NULL;
    int64_t h = r->hidden, lens[3] = {2 * h, h, h}, one = r->gates * h;
    if (r->linear_before_reset) { /* z, r, h and the other bias of h */
        ol_value *sizes = ol_ir_ints(t, lens, 3);
        const ol_node *n = ol_ir_node(t, "Split", (ol_value *[]){b, sizes}, 2, NULL, 3, &axis, 1);
        if (!n) return NULL;
        ol_value *zero = ol_ir_binary(t, "Sub", n->outputs[0], n->outputs[0]);
        return ol_ir_op(t, "Concat", (ol_value *[]){n->outputs[0], n->outputs[1], zero, n->outputs[2]}, 4, &axis, 1);
    }
    b = reorder(t, r, b);
    if (b && b->type.rank == 2 && ol_dim_known(b->type.dims[1]) && b->type.dims[1] != one)
        ol_ir_fail(t, OLV_SHAPE, "a bias of %lld, %lld expected", (long long)b->type.dims[1], (long long)one);
    return ol_ir_op(t, "Concat", (ol_value *[]){b, ol_ir_binary(t, "Sub", b, b)}, 2, &axis, 1);
}

static int read_floats(ol_ir *t, const char *name, float *out, int max) {
    const char *s = ol_ir_text(t, name, "");
    int n = 0;
    while (*s && n < max) {
        char *end;
        out[n] = strtof(s, &end);
        if (end == s) break;
        n++;
        s = end + strspn(end, ", ");
    }
    if (*s) ol_ir_fail(t, OLV_FORMAT, "%s=\"%.60s\" found, numbers expected", name, s);
    return n;
}

/* The activations of one direction, as often as there are directions. */
static int read_activations(ol_ir *t, int dirs, ol_str *out) {
    static const char *const names[][2] = {{"sigmoid", "Sigmoid"}, {"tanh", "Tanh"}, {"relu", "Relu"}, {"elu", "Elu"}, {"hardsigmoid", "HardSigmoid"},
                                           {"softsign", "Softsign"}, {"softplus", "Softplus"}, {"affine", "Affine"}, {"leakyrelu", "LeakyRelu"}};
    const char *s = ol_ir_text(t, "activations", "");
    int n = 0;
    while (*s && n < 3) {
        size_t len = strcspn(s, ", ");
        out[n].ptr = NULL;
        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
            if (strlen(names[i][0]) == len && !strncasecmp(s, names[i][0], len)) out[n] = ol_str_of(names[i][1]);
        if (!out[n].ptr) ol_ir_fail(t, OLV_UNSUPPORTED, "activation '%.*s'", (int)(len > 40 ? 40 : len), s);
        n++;
        s += len;
        s += strspn(s, ", ");
    }
    for (int i = 0; dirs == 2 && i < n; i++) out[n + i] = out[i];
    return n * dirs;
}

static void recurrent(ol_ir *t) {
    rnn r = {.gates = 0};
    ol_str acts[6];
    float alpha[6], beta[6];
    static const int64_t swap[] = {1, 0, 2};
    if (!recognize(t, &r)) return;
    const char *dir = r.sequence ? ol_ir_text(t, "direction", "forward") : "forward";
    int dirs = strcasecmp(dir, "bidirectional") ? 1 : 2, at = 1 + r.states;
    ol_value *in[7] = {ol_ir_need(t, 0)}, *h = ol_ir_need(t, 1), *c = r.states == 2 ? ol_ir_need(t, 2) : NULL;
    ol_value *lens = r.sequence ? ol_ir_cast(t, ol_ir_need(t, at++), OL_I32) : NULL;
    ol_value *w = ol_ir_need(t, at), *rw = ol_ir_need(t, at + 1), *b = ol_ir_has(t, at + 2) ? ol_ir_in(t, at + 2) : NULL;
    if (r.sequence) { /* [B, S, I] and [B, D, H] */
        in[0] = ol_ir_transpose(t, in[0], swap, 3);
        h = ol_ir_transpose(t, h, swap, 3);
        if (c) c = ol_ir_transpose(t, c, swap, 3);
    } else {
        in[0] = ol_ir_unsqueeze(t, in[0], 0);
        h = ol_ir_unsqueeze(t, h, 0);
        if (c) c = ol_ir_unsqueeze(t, c, 0);
        w = ol_ir_unsqueeze(t, w, 0);
        rw = ol_ir_unsqueeze(t, rw, 0);
        if (b) b = ol_ir_unsqueeze(t, b, 0);
    }
    in[1] = reorder(t, &r, w);
    in[2] = reorder(t, &r, rw);
    in[3] = biases(t, &r, b);
    in[4] = lens;
    in[5] = h;
    in[6] = c;
    ol_attr a[7] = {ol_attr_int("hidden_size", r.hidden), ol_attr_string("direction", !strcasecmp(dir, "bidirectional") ? "bidirectional" : !strcasecmp(dir, "reverse") ? "reverse" : "forward")};
    int n = 2;
    double clip = ol_ir_attr_real(t, "clip", 0);
    if (clip > 0) a[n++] = ol_attr_float("clip", (float)clip);
    if (r.gates == 3) a[n++] = ol_attr_int("linear_before_reset", r.linear_before_reset);
    int na = read_activations(t, dirs, acts), nx = read_floats(t, "activations_alpha", alpha, 6), ny = read_floats(t, "activations_beta", beta, 6);
    if (na) a[n++] = (ol_attr){.name = "activations", .type = OL_ATTR_STRINGS, .count = (size_t)na, .v.strings = acts};
    if (nx) a[n++] = (ol_attr){.name = "activation_alpha", .type = OL_ATTR_FLOATS, .count = (size_t)nx, .v.floats = alpha};
    if (ny && n < 7) a[n++] = (ol_attr){.name = "activation_beta", .type = OL_ATTR_FLOATS, .count = (size_t)ny, .v.floats = beta};
    const ol_node *node = ol_ir_node(t, r.op, in, 7, NULL, 1 + r.states, a, n);
    if (!node) return;
    if (r.sequence) ol_ir_set(t, 0, ol_ir_transpose(t, node->outputs[0], (const int64_t[]){2, 1, 0, 3}, 4));
    for (int i = 0; i < r.states; i++) {
        ol_value *y = node->outputs[1 + i];
        if (r.sequence) ol_ir_set(t, 1 + i, ol_ir_transpose(t, y, swap, 3));
        else ol_ir_set(t, i, ol_ir_squeeze(t, y, 0));
    }
}

const ol_ir_operation ol_ir_rnns[] = {{"LSTMSequence", recurrent, NULL}, {"GRUSequence", recurrent, NULL}, {"RNNSequence", recurrent, NULL},
                                      {"LSTMCell", recurrent, NULL}, {"GRUCell", recurrent, NULL}, {"RNNCell", recurrent, NULL}, {NULL, NULL, NULL}};
