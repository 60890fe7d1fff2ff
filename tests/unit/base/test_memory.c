/* SPDX-License-Identifier: Apache-2.0 */
#include "base/alloc.h"
#include "base/arena.h"
#include "base/bytes.h"
#include "base/checked.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void overflow_is_refused(void **state) {
    (void)state;
    size_t n = 7;
    int64_t i = 7;
    assert_false(ol_mul_size(SIZE_MAX, 2, &n));
    assert_false(ol_mul_size((size_t)1 << 32, (size_t)1 << 32, &n));
    assert_false(ol_add_size(SIZE_MAX, 1, &n));
    assert_false(ol_mul_i64(INT64_MIN, -1, &i));
    assert_false(ol_add_i64(INT64_MAX, 1, &i));
    assert_int_equal(n, 7);
    assert_int_equal(i, 7);
    assert_true(ol_mul_size(SIZE_MAX, 1, &n) && n == SIZE_MAX);
    assert_true(ol_add_i64(INT64_MAX, INT64_MIN, &i) && i == -1);
}

static void ranges_cannot_wrap(void **state) {
    (void)state;
    assert_true(ol_range_ok(0, 0, 0));
    assert_true(ol_range_ok(10, 0, 10));
    assert_true(ol_range_ok(3, 7, 10));
    assert_false(ol_range_ok(3, 8, 10));
    assert_false(ol_range_ok(11, 0, 10));
    assert_false(ol_range_ok(UINT64_MAX, 2, 10));
    assert_false(ol_range_ok(5, UINT64_MAX, 10));
}

static void nth_allocation_fails(void **state) {
    (void)state;
    uint64_t before = ol_alloc_count();
    ol_alloc_fail_at(2, false);
    void *a = ol_alloc(8), *b = ol_alloc(8), *c = ol_alloc(8);
    ol_alloc_fail_at(0, false);
    assert_non_null(a);
    assert_null(b);
    assert_non_null(c);
    assert_int_equal(ol_alloc_count() - before, 3);
    ol_alloc_fail_at(1, true);
    assert_null(ol_calloc(1, 1));
    assert_null(ol_realloc(a, 100));
    assert_null(ol_alloc_aligned(64));
    ol_alloc_fail_at(0, false);
    ol_free(a); /* still ours after the failed realloc */
    ol_free(c);
    ol_free(NULL);
}

static void blocks_are_as_promised(void **state) {
    (void)state;
    void *zero = ol_alloc(0);
    assert_non_null(zero);
    ol_free(zero);
    assert_null(ol_calloc(SIZE_MAX / 2, 3));
    assert_null(ol_alloc_aligned(SIZE_MAX));
    static const size_t sizes[] = {0, 1, 63, 64, 65, 4096, (size_t)9 << 20};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        unsigned char *p = ol_alloc_aligned(sizes[i]);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 64, 0);
        memset(p, 1, sizes[i]);
        ol_free_aligned(p);
    }
}

static void arena_gives_zeroed_aligned_blocks(void **state) {
    (void)state;
    ol_arena *a = ol_arena_create();
    assert_non_null(a);
    static const size_t sizes[] = {1, 0, 15, 16, 17, 1000, 65536, 200000, 3, 16385, 5};
    unsigned char *got[11];
    for (int i = 0; i < 11; i++) {
        got[i] = ol_arena_alloc(a, sizes[i]);
        assert_non_null(got[i]);
        assert_int_equal((uintptr_t)got[i] % 16, 0);
        for (size_t k = 0; k < sizes[i]; k++) assert_int_equal(got[i][k], 0);
        memset(got[i], i + 1, sizes[i]);
    }
    for (int i = 0; i < 11; i++) /* no two overlap */
        for (size_t k = 0; k < sizes[i]; k++) assert_int_equal(got[i][k], i + 1);
    assert_null(ol_arena_calloc(a, SIZE_MAX / 4, 8));
    assert_null(ol_arena_alloc(a, SIZE_MAX));
    assert_string_equal(ol_arena_strndup(a, "abcdef", 3), "abc");
    assert_string_equal(ol_arena_strdup(a, ""), "");
    assert_string_equal(ol_arena_printf(a, "%d-%s", 42, "x"), "42-x");
    assert_true(ol_arena_bytes(a) >= 282000);
    ol_arena_destroy(a);
    ol_arena_destroy(NULL);
}

