/* SPDX-License-Identifier: Apache-2.0 */
/* Operators of ONNX Runtime's domain that decoder models are made of. They are only carried from the ONNX reader to
 * formats/ortgenai, which translates them to the form of docs/lm-graph.md; nothing evaluates them. */
#include "ops/ops.h"

/* Types of results stay unknown but for what the first input says. */
static olv_status infer_any(ol_infer *c, olv_error *err) {
    (void)err;
    const ol_type *x = c->node->n_inputs ? ol_infer_in(c, 0) : NULL;
    if (x) c->out[0].dtype = x->dtype;
    return OLV_OK;
}

static olv_status infer_norm(ol_infer *c, olv_error *err) {
    const ol_type *x = ol_infer_in(c, 0);
    (void)err;
    for (int i = 0; i < c->node->n_outputs; i++)
        if (i == 0 || i == 3) c->out[i] = *x;
    return OLV_OK;
}

#define I(name) {name, OL_ATTR_INT, false}
#define F(name) {name, OL_ATTR_FLOAT, false}
static const ol_attr_spec nbits_attrs[] = {I("K"), I("N"), I("bits"), I("block_size"), I("accuracy_level"),
                                           I("weight_prepacked")};
static const ol_attr_spec table_attrs[] = {I("bits"), I("block_size"), I("gather_axis"), I("quantize_axis")};
static const ol_attr_spec gqa_attrs[] = {I("num_heads"), I("kv_num_heads"), F("scale"), I("local_window_size"), F("softcap"),
                                         I("do_rotary"), I("rotary_interleaved"), I("smooth_softmax"), I("qk_output"),
                                         F("qk_norm_epsilon"), I("kv_cache_bit_width"), I("sliding_window_cache"),
                                         {"k_quant_type", OL_ATTR_STRING, false}, {"v_quant_type", OL_ATTR_STRING, false}};
static const ol_attr_spec mha_attrs[] = {I("num_heads"), F("scale"), I("unidirectional"), F("mask_filter_value")};
static const ol_attr_spec rotary_attrs[] = {I("interleaved"), I("num_heads"), I("rotary_embedding_dim"),
                                            I("is_packed_batching"), I("scale")};
static const ol_attr_spec norm_attrs[] = {I("axis"), F("epsilon"), I("stash_type")};

#define ORT_OP(id, domain, name, summary, min_in, max_in, max_out, attrs, infer)                                   \
    extern const ol_op ol_op_ort_##id;                                                                             \
    const ol_op ol_op_ort_##id = {domain, name, summary, min_in, max_in, 1, max_out, attrs, OL_COUNT(attrs), infer,  \
                                  NULL, NULL, false, false};

ORT_OP(MatMulNBits, "com.microsoft", "MatMulNBits", "product with a blockwise quantized matrix", 3, 6, 1, nbits_attrs,
       infer_any)
ORT_OP(GatherBlockQuantized, "com.microsoft", "GatherBlockQuantized", "rows of a blockwise quantized table", 3, 4, 1,
       table_attrs, infer_any)
ORT_OP(GroupQueryAttention, "com.microsoft", "GroupQueryAttention", "attention with a cache and grouped heads", 1, 16, 4,
       gqa_attrs, infer_any)
ORT_OP(MultiHeadAttention, "com.microsoft", "MultiHeadAttention", "attention", 1, 10, 4, mha_attrs, infer_any)
ORT_OP(RotaryEmbedding, "com.microsoft", "RotaryEmbedding", "rotation by positions", 4, 4, 1, rotary_attrs, infer_norm)
ORT_OP(SimplifiedLayerNormalization, "", "SimplifiedLayerNormalization", "RMS normalization", 2, 2, 2, norm_attrs,
       infer_norm)
ORT_OP(SkipSimplifiedLayerNormalization, "com.microsoft", "SkipSimplifiedLayerNormalization",
       "RMS normalization of a sum", 3, 4, 4, norm_attrs, infer_norm)
ORT_OP(SkipLayerNormalization, "com.microsoft", "SkipLayerNormalization", "layer normalization of a sum", 3, 5, 4,
       norm_attrs, infer_norm)
