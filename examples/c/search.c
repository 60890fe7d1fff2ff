/* SPDX-License-Identifier: Apache-2.0 */
/* Searches by meaning: the texts nearest to a query.
 *
 *     search MODEL QUERY TEXT...
 *
 * MODEL is a sentence-transformers folder. Build it outside of the source tree with: cc search.c -lolivine */
#include <olivine/encoder.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int report(const olv_error *err) {
    fprintf(stderr, "search: %s\n", err->message);
    return olv_status_exit_code(err->status);
}

int main(int argc, char **argv) {
    if (argc < 4) return fprintf(stderr, "usage: search MODEL QUERY TEXT...\n"), 2;
    olv_error err;
    olv_encoder *e;
    if (olv_encoder_open(argv[1], OLV_TASK_EMBED, NULL, &e, &err) != OLV_OK) return report(&err);

    size_t n = (size_t)argc - 2, width = olv_encoder_width(e);
    olv_text *texts = calloc(n, sizeof *texts); /* the query, then what is searched */
    float *v = malloc(n * width * sizeof *v);
    if (!texts || !v) return 1;
    for (size_t i = 0; i < n; i++) texts[i] = (olv_text){argv[i + 2], strlen(argv[i + 2]), NULL, 0};

    olv_embed_options opt;
    olv_embed_options_init(&opt);
    opt.normalize = 1; /* then the product of two vectors is the cosine of their angle */
    olv_status s = olv_embed(e, texts, n, &opt, v, &err);
    for (size_t i = 1; s == OLV_OK && i < n; i++) {
        double near = 0;
        for (size_t k = 0; k < width; k++) near += (double)v[k] * (double)v[i * width + k];
        printf("%6.3f  %s\n", near, argv[i + 2]);
    }
    free(v);
    free(texts);
    olv_encoder_close(e);
    return s == OLV_OK ? 0 : report(&err);
}