static void arena_survives_failed_allocations(void **state) {
    (void)state;
    ol_arena *a = ol_arena_create();
    assert_non_null(ol_arena_alloc(a, 10));
    ol_alloc_fail_at(1, true);
    assert_null(ol_arena_alloc(a, 100000));
    assert_null(ol_arena_create());
    assert_non_null(ol_arena_alloc(a, 10)); /* room in the present chunk */
    ol_alloc_fail_at(0, false);
    assert_non_null(ol_arena_alloc(a, 100000));
    ol_arena_destroy(a);
}

static void reader_latches_at_the_end(void **state) {
    (void)state;
    static const uint8_t data[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
    ol_bytes r = ol_bytes_of(data, sizeof data);
    assert_int_equal(ol_bytes_u8(&r), 1);
    assert_int_equal(ol_bytes_u16(&r), 0x0302);
    assert_int_equal(ol_bytes_u32(&r), 0x07060504);
    assert_int_equal(ol_bytes_pos(&r), 7);
    assert_int_equal(ol_bytes_left(&r), 4);
    assert_int_equal(ol_bytes_u64(&r), 0);
    assert_true(r.failed);
    assert_int_equal(ol_bytes_u8(&r), 0);
    assert_null(ol_bytes_take(&r, 0));
    assert_int_equal(ol_bytes_left(&r), 0);
}

static void reader_takes_hostile_sizes(void **state) {
    (void)state;
    static const uint8_t data[4] = {0, 0, 128, 63};
    ol_bytes r = ol_bytes_of(data, 4);
    assert_true(ol_bytes_f32(&r) == 1.0f);
    r = ol_bytes_of(data, 4);
    assert_ptr_equal(ol_bytes_take(&r, 4), data);
    assert_false(r.failed);
    r = ol_bytes_of(data, 4);
    assert_null(ol_bytes_take(&r, UINT64_MAX));
    assert_true(r.failed);
    r = ol_bytes_of(NULL, 0);
    assert_int_equal(ol_bytes_u8(&r), 0);
    assert_true(r.failed);
}

static void varints(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
        bool ok;
        uint64_t value;
    } cases[] = {
        {"\x00", 1, true, 0},
        {"\x7f", 1, true, 127},
        {"\x80\x01", 2, true, 128},
        {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10, true, UINT64_MAX},
        {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10, false, 0}, /* 65 bits */
        {"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", 11, false, 0},
        {"\x80\x80", 2, false, 0},
        {"", 0, false, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ol_bytes r = ol_bytes_of(cases[i].bytes, cases[i].len);
        assert_true(ol_bytes_varint(&r) == cases[i].value);
        assert_int_equal(r.failed, !cases[i].ok);
    }
}

/* Big blocks together stay below the limit, whatever the system would promise. */
static void big_blocks_are_bounded(void **state) {
    (void)state;
    const size_t mib = (size_t)1 << 20;
    assert_true(ol_alloc_limit() > 64 * mib);
    assert_null(ol_alloc_aligned(ol_alloc_limit() + mib));
    ol_alloc_set_limit(64 * mib);
    void *a = ol_alloc_aligned(40 * mib), *b = ol_alloc_aligned(40 * mib), *small = ol_alloc_aligned(mib);
    assert_non_null(a);
    assert_null(b);
    assert_non_null(small);
    ol_free_aligned(a);
    b = ol_alloc_aligned(40 * mib);
    assert_non_null(b);
    ol_free_aligned(b);
    ol_free_aligned(small);
    ol_alloc_set_limit(0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(big_blocks_are_bounded),
        cmocka_unit_test(overflow_is_refused),
        cmocka_unit_test(ranges_cannot_wrap),
        cmocka_unit_test(nth_allocation_fails),
        cmocka_unit_test(blocks_are_as_promised),
        cmocka_unit_test(arena_gives_zeroed_aligned_blocks),
        cmocka_unit_test(arena_survives_failed_allocations),
        cmocka_unit_test(reader_latches_at_the_end),
        cmocka_unit_test(reader_takes_hostile_sizes),
        cmocka_unit_test(varints),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
