/* SPDX-License-Identifier: Apache-2.0 */
#include "bundle/tokenizer_ir/document.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "base/map.h"
#include "base/wire/json_pull.h"
#include "text/tokenizer.h"

#define MAX_JSON (64u << 20)
#define MAX_ADDED 1000000u
#define MAX_IDS (1u << 26)

/* ---- packed lists ---- */

void ol_ti_names_deinit(ol_ti_names *n) {
    ol_buf_deinit(&n->text);
    ol_buf_deinit(&n->ends);
    n->count = 0;
}

void ol_ti_names_add(ol_ti_names *n, const char *s, size_t len) {
    ol_buf_append(&n->text, s, len);
    int32_t end = (int32_t)n->text.len;
    ol_buf_append(&n->ends, &end, sizeof end);
    n->count++;
}

static size_t end_at(const ol_ti_names *n, size_t i) {
    int32_t v;
    memcpy(&v, n->ends.data + i * sizeof v, sizeof v);
    return (size_t)v;
}

ol_str ol_ti_names_at(const ol_ti_names *n, size_t i) {
    size_t from = i ? end_at(n, i - 1) : 0;
    return (ol_str){n->text.data + from, end_at(n, i) - from};
}

bool ol_ti_names_failed(const ol_ti_names *n) {
    return n->text.failed || n->ends.failed;
}

/* ---- members ---- */

const char *ol_ti_text(const json_t *obj, const char *key, const char *def) {
    const char *s = json_string_value(json_object_get(obj, key));
    return s ? s : def;
}

bool ol_ti_flag(const json_t *obj, const char *key, bool def) {
    const json_t *v = json_object_get(obj, key);
    return json_is_boolean(v) ? json_is_true(v) : def;
}

const char *ol_ti_special(const ol_ti_document *d, const char *key) {
    const json_t *v = json_object_get(d->config, key);
    return json_is_object(v) ? ol_ti_text(v, "content", NULL) : json_string_value(v);
}

/* ---- tokenizer.json ---- */

/* A name on its way to its place by id. */
typedef struct raw_name {
    size_t at, len; /* in reader.text */
    uint64_t id;
} raw_name;

typedef struct reader {
    ol_ti_document *d;
    ol_jp p;
    ol_buf text, names; /* names: raw_name */
    size_t n_names;
    uint64_t bound;
    olv_error *err;
} reader;

static olv_status unexpected(reader *r, ol_jp_event e, const char *what) {
    return e == OL_JP_ERROR ? OLV_FORMAT : ol_jp_fail(&r->p, "%s", what);
}

/* The value that begins with event e as a tree. */
static olv_status take_tree(reader *r, ol_jp_event e, json_t **out) {
    const char *from = r->p.ptr - 1;
    if (e == OL_JP_NULL) return OLV_OK;
    if (*out) return ol_jp_fail(&r->p, "a key comes twice");
    if (!ol_jp_skip(&r->p, e)) return OLV_FORMAT;
    return ol_json_parse(from, (size_t)(r->p.ptr - from), r->p.name, out, r->err);
}

static olv_status put_name(reader *r, size_t at, uint64_t id) {
    if (id >= MAX_IDS) return ol_jp_fail(&r->p, "vocab: id %llu, expected below %u", (unsigned long long)id, MAX_IDS);
    raw_name n = {at, r->text.len - at, id};
    ol_buf_append(&r->names, &n, sizeof n);
    r->n_names++;
    if (id >= r->bound) r->bound = id + 1;
    return OLV_OK;
}

static olv_status vocab_object(reader *r) {
    ol_jp_event e;
    while ((e = ol_jp_next(&r->p)) == OL_JP_KEY) {
        uint64_t id;
        size_t at = r->text.len;
        ol_jp_unescape(&r->p, &r->text);
        e = ol_jp_next(&r->p);
        if (e != OL_JP_NUMBER || !ol_jp_u64(&r->p, &id)) return unexpected(r, e, "vocab: a token id is expected");
        OL_TRY(put_name(r, at, id));
    }
    return e == OL_JP_OBJECT_END ? OLV_OK : unexpected(r, e, "vocab: a token is expected");
}

