/* SPDX-License-Identifier: Apache-2.0 */
/* The part of `inspect` for graphs. */
#ifndef CLI_INSPECT_GRAPH_H
#define CLI_INSPECT_GRAPH_H

#include <stdbool.h>

typedef struct graph_inspection {
    const char *graph; /* text, json, svg; NULL: the summary */
    const char *after; /* a pass */
    const char *html;  /* a file */
    bool plan;
} graph_inspection;

/* Exit code. */
int inspect_graph(const char *path, const graph_inspection *what);

#endif
