/* SPDX-License-Identifier: Apache-2.0 */
/* Public requests: inputs by name, runs here or on a thread of their own. */
#include "base/alloc.h"
#include "base/error.h"
#include "device/reference/reference.h"
#include "runtime/core.h"
#include "runtime/request.h"
#include "runtime/states.h"
#include "runtime/tensor.h"
#include <errno.h>
#include <string.h>
#include <time.h>

struct olv_request {
    olv_compiled *compiled;
    ol_request *request;  /* NULL on the reference device */
    const ol_datum **given; /* by input */
    olv_tensor *outputs;  /* on the CPU: views */
    ol_states states;
    bool has_run;
    atomic_bool cancel;
    /* the run in flight */
    pthread_mutex_t lock;
    pthread_cond_t ended;
    pthread_t thread;
    bool running, joinable, started;
    olv_done_fn *done;
    void *ctx;
    olv_error result;
};

olv_status olv_request_create(olv_compiled *c, olv_request **out, olv_error *err) {
    olv_request *r = ol_calloc(1, sizeof *r);
    if (!r) return ol_fail(err, OLV_NOMEM, "no memory for a request");
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->ended, &attr);
    pthread_condattr_destroy(&attr);
    r->compiled = ol_compiled_retain(c);
    r->given = ol_calloc((size_t)c->graph->n_inputs + 1, sizeof *r->given);
    r->outputs = ol_calloc((size_t)c->graph->n_outputs + 1, sizeof *r->outputs);
    olv_status s = r->given && r->outputs ? OLV_OK : ol_fail(err, OLV_NOMEM, "no memory for a request");
    if (s == OLV_OK) s = ol_states_init(&r->states, c->graph, err);
    unsigned stream = atomic_fetch_add(&c->next_stream, 1) % (unsigned)c->n_streams;
    if (s == OLV_OK && c->plan) s = ol_request_create(c->plan, c->streams[stream], &r->request, err);
    if (s == OLV_OK && r->request) ol_request_profile(r->request, ol_properties_is(&c->properties, OL_PROPERTY_ENABLE_PROFILING, "YES"));
    if (s == OLV_OK) *out = r;
    else olv_request_destroy(r);
    return s;
}

static void drop_outputs(olv_request *r) {
    for (int i = 0; r->outputs && !r->request && i < r->compiled->graph->n_outputs; i++) ol_datum_deinit(&r->outputs[i].datum);
    r->has_run = false;
}

static void join(olv_request *r) {
    if (r->joinable) pthread_join(r->thread, NULL);
    r->joinable = false;
}

void olv_request_destroy(olv_request *r) {
    if (!r) return;
    join(r);
    drop_outputs(r);
    ol_request_destroy(r->request);
    ol_states_deinit(&r->states);
    ol_free(r->given);
    ol_free(r->outputs);
    olv_compiled_destroy(r->compiled);
    pthread_mutex_destroy(&r->lock);
    pthread_cond_destroy(&r->ended);
    ol_free(r);
}

static bool is_running(olv_request *r) {
    pthread_mutex_lock(&r->lock);
    bool running = r->running;
    pthread_mutex_unlock(&r->lock);
    return running;
}

static olv_status check_ranges(const ol_value *v, const olv_range *ranges, const ol_datum *d, olv_error *err) {
    for (int i = 0; d->kind == OL_VALUE_TENSOR && i < d->tensor.rank; i++) {
        int64_t size = d->tensor.dims[i];
        olv_range r = ranges[i];
        if (size < r.least || (r.most >= 0 && size > r.most))
            return ol_fail(err, OLV_SHAPE, "input '%s' has size %lld in dimension %d, %lld to %lld expected", v->name, (long long)size, i,
                           (long long)r.least, (long long)r.most);
    }
    return OLV_OK;
}

olv_status olv_request_set_input_at(olv_request *r, size_t i, const olv_tensor *t, olv_error *err) {
    const ol_graph *g = r->compiled->graph;
    if (is_running(r)) return ol_fail(err, OLV_STATE, "the request is running");
    if (i >= ol_states_visible_inputs(g)) return ol_fail(err, OLV_ARG, "input %zu of a model with %zu inputs", i, ol_states_visible_inputs(g));
    if (t) OL_TRY(check_ranges(g->inputs[i], r->compiled->ranges[i], &t->datum, err));
    if (r->request) OL_TRY(ol_request_set_input(r->request, (int)i, t ? &t->datum : NULL, err));
    r->given[i] = t ? &t->datum : NULL;
    return OLV_OK;
}

olv_status olv_request_set_input(olv_request *r, const char *name, const olv_tensor *t, olv_error *err) {
    const ol_graph *g = r->compiled->graph;
    int i = ol_graph_find_input(g, name);
    return i >= 0 ? olv_request_set_input_at(r, (size_t)i, t, err) : ol_no_such_input(g, name, err);
}

const olv_tensor *olv_request_get_output(const olv_request *r, size_t i) {
    return r->has_run && i < ol_states_visible_outputs(r->compiled->graph) ? &r->outputs[i] : NULL;
}

