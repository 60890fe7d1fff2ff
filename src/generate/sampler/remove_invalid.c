/* SPDX-License-Identifier: Apache-2.0 */
/* Scores that are no finite numbers become finite (transformers' remove_invalid_values). */
#include "generate/sampler/stage.h"
#include <float.h>

static bool wanted(const ol_sampler_params *p) { return p->remove_invalid_values; }

static void apply(ol_sampler *s) {
    for (int64_t i = 0; i < s->vocab; i++) {
        if (isnan(s->row[i])) s->row[i] = 0;
        else if (s->row[i] > FLT_MAX) s->row[i] = FLT_MAX;
        else if (s->row[i] < -FLT_MAX) s->row[i] = -FLT_MAX;
    }
}

const ol_sampler_stage ol_sampler_remove_invalid = {"remove_invalid_values", NULL, wanted, apply, NULL};
