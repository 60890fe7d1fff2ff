/* SPDX-License-Identifier: Apache-2.0 */
/* OpenVINO's tokenizer models (openvino_tokenizer.xml, with openvino_detokenizer.xml beside it): graphs of operations of
 * openvino_tokenizers, read back as the tokenizer.json that they say. */
#include "text/tokenizer.h"
#include "text/tokenizer/openvino_read.h"
#include "text/tokenizer/state.h"

#include "base/alloc.h"
#include "base/error.h"

#define IDS_MODEL "openvino_tokenizer.xml"
#define TEXT_MODEL "openvino_detokenizer.xml"

static olv_status no_memory(ol_tk_ir_reader *r) {
    return ol_fail(r->err, OLV_NOMEM, "out of memory");
}

/* ---- vocabulary ---- */

static olv_status find_model(ol_tk_ir_reader *r) {
    static const char *const kinds[] = {"BPETokenizer", "WordpieceTokenizer", "UnigramTokenizer", "VocabEncoder"};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds && !r->model; i++) r->model = ol_tk_ir_find(&r->ids, kinds[i]);
    if (r->model) return OLV_OK;
    return ol_fail(r->err, OLV_UNSUPPORTED, "%s: no BPETokenizer, WordpieceTokenizer, UnigramTokenizer or VocabEncoder", r->ids.path);
}

/* Names by id; in a WordLevel model the ids stand beside them. */
static olv_status read_names(ol_tk_ir_reader *r) {
    bool words = strcmp(r->model->type, "VocabEncoder") == 0;
    OL_TRY(ol_tk_ir_strings(&r->ids, r->model, words ? 3 : 5, &r->names, &r->n_names));
    if (!words) return OLV_OK;
    int32_t *ids;
    size_t n;
    ol_str *by_id = ol_arena_calloc(r->ids.arena, r->n_names + 1, sizeof *by_id);
    OL_TRY(ol_tk_ir_ints(&r->ids, r->model, 6, &ids, &n));
    if (!by_id) return no_memory(r);
    for (size_t i = 0; i < r->n_names; i++) {
        if (n != r->n_names || ids[i] < 0 || (size_t)ids[i] >= n)
            return ol_fail(r->err, OLV_UNSUPPORTED, "%s: VocabEncoder: ids from 0 to %zu are expected", r->ids.path, r->n_names);
        by_id[ids[i]] = r->names[i];
    }
    r->names = by_id;
    return OLV_OK;
}

/* BPE: names that the operation has no use for may be left out of it, and stand in the detokenizer only. */
static olv_status complete_names(ol_tk_ir_reader *r) {
    const ol_tk_ir_layer *shows = r->has_text ? ol_tk_ir_find(&r->text, "VocabDecoder") : NULL;
    ol_str *shown;
    size_t n;
    if (!shows || strcmp(r->model->type, "BPETokenizer") != 0) return OLV_OK;
    OL_TRY(ol_tk_ir_strings(&r->text, shows, 1, &shown, &n));
    for (size_t i = 0; i < n && i < r->n_names; i++)
        if (r->names[i].len == 0) r->names[i] = shown[i];
    return OLV_OK;
}

/* Byte-level names are bytes: some are no UTF-8, or have spaces and control characters that text of characters does not
 * come with. */
static bool names_are_bytes(const ol_tk_ir_reader *r) {
    if (strcmp(r->model->type, "BPETokenizer") != 0 || ol_tk_ir_flag(r->model, "byte_fallback")) return false;
    if (ol_tk_ir_find(&r->ids, "BytesToChars")) return false;
    for (size_t i = 0; i < r->n_names; i++) {
        ol_str s = r->names[i];
        if (!ol_utf8_valid(s.ptr, s.len) || (s.len == 1 && (unsigned char)s.ptr[0] <= ' ')) return true;
    }
    return false;
}

