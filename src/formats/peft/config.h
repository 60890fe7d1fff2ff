/* SPDX-License-Identifier: Apache-2.0 */
/* adapter_config.json. */
#ifndef OL_FORMATS_PEFT_CONFIG_H
#define OL_FORMATS_PEFT_CONFIG_H

#include "base/json.h"

typedef struct ol_peft_config {
    json_t *json; /* owned; rank_pattern and alpha_pattern are looked up in it */
    int64_t r;
    double alpha;
    bool rslora;
} ol_peft_config;

/* Takes json (also on failure). Checks that the adapter is of a kind that can be applied. */
OLV_MUST_USE olv_status ol_peft_config_read(json_t *json, ol_peft_config *out, olv_error *err);
void ol_peft_config_deinit(ol_peft_config *c);
/* Rank that the config says for a module, and its scale. */
OLV_MUST_USE olv_status ol_peft_config_module(const ol_peft_config *c, const char *module, int64_t *rank, double *scale,
                                              olv_error *err);

#endif
