/* SPDX-License-Identifier: Apache-2.0 */
/* Pages of one file each: nothing is fetched, everything that came from a model is escaped. */
#ifndef CLI_HTML_H
#define CLI_HTML_H

#include <stdio.h>

typedef struct html_page {
    FILE *out;
    char path[4096], part[4104];
} html_page;

/* The page is written beside PATH and takes its name when it is whole. Exit code; 0: well. */
int html_open(html_page *p, const char *path, const char *title);
int html_close(html_page *p);
/* Text as content or inside of a quoted attribute; %-formats of what needs no escaping go straight to the file. */
void html_text(FILE *out, const char *text);
/* Table heads: names of columns, NULL at the end. Rows follow; </table> is the caller's. */
void html_table(FILE *out, const char *const *columns);
/* A cell with text. */
void html_cell(FILE *out, const char *text);

#endif
