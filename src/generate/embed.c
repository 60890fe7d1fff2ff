/* SPDX-License-Identifier: Apache-2.0 */
/* Embeddings: prompts, normalization, and vectors of single tokens. */
#include "base/alloc.h"
#include "base/error.h"
#include "generate/encoder.h"
#include <math.h>
#include <string.h>

void olv_embed_options_init(olv_embed_options *opt) {
    memset(opt, 0, sizeof *opt);
    opt->struct_size = sizeof *opt;
    opt->normalize = -1;
}

/* *text: what is put before each text, NULL for nothing. */
static olv_status find_prompt(const olv_encoder *e, const olv_embed_options *o, const char **text, olv_error *err) {
    const char *name = o->prompt_name ? o->prompt_name : e->use.default_prompt;
    *text = o->prompt;
    if (*text || !name) return OLV_OK;
    for (int i = 0; i < e->use.n_prompts; i++)
        if (strcmp(e->use.prompts[i].name, name) == 0) return *text = e->use.prompts[i].text, OLV_OK;
    if (!o->prompt_name) return OLV_OK;
    ol_buf known = OL_BUF_INIT;
    for (int i = 0; i < e->use.n_prompts; i++) ol_buf_printf(&known, "%s%s", i ? ", " : "", e->use.prompts[i].name);
    ol_fail(err, OLV_ARG, "there is no prompt '%.80s'; the model has %s", name, known.len ? known.data : "none");
    ol_buf_deinit(&known);
    return OLV_ARG;
}

/* Tokens of the prompt, counted as sentence-transformers does: alone, without what the template puts at the end. */
static olv_status prompt_tokens(const olv_encoder *e, const char *prompt, int64_t *n, olv_error *err) {
    ol_encoded t;
    olv_text text = {prompt, strlen(prompt), NULL, 0};
    OL_TRY(ol_encode_text(e, NULL, &text, &t, err));
    size_t suffix = olv_tokenizer_suffix(e->p->tokenizer, NULL, 0);
    *n = t.count > suffix ? (int64_t)(t.count - suffix) : 0;
    ol_encoded_deinit(&t);
    return OLV_OK;
}

typedef struct vectors {
    float *out;
    size_t width;
    bool normalize;
} vectors;

static void take_vector(void *ctx, size_t i, const float *row) {
    const vectors *v = ctx;
    float *y = v->out + i * v->width;
    double sum = 0;
    memcpy(y, row, v->width * sizeof *y);
    if (!v->normalize) return;
    for (size_t k = 0; k < v->width; k++) sum += (double)y[k] * (double)y[k];
    float by = (float)(1 / fmax(sqrt(sum), 1e-12));
    for (size_t k = 0; k < v->width; k++) y[k] *= by;
}

olv_status olv_embed(olv_encoder *e, const olv_text *texts, size_t n, const olv_embed_options *opt, float *out,
                     olv_error *err) {
    olv_embed_options defaults;
    olv_embed_options_init(&defaults);
    if (!opt) opt = &defaults;
    if (e->task != OLV_TASK_EMBED) return ol_fail(err, OLV_STATE, "the encoder was not opened to embed");
    if (opt->dimensions > (size_t)e->width)
        return ol_fail(err, OLV_ARG, "dimensions is %zu, the model gives %lld", opt->dimensions, (long long)e->width);
    const char *prompt;
    int64_t skip = 0;
    OL_TRY(find_prompt(e, opt, &prompt, err));
    if (prompt && e->use.skip_prompt) OL_TRY(prompt_tokens(e, prompt, &skip, err));
    vectors v = {out, opt->dimensions ? opt->dimensions : (size_t)e->width,
                 opt->normalize < 0 ? e->use.normalize : opt->normalize > 0};
    return ol_encoder_run(e, prompt, texts, n, opt->batch_size, skip, take_vector, &v, err);
}

void olv_token_vectors_deinit(olv_token_vectors *v) {
    ol_free(v->ids);
    ol_free(v->values);
    memset(v, 0, sizeof *v);
}

olv_status olv_embed_tokens(olv_encoder *e, const olv_text *text, olv_token_vectors *out, olv_error *err) {
    ol_encoded t;
    const float *rows;
    int64_t width;
    if (e->task != OLV_TASK_EMBED_TOKENS) return ol_fail(err, OLV_STATE, "the encoder was not opened to embed tokens");
    OL_TRY(ol_encode_text(e, NULL, text, &t, err));
    ol_run_text item = {t.ids, (int64_t)t.count, t.types, 0};
    olv_token_vectors v = {NULL, NULL, t.count};
    olv_status s = ol_session_run_texts(e->p->session, &item, 1, &rows, &width, err);
    if (s == OLV_OK) {
        v.ids = ol_calloc(t.count, sizeof *v.ids);
        v.values = ol_calloc(t.count, (size_t)width * sizeof *v.values);
        if (!v.ids || !v.values) s = ol_fail(err, OLV_NOMEM, "no memory for %zu vectors", t.count);
    }
    if (s == OLV_OK) {
        for (size_t i = 0; i < t.count; i++) v.ids[i] = (uint32_t)t.ids[i];
        memcpy(v.values, rows, t.count * (size_t)width * sizeof *v.values);
        *out = v;
    } else {
        olv_token_vectors_deinit(&v);
    }
    ol_encoded_deinit(&t);
    return s;
}
