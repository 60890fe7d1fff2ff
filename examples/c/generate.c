/* SPDX-License-Identifier: Apache-2.0 */
/* Loads a model folder and generates text, piece by piece; a second thread stops it after some time.
 *
 *     generate MODEL PROMPT [MILLISECONDS]
 *
 * Build it outside of the source tree with: cc generate.c -lolivine -lpthread */
#include <olivine/pipeline.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* Every function that can fail returns a status and fills an error record that belongs to the caller. */
static int report(const olv_error *err) {
    fprintf(stderr, "generate: %s\n", err->message);
    return olv_status_exit_code(err->status);
}

/* Called with each new piece of text. A piece never ends inside a character, so it can be shown at once; `token` is the
 * id that completed it. Returning false would end the generation here. */
static bool show(void *ctx, const char *piece, size_t len, int64_t token) {
    (void)token;
    fwrite(piece, 1, len, stdout);
    fflush(stdout);
    ++*(int *)ctx;
    return true;
}

typedef struct alarm_clock {
    olv_pipeline *pipeline;
    long milliseconds;
} alarm_clock;

/* olv_pipeline_cancel is the one function that other threads (and signal handlers) may call at any time: olv_generate then
 * returns OLV_CANCELLED soon. */
static void *ring(void *ctx) {
    const alarm_clock *a = ctx;
    struct timespec t = {a->milliseconds / 1000, a->milliseconds % 1000 * 1000000};
    nanosleep(&t, NULL);
    olv_pipeline_cancel(a->pipeline);
    return NULL;
}

int main(int argc, char **argv) {
    if (argc < 3) return fprintf(stderr, "usage: generate MODEL PROMPT [MILLISECONDS]\n"), 2;
    olv_error err;
    olv_pipeline *p;
    olv_pipeline_options opt;
    olv_pipeline_options_init(&opt); /* always begin with the defaults: fields may be added later */
    if (olv_pipeline_open(argv[1], &opt, &p, &err) != OLV_OK) return report(&err);

    olv_generation_config cfg;
    olv_pipeline_get_config(p, &cfg); /* what the model's own folder asks for */
    cfg.max_new_tokens = 60;

    pthread_t thread;
    alarm_clock a = {p, argc > 3 ? atol(argv[3]) : 0};
    bool timed = argc > 3 && pthread_create(&thread, NULL, ring, &a) == 0;

    int pieces = 0;
    olv_generation g; /* filled on success only; ours to release */
    olv_prompt prompt = {.text = argv[2]};
    olv_status s = olv_generate(p, &prompt, &cfg, show, &pieces, &g, &err);
    if (timed) pthread_join(thread, NULL);
    if (s == OLV_OK) {
        printf("\n");
        fprintf(stderr, "%zu tokens in %d pieces, %.0f tokens/s, ended by %s\n", g.n_ids, pieces,
                g.decode_tokens_per_s, olv_finish_reason_name(g.finish_reason));
        olv_generation_deinit(&g);
    }
    olv_pipeline_close(p);
    return s == OLV_OK ? 0 : report(&err);
}
