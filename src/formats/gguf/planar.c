/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/gguf/planar.h"

#include "base/alloc.h"
#include "base/checked.h"
#include "base/error.h"
#include "tensor/qblock.h"

ol_qblock ol_gguf_block(uint32_t type) {
    switch (type) {
    case 2: return OL_QB_Q4_0;
    case 3: return OL_QB_Q4_1;
    case 6: return OL_QB_Q5_0;
    case 7: return OL_QB_Q5_1;
    case 8: return OL_QB_Q8_0;
    case 10: return OL_QB_Q2_K;
    case 11: return OL_QB_Q3_K;
    case 12: return OL_QB_Q4_K;
    case 13: return OL_QB_Q5_K;
    case 14: return OL_QB_Q6_K;
    case 20: return OL_QB_IQ4_NL;
    case 23: return OL_QB_IQ4_XS;
    case 39: return OL_QB_MXFP4;
    default: return OL_QB_NONE;
    }
}

/* One block of 32: f16 scale and codes. A byte of Q4_0 holds elements j and j + 16; a planar one 2j and 2j + 1. */
static void split_block(bool four, const uint8_t *block, uint8_t *codes, uint8_t *scale) {
    memcpy(scale, block, 2);
    const uint8_t *q = block + 2;
    if (!four) {
        memcpy(codes, q, 32);
        return;
    }
    for (int j = 0; j < 8; j++) {
        codes[j] = (uint8_t)((q[2 * j] & 15) | (q[2 * j + 1] & 15) << 4);
        codes[j + 8] = (uint8_t)(q[2 * j] >> 4 | (q[2 * j + 1] & 0xF0));
    }
}

/* Codes, and behind them scales, in one block of the heap. */
static uint8_t *split_rows(const ol_gguf_tensor *t, const int32_t *order, ol_qconst *q, olv_error *err) {
    bool four = q->code == OL_Q_U4;
    size_t block = four ? 18 : 34, code = four ? 16 : 32, groups = (size_t)q->n_groups, scales, total;
    size_t rows = (size_t)q->rows, codes = ol_align_up(rows * q->row_bytes, 64);
    if (!ol_mul_size(rows * groups, 2, &scales) || !ol_add_size(codes, scales, &total)) total = SIZE_MAX;
    uint8_t *heap = ol_alloc_aligned(total);
    if (!heap) {
        (void)ol_fail(err, OLV_NOMEM, "no memory for %zu bytes of weights", total);
        return NULL;
    }
    for (size_t r = 0; r < rows; r++) {
        const uint8_t *from = t->data + (order ? (size_t)order[r] : r) * groups * block;
        for (size_t g = 0; g < groups; g++)
            split_block(four, from + g * block, heap + r * q->row_bytes + g * code, heap + codes + (r * groups + g) * 2);
    }
    q->codes = heap;
    q->scales = heap + codes;
    return heap;
}

static uint8_t *copy_rows(const ol_gguf_tensor *t, const int32_t *order, ol_qconst *q, olv_error *err) {
    uint8_t *heap = ol_alloc_aligned((size_t)t->bytes);
    if (!heap) {
        (void)ol_fail(err, OLV_NOMEM, "no memory for %llu bytes of weights", (unsigned long long)t->bytes);
        return NULL;
    }
    for (size_t r = 0; r < (size_t)q->rows; r++)
        memcpy(heap + r * q->row_bytes, t->data + (size_t)order[r] * q->row_bytes, q->row_bytes);
    q->codes = heap;
    return heap;
}

ol_const *ol_gguf_quantized(const ol_gguf_tensor *t, ol_file *file, const int32_t *order, olv_error *err) {
    ol_qblock b = ol_gguf_block(t->type);
    if (t->rank != 2 || (order && t->bytes == 0)) {
        (void)ol_fail(err, OLV_UNSUPPORTED, "%d dimensions of type %s, expected a matrix", t->rank,
                      ol_gguf_type_name(t->type));
        return NULL;
    }
    ol_qconst q = {.code = OL_Q_BLOCK, .block = b, .rows = t->dims[0], .k = t->dims[1], .global_scale = 1};
    int64_t elems = ol_qblock_elems(b);
    q.group = elems;
    q.n_groups = q.k / elems;
    q.row_bytes = (size_t)(q.k / elems) * (size_t)ol_qblock_bytes(b);
    q.codes = t->data;
    uint8_t *heap = NULL;
    bool split = (b == OL_QB_Q4_0 || b == OL_QB_Q8_0) && t->bytes > 0;
    if (split) {
        q.code = b == OL_QB_Q4_0 ? OL_Q_U4 : OL_Q_I8;
        q.block = OL_QB_NONE;
        q.row_bytes = (size_t)q.k / (b == OL_QB_Q4_0 ? 2 : 1);
        q.scale_dtype = OL_F16;
        heap = split_rows(t, order, &q, err);
    } else if (order) {
        heap = copy_rows(t, order, &q, err);
    }
    if ((split || order) && !heap) return NULL;
    ol_const *c = ol_const_quant(2, t->dims, &q, &file, file && !heap ? 1 : 0, heap ? ol_free_aligned : NULL, heap, err);
    if (!c && heap) ol_free_aligned(heap);
    return c;
}
