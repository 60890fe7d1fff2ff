/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/rope/rope.h"
#include <math.h>

void olk_rope_table(const float *inv_freq, int64_t h, const int32_t *position, int64_t rows, double factor, float *cosine,
                    float *sine, int64_t ldt) {
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < h; i++) {
            double angle = (double)position[r] * (double)inv_freq[i];
            cosine[r * ldt + i] = (float)(cos(angle) * factor);
            sine[r * ldt + i] = (float)(sin(angle) * factor);
        }
}

void olk_rope_inv_freq(double theta, int64_t rot_dim, float *inv_freq) {
    for (int64_t i = 0; i < rot_dim / 2; i++) inv_freq[i] = (float)pow(theta, -2.0 * (double)i / (double)rot_dim);
}

/* The base grows with the length beyond the trained one, so that the lowest frequency spans the longer context. */
double olk_rope_dynamic_theta(double theta, double factor, int64_t rot_dim, int64_t length, int64_t original) {
    if (length <= original || original < 1 || rot_dim <= 2) return theta;
    double stretch = factor * (double)length / (double)original - (factor - 1);
    return theta * pow(stretch, (double)rot_dim / (double)(rot_dim - 2));
}
