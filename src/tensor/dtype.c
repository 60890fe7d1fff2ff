/* SPDX-License-Identifier: Apache-2.0 */
#include "tensor/dtype.h"
#include <limits.h>
#include <math.h>
#include <string.h>

typedef struct dtype_row {
    int bits, onnx;
    const char *safetensors, *name;
    char cls;
} dtype_row;

static const dtype_row rows[OL_N_DTYPES] = {
    [OL_DTYPE_NONE] = {0, 0, NULL, "?", '?'},
#define ROW(NAME, bits, onnx, st, text, cls) [OL_##NAME] = {bits, onnx, st, text, cls},
    OL_DTYPES(ROW)
#undef ROW
};

static const dtype_row *row_of(ol_dtype t) {
    return (unsigned)t < OL_N_DTYPES ? &rows[t] : &rows[OL_DTYPE_NONE];
}

int ol_dtype_bits(ol_dtype t) { return row_of(t)->bits; }
const char *ol_dtype_name(ol_dtype t) { return row_of(t)->name; }
char ol_dtype_class(ol_dtype t) { return row_of(t)->cls; }
int ol_dtype_onnx(ol_dtype t) { return row_of(t)->onnx; }

ol_dtype ol_dtype_from_onnx(int64_t code) {
    for (int t = 1; t < OL_N_DTYPES; t++)
        if (rows[t].onnx == code) return (ol_dtype)t;
    return OL_DTYPE_NONE;
}

ol_dtype ol_dtype_from_safetensors(const char *name) {
    for (int t = 1; t < OL_N_DTYPES; t++)
        if (rows[t].safetensors && strcmp(rows[t].safetensors, name) == 0) return (ol_dtype)t;
    return OL_DTYPE_NONE;
}

ol_dtype ol_dtype_from_name(const char *name) {
    for (int t = 1; t < OL_N_DTYPES; t++)
        if (strcmp(rows[t].name, name) == 0) return (ol_dtype)t;
    return OL_DTYPE_NONE;
}

bool ol_dtype_bytes(ol_dtype t, uint64_t n, size_t *bytes) {
    uint64_t bits = (uint64_t)ol_dtype_bits(t), whole, size;
    /* n = 8 * whole + rest, so that the bits of the whole part are a byte count without a division. */
    if (__builtin_mul_overflow(n / 8, bits, &whole)) return false;
    if (__builtin_add_overflow(whole, (n % 8 * bits + 7) / 8, &size)) return false;
    if (size > SIZE_MAX) return false;
    *bytes = (size_t)size;
    return true;
}

static uint32_t f32_bits(float f) {
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    return u;
}

