/* SPDX-License-Identifier: Apache-2.0 */
/* GGUF, versions 2 and 3: metadata and the list of tensors, as views into the bytes of a file. Knows the container and
 * the sizes of its element types, no architecture.
 *
 * A file is `"GGUF" | u32 version | u64 tensors | u64 pairs | pairs | tensor infos | padding | data`, little-endian. */
#ifndef OL_BASE_WIRE_GGUF_H
#define OL_BASE_WIRE_GGUF_H

#include "base/bytes.h"
#include <olivine/status.h>

#define OL_GGUF_MAX_DIMS 4

typedef enum ol_gguf_kind { /* of a metadata value */
    OL_GGUF_U8, OL_GGUF_I8, OL_GGUF_U16, OL_GGUF_I16, OL_GGUF_U32, OL_GGUF_I32, OL_GGUF_F32, OL_GGUF_BOOL,
    OL_GGUF_STRING, OL_GGUF_ARRAY, OL_GGUF_U64, OL_GGUF_I64, OL_GGUF_F64
} ol_gguf_kind;

typedef struct ol_gguf_pair {
    ol_str key;
    uint32_t kind;      /* ol_gguf_kind */
    uint32_t item_kind; /* of an array's items: anything but arrays */
    uint64_t count;     /* items of an array, else 1 */
    ol_str data;        /* the value's bytes; a string's characters; an array's items one behind another */
} ol_gguf_pair;

typedef struct ol_gguf_tensor {
    ol_str name;
    uint32_t type; /* number of the element type, one that ol_gguf_type_name knows */
    int rank;
    int64_t dims[OL_GGUF_MAX_DIMS]; /* outermost first, unlike in the file */
    const uint8_t *data;
    uint64_t bytes;
} ol_gguf_tensor;

typedef struct ol_gguf ol_gguf;

/* Checks everything: extents, sizes, types, duplicates, overlaps. The bytes must outlive the result. */
OLV_MUST_USE olv_status ol_gguf_parse(const uint8_t *bytes, size_t len, const char *name, ol_gguf **out,
                                      olv_error *err);
void ol_gguf_destroy(ol_gguf *g); /* NULL accepted */

size_t ol_gguf_pair_count(const ol_gguf *g);
const ol_gguf_pair *ol_gguf_pair_at(const ol_gguf *g, size_t i);
const ol_gguf_pair *ol_gguf_find(const ol_gguf *g, const char *key); /* NULL when absent */
size_t ol_gguf_tensor_count(const ol_gguf *g);
const ol_gguf_tensor *ol_gguf_tensor_at(const ol_gguf *g, size_t i);
const ol_gguf_tensor *ol_gguf_tensor_find(const ol_gguf *g, const char *name);

/* Values; false when p is NULL or of another kind. Integers of every width, and bools, are integers. */
bool ol_gguf_int(const ol_gguf_pair *p, int64_t *out);
bool ol_gguf_real(const ol_gguf_pair *p, double *out); /* integers too */
bool ol_gguf_string(const ol_gguf_pair *p, ol_str *out);
/* Item i of an array of numbers as f64. */
bool ol_gguf_item(const ol_gguf_pair *p, uint64_t i, double *out);
/* Reader over the items of an array of strings, for ol_gguf_next_string. */
static inline ol_bytes ol_gguf_strings(const ol_gguf_pair *p) { return ol_bytes_of(p->data.ptr, p->data.len); }
ol_str ol_gguf_next_string(ol_bytes *r);

/* "Q4_0"; NULL for numbers that stand for nothing known. */
const char *ol_gguf_type_name(uint32_t type);
bool ol_gguf_type_size(uint32_t type, uint32_t *block, uint32_t *bytes);

#endif
