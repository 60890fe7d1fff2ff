/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/gguf/gguf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    olv_error err = {OLV_OK, ""};
    olv_status s = ol_gguf_check(data, size, &err);
    return s == OLV_OK || s == OLV_NOT_FOUND ? 0 : -1; /* keep what parses as corpus */
}
