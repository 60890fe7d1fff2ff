/* SPDX-License-Identifier: Apache-2.0 */
#include "optimize/openvino_folder.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "bundle/tokenizer_ir.h"
#include "formats/openvino/lm.h"
#include "formats/ortgenai/output.h"

#include <stdlib.h>

#define SLACK (16u << 20) /* room for the small files of the folder */

static bool has_file(const char *dir, const char *name) {
    char *p = ol_path_join(dir, name);
    bool yes = p && ol_file_exists(p);
    ol_free(p);
    return yes;
}

static olv_status put_json(ol_output *o, const char *name, json_t *j /* taken */, olv_error *err) {
    char *text = j ? json_dumps(j, JSON_INDENT(2) | JSON_PRESERVE_ORDER) : NULL;
    json_decref(j);
    if (!text) return ol_fail(err, OLV_NOMEM, "out of memory");
    olv_status s = ol_output_file(o, name, text, strlen(text), err);
    free(text);
    return s;
}

/* ---- configs ---- */

/* What config.json would say of a source that has none. */
static json_t *config_of(const ol_bundle_info *i) {
    const struct {
        const char *key;
        int64_t value;
    } numbers[] = {{"vocab_size", i->vocab_size}, {"max_position_embeddings", i->context_length}, {"hidden_size", i->hidden_size},
                   {"intermediate_size", i->intermediate_size}, {"num_hidden_layers", i->n_layers}, {"num_attention_heads", i->n_heads},
                   {"num_key_value_heads", i->n_kv_heads}, {"head_dim", i->head_dim}};
    json_t *j = json_pack("{s:s}", "model_type", i->model_type);
    if (j && i->architecture[0]) json_object_set_new(j, "architectures", json_pack("[s]", i->architecture));
    for (size_t k = 0; j && k < sizeof numbers / sizeof numbers[0]; k++)
        if (numbers[k].value > 0) json_object_set_new(j, numbers[k].key, json_integer(numbers[k].value));
    return j;
}

static json_t *generation_of(const ol_gen_config *g) {
    json_t *j = json_object(), *eos = json_array();
    for (int i = 0; eos && i < g->n_eos; i++) json_array_append_new(eos, json_integer(g->eos[i]));
    if (j && g->n_eos == 1) json_object_set(j, "eos_token_id", json_array_get(eos, 0));
    else if (j && g->n_eos) json_object_set(j, "eos_token_id", eos);
    if (j && g->bos >= 0) json_object_set_new(j, "bos_token_id", json_integer(g->bos));
    if (j && g->pad >= 0) json_object_set_new(j, "pad_token_id", json_integer(g->pad));
    if (j && g->max_length > 0) json_object_set_new(j, "max_length", json_integer(g->max_length));
    if (j) json_object_set_new(j, "do_sample", json_boolean(g->do_sample));
    json_decref(eos);
    return j;
}

static olv_status put_configs(const ol_bundle *b, ol_output *o, olv_error *err) {
    static const char *const names[] = {"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json",
                                        "merges.txt", "tokenizer.model", "vocab.txt", "chat_template.jinja"};
    const char *dir = b->folder;
    /* The config.json beside a GGUF file need not be its own. */
    bool own = b->kind != OL_BUNDLE_GGUF;
    if (own && has_file(dir, "config.json")) OL_TRY(ol_output_copy(o, dir, "config.json", err));
    else OL_TRY(put_json(o, "config.json", config_of(&b->info), err));
    if (own && has_file(dir, "generation_config.json")) OL_TRY(ol_output_copy(o, dir, "generation_config.json", err));
    else OL_TRY(put_json(o, "generation_config.json", generation_of(&b->generation), err));
    for (size_t i = 0; own && i < sizeof names / sizeof names[0]; i++)
        if (has_file(dir, names[i])) OL_TRY(ol_output_copy(o, dir, names[i], err));
    if (b->chat_template && !(own && has_file(dir, "chat_template.jinja")))
        return ol_output_file(o, "chat_template.jinja", b->chat_template, strlen(b->chat_template), err);
    return OLV_OK;
}

/* The tokenizer's models, where the operations for it are known. */
static olv_status put_tokenizer(const ol_bundle *b, ol_output *o, olv_error *err) {
    olv_error local = {OLV_OK, ""};
    olv_status s = ol_bundle_write_openvino_tokenizer(b->folder, o->part, &local);
    if (s == OLV_UNSUPPORTED || s == OLV_NOT_FOUND) {
        ol_log(OLV_LOG_WARNING, "no openvino_tokenizer.xml is written: %s", local.message);
        return OLV_OK;
    }
    if (s != OLV_OK && err) *err = local;
    return s;
}

static olv_status put_manifest(ol_manifest *m, ol_output *o, olv_error *err) {
    ol_buf b = OL_BUF_INIT;
    olv_status s = ol_manifest_write(m, o->part, &b, err);
    if (s == OLV_OK) s = b.failed ? ol_fail(err, OLV_NOMEM, "out of memory") : ol_output_file(o, "olivine.json", b.data, b.len, err);
    ol_buf_deinit(&b);
    return s;
}

/* Unfinished work cannot be continued here. */
static void discard(const char *part) {
    olv_status undo = ol_dir_remove(part, NULL);
    (void)undo; /* the first failure is the one to tell */
}

olv_status ol_openvino_folder_write(const ol_bundle *b, ol_graph *g, const ol_openvino_output *o, const char *out_dir,
                                    olv_progress_fn *progress, void *ctx, olv_error *err) {
    ol_output out;
    const ol_openvino_lm_options lm = {o->compress_to_f16, progress, ctx};
    olv_status s = ol_output_begin(&out, out_dir, o->key, o->force, o->fresh, o->need + SLACK, 0, err);
    bool ours = s == OLV_OK;
    if (s == OLV_OK) s = ol_openvino_lm_write(g, out.part, &lm, err);
    if (s == OLV_OK) s = put_configs(b, &out, err);
    if (s == OLV_OK) s = put_tokenizer(b, &out, err);
    if (s == OLV_OK) s = put_manifest(o->manifest, &out, err);
    if (s == OLV_OK) s = ol_output_finish(&out, err);
    if (s != OLV_OK && ours) discard(out.part);
    ol_output_close(&out);
    return s;
}
