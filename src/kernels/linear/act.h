/* SPDX-License-Identifier: Apache-2.0 */
/* Int8 activations of the linear layers: the definition that all variants share, and the packed form of the SIMD ones.
 *
 * A row is cut along k into blocks of 32 (16 where the weight's group is 16). A block has the scale amax / 127 and the
 * codes round_half_even(x * (127 / amax)); amax < 1e-30 gives scale 0 and codes 0; a NaN or an infinity anywhere in the
 * block gives scale NaN and codes 0, so that every output of the row becomes NaN.
 *
 * SIMD form: spans of 512 k, each the codes and then three vectors over its 16 (or 32) blocks: scale, -8 (4-bit weights) or
 * -128 (8-bit) times the sum of the codes as int32, and the sum of the codes as f32. A weight of 4 bits has even k in low and odd k in high nibbles, so the codes of
 * each 128 k lie as 64 even ones, then 64 odd ones, and block b of a span (128 k hold 4) sits in lane 4 * (b % 4) + b / 4,
 * which is where olk_reduce4 leaves it (blocks of 16: olk_block16_lane). For weights of 8 bits, codes and blocks are in natural
 * order. k past the end has code 0; scales of blocks past the end are 0. */
#ifndef OLK_LINEAR_ACT_H
#define OLK_LINEAR_ACT_H

#include "kernels/linear/linear.h"

#define OLK_SPAN 512

/* True if the int8 definition applies: planar 4- or 8-bit integers, no float minimum, and a group that is 16, a
 * multiple of 32, or the whole row. */
bool olk_linear_int8_ok(const olk_weight *w);
/* Activation block of a weight: 16 or 32. */
int64_t olk_act_block(const olk_weight *w);
/* x as the stored columns see it: permutation and input scale applied; `stage` holds k floats, unused without them. */
const float *olk_act_stage(const ol_qconst *q, const float *x, float *stage);
bool olk_act_staged(const olk_weight *w);

/* Geometry of the SIMD form. */
typedef struct olk_act_form {
    int64_t spans;     /* per row */
    int64_t span_bytes; /* 704, or 896 with blocks of 16 */
    int64_t row_bytes; /* with the staging area, if any */
    bool nibbles, block16;
} olk_act_form;

static inline olk_act_form olk_act_form_of(const olk_weight *w) {
    olk_act_form f;
    int64_t k = w->q->k;
    f.nibbles = w->q->code == OL_Q_I4 || w->q->code == OL_Q_U4;
    f.block16 = w->q->group == 16 && k > 16;
    f.spans = (k + OLK_SPAN - 1) / OLK_SPAN;
    f.span_bytes = OLK_SPAN + (f.block16 ? 3 * 32 : 3 * 16) * 4;
    f.row_bytes = f.spans * f.span_bytes;
    if (w->q->perm || w->q->input_scale) f.row_bytes += (k * 4 + 63) / 64 * 64;
    return f;
}

/* Offsets within a span. */
static inline int64_t olk_act_vec(const olk_act_form *f, int which) { /* 0 scale, 1 zero, 2 sum */
    return OLK_SPAN + which * (f->block16 ? 128 : 64);
}

/* Shared by the SIMD variants. */
size_t olk_act_bytes(const olk_weight *w, int64_t m);
uint64_t olk_act_key(const olk_weight *w);
#if defined(__x86_64__)
void olk_act_pack__avx512(const olk_weight *w, const float *x, int64_t ldx, int64_t m0, int64_t m1, int64_t m,
                          void *act);
#endif

#endif
