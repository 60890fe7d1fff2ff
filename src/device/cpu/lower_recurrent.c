/* SPDX-License-Identifier: Apache-2.0 */
/* Recurrent operators: a tile is one sequence's rows of the run times a block of channels, or some
 * values of a head. It reads its part of the sequence's state of before and writes the same part of
 * the one to come. */
#include "base/error.h"
#include "device/cpu/cpu.h"
#include "graph/op.h"
#include "kernels/recurrent/recurrent.h"
#include <string.h>

#define BLOCK 64       /* channels of a tile whose every channel costs much */
#define STRIP 32       /* values of a head in a tile; kernels take as many at once */
#define CONV_BLOCK 512 /* channels of a convolution's tile */

typedef struct recurrent_args {
    const olk_recurrent *kernel;
    size_t state;            /* floats from the start of the fixed states */
    int64_t parts, channels; /* tiles of a sequence; of each but the last */
    int in[6], out;
    int64_t width[6], out_width;
    int64_t heads, groups; /* of values; of what several of them share (groups, key heads) */
    union {
        olk_conv_form conv;
        olk_scan_form scan;
        olk_delta_form delta;
        olk_wkv_form wkv;
    } form; /* sizes and constants; places are filled in per run */
} recurrent_args;

static unsigned tiles(const ol_step *s, const ol_run *r) {
    const recurrent_args *a = s->args;
    return (unsigned)(r->n_spans * a->parts);
}

/* The work of a tile: rows of a span, and its channels or head. */
typedef struct part {
    int64_t row0, rows, first, n; /* n channels from the first */
    const float *from;
    float *to;
} part;

static bool find_part(const recurrent_args *a, const ol_run *r, unsigned tile, int64_t total,
                      part *p) {
    const ol_row_span *span = &r->spans[tile / (unsigned)a->parts];
    p->first = tile % (unsigned)a->parts * a->channels;
    p->n = p->first + a->channels < total ? a->channels : total - p->first;
    p->row0 = span->row0;
    p->rows = span->count;
    p->from = span->fixed + a->state;
    p->to = span->fixed_next + a->state;
    return p->rows > 0;
}

static const float *input(const recurrent_args *a, const ol_run *r, int i, int64_t row,
                          int64_t column) {
    return (const float *)ol_run_buffer(r, a->in[i]) + row * a->width[i] + column;
}
static float *output(const recurrent_args *a, const ol_run *r, int64_t row, int64_t column) {
    return (float *)ol_run_buffer(r, a->out) + row * a->out_width + column;
}

/* ---- running
 * ---------------------------------------------------------------------------------------- */

static void conv_run(const ol_step *s, const ol_run *r, unsigned tile, void *scratch) {
    const recurrent_args *a = s->args;
    olk_conv_form f = a->form.conv;
    part p;
    (void)scratch;
    if (!find_part(a, r, tile, a->out_width, &p)) return;
    f.n = p.n;
    f.w += p.first;
    if (f.b) f.b += p.first;
    a->kernel->conv(&f, input(a, r, 0, p.row0, p.first), a->width[0], output(a, r, p.row0, p.first),
                    a->out_width, p.rows, p.from + p.first, p.to + p.first);
}
static const ol_step_class conv_class = {"causal_conv", tiles, NULL, NULL, conv_run};

/* b and c of the group of head h. */
static void place_scan(const recurrent_args *a, const ol_run *r, const part *p, int64_t h,
                       olk_scan_form *f) {
    int64_t group = h / (a->heads / a->groups) * f->n;
    f->b = input(a, r, 3, p->row0, group);
    f->c = input(a, r, 4, p->row0, group);
    f->ldx = a->width[0];
    f->lddt = a->width[1];
    f->ldb = a->width[3];
    f->ldc = a->width[4];
    f->ldy = a->out_width;
}

/* A tile of a head: columns [c0, c0 + n) of its values. The states of a tile stand together, so
 * that they stay in the first cache level. */
typedef struct strip {
    int64_t head, c0, n;
} strip;

static strip find_strip(const part *p, int64_t values) {
    int64_t strips = (values + STRIP - 1) / STRIP, c0 = p->first % strips * STRIP;
    return (strip){p->first / strips, c0, c0 + STRIP < values ? STRIP : values - c0};
}

