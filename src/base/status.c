/* SPDX-License-Identifier: Apache-2.0 */
#include <olivine/status.h>

static const struct {
    int exit_code, http, grpc;
    const char *text;
} rows[] = {
#define ROW(name, exit_code, http, grpc, text) {exit_code, http, grpc, text},
    OLV_STATUS_LIST(ROW)
#undef ROW
};

static unsigned index_of(olv_status s) {
    return (unsigned)s < sizeof rows / sizeof rows[0] ? (unsigned)s : (unsigned)OLV_INTERNAL;
}

const char *olv_status_text(olv_status status) { return rows[index_of(status)].text; }
int olv_status_exit_code(olv_status status) { return rows[index_of(status)].exit_code; }
int olv_status_http(olv_status status) { return rows[index_of(status)].http; }
