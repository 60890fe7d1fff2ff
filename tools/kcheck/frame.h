/* SPDX-License-Identifier: Apache-2.0 */
/* Between the frame's two halves: cases (frame.c) and the command (kcheck.c). */
#ifndef KCHECK_FRAME_H
#define KCHECK_FRAME_H

#include "kernels/kcheck.h"

#define KC_MAX_BUFFERS 256

typedef struct kc_buffer {
    uint8_t *map;
    size_t map_bytes;
    uint8_t *data;
    size_t bytes;
    bool guarded;
} kc_buffer;

struct kc {
    uint64_t state;
    const char *family, *variant;
    kc_buffer buffers[KC_MAX_BUFFERS];
    int n_buffers;
    char about[256];
    char failure[512]; /* empty: none */
};

void kc_begin(kc *k, uint64_t seed);
/* Checks canaries and frees the buffers. */
void kc_end(kc *k);
/* Runs one case; false and k->failure if it failed, crashes included. */
bool kc_run_case(kc *k, const kc_family *f, size_t variant, uint64_t seed);

#endif
