/* SPDX-License-Identifier: Apache-2.0 */
/* Pools of codes, channels last: a window place is a row of channels, and rows are compared or summed as a whole. */
#include "base/error.h"
#include "device/cpu/codes.h"
#include "device/cpu/cpu.h"
#include "device/cpu/int8_weights.h"
#include "ops/window.h"
#include <string.h>

#define TILE_OUTPUTS 64

typedef struct pool_args {
    const ol_node *node;
    int x, y;
    ol_dim batch, in[2];
    int64_t channels, kernel[2];
    bool global, max, count_pads;
    olk_codes_form from, to;
    const olk_codes *codes;
} pool_args;

static bool find_sizes(const pool_args *a, const ol_run *r, ol_window *w) {
    int64_t in[2] = {ol_cpu_rows(r, a->in[0]), ol_cpu_rows(r, a->in[1])};
    if (!a->global) return ol_window_init(w, a->node, 2, in, a->kernel, NULL) == OLV_OK;
    memset(w, 0, sizeof *w);
    for (int i = 0; i < 2; i++) w->in[i] = w->kernel[i] = in[i], w->out[i] = w->stride[i] = w->dilation[i] = 1;
    return true;
}

static unsigned tiles(const ol_step *s, const ol_run *r) {
    const pool_args *a = s->args;
    ol_window w;
    if (!find_sizes(a, r, &w)) return 0;
    return (unsigned)(ol_cpu_rows(r, a->batch) * ((w.out[0] * w.out[1] + TILE_OUTPUTS - 1) / TILE_OUTPUTS));
}

static size_t scratch_bytes(const ol_step *s, const ol_run *r) {
    (void)r;
    return (size_t)((const pool_args *)s->args)->channels * sizeof(int32_t);
}

/* What a sum is divided by along an axis: the places inside the image, or inside its pads. */
static int64_t divisor(const ol_window *w, int axis, int64_t o, bool pads) {
    int64_t start = o * w->stride[axis] - w->begin[axis], first = pads ? -w->begin[axis] : 0, end = w->in[axis] + (pads ? w->end[axis] : 0), n = 0;
    for (int64_t k = 0; k < w->kernel[axis]; k++) {
        int64_t at = start + k * w->dilation[axis];
        n += at >= first && at < end;
    }
    return n;
}

static void pool(const pool_args *a, const ol_window *w, const uint8_t *x, int64_t o, uint8_t *y, int32_t *sum) {
    int64_t oy = o / w->out[1], ox = o % w->out[1], n = 0;
    if (a->max) memset(y, 0, (size_t)a->channels);
    else memset(sum, 0, (size_t)a->channels * sizeof *sum);
    for (int64_t i = 0; i < w->kernel[0]; i++)
        for (int64_t j = 0; j < w->kernel[1]; j++) {
            int64_t iy = oy * w->stride[0] - w->begin[0] + i * w->dilation[0], ix = ox * w->stride[1] - w->begin[1] + j * w->dilation[1];
            if (iy < 0 || iy >= w->in[0] || ix < 0 || ix >= w->in[1]) continue;
            const uint8_t *at = x + (iy * w->in[1] + ix) * a->channels;
            if (a->max) a->codes->greater(at, a->channels, y);
            else a->codes->accumulate(at, a->channels, sum);
            n++;
        }
    if (a->max) return;
    int64_t by = divisor(w, 0, oy, a->count_pads) * divisor(w, 1, ox, a->count_pads);
    olk_codes_form f = a->to;
    f.scale = a->from.scale / (a->to.scale * (float)(by ? by : 1));
    a->codes->finish(&f, sum, (int32_t)n * a->from.zero, a->channels, y);
}

static void run(const ol_step *s, const ol_run *r, unsigned tile, void *scratch) {
    const pool_args *a = s->args;
    ol_window w;
    if (!find_sizes(a, r, &w)) return;
    int64_t outs = w.out[0] * w.out[1], per = (outs + TILE_OUTPUTS - 1) / TILE_OUTPUTS, image = tile / per, o = tile % per * TILE_OUTPUTS;
    int64_t end = o + TILE_OUTPUTS < outs ? o + TILE_OUTPUTS : outs;
    const uint8_t *x = (const uint8_t *)ol_run_buffer(r, a->x) + image * w.in[0] * w.in[1] * a->channels;
    for (; o < end; o++) pool(a, &w, x, o, (uint8_t *)ol_run_buffer(r, a->y) + (image * outs + o) * a->channels, scratch);
}
static const ol_step_class pool_class = {"pool codes", tiles, scratch_bytes, NULL, run};

/* A maximum needs no numbers: its result has the codes of its input, when they are those that the QuantizeLinear makes. */
static bool same_form(const olk_codes_form *a, const olk_codes_form *b) {
    return a->scale == b->scale && a->zero == b->zero && b->lo == (float)-b->zero && b->hi == (float)(255 - b->zero);
}

olv_status ol_cpu_lower_codes_pool(ol_lowering *l, ol_node *n, olv_error *err) {
    const ol_value *x = n->inputs[0];
    const ol_codes *c = ol_cpu_codes_of(l, x);
    pool_args a = {.node = n, .codes = olk_codes_select(l->opt.cpu)};
    size_t count = 0;
    if (!c || c->buffer < 0 || x->type.rank != 4 || !ol_dim_known(x->type.dims[1])) return ol_fail(err, OLV_UNSUPPORTED, "no codes of images");
    for (int i = 1; i < n->n_outputs; i++)
        if (n->outputs[i]) return ol_fail(err, OLV_UNSUPPORTED, "places of the maxima as an output");
    ol_int8_result result = ol_int8_result_of(l, n->outputs[0]);
    a.global = !strncmp(n->op->name, "Global", 6);
    a.max = strstr(n->op->name, "Max") != NULL;
    a.count_pads = ol_node_int(n, "count_include_pad", 0) != 0;
    a.from = c->form, a.to = result.form;
    if (!result.codes || (a.max && !same_form(&a.from, &a.to))) return ol_fail(err, OLV_UNSUPPORTED, "no codes as the result");
    const int64_t *k = ol_node_ints(n, "kernel_shape", &count);
    if (!a.global && count != 2) return ol_fail(err, OLV_UNSUPPORTED, "no kernel_shape");
    for (int i = 0; i < 2; i++) {
        a.in[i] = x->type.dims[2 + i];
        if (!a.global) a.kernel[i] = k[i];
    }
    a.batch = x->type.dims[0];
    a.channels = x->type.dims[1];
    a.x = ol_cpu_codes_buffer(l, x, true);
    a.y = a.x >= 0 ? ol_int8_take_result(l, &result, true) : -1;
    ol_step *s = a.y >= 0 ? ol_lower_step(l, &pool_class, n->name, sizeof a) : NULL;
    if (!s) return ol_fail(err, OLV_NOMEM, "no memory for the plan");
    memcpy(s->args, &a, sizeof a);
    s->kernel = a.codes->name;
    ol_step_reads(s, a.x);
    ol_step_writes(s, a.y);
    return OLV_OK;
}
