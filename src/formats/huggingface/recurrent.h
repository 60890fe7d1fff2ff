/* SPDX-License-Identifier: Apache-2.0 */
/* Layers that carry a recurrent state: what their configurations say, and their graphs. Whether a
 * layer is one, and of which kind, stands in its `mixer`. */
#ifndef OL_FORMATS_HUGGINGFACE_RECURRENT_H
#define OL_FORMATS_HUGGINGFACE_RECURRENT_H

#include "formats/huggingface/build.h"

struct ol_hf_recurrent {
    int64_t inner;                   /* values of a row inside of the layer */
    int64_t conv;                    /* rows that a convolution sees */
    int64_t states;                  /* per channel (Mamba) or per head and channel (Mamba-2) */
    int64_t rank;                    /* Mamba: of the time step */
    int64_t heads, head_dim, groups; /* Mamba-2; delta rule: of values */
    int64_t key_heads, key_dim;      /* delta rule */
    double step_min, step_max;       /* Mamba-2: bounds of the time step */
    double inner_eps;                /* Falcon Mamba: normalizes time step, B and C; 0: none */
    bool norm, norm_first;           /* Mamba-2: of the output, before instead of behind its gate */
    /* Multipliers, 1 when there are none: of the layer's input and output, and of z, x, B, C and
     * the time step; of the input and output of the attention beside it. */
    double in_scale, out_scale, part_scale[5], attn_in_scale, attn_out_scale;
};
typedef struct ol_hf_recurrent ol_hf_recurrent;

/* `adjust` functions of the families (family.h). */
olv_status ol_hf_mamba_adjust(ol_hf_config *c, const json_t *j, olv_error *err);
olv_status ol_hf_mamba2_adjust(ol_hf_config *c, const json_t *j, olv_error *err);
olv_status ol_hf_falcon_h1_adjust(ol_hf_config *c, const json_t *j, olv_error *err);
olv_status ol_hf_bamba_adjust(ol_hf_config *c, const json_t *j, olv_error *err);
olv_status ol_hf_granite_hybrid_adjust(ol_hf_config *c, const json_t *j, olv_error *err);
olv_status ol_hf_lfm2_adjust(ol_hf_config *c, const json_t *j, olv_error *err);
olv_status ol_hf_lfm2_moe_adjust(ol_hf_config *c, const json_t *j, olv_error *err);
olv_status ol_hf_qwen_next_adjust(ol_hf_config *c, const json_t *j, olv_error *err);
olv_status ol_hf_rwkv_adjust(ol_hf_config *c, const json_t *j, olv_error *err);

/* From the normalized rows h to what is added to the residual, by the layer's kind. */
ol_value *ol_hf_mix(ol_hf_build *b, ol_value *h);
ol_value *ol_hf_mamba(ol_hf_build *b, ol_value *h);
ol_value *ol_hf_mamba2(ol_hf_build *b, ol_value *h);
ol_value *ol_hf_short_conv(ol_hf_build *b, ol_value *h);
ol_value *ol_hf_delta(ol_hf_build *b, ol_value *h);
ol_value *ol_hf_rwkv(ol_hf_build *b, ol_value *h);
ol_value *ol_hf_rwkv_mlp(ol_hf_build *b, ol_value *h);

/* ---- parts ---- */

/* Name of a part of the layer's mixer in a buffer of the graph's arena. */
const char *ol_hf_mixer_part(ol_hf_build *b, const char *part);
/* A new recurrent state of the layer; -1 when failed. */
int ol_hf_state(ol_hf_build *b, const char *kind, int64_t elements);
/* Matrix [rows, width] as a constant value under NAME (v is taken). */
ol_value *ol_hf_matrix_value(ol_hf_build *b, const char *name, float *v, int64_t rows,
                             int64_t width);
/* n times the same number. */
ol_value *ol_hf_filled(ol_hf_build *b, int64_t n, double v);
/* Convolution of x with rows [row, row + n) of the `all` rows of a part's weights, times `scale`.
 */
ol_value *ol_hf_conv(ol_hf_build *b, ol_value *x, const char *part, const char *what, int64_t all,
                     int64_t row, int64_t n, double scale, bool silu);

#endif