static olv_status run_reference(olv_request *r, olv_error *err) {
    const ol_graph *g = r->compiled->graph;
    const char **names = ol_calloc((size_t)g->n_inputs + 1, sizeof *names);
    ol_datum *in = ol_calloc((size_t)g->n_inputs + 1, sizeof *in);
    ol_datum *out = ol_calloc((size_t)g->n_outputs + 1, sizeof *out);
    size_t n = 0;
    for (int i = 0; names && in && i < g->n_inputs; i++)
        if (r->given[i]) {
            names[n] = g->inputs[i]->name;
            in[n++] = *r->given[i];
        }
    olv_status s = names && in && out ? ol_reference_run(g, NULL, names, in, n, out, err)
                                      : ol_fail(err, OLV_NOMEM, "no memory for a run");
    for (int i = 0; s == OLV_OK && i < g->n_outputs; i++) r->outputs[i].datum = out[i];
    ol_free(names), ol_free(in), ol_free(out);
    return s;
}

static olv_status give_states(olv_request *r, olv_error *err) {
    ol_states *x = &r->states;
    ol_states_begin(x);
    for (int i = -1; i < x->n && x->n; i++) {
        const ol_datum *d = i < 0 ? &x->fresh : &x->held[i];
        r->given[x->first_input + i] = d;
        if (r->request) OL_TRY(ol_request_set_input(r->request, x->first_input + i, d, err));
    }
    return OLV_OK;
}

static olv_status keep_states(olv_request *r, olv_error *err) {
    ol_states *x = &r->states;
    const ol_datum **left = ol_calloc((size_t)x->n + 1, sizeof *left);
    if (!left) return ol_fail(err, OLV_NOMEM, "no memory for states");
    for (int i = 0; i < x->n; i++) left[i] = &r->outputs[x->first_output + i].datum;
    olv_status s = ol_states_keep(x, left, err);
    ol_free(left);
    return s;
}

olv_status olv_request_reset_states(olv_request *r, olv_error *err) {
    if (is_running(r)) return ol_fail(err, OLV_STATE, "the request is running");
    return ol_states_reset(&r->states, err);
}

static olv_status run(olv_request *r, olv_error *err) {
    drop_outputs(r);
    OL_TRY(give_states(r, err));
    olv_status s = r->request ? ol_request_run(r->request, &r->cancel, err) : run_reference(r, err);
    if (s != OLV_OK) return s;
    for (int i = 0; r->request && i < r->compiled->graph->n_outputs; i++) r->outputs[i].datum = *ol_request_output(r->request, i);
    r->has_run = true;
    return r->states.n ? keep_states(r, err) : OLV_OK;
}

olv_status olv_request_run(olv_request *r, olv_error *err) {
    if (is_running(r)) return ol_fail(err, OLV_STATE, "the request is running");
    join(r);
    r->cancel = false;
    return run(r, err);
}

static void *run_apart(void *p) {
    olv_request *r = p;
    olv_error e = {.status = OLV_OK};
    olv_status s = run(r, &e);
    if (r->done) r->done(r->ctx, s, s == OLV_OK ? NULL : &e);
    pthread_mutex_lock(&r->lock);
    r->result = e;
    r->result.status = s;
    r->running = false;
    pthread_cond_broadcast(&r->ended);
    pthread_mutex_unlock(&r->lock);
    return NULL;
}

olv_status olv_request_start(olv_request *r, olv_done_fn *done, void *ctx, olv_error *err) {
    if (is_running(r)) return ol_fail(err, OLV_STATE, "the request is running");
    join(r);
    r->done = done;
    r->ctx = ctx;
    r->cancel = false;
    r->running = r->started = true;
    if (pthread_create(&r->thread, NULL, run_apart, r)) {
        r->running = r->started = false;
        return ol_fail(err, OLV_LIMIT, "no thread for a request");
    }
    r->joinable = true;
    return OLV_OK;
}

olv_status olv_request_wait(olv_request *r, int64_t timeout_ms, olv_error *err) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(timeout_ms / 1000);
    until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) until.tv_sec++, until.tv_nsec -= 1000000000;
    pthread_mutex_lock(&r->lock);
    int late = 0;
    while (r->running && !late)
        late = timeout_ms < 0 ? (pthread_cond_wait(&r->ended, &r->lock), 0) : pthread_cond_timedwait(&r->ended, &r->lock, &until);
    bool running = r->running, started = r->started;
    olv_error e = r->result;
    pthread_mutex_unlock(&r->lock);
    if (!started) return ol_fail(err, OLV_STATE, "no run was started");
    if (running) return ol_fail(err, OLV_TIMEOUT, "the run is not over");
    if (e.status != OLV_OK && err) *err = e;
    return e.status;
}

void olv_request_cancel(olv_request *r) { r->cancel = true; }

void olv_request_profile(olv_request *r, bool on) {
    if (r->request) ol_request_profile(r->request, on);
}
void olv_request_each_profile(const olv_request *r, olv_profile_fn *fn, void *ctx) {
    if (r->request) ol_request_each_step(r->request, fn, ctx);
}
