/* SPDX-License-Identifier: Apache-2.0 */
#include "html.h"
#include "args.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>

static const char style[] =
    "body{font:14px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:72rem;padding:0 1rem;color:#222;background:#fff}"
    "h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:2rem}table{border-collapse:collapse;font-size:13px}"
    "th,td{padding:.2rem .7rem;text-align:left;border-bottom:1px solid #ddd;vertical-align:top}td.n{text-align:right;font-variant-numeric:tabular-nums}"
    "tr.bad td{background:#fdecea}.graph{overflow:auto;max-height:80vh;border:1px solid #ccc}code{font-size:12px}"
    "@media(prefers-color-scheme:dark){body{color:#ddd;background:#1b1b1b}th,td{border-color:#444}tr.bad td{background:#5a2320}.graph{background:#fff}}";

void html_text(FILE *out, const char *text) {
    for (const unsigned char *p = (const unsigned char *)(text ? text : ""); *p; p++) {
        if (*p == '<') fputs("&lt;", out);
        else if (*p == '>') fputs("&gt;", out);
        else if (*p == '&') fputs("&amp;", out);
        else if (*p == '"') fputs("&quot;", out);
        else if (*p == '\'') fputs("&#39;", out);
        else if (*p < 32 && *p != '\n' && *p != '\t') fputs("?", out); /* XML has no such characters */
        else putc(*p, out);
    }
}

int html_open(html_page *p, const char *path, const char *title) {
    if (strlen(path) >= sizeof p->path) return usage_error("'%.60s...' is too long a path", path);
    snprintf(p->path, sizeof p->path, "%s", path);
    snprintf(p->part, sizeof p->part, "%s.part", p->path);
    p->out = fopen(p->part, "w");
    if (!p->out) return usage_error("cannot write '%s': %s", p->part, strerror(errno));
    fputs("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
          "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n<title>", p->out);
    html_text(p->out, title);
    fprintf(p->out, "</title><style>%s</style></head><body>\n<h1>", style);
    html_text(p->out, title);
    fputs("</h1>\n", p->out);
    return 0;
}

int html_close(html_page *p) {
    fputs("</body></html>\n", p->out);
    int bad = ferror(p->out);
    if (fclose(p->out) || bad || rename(p->part, p->path)) {
        usage_error("cannot write '%s': %s", p->path, strerror(errno));
        unlink(p->part);
        return 1;
    }
    return 0;
}

void html_table(FILE *out, const char *const *columns) {
    fputs("<table><tr>", out);
    for (; *columns; columns++) {
        fputs("<th>", out);
        html_text(out, *columns);
        fputs("</th>", out);
    }
    fputs("</tr>\n", out);
}

void html_cell(FILE *out, const char *text) {
    fputs("<td>", out);
    html_text(out, text);
    fputs("</td>", out);
}