static int64_t strips_of(int64_t heads, int64_t values) {
    return heads * ((values + STRIP - 1) / STRIP);
}

static void scan_head_run(const ol_step *s, const ol_run *r, unsigned tile, void *scratch) {
    const recurrent_args *a = s->args;
    olk_scan_form f = a->form.scan;
    part p;
    (void)scratch;
    if (!find_part(a, r, tile, a->parts, &p)) return;
    strip c = find_strip(&p, f.p);
    int64_t column = c.head * f.p + c.c0;
    place_scan(a, r, &p, c.head, &f);
    f.p = f.lds = c.n;
    f.a += c.head;
    if (f.d) f.d += c.head;
    f.x = input(a, r, 0, p.row0, column);
    f.dt = input(a, r, 1, p.row0, c.head);
    f.y = output(a, r, p.row0, column);
    a->kernel->scan_head(&f, p.rows, p.from + column * f.n, p.to + column * f.n);
}
static const ol_step_class scan_head_class = {"scan_head", tiles, NULL, NULL, scan_head_run};

static void scan_channels_run(const ol_step *s, const ol_run *r, unsigned tile, void *scratch) {
    const recurrent_args *a = s->args;
    olk_scan_form f = a->form.scan;
    part p;
    (void)scratch;
    if (!find_part(a, r, tile, a->heads, &p)) return;
    place_scan(a, r, &p, 0, &f);
    f.p = f.lda = f.lds = p.n;
    f.a += p.first * f.n;
    if (f.d) f.d += p.first;
    f.x = input(a, r, 0, p.row0, p.first);
    f.dt = input(a, r, 1, p.row0, p.first);
    f.y = output(a, r, p.row0, p.first);
    a->kernel->scan_channels(&f, p.rows, p.from + p.first * f.n, p.to + p.first * f.n);
}
static const ol_step_class scan_channels_class = {"scan_channels", tiles, NULL, NULL,
                                                  scan_channels_run};

static void delta_run(const ol_step *s, const ol_run *r, unsigned tile, void *scratch) {
    const recurrent_args *a = s->args;
    olk_delta_form f = a->form.delta;
    part p;
    (void)scratch;
    if (!find_part(a, r, tile, a->parts, &p)) return;
    strip c = find_strip(&p, f.dv);
    int64_t key = c.head / (a->heads / a->groups) * f.dk, column = c.head * f.dv + c.c0;
    f.dv = f.lds = c.n;
    f.q = input(a, r, 0, p.row0, key);
    f.k = input(a, r, 1, p.row0, key);
    f.v = input(a, r, 2, p.row0, column);
    f.g = input(a, r, 3, p.row0, c.head);
    f.beta = input(a, r, 4, p.row0, c.head);
    f.y = output(a, r, p.row0, column);
    a->kernel->delta(&f, p.rows, p.from + column * f.dk, p.to + column * f.dk);
}
static const ol_step_class delta_class = {"delta_rule", tiles, NULL, NULL, delta_run};

static void wkv_run(const ol_step *s, const ol_run *r, unsigned tile, void *scratch) {
    const recurrent_args *a = s->args;
    olk_wkv_form f = a->form.wkv;
    part p;
    (void)scratch;
    if (!find_part(a, r, tile, a->out_width, &p)) return;
    f.n = p.n;
    f.k = input(a, r, 0, p.row0, p.first);
    f.v = input(a, r, 1, p.row0, p.first);
    f.w += p.first;
    f.u += p.first;
    f.y = output(a, r, p.row0, p.first);
    a->kernel->wkv(&f, p.rows, p.from + p.first, p.to + p.first);
}
static const ol_step_class wkv_class = {"wkv", tiles, NULL, NULL, wkv_run};

/* ---- lowering
 * --------------------------------------------------------------------------------------- */

/* The inputs among the first n that are rows; the rates of a scan are not. */
static bool is_rows(const ol_node *n, int i) {
    return i != 2 || strcmp(n->op->name, "SelectiveScan") != 0;
}

/* The parts common to all: the state of `elements` floats, buffers of the first n_in inputs, tiles
 * of `channels` of `total`. */
