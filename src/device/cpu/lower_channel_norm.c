/* SPDX-License-Identifier: Apache-2.0 */
/* Normalizations of [N, C, ...]: BatchNormalization by constants where no convolution took it, InstanceNormalization and
 * GroupNormalization. A tile is a group of channels of one sample; each ends as a factor and a term per channel. */
#include "base/error.h"
#include "device/cpu/cpu.h"
#include "graph/op.h"
#include "kernels/elementwise/elementwise.h"
#include <math.h>
#include <string.h>

typedef struct norm_args {
    int x, y;
    ol_dim samples, inner;
    int64_t channels, groups;  /* groups: 0 when nothing is measured */
    const float *scale, *bias; /* by channel, or by group */
    bool by_group;
    double epsilon;
    const olk_elementwise *elementwise;
} norm_args;

static unsigned tiles(const ol_step *s, const ol_run *r) {
    const norm_args *a = s->args;
    return (unsigned)(ol_cpu_rows(r, a->samples) * (a->groups ? a->groups : a->channels));
}

/* Sums of sixteen chains; mean NULL: of x, else of squared distances from it. */
static double sum_of(const float *x, int64_t n, const float *mean) {
    double total = 0;
    for (int64_t i0 = 0; i0 < n; i0 += 4096) {
        int64_t end = i0 + 4096 < n ? i0 + 4096 : n, i = i0;
        float s[16] = {0}, m = mean ? *mean : 0;
        for (; i + 16 <= end; i += 16)
            for (int k = 0; k < 16; k++) s[k] += mean ? (x[i + k] - m) * (x[i + k] - m) : x[i + k];
        for (; i < end; i++) s[i % 16] += mean ? (x[i] - m) * (x[i] - m) : x[i];
        for (int k = 0; k < 16; k++) total += (double)s[k];
    }
    return total;
}

static void run(const ol_step *s, const ol_run *r, unsigned tile, void *scratch) {
    const norm_args *a = s->args;
    (void)scratch;
    int64_t inner = ol_cpu_rows(r, a->inner), groups = a->groups ? a->groups : a->channels, each = a->channels / groups;
    int64_t g = tile % groups, n = each * inner, at = (int64_t)tile * n;
    const float *x = (const float *)ol_run_buffer(r, a->x) + at;
    float *y = (float *)ol_run_buffer(r, a->y) + at, mean = 0;
    double factor = 1;
    if (a->groups && n) {
        mean = (float)(sum_of(x, n, NULL) / (double)n);
        factor = 1 / sqrt(sum_of(x, n, &mean) / (double)n + a->epsilon);
    }
    for (int64_t c = 0; c < each; c++, x += inner, y += inner) {
        int64_t k = a->by_group ? g : g * each + c;
        a->elementwise->right(OLK_SUB, x, mean, y, inner);
        a->elementwise->right(OLK_MUL, y, (float)(factor * (double)a->scale[k]), y, inner);
        a->elementwise->right(OLK_ADD, y, a->bias[k], y, inner);
    }
}

/* What is given is applied as one factor and one term. */
static void run_given(const ol_step *s, const ol_run *r, unsigned tile, void *scratch) {
    const norm_args *a = s->args;
    (void)scratch;
    int64_t inner = ol_cpu_rows(r, a->inner), c = tile % a->channels, at = (int64_t)tile * inner;
    float *y = (float *)ol_run_buffer(r, a->y) + at;
    a->elementwise->right(OLK_MUL, (const float *)ol_run_buffer(r, a->x) + at, a->scale[c], y, inner);
    a->elementwise->right(OLK_ADD, y, a->bias[c], y, inner);
}
static const ol_step_class measured_class = {"channel norm", tiles, NULL, NULL, run};
static const ol_step_class given_class = {"channel norm", tiles, NULL, NULL, run_given};

