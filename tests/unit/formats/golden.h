/* SPDX-License-Identifier: Apache-2.0 */
/* Folders with golden logits, on the reference device. Needs fixture.h included before. */
#ifndef OL_TESTS_FORMATS_GOLDEN_H
#define OL_TESTS_FORMATS_GOLDEN_H

#include "formats/huggingface/huggingface.h"

/* Every folder llm/NAME of the archive, of which there are more than `least`: prompts from number `first` to 2 give logits
 * within `tolerance` of the golden ones. */
static inline void check_golden_folders(const char *archive, size_t least, size_t first, double tolerance) {
    char root[1100], folder[1200], path[1300];
    char **names;
    size_t n_names;
    olv_error err;
    snprintf(root, sizeof root, "%s/llm", unpacked(archive));
    assert_int_equal(ol_dir_list(root, &names, &n_names, &err), OLV_OK);
    assert_true(n_names > least);
    for (size_t i = 0; i < n_names; i++) {
        snprintf(folder, sizeof folder, "%s/%s", root, names[i]);
        ol_graph *g = NULL;
        if (ol_hf_read(folder, &g, &err) != OLV_OK) fail_msg("%s: %s", names[i], err.message);
        for (size_t p = first; p < 3; p++) {
            size_t n, want_n, have_n;
            int64_t *ids = golden_prompt(folder, p, &n);
            snprintf(path, sizeof path, "%s/golden/logits_%zu.npy", folder, p);
            float *want = npy_f32(path, &want_n), *have = reference_logits(g, ids, n, &have_n);
            assert_int_equal(want_n, have_n);
            double d = max_difference(want, have, want_n);
            if (d > tolerance) fail_msg("%s, prompt %zu: logits differ by %g", names[i], p, d);
            ol_free(want);
            ol_free(have);
            ol_free(ids);
        }
        ol_graph_destroy(g);
    }
    ol_dir_list_free(names, n_names);
}

#endif
