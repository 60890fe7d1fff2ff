/* SPDX-License-Identifier: Apache-2.0 */
#include "args.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

common_options common = {.device = "CPU"};

int usage_error(const char *fmt, ...) {
    va_list ap;
    fputs("olivine: error: ", stderr);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    return 2;
}

int report(const olv_error *err) {
    if (err->status != OLV_CANCELLED || !interrupted) fprintf(stderr, "olivine: error: %s\n", err->message);
    else fprintf(stderr, "olivine: interrupted\n");
    return olv_status_exit_code(err->status);
}

/* Compares names with '-' and '_' alike, in any case; n characters of a. */
static bool same_prefix(const char *a, size_t n, const char *b) {
    for (size_t i = 0; i < n; i++) {
        char x = a[i] == '_' ? '-' : a[i], y = b[i] == '_' ? '-' : b[i];
        if (!y || x != y) return false;
    }
    return true;
}

/* Calls fn for each name of an option. */
static const char *next_name(const char *p, size_t *len) {
    while (*p == ' ') p++;
    *len = strcspn(p, " ");
    return *len ? p : NULL;
}

typedef struct match {
    const arg_option *exact, *prefix;
    int n_prefix;
    bool negated;
} match;

static void match_name(const arg_option *o, const char *name, size_t len, match *m) {
    size_t n;
    for (const char *p = o->names; (p = next_name(p, &n)); p += n) {
        if (n < 2) continue;
        if (n == len && same_prefix(name, len, p)) m->exact = o;
        else if (len < n && same_prefix(name, len, p) && m->prefix != o) {
            m->prefix = o;
            m->n_prefix++;
        }
    }
}

static match find_long(const arg_spec *spec, const char *name, size_t len) {
    match m = {0};
    for (size_t i = 0; i < spec->n_options; i++) match_name(&spec->options[i], name, len, &m);
    if (m.exact || m.n_prefix || len < 4 || !same_prefix("no-", 3, name)) return m;
    match flag = {0};
    for (size_t i = 0; i < spec->n_options; i++)
        if (spec->options[i].kind == ARG_FLAG) match_name(&spec->options[i], name + 3, len - 3, &flag);
    flag.negated = true;
    return flag;
}

static const arg_option *find_short(const arg_spec *spec, char c) {
    for (size_t i = 0; i < spec->n_options; i++) {
        size_t n;
        for (const char *p = spec->options[i].names; (p = next_name(p, &n)); p += n)
            if (n == 1 && *p == c) return &spec->options[i];
    }
    return NULL;
}

static bool add_item(arg_list *l, const char *v) {
    const char **p = realloc(l->items, (l->count + 1) * sizeof *p);
    if (!p) return false;
    l->items = p;
    p[l->count++] = v;
    return true;
}

void args_free_list(arg_list *l) {
    free(l->items);
    *l = (arg_list){NULL, 0};
}

static int set_value(const arg_option *o, const char *name, const char *v) {
    char *end;
    errno = 0;
    switch (o->kind) {
    case ARG_STRING: *(const char **)o->target = v; return 0;
    case ARG_LIST: return add_item(o->target, v) ? 0 : usage_error("out of memory");
    case ARG_INT: {
        if (!strcasecmp(v, "AUTO")) {
            *(int64_t *)o->target = 0;
            return 0;
        }
        long long i = strtoll(v, &end, 10);
        if (!*v || *end || errno) return usage_error("option %s: '%s' is no whole number", name, v);
        *(int64_t *)o->target = i;
        return 0;
    }
    case ARG_REAL: {
        double d = strtod(v, &end);
        if (!*v || *end) return usage_error("option %s: '%s' is no number", name, v);
        *(double *)o->target = d;
        return 0;
    }
    default: return 0;
    }
}

static int set_flag(const arg_option *o, const char *name, const char *v, bool negated) {
    bool on = !negated;
    if (v && (!strcasecmp(v, "false") || !strcmp(v, "0"))) on = !on;
    else if (v && strcasecmp(v, "true") && strcmp(v, "1")) return usage_error("option %s takes no value, or true or false, not '%s'", name, v);
    *(bool *)o->target = on;
    return 0;
}

int name_distance(const char *a, const char *b) {
    size_t na = strnlen(a, 31), nb = strnlen(b, 31);
    int d[32][32];
    for (size_t i = 0; i <= na; i++)
        for (size_t j = 0; j <= nb; j++) {
            if (!i || !j) {
                d[i][j] = (int)(i + j);
                continue;
            }
            int best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            if (d[i - 1][j] + 1 < best) best = d[i - 1][j] + 1;
            if (d[i][j - 1] + 1 < best) best = d[i][j - 1] + 1;
            d[i][j] = best;
        }
    return d[na][nb];
}

