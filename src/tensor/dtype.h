/* SPDX-License-Identifier: Apache-2.0 */
/* Element types. One list gives the enum, the names and the codes of the formats. */
#ifndef OL_TENSOR_DTYPE_H
#define OL_TENSOR_DTYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* X(NAME, bits, ONNX code, safetensors name, text name, class) with class f float, s signed, u unsigned, b bool, z
 * string, c complex */
#define OL_DTYPES(X)                                                                               \
    X(F32, 32, 1, "F32", "f32", 'f') X(F64, 64, 11, "F64", "f64", 'f') X(F16, 16, 10, "F16", "f16", 'f')           \
    X(BF16, 16, 16, "BF16", "bf16", 'f') X(F8E4M3, 8, 17, "F8_E4M3", "f8e4m3fn", 'f')                           \
    X(F8E4M3FNUZ, 8, 18, "F8_E4M3FNUZ", "f8e4m3fnuz", 'f') X(F8E5M2, 8, 19, "F8_E5M2", "f8e5m2", 'f')          \
    X(F8E5M2FNUZ, 8, 20, "F8_E5M2FNUZ", "f8e5m2fnuz", 'f') X(F8E8M0, 8, 24, "F8_E8M0", "f8e8m0", 'f')          \
    X(F4E2M1, 4, 23, "F4", "f4e2m1", 'f') X(I64, 64, 7, "I64", "i64", 's') X(I32, 32, 6, "I32", "i32", 's')       \
    X(I16, 16, 5, "I16", "i16", 's') X(I8, 8, 3, "I8", "i8", 's') X(I4, 4, 22, NULL, "i4", 's')                   \
    X(I2, 2, 26, NULL, "i2", 's') X(U64, 64, 13, "U64", "u64", 'u') X(U32, 32, 12, "U32", "u32", 'u')             \
    X(U16, 16, 4, "U16", "u16", 'u') X(U8, 8, 2, "U8", "u8", 'u') X(U4, 4, 21, NULL, "u4", 'u')                   \
    X(U2, 2, 25, NULL, "u2", 'u') X(BOOL, 8, 9, "BOOL", "bool", 'b') X(STRING, 128, 8, NULL, "string", 'z')       \
    X(C64, 64, 14, "C64", "c64", 'c') X(C128, 128, 15, NULL, "c128", 'c')

typedef enum ol_dtype {
    OL_DTYPE_NONE,
#define OL_DTYPE_ENUM_(name, bits, onnx, st, text, cls) OL_##name,
    OL_DTYPES(OL_DTYPE_ENUM_)
#undef OL_DTYPE_ENUM_
        OL_N_DTYPES
} ol_dtype;

int ol_dtype_bits(ol_dtype t);         /* 4-bit types are packed two per byte, low nibble first */
const char *ol_dtype_name(ol_dtype t); /* "f32"; "?" for NONE */
char ol_dtype_class(ol_dtype t);
int ol_dtype_onnx(ol_dtype t);
ol_dtype ol_dtype_from_onnx(int64_t code);           /* NONE when unknown */
ol_dtype ol_dtype_from_safetensors(const char *name); /* NONE when unknown */
ol_dtype ol_dtype_from_name(const char *name);
/* Bytes of n elements (sub-byte types rounded up to whole bytes); false on overflow. */
bool ol_dtype_bytes(ol_dtype t, uint64_t n, size_t *bytes);

/* Conversions of single values; round to nearest even. Saturation of f8 as ONNX Cast with saturate=1. */
float ol_f16_to_f32(uint16_t h);
uint16_t ol_f32_to_f16(float f);
static inline float ol_bf16_to_f32(uint16_t h) {
    union {
        uint32_t u;
        float f;
    } v = {(uint32_t)h << 16};
    return v.f;
}
uint16_t ol_f32_to_bf16(float f);
/* The whole part, saturated; 0 for NaN. */
static inline int64_t ol_f64_to_i64(double v) {
    return v != v ? 0 : v >= 0x1p63 ? INT64_MAX : v <= -0x1p63 ? INT64_MIN : (int64_t)v;
}
/* Any numeric element (packed types by index) as f64, and back (rounded and saturated as ONNX Cast does). */
double ol_elem_get(ol_dtype t, const void *base, uint64_t index);
void ol_elem_set(ol_dtype t, void *base, uint64_t index, double value);
/* n elements starting at element `first` as f32. Fast for f32, f16, bf16; right for all numeric types. */
void ol_elems_to_f32(ol_dtype t, const void *base, uint64_t first, uint64_t n, float *out);
void ol_elems_from_f32(ol_dtype t, const float *in, uint64_t n, void *base, uint64_t first);

#endif
