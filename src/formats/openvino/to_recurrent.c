/* SPDX-License-Identifier: Apache-2.0 */
/* LSTM, GRU and RNN as sequences. ONNX has [steps, batch, ..] and the directions before the batch; OpenVINO the batch first. */
#include "formats/openvino/to.h"
#include <ctype.h>
#include <string.h>

/* Gates of a kind: how many, and for each one of OpenVINO its place in ONNX. */
typedef struct kind {
    const char *type;
    int gates;
    int order[4];
    const char *activations[3];
    int n_activations;
} kind;

static const kind lstm = {"LSTMSequence", 4, {2, 0, 3, 1}, {"sigmoid", "tanh", "tanh"}, 3}; /* iofc -> fico */
static const kind gru = {"GRUSequence", 3, {0, 1, 2}, {"sigmoid", "tanh"}, 2};
static const kind rnn = {"RNNSequence", 1, {0}, {"tanh"}, 1};

/* One node under way. */
typedef struct sequence {
    ol_to *t;
    const ol_node *n;
    const kind *k;
    int64_t hidden, directions;
    bool batch_first; /* layout 1 */
    ol_ir_out steps, batch;
} sequence;

/* The gates of [D, gates hidden, ..] in OpenVINO's order. */
static ol_ir_out reorder(const sequence *s, ol_ir_out w) {
    ol_ir_out parts[4];
    bool same = true;
    for (int i = 0; i < s->k->gates; i++) same = same && s->k->order[i] == i;
    if (same) return w;
    for (int i = 0; i < s->k->gates; i++) parts[i] = ol_to_slice(s->t, w, s->k->order[i] * s->hidden, (s->k->order[i] + 1) * s->hidden, 1, 1);
    return ol_to_concat(s->t, parts, s->k->gates, 1);
}

/* Both halves of ONNX's bias added; of a GRU with linear_before_reset those of the last gate stay apart. */
static ol_ir_out biases(const sequence *s, bool apart) {
    ol_to *t = s->t;
    int64_t h = s->hidden, half = s->k->gates * h, dims[2] = {s->directions, half + (apart ? h : 0)};
    if (!ol_to_has(s->n, 3)) return ol_to_broadcast(t, ol_to_number(t, ol_to_in(t, s->n, 1), 0), ol_to_i64(t, dims, 2));
    ol_ir_out b = ol_to_in(t, s->n, 3), w = ol_to_slice(t, b, 0, half, 1, 1), r = ol_to_slice(t, b, half, 2 * half, 1, 1);
    if (!apart) return reorder(s, ol_to_two(t, "Add", w, r));
    ol_ir_out both = ol_to_two(t, "Add", ol_to_slice(t, w, 0, 2 * h, 1, 1), ol_to_slice(t, r, 0, 2 * h, 1, 1));
    const ol_ir_out parts[3] = {both, ol_to_slice(t, w, 2 * h, 3 * h, 1, 1), ol_to_slice(t, r, 2 * h, 3 * h, 1, 1)};
    return ol_to_concat(t, parts, 3, 1);
}

/* A state [D, batch, hidden] as [batch, D, hidden]; zeros where there is none. */
static ol_ir_out state(const sequence *s, int i) {
    ol_to *t = s->t;
    const int64_t perm[3] = {1, 0, 2};
    if (ol_to_has(s->n, i)) return s->batch_first ? ol_to_in(t, s->n, i) : ol_ir_add_transpose(t->e, NULL, ol_to_in(t, s->n, i), perm, 3);
    const ol_ir_out dims[3] = {s->batch, ol_to_i64(t, &s->directions, 1), ol_to_i64(t, &s->hidden, 1)};
    return ol_to_broadcast(t, ol_to_number(t, ol_to_in(t, s->n, 0), 0), ol_to_concat(t, dims, 3, 0));
}

static const char *activation_list(const sequence *s) {
    const ol_attr *a = ol_node_attr(s->n, "activations");
    ol_buf b = OL_BUF_INIT;
    int count = s->k->n_activations;
    for (int i = 0; i < count; i++) {
        if (i) ol_buf_puts(&b, ", ");
        ol_str name = a && (size_t)i < a->count ? a->v.strings[i] : ol_str_of(s->k->activations[i]);
        for (size_t j = 0; j < name.len; j++) ol_buf_putc(&b, (char)tolower((unsigned char)name.ptr[j]));
        /* the second direction has its own: OpenVINO knows one list for both */
        if (a && a->count > (size_t)count && !ol_str_eq(a->v.strings[i], a->v.strings[(size_t)i + (size_t)count])) ol_to_refuse(s->t, "activations that differ by direction");
    }
    static const char *const known[] = {"sigmoid", "tanh", "relu"};
    for (const char *p = b.data; p; p = strchr(p, ' ') ? strchr(p, ' ') + 1 : NULL) {
        bool found = false;
        for (size_t i = 0; i < 3; i++) found |= !strncmp(p, known[i], strlen(known[i]));
        if (!found) ol_to_refuse(s->t, "activation '%.40s'", p);
    }
    const char *text = b.data ? ol_arena_strdup(ol_ir_arena(s->t->e), b.data) : NULL;
    ol_buf_deinit(&b);
    return text;
}

