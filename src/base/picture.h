/* SPDX-License-Identifier: Apache-2.0 */
/* Pictures from the bytes of PNG and JPEG files (libpng, libjpeg). */
#ifndef OL_BASE_PICTURE_H
#define OL_BASE_PICTURE_H

#include <olivine/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OL_PICTURE_MAX ((size_t)1 << 26) /* dots */

typedef struct ol_picture {
    size_t width, height, channels; /* 1: grey, 3: red, green, blue */
    uint8_t *pixels;                /* [height][width][channels] */
} ol_picture;

/* By the first bytes. */
bool ol_picture_is(const void *data, size_t len);
/* Decodes; `channels` 0 takes those of the file, 1 and 3 convert. What is transparent is seen before black; 16 bits become 8;
 * what is cut short is refused. OLV_UNSUPPORTED where the program was built without the libraries. */
OLV_MUST_USE olv_status ol_picture_decode(const void *data, size_t len, size_t channels, ol_picture *out, olv_error *err);
void ol_picture_deinit(ol_picture *p);
/* Names and versions of the libraries; NULL: built without. */
const char *ol_picture_libraries(void);

#endif
