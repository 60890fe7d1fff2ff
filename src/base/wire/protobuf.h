/* SPDX-License-Identifier: Apache-2.0 */
/* Zero-copy protobuf: a cursor over mapped bytes and a buffer writer. Knows the wire format, no schema. */
#ifndef OL_BASE_WIRE_PROTOBUF_H
#define OL_BASE_WIRE_PROTOBUF_H

#include "base/bytes.h"

/* One field of a message. wire: 0 varint (value), 1 fixed64 (value), 2 bytes (bytes), 5 fixed32 (value). Groups,
 * field number 0 and overlong varints are malformed. */
typedef struct ol_pb_field {
    uint32_t number, wire;
    uint64_t value;
    ol_str bytes;
} ol_pb_field;

/* Next field of the message in r: 1 with *f set, 0 at the end, -1 malformed (r->failed is set). */
int ol_pb_next(ol_bytes *r, ol_pb_field *f);
static inline ol_bytes ol_pb_message(const ol_pb_field *f) { return ol_bytes_of(f->bytes.ptr, f->bytes.len); }
float ol_pb_f32(const ol_pb_field *f);

/* Writing: nested messages are built in their own buffer and added as bytes. */
void ol_pb_put_varint(ol_buf *b, uint32_t field, uint64_t v);
void ol_pb_put_bytes(ol_buf *b, uint32_t field, const void *p, size_t n);
void ol_pb_put_string(ol_buf *b, uint32_t field, const char *z);
void ol_pb_put_f32(ol_buf *b, uint32_t field, float v);

#endif
