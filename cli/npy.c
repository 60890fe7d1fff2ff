/* SPDX-License-Identifier: Apache-2.0 */
#include "npy.h"
#include <string.h>

FILE *npy_create(const char *path, size_t rows, size_t width) {
    char header[128];
    memset(header, ' ', sizeof header);
    memcpy(header, "\x93NUMPY\x01\x00\x76\x00", 10); /* 118 bytes of dictionary follow */
    int n = snprintf(header + 10, 117, "{'descr': '<f4', 'fortran_order': False, 'shape': (%zu, %zu), }", rows, width);
    header[10 + n] = ' ';
    header[127] = '\n';
    FILE *f = fopen(path, "wb");
    if (f && fwrite(header, 1, sizeof header, f) != sizeof header) {
        fclose(f);
        return NULL;
    }
    return f;
}
