/* SPDX-License-Identifier: Apache-2.0 */
/* What the commands over plain graphs (infer, compare, benchmark) share: reading, reshaping and compiling by the common
 * options. */
#ifndef CLI_GRAPH_MODEL_H
#define CLI_GRAPH_MODEL_H

#include "args.h"
#include "preprocess.h"
#include <olivine/model.h>

typedef struct graph_model {
    olv_core *core;
    olv_model *model;
    olv_compiled *compiled;
} graph_model;

#define EXTENSION_OPTION {"extension", ARG_LIST, &common.extensions, "FILE.so", "graphs: a shared object with operators of one's own", NULL}
#define GRAPH_PROPERTIES 64
typedef struct graph_property_texts {
    char threads[64], precision[80], cache[4200];
} graph_property_texts;
/* Properties of --config, and those that other common options stand for; out has room for GRAPH_PROPERTIES. Their number. */
size_t graph_properties(const char **out, graph_property_texts *texts);

/* The model of --model or the first positional, its inputs reshaped as `shapes` say ("name[1,3,?,8]" or, for a model with
 * one input, "[...]"), with preprocessing (both may be NULL), compiled. Exit code; 0: all is well. Close it in any case. */
int open_graph_model(arg_list *positionals, const arg_list *shapes, const graph_preprocess *preprocess, graph_model *out);
int open_graph_model_named(const char *path, const arg_list *shapes, const graph_preprocess *preprocess, graph_model *out);
/* Reads a model with the operators of --extension. */
olv_status read_graph_model(olv_core *core, const char *path, olv_model **out, olv_error *err);
/* Reshapes as one text of --shape says. */
olv_status reshape_graph_model(olv_model *m, const char *text, olv_error *err);
/* True for the path of a model file, with or without its ending, or of a folder that holds one and is no language model. */
bool is_graph_file(const char *path);
void close_graph_model(graph_model *m);

#endif
