/* SPDX-License-Identifier: Apache-2.0 */
/* Text to ids: the chain of steps, then offsets, truncation, post-processing and padding. */
#include "text/tokenizer/sentencepiece.h"
#include "text/tokenizer/state.h"
#include "text/tokenizer/unicode.h"

#include "base/alloc.h"
#include "base/checked.h"

#define MAX_TEXT (1u << 30)

void olv_encode_options_init(olv_encode_options *opt) {
    *opt = (olv_encode_options){.struct_size = sizeof *opt,
                                .add_special = true,
                                .parse_special = true,
                                .truncate = true,
                                .pad = true};
}

void olv_encoding_deinit(olv_encoding *e) {
    if (!e) return;
    ol_free(e->ids);
    ol_free(e->offsets);
    ol_free(e->type_ids);
    *e = (olv_encoding){0};
}

/* White space, or the byte-level space, at the ends of a token's name. */
static void count_spaces(ol_str s, ol_tk_token *t) {
    uint32_t n;
    for (size_t i = 0; i < s.len && t->lead < UINT16_MAX; i += n, t->lead++) {
        int32_t cp = ol_tk_char(s.ptr + i, s.len - i, &n);
        if (cp != 0x120 && !ol_uc_space(cp)) break;
    }
    for (size_t i = s.len; i > 0 && t->trail < UINT16_MAX; i -= n, t->trail++) {
        int32_t cp = ol_tk_last_char(s.ptr, i, &n);
        if (cp != 0x120 && !ol_uc_space(cp)) break;
    }
}

void ol_tk_emit(ol_tk_sink *s, const ol_tk_piece *p, uint32_t id, uint32_t from, uint32_t to,
                ol_str value) {
    ol_tk_tokens *o = &s->out;
    if (o->count == o->cap) {
        size_t cap = o->cap ? o->cap * 2 : 256;
        ol_tk_token *items = ol_realloc(o->items, cap * sizeof *items);
        if (!items) {
            s->nomem = true;
            return;
        }
        o->items = items;
        o->cap = cap;
    }
    ol_tk_token *t = &o->items[o->count++];
    *t = (ol_tk_token){.id = id};
    if (!s->want_offsets) return;
    if (from < to && to <= p->len) {
        t->start = ol_tk_piece_span(p, from).start;
        t->end = ol_tk_piece_span(p, to - 1).end;
    } else {
        t->start = t->end = p->origin + from;
    }
    if (s->want_trim) count_spaces(value.ptr ? value : ol_tk_vocab_name(&s->t->vocab, id), t);
}

/* Byte offsets to characters. An offset inside a character belongs to it; one at the end of the
 * text is one more than the last character's number. */
static olv_status to_chars(ol_tk_tokens *o, const char *text, size_t n, olv_error *err) {
    size_t k = 0;
    while (k < n && (unsigned char)text[k] < 0x80) k++;
    if (k == n) return OLV_OK;
    uint32_t *map = ol_alloc((n + 1) * sizeof *map), chars = 0;
    if (!map) return ol_fail(err, OLV_NOMEM, "out of memory");
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && ((unsigned char)text[i] & 0xC0) != 0x80) chars++;
        map[i] = chars;
    }
    map[n] = chars + 1;
    for (size_t i = 0; i < o->count; i++) {
        o->items[i].start = map[o->items[i].start];
        o->items[i].end = map[o->items[i].end];
    }
    ol_free(map);
    return OLV_OK;
}

static olv_status run_model(const olv_tokenizer *t, ol_tk_work *w, ol_tk_sink *sink,
                            olv_error *err) {
    for (size_t i = 0; i < w->cur.count; i++) {
        const ol_tk_piece *p = &w->cur.items[i];
        if (p->token != OL_TK_NO_TOKEN)
            ol_tk_emit(sink, p, (uint32_t)p->token, 0, p->len, (ol_str){p->text, p->len});
        else
            OL_TRY(t->model_kind->tokenize(t->model, sink, p, err));
        if (sink->nomem) return ol_fail(err, OLV_NOMEM, "out of memory");
    }
    return OLV_OK;
}

