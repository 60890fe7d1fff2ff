/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a picture: an error, or a picture of the size that it says. */
#include "runtime/picture.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const olv_port like = {.name = "x", .dtype = OLV_F32, .rank = 4, .dims = {1, 3, 24, 17}};
    olv_error err;
    olv_tensor *t;
    if (!ol_picture_is(data, size)) return 0;
    if (ol_picture_to_tensor(data, size, &like, &t, &err) == OLV_OK) {
        if (olv_tensor_get_count(t) != 3 * 24 * 17) abort();
        olv_tensor_destroy(t);
    } else if (!err.message[0]) {
        abort();
    }
    return 0;
}
