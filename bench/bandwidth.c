/* SPDX-License-Identifier: Apache-2.0 */
/* How fast two threads read memory just now: one figure in GB/s for each line of standard input. Virtual machines move their
 * processors about, and this moves with them by half; speeds of decoding mean something only beside it. */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BYTES ((size_t)384 << 20) /* well beyond any cache */
#define WORDS 8                   /* independent sums */

static uint64_t *memory;
static volatile uint64_t sink;

static void *read_half(void *half) {
    size_t n = BYTES / sizeof *memory / 2;
    const uint64_t *p = memory + (half ? n : 0);
    uint64_t s[WORDS] = {0};
    for (size_t i = 0; i < n; i += WORDS)
        for (int k = 0; k < WORDS; k++) s[k] ^= p[i + (size_t)k];
    for (int k = 0; k < WORDS; k++) sink ^= s[k];
    return NULL;
}

static double gigabytes_per_s(void) {
    struct timespec a, b;
    pthread_t other;
    clock_gettime(CLOCK_MONOTONIC, &a);
    if (pthread_create(&other, NULL, read_half, memory)) return 0;
    read_half(NULL);
    pthread_join(other, NULL);
    clock_gettime(CLOCK_MONOTONIC, &b);
    return (double)BYTES / ((double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec));
}

int main(void) {
    char line[64];
    memory = malloc(BYTES);
    if (!memory) return 1;
    memset(memory, 1, BYTES);
    while (fgets(line, sizeof line, stdin)) {
        double best = 0;
        for (int i = 0; i < 3; i++) {
            double g = gigabytes_per_s();
            if (g > best) best = g;
        }
        printf("%.1f\n", best);
        fflush(stdout);
    }
    free(memory);
    return 0;
}
