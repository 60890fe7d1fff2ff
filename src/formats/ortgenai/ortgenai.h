/* SPDX-License-Identifier: Apache-2.0 */
/* Folders of onnxruntime-genai: model.onnx (+ model.onnx.data) with com.microsoft operators, and genai_config.json.
 * Reading translates the padded [B, S] graph with explicit caches into the flat-row form of docs/lm-graph.md; writing
 * does the reverse, streaming quantized weights into the data file. */
#ifndef OL_FORMATS_ORTGENAI_ORTGENAI_H
#define OL_FORMATS_ORTGENAI_ORTGENAI_H

#include "base/executor.h"
#include "formats/huggingface/generation.h"
#include "graph/graph.h"

/* genai_config.json. */
typedef struct ol_ortgenai_config {
    char type[64];      /* "llama" */
    char filename[256]; /* "model.onnx", plain file name */
    int64_t context_length, vocab_size, hidden_size, n_layers, n_heads, n_kv_heads, head_size;
    char input_ids[128], attention_mask[128], position_ids[128]; /* names of inputs; "" when the graph has none */
    char past_key[128], past_value[128], present_key[128], present_value[128]; /* with %d for the layer */
    char logits[128];
    ol_gen_config generation; /* search, and the token ids of `model` */
} ol_ortgenai_config;

OLV_MUST_USE olv_status ol_ortgenai_config_read(const char *folder, ol_ortgenai_config *c, olv_error *err);
void ol_ortgenai_config_deinit(ol_ortgenai_config *c);

/* Reads the folder's model into the flat-row form. Weights are views over the mapped files. */
OLV_MUST_USE olv_status ol_ortgenai_read(const char *folder, const ol_ortgenai_config *c, ol_graph **out,
                                         olv_error *err);

/* The translation alone; the old graph is left as it is. */
OLV_MUST_USE olv_status ol_ortgenai_translate(ol_graph *old, const ol_ortgenai_config *c, ol_graph **out, olv_error *err);

/* ---- writing ---- */

typedef enum ol_ortgenai_target { OL_ORTGENAI_CPU, OL_ORTGENAI_CUDA, OL_ORTGENAI_DML, OL_ORTGENAI_WEBGPU } ol_ortgenai_target;

typedef struct ol_ortgenai_info {
    const char *source_folder; /* whose tokenizer files and chat template are copied; NULL: none */
    const char *chat_template; /* text; written as chat_template.jinja when the source has no such file; NULL: none */
    const ol_gen_config *generation;
} ol_ortgenai_info;

#define OL_ORTGENAI_NOTE 128

typedef struct ol_ortgenai_options {
    ol_ortgenai_target target;
    int accuracy_level;  /* of MatMulNBits: 0 leaves it out; -1: 4 on CPU, else left out */
    bool qdq;            /* layers as DequantizeLinear and MatMul instead of MatMulNBits; tables stay in blocks */
    bool force;          /* replace OUT even if it is not one of ours or not empty */
    bool fresh;          /* discard unfinished work */
    const char *key;     /* names the work: same key, same result; part of the folder of unfinished work */
    ol_executor *executor; /* NULL: one thread */
    /* Makes olivine.json of the finished files in FOLDER; NULL: none is written. */
    olv_status (*manifest)(void *ctx, const char *folder, ol_buf *out, olv_error *err);
    void *manifest_ctx;
    /* Notes that the journal keeps for the manifest of a continued run. note(manifest_ctx, i, text): true when note i has
     * become known since the last call, in one line without tabs; renew gives it back. */
    size_t n_notes;
    bool (*note)(void *ctx, size_t i, char text[OL_ORTGENAI_NOTE]);
    void (*renew)(void *ctx, size_t i, const char *text);
} ol_ortgenai_options;
void ol_ortgenai_options_init(ol_ortgenai_options *o);

/* Called with bytes of the data file done and in all; false cancels (unfinished work stays and can be continued). */
typedef bool ol_ortgenai_progress(void *ctx, uint64_t done, uint64_t total);

/* Writes the folder OUT_DIR for a graph in the flat-row form. Unfinished work lies in OUT_DIR.part-KEY and is continued
 * by the next call with the same key; OUT_DIR appears complete by rename or not at all. */
OLV_MUST_USE olv_status ol_ortgenai_write(ol_graph *g, const ol_ortgenai_info *info, const ol_ortgenai_options *opt,
                                          const char *out_dir, ol_ortgenai_progress *progress, void *ctx,
                                          olv_error *err);

#endif