static float f32_of_bits(uint32_t u) {
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

/* Without branches, so that loops over it vectorize. A subnormal is its mantissa times 2^-24; otherwise the exponent
 * is rebiased, twice for infinities and NaNs, whose exponent must become all ones. */
static inline float f16_to_f32(uint16_t h) {
    uint32_t em = h & 0x7fffu;
    uint32_t normal = (em << 13) + (112u << 23) + (em >= 0x7c00u ? 112u << 23 : 0u);
    uint32_t sub = f32_bits((float)(int32_t)em * 0x1p-24f);
    uint32_t bits = em < 0x400u ? sub : normal;
    return f32_of_bits(bits | (uint32_t)(h & 0x8000u) << 16);
}

float ol_f16_to_f32(uint16_t h) { return f16_to_f32(h); }

/* Rounds to nearest even. Normal results: drop 13 mantissa bits with the usual rounding increment. Subnormal results:
 * adding 0.5 puts the unit 2^-24 at the last place of the sum, so the addition itself rounds. */
static inline uint16_t f32_to_f16(float f) {
    uint32_t u = f32_bits(f), a = u & 0x7fffffffu;
    uint32_t normal = (a - (112u << 23) + 0xfffu + (a >> 13 & 1u)) >> 13;
    uint32_t sub = f32_bits(f32_of_bits(a < (113u << 23) ? a : 0u) + 0.5f) - 0x3f000000u;
    uint32_t h = a < (113u << 23) ? sub : normal;
    h = a >= 0x477ff000u ? 0x7c00u : h;                          /* 65520 and above */
    h = a > 0x7f800000u ? 0x7e00u | (a >> 13 & 0x1ffu) : h; /* NaN, quiet */
    return (uint16_t)(h | (u >> 16 & 0x8000u));
}

uint16_t ol_f32_to_f16(float f) { return f32_to_f16(f); }

static inline uint16_t f32_to_bf16(float f) {
    uint32_t u = f32_bits(f);
    uint32_t r = (u + 0x7fffu + (u >> 16 & 1u)) >> 16;
    return (uint16_t)((u & 0x7fffffffu) > 0x7f800000u ? u >> 16 | 0x40u : r);
}

uint16_t ol_f32_to_bf16(float f) { return f32_to_bf16(f); }

/* A small float format: 1 sign bit, exponent bits with bias, mantissa bits. `top` is the largest finite code;
 * `nan` the code of NaN (-1: none), `inf` that of infinity (-1: none, saturates to top). `unsigned_zero`: the
 * code of minus zero means NaN, so zero has no sign. */
typedef struct small_float {
    int mant, bias;
    int top, nan, inf, sign;
    bool unsigned_zero;
} small_float;

static const small_float fmt_e4m3 = {3, 7, 0x7e, 0x7f, -1, 0x80, false};
static const small_float fmt_e4m3fnuz = {3, 8, 0x7f, 0x80, -1, 0x80, true};
static const small_float fmt_e5m2 = {2, 15, 0x7b, 0x7f, 0x7c, 0x80, false};
static const small_float fmt_e5m2fnuz = {2, 16, 0x7f, 0x80, -1, 0x80, true};
static const small_float fmt_e2m1 = {1, 1, 0x7, -1, -1, 0x8, false};
static const small_float fmt_f16 = {10, 15, 0x7bff, 0x7e00, 0x7c00, 0x8000, false};
static const small_float fmt_bf16 = {7, 127, 0x7f7f, 0x7fc0, 0x7f80, 0x8000, false};

static const small_float *small_of(ol_dtype t) {
    switch (t) {
    case OL_F8E4M3: return &fmt_e4m3;
    case OL_F8E4M3FNUZ: return &fmt_e4m3fnuz;
    case OL_F8E5M2: return &fmt_e5m2;
    case OL_F8E5M2FNUZ: return &fmt_e5m2fnuz;
    case OL_F4E2M1: return &fmt_e2m1;
    case OL_F16: return &fmt_f16;
    case OL_BF16: return &fmt_bf16;
    default: return NULL;
    }
}

static double small_decode(const small_float *s, int code) {
    int mag = code & (s->sign - 1);
    if (s->unsigned_zero ? code == s->nan : mag > s->top && mag != s->inf) return (double)NAN;
    double v;
    if (mag == s->inf)
        v = (double)INFINITY;
    else if (mag >> s->mant == 0)
        v = ldexp(mag, 1 - s->bias - s->mant);
    else
        v = ldexp((mag & ((1 << s->mant) - 1)) + (1 << s->mant), (mag >> s->mant) - s->bias - s->mant);
    return code & s->sign ? -v : v;
}

/* Nearest even. `saturate`: what lies above the top becomes the top (f8, f4); otherwise infinity (f16, bf16). */
static int small_encode(const small_float *s, double v, bool saturate) {
    int sign = signbit(v) ? s->sign : 0;
    if (isnan(v)) return s->nan < 0 ? 0 : s->unsigned_zero ? s->nan : s->nan | sign;
    double a = fabs(v);
    int exp, least = 1 - s->bias; /* value = m * 2^exp, m in [1, 2); `least`: of the smallest normal */
    if (isinf(a)) return sign | (saturate || s->inf < 0 ? s->top : s->inf);
    frexp(a, &exp);
    exp = a == 0 || exp - 1 < least ? least : exp - 1;
    double units = ldexp(a, s->mant - exp); /* exact: scaling by a power of two, no underflow that matters */
    double code = nearbyint(units) + (double)(exp - least) * (double)(1 << s->mant);
    int mag = code > s->top ? (saturate || s->inf < 0 ? s->top : s->inf) : (int)code;
    return mag == 0 && s->unsigned_zero ? 0 : mag | sign;
}

static double e8m0_decode(uint8_t b) { return b == 255 ? (double)NAN : ldexp(1.0, b - 127); }

/* Rounds the magnitude up to a power of two, as ONNX Cast does by default. */
static uint8_t e8m0_encode(double v) {
    int exp;
    double a = fabs(v);
    if (!isfinite(a)) return 255;
    if (a == 0) return 0;
    double m = frexp(a, &exp);
    exp = m == 0.5 ? exp - 1 : exp; /* the power of two itself, or the next one */
    exp += 127;
    return (uint8_t)(exp < 0 ? 0 : exp > 254 ? 254 : exp);
}

static int packed_get(const uint8_t *p, uint64_t i, int bits) {
    unsigned per = 8u / (unsigned)bits;
    return p[i / per] >> (i % per * (unsigned)bits) & ((1 << bits) - 1);
}

static void packed_set(uint8_t *p, uint64_t i, int bits, int v) {
    unsigned per = 8u / (unsigned)bits, shift = (unsigned)(i % per) * (unsigned)bits;
    unsigned mask = ((1u << bits) - 1u) << shift;
    p[i / per] = (uint8_t)((p[i / per] & ~mask) | ((unsigned)v << shift & mask));
}

/* The value of an element of 8 bits. */
static double byte_get(ol_dtype t, uint8_t code) {
    switch (t) {
    case OL_I8: return (int8_t)code;
    case OL_U8: return code;
    case OL_BOOL: return code != 0;
    case OL_F8E8M0: return e8m0_decode(code);
    default: return small_decode(small_of(t), code);
    }
}

#define LOAD(type, base, i)                                                                        \
    type v_;                                                                                       \
    memcpy(&v_, (const uint8_t *)(base) + (i) * sizeof v_, sizeof v_)
#define GET(NAME, type)                                                                            \
    case OL_##NAME: {                                                                              \
        LOAD(type, base, index);                                                                   \
        return (double)v_;                                                                         \
    }

