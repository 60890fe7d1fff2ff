/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/ortgenai/ortgenai.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"

#include <stdio.h>

#define MAX_CONFIG (16u << 20)

/* A string of obj under key, or def, into out. */
static olv_status text(const json_t *obj, const char *key, const char *def, char *out, size_t size, olv_error *err) {
    const char *s;
    OL_TRY(ol_json_string(obj, key, def, &s, err));
    if (strlen(s) >= size)
        return ol_fail(err, OLV_FORMAT, "key '%s': found a text of %zu bytes, expected at most %zu", key, strlen(s),
                       size - 1);
    memcpy(out, s, strlen(s) + 1);
    return OLV_OK;
}

/* Names with exactly one %d and no other conversion. */
static olv_status pattern(const json_t *obj, const char *key, const char *def, char *out, size_t size,
                          olv_error *err) {
    OL_TRY(text(obj, key, def, out, size, err));
    const char *p = strchr(out, '%');
    if (!p || p[1] != 'd' || strchr(p + 1, '%'))
        return ol_fail(err, OLV_FORMAT, "key '%s': found '%s', expected a name with one %%d", key, out);
    return OLV_OK;
}

static olv_status object(const json_t *obj, const char *key, const json_t **out, olv_error *err) {
    *out = json_object_get(obj, key);
    if (!json_is_object(*out)) return ol_fail(err, OLV_FORMAT, "key '%s': missing, expected an object", key);
    return OLV_OK;
}

static olv_status read_names(const json_t *d, ol_ortgenai_config *c, olv_error *err) {
    const json_t *in = json_object_get(d, "inputs"), *out = json_object_get(d, "outputs");
    OL_TRY(text(in, "input_ids", "input_ids", c->input_ids, sizeof c->input_ids, err));
    OL_TRY(text(in, "attention_mask", "attention_mask", c->attention_mask, sizeof c->attention_mask, err));
    OL_TRY(text(in, "position_ids", "position_ids", c->position_ids, sizeof c->position_ids, err));
    OL_TRY(pattern(in, "past_key_names", "past_key_values.%d.key", c->past_key, sizeof c->past_key, err));
    OL_TRY(pattern(in, "past_value_names", "past_key_values.%d.value", c->past_value, sizeof c->past_value, err));
    OL_TRY(pattern(out, "present_key_names", "present.%d.key", c->present_key, sizeof c->present_key, err));
    OL_TRY(pattern(out, "present_value_names", "present.%d.value", c->present_value, sizeof c->present_value, err));
    return text(out, "logits", "logits", c->logits, sizeof c->logits, err);
}

static olv_status read_decoder(const json_t *m, ol_ortgenai_config *c, olv_error *err) {
    const json_t *d;
    OL_TRY(object(m, "decoder", &d, err));
    if (json_object_get(d, "pipeline"))
        return ol_fail(err, OLV_UNSUPPORTED, "key 'pipeline': models split into several files are not supported");
    OL_TRY(text(d, "filename", "model.onnx", c->filename, sizeof c->filename, err));
    if (strchr(c->filename, '/') || strchr(c->filename, '\\') || c->filename[0] == 0)
        return ol_fail(err, OLV_FORMAT, "key 'filename': found '%s', expected a plain file name", c->filename);
    OL_TRY(ol_json_int(d, "hidden_size", 1, 1 << 22, 0, &c->hidden_size, err));
    OL_TRY(ol_json_int(d, "num_hidden_layers", 1, 4096, 0, &c->n_layers, err));
    OL_TRY(ol_json_int(d, "num_attention_heads", 1, 65536, 0, &c->n_heads, err));
    OL_TRY(ol_json_int(d, "num_key_value_heads", 1, 65536, c->n_heads, &c->n_kv_heads, err));
    OL_TRY(ol_json_int(d, "head_size", 1, 65536, 0, &c->head_size, err));
    return read_names(d, c, err);
}

static olv_status read_all(const json_t *j, ol_ortgenai_config *c, olv_error *err) {
    const json_t *m;
    OL_TRY(object(j, "model", &m, err));
    OL_TRY(text(m, "type", "", c->type, sizeof c->type, err));
    OL_TRY(ol_json_int(m, "context_length", 1, INT32_MAX, 0, &c->context_length, err));
    OL_TRY(ol_json_int(m, "vocab_size", 1, 1 << 28, 0, &c->vocab_size, err));
    OL_TRY(read_decoder(m, c, err));
    const json_t *search = json_object_get(j, "search");
    if (json_is_object(search) && ol_gen_config_read(&c->generation, search, err) != OLV_OK)
        return ol_error_at(err, "search");
    int n = 0;
    int64_t ids[OL_GEN_MAX_IDS];
    OL_TRY(ol_gen_ids(m, "eos_token_id", c->generation.eos, OL_GEN_MAX_IDS, &c->generation.n_eos, err));
    OL_TRY(ol_gen_ids(m, "bos_token_id", ids, OL_GEN_MAX_IDS, &n, err));
    if (n) c->generation.bos = ids[0];
    n = 0;
    OL_TRY(ol_gen_ids(m, "pad_token_id", ids, OL_GEN_MAX_IDS, &n, err));
    if (n) c->generation.pad = ids[0];
    return OLV_OK;
}

olv_status ol_ortgenai_config_read(const char *folder, ol_ortgenai_config *c, olv_error *err) {
    char *path = ol_path_join(folder, "genai_config.json");
    if (!path) return ol_fail(err, OLV_NOMEM, "out of memory");
    memset(c, 0, sizeof *c);
    ol_gen_config_init(&c->generation);
    json_t *j = NULL;
    olv_status s = ol_json_read_file(path, MAX_CONFIG, &j, err);
    if (s == OLV_OK) {
        s = read_all(j, c, err);
        if (s != OLV_OK) ol_error_at(err, "genai_config.json");
    }
    json_decref(j);
    ol_free(path);
    if (s != OLV_OK) ol_ortgenai_config_deinit(c);
    return s;
}

void ol_ortgenai_config_deinit(ol_ortgenai_config *c) { ol_gen_config_deinit(&c->generation); }
