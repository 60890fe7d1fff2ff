/* SPDX-License-Identifier: Apache-2.0 */
/* Latency and throughput of a graph: random inputs, one request or several at a time. */
#include "benchmark_graph.h"
#include "graph_inputs.h"
#include "graph_model.h"
#include "jsonl.h"
#include <errno.h>
#include <olivine/pipeline.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <time.h>

#define MAX_REQUESTS 256
#define MAX_ITERATIONS 1000000

static double now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

void graph_benchmark_free(graph_benchmark *g) {
    args_free_list(&g->shapes);
    args_free_list(&g->inputs);
}

/* ---- measuring ---- */

typedef struct figures {
    double read_ms, compile_ms, first_ms, total_ms, median, average, least, most, throughput;
    int64_t count, requests;
    char *precision;
} figures;

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static bool more(const graph_benchmark *g, int64_t done, double began) {
    if (interrupted || done >= MAX_ITERATIONS) return false;
    if (g->iterations > 0 && done >= g->iterations) return false;
    double seconds = g->seconds > 0 ? g->seconds : g->iterations > 0 ? 0 : 10;
    return seconds <= 0 || now_ms() - began < seconds * 1e3;
}

static olv_status run_sync(olv_request *r, const graph_benchmark *g, double *ms, int64_t *n, olv_error *err) {
    double began = now_ms();
    for (*n = 0; more(g, *n, began); ++*n) {
        double t0 = now_ms();
        olv_status s = olv_request_run(r, err);
        if (s != OLV_OK) return s;
        ms[*n] = now_ms() - t0;
    }
    return OLV_OK;
}

/* Requests in turn: the oldest is awaited and started again. */
static olv_status run_async(olv_request **r, int64_t n_requests, const graph_benchmark *g, double *ms, int64_t *n, olv_error *err) {
    double start[MAX_REQUESTS] = {0}, began = now_ms();
    int64_t started = 0;
    olv_status s = OLV_OK;
    for (*n = 0; s == OLV_OK && (more(g, started, began) || *n < started);) {
        int64_t k = started % n_requests;
        bool go = more(g, started, began);
        if (started - *n == n_requests || !go) {
            k = *n % n_requests;
            s = olv_request_wait(r[k], -1, err);
            ms[*n] = now_ms() - start[k];
            ++*n;
            if (!go) continue;
            k = started % n_requests;
        }
        if (s != OLV_OK) break;
        start[k] = now_ms();
        s = olv_request_start(r[k], NULL, NULL, err);
        started += s == OLV_OK;
    }
    return s;
}

static void summarize(figures *f, double *ms, const graph_benchmark *g) {
    double sum = 0;
    for (int64_t i = 0; i < f->count; i++) sum += ms[i];
    qsort(ms, (size_t)f->count, sizeof *ms, by_value);
    int64_t at = f->count * g->percentile / 100;
    if (at >= f->count) at = f->count - 1;
    f->median = ms[at];
    f->average = sum / (double)f->count;
    f->least = ms[0];
    f->most = ms[f->count - 1];
    f->throughput = (double)f->count / f->total_ms * 1e3;
}

/* ---- printing ---- */

typedef struct counter_ctx {
    FILE *out;
    double runs;
    bool csv;
} counter_ctx;

static void put_counter(void *ctx, const char *node, const char *type, const char *kernel, double ms) {
    counter_ctx *c = ctx;
    fprintf(c->out, c->csv ? "%s;%s;%s;%.6f\n" : "%-48s %-14s %-28s %10.4f ms\n", node, type, kernel ? kernel : "-", ms / c->runs);
}