static olv_status vocab_array(reader *r) {
    ol_jp_event e;
    while ((e = ol_jp_next(&r->p)) == OL_JP_ARRAY) {
        double score;
        size_t at = r->text.len;
        if ((e = ol_jp_next(&r->p)) != OL_JP_STRING) return unexpected(r, e, "vocab: [token, score] is expected");
        ol_jp_unescape(&r->p, &r->text);
        e = ol_jp_next(&r->p);
        if (e != OL_JP_NUMBER || !ol_jp_f64(&r->p, &score)) return unexpected(r, e, "vocab: a score is expected");
        ol_buf_append(&r->d->scores, &score, sizeof score);
        if ((e = ol_jp_next(&r->p)) != OL_JP_ARRAY_END) return unexpected(r, e, "vocab: ] is expected");
        OL_TRY(put_name(r, at, r->n_names));
    }
    return e == OL_JP_ARRAY_END ? OLV_OK : unexpected(r, e, "vocab: [token, score] is expected");
}

static olv_status take_vocab(reader *r) {
    if (r->n_names) return ol_jp_fail(&r->p, "vocab comes twice");
    ol_jp_event e = ol_jp_next(&r->p);
    if (e == OL_JP_OBJECT) return vocab_object(r);
    return e == OL_JP_ARRAY ? vocab_array(r) : unexpected(r, e, "vocab: an object or an array is expected");
}

/* "left right" or ["left", "right"]. */
static olv_status take_merge(reader *r, ol_jp_event e) {
    ol_ti_document *d = r->d;
    ol_buf b = OL_BUF_INIT;
    if (e == OL_JP_STRING) {
        ol_jp_unescape(&r->p, &b);
        if (b.failed) return ol_fail(r->err, OLV_NOMEM, "out of memory");
        const char *space = b.len > 1 ? memchr(b.data + 1, ' ', b.len - 1) : NULL;
        if (space) {
            ol_ti_names_add(&d->left, b.data, (size_t)(space - b.data));
            ol_ti_names_add(&d->right, space + 1, (size_t)(b.data + b.len - space - 1));
        }
        ol_buf_deinit(&b);
        return space ? OLV_OK : ol_jp_fail(&r->p, "merges: two names with a space between are expected");
    }
    ol_ti_names *sides[] = {&d->left, &d->right};
    for (int i = 0; i < 2 && e != OL_JP_ERROR; i++) {
        if ((e = ol_jp_next(&r->p)) != OL_JP_STRING) break;
        ol_jp_unescape(&r->p, &b);
        ol_ti_names_add(sides[i], b.data ? b.data : "", b.len);
        ol_buf_clear(&b);
    }
    ol_buf_deinit(&b);
    if (e == OL_JP_STRING && (e = ol_jp_next(&r->p)) == OL_JP_ARRAY_END) return OLV_OK;
    return unexpected(r, e, "merges: a pair of names is expected");
}

static olv_status take_merges(reader *r) {
    ol_jp_event e = ol_jp_next(&r->p);
    if (e == OL_JP_NULL) return OLV_OK;
    if (e != OL_JP_ARRAY) return unexpected(r, e, "merges: an array is expected");
    while ((e = ol_jp_next(&r->p)) == OL_JP_STRING || e == OL_JP_ARRAY) OL_TRY(take_merge(r, e));
    return e == OL_JP_ARRAY_END ? OLV_OK : unexpected(r, e, "merges: a pair of names is expected");
}

/* A small member of the model as a JSON value. */
static json_t *small_value(reader *r, ol_jp_event e) {
    double v = 0;
    int64_t i;
    if (e == OL_JP_TRUE || e == OL_JP_FALSE) return json_boolean(e == OL_JP_TRUE);
    if (e == OL_JP_NUMBER) return ol_jp_i64(&r->p, &i) ? json_integer(i) : ol_jp_f64(&r->p, &v) ? json_real(v) : json_null();
    if (e != OL_JP_STRING) return json_null();
    ol_buf b = OL_BUF_INIT;
    ol_jp_unescape(&r->p, &b);
    json_t *s = json_stringn(b.data ? b.data : "", b.len);
    ol_buf_deinit(&b);
    return s;
}

