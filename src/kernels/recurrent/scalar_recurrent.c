/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/math/math.h"
#include "kernels/recurrent/recurrent.h"
#include <stddef.h>

/* Row t of the k - 1 rows before a call followed by its own. */
static const float *row_at(const olk_conv_form *f, const float *x, int64_t ldx, const float *from,
                           int64_t t) {
    return t < 0 ? from + (t + f->k - 1) * f->lds : x + t * ldx;
}

static void conv(const olk_conv_form *f, const float *x, int64_t ldx, float *y, int64_t ldy,
                 int64_t rows, const float *from, float *to) {
    for (int64_t t = 0; t < rows; t++)
        for (int64_t c = 0; c < f->n; c++) {
            float sum = f->b ? f->b[c] : 0;
            for (int64_t j = 0; j < f->k; j++)
                sum += f->w[j * f->ldw + c] * row_at(f, x, ldx, from, t - f->k + 1 + j)[c];
            y[t * ldy + c] = f->silu ? sum * olk_sigmoid(sum) : sum;
        }
    for (int64_t j = 0; j + 1 < f->k; j++)
        for (int64_t c = 0; c < f->n; c++)
            to[j * f->lds + c] = row_at(f, x, ldx, from, rows - f->k + 1 + j)[c];
}

static void scan_head(const olk_scan_form *f, int64_t rows, const float *from, float *to) {
    for (int64_t t = 0; t < rows; t++, from = to) {
        float dt = f->dt[t * f->lddt], decay = olk_exp(dt * f->a[0]);
        const float *x = f->x + t * f->ldx, *b = f->b + t * f->ldb, *c = f->c + t * f->ldc;
        float *y = f->y + t * f->ldy;
        for (int64_t p = 0; p < f->p; p++) y[p] = f->d ? f->d[0] * x[p] : 0;
        for (int64_t n = 0; n < f->n; n++)
            for (int64_t p = 0; p < f->p; p++) {
                float s = decay * from[n * f->lds + p] + dt * b[n] * x[p];
                to[n * f->lds + p] = s;
                y[p] += c[n] * s;
            }
    }
}

static void scan_channels(const olk_scan_form *f, int64_t rows, const float *from, float *to) {
    for (int64_t t = 0; t < rows; t++, from = to) {
        const float *x = f->x + t * f->ldx, *dt = f->dt + t * f->lddt, *b = f->b + t * f->ldb,
                    *c = f->c + t * f->ldc;
        float *y = f->y + t * f->ldy;
        for (int64_t p = 0; p < f->p; p++) y[p] = f->d ? f->d[p] * x[p] : 0;
        for (int64_t n = 0; n < f->n; n++)
            for (int64_t p = 0; p < f->p; p++) {
                float s = olk_exp(dt[p] * f->a[n * f->lda + p]) * from[n * f->lds + p] +
                          dt[p] * x[p] * b[n];
                to[n * f->lds + p] = s;
                y[p] += c[n] * s;
            }
    }
}

/* With S the state before the row: S'k and S'q give the correction and the output at once, as
 * (e^g S + k add')'q = e^g S'q + (k.q) add. */
static void delta(const olk_delta_form *f, int64_t rows, const float *from, float *to) {
    for (int64_t t = 0; t < rows; t++, from = to) {
        const float *q = f->q + t * f->ldq, *k = f->k + t * f->ldk, *v = f->v + t * f->ldv;
        float decay = olk_exp(f->g[t * f->ldg]), beta = f->beta[t * f->ldbeta], kq = 0;
        for (int64_t i = 0; i < f->dk; i++) kq += k[i] * q[i];
        for (int64_t j = 0; j < f->dv; j++) {
            float seen = 0, read = 0;
            for (int64_t i = 0; i < f->dk; i++) {
                seen += k[i] * from[i * f->lds + j];
                read += q[i] * from[i * f->lds + j];
            }
            float add = beta * (v[j] - decay * seen);
            for (int64_t i = 0; i < f->dk; i++)
                to[i * f->lds + j] = decay * from[i * f->lds + j] + k[i] * add;
            f->y[t * f->ldy + j] = f->scale * (decay * read + kq * add);
        }
    }
}

static void wkv(const olk_wkv_form *f, int64_t rows, const float *from, float *to) {
    for (int64_t c = 0; c < f->n; c++) {
        float num = from[c], den = from[f->lds + c], top = den > 0 ? from[2 * f->lds + c] : -1e38f;
        for (int64_t t = 0; t < rows; t++) {
            float k = f->k[t * f->ldx + c], v = f->v[t * f->ldx + c], now = f->u[c] + k;
            float m = top > now ? top : now, a = olk_exp(top - m), b = olk_exp(now - m);
            f->y[t * f->ldy + c] = (a * num + b * v) / (a * den + b);
            float later = top - f->w[c];
            m = later > k ? later : k;
            a = olk_exp(later - m);
            b = olk_exp(k - m);
            num = a * num + b * v;
            den = a * den + b;
            top = m;
        }
        to[c] = num;
        to[f->lds + c] = den;
        to[2 * f->lds + c] = top;
    }
}

extern const olk_recurrent olk_recurrent__scalar;
const olk_recurrent olk_recurrent__scalar = {"olk_recurrent__scalar", 0,     conv, scan_head,
                                             scan_channels,           delta, wkv};
