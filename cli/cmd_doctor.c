/* SPDX-License-Identifier: Apache-2.0 */
/* Looks for what would make the program slow or fail on this machine, and says what helps. Exit code 1 when something fails. */
#include "model.h"
#include <olivine/core.h>
#include <olivine/hub.h>
#include <olivine/tensor.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

int cmd_doctor(int argc, char **argv);

typedef struct findings {
    json_t *list;
    int failed;
} findings;

static void find(findings *f, const char *what, const char *verdict, const char *text, const char *remedy) {
    json_array_append_new(f->list, json_pack("{s:s,s:s,s:s,s:s}", "check", what, "verdict", verdict, "found", text, "remedy", remedy));
    if (!strcmp(verdict, "fail")) f->failed++;
    if (common.json) return;
    printf("%-5s %-14s %s\n", verdict, what, text);
    if (*remedy) printf("      %-14s -> %s\n", "", remedy);
}

static bool has_feature(const json_t *machine, const char *name) {
    size_t i;
    json_t *v;
    json_array_foreach(json_object_get(machine, "features"), i, v) if (!strcmp(json_string_value(v), name)) return true;
    return false;
}

static void check_processor(findings *f, const json_t *m) {
    char text[256];
    const char *level = has_feature(m, "avx512-vnni") ? "AVX-512 VNNI" : has_feature(m, "avx512f") ? "AVX-512" : has_feature(m, "avx2") ? "AVX2" : "portable C";
    snprintf(text, sizeof text, "%s, kernels: %s", json_string_value(json_object_get(m, "processor")), level);
    bool slow = !strcmp(level, "portable C");
    find(f, "processor", slow ? "warn" : "ok", text, slow ? "without AVX2 everything runs, slowly" : "");
    long online = sysconf(_SC_NPROCESSORS_ONLN), usable = (long)json_integer_value(json_object_get(m, "threads"));
    snprintf(text, sizeof text, "%ld of %ld processors may be used", usable, online);
    find(f, "threads", usable < online ? "warn" : "ok", text, usable < online ? "a quota or an affinity mask limits this process" : "");
}

static void check_memory(findings *f) {
    char line[256], text[128];
    long total = 0, available = 0;
    FILE *p = fopen("/proc/meminfo", "r");
    while (p && fgets(line, sizeof line, p)) {
        sscanf(line, "MemTotal: %ld", &total);
        sscanf(line, "MemAvailable: %ld", &available);
    }
    if (p) fclose(p);
    snprintf(text, sizeof text, "%.1f of %.1f GB available", (double)available / 1048576, (double)total / 1048576);
    find(f, "memory", available < 524288 ? "warn" : "ok", text, available < 524288 ? "less than 0.5 GB: only very small models will fit" : "");
    struct rlimit r;
    if (getrlimit(RLIMIT_AS, &r) == 0 && r.rlim_cur != RLIM_INFINITY)
        find(f, "address space", "warn", "limited (ulimit -v)", "models are mapped: ulimit -v unlimited");
}

static void check_huge_pages(findings *f) {
    char text[128] = "";
    FILE *p = fopen("/sys/kernel/mm/transparent_hugepage/enabled", "r");
    if (!p || !fgets(text, sizeof text, p)) strcpy(text, "unknown");
    if (p) fclose(p);
    text[strcspn(text, "\n")] = 0;
    bool never = strstr(text, "[never]") != NULL;
    find(f, "huge pages", never ? "warn" : "ok", text, never ? "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled gives a few per cent" : "");
}

static void check_hub_cache(findings *f) {
    char path[4096];
    const char *hub = getenv("HF_HUB_CACHE"), *home = getenv("HF_HOME"), *user = getenv("HOME");
    if (hub) snprintf(path, sizeof path, "%s", hub);
    else if (home) snprintf(path, sizeof path, "%s/hub", home);
    else snprintf(path, sizeof path, "%s/.cache/huggingface/hub", user ? user : "");
    bool there = access(path, R_OK) == 0;
    find(f, "hub cache", "ok", there ? path : "none yet: models are named by folder or file", "");
}

static void check_network(findings *f) {
    const char *client = olv_hub_client();
    char text[160];
    snprintf(text, sizeof text, "%.120s", client ? client : "built without libcurl");
    find(f, "network", client ? "ok" : "warn", text, client ? "" : "models must lie in a folder or in the hub cache already");
}

static void check_pictures(findings *f) {
    const char *libraries = olv_picture_libraries();
    find(f, "pictures", libraries ? "ok" : "warn", libraries ? libraries : "built without libpng and libjpeg",
         libraries ? "" : "inputs are .npy, .pb or .json files");
}

int cmd_doctor(int argc, char **argv) {
    const arg_option options[] = {{"json", ARG_FLAG, &common.json, NULL, "results as JSON", NULL}};
    const arg_spec spec = {.usage = "", .summary = "What is missing on this machine.", .example = "olivine doctor", .options = options, .n_options = 1};
    int code = args_parse("doctor", &spec, argc, argv);
    if (code) return code - 1;
    olv_error err = {.message = ""};
    char *text;
    if (olv_machine_describe(&text, &err) != OLV_OK) return report(&err);
    json_t *machine = json_loads(text, 0, NULL);
    olv_free(text);
    findings f = {json_array(), 0};
    check_processor(&f, machine);
    check_memory(&f);
    check_huge_pages(&f);
    check_hub_cache(&f);
    check_network(&f);
    check_pictures(&f);
    if (common.json) {
        json_dumpf(f.list, stdout, JSON_COMPACT);
        putchar('\n');
    } else {
        printf("%s\n", f.failed ? "something is missing" : "ready");
    }
    json_decref(f.list);
    json_decref(machine);
    return f.failed ? 1 : 0;
}
