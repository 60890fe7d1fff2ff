/* SPDX-License-Identifier: Apache-2.0 */
/* The ONNX reader on arbitrary bytes: an error or a graph that verifies, nothing else. */
#include "formats/onnx/onnx.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    ol_graph *g;
    olv_error err;
    if (ol_onnx_read_bytes(data, size, "fuzz.onnx", NULL, &g, &err) != OLV_OK) return 0;
    if (ol_graph_verify(g, &err) == OLV_INTERNAL) abort();
    ol_graph_destroy(g);
    return 0;
}
