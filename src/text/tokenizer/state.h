/* SPDX-License-Identifier: Apache-2.0 */
/* What an opened tokenizer consists of, and the interfaces of its kinds of pieces. A tokenizer is a
 * chain: added tokens are cut out, normalizers rewrite what is left, pre-tokenizers cut it, the
 * model turns pieces into ids, post-processors put special tokens around; decoders go the other
 * way. Sequences are flattened while loading. */
#ifndef OL_TEXT_TOKENIZER_STATE_H
#define OL_TEXT_TOKENIZER_STATE_H

#include "base/json.h"
#include "base/map.h"
#include "text/tokenizer/pieces.h"
#include "text/tokenizer/regex.h"
#include "text/tokenizer/vocab.h"
#include "text/tokenizer.h"

/* ---- steps: normalizers, pre-tokenizers, decoders ---- */

/* A step's state is made in the tokenizer's arena; a destroy function is needed only for what lies
 * elsewhere. */
typedef struct ol_tk_normalizer_kind {
    const char *type;
    olv_status (*create)(ol_arena *a, const json_t *cfg, void **state, olv_error *err);
    void (*destroy)(void *state);
    olv_status (*apply)(const void *state, ol_tk_work *w, ol_tk_piece *p, olv_error *err);
} ol_tk_normalizer_kind;

typedef struct ol_tk_pretokenizer_kind {
    const char *type;
    olv_status (*create)(ol_arena *a, const json_t *cfg, void **state, olv_error *err);
    void (*destroy)(void *state);
    olv_status (*apply)(const void *state, ol_tk_work *w, olv_error *err);
} ol_tk_pretokenizer_kind;

/* Tokens being decoded. */
typedef struct ol_tk_texts {
    ol_arena *arena;
    ol_str *items;
    size_t count;
} ol_tk_texts;

typedef struct ol_tk_decoder_kind {
    const char *type;
    olv_status (*create)(ol_arena *a, const json_t *cfg, void **state, olv_error *err);
    void (*destroy)(void *state);
    olv_status (*apply)(const void *state, ol_tk_texts *t, olv_error *err);
} ol_tk_decoder_kind;

/* ---- model ---- */

typedef struct ol_tk_token {
    uint32_t id;
    uint32_t start, end; /* bytes, later characters, of the caller's text */
    uint32_t type_id;
    uint16_t lead,
        trail; /* white space at both ends of the token's name, for trimming offsets; saturated */
} ol_tk_token;

typedef struct ol_tk_tokens {
    ol_tk_token *items;
    size_t count, cap;
} ol_tk_tokens;

/* One encode call as the model sees it. */
typedef struct ol_tk_sink {
    const olv_tokenizer *t;
    ol_tk_tokens out;
    bool want_offsets, want_trim;
    bool nomem;
    struct ol_tk_cache *cache; /* of words, or NULL */
} ol_tk_sink;

/* Emits a token that covers bytes [from, to) of the piece. value: its text where that is not its
 * name in the vocabulary (ptr NULL otherwise). */
void ol_tk_emit(ol_tk_sink *s, const ol_tk_piece *p, uint32_t id, uint32_t from, uint32_t to,
                ol_str value);

/* Everything that a model is made of, whatever file it comes from. The model takes what it needs
 * over. */
typedef struct ol_tk_model_spec {
    const char *type; /* "BPE", "Unigram", "WordPiece", "WordLevel" */
    ol_tk_vocab *vocab;
    double *scores; /* of each entry of vocab (Unigram); taken */
    /* Merges as JSON text of an array, or as lines "a b"; ptr NULL if none. */
    ol_str merges_json, merges_lines;
    const char *name;                        /* of the file, for messages */
    const char *unk_token, *prefix, *suffix; /* NULL if none */
    int64_t unk_id;                          /* Unigram; -1 if none */
    int64_t max_chars;                       /* WordPiece */
    bool fuse_unk, byte_fallback, ignore_merges, has_dropout;
    bool rank_is_id;  /* BPE without merges: any two neighbours whose joined name is a token merge,
                         lowest id first */
    bool raw_bytes;   /* names are raw bytes (tiktoken) */
    bool score_order; /* BPE without merges: best score first (SentencePiece) */
    bool byte_pieces; /* the pre-tokenizer hands over plain bytes of byte-level text */
    const uint8_t
        *unmergeable; /* per entry, score_order: 1 if it never results from a merge; NULL if none */
} ol_tk_model_spec;

typedef struct ol_tk_model_kind {
    const char *type;
    olv_status (*create)(ol_tk_model_spec *spec, void **model, olv_error *err);
    void (*destroy)(void *model);
    olv_status (*tokenize)(const void *model, ol_tk_sink *s, const ol_tk_piece *p, olv_error *err);
    /* True if the model can take pieces of plain bytes instead of byte-level text. */
    bool (*takes_bytes)(const void *model);
} ol_tk_model_kind;

