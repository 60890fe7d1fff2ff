/* SPDX-License-Identifier: Apache-2.0 */
/* Pictures whose dots lie in the file as they are: BMP (24 and 32 bits), PGM and PPM (P5, P6, 8 bits),
 * TIFF (8 bits a channel, no compression, one plane). */
#ifndef OL_BASE_PICTURE_PLAIN_H
#define OL_BASE_PICTURE_PLAIN_H

#include "base/picture.h"

/* By the first bytes. */
bool ol_picture_plain_is(const void *data, size_t len);
/* Decodes to 1 or 3 channels, those of the file. OLV_UNSUPPORTED for forms other than those above. */
OLV_MUST_USE olv_status ol_picture_plain_decode(const void *data, size_t len, ol_picture *out, olv_error *err);

#endif
