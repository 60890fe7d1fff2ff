/* SPDX-License-Identifier: Apache-2.0 */
/* Keys to values, of ai.onnx.ml: LabelEncoder, CategoryMapper, OneHotEncoder. */
#include "ops/ml.h"
#include "base/map.h"
#include <stdio.h>

/* A list given by one of the attributes NAME_strings, NAME_int64s, NAME_floats, NAME_tensor, as a tensor [n]. */
static olv_status list_of(const ol_node *n, const char *name, ol_tensor *out, olv_error *err) {
    static const char *const kinds[] = {"strings", "int64s", "floats"};
    static const ol_dtype types[] = {OL_STRING, OL_I64, OL_F32};
    char text[64];
    *out = (ol_tensor){.dtype = OL_DTYPE_NONE};
    snprintf(text, sizeof text, "%s_tensor", name);
    const ol_attr *a = ol_node_attr(n, text);
    if (a && a->type == OL_ATTR_TENSOR) return ol_const_materialize(a->v.tensor, SIZE_MAX, out, err);
    for (int i = 0; i < 3; i++) {
        snprintf(text, sizeof text, "%s_%s", name, kinds[i]);
        a = ol_node_attr(n, text);
        if (!a || !a->count || (a->type != OL_ATTR_STRINGS && a->type != OL_ATTR_INTS && a->type != OL_ATTR_FLOATS)) continue;
        const int64_t count = (int64_t)a->count;
        const void *p = i == 0 ? (const void *)a->v.strings : i == 1 ? (const void *)a->v.ints : (const void *)a->v.floats;
        return ol_tensor_view(out, types[i], 1, &count, p, a->count * (size_t)ol_dtype_bits(types[i]) / 8, err);
    }
    return OLV_OK;
}

/* The bytes by which an element is looked up: strings as they are, numbers as doubles (all NaN alike, -0 as 0). */
static ol_str key_of(const ol_tensor *t, int64_t i, double *held) {
    if (t->dtype == OL_STRING) return ((const ol_str *)t->data)[i];
    double v = ol_tensor_get(t, i);
    *held = isnan(v) ? (double)NAN : v == 0 ? 0 : v;
    return (ol_str){(const char *)held, sizeof *held};
}

/* Keys by their bytes; the first of equal keys counts. */
typedef struct key_index {
    ol_map map;
    double *held; /* numbers, which the map borrows */
} key_index;

static void index_deinit(key_index *x) {
    ol_map_deinit(&x->map);
    ol_free(x->held);
}

static olv_status index_init(key_index *x, const ol_tensor *keys, olv_error *err) {
    int64_t n = ol_tensor_count(keys);
    ol_map_init(&x->map);
    x->held = ol_calloc((size_t)n + 1, sizeof *x->held);
    bool ok = x->held != NULL;
    for (int64_t i = 0; ok && i < n; i++) {
        ol_str k = key_of(keys, i, &x->held[i]);
        if (!ol_map_get(&x->map, k)) ok = ol_map_put(&x->map, k, (uint64_t)i) >= 0;
    }
    return ok ? OLV_OK : ol_fail(err, OLV_NOMEM, "no memory for keys");
}

/* y[i] = values[index of x[i] among keys], else the default. */
static olv_status encode(ol_eval *c, const ol_tensor *x, const ol_tensor *keys, const ol_tensor *values, const ol_tensor *def, olv_error *err) {
    key_index index;
    ol_tensor *y;
    if ((x->dtype == OL_STRING) != (keys->dtype == OL_STRING))
        return ol_fail(err, OLV_SHAPE, "input of %s found, keys are %s", ol_dtype_name(x->dtype), ol_dtype_name(keys->dtype));
    if (ol_tensor_count(keys) != ol_tensor_count(values) || values->dtype != def->dtype)
        return ol_fail(err, OLV_FORMAT, "%lld keys and %lld values of %s, default of %s", (long long)ol_tensor_count(keys),
                       (long long)ol_tensor_count(values), ol_dtype_name(values->dtype), ol_dtype_name(def->dtype));
    OL_TRY(ol_eval_out(c, 0, values->dtype, x->rank, x->dims, &y, err));
    olv_status s = index_init(&index, keys, err);
    for (int64_t i = 0, n = ol_tensor_count(x); s == OLV_OK && i < n; i++) {
        double held;
        const uint64_t *at = ol_map_get(&index.map, key_of(x, i, &held));
        if (at) ol_elems_copy(y, i, values, (int64_t)*at, 1);
        else ol_elems_copy(y, i, def, 0, 1);
    }
    index_deinit(&index);
    return s == OLV_OK ? ol_tensor_own_strings(y, err) : s;
}

