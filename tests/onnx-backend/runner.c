/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the ONNX backend vectors on the reference device, or with --cpu compiled for the CPU device: rtol 1e-3, atol 1e-7, exact types and shapes. The file of
 * expectations names the vectors that do not pass and why; every difference from it, either way, fails the run.
 *
 * Usage: onnx_backend DATA [--expected FILE] [--write FILE] [--verbose] [--only WORD] [--rewrite MODEL] [--cpu]
 * [--loose]: rounding as between two programs in single precision (and 16-bit types by their own)
 * [--types]: instead of running, prints a line of each value that a node makes: TYPE vector name type dims */
#include "base/alloc.h"
#include "base/cpu.h"
#include "base/error.h"
#include "base/executor.h"
#include "base/file.h"
#include "base/map.h"
#include "compare.h"
#include "device/reference/reference.h"
#include "formats/onnx/onnx.h"
#include "passes/passes.h"
#include "runtime/request.h"
#include <stdio.h>
#include <stdlib.h>

#define RTOL 1e-3
#define ATOL 1e-7
#define MAX_VALUES 64

typedef enum outcome { PASS, FAIL, MISSING } outcome;

typedef struct totals {
    int count[3];
    int drift;
} totals;

static bool verbose;
static bool compiled; /* through the plan of the CPU device */
static ol_executor *executor;
static bool loose, types_only;
static const char *rewrite; /* path of a model file: every model is written there and read again before it runs */
static const char *only;
static char *expected;
static FILE *written;
static ol_map missing_ops;

static olv_status read_values(const char *set, const char *stem, ol_value *const *values, int n, ol_datum *out, int *count,
                              olv_error *err) {
    for (*count = 0; *count < n; (*count)++) {
        char path[2048];
        char *data;
        size_t len;
        snprintf(path, sizeof path, "%s/%s_%d.pb", set, stem, *count);
        if (!ol_file_exists(path)) break;
        OL_TRY(ol_file_read(path, (size_t)1 << 30, &data, &len, err));
        olv_status s = ol_onnx_read_value(data, len, &values[*count]->type, &out[*count], err);
        ol_free(data);
        OL_TRY(s);
    }
    return OLV_OK;
}

static outcome compare_all(const ol_graph *g, const ol_datum *have, const ol_datum *want, int n, char *text, size_t size) {
    for (int i = 0; i < n; i++) {
        char why[512];
        bool coarse = loose && want[i].tensor.dtype != OL_DTYPE_NONE && ol_dtype_bits(want[i].tensor.dtype) <= 16;
        double rtol = coarse ? 2e-2 : RTOL, atol = coarse ? 1e-2 : loose ? 2e-5 : ATOL;
        if (compare_datums(&have[i], &want[i], rtol, atol, why, sizeof why)) continue;
        snprintf(text, size, "output '%s': %s", g->outputs[i]->name, why);
        return FAIL;
    }
    return PASS;
}

/* Compiled for the CPU and run as a request; takes the graph. */
static olv_status run_compiled(ol_graph *g, const ol_datum *in, int n_in, ol_datum *out, olv_error *err) {
    ol_plan_options o = {.device = ol_device_find("CPU"), .cpu = ol_cpu_probe(), .precision = OLK_F32, .kv_dtype = OL_F32, .whole = true};
    ol_plan *plan = NULL;
    ol_request *r = NULL;
    for (int i = 0; i < n_in; i++) ol_value_drop_default(g->inputs[i]);
    olv_status s = ol_passes_run(g, err);
    if (s == OLV_OK) s = ol_plan_create(g, &o, &plan, err);
    else ol_graph_destroy(g);
    if (s == OLV_OK) s = ol_request_create(plan, executor, &r, err);
    for (int i = 0; s == OLV_OK && i < n_in; i++) s = ol_request_set_input(r, i, &in[i], err);
    for (int k = 0; s == OLV_OK && k < 2; k++) s = ol_request_run(r, NULL, err); /* again: nothing may remain of the first */
    for (int i = 0; s == OLV_OK && i < ol_plan_graph(plan)->n_outputs; i++)
        s = ol_datum_copy(&out[i], ol_request_output(r, i), err);
    ol_request_destroy(r);
    ol_plan_destroy(plan);
    return s;
}

