/* SPDX-License-Identifier: Apache-2.0 */
/* Values of the reference device. */
#include "base/alloc.h"
#include "base/error.h"
#include "graph/op.h"

void ol_datum_deinit(ol_datum *d) {
    if (!d) return;
    for (size_t i = 0; i < d->n_items; i++) ol_datum_deinit(&d->items[i]);
    ol_free(d->items);
    ol_tensor_deinit(&d->tensor);
    *d = (ol_datum){.kind = OL_VALUE_TENSOR};
}

olv_status ol_datum_copy(ol_datum *dst, const ol_datum *src, olv_error *err) {
    ol_datum r = {.kind = src->kind, .present = src->present};
    if (src->tensor.dtype != OL_DTYPE_NONE) OL_TRY(ol_tensor_copy(&r.tensor, &src->tensor, err));
    if (src->n_items) {
        r.items = ol_calloc(src->n_items, sizeof *r.items);
        if (!r.items) {
            ol_datum_deinit(&r);
            return ol_fail(err, OLV_NOMEM, "no memory for a sequence");
        }
        r.cap_items = src->n_items;
        for (; r.n_items < src->n_items; r.n_items++) {
            olv_status s = ol_datum_copy(&r.items[r.n_items], &src->items[r.n_items], err);
            if (s != OLV_OK) {
                ol_datum_deinit(&r);
                return s;
            }
        }
    }
    *dst = r;
    return OLV_OK;
}

const ol_tensor *ol_eval_in(const ol_eval *c, int i) {
    return i < c->node->n_inputs && c->in[i] ? &c->in[i]->tensor : NULL;
}

olv_status ol_eval_out(ol_eval *c, int i, ol_dtype dtype, int rank, const int64_t *dims, ol_tensor **out,
                       olv_error *err) {
    ol_datum *d = &c->out[i];
    ol_datum_deinit(d);
    OL_TRY(ol_tensor_init(&d->tensor, dtype, rank, dims, err));
    d->kind = OL_VALUE_TENSOR;
    d->present = true;
    *out = &d->tensor;
    return OLV_OK;
}