/* The default for values of type t: default_tensor, or default_string, default_int64, default_float. */
static olv_status default_of(const ol_node *n, ol_dtype t, ol_tensor *out, olv_error *err) {
    const ol_attr *a = ol_node_attr(n, "default_tensor");
    if (a && a->type == OL_ATTR_TENSOR) return ol_const_materialize(a->v.tensor, SIZE_MAX, out, err);
    OL_TRY(ol_tensor_init(out, t, 0, NULL, err));
    if (t == OL_STRING) ((ol_str *)out->data)[0] = ol_node_string(n, "default_string", "_Unused");
    else if (t == OL_F32) ol_tensor_set(out, 0, (double)ol_node_float(n, "default_float", -0.0f));
    else ol_tensor_set_i64(out, 0, ol_node_int(n, "default_int64", -1));
    return OLV_OK;
}

/* 0, 1, .. [n] */
static olv_status counting(int64_t n, ol_tensor *out, olv_error *err) {
    OL_TRY(ol_tensor_init(out, OL_I64, 1, &n, err));
    for (int64_t i = 0; i < n; i++) ((int64_t *)out->data)[i] = i;
    return OLV_OK;
}

/* The keys and values of a node for an input of type t. LabelEncoder 1 (classes_strings) and CategoryMapper go either way. */
static olv_status table_of(const ol_node *n, ol_dtype t, ol_tensor *keys, ol_tensor *values, olv_error *err) {
    bool text = t == OL_STRING;
    size_t count;
    const ol_str *classes = ol_node_strings(n, "classes_strings", &count);
    *keys = *values = (ol_tensor){.dtype = OL_DTYPE_NONE};
    if (!strcmp(n->op->name, "CategoryMapper")) {
        OL_TRY(list_of(n, "cats", text ? keys : values, err));
        const int64_t *ints = ol_node_ints(n, "cats_int64s", &count);
        const int64_t size = (int64_t)count;
        return ol_tensor_view(text ? values : keys, OL_I64, 1, &size, ints, count * sizeof *ints, err);
    }
    if (!classes) {
        olv_status s = list_of(n, "keys", keys, err);
        return s == OLV_OK ? list_of(n, "values", values, err) : s;
    }
    const int64_t size = (int64_t)count;
    OL_TRY(ol_tensor_view(text ? keys : values, OL_STRING, 1, &size, classes, count * sizeof *classes, err));
    return counting(size, text ? values : keys, err);
}

static olv_status eval_table(ol_eval *c, olv_error *err) {
    const ol_tensor *x;
    ol_tensor keys, values, def = {.dtype = OL_DTYPE_NONE};
    OL_TRY(ol_eval_need(c, 0, &x, err));
    olv_status s = table_of(c->node, x->dtype, &keys, &values, err);
    if (s == OLV_OK && (keys.dtype == OL_DTYPE_NONE || values.dtype == OL_DTYPE_NONE)) s = ol_fail(err, OLV_FORMAT, "no keys or no values");
    if (s == OLV_OK) s = default_of(c->node, values.dtype, &def, err);
    if (s == OLV_OK) s = encode(c, x, &keys, &values, &def, err);
    ol_tensor_deinit(&keys);
    ol_tensor_deinit(&values);
    ol_tensor_deinit(&def);
    return s;
}

static olv_status infer_table(ol_infer *c, olv_error *err) {
    ol_tensor keys = {0}, values = {0};
    const ol_type *x = ol_infer_in(c, 0);
    c->out[0] = *x;
    c->out[0].dtype = OL_DTYPE_NONE;
    olv_status s = x->dtype == OL_DTYPE_NONE ? OLV_OK : table_of(c->node, x->dtype, &keys, &values, err);
    if (s == OLV_OK) c->out[0].dtype = values.dtype;
    ol_tensor_deinit(&keys);
    ol_tensor_deinit(&values);
    return s;
}

