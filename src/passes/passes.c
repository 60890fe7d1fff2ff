/* SPDX-License-Identifier: Apache-2.0 */
#include "passes/passes.h"
#include "base/error.h"

#define MAX_ROUNDS 8

#define OL_PASS(id) extern const ol_pass ol_pass_##id;
#include "passes/passes.def"
#undef OL_PASS

static const ol_pass *const all[] = {
#define OL_PASS(id) &ol_pass_##id,
#include "passes/passes.def"
#undef OL_PASS
};

const ol_pass *const *ol_pass_all(size_t *count) {
    *count = sizeof all / sizeof *all;
    return all;
}

const ol_pass *ol_pass_find(const char *name) {
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (!strcmp(all[i]->name, name)) return all[i];
    return NULL;
}

olv_status ol_passes_run(ol_graph *g, olv_error *err) {
    bool changed = true;
    for (int round = 0; changed && round < MAX_ROUNDS; round++) {
        changed = false;
        for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
            bool mine = false;
            if (all[i]->run(g, &mine, err) != OLV_OK) return ol_error_at(err, "pass '%s'", all[i]->name);
            changed |= mine;
        }
        /* What became constant may fix sizes behind it. */
        if (changed) OL_TRY(ol_graph_infer(g, err));
    }
    return OLV_OK;
}
