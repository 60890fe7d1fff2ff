/* SPDX-License-Identifier: Apache-2.0 */
/* Room for data that are too many for memory: small ones lie in memory, others in a nameless file of the folder for
 * temporary files ($TMPDIR, else /tmp), mapped, so that the system may write them out. */
#ifndef OL_BASE_SPILL_H
#define OL_BASE_SPILL_H

#include <olivine/status.h>
#include <stdbool.h>
#include <stddef.h>

#define OL_SPILL_LEAST ((size_t)4 << 20) /* less lies in memory */

typedef struct ol_spill {
    void *data; /* zeroed, 64-byte aligned */
    size_t bytes;
    bool mapped;
} ol_spill;

OLV_MUST_USE olv_status ol_spill_init(ol_spill *s, size_t bytes, olv_error *err);
void ol_spill_deinit(ol_spill *s); /* also of a zeroed one */

#endif
