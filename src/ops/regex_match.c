/* SPDX-License-Identifier: Apache-2.0 */
/* RegexFullMatch: whether a pattern matches the whole of each string. Patterns are those of RE2,
 * which PCRE2 reads; the work for one string is bounded. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "ops/ops.h"
#include <pcre2.h>

#define MATCH_LIMIT 2000000u
#define HEAP_LIMIT_KIB 65536u

static olv_status compile(ol_str pattern, pcre2_code **out, olv_error *err) {
    int code;
    PCRE2_SIZE at;
    *out = pcre2_compile((PCRE2_SPTR)(pattern.ptr ? pattern.ptr : ""), pattern.len,
                         PCRE2_UTF | PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_BACKSLASH_C, &code, &at, NULL);
    if (*out) return OLV_OK;
    char text[160] = "";
    pcre2_get_error_message(code, (PCRE2_UCHAR *)text, sizeof text);
    return ol_fail(err, OLV_FORMAT, "pattern '%.*s': %s at byte %zu",
                   (int)(pattern.len < 120 ? pattern.len : 120), pattern.ptr, text, at);
}

static olv_status match_all(const ol_tensor *x, ol_tensor *y, const pcre2_code *code,
                            pcre2_match_data *data, pcre2_match_context *limits, olv_error *err) {
    for (int64_t i = 0, n = ol_tensor_count(x); i < n; i++) {
        ol_str s = ((const ol_str *)x->data)[i];
        int r = pcre2_match(code, (PCRE2_SPTR)(s.len ? s.ptr : ""), s.len, 0,
                            PCRE2_ANCHORED | PCRE2_ENDANCHORED, data, limits);
        if (r < 0 && r != PCRE2_ERROR_NOMATCH)
            return ol_fail(err, OLV_LIMIT, "string %lld: it is not UTF-8, or matching takes too long",
                           (long long)i);
        ol_tensor_set_i64(y, i, r >= 0);
    }
    return OLV_OK;
}

static olv_status eval(ol_eval *c, olv_error *err) {
    const ol_tensor *x;
    ol_tensor *y;
    pcre2_code *code;
    OL_TRY(ol_eval_need(c, 0, &x, err));
    if (x->dtype != OL_STRING) return ol_fail(err, OLV_SHAPE, "strings expected");
    OL_TRY(ol_eval_out(c, 0, OL_BOOL, x->rank, x->dims, &y, err));
    OL_TRY(compile(ol_node_string(c->node, "pattern", ""), &code, err));
    pcre2_match_data *data = pcre2_match_data_create_from_pattern(code, NULL);
    pcre2_match_context *limits = pcre2_match_context_create(NULL);
    olv_status s = data && limits ? OLV_OK : ol_fail(err, OLV_NOMEM, "no memory for a pattern");
    if (s == OLV_OK) {
        pcre2_set_match_limit(limits, MATCH_LIMIT);
        pcre2_set_heap_limit(limits, HEAP_LIMIT_KIB);
        s = match_all(x, y, code, data, limits, err);
    }
    pcre2_match_context_free(limits);
    pcre2_match_data_free(data);
    pcre2_code_free(code);
    return s;
}

static olv_status infer(ol_infer *c, olv_error *err) {
    (void)err;
    c->out[0] = *ol_infer_in(c, 0);
    c->out[0].dtype = OL_BOOL;
    return OLV_OK;
}

static const ol_attr_spec attrs[] = {{"pattern", OL_ATTR_STRING, false}};
extern const ol_op ol_op_RegexFullMatch;
const ol_op ol_op_RegexFullMatch = {.domain = "", .name = "RegexFullMatch",
                                    .summary = "whether a pattern matches whole strings",
                                    .min_inputs = 1, .max_inputs = 1, .min_outputs = 1,
                                    .max_outputs = 1, OL_ATTRS(attrs), .infer = infer, .eval = eval};
