/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/ortgenai/write.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"

#include <stdlib.h>

#define SLACK (8u << 20) /* room for the small files of the folder */
#define MAX_CONTEXT (1 << 24)
#define MAX_JSON (64u << 20)

void ol_ortgenai_options_init(ol_ortgenai_options *o) {
    memset(o, 0, sizeof *o);
    o->accuracy_level = -1;
}

/* ---- the model ---- */

static olv_status find_inputs(ol_og_writer *w) {
    w->ids = ol_graph_find_value(w->g, "input_ids");
    w->positions = ol_graph_find_value(w->g, "positions");
    w->output_rows = ol_graph_find_value(w->g, "output_rows");
    if (!w->ids || w->g->n_outputs != 1 || !w->output_rows)
        return ol_fail(w->err, OLV_UNSUPPORTED, "the graph is no language model in flat-row form");
    const char *c = ol_graph_get_meta(w->g, "context_length");
    w->context = c ? strtoll(c, NULL, 10) : 2048;
    if (w->context < 1 || w->context > MAX_CONTEXT)
        return ol_fail(w->err, OLV_FORMAT, "context_length: found %s, expected 1 to %d", c ? c : "nothing", MAX_CONTEXT);
    w->names[w->ids->id] = "input_ids";
    if (w->positions) w->names[w->positions->id] = "position_ids";
    return OLV_OK;
}

static void put_frame(ol_og_writer *w, const ol_value *logits) {
    const ol_og_dim now[] = {{-1, "batch_size"}, {-1, "sequence_length"}}, mask[] = {{-1, "batch_size"}, {-1, "total_sequence_length"}};
    const ol_og_dim out[] = {{-1, "batch_size"}, {-1, "sequence_length"}, {logits->type.dims[1], NULL}};
    ol_buf caches_in = w->m.inputs, caches_out = w->m.outputs; /* ids, mask and logits come first */
    memset(&w->m.inputs, 0, sizeof w->m.inputs);
    memset(&w->m.outputs, 0, sizeof w->m.outputs);
    ol_og_input(&w->m, "input_ids", OL_I64, now, 2);
    ol_og_input(&w->m, "attention_mask", OL_I64, mask, 2);
    if (w->uses_positions) ol_og_input(&w->m, "position_ids", OL_I64, now, 2);
    ol_og_output(&w->m, "logits", w->io, out, 3);
    ol_buf_append(&w->m.inputs, caches_in.data, caches_in.len);
    ol_buf_append(&w->m.outputs, caches_out.data, caches_out.len);
    if (caches_in.failed || caches_out.failed) w->m.failed = true;
    ol_buf_deinit(&caches_in);
    ol_buf_deinit(&caches_out);
}

static olv_status lower(ol_og_writer *w) {
    OL_TRY(find_inputs(w));
    ol_value *logits = ol_og_root(w, w->g->outputs[0]);
    if (!logits->producer || logits->type.rank != 2 || logits->type.dims[1] < 1)
        return ol_fail(w->err, OLV_UNSUPPORTED, "the graph's output is not a matrix of logits");
    w->logits = logits;
    ol_og_find_experts(w);
    ol_og_mask(w);
    for (ol_node *n = w->g->first; n && !w->failed; n = n->next) ol_og_visit(w, n);
    if (!ol_og_name(w, logits)) return w->err->status;
    if (w->n_layers == 0) return ol_fail(w->err, OLV_UNSUPPORTED, "the graph has no attention");
    put_frame(w, logits);
    return w->m.failed ? ol_fail(w->err, OLV_NOMEM, "out of memory") : OLV_OK;
}

/* ---- the folder ---- */

static bool has_file(const char *dir, const char *name) {
    char *p = ol_path_join(dir, name);
    bool yes = p && ol_file_exists(p);
    ol_free(p);
    return yes;
}

