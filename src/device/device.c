/* SPDX-License-Identifier: Apache-2.0 */
#include "device/device.h"
#include <strings.h>

#define X(symbol) extern const ol_device symbol;
#include "device/device.def"
#undef X

static const ol_device *const devices[] = {
#define X(symbol) &symbol,
#include "device/device.def"
#undef X
};

const ol_device *const *ol_device_all(size_t *count) {
    *count = sizeof devices / sizeof devices[0];
    return devices;
}

const ol_device *ol_device_find(const char *name) {
    for (size_t i = 0; i < sizeof devices / sizeof devices[0]; i++)
        if (strcasecmp(devices[i]->name, name) == 0) return devices[i];
    return NULL;
}