static olv_status fill(ol_lowering *l, ol_node *n, recurrent_args *a, int n_in, int64_t elements,
                       int64_t total, int64_t channels, olv_error *err) {
    int64_t state = ol_node_int(n, "state", -1);
    if (state < 0 || state >= l->graph->n_states || l->graph->states[state].kind != OL_STATE_FIXED)
        return ol_fail(err, OLV_FORMAT, "state %lld is no recurrent state", (long long)state);
    if (l->graph->states[state].elements != elements)
        return ol_fail(err, OLV_SHAPE, "state '%s' has %lld values, %lld needed",
                       l->graph->states[state].name, (long long)l->graph->states[state].elements,
                       (long long)elements);
    a->kernel = olk_recurrent_select(l->opt.cpu);
    a->state = l->opt.fixed_offset[state];
    a->channels = channels;
    a->parts = (total + channels - 1) / channels;
    a->out_width = ol_lower_width(n->outputs[0]);
    for (int i = 0; i < n_in; i++) {
        a->width[i] = ol_lower_width(n->inputs[i]);
        if (!is_rows(n, i)) continue;
        if ((a->in[i] = ol_lower_input(l, n->inputs[i], err)) < 0)
            return err ? err->status : OLV_INTERNAL;
    }
    a->out = ol_lower_output(l, n->outputs[0]);
    return OLV_OK;
}

static olv_status emit(ol_lowering *l, ol_node *n, const ol_step_class *cls,
                       const recurrent_args *a, int n_in) {
    ol_step *s = ol_lower_step(l, cls, n->name, sizeof *a);
    if (!s) return OLV_OK; /* latched */
    memcpy(s->args, a, sizeof *a);
    s->kernel = a->kernel->name;
    for (int i = 0; i < n_in; i++)
        if (is_rows(n, i)) ol_step_reads(s, a->in[i]);
    ol_step_writes(s, a->out);
    return OLV_OK;
}

/* Sizes that kernels multiply without looking. */
static bool all_known(const ol_node *n, int n_in) {
    for (int i = 0; i < n_in; i++)
        if (ol_lower_width(n->inputs[i]) < 1) return false;
    return true;
}

static int64_t count_of(const ol_value *v) {
    return v->constant ? ol_const_rows(v->constant) * ol_const_width(v->constant) : -1;
}

/* A constant vector of n values; *out NULL when the input is omitted. */
static olv_status vector(ol_lowering *l, const ol_node *n, int i, int64_t count, const float **out,
                         olv_error *err) {
    *out = NULL;
    if (i >= n->n_inputs || !n->inputs[i]) return OLV_OK;
    if (count_of(n->inputs[i]) != count)
        return ol_fail(err, OLV_UNSUPPORTED, "input %d must be a constant of %lld values", i,
                       (long long)count);
    *out = ol_lower_f32(l, n->inputs[i], err);
    return *out ? OLV_OK : (err ? err->status : OLV_NOMEM);
}

/* A constant [rows, width] as blocks of `block` rows, one behind the other, each [width, rows of
 * it]. */
static olv_status turned(ol_lowering *l, const ol_node *n, int i, int64_t rows, int64_t width,
                         int64_t block, const float **out, olv_error *err) {
    const float *w;
    OL_TRY(vector(l, n, i, rows * width, &w, err));
    float *t = ol_arena_calloc(l->arena, (size_t)(rows * width) + 1, sizeof *t);
    if (!t) return ol_fail(err, OLV_NOMEM, "no memory for the plan");
    for (int64_t r = 0; r < rows; r++) {
        int64_t first = r - r % block, n_rows = first + block < rows ? block : rows - first;
        float *to = t + first * width + r - first;
        for (int64_t c = 0; c < width; c++) to[c * n_rows] = w[r * width + c];
    }
    *out = t;
    return OLV_OK;
}

olv_status ol_lower_causal_conv(ol_lowering *l, ol_node *n, olv_error *err) {
    recurrent_args a = {0};
    olk_conv_form *f = &a.form.conv;
    if (!all_known(n, 2) || !n->inputs[1]->constant)
        return ol_fail(err, OLV_UNSUPPORTED, "weights that are no constant");
    int64_t width = ol_lower_width(n->inputs[0]);
    f->k = ol_const_width(n->inputs[1]->constant);
    if (f->k > OLK_CONV_MAX)
        return ol_fail(err, OLV_UNSUPPORTED, "a convolution of %lld rows, %d at most",
                       (long long)f->k, OLK_CONV_MAX);
    f->ldw = f->lds = width;
    f->silu = ol_str_is(ol_node_string(n, "activation", "none"), "silu");
    OL_TRY(turned(l, n, 1, width, f->k, width, &f->w, err));
    OL_TRY(vector(l, n, 2, width, &f->b, err));
    OL_TRY(fill(l, n, &a, 1, (f->k - 1) * width, width, CONV_BLOCK, err));
    return emit(l, n, &conv_class, &a, 1);
}

