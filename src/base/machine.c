/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cpu.h"
#include "base/error.h"
#include "base/str.h"
#include <olivine/core.h>

#define VERSION "0.1.0"

const char *olv_version(void) { return VERSION; }

olv_status olv_machine_describe(char **json, olv_error *err) {
    ol_buf b = OL_BUF_INIT;
    uint64_t flags = ol_cpu_probe();
    ol_buf_puts(&b, "{\"processor\": ");
    ol_buf_json_string(&b, ol_cpu_brand(), strlen(ol_cpu_brand()));
    ol_buf_printf(&b, ", \"threads\": %d, \"cache_bytes\": [%zu, %zu, %zu], \"features\": [", ol_cpu_usable(), ol_cpu_cache_bytes(1),
                  ol_cpu_cache_bytes(2), ol_cpu_cache_bytes(3));
    bool first = true;
    for (int i = 0; i < OL_CPU_N_FLAGS; i++) {
        if (!(flags >> i & 1)) continue;
        ol_buf_printf(&b, "%s\"%s\"", first ? "" : ", ", ol_cpu_flag_name(i));
        first = false;
    }
    ol_buf_puts(&b, "], \"devices\": [{\"name\": \"CPU\", \"description\": \"the processor\"}]}");
    *json = ol_buf_take(&b, NULL);
    return *json ? OLV_OK : ol_fail(err, OLV_NOMEM, "no memory for a description");
}
