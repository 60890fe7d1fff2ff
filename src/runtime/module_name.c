/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/module_name.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *leaf;
    ol_module_role role;
} leaves[] = {
    {"q_proj", OL_ROLE_Q}, {"attn_q", OL_ROLE_Q},
    {"k_proj", OL_ROLE_K}, {"attn_k", OL_ROLE_K},
    {"v_proj", OL_ROLE_V}, {"attn_v", OL_ROLE_V},
    {"qkv_proj", OL_ROLE_QKV}, {"attn_qkv", OL_ROLE_QKV}, {"query_key_value", OL_ROLE_QKV}, {"c_attn", OL_ROLE_QKV},
    {"Wqkv", OL_ROLE_QKV}, {"W_pack", OL_ROLE_QKV},
    {"gate_proj", OL_ROLE_GATE}, {"ffn_gate", OL_ROLE_GATE},
    {"up_proj", OL_ROLE_UP}, {"ffn_up", OL_ROLE_UP}, {"c_fc", OL_ROLE_UP}, {"fc1", OL_ROLE_UP}, {"dense_h_to_4h", OL_ROLE_UP},
    {"gate_up_proj", OL_ROLE_GATE_UP},
    {"o_proj", OL_ROLE_ATTENTION_OUT}, {"attn_output", OL_ROLE_ATTENTION_OUT}, {"out_proj", OL_ROLE_ATTENTION_OUT},
    {"dense", OL_ROLE_ATTENTION_OUT},
    {"down_proj", OL_ROLE_DOWN}, {"ffn_down", OL_ROLE_DOWN}, {"fc2", OL_ROLE_DOWN}, {"dense_4h_to_h", OL_ROLE_DOWN},
    {"lm_head", OL_ROLE_HEAD}, {"output", OL_ROLE_HEAD}, {"embed_out", OL_ROLE_HEAD},
    /* A linear layer over the embedding table is a tied head. */
    {"embed_tokens", OL_ROLE_HEAD}, {"wte", OL_ROLE_HEAD}, {"token_embd", OL_ROLE_HEAD}, {"word_embeddings", OL_ROLE_HEAD}};

static int layer_of(const char *name) {
    for (const char *p = name; p; p = strchr(p, '.')) {
        if (*p == '.') p++;
        size_t n = strspn(p, "0123456789");
        if (n && n < 7 && (p[n] == '.' || !p[n])) return atoi(p);
    }
    return -1;
}

ol_module_id ol_module_identify(const char *name) {
    const char *dot = strrchr(name, '.'), *leaf = dot ? dot + 1 : name;
    ol_module_id id = {layer_of(name), OL_ROLE_NONE};
    if (strstr(name, "expert") || strstr(name, "cross")) return id;
    for (size_t i = 0; i < sizeof leaves / sizeof leaves[0]; i++)
        if (strcmp(leaf, leaves[i].leaf) == 0) id.role = leaves[i].role;
    if (strcmp(leaf, "c_proj") == 0) id.role = strstr(name, "attn") ? OL_ROLE_ATTENTION_OUT : OL_ROLE_DOWN;
    return id;
}

static bool ends_with_path(const char *name, const char *end) {
    size_t n = strlen(name), m = strlen(end);
    return n > m && name[n - m - 1] == '.' && strcmp(name + n - m, end) == 0;
}

/* A layer's number must be part of both, or "3.mlp.up" would be "13.mlp.up"'s end in another numbering. */
bool ol_module_same_name(const char *a, const char *b) {
    return strcmp(a, b) == 0 || ends_with_path(a, b) || ends_with_path(b, a);
}

bool ol_module_of_weight(const char *weight, char *module, size_t module_size, char *part, size_t part_size) {
    static const char *const ends[] = {".MatMul", ".weight", ".qweight", ".Gemm"};
    char name[1024];
    if (snprintf(name, sizeof name, "%s", *weight == '/' ? weight + 1 : weight) >= (int)sizeof name) return false;
    for (char *p = name; *p; p++)
        if (*p == '/') *p = '.';
    size_t n = strlen(name);
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        const char *at = strstr(name, ends[i]);
        if (at && (size_t)(at - name) < n) n = (size_t)(at - name);
    }
    if (n >= module_size) return false;
    snprintf(module, module_size, "%.*s", (int)n, name);
    snprintf(part, part_size, "%s", "");
    for (char *rest = NULL, *word = strtok_r(name + n, ".", &rest); word; word = strtok_r(NULL, ".", &rest)) {
        bool plain = strncmp(word, "weight", 6) == 0 || !strcmp(word, "MatMul") || !strcmp(word, "qweight") || !strcmp(word, "Gemm");
        if (!plain && snprintf(part, part_size, "%s", word) >= (int)part_size) return false;
    }
    return true;
}

ol_module_role ol_role_fused(ol_module_role r) {
    if (r == OL_ROLE_Q || r == OL_ROLE_K || r == OL_ROLE_V) return OL_ROLE_QKV;
    return r == OL_ROLE_GATE || r == OL_ROLE_UP ? OL_ROLE_GATE_UP : OL_ROLE_NONE;
}

ol_module_role ol_role_member(ol_module_role fused, int index) {
    if (fused == OL_ROLE_QKV && index < 3) return (ol_module_role)(OL_ROLE_Q + index);
    if (fused == OL_ROLE_GATE_UP && index < 2) return (ol_module_role)(OL_ROLE_GATE + index);
    return OL_ROLE_NONE;
}
