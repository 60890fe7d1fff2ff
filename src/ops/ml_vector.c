/* SPDX-License-Identifier: Apache-2.0 */
/* Vectors and maps of ai.onnx.ml: FeatureVectorizer, ArrayFeatureExtractor, DictVectorizer, ZipMap, CastMap. A map is a
 * sequence of two tensors [n], its keys and its values. */
#include "ops/ml.h"
#include <stdio.h>
#include <stdlib.h>

/* Inputs side by side as floats; inputdimensions cuts them, or fills them up with zeros. */
static olv_status eval_features(ol_eval *c, olv_error *err) {
    size_t n_dims;
    const int64_t *dims = ol_node_ints(c->node, "inputdimensions", &n_dims);
    int64_t rows = 0, total = 0, at = 0, r, w;
    const ol_tensor *x;
    ol_tensor *y;
    if (n_dims && (int64_t)n_dims != c->node->n_inputs) return ol_fail(err, OLV_FORMAT, "%zu inputdimensions found, %d inputs", n_dims, c->node->n_inputs);
    for (int i = 0; i < c->node->n_inputs; i++) {
        OL_TRY(ol_ml_rows(c, i, &x, &r, &w, err));
        if (i && r != rows) return ol_fail(err, OLV_SHAPE, "input %d of %lld rows found, %lld expected", i, (long long)r, (long long)rows);
        rows = r;
        if (n_dims && dims[i] < 0) return ol_fail(err, OLV_FORMAT, "inputdimensions are negative");
        if (!ol_add_i64(total, n_dims ? dims[i] : w, &total)) return ol_fail(err, OLV_LIMIT, "too many features");
    }
    OL_TRY(ol_eval_out(c, 0, OL_F32, 2, (int64_t[]){rows, total}, &y, err));
    for (int i = 0; i < c->node->n_inputs; i++) {
        OL_TRY(ol_ml_rows(c, i, &x, &r, &w, err));
        int64_t width = n_dims ? dims[i] : w, take = w < width ? w : width;
        for (int64_t row = 0; row < rows; row++)
            for (int64_t k = 0; k < take; k++) ol_tensor_set(y, row * total + at + k, ol_tensor_get(x, row * w + k));
        at += width;
    }
    return OLV_OK;
}

static olv_status infer_features(ol_infer *c, olv_error *err) {
    (void)err;
    size_t n;
    const int64_t *dims = ol_node_ints(c->node, "inputdimensions", &n);
    ol_dim total = n ? 0 : ol_infer_fresh(c);
    for (size_t i = 0; i < n; i++)
        if (dims[i] < 0 || !ol_add_i64(total, dims[i], &total)) return ol_fail(err, OLV_FORMAT, "inputdimensions out of range");
    c->out[0] = (ol_type){.rank = 2, .dtype = OL_F32, .dims = {ol_ml_rows_dim(c), total}};
    return OLV_OK;
}

/* Columns y of the last axis; a vector gives one row. */
static olv_status eval_extract(ol_eval *c, olv_error *err) {
    const ol_tensor *x, *ix;
    ol_tensor *y;
    int64_t dims[OL_MAX_RANK];
    OL_TRY(ol_eval_need(c, 0, &x, err));
    OL_TRY(ol_eval_need(c, 1, &ix, err));
    if (x->rank < 1) return ol_fail(err, OLV_SHAPE, "a scalar found, rows of features expected");
    int64_t width = x->dims[x->rank - 1], n = ol_tensor_count(ix), rows = ol_dims_count(x->dims, 0, x->rank - 1);
    memcpy(dims, x->dims, sizeof dims);
    dims[0] = x->rank == 1 ? 1 : dims[0];
    dims[x->rank == 1 ? 1 : x->rank - 1] = n;
    OL_TRY(ol_eval_out(c, 0, x->dtype, x->rank == 1 ? 2 : x->rank, dims, &y, err));
    for (int64_t i = 0; i < n; i++) {
        int64_t k = ol_tensor_i64(ix, i);
        if (k < 0 || k >= width) return ol_fail(err, OLV_ARG, "feature %lld of %lld", (long long)k, (long long)width);
        for (int64_t r = 0; r < rows; r++) ol_elems_copy(y, r * n + i, x, r * width + k, 1);
    }
    return ol_tensor_own_strings(y, err);
}

