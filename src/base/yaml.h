/* SPDX-License-Identifier: Apache-2.0 */
/* Small YAML documents (configs) as the trees that JSON gives, read through libyaml within bounds: depth, nodes, and what
 * aliases repeat. Plain scalars are null, truth values and numbers as in YAML 1.2's core schema; others, and quoted ones, are
 * strings. Keys are strings; a key twice is an error; "<<" merges. */
#ifndef OL_BASE_YAML_H
#define OL_BASE_YAML_H

#include "base/json.h"

#define OL_YAML_MAX_DEPTH 100
#define OL_YAML_MAX_NODES 1000000 /* aliases counted as what they stand for */

/* One document. `name` is used in messages as "name:line: ...". Release with json_decref. */
OLV_MUST_USE olv_status ol_yaml_parse(const char *text, size_t len, const char *name, json_t **out, olv_error *err);
/* The line (from 1) where `key` first stands before a colon, of YAML or JSON; 0: nowhere. For messages. */
int ol_yaml_line_of(const char *text, size_t len, const char *key);

#endif
