/* SPDX-License-Identifier: Apache-2.0 */
/* DFT (opset 20) and STFT: sums over exp(-+ 2 pi i j k / n), straight from the definition but for
 * even lengths, which are halved. Complex numbers are pairs in the last dim. */
#include "ops/ops.h"

#define MAX_LENGTH (1 << 26)

typedef struct transform {
    int64_t n;
    double sign;        /* of the exponent */
    double *cosines, *sines; /* of 2 pi k / n, k < n */
    double *room;       /* 2 n, for halving */
} transform;

static void transform_deinit(transform *t) {
    ol_free(t->cosines);
    ol_free(t->room);
}

static olv_status transform_init(transform *t, int64_t n, bool inverse, olv_error *err) {
    *t = (transform){.n = n, .sign = inverse ? 1 : -1};
    if (n < 1 || n > MAX_LENGTH)
        return ol_fail(err, OLV_ARG, "transform of length %lld", (long long)n);
    t->cosines = ol_alloc((size_t)n * 2 * sizeof(double));
    t->room = ol_alloc((size_t)n * 2 * sizeof(double));
    if (!t->cosines || !t->room) {
        transform_deinit(t);
        return ol_fail(err, OLV_NOMEM, "no memory for a transform");
    }
    t->sines = t->cosines + n;
    for (int64_t k = 0; k < n; k++) {
        double angle = 2 * 3.14159265358979323846 * (double)k / (double)n;
        t->cosines[k] = cos(angle);
        t->sines[k] = t->sign * sin(angle);
    }
    return OLV_OK;
}

/* out[k] = sum over j of in[j * step] w^(j k), j, k < n; w is the root of order n. */
static void by_definition(const transform *t, const double *in, int64_t step, double *out,
                          int64_t n) {
    int64_t turn = t->n / n;
    for (int64_t k = 0; k < n; k++) {
        double re = 0, im = 0;
        for (int64_t j = 0, at = 0; j < n; j++, at = (at + k) % n) {
            double c = t->cosines[at * turn], s = t->sines[at * turn];
            const double *x = in + 2 * j * step;
            re += x[0] * c - x[1] * s;
            im += x[0] * s + x[1] * c;
        }
        out[2 * k] = re;
        out[2 * k + 1] = im;
    }
}

/* The same by halves: even places, odd places, and their sum and difference. */
static void halve(const transform *t, const double *in, int64_t step, double *out, int64_t n) {
    if (n % 2 || n < 8) {
        by_definition(t, in, step, out, n);
        return;
    }
    int64_t h = n / 2, turn = t->n / n;
    halve(t, in, 2 * step, out, h);
    halve(t, in + 2 * step, 2 * step, out + n, h);
    for (int64_t k = 0; k < h; k++) {
        double c = t->cosines[k * turn], s = t->sines[k * turn];
        double *e = out + 2 * k, *o = out + n + 2 * k;
        double re = o[0] * c - o[1] * s, im = o[0] * s + o[1] * c;
        o[0] = e[0] - re;
        o[1] = e[1] - im;
        e[0] += re;
        e[1] += im;
    }
}

static olv_status scalar(const ol_eval *c, int i, int64_t def, int64_t *out, olv_error *err) {
    const ol_tensor *t = ol_eval_in(c, i);
    *out = def;
    if (!t) return OLV_OK;
    if (ol_tensor_count(t) != 1 || !ol_is_int(t->dtype))
        return ol_fail(err, OLV_SHAPE, "input %d is no integer", i);
    *out = ol_tensor_i64(t, 0);
    return OLV_OK;
}

typedef struct dft {
    const ol_tensor *x;
    int axis;
    bool inverse, onesided;
    int64_t n, size; /* length of the transform; of x along the axis */
} dft;

/* Values of one line; a one-sided spectrum is completed by its mirror. */
static void load_line(const dft *d, int64_t base, int64_t stride, int64_t parts, double *in) {
    bool mirror = d->inverse && d->onesided;
    for (int64_t j = 0; j < d->n; j++) {
        int64_t from = mirror && j > d->n / 2 ? d->n - j : j;
        double sign = from == j ? 1 : -1;
        bool there = from < d->size;
        in[2 * j] = there ? ol_tensor_get(d->x, (base + from * stride) * parts) : 0;
        in[2 * j + 1] = there && parts == 2
                            ? sign * ol_tensor_get(d->x, (base + from * stride) * parts + 1)
                            : 0;
    }
    if (!mirror) return;
    in[1] = 0; /* a real signal has real first and middle values */
    if (d->n % 2 == 0) in[d->n + 1] = 0;
}

