/* SPDX-License-Identifier: Apache-2.0 */
/* Command lines. A command describes its options in a table; parsing accepts `-` and `_` alike inside long names, unique
 * prefixes, `--opt value` and `--opt=value`, short options, and positionals. What is wrong is said in one line, with the
 * nearest known name, and gives exit code 2. */
#ifndef CLI_ARGS_H
#define CLI_ARGS_H

#include <olivine/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum arg_kind {
    ARG_FLAG,   /* bool: set to true; `--no-NAME` and `--NAME=false` set it to false */
    ARG_STRING, /* const char * */
    ARG_INT,    /* int64_t; "AUTO" gives 0 */
    ARG_REAL,   /* double */
    ARG_LIST,   /* arg_list: may be repeated */
    ARG_IGNORED /* takes a value that has no effect here */
} arg_kind;

typedef struct arg_list {
    const char **items;
    size_t count;
} arg_list;

typedef struct arg_option {
    const char *names;  /* "model model_name_or_path m": long names, and short ones of one letter */
    arg_kind kind;
    void *target;
    const char *value;  /* name of the value in --help */
    const char *help;   /* one line; NULL hides it */
    bool *given;        /* set when the option stands there; may be NULL */
} arg_option;

typedef struct arg_spec {
    const char *usage;   /* "MODEL [TEXT]" */
    const char *summary; /* one line */
    const char *example; /* of a whole command */
    const arg_option *options;
    size_t n_options;
    const arg_list *unused;
    arg_list *positionals; /* may be NULL: none allowed */
} arg_spec;

/* 0: go on; otherwise the command ends with that exit code minus 1 (1 after --help, 3 after an error). */
int args_parse(const char *command, const arg_spec *spec, int argc, char **argv);
void args_free_list(arg_list *l);

/* Options that all commands running a model take. */
typedef struct common_options {
    const char *model, *device, *precision, *weights, *kv_cache, *isa, *cache_dir, *draft_model, *progress;
    int64_t threads, log_level;
    bool no_cache, offline, verbose, quiet, json, jsonl;
    arg_list config, extensions;
} common_options;
extern common_options common;
#define COMMON_OPTIONS                                                                                                 \
    {"model model_name_or_path m", ARG_STRING, &common.model, "MODEL", "folder, file or hub id of the model", NULL},   \
    {"device", ARG_STRING, &common.device, "NAME", "CPU", NULL},                                                       \
    {"threads", ARG_INT, &common.threads, "N", "processors to use (AUTO: all)", NULL},                                 \
    {"precision", ARG_STRING, &common.precision, "P", "default, f32, bf16, i8", NULL},                                     \
    {"weights", ARG_STRING, &common.weights, "W", "as-is, int8, int4 (compressed while loading)", NULL},               \
    {"kv-cache", ARG_STRING, &common.kv_cache, "T", "f32, f16, int8", NULL},                                           \
    {"isa", ARG_STRING, &common.isa, "SET", "upper bound: scalar, avx2, avx512, amx", NULL},                           \
    {"config", ARG_LIST, &common.config, "KEY=VALUE", "a property, by OpenVINO's name", NULL},                         \
    {"cache-dir", ARG_STRING, &common.cache_dir, "DIR", "where prepared weights are kept", NULL},                      \
    {"no-cache", ARG_FLAG, &common.no_cache, NULL, "keep nothing", NULL},                                              \
    {"progress", ARG_STRING, &common.progress, "json|bar|none", "how long work tells how far it is", NULL},            \
    {"offline", ARG_FLAG, &common.offline, NULL, "fetch nothing", NULL},                                               \
    {"log-level", ARG_INT, &common.log_level, "N", "how much is said", NULL},                                          \
    {"verbose v", ARG_FLAG, &common.verbose, NULL, "say more", NULL},                                                  \
    {"quiet q", ARG_FLAG, &common.quiet, NULL, "say less", NULL},                                                      \
    {"json", ARG_FLAG, &common.json, NULL, "results as JSON", NULL}

/* Edit distance of two names of at most 31 characters, for "did you mean". */
int name_distance(const char *a, const char *b);
/* Prints "olivine: error: ..." as the last line and gives the exit code of the error. */
int report(const olv_error *err);
int usage_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* The model: --model, or the first positional (which is then taken out of the list). NULL after a usage error. */
const char *take_model(arg_list *positionals);
extern volatile int interrupted; /* set by SIGINT and SIGTERM */

#endif
