/* SPDX-License-Identifier: Apache-2.0 */
/* StringSplit: the parts of each string between delimiters (without one: between runs of white
 * space), filled up with empty strings to the longest list, and their numbers. */
#include "ops/ops.h"

static bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

typedef struct splitter {
    ol_str delimiter; /* empty: white space */
    int64_t max;      /* splits; < 0: any number */
} splitter;

/* The next part of *rest, which it takes away; false at the end. `done` counts the parts. */
static bool next_part(const splitter *z, ol_str *rest, int64_t done, ol_str *part) {
    bool space = z->delimiter.len == 0, last = z->max >= 0 && done >= z->max;
    size_t i = 0, n = z->delimiter.len;
    while (space && rest->len && is_space(*rest->ptr)) rest->ptr++, rest->len--;
    if (!rest->ptr || (space && !rest->len)) return false;
    if (space) while (i < rest->len && !last && !is_space(rest->ptr[i])) i++;
    else while (i + n <= rest->len && !last && memcmp(rest->ptr + i, z->delimiter.ptr, n)) i++;
    if (last || i + n > rest->len || i == rest->len) { /* all that is left */
        *part = *rest;
        *rest = (ol_str){NULL, 0};
        return true;
    }
    *part = (ol_str){rest->ptr, i};
    *rest = (ol_str){rest->ptr + i + n, rest->len - i - n};
    return true;
}

static ol_str whole(const ol_tensor *x, int64_t i) {
    ol_str s = ((const ol_str *)x->data)[i];
    return s.len ? s : (ol_str){"", 0};
}

static olv_status eval(ol_eval *c, olv_error *err) {
    const ol_tensor *x;
    ol_tensor *y, *count;
    OL_TRY(ol_eval_need(c, 0, &x, err));
    if (x->dtype != OL_STRING || x->rank >= OL_MAX_RANK) return ol_fail(err, OLV_SHAPE, "strings expected");
    splitter z = {ol_node_string(c->node, "delimiter", ""), ol_node_int(c->node, "maxsplit", -1)};
    int64_t n = ol_tensor_count(x), most = 0, dims[OL_MAX_RANK + 1];
    ol_str part;
    for (int64_t i = 0; i < n; i++) {
        int64_t k = 0;
        for (ol_str rest = whole(x, i); next_part(&z, &rest, k, &part);) k++;
        if (k > most) most = k;
    }
    memcpy(dims, x->dims, sizeof x->dims);
    dims[x->rank] = most;
    OL_TRY(ol_eval_out(c, 0, OL_STRING, x->rank + 1, dims, &y, err));
    if (c->node->n_outputs > 1) OL_TRY(ol_eval_out(c, 1, OL_I64, x->rank, x->dims, &count, err));
    for (int64_t i = 0; i < n; i++) {
        int64_t k = 0;
        for (ol_str rest = whole(x, i); next_part(&z, &rest, k, &part);)
            ((ol_str *)y->data)[i * most + k++] = part;
        if (c->node->n_outputs > 1) ol_tensor_set_i64(count, i, k);
    }
    return ol_tensor_own_strings(y, err);
}

static olv_status infer(ol_infer *c, olv_error *err) {
    const ol_type *x = ol_infer_in(c, 0);
    OL_TRY(ol_infer_rank(c, 0, 0, OL_MAX_RANK - 1, err));
    ol_infer_set(c, 0, OL_STRING, x->rank < 0 ? -1 : x->rank + 1);
    for (int i = 0; i < x->rank; i++) c->out[0].dims[i] = x->dims[i];
    if (c->node->n_outputs < 2) return OLV_OK;
    c->out[1] = *x;
    c->out[1].dtype = OL_I64;
    return OLV_OK;
}

static const ol_attr_spec attrs[] = {{"delimiter", OL_ATTR_STRING, false},
                                     {"maxsplit", OL_ATTR_INT, false}};
extern const ol_op ol_op_StringSplit;
const ol_op ol_op_StringSplit = {.domain = "", .name = "StringSplit",
                                 .summary = "parts of strings between delimiters", .min_inputs = 1,
                                 .max_inputs = 1, .min_outputs = 1, .max_outputs = 2,
                                 OL_ATTRS(attrs), .infer = infer, .eval = eval};