static olv_status take_model(reader *r) {
    ol_jp_event e = ol_jp_next(&r->p);
    if (e != OL_JP_OBJECT || r->d->model) return unexpected(r, e, "model: one object is expected");
    if (!(r->d->model = json_object())) return ol_fail(r->err, OLV_NOMEM, "out of memory");
    while ((e = ol_jp_next(&r->p)) == OL_JP_KEY) {
        ol_str key = r->p.text;
        char name[64];
        if (ol_str_is(key, "vocab")) {
            OL_TRY(take_vocab(r));
        } else if (ol_str_is(key, "merges")) {
            OL_TRY(take_merges(r));
        } else {
            size_t n = key.len < sizeof name ? key.len : sizeof name - 1;
            memcpy(name, key.ptr, n);
            name[n] = 0;
            e = ol_jp_next(&r->p);
            if (e == OL_JP_OBJECT || e == OL_JP_ARRAY) {
                if (!ol_jp_skip(&r->p, e)) return OLV_FORMAT;
            } else if (e == OL_JP_ERROR) {
                return OLV_FORMAT;
            } else if (json_object_set_new(r->d->model, name, small_value(r, e)) != 0) {
                return ol_jp_fail(&r->p, "model: the value of \"%s\" cannot be read", name);
            }
        }
    }
    return e == OL_JP_OBJECT_END ? OLV_OK : unexpected(r, e, "model: a key is expected");
}

static olv_status read_top(reader *r) {
    ol_ti_document *d = r->d;
    const struct {
        const char *key;
        json_t **tree;
    } trees[] = {{"normalizer", &d->normalizer},         {"pre_tokenizer", &d->pretokenizer},
                 {"post_processor", &d->postprocessor}, {"decoder", &d->decoder},
                 {"added_tokens", &d->added_tokens},     {"truncation", &d->truncation},
                 {"padding", &d->padding}};
    ol_jp_event e = ol_jp_next(&r->p);
    if (e != OL_JP_OBJECT) return unexpected(r, e, "an object is expected");
    while ((e = ol_jp_next(&r->p)) == OL_JP_KEY) {
        ol_str key = r->p.text;
        size_t i = 0, n = sizeof trees / sizeof *trees;
        if (ol_str_is(key, "model")) {
            OL_TRY(take_model(r));
            continue;
        }
        while (i < n && !ol_str_is(key, trees[i].key)) i++;
        e = ol_jp_next(&r->p);
        if (i == n ? !ol_jp_skip(&r->p, e) : take_tree(r, e, trees[i].tree) != OLV_OK) return OLV_FORMAT;
    }
    if (e != OL_JP_OBJECT_END) return unexpected(r, e, "a key is expected");
    return d->model ? OLV_OK : ol_fail(r->err, OLV_FORMAT, "%s: no \"model\"", r->p.name);
}

/* ---- settling ---- */

static bool mentions(const json_t *step, const char *type) {
    if (strcmp(ol_ti_text(step, "type", ""), type) == 0) return true;
    static const char *const lists[] = {"normalizers", "pretokenizers"};
    for (size_t k = 0; k < sizeof lists / sizeof *lists; k++) {
        size_t i;
        const json_t *item;
        json_array_foreach(json_object_get(step, lists[k]), i, item)
            if (mentions(item, type)) return true;
    }
    return false;
}

/* Appends the bytes that a byte-level name stands for, or the name itself when it is none (as the ByteLevel decoder
 * does). */
static void append_bytes(ol_buf *out, ol_str name) {
    size_t begin = out->len;
    for (size_t i = 0; i < name.len;) {
        int32_t cp;
        int n = ol_utf8_decode(name.ptr + i, name.len - i, &cp), byte = cp < 0 ? -1 : ol_tk_char_byte(cp);
        if (byte < 0) {
            out->len = begin;
            ol_buf_append(out, name.ptr, name.len);
            return;
        }
        ol_buf_putc(out, (char)byte);
        i += (size_t)n;
    }
}

static void put_bytes(ol_ti_names *to, ol_str name) {
    ol_buf b = OL_BUF_INIT;
    append_bytes(&b, name);
    ol_ti_names_add(to, b.data ? b.data : "", b.len);
    to->text.failed = to->text.failed || b.failed;
    ol_buf_deinit(&b);
}

/* Names of byte-level text become bytes. */
static void unmap(ol_ti_names *n) {
    ol_ti_names to = {OL_BUF_INIT, OL_BUF_INIT, 0};
    for (size_t i = 0; i < n->count; i++) put_bytes(&to, ol_ti_names_at(n, i));
    ol_ti_names_deinit(n);
    *n = to;
}

static const ol_ti_added *added_of(const ol_ti_document *d, size_t id) {
    for (size_t i = 0; i < d->n_added; i++)
        if (d->added[i].id == (int64_t)id) return &d->added[i];
    return NULL;
}

