/* SPDX-License-Identifier: Apache-2.0 */
/* BMP, PNM and TIFF: small pictures, every cut of them, and every byte of theirs changed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/picture_plain.h"
#include <string.h>

/* Two rows of two dots: red, green; blue, white. */
static const uint8_t dots[12] = {255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255};

static size_t make_pnm(uint8_t *p) {
    static const char head[] = "P6 # a comment\n2 2\n255\n";
    memcpy(p, head, sizeof head - 1);
    memcpy(p + sizeof head - 1, dots, sizeof dots);
    return sizeof head - 1 + sizeof dots;
}

/* From the bottom up, blue first, rows filled up to 8 bytes. */
static size_t make_bmp(uint8_t *p) {
    memset(p, 0, 70);
    memcpy(p, "BM", 2);
    p[10] = 54, p[14] = 40, p[18] = 2, p[22] = 2, p[26] = 1, p[28] = 24;
    for (int y = 0; y < 2; y++)
        for (int i = 0; i < 6; i++) p[54 + (1 - y) * 8 + i] = dots[y * 6 + i / 3 * 3 + 2 - i % 3];
    return 70;
}

static size_t make_tiff(uint8_t *p) {
    static const uint16_t entries[][2] = {{256, 2}, {257, 2}, {258, 8}, {259, 1}, {273, 106}, {277, 3}, {278, 2}, {284, 1}};
    memset(p, 0, 118);
    memcpy(p, "II*\0\x08", 5);
    p[8] = 8;
    for (int i = 0; i < 8; i++) {
        uint8_t *e = p + 10 + 12 * i;
        e[0] = (uint8_t)entries[i][0], e[1] = (uint8_t)(entries[i][0] >> 8), e[2] = 3, e[4] = 1, e[8] = (uint8_t)entries[i][1];
    }
    memcpy(p + 106, dots, sizeof dots);
    return 118;
}

static size_t (*const makers[])(uint8_t *) = {make_pnm, make_bmp, make_tiff};

static void test_dots(void **state) {
    (void)state;
    for (size_t k = 0; k < 3; k++) {
        uint8_t file[128];
        ol_picture p;
        olv_error err;
        size_t len = makers[k](file);
        assert_true(ol_picture_plain_is(file, len));
        if (ol_picture_plain_decode(file, len, &p, &err) != OLV_OK) fail_msg("%s", err.message);
        assert_true(p.width == 2 && p.height == 2 && p.channels == 3);
        assert_memory_equal(p.pixels, dots, sizeof dots);
        ol_picture_deinit(&p);
    }
}

/* From the heap, so that a sanitizer sees a read past the end. */
static olv_status decode_copy(const uint8_t *file, size_t len) {
    uint8_t *copy = ol_alloc(len);
    ol_picture p;
    memcpy(copy, file, len);
    olv_status s = ol_picture_plain_decode(copy, len, &p, NULL);
    ol_picture_deinit(&p);
    ol_free(copy);
    return s;
}

static void test_broken(void **state) {
    (void)state;
    for (size_t k = 0; k < 3; k++) {
        uint8_t file[128];
        size_t len = makers[k](file);
        for (size_t n = 0; n + 2 < len; n++) assert_int_not_equal(decode_copy(file, n), OLV_OK);
        for (size_t i = 0; i < len; i++)
            for (int v = 0; v < 256; v++) {
                makers[k](file);
                file[i] = (uint8_t)v;
                (void)decode_copy(file, len);
            }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_dots), cmocka_unit_test(test_broken)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
