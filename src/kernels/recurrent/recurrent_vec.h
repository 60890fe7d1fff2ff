/* SPDX-License-Identifier: Apache-2.0 */
/* Body of the vector variants (see math/vec_x86.h). Channels stand in vectors; a strip of WIDE
 * vectors keeps its states in the first cache level while all rows go by. A channel's operations
 * are the same in a strip and in the rest. */
#include "base/cpu.h"
#include "kernels/math/vec_x86.h"
#include "kernels/recurrent/recurrent.h"

#define WIDE (32 / VW)

/* ---- convolution ---- */

static void conv_row(const olk_conv_form *f, const float *const *in, float *y) {
    for (int64_t c = 0; c < f->n; c += VW) {
        int64_t left = f->n - c;
        vf sum = f->b ? v_load_n(f->b + c, left) : v_set1(0);
        for (int64_t j = 0; j < f->k; j++)
            sum = v_fma(v_load_n(f->w + j * f->ldw + c, left), v_load_n(in[j] + c, left), sum);
        v_store_n(y + c, left, f->silu ? v_mul(sum, v_sigmoid(sum)) : sum);
    }
}

static void conv(const olk_conv_form *f, const float *x, int64_t ldx, float *y, int64_t ldy,
                 int64_t rows, const float *from, float *to) {
    const float *in[OLK_CONV_MAX];
    for (int64_t t = 0; t < rows; t++) {
        for (int64_t j = 0; j < f->k; j++) {
            int64_t at = t - f->k + 1 + j;
            in[j] = at < 0 ? from + (at + f->k - 1) * f->lds : x + at * ldx;
        }
        conv_row(f, in, y + t * ldy);
    }
    for (int64_t j = 0; j + 1 < f->k; j++) {
        int64_t at = rows - f->k + 1 + j;
        const float *src = at < 0 ? from + (at + f->k - 1) * f->lds : x + at * ldx;
        for (int64_t c = 0; c < f->n; c += VW)
            v_store_n(to + j * f->lds + c, f->n - c, v_load_n(src + c, f->n - c));
    }
}

/* ---- selective scan ---- */

/* One state of m vectors of channels, of which `left` exist: decayed, plus b dx; c times it to y.
 */
VI void scan_head_state(float b, float c, vf decay, const vf *dx, int m, int64_t left,
                        const float *from, float *to, vf *y) {
    for (int i = 0; i < m; i++) {
        vf s = v_fma(v_set1(b), dx[i], v_mul(decay, v_load_n(from + i * VW, left - i * VW)));
        v_store_n(to + i * VW, left - i * VW, s);
        y[i] = v_fma(v_set1(c), s, y[i]);
    }
}

/* Even and odd states are summed apart, which hides the latency of additions. */
VI void scan_head_strip(const olk_scan_form *f, int64_t p, int m, int64_t left, int64_t rows,
                        const float *from, float *to) {
    for (int64_t t = 0; t < rows; t++, from = to) {
        float step = f->dt[t * f->lddt];
        vf decay = v_exp(v_set1(step * f->a[0])), dx[WIDE], y[WIDE], odd[WIDE];
        const float *b = f->b + t * f->ldb, *c = f->c + t * f->ldc;
        for (int i = 0; i < m; i++) {
            vf x = v_load_n(f->x + t * f->ldx + p + i * VW, left - i * VW);
            dx[i] = v_mul(v_set1(step), x);
            y[i] = f->d ? v_mul(v_set1(f->d[0]), x) : v_set1(0);
            odd[i] = v_set1(0);
        }
        int64_t n = 0, at = p;
        for (; n + 1 < f->n; n += 2, at += 2 * f->lds) {
            int64_t next = at + f->lds;
            scan_head_state(b[n], c[n], decay, dx, m, left, from + at, to + at, y);
            scan_head_state(b[n + 1], c[n + 1], decay, dx, m, left, from + next, to + next, odd);
        }
        if (n < f->n) scan_head_state(b[n], c[n], decay, dx, m, left, from + at, to + at, y);
        for (int i = 0; i < m; i++)
            v_store_n(f->y + t * f->ldy + p + i * VW, left - i * VW, v_add(y[i], odd[i]));
    }
}

static void scan_head(const olk_scan_form *f, int64_t rows, const float *from, float *to) {
    int64_t p = 0;
    for (; p + WIDE * VW <= f->p; p += WIDE * VW)
        scan_head_strip(f, p, WIDE, WIDE * VW, rows, from, to);
    for (; p < f->p; p += VW) scan_head_strip(f, p, 1, f->p - p, rows, from, to);
}

VI void scan_channels_strip(const olk_scan_form *f, int64_t p, int m, int64_t left, int64_t rows,
                            const float *from, float *to) {
    for (int64_t t = 0; t < rows; t++, from = to) {
        vf dt[WIDE], dx[WIDE], y[WIDE];
        const float *b = f->b + t * f->ldb, *c = f->c + t * f->ldc;
        for (int i = 0; i < m; i++) {
            int64_t rest = left - i * VW, at = p + i * VW;
            vf x = v_load_n(f->x + t * f->ldx + at, rest);
            dt[i] = v_load_n(f->dt + t * f->lddt + at, rest);
            dx[i] = v_mul(dt[i], x);
            y[i] = f->d ? v_mul(v_load_n(f->d + at, rest), x) : v_set1(0);
        }
        for (int64_t n = 0; n < f->n; n++)
            for (int i = 0; i < m; i++) {
                int64_t rest = left - i * VW, at = p + i * VW;
                vf decay = v_exp(v_mul(dt[i], v_load_n(f->a + n * f->lda + at, rest)));
                vf s = v_fma(v_set1(b[n]), dx[i],
                             v_mul(decay, v_load_n(from + n * f->lds + at, rest)));
                v_store_n(to + n * f->lds + at, rest, s);
                y[i] = v_fma(v_set1(c[n]), s, y[i]);
            }
        for (int i = 0; i < m; i++) v_store_n(f->y + t * f->ldy + p + i * VW, left - i * VW, y[i]);
    }
}

