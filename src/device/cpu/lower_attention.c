/* SPDX-License-Identifier: Apache-2.0 */
/* Attention over a state, as three steps (without a state: lower_row_attention.c). `attention_in`: per row, per-head norms
 * and rotation of q (in place) and k, then k and v into the KV cache. `attention`: in a decode run one tile per (row, kv
 * head, chunk of the past); in a prefill run one per (block of rows, kv head). `attention_merge`: joins the chunks of long
 * pasts. HeadNorm and Rotary nodes on the way to an Attention are covered by the first step. */
#include "base/checked.h"
#include "base/error.h"
#include "device/cpu/cpu.h"
#include "device/cpu/rows.h"
#include "graph/op.h"
#include "kernels/attention/attention.h"
#include <string.h>

#define PREFILL_TILE 32  /* query rows */
#define CHUNK_BLOCKS 8   /* blocks of 64 positions in a decode tile of a long past */
#define IN_ROWS 8        /* rows of an attention_in tile in a prefill run */

typedef struct head_prep {
    bool norm, rotate;
    ol_cpu_head_norm head_norm;
    int table; /* buffer */
    int64_t rotary_dim;
    bool interleaved;
    int source;    /* buffer of the Linear's output */
    int64_t width; /* of its rows */
} head_prep;

typedef struct attention_args {
    olk_attention_args form; /* sizes and constants; places are filled in per run */
    const olk_attention *kernel;
    head_prep q, k;
    int v, out, parts;
    int64_t v_width;
    bool decode;
    const olk_rope *rope;
} attention_args;

/* ---- attention_in ------------------------------------------------------------------------------------ */

static unsigned in_tiles(const ol_step *s, const ol_run *r) {
    const attention_args *a = s->args;
    int64_t per = a->decode ? 1 : IN_ROWS;
    return (unsigned)((r->rows + per - 1) / per);
}
static size_t in_scratch(const ol_step *s, const ol_run *r) {
    const attention_args *a = s->args;
    (void)r;
    return (size_t)a->k.width * sizeof(float);
}

static void prepare_heads(const head_prep *h, const ol_run *r, int heads, int head_dim, int64_t row, float *x,
                          const olk_rope *rope) {
    if (h->norm) ol_cpu_head_norm_row(&h->head_norm, x);
    if (!h->rotate) return;
    const float *table = (const float *)ol_run_buffer(r, h->table) + row * h->rotary_dim;
    rope->apply(x, 0, 1, heads, head_dim, table, table + h->rotary_dim / 2, 0, h->rotary_dim, h->interleaved);
}

static void in_run(const ol_step *s, const ol_run *r, unsigned tile, void *scratch) {
    const attention_args *a = s->args;
    int64_t per = a->decode ? 1 : IN_ROWS, r0 = (int64_t)tile * per, r1 = r0 + per < r->rows ? r0 + per : r->rows;
    float *q = ol_run_buffer(r, a->q.source), *k = scratch;
    const float *ks = ol_run_buffer(r, a->k.source), *v = ol_run_buffer(r, a->v);
    olk_attention_args form = a->form;
    for (int64_t row = r0; row < r1; row++) {
        prepare_heads(&a->q, r, form.heads, form.head_dim, row, q + row * a->q.width, a->rope);
        memcpy(k, ks + row * a->k.width, (size_t)a->k.width * sizeof *k);
        prepare_heads(&a->k, r, form.kv_heads, form.head_dim, row, k, a->rope);
        form.blocks = r->spans[r->span_of[row]].blocks;
        olk_kv_store(&form, r->position[row], k, v + row * a->v_width);
    }
}
static const ol_step_class in_class = {"attention_in", in_tiles, in_scratch, NULL, in_run};

/* ---- attention --------------------------------------------------------------------------------------- */

/* First block that row at `position` looks at, and the end. */
static void block_range(const olk_attention_args *f, int64_t position, int64_t *b0, int64_t *b1) {
    int64_t lo = f->window > 0 && position - f->window + 1 > 0 ? position - f->window + 1 : 0;
    *b0 = lo / OLK_KV_BLOCK;
    *b1 = position / OLK_KV_BLOCK + 1;
}
/* Chunks are cut at absolute multiples of CHUNK_BLOCKS, so they depend on the row's position alone. */
static int64_t row_chunks(const olk_attention_args *f, int64_t position) {
    int64_t b0, b1;
    block_range(f, position, &b0, &b1);
    return (b1 + CHUNK_BLOCKS - 1) / CHUNK_BLOCKS - b0 / CHUNK_BLOCKS;
}
static int64_t most_chunks(const attention_args *a, const ol_run *r) {
    int64_t most = 1;
    for (int64_t i = 0; i < r->rows; i++) {
        int64_t n = row_chunks(&a->form, r->position[i]);
        if (n > most) most = n;
    }
    return most;
}