static olv_status index_names(ol_tk_ir_reader *r) {
    for (size_t i = 0; i < r->n_names; i++)
        if (r->names[i].len && ol_map_put(&r->by_name, r->names[i], i) < 0) return no_memory(r);
    if (strcmp(r->model->type, "BPETokenizer") != 0 || (r->model->n_in != 18 && r->model->n_in != 15)) return OLV_OK;
    ol_str *added;
    int32_t *ids;
    size_t n, n_ids;
    OL_TRY(ol_tk_ir_strings(&r->ids, r->model, r->model->n_in - 4, &added, &n));
    OL_TRY(ol_tk_ir_ints(&r->ids, r->model, r->model->n_in - 1, &ids, &n_ids));
    if (n != n_ids) return ol_fail(r->err, OLV_FORMAT, "%s: BPETokenizer: %zu added tokens and %zu ids", r->ids.path, n, n_ids);
    for (size_t i = 0; i < n; i++) {
        if (ids[i] < 0) return ol_fail(r->err, OLV_FORMAT, "%s: BPETokenizer: id %d of an added token", r->ids.path, (int)ids[i]);
        if (ol_map_put(&r->by_name, added[i], (uint64_t)ids[i]) < 0) return no_memory(r);
        if ((size_t)ids[i] < r->n_names && r->names[ids[i]].len == 0) r->names[ids[i]] = added[i];
    }
    return OLV_OK;
}

/* The two sides of the merges: two lists, or one of "left right" with right NULL. */
static olv_status read_merges(ol_tk_ir_reader *r) {
    bool pairs = r->model->n_in == 14 || r->model->n_in == 18;
    size_t n;
    OL_TRY(ol_tk_ir_strings(&r->ids, r->model, 8, &r->left, &r->n_merges));
    if (!pairs) return OLV_OK;
    OL_TRY(ol_tk_ir_strings(&r->ids, r->model, 11, &r->right, &n));
    if (n == r->n_merges) return OLV_OK;
    return ol_fail(r->err, OLV_FORMAT, "%s: BPETokenizer: merges with %zu left and %zu right sides", r->ids.path, r->n_merges, n);
}

static bool is_added(const ol_tk_ir_reader *r, ol_str name) {
    for (size_t i = 0; i < r->n_added; i++)
        if (ol_str_eq(r->added[i].content, name)) return true;
    return false;
}

/* Puts what the merges make into a map over text. */
static bool index_made(const ol_tk_ir_reader *r, ol_buf *text, ol_map *made) {
    size_t total = 1;
    for (size_t i = 0; i < r->n_merges; i++) total += r->left[i].len + r->right[i].len;
    if (!ol_buf_reserve(text, total) || !ol_map_reserve(made, r->n_merges)) return false;
    for (size_t i = 0; i < r->n_merges; i++) {
        size_t at = text->len;
        ol_buf_append(text, r->left[i].ptr, r->left[i].len);
        ol_buf_append(text, r->right[i].ptr, r->right[i].len);
        if (ol_map_put(made, (ol_str){text->data + at, text->len - at}, i) < 0) return false;
    }
    return true;
}

/* A byte-level name that no merge makes can only be a whole piece: the model takes such before it merges. */
static olv_status find_whole_pieces(ol_tk_ir_reader *r) {
    ol_buf text = OL_BUF_INIT;
    ol_map made;
    if (!r->bytes || !r->right) return OLV_OK;
    ol_map_init(&made);
    bool good = index_made(r, &text, &made);
    for (size_t i = 0; good && i < r->n_names && !r->whole_pieces; i++) {
        ol_str s = r->names[i];
        r->whole_pieces = s.len > 1 && !ol_map_get(&made, s) && !is_added(r, s);
    }
    ol_map_deinit(&made);
    ol_buf_deinit(&text);
    return good ? OLV_OK : no_memory(r);
}

/* ---- the document ---- */

/* A name as tokenizer.json has it: bytes as the characters that stand for them. */
static void put_name(const ol_tk_ir_reader *r, ol_buf *out, ol_str s) {
    if (!r->bytes) {
        ol_buf_json_string(out, s.ptr, s.len);
        return;
    }
    ol_buf b = OL_BUF_INIT;
    for (size_t i = 0; i < s.len; i++) {
        char utf8[4];
        ol_buf_append(&b, utf8, (size_t)ol_utf8_encode(ol_tk_byte_char((uint8_t)s.ptr[i]), utf8));
    }
    ol_buf_json_string(out, b.data ? b.data : "", b.len);
    out->failed = out->failed || b.failed;
    ol_buf_deinit(&b);
}

