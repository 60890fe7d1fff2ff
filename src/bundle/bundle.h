/* SPDX-License-Identifier: Apache-2.0 */
/* Model folders: finds what a MODEL argument means, recognizes its kind by content, and opens graph, generation
 * settings and the places of the companion files.
 *
 * A MODEL is a path to a folder or file, or a hub id "org/name": then ./org/name, then the snapshot that refs/main (or
 * the revision asked for) names in the local hub cache ($HF_HUB_CACHE, $HF_HOME/hub, $XDG_CACHE_HOME/huggingface/hub or
 * ~/.cache/huggingface/hub). Nothing is fetched here. */
#ifndef OL_BUNDLE_BUNDLE_H
#define OL_BUNDLE_BUNDLE_H

#include "formats/huggingface/generation.h"
#include "graph/graph.h"

typedef enum ol_bundle_kind {
    OL_BUNDLE_NONE,
    OL_BUNDLE_HF,        /* config.json and safetensors */
    OL_BUNDLE_ORT_GENAI, /* genai_config.json and ONNX */
    OL_BUNDLE_OPENVINO,  /* openvino_model.xml */
    OL_BUNDLE_GGUF,
    OL_BUNDLE_ONNX /* a plain ONNX file: no language model form is promised */
} ol_bundle_kind;
const char *ol_bundle_kind_name(ol_bundle_kind k); /* "hf", "ort-genai", "openvino", "gguf", "onnx" */

typedef struct ol_bundle_options {
    const char *revision; /* of a hub id; NULL = main */
    bool no_graph;        /* leave `graph` NULL: configs and companions only */
} ol_bundle_options;

/* What is known of the model; strings "" and numbers 0 where the folder does not say. */
typedef struct ol_bundle_info {
    char model_type[64];    /* "llama", as config.json has it */
    char architecture[96];  /* "LlamaForCausalLM" */
    char task[32];          /* "text-generation", "feature-extraction", ... ; "" when not known */
    int64_t vocab_size, context_length, hidden_size, intermediate_size;
    int64_t n_layers, n_heads, n_kv_heads, head_dim;
    uint64_t parameters;   /* elements of the weights (0 without a graph) */
    uint64_t weight_bytes; /* as stored (0 without a graph) */
} ol_bundle_info;

typedef struct ol_bundle {
    ol_bundle_kind kind;
    char *path;      /* resolved folder or file */
    char *folder;    /* the folder itself, or the one that holds the file */
    char *name;      /* last part of the MODEL argument, for listings */
    ol_graph *graph; /* owned; language models in the form of docs/lm-graph.md; NULL with no_graph */
    ol_gen_config generation;
    ol_bundle_info info;
    /* Companion files: paths, or NULL when the folder has none. */
    char *tokenizer;         /* tokenizer.json, else tokenizer.model, *.tiktoken, openvino_tokenizer.xml, vocab.json; the file itself for GGUF */
    char *tokenizer_config;  /* tokenizer_config.json */
    char *special_tokens_map;
    char *chat_template_file; /* chat_template.jinja */
    char *chat_template;      /* its text, or that of tokenizer_config.json / chat_template.json / openvino_tokenizer.xml; NULL when none */
} ol_bundle;

/* Opens MODEL. *out is untouched on failure. Not found: OLV_NOT_FOUND naming the places looked at; a folder of no known
 * kind or with parts missing: OLV_UNSUPPORTED or OLV_NOT_FOUND listing what is missing; an unknown family:
 * OLV_UNSUPPORTED with its name and the known ones. */
OLV_MUST_USE olv_status ol_bundle_open(const char *model, const ol_bundle_options *opt /* may be NULL */,
                                       ol_bundle **out, olv_error *err);
void ol_bundle_close(ol_bundle *b); /* NULL accepted; destroys the graph unless it was taken */
ol_graph *ol_bundle_take_graph(ol_bundle *b); /* the caller owns it now */

/* Text that changes when the weights of graph g, which came from b, may have changed: name, size, time and a hash of the
 * beginning of each file that they lie in, and of the folder's configs. */
OLV_MUST_USE olv_status ol_bundle_source_key(const ol_bundle *b, const ol_graph *g, ol_buf *out, olv_error *err);

/* Only resolves: the path that MODEL means (ol_free it). */
OLV_MUST_USE olv_status ol_bundle_resolve(const char *model, const char *revision, char **path, olv_error *err);
/* The hub cache as the environment names it; false: there is none. */
bool ol_bundle_hub_cache(char *root, size_t size);
/* The snapshot folder (ol_free it) of a model in the hub cache (cache_dir NULL: as the environment says). */
OLV_MUST_USE olv_status ol_bundle_hub_find(const char *id, const char *cache_dir, const char *revision, char **path, olv_error *err);
/* Kind of what lies at PATH, by content; NONE when it is none of the known. For folders that hold one model file, *file
 * (if not NULL; ol_free it) is that file's path. */
OLV_MUST_USE olv_status ol_bundle_recognize(const char *path, ol_bundle_kind *kind, char **file, olv_error *err);

#endif
