/* SPDX-License-Identifier: Apache-2.0 */
/* Compresses a model folder to 4 bits and writes an ORT-GenAI folder that runs anywhere.
 *
 *     compress MODEL OUT
 *
 * Work that was interrupted lies beside OUT; the same call continues it. OUT appears complete or not at all. */
#include <olivine/optimize.h>
#include <olivine/pipeline.h>
#include <stdio.h>

static int report(const olv_error *err) {
    fprintf(stderr, "compress: %s\n", err->message);
    return olv_status_exit_code(err->status);
}

/* Called now and then with bytes done and in all; false would cancel (and keep what is done). */
static bool progress(void *ctx, uint64_t done, uint64_t total) {
    int *shown = ctx;
    int percent = total ? (int)(done * 100 / total) : 100;
    if (percent / 10 > *shown / 10 || percent == 100) fprintf(stderr, "%3d %%\n", percent);
    *shown = percent;
    return true;
}

int main(int argc, char **argv) {
    if (argc < 3) return fprintf(stderr, "usage: compress MODEL OUT\n"), 2;
    olv_error err;
    olv_optimize_options opt;
    olv_optimize_options_init(&opt); /* int4 for layers, embeddings and head, groups of 32 */

    /* The head decides which token is written, and the table is small beside the layers: 8 bits for both. */
    opt.compress.head.type = opt.compress.embeddings.type = OLV_WEIGHT_INT8_SYM;

    /* A dry run reads the headers only and says what the work will take. */
    olv_optimize_plan plan;
    if (olv_optimize_dry_run(argv[1], &opt, argv[2], &plan, &err) != OLV_OK) return report(&err);
    printf("%llu parameters, %llu bytes become %llu (%.2f bits per weight)\n", (unsigned long long)plan.parameters,
           (unsigned long long)plan.source_bytes, (unsigned long long)plan.output_bytes, plan.bits_per_weight);
    if (plan.output_bytes > plan.disk_free) return fprintf(stderr, "compress: the disk is too small\n"), 1;

    int shown = -1;
    char *json;
    if (olv_optimize(argv[1], &opt, argv[2], progress, &shown, &json, &err) != OLV_OK) return report(&err);
    printf("report: %.60s ...\n", json); /* one entry per tensor: type, bits, error */
    olv_free(json);

    /* Every output folder carries the SHA-256 of its files. */
    if (olv_verify_folder(argv[2], &err) != OLV_OK) return report(&err);
    printf("%s is complete\n", argv[2]);
    return 0;
}
