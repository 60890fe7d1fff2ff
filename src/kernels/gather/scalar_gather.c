/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/gather/gather.h"
#include <string.h>

static void rows(const olk_weight *t, const int64_t *ids, int64_t count, float scale, float *y, int64_t ldy) {
    for (int64_t i = 0; i < count; i++, y += ldy) {
        if (ids[i] < 0 || ids[i] >= t->n) {
            memset(y, 0, (size_t)t->k * sizeof *y);
            continue;
        }
        if (t->q) ol_qconst_rows_f32(t->q, ids[i], 1, y);
        else ol_elems_to_f32(t->dtype, (const uint8_t *)t->data + (size_t)ids[i] * t->row_bytes, 0, (uint64_t)t->k, y);
        for (int64_t j = 0; scale != 1 && j < t->k; j++) y[j] *= scale;
    }
}

extern const olk_gather olk_gather__scalar;
const olk_gather olk_gather__scalar = {"olk_gather__scalar", 0, rows};
