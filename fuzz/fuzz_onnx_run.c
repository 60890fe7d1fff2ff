/* SPDX-License-Identifier: Apache-2.0 */
/* ONNX models on arbitrary bytes, read, compiled and run: first by the reference, with tensors of at most 32 KB and so
 * many allocations (which bounds loops too), then, where that came to an end, compiled for the CPU. */
#include "base/alloc.h"
#include "tensor/tensor.h"
#include <olivine/model.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TENSOR_BYTES 32768
#define ALLOCATIONS 100000

static olv_core *core;

/* An input of the declared shape, open sizes 2, filled with small numbers. */
static olv_tensor *make_input(const olv_port *p) {
    int64_t dims[OLV_MAX_RANK];
    olv_tensor *t = NULL;
    olv_error err;
    static const char *const words[] = {"a", "1.5", "", "b"};
    const char *strings[256];
    if (p->kind != OLV_KIND_TENSOR) return NULL;
    int64_t count = 1;
    int rank = p->rank < 0 ? 1 : p->rank;
    for (int i = 0; i < rank; i++) {
        dims[i] = p->rank < 0 || p->dims[i] < 0 ? 2 : p->dims[i];
        if (__builtin_mul_overflow(count, dims[i], &count) || count > TENSOR_BYTES / 16) return NULL;
    }
    if (p->dtype == OLV_STRING) {
        if (count > 256) return NULL;
        for (int64_t i = 0; i < count; i++) strings[i] = words[i & 3];
        return olv_tensor_create_strings(rank, dims, strings, NULL, &t, &err) == OLV_OK ? t : NULL;
    }
    if (olv_tensor_create(p->dtype == OLV_DTYPE_NONE ? OLV_F32 : p->dtype, rank, dims, &t, &err) != OLV_OK) return NULL;
    if (p->dtype == OLV_F32 || p->dtype == OLV_DTYPE_NONE)
        for (int64_t i = 0; i < count; i++) ((float *)olv_tensor_get_data(t))[i] = (float)(i % 7) * 0.5f - 1;
    else if (olv_tensor_get_bytes(t)) memset(olv_tensor_get_data(t), 1, olv_tensor_get_bytes(t));
    return t;
}

static olv_status run_on(const olv_model *m, const char *device) {
    static const char *const one[] = {"INFERENCE_NUM_THREADS=1", "NUM_STREAMS=1"};
    olv_compiled *c = NULL;
    olv_request *r = NULL;
    olv_error err;
    olv_tensor *in[32] = {NULL};
    olv_status s = olv_compile(core, m, device, one, 2, &c, &err);
    if (s == OLV_OK) s = olv_request_create(c, &r, &err);
    size_t n = olv_model_n_inputs(m);
    for (size_t i = 0; s == OLV_OK && i < n; i++) {
        olv_port p;
        olv_model_get_input(m, i, &p);
        if (p.has_default) continue;
        in[i] = make_input(&p);
        s = in[i] ? olv_request_set_input_at(r, i, in[i], &err) : OLV_LIMIT;
    }
    if (s == OLV_OK) s = olv_request_run(r, &err);
    olv_request_destroy(r);
    olv_compiled_destroy(c);
    for (size_t i = 0; i < n; i++) olv_tensor_destroy(in[i]);
    return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    olv_model *m = NULL;
    olv_error err;
    if (!core && olv_core_create(&core, &err) != OLV_OK) return 0;
    ol_alloc_set_limit(1); /* no block of megabytes */
    ol_alloc_fail_at(ALLOCATIONS, true);
    if (olv_model_read_bytes(data, size, NULL, &m, &err) == OLV_OK && olv_model_n_inputs(m) <= 32 && run_on(m, "REFERENCE") == OLV_OK)
        (void)run_on(m, "CPU");
    olv_model_destroy(m);
    ol_alloc_fail_at(0, false);
    return 0;
}