static unsigned decode_tiles(const ol_step *s, const ol_run *r) {
    const attention_args *a = s->args;
    return (unsigned)(r->rows * a->form.kv_heads * most_chunks(a, r));
}

/* Prefill tiles: blocks of rows of one sequence at absolute positions, per kv head. */
static int64_t span_tiles(const ol_row_span *p) {
    int64_t first = p->position0 / PREFILL_TILE, last = (p->position0 + p->count - 1) / PREFILL_TILE;
    return p->count > 0 ? last - first + 1 : 0;
}
static unsigned prefill_tiles(const ol_step *s, const ol_run *r) {
    const attention_args *a = s->args;
    int64_t n = 0;
    for (int i = 0; i < r->n_spans; i++) n += span_tiles(&r->spans[i]);
    return (unsigned)(n * a->form.kv_heads);
}

static unsigned attention_tiles(const ol_step *s, const ol_run *r) {
    return ((const attention_args *)s->args)->decode ? decode_tiles(s, r) : prefill_tiles(s, r);
}
static size_t attention_scratch(const ol_step *s, const ol_run *r) {
    const attention_args *a = s->args;
    (void)r;
    return a->kernel->scratch_bytes(&a->form, a->decode ? 1 : PREFILL_TILE);
}

/* Places of this run, seen from row `row0` of a sequence's span. */
static olk_attention_args place(const attention_args *a, const ol_run *r, const ol_row_span *span, int64_t row0) {
    olk_attention_args f = a->form;
    f.q = (const float *)ol_run_buffer(r, a->q.source) + row0 * a->q.width;
    f.ldq = a->q.width;
    f.ldo = (int64_t)f.heads * f.v_dim;
    f.out = (float *)ol_run_buffer(r, a->out) + row0 * f.ldo;
    f.position = r->position + row0;
    f.blocks = span->blocks;
    return f;
}

static float *part_of(const attention_args *a, const ol_run *r, int64_t row, int64_t kvh, int64_t chunks) {
    size_t floats = a->kernel->part_floats(&a->form);
    return (float *)ol_run_buffer(r, a->parts) + (size_t)((row * a->form.kv_heads + kvh) * chunks) * floats;
}

static void decode_run(const attention_args *a, const ol_run *r, unsigned tile, void *scratch) {
    int64_t chunks = most_chunks(a, r);
    int64_t chunk = tile % chunks, kvh = tile / chunks % a->form.kv_heads, row = tile / chunks / a->form.kv_heads;
    olk_attention_args f = place(a, r, &r->spans[r->span_of[row]], row);
    int64_t n = row_chunks(&a->form, r->position[row]), b0, b1;
    if (chunk >= n) return;
    if (n == 1) {
        a->kernel->run(&f, (int)kvh, 0, 1, scratch);
        return;
    }
    block_range(&a->form, r->position[row], &b0, &b1);
    int64_t c0 = (b0 / CHUNK_BLOCKS + chunk) * CHUNK_BLOCKS, c1 = c0 + CHUNK_BLOCKS;
    if (c0 < b0) c0 = b0;
    if (c1 > b1) c1 = b1;
    size_t floats = a->kernel->part_floats(&a->form);
    a->kernel->run_part(&f, (int)kvh, 0, c0, c1, part_of(a, r, row, kvh, chunks) + (size_t)chunk * floats, scratch);
}

static void prefill_run(const attention_args *a, const ol_run *r, unsigned tile, void *scratch) {
    int64_t t = tile / (unsigned)a->form.kv_heads;
    int kvh = (int)(tile % (unsigned)a->form.kv_heads), i = 0;
    while (t >= span_tiles(&r->spans[i])) t -= span_tiles(&r->spans[i++]);
    const ol_row_span *p = &r->spans[i];
    int64_t begin = (p->position0 / PREFILL_TILE + t) * PREFILL_TILE - p->position0, end = begin + PREFILL_TILE;
    if (begin < 0) begin = 0;
    if (end > p->count) end = p->count;
    olk_attention_args f = place(a, r, p, p->row0 + begin);
    a->kernel->run(&f, kvh, 0, end - begin, scratch);
}

