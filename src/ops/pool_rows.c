/* SPDX-License-Identifier: Apache-2.0 */
/* olivine.PoolRows: the rows [T, H] of a run to one row for each of its sequences [R, H]. With n rows x_1 .. x_n of a
 * sequence:
 *     first, last         x_1, x_n
 *     max                 element by element
 *     mean, mean_sqrt     sum / n, sum / sqrt(n)
 *     weighted            sum of i x_i / sum of i
 * Outside of a run all rows are one sequence. A run may leave out rows at the start of a sequence (its prompt); the
 * weights i count them nevertheless. */
#include "ops/ops.h"

static olv_status infer(ol_infer *c, olv_error *err) {
    const ol_type *x = ol_infer_in(c, 0);
    OL_TRY(ol_infer_rank(c, 0, 2, 2, err));
    ol_infer_set(c, 0, x->dtype, 2);
    c->out[0].dims[0] = ol_dim_symbol(c->graph->dims, "R");
    if (x->rank == 2) c->out[0].dims[1] = x->dims[1];
    return OLV_OK;
}

/* Rows [r0, r1) of x to row `to` of y. */
static void pool(const ol_tensor *x, int64_t r0, int64_t r1, ol_str kind, ol_tensor *y, int64_t to) {
    int64_t h = x->dims[1], n = r1 - r0;
    if (ol_str_is(kind, "first")) r1 = r0 + 1;
    if (ol_str_is(kind, "last")) r0 = r1 - 1;
    bool max = ol_str_is(kind, "max"), weighted = ol_str_is(kind, "weighted");
    double by = 1;
    if (ol_str_is(kind, "mean")) by = (double)n;
    if (ol_str_is(kind, "mean_sqrt")) by = sqrt((double)n);
    if (weighted) by = (double)n * (double)(n + 1) / 2;
    for (int64_t j = 0; j < h; j++) {
        double sum = max ? -INFINITY : 0;
        for (int64_t r = r0; r < r1; r++) {
            double v = ol_tensor_get(x, r * h + j);
            if (max) sum = fmax(sum, v);
            else sum += weighted ? (double)(r - r0 + 1) * v : v;
        }
        ol_tensor_set(y, to * h + j, sum / by);
    }
}

static olv_status eval(ol_eval *c, olv_error *err) {
    const ol_tensor *x;
    ol_tensor *y;
    const ol_state_access *s = c->state;
    OL_TRY(ol_eval_need(c, 0, &x, err));
    if (x->rank != 2 || (s && s->n_rows != x->dims[0])) return ol_fail(err, OLV_SHAPE, "rows of the run are expected");
    int64_t rows = x->dims[0], sequences = rows > 0;
    for (int64_t r = 1; s && r < rows; r++) sequences += s->sequence[r] != s->sequence[r - 1];
    OL_TRY(ol_eval_out(c, 0, x->dtype, 2, (int64_t[]){sequences, x->dims[1]}, &y, err));
    ol_str kind = ol_node_string(c->node, "kind", "mean");
    for (int64_t i = 0, r0 = 0; i < sequences; i++) {
        int64_t r1 = r0 + 1;
        while (r1 < rows && (!s || s->sequence[r1] == s->sequence[r0])) r1++;
        pool(x, r0, r1, kind, y, i);
        r0 = r1;
    }
    return OLV_OK;
}

static const ol_attr_spec attrs[] = {{"kind", OL_ATTR_STRING, true}};
extern const ol_op ol_op_olivine_PoolRows;
const ol_op ol_op_olivine_PoolRows = {"olivine", "PoolRows", "the rows of each sequence of a run to one", 1, 1, 1, 1,
                                      OL_ATTRS(attrs), infer, eval, NULL, false, false};
