/* SPDX-License-Identifier: Apache-2.0 */
/* Rotary frequencies of every scaling that config.json can name. Base frequencies are theta^(-2i/d).
 *
 *   linear        all divided by factor
 *   dynamic       theta grows with the length of the sequence: computed at run time
 *   llama3        low frequencies divided by factor, a smooth passage between two wave lengths
 *   yarn          a ramp over the dimensions between divided and original, and an attention factor
 *   longrope/su   one divisor per frequency, a second set for sequences longer than the original context
 *   proportional  only the first part of the frequencies of the whole head; the others are zero */
#include "base/error.h"
#include "formats/huggingface/config.h"

#include <math.h>

#define MAX_DIM 65536

static olv_status get_text(const json_t *r, const char *const *keys, const char *def, const char **out,
                           olv_error *err) {
    for (; *keys; keys++) {
        OL_TRY(ol_json_string(r, *keys, NULL, out, err));
        if (*out) return OLV_OK;
    }
    *out = def;
    return OLV_OK;
}

/* The factor list of longrope: exactly dim / 2 positive numbers. */
static olv_status factor_list(const json_t *r, const char *key, const ol_hf_rope *p, float *inv, olv_error *err) {
    const json_t *list = json_object_get(r, key);
    size_t n = (size_t)p->dim / 2;
    if (!json_is_array(list) || json_array_size(list) != n)
        return ol_fail(err, OLV_FORMAT, "key '%s': found %s of %zu, expected a list of %zu numbers", key,
                       json_is_array(list) ? "a list" : "no list", json_array_size(list), n);
    for (size_t i = 0; i < n; i++) {
        double f = json_number_value(json_array_get(list, i));
        if (!(f > 0) || !isfinite(f))
            return ol_fail(err, OLV_FORMAT, "key '%s': entry %zu: expected a positive number", key, i);
        inv[i] = (float)((double)inv[i] / f);
    }
    return OLV_OK;
}

static double yarn_mscale(double scale, double m) { return scale <= 1 ? 1 : 0.1 * m * log(scale) + 1; }

static olv_status yarn(const json_t *r, const ol_hf_config *c, ol_hf_rope *p, olv_error *err) {
    double fast, slow, m, m_all, f = p->factor;
    bool truncate;
    (void)c;
    OL_TRY(ol_hf_real(r, "beta_fast", 1e-6, 1e9, 32, &fast, err));
    OL_TRY(ol_hf_real(r, "beta_slow", 1e-6, 1e9, 1, &slow, err));
    OL_TRY(ol_hf_real(r, "mscale", 0, 1e6, 0, &m, err));
    OL_TRY(ol_hf_real(r, "mscale_all_dim", 0, 1e6, 0, &m_all, err));
    OL_TRY(ol_json_bool(r, "truncate", true, &truncate, err));
    double def = m > 0 && m_all > 0 ? yarn_mscale(f, m) / yarn_mscale(f, m_all) : yarn_mscale(f, 1);
    OL_TRY(ol_hf_real(r, "attention_factor", 1e-6, 1e6, def, &p->attention_factor, err));
    /* The dimension whose wave makes `rotations` turns within the original context. */
    double d = p->dim, per = 2 * log(p->theta);
    double low = d * log((double)p->original_length / (fast * 2 * M_PI)) / per;
    double high = d * log((double)p->original_length / (slow * 2 * M_PI)) / per;
    if (truncate) {
        low = floor(low);
        high = ceil(high);
    }
    low = fmax(low, 0);
    high = fmin(high, d - 1);
    if (low == high) high += 0.001;
    for (int i = 0; i < p->dim / 2; i++) {
        double ramp = fmin(fmax(((double)i - low) / (high - low), 0), 1);
        double inv = (double)p->inv_freq[i];
        p->inv_freq[i] = (float)(inv / f * ramp + inv * (1 - ramp));
    }
    return OLV_OK;
}

static olv_status llama3(const json_t *r, ol_hf_rope *p, olv_error *err) {
    double lo, hi;
    OL_TRY(ol_hf_real(r, "low_freq_factor", 1e-6, 1e6, 1, &lo, err));
    OL_TRY(ol_hf_real(r, "high_freq_factor", 1e-6, 1e6, 4, &hi, err));
    if (hi <= lo)
        return ol_fail(err, OLV_FORMAT, "key 'high_freq_factor': found %g, expected more than low_freq_factor %g", hi, lo);
    double old = (double)p->original_length;
    for (int i = 0; i < p->dim / 2; i++) {
        double inv = (double)p->inv_freq[i], wave = 2 * M_PI / inv;
        if (wave < old / hi) continue;
        double s = (old / wave - lo) / (hi - lo);
        if (wave > old / lo) s = 0;
        p->inv_freq[i] = (float)((1 - s) * inv / p->factor + s * inv);
    }
    return OLV_OK;
}

