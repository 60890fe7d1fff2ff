/* SPDX-License-Identifier: Apache-2.0 */
/* Which weights the int8 activations serve, and the geometry of their packed form. */
#include "kernels/linear/act.h"
#include <string.h>

bool olk_linear_int8_ok(const olk_weight *w) {
    const ol_qconst *q = w->q;
    if (!q || q->min_dtype != OL_DTYPE_NONE || q->block != OL_QB_NONE) return false;
    if (q->code != OL_Q_I8 && q->code != OL_Q_U8 && q->code != OL_Q_I4 && q->code != OL_Q_U4) return false;
    if (q->scale_dtype != OL_F32 && q->scale_dtype != OL_F16 && q->scale_dtype != OL_BF16) return false;
    return q->group == 16 || q->group % 32 == 0 || q->n_groups == 1;
}

int64_t olk_act_block(const olk_weight *w) { return w->q->group == 16 && w->q->k > 16 ? 16 : 32; }

bool olk_act_staged(const olk_weight *w) { return w->q->perm || w->q->input_scale; }

const float *olk_act_stage(const ol_qconst *q, const float *x, float *stage) {
    if (!q->perm && !q->input_scale) return x;
    for (int64_t j = 0; j < q->k; j++) {
        float v = q->input_scale ? x[j] * q->input_scale[j] : x[j];
        stage[q->perm ? q->perm[j] : j] = v;
    }
    return stage;
}

size_t olk_act_bytes(const olk_weight *w, int64_t m) { return (size_t)(olk_act_form_of(w).row_bytes * m); }

uint64_t olk_act_key(const olk_weight *w) {
    const ol_qconst *q = w->q;
    uint64_t key = (uint64_t)q->k << 3 | 4;
    key |= q->code == OL_Q_I4 || q->code == OL_Q_U4 ? 1 : 0;
    key |= olk_act_block(w) == 16 ? 2 : 0;
    /* A permutation or input scale is the weight's own. */
    return key ^ (uint64_t)(uintptr_t)q->perm * 0x9e3779b97f4a7c15u ^
           (uint64_t)(uintptr_t)q->input_scale * 0xc2b2ae3d27d4eb4fu;
}
