/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of an olv_pipeline: a compiled language model with its text parts. */
#ifndef OL_GENERATE_PIPELINE_H
#define OL_GENERATE_PIPELINE_H

#include "bundle/bundle.h"
#include "generate/adapters.h"
#include "generate/sampler/sampler.h"
#include "runtime/session.h"
#include "text/grammar/grammar.h"
#include <olivine/pipeline.h>
#include <olivine/template.h>
#include <olivine/tokenizer.h>

enum { OL_SPARE_CONSTRAINTS = 4 };
struct ol_constraint;

struct olv_pipeline {
    ol_bundle *bundle; /* its graph was taken by the plan */
    ol_executor *executor;
    ol_plan *plan;
    ol_state_pool *pool;
    ol_session *session;
    olv_tokenizer *tokenizer; /* NULL: ids only */
    olv_template *chat;       /* NULL: the folder has none */
    uint64_t cpu;
    olk_precision precision;
    ol_dtype kv_dtype;
    int64_t context_length, vocab_size;
    olv_pipeline *draft;   /* shares the executor; NULL: none */
    bool borrows_executor; /* this is somebody's draft */
    int64_t dynamic_length; /* from there on, rotations depend on the sequence's length; 0: never */
    int64_t rope_switch; /* longrope: the cache is made anew when a sequence grows past it; 0: never */
    ol_adapters adapters;
    bool keeps_hidden; /* the graph's second output is the last hidden states */
    double load_ms;
    volatile bool cancel;
    ol_sequence *kept; /* of the last prompt; NULL: none */
    ol_buf kept_ids;   /* int64: its tokens */
    uint64_t kept_file; /* hash of the path of a prompt_cache file that holds it, or more; 0: none */
    const char **stop_strings; /* borrowed views for the default config */
    olv_sequence_bias *sequence_bias; /* the same: bad words and biases of the model's own settings */
    int n_sequence_bias;
    ol_grammar_vocab *grammar_vocab; /* made by the first constrained generation */
    int64_t grammar_eos[16];         /* the end tokens that it was made with */
    int n_grammar_eos;
    struct ol_constraint *spare_constraints[OL_SPARE_CONSTRAINTS]; /* of that vocabulary, not in use, newest first */
};

/* Makes the graph of a bundle that was opened without one (b->graph). */
typedef olv_status ol_graph_reader(void *ctx, ol_bundle *b, olv_error *err);
/* olv_pipeline_open with a graph for another task. */
OLV_MUST_USE olv_status ol_pipeline_open_with(const char *model, const olv_pipeline_options *opt, ol_graph_reader *read,
                                              void *ctx, olv_pipeline **out, olv_error *err);
/* Readies what the default settings borrow. */
OLV_MUST_USE olv_status ol_settings_prepare(olv_pipeline *p, olv_error *err);
/* Milliseconds of the monotonic clock. */
double ol_now_ms(void);
/* Prompt in any of its forms as ids (ol_free them). */
OLV_MUST_USE olv_status ol_prompt_ids(olv_pipeline *p, const olv_prompt *prompt, const olv_generation_config *cfg,
                                      int64_t **ids, size_t *n, olv_error *err);

#endif