/* tokenizer_config.json with model_max_length set to the context, as the runtime's tokenizer wants it. */
static olv_status copy_tokenizer_config(ol_og_writer *w, ol_output *o, const char *dir, olv_error *err) {
    char *path = ol_path_join(dir, "tokenizer_config.json");
    if (!path) return ol_fail(err, OLV_NOMEM, "out of memory");
    json_t *j = NULL;
    olv_status s = ol_json_read_file(path, MAX_JSON, &j, err);
    ol_free(path);
    OL_TRY(s);
    json_object_set_new(j, "model_max_length", json_integer(w->context));
    char *text = json_dumps(j, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
    json_decref(j);
    if (!text) return ol_fail(err, OLV_NOMEM, "out of memory");
    s = ol_output_file(o, "tokenizer_config.json", text, strlen(text), err);
    free(text);
    return s;
}

static olv_status copy_companions(ol_og_writer *w, ol_output *o, const ol_ortgenai_info *info, olv_error *err) {
    static const char *const names[] = {"tokenizer.json", "special_tokens_map.json", "added_tokens.json", "vocab.json",
                                        "merges.txt", "tokenizer.model", "vocab.txt", "chat_template.jinja",
                                        "generation_config.json"};
    const char *dir = info->source_folder;
    for (size_t i = 0; dir && i < sizeof names / sizeof names[0]; i++)
        if (has_file(dir, names[i])) OL_TRY(ol_output_copy(o, dir, names[i], err));
    if (dir && has_file(dir, "tokenizer_config.json")) OL_TRY(copy_tokenizer_config(w, o, dir, err));
    if (info->chat_template && !(dir && has_file(dir, "chat_template.jinja")))
        OL_TRY(ol_output_file(o, "chat_template.jinja", info->chat_template, strlen(info->chat_template), err));
    return OLV_OK;
}

static olv_status write_small_files(ol_og_writer *w, ol_output *o, const ol_ortgenai_info *info, olv_error *err) {
    ol_buf b = {.max = (size_t)2 << 30};
    if (!ol_og_finish(&w->m, &b)) {
        ol_buf_deinit(&b);
        return ol_fail(err, OLV_NOMEM, "out of memory");
    }
    olv_status s = ol_output_file(o, "model.onnx", b.data, b.len, err);
    ol_buf_clear(&b);
    if (s == OLV_OK) s = ol_og_config(w, info, &b, err);
    if (s == OLV_OK) s = ol_output_file(o, "genai_config.json", b.data, b.len, err);
    ol_buf_clear(&b);
    if (s == OLV_OK) s = copy_companions(w, o, info, err);
    if (s == OLV_OK && w->opt->manifest) s = w->opt->manifest(w->opt->manifest_ctx, o->part, &b, err);
    if (s == OLV_OK && w->opt->manifest)
        s = b.failed ? ol_fail(err, OLV_NOMEM, "out of memory") : ol_output_file(o, "olivine.json", b.data, b.len, err);
    ol_buf_deinit(&b);
    return s;
}

static olv_status write_folder(ol_og_writer *w, const ol_ortgenai_info *info, const char *out_dir,
                               ol_ortgenai_progress *progress, void *ctx, olv_error *err) {
    ol_output o;
    const char *key = w->opt->key ? w->opt->key : "ort-genai";
    olv_status s = ol_output_begin(&o, out_dir, key, w->opt->force, w->opt->fresh, w->d.size + SLACK,
                                   ol_og_data_layout(&w->d), err);
    if (s == OLV_OK) s = ol_og_data_write(&w->d, &o, w->opt, progress, ctx, err);
    if (s == OLV_OK) s = write_small_files(w, &o, info, err);
    if (s == OLV_OK) s = ol_output_finish(&o, err);
    ol_output_close(&o);
    return s;
}

olv_status ol_ortgenai_write(ol_graph *g, const ol_ortgenai_info *info, const ol_ortgenai_options *opt,
                             const char *out_dir, ol_ortgenai_progress *progress, void *ctx, olv_error *err) {
    olv_error local = {OLV_OK, ""};
    ol_og_writer *w = ol_calloc(1, sizeof *w);
    if (!w) return ol_fail(err, OLV_NOMEM, "out of memory");
    w->g = g;
    w->opt = opt;
    w->io = opt->target == OL_ORTGENAI_CPU ? OL_F32 : OL_F16;
    w->err = &local;
    w->arena = ol_arena_create();
    size_t n = (size_t)(g->n_values ? g->n_values : 1);
    w->names = ol_calloc(n, sizeof(*w->names));
    w->weights = ol_calloc(n, sizeof(*w->weights));
    w->covered = ol_calloc((size_t)(g->n_nodes ? g->n_nodes : 1), sizeof *w->covered);
    olv_status s = w->arena && w->names && w->weights && w->covered ? lower(w) : ol_fail(&local, OLV_NOMEM, "out of memory");
    if (s == OLV_OK) s = write_folder(w, info, out_dir, progress, ctx, &local);
    if (s != OLV_OK && err) *err = local;
    ol_og_data_deinit(&w->d);
    ol_og_deinit(&w->m);
    ol_free(w->names);
    ol_free(w->weights);
    ol_free(w->covered);
    if (w->arena) ol_arena_destroy(w->arena);
    ol_free(w);
    return s;
}