static void print(const figures *f, const graph_benchmark *g) {
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    if (common.json) {
        json_t *o = json_pack("{s:f,s:f,s:f,s:I,s:f,s:f,s:f,s:f,s:f,s:f,s:I,s:f}", "read_ms", f->read_ms, "compile_ms", f->compile_ms,
                              "first_inference_ms", f->first_ms, "count", (json_int_t)f->count, "duration_ms", f->total_ms, "latency_median_ms", f->median,
                              "latency_average_ms", f->average, "latency_min_ms", f->least, "latency_max_ms", f->most, "throughput_fps", f->throughput,
                              "nireq", (json_int_t)f->requests, "peak_rss_mb", (double)u.ru_maxrss / 1024);
        json_dumpf(o, stdout, JSON_COMPACT);
        putchar('\n');
        json_decref(o);
        return;
    }
    printf("[ INFO ] Read model took %.2f ms\n[ INFO ] Compile model took %.2f ms\n[ INFO ] First inference took %.2f ms\n", f->read_ms, f->compile_ms, f->first_ms);
    printf("[ INFO ] Count:               %lld iterations\n[ INFO ] Duration:            %.2f ms\n[ INFO ] Latency:\n", (long long)f->count, f->total_ms);
    if (g->percentile == 50) printf("[ INFO ]    Median:           %.2f ms\n", f->median);
    else printf("[ INFO ]    %lld percentile:    %.2f ms\n", (long long)g->percentile, f->median);
    printf("[ INFO ]    Average:          %.2f ms\n[ INFO ]    Min:              %.2f ms\n[ INFO ]    Max:              %.2f ms\n", f->average, f->least, f->most);
    printf("[ INFO ] Throughput:          %.2f FPS\n[ INFO ] Peak RSS:            %.1f MB\n", f->throughput, (double)u.ru_maxrss / 1024);
}

static int write_reports(const graph_benchmark *g, const graph_model *m, const olv_request *r, const figures *f) {
    olv_error err;
    bool counters = g->counters || (g->report_type && strcasecmp(g->report_type, "no_counters"));
    if (counters && !common.json) {
        counter_ctx c = {stdout, (double)(f->count + 1), false};
        olv_request_each_profile(r, put_counter, &c);
    }
    if (g->report_type && counters) {
        char path[4096];
        snprintf(path, sizeof path, "%s/benchmark_average_counters_report.csv", g->report_folder ? g->report_folder : ".");
        FILE *out = fopen(path, "w");
        if (!out) return usage_error("cannot write '%s': %s", path, strerror(errno));
        fprintf(out, "layerName;layerType;execType;realTime (ms)\n");
        counter_ctx c = {out, (double)(f->count + 1), true};
        olv_request_each_profile(r, put_counter, &c);
        fclose(out);
    }
    if (g->plan_path) {
        char *text;
        if (olv_compiled_plan_text(m->compiled, &text, &err) != OLV_OK) return report(&err);
        FILE *out = fopen(g->plan_path, "w");
        if (out) fputs(text, out);
        olv_free(text);
        if (!out || fclose(out)) return usage_error("cannot write '%s': %s", g->plan_path, strerror(errno));
    }
    return 0;
}

/* ---- the command ---- */

static const char *after_device(const char *s) {
    const char *colon = s ? strchr(s, ':') : NULL;
    return colon ? colon + 1 : s;
}

static olv_status open_model(arg_list *positionals, const graph_benchmark *g, graph_model *m, figures *f, olv_error *err) {
    const char *path = take_model(positionals), *properties[GRAPH_PROPERTIES + 4];
    char hint_text[96], streams_text[96];
    graph_property_texts texts;
    size_t n = 0;
    if (!path) return cli_fail(err, OLV_ARG, "no model given");
    double t0 = now_ms();
    olv_status s = olv_core_create(&m->core, err);
    if (s == OLV_OK) s = read_graph_model(m->core, path, &m->model, err);
    f->read_ms = now_ms() - t0;
    for (size_t i = 0; s == OLV_OK && i < g->shapes.count; i++) s = reshape_graph_model(m->model, g->shapes.items[i], err);
    for (size_t i = 0; s == OLV_OK && g->batch > 0 && i < olv_model_n_inputs(m->model); i++) {
        olv_port port;
        olv_model_get_input(m->model, i, &port);
        if (port.rank < 1 || port.has_default) continue;
        port.dims[0] = g->batch;
        s = olv_model_reshape(m->model, port.name, port.rank, port.dims, err);
    }
    if (s == OLV_OK) s = preprocess_graph_model(m->model, &g->preprocess, err);
    const char *streams = after_device(g->streams);
    common.precision = after_device(g->precision ? g->precision : common.precision);
    if (g->threads > 0) common.threads = g->threads;
    if (g->hint && strcasecmp(g->hint, "none")) {
        const char *hint = !strcasecmp(g->hint, "tput") ? "THROUGHPUT" : !strcasecmp(g->hint, "ctput") ? "CUMULATIVE_THROUGHPUT" : g->hint;
        snprintf(hint_text, sizeof hint_text, "PERFORMANCE_HINT=%.40s", hint);
        properties[n++] = hint_text;
    }
    if (streams) snprintf(streams_text, sizeof streams_text, "NUM_STREAMS=%.40s", streams), properties[n++] = streams_text;
    if (g->counters || g->report_type) properties[n++] = "ENABLE_PROFILING=YES";
    n += graph_properties(properties + n, &texts);
    t0 = now_ms();
    if (s == OLV_OK) s = olv_compile(m->core, m->model, common.device, properties, n, &m->compiled, err);
    f->compile_ms = now_ms() - t0;
    return s;
}

