/* SPDX-License-Identifier: Apache-2.0 */
/* Values as TensorProto, SequenceProto (elem_type 2; tensors 3, sequences 5, optionals 7) and OptionalProto (the same numbers
 * for one). */
#include "base/error.h"
#include "base/wire/protobuf.h"
#include "formats/onnx/emit.h"
#include "formats/onnx/onnx.h"
#include "graph/op.h"

enum { ELEMENT_TENSOR = 1, ELEMENT_SEQUENCE = 3, ELEMENT_OPTIONAL = 4 };

static void put_tensor(const ol_tensor *t, ol_buf *out) {
    if (t->dtype == OL_STRING) ol_onnx_emit_strings(out, NULL, t->rank, t->dims, t->data, (size_t)ol_tensor_count(t));
    else ol_onnx_emit_tensor(out, NULL, t->dtype, t->rank, t->dims, t->data, t->bytes);
}

static void put_value(const ol_datum *d, int depth, ol_buf *out);

static void put_item(const ol_datum *d, int depth, ol_buf *out) {
    ol_buf item = OL_BUF_INIT;
    put_value(d, depth + 1, &item);
    ol_pb_put_bytes(out, d->kind == OL_VALUE_TENSOR ? 3 : d->kind == OL_VALUE_SEQUENCE ? 5 : 7, item.data ? item.data : "", item.len);
    out->failed |= item.failed;
    ol_buf_deinit(&item);
}

static void put_value(const ol_datum *d, int depth, ol_buf *out) {
    static const uint64_t elements[] = {ELEMENT_TENSOR, ELEMENT_SEQUENCE, ELEMENT_OPTIONAL};
    if (depth > 16) {
        out->failed = true;
    } else if (d->kind == OL_VALUE_TENSOR) {
        put_tensor(&d->tensor, out);
    } else if (d->kind == OL_VALUE_SEQUENCE) {
        ol_pb_put_varint(out, 2, d->n_items ? elements[d->items[0].kind] : ELEMENT_TENSOR);
        for (size_t i = 0; i < d->n_items; i++) put_item(&d->items[i], depth, out);
    } else if (d->present) {
        ol_datum inner = *d;
        inner.kind = d->n_items || d->tensor.dtype == OL_DTYPE_NONE ? OL_VALUE_SEQUENCE : OL_VALUE_TENSOR;
        ol_pb_put_varint(out, 2, elements[inner.kind]);
        put_item(&inner, depth, out);
    }
}

olv_status ol_onnx_write_value(const ol_datum *d, ol_buf *out, olv_error *err) {
    if (!out->max) out->max = SIZE_MAX / 2;
    put_value(d, 0, out);
    return out->failed ? ol_fail(err, OLV_NOMEM, "no memory to write a value") : OLV_OK;
}
