/* SPDX-License-Identifier: Apache-2.0 */
/* Elementwise operators with broadcasting over any axes. A tile is a range of the output's
 * elements, walked in runs along the last axis; sizes are those of the run, so that symbolic axes
 * broadcast too. */
#include "device/cpu/broadcast.h"
#include "base/error.h"
#include "graph/op.h"
#include "kernels/elementwise/elementwise.h"
#include <string.h>

#define TILE_ELEMENTS 8192

typedef struct broadcast_args {
    ol_cpu_inner *f;
    int fast; /* olk_binary, or -1 */
    const olk_elementwise *kernel;
    int n_in, in[OL_CPU_OPERANDS], out;
    size_t in_bytes[OL_CPU_OPERANDS], out_bytes; /* of an element */
    int rank;
    ol_dim count;
    ol_dim out_dims[OL_MAX_RANK],
        in_dims[OL_CPU_OPERANDS][OL_MAX_RANK]; /* of equal rank, ones in front */
} broadcast_args;

/* Sizes and steps of one run. */
typedef struct walk {
    int64_t dims[OL_MAX_RANK], step[OL_CPU_OPERANDS][OL_MAX_RANK], index[OL_MAX_RANK],
        at[OL_CPU_OPERANDS];
} walk;

static int64_t size_of(const ol_run *r, ol_dim d) {
    return ol_dim_known(d) ? d : ol_dim_eval(r->dims, d, r->symbols, ol_dim_n_symbols(r->dims));
}

static unsigned tiles(const ol_step *s, const ol_run *r) {
    const broadcast_args *a = s->args;
    return (unsigned)((ol_cpu_rows(r, a->count) + TILE_ELEMENTS - 1) / TILE_ELEMENTS);
}

static bool walk_init(walk *w, const broadcast_args *a, const ol_run *r, int64_t start) {
    for (int d = 0; d < a->rank; d++) w->dims[d] = size_of(r, a->out_dims[d]);
    for (int k = 0; k < a->n_in; k++) {
        int64_t step = 1;
        for (int d = a->rank - 1; d >= 0; d--) {
            int64_t n = size_of(r, a->in_dims[k][d]);
            if (n != 1 && n != w->dims[d]) return false;
            w->step[k][d] = n == 1 ? 0 : step;
            step *= n;
        }
        w->at[k] = 0;
    }
    for (int d = a->rank - 1; d >= 0; d--) {
        w->index[d] = w->dims[d] ? start % w->dims[d] : 0;
        start = w->dims[d] ? start / w->dims[d] : 0;
        for (int k = 0; k < a->n_in; k++) w->at[k] += w->index[d] * w->step[k][d];
    }
    return true;
}

/* Moves on by n elements, which end in the row of the last axis or at its end. */
static void walk_on(walk *w, const broadcast_args *a, int64_t n) {
    int d = a->rank - 1;
    w->index[d] += n;
    for (int k = 0; k < a->n_in; k++) w->at[k] += n * w->step[k][d];
    for (; d > 0 && w->index[d] == w->dims[d]; d--) {
        w->index[d - 1]++;
        for (int k = 0; k < a->n_in; k++)
            w->at[k] += w->step[k][d - 1] - w->dims[d] * w->step[k][d];
        w->index[d] = 0;
    }
}

static void one_run(const broadcast_args *a, const void *const *in, const int64_t *step, void *y,
                    int64_t n) {
    if (a->fast >= 0 && step[0] && step[1])
        a->kernel->full((olk_binary)a->fast, in[0], in[1], y, n);
    else if (a->fast >= 0 && step[0])
        a->kernel->right((olk_binary)a->fast, in[0], *(const float *)in[1], y, n);
    else if (a->fast >= 0 && step[1])
        a->kernel->left((olk_binary)a->fast, *(const float *)in[0], in[1], y, n);
    else
        a->f(in, step, y, n);
}

