/* SPDX-License-Identifier: Apache-2.0 */
/* NumPy's .npy files, version 1, little-endian f32. */
#ifndef CLI_NPY_H
#define CLI_NPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Opens PATH for rows of f32 of shape [rows, width]; writes the header. NULL (errno) on failure. */
FILE *npy_create(const char *path, size_t rows, size_t width);

#endif
