/* SPDX-License-Identifier: Apache-2.0 */
/* Weights that a checkpoint holds quantized. A method (gptq, awq, ...) knows how the weight matrix of a layer is spread
 * over tensors; the reader shows it as one float matrix NAME.weight [n, k], whose constant is quantized. Codes that lie
 * row by row are used in place; other layouts are laid out anew by tiles of rows, on demand, without loss.
 *
 * Only weights are quantized here: what a checkpoint says about the quantization of activations is passed over. */
#ifndef OL_FORMATS_HUGGINGFACE_QUANTIZED_H
#define OL_FORMATS_HUGGINGFACE_QUANTIZED_H

#include "base/arena.h"
#include "formats/huggingface/source.h"

typedef struct ol_hf_quantized ol_hf_quantized;

/* `config` is the description of the quantization (quantization_config). `plain` must outlive it. An unknown method is
 * OLV_UNSUPPORTED with its name and the known ones. */
OLV_MUST_USE olv_status ol_hf_quantized_open(const ol_hf_source *plain, const json_t *config, ol_hf_quantized **out,
                                             olv_error *err);
void ol_hf_quantized_close(ol_hf_quantized *q); /* NULL accepted */
const ol_hf_source *ol_hf_quantized_source(const ol_hf_quantized *q);
/* NAME is a tensor of a quantized weight: one of "STEM.something", where STEM.weight is quantized. */
bool ol_hf_quantized_has_part(const ol_hf_quantized *q, const char *name);
/* Checks the description alone (NULL: nothing is quantized). */
OLV_MUST_USE olv_status ol_hf_quantized_check(const json_t *config, olv_error *err);

/* ---- for the methods ---- */

typedef struct ol_hf_qread {
    const ol_hf_source *plain;
    ol_arena *arena;
    int bits;               /* 0: the tensors tell */
    int64_t group;          /* columns that share a scale; 0: the tensors tell */
    int64_t block_n, block_k; /* of scales that serve a block; 0: none */
    bool zeros_less_one;    /* gptq's first form keeps zero points minus 1 */
    const char *layout;     /* of the method, where it has several */
    ol_const *perm;         /* the last column permutation: weights that read the same rows share it */
} ol_hf_qread;

typedef struct ol_hf_qmethod {
    const char *name;
    olv_status (*configure)(ol_hf_qread *q, const json_t *config, olv_error *err);
    /* STEM.weight is quantized: its shape. False: it is not, or it is not there. */
    bool (*shape)(const ol_hf_qread *q, const char *stem, int64_t dims[2]);
    olv_status (*constant)(ol_hf_qread *q, const char *stem, const int64_t dims[2], ol_const **out, olv_error *err);
} ol_hf_qmethod;

extern const ol_hf_qmethod ol_hf_gptq, ol_hf_awq, ol_hf_bitsandbytes, ol_hf_compressed_tensors, ol_hf_fp8, ol_hf_mxfp4;

/* The tensor STEM + suffix; NULL when absent. */
const ol_st_tensor *ol_hf_qfind(const ol_hf_qread *q, const char *stem, const char *suffix);

#define OL_HF_HELD 8

/* What a quantized constant is made of besides its form: constants kept, and blocks of its own. */
typedef struct ol_hf_qheld {
    ol_const *consts[OL_HF_HELD];
    void *blocks[OL_HF_HELD];
    int n_consts, n_blocks;
} ol_hf_qheld;

void ol_hf_qheld_deinit(ol_hf_qheld *h);
/* Bytes of the tensor, in place, kept by h. It must be there, of this type (NONE: any) and shape (rank 0: any). */
OLV_MUST_USE olv_status ol_hf_qbytes(const ol_hf_qread *q, const char *stem, const char *suffix, ol_dtype dtype,
                                     int rank, const int64_t *dims, ol_hf_qheld *h, const uint8_t **data,
                                     olv_error *err);
/* A tensor of `count` numbers (all of them finite) as floats, in a block of h. */
OLV_MUST_USE olv_status ol_hf_qfloats(const ol_hf_qread *q, const char *stem, const char *suffix, int64_t count,
                                      ol_hf_qheld *h, float **out, olv_error *err);
/* A block of h; NULL when out of memory (err is filled). */
void *ol_hf_qblock(ol_hf_qheld *h, int64_t count, size_t each, olv_error *err);

