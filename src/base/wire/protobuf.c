/* SPDX-License-Identifier: Apache-2.0 */
#include "base/wire/protobuf.h"

int ol_pb_next(ol_bytes *r, ol_pb_field *f) {
    if (r->failed) return -1;
    if (r->ptr == r->end) return 0;
    uint64_t key = ol_bytes_varint(r);
    *f = (ol_pb_field){(uint32_t)(key >> 3), (uint32_t)(key & 7), 0, {NULL, 0}};
    if (key >> 3 == 0 || key >> 32) r->failed = true;
    switch (f->wire) {
    case 0: f->value = ol_bytes_varint(r); break;
    case 1: f->value = ol_bytes_u64(r); break;
    case 2: {
        uint64_t n = ol_bytes_varint(r);
        f->bytes.ptr = (const char *)ol_bytes_take(r, n);
        f->bytes.len = r->failed ? 0 : (size_t)n;
        break;
    }
    case 5: f->value = ol_bytes_u32(r); break;
    default: r->failed = true;
    }
    return r->failed ? -1 : 1;
}

float ol_pb_f32(const ol_pb_field *f) {
    uint32_t u = (uint32_t)f->value;
    float v;
    memcpy(&v, &u, sizeof v);
    return v;
}

static void put_raw_varint(ol_buf *b, uint64_t v) {
    char out[10];
    size_t n = 0;
    do {
        out[n++] = (char)((v & 127) | (v > 127 ? 128 : 0));
        v >>= 7;
    } while (v);
    ol_buf_append(b, out, n);
}

void ol_pb_put_varint(ol_buf *b, uint32_t field, uint64_t v) {
    put_raw_varint(b, (uint64_t)field << 3);
    put_raw_varint(b, v);
}

void ol_pb_put_bytes(ol_buf *b, uint32_t field, const void *p, size_t n) {
    put_raw_varint(b, (uint64_t)field << 3 | 2);
    put_raw_varint(b, n);
    ol_buf_append(b, p, n);
}

void ol_pb_put_string(ol_buf *b, uint32_t field, const char *z) { ol_pb_put_bytes(b, field, z, strlen(z)); }

void ol_pb_put_f32(ol_buf *b, uint32_t field, float v) {
    put_raw_varint(b, (uint64_t)field << 3 | 5);
    ol_buf_append(b, &v, sizeof v);
}
