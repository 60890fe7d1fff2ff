/* SPDX-License-Identifier: Apache-2.0 */
#include "device/lowering.h"
#include "base/alloc.h"
#include "base/error.h"
#include "graph/op.h"
#include <string.h>

#define MAX_CONSTANT_BYTES ((size_t)64 << 20)

const char *ol_entry_name(ol_entry e) {
    static const char *const names[OL_N_ENTRIES] = {"decode", "prefill", "whole"};
    return names[e];
}

static int add_buffer(ol_lowering *l, ol_buffer b) {
    if (l->n_buffers == l->cap_buffers) {
        int cap = l->cap_buffers ? 2 * l->cap_buffers : 64;
        ol_buffer *p = ol_realloc(l->buffers, (size_t)cap * sizeof *p);
        if (!p) {
            l->failed = OLV_NOMEM;
            return -1;
        }
        l->buffers = p;
        l->cap_buffers = cap;
    }
    l->buffers[l->n_buffers] = b;
    return l->n_buffers++;
}

static ol_dim count_of(ol_lowering *l, const ol_value *v) {
    ol_dim n = 1;
    for (int i = 0; i < v->type.rank; i++) n = ol_dim_mul(l->graph->dims, n, v->type.dims[i]);
    return v->type.rank < 0 ? OL_DIM_NONE : n;
}

bool ol_lower_fits_buffer(const ol_lowering *l, const ol_value *v) {
    if (!l->known) return true;
    ol_dtype t = v->type.dtype;
    char c = ol_dtype_class(t);
    if (v->type.kind != OL_VALUE_TENSOR || v->type.rank < 0 || ol_dtype_bits(t) < 8 || t == OL_F64) return false;
    if (c != 'f' && c != 's' && c != 'u' && c != 'b') return false;
    if (c == 'f' && ol_dtype_bits(t) < 16) return false; /* rounding to these is more than one */
    for (int d = 0; d < v->type.rank; d++)
        if (ol_dim_eval(l->graph->dims, v->type.dims[d], l->known, l->n_known) < 0) return false;
    return true;
}

static size_t element_bytes(const ol_value *v) {
    return ol_dtype_class(v->type.dtype) == 'f' ? sizeof(float) : sizeof(int64_t);
}

const float *ol_lower_f32(ol_lowering *l, ol_value *v, olv_error *err) {
    if (!v->constant) {
        ol_fail(err, OLV_UNSUPPORTED, "'%s' must be a constant", v->name);
        return NULL;
    }
    int64_t rows = ol_const_rows(v->constant), width = ol_const_width(v->constant);
    if (rows < 0 || width < 0 || (width && (size_t)rows > MAX_CONSTANT_BYTES / sizeof(float) / (size_t)width)) {
        ol_fail(err, OLV_LIMIT, "constant '%s' is too large to be copied into the plan", v->name);
        return NULL;
    }
    float *p = ol_arena_calloc(l->arena, (size_t)(rows * width) + 1, sizeof(float));
    if (!p) {
        ol_fail(err, OLV_NOMEM, "no memory for constant '%s'", v->name);
        return NULL;
    }
    return ol_const_rows_f32(v->constant, 0, rows, p, err) == OLV_OK ? p : NULL;
}

/* Integer constants live as i64 in the plan. */
static void *materialize_i64(ol_lowering *l, ol_value *v, olv_error *err) {
    ol_tensor t;
    if (ol_const_materialize(v->constant, MAX_CONSTANT_BYTES, &t, err) != OLV_OK) return NULL;
    int64_t n = ol_tensor_count(&t);
    int64_t *p = ol_arena_calloc(l->arena, (size_t)n + 1, sizeof *p);
    if (!p) ol_fail(err, OLV_NOMEM, "no memory for constant '%s'", v->name);
    for (int64_t i = 0; p && i < n; i++) p[i] = t.dtype == OL_I64 || t.dtype == OL_U64 ? ((const int64_t *)t.data)[i]
                                                                             : ol_f64_to_i64(ol_elem_get(t.dtype, t.data, (uint64_t)i));
    ol_tensor_deinit(&t);
    return p;
}

