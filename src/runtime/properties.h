/* SPDX-License-Identifier: Apache-2.0 */
/* Properties of cores and compiled models: a value for each name of properties.def. */
#ifndef OL_RUNTIME_PROPERTIES_H
#define OL_RUNTIME_PROPERTIES_H

#include <olivine/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum ol_property {
#define X(name, kind, def, choices) OL_PROPERTY_##name,
#include "runtime/properties.def"
#undef X
    OL_N_PROPERTIES
} ol_property;

typedef struct ol_properties {
    char *values[OL_N_PROPERTIES]; /* NULL: the default */
} ol_properties;

void ol_properties_deinit(ol_properties *p);
OLV_MUST_USE olv_status ol_properties_copy(ol_properties *dst, const ol_properties *src, olv_error *err);
/* By name; an unknown name or a bad value is OLV_ARG listing the valid ones, a read-only name OLV_STATE. */
OLV_MUST_USE olv_status ol_properties_set(ol_properties *p, const char *name, const char *value, olv_error *err);
/* "NAME=VALUE" */
OLV_MUST_USE olv_status ol_properties_set_pair(ol_properties *p, const char *pair, olv_error *err);
OLV_MUST_USE olv_status ol_property_find(const char *name, ol_property *out, olv_error *err);
const char *ol_properties_get(const ol_properties *p, ol_property which);
bool ol_properties_is(const ol_properties *p, ol_property which, const char *value); /* in any case */
int64_t ol_properties_count(const ol_properties *p, ol_property which);              /* AUTO: 0 */
/* For the read-only ones: the owner sets what it knows. */
OLV_MUST_USE olv_status ol_properties_tell(ol_properties *p, ol_property which, const char *value, olv_error *err);

#endif
