/* SPDX-License-Identifier: Apache-2.0 */
#include "device/cpu/codes.h"
#include "base/error.h"
#include "device/cpu/cpu.h"
#include "kernels/int8/int8.h"
#include <string.h>

#define STRIP 1024 /* elements of a channel at a time */
#define TILE_STRIPS 16

/* ---- steps: f32 to codes and back, codes to i64, and from one layout to the other ---- */

typedef enum move { QUANTIZE, DEQUANTIZE, WIDEN, TURN } move;

typedef struct move_args {
    move kind;
    int x, y;
    ol_dim images, channels, places; /* [images, channels, places]; channels last: [images, places, channels] */
    bool from_last, to_last;         /* of codes */
    int32_t offset;                  /* WIDEN: of signed codes */
    olk_codes_form form;
    const olk_codes *codes;
} move_args;

typedef struct extent {
    int64_t channels, places, strips, tiles;
} extent;

static extent extent_of(const move_args *a, const ol_run *r) {
    extent e = {ol_cpu_rows(r, a->channels), ol_cpu_rows(r, a->places), 0, 0};
    e.strips = (e.places + STRIP - 1) / STRIP;
    e.tiles = (e.strips + TILE_STRIPS - 1) / TILE_STRIPS;
    return e;
}

static unsigned move_tiles(const ol_step *s, const ol_run *r) {
    const move_args *a = s->args;
    extent e = extent_of(a, r);
    return e.channels ? (unsigned)(ol_cpu_rows(r, a->images) * e.tiles) : 0;
}

static void gather(const uint8_t *x, int64_t step, int64_t n, uint8_t *to) {
    for (int64_t i = 0; i < n; i++) to[i] = x[i * step];
}
static void scatter(const uint8_t *x, int64_t step, int64_t n, uint8_t *to) {
    for (int64_t i = 0; i < n; i++) to[i * step] = x[i];
}

/* n places from p0 on of one channel; base: elements before the image. */
static void move_strip(const move_args *a, const extent *e, const void *x, void *y, int64_t base, int64_t c, int64_t p0, int64_t n) {
    uint8_t strip[STRIP];
    int64_t plain = base + c * e->places + p0, last = base + p0 * e->channels + c;
    const uint8_t *codes = (const uint8_t *)x + plain;
    if (a->kind == QUANTIZE) {
        uint8_t *to = a->to_last ? strip : (uint8_t *)y + plain;
        a->codes->quantize(&a->form, (const float *)x + plain, n, to);
        if (a->to_last) scatter(strip, e->channels, n, (uint8_t *)y + last);
        return;
    }
    if (a->from_last) gather((const uint8_t *)x + last, e->channels, n, strip), codes = strip;
    if (a->kind == DEQUANTIZE) a->codes->dequantize(&a->form, codes, n, (float *)y + plain);
    else if (a->kind == WIDEN)
        for (int64_t i = 0; i < n; i++) ((int64_t *)y)[plain + i] = codes[i] - a->offset;
    else if (a->to_last) scatter(codes, e->channels, n, (uint8_t *)y + last);
    else memcpy((uint8_t *)y + plain, codes, (size_t)n);
}

static void move_run(const ol_step *s, const ol_run *r, unsigned tile, void *scratch) {
    const move_args *a = s->args;
    extent e = extent_of(a, r);
    int64_t image = tile / e.tiles, first = tile % e.tiles * TILE_STRIPS * STRIP, end = first + TILE_STRIPS * STRIP;
    (void)scratch;
    if (end > e.places) end = e.places;
    for (int64_t p = first; p < end; p += STRIP)
        for (int64_t c = 0; c < e.channels; c++)
            move_strip(a, &e, ol_run_buffer(r, a->x), ol_run_buffer(r, a->y), image * e.channels * e.places, c, p, end - p < STRIP ? end - p : STRIP);
}
static const ol_step_class quantize_class = {"quantize", move_tiles, NULL, NULL, move_run};
static const ol_step_class decode_class = {"decode codes", move_tiles, NULL, NULL, move_run};

static ol_dim product(ol_lowering *l, const ol_type *t, int from) {
    ol_dim n = 1;
    for (int i = from; i < t->rank; i++) n = ol_dim_mul(l->graph->dims, n, t->dims[i]);
    return n;
}

ol_dim ol_cpu_count(ol_lowering *l, const ol_value *v) { return product(l, &v->type, 0); }

