/* SPDX-License-Identifier: Apache-2.0 */
/* Options that fold preprocessing into a graph, spelled as converters and benchmark_app spell them. */
#ifndef CLI_PREPROCESS_H
#define CLI_PREPROCESS_H

#include "args.h"
#include <olivine/model.h>

typedef struct graph_preprocess {
    const char *mean, *scale, *layout, *type;
    bool reverse;
} graph_preprocess;

#define PREPROCESS_OPTIONS(p)                                                                                                         \
    {"mean_values", ARG_STRING, &(p).mean, "[M,...]", "subtracted by channel; also as NAME[M,...],NAME[M,...]", NULL},                \
    {"scale_values", ARG_STRING, &(p).scale, "[S,...]", "divided by, by channel, after the means", NULL},                             \
    {"layout", ARG_STRING, &(p).layout, "L", "layout of the model (NCHW), or of the model and of what is given (NCHW->NHWC)", NULL},  \
    {"ip", ARG_STRING, &(p).type, "TYPE", "type in which inputs are given, e.g. U8", NULL},                                           \
    {"reverse_input_channels", ARG_FLAG, &(p).reverse, NULL, "given channels are in the other order", NULL}

olv_status preprocess_graph_model(olv_model *m, const graph_preprocess *p, olv_error *err);

#endif
