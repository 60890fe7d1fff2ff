/* SPDX-License-Identifier: Apache-2.0 */
/* Rules out what the mask (of a grammar) does not allow. */
#include "generate/sampler/stage.h"

static bool wanted(const ol_sampler_params *p) {
    (void)p; /* a mask may be set at any time */
    return true;
}

static void apply(ol_sampler *s) {
    if (!s->mask) return;
    for (int64_t i = 0; i < s->vocab; i += 32) {
        uint32_t bits = s->mask[i / 32];
        if (bits == UINT32_MAX) continue;
        for (int64_t k = i; k < i + 32 && k < s->vocab; k++)
            if (!(bits >> (k - i) & 1)) s->row[k] = -INFINITY;
    }
}

const ol_sampler_stage ol_sampler_mask = {"mask", NULL, wanted, apply, NULL};
