/* SPDX-License-Identifier: Apache-2.0 */
/* NonMaxSuppression: per batch and class, boxes by falling score that overlap no chosen box by more than the threshold. */
#include "ops/ops.h"
#include <stdlib.h>

typedef struct candidate {
    double score;
    int64_t box;
} candidate;

static int falling(const void *a, const void *b) {
    const candidate *x = a, *y = b;
    if (x->score != y->score) return x->score > y->score ? -1 : 1;
    return (x->box > y->box) - (x->box < y->box);
}

static void corners(const ol_tensor *boxes, int64_t at, bool center, double *c) {
    double v[4];
    for (int i = 0; i < 4; i++) v[i] = ol_tensor_get(boxes, at * 4 + i);
    if (center) { /* x, y, width, height */
        c[0] = v[1] - v[3] / 2;
        c[1] = v[0] - v[2] / 2;
        c[2] = v[1] + v[3] / 2;
        c[3] = v[0] + v[2] / 2;
        return;
    }
    c[0] = fmin(v[0], v[2]);
    c[1] = fmin(v[1], v[3]);
    c[2] = fmax(v[0], v[2]);
    c[3] = fmax(v[1], v[3]);
}

static double overlap(const double *a, const double *b) {
    double h = fmin(a[2], b[2]) - fmax(a[0], b[0]), w = fmin(a[3], b[3]) - fmax(a[1], b[1]);
    if (h <= 0 || w <= 0) return 0;
    double both = h * w, all = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both;
    return all > 0 ? both / all : 0;
}

static double scalar(const ol_eval *c, int i, double def) {
    const ol_tensor *t = ol_eval_in(c, i);
    return t && ol_tensor_count(t) == 1 ? ol_tensor_get(t, 0) : def;
}

static olv_status eval(ol_eval *c, olv_error *err) {
    const ol_tensor *boxes, *scores;
    ol_tensor *y;
    OL_TRY(ol_eval_need(c, 0, &boxes, err));
    OL_TRY(ol_eval_need(c, 1, &scores, err));
    if (boxes->rank != 3 || scores->rank != 3 || boxes->dims[2] != 4 || scores->dims[0] != boxes->dims[0] || scores->dims[2] != boxes->dims[1])
        return ol_fail(err, OLV_SHAPE, "boxes and scores do not fit");
    int64_t n = boxes->dims[1], classes = scores->dims[1], max = (int64_t)scalar(c, 2, 0), found = 0;
    double threshold = scalar(c, 3, 0), least = scalar(c, 4, -INFINITY);
    bool center = ol_node_int(c->node, "center_point_box", 0) != 0;
    candidate *list = ol_calloc((size_t)n + 1, sizeof *list);
    int64_t *chosen = ol_calloc((size_t)(boxes->dims[0] * classes * n) + 1, 3 * sizeof *chosen);
    for (int64_t bc = 0; list && chosen && bc < boxes->dims[0] * classes; bc++) {
        int64_t b = bc / classes, count = 0, first = found;
        for (int64_t i = 0; i < n; i++) {
            double s = ol_tensor_get(scores, bc * n + i);
            if (s > least) list[count++] = (candidate){s, i};
        }
        qsort(list, (size_t)count, sizeof *list, falling);
        for (int64_t i = 0; i < count && found - first < max; i++) {
            double me[4], other[4];
            bool keep = true;
            corners(boxes, b * n + list[i].box, center, me);
            for (int64_t k = first; k < found && keep; k++) {
                corners(boxes, b * n + chosen[k * 3 + 2], center, other);
                keep = overlap(me, other) <= threshold;
            }
            if (!keep) continue;
            chosen[found * 3] = b;
            chosen[found * 3 + 1] = bc % classes;
            chosen[found * 3 + 2] = list[i].box;
            found++;
        }
    }
    bool ok = list && chosen;
    olv_status s = ok ? ol_eval_out(c, 0, OL_I64, 2, (int64_t[]){found, 3}, &y, err) : ol_fail(err, OLV_NOMEM, "no memory");
    if (s == OLV_OK && found) memcpy(y->data, chosen, (size_t)found * 3 * sizeof *chosen);
    ol_free(list);
    ol_free(chosen);
    return s;
}

static olv_status infer(ol_infer *c, olv_error *err) {
    (void)err;
    ol_infer_set(c, 0, OL_I64, 2);
    c->out[0].dims[1] = 3;
    return OLV_OK;
}

static const ol_attr_spec attrs[] = {{"center_point_box", OL_ATTR_INT, false}};
extern const ol_op ol_op_NonMaxSuppression;
const ol_op ol_op_NonMaxSuppression = {"", "NonMaxSuppression", "best boxes that overlap no better one", 2, 5, 1, 1, attrs, 1, infer, eval, NULL, false, false};
