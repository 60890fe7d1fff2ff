/* SPDX-License-Identifier: Apache-2.0 */
#include "args.h"
#include <errno.h>
#include <olivine/core.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef int command_fn(int argc, char **argv);
#define X(name, fn, help) command_fn fn;
#include "command.def"
#undef X

static const struct {
    const char *name;
    command_fn *fn;
    const char *help;
} commands[] = {
#define X(name, fn, help) {name, fn, help},
#include "command.def"
#undef X
};
#define N_COMMANDS (sizeof commands / sizeof commands[0])

volatile int interrupted;
static void on_signal(int signal) {
    if (interrupted++) _Exit(128 + signal);
}

static bool same_name(const char *a, const char *b) {
    for (; *a && *b; a++, b++)
        if (*a != *b && !((*a == '_' || *a == '-') && (*b == '_' || *b == '-'))) return false;
    return *a == *b;
}

static command_fn *find(const char *name) {
    for (size_t i = 0; i < N_COMMANDS; i++)
        if (same_name(name, commands[i].name)) return commands[i].fn;
    return NULL;
}

static int help(void) {
    printf("usage: olivine COMMAND [OPTION...]\n\n");
    for (size_t i = 0; i < N_COMMANDS; i++) printf("  %-14s %s\n", commands[i].name, commands[i].help);
    printf("\n`olivine COMMAND --help` says more. example: olivine generate models/pebble -p \"2 + 2 =\"\n");
    return 0;
}

static int unknown(const char *name) {
    const char *best = NULL;
    int limit = (int)strlen(name) / 3 + 1;
    for (size_t i = 0; i < N_COMMANDS; i++) {
        int d = name_distance(name, commands[i].name);
        if (d > limit) continue;
        limit = d - 1;
        best = commands[i].name;
    }
    if (best) return usage_error("there is no command '%s'; did you mean '%s'?", name, best);
    return usage_error("there is no command '%s'; see olivine --help", name);
}

/* Names under which the program is also called, and the command that each stands for. */
static const char *command_of_name(const char *name) {
    static const char *const table[][2] = {{"ovms", "serve"}, {"ovc", "ovc"}, {"benchmark_app", "benchmark"}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (!strcmp(name, table[i][0])) return table[i][1];
    return NULL;
}

static int print_version(void) {
    printf("olivine %s\n", olv_version());
    return 0;
}

static int run(const char *name, int argc, char **argv) {
    command_fn *fn = find(name);
    if (!fn) return unknown(name);
    for (int i = 0; i < argc && strcmp(argv[i], "--"); i++)
        if (!strcmp(argv[i], "--version")) return print_version();
    return fn(argc, argv);
}

/* The command's exit code, unless its output did not get through. */
static int finish(int code) {
    bool lost = ferror(stdout);
    if (fflush(stdout) || lost) {
        usage_error("cannot write to standard output: %s", errno ? strerror(errno) : "it is closed");
        return code ? code : 1;
    }
    return code;
}

int main(int argc, char **argv) {
    static char pull[] = "pull";
    struct sigaction sa = {.sa_handler = on_signal};
    sigaction(SIGINT, &sa, NULL);
    sigaction(SIGTERM, &sa, NULL);
    signal(SIGPIPE, SIG_IGN);
    if (argc < 1) return 2;
    const char *slash = strrchr(argv[0], '/'), *self = slash ? slash + 1 : argv[0], *as = command_of_name(self);
    if ((!strcmp(self, "huggingface-cli") || !strcmp(self, "hf")) && argc > 1 && !strcmp(argv[1], "download")) argv[1] = pull;
    if (as) return finish(run(as, argc - 1, argv + 1));
    if (argc < 2) return help(), 2;
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) return finish(help());
    if (!strcmp(argv[1], "--version")) return finish(print_version());
    return finish(run(argv[1], argc - 2, argv + 2));
}
