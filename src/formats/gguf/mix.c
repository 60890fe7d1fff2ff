/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/gguf/mix.h"
#include <string.h>

static const struct {
    const char *name;
    int file_type;
    ol_gguf_type type; /* of most matrices */
} mixes[OL_GGUF_N_OUT] = {
    [OL_GGUF_OUT_F32] = {"f32", 0, OL_GGUF_T_F32},       [OL_GGUF_OUT_F16] = {"f16", 1, OL_GGUF_T_F16},
    [OL_GGUF_OUT_Q8_0] = {"q8_0", 7, OL_GGUF_T_Q8_0},    [OL_GGUF_OUT_Q4_0] = {"q4_0", 2, OL_GGUF_T_Q4_0},
    [OL_GGUF_OUT_Q4_K_S] = {"q4_k_s", 14, OL_GGUF_T_Q4_K}, [OL_GGUF_OUT_Q4_K_M] = {"q4_k_m", 15, OL_GGUF_T_Q4_K},
    [OL_GGUF_OUT_Q5_K_S] = {"q5_k_s", 16, OL_GGUF_T_Q5_K}, [OL_GGUF_OUT_Q5_K_M] = {"q5_k_m", 17, OL_GGUF_T_Q5_K},
    [OL_GGUF_OUT_Q6_K] = {"q6_k", 18, OL_GGUF_T_Q6_K},
};

const char *ol_gguf_outtype_name(ol_gguf_outtype t) { return mixes[t].name; }

int ol_gguf_file_type(ol_gguf_outtype t) { return mixes[t].file_type; }

/* The first and last eighth of the layers, and every third one between. */
static bool more_bits(int64_t layer, int64_t n) { return layer < n / 8 || layer >= 7 * n / 8 || (layer - n / 8) % 3 == 2; }

/* Tables that the file's readers want wider than the rest. */
static ol_gguf_type for_part(ol_gguf_outtype mix, const ol_gguf_place *p, ol_gguf_type t) {
    bool medium = mix == OL_GGUF_OUT_Q4_K_M || mix == OL_GGUF_OUT_Q5_K_M;
    if (!strcmp(p->name, "output.weight") || (p->tied && !strcmp(p->name, "token_embd.weight"))) return t == OL_GGUF_T_Q8_0 ? t : OL_GGUF_T_Q6_K;
    if (strstr(p->name, "attn_v.weight")) {
        if (medium && more_bits(p->layer, p->n_layers)) return OL_GGUF_T_Q6_K;
        if (mix == OL_GGUF_OUT_Q4_K_S && p->layer < 4) return OL_GGUF_T_Q5_K;
    }
    if (strstr(p->name, "attn_qkv.weight") && medium) return mix == OL_GGUF_OUT_Q4_K_M ? OL_GGUF_T_Q5_K : OL_GGUF_T_Q6_K;
    if (strstr(p->name, "ffn_down.weight")) {
        if (medium && more_bits(p->layer, p->n_layers)) return OL_GGUF_T_Q6_K;
        if (mix == OL_GGUF_OUT_Q4_K_S && p->layer < p->n_layers / 8) return OL_GGUF_T_Q5_K;
    }
    return t;
}

/* The nearest type for rows that blocks do not fill. */
static ol_gguf_type that_fits(ol_gguf_type t, int64_t width) {
    if (t >= OL_GGUF_T_Q4_K && width % 256) t = t == OL_GGUF_T_Q4_K ? OL_GGUF_T_Q5_0 : t == OL_GGUF_T_Q5_K ? OL_GGUF_T_Q5_1 : OL_GGUF_T_Q8_0;
    return t > OL_GGUF_T_F16 && width % 32 ? OL_GGUF_T_F16 : t;
}

ol_gguf_type ol_gguf_type_for(ol_gguf_outtype mix, const ol_gguf_place *p) {
    if (p->rank < 2 || strstr(p->name, "position_embd")) return OL_GGUF_T_F32;
    ol_gguf_type t = mixes[mix].type;
    if (t > OL_GGUF_T_F16) t = for_part(mix, p, t);
    return that_fits(t, p->width);
}