static olv_status read_vector(ol_lowering *l, const ol_node *n, int i, int64_t count, const float **out, olv_error *err) {
    ol_value *v = i < n->n_inputs ? n->inputs[i] : NULL;
    if (!v || !v->constant || v->is_input || v->type.rank != 1 || v->type.dims[0] != count)
        return ol_fail(err, OLV_UNSUPPORTED, "input %d is no constant of %lld elements", i, (long long)count);
    *out = ol_lower_f32(l, v, err);
    return *out ? OLV_OK : err ? err->status : OLV_NOMEM;
}

/* Mean and variance go into factor and term. */
static olv_status read_batch_norm(ol_lowering *l, const ol_node *n, norm_args *a, olv_error *err) {
    const float *p[4];
    for (int i = 0; i < 4; i++) OL_TRY(read_vector(l, n, i + 1, a->channels, &p[i], err));
    float *out = ol_arena_calloc(l->arena, 2 * (size_t)a->channels, sizeof *out);
    if (!out) return ol_fail(err, OLV_NOMEM, "no memory for the plan");
    for (int64_t c = 0; c < a->channels; c++) {
        double factor = (double)p[0][c] / sqrt((double)p[3][c] + a->epsilon);
        out[c] = (float)factor;
        out[a->channels + c] = (float)((double)p[1][c] - (double)p[2][c] * factor);
    }
    a->scale = out;
    a->bias = out + a->channels;
    return OLV_OK;
}

static olv_status read_groups(ol_lowering *l, const ol_node *n, norm_args *a, olv_error *err) {
    a->groups = n->op->name[0] == 'G' ? ol_node_int(n, "num_groups", 0) : a->channels;
    if (a->groups < 1 || a->channels % a->groups) return ol_fail(err, OLV_UNSUPPORTED, "%lld groups of %lld channels", (long long)a->groups, (long long)a->channels);
    const ol_value *scale = n->inputs[1];
    a->by_group = a->groups != a->channels && scale && scale->type.rank == 1 && scale->type.dims[0] == a->groups;
    int64_t count = a->by_group ? a->groups : a->channels;
    OL_TRY(read_vector(l, n, 1, count, &a->scale, err));
    return read_vector(l, n, 2, count, &a->bias, err);
}

olv_status ol_lower_channel_norm(ol_lowering *l, ol_node *n, olv_error *err) {
    const ol_type *t = &n->inputs[0]->type;
    bool batch = n->op->name[0] == 'B';
    if (t->rank < 2 || !ol_dim_known(t->dims[1]) || ol_dtype_class(t->dtype) != 'f') return ol_fail(err, OLV_UNSUPPORTED, "only floating point with a known number of channels");
    if (batch && ol_node_int(n, "training_mode", 0)) return ol_fail(err, OLV_UNSUPPORTED, "training mode");
    for (int i = 1; i < n->n_outputs; i++)
        if (n->outputs[i]) return ol_fail(err, OLV_UNSUPPORTED, "measured values as outputs");
    norm_args a = {.samples = t->dims[0], .inner = 1, .channels = t->dims[1], .elementwise = olk_elementwise_select(l->opt.cpu)};
    a.epsilon = (double)ol_node_float(n, "epsilon", 1e-5f);
    for (int i = 2; i < t->rank; i++) a.inner = ol_dim_mul(l->graph->dims, a.inner, t->dims[i]);
    if (batch) OL_TRY(read_batch_norm(l, n, &a, err));
    else OL_TRY(read_groups(l, n, &a, err));
    if ((a.x = ol_lower_input(l, n->inputs[0], err)) < 0) return err ? err->status : OLV_INTERNAL;
    a.y = ol_lower_output(l, n->outputs[0]);
    ol_step *s = ol_lower_step(l, batch ? &given_class : &measured_class, n->name, sizeof a);
    if (!s) return OLV_OK; /* latched */
    memcpy(s->args, &a, sizeof a);
    s->kernel = a.elementwise->name;
    ol_step_reads(s, a.x);
    ol_step_writes(s, a.y);
    return OLV_OK;
}
