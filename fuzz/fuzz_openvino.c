/* SPDX-License-Identifier: Apache-2.0 */
/* The IR reader on arbitrary documents, each with a data file of 4 KB: an error or a graph that verifies, nothing else. */
#include "formats/openvino/openvino.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static uint8_t bin[4096];
    ol_graph *g;
    olv_error err;
    for (size_t i = 0; i < sizeof bin; i++) bin[i] = (uint8_t)(i % 8 ? 0 : 1 + i / 8 % 3);
    if (ol_openvino_read_bytes((const char *)data, size, bin, sizeof bin, "fuzz.xml", &g, &err) != OLV_OK) return 0;
    if (ol_graph_verify(g, &err) == OLV_INTERNAL) abort();
    ol_graph_destroy(g);
    return 0;
}