static outcome run_set(ol_graph *g, const char *model, const char *set, char *text, size_t size) {
    ol_datum in[MAX_VALUES] = {{.kind = OL_VALUE_TENSOR}}, want[MAX_VALUES] = {{.kind = OL_VALUE_TENSOR}};
    ol_datum out[MAX_VALUES] = {{.kind = OL_VALUE_TENSOR}};
    const char *names[MAX_VALUES];
    int n_in = 0, n_out = 0;
    olv_error err;
    outcome r = FAIL;
    olv_status s = read_values(set, "input", g->inputs, g->n_inputs, in, &n_in, &err);
    if (s == OLV_OK) s = read_values(set, "output", g->outputs, g->n_outputs, want, &n_out, &err);
    for (int i = 0; i < n_in; i++) names[i] = g->inputs[i]->name;
    if (s == OLV_OK && n_out == 0) s = ol_fail(&err, OLV_NOT_FOUND, "no expected outputs");
    if (s == OLV_OK && compiled) {
        ol_graph *again;
        s = ol_onnx_read(model, &again, &err);
        if (s == OLV_OK) s = run_compiled(again, in, n_in, out, &err);
    } else if (s == OLV_OK) {
        s = ol_reference_run(g, NULL, names, in, (size_t)n_in, out, &err);
    }
    if (s == OLV_OK) r = compare_all(g, out, want, n_out, text, size);
    else snprintf(text, size, "%s", err.message);
    for (int i = 0; i < MAX_VALUES; i++) {
        ol_datum_deinit(&in[i]);
        ol_datum_deinit(&want[i]);
        ol_datum_deinit(&out[i]);
    }
    return r;
}

static void note_missing(const char *message) {
    const char *from = strstr(message, "operator '"), *to = from ? strchr(from + 10, '\'') : NULL;
    if (!to) return;
    char *name = ol_alloc((size_t)(to - from));
    size_t n = (size_t)(to - from - 10);
    memcpy(name, from + 10, n);
    name[n] = 0;
    uint64_t *have = ol_map_get(&missing_ops, (ol_str){name, n});
    if (ol_map_put(&missing_ops, (ol_str){name, n}, have ? *have + 1 : 1) != 1) ol_free(name);
}

static void print_types(const ol_graph *g, const char *dir) {
    const char *name = strrchr(dir, '/');
    for (const ol_node *n = g->first; n; n = n->next)
        for (int i = 0; i < n->n_outputs; i++) {
            const ol_value *v = n->outputs[i];
            if (!v) continue;
            printf("TYPE\t%s\t%s\t%s\t%s", name ? name + 1 : dir, v->name, v->type.kind == OL_VALUE_TENSOR ? "tensor" : "other",
                   v->type.dtype == OL_DTYPE_NONE ? "?" : ol_dtype_name(v->type.dtype));
            if (v->type.rank < 0) printf("\t?");
            for (int d = 0; d < v->type.rank; d++) {
                char text[256];
                ol_dim_format(g->dims, v->type.dims[d], text, sizeof text);
                printf("\t%s", text);
            }
            printf("\n");
        }
}

static outcome run_vector(const char *dir, char *text, size_t size) {
    char path[2048], model[2048];
    ol_graph *g;
    olv_error err;
    snprintf(model, sizeof model, "%s/model.onnx", dir);
    if (ol_onnx_read(model, &g, &err) != OLV_OK) {
        snprintf(text, size, "%s", err.message);
        if (!strstr(err.message, "is not supported")) return FAIL;
        note_missing(err.message);
        return MISSING;
    }
    outcome r = PASS;
    if (types_only) {
        print_types(g, dir);
        ol_graph_destroy(g);
        return PASS;
    }
    if (rewrite) {
        ol_onnx_write_options opt = {.opset = 27, .inline_max = 16};
        olv_status s = ol_onnx_write(g, rewrite, &opt, &err);
        ol_graph_destroy(g);
        if (s != OLV_OK || ol_onnx_read(rewrite, &g, &err) != OLV_OK) {
            snprintf(text, size, "rewriting: %s", err.message);
            return FAIL;
        }
    }
    if (g->n_inputs > MAX_VALUES || g->n_outputs > MAX_VALUES) {
        snprintf(text, size, "too many inputs or outputs");
        r = FAIL;
    } else if (ol_graph_verify(g, &err) != OLV_OK) {
        snprintf(text, size, "verify: %s", err.message);
        r = FAIL;
    }
    int sets = 0;
    for (; r == PASS; sets++) {
        snprintf(path, sizeof path, "%s/test_data_set_%d", dir, sets);
        if (!ol_dir_exists(path)) break;
        r = run_set(g, rewrite ? rewrite : model, path, text, size);
    }
    if (r == PASS && sets == 0) {
        snprintf(text, size, "no data");
        r = FAIL;
    }
    ol_graph_destroy(g);
    return r;
}