static void put_text(ol_buf *out, const char *key, const char *text) {
    ol_buf_printf(out, ",\"%s\":", key);
    if (*text)
        ol_buf_json_string(out, text, strlen(text));
    else
        ol_buf_puts(out, "null");
}

static void put_flag(ol_buf *out, const char *key, bool v) {
    ol_buf_printf(out, ",\"%s\":%s", key, v ? "true" : "false");
}

/* {"name": id}; added tokens stand there under their own text. */
static void put_vocab(const ol_tk_ir_reader *r, ol_buf *out, const uint8_t *is_added) {
    bool any = false;
    ol_buf_puts(out, ",\"vocab\":{");
    for (size_t i = 0; i < r->n_names; i++) {
        if (r->names[i].len == 0 || is_added[i]) continue;
        if (any) ol_buf_putc(out, ',');
        put_name(r, out, r->names[i]);
        ol_buf_printf(out, ":%zu", i);
        any = true;
    }
    for (size_t i = 0; i < r->n_added; i++) {
        const uint64_t *id = ol_map_get(&r->by_name, r->added[i].content);
        if (!id) continue;
        if (any) ol_buf_putc(out, ',');
        ol_buf_json_string(out, r->added[i].content.ptr, r->added[i].content.len);
        ol_buf_printf(out, ":%llu", (unsigned long long)*id);
        any = true;
    }
    ol_buf_putc(out, '}');
}

static void put_merges(const ol_tk_ir_reader *r, ol_buf *out) {
    ol_buf_puts(out, ",\"merges\":[");
    for (size_t i = 0; i < r->n_merges; i++) {
        if (i) ol_buf_putc(out, ',');
        if (r->right) ol_buf_putc(out, '[');
        put_name(r, out, r->left[i]);
        if (!r->right) continue;
        ol_buf_putc(out, ',');
        put_name(r, out, r->right[i]);
        ol_buf_putc(out, ']');
    }
    ol_buf_putc(out, ']');
}

static void put_bpe(const ol_tk_ir_reader *r, ol_buf *out, const uint8_t *is_added) {
    ol_buf_puts(out, "\"type\":\"BPE\"");
    put_text(out, "unk_token", ol_tk_ir_attr(r->model, "unk_token"));
    put_text(out, "end_of_word_suffix", ol_tk_ir_attr(r->model, "end_suffix"));
    put_flag(out, "fuse_unk", ol_tk_ir_flag(r->model, "fuse_unk"));
    put_flag(out, "byte_fallback", ol_tk_ir_flag(r->model, "byte_fallback"));
    put_flag(out, "ignore_merges", r->whole_pieces);
    put_vocab(r, out, is_added);
    put_merges(r, out);
}

/* "unk_token" of the id that a model gives to what it does not know. */
static olv_status put_unknown(ol_tk_ir_reader *r, ol_buf *out, int input) {
    int32_t *id;
    size_t n;
    OL_TRY(ol_tk_ir_ints(&r->ids, r->model, input, &id, &n));
    ol_buf_puts(out, ",\"unk_token\":");
    if (n < 1 || *id < 0 || (size_t)*id >= r->n_names)
        ol_buf_puts(out, "\"\"");
    else
        put_name(r, out, r->names[*id]);
    return OLV_OK;
}

static olv_status put_words(ol_tk_ir_reader *r, ol_buf *out, const uint8_t *is_added) {
    bool pieces = strcmp(r->model->type, "WordpieceTokenizer") == 0;
    ol_buf_printf(out, "\"type\":\"%s\"", pieces ? "WordPiece" : "WordLevel");
    OL_TRY(put_unknown(r, out, pieces ? 8 : 7));
    if (pieces) {
        const char *max = ol_tk_ir_attr(r->model, "max_bytes_per_word");
        int64_t v = 100;
        if (!ol_xml_parse_int(max, strlen(max), &v) || v < 0) v = 100;
        put_text(out, "continuing_subword_prefix", ol_tk_ir_attr(r->model, "suffix_indicator"));
        ol_buf_printf(out, ",\"max_input_chars_per_word\":%lld", (long long)v);
    }
    put_vocab(r, out, is_added);
    return OLV_OK;
}

