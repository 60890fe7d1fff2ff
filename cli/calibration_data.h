/* SPDX-License-Identifier: Apache-2.0 */
/* Calibration data of commands that compress with data: options, and the samples of texts, conversations and token files.
 *
 * A dataset is a .txt file (a text a line), a .jsonl file (messages; prompt and answer; text; or ids), a folder of .npy
 * files of integers (a sample each), or `auto`: texts that the model writes itself. Samples of several datasets take turns. */
#ifndef CLI_CALIBRATION_DATA_H
#define CLI_CALIBRATION_DATA_H

#include "args.h"
#include <olivine/calibrate.h>

typedef struct calibration_args {
    arg_list datasets;
    int64_t num_samples, seqlen;
    double damping;
    const char *profile;
    bool awq, scale_estimation, gptq;
} calibration_args;

#define CALIBRATION_OPTIONS(a)                                                                                              \
    {"dataset", ARG_LIST, &(a).datasets, "FILE", "texts to calibrate with: .txt, .jsonl, a folder of .npy, auto (repeatable)", NULL}, \
    {"num-samples subset-size", ARG_INT, &(a).num_samples, "N", "samples to use at most (128 with auto, else all)", NULL},  \
    {"seqlen", ARG_INT, &(a).seqlen, "N", "tokens of a sample at most", NULL},                                              \
    {"awq", ARG_FLAG, &(a).awq, NULL, NULL, NULL},                               \
    {"scale-estimation", ARG_FLAG, &(a).scale_estimation, NULL, "scales that fit the outputs", NULL},                       \
    {"gptq", ARG_FLAG, &(a).gptq, NULL, "round columns one after another, each making good for those before", NULL},        \
    {"damping", ARG_REAL, &(a).damping, "R", "share of the Hessian's mean diagonal added to it (0.01)", NULL},              \
    {"profile", ARG_STRING, &(a).profile, "best", "everything with data that lowers the loss", NULL}

typedef struct calibration_data calibration_data;

/* The options ask for something with data. */
bool calibration_wanted(const calibration_args *a);
/* Reads the options; *out is NULL when they ask for nothing with data, else it holds the samples of MODEL and is named in
 * o->dataset. Exit code, 0: all is well. */
int calibration_open(const calibration_args *a, const char *model, olv_calibration_options *o, calibration_data **out);
void calibration_close(calibration_data *d); /* NULL accepted */

#endif
