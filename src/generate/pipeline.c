/* SPDX-License-Identifier: Apache-2.0 */
/* Opening and closing a language model pipeline, its settings and text parts. */
#include "generate/pipeline.h"
#include "base/alloc.h"
#include "base/cpu.h"
#include "base/error.h"
#include "base/json.h"
#include "generate/constraint.h"
#include "generate/contrast.h"
#include "generate/draft.h"
#include "generate/prompt_cache.h"
#include "generate/weights.h"
#include "graph/op.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

double ol_now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

void olv_pipeline_options_init(olv_pipeline_options *opt) {
    memset(opt, 0, sizeof *opt);
    opt->struct_size = sizeof *opt;
    opt->device = "CPU";
}

void olv_free(void *p) { ol_free(p); }

static bool is_word(const char *s, const char *word) { return s && strcasecmp(s, word) == 0; }

static olv_status read_options(olv_pipeline *p, const olv_pipeline_options *o, olv_error *err) {
    if (o->isa && *o->isa && !ol_cpu_limit(o->isa, &p->cpu))
        return ol_fail(err, OLV_ARG, "isa '%s' is none of scalar, avx2, avx512, amx", o->isa);
    if (!o->isa || !*o->isa) p->cpu = ol_cpu_probe();
    const char *pr = o->precision;
    if (!pr || is_word(pr, "default")) p->precision = OLK_DEFAULT;
    else if (is_word(pr, "i8") || is_word(pr, "int8")) p->precision = OLK_DEFAULT;
    else if (is_word(pr, "f32")) p->precision = OLK_F32;
    else if (is_word(pr, "bf16")) p->precision = OLK_BF16;
    else if (is_word(pr, "f16")) return ol_fail(err, OLV_UNSUPPORTED, "this processor has no f16 arithmetic that pays; use bf16 or default");
    else return ol_fail(err, OLV_ARG, "precision '%s' is none of default, f32, bf16, f16, i8", pr);
    const char *kv = o->kv_cache;
    if (!kv) p->kv_dtype = OL_DTYPE_NONE; /* decided by the weights */
    else if (is_word(kv, "f32")) p->kv_dtype = OL_F32;
    else if (is_word(kv, "f16")) p->kv_dtype = OL_F16;
    else if (is_word(kv, "int8") || is_word(kv, "i8") || is_word(kv, "u8")) p->kv_dtype = OL_I8;
    else return ol_fail(err, OLV_ARG, "kv-cache '%s' is none of f32, f16, int8", kv);
    return OLV_OK;
}

static int64_t meta_int(const ol_graph *g, const char *key, int64_t def) {
    const char *v = ol_graph_get_meta(g, key);
    return v ? strtoll(v, NULL, 10) : def;
}

/* Weights compressed by us go with an f16 cache; float weights keep f32, and so do precision f32 and ORT-GenAI folders,
 * whose graph declares an f32 cache (docs/decisions/0003). */
static ol_dtype default_kv_dtype(const olv_pipeline *p, const ol_graph *g) {
    if (p->bundle->kind == OL_BUNDLE_ORT_GENAI) return OL_F32;
    for (int i = 0; i < g->n_values && p->precision != OLK_F32; i++)
        if (g->values[i] && g->values[i]->constant && ol_const_qconst(g->values[i]->constant)) return OL_F16;
    return OL_F32;
}

/* Length beyond which a model with this kind of rotation rotates otherwise; 0: it has none. */
static int64_t rotation_length(const ol_graph *g, const char *mode) {
    for (const ol_node *n = g->first; n; n = n->next)
        if (!strcmp(n->op->name, "RotaryTable") && ol_str_is(ol_node_string(n, "mode", ""), mode))
            return ol_node_int(n, "original_length", 0);
    return 0;
}

