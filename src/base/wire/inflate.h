/* SPDX-License-Identifier: Apache-2.0 */
/* Deflated data (RFC 1951) whose size is known, as zip archives hold them. */
#ifndef OL_BASE_WIRE_INFLATE_H
#define OL_BASE_WIRE_INFLATE_H

#include <olivine/status.h>
#include <stddef.h>
#include <stdint.h>

/* Fills out[0, out_len). OLV_FORMAT when the data are malformed, or of another size. */
OLV_MUST_USE olv_status ol_inflate(const uint8_t *data, size_t len, uint8_t *out, size_t out_len, olv_error *err);

#endif
