/* SPDX-License-Identifier: Apache-2.0 */
#include "jsonl.h"
#include "adapters.h"
#include "benchmark_graph.h"
#include "graph_model.h"
#include "model.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

int cmd_benchmark(int argc, char **argv);

#define MAX_RUNS 64

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}
static double median(double *v, int n) {
    qsort(v, (size_t)n, sizeof *v, by_value);
    return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

static double cpu_seconds(void) {
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1e-6;
}

typedef struct result {
    double load_ms, ttft_ms, prefill, decode, cpu_per_token;
    int64_t n_prompt, n_new, runs;
    double peak_rss_mb, kv_mb, workspace_mb;
} result;

static olv_status measure(olv_pipeline *p, int64_t n_prompt, int64_t n_new, int64_t runs, int64_t warmup, result *r, olv_error *err) {
    double ttft[MAX_RUNS], prefill[MAX_RUNS], decode[MAX_RUNS], cpu0 = 0;
    olv_benchmark b;
    for (int64_t i = -warmup; i < runs; i++) {
        if (i == 0) cpu0 = cpu_seconds();
        olv_status s = olv_pipeline_benchmark(p, (size_t)n_prompt, (size_t)n_new, (uint64_t)(i + 1000), &b, err);
        if (s != OLV_OK) return s;
        if (i < 0) continue;
        ttft[i] = b.ttft_ms;
        prefill[i] = b.prefill_tokens_per_s;
        decode[i] = b.decode_tokens_per_s;
    }
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    *r = (result){.load_ms = b.load_ms, .ttft_ms = median(ttft, (int)runs), .prefill = median(prefill, (int)runs),
                  .decode = median(decode, (int)runs), .cpu_per_token = (cpu_seconds() - cpu0) / (double)(runs * (n_prompt + n_new)),
                  .n_prompt = n_prompt, .n_new = n_new, .runs = runs, .peak_rss_mb = (double)u.ru_maxrss / 1024,
                  .kv_mb = (double)b.kv_bytes / 1048576, .workspace_mb = (double)b.workspace_bytes / 1048576};
    return OLV_OK;
}

static void print(const result *r) {
    if (common.json) {
        json_t *o = json_pack("{s:f,s:f,s:f,s:f,s:f,s:f,s:f,s:f,s:I,s:I,s:I}", "load_ms", r->load_ms, "ttft_ms", r->ttft_ms,
                              "prefill_tokens_per_s", r->prefill, "decode_tokens_per_s", r->decode, "peak_rss_mb", r->peak_rss_mb,
                              "kv_cache_mb", r->kv_mb, "workspace_mb", r->workspace_mb, "cpu_s_per_token", r->cpu_per_token,
                              "prompt_tokens", (json_int_t)r->n_prompt, "new_tokens", (json_int_t)r->n_new, "runs", (json_int_t)r->runs);
        json_dumpf(o, stdout, JSON_COMPACT);
        putchar('\n');
        json_decref(o);
        return;
    }
    printf("load             %10.1f ms\nfirst token      %10.1f ms   (%lld prompt tokens)\nprefill          %10.1f tokens/s\n"
           "decode           %10.1f tokens/s   (%lld new tokens, median of %lld)\npeak RSS         %10.1f MB\n",
           r->load_ms, r->ttft_ms, (long long)r->n_prompt, r->prefill, r->decode, (long long)r->n_new, (long long)r->runs, r->peak_rss_mb);
}

/* "run N": measures once per line of standard input, so that another program can interleave several. */
static int serve_slices(olv_pipeline *p, int64_t n_prompt, int64_t n_new) {
    char line[64];
    common.json = true;
    printf("ready\n");
    fflush(stdout);
    while (!interrupted && fgets(line, sizeof line, stdin)) {
        olv_error err = {.message = ""};
        result r;
        if (measure(p, n_prompt, n_new, 1, 0, &r, &err) != OLV_OK) return report(&err);
        print(&r);
        fflush(stdout);
    }
    return 0;
}

int cmd_benchmark(int argc, char **argv) {
    arg_list positionals = {0};
    int64_t n_prompt = 512, n_new = 64, runs = 3, warmup = 1;
    bool profile = false, slices = false, runs_given = false;
    graph_benchmark graph = GRAPH_BENCHMARK_DEFAULTS;
    const arg_option options[] = {{"prompt-tokens", ARG_INT, &n_prompt, "N", "tokens of the prompt (512)", NULL},
                                  {"new-tokens", ARG_INT, &n_new, "N", "tokens made (64)", NULL},
                                  {"niter iterations", ARG_INT, &runs, "N", "measured runs (3)", &runs_given},
                                  {"warmup", ARG_INT, &warmup, "N", "runs before that (1)", NULL},
                                  {"profile", ARG_FLAG, &profile, NULL, "time by kind of step", NULL},
                                  {"slices", ARG_FLAG, &slices, NULL, "one JSON result per line of standard input", NULL},
                                  GRAPH_BENCHMARK_OPTIONS(graph), EXTENSION_OPTION, ADAPTER_OPTION, COMMON_OPTIONS};
    const arg_spec spec = {.usage = "MODEL", .summary = "Speed of a language model (load, first token, prefill, decode, memory), or of any graph (latency, throughput).",
                           .example = "olivine benchmark models/pebble --prompt-tokens 128 --new-tokens 64 --threads 2 --json",
                           .options = options, .n_options = sizeof options / sizeof options[0], .positionals = &positionals};
    int code = args_parse("benchmark", &spec, argc, argv);
    if (code) return code - 1;
    if (is_graph_file(common.model ? common.model : positionals.count ? positionals.items[0] : NULL)) {
        graph.iterations = runs_given ? runs : 0;
        graph.counters |= profile;
        graph.slices = slices;
        code = benchmark_graph(&positionals, &graph);
        args_free_list(&positionals);
        graph_benchmark_free(&graph);
        return code;
    }
    if (n_prompt < 1 || n_new < 0 || runs < 1 || runs > MAX_RUNS || warmup < 0)
        code = usage_error("expected prompt-tokens >= 1, new-tokens >= 0, 1 <= niter <= %d, warmup >= 0", MAX_RUNS);
    olv_pipeline *p = code ? NULL : open_model(&positionals, true, &code);
    if (p) code = load_adapters(p);
    olv_error err = {.message = ""};
    result r;
    if (p && !code && slices) code = serve_slices(p, n_prompt, n_new);
    else if (p && !code) {
        if (profile) olv_pipeline_profile(p, true);
        if (measure(p, n_prompt, n_new, runs, warmup, &r, &err) == OLV_OK) print(&r);
        else code = report(&err);
        char *text = NULL;
        if (!code && profile && olv_pipeline_profile_text(p, &text, &err) == OLV_OK) fputs(text, stdout);
        olv_free(text);
    }
    olv_pipeline_close(p);
    args_free_list(&positionals);
    graph_benchmark_free(&graph);
    return code;
}