static olv_status longrope(const json_t *r, const ol_hf_config *c, ol_hf_rope *p, olv_error *err) {
    size_t n = (size_t)p->dim / 2;
    p->mode = OL_HF_ROPE_LONG;
    p->inv_freq_long = ol_arena_calloc(c->arena, n, sizeof(float));
    if (!p->inv_freq_long) return ol_fail(err, OLV_NOMEM, "out of memory");
    memcpy(p->inv_freq_long, p->inv_freq, n * sizeof(float));
    OL_TRY(factor_list(r, "short_factor", p, p->inv_freq, err));
    OL_TRY(factor_list(r, "long_factor", p, p->inv_freq_long, err));
    double f = p->factor > 0 ? p->factor : (double)c->context / (double)p->original_length;
    double def = f <= 1 ? 1 : sqrt(1 + log(f) / log((double)p->original_length));
    OL_TRY(ol_hf_real(r, "attention_factor", 1e-6, 1e6, def, &def, err));
    OL_TRY(ol_hf_real(r, "short_mscale", 1e-6, 1e6, def, &p->attention_factor, err));
    return ol_hf_real(r, "long_mscale", 1e-6, 1e6, def, &p->attention_factor_long, err);
}

/* Base frequencies of `dim` rotated values. */
static olv_status base_frequencies(const ol_hf_config *c, ol_hf_rope *p, double over, int used, olv_error *err) {
    p->inv_freq = ol_arena_calloc(c->arena, (size_t)p->dim / 2, sizeof(float));
    if (!p->inv_freq) return ol_fail(err, OLV_NOMEM, "out of memory");
    for (int i = 0; i < used; i++) p->inv_freq[i] = (float)(1.0 / pow(p->theta, 2.0 * i / over));
    return OLV_OK;
}

static olv_status get_original(const json_t *j, const json_t *r, const ol_hf_config *c, ol_hf_rope *p,
                               olv_error *err) {
    static const char *const keys[] = {"original_max_position_embeddings", NULL};
    int64_t top;
    OL_TRY(ol_hf_int(j, keys, 1, INT32_MAX, c->context, false, &top, err));
    OL_TRY(ol_hf_int(r, keys, 1, INT32_MAX, top, false, &p->original_length, err));
    if (p->original_length < 2 && strcmp(p->type, "default") != 0)
        return ol_fail(err, OLV_FORMAT, "key '%s': found %lld, expected at least 2", keys[0],
                       (long long)p->original_length);
    return OLV_OK;
}

static olv_status scale(const json_t *r, const ol_hf_config *c, ol_hf_rope *p, double partial, olv_error *err) {
    const char *t = p->type;
    bool known_factor = !json_is_null(json_object_get(r, "factor")) && json_object_get(r, "factor");
    OL_TRY(ol_hf_real(r, "factor", 1e-6, 1e9, 0, &p->factor, err));
    if (strcmp(t, "longrope") == 0 || strcmp(t, "su") == 0) return longrope(r, c, p, err);
    if (!known_factor) {
        if (strcmp(t, "yarn") == 0)
            p->factor = (double)c->context / (double)p->original_length;
        else if (strcmp(t, "proportional") == 0)
            p->factor = 1;
        else
            return ol_fail(err, OLV_FORMAT, "key 'factor': missing, expected a positive number for rope_type '%s'", t);
    }
    if (strcmp(t, "yarn") == 0) return yarn(r, c, p, err);
    if (strcmp(t, "llama3") == 0) return llama3(r, p, err);
    if (strcmp(t, "dynamic") == 0) {
        p->mode = OL_HF_ROPE_DYNAMIC;
        p->original_length = c->context;
        return OLV_OK;
    }
    (void)partial;
    for (int i = 0; i < p->dim / 2; i++) p->inv_freq[i] = (float)((double)p->inv_freq[i] / p->factor);
    return OLV_OK;
}

