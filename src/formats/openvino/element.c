/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/openvino/element.h"
#include <strings.h>

static const ol_ir_element table[] = {
    {"dynamic", "UNSPECIFIED", 0, OL_DTYPE_NONE},
    {"f32", "FP32", 32, OL_F32},
    {"f16", "FP16", 16, OL_F16},
    {"bf16", "BF16", 16, OL_BF16},
    {"f64", "FP64", 64, OL_F64},
    {"i64", "I64", 64, OL_I64},
    {"i32", "I32", 32, OL_I32},
    {"i16", "I16", 16, OL_I16},
    {"i8", "I8", 8, OL_I8},
    {"i4", "I4", 4, OL_I4},
    {"u64", "U64", 64, OL_U64},
    {"u32", "U32", 32, OL_U32},
    {"u16", "U16", 16, OL_U16},
    {"u8", "U8", 8, OL_U8},
    {"u6", "U6", 6, OL_DTYPE_NONE},
    {"u4", "U4", 4, OL_U4},
    {"u3", "U3", 3, OL_DTYPE_NONE},
    {"u2", "U2", 2, OL_U2},
    {"u1", "BIN", 1, OL_DTYPE_NONE},
    {"boolean", "BOOL", 8, OL_BOOL},
    {"nf4", "NF4", 4, OL_DTYPE_NONE},
    {"f8e4m3", "F8E4M3", 8, OL_F8E4M3},
    {"f8e5m2", "F8E5M2", 8, OL_F8E5M2},
    {"f4e2m1", "F4E2M1", 4, OL_F4E2M1},
    {"f8e8m0", "F8E8M0", 8, OL_F8E8M0},
    {"string", "STRING", 0, OL_STRING},
};

const ol_ir_element *ol_ir_element_of(ol_dtype t) {
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (t != OL_DTYPE_NONE && table[i].dtype == t) return &table[i];
    return &table[0];
}

const ol_ir_element *ol_ir_element_named(const char *name) {
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (!strcasecmp(table[i].name, name) || !strcasecmp(table[i].precision, name)) return &table[i];
    return NULL;
}