static bool emit(ol_lowering *l, const ol_value *v, const char *name, move_args a) {
    bool images = a.from_last || a.to_last;
    a.images = images ? v->type.dims[0] : 1;
    a.channels = images ? v->type.dims[1] : 1;
    a.places = product(l, &v->type, images ? 2 : 0);
    a.codes = olk_codes_select(l->opt.cpu);
    ol_step *s = ol_lower_step(l, a.kind == QUANTIZE ? &quantize_class : &decode_class, name, sizeof a);
    if (!s) return false;
    memcpy(s->args, &a, sizeof a);
    s->kernel = a.codes->name;
    ol_step_reads(s, a.x);
    ol_step_writes(s, a.y);
    return true;
}

/* ---- who has codes ---- */

static olv_status decode(ol_lowering *l, ol_value *v, olv_error *err) {
    const ol_codes *c = l->codes[v->id];
    if (c->buffer < 0) return ol_cpu_lower_dequantize(l, c->node, err);
    bool is_float = ol_dtype_class(v->type.dtype) == 'f';
    move_args a = {.kind = is_float ? DEQUANTIZE : WIDEN, .x = c->buffer, .from_last = c->channels_last, .offset = c->is_signed ? 128 : 0, .form = c->form};
    if ((a.y = ol_lower_output(l, v)) < 0 || !emit(l, v, v->name, a)) return ol_fail(err, OLV_NOMEM, "no memory for the plan");
    return OLV_OK;
}

const ol_codes *ol_cpu_codes_of(const ol_lowering *l, const ol_value *v) { return l->codes && v ? l->codes[v->id] : NULL; }

static int new_buffer(ol_lowering *l, const ol_value *v) {
    int b = ol_lower_temp(l, ol_dim_add(l->graph->dims, product(l, &v->type, 0), OLK_INT8_SLACK), 1);
    if (b < 0) l->failed = OLV_NOMEM;
    return b;
}

ol_codes *ol_cpu_codes_set(ol_lowering *l, ol_value *v, ol_codes c) {
    if (!l->codes) l->codes = ol_arena_calloc(l->arena, (size_t)l->graph->n_values + 1, sizeof *l->codes);
    ol_codes *p = l->codes ? ol_arena_calloc(l->arena, 1, sizeof *p) : NULL;
    if (!p) {
        l->failed = OLV_NOMEM;
        return NULL;
    }
    l->decode = decode;
    if (c.buffer == -2 && (c.buffer = new_buffer(l, v)) < 0) return NULL;
    *p = c;
    return l->codes[v->id] = p;
}

int ol_cpu_codes_buffer(ol_lowering *l, const ol_value *v, bool channels_last) {
    const ol_codes *c = ol_cpu_codes_of(l, v);
    if (c->channels_last == channels_last) return c->buffer;
    move_args a = {.kind = TURN, .x = c->buffer, .y = new_buffer(l, v), .from_last = c->channels_last, .to_last = channels_last};
    return a.y >= 0 && emit(l, v, v->name, a) ? a.y : -1;
}

/* ---- quantizers ---- */

static bool number_of(const ol_value *v, double *out) {
    ol_tensor t;
    if (!v || v->is_input || !v->constant || !ol_value_const_tensor(v, 64, &t)) return false;
    bool one = ol_tensor_count(&t) == 1;
    if (one) *out = ol_elem_get(t.dtype, t.data, 0);
    ol_tensor_deinit(&t);
    return one;
}

bool ol_cpu_read_quantizer(const ol_node *n, olk_codes_form *form, bool *is_signed) {
    bool quantizes = !strcmp(n->op->name, "QuantizeLinear");
    const ol_value *codes = quantizes ? n->outputs[0] : n->inputs[0], *floats = quantizes ? n->inputs[0] : n->outputs[0];
    double scale, zero = 0;
    if (*n->op->domain || (!quantizes && strcmp(n->op->name, "DequantizeLinear")) || (codes->type.dtype != OL_U8 && codes->type.dtype != OL_I8)) return false;
    if (floats->type.dtype != OL_F32 || ol_node_int(n, "block_size", 0) || ol_node_int(n, "precision", 0) || !number_of(n->inputs[1], &scale)) return false;
    if (n->n_inputs > 2 && n->inputs[2] && !number_of(n->inputs[2], &zero)) return false;
    if (n->inputs[1]->type.dtype != OL_F32 || !(scale > 1e-30 && scale < 1e30)) return false;
    *is_signed = codes->type.dtype == OL_I8;
    int z = (int)zero + (*is_signed ? 128 : 0);
    *form = (olk_codes_form){(float)scale, z, (float)-z, (float)(255 - z)};
    return true;
}

