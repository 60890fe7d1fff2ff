/* SPDX-License-Identifier: Apache-2.0 */
/* Attention without state: each row sees rows of its own sequence in this run, where they lie. One tile per (block of
 * rows of a sequence, kv head). The prefill order of reduction serves every run, so a row has the same bits in both
 * entries. */
#include "base/error.h"
#include "device/cpu/rows.h"
#include "graph/op.h"
#include "kernels/attention/attention.h"

#define TILE_ROWS 32

typedef struct row_attention_args {
    olk_attention_args form; /* sizes and constants; places are filled in per run */
    const olk_attention *kernel;
    int q, k, v, out;
} row_attention_args;

static int64_t span_tiles(const ol_row_span *p) { return (p->count + TILE_ROWS - 1) / TILE_ROWS; }

static unsigned tiles(const ol_step *s, const ol_run *r) {
    const row_attention_args *a = s->args;
    int64_t n = 0;
    for (int i = 0; i < r->n_spans; i++) n += span_tiles(&r->spans[i]);
    return (unsigned)(n * a->form.kv_heads);
}

static size_t scratch_bytes(const ol_step *s, const ol_run *r) {
    const row_attention_args *a = s->args;
    (void)r;
    return a->kernel->scratch_bytes(&a->form, TILE_ROWS);
}

static void run(const ol_step *s, const ol_run *r, unsigned tile, void *scratch) {
    const row_attention_args *a = s->args;
    int64_t t = tile / (unsigned)a->form.kv_heads;
    int kvh = (int)(tile % (unsigned)a->form.kv_heads), i = 0;
    while (t >= span_tiles(&r->spans[i])) t -= span_tiles(&r->spans[i++]);
    const ol_row_span *p = &r->spans[i];
    int64_t begin = t * TILE_ROWS, end = begin + TILE_ROWS < p->count ? begin + TILE_ROWS : p->count;
    olk_attention_args f = a->form;
    f.q = (const float *)ol_run_buffer(r, a->q) + (p->row0 + begin) * f.ldq;
    f.out = (float *)ol_run_buffer(r, a->out) + (p->row0 + begin) * f.ldo;
    f.k_rows = (const float *)ol_run_buffer(r, a->k) + p->row0 * f.ldk;
    f.v_rows = (const float *)ol_run_buffer(r, a->v) + p->row0 * f.ldv;
    f.position = r->position + p->row0 + begin;
    f.length = p->count;
    a->kernel->run(&f, kvh, 0, end - begin, scratch);
}
static const ol_step_class row_attention_class = {"row_attention", tiles, scratch_bytes, NULL, run};

static olv_status fill_form(ol_lowering *l, const ol_node *n, olk_attention_args *f, olv_error *err) {
    f->heads = (int)ol_node_int(n, "heads", 0);
    f->kv_heads = (int)ol_node_int(n, "kv_heads", f->heads);
    f->ldq = ol_lower_width(n->inputs[0]);
    f->ldk = ol_lower_width(n->inputs[1]);
    f->ldv = ol_lower_width(n->inputs[2]);
    if (f->heads < 1 || f->kv_heads < 1 || f->heads % f->kv_heads || f->ldq < 1 || f->ldq % f->heads ||
        f->ldv % f->kv_heads || f->ldk != f->ldq / f->heads * f->kv_heads)
        return ol_fail(err, OLV_SHAPE, "%d heads and %d kv heads do not fit q, k, v of %lld, %lld, %lld", f->heads,
                       f->kv_heads, (long long)f->ldq, (long long)f->ldk, (long long)f->ldv);
    f->head_dim = (int)(f->ldq / f->heads);
    f->v_dim = (int)(f->ldv / f->kv_heads);
    f->ldo = (int64_t)f->heads * f->v_dim;
    f->scale = ol_node_float(n, "scale", 0);
    f->softcap = ol_node_float(n, "softcap", 0);
    f->window = ol_node_int(n, "window", 0);
    f->kv_dtype = OL_F32;
    f->bidirectional = ol_node_int(n, "causal", 1) == 0;
    if (n->n_inputs > 3 && n->inputs[3] && !(f->sinks = ol_lower_f32(l, n->inputs[3], err))) return OLV_NOMEM;
    if (n->n_inputs > 4 && n->inputs[4] && !(f->alibi = ol_lower_f32(l, n->inputs[4], err))) return OLV_NOMEM;
    if (n->n_inputs > 5 && n->inputs[5]) {
        if (!(f->relative = ol_lower_f32(l, n->inputs[5], err))) return OLV_NOMEM;
        f->relative_span = ol_lower_width(n->inputs[5]) / 2;
    }
    return OLV_OK;
}

olv_status ol_cpu_lower_row_attention(ol_lowering *l, ol_node *n, olv_error *err) {
    row_attention_args *a = ol_arena_calloc(l->arena, 1, sizeof *a);
    if (!a) return ol_fail(err, OLV_NOMEM, "no memory for the plan");
    OL_TRY(fill_form(l, n, &a->form, err));
    a->kernel = olk_attention_select(&a->form, l->opt.cpu);
    if (!a->kernel) return ol_fail(err, OLV_UNSUPPORTED, "no attention kernel for these heads");
    int *const places[] = {&a->q, &a->k, &a->v};
    for (int i = 0; i < 3; i++)
        if ((*places[i] = ol_lower_input(l, n->inputs[i], err)) < 0) return err ? err->status : OLV_INTERNAL;
    a->out = ol_lower_output(l, n->outputs[0]);
    ol_step *s = ol_lower_step(l, &row_attention_class, n->name, 0);
    if (!s) return OLV_OK; /* latched */
    s->args = a;
    s->kernel = a->kernel->name;
    ol_step_reads(s, a->q);
    ol_step_reads(s, a->k);
    ol_step_reads(s, a->v);
    ol_step_writes(s, a->out);
    return OLV_OK;
}