/* The line "name reason" of the expectations, or NULL. */
static const char *find_expected(const char *name) {
    size_t n = strlen(name);
    for (const char *p = expected; p && *p; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : NULL)
        if (strncmp(p, name, n) == 0 && (p[n] == ' ' || p[n] == '\n' || !p[n])) return p;
    return NULL;
}

static void report(const char *kind, const char *name, outcome r, const char *text, totals *t) {
    char id[512];
    snprintf(id, sizeof id, "%s/%s", kind, name);
    bool known = find_expected(id) != NULL;
    t->count[r]++;
    if (verbose || (expected && known == (r == PASS)))
        printf("%s %s%s%s\n", r == PASS ? "PASS" : known ? "SKIP" : "FAIL", id, r == PASS ? "" : ": ", r == PASS ? "" : text);
    if (expected && known == (r == PASS)) {
        t->drift++;
        if (known) printf("DRIFT %s passes but is expected not to\n", id);
    }
    if (written && r != PASS) fprintf(written, "%s %s\n", id, text);
}

static bool run_kind(const char *data, const char *kind, totals *all) {
    char dir[512];
    char **names;
    size_t n;
    olv_error err;
    totals t = {{0}, 0};
    snprintf(dir, sizeof dir, "%s/%s", data, kind);
    if (!ol_dir_exists(dir)) return true;
    if (ol_dir_list(dir, &names, &n, &err) != OLV_OK) {
        fprintf(stderr, "%s\n", err.message);
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        char path[1024], text[1400] = "";
        snprintf(path, sizeof path, "%s/%s/model.onnx", dir, names[i]);
        if (!ol_file_exists(path) || (only && !strstr(names[i], only))) continue;
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        outcome r = run_vector(path, text, sizeof text);
        report(kind, names[i], r, text, &t);
    }
    ol_dir_list_free(names, n);
    printf("%-20s %4d pass, %4d fail, %4d without operator\n", kind, t.count[PASS], t.count[FAIL], t.count[MISSING]);
    for (int i = 0; i < 3; i++) all->count[i] += t.count[i];
    all->drift += t.drift;
    return true;
}

int main(int argc, char **argv) {
    static const char *const kinds[] = {"node", "simple", "pytorch-converted", "pytorch-operator"};
    totals all = {{0}, 0};
    olv_error err;
    ol_map_init(&missing_ops);
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (int i = 2; i < argc; i++) {
        size_t len;
        if (!strcmp(argv[i], "--verbose")) verbose = true;
        else if (!strcmp(argv[i], "--cpu")) compiled = true;
        else if (!strcmp(argv[i], "--loose")) loose = true;
        else if (!strcmp(argv[i], "--types")) types_only = true;
        else if (!strcmp(argv[i], "--rewrite") && i + 1 < argc) rewrite = argv[++i];
        else if (!strcmp(argv[i], "--only") && i + 1 < argc) only = argv[++i];
        else if (!strcmp(argv[i], "--write") && i + 1 < argc) written = fopen(argv[++i], "w");
        else if (!strcmp(argv[i], "--expected") && i + 1 < argc) {
            if (ol_file_read(argv[++i], 1 << 24, &expected, &len, &err) != OLV_OK) {
                fprintf(stderr, "%s\n", err.message);
                return 2;
            }
        }
    }
    if (argc < 2 || !ol_dir_exists(argv[1])) return 2;
    if (compiled && ol_executor_create(2, &executor, &err) != OLV_OK) return 2;
    for (int i = 0; i < 4; i++)
        if (!run_kind(argv[1], kinds[i], &all)) return 2;
    printf("%-20s %4d pass, %4d fail, %4d without operator, of %d\n", "total", all.count[PASS], all.count[FAIL],
           all.count[MISSING], all.count[0] + all.count[1] + all.count[2]);
    for (size_t i = 0; i < missing_ops.count; i++)
        printf("missing %.*s: %llu\n", (int)missing_ops.entries[i].key.len, missing_ops.entries[i].key.ptr,
               (unsigned long long)missing_ops.entries[i].value);
    if (written) fclose(written);
    ol_free(expected);
    for (size_t i = 0; i < missing_ops.count; i++) ol_free((void *)(uintptr_t)missing_ops.entries[i].key.ptr);
    ol_map_deinit(&missing_ops);
    ol_executor_destroy(executor);
    return all.drift ? 1 : 0;
}
