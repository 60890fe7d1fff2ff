/* SPDX-License-Identifier: Apache-2.0 */
/* What config.json says about scores: names of the labels, and what becomes of the raw values. */
#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "generate/encoder.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_CONFIG (16u << 20)

static olv_status name_labels(olv_encoder *e, const json_t *names, olv_error *err) {
    e->labels = ol_arena_calloc(e->arena, (size_t)e->width, sizeof *e->labels);
    for (int64_t i = 0; e->labels && i < e->width; i++) {
        char key[32];
        snprintf(key, sizeof key, "%lld", (long long)i);
        const char *name = json_string_value(json_object_get(names, key));
        e->labels[i] = name ? ol_arena_strdup(e->arena, name) : ol_arena_printf(e->arena, "LABEL_%lld", (long long)i);
        if (!e->labels[i]) e->labels = NULL;
    }
    return e->labels ? OLV_OK : ol_fail(err, OLV_NOMEM, "no memory for labels");
}

static olv_status read_activations(olv_encoder *e, const json_t *j, olv_error *err) {
    const char *problem, *act, *newer;
    OL_TRY(ol_json_string(j, "problem_type", "", &problem, err));
    OL_TRY(ol_json_string(j, "sbert_ce_default_activation_function", "", &act, err));
    OL_TRY(ol_json_string(json_object_get(j, "sentence_transformers"), "activation_fn", act, &newer, err));
    if (strcmp(problem, "regression") == 0) e->score = OLV_SCORE_RAW;
    else if (strcmp(problem, "multi_label_classification") == 0 || e->width == 1) e->score = OLV_SCORE_SIGMOID;
    else e->score = OLV_SCORE_SOFTMAX;
    e->rerank_score = strstr(newer, "Identity") ? OLV_SCORE_RAW : OLV_SCORE_SIGMOID;
    return OLV_OK;
}

olv_status ol_encoder_read_labels(olv_encoder *e, olv_error *err) {
    char *path = ol_path_join(e->p->bundle->folder, "config.json");
    json_t *j = NULL;
    olv_status s = path ? ol_json_read_file(path, MAX_CONFIG, &j, err) : ol_fail(err, OLV_NOMEM, "out of memory");
    if (s == OLV_OK) s = name_labels(e, json_object_get(j, "id2label"), err);
    if (s == OLV_OK && (s = read_activations(e, j, err)) != OLV_OK) ol_error_at(err, "%s", path);
    json_decref(j);
    ol_free(path);
    return s;
}
