/* SPDX-License-Identifier: Apache-2.0 */
/* Models as graphs: read, look at, reshape, compile for a device, run.
 *
 *     olv_core *core;
 *     olv_model *model;
 *     olv_compiled *compiled;
 *     olv_request *request;
 *     if (olv_core_create(&core, &err) != OLV_OK) ...
 *     if (olv_model_read("resnet50.onnx", &model, &err) != OLV_OK) ...
 *     if (olv_compile(core, model, "CPU", NULL, 0, &compiled, &err) != OLV_OK) ...
 *     if (olv_request_create(compiled, &request, &err) != OLV_OK) ...
 *     olv_request_set_input(request, "data", tensor, &err);
 *     olv_request_run(request, &err);
 *     const olv_tensor *scores = olv_request_get_output(request, 0);
 *
 * Thread rule: a core and a compiled model may be used from several threads; a model and a request from one at a time, but
 * for olv_request_cancel. What is made from something keeps it alive: the order of destroying does not matter. */
#ifndef OLIVINE_MODEL_H
#define OLIVINE_MODEL_H

#include <olivine/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- core: the threads, and defaults of properties ---- */

typedef struct olv_core olv_core;
OLV_API OLV_MUST_USE olv_status olv_core_create(olv_core **out, olv_error *err);
OLV_API void olv_core_destroy(olv_core *c);
/* Default of a property (list below) for models compiled later. Unknown names and bad values are errors that list the
 * valid ones. */
OLV_API OLV_MUST_USE olv_status olv_core_set_property(olv_core *c, const char *name, const char *value, olv_error *err);
/* Its value as text, valid until the next call of a function on this core by the same thread. */
OLV_API OLV_MUST_USE olv_status olv_core_get_property(olv_core *c, const char *name, const char **value, olv_error *err);
/* Names of the properties, one at a time; NULL after the last. */
OLV_API const char *olv_property_name(size_t i);

/* ---- models ---- */

typedef struct olv_model olv_model;
/* Reads a model file, or the one model file of a folder. The format is known by the content. */
OLV_API OLV_MUST_USE olv_status olv_model_read(const char *path, olv_model **out, olv_error *err);
/* Reads an ONNX model from memory, which is copied; folder (of external data) may be NULL. */
OLV_API OLV_MUST_USE olv_status olv_model_read_bytes(const void *data, size_t bytes, const char *folder, olv_model **out, olv_error *err);
OLV_API void olv_model_destroy(olv_model *m);
OLV_API size_t olv_model_n_inputs(const olv_model *m);
OLV_API size_t olv_model_n_outputs(const olv_model *m);
OLV_API void olv_model_get_input(const olv_model *m, size_t i, olv_port *out);
OLV_API void olv_model_get_output(const olv_model *m, size_t i, olv_port *out);
/* Fixes sizes of an input (-1 opens one); everything behind it is inferred again. Inputs that share a symbol with it are to
 * be reshaped too. The model is as before on failure. */
OLV_API OLV_MUST_USE olv_status olv_model_reshape(olv_model *m, const char *input, int rank, const int64_t *dims, olv_error *err);
/* The same with open sizes in bounds: a range of one size fixes it, others open it, and what a request gives is held
 * against them ({1, 10}; {0, -1}: any size). */
OLV_API OLV_MUST_USE olv_status olv_model_reshape_ranges(olv_model *m, const char *input, int rank, const olv_range *sizes, olv_error *err);
/* Writes the model as ONNX (opset 0: the newest that all its operators have), or as OpenVINO IR where PATH ends in ".xml". */
OLV_API OLV_MUST_USE olv_status olv_model_save(const olv_model *m, const char *path, int64_t opset, olv_error *err);
/* As ONNX with a chosen version of the file's form too: 4 to 13; 0: the one that came with the opset. Older readers refuse newer
 * ones whatever the opset. */
OLV_API OLV_MUST_USE olv_status olv_model_save_onnx(const olv_model *m, const char *path, int64_t opset, int64_t ir_version, olv_error *err);
/* An ONNX file for onnxruntime, which may use its own operators: layers of 4 and 8 bits become MatMulNBits. */
OLV_API OLV_MUST_USE olv_status olv_model_save_ort(const olv_model *m, const char *path, olv_error *err);
/* Writes the model as OpenVINO IR: PATH (".xml") and the ".bin" beside it, both or neither. With compress_to_f16 constants
 * of f32 are stored as f16. Operators that OpenVINO cannot say are an error of OLV_UNSUPPORTED that names node and reason. */
OLV_API OLV_MUST_USE olv_status olv_model_save_openvino(const olv_model *m, const char *path, bool compress_to_f16, olv_error *err);
/* JSON: name, producer, opset, inputs, outputs, operators with their numbers, weights by type, parameters. olv_free it. */
OLV_API OLV_MUST_USE olv_status olv_model_describe(const olv_model *m, char **json, olv_error *err);
/* The graph as text (docs/graph-text.md), after the pass of that name and those before it (NULL: as read). olv_free it. */
OLV_API OLV_MUST_USE olv_status olv_model_graph_text(const olv_model *m, const char *after_pass, char **text, olv_error *err);
/* The same as JSON: {"name", "inputs": [names], "outputs": [names], "values": [{"name", "kind", "type", "shape", "constant"?,
 * "default"?}], "nodes": [{"name", "op", "domain"?, "inputs", "outputs", "attributes"}]}; "" stands for an input left out,
 * tensors in attributes are their types, subgraphs are objects of the same form. olv_free it. */
