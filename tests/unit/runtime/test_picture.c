/* SPDX-License-Identifier: Apache-2.0 */
/* Pictures as inputs: formats, colours, shapes, sizes, and files that are broken. */
#include "base/alloc.h"
#include "base/file.h"
#include "graph_fixture.h"
#include "runtime/picture.h"
#include <stdio.h>
#include <stdlib.h>

#define FOLDER OL_TEST_DATA "/pictures/"

static olv_tensor *picture(const char *file, olv_dtype dtype, int rank, const int64_t *dims) {
    olv_port p = {.name = "x", .kind = OLV_KIND_TENSOR, .dtype = dtype, .rank = rank};
    char path[512];
    olv_tensor *t;
    olv_error err;
    for (int i = 0; i < rank; i++) p.dims[i] = dims[i];
    snprintf(path, sizeof path, "%s%s", FOLDER, file);
    ASSERT_OK(olv_tensor_read(path, rank ? &p : NULL, &t, &err));
    return t;
}

static uint8_t byte(const olv_tensor *t, int64_t i) { return ((const uint8_t *)olv_tensor_get_data(t))[i]; }

static void channels_first_and_last(void **state) {
    (void)state;
    olv_tensor *last = picture("rgb.png", OLV_U8, 0, NULL), *first = picture("rgb.png", OLV_F32, 4, (int64_t[]){-1, 3, -1, -1});
    const int64_t *d = olv_tensor_get_dims(last), *e = olv_tensor_get_dims(first);
    assert_true(d[0] == 4 && d[1] == 6 && d[2] == 3);
    assert_true(e[0] == 1 && e[1] == 3 && e[2] == 4 && e[3] == 6);
    const float *f = olv_tensor_get_data(first);
    for (int y = 0; y < 4; y++)
        for (int x = 0; x < 6; x++) {
            int want[3] = {40 * x, 60 * y, 7 * (x + y)};
            for (int c = 0; c < 3; c++) {
                assert_int_equal(byte(last, (y * 6 + x) * 3 + c), want[c]);
                assert_float_equal(f[(c * 4 + y) * 6 + x], (float)want[c] / 255, 1e-6);
            }
        }
    olv_tensor_destroy(last), olv_tensor_destroy(first);
}

static void areas_are_averaged_and_lines_interpolated(void **state) {
    (void)state;
    static const float reds[] = {40 * (0 + 0.5f * 1) / 1.5f, 40 * (0.5f * 1 + 2) / 1.5f, 40 * (3 + 0.5f * 4) / 1.5f, 40 * (0.5f * 4 + 5) / 1.5f};
    olv_tensor *t = picture("rgb.png", OLV_F32, 3, (int64_t[]){3, 2, 4});
    const float *f = olv_tensor_get_data(t);
    for (int y = 0; y < 2; y++)
        for (int x = 0; x < 4; x++) {
            assert_float_equal(f[8 + y * 4 + x] * 255, (float)(30 + 120 * y), 1e-3); /* rows 0,1 and 2,3 */
            assert_float_equal(f[y * 4 + x] * 255, reds[x], 1e-3); /* one and a half dots each */
        }
    olv_tensor_destroy(t);
    t = picture("grey16.png", OLV_U8, 2, (int64_t[]){2, 4});
    static const uint8_t want[] = {0, 64, 191, 255, 128, 112, 80, 64};
    for (int i = 0; i < 8; i++) assert_true(abs(byte(t, i) - want[i]) <= 1);
    olv_tensor_destroy(t);
}

static void colours_are_converted(void **state) {
    (void)state;
    olv_tensor *t = picture("alpha.png", OLV_U8, 3, (int64_t[]){1, 3, 1}); /* channels in front: height 3 by width 1 */
    assert_int_equal(olv_tensor_get_dims(t)[1], 3);
    olv_tensor_destroy(t);
    t = picture("alpha.png", OLV_U8, 3, (int64_t[]){1, -1, -1});
    assert_int_equal(byte(t, 0), 100);
    assert_true(byte(t, 1) > 30 && byte(t, 1) < 90);
    assert_int_equal(byte(t, 2), 0);
    olv_tensor_destroy(t);
    t = picture("palette.png", OLV_U8, 2, (int64_t[]){-1, -1});
    assert_int_equal(byte(t, 0), 0);
    assert_int_equal(byte(t, 1), 76);
    assert_int_equal(byte(t, 2), 150);
    assert_int_equal(byte(t, 3), 29);
    olv_tensor_destroy(t);
    t = picture("grey16.png", OLV_U8, 4, (int64_t[]){1, -1, -1, 3});
    assert_int_equal(byte(t, 3), 255);
    assert_int_equal(byte(t, 6), byte(t, 8));
    olv_tensor_destroy(t);
}

