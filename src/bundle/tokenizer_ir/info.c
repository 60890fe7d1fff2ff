/* SPDX-License-Identifier: Apache-2.0 */
/* What pipelines ask the tokenizer models for: ids of special tokens, the chat template, the post-processor. */
#include "bundle/tokenizer_ir/net.h"

#include "base/error.h"

#include <stdlib.h>

/* The release of openvino_tokenizers whose operations these are: readers tell models of old by it. */
#define OPERATIONS_OF "2026.4.1.0"

static void put_id(const ol_ti_document *d, ol_ir_file *f, const char *key, const char *token) {
    const char *name = ol_ti_special(d, token);
    int64_t id = name ? ol_ti_id(d, name, strlen(name)) : -1;
    const json_t *stored = json_object_get(d->generation, key);
    if (json_is_array(stored)) stored = json_array_get(stored, 0);
    if (id < 0 && json_is_integer(stored)) id = json_integer_value(stored);
    char *text = id < 0 ? NULL : ol_arena_printf(ol_ir_arena(ol_ir_net(f)), "%lld", (long long)id);
    if (text) ol_ir_info(f, key, text);
}

static void put_list(ol_buf *b, const char *key, const int32_t *v, int n) {
    ol_buf_printf(b, "\"%s\": [", key);
    for (int i = 0; i < n; i++) ol_buf_printf(b, "%s%d", i ? ", " : "", (int)v[i]);
    ol_buf_putc(b, ']');
}

static void put_template(ol_buf *b, const char *key, const ol_ti_template *t) {
    ol_buf_printf(b, "\"%s\": {", key);
    put_list(b, "ids", t->ids, t->count);
    ol_buf_puts(b, ", ");
    put_list(b, "type_ids", t->types, t->count);
    ol_buf_putc(b, '}');
}

/* The template of one and of two texts, with these as -1 and -2. */
static olv_status put_processed(const ol_ti_document *d, ol_ir_file *f, olv_error *err) {
    ol_ti_template single, pair;
    ol_buf b = OL_BUF_INIT;
    OL_TRY(ol_ti_template_read(d, false, &single, err));
    OL_TRY(ol_ti_template_read(d, true, &pair, err));
    ol_buf_putc(&b, '{');
    put_template(&b, "single", &single);
    ol_buf_puts(&b, ", ");
    put_template(&b, "pair", &pair);
    ol_buf_putc(&b, '}');
    if (!b.failed) ol_ir_info(f, "processed_post_processor_template", b.data);
    olv_status s = b.failed ? ol_fail(err, OLV_NOMEM, "out of memory") : OLV_OK;
    ol_buf_deinit(&b);
    return s;
}

static olv_status put_original(const ol_ti_document *d, ol_ir_file *f, olv_error *err) {
    if (!d->postprocessor) return OLV_OK;
    char *text = json_dumps(d->postprocessor, JSON_ENSURE_ASCII);
    if (!text) return ol_fail(err, OLV_NOMEM, "out of memory");
    ol_ir_info(f, "original_post_processor_template", text);
    free(text);
    return OLV_OK;
}

olv_status ol_ti_info(const ol_ti_document *d, ol_ir_file *f, olv_error *err) {
    static const char *const settings[][2] = {
        {"add_attention_mask", "True"},      {"add_special_tokens", "True"},  {"detokenizer_input_type", "i64"},
        {"number_of_inputs", "1"},           {"skip_special_tokens", "True"}, {"streaming_detokenizer", "False"},
        {"tokenizer_output_type", "i64"},    {"truncation", "False"},         {"use_max_padding", "False"},
        {"use_sentencepiece_backend", "False"}, {"utf8_replace_mode", "replace"}, {"with_detokenizer", "True"}};
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) ol_ir_info(f, settings[i][0], settings[i][1]);
    ol_ir_info(f, "openvino_tokenizers_version", OPERATIONS_OF);
    const char *class = ol_ti_text(d->config, "tokenizer_class", NULL);
    if (class) ol_ir_info(f, "original_tokenizer_class", class);
    put_id(d, f, "bos_token_id", "bos_token");
    put_id(d, f, "eos_token_id", "eos_token");
    put_id(d, f, "pad_token_id", "pad_token");
    if (d->chat_template) ol_ir_info(f, "chat_template", d->chat_template);
    OL_TRY(put_original(d, f, err));
    return put_processed(d, f, err);
}