OLV_API OLV_MUST_USE olv_status olv_model_graph_json(const olv_model *m, const char *after_pass, char **json, olv_error *err);
/* Makes a value inside the model an output too, behind those that there are, so that it can be looked at. */
OLV_API OLV_MUST_USE olv_status olv_model_add_output(olv_model *m, const char *value, olv_error *err);

/* ---- compiled models ---- */

typedef struct olv_compiled olv_compiled;
/* Plans the model for a device ("CPU"; "REFERENCE" evaluates every operator by its definition, slowly; NULL or "AUTO": the
 * best there is). The model is not changed. Properties by OpenVINO's names, as "NAME=VALUE" texts:
 * PERFORMANCE_HINT, NUM_STREAMS, INFERENCE_NUM_THREADS, INFERENCE_PRECISION_HINT, EXECUTION_MODE_HINT, ... With CACHE_DIR
 * what is prepared from the weights is kept in a file of that folder, and mapped the next time. */
OLV_API OLV_MUST_USE olv_status olv_compile(olv_core *core, const olv_model *model, const char *device,
                                            const char *const *properties, size_t n_properties, olv_compiled **out, olv_error *err);
OLV_API void olv_compiled_destroy(olv_compiled *c);
OLV_API size_t olv_compiled_n_inputs(const olv_compiled *c);
OLV_API size_t olv_compiled_n_outputs(const olv_compiled *c);
OLV_API void olv_compiled_get_input(const olv_compiled *c, size_t i, olv_port *out);
/* Index of the input of that name, or of one that the model's file also knows it by; -1 when there is none. */
OLV_API int olv_compiled_find_input(const olv_compiled *c, const char *name);
OLV_API void olv_compiled_get_output(const olv_compiled *c, size_t i, olv_port *out);
OLV_API OLV_MUST_USE olv_status olv_compiled_get_property(olv_compiled *c, const char *name, const char **value, olv_error *err);
/* Steps of the plan, one per line. olv_free it. */
OLV_API OLV_MUST_USE olv_status olv_compiled_plan_text(const olv_compiled *c, char **text, olv_error *err);
/* The compiled model as one blob (olv_free it): the graph with its weights, and what was prepared from them for this
 * processor. Import checks all of it; what is foreign, cut or changed is OLV_FORMAT. On another processor, or with properties
 * that ask for another precision, what was prepared is made anew. A blob of a file is mapped, not copied. */
OLV_API OLV_MUST_USE olv_status olv_compiled_export(const olv_compiled *c, void **data, size_t *bytes, olv_error *err);
OLV_API OLV_MUST_USE olv_status olv_compiled_export_file(const olv_compiled *c, const char *path, olv_error *err);
OLV_API OLV_MUST_USE olv_status olv_compiled_import(olv_core *core, const void *data, size_t bytes, const char *const *properties,
                                                    size_t n_properties, olv_compiled **out, olv_error *err);
OLV_API OLV_MUST_USE olv_status olv_compiled_import_file(olv_core *core, const char *path, const char *const *properties, size_t n_properties,
                                                         olv_compiled **out, olv_error *err);

/* ---- requests ---- */

typedef struct olv_request olv_request;
OLV_API OLV_MUST_USE olv_status olv_request_create(olv_compiled *c, olv_request **out, olv_error *err);
OLV_API void olv_request_destroy(olv_request *r); /* waits for a run in flight */
/* Gives an input, by name; the tensor is borrowed until it is replaced or the request ends. NULL takes it away. */
OLV_API OLV_MUST_USE olv_status olv_request_set_input(olv_request *r, const char *name, const olv_tensor *t, olv_error *err);
OLV_API OLV_MUST_USE olv_status olv_request_set_input_at(olv_request *r, size_t i, const olv_tensor *t, olv_error *err);
/* An output of the last run, borrowed: valid until the next run. NULL before the first. */
OLV_API const olv_tensor *olv_request_get_output(const olv_request *r, size_t i);
/* Runs, and returns when the outputs are there. */
OLV_API OLV_MUST_USE olv_status olv_request_run(olv_request *r, olv_error *err);
/* A model may keep variables from one run of a request to the next (OpenVINO's ReadValue and Assign). The next run begins anew. */
OLV_API OLV_MUST_USE olv_status olv_request_reset_states(olv_request *r, olv_error *err);
/* Runs on another thread. `done`, when not NULL, is called there at the end with what olv_request_wait will give. A run in
 * flight: OLV_STATE. */
typedef void olv_done_fn(void *ctx, olv_status status, const olv_error *err);
OLV_API OLV_MUST_USE olv_status olv_request_start(olv_request *r, olv_done_fn *done, void *ctx, olv_error *err);
/* Waits for the run started last, at most so many milliseconds (negative: without end; OLV_TIMEOUT), and gives its status. */
OLV_API OLV_MUST_USE olv_status olv_request_wait(olv_request *r, int64_t timeout_ms, olv_error *err);
/* Makes the run in flight end soon with OLV_CANCELLED; from any thread. */
OLV_API void olv_request_cancel(olv_request *r);

/* Times of the nodes in the runs since profiling was switched on. */
OLV_API void olv_request_profile(olv_request *r, bool on);
typedef void olv_profile_fn(void *ctx, const char *node, const char *type, const char *kernel, double ms);
OLV_API void olv_request_each_profile(const olv_request *r, olv_profile_fn *fn, void *ctx);

#ifdef __cplusplus
}
#endif
#endif