static olv_status compile(olv_pipeline *p, const olv_pipeline_options *o, olv_error *err) {
    const ol_device *device = ol_device_find(o->device ? o->device : "CPU");
    if (!device) return ol_fail(err, OLV_UNSUPPORTED, "there is no device '%s'; this build has CPU", o->device);
    ol_graph *g = ol_bundle_take_graph(p->bundle);
    if (!g) return ol_fail(err, OLV_UNSUPPORTED, "'%s' holds no language model", p->bundle->path);
    const ol_gen_config *own = &p->bundle->generation;
    if (o->hidden_states || (own->penalty_alpha > 0 && !own->do_sample)) {
        olv_status added = ol_contrast_add_output(g, err);
        if (added != OLV_OK) {
            ol_graph_destroy(g);
            return added;
        }
        p->keeps_hidden = true;
    }
    p->vocab_size = meta_int(g, "vocab_size", p->bundle->info.vocab_size);
    p->context_length = meta_int(g, "context_length", p->bundle->info.context_length);
    if (p->context_length < 1) p->context_length = 2048;
    ol_store *store = NULL;
    olv_status s = ol_adapter_sites_create(g, &p->adapters.sites, err);
    if (s == OLV_OK) s = ol_weights_prepare(p, g, o, &store, err);
    if (s != OLV_OK) {
        ol_graph_destroy(g);
        return s;
    }
    if (p->precision == OLK_DEFAULT && (!o->precision || is_word(o->precision, "default"))) p->precision = ol_plan_default_precision(g);
    p->rope_switch = rotation_length(g, "longrope");
    p->dynamic_length = rotation_length(g, "dynamic");
    if (p->kv_dtype == OL_DTYPE_NONE) p->kv_dtype = default_kv_dtype(p, g);
    ol_plan_options po = {.device = device, .cpu = p->cpu, .precision = p->precision, .kv_dtype = p->kv_dtype, .store = store,
                          .executor = p->executor};
    s = ol_plan_create(g, &po, &p->plan, err);
    if (s == OLV_OK) ol_store_finish(store);
    ol_store_release(store);
    OL_TRY(s);
    OL_TRY(ol_state_pool_create(ol_plan_states(p->plan), o->cache_budget, &p->pool, err));
    return ol_session_create(p->plan, p->executor, &p->session, err);
}

static olv_status open_text(olv_pipeline *p, const olv_pipeline_options *o, olv_error *err) {
    if (o->no_tokenizer || !p->bundle->tokenizer) return OLV_OK;
    OL_TRY(olv_tokenizer_open(p->bundle->tokenizer, &p->tokenizer, err));
    if (!p->bundle->chat_template) return OLV_OK;
    /* A model whose template cannot be read still completes plain prompts: the error comes when messages are given. */
    olv_status s = olv_template_open(p->bundle->kind == OL_BUNDLE_GGUF ? p->bundle->path : p->bundle->folder, &p->chat, NULL);
    return s == OLV_NOMEM ? ol_fail(err, OLV_NOMEM, "no memory for the chat template") : OLV_OK;
}

static olv_status open_draft(olv_pipeline *p, const olv_pipeline_options *opt, olv_error *err);

/* How the graph is made, when not as the bundle does it. */
typedef struct reader {
    ol_graph_reader *read;
    void *ctx;
} reader;

static olv_status open_bundle(olv_pipeline *p, const char *model, const reader *r, olv_error *err) {
    const ol_bundle_options none = {.no_graph = true};
    if (!r) return ol_bundle_open(model, NULL, &p->bundle, err);
    OL_TRY(ol_bundle_open(model, &none, &p->bundle, err));
    return r->read(r->ctx, p->bundle, err);
}

static olv_status open_on(ol_executor *executor, const char *model, const olv_pipeline_options *opt, const reader *r,
                          olv_pipeline **out, olv_error *err) {
    double t0 = ol_now_ms();
    olv_pipeline *p = ol_calloc(1, sizeof *p);
    if (!p) return ol_fail(err, OLV_NOMEM, "no memory for a pipeline");
    olv_status s = read_options(p, opt, err);
    p->executor = executor;
    p->borrows_executor = executor != NULL;
    if (s == OLV_OK && !executor) s = ol_executor_create(opt->threads, &p->executor, err);
    if (s == OLV_OK) s = open_bundle(p, model, r, err);
    if (s == OLV_OK) s = open_text(p, opt, err);
    if (s == OLV_OK) s = compile(p, opt, err);
    if (s == OLV_OK && opt->draft_model) s = open_draft(p, opt, err);
    if (s == OLV_OK && p->bundle->generation.n_stop_strings) {
        size_t n = p->bundle->generation.n_stop_strings;
        p->stop_strings = ol_calloc(n, sizeof *p->stop_strings);
        if (!p->stop_strings) s = ol_fail(err, OLV_NOMEM, "no memory for stop strings");
        for (size_t i = 0; p->stop_strings && i < n; i++) p->stop_strings[i] = p->bundle->generation.stop_strings[i];
    }
    if (s == OLV_OK) s = ol_settings_prepare(p, err);
    if (s != OLV_OK) {
        olv_pipeline_close(p);
        return s;
    }
    p->load_ms = ol_now_ms() - t0;
    *out = p;
    return OLV_OK;
}

