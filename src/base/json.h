/* SPDX-License-Identifier: Apache-2.0 */
/* Small JSON documents (configs, bodies) as jansson trees, read with limits and checked getters. For very large
 * documents use base/wire/json_pull.h. */
#ifndef OL_BASE_JSON_H
#define OL_BASE_JSON_H

#include "base/str.h"
#include <jansson.h>
#include <olivine/status.h>

/* Parses text (duplicate keys refused, depth bounded, NaN/Infinity as Python writes them accepted as reals).
 * `name` is used in messages as "name:line:column: ...". Release with json_decref. */
OLV_MUST_USE olv_status ol_json_parse(const char *text, size_t len, const char *name, json_t **out,
                                      olv_error *err);
OLV_MUST_USE olv_status ol_json_read_file(const char *path, size_t max, json_t **out, olv_error *err);

/* Checked getters on an object: absent or null gives the default with OLV_OK; a wrong type, or a value outside
 * [min, max], is OLV_FORMAT naming key, found and expected. */
OLV_MUST_USE olv_status ol_json_int(const json_t *obj, const char *key, int64_t min, int64_t max, int64_t def,
                                    int64_t *out, olv_error *err);
OLV_MUST_USE olv_status ol_json_real(const json_t *obj, const char *key, double def, double *out, olv_error *err);
OLV_MUST_USE olv_status ol_json_bool(const json_t *obj, const char *key, bool def, bool *out, olv_error *err);
/* Borrowed string, def when absent. */
OLV_MUST_USE olv_status ol_json_string(const json_t *obj, const char *key, const char *def, const char **out,
                                       olv_error *err);

#endif
