/* SPDX-License-Identifier: Apache-2.0 */
/* Drawing a graph: rows by the longest way from an input, each node below the middle of those it reads. */
#ifndef CLI_GRAPH_SVG_H
#define CLI_GRAPH_SVG_H

#include <jansson.h>
#include <stdio.h>

/* Writes an <svg> element of the JSON of olv_model_graph_json. 0; 1: out of memory. */
int write_graph_svg(const json_t *graph, FILE *out);
/* "f32[1,64,N]" of a value of that JSON. */
void format_value_type(const json_t *value, char *out, size_t size);

#endif