static olv_status open_draft(olv_pipeline *p, const olv_pipeline_options *opt, olv_error *err) {
    olv_pipeline_options o = *opt;
    o.draft_model = NULL;
    olv_status s = open_on(p->executor, opt->draft_model, &o, NULL, &p->draft, err);
    return s == OLV_OK ? ol_draft_check(p, p->draft, err) : s;
}

olv_status olv_pipeline_open(const char *model, const olv_pipeline_options *opt, olv_pipeline **out, olv_error *err) {
    olv_pipeline_options defaults;
    olv_pipeline_options_init(&defaults);
    return open_on(NULL, model, opt ? opt : &defaults, NULL, out, err);
}

olv_status ol_pipeline_open_with(const char *model, const olv_pipeline_options *opt, ol_graph_reader *read, void *ctx,
                                 olv_pipeline **out, olv_error *err) {
    const reader r = {read, ctx};
    return open_on(NULL, model, opt, &r, out, err);
}

void olv_pipeline_close(olv_pipeline *p) {
    if (!p) return;
    olv_pipeline_close(p->draft);
    ol_prompt_forget(p);
    ol_adapters_deinit(&p->adapters);
    ol_session_destroy(p->session);
    ol_state_pool_destroy(p->pool);
    ol_plan_destroy(p->plan);
    if (!p->borrows_executor) ol_executor_destroy(p->executor);
    olv_template_destroy(p->chat);
    olv_tokenizer_close(p->tokenizer);
    ol_bundle_close(p->bundle);
    ol_constraint_forget(p);
    ol_free(p->stop_strings);
    ol_free(p->sequence_bias);
    ol_free(p);
}

void olv_pipeline_cancel(olv_pipeline *p) { p->cancel = true; }
void olv_pipeline_clear_cancel(olv_pipeline *p) { p->cancel = false; }

/* ---- text -------------------------------------------------------------------------------------------- */

olv_status olv_pipeline_encode(olv_pipeline *p, const char *text, bool add_special, int64_t **ids, size_t *n,
                               olv_error *err) {
    if (!p->tokenizer) return ol_fail(err, OLV_UNSUPPORTED, "the model folder has no tokenizer; give token ids");
    olv_encode_options o;
    olv_encode_options_init(&o);
    o.add_special = add_special;
    o.pad = o.truncate = false;
    olv_encoding e;
    OL_TRY(olv_tokenizer_encode(p->tokenizer, text, strlen(text), &o, &e, err));
    int64_t *v = ol_alloc(e.count * sizeof *v + 1);
    for (size_t i = 0; v && i < e.count; i++) v[i] = e.ids[i];
    *n = e.count;
    olv_encoding_deinit(&e);
    if (!v) return ol_fail(err, OLV_NOMEM, "no memory for %zu tokens", *n);
    *ids = v;
    if (*n) return OLV_OK;
    ol_free(v);
    return ol_fail(err, OLV_ARG, "the prompt is empty");
}

olv_status olv_pipeline_render(olv_pipeline *p, const char *messages, char **text, olv_error *err) {
    if (!p->chat) return ol_fail(err, OLV_UNSUPPORTED, "the model has no chat template; give a plain prompt");
    if (messages[strspn(messages, " \t\r\n")] != '[')
        return olv_template_render(p->chat, messages, strlen(messages), NULL, text, NULL, err);
    ol_buf b = OL_BUF_INIT; /* a bare list of messages asks for an answer */
    ol_buf_printf(&b, "{\"messages\": %s, \"add_generation_prompt\": true}", messages);
    olv_status s = b.failed ? ol_fail(err, OLV_NOMEM, "no memory for the messages")
                            : olv_template_render(p->chat, b.data, b.len, NULL, text, NULL, err);
    ol_buf_deinit(&b);
    return s;
}

olv_status olv_pipeline_decode(olv_pipeline *p, const int64_t *ids, size_t n, bool skip_special, char **text,
                               olv_error *err) {
    if (!p->tokenizer) return ol_fail(err, OLV_UNSUPPORTED, "the model folder has no tokenizer");
    uint32_t *v = ol_alloc(n * sizeof *v + 1);
    if (!v) return ol_fail(err, OLV_NOMEM, "no memory for %zu tokens", n);
    for (size_t i = 0; i < n; i++) v[i] = ids[i] < 0 || ids[i] > UINT32_MAX ? UINT32_MAX : (uint32_t)ids[i];
    size_t len;
    olv_status s = olv_tokenizer_decode(p->tokenizer, v, n, skip_special, text, &len, err);
    ol_free(v);
    return s;
}
