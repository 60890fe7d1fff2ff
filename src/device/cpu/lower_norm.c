/* SPDX-License-Identifier: Apache-2.0 */
/* Normalizations over the last axis. One that feeds Linear nodes alone is left to their steps. */
#include "base/error.h"
#include "device/cpu/cpu.h"
#include "device/cpu/rows.h"
#include "graph/op.h"
#include <string.h>

#define TILE_ROWS 8

/* Weight or bias of a normalization over n elements, which must be a constant; *out stays NULL when there is none. */
static olv_status scale_of(ol_lowering *l, ol_node *n, int input, int64_t width, const float **out, olv_error *err) {
    if (input >= n->n_inputs || !n->inputs[input]) return OLV_OK;
    const ol_value *v = n->inputs[input];
    if (v->constant && ol_const_rows(v->constant) * ol_const_width(v->constant) != width)
        return ol_fail(err, OLV_UNSUPPORTED, "'%s' has not one element for each of the %lld", v->name, (long long)width);
    *out = ol_lower_f32(l, n->inputs[input], err);
    return *out ? OLV_OK : err ? err->status : OLV_UNSUPPORTED;
}

olv_status ol_cpu_norm_of(ol_lowering *l, ol_node *n, ol_cpu_norm *out, olv_error *err) {
    const ol_value *x = n->inputs[0];
    int64_t axis = ol_node_int(n, "axis", -1);
    if (axis != -1 && axis != x->type.rank - 1)
        return ol_fail(err, OLV_UNSUPPORTED, "normalization over axis %lld, only the last is planned", (long long)axis);
    memset(out, 0, sizeof *out);
    out->layer = !strcmp(n->op->name, "LayerNormalization");
    out->form.n = ol_lower_width(x);
    out->form.epsilon = ol_node_float(n, "epsilon", 1e-5f);
    if (out->form.n < 1) return ol_fail(err, OLV_SHAPE, "the last dimension is not known");
    for (int i = 1; i < n->n_outputs; i++)
        if (n->outputs[i]) return ol_fail(err, OLV_UNSUPPORTED, "mean and deviation as outputs");
    OL_TRY(scale_of(l, n, 1, out->form.n, &out->form.w, err));
    OL_TRY(scale_of(l, n, 2, out->form.n, &out->form.b, err));
    out->kernel = olk_norm_select(l->opt.cpu);
    return OLV_OK;
}

void ol_cpu_norm_rows(const ol_cpu_norm *norm, const float *x, int64_t ldx, float *y, int64_t ldy, int64_t rows) {
    if (norm->layer) norm->kernel->layer(&norm->form, x, ldx, y, ldy, rows);
    else norm->kernel->rms(&norm->form, x, ldx, y, ldy, rows);
}

typedef struct norm_args {
    ol_cpu_norm norm;
    int x, y;
    ol_dim rows;
} norm_args;

static unsigned tiles(const ol_step *s, const ol_run *r) {
    const norm_args *a = s->args;
    return (unsigned)((ol_cpu_rows(r, a->rows) + TILE_ROWS - 1) / TILE_ROWS);
}

static void run(const ol_step *s, const ol_run *r, unsigned tile, void *scratch) {
    const norm_args *a = s->args;
    (void)scratch;
    int64_t n = a->norm.form.n, rows = ol_cpu_rows(r, a->rows), r0 = (int64_t)tile * TILE_ROWS;
    int64_t count = r0 + TILE_ROWS < rows ? TILE_ROWS : rows - r0;
    ol_cpu_norm_rows(&a->norm, (const float *)ol_run_buffer(r, a->x) + r0 * n, n,
                     (float *)ol_run_buffer(r, a->y) + r0 * n, n, count);
}
static const ol_step_class norm_class = {"norm", tiles, NULL, NULL, run};

olv_status ol_lower_norm(ol_lowering *l, ol_node *n, olv_error *err) {
    norm_args a = {.rows = ol_lower_rows(l, n->inputs[0])};
    OL_TRY(ol_cpu_norm_of(l, n, &a.norm, err));
    if (ol_cpu_feeds_linear_only(n->outputs[0])) return OLV_OK;
    if ((a.x = ol_lower_input(l, n->inputs[0], err)) < 0) return err ? err->status : OLV_INTERNAL;
    a.y = ol_lower_output(l, n->outputs[0]);
    ol_step *s = ol_lower_step(l, &norm_class, n->name, sizeof a);
    if (!s) return OLV_OK; /* latched */
    memcpy(s->args, &a, sizeof a);
    s->kernel = a.norm.kernel->name;
    ol_step_reads(s, a.x);
    ol_step_writes(s, a.y);
    return OLV_OK;
}

/* ---- per-head norms ---------------------------------------------------------------------------------- */

