/* SPDX-License-Identifier: Apache-2.0 */
/* Says what a picture shows: the best scores of a classifier.
 *
 *     classify MODEL.onnx PICTURE [LABELS.txt]
 *
 * The picture (PNG, JPEG) is brought to the shape and type of the model's first input; scores are its first output. Build it
 * outside of the source tree with: cc classify.c -lolivine -lm */
#include <math.h>
#include <olivine/model.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int report(const olv_error *err) {
    fprintf(stderr, "classify: %s\n", err->message);
    return olv_status_exit_code(err->status);
}

/* Line i of a file of labels, or the number itself. */
static const char *label(const char *path, int64_t i, char *line, size_t size) {
    FILE *f = path ? fopen(path, "r") : NULL;
    snprintf(line, size, "%lld", (long long)i);
    for (int64_t k = 0; f && k <= i && fgets(line, (int)size, f); k++) line[strcspn(line, "\r\n")] = 0;
    if (f) fclose(f);
    return line;
}

static void print_best(const olv_tensor *t, const char *labels) {
    const float *scores = olv_tensor_get_data(t);
    int64_t n = olv_tensor_get_count(t);
    float top = -INFINITY, below = INFINITY;
    double sum = 0;
    for (int64_t i = 0; i < n; i++) top = fmaxf(top, scores[i]);
    for (int64_t i = 0; i < n; i++) sum += exp((double)(scores[i] - top));
    for (int rank = 0; rank < 3; rank++) {
        int64_t best = -1;
        char line[256];
        for (int64_t i = 0; i < n; i++)
            if (scores[i] < below && (best < 0 || scores[i] > scores[best])) best = i;
        if (best < 0) break;
        below = scores[best];
        printf("%6.2f %%  %s\n", 100 * exp((double)(below - top)) / sum, label(labels, best, line, sizeof line));
    }
}

int main(int argc, char **argv) {
    if (argc < 3) return fprintf(stderr, "usage: classify MODEL.onnx PICTURE [LABELS.txt]\n"), 2;
    olv_error err;
    olv_core *core = NULL;
    olv_model *model = NULL;
    olv_compiled *compiled = NULL;
    olv_request *request = NULL;
    olv_tensor *picture = NULL;
    olv_port input;
    olv_status s = olv_core_create(&core, &err);
    if (s == OLV_OK) s = olv_model_read(argv[1], &model, &err);
    if (s == OLV_OK) s = olv_compile(core, model, "CPU", NULL, 0, &compiled, &err);
    if (s == OLV_OK) s = olv_request_create(compiled, &request, &err);
    if (s == OLV_OK) olv_compiled_get_input(compiled, 0, &input);
    if (s == OLV_OK) s = olv_tensor_read(argv[2], &input, &picture, &err);
    if (s == OLV_OK) s = olv_request_set_input_at(request, 0, picture, &err);
    if (s == OLV_OK) s = olv_request_run(request, &err);
    if (s == OLV_OK && olv_tensor_get_dtype(olv_request_get_output(request, 0)) == OLV_F32)
        print_best(olv_request_get_output(request, 0), argc > 3 ? argv[3] : NULL);
    olv_request_destroy(request);
    olv_tensor_destroy(picture);
    olv_compiled_destroy(compiled);
    olv_model_destroy(model);
    olv_core_destroy(core);
    return s == OLV_OK ? 0 : report(&err);
}
