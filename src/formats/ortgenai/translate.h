/* SPDX-License-Identifier: Apache-2.0 */
/* Translation of a padded decoder graph ([B, S, ...] values, caches as inputs and outputs, attention mask) into flat
 * rows. One pass over the nodes in order: a value of the old graph is known as rows of the new one, as a constant, or
 * not at all (masks, lengths, caches and what is computed from them), and a node is translated when the inputs that
 * carry data are known. What the mask subgraphs compute is thereby dropped without being looked at. */
#ifndef OL_FORMATS_ORTGENAI_TRANSLATE_H
#define OL_FORMATS_ORTGENAI_TRANSLATE_H

#include "formats/ortgenai/ortgenai.h"
#include "graph/op.h"

typedef enum ol_old_kind {
    OL_OLD_UNKNOWN,
    OL_OLD_ROWS,  /* [B, S, n] is `v` [T, n] */
    OL_OLD_CONST, /* `c` */
    OL_OLD_CHOICE /* result of an If over the length: `c` for long sequences, `c2` for short ones */
} ol_old_kind;

typedef struct ol_old {
    ol_old_kind kind;
    ol_value *v;      /* in the new graph; for constants made when first needed */
    ol_const *c, *c2; /* owned */
    const ol_value *source; /* of constants: the initializer it comes from, for names */
    int64_t split;    /* ROWS: shown as heads of this size, in whatever order of axes; 0: plain */
    bool cached;      /* ROWS: stands for the whole cache that these rows are appended to */
    int64_t threshold; /* CHOICE: the longest short sequence */
} ol_old;

typedef struct ol_translate ol_translate;

/* Result of a handler: translated, not translatable (the reason is in `blocked`), or a hard error in tr->err. */
typedef enum ol_verdict { OL_DONE, OL_PASSED, OL_FAILED } ol_verdict;
typedef ol_verdict ol_node_handler(ol_translate *tr, const ol_node *n);

struct ol_translate {
    ol_graph *old, *g;
    const ol_ortgenai_config *config;
    ol_node_handler *first; /* of a format that spells some things its own way; what it passes, the common handlers see. NULL: none */
    ol_old *known; /* [old->n_values] */
    ol_value *positions;
    olv_error *err;
    char blocked[600]; /* first node with known data that could not be translated, for the message */
    struct {
        const void *key[2];
        bool interleaved;
        ol_value *table;
    } tables[8]; /* rotary tables made so far */
    int n_tables;
};

/* translate.c */
/* The whole translation: tr is zero but for old, config and first. */
OLV_MUST_USE olv_status ol_tr_run(ol_translate *tr, ol_graph **out, olv_error *err);
const ol_old *ol_tr_in(const ol_translate *tr, const ol_node *n, int i); /* never NULL; UNKNOWN when omitted */
ol_value *ol_tr_rows(const ol_translate *tr, const ol_node *n, int i);   /* NULL unless rows */
const ol_const *ol_tr_const(const ol_translate *tr, const ol_node *n, int i); /* NULL unless a constant */
bool ol_tr_given(const ol_node *n, int i); /* the input is not omitted */
ol_verdict ol_tr_set_rows(ol_translate *tr, const ol_node *n, int output, ol_value *v, int64_t split);
ol_verdict ol_tr_set_const(ol_translate *tr, const ol_node *n, int output, ol_const *c /* taken */,
                           const ol_value *source);
ol_verdict ol_tr_pass(ol_translate *tr, const ol_node *n, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
ol_verdict ol_tr_fail(ol_translate *tr, const ol_node *n, olv_status s, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
int64_t ol_tr_width(const ol_value *v); /* last dimension */
ol_value *ol_tr_node(ol_translate *tr, const char *domain, const char *op, ol_value *const *in, int n_in,
                     const ol_attr *attrs, int n_attrs); /* NULL: failed, err filled */

/* weights.c */
/* Constant under NAME in the new graph (taken); an existing one of that name is reused. */
ol_value *ol_tr_constant(ol_translate *tr, const char *name, ol_const *c);
/* A small constant (any float type) of n elements, or any number when n < 0, as f32 [n] (rank 0 when it has one element
 * and rank 0). */
ol_value *ol_tr_vector(ol_translate *tr, const ol_node *n, int input, int64_t count);
bool ol_tr_scalar(ol_translate *tr, const ol_node *n, int input, double *out);
/* Integers of a constant input; their number, or -1. */
int ol_tr_ints(ol_translate *tr, const ol_node *n, int input, int64_t *out, int max);
ol_value *ol_tr_linear(ol_translate *tr, ol_value *x, ol_value *w, ol_value *bias);
/* Columns [from, from + count) of x: where x is a Linear, a Linear over a row slice of its weight. */
ol_value *ol_tr_columns(ol_translate *tr, ol_value *x, int64_t from, int64_t count);
/* A matrix [rows, k] of blocked codes as MatMulNBits has them. */
ol_const *ol_tr_blocked(ol_translate *tr, const ol_node *n, int64_t rows, int64_t k, int64_t bits, int64_t group,
                        const ol_const *codes, const ol_const *scales, const ol_const *zeros);
ol_node_handler ol_tr_matmul_nbits, ol_tr_matmul, ol_tr_gemm, ol_tr_gather, ol_tr_gather_quantized, ol_tr_dequantize,
    ol_tr_transpose, ol_tr_split, ol_tr_slice;

/* experts.c */
ol_node_handler ol_tr_moe;

/* attention.c */
typedef struct ol_tr_attention {
    ol_value *q, *k, *v, *sinks;
    int64_t heads, kv_heads, k_dim, v_dim, window;
    float scale, softcap; /* 0: 1 / sqrt(k_dim); none */
} ol_tr_attention;
/* Attention with a state of its own for keys and values; gives output 0 of n. */
ol_verdict ol_tr_attend(ol_translate *tr, const ol_node *n, const ol_tr_attention *a);
ol_value *ol_tr_rotate(ol_translate *tr, ol_value *x, ol_value *table, int64_t heads, bool interleaved);
ol_node_handler ol_tr_gqa, ol_tr_mha, ol_tr_rotary, ol_tr_concat, ol_tr_if;

#endif
