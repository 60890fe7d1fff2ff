/* SPDX-License-Identifier: Apache-2.0 */
/* DynamicQuantizeLinear whose results are only put together again: the data are rounded to 255 steps of their range, in f32. A
 * step finds the range, the next one rounds. */
#include "base/error.h"
#include "device/cpu/codes.h"
#include "device/cpu/cpu.h"
#include "graph/op.h"
#include "kernels/codes/codes.h"
#include <math.h>
#include <string.h>

#define TILE 16384
#define STRIP 1024

typedef struct round_args {
    int x, form, y; /* form: an olk_codes_form */
    ol_dim count;
    const olk_codes *codes;
} round_args;

static unsigned one_tile(const ol_step *s, const ol_run *r) {
    (void)s, (void)r;
    return 1;
}
static unsigned tiles(const ol_step *s, const ol_run *r) {
    return (unsigned)((ol_cpu_rows(r, ((const round_args *)s->args)->count) + TILE - 1) / TILE);
}

/* 0 belongs to the range; NaN does not. Several chains, which compilers turn into vectors. */
static void run_range(const ol_step *s, const ol_run *r, unsigned tile, void *scratch) {
    const round_args *a = s->args;
    int64_t n = ol_cpu_rows(r, a->count), i = 0;
    const float *x = ol_run_buffer(r, a->x);
    float lo[16] = {0}, hi[16] = {0}, least = 0, most = 0;
    (void)tile, (void)scratch;
    for (; i + 16 <= n; i += 16)
        for (int k = 0; k < 16; k++) lo[k] = x[i + k] < lo[k] ? x[i + k] : lo[k], hi[k] = x[i + k] > hi[k] ? x[i + k] : hi[k];
    for (int k = 0; i < n; i++, k++) lo[k] = x[i] < lo[k] ? x[i] : lo[k], hi[k] = x[i] > hi[k] ? x[i] : hi[k];
    for (int k = 0; k < 16; k++) least = fminf(least, lo[k]), most = fmaxf(most, hi[k]);
    float scale = (most - least) / 255;
    if (scale == 0) scale = 1;
    float zero = fminf(fmaxf(rintf(-least / scale), 0), 255);
    *(olk_codes_form *)ol_run_buffer(r, a->form) = (olk_codes_form){scale, (int32_t)zero, -zero, 255 - zero};
}

static void run_round(const ol_step *s, const ol_run *r, unsigned tile, void *scratch) {
    const round_args *a = s->args;
    const olk_codes_form *f = ol_run_buffer(r, a->form);
    int64_t all = ol_cpu_rows(r, a->count), i0 = (int64_t)tile * TILE, end = all - i0 < TILE ? all : i0 + TILE;
    const float *x = ol_run_buffer(r, a->x);
    float *y = ol_run_buffer(r, a->y);
    uint8_t strip[STRIP];
    (void)scratch;
    for (int64_t i = i0; i < end; i += STRIP) {
        int64_t n = end - i < STRIP ? end - i : STRIP;
        a->codes->quantize(f, x + i, n, strip);
        a->codes->dequantize(f, strip, n, y + i);
    }
}
static const ol_step_class range_class = {"range", one_tile, NULL, NULL, run_range};
static const ol_step_class round_class = {"round to range", tiles, NULL, NULL, run_round};

static bool check_user(void *ctx, ol_node *user, int input) {
    ol_cpu_dequantizers *u = ctx;
    const ol_node *q = u->quantize;
    u->good = user && u->n < 64 && user->graph == q->graph && !strcmp(user->op->name, "DequantizeLinear") && user->n_inputs > 2 && user->inputs[0] == q->outputs[0] &&
              user->inputs[1] == q->outputs[1] && user->inputs[2] == q->outputs[2] && user->outputs[0]->type.dtype == OL_F32;
    if (u->good && input == 0) u->nodes[u->n++] = user;
    return u->good;
}

static bool emit(ol_lowering *l, const ol_node *n, const ol_step_class *cls, const round_args *a, int reads, int writes) {
    ol_step *s = ol_lower_step(l, cls, n->name, sizeof *a);
    if (!s) return false;
    memcpy(s->args, a, sizeof *a);
    ol_step_reads(s, a->x);
    ol_step_reads(s, reads);
    ol_step_writes(s, writes);
    return true;
}

olv_status ol_lower_dynamic_quantize(ol_lowering *l, ol_node *n, olv_error *err) {
    round_args a = {.count = 1, .codes = olk_codes_select(l->opt.cpu)};
    ol_cpu_dequantizers u = {.quantize = n, .good = true};
    for (int i = 0; i < 3 && u.good; i++) ol_value_each_use(n->outputs[i], check_user, &u);
    if (!u.good || !u.n) return ol_fail(err, OLV_UNSUPPORTED, "codes, scale or zero point are used apart");
    const ol_type *t = &n->inputs[0]->type;
    for (int i = 0; i < t->rank; i++) a.count = ol_dim_mul(l->graph->dims, a.count, t->dims[i]);
    if ((a.x = ol_lower_input(l, n->inputs[0], err)) < 0) return err ? err->status : OLV_INTERNAL;
    a.form = ol_lower_temp(l, 1, sizeof(olk_codes_form));
    a.y = ol_cpu_take_dequantizers(l, &u);
    if (emit(l, n, &range_class, &a, -1, a.form)) emit(l, n, &round_class, &a, a.form, a.y);
    return OLV_OK; /* or latched */
}