/* The vocabulary by id. An added token's text counts more than the name that the vocabulary has there. */
static olv_status settle_vocab(reader *r) {
    ol_ti_document *d = r->d;
    const raw_name *raw = (const raw_name *)(const void *)r->names.data;
    uint64_t bound = r->bound;
    for (size_t i = 0; i < d->n_added; i++)
        if ((uint64_t)d->added[i].id >= bound) bound = (uint64_t)d->added[i].id + 1;
    uint32_t *by_id = ol_calloc((size_t)bound + 1, sizeof *by_id); /* 1 + index of the name; high bit: added */
    if (!by_id || r->names.failed || r->text.failed) {
        ol_free(by_id);
        return ol_fail(r->err, OLV_NOMEM, "out of memory");
    }
    for (size_t i = 0; i < r->n_names; i++) by_id[raw[i].id] = (uint32_t)i + 1;
    for (size_t i = 0; i < d->n_added; i++) by_id[d->added[i].id] = (uint32_t)i + 1 + (1u << 31);
    for (size_t id = 0; id < bound; id++) {
        uint32_t k = by_id[id];
        ol_str name = {"", 0};
        if (k >> 31)
            name = d->added[k - 1 - (1u << 31)].content;
        else if (k)
            name = (ol_str){r->text.data + raw[k - 1].at, raw[k - 1].len};
        if (d->byte_level)
            put_bytes(&d->vocab, name);
        else
            ol_ti_names_add(&d->vocab, name.ptr, name.len);
    }
    ol_free(by_id);
    return OLV_OK;
}

static olv_status index_names(const reader *r, ol_map *m) {
    const raw_name *raw = (const raw_name *)(const void *)r->names.data;
    if (!ol_map_reserve(m, r->n_names)) return ol_fail(r->err, OLV_NOMEM, "out of memory");
    for (size_t i = 0; i < r->n_names; i++)
        if (ol_map_put(m, (ol_str){r->text.data + raw[i].at, raw[i].len}, raw[i].id) < 0)
            return ol_fail(r->err, OLV_NOMEM, "out of memory");
    return OLV_OK;
}

/* The list of added tokens. As Hugging Face has it, an id is that which the vocabulary (or an equal token before) gives to
 * the text, else the next behind the vocabulary; the one in the file does not count. */
static olv_status read_added(reader *r, ol_map *vocab) {
    ol_ti_document *d = r->d;
    size_t n = json_array_size(d->added_tokens), i;
    uint64_t next = r->d->scores.len ? r->n_names : vocab->count; /* a list counts equal names apart */
    const json_t *item;
    if (n > MAX_ADDED) return ol_fail(r->err, OLV_LIMIT, "%s: %zu added tokens, expected at most %u", r->p.name, n, MAX_ADDED);
    d->added = ol_calloc(n + 1, sizeof *d->added);
    if (!d->added) return ol_fail(r->err, OLV_NOMEM, "out of memory");
    json_array_foreach(d->added_tokens, i, item) {
        const json_t *text = json_object_get(item, "content");
        if (!json_is_string(text)) return ol_fail(r->err, OLV_FORMAT, "%s: added_tokens[%zu]: \"content\" is expected", r->p.name, i);
        ol_str content = {json_string_value(text), json_string_length(text)};
        if (content.len == 0) continue;
        const uint64_t *known = ol_map_get(vocab, content);
        uint64_t id = known ? *known : next++;
        if (!known && ol_map_put(vocab, content, id) < 0) return ol_fail(r->err, OLV_NOMEM, "out of memory");
        d->added[d->n_added++] = (ol_ti_added){.content = content,
                                               .id = (int64_t)id,
                                               .single_word = ol_ti_flag(item, "single_word", false),
                                               .lstrip = ol_ti_flag(item, "lstrip", false),
                                               .rstrip = ol_ti_flag(item, "rstrip", false),
                                               .special = ol_ti_flag(item, "special", false)};
    }
    return OLV_OK;
}

static olv_status settle_added(reader *r) {
    ol_map vocab;
    ol_map_init(&vocab);
    olv_status s = json_array_size(r->d->added_tokens) ? index_names(r, &vocab) : OLV_OK;
    if (s == OLV_OK) s = read_added(r, &vocab);
    ol_map_deinit(&vocab);
    return s;
}

