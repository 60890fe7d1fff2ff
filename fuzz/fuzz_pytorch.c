/* SPDX-License-Identifier: Apache-2.0 */
/* Files of torch.save: the zip archive, the older row of pickles, and (behind the letters "PKL") a pickle alone. */
#include "formats/pytorch/pickle.h"
#include "formats/pytorch/pytorch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    olv_error err = {OLV_OK, ""};
    if (size < 3 || memcmp(data, "PKL", 3) != 0) return ol_pytorch_check(data, size, &err) == OLV_OK ? 0 : -1;
    ol_arena *arena = ol_arena_create();
    ol_bytes r = ol_bytes_of(data + 3, size - 3);
    ol_pk_value *v = NULL;
    olv_status s = arena ? ol_pk_read(&r, arena, &v, &err) : OLV_NOMEM;
    if (arena) ol_arena_destroy(arena);
    return s == OLV_OK ? 0 : -1;
}
