/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/safetensors/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    olv_error err;
    olv_status s = ol_safetensors_check(data, size, &err);
    return s == OLV_OK ? 0 : -1; /* keep what parses as corpus */
}
