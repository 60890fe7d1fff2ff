/* SPDX-License-Identifier: Apache-2.0 */
#include "compress_report.h"
#include "args.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static double number(const json_t *t, const char *key) { return json_number_value(json_object_get(t, key)); }

static const char *text(const json_t *t, const char *key) {
    const char *s = json_string_value(json_object_get(t, key));
    return s ? s : "";
}

/* ---- figures ---- */

typedef struct figures {
    double bits, bits_before, weights, bytes, bytes_before, worst_snr, mean_snr;
    const char *worst; /* name of the table with the worst SNR; NULL: none has one */
    size_t kept, tables;
} figures;

static figures figures_of(const json_t *report) {
    figures f = {.bits = number(report, "bits"), .bits_before = number(report, "bits_before"), .weights = number(report, "weights"),
                 .worst_snr = INFINITY};
    double error = 0, energy = 0;
    size_t i;
    const json_t *t;
    json_array_foreach(json_object_get(report, "tensors"), i, t) {
        f.tables++;
        f.kept += json_object_get(t, "kept") != NULL;
        error += number(t, "squared_error");
        energy += number(t, "energy");
        const json_t *snr = json_object_get(t, "snr_db");
        if (!snr || !(json_number_value(snr) < f.worst_snr)) continue;
        f.worst_snr = json_number_value(snr);
        f.worst = text(t, "name");
    }
    f.bytes = f.bits * f.weights / 8;
    f.bytes_before = f.bits_before * f.weights / 8;
    f.mean_snr = error > 0 && energy > 0 ? 10 * log10(energy / error) : INFINITY;
    return f;
}

/* ---- conditions ---- */

typedef struct condition {
    char name[16];
    bool below, equal;
    double limit;
} condition;

static const char *const names[] = {"snr", "mean_snr", "bits", "size", "kept"};

static int bad_condition(const char *s, size_t n) {
    return usage_error("--fail-if %.*s: expected snr, mean_snr, bits, size or kept, then <, <=, > or >=, and a number", (int)n, s);
}

static int parse_condition(const char *s, size_t n, condition *c) {
    size_t len = strcspn(s, "<>");
    char *end;
    bool known = false;
    if (len >= n || len >= sizeof c->name) return bad_condition(s, n);
    memset(c, 0, sizeof *c);
    memcpy(c->name, s, len);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) known = known || !strcmp(c->name, names[i]);
    c->below = s[len] == '<';
    c->equal = s[len + 1] == '=';
    const char *at = s + len + 1 + c->equal;
    c->limit = strtod(at, &end);
    if (!strcmp(c->name, "size")) {
        double unit = !strncasecmp(end, "GB", 2) ? 1e9 : !strncasecmp(end, "MB", 2) ? 1e6 : !strncasecmp(end, "KB", 2) ? 1e3 : 1;
        c->limit *= unit;
        if (unit > 1) end += 2;
    }
    if (!strcmp(c->name, "snr") || !strcmp(c->name, "mean_snr"))
        if (!strncasecmp(end, "dB", 2)) end += 2;
    return known && end != at && end == s + n ? 0 : bad_condition(s, n);
}

static double value_of(const figures *f, const char *name) {
    if (!strcmp(name, "snr")) return f->worst_snr;
    if (!strcmp(name, "mean_snr")) return f->mean_snr;
    if (!strcmp(name, "bits")) return f->bits;
    return !strcmp(name, "size") ? f->bytes : (double)f->kept;
}

int compress_fail_if(const json_t *report, const char *conditions, bool check_only) {
    figures f = {.bits = 0};
    if (!check_only) f = figures_of(report);
    for (const char *s = conditions; *s;) {
        size_t n = strcspn(s, ",");
        condition c;
        int code = parse_condition(s, n, &c);
        if (code) return code;
        double v = value_of(&f, c.name);
        bool holds = c.below ? v < c.limit : v > c.limit;
        if (!check_only && (holds || (c.equal && v == c.limit))) {
            bool worst = !strcmp(c.name, "snr") && f.worst;
            fprintf(stderr, "olivine: error: --fail-if %.*s: it is %.6g%s%s\n", (int)n, s, v, worst ? " at " : "", worst ? f.worst : "");
            return 4;
        }
        s += n + (s[n] == ',');
    }
    return 0;
}

/* ---- the page ---- */

static void put_escaped(FILE *f, const char *s) {
    for (; *s; s++) {
        if (*s == '<') fputs("&lt;", f);
        else if (*s == '>') fputs("&gt;", f);
        else if (*s == '&') fputs("&amp;", f);
        else if (*s == '"') fputs("&quot;", f);
        else fputc(*s, f);
    }
}