static void run_lines(const dft *d, const transform *t, double *in, ol_tensor *y) {
    int64_t parts = d->x->dims[d->x->rank - 1], out = y->dims[d->axis];
    int64_t out_parts = y->dims[y->rank - 1];
    int64_t inner = ol_dims_count(d->x->dims, d->axis + 1, d->x->rank - 1);
    int64_t lines = ol_dims_count(d->x->dims, 0, d->axis) * inner;
    double scale = d->inverse ? 1 / (double)d->n : 1;
    for (int64_t i = 0; i < lines; i++) {
        int64_t o = i / inner, k = i % inner;
        load_line(d, o * d->size * inner + k, inner, parts, in);
        halve(t, in, 1, t->room, d->n);
        for (int64_t j = 0; j < out; j++)
            for (int64_t p = 0; p < out_parts; p++)
                ol_tensor_set(y, ((o * out + j) * inner + k) * out_parts + p,
                              t->room[2 * j + p] * scale);
    }
}

static olv_status eval_dft(ol_eval *c, olv_error *err) {
    dft d;
    transform t;
    ol_tensor *y;
    int64_t axis, dims[OL_MAX_RANK];
    OL_TRY(ol_eval_need(c, 0, &d.x, err));
    OL_TRY(scalar(c, 2, -2, &axis, err));
    int last = d.x->rank - 1;
    if (last < 1 || d.x->dims[last] < 1 || d.x->dims[last] > 2)
        return ol_fail(err, OLV_SHAPE, "last dimension of 1 or 2 expected");
    OL_TRY(ol_axis(axis, d.x->rank, false, &d.axis, err));
    if (d.axis == last) return ol_fail(err, OLV_SHAPE, "axis %d holds the parts", d.axis);
    d.inverse = ol_node_int(c->node, "inverse", 0) != 0;
    d.onesided = ol_node_int(c->node, "onesided", 0) != 0;
    d.size = d.x->dims[d.axis];
    bool to_real = d.inverse && d.onesided;
    OL_TRY(scalar(c, 1, to_real ? 2 * (d.size - 1) : d.size, &d.n, err));
    OL_TRY(transform_init(&t, d.n, d.inverse, err));
    memcpy(dims, d.x->dims, (size_t)d.x->rank * sizeof *dims);
    dims[d.axis] = d.onesided && !d.inverse ? d.n / 2 + 1 : d.n;
    dims[last] = to_real ? 1 : 2;
    olv_status s = ol_eval_out(c, 0, d.x->dtype, d.x->rank, dims, &y, err);
    double *in = s == OLV_OK ? ol_alloc((size_t)d.n * 2 * sizeof *in) : NULL;
    if (in) run_lines(&d, &t, in, y);
    else if (s == OLV_OK) s = ol_fail(err, OLV_NOMEM, "no memory for a transform");
    ol_free(in);
    transform_deinit(&t);
    return s;
}

/* Known integer of input i, or `def` where it is omitted; false, and NONE, when its value is not known. */
static bool known_int(const ol_infer *c, int i, ol_dim def, ol_dim *out) {
    *out = def;
    if (i >= c->node->n_inputs || !ol_infer_in(c, i)) return true;
    if (ol_infer_ints(c, i, out, 1) == 1) return true;
    *out = OL_DIM_NONE;
    return false;
}

static olv_status infer_dft(ol_infer *c, olv_error *err) {
    const ol_type *x = ol_infer_in(c, 0);
    ol_dim axis, n = OL_DIM_NONE;
    int a;
    bool inverse = ol_node_int(c->node, "inverse", 0), onesided = ol_node_int(c->node, "onesided", 0);
    bool same = !onesided && (c->node->n_inputs < 2 || !ol_infer_in(c, 1)); /* size, whatever the axis */
    ol_infer_set(c, 0, x->dtype, x->rank);
    if (x->rank < 2) return OLV_OK;
    ol_dim_table *t = c->graph->dims;
    bool known = known_int(c, 2, ol_infer_code(-2), &axis);
    if (known || same) memcpy(c->out[0].dims, x->dims, (size_t)x->rank * sizeof *x->dims);
    c->out[0].dims[x->rank - 1] = inverse && onesided ? 1 : 2;
    if (!known) return OLV_OK;
    OL_TRY(ol_axis(ol_infer_decode(axis), x->rank, false, &a, err));
    ol_dim def = x->dims[a];
    if (inverse && onesided) def = ol_dim_mul(t, ol_dim_sub(t, def, 1), 2);
    if (known_int(c, 1, def, &n) && n != OL_DIM_NONE && onesided && !inverse)
        n = ol_dim_add(t, ol_dim_div_floor(t, n, 2), 1);
    c->out[0].dims[a] = n == OL_DIM_NONE || ol_infer_is_negative(n) ? ol_infer_fresh(c) : n;
    return OLV_OK;
}

/* ---- STFT ---- */

typedef struct stft {
    const ol_tensor *x, *window;
    int64_t step, n, frames, bins, parts;
} stft;