double ol_elem_get(ol_dtype t, const void *base, uint64_t index) {
    const uint8_t *p = base;
    switch (t) {
        GET(F32, float)
        GET(F64, double)
        GET(I64, int64_t)
        GET(I32, int32_t)
        GET(I16, int16_t)
        GET(U64, uint64_t)
        GET(U32, uint32_t)
        GET(U16, uint16_t)
    case OL_F16: {
        LOAD(uint16_t, base, index);
        return (double)f16_to_f32(v_);
    }
    case OL_BF16: {
        LOAD(uint16_t, base, index);
        return (double)ol_bf16_to_f32(v_);
    }
    case OL_C64: {
        LOAD(float, base, 2 * index);
        return (double)v_;
    }
    case OL_C128: {
        LOAD(double, base, 2 * index);
        return v_;
    }
    case OL_I4: return (packed_get(p, index, 4) ^ 8) - 8;
    case OL_U4: return packed_get(p, index, 4);
    case OL_I2: return (packed_get(p, index, 2) ^ 2) - 2;
    case OL_U2: return packed_get(p, index, 2);
    case OL_F4E2M1: return small_decode(&fmt_e2m1, packed_get(p, index, 4));
    case OL_I8:
    case OL_U8:
    case OL_BOOL:
    case OL_F8E8M0:
    case OL_F8E4M3:
    case OL_F8E4M3FNUZ:
    case OL_F8E5M2:
    case OL_F8E5M2FNUZ: return byte_get(t, p[index]);
    case OL_STRING:
    case OL_DTYPE_NONE:
    case OL_N_DTYPES: break;
    }
    return 0;
}

/* Integer from a double: NaN gives 0, out of range the nearest bound. */
static int64_t clamp_i64(double v, double lo, double hi) {
    if (isnan(v)) return 0;
    if (v <= lo) return lo <= -0x1p63 ? INT64_MIN : (int64_t)lo;
    if (v >= hi) return hi >= 0x1p63 ? INT64_MAX : (int64_t)hi;
    return (int64_t)v;
}

static uint64_t clamp_u64(double v) {
    if (!(v > 0)) return 0;
    return v >= 0x1p64 ? UINT64_MAX : (uint64_t)v;
}

#define STORE(type, value)                                                                         \
    do {                                                                                           \
        type v_ = (type)(value);                                                                   \
        memcpy((uint8_t *)base + index * sizeof v_, &v_, sizeof v_);                               \
    } while (0)