static olv_status eval_one_hot(ol_eval *c, olv_error *err) {
    const ol_tensor *x;
    ol_tensor cats, *y;
    key_index index;
    int64_t dims[OL_MAX_RANK];
    OL_TRY(ol_eval_need(c, 0, &x, err));
    OL_TRY(list_of(c->node, "cats", &cats, err));
    int64_t n = ol_tensor_count(&cats);
    if (cats.dtype == OL_DTYPE_NONE || (cats.dtype == OL_STRING) != (x->dtype == OL_STRING) || x->rank >= OL_MAX_RANK)
        return ol_fail(err, OLV_FORMAT, "input of %s found, categories are %s", ol_dtype_name(x->dtype), ol_dtype_name(cats.dtype));
    memcpy(dims, x->dims, sizeof x->dims);
    dims[x->rank] = n;
    OL_TRY(ol_eval_out(c, 0, OL_F32, x->rank + 1, dims, &y, err));
    bool zeros = ol_node_int(c->node, "zeros", 1) != 0;
    olv_status s = index_init(&index, &cats, err);
    for (int64_t i = 0, count = ol_tensor_count(x); s == OLV_OK && i < count; i++) {
        double held = x->dtype == OL_STRING ? 0 : trunc(ol_tensor_get(x, i));
        const uint64_t *at = ol_map_get(&index.map, x->dtype == OL_STRING ? ((const ol_str *)x->data)[i] : (ol_str){(const char *)&held, sizeof held});
        if (at) ol_tensor_set(y, i * n + (int64_t)*at, 1);
        else if (!zeros) s = ol_fail(err, OLV_ARG, "element %lld is no category, and zeros are not asked for", (long long)i);
    }
    index_deinit(&index);
    return s;
}

static olv_status infer_one_hot(ol_infer *c, olv_error *err) {
    ol_tensor cats;
    const ol_type *x = ol_infer_in(c, 0);
    OL_TRY(list_of(c->node, "cats", &cats, err));
    c->out[0] = *x;
    c->out[0].dtype = OL_F32;
    if (x->rank >= OL_MAX_RANK) return ol_fail(err, OLV_LIMIT, "rank above %d", OL_MAX_RANK);
    if (x->rank >= 0) c->out[0].dims[c->out[0].rank++] = cats.dtype == OL_DTYPE_NONE ? 0 : cats.dims[0];
    return OLV_OK;
}

static const ol_attr_spec label[] = {{"keys_strings", OL_ATTR_STRINGS, false}, {"keys_int64s", OL_ATTR_INTS, false}, {"keys_floats", OL_ATTR_FLOATS, false},
    {"keys_tensor", OL_ATTR_TENSOR, false}, {"values_strings", OL_ATTR_STRINGS, false}, {"values_int64s", OL_ATTR_INTS, false},
    {"values_floats", OL_ATTR_FLOATS, false}, {"values_tensor", OL_ATTR_TENSOR, false}, {"default_string", OL_ATTR_STRING, false},
    {"default_int64", OL_ATTR_INT, false}, {"default_float", OL_ATTR_FLOAT, false}, {"default_tensor", OL_ATTR_TENSOR, false},
    {"classes_strings", OL_ATTR_STRINGS, false}};
static const ol_attr_spec mapper[] = {{"cats_strings", OL_ATTR_STRINGS, false}, {"cats_int64s", OL_ATTR_INTS, false},
    {"default_string", OL_ATTR_STRING, false}, {"default_int64", OL_ATTR_INT, false}};
static const ol_attr_spec one_hot[] = {{"cats_strings", OL_ATTR_STRINGS, false}, {"cats_int64s", OL_ATTR_INTS, false}, {"zeros", OL_ATTR_INT, false}};
OL_ML_OP(LabelEncoder, "values by keys", 1, 1, 1, 1, label, infer_table, eval_table)
OL_ML_OP(CategoryMapper, "strings to integers, or back", 1, 1, 1, 1, mapper, infer_table, eval_table)
OL_ML_OP(OneHotEncoder, "1 at the place of a category", 1, 1, 1, 1, one_hot, infer_one_hot, eval_one_hot)