static void jpegs_are_read(void **state) {
    (void)state;
    olv_tensor *t = picture("solid.jpg", OLV_U8, 0, NULL);
    assert_int_equal(olv_tensor_get_count(t), 16 * 16 * 3);
    for (int64_t i = 0; i < 256; i++) assert_true(abs(byte(t, 3 * i) - 180) < 4 && abs(byte(t, 3 * i + 1) - 60) < 4 && abs(byte(t, 3 * i + 2) - 20) < 4);
    olv_tensor_destroy(t);
    t = picture("ramp.jpg", OLV_U8, 2, (int64_t[]){-1, -1}); /* progressive */
    assert_int_equal(olv_tensor_get_dims(t)[1], 32);
    for (int64_t i = 0; i < 32; i++) assert_true(abs(byte(t, i) - (int)(8 * i)) < 6);
    olv_tensor_destroy(t);
}

/* Every beginning of a file, and every file with one byte changed, is an error or a picture of its shape, never a crash. */
static void broken_files_are_refused(void **state) {
    static const char *const files[] = {"rgb.png", "solid.jpg", "ramp.jpg"};
    (void)state;
    olv_error err;
    for (int k = 0; k < 3; k++) {
        char path[512], *data;
        size_t len;
        snprintf(path, sizeof path, "%s%s", FOLDER, files[k]);
        ASSERT_OK(ol_file_read(path, 1 << 20, &data, &len, &err));
        for (size_t n = 0; n + 12 < len; n++) { /* the last chunk of a PNG says nothing */
            olv_tensor *t;
            if (!ol_picture_is(data, n)) continue;
            assert_int_equal(ol_picture_to_tensor(data, n, NULL, &t, &err), OLV_FORMAT);
            assert_true(strlen(err.message) > 5);
        }
        for (size_t i = 3; i < len; i++) {
            olv_tensor *t;
            data[i] = (char)(data[i] ^ 0x55);
            if (ol_picture_to_tensor(data, len, NULL, &t, &err) == OLV_OK) olv_tensor_destroy(t);
            data[i] = (char)(data[i] ^ 0x55);
        }
        ol_free(data);
    }
}

static void wrong_shapes_are_named(void **state) {
    (void)state;
    olv_error err;
    olv_tensor *t;
    olv_port p = {.name = "x", .kind = OLV_KIND_TENSOR, .dtype = OLV_F32, .rank = 4, .dims = {8, 3, 4, 4}};
    ASSERT_FAILS(OLV_SHAPE, "takes 8 pictures", olv_tensor_read(FOLDER "rgb.png", &p, &t, &err));
    p = (olv_port){.name = "x", .dtype = OLV_F32, .rank = 4, .dims = {1, 4, 4, 4}};
    ASSERT_FAILS(OLV_SHAPE, "no dimension of 1 or 3 channels", olv_tensor_read(FOLDER "rgb.png", &p, &t, &err));
    p = (olv_port){.name = "x", .dtype = OLV_F32, .rank = 1, .dims = {4}};
    ASSERT_FAILS(OLV_SHAPE, "rank 1", olv_tensor_read(FOLDER "rgb.png", &p, &t, &err));
    p = (olv_port){.name = "x", .dtype = OLV_STRING, .rank = 2, .dims = {4, 4}};
    ASSERT_FAILS(OLV_ARG, "strings", olv_tensor_read(FOLDER "rgb.png", &p, &t, &err));
}

int main(void) {
    if (!olv_picture_libraries()) return 77;
    const struct CMUnitTest tests[] = {cmocka_unit_test(channels_first_and_last), cmocka_unit_test(areas_are_averaged_and_lines_interpolated),
                                       cmocka_unit_test(colours_are_converted), cmocka_unit_test(jpegs_are_read),
                                       cmocka_unit_test(broken_files_are_refused), cmocka_unit_test(wrong_shapes_are_named)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