static olv_status put_unigram(ol_tk_ir_reader *r, ol_buf *out) {
    double *scores;
    size_t n;
    int64_t unk;
    const char *text = ol_tk_ir_attr(r->model, "unk_token_id");
    OL_TRY(ol_tk_ir_floats(&r->ids, r->model, 8, &scores, &n));
    if (n != r->n_names) return ol_fail(r->err, OLV_FORMAT, "%s: UnigramTokenizer: %zu names and %zu scores", r->ids.path, r->n_names, n);
    ol_buf_puts(out, "\"type\":\"Unigram\",\"unk_id\":");
    if (ol_xml_parse_int(text, strlen(text), &unk) && unk >= 0)
        ol_buf_printf(out, "%lld", (long long)unk);
    else
        ol_buf_puts(out, "null");
    put_flag(out, "byte_fallback", ol_tk_ir_flag(r->model, "byte_fallback"));
    ol_buf_puts(out, ",\"vocab\":[");
    for (size_t i = 0; i < n; i++) {
        ol_buf_puts(out, i ? ",[" : "[");
        ol_buf_json_string(out, r->names[i].ptr, r->names[i].len);
        ol_buf_printf(out, ",%.9g]", scores[i]);
    }
    ol_buf_putc(out, ']');
    return OLV_OK;
}

static olv_status put_model(ol_tk_ir_reader *r, ol_buf *out) {
    uint8_t *is_added = ol_arena_calloc(r->ids.arena, r->n_names + 1, 1);
    if (!is_added) return no_memory(r);
    for (size_t i = 0; i < r->n_added; i++) {
        const uint64_t *id = ol_map_get(&r->by_name, r->added[i].content);
        if (id && *id < r->n_names) is_added[*id] = 1;
    }
    ol_buf_puts(out, ",\"model\":{");
    if (strcmp(r->model->type, "BPETokenizer") == 0)
        put_bpe(r, out, is_added);
    else if (strcmp(r->model->type, "UnigramTokenizer") == 0)
        OL_TRY(put_unigram(r, out));
    else
        OL_TRY(put_words(r, out, is_added));
    ol_buf_putc(out, '}');
    return OLV_OK;
}

/* Ids that the detokenizer leaves out are those of special tokens. */
static olv_status put_added(ol_tk_ir_reader *r, ol_buf *out) {
    const ol_tk_ir_layer *shows = r->has_text ? ol_tk_ir_find(&r->text, "VocabDecoder") : NULL;
    int32_t *skipped = NULL;
    size_t n = 0;
    bool any = false;
    if (shows && shows->n_in > 4) OL_TRY(ol_tk_ir_ints(&r->text, shows, 4, &skipped, &n));
    ol_buf_puts(out, "\"added_tokens\":[");
    for (size_t i = 0; i < r->n_added; i++) {
        const ol_tk_ir_token *t = &r->added[i];
        const uint64_t *id = ol_map_get(&r->by_name, t->content);
        bool special = !shows;
        if (!id) continue;
        for (size_t k = 0; k < n && !special; k++) special = skipped[k] >= 0 && (uint64_t)skipped[k] == *id;
        ol_buf_printf(out, "%s{\"id\":%llu,\"content\":", any ? "," : "", (unsigned long long)*id);
        ol_buf_json_string(out, t->content.ptr, t->content.len);
        put_flag(out, "single_word", t->single_word);
        put_flag(out, "lstrip", t->lstrip);
        put_flag(out, "rstrip", t->rstrip);
        put_flag(out, "normalized", false);
        put_flag(out, "special", special);
        ol_buf_putc(out, '}');
        any = true;
    }
    ol_buf_putc(out, ']');
    return OLV_OK;
}