static olv_status stft_init(ol_eval *c, stft *f, olv_error *err) {
    OL_TRY(ol_eval_need(c, 0, &f->x, err));
    f->window = ol_eval_in(c, 2);
    if (f->x->rank < 2 || f->x->rank > 3) return ol_fail(err, OLV_SHAPE, "rank %d", f->x->rank);
    int64_t length = f->x->dims[1];
    f->parts = f->x->rank == 3 ? f->x->dims[2] : 1;
    OL_TRY(scalar(c, 1, 0, &f->step, err));
    OL_TRY(scalar(c, 3, f->window ? ol_tensor_count(f->window) : length, &f->n, err));
    if (f->step < 1 || f->n < 1 || f->n > length || f->parts < 1 || f->parts > 2)
        return ol_fail(err, OLV_SHAPE, "frames of %lld by steps of %lld over %lld values",
                       (long long)f->n, (long long)f->step, (long long)length);
    if (f->window && ol_tensor_count(f->window) != f->n)
        return ol_fail(err, OLV_SHAPE, "window of %lld for frames of %lld",
                       (long long)ol_tensor_count(f->window), (long long)f->n);
    f->frames = 1 + (length - f->n) / f->step;
    f->bins = ol_node_int(c->node, "onesided", 1) ? f->n / 2 + 1 : f->n;
    return OLV_OK;
}

static void stft_frame(const stft *f, const transform *t, int64_t b, int64_t frame, double *in,
                       ol_tensor *y) {
    for (int64_t j = 0; j < f->n; j++) {
        int64_t at = (b * f->x->dims[1] + frame * f->step + j) * f->parts;
        double w = f->window ? ol_tensor_get(f->window, j) : 1;
        in[2 * j] = w * ol_tensor_get(f->x, at);
        in[2 * j + 1] = f->parts == 2 ? w * ol_tensor_get(f->x, at + 1) : 0;
    }
    halve(t, in, 1, t->room, f->n);
    int64_t to = (b * f->frames + frame) * f->bins * 2;
    for (int64_t k = 0; k < 2 * f->bins; k++) ol_tensor_set(y, to + k, t->room[k]);
}

static olv_status eval_stft(ol_eval *c, olv_error *err) {
    stft f;
    transform t;
    ol_tensor *y;
    OL_TRY(stft_init(c, &f, err));
    const int64_t dims[4] = {f.x->dims[0], f.frames, f.bins, 2};
    OL_TRY(ol_eval_out(c, 0, f.x->dtype, 4, dims, &y, err));
    OL_TRY(transform_init(&t, f.n, false, err));
    double *in = ol_alloc((size_t)f.n * 2 * sizeof *in);
    for (int64_t i = 0; in && i < dims[0] * f.frames; i++)
        stft_frame(&f, &t, i / f.frames, i % f.frames, in, y);
    olv_status s = in ? OLV_OK : ol_fail(err, OLV_NOMEM, "no memory for a transform");
    ol_free(in);
    transform_deinit(&t);
    return s;
}

static olv_status infer_stft(ol_infer *c, olv_error *err) {
    const ol_type *x = ol_infer_in(c, 0);
    const ol_type *w = c->node->n_inputs > 2 ? ol_infer_in(c, 2) : NULL;
    ol_dim n, step;
    OL_TRY(ol_infer_rank(c, 0, 2, 3, err));
    ol_infer_set(c, 0, x->dtype, 4);
    c->out[0].dims[3] = 2;
    if (x->rank < 2) return OLV_OK;
    c->out[0].dims[0] = x->dims[0];
    ol_dim def = w ? (w->rank == 1 ? w->dims[0] : OL_DIM_NONE) : x->dims[1];
    ol_dim_table *t = c->graph->dims;
    if (!known_int(c, 3, def, &n) || n == OL_DIM_NONE || ol_infer_is_negative(n)) return OLV_OK;
    ol_dim bins = ol_node_int(c->node, "onesided", 1) ? ol_dim_add(t, ol_dim_div_floor(t, n, 2), 1) : n;
    if (bins != OL_DIM_NONE) c->out[0].dims[2] = bins;
    if (!known_int(c, 1, 0, &step) || step <= 0) return OLV_OK;
    ol_dim frames = ol_dim_add(t, ol_dim_div_floor(t, ol_dim_sub(t, x->dims[1], n), step), 1);
    if (frames != OL_DIM_NONE) c->out[0].dims[1] = frames;
    return OLV_OK;
}

static const ol_attr_spec dft_attrs[] = {{"inverse", OL_ATTR_INT, false},
                                         {"onesided", OL_ATTR_INT, false}};
static const ol_attr_spec stft_attrs[] = {{"onesided", OL_ATTR_INT, false}};
extern const ol_op ol_op_DFT, ol_op_STFT;
const ol_op ol_op_DFT = {.domain = "", .name = "DFT", .summary = "discrete Fourier transform",
                         .min_inputs = 1, .max_inputs = 3, .min_outputs = 1, .max_outputs = 1,
                         OL_ATTRS(dft_attrs), .infer = infer_dft, .eval = eval_dft};
const ol_op ol_op_STFT = {.domain = "", .name = "STFT",
                          .summary = "Fourier transforms of frames of a signal", .min_inputs = 2,
                          .max_inputs = 4, .min_outputs = 1, .max_outputs = 1,
                          OL_ATTRS(stft_attrs), .infer = infer_stft, .eval = eval_stft};
