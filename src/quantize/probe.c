/* SPDX-License-Identifier: Apache-2.0 */
#include "quantize/probe.h"
#include "base/alloc.h"
#include "base/error.h"
#include "runtime/core.h"
#include "runtime/tensor.h"
#include <math.h>

static olv_status choose_outputs(ol_graph *g, const char *const *names, int n, olv_error *err) {
    for (int i = 0; i < g->n_outputs; i++) g->outputs[i]->n_uses--;
    g->n_outputs = 0;
    for (int i = 0; i < n; i++) {
        ol_value *v = ol_graph_find_value(g, names[i]);
        if (!v) return ol_fail(err, OLV_INTERNAL, "value '%.200s' is gone", names[i]);
        OL_TRY(ol_graph_add_output(g, v, err));
    }
    ol_graph_prune(g);
    return OLV_OK;
}

static olv_status make_model(const ol_prober *p, const ol_graph *g, const char *const *names, int n, olv_model **out, olv_error *err) {
    ol_graph *copy;
    OL_TRY(ol_graph_clone(g, NULL, &copy, err));
    copy->ops = g->ops;
    olv_status s = choose_outputs(copy, names, n, err);
    if (s != OLV_OK) {
        ol_graph_destroy(copy);
        return s;
    }
    OL_TRY(ol_model_create(copy, out, err));
    if (p->operators) (*out)->core = ol_core_retain(p->operators);
    return OLV_OK;
}

typedef struct run {
    ol_prober *p;
    olv_dataset *data;
    size_t max;
    int n;
    size_t n_inputs;
    olv_request *request;
    olv_tensor **inputs;
    ol_probe_fn *fn;
    void *ctx;
} run;

static void drop_inputs(run *r) {
    for (size_t i = 0; i < r->n_inputs; i++) {
        olv_tensor_destroy(r->inputs[i]);
        r->inputs[i] = NULL;
    }
}

static olv_status check_finite(const olv_tensor *t, olv_error *err) {
    const ol_tensor *x = &t->datum.tensor;
    if (ol_dtype_class(x->dtype) != 'f') return OLV_OK;
    for (int64_t i = 0, n = ol_tensor_count(x); i < n; i++) {
        double v = ol_elem_get(x->dtype, x->data, (uint64_t)i);
        if (!isfinite(v)) return ol_fail(err, OLV_FORMAT, "element %lld is %s; leave that sample out", (long long)i, isnan(v) ? "NaN" : "infinite");
    }
    return OLV_OK;
}

/* Gives the inputs; *items: how many samples lie along axis 0 of all of them. */
static olv_status give(run *r, const olv_compiled *c, int64_t *items, olv_error *err) {
    *items = -1;
    for (size_t i = 0; i < r->n_inputs; i++) {
        const olv_tensor *t = r->inputs[i];
        olv_port port;
        olv_compiled_get_input(c, i, &port);
        if (!t) continue;
        olv_status s = check_finite(t, err);
        if (s != OLV_OK) return ol_error_at(err, "input '%.200s'", port.name);
        OL_TRY(olv_request_set_input_at(r->request, i, t, err));
        int64_t d = olv_tensor_get_rank(t) > 0 ? olv_tensor_get_dims(t)[0] : 1;
        *items = *items < 0 || *items == d ? d : 1;
    }
    if (*items < 1) *items = 1;
    return OLV_OK;
}

static olv_status run_sample(run *r, const olv_compiled *c, size_t index, bool *end, olv_error *err) {
    int64_t items = 1;
    OL_TRY(r->data->fn(r->data->ctx, index, r->inputs, end, err));
    if (*end) return OLV_OK;
    OL_TRY(give(r, c, &items, err));
    OL_TRY(olv_request_run(r->request, err));
    for (int i = 0; i < r->n; i++) {
        const ol_tensor *x = &olv_request_get_output(r->request, (size_t)i)->datum.tensor;
        olv_status s = r->fn(r->ctx, index, i, x, items > 1 && x->rank && x->dims[0] == items ? items : 1, err);
        if (s != OLV_OK) {
            olv_port port;
            olv_compiled_get_output(c, (size_t)i, &port);
            return ol_error_at(err, "value '%.200s'", port.name);
        }
    }
    return OLV_OK;
}

static olv_status run_samples(run *r, const olv_compiled *c, olv_error *err) {
    bool end = false;
    size_t i = 0;
    for (; i < r->max; i++) {
        olv_status s = run_sample(r, c, i, &end, err);
        for (size_t k = 0; k < r->n_inputs; k++)
            if (s == OLV_OK && olv_request_set_input_at(r->request, k, NULL, NULL) != OLV_OK) continue;
        drop_inputs(r);
        if (s != OLV_OK) return ol_error_at(err, "sample %zu", i);
        if (end) break;
        if (r->p->progress && !r->p->progress(r->p->progress_ctx, i + 1, r->max)) return ol_fail(err, OLV_CANCELLED, "interrupted");
    }
    r->p->seen = i;
    return i ? OLV_OK : ol_fail(err, OLV_ARG, "the data hold no sample; at least one is needed to see ranges");
}

olv_status ol_probe(ol_prober *p, const ol_graph *g, const char *const *names, int n, olv_dataset *data, size_t max_samples, ol_probe_fn *fn,
                    void *ctx, olv_error *err) {
    static const char *const exact[] = {"INFERENCE_PRECISION_HINT=f32", "NUM_STREAMS=1"};
    olv_model *m = NULL;
    olv_compiled *c = NULL;
    run r = {p, data ? data : p->data, max_samples, n, (size_t)g->n_inputs, NULL, ol_calloc((size_t)g->n_inputs + 1, sizeof(olv_tensor *)), fn, ctx};
    olv_status s = r.inputs ? make_model(p, g, names, n, &m, err) : ol_fail(err, OLV_NOMEM, "no memory for samples");
    if (s == OLV_OK) s = olv_compile(p->core, m, "CPU", exact, 2, &c, err);
    if (s == OLV_OK) s = olv_request_create(c, &r.request, err);
    if (s == OLV_OK) s = run_samples(&r, c, err);
    if (r.inputs) drop_inputs(&r);
    ol_free(r.inputs);
    olv_request_destroy(r.request);
    olv_compiled_destroy(c);
    olv_model_destroy(m);
    return s;
}
