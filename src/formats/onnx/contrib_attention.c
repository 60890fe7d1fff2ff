/* SPDX-License-Identifier: Apache-2.0 */
/* onnxruntime's Attention, QAttention and EmbedLayerNormalization. */
#include "base/error.h"
#include "formats/onnx/contrib.h"

/* The keep mask of mask_index as bool that broadcasts to [B, heads, S, T]. Its forms: lengths [B], keys [B, T], pairs
 * [B, S, T], or [B, 1, S, T]. keys: T as i64 [1]. */
static ol_value *keep_mask(ol_contrib *t, ol_value *mask, ol_value *keys, const ol_type *x) {
    int64_t zero = 0, one = 1;
    if (!mask || t->status != OLV_OK) return NULL;
    switch (mask->type.rank) {
    case 1: {
        if (x->rank == 3 && ol_dim_known(x->dims[0]) && ol_dim_known(mask->type.dims[0]) && x->dims[0] != mask->type.dims[0]) {
            ol_contrib_fail(t, OLV_UNSUPPORTED, "mask_index with starts and ends of rows");
            return NULL;
        }
        ol_value *end = ol_contrib_op(t, "Squeeze", (ol_value *[]){keys, ol_contrib_ints(t, &zero, 1)}, 2, NULL, 0);
        ol_value *at = ol_contrib_op(t, "Range", (ol_value *[]){ol_contrib_ints(t, &zero, -1), end, ol_contrib_ints(t, &one, -1)}, 3, NULL, 0);
        ol_value *lengths = ol_contrib_unsqueeze(t, ol_contrib_cast(t, mask, OL_I64), (const int64_t[]){1, 2, 3}, 3);
        return ol_contrib_binary(t, "Less", at, lengths);
    }
    case 2: return ol_contrib_unsqueeze(t, ol_contrib_cast(t, mask, OL_BOOL), (const int64_t[]){1, 2}, 2);
    case 3: return ol_contrib_unsqueeze(t, ol_contrib_cast(t, mask, OL_BOOL), (const int64_t[]){1}, 1);
    case 4: return ol_contrib_cast(t, mask, OL_BOOL);
    default: ol_contrib_fail(t, OLV_UNSUPPORTED, "mask_index of unknown rank"); return NULL;
    }
}

/* qkv [B, S, 3 hidden]; past and present [2, B, heads, length, d]. */
static void attend(ol_contrib *t, ol_value *x, ol_value *qkv, ol_value *mask, ol_value *past, ol_value *bias) {
    int64_t heads = ol_contrib_int(t, "num_heads", 0), last = -1;
    const ol_attr *sizes = ol_onnx_draft_attr(t->d, "qkv_hidden_sizes");
    bool uneven = sizes && sizes->type == OL_ATTR_INTS && sizes->count == 3;
    ol_attr split[2] = {ol_attr_int("axis", last), ol_attr_int("num_outputs", 3)};
    if (heads < 1) ol_contrib_fail(t, OLV_FORMAT, "attribute 'num_heads' is missing");
    if (ol_contrib_int(t, "do_rotary", 0) || ol_contrib_int(t, "past_present_share_buffer", 0))
        ol_contrib_fail(t, OLV_UNSUPPORTED, "rotation or shared caches within Attention");
    if (t->status != OLV_OK) return;
    ol_value *parts[2] = {qkv, uneven ? ol_contrib_ints(t, sizes->v.ints, 3) : NULL};
    const ol_node *three = ol_contrib_node(t, "Split", parts, 2, NULL, 3, split, uneven ? 1 : 2);
    if (!three) return;
    ol_value *in[6] = {three->outputs[0], three->outputs[1], three->outputs[2], NULL, NULL, NULL}, *keys = ol_contrib_size(t, x, 1);
    if (past) {
        int64_t zero = 0;
        for (int i = 0; i < 2; i++)
            in[4 + i] = ol_contrib_op(t, "Squeeze", (ol_value *[]){ol_contrib_slice(t, past, 0, i, i + 1), ol_contrib_ints(t, &zero, 1)}, 2, NULL, 0);
        keys = ol_contrib_binary(t, "Add", keys, ol_contrib_size(t, past, 3));
    }
    ol_value *keep = keep_mask(t, mask, keys, &x->type);
    if (keep) {
        double filter = (double)ol_contrib_float(t, "mask_filter_value", -10000);
        in[3] = ol_contrib_op(t, "Where", (ol_value *[]){keep, ol_contrib_number(t, 0, x), ol_contrib_number(t, filter, x)}, 3, NULL, 0);
        /* A row for each query: onnxruntime's Attention does not broadcast them. */
        ol_attr axis = ol_attr_int("axis", 0);
        const int64_t one = 1;
        ol_value *rows[4] = {ol_contrib_ints(t, &one, 1), ol_contrib_ints(t, &one, 1), ol_contrib_size(t, x, 1), ol_contrib_ints(t, &one, 1)};
        in[3] = ol_contrib_binary(t, "Expand", in[3], ol_contrib_op(t, "Concat", rows, 4, &axis, 1));
        if (bias) in[3] = ol_contrib_binary(t, "Add", in[3], bias);
    } else {
        in[3] = bias;
    }
    ol_attr attrs[4] = {ol_attr_int("q_num_heads", heads), ol_attr_int("kv_num_heads", heads),
                        ol_attr_int("is_causal", ol_contrib_int(t, "unidirectional", 0)), ol_attr_float("scale", ol_contrib_float(t, "scale", 0))};
    const char *names[3] = {t->d->outs[0], NULL, NULL};
    bool present = t->d->n_outs > 1 && *t->d->outs[1];
    const ol_node *n = ol_contrib_node(t, "Attention", in, 6, names, present ? 3 : 1, attrs, ol_contrib_float(t, "scale", 0) > 0 ? 4 : 3);
    if (!n) return;
    t->d->results[0] = n->outputs[0];
    if (!present) return;
    ol_attr axis = ol_attr_int("axis", 0);
    ol_value *both[2] = {ol_contrib_unsqueeze(t, n->outputs[1], (const int64_t[]){0}, 1), ol_contrib_unsqueeze(t, n->outputs[2], (const int64_t[]){0}, 1)};
    ol_contrib_result(t, 1, "Concat", both, 2, &axis, 1);
}