/* ---- post-processor ---- */

/* The tokens that CombineSegments puts around a text, as a template. */
static olv_status put_segments(ol_tk_ir_reader *r, const ol_tk_ir_layer *l, ol_buf *out) {
    ol_buf parts = OL_BUF_INIT, names = OL_BUF_INIT;
    olv_status s = OLV_OK;
    for (int i = 0; i + 2 < l->n_in && s == OLV_OK; i += 3) {
        const ol_tk_ir_layer *source;
        int32_t *ids, *end;
        size_t n, one;
        s = ol_tk_ir_source(&r->ids, l, i + 2, &source);
        if (s == OLV_OK && strcmp(source->type, "Const") != 0) {
            ol_tk_ir_step(&parts, "{\"Sequence\":{\"id\":\"A\",\"type_id\":0}}");
            continue;
        }
        if (s == OLV_OK) s = ol_tk_ir_ints(&r->ids, l, i + 1, &end, &one);
        if (s == OLV_OK) s = ol_tk_ir_ints(&r->ids, l, i + 2, &ids, &n);
        for (size_t k = 0; s == OLV_OK && k < n && one && k < (size_t)(end[0] > 0 ? end[0] : 0); k++) {
            ol_tk_ir_step(&parts, "{\"SpecialToken\":{\"id\":\"%d\",\"type_id\":0}}", (int)ids[k]);
            ol_tk_ir_step(&names, "\"%d\":{\"id\":\"%d\",\"ids\":[%d],\"tokens\":[\"%d\"]}", (int)ids[k], (int)ids[k], (int)ids[k], (int)ids[k]);
        }
    }
    if (s == OLV_OK && !parts.failed && !names.failed)
        ol_buf_printf(out,
                      "{\"type\":\"TemplateProcessing\",\"single\":[%s],\"pair\":[%s,{\"Sequence\":{\"id\":\"B\",\"type_id\":1}}],"
                      "\"special_tokens\":{%s}}",
                      parts.data, parts.data, names.data ? names.data : "");
    else if (s == OLV_OK)
        s = no_memory(r);
    ol_buf_deinit(&parts);
    ol_buf_deinit(&names);
    return s;
}

/* Converters keep the original, which also says what becomes of a pair. */
static olv_status put_postprocessor(ol_tk_ir_reader *r, ol_buf *out) {
    const char *original = ol_tk_ir_info(&r->ids, "original_post_processor_template");
    const ol_tk_ir_layer *l = ol_tk_ir_find(&r->ids, "CombineSegments");
    json_t *check = NULL;
    bool good = original && ol_json_parse(original, strlen(original), r->ids.path, &check, NULL) == OLV_OK &&
                json_is_string(json_object_get(check, "type"));
    json_decref(check);
    ol_buf_puts(out, ",\"post_processor\":");
    if (good) {
        ol_buf_puts(out, original);
        return OLV_OK;
    }
    if (l) return put_segments(r, l, out);
    ol_buf_puts(out, "null");
    return OLV_OK;
}

static void put_list(ol_buf *out, const char *key, const char *items, const ol_buf *list) {
    ol_buf_printf(out, ",\"%s\":", key);
    if (!list->len) {
        ol_buf_puts(out, "null");
        return;
    }
    ol_buf_printf(out, "{\"type\":\"Sequence\",\"%s\":[", items);
    ol_buf_append(out, list->data, list->len);
    ol_buf_puts(out, "]}");
    out->failed = out->failed || list->failed;
}

static olv_status put_document(ol_tk_ir_reader *r, ol_buf *out) {
    ol_buf_putc(out, '{');
    OL_TRY(put_added(r, out));
    put_list(out, "normalizer", "normalizers", &r->normalizers);
    put_list(out, "pre_tokenizer", "pretokenizers", &r->pretokenizers);
    OL_TRY(put_postprocessor(r, out));
    put_list(out, "decoder", "decoders", &r->decoders);
    OL_TRY(put_model(r, out));
    ol_buf_putc(out, '}');
    return out->failed ? no_memory(r) : OLV_OK;
}