/* ---- post-processing ---- */

typedef struct ol_tk_part {
    ol_tk_token *items;
    size_t count;
} ol_tk_part;

#define OL_TK_MAX_PARTS 256

/* The encodings on their way through the post-processors. */
typedef struct ol_tk_parts {
    ol_arena *arena;
    ol_tk_part items[OL_TK_MAX_PARTS];
    size_t count;
    bool add_special;
} ol_tk_parts;

typedef struct ol_tk_postprocessor_kind {
    const char *type;
    olv_status (*create)(ol_arena *a, const json_t *cfg, void **state, olv_error *err);
    size_t (*added)(const void *state, bool pair);
    olv_status (*apply)(const void *state, ol_tk_parts *parts, olv_error *err);
} ol_tk_postprocessor_kind;

/* ---- added tokens ---- */

typedef struct ol_tk_added {
    ol_str content,
        normalized; /* normalized: after the normalizers, where that differs; else as content */
    uint32_t id;
    bool single_word, lstrip, rstrip, is_normalized, special;
    bool fixed_id; /* id counts as it is */
} ol_tk_added;

/* A trie over the contents of one set of added tokens, for leftmost-longest search. */
typedef struct ol_tk_trie_node {
    uint32_t child, sibling; /* 0: none */
    uint32_t value;          /* index of an added token + 1, 0: none */
    uint8_t byte;
} ol_tk_trie_node;

typedef struct ol_tk_trie {
    ol_tk_trie_node *nodes; /* node 0 is the root */
    uint32_t count, cap;
    uint32_t first[256]; /* child of the root by byte */
} ol_tk_trie;

typedef struct ol_tk_added_set {
    ol_tk_added *items;
    size_t count;
    ol_map by_content; /* content -> index */
    ol_map special_text;
    ol_tk_vocab by_id; /* names as decoding gives them */
    ol_tk_trie plain, normalized;
} ol_tk_added_set;

#define OL_TK_MAX_STEPS 64

typedef struct ol_tk_step {
    const void *kind;
    void *state;
} ol_tk_step;

typedef struct ol_tk_steps {
    ol_tk_step items[OL_TK_MAX_STEPS];
    size_t count;
} ol_tk_steps;

typedef struct ol_tk_truncation {
    bool on, left;
    int strategy; /* 0 longest first, 1 only first, 2 only second */
    size_t max_length;
} ol_tk_truncation;

typedef struct ol_tk_padding {
    bool on, left, is_fixed;
    size_t fixed, multiple; /* multiple 0: none */
    uint32_t id, type_id;
} ol_tk_padding;

/* SentencePiece and tiktoken have rules of their own, which are no steps. */
typedef struct ol_tk_spm ol_tk_spm;

struct olv_tokenizer {
    ol_arena *arena;
    ol_tk_vocab vocab;
    const ol_tk_model_kind *model_kind;
    void *model;
    ol_tk_added_set added;
    ol_tk_steps normalizers, pretokenizers, postprocessors, decoders;
    bool has_postprocessor, has_decoder;
    bool byte_pieces;  /* the last pre-tokenizer's byte-level rewrite is left to the model */
    bool trims;        /* a post-processor trims offsets */
    bool byte_decoder; /* the only decoder is ByteLevel */
    ol_tk_truncation truncation;
    ol_tk_padding padding;
    ol_tk_spm *spm; /* a raw SentencePiece model */
    bool raw_bytes; /* tokens are bytes (tiktoken) */
    struct ol_tk_shared_cache *cache;
    char kind[96];
};

/* Loading, one function per kind of file. name is used in messages. */
/* The metadata of a GGUF file. */
olv_status ol_tk_load_gguf(olv_tokenizer *t, const char *data, size_t len, const char *name, olv_error *err);
olv_status ol_tk_load_json(olv_tokenizer *t, const char *text, size_t len, const char *name,
                           olv_error *err);
olv_status ol_tk_load_spm(olv_tokenizer *t, const void *data, size_t len, const char *name,
                          olv_error *err);
olv_status ol_tk_load_tiktoken(olv_tokenizer *t, const char *text, size_t len, const char *config,
                               size_t config_len, const char *name, olv_error *err);
olv_status ol_tk_load_bpe_files(olv_tokenizer *t, const char *vocab, size_t vocab_len,
                                const char *merges, size_t merges_len, const char *name,
                                olv_error *err);
/* The models openvino_tokenizer.xml and, where it is there, openvino_detokenizer.xml of a folder. */
olv_status ol_tk_load_openvino(olv_tokenizer *t, const char *dir, olv_error *err);
olv_status ol_tk_load_openvino_parts(olv_tokenizer *t, const ol_str parts[4], olv_error *err);
olv_status ol_tk_load_wordpiece(olv_tokenizer *t, const char *text, size_t len, const char *name,
                                olv_error *err);

