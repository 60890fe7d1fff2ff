/* SPDX-License-Identifier: Apache-2.0 */
/* The few lines of some families: config keys that need more than the common reading. */
#ifndef OL_FORMATS_HUGGINGFACE_ADJUST_H
#define OL_FORMATS_HUGGINGFACE_ADJUST_H

#include "formats/huggingface/config.h"

typedef olv_status ol_hf_adjust_fn(ol_hf_config *c, const json_t *j, olv_error *err);

/* deepseek's experts, in every family that took them over: which layers have them, the shared one, the factor of the weights. */
ol_hf_adjust_fn ol_hf_adjust_experts;
ol_hf_adjust_fn ol_hf_adjust_deepseek;
ol_hf_adjust_fn ol_hf_adjust_granite; /* multipliers */
ol_hf_adjust_fn ol_hf_adjust_granite_moe;
ol_hf_adjust_fn ol_hf_adjust_hyperclovax;
ol_hf_adjust_fn ol_hf_adjust_gpt_oss;
ol_hf_adjust_fn ol_hf_adjust_ernie_moe;
ol_hf_adjust_fn ol_hf_adjust_hunyuan_moe;
ol_hf_adjust_fn ol_hf_adjust_glm_moe;
ol_hf_adjust_fn ol_hf_adjust_minimax;
ol_hf_adjust_fn ol_hf_adjust_ministral3;
ol_hf_adjust_fn ol_hf_adjust_exaone; /* rotation in sliding layers only, where the model mixes kinds of layers */
ol_hf_adjust_fn ol_hf_adjust_exaone_moe;
ol_hf_adjust_fn ol_hf_adjust_olmo;   /* clip_qkv */
ol_hf_adjust_fn ol_hf_adjust_flex_olmo;
ol_hf_adjust_fn ol_hf_adjust_afmoe;
/* gemma3n.c */
ol_hf_adjust_fn ol_hf_adjust_gemma3n;
ol_hf_layers_fn ol_hf_gemma3n;

#endif
