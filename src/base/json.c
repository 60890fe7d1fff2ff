/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"
#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include <ctype.h>
#include <math.h>

/* Python writes NaN, Infinity and -Infinity, which JSON has not: outside of strings they become numbers that read as the
 * same (or, for NaN, null). Returns NULL when there is nothing to change, or (*out_len 0) no memory to do it. */
static char *replace_python_numbers(const char *text, size_t len, size_t *out_len) {
    if (!memmem(text, len, "NaN", 3) && !memmem(text, len, "Infinity", 8)) return NULL;
    ol_buf b = OL_BUF_INIT;
    bool in_string = false;
    for (size_t i = 0; i < len; i++) {
        if (in_string && text[i] == '\\' && i + 1 < len) {
            ol_buf_append(&b, text + i++, 2);
            continue;
        }
        if (text[i] == '"') in_string = !in_string;
        if (!in_string && len - i >= 3 && !memcmp(text + i, "NaN", 3)) {
            ol_buf_puts(&b, "null");
            i += 2;
        } else if (!in_string && len - i >= 8 && !memcmp(text + i, "Infinity", 8)) {
            ol_buf_puts(&b, "1.7976931348623157e308");
            i += 7;
        } else {
            ol_buf_putc(&b, text[i]);
        }
    }
    return ol_buf_take(&b, out_len);
}

olv_status ol_json_parse(const char *text, size_t len, const char *name, json_t **out, olv_error *err) {
    json_error_t e;
    size_t n = len;
    if (len >= 3 && !memcmp(text, "\xef\xbb\xbf", 3)) text += 3, len -= 3, n = len; /* byte order mark */
    char *changed = replace_python_numbers(text, len, &n);
    if (!changed && n < len) return ol_fail(err, OLV_NOMEM, "no memory to read %s", name);
    json_t *j = json_loadb(changed ? changed : text, n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &e);
    ol_free(changed);
    if (!j) return ol_fail(err, OLV_FORMAT, "%s:%d:%d: %s", name, e.line, e.column, e.text);
    *out = j;
    return OLV_OK;
}

olv_status ol_json_read_file(const char *path, size_t max, json_t **out, olv_error *err) {
    char *text;
    size_t len;
    OL_TRY(ol_file_read(path, max, &text, &len, err));
    olv_status s = ol_json_parse(text, len, ol_path_name(path), out, err);
    ol_free(text);
    return s;
}

static const char *type_name(const json_t *v) {
    switch (json_typeof(v)) {
    case JSON_OBJECT: return "an object";
    case JSON_ARRAY: return "an array";
    case JSON_STRING: return "a string";
    case JSON_INTEGER: return "an integer";
    case JSON_REAL: return "a real number";
    case JSON_TRUE:
    case JSON_FALSE: return "a boolean";
    default: return "null";
    }
}

static olv_status wrong_type(const json_t *v, const char *key, const char *expected, olv_error *err) {
    return ol_fail(err, OLV_FORMAT, "key '%s' is %s, expected %s", key, type_name(v), expected);
}

static const json_t *present(const json_t *obj, const char *key) {
    const json_t *v = obj ? json_object_get(obj, key) : NULL;
    return v && !json_is_null(v) ? v : NULL;
}

olv_status ol_json_int(const json_t *obj, const char *key, int64_t min, int64_t max, int64_t def, int64_t *out,
                       olv_error *err) {
    const json_t *v = present(obj, key);
    if (!v) {
        *out = def;
        return OLV_OK;
    }
    int64_t i;
    if (json_is_integer(v)) i = json_integer_value(v);
    else if (json_is_real(v) && json_real_value(v) == floor(json_real_value(v)) && fabs(json_real_value(v)) < 9e15)
        i = (int64_t)json_real_value(v);
    else return wrong_type(v, key, "an integer", err);
    if (i < min || i > max)
        return ol_fail(err, OLV_FORMAT, "key '%s' is %lld, expected %lld to %lld", key, (long long)i, (long long)min, (long long)max);
    *out = i;
    return OLV_OK;
}

olv_status ol_json_real(const json_t *obj, const char *key, double def, double *out, olv_error *err) {
    const json_t *v = present(obj, key);
    if (v && !json_is_number(v)) return wrong_type(v, key, "a number", err);
    *out = v ? json_number_value(v) : def;
    return OLV_OK;
}

olv_status ol_json_bool(const json_t *obj, const char *key, bool def, bool *out, olv_error *err) {
    const json_t *v = present(obj, key);
    if (v && !json_is_boolean(v)) return wrong_type(v, key, "true or false", err);
    *out = v ? json_is_true(v) : def;
    return OLV_OK;
}

olv_status ol_json_string(const json_t *obj, const char *key, const char *def, const char **out, olv_error *err) {
    const json_t *v = present(obj, key);
    if (v && !json_is_string(v)) return wrong_type(v, key, "a string", err);
    *out = v ? json_string_value(v) : def;
    return OLV_OK;
}