/* ---- loading ---- */

/* From both models at hand to the parts of the document. */
static olv_status read_parts(ol_tk_ir_reader *r) {
    OL_TRY(find_model(r));
    OL_TRY(read_names(r));
    OL_TRY(ol_tk_ir_read_steps(r));
    OL_TRY(index_names(r));
    r->bytes = names_are_bytes(r);
    if (strcmp(r->model->type, "BPETokenizer") == 0) OL_TRY(read_merges(r));
    OL_TRY(find_whole_pieces(r));
    OL_TRY(complete_names(r));
    if (r->bytes || ol_tk_ir_find(&r->ids, "BytesToChars"))
        ol_tk_ir_step(&r->pretokenizers, "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true,\"use_regex\":false}");
    return ol_tk_ir_read_decoders(r);
}

static olv_status load(ol_tk_ir_reader *r, olv_tokenizer *t) {
    ol_buf document = OL_BUF_INIT;
    olv_status s = read_parts(r);
    if (s == OLV_OK) s = put_document(r, &document);
    if (s == OLV_OK) s = ol_tk_load_json(t, document.data, document.len, r->ids.path, r->err);
    ol_buf_deinit(&document);
    return s;
}

static void release(ol_tk_ir_reader *r) {
    ol_buf_deinit(&r->normalizers);
    ol_buf_deinit(&r->pretokenizers);
    ol_buf_deinit(&r->decoders);
    ol_map_deinit(&r->by_name);
    ol_tk_ir_close(&r->text);
    ol_tk_ir_close(&r->ids);
}

static olv_status open_models(ol_tk_ir_reader *r, const char *dir) {
    char *beside = ol_path_join(dir, TEXT_MODEL);
    if (!beside) return no_memory(r);
    r->has_text = ol_file_exists(beside);
    ol_free(beside);
    OL_TRY(ol_tk_ir_open(&r->ids, dir, IDS_MODEL, r->err));
    return r->has_text ? ol_tk_ir_open(&r->text, dir, TEXT_MODEL, r->err) : OLV_OK;
}

olv_status ol_tk_load_openvino(olv_tokenizer *t, const char *dir, olv_error *err) {
    olv_error own = {0};
    ol_tk_ir_reader r = {.err = err ? err : &own};
    ol_map_init(&r.by_name);
    olv_status s = open_models(&r, dir);
    if (s == OLV_OK) s = load(&r, t);
    release(&r);
    return s;
}

static olv_status parse_model(ol_tk_ir_net *n, ol_str xml, ol_str bin, const char *name, olv_error *err) {
    ol_file *data = NULL;
    OL_TRY(ol_file_of_bytes(bin.ptr, bin.len, name, &data, err));
    olv_status s = ol_tk_ir_parse(n, xml, data, name, err);
    ol_file_release(data);
    return s;
}

olv_status ol_tk_load_openvino_parts(olv_tokenizer *t, const ol_str parts[4], olv_error *err) {
    olv_error own = {0};
    ol_tk_ir_reader r = {.err = err ? err : &own, .has_text = parts[2].len != 0};
    ol_map_init(&r.by_name);
    olv_status s = parse_model(&r.ids, parts[0], parts[1], IDS_MODEL, r.err);
    if (s == OLV_OK && r.has_text) s = parse_model(&r.text, parts[2], parts[3], TEXT_MODEL, r.err);
    if (s == OLV_OK) s = load(&r, t);
    release(&r);
    return s;
}

olv_status ol_tokenizer_openvino_template(const char *dir, char **out, olv_error *err) {
    ol_tk_ir_net n;
    olv_status s = ol_tk_ir_open(&n, dir, IDS_MODEL, err);
    const char *text = s == OLV_OK ? ol_tk_ir_info(&n, "chat_template") : NULL;
    if (text && !(*out = ol_alloc(strlen(text) + 1)))
        s = ol_fail(err, OLV_NOMEM, "out of memory");
    else if (text)
        memcpy(*out, text, strlen(text) + 1);
    ol_tk_ir_close(&n);
    return s;
}
