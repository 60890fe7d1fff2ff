/* SPDX-License-Identifier: Apache-2.0 */
/* Steps of optimizers (ai.onnx.preview.training): Adagrad, Adam, Momentum. Inputs: learning rate,
 * number of the step, then for n tensors all x, all gradients, and each state; outputs: all new x,
 * then the new states. */
#include "ops/ops.h"

typedef struct step {
    double rate, t;
    double norm, post, alpha, beta, epsilon, decay;
    bool nesterov;
} step;

/* One element: x and up to two states are renewed. */
typedef void rule_fn(const step *p, double g, double *x, double *u, double *v);

static void adagrad(const step *p, double g, double *x, double *h, double *unused) {
    (void)unused;
    g += p->norm * *x;
    *h += g * g;
    *x -= p->rate / (1 + p->t * p->decay) * g / (sqrt(*h) + p->epsilon);
}

static void adam(const step *p, double g, double *x, double *v, double *h) {
    double rate = p->rate;
    g += p->norm * *x;
    *v = p->alpha * *v + (1 - p->alpha) * g;
    *h = p->beta * *h + (1 - p->beta) * g * g;
    if (p->t > 0) rate *= sqrt(1 - pow(p->beta, p->t)) / (1 - pow(p->alpha, p->t));
    *x = (1 - p->post) * (*x - rate * *v / (sqrt(*h) + p->epsilon));
}

static void momentum(const step *p, double g, double *x, double *v, double *unused) {
    (void)unused;
    g += p->norm * *x;
    *v = p->alpha * *v + (p->t > 0 ? p->beta : 1) * g;
    *x -= p->rate * (p->nesterov ? g + p->alpha * *v : *v);
}

/* Tensor k of n; `states` of them besides x and the gradient. */
static olv_status update(ol_eval *c, const step *p, rule_fn *rule, int states, int n, int k,
                         olv_error *err) {
    const ol_tensor *in[4];
    ol_tensor *out[3] = {NULL};
    for (int i = 0; i < states + 2; i++) {
        OL_TRY(ol_eval_need(c, 2 + i * n + k, &in[i], err));
        if (ol_tensor_count(in[i]) != ol_tensor_count(in[0]))
            return ol_fail(err, OLV_SHAPE, "tensor %d, gradient and states do not fit", k);
    }
    for (int i = 0; i < states + 1; i++) {
        const ol_tensor *like = i ? in[i + 1] : in[0];
        OL_TRY(ol_eval_out(c, i * n + k, like->dtype, like->rank, like->dims, &out[i], err));
    }
    for (int64_t e = 0, count = ol_tensor_count(in[0]); e < count; e++) {
        double x = ol_tensor_get(in[0], e), s[2] = {0};
        for (int i = 0; i < states; i++) s[i] = ol_tensor_get(in[i + 2], e);
        rule(p, ol_tensor_get(in[1], e), &x, &s[0], &s[1]);
        ol_tensor_set(out[0], e, x);
        for (int i = 0; i < states; i++) ol_tensor_set(out[i + 1], e, s[i]);
    }
    return OLV_OK;
}

static int n_states(const ol_node *n) { return strcmp(n->op->name, "Adam") ? 1 : 2; }

static olv_status tensors(const ol_node *n, int *count, olv_error *err) {
    int per = n_states(n) + 2;
    *count = (n->n_inputs - 2) / per;
    if (n->n_inputs != 2 + *count * per || n->n_outputs != *count * (per - 1))
        return ol_fail(err, OLV_SHAPE, "%d inputs and %d outputs, 2 and %d of each tensor expected",
                       n->n_inputs, n->n_outputs, per);
    return OLV_OK;
}

static olv_status eval(ol_eval *c, olv_error *err) {
    const ol_node *n = c->node;
    const ol_tensor *rate, *t;
    rule_fn *rule = !strcmp(n->op->name, "Adam") ? adam : !strcmp(n->op->name, "Adagrad") ? adagrad : momentum;
    int count;
    OL_TRY(tensors(n, &count, err));
    OL_TRY(ol_eval_need(c, 0, &rate, err));
    OL_TRY(ol_eval_need(c, 1, &t, err));
    if (ol_tensor_count(rate) != 1 || ol_tensor_count(t) != 1) return ol_fail(err, OLV_SHAPE, "scalars expected");
    step p = {.rate = ol_tensor_get(rate, 0), .t = ol_tensor_get(t, 0),
              .norm = (double)ol_node_float(n, "norm_coefficient", 0),
              .post = (double)ol_node_float(n, "norm_coefficient_post", 0),
              .alpha = (double)ol_node_float(n, "alpha", 0.9f),
              .beta = (double)ol_node_float(n, "beta", 0.999f),
              .epsilon = (double)ol_node_float(n, "epsilon", 1e-6f),
              .decay = (double)ol_node_float(n, "decay_factor", 0),
              .nesterov = ol_str_is(ol_node_string(n, "mode", "standard"), "nesterov")};
    for (int k = 0; k < count; k++) OL_TRY(update(c, &p, rule, n_states(n), count, k, err));
    return OLV_OK;
}

static olv_status infer(ol_infer *c, olv_error *err) {
    int count;
    OL_TRY(tensors(c->node, &count, err));
    for (int i = 0; i < c->node->n_outputs; i++) {
        const ol_type *t = ol_infer_in(c, i < count ? 2 + i : 2 + count + i);
        if (t) c->out[i] = *t;
    }
    return OLV_OK;
}

static const ol_attr_spec attrs[] = {
    {"alpha", OL_ATTR_FLOAT, false},   {"beta", OL_ATTR_FLOAT, false},
    {"epsilon", OL_ATTR_FLOAT, false}, {"norm_coefficient", OL_ATTR_FLOAT, false},
    {"norm_coefficient_post", OL_ATTR_FLOAT, false}};
static const ol_attr_spec adagrad_attrs[] = {{"decay_factor", OL_ATTR_FLOAT, false},
                                             {"epsilon", OL_ATTR_FLOAT, false},
                                             {"norm_coefficient", OL_ATTR_FLOAT, false}};
static const ol_attr_spec momentum_attrs[] = {{"alpha", OL_ATTR_FLOAT, true},
                                              {"beta", OL_ATTR_FLOAT, true},
                                              {"mode", OL_ATTR_STRING, true},
                                              {"norm_coefficient", OL_ATTR_FLOAT, true}};
#define OP(Name, text, least, at)                                                                  \
    extern const ol_op ol_op_training_##Name;                                                      \
    const ol_op ol_op_training_##Name = {                                                          \
        .domain = "ai.onnx.preview.training", .name = #Name, .summary = text, .min_inputs = least, \
        .max_inputs = -1, .min_outputs = 1, .max_outputs = -1, OL_ATTRS(at), .infer = infer,       \
        .eval = eval};
OP(Adagrad, "a step of Adagrad", 5, adagrad_attrs)
OP(Adam, "a step of Adam", 6, attrs)
OP(Momentum, "a step of stochastic gradients with momentum", 5, momentum_attrs)