static ol_value *with_bias(ol_contrib *t, ol_value *x, ol_value *bias) { return bias ? ol_contrib_binary(t, "Add", x, bias) : x; }

void ol_contrib_attention(ol_contrib *t) {
    ol_value *x = ol_contrib_need(t, 0), *qkv = ol_contrib_binary(t, "MatMul", x, ol_contrib_need(t, 1));
    attend(t, x, with_bias(t, qkv, ol_contrib_in(t, 2)), ol_contrib_in(t, 3), ol_contrib_in(t, 4), ol_contrib_in(t, 5));
}

/* input, weight, bias, input_scale, weight_scale, mask_index, input_zero_point, weight_zero_point, past */
void ol_contrib_qattention(ol_contrib *t) {
    ol_value *in[4] = {ol_contrib_need(t, 0), ol_contrib_need(t, 1), ol_contrib_in(t, 6), ol_contrib_in(t, 7)};
    ol_value *scale = ol_contrib_binary(t, "Mul", ol_contrib_need(t, 3), ol_contrib_need(t, 4));
    ol_value *qkv = ol_contrib_cast(t, ol_contrib_op(t, "MatMulInteger", in, 4, NULL, 0), OL_F32);
    qkv = with_bias(t, ol_contrib_binary(t, "Mul", qkv, scale), ol_contrib_in(t, 2));
    ol_value *like = ol_contrib_cast(t, in[0], OL_F32); /* the shape of the input, and the type of masks */
    attend(t, like, qkv, ol_contrib_in(t, 5), ol_contrib_in(t, 8), NULL);
}

/* Rows of the tables of words, positions and segments, summed and normalized. Result 1: numbers of ones of the mask. */
void ol_contrib_embed_norm(ol_contrib *t) {
    ol_value *ids = ol_contrib_need(t, 0), *segments = ol_contrib_in(t, 1), *segment_table = ol_contrib_in(t, 4), *mask = ol_contrib_in(t, 7), *where = ol_contrib_in(t, 8);
    ol_value *words = ol_contrib_binary(t, "Gather", ol_contrib_need(t, 2), ids), *rows;
    if (where) {
        rows = ol_contrib_binary(t, "Gather", ol_contrib_need(t, 3), where);
    } else { /* position i for column i */
        int64_t zero = 0;
        ol_value *in[4] = {ol_contrib_need(t, 3), ol_contrib_ints(t, &zero, 1), ol_contrib_size(t, ids, 1), ol_contrib_ints(t, &zero, 1)};
        rows = ol_contrib_op(t, "Slice", in, 4, NULL, 0);
    }
    bool wants_sum = t->d->n_outs > 2 && *t->d->outs[2];
    ol_value *sum = ol_contrib_binary(t, "Add", words, rows);
    if (segments && segment_table) sum = ol_contrib_binary(t, "Add", sum, ol_contrib_binary(t, "Gather", segment_table, segments));
    ol_attr norm[2] = {ol_attr_int("axis", -1), ol_attr_float("epsilon", ol_contrib_float(t, "epsilon", 1e-12f))};
    ol_contrib_result(t, 0, "LayerNormalization", (ol_value *[]){sum, ol_contrib_need(t, 5), ol_contrib_need(t, 6)}, 3, norm, 2);
    if (wants_sum) ol_contrib_result(t, 2, "Identity", &sum, 1, NULL, 0);
    if (t->d->n_outs < 2 || !*t->d->outs[1]) return;
    int64_t one = 1;
    ol_attr keep = ol_attr_int("keepdims", 0), to = ol_attr_int("to", ol_dtype_onnx(OL_I32));
    ol_value *counted = mask ? ol_contrib_cast(t, mask, OL_I32) : ol_contrib_binary(t, "Sub", ol_contrib_cast(t, ids, OL_I32), ol_contrib_cast(t, ids, OL_I32));
    ol_value *total = ol_contrib_op(t, "ReduceSum", (ol_value *[]){counted, ol_contrib_ints(t, &one, 1)}, 2, &keep, 1);
    ol_contrib_result(t, 1, "Cast", &total, 1, &to, 1);
}
