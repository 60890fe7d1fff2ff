/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"
#include "base/str.h"
#include "compress/round.h"

static const char *const names[OLV_N_WEIGHT_TYPES] = {
#define NAME(name, text) text,
    OLV_WEIGHT_TYPES(NAME)
#undef NAME
};

void olv_compress_params_init(olv_compress_params *p) {
    const olv_weight_spec int8 = {OLV_WEIGHT_INT8_SYM, -1, OLV_ROUND_SEARCH, OLV_SCALE_F16};
    *p = (olv_compress_params){
        .struct_size = sizeof *p,
        .weights = {OLV_WEIGHT_INT4_SYM, 32, OLV_ROUND_SEARCH, OLV_SCALE_F16},
        .embeddings = int8,
        .head = int8,
        .min_elements = 1024,
        .ratio = 1,
        .backup = {OLV_WEIGHT_INT8_ASYM, -1, OLV_ROUND_SEARCH, OLV_SCALE_F16},
    };
}

olv_status olv_weight_type_parse(const char *name, olv_weight_type *out, olv_error *err) {
    if (strcmp(name, "int4") == 0) name = "int4_sym";
    if (strcmp(name, "int8") == 0) name = "int8_sym";
    for (int i = 0; i < OLV_N_WEIGHT_TYPES; i++) {
        if (strcmp(names[i], name) == 0) {
            *out = (olv_weight_type)i;
            return OLV_OK;
        }
    }
    const char *near = ol_nearest(name, names, OLV_N_WEIGHT_TYPES);
    return ol_fail(err, OLV_ARG,
                   "weight type '%s' found, one of keep, f16, bf16, int8_sym, int8_asym, int4_sym, int4_asym, nf4 "
                   "expected%s%s%s",
                   name, near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

const char *olv_weight_type_name(olv_weight_type t) { return (unsigned)t < OLV_N_WEIGHT_TYPES ? names[t] : "?"; }

int ol_weight_bits(olv_weight_type t) {
    switch (t) {
    case OLV_WEIGHT_INT8_SYM:
    case OLV_WEIGHT_INT8_ASYM: return 8;
    case OLV_WEIGHT_INT4_SYM:
    case OLV_WEIGHT_INT4_ASYM:
    case OLV_WEIGHT_NF4: return 4;
    default: return 0;
    }
}

bool ol_weight_asym(olv_weight_type t) { return t == OLV_WEIGHT_INT8_ASYM || t == OLV_WEIGHT_INT4_ASYM; }

olv_status olv_weight_spec_check(const olv_weight_spec *s, olv_error *err) {
    if ((unsigned)s->type >= OLV_N_WEIGHT_TYPES) return ol_fail(err, OLV_ARG, "unknown weight type %d", (int)s->type);
    if (ol_weight_bits(s->type) == 0) return OLV_OK;
    if (s->group_size != -1 && (s->group_size < 16 || s->group_size > 256 || s->group_size % 16))
        return ol_fail(err, OLV_ARG, "group size %d found, a multiple of 16 from 16 to 256, or -1 for whole rows, expected",
                       (int)s->group_size);
    if ((unsigned)s->rounding > OLV_ROUND_ORT || (unsigned)s->scale > OLV_SCALE_F32)
        return ol_fail(err, OLV_ARG, "unknown rounding or scale type");
    if (s->type == OLV_WEIGHT_NF4 && s->rounding == OLV_ROUND_ORT)
        return ol_fail(err, OLV_ARG, "rounding ort is defined for integer types, not for nf4");
    return OLV_OK;
}
