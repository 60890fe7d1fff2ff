/* SPDX-License-Identifier: Apache-2.0 */
#include "input.h"
#include <stdio.h>
#include <stdlib.h>

char *read_input(size_t *len) {
    size_t cap = 1 << 16, n = 0, got;
    char *text = malloc(cap);
    while (text && (got = fread(text + n, 1, cap - n, stdin)) > 0) {
        n += got;
        if (n < cap) continue;
        char *more = realloc(text, cap *= 2);
        if (!more) free(text);
        text = more;
    }
    *len = n;
    return text;
}
