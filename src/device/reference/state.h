/* SPDX-License-Identifier: Apache-2.0 */
/* States of sequences: one vector of floats per (state, sequence, position). */
#ifndef OL_DEVICE_REFERENCE_STATE_H
#define OL_DEVICE_REFERENCE_STATE_H

#include "base/arena.h"
#include "base/map.h"
#include "device/reference/reference.h"

typedef struct ol_reference_state {
    ol_map slots;    /* key: state, sequence, position */
    ol_arena *arena; /* made at first use */
} ol_reference_state;

void ol_reference_state_init(ol_reference_state *s);
void ol_reference_state_deinit(ol_reference_state *s);

/* The table of one run. */
typedef struct ol_reference_access {
    ol_state_access access;
    bool used;
    int32_t *sequence;
    int64_t *position, *length;
} ol_reference_access;

OLV_MUST_USE olv_status ol_reference_access_init(ol_reference_access *a, ol_reference_state *s, const ol_graph *g,
                                                 const ol_reference_rows *rows, const char *const *names,
                                                 const ol_datum *inputs, size_t n, olv_error *err);
void ol_reference_access_deinit(ol_reference_access *a);

#endif
