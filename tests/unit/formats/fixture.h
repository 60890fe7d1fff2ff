/* SPDX-License-Identifier: Apache-2.0 */
/* Fixtures of model folders: archives of tests/data unpacked once into the build folder, golden arrays, and runs on the
 * reference device. Needs cmocka.h included before. */
#ifndef OL_TESTS_FORMATS_FIXTURE_H
#define OL_TESTS_FORMATS_FIXTURE_H

#include "base/alloc.h"
#include "base/file.h"
#include "base/json.h"
#include "device/reference/reference.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* The folder with the content of tests/data/NAME.tar.xz; its name carries size and time of the archive. */
static inline const char *unpacked(const char *name) {
    static char dir[1024];
    char archive[1024], command[4096];
    struct stat st;
    snprintf(archive, sizeof archive, "%s/%s.tar.xz", OL_TEST_DATA, name);
    assert_int_equal(stat(archive, &st), 0);
    snprintf(dir, sizeof dir, "%s/%s-%lld", OL_TEST_UNPACKED, name, (long long)st.st_size);
    if (ol_dir_exists(dir)) return dir;
    snprintf(command, sizeof command, "d='%s.tmp%ld' && mkdir -p \"$d\" && tar -xJf '%s' -C \"$d\" && { mv -T \"$d\" '%s' || rm -rf \"$d\"; }",
             dir, (long)getpid(), archive, dir);
    assert_int_equal(system(command), 0);
    assert_true(ol_dir_exists(dir));
    return dir;
}

/* f32 data of an .npy file (ol_free); *n elements. */
static inline float *npy_f32(const char *path, size_t *n) {
    char *text;
    size_t len;
    olv_error err;
    if (ol_file_read(path, (size_t)1 << 30, &text, &len, &err) != OLV_OK) fail_msg("%s", err.message);
    assert_true(len > 10 && memcmp(text, "\x93NUMPY\x01", 7) == 0 && strstr(text + 10, "'<f4'"));
    size_t head = 10 + (size_t)(uint8_t)text[8] + 256 * (size_t)(uint8_t)text[9];
    *n = (len - head) / sizeof(float);
    float *v = ol_alloc(*n * sizeof *v);
    memcpy(v, text + head, *n * sizeof *v);
    ol_free(text);
    return v;
}

/* Logits [n, vocab] of one sequence on the reference device (ol_free). */
static inline float *reference_logits(const ol_graph *g, const int64_t *ids, size_t n, size_t *count) {
    const char *names[] = {"input_ids", "positions", "output_rows"};
    ol_datum in[3], out;
    olv_error err = {OLV_OK, ""};
    int64_t dims[] = {(int64_t)n};
    memset(in, 0, sizeof in);
    memset(&out, 0, sizeof out);
    for (int i = 0; i < 3; i++) {
        in[i].present = true;
        assert_int_equal(ol_tensor_init(&in[i].tensor, OL_I64, 1, dims, &err), OLV_OK);
        for (size_t k = 0; k < n; k++) ((int64_t *)in[i].tensor.data)[k] = i == 0 ? ids[k] : (int64_t)k;
    }
    if (ol_reference_run(g, NULL, names, in, 3, &out, &err) != OLV_OK) fail_msg("%s", err.message);
    *count = (size_t)ol_tensor_count(&out.tensor);
    float *v = ol_alloc(*count * sizeof *v);
    ol_elems_to_f32(out.tensor.dtype, out.tensor.data, 0, *count, v);
    for (int i = 0; i < 3; i++) ol_datum_deinit(&in[i]);
    ol_datum_deinit(&out);
    return v;
}

static inline double max_difference(const float *a, const float *b, size_t n) {
    double worst = 0;
    for (size_t i = 0; i < n; i++) {
        double d = fabs((double)a[i] - (double)b[i]);
        worst = d > worst || isnan(d) ? (isnan(d) ? INFINITY : d) : worst;
    }
    return worst;
}

/* Prompt `index` of golden/prompts.json (ol_free). */
static inline int64_t *golden_prompt(const char *folder, size_t index, size_t *n) {
    char path[1300];
    json_t *j;
    olv_error err;
    snprintf(path, sizeof path, "%s/golden/prompts.json", folder);
    if (ol_json_read_file(path, 1 << 20, &j, &err) != OLV_OK) fail_msg("%s", err.message);
    const json_t *p = json_array_get(json_object_get(j, "prompts"), index);
    *n = json_array_size(p);
    int64_t *ids = ol_alloc((*n ? *n : 1) * sizeof *ids);
    for (size_t i = 0; i < *n; i++) ids[i] = json_integer_value(json_array_get(p, i));
    json_decref(j);
    return ids;
}

#endif
