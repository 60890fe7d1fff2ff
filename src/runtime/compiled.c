/* SPDX-License-Identifier: Apache-2.0 */
/* Compiling: properties, passes, plan, streams. */
#include "base/alloc.h"
#include "base/cpu.h"
#include "base/error.h"
#include "device/device.h"
#include "passes/passes.h"
#include "runtime/core.h"
#include "runtime/states.h"
#include "runtime/tensor.h"
#include <stdio.h>
#include <string.h>
#include <strings.h>

static olv_status read_properties(olv_compiled *c, const char *const *pairs, size_t n, olv_error *err) {
    pthread_mutex_lock(&c->core->lock);
    olv_status s = ol_properties_copy(&c->properties, &c->core->properties, err);
    pthread_mutex_unlock(&c->core->lock);
    for (size_t i = 0; s == OLV_OK && i < n; i++) s = ol_properties_set_pair(&c->properties, pairs[i], err);
    return s;
}

/* The executors of the streams: the core's own when one stream may use all threads. */
static olv_status make_streams(olv_compiled *c, olv_error *err) {
    const ol_properties *p = &c->properties;
    int64_t usable = ol_cpu_usable(), threads = ol_properties_count(p, OL_PROPERTY_INFERENCE_NUM_THREADS);
    int64_t streams = ol_properties_count(p, OL_PROPERTY_NUM_STREAMS);
    if (threads < 1) threads = usable;
    if (threads > OL_MAX_LANES) threads = OL_MAX_LANES;
    if (streams < 1) streams = ol_properties_is(p, OL_PROPERTY_PERFORMANCE_HINT, "LATENCY") ? 1 : threads;
    if (streams > OL_MAX_STREAMS) streams = OL_MAX_STREAMS;
    if (streams == 1 && threads == usable) {
        c->streams[0] = c->core->executor;
        c->borrows_executor = true;
        c->n_streams = 1;
    }
    for (; c->n_streams < streams; c->n_streams++) {
        int64_t share = threads / streams + (c->n_streams < threads % streams);
        OL_TRY(ol_executor_create(share < 1 ? 1 : (int)share, &c->streams[c->n_streams], err));
    }
    char text[24];
    snprintf(text, sizeof text, "%d", c->n_streams);
    return ol_properties_tell(&c->properties, OL_PROPERTY_OPTIMAL_NUMBER_OF_INFER_REQUESTS, text, err);
}

static olk_precision precision_of(const ol_properties *p, const ol_graph *g) {
    if (ol_properties_is(p, OL_PROPERTY_EXECUTION_MODE_HINT, "ACCURACY") || ol_properties_is(p, OL_PROPERTY_INFERENCE_PRECISION_HINT, "f32"))
        return OLK_F32;
    if (ol_properties_is(p, OL_PROPERTY_INFERENCE_PRECISION_HINT, "bf16")) return OLK_BF16;
    return ol_plan_default_precision(g);
}

/* Keeps what a blob needs: the graph before passes, and the store. */
static olv_status open_store(olv_compiled *c, const ol_graph *g, const ol_store_terms *terms, const ol_given_store *given, olv_error *err) {
    c->terms = *terms;
    OL_TRY(ol_graph_clone(g, NULL, &c->source, err));
    if (given && given->terms.cpu == terms->cpu && given->terms.precision == terms->precision && !strcmp(given->terms.device, terms->device)) {
        c->store = ol_store_retain(given->store);
        c->blob = given->file ? ol_file_retain(given->file) : NULL;
        return OLV_OK;
    }
    return ol_prepared_store_open(ol_properties_get(&c->properties, OL_PROPERTY_CACHE_DIR), g, terms, &c->store, err);
}

/* Takes the graph. */
static olv_status make_plan(olv_compiled *c, const char *device, const ol_given_store *given, ol_graph *g, olv_error *err) {
    if (device && !strcasecmp(device, "REFERENCE")) {
        c->reference = g;
        c->graph = g;
        return ol_properties_tell(&c->properties, OL_PROPERTY_EXECUTION_DEVICES, "REFERENCE", err);
    }
    bool automatic = !device || !strncasecmp(device, "AUTO", 4);
    const ol_device *d = ol_device_find(automatic ? "CPU" : device);
    ol_plan_options o = {.device = d, .cpu = ol_cpu_probe(), .precision = precision_of(&c->properties, g), .kv_dtype = OL_F32, .whole = true};
    olv_status s = d ? open_store(c, g, &(ol_store_terms){d->name, o.cpu, (int)o.precision}, given, err) : ol_fail(err, OLV_UNSUPPORTED, "there is no device '%.60s'; known: CPU, REFERENCE, AUTO", device);
    if (s == OLV_OK) s = ol_passes_run(g, err);
    if (s == OLV_OK && g->n_states) s = ol_fail(err, OLV_UNSUPPORTED, "the model keeps states: it is run as a language model (olivine/pipeline.h)");
    if (s != OLV_OK) {
        ol_graph_destroy(g);
        return s;
    }
    o.store = c->store;
    o.executor = c->core->executor;
    OL_TRY(ol_plan_create(g, &o, &c->plan, err));
    ol_store_finish(c->store);
    c->graph = ol_plan_graph(c->plan);
    return ol_properties_tell(&c->properties, OL_PROPERTY_EXECUTION_DEVICES, d->name, err);
}