static int unknown(const char *command, const arg_spec *spec, const char *name, size_t len) {
    char word[64], best[64] = "";
    int limit = (int)len / 3 + 1;
    snprintf(word, sizeof word, "%.*s", (int)len, name);
    for (size_t i = 0; i < spec->n_options; i++) {
        size_t n;
        for (const char *p = spec->options[i].names; (p = next_name(p, &n)); p += n) {
            char one[64];
            snprintf(one, sizeof one, "%.*s", (int)n, p);
            int d = n > 1 ? name_distance(word, one) : 99;
            if (d > limit) continue;
            limit = d - 1;
            memcpy(best, one, sizeof best);
        }
    }
    if (*best) return usage_error("'%s' has no option --%s; did you mean --%s?", command, word, best);
    return usage_error("'%s' has no option --%s; see olivine %s --help", command, word, command);
}

static void print_help(const char *command, const arg_spec *spec) {
    printf("usage: olivine %s [OPTION...] %s\n%s\n\n", command, spec->usage, spec->summary);
    for (size_t i = 0; i < spec->n_options; i++) {
        const arg_option *o = &spec->options[i];
        char left[96];
        size_t n, at = 0;
        if (!o->help) continue;
        for (const char *p = o->names; (p = next_name(p, &n)) && at < 60; p += n)
            at += (size_t)snprintf(left + at, sizeof left - at, "%s%s%.*s", at ? ", " : "", n > 1 ? "--" : "-", (int)n, p);
        if (o->value && at < 80) snprintf(left + at, sizeof left - at, " %s", o->value);
        printf("  %-38s %s\n", left, o->help);
    }
    printf("\nexample: %s\n", spec->example);
}

/* `dashes` before the name: two, or one for a whole long name (as benchmark_app takes them). */
static int parse_long(const char *command, const arg_spec *spec, int argc, char **argv, int *i, int dashes) {
    const char *name = argv[*i] + dashes, *eq = strchr(name, '=');
    size_t len = eq ? (size_t)(eq - name) : strlen(name);
    match m = find_long(spec, name, len);
    const arg_option *o = m.exact ? m.exact : m.n_prefix == 1 ? m.prefix : NULL;
    if (!o && m.n_prefix > 1) return usage_error("option --%.*s could be several; write more of it", (int)len, name);
    if (!o) return unknown(command, spec, name, len);
    if (o->given) *o->given = true;
    if (o->kind == ARG_FLAG) {
        const char *written = argv[*i], *v = eq ? eq + 1 : NULL;
        if (!eq && *i + 1 < argc && (!strcasecmp(argv[*i + 1], "true") || !strcasecmp(argv[*i + 1], "false"))) v = argv[++*i];
        return set_flag(o, written, v, m.negated);
    }
    if (!eq && *i + 1 >= argc) return usage_error("option --%s needs a value", name);
    const char *written = argv[*i];
    if (!eq) ++*i;
    return set_value(o, written, eq ? eq + 1 : argv[*i]);
}

static int parse_short(const char *command, const arg_spec *spec, int argc, char **argv, int *i) {
    const char *name = argv[*i] + 1;
    size_t len = strcspn(name, "=");
    if (len > 1 && find_long(spec, name, len).exact) return parse_long(command, spec, argc, argv, i, 1);
    for (const char *p = argv[*i] + 1; *p; p++) {
        const arg_option *o = find_short(spec, *p);
        if (!o) return usage_error("'%s' has no option -%c; see olivine %s --help", command, *p, command);
        if (o->given) *o->given = true;
        if (o->kind == ARG_FLAG) {
            *(bool *)o->target = true;
            continue;
        }
        if (!p[1] && *i + 1 >= argc) return usage_error("option -%c needs a value", *p);
        const char *written = argv[*i];
        if (!p[1]) ++*i;
        return set_value(o, written, p[1] ? p + 1 : argv[*i]);
    }
    return 0;
}

static bool is_number(const char *s) {
    char *end;
    strtod(s, &end);
    return end != s && !*end;
}

int args_parse(const char *command, const arg_spec *spec, int argc, char **argv) {
    bool options = true;
    for (int i = 0; i < argc; i++) {
        const char *a = argv[i];
        int code = 0;
        if (options && !strcmp(a, "--")) {
            options = false;
        } else if (options && (!strcmp(a, "--help") || !strcmp(a, "-h"))) {
            print_help(command, spec);
            return 1;
        } else if (options && a[0] == '-' && a[1] == '-') {
            code = parse_long(command, spec, argc, argv, &i, 2);
        } else if (options && a[0] == '-' && a[1] && !is_number(a)) {
            code = parse_short(command, spec, argc, argv, &i);
        } else if (!spec->positionals) {
            code = usage_error("'%s' takes no argument '%s'", command, a);
        } else if (!add_item(spec->positionals, a)) {
            code = usage_error("out of memory");
        }
        if (code) return code + 1;
    }
    return 0;
}

const char *take_model(arg_list *positionals) {
    if (common.model) return common.model;
    if (!positionals->count) {
        usage_error("no model given; name a folder, a file or a hub id");
        return NULL;
    }
    const char *m = positionals->items[0];
    memmove(positionals->items, positionals->items + 1, --positionals->count * sizeof *positionals->items);
    return m;
}