static olv_status run_steps(const olv_tokenizer *t, ol_tk_work *w, const char *text, size_t n,
                            bool parse_special, olv_error *err) {
    ol_tk_piece all = {text, (uint32_t)n, 0, NULL, OL_TK_NO_TOKEN};
    w->cur.count = 0;
    w->next.count = 0;
    if (!ol_tk_push(w, &all)) return ol_fail(err, OLV_NOMEM, "out of memory");
    ol_tk_pieces swap = w->cur;
    w->cur = w->next;
    w->next = swap;
    OL_TRY(ol_tk_added_extract(t, w, parse_special, err));
    for (size_t i = 0; i < t->pretokenizers.count; i++) {
        const ol_tk_pretokenizer_kind *k = t->pretokenizers.items[i].kind;
        OL_TRY(k->apply(t->pretokenizers.items[i].state, w, err));
        if (w->nomem) return ol_fail(err, OLV_NOMEM, "out of memory");
    }
    return OLV_OK;
}

/* One text to tokens with offsets in characters. */
static olv_status encode_one(const olv_tokenizer *t, const char *text, size_t n,
                             const olv_encode_options *opt, uint32_t type_id, ol_tk_tokens *out,
                             olv_error *err) {
    if (!text) text = "";
    if (n > MAX_TEXT)
        return ol_fail(err, OLV_LIMIT, "text of %zu bytes, at most %u are allowed", n, MAX_TEXT);
    if (!ol_utf8_valid(text, n)) return ol_fail(err, OLV_ARG, "the text is not valid UTF-8");
    ol_tk_work w;
    OL_TRY(ol_tk_work_init(&w, err));
    ol_tk_sink sink = {
        .t = t, .want_offsets = opt->want_offsets, .want_trim = opt->want_offsets && t->trims};
    sink.cache = ol_tk_cache_borrow(t);
    olv_status st;
    if (t->spm) {
        st = ol_tk_spm_encode(t->spm, &w, &sink, text, n, err);
    } else {
        st = run_steps(t, &w, text, n, opt->parse_special, err);
        if (st == OLV_OK) st = run_model(t, &w, &sink, err);
    }
    if (st == OLV_OK && sink.nomem) st = ol_fail(err, OLV_NOMEM, "out of memory");
    ol_tk_cache_return(t, sink.cache);
    ol_tk_work_deinit(&w);
    if (st == OLV_OK && opt->want_offsets) st = to_chars(&sink.out, text, n, err);
    if (st != OLV_OK) {
        ol_free(sink.out.items);
        return st;
    }
    for (size_t i = 0; i < sink.out.count; i++) sink.out.items[i].type_id = type_id;
    *out = sink.out;
    return OLV_OK;
}

/* Keeps n tokens of a part, those at the end if left. */
static void keep(ol_tk_part *p, size_t n, bool left) {
    if (n >= p->count) return;
    if (left) p->items += p->count - n;
    p->count = n;
}

static olv_status truncate_parts(const ol_tk_truncation *tr, ol_tk_parts *parts, size_t max,
                                 olv_error *err) {
    bool pair = parts->count == 2;
    size_t n1 = parts->items[0].count, n2 = pair ? parts->items[1].count : 0, total = n1 + n2;
    if (max > 0 && total <= max) return OLV_OK;
    if (max == 0 || (tr->strategy == 0 && !pair)) {
        keep(&parts->items[0], max, tr->left);
        if (pair) keep(&parts->items[1], max, tr->left);
        return OLV_OK;
    }
    if (tr->strategy != 0) {
        if (tr->strategy == 2 && !pair)
            return ol_fail(
                err, OLV_ARG,
                "the tokenizer truncates the second text of a pair, but there is one text only");
        ol_tk_part *p = &parts->items[tr->strategy == 2];
        if (p->count <= total - max)
            return ol_fail(
                err, OLV_ARG,
                "the text that is to be truncated is too short for the limit of %zu tokens", max);
        keep(p, p->count - (total - max), tr->left);
        return OLV_OK;
    }
    size_t shorter = n1 < n2 ? n1 : n2, a = shorter, b;
    b = a > max ? a : (a > max - a ? a : max - a);
    if (a + b > max) {
        a = max / 2;
        b = a + max % 2;
    }
    keep(&parts->items[0], n1 > n2 ? b : a, tr->left);
    keep(&parts->items[1], n1 > n2 ? a : b, tr->left);
    return OLV_OK;
}

static size_t added_by_template(const olv_tokenizer *t, bool pair) {
    size_t n = 0;
    for (size_t i = 0; i < t->postprocessors.count; i++) {
        const ol_tk_postprocessor_kind *k = t->postprocessors.items[i].kind;
        n += k->added(t->postprocessors.items[i].state, pair);
    }
    return n;
}

