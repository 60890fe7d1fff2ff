/* SPDX-License-Identifier: Apache-2.0 */
/* genai_config.json. The runtime refuses unknown keys, so only those of its oldest readers are written. */
#include "base/error.h"
#include "formats/ortgenai/write.h"

#include <stdlib.h>

/* Model types that the runtime treats as plain decoders; others run under its generic name. */
static const char *runtime_type(const char *type) {
    static const char *const known[] = {"chatglm", "ernie4_5", "gemma", "gemma2", "gemma3_text", "granite", "internlm2",
                                        "llama", "mistral", "nemotron", "olmo", "phi", "phi3", "phi3small", "phimoe", "qwen2",
                                        "qwen3", "smollm3"};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (type && strcmp(type, known[i]) == 0) return type;
    return "decoder";
}

static int64_t meta(const ol_graph *g, const char *key, int64_t def) {
    const char *v = ol_graph_get_meta(g, key);
    return v ? strtoll(v, NULL, 10) : def;
}

static json_t *ids(const int64_t *v, int n) {
    if (n == 1) return json_integer(v[0]);
    json_t *a = json_array();
    for (int i = 0; a && i < n; i++) json_array_append_new(a, json_integer(v[i]));
    return a;
}

static json_t *provider(ol_ortgenai_target t) {
    switch (t) {
    case OL_ORTGENAI_CUDA: return json_pack("[{s:{s:s}}]", "cuda", "enable_cuda_graph", "0");
    case OL_ORTGENAI_DML: return json_pack("[{s:{}}]", "dml");
    case OL_ORTGENAI_WEBGPU: return json_pack("[{s:{}}]", "webgpu");
    case OL_ORTGENAI_CPU: break;
    }
    return json_array();
}

static json_t *decoder(const ol_og_writer *w) {
    json_t *in = json_pack("{s:s, s:s, s:s, s:s}", "input_ids", "input_ids", "attention_mask", "attention_mask", "past_key_names",
                           "past_key_values.%d.key", "past_value_names", "past_key_values.%d.value");
    if (in && w->uses_positions) json_object_set_new(in, "position_ids", json_string("position_ids"));
    json_t *out = json_pack("{s:s, s:s, s:s}", "logits", "logits", "present_key_names", "present.%d.key",
                            "present_value_names", "present.%d.value");
    return json_pack("{s:{s:s, s:o}, s:s, s:I, s:I, s:o, s:o, s:I, s:i, s:I}", "session_options", "log_id",
                     "onnxruntime-genai", "provider_options", provider(w->opt->target), "filename", "model.onnx",
                     "head_size", (json_int_t)w->head_dim, "hidden_size", (json_int_t)meta(w->g, "hidden_size", 1), "inputs", in,
                     "outputs", out, "num_attention_heads", (json_int_t)w->n_heads, "num_hidden_layers", w->n_layers,
                     "num_key_value_heads", (json_int_t)w->kv_heads);
}

static json_t *model(const ol_og_writer *w, const ol_gen_config *g) {
    json_t *m = json_pack("{s:I, s:o, s:s, s:I}", "context_length", (json_int_t)w->context, "decoder", decoder(w), "type",
                          runtime_type(ol_graph_get_meta(w->g, "model_type")), "vocab_size",
                          (json_int_t)meta(w->g, "vocab_size", 0));
    if (!m) return NULL;
    int64_t zero = 0;
    json_object_set_new(m, "eos_token_id", g->n_eos ? ids(g->eos, g->n_eos) : ids(&zero, 1));
    if (g->bos >= 0) json_object_set_new(m, "bos_token_id", json_integer(g->bos));
    /* The runtime needs a pad id; it is never generated. */
    int64_t pad = g->pad >= 0 ? g->pad : g->n_eos ? g->eos[0] : 0;
    json_object_set_new(m, "pad_token_id", json_integer(pad));
    return m;
}

static json_t *search(const ol_og_writer *w, const ol_gen_config *g) {
    int64_t max = g->max_length > 0 && g->max_length <= w->context ? g->max_length : w->context;
    return json_pack("{s:f, s:b, s:b, s:f, s:I, s:I, s:I, s:I, s:I, s:b, s:f, s:f, s:I, s:f}", "diversity_penalty",
                     g->diversity_penalty, "do_sample", g->do_sample, "early_stopping", 1, "length_penalty",
                     g->length_penalty, "max_length", (json_int_t)max, "min_length", (json_int_t)g->min_length,
                     "no_repeat_ngram_size", (json_int_t)g->no_repeat_ngram_size, "num_beams", (json_int_t)g->num_beams,
                     "num_return_sequences", (json_int_t)g->num_return_sequences, "past_present_share_buffer", 1,
                     "repetition_penalty", g->repetition_penalty, "temperature", g->temperature, "top_k",
                     (json_int_t)(g->top_k > 0 ? g->top_k : 50), "top_p", g->top_p);
}

olv_status ol_og_config(const ol_og_writer *w, const ol_ortgenai_info *info, ol_buf *out, olv_error *err) {
    ol_gen_config none;
    ol_gen_config_init(&none);
    const ol_gen_config *g = info->generation ? info->generation : &none;
    json_t *m = model(w, g), *s = search(w, g);
    json_t *j = m && s ? json_pack("{s:O, s:O}", "model", m, "search", s) : NULL;
    char *text = j ? json_dumps(j, JSON_INDENT(4) | JSON_SORT_KEYS | JSON_REAL_PRECISION(17)) : NULL;
    json_decref(m);
    json_decref(s);
    json_decref(j);
    if (!text) return ol_fail(err, OLV_NOMEM, "out of memory");
    ol_buf_puts(out, text);
    ol_buf_putc(out, '\n');
    free(text);
    return out->failed ? ol_fail(err, OLV_NOMEM, "out of memory") : OLV_OK;
}