static olv_status copy_ranges(olv_compiled *c, const olv_model *model, olv_error *err) {
    size_t n = (size_t)model->graph->n_inputs;
    c->ranges = ol_calloc(n + 1, sizeof *c->ranges);
    if (!c->ranges) return ol_fail(err, OLV_NOMEM, "no memory for a compiled model");
    memcpy(c->ranges, model->ranges, n * sizeof *c->ranges);
    return OLV_OK;
}

olv_status ol_compile_with(olv_core *core, const olv_model *model, const char *device, const char *const *properties, size_t n_properties,
                           const ol_given_store *given, olv_compiled **out, olv_error *err) {
    ol_graph *g;
    olv_compiled *c = ol_calloc(1, sizeof *c);
    if (!c) return ol_fail(err, OLV_NOMEM, "no memory for a compiled model");
    c->refs = 1;
    c->core = ol_core_retain(core);
    c->operators = model->core ? ol_core_retain(model->core) : NULL;
    pthread_mutex_init(&c->lock, NULL);
    olv_status s = read_properties(c, properties, n_properties, err);
    if (s == OLV_OK) s = make_streams(c, err);
    if (s == OLV_OK) s = ol_properties_tell(&c->properties, OL_PROPERTY_NETWORK_NAME, model->graph->name, err);
    if (s == OLV_OK) s = copy_ranges(c, model, err);
    if (s == OLV_OK) s = ol_graph_clone(model->graph, NULL, &g, err);
    if (s == OLV_OK) s = make_plan(c, device, given, g, err);
    if (s == OLV_OK) *out = c;
    else olv_compiled_destroy(c);
    return s;
}

olv_status olv_compile(olv_core *core, const olv_model *model, const char *device, const char *const *properties, size_t n_properties,
                       olv_compiled **out, olv_error *err) {
    return ol_compile_with(core, model, device, properties, n_properties, NULL, out, err);
}

olv_compiled *ol_compiled_retain(olv_compiled *c) {
    atomic_fetch_add(&c->refs, 1);
    return c;
}

void olv_compiled_destroy(olv_compiled *c) {
    if (!c || atomic_fetch_sub(&c->refs, 1) != 1) return;
    ol_plan_destroy(c->plan);
    ol_graph_destroy(c->reference);
    ol_graph_destroy(c->source);
    ol_store_release(c->store);
    ol_file_release(c->blob);
    ol_free(c->ranges);
    for (int i = c->borrows_executor ? 1 : 0; i < c->n_streams; i++) ol_executor_destroy(c->streams[i]);
    ol_properties_deinit(&c->properties);
    pthread_mutex_destroy(&c->lock);
    olv_core_destroy(c->core);
    olv_core_destroy(c->operators);
    ol_free(c);
}

size_t olv_compiled_n_inputs(const olv_compiled *c) { return ol_states_visible_inputs(c->graph); }
size_t olv_compiled_n_outputs(const olv_compiled *c) { return ol_states_visible_outputs(c->graph); }
int olv_compiled_find_input(const olv_compiled *c, const char *name) {
    int i = ol_graph_find_input(c->graph, name);
    return i >= 0 && (size_t)i < olv_compiled_n_inputs(c) ? i : -1;
}
void olv_compiled_get_input(const olv_compiled *c, size_t i, olv_port *out) { ol_port_of(c->graph->inputs[i], c->ranges[i], out); }
void olv_compiled_get_output(const olv_compiled *c, size_t i, olv_port *out) { ol_port_of(c->graph->outputs[i], NULL, out); }

olv_status olv_compiled_get_property(olv_compiled *c, const char *name, const char **value, olv_error *err) {
    ol_property i;
    OL_TRY(ol_property_find(name, &i, err));
    *value = ol_properties_get(&c->properties, i);
    return OLV_OK;
}

olv_status olv_compiled_plan_text(const olv_compiled *c, char **text, olv_error *err) {
    ol_buf b = OL_BUF_INIT;
    if (c->plan) ol_plan_dump(c->plan, &b);
    else ol_buf_puts(&b, "reference evaluation of every node\n");
    *text = ol_buf_take(&b, NULL);
    return *text ? OLV_OK : ol_fail(err, OLV_NOMEM, "no memory for the text of a plan");
}