static olv_status infer_extract(ol_infer *c, olv_error *err) {
    (void)err;
    const ol_type *x = ol_infer_in(c, 0), *ix = ol_infer_in(c, 1);
    ol_type t = *x;
    ol_dim n = ix->rank == 1 ? ix->dims[0] : ol_infer_fresh(c);
    if (ix->rank == 2 && ix->dims[0] == 1) n = ix->dims[1];
    if (x->rank == 1) t.rank = 2, t.dims[0] = 1;
    if (t.rank >= 1) t.dims[t.rank - 1] = n;
    c->out[0] = t;
    return OLV_OK;
}

/* ---- maps ---- */

/* Keys and values of a map. */
static olv_status open_map(const ol_eval *c, const ol_tensor **keys, const ol_tensor **values, olv_error *err) {
    const ol_datum *d = c->in[0];
    if (!d || d->kind != OL_VALUE_SEQUENCE || d->n_items != 2 || d->items[0].kind != OL_VALUE_TENSOR || d->items[1].kind != OL_VALUE_TENSOR)
        return ol_fail(err, OLV_ARG, "input 0 is no map (a sequence of keys and values)");
    *keys = &d->items[0].tensor;
    *values = &d->items[1].tensor;
    if (ol_tensor_count(*keys) != ol_tensor_count(*values) || ((*keys)->dtype != OL_STRING && !ol_is_int((*keys)->dtype)))
        return ol_fail(err, OLV_ARG, "a map of %lld keys of %s and %lld values", (long long)ol_tensor_count(*keys), ol_dtype_name((*keys)->dtype),
                       (long long)ol_tensor_count(*values));
    return OLV_OK;
}

static int64_t find_key(const ol_tensor *keys, ol_str text, int64_t number) {
    for (int64_t i = 0, n = ol_tensor_count(keys); i < n; i++)
        if (keys->dtype == OL_STRING ? ol_str_eq(((const ol_str *)keys->data)[i], text) : ol_tensor_i64(keys, i) == number) return i;
    return -1;
}

/* [1, vocabulary]: the values of the words, in the order of the vocabulary. */
static olv_status eval_dict(ol_eval *c, olv_error *err) {
    const ol_tensor *keys, *values;
    ol_tensor *y;
    size_t n_words, n_ints;
    const ol_str *words = ol_node_strings(c->node, "string_vocabulary", &n_words);
    const int64_t *ints = ol_node_ints(c->node, "int64_vocabulary", &n_ints);
    OL_TRY(open_map(c, &keys, &values, err));
    if (keys->dtype == OL_STRING ? !words : !ints) return ol_fail(err, OLV_FORMAT, "no vocabulary for keys of %s", ol_dtype_name(keys->dtype));
    int64_t n = (int64_t)(words ? n_words : n_ints);
    OL_TRY(ol_eval_out(c, 0, values->dtype, 2, (int64_t[]){1, n}, &y, err));
    for (int64_t i = 0; i < n; i++) {
        int64_t at = find_key(keys, words ? words[i] : (ol_str){"", 0}, words ? 0 : ints[i]);
        if (at >= 0) ol_elems_copy(y, i, values, at, 1);
    }
    return ol_tensor_own_strings(y, err);
}

static olv_status infer_dict(ol_infer *c, olv_error *err) {
    (void)err;
    size_t n, k;
    (void)ol_node_strings(c->node, "string_vocabulary", &n);
    (void)ol_node_ints(c->node, "int64_vocabulary", &k);
    c->out[0] = (ol_type){.rank = 2, .dtype = ol_infer_in(c, 0)->dtype, .dims = {1, (int64_t)(n ? n : k)}};
    return OLV_OK;
}

