/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/int8/int8.h"
#include <string.h>

void olk_int8_pack(const int8_t *w, int64_t column, int64_t place, int64_t step, int64_t n, int64_t places, int64_t k, int nb, int8_t *panel) {
    int64_t fours = (k + 3) / 4;
    memset(panel, 0, (size_t)(places * fours * nb * 4));
    for (int64_t p = 0; p < places; p++)
        for (int64_t i = 0; i < k; i++) {
            int8_t *to = panel + (p * fours + i / 4) * nb * 4 + i % 4;
            const int8_t *from = w + p * place + i * step;
            for (int64_t j = 0; j < n; j++) to[j * 4] = from[j * column];
        }
}

void olk_int8_pack_depthwise(const int8_t *w, int64_t n_taps, int64_t channels, int8_t *out) {
    memset(out, 0, (size_t)olk_int8_depthwise_bytes(n_taps, channels));
    for (int64_t c = 0; c < channels; c++)
        for (int64_t t = 0; t < n_taps; t++)
            out[olk_int8_depthwise_at(n_taps, c, t)] = w[c * n_taps + t];
}

void olk_int8_row_sums(const uint8_t *const *rows, int64_t row_step, int64_t places, int64_t k, int64_t m, int32_t *sum) {
    for (int64_t i = 0; i < m; i++) {
        sum[i] = 0;
        for (int64_t p = 0; p < places; p++)
            for (int64_t j = 0; j < k; j++) sum[i] += rows[p * row_step + i][j];
    }
}

int32_t olk_int8_sum(const int8_t *w, int64_t n) {
    int32_t sum = 0;
    for (int64_t i = 0; i < n; i++) sum += w[i];
    return sum;
}
