/* SPDX-License-Identifier: Apache-2.0 */
#include "args.h"
#include <olivine/core.h>
#include <signal.h>
#include <stdio.h>
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
    for (size_t i = 0; i < N_COMMANDS; i++)
        if (!strncmp(name, commands[i].name, 3)) return usage_error("there is no command '%s'; did you mean '%s'?", name, commands[i].name);
    return usage_error("there is no command '%s'; see olivine --help", name);
}

/* Names under which the program is also called, and the command that each stands for. */
static const char *command_of_name(const char *name) {
    static const char *const table[][2] = {{"ovms", "serve"}, {"ovc", "convert"}, {"benchmark_app", "benchmark"}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (!strcmp(name, table[i][0])) return table[i][1];
    return NULL;
}

int main(int argc, char **argv) {
    static char pull[] = "pull";
    struct sigaction sa = {.sa_handler = on_signal};
    sigaction(SIGINT, &sa, NULL);
    sigaction(SIGTERM, &sa, NULL);
    signal(SIGPIPE, SIG_IGN);
    const char *slash = strrchr(argv[0], '/'), *self = slash ? slash + 1 : argv[0], *as = command_of_name(self);
    if ((!strcmp(self, "huggingface-cli") || !strcmp(self, "hf")) && argc > 1 && !strcmp(argv[1], "download")) argv[1] = pull;
    if (as) {
        command_fn *fn = find(as);
        return fn ? fn(argc - 1, argv + 1) : unknown(as);
    }
    if (argc < 2 || !strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) return argc < 2 ? (help(), 2) : help();
    if (!strcmp(argv[1], "--version")) {
        printf("olivine %s\n", olv_version());
        return 0;
    }
    command_fn *fn = find(argv[1]);
    if (!fn) return unknown(argv[1]);
    for (int i = 2; i < argc; i++)
        if (!strcmp(argv[i], "--version")) {
            printf("olivine %s\n", olv_version());
            return 0;
        }
    return fn(argc - 2, argv + 2);
}
