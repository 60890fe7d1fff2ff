/* SPDX-License-Identifier: Apache-2.0 */
/* A pickle machine that can build tensors and nothing else. It knows the opcodes that state dicts need and a closed
 * table of globals, each of which makes a plain value here; nothing of a pickle is ever executed. Any other opcode or
 * global is refused by name. Work and memory are bounded by the bytes of the pickle, values never nest on the C stack. */
#ifndef OL_FORMATS_PYTORCH_PICKLE_H
#define OL_FORMATS_PYTORCH_PICKLE_H

#include "base/arena.h"
#include "base/bytes.h"
#include "tensor/tensor.h"

typedef enum ol_pk_kind {
    OL_PK_NONE,
    OL_PK_BOOL,
    OL_PK_INT,
    OL_PK_FLOAT,
    OL_PK_TEXT, /* also bytes, and integers of more than 64 bits as their little-endian bytes */
    OL_PK_TUPLE,
    OL_PK_LIST,
    OL_PK_DICT, /* items: key, value, key, value, ... */
    OL_PK_GLOBAL,
    OL_PK_STORAGE,
    OL_PK_TENSOR,
    OL_PK_OPAQUE /* torch.device and the like: present, but of no interest */
} ol_pk_kind;

typedef struct ol_pk_value ol_pk_value;

typedef struct ol_pk_seq {
    ol_pk_value **items;
    size_t n, cap;
} ol_pk_seq;

/* A run of bytes in the file, named by a key, that tensors are views of. */
typedef struct ol_pk_storage {
    ol_str key;
    ol_dtype dtype; /* NONE: untyped, counted in bytes */
    uint64_t numel;
} ol_pk_storage;

typedef struct ol_pk_tensor {
    const ol_pk_storage *storage;
    ol_dtype dtype;
    uint64_t offset; /* elements */
    int rank;
    int64_t dims[OL_MAX_RANK], strides[OL_MAX_RANK]; /* strides in elements */
} ol_pk_tensor;

struct ol_pk_value {
    ol_pk_kind kind;
    union {
        bool b;
        int64_t i;
        double f;
        ol_str text;
        ol_pk_seq seq;
        const struct ol_pk_global *global;
        ol_pk_storage *storage;
        ol_pk_tensor *tensor;
    };
};

/* Reads one pickle at r and moves r behind it. Values lie in the arena; texts point into the bytes, or into the arena. */
OLV_MUST_USE olv_status ol_pk_read(ol_bytes *r, ol_arena *arena, ol_pk_value **out, olv_error *err);
/* Value under a text key of a dict; NULL when absent or no dict. */
const ol_pk_value *ol_pk_get(const ol_pk_value *dict, const char *key);

#endif
