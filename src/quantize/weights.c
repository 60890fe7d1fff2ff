/* SPDX-License-Identifier: Apache-2.0 */
#include "quantize/weights.h"
#include "base/alloc.h"
#include "base/error.h"
#include <math.h>

void ol_weight_codes_deinit(ol_weight_codes *w) {
    ol_tensor_deinit(&w->weights);
    ol_free(w->scale), ol_free(w->codes);
    w->scale = NULL, w->codes = NULL;
}

static olv_status find_scales(ol_weight_codes *w, bool half, olv_error *err) {
    const float *x = w->weights.data;
    for (int64_t i = 0, count = ol_tensor_count(&w->weights); i < count; i++) {
        float *most = &w->scale[ol_weight_channel(w, i)];
        if (!isfinite(x[i])) return ol_fail(err, OLV_FORMAT, "weight %lld is %s", (long long)i, isnan(x[i]) ? "NaN" : "infinite");
        if (fabsf(x[i]) > *most) *most = fabsf(x[i]);
    }
    float top = 0;
    for (int64_t c = 0; c < w->n; c++) top = fmaxf(top, w->scale[c]);
    for (int64_t c = 0; c < w->n; c++) w->scale[c] = fmaxf(w->scale[c], fmaxf(0.01f * top, 8e-5f)) / (half ? 63.5f : 127.0f);
    return OLV_OK;
}

olv_status ol_weight_codes_make(ol_weight_codes *w, const ol_value *v, int axis, bool half, olv_error *err) {
    *w = (ol_weight_codes){.axis = axis, .inner = 1};
    OL_TRY(ol_const_materialize(v->constant, SIZE_MAX, &w->weights, err));
    int64_t count = ol_tensor_count(&w->weights);
    w->n = w->weights.dims[axis];
    for (int i = axis + 1; i < w->weights.rank; i++) w->inner *= w->weights.dims[i];
    w->scale = ol_calloc((size_t)w->n + 1, sizeof *w->scale);
    w->codes = ol_alloc((size_t)count + 1);
    olv_status s = w->scale && w->codes ? find_scales(w, half, err) : ol_fail(err, OLV_NOMEM, "no memory for codes");
    if (s != OLV_OK) {
        ol_weight_codes_deinit(w);
        return ol_error_at(err, "weights '%.200s'", v->name);
    }
    const float *x = w->weights.data;
    for (int64_t i = 0; i < count; i++) {
        float q = nearbyintf(x[i] / w->scale[ol_weight_channel(w, i)]);
        w->codes[i] = (int8_t)(q < -127 ? -127 : q > 127 ? 127 : q);
    }
    return OLV_OK;
}