static int attributes(const sequence *s, ol_ir_attr *a) {
    ol_ir_emit *e = s->t->e;
    ol_str d = ol_node_string(s->n, "direction", "forward");
    a[0] = ol_ir_say_int(e, "hidden_size", s->hidden);
    a[1] = ol_ir_say_text("direction", ol_str_is(d, "bidirectional") ? "bidirectional" : ol_str_is(d, "reverse") ? "reverse" : "forward");
    a[2] = ol_ir_say_text("activations", activation_list(s));
    a[3] = ol_ir_say_text("activations_alpha", "");
    a[4] = ol_ir_say_text("activations_beta", "");
    a[5] = ol_ir_say_float(e, "clip", (double)ol_node_float(s->n, "clip", 0));
    a[6] = s->k == &gru ? ol_ir_say_bool("linear_before_reset", ol_node_int(s->n, "linear_before_reset", 0) != 0) : (ol_ir_attr){"", NULL};
    return 7;
}

/* Layer outputs: Y [batch, D, steps, hidden], then the last states [batch, D, hidden]. */
static void give(const sequence *s, ol_ir_out o, int count) {
    static const int64_t y_perm[4] = {2, 1, 0, 3}, h_perm[3] = {1, 0, 2}, y_batch[4] = {0, 2, 1, 3};
    for (int i = 0; i < count; i++) {
        if (i >= s->n->n_outputs || !s->n->outputs[i]) continue;
        ol_ir_out x = ol_ir_nth(o, i);
        if (i == 0) x = ol_ir_add_transpose(s->t->e, NULL, x, s->batch_first ? y_batch : y_perm, 4);
        else if (!s->batch_first) x = ol_ir_add_transpose(s->t->e, NULL, x, h_perm, 3);
        ol_to_give(s->t, s->n, i, x);
    }
}

static void convert(ol_to *t, const ol_node *n, const kind *k) {
    static const int64_t x_perm[3] = {1, 0, 2};
    sequence s = {.t = t, .n = n, .k = k, .batch_first = ol_node_int(n, "layout", 0) != 0};
    s.directions = ol_str_is(ol_node_string(n, "direction", "forward"), "bidirectional") ? 2 : 1;
    s.hidden = ol_node_int(n, "hidden_size", ol_to_dim(ol_to_type(n, 2), 2));
    if (s.hidden < 1 || (k == &lstm && ol_to_has(n, 7))) {
        ol_to_refuse(t, s.hidden < 1 ? "hidden size that is not known" : "peepholes");
        return;
    }
    if (k == &lstm && ol_node_int(n, "input_forget", 0)) ol_to_refuse(t, "input_forget");
    ol_ir_out x = ol_to_in(t, n, 0), in[7];
    if (!s.batch_first) x = ol_ir_add_transpose(t->e, NULL, x, x_perm, 3);
    s.batch = ol_to_size(t, x, 0, false);
    s.steps = ol_to_size(t, x, 1, false);
    int at = 0;
    in[at++] = x;
    in[at++] = state(&s, 5);
    if (k == &lstm) in[at++] = state(&s, 6);
    in[at++] = ol_to_has(n, 4) ? ol_to_in(t, n, 4) : ol_to_cast(t, ol_to_broadcast(t, s.steps, s.batch), OL_I32);
    in[at++] = reorder(&s, ol_to_in(t, n, 1));
    in[at++] = reorder(&s, ol_to_in(t, n, 2));
    in[at++] = biases(&s, k == &gru && ol_node_int(n, "linear_before_reset", 0));
    ol_ir_attr attrs[8];
    int n_attrs = attributes(&s, attrs), n_out = k == &lstm ? 3 : 2;
    ol_dtype type = ol_to_dtype(n, 0);
    const int64_t y[4] = {-1, s.directions, -1, s.hidden}, h[3] = {-1, s.directions, s.hidden};
    ol_ir_type types[3] = {ol_ir_type_of(type, 4, y), ol_ir_type_of(type, 3, h), ol_ir_type_of(type, 3, h)};
    ol_ir_out o = ol_ir_add(t->e, &(ol_ir_layer){.type = k->type, .version = "opset5", .in = in, .n_in = at, .attrs = attrs, .n_attrs = n_attrs, .out = types, .n_out = n_out});
    give(&s, o, n_out);
}

void ol_to_lstm(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    convert(t, n, &lstm);
}
void ol_to_gru(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    convert(t, n, &gru);
}
void ol_to_rnn(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    convert(t, n, &rnn);
}