olv_status ol_cpu_head_norm_of(ol_lowering *l, ol_node *n, ol_cpu_head_norm *out, olv_error *err) {
    memset(out, 0, sizeof *out);
    out->heads = (int)ol_node_int(n, "heads", 1);
    int64_t width = ol_lower_width(n->inputs[0]);
    if (out->heads < 1 || width < 1 || width % out->heads)
        return ol_fail(err, OLV_SHAPE, "%d heads in rows of %lld", out->heads, (long long)width);
    olk_norm_form *f = &out->norm.form;
    f->n = width / out->heads;
    f->epsilon = ol_node_float(n, "epsilon", 1e-6f);
    f->w_offset = ol_node_float(n, "offset", 0);
    out->norm.layer = ol_str_is(ol_node_string(n, "kind", "rms"), "layer");
    out->norm.kernel = olk_norm_select(l->opt.cpu);
    if (n->n_inputs > 1 && n->inputs[1]) {
        int64_t nw = ol_const_rows(n->inputs[1]->constant) * ol_const_width(n->inputs[1]->constant);
        if (nw != f->n && nw != width) return ol_fail(err, OLV_SHAPE, "%lld weights for heads of %lld", (long long)nw, (long long)f->n);
        if (!(f->w = ol_lower_f32(l, n->inputs[1], err))) return OLV_NOMEM;
        f->ldw = nw == f->n ? 0 : f->n;
    }
    if (n->n_inputs > 2 && n->inputs[2] && !(f->b = ol_lower_f32(l, n->inputs[2], err))) return OLV_NOMEM;
    return OLV_OK;
}

void ol_cpu_head_norm_row(const ol_cpu_head_norm *h, float *x) {
    ol_cpu_norm_rows(&h->norm, x, h->norm.form.n, x, h->norm.form.n, h->heads);
}

typedef struct head_args {
    ol_cpu_head_norm norm;
    const olk_rope *rope;
    int x, y, table;
    int heads;
    int64_t width, rotary_dim;
    bool interleaved;
    ol_dim rows;
} head_args;

static unsigned head_tiles(const ol_step *s, const ol_run *r) {
    const head_args *a = s->args;
    return (unsigned)((ol_cpu_rows(r, a->rows) + TILE_ROWS - 1) / TILE_ROWS);
}

static void head_run(const ol_step *s, const ol_run *r, unsigned tile, void *scratch) {
    const head_args *a = s->args;
    (void)scratch;
    int64_t rows = ol_cpu_rows(r, a->rows), r0 = (int64_t)tile * TILE_ROWS, r1 = r0 + TILE_ROWS < rows ? r0 + TILE_ROWS : rows;
    for (int64_t row = r0; row < r1; row++) {
        const float *x = (const float *)ol_run_buffer(r, a->x) + row * a->width;
        float *y = (float *)ol_run_buffer(r, a->y) + row * a->width;
        if (x != y) memcpy(y, x, (size_t)a->width * sizeof *y);
        if (!a->rope) {
            ol_cpu_head_norm_row(&a->norm, y);
            continue;
        }
        const float *t = (const float *)ol_run_buffer(r, a->table) + row * a->rotary_dim;
        a->rope->apply(y, 0, 1, a->heads, a->width / a->heads, t, t + a->rotary_dim / 2, 0, a->rotary_dim, a->interleaved);
    }
}
static const ol_step_class head_norm_class = {"head_norm", head_tiles, NULL, NULL, head_run};
static const ol_step_class rotary_class = {"rotary", head_tiles, NULL, NULL, head_run};

static olv_status emit_heads(ol_lowering *l, ol_node *n, const ol_step_class *cls, head_args *a, olv_error *err) {
    a->rows = ol_lower_rows(l, n->inputs[0]);
    a->width = ol_lower_width(n->inputs[0]);
    if ((a->x = ol_lower_input(l, n->inputs[0], err)) < 0) return err ? err->status : OLV_INTERNAL;
    a->y = ol_lower_output(l, n->outputs[0]);
    ol_step *s = ol_lower_step(l, cls, n->name, sizeof *a);
    if (!s) return OLV_OK; /* latched */
    memcpy(s->args, a, sizeof *a);
    ol_step_reads(s, a->x);
    ol_step_reads(s, a->table);
    ol_step_writes(s, a->y);
    return OLV_OK;
}

olv_status ol_cpu_lower_lone_head_norm(ol_lowering *l, ol_node *n, olv_error *err) {
    head_args a = {.table = -1};
    OL_TRY(ol_cpu_head_norm_of(l, n, &a.norm, err));
    return emit_heads(l, n, &head_norm_class, &a, err);
}

olv_status ol_cpu_lower_lone_rotary(ol_lowering *l, ol_node *n, olv_error *err) {
    head_args a = {.rope = olk_rope_select(l->opt.cpu), .heads = (int)ol_node_int(n, "heads", 1)};
    a.interleaved = ol_node_int(n, "interleaved", 0) != 0;
    a.rotary_dim = ol_lower_width(n->inputs[1]);
    if ((a.table = ol_lower_input(l, n->inputs[1], err)) < 0) return err ? err->status : OLV_INTERNAL;
    return emit_heads(l, n, &rotary_class, &a, err);
}