static void scan_channels(const olk_scan_form *f, int64_t rows, const float *from, float *to) {
    int64_t p = 0;
    for (; p + WIDE * VW <= f->p; p += WIDE * VW)
        scan_channels_strip(f, p, WIDE, WIDE * VW, rows, from, to);
    for (; p < f->p; p += VW) scan_channels_strip(f, p, 1, f->p - p, rows, from, to);
}

/* ---- delta rule ---- */

static float dot(const float *a, const float *b, int64_t n) {
    vf s = v_set1(0);
    for (int64_t i = 0; i < n; i += VW)
        s = v_fma(v_load_n(a + i, n - i), v_load_n(b + i, n - i), s);
    return v_sum(s);
}

VI void delta_look(float k, float q, const float *from, int m, int64_t left, vf *seen, vf *read) {
    for (int i = 0; i < m; i++) {
        vf s = v_load_n(from + i * VW, left - i * VW);
        seen[i] = v_fma(v_set1(k), s, seen[i]);
        read[i] = v_fma(v_set1(q), s, read[i]);
    }
}

/* With S the state before the row: S'k and S'q give the correction and the output at once, as
 * (e^g S + k add')'q = e^g S'q + (k.q) add. */
VI void delta_strip(const olk_delta_form *f, int64_t j, int m, int64_t left, int64_t rows,
                    const float *from, float *to) {
    for (int64_t t = 0; t < rows; t++, from = to) {
        const float *q = f->q + t * f->ldq, *k = f->k + t * f->ldk;
        vf decay = v_exp(v_set1(f->g[t * f->ldg])), beta = v_set1(f->beta[t * f->ldbeta]);
        vf kq = v_set1(dot(k, q, f->dk)), seen[WIDE], read[WIDE], add[WIDE], odd[2][WIDE];
        for (int i = 0; i < m; i++) seen[i] = read[i] = odd[0][i] = odd[1][i] = v_set1(0);
        int64_t pairs = f->dk & ~(int64_t)1;
        for (int64_t r = 0; r < pairs; r += 2) {
            const float *s = from + r * f->lds + j;
            delta_look(k[r], q[r], s, m, left, seen, read);
            delta_look(k[r + 1], q[r + 1], s + f->lds, m, left, odd[0], odd[1]);
        }
        if (pairs < f->dk)
            delta_look(k[pairs], q[pairs], from + pairs * f->lds + j, m, left, seen, read);
        for (int i = 0; i < m; i++) {
            seen[i] = v_add(seen[i], odd[0][i]);
            read[i] = v_add(read[i], odd[1][i]);
            vf v = v_load_n(f->v + t * f->ldv + j + i * VW, left - i * VW);
            add[i] = v_mul(beta, v_fnma(decay, seen[i], v));
            vf y = v_mul(v_set1(f->scale), v_fma(kq, add[i], v_mul(decay, read[i])));
            v_store_n(f->y + t * f->ldy + j + i * VW, left - i * VW, y);
        }
        for (int64_t r = 0; r < f->dk; r++)
            for (int i = 0; i < m; i++) {
                int64_t at = r * f->lds + j + i * VW;
                vf s = v_mul(decay, v_load_n(from + at, left - i * VW));
                v_store_n(to + at, left - i * VW, v_fma(v_set1(k[r]), add[i], s));
            }
    }
}

static void delta(const olk_delta_form *f, int64_t rows, const float *from, float *to) {
    int64_t j = 0;
    for (; j + WIDE * VW <= f->dv; j += WIDE * VW)
        delta_strip(f, j, WIDE, WIDE * VW, rows, from, to);
    for (; j < f->dv; j += VW) delta_strip(f, j, 1, f->dv - j, rows, from, to);
}

/* ---- RWKV ---- */

static void wkv(const olk_wkv_form *f, int64_t rows, const float *from, float *to) {
    for (int64_t c = 0; c < f->n; c += VW) {
        int64_t left = f->n - c;
        vf num = v_load_n(from + c, left), den = v_load_n(from + f->lds + c, left);
        vf w = v_load_n(f->w + c, left), u = v_load_n(f->u + c, left);
        vf top =
            v_select(v_lt(v_set1(0), den), v_load_n(from + 2 * f->lds + c, left), v_set1(-1e38f));
        for (int64_t t = 0; t < rows; t++) {
            vf k = v_load_n(f->k + t * f->ldx + c, left), v = v_load_n(f->v + t * f->ldx + c, left);
            vf now = v_add(u, k), m = v_max(top, now), a = v_exp(v_sub(top, m)),
               b = v_exp(v_sub(now, m));
            vf y = v_div(v_fma(a, num, v_mul(b, v)), v_fma(a, den, b));
            v_store_n(f->y + t * f->ldy + c, left, y);
            vf later = v_sub(top, w);
            m = v_max(later, k);
            a = v_exp(v_sub(later, m));
            b = v_exp(v_sub(k, m));
            num = v_fma(a, num, v_mul(b, v));
            den = v_fma(a, den, b);
            top = m;
        }
        v_store_n(to + c, left, num);
        v_store_n(to + f->lds + c, left, den);
        v_store_n(to + 2 * f->lds + c, left, top);
    }
}
