/* SPDX-License-Identifier: Apache-2.0 */
/* StringNormalizer: strings [C] or [1, C] without the stop words, in lower or upper case. Nothing
 * left gives one empty string. */
#include "ops/ops.h"
#include <utf8proc.h>

enum { AS_IT_IS, LOWER, UPPER };

static void change_case(ol_str s, int action, ol_buf *out) {
    for (size_t i = 0; i < s.len;) {
        int32_t cp;
        char code[4];
        int n = ol_utf8_decode(s.ptr + i, s.len - i, &cp);
        if (cp < 0 || action == AS_IT_IS) {
            ol_buf_append(out, s.ptr + i, (size_t)n);
        } else {
            int32_t to = action == LOWER ? utf8proc_tolower(cp) : utf8proc_toupper(cp);
            ol_buf_append(out, code, (size_t)ol_utf8_encode(to, code));
        }
        i += (size_t)n;
    }
}

typedef struct normalizer {
    const ol_str *stops;
    size_t n_stops;
    int action, fold; /* fold: how words are changed before they are compared */
    ol_buf word, stop;
} normalizer;

static olv_status init(const ol_node *node, normalizer *z, olv_error *err) {
    const ol_attr *a = ol_node_attr(node, "stopwords");
    ol_str action = ol_node_string(node, "case_change_action", "NONE");
    *z = (normalizer){.word = OL_BUF_INIT, .stop = OL_BUF_INIT};
    z->stops = a ? a->v.strings : NULL;
    z->n_stops = a ? a->count : 0;
    z->action = ol_str_is(action, "LOWER") ? LOWER : ol_str_is(action, "UPPER") ? UPPER : AS_IT_IS;
    z->fold = ol_node_int(node, "is_case_sensitive", 0) ? AS_IT_IS : z->action == UPPER ? UPPER : LOWER;
    if (z->action == AS_IT_IS && !ol_str_is(action, "NONE"))
        return ol_fail(err, OLV_ARG, "case_change_action '%.*s' found, LOWER, UPPER or NONE expected",
                       (int)(action.len > 40 ? 40 : action.len), action.ptr);
    return OLV_OK;
}

static bool is_stop(normalizer *z, ol_str s) {
    ol_buf_clear(&z->word);
    if (z->n_stops) change_case(s, z->fold, &z->word);
    for (size_t i = 0; i < z->n_stops; i++) {
        ol_buf_clear(&z->stop);
        change_case(z->stops[i], z->fold, &z->stop);
        if (ol_str_eq((ol_str){z->word.data, z->word.len}, (ol_str){z->stop.data, z->stop.len})) return true;
    }
    return false;
}

static olv_status run(ol_eval *c, const ol_tensor *x, normalizer *z, ol_buf *text, size_t *ends,
                      olv_error *err) {
    int64_t n = ol_tensor_count(x), kept = 0, dims[2] = {1, 1};
    ol_tensor *y;
    for (int64_t i = 0; i < n; i++) {
        ol_str s = ((const ol_str *)x->data)[i];
        if (is_stop(z, s)) continue;
        change_case(s, z->action, text);
        ends[kept++] = text->len;
    }
    if (text->failed || z->word.failed || z->stop.failed)
        return ol_fail(err, OLV_NOMEM, "no memory for strings");
    if (kept) dims[x->rank - 1] = kept;
    OL_TRY(ol_eval_out(c, 0, OL_STRING, x->rank, dims, &y, err));
    for (int64_t i = 0; i < kept; i++) {
        size_t from = i ? ends[i - 1] : 0;
        ((ol_str *)y->data)[i] = (ol_str){text->data ? text->data + from : "", ends[i] - from};
    }
    return ol_tensor_own_strings(y, err);
}

static olv_status eval(ol_eval *c, olv_error *err) {
    const ol_tensor *x;
    normalizer z;
    ol_buf text = OL_BUF_INIT;
    OL_TRY(ol_eval_need(c, 0, &x, err));
    if (x->dtype != OL_STRING || x->rank < 1 || x->rank > 2 || (x->rank == 2 && x->dims[0] != 1))
        return ol_fail(err, OLV_SHAPE, "strings [C] or [1, C] expected");
    OL_TRY(init(c->node, &z, err));
    size_t *ends = ol_calloc((size_t)ol_tensor_count(x) + 1, sizeof *ends);
    olv_status s = ends ? run(c, x, &z, &text, ends, err) : ol_fail(err, OLV_NOMEM, "no memory");
    ol_free(ends);
    ol_buf_deinit(&text);
    ol_buf_deinit(&z.word);
    ol_buf_deinit(&z.stop);
    return s;
}

static olv_status infer(ol_infer *c, olv_error *err) {
    const ol_type *x = ol_infer_in(c, 0);
    OL_TRY(ol_infer_rank(c, 0, 1, 2, err));
    ol_infer_set(c, 0, OL_STRING, x->rank);
    if (x->rank == 2) c->out[0].dims[0] = 1;
    return OLV_OK;
}

static const ol_attr_spec attrs[] = {{"case_change_action", OL_ATTR_STRING, false},
                                     {"is_case_sensitive", OL_ATTR_INT, false},
                                     {"locale", OL_ATTR_STRING, false},
                                     {"stopwords", OL_ATTR_STRINGS, false}};
extern const ol_op ol_op_StringNormalizer;
const ol_op ol_op_StringNormalizer = {
    .domain = "", .name = "StringNormalizer", .summary = "strings without stop words, in one case",
    .min_inputs = 1, .max_inputs = 1, .min_outputs = 1, .max_outputs = 1, OL_ATTRS(attrs),
    .infer = infer, .eval = eval};
