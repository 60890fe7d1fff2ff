/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/properties.h"
#include "base/alloc.h"
#include "base/error.h"
#include "base/str.h"
#include <olivine/model.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

typedef enum property_kind { ENUM, COUNT, FLAG, TEXT, FIXED } property_kind;

static const struct {
    const char *name;
    property_kind kind;
    const char *def, *choices;
} table[] = {
#define X(name, kind, def, choices) {#name, kind, def, choices},
#include "runtime/properties.def"
#undef X
};

const char *olv_property_name(size_t i) { return i < OL_N_PROPERTIES ? table[i].name : NULL; }

void ol_properties_deinit(ol_properties *p) {
    for (int i = 0; i < OL_N_PROPERTIES; i++) ol_free(p->values[i]);
    *p = (ol_properties){{0}};
}

static olv_status put(ol_properties *p, int i, const char *value, olv_error *err) {
    size_t n = strlen(value) + 1;
    char *copy = ol_alloc(n);
    if (!copy) return ol_fail(err, OLV_NOMEM, "no memory for a property");
    memcpy(copy, value, n);
    ol_free(p->values[i]);
    p->values[i] = copy;
    return OLV_OK;
}

olv_status ol_properties_copy(ol_properties *dst, const ol_properties *src, olv_error *err) {
    *dst = (ol_properties){{0}};
    for (int i = 0; i < OL_N_PROPERTIES; i++) {
        olv_status s = src->values[i] ? put(dst, i, src->values[i], err) : OLV_OK;
        if (s != OLV_OK) return ol_properties_deinit(dst), s;
    }
    return OLV_OK;
}

olv_status ol_property_find(const char *name, ol_property *out, olv_error *err) {
    ol_buf all = OL_BUF_INIT;
    for (int i = 0; i < OL_N_PROPERTIES; i++) {
        if (!strcmp(table[i].name, name)) {
            *out = (ol_property)i;
            ol_buf_deinit(&all);
            return OLV_OK;
        }
        ol_buf_printf(&all, "%s%s", i ? ", " : "", table[i].name);
    }
    olv_status s = ol_fail(err, OLV_ARG, "there is no property '%.60s'; known: %s", name, all.data ? all.data : "");
    ol_buf_deinit(&all);
    return s;
}

/* The choice that `value` names, in its own spelling; NULL when none. */
static const char *find_choice(const char *choices, const char *value, size_t *len) {
    for (const char *c = choices; *c;) {
        size_t n = strcspn(c, "|");
        if (strlen(value) == n && !strncasecmp(c, value, n)) {
            *len = n;
            return c;
        }
        c += n + (c[n] == '|');
    }
    return NULL;
}

static const char *truth(const char *value) {
    static const char *const yes[] = {"YES", "TRUE", "1", "ON"}, *const no[] = {"NO", "FALSE", "0", "OFF"};
    for (int i = 0; i < 4; i++) {
        if (!strcasecmp(value, yes[i])) return "YES";
        if (!strcasecmp(value, no[i])) return "NO";
    }
    return NULL;
}

olv_status ol_properties_set(ol_properties *p, const char *name, const char *value, olv_error *err) {
    ol_property i;
    char own[32], *end;
    size_t n;
    OL_TRY(ol_property_find(name, &i, err));
    const char *choice;
    switch (table[i].kind) {
    case FIXED: return ol_fail(err, OLV_STATE, "property %s is read only", name);
    case TEXT: break;
    case FLAG:
        if (!(value = truth(value))) return ol_fail(err, OLV_ARG, "%s: YES or NO expected", name);
        break;
    case COUNT:
        if (!strcasecmp(value, "AUTO")) value = "AUTO";
        else if (strtoll(value, &end, 10) < 0 || end == value || *end)
            return ol_fail(err, OLV_ARG, "%s: a number or AUTO expected, '%.40s' found", name, value);
        break;
    case ENUM:
        if (!(choice = find_choice(table[i].choices, value, &n)) || n >= sizeof own)
            return ol_fail(err, OLV_ARG, "%s: one of %s expected, '%.40s' found", name, table[i].choices, value);
        memcpy(own, choice, n);
        own[n] = 0;
        value = own;
    }
    return put(p, (int)i, value, err);
}

olv_status ol_properties_set_pair(ol_properties *p, const char *pair, olv_error *err) {
    const char *eq = strchr(pair, '=');
    char name[64];
    if (!eq || (size_t)(eq - pair) >= sizeof name) return ol_fail(err, OLV_ARG, "'%.80s': NAME=VALUE expected", pair);
    memcpy(name, pair, (size_t)(eq - pair));
    name[eq - pair] = 0;
    return ol_properties_set(p, name, eq + 1, err);
}

const char *ol_properties_get(const ol_properties *p, ol_property which) {
    return p->values[which] ? p->values[which] : table[which].def;
}
bool ol_properties_is(const ol_properties *p, ol_property which, const char *value) {
    return !strcasecmp(ol_properties_get(p, which), value);
}
int64_t ol_properties_count(const ol_properties *p, ol_property which) {
    const char *v = ol_properties_get(p, which);
    return strcmp(v, "AUTO") ? strtoll(v, NULL, 10) : 0;
}
olv_status ol_properties_tell(ol_properties *p, ol_property which, const char *value, olv_error *err) {
    return put(p, (int)which, value, err);
}