static void put_head(FILE *f, const char *name) {
    fputs("<!DOCTYPE html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>", f);
    put_escaped(f, name);
    fputs(": compression</title>\n<style>body{font:14px system-ui,sans-serif;max-width:70em;margin:2em auto;padding:0 1em;color:#222}"
          "table{border-collapse:collapse;width:100%}th,td{padding:.2em .6em;text-align:right;border-bottom:1px solid #ddd}"
          "th:first-child,td:first-child,.l{text-align:left}.kept{color:#777}svg{background:#f6f6f4;width:100%;height:auto}"
          "dl{display:grid;grid-template-columns:max-content auto;gap:.2em 1.5em}dt{color:#555}dd{margin:0}</style>\n<h1>", f);
    put_escaped(f, name);
    fputs("</h1>\n", f);
}

static void put_summary(FILE *f, const figures *g) {
    fprintf(f, "<dl><dt>size of the weights</dt><dd>%.2f MB (was %.2f MB)</dd><dt>bits per weight</dt><dd>%.3f (was %.3f)</dd>"
               "<dt>tables</dt><dd>%zu compressed, %zu kept</dd>", g->bytes / 1e6, g->bytes_before / 1e6, g->bits, g->bits_before,
            g->tables - g->kept, g->kept);
    if (g->worst) {
        fprintf(f, "<dt>signal to noise</dt><dd>%.2f dB over all, worst %.2f dB at ", g->mean_snr, g->worst_snr);
        put_escaped(f, g->worst);
        fputs("</dd>", f);
    }
    fputs("</dl>\n", f);
}

/* One bar a table: the height is its SNR, darker means more bits. */
static void put_chart(FILE *f, const json_t *tensors) {
    size_t i, n = json_array_size(tensors);
    const json_t *t;
    double step = n ? 1000.0 / (double)n : 0;
    fputs("<h2>Signal to noise by table</h2>\n<svg viewBox=\"0 0 1000 170\" role=\"img\" aria-label=\"dB by table\">", f);
    for (int db = 0; db <= 60; db += 20)
        fprintf(f, "<line x1=\"0\" x2=\"1000\" y1=\"%g\" y2=\"%g\" stroke=\"#ccc\"/><text x=\"2\" y=\"%g\" font-size=\"9\" fill=\"#777\">%d dB</text>",
                160 - db * 2.5, 160 - db * 2.5, 158 - db * 2.5, db);
    json_array_foreach(tensors, i, t) {
        const json_t *snr = json_object_get(t, "snr_db");
        double h = snr ? fmin(60, fmax(0, json_number_value(snr))) * 2.5 : 0;
        if (!snr) continue;
        fprintf(f, "<rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\" fill=\"%s\"><title>", (double)i * step, 160 - h,
                fmax(0.5, step * 0.85), h, number(t, "bits") > 6 ? "#3a5f2c" : "#8fae5d");
        put_escaped(f, text(t, "name"));
        fprintf(f, ": %.2f dB</title></rect>", json_number_value(snr));
    }
    fputs("</svg>\n", f);
}

static void put_row(FILE *f, const json_t *t) {
    const char *kept = json_string_value(json_object_get(t, "kept"));
    fprintf(f, "<tr%s><td>", kept ? " class=\"kept\"" : "");
    put_escaped(f, text(t, "name"));
    fprintf(f, "<td class=\"l\">%s<td>%.0f × %.0f<td class=\"l\">", text(t, "role"), number(t, "rows"), number(t, "columns"));
    if (kept) {
        fputs("kept: ", f);
        put_escaped(f, kept);
    } else {
        int group = (int)number(t, "group_size");
        fprintf(f, "%s, ", text(t, "type"));
        if (group > 0) fprintf(f, "groups of %d", group);
        else fputs("by row", f);
        if (*text(t, "method")) fprintf(f, ", %s", text(t, "method"));
    }
    fprintf(f, "<td>%.3f<td>", number(t, "bits"));
    if (json_object_get(t, "snr_db")) fprintf(f, "%.2f", number(t, "snr_db"));
    fputc('\n', f);
}

static void put_page(FILE *f, const json_t *report, const char *name) {
    figures g = figures_of(report);
    const json_t *tensors = json_object_get(report, "tensors"), *t;
    size_t i;
    put_head(f, name);
    put_summary(f, &g);
    put_chart(f, tensors);
    fputs("<h2>Tables</h2>\n<table><tr><th>name<th class=\"l\">use<th>shape<th class=\"l\">form<th>bits per weight<th>SNR, dB\n", f);
    json_array_foreach(tensors, i, t) put_row(f, t);
    fputs("</table></html>\n", f);
}

int compress_report_write(const json_t *report, const char *name, const char *path) {
    size_t n = strlen(path);
    bool html = (n > 5 && !strcasecmp(path + n - 5, ".html")) || (n > 4 && !strcasecmp(path + n - 4, ".htm"));
    FILE *f = fopen(path, "w");
    bool ok = f != NULL;
    if (ok && html) put_page(f, report, name);
    if (ok && !html) {
        ok = json_dumpf(report, f, JSON_INDENT(1) | JSON_REAL_PRECISION(9)) == 0;
        fputc('\n', f);
    }
    if (f) {
        ok = ok && !ferror(f);
        if (fclose(f) != 0) ok = false;
    }
    if (ok) return 0;
    fprintf(stderr, "olivine: error: cannot write the report '%s'\n", path);
    return 1;
}
