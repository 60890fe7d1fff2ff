/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of the JSON-schema front end. */
#ifndef OL_TEXT_GRAMMAR_SCHEMA_H
#define OL_TEXT_GRAMMAR_SCHEMA_H

#include "text/grammar/expr.h"
#include <jansson.h>

typedef struct ol_gschema {
    ol_gbuilder *b;
    const json_t *root;
    int depth;
} ol_gschema;

ol_gexpr *ol_gschema_bad(ol_gschema *s, olv_status status, const char *what, const char *key);
ol_gexpr *ol_gschema_expr(ol_gschema *s, const json_t *schema);
ol_gexpr *ol_gschema_space(ol_gschema *s);
ol_gexpr *ol_gschema_string(ol_gschema *s);
ol_gexpr *ol_gschema_any(ol_gschema *s);
ol_gexpr *ol_gschema_any_object(ol_gschema *s);
ol_gexpr *ol_gschema_pair(ol_gschema *s, ol_gexpr *key, ol_gexpr *value);
ol_gexpr *ol_gschema_separated(ol_gschema *s, ol_gexpr *item, int64_t min, int64_t max);
ol_gexpr *ol_gschema_brackets(ol_gschema *s, const char *open, const char *close, ol_gexpr *inside);
ol_gexpr *ol_gschema_list(ol_gschema *s, ol_gexpr *item, int64_t min, int64_t max);
/* A count under `key`; false with the failure recorded. */
bool ol_gschema_count(ol_gschema *s, const json_t *schema, const char *key, int64_t def, int64_t *out);
/* schema_object.c: properties in their order, the optional ones left out at will. */
ol_gexpr *ol_gschema_object(ol_gschema *s, const json_t *schema);
/* schema_number.c: numbers between bounds. */
bool ol_gschema_has_bounds(const json_t *schema);
ol_gexpr *ol_gschema_bounded(ol_gschema *s, const json_t *schema, bool whole);

#endif
