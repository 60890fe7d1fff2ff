/* SPDX-License-Identifier: Apache-2.0 */
/* RWKV-4. A mixture of a row and the row before it, mu x(t) + (1 - mu) x(t - 1), is a convolution
 * of two rows. */
#include "formats/huggingface/recurrent.h"

#include "base/alloc.h"
#include "base/error.h"

#include <math.h>
#include <stdio.h>

static ol_value *mix(ol_hf_build *b, ol_value *x, const char *block, const char *what) {
    int64_t n = b->c->hidden;
    char part[64];
    snprintf(part, sizeof part, "%s.time_mix_%s", block, what);
    const ol_st_tensor *t = ol_hf_find(b, part, "");
    float *mu = ol_hf_vector(b, part, "", n, 0, true),
          *w = mu ? ol_calloc((size_t)(2 * n), sizeof *w) : NULL;
    if (mu && !w) ol_hf_build_fail(b, OLV_NOMEM, "out of memory");
    for (int64_t i = 0; w && i < n; i++) {
        w[2 * i] = 1 - mu[i];
        w[2 * i + 1] = mu[i];
    }
    ol_free(mu);
    ol_value *in[] = {x, ol_hf_matrix_value(b, t ? t->name.ptr : part, w, n, 2)};
    ol_attr attrs[] = {ol_attr_int("state", ol_hf_state(b, part, n)),
                       ol_attr_string("activation", "none")};
    return ol_hf_node(b, "olivine", "CausalConv", in, 2, 1, attrs, 2, NULL);
}

/* Decay exp(time_decay) and bonus of the channels. */
static ol_value *weighted_mean(ol_hf_build *b, ol_value *k, ol_value *v, int64_t n) {
    const ol_st_tensor *tu = ol_hf_find(b, "attention.time_first", "");
    float *w = ol_hf_vector(b, "attention.time_decay", "", n, 0, true);
    for (int64_t i = 0; w && i < n; i++) w[i] = (float)exp((double)w[i]);
    ol_value *in[] = {k, v, ol_hf_vector_value(b, NULL, w, n), NULL};
    in[3] = ol_hf_vector_value(b, tu ? tu->name.ptr : NULL,
                               ol_hf_vector(b, "attention.time_first", "", n, 0, true), n);
    ol_attr state = ol_attr_int("state", ol_hf_state(b, "wkv", 3 * n));
    return ol_hf_node(b, "olivine", "Wkv", in, 4, 1, &state, 1, NULL);
}

ol_value *ol_hf_rwkv(ol_hf_build *b, ol_value *h) {
    int64_t n = b->c->recurrent->inner, hidden = b->c->hidden;
    ol_value *k = ol_hf_linear(b, mix(b, h, "attention", "key"), "attention.key", n, hidden, false);
    ol_value *v =
        ol_hf_linear(b, mix(b, h, "attention", "value"), "attention.value", n, hidden, false);
    ol_value *r = ol_hf_linear(b, mix(b, h, "attention", "receptance"), "attention.receptance", n,
                               hidden, false);
    ol_value *y = ol_hf_op2(b, "Mul", ol_hf_op1(b, "Sigmoid", r), weighted_mean(b, k, v, n));
    return ol_hf_linear(b, y, "attention.output", hidden, n, false);
}

ol_value *ol_hf_rwkv_mlp(ol_hf_build *b, ol_value *h) {
    int64_t hidden = b->c->hidden, n = b->c->intermediate;
    ol_value *k =
        ol_hf_linear(b, mix(b, h, "feed_forward", "key"), "feed_forward.key", n, hidden, false);
    ol_value *r = ol_hf_linear(b, mix(b, h, "feed_forward", "receptance"),
                               "feed_forward.receptance", hidden, hidden, false);
    k = ol_hf_op1(b, "Relu", k);
    ol_value *v =
        ol_hf_linear(b, ol_hf_op2(b, "Mul", k, k), "feed_forward.value", hidden, n, false);
    return ol_hf_op2(b, "Mul", ol_hf_op1(b, "Sigmoid", r), v);
}
