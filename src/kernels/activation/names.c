/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/activation/activation.h"
#include <string.h>

static const char *const names[] = {
#define X(name, text, def) text,
    OLK_ACTS(X)
#undef X
};

olk_act olk_act_from_name(const char *name) {
    for (int i = 0; i < OLK_N_ACTS; i++)
        if (!strcmp(names[i], name)) return (olk_act)i;
    return OLK_N_ACTS;
}

const char *olk_act_name(olk_act f) {
    return (unsigned)f < OLK_N_ACTS ? names[f] : "?";
}