static void cast_value(const ol_tensor *from, int64_t i, ol_tensor *y, int64_t to, char *text, size_t size) {
    ol_str s = from->dtype == OL_STRING ? ((const ol_str *)from->data)[i] : (ol_str){text, 0};
    if (from->dtype == OL_STRING) {
        size_t n = s.len < size - 1 ? s.len : size - 1;
        memcpy(text, s.ptr, n);
        text[n] = 0;
    }
    if (y->dtype == OL_STRING) {
        if (from->dtype != OL_STRING) s.len = (size_t)snprintf(text, size, ol_is_float(from->dtype) ? "%f" : "%.0f", ol_tensor_get(from, i));
        ((ol_str *)y->data)[to] = s;
    } else {
        double v = from->dtype == OL_STRING ? strtod(text, NULL) : ol_tensor_get(from, i);
        if (y->dtype == OL_I64) ol_tensor_set_i64(y, to, ol_f64_to_i64(trunc(v)));
        else ol_tensor_set(y, to, v);
    }
}

static ol_dtype cast_type(const ol_node *n) {
    ol_str to = ol_node_string(n, "cast_to", "TO_FLOAT");
    return ol_str_is(to, "TO_STRING") ? OL_STRING : ol_str_is(to, "TO_INT64") ? OL_I64 : OL_F32;
}

/* [1, n]: the values in the order of the keys (DENSE), or each at the place that its key names (SPARSE). */
static olv_status eval_cast(ol_eval *c, olv_error *err) {
    const ol_tensor *keys, *values;
    ol_tensor *y;
    OL_TRY(open_map(c, &keys, &values, err));
    bool sparse = ol_str_is(ol_node_string(c->node, "map_form", "DENSE"), "SPARSE");
    int64_t n = ol_tensor_count(keys), size = sparse ? ol_node_int(c->node, "max_map", 1) : n;
    if (keys->dtype == OL_STRING || size < 0) return ol_fail(err, OLV_ARG, "a map with keys of %s, or max_map %lld", ol_dtype_name(keys->dtype), (long long)size);
    OL_TRY(ol_eval_out(c, 0, cast_type(c->node), 2, (int64_t[]){1, size}, &y, err));
    enum { TEXT = 512 };
    char *text = ol_calloc((size_t)n + 1, TEXT);
    int64_t *order = ol_calloc((size_t)n + 1, sizeof *order);
    olv_status s = text && order ? OLV_OK : ol_fail(err, OLV_NOMEM, "no memory for a map");
    for (int64_t i = 0; s == OLV_OK && i < size && y->dtype == OL_STRING; i++) ((ol_str *)y->data)[i] = (ol_str){"", 0};
    for (int64_t i = 0; s == OLV_OK && i < n; i++) { /* insertion by key */
        int64_t k = i;
        for (; k > 0 && ol_tensor_i64(keys, order[k - 1]) > ol_tensor_i64(keys, i); k--) order[k] = order[k - 1];
        order[k] = i;
    }
    for (int64_t i = 0; s == OLV_OK && i < n; i++) {
        int64_t at = sparse ? ol_tensor_i64(keys, order[i]) : i;
        if (at < 0 || at >= size) s = ol_fail(err, OLV_ARG, "key %lld found, max_map is %lld", (long long)at, (long long)size);
        else cast_value(values, order[i], y, at, text + i * TEXT, TEXT);
    }
    if (s == OLV_OK) s = ol_tensor_own_strings(y, err);
    ol_free(text), ol_free(order);
    return s;
}

static olv_status infer_cast(ol_infer *c, olv_error *err) {
    (void)err;
    bool sparse = ol_str_is(ol_node_string(c->node, "map_form", "DENSE"), "SPARSE");
    c->out[0] = (ol_type){.rank = 2, .dtype = cast_type(c->node), .dims = {1, sparse ? ol_node_int(c->node, "max_map", 1) : ol_infer_fresh(c)}};
    return OLV_OK;
}