/* One set of parameters r (NULL: none given) with the defaults of the whole config. */
static olv_status read_rope(const json_t *j, const json_t *r, ol_hf_config *c, double theta, double partial,
                            ol_hf_rope *p, olv_error *err) {
    static const char *const types[] = {"default", "linear",   "dynamic", "llama3",      "yarn",
                                        "longrope", "su",      "proportional", "mrope"};
    static const char *const type_keys[] = {"rope_type", "type", NULL};
    const char *type;
    int64_t head = c->latent.kv_rank ? c->latent.rope_dim : c->head_dim;
    OL_TRY(get_text(r, type_keys, "default", &type, err));
    if (strcmp(type, "yarn") == 0 && json_object_get(r, "short_factor")) type = "longrope"; /* an early spelling */
    if (strcmp(type, "deepseek_yarn") == 0) type = "yarn";
    size_t t = 0;
    while (t < sizeof types / sizeof types[0] && strcmp(type, types[t]) != 0) t++;
    if (t == sizeof types / sizeof types[0])
        return ol_fail(err, OLV_UNSUPPORTED,
                       "key 'rope_type': found '%.40s', expected default, linear, dynamic, llama3, yarn, longrope or "
                       "proportional", type);
    memcpy(p->type, type, strlen(type) + 1);
    OL_TRY(ol_hf_real(r, "rope_theta", 1e-3, 1e15, theta, &p->theta, err));
    OL_TRY(ol_hf_real(r, "partial_rotary_factor", 0, 1, partial, &partial, err));
    p->attention_factor = p->attention_factor_long = 1;
    p->mode = OL_HF_ROPE_PLAIN;
    OL_TRY(get_original(j, r, c, p, err));
    bool proportional = strcmp(type, "proportional") == 0;
    int64_t dim = c->latent.kv_rank || proportional ? head : (int64_t)((double)head * partial);
    dim -= dim % 2;
    if (dim < 2 || dim > MAX_DIM)
        return ol_fail(err, OLV_FORMAT, "key 'partial_rotary_factor': found %g of a head of %lld, expected at least one "
                       "rotated pair", partial, (long long)head);
    p->dim = (int)dim;
    double alpha; /* hunyuan's dynamic scaling grows theta by a number that does not depend on the length */
    OL_TRY(ol_hf_real(r, "alpha", 0, 1e9, 0, &alpha, err));
    if (strcmp(type, "dynamic") == 0 && alpha > 0 && dim > 2) {
        p->theta *= pow(alpha, (double)dim / (double)(dim - 2));
        type = "default";
        memcpy(p->type, type, strlen(type) + 1);
    }
    int used = proportional ? (int)(partial * (double)(head / 2)) : p->dim / 2;
    OL_TRY(base_frequencies(c, p, proportional ? (double)head : (double)dim, used, err));
    if (strcmp(type, "default") == 0 || strcmp(type, "mrope") == 0) return OLV_OK;
    return scale(r, c, p, partial, err);
}

static olv_status get_partial(const json_t *j, const ol_hf_config *c, double *partial, olv_error *err) {
    static const char *const keys[] = {"partial_rotary_factor", "rotary_pct", "rope_pct", "rotary_percent",
                                       "rotary_percentage"};
    static const char *const dim_keys[] = {"rotary_dim", NULL};
    *partial = c->family->partial > 0 ? c->family->partial : 1;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        OL_TRY(ol_hf_real(j, keys[i], 0, 1, *partial, partial, err));
    int64_t dim;
    OL_TRY(ol_hf_int(j, dim_keys, 1, MAX_DIM, 0, false, &dim, err));
    if (dim > c->head_dim)
        return ol_fail(err, OLV_FORMAT, "key 'rotary_dim': found %lld, expected at most head_dim %lld", (long long)dim,
                       (long long)c->head_dim);
    if (dim) *partial = (double)dim / (double)c->head_dim;
    return OLV_OK;
}

static bool present_list(const json_t *j, const char *key) {
    const json_t *v = json_object_get(j, key);
    return v && !json_is_null(v);
}

static bool is_object(const json_t *v) { return v && json_is_object(v); }

static olv_status object_at(const json_t *j, const char *key, const json_t **out, olv_error *err) {
    *out = json_object_get(j, key);
    if (*out && json_is_null(*out)) *out = NULL;
    if (*out && !json_is_object(*out)) return ol_fail(err, OLV_FORMAT, "key '%s': expected an object or null", key);
    return OLV_OK;
}

