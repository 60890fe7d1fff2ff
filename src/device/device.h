/* SPDX-License-Identifier: Apache-2.0 */
/* A device: decides which nodes it can run, and how. Devices are compiled in (device.def). */
#ifndef OL_DEVICE_DEVICE_H
#define OL_DEVICE_DEVICE_H

#include "device/lowering.h"

typedef struct ol_device {
    const char *name;        /* "CPU" */
    const char *description; /* one line */
    /* NULL if the device has kernels for this operator, else the reason why not. */
    const char *(*refuses)(const ol_node *n);
    /* Appends the steps of node n (and of nodes fused with it, which it covers). A failure with nothing
     * appended says why no kernel takes this form of the operator. */
    olv_status (*lower)(ol_lowering *l, ol_node *n, olv_error *err);
} ol_device;

/* By name, any case; NULL when there is none. */
const ol_device *ol_device_find(const char *name);
const ol_device *const *ol_device_all(size_t *count);

#endif