/* A map of each row: the labels, and the values of the row. */
static olv_status make_map(const ol_ml_labels *l, const ol_tensor *x, int64_t row, ol_datum *out, olv_error *err) {
    const int64_t n = (int64_t)l->n;
    *out = (ol_datum){.kind = OL_VALUE_SEQUENCE, .present = true, .cap_items = 2};
    out->items = ol_calloc(2, sizeof *out->items);
    if (!out->items) return ol_fail(err, OLV_NOMEM, "no memory for a map");
    out->n_items = 2;
    for (int i = 0; i < 2; i++) out->items[i] = (ol_datum){.kind = OL_VALUE_TENSOR, .present = true};
    ol_tensor *keys = &out->items[0].tensor, *values = &out->items[1].tensor;
    OL_TRY(ol_tensor_init(keys, ol_ml_labels_type(l), 1, &n, err));
    for (int64_t i = 0; i < n; i++) ol_ml_set_label(keys, i, l, (size_t)i);
    OL_TRY(ol_tensor_own_strings(keys, err));
    OL_TRY(ol_tensor_init(values, x->dtype, 1, &n, err));
    ol_elems_copy(values, 0, x, row * n, n);
    return OLV_OK;
}

static olv_status eval_zip(ol_eval *c, olv_error *err) {
    const ol_tensor *x;
    int64_t rows, width;
    ol_ml_labels l = ol_ml_labels_of(c->node, "classlabels_int64s", "classlabels_strings");
    OL_TRY(ol_ml_rows(c, 0, &x, &rows, &width, err));
    if ((int64_t)l.n != width) return ol_fail(err, OLV_SHAPE, "%lld columns found, %zu labels", (long long)width, l.n);
    ol_datum *out = &c->out[0];
    ol_datum_deinit(out);
    *out = (ol_datum){.kind = OL_VALUE_SEQUENCE, .present = true};
    out->items = ol_calloc((size_t)rows + 1, sizeof *out->items);
    if (!out->items) return ol_fail(err, OLV_NOMEM, "no memory for %lld maps", (long long)rows);
    out->cap_items = (size_t)rows + 1;
    for (int64_t r = 0; r < rows; r++) {
        out->n_items = (size_t)r + 1;
        OL_TRY(make_map(&l, x, r, &out->items[r], err));
    }
    return OLV_OK;
}

static olv_status infer_zip(ol_infer *c, olv_error *err) {
    (void)err;
    ol_ml_labels l = ol_ml_labels_of(c->node, "classlabels_int64s", "classlabels_strings");
    c->out[0] = (ol_type){.kind = OL_VALUE_SEQUENCE, .sequence_inside = true, .map_key = ol_ml_labels_type(&l), .dtype = ol_infer_in(c, 0)->dtype, .rank = -1};
    return OLV_OK;
}

static const ol_attr_spec features[] = {{"inputdimensions", OL_ATTR_INTS, false}};
static const ol_attr_spec dict[] = {{"string_vocabulary", OL_ATTR_STRINGS, false}, {"int64_vocabulary", OL_ATTR_INTS, false}};
static const ol_attr_spec cast[] = {{"cast_to", OL_ATTR_STRING, false}, {"map_form", OL_ATTR_STRING, false}, {"max_map", OL_ATTR_INT, false}};
static const ol_attr_spec zip[] = {{"classlabels_int64s", OL_ATTR_INTS, false}, {"classlabels_strings", OL_ATTR_STRINGS, false}};
OL_ML_OP(FeatureVectorizer, "inputs side by side as floats", 1, -1, 1, 1, features, infer_features, eval_features)
OL_ML_OP(DictVectorizer, "a map in the order of a vocabulary", 1, 1, 1, 1, dict, infer_dict, eval_dict)
OL_ML_OP(CastMap, "a map as a vector", 1, 1, 1, 1, cast, infer_cast, eval_cast)
OL_ML_OP(ZipMap, "a map of each row", 1, 1, 1, 1, zip, infer_zip, eval_zip)
extern const ol_op ol_op_ml_ArrayFeatureExtractor;
const ol_op ol_op_ml_ArrayFeatureExtractor = {"ai.onnx.ml", "ArrayFeatureExtractor", "columns of the last axis", 2, 2, 1, 1, NULL, 0, infer_extract, eval_extract, NULL, false, false};