int ol_lower_input(ol_lowering *l, ol_value *v, olv_error *err) {
    if (l->buffer_of[v->id] >= 0) return l->buffer_of[v->id];
    if (l->codes && l->codes[v->id]) return l->decode(l, v, err) == OLV_OK ? l->buffer_of[v->id] : -1;
    ol_buffer b = {.count = count_of(l, v), .element = element_bytes(v), .input = -1};
    if (v->constant) {
        bool is_float = ol_dtype_class(v->type.dtype) == 'f';
        b.fixed = is_float ? (void *)(uintptr_t)ol_lower_f32(l, v, err) : materialize_i64(l, v, err);
        if (!b.fixed) return -1;
    } else if (v->is_input) {
        for (int i = 0; i < l->graph->n_inputs; i++)
            if (l->graph->inputs[i] == v) b.input = i;
    } else {
        ol_fail(err, OLV_INTERNAL, "value '%s' is used before it is computed", v->name);
        return -1;
    }
    l->buffer_of[v->id] = add_buffer(l, b);
    if (l->buffer_of[v->id] < 0) ol_fail(err, OLV_NOMEM, "no memory for the plan");
    return l->buffer_of[v->id];
}

int ol_lower_output(ol_lowering *l, ol_value *v) {
    if (l->buffer_of[v->id] >= 0) return l->buffer_of[v->id];
    return l->buffer_of[v->id] =
               add_buffer(l, (ol_buffer){.count = count_of(l, v), .element = element_bytes(v), .input = -1});
}

void ol_lower_alias(ol_lowering *l, ol_value *v, int b) { l->buffer_of[v->id] = b; }

int ol_lower_temp(ol_lowering *l, ol_dim count, size_t element) {
    return add_buffer(l, (ol_buffer){.count = count, .element = element, .input = -1});
}

int ol_lower_temp_sized(ol_lowering *l, size_t (*size)(const void *ctx, const ol_run *r), const void *ctx) {
    return add_buffer(l, (ol_buffer){.size = size, .size_ctx = ctx, .input = -1});
}

ol_step *ol_lower_step(ol_lowering *l, const ol_step_class *cls, const char *name, size_t args_bytes) {
    if (l->n_steps == l->cap_steps) {
        int cap = l->cap_steps ? 2 * l->cap_steps : 64;
        ol_step *p = ol_realloc(l->steps, (size_t)cap * sizeof *p);
        if (!p) {
            l->failed = OLV_NOMEM;
            return NULL;
        }
        l->steps = p;
        l->cap_steps = cap;
    }
    void *args = ol_arena_alloc(l->arena, args_bytes ? args_bytes : 1);
    if (!args) {
        l->failed = OLV_NOMEM;
        return NULL;
    }
    ol_step *s = &l->steps[l->n_steps++];
    memset(s, 0, sizeof *s);
    s->cls = cls;
    s->name = ol_arena_strdup(l->arena, name);
    s->args = args;
    s->arena = l->arena;
    return s;
}

static void add_ref(ol_step *s, ol_buffer_list *l, int b) {
    if (b < 0 || l->n < 0) return;
    for (int i = 0; i < l->n; i++)
        if (l->items[i] == b) return;
    if (l->n == l->cap) {
        int cap = l->cap ? 2 * l->cap : 4;
        int *p = ol_arena_calloc(s->arena, (size_t)cap, sizeof *p);
        if (!p) {
            l->n = -1; /* found when the entry is finished */
            return;
        }
        if (l->n) memcpy(p, l->items, (size_t)l->n * sizeof *p);
        l->items = p;
        l->cap = cap;
    }
    l->items[l->n++] = b;
}
void ol_step_reads(ol_step *s, int buffer) { add_ref(s, &s->reads, buffer); }
void ol_step_writes(ol_step *s, int buffer) { add_ref(s, &s->writes, buffer); }
void ol_step_drops(ol_step *s, int slot) { add_ref(s, &s->drops, slot); }

ol_dim ol_lower_rows(ol_lowering *l, const ol_value *v) {
    ol_dim n = 1;
    for (int i = 0; i + 1 < v->type.rank; i++) n = ol_dim_mul(l->graph->dims, n, v->type.dims[i]);
    return n;
}

int64_t ol_lower_width(const ol_value *v) {
    if (v->type.rank < 1) return v->type.rank == 0 ? 1 : -1;
    ol_dim d = v->type.dims[v->type.rank - 1];
    return ol_dim_known(d) ? d : -1;
}

bool ol_lower_ready(const ol_lowering *l, const ol_value *v, const ol_node *n) {
    if (!v) return true;
    if (v->constant || v->is_input) return true;
    return l->buffer_of[v->id] >= 0 || (v->producer && v->producer->id < n->id && l->done[v->producer->id]);
}

int ol_lower_lanes(const ol_lowering *l) { return l->opt.executor ? ol_executor_lanes(l->opt.executor) : 1; }

void ol_lower_for(const ol_lowering *l, size_t n, ol_item_fn *fn, void *ctx) {
    if (l->opt.executor) ol_executor_for(l->opt.executor, n, fn, ctx);
    for (size_t i = 0; !l->opt.executor && i < n; i++) fn(ctx, i, 0);
}
