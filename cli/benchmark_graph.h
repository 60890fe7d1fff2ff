/* SPDX-License-Identifier: Apache-2.0 */
/* The part of `benchmark` for graphs, with the flags of benchmark_app. */
#ifndef CLI_BENCHMARK_GRAPH_H
#define CLI_BENCHMARK_GRAPH_H

#include "args.h"
#include "preprocess.h"

typedef struct graph_benchmark {
    arg_list shapes, inputs;
    const char *hint, *streams, *api, *precision, *report_type, *report_folder, *json_path, *plan_path;
    int64_t iterations, requests, threads, percentile, batch;
    double seconds;
    bool counters, no_warmup, slices;
    graph_preprocess preprocess;
} graph_benchmark;
#define GRAPH_BENCHMARK_DEFAULTS {.hint = "latency", .api = "sync", .percentile = 50}

#define GRAPH_BENCHMARK_OPTIONS(g)                                                                                          \
    {"hint", ARG_STRING, &(g).hint, "H", "graphs: latency, throughput, cumulative_throughput, none", NULL},                 \
    {"t time", ARG_REAL, &(g).seconds, "S", "graphs: seconds to measure (10 without -niter)", NULL},                        \
    {"nireq", ARG_INT, &(g).requests, "N", "graphs: requests at a time", NULL},                                             \
    {"nstreams", ARG_STRING, &(g).streams, "N", "graphs: streams, also as CPU:N", NULL},                                    \
    {"nthreads", ARG_INT, &(g).threads, "N", "the same as --threads", NULL},                                                \
    {"api", ARG_STRING, &(g).api, "A", "graphs: sync or async", NULL},                                                      \
    {"b", ARG_INT, &(g).batch, "N", "graphs: size of the first dimension of every input", NULL},                            \
    {"shape data_shape", ARG_LIST, &(g).shapes, "NAME[1,3,224,224]", "graphs: shapes of inputs", NULL},                     \
    {"i input", ARG_LIST, &(g).inputs, "NAME:FILE", "graphs: data of an input; random otherwise", NULL},                    \
    {"infer_precision", ARG_STRING, &(g).precision, "P", "graphs: f32, bf16, also as CPU:P", NULL},                         \
    {"latency_percentile", ARG_INT, &(g).percentile, "N", "graphs: which latency counts (50)", NULL},                       \
    {"pc", ARG_FLAG, &(g).counters, NULL, "graphs: times of every node", NULL},                                             \
    {"report_type", ARG_STRING, &(g).report_type, "T", "graphs: no_counters, average_counters, detailed_counters", NULL},   \
    {"report_folder", ARG_STRING, &(g).report_folder, "DIR", "graphs: where reports go", NULL},                             \
    {"json_stats", ARG_FLAG, &common.json, NULL, "the same as --json", NULL},                                               \
    {"exec_graph_path", ARG_STRING, &(g).plan_path, "FILE", "graphs: the plan, as text", NULL},                             \
    {"no_warmup", ARG_FLAG, &(g).no_warmup, NULL, "graphs: count the first run too", NULL},                                 \
    {"inference_only", ARG_IGNORED, NULL, "BOOL", NULL, NULL}, {"pcsort", ARG_IGNORED, NULL, "S", NULL, NULL},              \
    PREPROCESS_OPTIONS((g).preprocess),                                                                                     \
    {"pin", ARG_IGNORED, NULL, "P", NULL, NULL}, {"op", ARG_IGNORED, NULL, "P", NULL, NULL}, {"iop", ARG_IGNORED, NULL, "P", NULL, NULL}

int benchmark_graph(arg_list *positionals, graph_benchmark *g);
void graph_benchmark_free(graph_benchmark *g);

#endif
