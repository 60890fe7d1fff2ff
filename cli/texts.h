/* SPDX-License-Identifier: Apache-2.0 */
/* Texts of the commands over encoders: from arguments, from standard input, from JSON. */
#ifndef CLI_TEXTS_H
#define CLI_TEXTS_H

#include "args.h"
#include <jansson.h>
#include <olivine/encoder.h>

typedef struct text_list {
    olv_text *items;
    size_t count;
    char *storage; /* of texts that were read; NULL: they are borrowed */
} text_list;

/* The positionals, or, when there are none, the lines of standard input. Exit code, 0: all is well. */
int texts_read(const arg_list *positionals, text_list *out);
/* The strings of a JSON array, or one string. OLV_ARG naming `key` when it is something else. */
olv_status texts_of_json(const json_t *value, const char *key, text_list *out, olv_error *err);
void texts_free(text_list *t);
/* Prints a value as one line. */
void print_json(json_t *value /* taken */);

#endif
