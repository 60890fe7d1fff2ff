/* SPDX-License-Identifier: Apache-2.0 */
/* Checked access to the configuration objects of steps. */
#include "text/tokenizer/state.h"

olv_status ol_tk_cfg_string(const json_t *cfg, const char *key, const char *def, ol_str *out,
                            olv_error *err) {
    const json_t *v = json_object_get(cfg, key);
    if (!v || json_is_null(v)) {
        if (!def) return ol_fail(err, OLV_FORMAT, "no \"%s\", a string is expected", key);
        *out = ol_str_of(def);
        return OLV_OK;
    }
    if (!json_is_string(v)) return ol_fail(err, OLV_FORMAT, "\"%s\" is not a string", key);
    *out = (ol_str){json_string_value(v), json_string_length(v)};
    return OLV_OK;
}

olv_status ol_tk_cfg_bool(const json_t *cfg, const char *key, int def, bool *out, olv_error *err) {
    const json_t *v = json_object_get(cfg, key);
    if ((!v || json_is_null(v)) && def >= 0) {
        *out = def != 0;
        return OLV_OK;
    }
    if (!json_is_boolean(v))
        return ol_fail(err, OLV_FORMAT, "\"%s\" is missing or not true or false", key);
    *out = json_is_true(v);
    return OLV_OK;
}

olv_status ol_tk_cfg_pattern(const json_t *cfg, const char *key, ol_tk_regex **out,
                             olv_error *err) {
    const json_t *v = json_object_get(cfg, key), *s;
    if (json_is_string(v))
        return ol_tk_regex_create_literal((ol_str){json_string_value(v), json_string_length(v)},
                                          out, err);
    if ((s = json_object_get(v, "String")) && json_is_string(s))
        return ol_tk_regex_create_literal((ol_str){json_string_value(s), json_string_length(s)},
                                          out, err);
    if ((s = json_object_get(v, "Regex")) && json_is_string(s))
        return ol_tk_regex_create((ol_str){json_string_value(s), json_string_length(s)},
                                  OL_TK_ONIGURUMA, false, out, err);
    return ol_fail(err, OLV_FORMAT, "\"%s\" is neither {\"String\": ...} nor {\"Regex\": ...}",
                   key);
}

olv_status ol_tk_cfg_behavior(const json_t *cfg, ol_tk_behavior def, bool required,
                              ol_tk_behavior *out, olv_error *err) {
    static const char *const names[] = {"Removed", "Isolated", "MergedWithPrevious",
                                        "MergedWithNext", "Contiguous"};
    ol_str s;
    OL_TRY(ol_tk_cfg_string(cfg, "behavior", required ? NULL : names[def], &s, err));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (ol_str_is(s, names[i])) {
            *out = (ol_tk_behavior)i;
            return OLV_OK;
        }
    return ol_fail(err, OLV_FORMAT,
                   "\"behavior\" is \"%.*s\", expected Removed, Isolated, MergedWithPrevious, "
                   "MergedWithNext or "
                   "Contiguous",
                   (int)(s.len < 60 ? s.len : 60), s.ptr);
}
