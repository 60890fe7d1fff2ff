/* SPDX-License-Identifier: Apache-2.0 */
/* What the names of modules say: the formats spell the same layer differently ("model.layers.3.self_attn.q_proj",
 * "blk.3.attn_q", "/model/layers.3/attn/q_proj/MatMul"). */
#ifndef OL_RUNTIME_MODULE_NAME_H
#define OL_RUNTIME_MODULE_NAME_H

#include <stdbool.h>
#include <stddef.h>

typedef enum ol_module_role {
    OL_ROLE_NONE, /* only known by its full name */
    OL_ROLE_Q, OL_ROLE_K, OL_ROLE_V, OL_ROLE_QKV,
    OL_ROLE_GATE, OL_ROLE_UP, OL_ROLE_GATE_UP,
    OL_ROLE_ATTENTION_OUT, OL_ROLE_DOWN, OL_ROLE_HEAD
} ol_module_role;

typedef struct ol_module_id {
    int layer; /* -1: none */
    ol_module_role role;
} ol_module_id;

ol_module_id ol_module_identify(const char *name);
/* Full names are the same but for what one of them has in front. */
bool ol_module_same_name(const char *a, const char *b);
/* Splits a weight's name into its module's path (dots, without what the format puts behind it) and the part of a fused
 * matrix that it names behind that ("q", "rows64", or ""). False when it does not fit. */
bool ol_module_of_weight(const char *weight, char *module, size_t module_size, char *part, size_t part_size);
/* The fused module that holds this one, and the member at `index` of a fused one; NONE when there is none. */
ol_module_role ol_role_fused(ol_module_role r);
ol_module_role ol_role_member(ol_module_role fused, int index);

#endif