/* layer_rope_theta: a theta for every layer, 0 for no rotation; the other parameters are shared. */
static olv_status ropes_by_layer(const json_t *j, const json_t *r, ol_hf_config *c, double partial, olv_error *err) {
    const json_t *list = json_object_get(j, "layer_rope_theta");
    if (!json_is_array(list) || json_array_size(list) != (size_t)c->n_layers)
        return ol_fail(err, OLV_FORMAT, "key 'layer_rope_theta': expected a list of %lld numbers", (long long)c->n_layers);
    c->n_ropes = 0;
    for (int64_t i = 0; i < c->n_layers; i++) {
        double theta = json_number_value(json_array_get(list, (size_t)i));
        int k = 0;
        while (k < c->n_ropes && c->ropes[k].theta != theta) k++;
        c->layers[i].rope = theta > 0 ? k : -1;
        if (theta <= 0 || k < c->n_ropes) continue;
        if (k == OL_HF_MAX_ROPES)
            return ol_fail(err, OLV_UNSUPPORTED, "key 'layer_rope_theta': found more than %d thetas", OL_HF_MAX_ROPES);
        json_t *own = r ? json_copy((json_t *)(uintptr_t)r) : json_object();
        bool ok = own && json_object_set_new(own, "rope_theta", json_real(theta)) == 0;
        olv_status s = ok ? read_rope(j, own, c, theta, partial, &c->ropes[k], err) : ol_fail(err, OLV_NOMEM, "out of memory");
        json_decref(own);
        if (s != OLV_OK) return s;
        c->n_ropes++;
    }
    return OLV_OK;
}

olv_status ol_hf_rope_read(const json_t *j, ol_hf_config *c, olv_error *err) {
    const json_t *r, *scaling;
    double theta, partial, local;
    OL_TRY(get_partial(j, c, &partial, err));
    OL_TRY(ol_hf_real(j, "rotary_emb_base", 1e-3, 1e15, c->family->theta > 0 ? c->family->theta : 10000, &theta, err));
    OL_TRY(ol_hf_real(j, "rope_theta", 1e-3, 1e15, theta, &theta, err));
    OL_TRY(ol_hf_real(j, "global_rope_theta", 1e-3, 1e15, theta, &theta, err));
    OL_TRY(object_at(j, "rope_parameters", &r, err));
    OL_TRY(object_at(j, "rope_scaling", &scaling, err));
    if (!r) r = scaling;
    if (present_list(j, "layer_rope_theta")) return ropes_by_layer(j, r, c, partial, err);
    const json_t *full = json_object_get(r, "full_attention"), *sliding = json_object_get(r, "sliding_attention");
    if (is_object(full) || is_object(sliding)) {
        if (!is_object(full)) full = sliding;
        if (!is_object(sliding)) sliding = full;
        c->n_ropes = 2;
        if (read_rope(j, full, c, theta, partial, &c->ropes[0], err) != OLV_OK)
            return ol_error_at(err, "rope_parameters.full_attention");
        if (read_rope(j, sliding, c, theta, partial, &c->ropes[1], err) != OLV_OK)
            return ol_error_at(err, "rope_parameters.sliding_attention");
    } else {
        c->n_ropes = 1;
        if (read_rope(j, r, c, theta, partial, &c->ropes[0], err) != OLV_OK)
            return r ? ol_error_at(err, r == scaling ? "rope_scaling" : "rope_parameters") : (err ? err->status : OLV_FORMAT);
        double of_all = c->family->rope_scaled_full_only ? c->ropes[0].theta : 0;
        OL_TRY(ol_hf_real(j, "rope_local_base_freq", 1e-3, 1e15, of_all, &local, err));
        OL_TRY(ol_hf_real(j, "local_rope_theta", 1e-3, 1e15, local, &local, err));
        if (local > 0) {
            c->n_ropes = 2;
            OL_TRY(read_rope(j, NULL, c, local, partial, &c->ropes[1], err));
        }
    }
    if (c->ropes[0].mode == OL_HF_ROPE_DYNAMIC && c->ropes[0].factor > 1) /* what the scaling is for */
        c->context = (int64_t)fmin((double)c->context * c->ropes[0].factor, INT32_MAX);
    for (int i = 0; c->family->rope_backwards && i < c->ropes[0].dim / 2; i++) c->ropes[0].inv_freq[i] *= -1;
    for (int64_t i = 0; i < c->n_layers; i++)
        if (c->layers[i].rope >= 0) c->layers[i].rope = c->layers[i].sliding && c->n_ropes == 2;
    return OLV_OK;
}
