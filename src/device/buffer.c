/* SPDX-License-Identifier: Apache-2.0 */
#include "device/buffer.h"
#include <string.h>

bool ol_buffer_is_plain(ol_dtype t) { return t == OL_F32 || t == OL_I64 || t == OL_U64; }

#define INTEGERS(X) X(OL_I32, int32_t) X(OL_U32, uint32_t) X(OL_I16, int16_t) X(OL_U16, uint16_t) X(OL_I8, int8_t) X(OL_U8, uint8_t)

void ol_buffer_to_tensor(const void *buffer, ol_tensor *t) {
    int64_t n = ol_tensor_count(t);
    const int64_t *q = buffer;
    if (ol_buffer_is_plain(t->dtype)) {
        if (t->bytes) memcpy(t->data, buffer, t->bytes);
        return;
    }
    switch (t->dtype) {
#define X(code, type)                                                                     \
    case code:                                                                            \
        for (int64_t i = 0; i < n; i++) ((type *)t->data)[i] = (type)(uint64_t)q[i];      \
        return;
        INTEGERS(X)
#undef X
    case OL_BOOL:
        for (int64_t i = 0; i < n; i++) ((uint8_t *)t->data)[i] = q[i] != 0;
        return;
    default:
        for (int64_t i = 0; i < n; i++)
            ol_elem_set(t->dtype, t->data, (uint64_t)i,
                        ol_dtype_class(t->dtype) == 'f' ? (double)((const float *)buffer)[i] : (double)q[i]);
    }
}

void ol_buffer_from_tensor(void *buffer, const ol_tensor *t) {
    int64_t n = ol_tensor_count(t), *q = buffer;
    if (ol_buffer_is_plain(t->dtype)) {
        if (t->bytes) memcpy(buffer, t->data, t->bytes);
        return;
    }
    switch (t->dtype) {
#define X(code, type)                                                          \
    case code:                                                                 \
        for (int64_t i = 0; i < n; i++) q[i] = ((const type *)t->data)[i];     \
        return;
        INTEGERS(X)
#undef X
    case OL_BOOL:
        for (int64_t i = 0; i < n; i++) q[i] = ((const uint8_t *)t->data)[i] != 0;
        return;
    default:
        for (int64_t i = 0; i < n; i++) {
            double v = ol_elem_get(t->dtype, t->data, (uint64_t)i);
            if (ol_dtype_class(t->dtype) == 'f') ((float *)buffer)[i] = (float)v;
            else q[i] = ol_f64_to_i64(v);
        }
    }
}
