/* SPDX-License-Identifier: Apache-2.0 */
#include "progress.h"
#include "args.h"
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#define BAR_WIDTH 24

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Memory of this process alone, without mapped files. */
static double own_mb(void) {
    long pages = 0, shared = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f && fscanf(f, "%*s %ld %ld", &pages, &shared) != 2) pages = shared = 0;
    if (f) fclose(f);
    return (double)(pages - shared) * (double)sysconf(_SC_PAGESIZE) / 1048576;
}

static bool is_mode(const char *mode) { return common.progress && !strcasecmp(common.progress, mode); }

int progress_check(void) {
    if (!common.progress || is_mode("json") || is_mode("bar") || is_mode("none")) return 0;
    return usage_error("--progress %s: expected json, bar or none", common.progress);
}

void progress_begin(progress *p, const char *step, progress_unit unit) {
    bool terminal = !common.progress && isatty(STDERR_FILENO);
    *p = (progress){.step = step, .unit = unit, .start = now(), .json = is_mode("json"), .bar = is_mode("bar") || terminal};
    if (common.quiet) p->json = p->bar = false;
}

static void show_json(const progress *p, uint64_t done, uint64_t total, double rate, double eta) {
    fprintf(stderr, "{\"step\":\"%s\",\"done\":%llu,\"total\":%llu,", p->step, (unsigned long long)done, (unsigned long long)total);
    if (p->unit == PROGRESS_BYTES) fprintf(stderr, "\"mb_per_s\":%.1f,", rate / 1e6);
    else fprintf(stderr, "\"per_s\":%.1f,", rate);
    fprintf(stderr, "\"eta_s\":%.1f,\"rss_mb\":%.0f}\n", eta, own_mb());
}

static void show_bar(const progress *p, uint64_t done, uint64_t total, double rate, double eta) {
    char bar[BAR_WIDTH + 1], speed[32];
    int full = total ? (int)((double)done / (double)total * BAR_WIDTH) : BAR_WIDTH;
    for (int i = 0; i < BAR_WIDTH; i++) bar[i] = i < full ? '#' : '.';
    bar[BAR_WIDTH] = 0;
    if (p->unit == PROGRESS_BYTES) snprintf(speed, sizeof speed, "%.1f MB/s", rate / 1e6);
    else if (p->unit == PROGRESS_WEIGHTS) snprintf(speed, sizeof speed, "%.0f M weights/s", rate / 1e6);
    else snprintf(speed, sizeof speed, "%.1f /s", rate);
    fprintf(stderr, "\r%s [%s] %3.0f %%  %s  ETA %.0f s  memory %.0f MB\033[K", p->step, bar,
            total ? 100.0 * (double)done / (double)total : 100, speed, eta, own_mb());
}

bool progress_show(void *ctx, uint64_t done, uint64_t total) {
    progress *p = ctx;
    double t = now(), rate = t > p->start ? (double)done / (t - p->start) : 0;
    bool end = done >= total;
    if (interrupted) return false;
    if ((!p->json && !p->bar) || (!end && t - p->last < 0.1)) return true;
    p->last = t;
    double eta = rate > 0 && !end ? (double)(total - done) / rate : 0;
    if (p->json) show_json(p, done, total, rate, eta);
    else show_bar(p, done, total, rate, eta);
    p->shown = p->bar && !p->json;
    return true;
}

double progress_end(progress *p) {
    if (p->shown) fputs("\r\033[K", stderr);
    p->shown = false;
    return now() - p->start;
}
