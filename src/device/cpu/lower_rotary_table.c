/* SPDX-License-Identifier: Apache-2.0 */
/* The table of rotation angles of a run, one row per token, shared by all layers. Modes: plain; longrope (a second set of
 * frequencies for sequences longer than the original context); dynamic (the base grows with the length). Which set or base
 * holds depends on the length of the row's sequence, its present prompt complete. */
#include "base/error.h"
#include "device/cpu/cpu.h"
#include "graph/op.h"
#include "kernels/rope/rope.h"
#include <string.h>

#define TILE_ROWS 16

typedef enum rotary_mode { PLAIN, LONGROPE, DYNAMIC } rotary_mode;

typedef struct table_args {
    rotary_mode mode;
    const float *inv_freq, *inv_freq_long;
    const float *cos_cache, *sin_cache; /* tables given by the model, or NULL */
    int64_t cached_rows;
    int positions, out;
    int64_t half, original;
    double factor, factor_long, theta, scaling;
    ol_dim rows;
} table_args;

static unsigned tiles(const ol_step *s, const ol_run *r) {
    return (unsigned)((ol_cpu_rows(r, ((const table_args *)s->args)->rows) + TILE_ROWS - 1) / TILE_ROWS);
}
static size_t scratch_bytes(const ol_step *s, const ol_run *r) {
    (void)r;
    return (size_t)((const table_args *)s->args)->half * sizeof(float);
}

static void compute_row(const table_args *a, const ol_run *r, int64_t row, int64_t position, float *out, float *inv) {
    const float *freq = a->inv_freq;
    double factor = a->factor;
    int64_t length = r->span_of && row < r->rows ? r->spans[r->span_of[row]].length : position + 1;
    int32_t p = (int32_t)position;
    if (a->mode == LONGROPE && length > a->original) {
        freq = a->inv_freq_long;
        factor = a->factor_long;
    } else if (a->mode == DYNAMIC && length > a->original) {
        olk_rope_inv_freq(olk_rope_dynamic_theta(a->theta, a->scaling, 2 * a->half, length, a->original), 2 * a->half, inv);
        freq = inv;
    }
    olk_rope_table(freq, a->half, &p, 1, factor, out, out + a->half, 2 * a->half);
}

static void run(const ol_step *s, const ol_run *r, unsigned tile, void *scratch) {
    const table_args *a = s->args;
    int64_t rows = ol_cpu_rows(r, a->rows), r0 = (int64_t)tile * TILE_ROWS, r1 = r0 + TILE_ROWS < rows ? r0 + TILE_ROWS : rows;
    const int64_t *positions = ol_run_buffer(r, a->positions);
    for (int64_t i = r0; i < r1; i++) {
        float *out = (float *)ol_run_buffer(r, a->out) + i * 2 * a->half;
        if (!a->cos_cache) {
            compute_row(a, r, i, positions[i], out, scratch);
            continue;
        }
        int64_t p = positions[i] < a->cached_rows ? positions[i] : a->cached_rows - 1;
        memcpy(out, a->cos_cache + p * a->half, (size_t)a->half * sizeof *out);
        memcpy(out + a->half, a->sin_cache + p * a->half, (size_t)a->half * sizeof *out);
    }
}
static const ol_step_class table_class = {"rotary_table", tiles, scratch_bytes, NULL, run};

static olv_status emit(ol_lowering *l, ol_node *n, table_args *a, olv_error *err) {
    a->rows = ol_lower_rows(l, n->outputs[0]);
    if ((a->positions = ol_lower_input(l, n->inputs[0], err)) < 0) return err ? err->status : OLV_INTERNAL;
    a->out = ol_lower_output(l, n->outputs[0]);
    ol_step *s = ol_lower_step(l, &table_class, n->name, sizeof *a);
    if (!s) return OLV_OK; /* latched */
    memcpy(s->args, a, sizeof *a);
    ol_step_reads(s, a->positions);
    ol_step_writes(s, a->out);
    return OLV_OK;
}

olv_status ol_lower_rotary_table(ol_lowering *l, ol_node *n, olv_error *err) {
    table_args a = {.mode = PLAIN};
    ol_str mode = ol_node_string(n, "mode", "plain");
    if (ol_str_is(mode, "longrope")) a.mode = LONGROPE;
    else if (ol_str_is(mode, "dynamic")) a.mode = DYNAMIC;
    else if (!ol_str_is(mode, "plain")) return ol_fail(err, OLV_UNSUPPORTED, "rotation mode '%.*s'", (int)mode.len, mode.ptr);
    a.half = ol_lower_width(n->inputs[1]);
    a.factor = ol_node_float(n, "attention_factor", 1);
    a.factor_long = ol_node_float(n, "attention_factor_long", 1);
    a.original = ol_node_int(n, "original_length", INT32_MAX);
    a.theta = ol_node_float(n, "theta", 10000);
    a.scaling = ol_node_float(n, "scaling", 1);
    if (!(a.inv_freq = ol_lower_f32(l, n->inputs[1], err))) return OLV_NOMEM;
    if (a.mode == LONGROPE && (n->n_inputs < 3 || !n->inputs[2])) return ol_fail(err, OLV_FORMAT, "longrope without long frequencies");
    if (a.mode == LONGROPE && !(a.inv_freq_long = ol_lower_f32(l, n->inputs[2], err))) return OLV_NOMEM;
    return emit(l, n, &a, err);
}

/* Given tables are read in place when they lie in memory as f32. */
static const float *cache_of(ol_lowering *l, ol_value *v, olv_error *err) {
    size_t bytes;
    if (v->constant && ol_const_dtype(v->constant) == OL_F32 && ol_const_data(v->constant, &bytes))
        if (((uintptr_t)ol_const_data(v->constant, &bytes) & 3) == 0) return ol_const_data(v->constant, &bytes);
    return ol_lower_f32(l, v, err);
}

olv_status ol_lower_rotary_table_cached(ol_lowering *l, ol_node *n, olv_error *err) {
    table_args a = {.mode = PLAIN};
    if (!(a.cos_cache = cache_of(l, n->inputs[1], err)) || !(a.sin_cache = cache_of(l, n->inputs[2], err))) return OLV_NOMEM;
    a.half = ol_lower_width(n->inputs[1]);
    a.cached_rows = ol_const_rows(n->inputs[1]->constant);
    if (a.half != ol_lower_width(n->inputs[2]) || a.cached_rows < 1) return ol_fail(err, OLV_SHAPE, "cos and sin tables differ");
    return emit(l, n, &a, err);
}
