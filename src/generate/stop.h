/* SPDX-License-Identifier: Apache-2.0 */
/* Stop strings over streamed text: holds back what could still become one, and says when one has come. */
#ifndef OL_GENERATE_STOP_H
#define OL_GENERATE_STOP_H

#include "base/str.h"

typedef struct ol_stop {
    const char *const *strings;
    int n;
    bool include; /* the stop string itself belongs to the output */
    ol_buf held;
} ol_stop;

void ol_stop_init(ol_stop *s, const char *const *strings, int n, bool include);
void ol_stop_deinit(ol_stop *s);
/* Takes in a piece; appends what is certain to out. True when a stop string has come: nothing more is to follow. */
bool ol_stop_push(ol_stop *s, const char *piece, size_t len, ol_buf *out);
/* At the end: what was held back. */
void ol_stop_flush(ol_stop *s, ol_buf *out);

#endif
