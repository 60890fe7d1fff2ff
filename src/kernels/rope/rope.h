/* SPDX-License-Identifier: Apache-2.0 */
/* Rotary position embedding.
 *
 * With h = rot_dim / 2, each head's values x[0, rot_dim) are rotated by h angles; the rest of the head stays.
 *     half-split:  (x[i], x[i + h])     -> (x[i] cos_i - x[i + h] sin_i, x[i + h] cos_i + x[i] sin_i)
 *     interleaved: (x[2i], x[2i + 1])   likewise
 * Row r: heads at x + r * ldx + head * head_stride, angles at cos + r * ldt and sin + r * ldt (a table row of the form
 * [cos of h angles | sin of h angles] is cos = table, sin = table + h, ldt = rot_dim). In place; any alignment; rot_dim even
 * and <= head_stride. Products and sums are rounded separately (no fma), so all variants give the same bits; NaN follows
 * IEEE. */
#ifndef OLK_ROPE_H
#define OLK_ROPE_H

#include <stdbool.h>
#include <stdint.h>

typedef struct olk_rope {
    const char *name;
    uint64_t cpu;
    void (*apply)(float *x, int64_t ldx, int64_t rows, int heads, int64_t head_stride, const float *cos, const float *sin,
                  int64_t ldt, int64_t rot_dim, bool interleaved);
} olk_rope;

/* Best variant under these CPU flags; never NULL. */
const olk_rope *olk_rope_select(uint64_t cpu);
const olk_rope *const *olk_rope_variants(int *count);

/* Rows of a table: cos[r * ldt + i] = f32(cos(position[r] * inv_freq[i]) * factor), computed in double; sin likewise.
 * factor: the attention factor of YaRN and LongRoPE, else 1. */
void olk_rope_table(const float *inv_freq, int64_t h, const int32_t *position, int64_t rows, double factor, float *cos,
                    float *sin, int64_t ldt);

/* inv_freq[i] = theta^(-2i / rot_dim), i < rot_dim / 2, as f32. */
void olk_rope_inv_freq(double theta, int64_t rot_dim, float *inv_freq);

/* Dynamic NTK: base for a context of `length` positions when the model was trained on `original`. */
double olk_rope_dynamic_theta(double theta, double factor, int64_t rot_dim, int64_t length, int64_t original);

#endif