static olv_status post_process(const olv_tokenizer *t, ol_tk_parts *parts,
                               const olv_encode_options *opt, olv_error *err) {
    if (opt->truncate && t->truncation.on) {
        size_t max = t->truncation.max_length,
               n = opt->add_special ? added_by_template(t, parts->count == 2) : 0;
        /* A limit below the number of the template's own tokens is none, as upstream. */
        OL_TRY(truncate_parts(&t->truncation, parts, max >= n ? max - n : SIZE_MAX, err));
    }
    for (size_t i = 0; i < t->postprocessors.count; i++) {
        const ol_tk_postprocessor_kind *k = t->postprocessors.items[i].kind;
        OL_TRY(k->apply(t->postprocessors.items[i].state, parts, err));
    }
    return OLV_OK;
}

/* A fixed length is rounded up to the multiple; a text that is longer stays as it is. */
static size_t padded_length(const ol_tk_padding *p, size_t n) {
    size_t want = p->is_fixed ? p->fixed : n, sum;
    if (p->multiple && want % p->multiple &&
        ol_add_size(want, p->multiple - want % p->multiple, &sum))
        want = sum;
    return want > n ? want : n;
}

static olv_status assemble(const olv_tokenizer *t, const ol_tk_parts *parts,
                           const olv_encode_options *opt, olv_encoding *out, olv_error *err) {
    size_t n = 0;
    for (size_t i = 0; i < parts->count; i++) n += parts->items[i].count;
    bool pad = opt->pad && t->padding.on;
    size_t total = pad ? padded_length(&t->padding, n) : n;
    olv_encoding e = {.count = total, .padded = total - n, .padded_left = pad && t->padding.left};
    e.ids = ol_calloc(total + 1, sizeof *e.ids);
    if (opt->want_offsets) e.offsets = ol_calloc(total + 1, sizeof *e.offsets);
    if (opt->want_type_ids) e.type_ids = ol_calloc(total + 1, sizeof *e.type_ids);
    if (!e.ids || (opt->want_offsets && !e.offsets) || (opt->want_type_ids && !e.type_ids)) {
        olv_encoding_deinit(&e);
        return ol_fail(err, OLV_NOMEM, "out of memory");
    }
    size_t k = e.padded_left ? e.padded : 0;
    for (size_t i = e.padded_left ? 0 : n; i < (e.padded_left ? e.padded : total); i++) {
        e.ids[i] = t->padding.id;
        if (e.type_ids) e.type_ids[i] = t->padding.type_id;
    }
    for (size_t i = 0; i < parts->count; i++)
        for (size_t j = 0; j < parts->items[i].count; j++, k++) {
            const ol_tk_token *tk = &parts->items[i].items[j];
            e.ids[k] = tk->id;
            if (e.offsets) e.offsets[k] = (olv_span){tk->start, tk->end};
            if (e.type_ids) e.type_ids[k] = tk->type_id;
        }
    *out = e;
    return OLV_OK;
}

olv_status olv_tokenizer_encode(const olv_tokenizer *t, const char *text, size_t len,
                                const olv_encode_options *options, olv_encoding *out,
                                olv_error *err) {
    olv_encode_options opt;
    olv_encode_options_init(&opt);
    if (options) opt = *options;
    if (t->raw_bytes && !opt.add_special)
        opt.parse_special = false; /* what tiktoken calls ordinary text */
    ol_tk_tokens a = {0}, b = {0};
    OL_TRY(encode_one(t, text, len, &opt, 0, &a, err));
    olv_status st = OLV_OK;
    if (opt.pair) st = encode_one(t, opt.pair, opt.pair_len, &opt, 1, &b, err);
    ol_arena *arena = st == OLV_OK ? ol_arena_create() : NULL;
    ol_tk_parts *parts = arena ? ol_arena_alloc(arena, sizeof *parts) : NULL;
    if (st == OLV_OK && !parts) st = ol_fail(err, OLV_NOMEM, "out of memory");
    if (st == OLV_OK) {
        parts->arena = arena;
        parts->items[0] = (ol_tk_part){a.items, a.count};
        parts->items[1] = (ol_tk_part){b.items, b.count};
        parts->count = opt.pair ? 2 : 1;
        parts->add_special = opt.add_special;
        st = post_process(t, parts, &opt, err);
    }
    if (st == OLV_OK) st = assemble(t, parts, &opt, out, err);
    if (arena) ol_arena_destroy(arena);
    ol_free(a.items);
    ol_free(b.items);
    return st;
}
