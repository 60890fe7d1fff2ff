/* SPDX-License-Identifier: Apache-2.0 */
/* XML documents as small trees, read through expat within bounds: DOCTYPE (and with it entities and external files),
 * deep nesting and huge counts are refused. Names, attributes and text are NUL-terminated UTF-8 in the arena. */
#ifndef OL_BASE_XML_H
#define OL_BASE_XML_H

#include "base/arena.h"
#include "base/str.h"

#define OL_XML_MAX_DEPTH 200
#define OL_XML_MAX_NODES 8000000
#define OL_XML_MAX_BYTES ((size_t)1 << 30)

typedef struct ol_xml_attr {
    const char *name, *value;
} ol_xml_attr;

typedef struct ol_xml {
    const char *name;
    const char *text; /* character data right inside the element, joined; "" when there is none */
    const ol_xml_attr *attrs;
    int n_attrs;
    int line;
    struct ol_xml *first, *last, *next, *parent; /* child elements, the next sibling, the element around */
} ol_xml;

/* The tree of a document; its memory is the arena's. `name` is used in messages as "name:line: ...". */
OLV_MUST_USE olv_status ol_xml_parse(const char *text, size_t len, const char *name, ol_arena *arena, ol_xml **out,
                                     olv_error *err);

/* NULL when absent. */
const char *ol_xml_get(const ol_xml *e, const char *attr);
/* First child of that name; the next sibling of e's own name. NULL when there is none. */
ol_xml *ol_xml_child(const ol_xml *e, const char *name);
ol_xml *ol_xml_next(const ol_xml *e);
/* An attribute as a whole number in [min, max]: OLV_FORMAT naming line, element and attribute when it is absent or none. */
OLV_MUST_USE olv_status ol_xml_int(const ol_xml *e, const char *attr, int64_t min, int64_t max, int64_t *out, olv_error *err);
/* Digits with an optional sign, white space around them allowed; false when malformed or out of range. */
bool ol_xml_parse_int(const char *text, size_t len, int64_t *out);

#endif
