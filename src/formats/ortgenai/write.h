/* SPDX-License-Identifier: Apache-2.0 */
/* Lowering of the flat-row graph to onnxruntime's operators. Nodes are visited in order; linear layers, sums, rotations
 * and renamings are emitted only when a name of their result is asked for, so that a consumer can take them in (sum +
 * norm, rotation inside attention, q, k and v in one product). A failure latches in `err`. */
#ifndef OL_FORMATS_ORTGENAI_WRITE_H
#define OL_FORMATS_ORTGENAI_WRITE_H

#include "base/arena.h"
#include "formats/ortgenai/data.h"
#include "formats/ortgenai/model.h"
#include "formats/ortgenai/ortgenai.h"
#include "graph/op.h"

typedef struct ol_og_weight { /* what was written for a weight constant */
    const char *codes, *scales, *zeros; /* names of initializers; for float matrices [K, N] only codes */
    int bits;
    int64_t block, n_blocks;
} ol_og_weight;

typedef struct ol_og_experts ol_og_experts; /* a mixture of experts (write_experts.c) */

typedef struct ol_og_writer {
    ol_graph *g;
    const ol_ortgenai_options *opt;
    ol_dtype io; /* type of activations, scales and logits */
    ol_og_model m;
    ol_og_data d;
    ol_arena *arena;
    const char **names;     /* [g->n_values]: ONNX name of a value, NULL while not emitted */
    ol_og_weight **weights; /* [g->n_values]: of weight constants */
    bool *covered;          /* [g->n_nodes]: nodes that one with a mixture of experts stands for */
    ol_og_experts *experts;
    ol_value *ids, *positions, *output_rows, *logits;
    bool uses_positions; /* the model gets an input position_ids */
    const char *seqlens, *total; /* of the attention mask */
    int64_t context, kv_heads, head_dim, n_heads;
    int n_layers; /* attention nodes so far */
    const char *caches[8][2];
    const ol_node *cache_nodes[8];
    int n_caches;
    int counter;
    bool failed;
    olv_error *err;
} ol_og_writer;

/* write_nodes.c */
olv_status ol_og_fail(ol_og_writer *w, const ol_node *n, olv_status s, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
const char *ol_og_text(ol_og_writer *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
ol_value *ol_og_root(ol_og_writer *w, ol_value *v); /* behind renamings */
const char *ol_og_name(ol_og_writer *w, ol_value *v); /* emits what is needed; NULL after a failure */
/* Name for a result of a node; made from the node's name. */
const char *ol_og_fresh(ol_og_writer *w, const ol_node *n, const char *part);
const char *ol_og_ints(ol_og_writer *w, const int64_t *v, int n); /* an i64 initializer */
const char *ol_og_scalar(ol_og_writer *w, double v);              /* an initializer of type io */
void ol_og_visit(ol_og_writer *w, ol_node *n);

/* write_weights.c */
const char *ol_og_vector(ol_og_writer *w, ol_value *v); /* constant in the type of activations */
/* x · Wᵀ (+ bias) with a constant weight (taken) named base; gives the name of the result. */
const char *ol_og_product(ol_og_writer *w, const ol_node *n, const char *x, ol_const *weight, const char *base,
                          ol_og_weight **record, ol_const *bias, const char *out);
const char *ol_og_lookup(ol_og_writer *w, const ol_node *n, ol_value *table, const char *ids, const char *out);
const char *ol_og_linear(ol_og_writer *w, ol_node *n, const char *out);
const char *ol_og_float(ol_og_writer *w, const char *name, ol_const *c); /* a float tensor in the type of activations */
/* Both weights of experts, [E * N, K] (not taken), under base.gate_up_proj and base.down_proj: quantized alike in blocks of
 * one size, or both as floats (no scales). False after a failure. */
bool ol_og_put_experts(ol_og_writer *w, const ol_node *n, ol_const *gate_up, ol_const *down, int64_t experts, const char *base,
                       ol_og_weight **a, ol_og_weight **b);

/* write_attention.c */
void ol_og_attention(ol_og_writer *w, ol_node *n);
const char *ol_og_rotary(ol_og_writer *w, ol_node *n, const char *out);
void ol_og_mask(ol_og_writer *w); /* lengths from the attention mask */

/* write_experts.c */
void ol_og_find_experts(ol_og_writer *w);
const ol_og_experts *ol_og_experts_of(const ol_og_writer *w, const ol_node *sum); /* that ends in this node; NULL: none */
void ol_og_write_experts(ol_og_writer *w, const ol_og_experts *e, const char *out);

/* write_config.c */
OLV_MUST_USE olv_status ol_og_config(const ol_og_writer *w, const ol_ortgenai_info *info, ol_buf *out, olv_error *err);

#endif
