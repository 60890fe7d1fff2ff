/* SPDX-License-Identifier: Apache-2.0 */
/* The input is a template; after a NUL byte may follow the variables as JSON. */
#include "base/alloc.h"
#include "text/template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char vars[] = "{\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}],\"xs\":[3,1,2],\"d\":{\"a\":1},\"s\":\"a b\"}";
    const uint8_t *nul = memchr(data, 0, size);
    size_t n = nul ? (size_t)(nul - data) : size;
    olv_error err;
    olv_template *t;
    if (olv_template_parse((const char *)data, n, &t, &err) != OLV_OK) return 0;
    olv_template_options opt;
    olv_template_options_init(&opt);
    opt.now = "2026-03-05T07:08:09";
    opt.max_steps = 20000;
    opt.max_output = 1 << 16;
    char *text;
    olv_status s = nul ? olv_template_render(t, (const char *)nul + 1, size - n - 1, &opt, &text, NULL, &err)
                       : olv_template_render(t, vars, sizeof vars - 1, &opt, &text, NULL, &err);
    if (s == OLV_OK) ol_free(text);
    olv_template_destroy(t);
    return 0;
}
