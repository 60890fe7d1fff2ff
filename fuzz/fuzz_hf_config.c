/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/huggingface/generation.h"
#include "formats/huggingface/huggingface.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    olv_error err;
    json_t *j = NULL;
    olv_status s = ol_hf_check_config((const char *)data, size, &err);
    if (ol_json_parse((const char *)data, size, "fuzz", &j, &err) == OLV_OK) {
        ol_gen_config c;
        ol_gen_config_init(&c);
        olv_status g = ol_gen_config_read(&c, j, &err);
        if (g != OLV_OK && s != OLV_OK) s = g;
        ol_gen_config_deinit(&c);
        json_decref(j);
    }
    (void)s;
    return 0;
}