/* Greatest common divisor: the largest group that neither blocks nor rows cut. */
int64_t ol_hf_qgcd(int64_t a, int64_t b);
/* Scales of blocks of block_n x block_k elements of an [n, k] matrix (rows of ceil(k / block_k) numbers in `s`), as a
 * planar form has them: sets group, n_groups and f32 scales of qc. Groups that would be cut by the end of a row become
 * smaller ones. */
OLV_MUST_USE olv_status ol_hf_qspread(ol_qconst *qc, const float *s, int64_t block_n, int64_t block_k, ol_hf_qheld *h,
                                      olv_error *err);
/* The constant of a form whose data lie in memory; h is taken, also on failure. codes_bytes and so on are the extents. */
OLV_MUST_USE olv_status ol_hf_qplanar(const ol_qconst *qc, size_t codes_bytes, size_t scales_bytes, size_t zeros_bytes,
                                      ol_hf_qheld *h, ol_const **out, olv_error *err);
/* The permutation that brings the columns of each group together, from the group of every column: a constant i32 [k],
 * NULL in *out when the groups lie together already. All groups must be of `group` columns, the last one of the rest. */
OLV_MUST_USE olv_status ol_hf_qperm(ol_hf_qread *q, const char *name, const int32_t *group_of, int64_t k, int64_t group,
                                    ol_const **out, olv_error *err);

/* ---- weights laid out anew ---- */

/* Unsigned codes of up to 8 bits, scales and zero points, wherever they are. `code` and the others may be called from
 * several threads. Codes of fewer than 4 or 8 bits are moved to the middle of the wider range, where the default zero
 * point of the wider code is. */
typedef struct ol_hf_qrelay {
    ol_hf_qheld held;
    ol_qconst form;       /* without data */
    int bits;             /* of the codes */
    const uint8_t *codes, *scales, *zeros;
    size_t scale_bytes;   /* of an element */
    const int32_t *stored; /* NULL, or [k]: logical column of each stored one */
    const float *table;
    /* Codes of rows [row, row + n), a byte each, at out[i * k + logical column]. */
    void (*code_rows)(const struct ol_hf_qrelay *r, int64_t row, int64_t n, uint8_t *out);
    /* Copies codes in their final layout where that is possible; NULL: never. False: not for these rows. */
    bool (*straight)(const struct ol_hf_qrelay *r, int64_t row, int64_t n, uint8_t *out);
    void (*scale_row)(const struct ol_hf_qrelay *r, int64_t row, void *out);
    unsigned (*zero)(const struct ol_hf_qrelay *r, int64_t row, int64_t g); /* NULL: the middle */
    int64_t a, b; /* the method's own */
    float c;
} ol_hf_qrelay;

/* Sets the form for unsigned codes of r->bits in rows of k, groups of `group`, with or without zero points, of this
 * type of scales. */
void ol_hf_qrelay_form(ol_hf_qrelay *r, const int64_t dims[2], int64_t group, bool zeros, ol_dtype scales);
/* perm from ol_hf_qperm (borrowed; may be NULL). */
OLV_MUST_USE olv_status ol_hf_qrelay_permute(ol_hf_qrelay *r, ol_const *perm, olv_error *err);
/* Fills a zeroed relay for the weight `stem`. */
typedef olv_status ol_hf_qrelay_fn(ol_hf_qread *q, const char *stem, const int64_t dims[2], ol_hf_qrelay *r, olv_error *err);
/* The constant of a relay that `fill` fills. */
OLV_MUST_USE olv_status ol_hf_qrelay_make(ol_hf_qread *q, const char *stem, const int64_t dims[2], ol_hf_qrelay_fn *fill,
                                          ol_const **out, olv_error *err);
/* Number i of a row of numbers of `bits` each, packed into bytes from the lowest bit on; may straddle bytes. */
static inline unsigned ol_hf_qbits(const uint8_t *p, int64_t i, int bits) {
    int64_t at = i * bits;
    unsigned low = (unsigned)(at % 8), v = p[at / 8] >> low;
    if (low + (unsigned)bits > 8) v |= (unsigned)p[at / 8 + 1] << (8 - low);
    return v & ((1u << bits) - 1);
}

#endif