static olv_status measure(const graph_model *m, const graph_benchmark *g, olv_request **r, const graph_inputs *in, figures *f, double *ms, olv_error *err) {
    const char *optimal = "1";
    olv_status s = olv_compiled_get_property(m->compiled, "OPTIMAL_NUMBER_OF_INFER_REQUESTS", &optimal, err);
    bool sync = !strcasecmp(g->api, "sync") && g->requests <= 1 && atoi(optimal) <= 1;
    f->requests = g->requests > 0 ? g->requests : sync ? 1 : atoi(optimal);
    if (f->requests > MAX_REQUESTS) f->requests = MAX_REQUESTS;
    for (int64_t i = 0; s == OLV_OK && i < f->requests; i++) {
        s = olv_request_create(m->compiled, &r[i], err);
        if (s == OLV_OK) s = give_graph_inputs(r[i], in, err);
        double t0 = now_ms();
        if (s == OLV_OK && !g->no_warmup) s = olv_request_run(r[i], err);
        if (i == 0) f->first_ms = now_ms() - t0;
    }
    double t0 = now_ms();
    if (s == OLV_OK) s = sync ? run_sync(r[0], g, ms, &f->count, err) : run_async(r, f->requests, g, ms, &f->count, err);
    f->total_ms = now_ms() - t0;
    return s;
}

static double cpu_ms(void) {
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e3 + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e3;
}

/* A line of standard input is a number of runs, answered by their times: another program interleaves several measured ones. */
static olv_status serve_slices(const graph_model *m, const graph_inputs *in, olv_error *err) {
    olv_request *r = NULL;
    char line[64];
    olv_status s = olv_request_create(m->compiled, &r, err);
    if (s == OLV_OK) s = give_graph_inputs(r, in, err);
    if (s == OLV_OK) s = olv_request_run(r, err);
    if (s == OLV_OK) printf("ready\n");
    while (s == OLV_OK && !fflush(stdout) && !interrupted && fgets(line, sizeof line, stdin)) {
        long runs = strtol(line, NULL, 10);
        double wall = now_ms(), cpu = cpu_ms();
        for (long i = 0; s == OLV_OK && i < runs; i++) s = olv_request_run(r, err);
        double n = runs > 0 ? (double)runs : 1;
        printf("{\"wall_ms\":%.4f,\"cpu_ms\":%.4f}\n", (now_ms() - wall) / n, (cpu_ms() - cpu) / n);
    }
    olv_request_destroy(r);
    return s;
}

int benchmark_graph(arg_list *positionals, graph_benchmark *g) {
    graph_model m = {0};
    graph_inputs in = {0};
    olv_request *r[MAX_REQUESTS] = {0};
    figures f = {0};
    olv_error err = {.message = ""};
    if (g->percentile < 1 || g->percentile > 100) return usage_error("-latency_percentile: 1 to 100 expected");
    double *ms = malloc(MAX_ITERATIONS * sizeof *ms);
    olv_status s = ms ? open_model(positionals, g, &m, &f, &err) : cli_fail(&err, OLV_NOMEM, "out of memory");
    if (s == OLV_OK) s = make_graph_inputs(m.compiled, &g->inputs, false, &in, &err);
    if (s == OLV_OK) s = g->slices ? serve_slices(&m, &in, &err) : measure(&m, g, r, &in, &f, ms, &err);
    int code = s != OLV_OK ? report(&err) : g->slices || f.count > 0 ? 0 : 130;
    if (s == OLV_OK && f.count > 0) {
        summarize(&f, ms, g);
        print(&f, g);
        code = write_reports(g, &m, r[0], &f);
    }
    for (int i = 0; i < MAX_REQUESTS; i++) olv_request_destroy(r[i]);
    free_graph_inputs(&in);
    free(ms);
    close_graph_model(&m);
    return code;
}
