/* SPDX-License-Identifier: Apache-2.0 */
/* AffineGrid: theta [N, d, d + 1] applied to the places of an image of `size` [N, C, ...], which
 * run from -1 to 1 along each dim (centres of pixels, or corners with align_corners). Coordinates
 * are in the order x, y(, z); GridSample reads the result. */
#include "ops/ops.h"

static double coordinate(int64_t i, int64_t n, bool corners) {
    if (!corners) return (double)(2 * i + 1) / (double)n - 1;
    return n > 1 ? (double)(2 * i) / (double)(n - 1) - 1 : 0;
}

static olv_status eval(ol_eval *c, olv_error *err) {
    const ol_tensor *theta, *size;
    ol_tensor *y;
    int64_t dims[OL_MAX_RANK];
    OL_TRY(ol_eval_need(c, 0, &theta, err));
    OL_TRY(ol_eval_need(c, 1, &size, err));
    int n = (int)ol_tensor_count(size) - 2;
    if ((n != 2 && n != 3) || theta->rank != 3 || theta->dims[1] != n || theta->dims[2] != n + 1 ||
        theta->dims[0] != ol_tensor_i64(size, 0))
        return ol_fail(err, OLV_SHAPE, "theta and size do not fit");
    dims[0] = theta->dims[0];
    for (int i = 0; i < n; i++) dims[i + 1] = ol_tensor_i64(size, i + 2);
    dims[n + 1] = n;
    OL_TRY(ol_eval_out(c, 0, theta->dtype, n + 2, dims, &y, err));
    bool corners = ol_node_int(c->node, "align_corners", 0) != 0;
    int64_t pixels = ol_dims_count(dims, 1, n + 1);
    for (int64_t i = 0; i < dims[0] * pixels; i++) {
        double place[4] = {0};
        int64_t rest = i % pixels, t = i / pixels * n * (n + 1);
        for (int d = n; d >= 1; d--) { /* the last dim is x, the first coordinate */
            place[n - d] = coordinate(rest % dims[d], dims[d], corners);
            rest /= dims[d];
        }
        place[n] = 1;
        for (int r = 0; r < n; r++) {
            double sum = 0;
            for (int k = 0; k <= n; k++) sum += ol_tensor_get(theta, t + r * (n + 1) + k) * place[k];
            ol_tensor_set(y, i * n + r, sum);
        }
    }
    return OLV_OK;
}

static olv_status infer(ol_infer *c, olv_error *err) {
    const ol_type *theta = ol_infer_in(c, 0), *s = ol_infer_in(c, 1);
    ol_dim size[5];
    OL_TRY(ol_infer_rank(c, 0, 3, 3, err));
    int n = ol_infer_ints(c, 1, size, 5), rank = n;
    if (n < 0 && s->rank == 1 && ol_dim_known(s->dims[0])) rank = (int)s->dims[0];
    if (rank < 0 && theta->rank == 3 && ol_dim_known(theta->dims[1])) rank = (int)theta->dims[1] + 2;
    if (rank >= 0 && rank != 4 && rank != 5) return ol_fail(err, OLV_SHAPE, "size of %d", rank);
    ol_infer_set(c, 0, theta->dtype, rank);
    if (rank < 0) return OLV_OK;
    if (theta->rank == 3) c->out[0].dims[0] = theta->dims[0];
    c->out[0].dims[rank - 1] = rank - 2;
    for (int i = 2; i < n; i++)
        if (!ol_infer_is_negative(size[i])) c->out[0].dims[i - 1] = size[i];
    return OLV_OK;
}

static const ol_attr_spec attrs[] = {{"align_corners", OL_ATTR_INT, false}};
extern const ol_op ol_op_AffineGrid;
const ol_op ol_op_AffineGrid = {.domain = "", .name = "AffineGrid",
                                .summary = "places of an image under affine maps", .min_inputs = 2,
                                .max_inputs = 2, .min_outputs = 1, .max_outputs = 1,
                                OL_ATTRS(attrs), .infer = infer, .eval = eval};