static void run(const ol_step *s, const ol_run *r, unsigned tile, void *scratch) {
    const broadcast_args *a = s->args;
    walk w;
    (void)scratch;
    int64_t count = ol_cpu_rows(r, a->count), i = (int64_t)tile * TILE_ELEMENTS;
    int64_t end = i + TILE_ELEMENTS < count ? i + TILE_ELEMENTS : count;
    uint8_t *y = ol_run_buffer(r, a->out);
    if (!walk_init(&w, a, r, i)) {
        olv_error *err = ol_run_claim_failure(r);
        if (err)
            ol_fail(err, OLV_SHAPE, "node '%.200s': the inputs' sizes do not broadcast", s->name);
        memset(y + (size_t)i * a->out_bytes, 0, (size_t)(end - i) * a->out_bytes);
        return;
    }
    int last = a->rank - 1;
    while (i < end) {
        const void *in[OL_CPU_OPERANDS] = {NULL};
        int64_t step[OL_CPU_OPERANDS] = {0}, n = w.dims[last] - w.index[last];
        if (n > end - i) n = end - i;
        for (int k = 0; k < a->n_in; k++) {
            in[k] = (const uint8_t *)ol_run_buffer(r, a->in[k]) + (size_t)w.at[k] * a->in_bytes[k];
            step[k] = w.step[k][last];
        }
        one_run(a, in, step, y + (size_t)i * a->out_bytes, n);
        walk_on(&w, a, n);
        i += n;
    }
}
static const ol_step_class broadcast_class = {"broadcast", tiles, NULL, NULL, run};

static size_t element_bytes(const ol_value *v) {
    return ol_dtype_class(v->type.dtype) == 'f' ? sizeof(float) : sizeof(int64_t);
}

/* Aligns the inputs' axes with the output's and leaves out axes of size 1. */
static void align_axes(const ol_node *n, broadcast_args *a) {
    const ol_type *out = &n->outputs[0]->type;
    for (int d = 0; d < out->rank; d++) {
        if (out->dims[d] == 1) continue;
        a->out_dims[a->rank] = out->dims[d];
        for (int k = 0; k < a->n_in; k++) {
            const ol_type *t = &n->inputs[k]->type;
            int i = d - (out->rank - t->rank);
            a->in_dims[k][a->rank] = i < 0 ? 1 : t->dims[i];
        }
        a->rank++;
    }
    if (a->rank > 0) return;
    a->rank = 1;
    a->out_dims[0] = 1;
    for (int k = 0; k < a->n_in; k++) a->in_dims[k][0] = 1;
}

olv_status ol_cpu_lower_broadcast(ol_lowering *l, ol_node *n, olv_error *err) {
    static const char *const fast[] = {"Add", "Sub", "Mul", "Div", "Max", "Min"};
    broadcast_args a = {
        .fast = -1, .n_in = strcmp(n->op->name, "Expand") ? n->n_inputs : 1, .count = 1};
    const ol_type *out = &n->outputs[0]->type;
    if (a.n_in < 1 || a.n_in > OL_CPU_OPERANDS || (a.n_in == 3 && strcmp(n->op->name, "Where")))
        return ol_fail(err, OLV_UNSUPPORTED, "%d operands", n->n_inputs);
    for (int k = 0; k < a.n_in; k++)
        if (!n->inputs[k] || n->inputs[k]->type.rank < 0 || n->inputs[k]->type.rank > out->rank)
            return ol_fail(err, OLV_UNSUPPORTED, "the rank of an operand is not known");
    if (a.n_in == 1 && n->n_inputs == 1 &&
        (!strcmp(n->op->name, "Max") || !strcmp(n->op->name, "Min") || !strcmp(n->op->name, "Sum")))
        return ol_fail(err, OLV_UNSUPPORTED, "one operand");
    if (!(a.f = ol_cpu_inner_of(n)))
        return ol_fail(err, OLV_UNSUPPORTED, "no kernel for these element types");
    if (ol_dtype_class(out->dtype) == 'f' && n->n_inputs == 2)
        for (int i = 0; i < 6; i++)
            if (!strcmp(fast[i], n->op->name)) a.fast = i;
    a.kernel = olk_elementwise_select(l->opt.cpu);
    align_axes(n, &a);
    for (int d = 0; d < a.rank; d++) a.count = ol_dim_mul(l->graph->dims, a.count, a.out_dims[d]);
    for (int k = 0; k < a.n_in; k++) {
        if ((a.in[k] = ol_lower_input(l, n->inputs[k], err)) < 0)
            return err ? err->status : OLV_INTERNAL;
        a.in_bytes[k] = element_bytes(n->inputs[k]);
    }
    a.out = ol_lower_output(l, n->outputs[0]);
    a.out_bytes = element_bytes(n->outputs[0]);
    ol_step *s = ol_lower_step(l, &broadcast_class, n->name, sizeof a);
    if (!s) return OLV_OK; /* latched */
    memcpy(s->args, &a, sizeof a);
    for (int k = 0; k < a.n_in; k++) ol_step_reads(s, a.in[k]);
    ol_step_writes(s, a.out);
    return OLV_OK;
}
olv_status ol_lower_broadcast(ol_lowering *l, ol_node *n, olv_error *err) {
    return ol_cpu_lower_broadcast(l, n, err);
}
