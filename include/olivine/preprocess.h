/* SPDX-License-Identifier: Apache-2.0 */
/* What is done to an input before the model sees it, as nodes of the model: type, layout, colours, size, mean and scale.
 *
 *     olv_preprocess p;
 *     olv_preprocess_init(&p);
 *     p.dtype = OLV_U8, p.layout = "NHWC", p.height = p.width = -1; // frames of a camera, of any size
 *     p.colour = "BGR", p.model_colour = "RGB";
 *     p.mean = mean, p.n_mean = 3, p.scale = deviation, p.n_scale = 3;
 *     if (olv_model_preprocess(model, "image", &p, &err) != OLV_OK) ... */
#ifndef OLIVINE_PREPROCESS_H
#define OLIVINE_PREPROCESS_H

#include <olivine/model.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct olv_preprocess {
    size_t struct_size;
    olv_dtype dtype; /* of what will be given; NONE: the model's. Values are kept: 0..255 stays 0..255 */
    /* Letters of the dimensions: N, C, H, W, each once, and any others. model_layout NULL: NCHW, CHW, NC or HW by the rank;
     * layout (of what will be given) NULL: the same. */
    const char *layout, *model_layout;
    /* RGB, BGR or GRAY; both or neither. Grey is 0.299 red + 0.587 green + 0.114 blue. */
    const char *colour, *model_colour;
    int64_t height, width; /* of what will be given; 0: the model's, -1: any. Other sizes are resized to the model's */
    const char *resize;    /* linear (NULL), cubic, nearest: half-pixel centres, no antialiasing */
    const float *mean, *scale; /* (x - mean) / scale, for each channel of the model, or one number for all; n 0: not */
    size_t n_mean, n_scale;
} olv_preprocess;

OLV_API void olv_preprocess_init(olv_preprocess *p);
/* The order: type, layout, colours, size, mean, scale, the model's type. The model is as before on failure. */
OLV_API OLV_MUST_USE olv_status olv_model_preprocess(olv_model *m, const char *input, const olv_preprocess *p, olv_error *err);

#ifdef __cplusplus
}
#endif
#endif
