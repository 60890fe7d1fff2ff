/* SPDX-License-Identifier: Apache-2.0 */
/* What a hub says of a model. */
#include "bundle/hub_listing.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    olv_error err = {OLV_OK, ""};
    ol_hub_listing l;
    if (ol_hub_listing_read((const char *)data, size, &l, &err) != OLV_OK) return -1;
    for (size_t i = 0; i < l.n_files; i++)
        if (!ol_hub_path_ok(l.files[i].path)) abort();
    olv_hub_options o;
    olv_hub_options_init(&o);
    o.model_files = true;
    (void)!ol_hub_listing_choose(&l, &o, &err);
    ol_hub_listing_deinit(&l);
    return 0;
}