static olv_status settle(reader *r) {
    ol_ti_document *d = r->d;
    d->byte_level = mentions(d->pretokenizer, "ByteLevel") || mentions(d->normalizer, "ByteLevel");
    OL_TRY(settle_added(r));
    OL_TRY(settle_vocab(r));
    if (d->byte_level) {
        unmap(&d->left);
        unmap(&d->right);
    }
    if (ol_ti_names_failed(&d->vocab) || ol_ti_names_failed(&d->left) || ol_ti_names_failed(&d->right) || d->scores.failed)
        return ol_fail(r->err, OLV_NOMEM, "%s: out of memory for the vocabulary", r->p.name);
    return OLV_OK;
}

int64_t ol_ti_id(const ol_ti_document *d, const char *name, size_t len) {
    for (size_t i = 0; i < d->n_added; i++)
        if (ol_str_eq(d->added[i].content, (ol_str){name, len})) return d->added[i].id;
    for (size_t i = 0; i < d->vocab.count; i++)
        if (ol_str_eq(ol_ti_names_at(&d->vocab, i), (ol_str){name, len}) && !added_of(d, i)) return (int64_t)i;
    return -1;
}

/* ---- the folder ---- */

static olv_status read_beside(const char *folder, const char *name, json_t **out, olv_error *err) {
    char *path = ol_path_join(folder, name);
    if (!path) return ol_fail(err, OLV_NOMEM, "out of memory");
    olv_status s = OLV_OK;
    if (ol_file_exists(path)) s = ol_json_read_file(path, MAX_JSON, out, err);
    if (s == OLV_OK && !*out && !(*out = json_object())) s = ol_fail(err, OLV_NOMEM, "out of memory");
    ol_free(path);
    return s;
}

static olv_status read_template(ol_ti_document *d, const char *folder, olv_error *err) {
    char *path = ol_path_join(folder, "chat_template.jinja");
    if (!path) return ol_fail(err, OLV_NOMEM, "out of memory");
    olv_status s = OLV_OK;
    size_t n;
    if (ol_file_exists(path)) s = ol_file_read(path, MAX_JSON, &d->chat_template, &n, err);
    ol_free(path);
    const char *inside = ol_ti_text(d->config, "chat_template", NULL);
    if (s != OLV_OK || d->chat_template || !inside) return s;
    d->chat_template = ol_alloc(strlen(inside) + 1);
    if (!d->chat_template) return ol_fail(err, OLV_NOMEM, "out of memory");
    memcpy(d->chat_template, inside, strlen(inside) + 1);
    return OLV_OK;
}

static olv_status read_companions(ol_ti_document *d, const char *folder, olv_error *err) {
    json_t *model = NULL;
    OL_TRY(read_beside(folder, "tokenizer_config.json", &d->config, err));
    OL_TRY(read_beside(folder, "generation_config.json", &d->generation, err));
    OL_TRY(read_beside(folder, "config.json", &model, err));
    const char *arch = json_string_value(json_array_get(json_object_get(model, "architectures"), 0));
    d->causal = arch && ol_str_ends(ol_str_of(arch), "ForCausalLM");
    json_decref(model);
    return read_template(d, folder, err);
}

olv_status ol_ti_document_read(ol_ti_document *d, const char *folder, olv_error *err) {
    olv_error own = {0};
    ol_file *f = NULL;
    memset(d, 0, sizeof *d);
    OL_TRY(ol_file_open_in(folder, "tokenizer.json", &f, err));
    reader *r = ol_calloc(1, sizeof *r);
    olv_status s = OLV_NOMEM;
    if (r) {
        r->d = d;
        r->err = err ? err : &own;
        ol_jp_init(&r->p, f->data ? (const char *)f->data : "", (size_t)f->size, f->path, r->err);
        s = read_top(r);
        if (s == OLV_OK) s = settle(r);
        ol_buf_deinit(&r->text);
        ol_buf_deinit(&r->names);
    } else {
        ol_fail(err, OLV_NOMEM, "out of memory");
    }
    ol_free(r);
    ol_file_release(f);
    return s == OLV_OK ? read_companions(d, folder, err) : s;
}

void ol_ti_document_deinit(ol_ti_document *d) {
    json_t *trees[] = {d->normalizer, d->pretokenizer, d->postprocessor, d->decoder, d->added_tokens,
                       d->truncation, d->padding,      d->model,         d->config,  d->generation};
    for (size_t i = 0; i < sizeof trees / sizeof *trees; i++) json_decref(trees[i]);
    ol_ti_names_deinit(&d->vocab);
    ol_ti_names_deinit(&d->left);
    ol_ti_names_deinit(&d->right);
    ol_buf_deinit(&d->scores);
    ol_free(d->chat_template);
    ol_free(d->added);
}
