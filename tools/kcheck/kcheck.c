/* SPDX-License-Identifier: Apache-2.0 */
/* kcheck: tries kernel variants against scalar code over random cases; --bench times them. */
#include "base/cpu.h"
#include "frame.h"
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define KC_FAMILY(name) extern const kc_family kc_family_##name;
#include "kcheck.def"
#undef KC_FAMILY
#define KC_FAMILY(name) &kc_family_##name,
static const kc_family *const families[] = {
#include "kcheck.def"
};
#undef KC_FAMILY
#define N_FAMILIES (sizeof families / sizeof *families)

typedef struct options {
    uint64_t seed, cpu;
    long cases, only_case;
    const char *family, *variant;
    bool list, bench;
} options;

static const char usage[] =
    "usage: kcheck [--seed N] [--cases N] [--case I] [--family NAME] [--variant TEXT] [--isa LEVEL] [--list] [--bench]\n"
    "Tries each kernel variant that this machine can run against a reference over random cases.\n"
    "  --seed N        start of the random numbers (printed; default: the clock)\n"
    "  --cases N       cases a variant (default 500)\n"
    "  --case I        only the I-th case, as a failure names it\n"
    "  --family NAME   only this family; --variant TEXT: only names that contain TEXT\n"
    "  --isa LEVEL     upper bound: scalar, avx2, avx512, amx\n"
    "  --list          what there is; --bench: time instead of check\n"
    "example: kcheck --family linear --cases 2000 --isa avx2\n";

static uint64_t mix(uint64_t a, uint64_t b) {
    a ^= b + 0x9e3779b97f4a7c15u + (a << 6) + (a >> 2);
    a = (a ^ a >> 30) * 0xbf58476d1ce4e5b9u;
    return a ^ a >> 27;
}

static uint64_t case_seed(uint64_t seed, const char *family, long i) {
    for (const char *p = family; *p; p++) seed = mix(seed, (uint64_t)*p);
    return mix(seed, (uint64_t)i);
}

/* First missing flag, or -1. */
static int missing(uint64_t needed, uint64_t have) {
    return needed & ~have ? __builtin_ctzll(needed & ~have) : -1;
}

static bool check_variant(kc *k, const kc_family *f, size_t v, const options *o) {
    long failed = 0, first = o->only_case >= 0 ? o->only_case : 0;
    long end = o->only_case >= 0 ? first + 1 : o->cases;
    for (long i = first; i < end && failed < 3; i++) {
        if (kc_run_case(k, f, v, case_seed(o->seed, f->name, i))) continue;
        failed++;
        printf("%s: case %ld (%s): %s\n  again: kcheck --seed %llu --family %s --variant %s --case %ld\n", k->variant, i,
               k->about, k->failure, (unsigned long long)o->seed, f->name, k->variant, i);
    }
    printf("%-40s %s\n", k->variant, failed ? "FAILED" : "ok");
    fflush(stdout);
    return failed == 0;
}

static void bench_variant(kc *k, const kc_family *f, size_t v) {
    if (!f->bench) return;
    kc_begin(k, 1);
    f->bench(k, v);
    kc_end(k);
}

/* True if all went well. */
static bool run_family(kc *k, const kc_family *f, const options *o, int *done) {
    bool ok = true;
    for (size_t v = 0; v < f->count(); v++) {
        kc_variant kv = f->variant(v);
        if (o->variant && !strstr(kv.name, o->variant)) continue;
        k->family = f->name;
        k->variant = kv.name;
        int lack = missing(kv.cpu, o->cpu);
        ++*done;
        if (lack >= 0)
            printf("%-40s skipped: no %s\n", kv.name, ol_cpu_flag_name(lack));
        else if (o->list)
            printf("%-40s %s\n", kv.name, f->name);
        else if (o->bench)
            bench_variant(k, f, v);
        else
            ok = check_variant(k, f, v, o) && ok;
    }
    return ok;
}

static bool parse_number(const char *text, uint64_t *out) {
    char *end;
    *out = strtoull(text, &end, 0);
    return *text && !*end;
}

static int parse(int argc, char **argv, options *o) {
    static const struct option longs[] = {
        {"seed", required_argument, NULL, 's'},   {"cases", required_argument, NULL, 'n'},
        {"case", required_argument, NULL, 'c'},   {"family", required_argument, NULL, 'f'},
        {"variant", required_argument, NULL, 'v'}, {"isa", required_argument, NULL, 'i'},
        {"list", no_argument, NULL, 'l'},         {"bench", no_argument, NULL, 'b'},
        {"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0}};
    int c;
    uint64_t n = 0;
    while ((c = getopt_long(argc, argv, "h", longs, NULL)) >= 0) {
        bool ok = true;
        switch (c) {
        case 's': ok = parse_number(optarg, &o->seed); break;
        case 'n': ok = parse_number(optarg, &n); o->cases = (long)n; break;
        case 'c': ok = parse_number(optarg, &n); o->only_case = (long)n; break;
        case 'f': o->family = optarg; break;
        case 'v': o->variant = optarg; break;
        case 'i': ok = ol_cpu_limit(optarg, &o->cpu); break;
        case 'l': o->list = true; break;
        case 'b': o->bench = true; break;
        case 'h': fputs(usage, stdout); return 0;
        default: fputs(usage, stderr); return 2;
        }
        if (!ok) {
            fprintf(stderr, "kcheck: '%s' is no value for this option\n", optarg);
            return 2;
        }
    }
    return -1;
}

int main(int argc, char **argv) {
    static kc k;
    options o = {.seed = (uint64_t)time(NULL), .cpu = ol_cpu_probe(), .cases = 500, .only_case = -1};
    int rc = parse(argc, argv, &o), done = 0;
    if (rc >= 0) return rc;
    if (!o.list && !o.bench) printf("kcheck --seed %llu\n", (unsigned long long)o.seed);
    bool ok = true;
    for (size_t i = 0; i < N_FAMILIES; i++)
        if (!o.family || !strcmp(o.family, families[i]->name)) ok = run_family(&k, families[i], &o, &done) && ok;
    if (!done) {
        fprintf(stderr, "kcheck: nothing is called that; see --list\n");
        return 2;
    }
    return ok ? 0 : 1;
}