olv_status ol_lower_selective_scan(ol_lowering *l, ol_node *n, olv_error *err) {
    recurrent_args a = {.heads = ol_node_int(n, "heads", 0), .groups = ol_node_int(n, "groups", 1)};
    olk_scan_form *f = &a.form.scan;
    int64_t width = ol_lower_width(n->inputs[0]), shared = ol_lower_width(n->inputs[3]);
    if (!all_known(n, 5) || a.heads < 1 || a.groups < 1 || a.heads % a.groups || width % a.heads ||
        shared % a.groups || ol_lower_width(n->inputs[1]) != a.heads ||
        ol_lower_width(n->inputs[4]) != shared)
        return ol_fail(err, OLV_SHAPE, "%lld heads and %lld groups do not fit", (long long)a.heads,
                       (long long)a.groups);
    f->p = width / a.heads;
    f->n = shared / a.groups;
    bool each = n->inputs[2]->type.rank == 2;
    if (each && (f->p != 1 || a.groups != 1))
        return ol_fail(err, OLV_UNSUPPORTED, "rates for every state, but heads of %lld channels",
                       (long long)f->p);
    OL_TRY(vector(l, n, 5, a.heads, &f->d, err));
    if (each)
        OL_TRY(turned(l, n, 2, a.heads, f->n, BLOCK, &f->a, err));
    else
        OL_TRY(vector(l, n, 2, a.heads, &f->a, err));
    int64_t total = each ? a.heads : strips_of(a.heads, f->p);
    OL_TRY(fill(l, n, &a, 5, width * f->n, total, each ? BLOCK : 1, err));
    return emit(l, n, each ? &scan_channels_class : &scan_head_class, &a, 5);
}

olv_status ol_lower_delta_rule(ol_lowering *l, ol_node *n, olv_error *err) {
    recurrent_args a = {.heads = ol_node_int(n, "heads", 0)};
    olk_delta_form *f = &a.form.delta;
    a.groups = ol_node_int(n, "key_heads", a.heads);
    int64_t keys = ol_lower_width(n->inputs[0]), values = ol_lower_width(n->inputs[2]);
    if (!all_known(n, 5) || a.heads < 1 || a.groups < 1 || a.heads % a.groups || keys % a.groups ||
        values % a.heads || ol_lower_width(n->inputs[1]) != keys ||
        ol_lower_width(n->inputs[3]) != a.heads || ol_lower_width(n->inputs[4]) != a.heads)
        return ol_fail(err, OLV_SHAPE, "%lld heads and %lld key heads do not fit",
                       (long long)a.heads, (long long)a.groups);
    f->dk = keys / a.groups;
    f->dv = values / a.heads;
    f->scale = ol_node_float(n, "scale", 1);
    f->ldq = f->ldk = keys;
    f->ldv = f->ldy = values;
    f->ldg = f->ldbeta = a.heads;
    OL_TRY(fill(l, n, &a, 5, values * f->dk, strips_of(a.heads, f->dv), 1, err));
    return emit(l, n, &delta_class, &a, 5);
}

olv_status ol_lower_wkv(ol_lowering *l, ol_node *n, olv_error *err) {
    recurrent_args a = {0};
    olk_wkv_form *f = &a.form.wkv;
    int64_t width = ol_lower_width(n->inputs[0]);
    if (!all_known(n, 2) || ol_lower_width(n->inputs[1]) != width)
        return ol_fail(err, OLV_SHAPE, "k and v do not fit");
    OL_TRY(vector(l, n, 2, width, &f->w, err));
    OL_TRY(vector(l, n, 3, width, &f->u, err));
    f->ldx = f->ldy = f->lds = width;
    OL_TRY(fill(l, n, &a, 2, 3 * width, width, BLOCK, err));
    return emit(l, n, &wkv_class, &a, 2);
}
