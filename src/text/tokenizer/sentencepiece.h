/* SPDX-License-Identifier: Apache-2.0 */
/* Raw SentencePiece models (.model files): their own normalization of the whole text, then one of
 * four models of pieces (unigram, bpe, word, char). Control tokens are never found in text;
 * user-defined ones always are. */
#ifndef OL_TEXT_TOKENIZER_SENTENCEPIECE_H
#define OL_TEXT_TOKENIZER_SENTENCEPIECE_H

#include "text/tokenizer/byte_trie.h"
#include "text/tokenizer/charsmap.h"
#include "text/tokenizer/state.h"

/* Types of pieces and models, as the file numbers them. */
enum {
    OL_SPM_NORMAL = 1,
    OL_SPM_UNKNOWN,
    OL_SPM_CONTROL,
    OL_SPM_USER_DEFINED,
    OL_SPM_UNUSED,
    OL_SPM_BYTE
};
enum { OL_SPM_UNIGRAM = 1, OL_SPM_BPE, OL_SPM_WORD, OL_SPM_CHAR };

typedef struct ol_spm_normalizer {
    ol_tk_charsmap map;
    bool has_map, dummy_prefix, trim_spaces, escape_spaces;
} ol_spm_normalizer;

struct ol_tk_spm {
    const ol_tk_vocab *vocab; /* entry == id */
    float *scores;
    uint8_t *types;
    size_t n_scores, n_types, cap;
    int model_type;
    bool space_suffix, byte_fallback;
    ol_spm_normalizer normalizer, denormalizer;
    bool has_denormalizer;
    ol_tk_byte_trie trie; /* normal and user-defined pieces (unigram) */
    ol_tk_byte_trie user; /* user-defined pieces only */
    bool has_user;
    float unk_score, max_score;
    int64_t unk, bos, eos;
    int64_t bytes[256];
    ol_str unk_surface, unk_piece, bos_piece, eos_piece;
};

void ol_tk_spm_destroy(ol_tk_spm *s);
/* The text as the model sees it. */
olv_status ol_spm_normalize(const ol_tk_spm *s, const ol_spm_normalizer *n, bool use_user,
                            ol_tk_work *w, const ol_tk_piece *in, ol_tk_piece *out, olv_error *err);
olv_status ol_tk_spm_encode(const ol_tk_spm *s, ol_tk_work *w, ol_tk_sink *sink, const char *text,
                            size_t n, olv_error *err);
/* Text of token names. */
olv_status ol_tk_spm_decode(const ol_tk_spm *s, const ol_tk_texts *names, ol_buf *out,
                            olv_error *err);

/* Bytes of the user-defined piece that s begins with, or of its first character. *user: which of
 * the two. */
uint32_t ol_spm_prefix(const ol_tk_spm *s, const char *text, uint32_t n, bool *user);
/* Receives the pieces of an encoded text in order; id < 0: no such piece. */
typedef struct ol_spm_out {
    const ol_tk_spm *s;
    ol_tk_sink *sink;
    const ol_tk_piece *p;
    uint32_t unk_from; /* beginning of the run of unknown pieces that is not out yet */
    bool in_unk;
} ol_spm_out;
void ol_spm_put(ol_spm_out *o, uint32_t from, uint32_t to);
void ol_spm_put_end(ol_spm_out *o, uint32_t at);
olv_status ol_spm_encode_bpe(ol_spm_out *o, olv_error *err);
olv_status ol_spm_encode_unigram(ol_spm_out *o, olv_error *err);

#endif