ol_node *ol_cpu_following_quantize(const ol_lowering *l, const ol_value *v, olk_codes_form *form, bool *is_signed) {
    ol_node *q = ol_value_only_user(v);
    bool good = q && q->graph == l->graph && !strcmp(q->op->name, "QuantizeLinear") && q->inputs[0] == v && ol_cpu_read_quantizer(q, form, is_signed);
    return good ? q : NULL;
}

typedef struct readers {
    const ol_lowering *l;
    bool some, images;
} readers;

static const struct {
    const char *domain, *name;
    bool images, to_codes; /* to_codes: only when the result becomes codes */
} computing[] = {{"", "Conv", true, false}, {"", "MaxPool", true, true}, {"", "AveragePool", true, true}, {"", "GlobalAveragePool", true, true},
                 {"olivine", "Linear", false, false}, {"", "Add", false, true}, {"", "Sub", false, true}, {"", "Mul", false, true}};

static bool look_at_reader(void *ctx, ol_node *user, int input) {
    readers *r = ctx;
    olk_codes_form form;
    bool is_signed;
    for (size_t i = 0; user && user->graph == r->l->graph && i < sizeof computing / sizeof computing[0]; i++) {
        if (strcmp(user->op->name, computing[i].name) || strcmp(user->op->domain, computing[i].domain)) continue;
        if (input && !computing[i].to_codes) continue;
        if (computing[i].to_codes && !ol_cpu_following_quantize(r->l, user->outputs[0], &form, &is_signed)) continue;
        r->some = true;
        r->images |= computing[i].images;
    }
    if (user && user->graph == r->l->graph && ol_cpu_act_of(user).f != OLK_ACT_NONE && ol_cpu_following_quantize(r->l, user->outputs[0], &form, &is_signed))
        r->some = true;
    return true;
}

static bool look_at_dequantize(void *ctx, ol_node *user, int input) {
    readers *r = ctx;
    olk_codes_form form;
    bool is_signed;
    if (!user || input || user->graph != r->l->graph || strcmp(user->op->name, "DequantizeLinear") || !ol_cpu_read_quantizer(user, &form, &is_signed)) return true;
    ol_value_each_use(user->outputs[0], look_at_reader, r);
    return true;
}

bool ol_cpu_wants_codes(const ol_lowering *l, const ol_value *v, bool *channels_last) {
    readers r = {l, false, false};
    ol_value_each_use(v, look_at_dequantize, &r);
    *channels_last = r.images && v->type.rank >= 3;
    return r.some && l->known;
}

olv_status ol_cpu_emit_quantize(ol_lowering *l, const ol_node *n, olk_codes_form form, bool is_signed, bool channels_last, olv_error *err) {
    int x = ol_lower_input(l, n->inputs[0], err);
    if (x < 0) return err ? err->status : OLV_INTERNAL;
    ol_codes *c = ol_cpu_codes_set(l, n->outputs[0], (ol_codes){.buffer = -2, .channels_last = channels_last, .is_signed = is_signed, .form = form});
    if (c) emit(l, n->outputs[0], n->name, (move_args){.kind = QUANTIZE, .x = x, .y = c->buffer, .to_last = channels_last, .form = form});
    return OLV_OK; /* or latched */
}

olv_status ol_cpu_lower_with_codes(ol_lowering *l, ol_node *n, olv_error *err) {
    static const struct {
        const char *domain, *name;
        ol_cpu_codes_fn *fn;
    } table[] = {
#define X(domain, name, fn) {domain, name, fn},
#include "device/cpu/lower_codes.def"
#undef X
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (!strcmp(table[i].name, n->op->name) && !strcmp(table[i].domain, n->op->domain)) return table[i].fn(l, n, err);
    return n->n_inputs >= 1 && n->n_outputs == 1 ? ol_cpu_lower_codes_unary(l, n, err) : OLV_UNSUPPORTED;
}

int ol_cpu_take_dequantizers(ol_lowering *l, const ol_cpu_dequantizers *d) {
    int y = ol_lower_output(l, d->nodes[0]->outputs[0]);
    for (int i = 0; i < d->n; i++) {
        if (i) ol_lower_alias(l, d->nodes[i]->outputs[0], y);
        ol_lower_cover(l, d->nodes[i]);
    }
    return y;
}
