/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"
#include "base/str.h"
#include "compress/table.h"
#include <math.h>
#include <strings.h>

static const char *const names[OLV_N_WEIGHT_TYPES] = {
#define NAME(name, text) text,
    OLV_WEIGHT_TYPES(NAME)
#undef NAME
};

void olv_compress_params_init(olv_compress_params *p) {
    const olv_weight_spec int8 = {.type = OLV_WEIGHT_INT8_SYM, .group_size = -1, .rounding = OLV_ROUND_SEARCH, .scale = OLV_SCALE_F16};
    *p = (olv_compress_params){
        .struct_size = sizeof *p,
        .weights = {.type = OLV_WEIGHT_INT4_SYM, .group_size = 32, .rounding = OLV_ROUND_SEARCH, .scale = OLV_SCALE_F16},
        .embeddings = int8,
        .head = int8,
        .min_elements = 1024,
        .ratio = 1,
        .backup = {.type = OLV_WEIGHT_INT8_ASYM, .group_size = -1, .rounding = OLV_ROUND_SEARCH, .scale = OLV_SCALE_F16},
    };
}

static const struct {
    const char *name;
    olv_weight_type type;
} aliases[] = {{"int4", OLV_WEIGHT_INT4_SYM}, {"int8", OLV_WEIGHT_INT8_SYM}, {"none", OLV_WEIGHT_KEEP}, {"fp16", OLV_WEIGHT_F16},
               {"float16", OLV_WEIGHT_F16}, {"bfloat16", OLV_WEIGHT_BF16}, {"i8", OLV_WEIGHT_INT8_SYM}, {"u8", OLV_WEIGHT_INT8_ASYM},
               {"i4", OLV_WEIGHT_INT4_SYM}, {"u4", OLV_WEIGHT_INT4_ASYM}, {"int2", OLV_WEIGHT_INT2_SYM}, {"int3", OLV_WEIGHT_INT3_SYM},
               {"e2m1", OLV_WEIGHT_MXFP4}, {"mxfp8", OLV_WEIGHT_MXFP8_E4M3}, {"fp8", OLV_WEIGHT_FP8_E4M3}, {"f8e4m3", OLV_WEIGHT_FP8_E4M3},
               {"f4e2m1", OLV_WEIGHT_FP4}, {"cb4_f8e4m3", OLV_WEIGHT_CB4}};

olv_status olv_weight_type_parse(const char *name, olv_weight_type *out, olv_error *err) {
    ol_buf all = OL_BUF_INIT;
    for (size_t i = 0; i < sizeof aliases / sizeof aliases[0]; i++)
        if (!strcasecmp(name, aliases[i].name)) return *out = aliases[i].type, OLV_OK;
    for (int i = 0; i < OLV_N_WEIGHT_TYPES; i++)
        if (!strcasecmp(names[i], name)) return *out = (olv_weight_type)i, OLV_OK;
    for (int i = 0; i < OLV_N_WEIGHT_TYPES; i++) ol_buf_printf(&all, "%s%s", i ? ", " : "", names[i]);
    const char *near = ol_nearest(name, names, OLV_N_WEIGHT_TYPES);
    olv_status s = ol_fail(err, OLV_ARG, "weight type '%.60s' found, one of %s expected%s%s%s", name, all.data ? all.data : "",
                           near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
    ol_buf_deinit(&all);
    return s;
}

const char *olv_weight_type_name(olv_weight_type t) { return (unsigned)t < OLV_N_WEIGHT_TYPES ? names[t] : "?"; }

int ol_weight_bits(olv_weight_type t) {
    switch (t) {
    case OLV_WEIGHT_KEEP:
    case OLV_WEIGHT_F16:
    case OLV_WEIGHT_BF16: return 0;
    case OLV_WEIGHT_INT8_SYM:
    case OLV_WEIGHT_INT8_ASYM:
    case OLV_WEIGHT_MXFP8_E4M3:
    case OLV_WEIGHT_FP8_E4M3: return 8;
    case OLV_WEIGHT_INT3_SYM: return 3;
    case OLV_WEIGHT_INT2_SYM: return 2;
    default: return 4;
    }
}

bool ol_weight_asym(olv_weight_type t) { return t == OLV_WEIGHT_INT8_ASYM || t == OLV_WEIGHT_INT4_ASYM; }

static olv_status check_codebook(const olv_weight_spec *s, olv_error *err) {
    if (!s->codebook || s->n_codebook < 2 || s->n_codebook > OL_TABLE_MAX)
        return ol_fail(err, OLV_ARG, "a codebook of %d values found, 2 to %d expected", s->codebook ? (int)s->n_codebook : 0, OL_TABLE_MAX);
    for (int i = 0; i < s->n_codebook; i++)
        if (!isfinite(s->codebook[i]) || (i && s->codebook[i] <= s->codebook[i - 1]))
            return ol_fail(err, OLV_ARG, "value %d of the codebook is %g, ascending finite values expected", i, (double)s->codebook[i]);
    return OLV_OK;
}

int32_t olv_weight_type_group(olv_weight_type t) {
    switch (t) {
    case OLV_WEIGHT_NVFP4: return 16;
    case OLV_WEIGHT_MXFP4:
    case OLV_WEIGHT_MXFP8_E4M3: return 32;
    case OLV_WEIGHT_INT4_SYM:
    case OLV_WEIGHT_INT4_ASYM:
    case OLV_WEIGHT_NF4:
    case OLV_WEIGHT_FP4:
    case OLV_WEIGHT_FP8_E4M3: return 128;
    default: return -1;
    }
}

olv_status olv_weight_spec_check(const olv_weight_spec *s, olv_error *err) {
    if ((unsigned)s->type >= OLV_N_WEIGHT_TYPES) return ol_fail(err, OLV_ARG, "unknown weight type %d", (int)s->type);
    if (ol_weight_bits(s->type) == 0) return OLV_OK;
    if (s->group_size != -1 && (s->group_size < 16 || s->group_size > 256 || s->group_size % 16))
        return ol_fail(err, OLV_ARG, "group size %d found, a multiple of 16 from 16 to 256, or -1 for whole rows, expected",
                       (int)s->group_size);
    if ((unsigned)s->rounding > OLV_ROUND_ORT || (unsigned)s->scale > OLV_SCALE_F32)
        return ol_fail(err, OLV_ARG, "unknown rounding or scale type");
    if (s->rounding == OLV_ROUND_ORT && (ol_weight_is_table(s->type) || ol_weight_bits(s->type) < 4))
        return ol_fail(err, OLV_ARG, "rounding ort is defined for integers of 4 and 8 bits, not for %s", olv_weight_type_name(s->type));
    int32_t fixed = s->type == OLV_WEIGHT_NVFP4 ? 16 : s->type == OLV_WEIGHT_MXFP4 || s->type == OLV_WEIGHT_MXFP8_E4M3 ? 32 : 0;
    if (fixed && s->group_size != fixed)
        return ol_fail(err, OLV_ARG, "group size %d found, %s has groups of %d", (int)s->group_size, olv_weight_type_name(s->type), (int)fixed);
    return s->type == OLV_WEIGHT_CODEBOOK ? check_codebook(s, err) : OLV_OK;
}