static void attention_run(const ol_step *s, const ol_run *r, unsigned tile, void *scratch) {
    const attention_args *a = s->args;
    if (a->decode) decode_run(a, r, tile, scratch);
    else prefill_run(a, r, tile, scratch);
}
static const ol_step_class attention_class = {"attention", attention_tiles, attention_scratch, NULL, attention_run};

/* Room for the partial results of any run of these rows up to max_position. */
static size_t parts_bytes(const void *ctx, const ol_run *r) {
    const attention_args *a = ctx;
    int64_t n = (r->max_position / OLK_KV_BLOCK + CHUNK_BLOCKS) / CHUNK_BLOCKS;
    int64_t in_window = a->form.window / (OLK_KV_BLOCK * CHUNK_BLOCKS) + 2;
    if (a->form.window > 0 && n > in_window) n = in_window;
    return n < 2 ? 0 : (size_t)(r->rows * a->form.kv_heads * n) * a->kernel->part_floats(&a->form) * sizeof(float);
}

static unsigned merge_tiles(const ol_step *s, const ol_run *r) {
    const attention_args *a = s->args;
    return most_chunks(a, r) < 2 ? 0 : (unsigned)(r->rows * a->form.kv_heads);
}
static void merge_run(const ol_step *s, const ol_run *r, unsigned tile, void *scratch) {
    const attention_args *a = s->args;
    (void)scratch;
    int64_t t = tile, kvh = t % a->form.kv_heads, row = t / a->form.kv_heads;
    int64_t n = row_chunks(&a->form, r->position[row]);
    if (n < 2) return;
    olk_attention_args f = place(a, r, &r->spans[r->span_of[row]], row);
    a->kernel->merge(&f, (int)kvh, 0, part_of(a, r, row, kvh, most_chunks(a, r)), n);
}
static const ol_step_class merge_class = {"attention_merge", merge_tiles, NULL, NULL, merge_run};

/* ---- lowering ---------------------------------------------------------------------------------------- */

/* True when the one reader of v (through Rotary, or HeadNorm and then Rotary) is an Attention's q or k: the order in which
 * attention_in does both. */
static bool leads_to_attention(const ol_value *v) {
    for (;;) {
        const ol_node *user = ol_value_only_user(v);
        if (!user) return false;
        if (!strcmp(user->op->name, "Attention"))
            return ol_node_attr(user, "state") && (user->inputs[0] == v || user->inputs[1] == v);
        if (strcmp(user->op->name, "Rotary") || user->inputs[0] != v) return false; /* so v is a HeadNorm's */
        v = user->outputs[0];
    }
}

olv_status ol_lower_head_norm(ol_lowering *l, ol_node *n, olv_error *err) {
    if (leads_to_attention(n->outputs[0])) return OLV_OK; /* attention_in does it */
    return ol_cpu_lower_lone_head_norm(l, n, err);
}

olv_status ol_lower_rotary(ol_lowering *l, ol_node *n, olv_error *err) {
    if (leads_to_attention(n->outputs[0])) return OLV_OK;
    return ol_cpu_lower_lone_rotary(l, n, err);
}

/* Walks back from v over a Rotary and a HeadNorm that were left for attention_in. */
static olv_status find_prep(ol_lowering *l, ol_value *v, head_prep *h, olv_error *err) {
    h->table = -1;
    while (l->buffer_of[v->id] < 0 && v->producer && l->done[v->producer->id]) {
        ol_node *p = v->producer;
        if (!strcmp(p->op->name, "Rotary") && !h->rotate && !h->norm) {
            h->rotate = true;
            h->interleaved = ol_node_int(p, "interleaved", 0) != 0;
            h->rotary_dim = ol_lower_width(p->inputs[1]);
            if ((h->table = ol_lower_input(l, p->inputs[1], err)) < 0) return err ? err->status : OLV_INTERNAL;
        } else if (!strcmp(p->op->name, "HeadNorm") && !h->norm) {
            h->norm = true;
            OL_TRY(ol_cpu_head_norm_of(l, p, &h->head_norm, err));
        } else {
            return ol_fail(err, OLV_UNSUPPORTED, "'%s' between projection and attention", p->op->name);
        }
        v = p->inputs[0];
    }
    h->width = ol_lower_width(v);
    h->source = ol_lower_input(l, v, err);
    return h->source < 0 ? (err ? err->status : OLV_INTERNAL) : OLV_OK;
}

