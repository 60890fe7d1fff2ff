/* SPDX-License-Identifier: Apache-2.0 */
/* Values that go into and come out of a model: tensors, and the sequences and optionals of ONNX.
 *
 * A tensor is dense and row-major. Types of less than a byte are packed, low bits first. Strings are UTF-8 of any bytes.
 * Thread rule: a value may be read by several threads at once, changed by one. */
#ifndef OLIVINE_TENSOR_H
#define OLIVINE_TENSOR_H

#include <olivine/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define OLV_MAX_RANK 16

/* Element types, with the codes of ONNX's TensorProto. */
typedef enum olv_dtype {
    OLV_DTYPE_NONE = 0,
    OLV_F32 = 1, OLV_U8 = 2, OLV_I8 = 3, OLV_U16 = 4, OLV_I16 = 5, OLV_I32 = 6, OLV_I64 = 7, OLV_STRING = 8, OLV_BOOL = 9,
    OLV_F16 = 10, OLV_F64 = 11, OLV_U32 = 12, OLV_U64 = 13, OLV_C64 = 14, OLV_C128 = 15, OLV_BF16 = 16, OLV_F8E4M3FN = 17,
    OLV_F8E4M3FNUZ = 18, OLV_F8E5M2 = 19, OLV_F8E5M2FNUZ = 20, OLV_U4 = 21, OLV_I4 = 22, OLV_F4E2M1 = 23, OLV_F8E8M0 = 24,
    OLV_U2 = 25, OLV_I2 = 26
} olv_dtype;
OLV_API const char *olv_dtype_name(olv_dtype t); /* "f32"; "?" when there is no such type */

typedef enum olv_kind { OLV_KIND_TENSOR, OLV_KIND_SEQUENCE, OLV_KIND_OPTIONAL } olv_kind;

typedef struct olv_tensor olv_tensor;

/* A tensor of its own zeroed memory; one around data of the caller's, which must outlive it (`bytes` must be what type and
 * shape need); one of strings, which are copied. */
OLV_API OLV_MUST_USE olv_status olv_tensor_create(olv_dtype dtype, int rank, const int64_t *dims, olv_tensor **out, olv_error *err);
OLV_API OLV_MUST_USE olv_status olv_tensor_wrap(olv_dtype dtype, int rank, const int64_t *dims, void *data, size_t bytes,
                                                olv_tensor **out, olv_error *err);
OLV_API OLV_MUST_USE olv_status olv_tensor_create_strings(int rank, const int64_t *dims, const char *const *strings,
                                                          const size_t *lengths /* NULL: NUL-terminated */, olv_tensor **out,
                                                          olv_error *err);
OLV_API OLV_MUST_USE olv_status olv_tensor_copy(const olv_tensor *t, olv_tensor **out, olv_error *err);
OLV_API void olv_tensor_destroy(olv_tensor *t);

OLV_API olv_kind olv_tensor_get_kind(const olv_tensor *t);
/* Of tensors; rank 0 is a scalar. */
OLV_API olv_dtype olv_tensor_get_dtype(const olv_tensor *t);
OLV_API int olv_tensor_get_rank(const olv_tensor *t);
OLV_API const int64_t *olv_tensor_get_dims(const olv_tensor *t);
OLV_API int64_t olv_tensor_get_count(const olv_tensor *t); /* elements */
OLV_API void *olv_tensor_get_data(const olv_tensor *t);    /* NULL for strings */
OLV_API size_t olv_tensor_get_bytes(const olv_tensor *t);
/* Element i of a tensor of strings, borrowed, not NUL-terminated. */
OLV_API const char *olv_tensor_get_string(const olv_tensor *t, int64_t i, size_t *length);
/* An optional that holds something answers like what it holds. */
OLV_API bool olv_tensor_is_present(const olv_tensor *t);
/* Items of a sequence. Borrowed. */
OLV_API size_t olv_tensor_n_items(const olv_tensor *t);
OLV_API const olv_tensor *olv_tensor_get_item(const olv_tensor *t, size_t i);

/* Sizes from `least` to `most`; most -1: without end. */
typedef struct olv_range {
    int64_t least, most;
} olv_range;

/* What an input or output of a model is. dims: -1 where a size is not fixed; rank -1: not known. */
typedef struct olv_port {
    const char *name; /* lives as long as the model */
    olv_kind kind;
    olv_dtype dtype; /* NONE: not known, or any */
    int rank;
    int64_t dims[OLV_MAX_RANK];
    bool has_default; /* may be left out */
    olv_range ranges[OLV_MAX_RANK]; /* of inputs: sizes that it takes */
} olv_port;

/* Reads a value from a file, by its content: .npy; a serialized TensorProto, SequenceProto or OptionalProto; a PNG or JPEG
 * picture; JSON (nested arrays). `like` (may be NULL, but for protobuf of sequences) says what is expected: pictures are
 * brought to its shape [..,C,H,W] or [..,H,W,C] and type (0..255 for integers, 0..1 for floats), JSON numbers to its type. */
OLV_API OLV_MUST_USE olv_status olv_tensor_read(const char *path, const olv_port *like, olv_tensor **out, olv_error *err);
/* Names and versions of the libraries that read pictures; NULL: built without. */
OLV_API const char *olv_picture_libraries(void);
/* Writes a file that appears complete or not at all. format: "npy" (tensors alone; what NumPy has no type for as f32),
 * "pb" or "json". */
OLV_API OLV_MUST_USE olv_status olv_tensor_write(const olv_tensor *t, const char *path, const char *format, olv_error *err);

#ifdef __cplusplus
}
#endif
#endif
