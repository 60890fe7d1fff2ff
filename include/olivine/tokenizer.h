/* SPDX-License-Identifier: Apache-2.0 */
/* Tokenizers: text to token ids and back, exactly as the model's own tokenizer does it.
 *
 *     olv_tokenizer *t;
 *     if (olv_tokenizer_open("models/pebble", &t, &err) != OLV_OK) ...
 *     olv_encoding enc;
 *     olv_encode_options opt;
 *     olv_encode_options_init(&opt);
 *     olv_tokenizer_encode(t, text, strlen(text), &opt, &enc, &err);
 *     ... enc.ids[0 .. enc.count) ...
 *     olv_encoding_deinit(&enc);
 *     olv_tokenizer_close(t);
 *
 * Reads tokenizer.json (every part of it), SentencePiece .model files, tiktoken rank files,
 * vocab.json with merges.txt, vocab.txt, and OpenVINO's openvino_tokenizer.xml with
 * openvino_detokenizer.xml.
 *
 * Thread rule: an olv_tokenizer never changes after it was opened; any number of threads may use it
 * at a time. An olv_detokenizer belongs to one thread at a time and borrows its tokenizer. */
#ifndef OLIVINE_TOKENIZER_H
#define OLIVINE_TOKENIZER_H

#include <olivine/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct olv_tokenizer olv_tokenizer;

/* PATH: a folder that holds tokenizer files, or one such file. In a folder tokenizer.json is
 * preferred, then a .model file, a .tiktoken file, openvino_tokenizer.xml, vocab.json with
 * merges.txt, vocab.txt. Errors name file, place and what was expected. */
OLV_API OLV_MUST_USE olv_status olv_tokenizer_open(const char *path, olv_tokenizer **out,
                                                   olv_error *err);
OLV_API void olv_tokenizer_close(olv_tokenizer *t); /* NULL accepted */

/* Writes the tokenizer of MODEL (a folder or hub id with tokenizer.json) into the folder OUT in the form that OpenVINO GenAI
 * loads: openvino_tokenizer.xml/.bin and openvino_detokenizer.xml/.bin. OLV_UNSUPPORTED names the part that the operations of
 * openvino_tokenizers cannot say; then nothing is written. */
OLV_API OLV_MUST_USE olv_status olv_tokenizer_write_openvino(const char *model, const char *out,
                                                             olv_error *err);

typedef struct olv_encode_options {
    size_t struct_size;
    const char *pair; /* second text of a pair, UTF-8, or NULL */
    size_t pair_len;
    bool add_special;   /* add what the template adds (<s>, [CLS] ...); default true */
    bool parse_special; /* names of special tokens in the text become those tokens; default true */
    bool want_offsets, want_type_ids; /* default false */
    bool truncate, pad;               /* obey the limits stored in tokenizer.json; default true */
} olv_encode_options;
OLV_API void olv_encode_options_init(olv_encode_options *opt);

typedef struct olv_span {
    uint32_t start, end; /* Unicode characters (code points) of the text; end excluded */
} olv_span;

typedef struct olv_encoding {
    uint32_t *ids;
    size_t count;
    olv_span *offsets;  /* of each id, NULL unless wanted; {0, 0} for added special tokens */
    uint32_t *type_ids; /* NULL unless wanted */
    size_t padded;      /* how many of the ids are padding */
    bool padded_left;
} olv_encoding;

/* text: len bytes of UTF-8 (OLV_ARG if malformed). opt may be NULL. On success *out is owned by the
 * caller. */
OLV_API OLV_MUST_USE olv_status olv_tokenizer_encode(const olv_tokenizer *t, const char *text,
                                                     size_t len, const olv_encode_options *opt,
                                                     olv_encoding *out, olv_error *err);
OLV_API void olv_encoding_deinit(olv_encoding *e);

/* Text of ids, NUL-terminated; free it with olv_tokenizer_free. An id that stands for no token is
 * OLV_ARG. */
OLV_API OLV_MUST_USE olv_status olv_tokenizer_decode(const olv_tokenizer *t, const uint32_t *ids,
                                                     size_t count, bool skip_special, char **text,
                                                     size_t *len, olv_error *err);
OLV_API void olv_tokenizer_free(void *p);

/* Streaming: ids go in one by one, text comes out as soon as it is certain. Text is held back while
 * it ends in an incomplete character, so that no piece ends inside one; the pieces joined are the
 * text of all ids. */
typedef struct olv_detokenizer olv_detokenizer;
OLV_API OLV_MUST_USE olv_status olv_detokenizer_create(const olv_tokenizer *t, bool skip_special,
                                                       olv_detokenizer **out, olv_error *err);
OLV_API void olv_detokenizer_destroy(olv_detokenizer *d); /* NULL accepted */
/* *piece (NUL-terminated) is borrowed and valid until the next call on d; its length may be 0. */
OLV_API OLV_MUST_USE olv_status olv_detokenizer_push(olv_detokenizer *d, uint32_t id,
                                                     const char **piece, size_t *len,
                                                     olv_error *err);
/* What was still held back; afterwards d is as new. */
OLV_API OLV_MUST_USE olv_status olv_detokenizer_flush(olv_detokenizer *d, const char **piece,
                                                      size_t *len, olv_error *err);

/* Id of a token by its exact name; false if there is none. */
OLV_API bool olv_tokenizer_token_to_id(const olv_tokenizer *t, const char *token, size_t len,
                                       uint32_t *id);
/* Name of a token as the vocabulary spells it (borrowed, not NUL-terminated); NULL if the id stands
 * for none. */
OLV_API const char *olv_tokenizer_id_to_token(const olv_tokenizer *t, uint32_t id, size_t *len);
/* Number of different tokens, added ones included. */
OLV_API size_t olv_tokenizer_vocab_size(const olv_tokenizer *t);
/* One more than the largest id. */
OLV_API uint64_t olv_tokenizer_id_bound(const olv_tokenizer *t);
OLV_API bool olv_tokenizer_is_special(const olv_tokenizer *t, uint32_t id);
/* Ids that the template puts around a single text. Writes at most cap ids; returns how many there
 * are. */
OLV_API size_t olv_tokenizer_prefix(const olv_tokenizer *t, uint32_t *ids, size_t cap);
OLV_API size_t olv_tokenizer_suffix(const olv_tokenizer *t, uint32_t *ids, size_t cap);
/* Short description for people, such as "BPE (byte-level), 50257 tokens". */
OLV_API const char *olv_tokenizer_kind(const olv_tokenizer *t);

#ifdef __cplusplus
}
#endif
#endif
