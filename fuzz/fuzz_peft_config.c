/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/peft/peft.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    olv_error err = {OLV_OK, ""};
    return ol_peft_check_config((const char *)data, size, &err) == OLV_OK ? 0 : -1; /* keep what parses as corpus */
}