/* Bytes and wider integers drop the fraction as Cast does; the packed types go to the nearest value. */
void ol_elem_set(ol_dtype t, void *base, uint64_t index, double value) {
    uint8_t *p = base;
    switch (t) {
    case OL_F32: STORE(float, value); break;
    case OL_F64: STORE(double, value); break;
    case OL_I64: STORE(int64_t, clamp_i64(value, -0x1p63, 0x1p63)); break;
    case OL_I32: STORE(int32_t, clamp_i64(value, INT32_MIN, INT32_MAX)); break;
    case OL_I16: STORE(int16_t, clamp_i64(value, INT16_MIN, INT16_MAX)); break;
    case OL_I8: p[index] = (uint8_t)clamp_i64(value, -128, 127); break;
    case OL_U64: STORE(uint64_t, clamp_u64(value)); break;
    case OL_U32: STORE(uint32_t, clamp_i64(value, 0, UINT32_MAX)); break;
    case OL_U16: STORE(uint16_t, clamp_i64(value, 0, UINT16_MAX)); break;
    case OL_U8: p[index] = (uint8_t)clamp_i64(value, 0, 255); break;
    case OL_BOOL: p[index] = value != 0; break;
    case OL_I4: packed_set(p, index, 4, (int)clamp_i64(nearbyint(value), -8, 7)); break;
    case OL_U4: packed_set(p, index, 4, (int)clamp_i64(nearbyint(value), 0, 15)); break;
    case OL_I2: packed_set(p, index, 2, (int)clamp_i64(nearbyint(value), -2, 1)); break;
    case OL_U2: packed_set(p, index, 2, (int)clamp_i64(nearbyint(value), 0, 3)); break;
    case OL_F16:
    case OL_BF16: STORE(uint16_t, small_encode(small_of(t), value, false)); break;
    case OL_F4E2M1: packed_set(p, index, 4, small_encode(&fmt_e2m1, value, true)); break;
    case OL_F8E8M0: p[index] = e8m0_encode(value); break;
    case OL_F8E4M3:
    case OL_F8E4M3FNUZ:
    case OL_F8E5M2:
    case OL_F8E5M2FNUZ: p[index] = (uint8_t)small_encode(small_of(t), value, true); break;
    case OL_C64: {
        float c[2] = {(float)value, 0};
        memcpy(p + index * sizeof c, c, sizeof c);
        break;
    }
    case OL_C128: {
        double c[2] = {value, 0};
        memcpy(p + index * sizeof c, c, sizeof c);
        break;
    }
    case OL_STRING:
    case OL_DTYPE_NONE:
    case OL_N_DTYPES: break;
    }
}

/* 8-bit types of many elements go through a table of their 256 values. */
static void bytes_to_f32(ol_dtype t, const uint8_t *p, uint64_t n, float *out) {
    float table[256];
    for (int i = 0; i < 256; i++) table[i] = (float)byte_get(t, (uint8_t)i);
    for (uint64_t i = 0; i < n; i++) out[i] = table[p[i]];
}

void ol_elems_to_f32(ol_dtype t, const void *base, uint64_t first, uint64_t n, float *restrict out) {
    const uint8_t *p = base;
    switch (t) {
    case OL_F32: memcpy(out, p + first * 4, n * 4); return;
    case OL_F16:
        for (uint64_t i = 0; i < n; i++) {
            LOAD(uint16_t, p, first + i);
            out[i] = f16_to_f32(v_);
        }
        return;
    case OL_BF16:
        for (uint64_t i = 0; i < n; i++) {
            LOAD(uint16_t, p, first + i);
            out[i] = ol_bf16_to_f32(v_);
        }
        return;
    case OL_I8:
        for (uint64_t i = 0; i < n; i++) out[i] = (float)(int8_t)p[first + i];
        return;
    case OL_U8:
        for (uint64_t i = 0; i < n; i++) out[i] = (float)p[first + i];
        return;
    default: break;
    }
    if (ol_dtype_bits(t) == 8 && n > 512) {
        bytes_to_f32(t, p + first, n, out);
        return;
    }
    for (uint64_t i = 0; i < n; i++) out[i] = (float)ol_elem_get(t, base, first + i);
}

void ol_elems_from_f32(ol_dtype t, const float *restrict in, uint64_t n, void *base, uint64_t first) {
    uint8_t *p = base;
    switch (t) {
    case OL_F32: memcpy(p + first * 4, in, n * 4); return;
    case OL_F16:
        for (uint64_t i = 0; i < n; i++) {
            uint16_t h = f32_to_f16(in[i]);
            memcpy(p + (first + i) * 2, &h, 2);
        }
        return;
    case OL_BF16:
        for (uint64_t i = 0; i < n; i++) {
            uint16_t h = f32_to_bf16(in[i]);
            memcpy(p + (first + i) * 2, &h, 2);
        }
        return;
    default:
        for (uint64_t i = 0; i < n; i++) ol_elem_set(t, base, first + i, (double)in[i]);
    }
}