static olv_status fill_form(ol_lowering *l, ol_node *n, attention_args *a, olv_error *err) {
    olk_attention_args *f = &a->form;
    int64_t state = ol_node_int(n, "state", -1);
    if (state < 0 || state >= l->graph->n_states) return ol_fail(err, OLV_FORMAT, "state %lld of %d", (long long)state, l->graph->n_states);
    const ol_state_decl *d = &l->graph->states[state];
    f->heads = (int)ol_node_int(n, "heads", 0);
    f->kv_heads = (int)ol_node_int(n, "kv_heads", f->heads);
    f->head_dim = d->k_dim;
    f->v_dim = d->v_dim;
    f->scale = ol_node_float(n, "scale", 0);
    f->softcap = ol_node_float(n, "softcap", 0);
    f->window = ol_node_int(n, "window", 0);
    f->kv_dtype = l->opt.kv_dtype;
    f->decode = a->decode;
    f->k_offset = l->opt.k_offset[state];
    f->v_offset = l->opt.v_offset[state];
    f->k_head_stride = l->opt.k_head_stride[state];
    f->v_head_stride = l->opt.v_head_stride[state];
    if (f->heads < 1 || f->kv_heads < 1 || f->heads % f->kv_heads || a->q.width != (int64_t)f->heads * f->head_dim ||
        a->k.width != (int64_t)f->kv_heads * f->head_dim || a->v_width != (int64_t)f->kv_heads * f->v_dim)
        return ol_fail(err, OLV_SHAPE, "%d heads and %d kv heads of %d and %d do not fit q, k, v of %lld, %lld, %lld", f->heads,
                       f->kv_heads, f->head_dim, f->v_dim, (long long)a->q.width, (long long)a->k.width, (long long)a->v_width);
    if (n->n_inputs > 3 && n->inputs[3] && !(f->sinks = ol_lower_f32(l, n->inputs[3], err))) return OLV_NOMEM;
    if (n->n_inputs > 4 && n->inputs[4] && !(f->alibi = ol_lower_f32(l, n->inputs[4], err))) return OLV_NOMEM;
    return OLV_OK;
}

static void emit(ol_lowering *l, ol_node *n, attention_args *a) {
    ol_step *s = ol_lower_step(l, &in_class, n->name, 0);
    if (!s) return;
    s->args = a;
    ol_step_reads(s, a->q.table);
    ol_step_reads(s, a->k.table);
    ol_step_reads(s, a->k.source);
    ol_step_reads(s, a->v);
    ol_step_writes(s, a->q.source);
    if (!(s = ol_lower_step(l, &attention_class, n->name, 0))) return;
    s->args = a;
    s->kernel = a->kernel->name;
    ol_step_reads(s, a->q.source);
    ol_step_writes(s, a->out);
    ol_step_writes(s, a->parts);
    if (!a->decode || !(s = ol_lower_step(l, &merge_class, n->name, 0))) return;
    s->args = a;
    ol_step_reads(s, a->parts);
    ol_step_writes(s, a->out);
}

olv_status ol_lower_attention(ol_lowering *l, ol_node *n, olv_error *err) {
    if (!ol_node_attr(n, "state")) return ol_cpu_lower_row_attention(l, n, err);
    attention_args *a = ol_arena_alloc(l->arena, sizeof *a);
    if (!a) return ol_fail(err, OLV_NOMEM, "no memory for the plan");
    a->rope = olk_rope_select(l->opt.cpu);
    a->decode = l->entry == OL_ENTRY_DECODE;
    OL_TRY(find_prep(l, n->inputs[0], &a->q, err));
    OL_TRY(find_prep(l, n->inputs[1], &a->k, err));
    a->v_width = ol_lower_width(n->inputs[2]);
    if ((a->v = ol_lower_input(l, n->inputs[2], err)) < 0) return err ? err->status : OLV_INTERNAL;
    if (ol_node_int(n, "causal", 1) == 0) return ol_fail(err, OLV_UNSUPPORTED, "attention to a state without a causal mask");
    OL_TRY(fill_form(l, n, a, err));
    a->kernel = olk_attention_select(&a->form, l->opt.cpu);
    if (!a->kernel) return ol_fail(err, OLV_UNSUPPORTED, "no attention kernel for a cache of %s", ol_dtype_name(a->form.kv_dtype));
    a->out = ol_lower_output(l, n->outputs[0]);
    a->parts = a->decode ? ol_lower_temp_sized(l, parts_bytes, a) : -1;
    emit(l, n, a);
    return OLV_OK;
}