/* Steps from a configuration object; Sequences are flattened. JSON null adds nothing. */
olv_status ol_tk_add_normalizers(olv_tokenizer *t, const json_t *cfg, olv_error *err);
olv_status ol_tk_add_pretokenizers(olv_tokenizer *t, const json_t *cfg, olv_error *err);
olv_status ol_tk_add_decoders(olv_tokenizer *t, const json_t *cfg, olv_error *err);
olv_status ol_tk_add_postprocessors(olv_tokenizer *t, const json_t *cfg, olv_error *err);
void ol_tk_steps_destroy(olv_tokenizer *t);
/* A cut at every match of a pattern; the pattern is taken over on success. */
olv_status ol_tk_add_split(olv_tokenizer *t, ol_tk_regex *re, olv_error *err);
olv_status ol_tk_create_model(olv_tokenizer *t, ol_tk_model_spec *spec, olv_error *err);
/* Settles what depends on several parts (byte pieces, trimming, kind text); the last thing that
 * loading does. */
olv_status ol_tk_finish(olv_tokenizer *t, const char *model_type, olv_error *err);

/* Runs the normalizers on a piece. */
olv_status ol_tk_normalize(const olv_tokenizer *t, ol_tk_work *w, ol_tk_piece *p, olv_error *err);

/* Added tokens: the list is taken in file order; ids are settled as Hugging Face does (an id that
 * the vocabulary gives to the content counts more than the one in the file). */
olv_status ol_tk_added_build(olv_tokenizer *t, ol_tk_added *list, size_t count, olv_error *err);
void ol_tk_added_deinit(ol_tk_added_set *s);
/* Cuts the added tokens out of the text (w->cur holds it as one piece), normalizing what is
 * between. */
olv_status ol_tk_added_extract(const olv_tokenizer *t, ol_tk_work *w, bool parse_special,
                               olv_error *err);
const ol_tk_added *ol_tk_added_by_id(const olv_tokenizer *t, uint32_t id);

/* Shared cache of words: NULL if another thread has it. */
struct ol_tk_cache *ol_tk_cache_borrow(const olv_tokenizer *t);
void ol_tk_cache_return(const olv_tokenizer *t, struct ol_tk_cache *c);

/* Checked access to the configuration of a step. A missing key gives the default; def NULL or -1
 * makes it required. */
olv_status ol_tk_cfg_string(const json_t *cfg, const char *key, const char *def, ol_str *out,
                            olv_error *err);
olv_status ol_tk_cfg_bool(const json_t *cfg, const char *key, int def, bool *out, olv_error *err);
/* {"String": "..."} or {"Regex": "..."}, or a plain string. */
olv_status ol_tk_cfg_pattern(const json_t *cfg, const char *key, ol_tk_regex **out, olv_error *err);

typedef enum ol_tk_behavior {
    OL_TK_REMOVED,
    OL_TK_ISOLATED,
    OL_TK_MERGED_WITH_PREVIOUS,
    OL_TK_MERGED_WITH_NEXT,
    OL_TK_CONTIGUOUS,
} ol_tk_behavior;
olv_status ol_tk_cfg_behavior(const json_t *cfg, ol_tk_behavior def, bool required,
                              ol_tk_behavior *out, olv_error *err);

/* Cuts pieces at matches: feed the ranges of a piece in order, each a match or what is between. */
typedef struct ol_tk_cutter {
    ol_tk_work *w;
    const ol_tk_piece *p;
    ol_tk_behavior behavior;
    uint32_t start, end; /* the range that is not yet pushed */
    bool pending, was_match;
} ol_tk_cutter;
void ol_tk_cut_begin(ol_tk_cutter *c, ol_tk_work *w, const ol_tk_piece *p, ol_tk_behavior behavior);
void ol_tk_cut(ol_tk_cutter *c, uint32_t start, uint32_t end, bool match);
void ol_tk_cut_end(ol_tk_cutter *c);
/* Cuts p where a pattern matches. */
olv_status ol_tk_cut_regex(ol_tk_work *w, const ol_tk_piece *p, const ol_tk_regex *re,
                           ol_tk_behavior behavior, bool invert, olv_error *err);
/* Cuts p at characters that pred holds for. */
void ol_tk_cut_chars(ol_tk_work *w, const ol_tk_piece *p, bool (*pred)(int32_t cp),
                     ol_tk_behavior behavior);

/* Byte-level rewrite of a piece. */
bool ol_tk_byte_level(ol_tk_work *w, ol_tk_piece *p);
extern const ol_tk_pretokenizer_kind ol_tk_pretokenizer_bytelevel;
extern const ol_tk_decoder_kind ol_tk_decoder_bytelevel;

#endif
