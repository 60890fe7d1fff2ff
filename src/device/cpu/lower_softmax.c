/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"
#include "device/cpu/cpu.h"
#include "graph/op.h"
#include "kernels/softmax/softmax.h"
#include <string.h>

typedef struct softmax_args {
    const olk_softmax *kernel;
    olk_softmax_form form;
    int x, y;
    ol_dim rows;
} softmax_args;

static unsigned tiles(const ol_step *s, const ol_run *r) { return (unsigned)ol_cpu_rows(r, ((const softmax_args *)s->args)->rows); }

static void run(const ol_step *s, const ol_run *r, unsigned tile, void *scratch) {
    const softmax_args *a = s->args;
    (void)scratch;
    int64_t at = (int64_t)tile * a->form.n;
    a->kernel->softmax(&a->form, (const float *)ol_run_buffer(r, a->x) + at, a->form.n, (float *)ol_run_buffer(r, a->y) + at,
                       a->form.n, 1);
}
static const ol_step_class softmax_class = {"softmax", tiles, NULL, NULL, run};

olv_status ol_lower_softmax(ol_lowering *l, ol_node *n, olv_error *err) {
    const ol_value *x = n->inputs[0];
    int64_t axis = ol_node_int(n, "axis", -1);
    if (axis != -1 && axis != x->type.rank - 1) return ol_fail(err, OLV_UNSUPPORTED, "softmax over axis %lld, only the last is planned", (long long)axis);
    softmax_args a = {.kernel = olk_softmax_select(l->opt.cpu), .form = {.n = ol_lower_width(x), .scale = 1}, .rows = ol_lower_rows(l, x)};
    if (a.form.n < 1) return ol_fail(err, OLV_SHAPE, "the last dimension is not known");
    if ((a.x = ol_lower_input(l, n->inputs[0], err)) < 0) return err ? err->status : OLV_INTERNAL;
    a.y = ol_lower_output(l, n->outputs[0]);
    ol_step *s = ol_lower_step(l, &softmax_class, n->name, sizeof a);
    if (!s) return OLV_OK; /* latched */
    memcpy(s->args, &a, sizeof a);
    s->kernel = a.kernel->name;
    ol_step_reads(s, a.x);
    ol_step_writes(s, a.y);
    return OLV_OK;
}
