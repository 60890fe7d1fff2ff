/* SPDX-License-Identifier: Apache-2.0 */
/* Operators of one's own. They are registered with a core, and models read by olv_core_read_model may use them:
 *
 *     static olv_status infer(olv_op_call *c, void *ctx, olv_error *err) { return olv_op_set_output_like(c, 0, 0, err); }
 *     static olv_status eval(olv_op_call *c, void *ctx, olv_error *err) {
 *         const olv_tensor *x = olv_op_get_input(c, 0);
 *         olv_tensor *y;
 *         olv_status s = olv_op_make_output(c, 0, OLV_F32, olv_tensor_get_rank(x), olv_tensor_get_dims(x), &y, err);
 *         ...
 *     }
 *     const olv_op op = {.struct_size = sizeof op, .domain = "my.domain", .name = "Twice", .min_inputs = 1, .max_inputs = 1,
 *                        .min_outputs = 1, .max_outputs = 1, .infer = infer, .eval = eval};
 *     if (olv_register_op(core, &op, &err) != OLV_OK) ...
 *
 * An extension is a shared object with the function olv_extension_init, in which it registers. It is loaded by the program's
 * user, never because a model asks for it, and calls back into the library that loads it (link it without libolivine).
 *
 * Thread rule: eval runs on any thread of the core's, for several requests at once; a call belongs to its callback. */
#ifndef OLIVINE_EXTENSION_H
#define OLIVINE_EXTENSION_H

#include <olivine/model.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct olv_op_call olv_op_call;
/* Failing is returning another status than OLV_OK, after olv_op_fail. */
typedef olv_status olv_op_fn(olv_op_call *c, void *ctx, olv_error *err);

typedef struct olv_op {
    size_t struct_size;
    const char *domain, *name; /* copied; not of the standard's operators */
    int min_inputs, max_inputs, min_outputs, max_outputs; /* max -1: any number */
    olv_op_fn *infer; /* types of the outputs from those of the inputs */
    olv_op_fn *eval;
    void *ctx;
    void (*destroy)(void *ctx); /* when the last model and core that know the operator are gone; may be NULL */
} olv_op;

OLV_API OLV_MUST_USE olv_status olv_register_op(olv_core *core, const olv_op *op, olv_error *err);
/* olv_model_read with the core's own operators. The core lives on with the model. */
OLV_API OLV_MUST_USE olv_status olv_core_read_model(olv_core *core, const char *path, olv_model **out, olv_error *err);
/* Loads a shared object and calls its olv_extension_init. It stays loaded. */
OLV_API OLV_MUST_USE olv_status olv_core_load_extension(olv_core *core, const char *path, olv_error *err);
typedef olv_status olv_extension_init_fn(olv_core *core, olv_error *err);
#define OLV_EXTENSION_ENTRY "olv_extension_init"

/* ---- inside of both callbacks ---- */

OLV_API size_t olv_op_n_inputs(const olv_op_call *c);
OLV_API size_t olv_op_n_outputs(const olv_op_call *c);
/* Attributes of the node; the default where it has none of that name and type. Lists and text are borrowed. */
OLV_API int64_t olv_op_int(const olv_op_call *c, const char *name, int64_t def);
OLV_API double olv_op_float(const olv_op_call *c, const char *name, double def);
OLV_API const char *olv_op_string(const olv_op_call *c, const char *name, size_t *length); /* NULL: none */
OLV_API const int64_t *olv_op_ints(const olv_op_call *c, const char *name, size_t *count);
OLV_API const float *olv_op_floats(const olv_op_call *c, const char *name, size_t *count);
/* Fills the error record and gives the status. */
OLV_API olv_status olv_op_fail(olv_error *err, olv_status status, const char *message);

/* ---- inside of infer ---- */

/* What is known about an input; false: it is left out. */
OLV_API bool olv_op_get_type(const olv_op_call *c, size_t input, olv_port *out);
/* A tensor. Sizes: known ones; OLV_DIM_OF(input, axis): that of an input, known or not; -1: depends on data. */
#define OLV_DIM_OF(input, axis) (-2 - ((int64_t)(input) * OLV_MAX_RANK + (axis)))
OLV_API OLV_MUST_USE olv_status olv_op_set_output(olv_op_call *c, size_t output, olv_dtype dtype, int rank, const int64_t *dims, olv_error *err);
OLV_API OLV_MUST_USE olv_status olv_op_set_output_like(olv_op_call *c, size_t output, size_t input, olv_error *err);

/* ---- inside of eval ---- */

OLV_API const olv_tensor *olv_op_get_input(const olv_op_call *c, size_t i); /* NULL: left out */
/* The zeroed output, to be filled; it belongs to the call. */
OLV_API OLV_MUST_USE olv_status olv_op_make_output(olv_op_call *c, size_t i, olv_dtype dtype, int rank, const int64_t *dims,
                                                   olv_tensor **out, olv_error *err);

#ifdef __cplusplus
}
#endif
#endif
