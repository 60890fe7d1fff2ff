/* SPDX-License-Identifier: Apache-2.0 */
/* Sequences of the state pool: contents are compared with a plain model of them (one array of bytes per sequence). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "kernels/attention/attention.h"
#include "runtime/state_pool.h"
#include <string.h>

#define PER 4 /* bytes of a position in a block of these tests */
#define BLOCK ((int64_t)OLK_KV_BLOCK)

static const ol_state_layout kv_only = {.block_bytes = OLK_KV_BLOCK * PER};
static const ol_state_layout with_fixed = {.block_bytes = OLK_KV_BLOCK * PER, .fixed_floats = 3};
static const ol_state_layout fixed_only = {.fixed_floats = 3};

static ol_state_pool *make_pool(const ol_state_layout *l, size_t budget) {
    ol_state_pool *p = NULL;
    olv_error err;
    assert_int_equal(ol_state_pool_create(l, budget, &p, &err), OLV_OK);
    return p;
}

static ol_sequence *make_sequence(ol_state_pool *p) {
    ol_sequence *s = NULL;
    olv_error err;
    assert_int_equal(ol_sequence_create(p, &s, &err), OLV_OK);
    return s;
}

static uint8_t *place(const ol_sequence *s, int64_t position) {
    return (uint8_t *)(uintptr_t)ol_sequence_blocks(s)[position / BLOCK] + position % BLOCK * PER;
}

/* Appends n positions and writes `mark` and the position into them. */
static olv_status grow(ol_sequence *s, int64_t n, uint8_t mark, olv_error *err) {
    int64_t from = ol_sequence_length(s);
    olv_status st = ol_sequence_append(s, n, err);
    if (st != OLV_OK) return st;
    for (int64_t i = from; i < from + n; i++) {
        uint8_t v[PER] = {mark, (uint8_t)i, (uint8_t)(i >> 8), (uint8_t)~mark};
        memcpy(place(s, i), v, PER);
    }
    return OLV_OK;
}

static void must_grow(ol_sequence *s, int64_t n, uint8_t mark) {
    olv_error err = {OLV_OK, ""};
    if (grow(s, n, mark, &err) != OLV_OK) fail_msg("%s", err.message);
}

static void expect_marks(const ol_sequence *s, int64_t from, int64_t to, uint8_t mark) {
    assert_true(ol_sequence_length(s) >= to);
    for (int64_t i = from; i < to; i++) {
        uint8_t v[PER] = {mark, (uint8_t)i, (uint8_t)(i >> 8), (uint8_t)~mark};
        assert_memory_equal(place(s, i), v, PER);
    }
}

static void appends_and_truncates(void **state) {
    (void)state;
    olv_error err;
    ol_state_pool *p = make_pool(&kv_only, 0);
    ol_sequence *s = make_sequence(p);
    assert_int_equal(ol_state_pool_bytes(p), 0);
    must_grow(s, 1, 'a');
    assert_int_equal(ol_state_pool_bytes(p), kv_only.block_bytes);
    must_grow(s, BLOCK - 1, 'a');
    assert_int_equal(ol_state_pool_bytes(p), kv_only.block_bytes);
    must_grow(s, 3 * BLOCK + 5, 'a');
    assert_int_equal(ol_sequence_length(s), 4 * BLOCK + 5);
    assert_int_equal(ol_state_pool_bytes(p), 5 * kv_only.block_bytes);
    expect_marks(s, 0, 4 * BLOCK + 5, 'a');
    assert_int_equal(ol_sequence_truncate(s, 2 * BLOCK + 7, &err), OLV_OK);
    assert_int_equal(ol_state_pool_bytes(p), 3 * kv_only.block_bytes);
    must_grow(s, BLOCK, 'b');
    expect_marks(s, 0, 2 * BLOCK + 7, 'a');
    expect_marks(s, 2 * BLOCK + 7, 3 * BLOCK + 7, 'b');
    assert_int_equal(ol_sequence_truncate(s, 3 * BLOCK + 8, &err), OLV_ARG);
    assert_int_equal(ol_sequence_truncate(s, -1, &err), OLV_ARG);
    assert_int_equal(ol_sequence_append(s, -1, &err), OLV_LIMIT);
    assert_int_equal(ol_sequence_append(s, INT64_MAX, &err), OLV_LIMIT);
    assert_int_equal(ol_sequence_append(s, INT32_MAX, &err), OLV_LIMIT);
    assert_int_equal(ol_sequence_length(s), 3 * BLOCK + 7);
    assert_int_equal(ol_sequence_truncate(s, 0, &err), OLV_OK);
    assert_int_equal(ol_state_pool_bytes(p), 0);
    ol_sequence_destroy(s);
    ol_state_pool_destroy(p);
}

/* Forks share until one writes, and neither sees what the other writes. */
static void forks_copy_on_write(void **state) {
    (void)state;
    olv_error err;
    ol_state_pool *p = make_pool(&kv_only, 0);
    ol_sequence *a = make_sequence(p), *b = NULL, *c = NULL;
    must_grow(a, 2 * BLOCK + 10, 'a');
    assert_int_equal(ol_sequence_fork(a, &b, &err), OLV_OK);
    assert_int_equal(ol_state_pool_bytes(p), 3 * kv_only.block_bytes);
    for (int i = 0; i < 3; i++) assert_ptr_equal(ol_sequence_blocks(a)[i], ol_sequence_blocks(b)[i]);
    must_grow(b, 5, 'b');
    assert_ptr_equal(ol_sequence_blocks(a)[1], ol_sequence_blocks(b)[1]);
    assert_ptr_not_equal(ol_sequence_blocks(a)[2], ol_sequence_blocks(b)[2]);
    assert_int_equal(ol_state_pool_bytes(p), 4 * kv_only.block_bytes);
    const uint8_t *mine = ol_sequence_blocks(a)[2];
    must_grow(a, 7, 'A'); /* the only owner of its tail again: no copy */
    assert_ptr_equal(ol_sequence_blocks(a)[2], mine);
    expect_marks(a, 0, 2 * BLOCK + 10, 'a');
    expect_marks(a, 2 * BLOCK + 10, 2 * BLOCK + 17, 'A');
    expect_marks(b, 0, 2 * BLOCK + 10, 'a');
    expect_marks(b, 2 * BLOCK + 10, 2 * BLOCK + 15, 'b');
    /* Cut back into a shared block, then write there. */
    assert_int_equal(ol_sequence_truncate(b, BLOCK + 3, &err), OLV_OK);
    must_grow(b, 9, 'B');
    expect_marks(b, BLOCK + 3, BLOCK + 12, 'B');
    expect_marks(a, 0, 2 * BLOCK + 10, 'a');
    /* A fork at a block boundary needs no copy. */
    assert_int_equal(ol_sequence_truncate(a, 2 * BLOCK, &err), OLV_OK);
    assert_int_equal(ol_sequence_fork(a, &c, &err), OLV_OK);
    ol_sequence_destroy(a);
    must_grow(c, 1, 'c');
    expect_marks(c, 0, 2 * BLOCK, 'a');
    expect_marks(c, 2 * BLOCK, 2 * BLOCK + 1, 'c');
    ol_sequence_destroy(b);
    assert_int_equal(ol_state_pool_bytes(p), 3 * kv_only.block_bytes);
    ol_sequence_destroy(c);
    assert_int_equal(ol_state_pool_bytes(p), 0);
    ol_state_pool_destroy(p);
}

static void reorders(void **state) {
    (void)state;
    olv_error err;
    ol_state_pool *p = make_pool(&with_fixed, 0);
    ol_sequence *s[4];
    for (int i = 0; i < 4; i++) {
        s[i] = make_sequence(p);
        must_grow(s[i], BLOCK + 3 + i, (uint8_t)('a' + i));
        for (int k = 0; k < 3; k++) ol_sequence_fixed(s[i])[k] = (float)(10 * i + k);
    }
    const int from[] = {2, 0, 0, 3}, wrong[] = {0, 1, 2, 4};
    assert_int_equal(ol_sequence_reorder(s, wrong, 4, &err), OLV_ARG);
    assert_int_equal(ol_sequence_reorder(s, from, 4, &err), OLV_OK);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(ol_sequence_length(s[i]), BLOCK + 3 + from[i]);
        expect_marks(s[i], 0, BLOCK + 3 + from[i], (uint8_t)('a' + from[i]));
        for (int k = 0; k < 3; k++) assert_true(ol_sequence_fixed(s[i])[k] == (float)(10 * from[i] + k));
    }
    must_grow(s[1], 2, 'x');
    must_grow(s[2], 2, 'y');
    expect_marks(s[1], BLOCK + 3, BLOCK + 5, 'x');
    expect_marks(s[2], BLOCK + 3, BLOCK + 5, 'y');
    for (int n = 1; n < 12; n++) { /* out of memory: all sequences stay as they were */
        ol_alloc_fail_at((uint64_t)n, false);
        olv_status st = ol_sequence_reorder(s, (const int[]){3, 3, 3, 3}, 4, &err);
        ol_alloc_fail_at(0, false);
        if (st == OLV_OK) break;
        assert_int_equal(st, OLV_NOMEM);
        expect_marks(s[1], BLOCK + 3, BLOCK + 5, 'x');
        expect_marks(s[2], BLOCK + 3, BLOCK + 5, 'y');
    }
    for (int i = 0; i < 4; i++) ol_sequence_destroy(s[i]);
    assert_int_equal(ol_state_pool_bytes(p), 0);
    ol_state_pool_destroy(p);
}

static void keeps_fixed_states(void **state) {
    (void)state;
    olv_error err;
    ol_state_pool *p = make_pool(&fixed_only, 0);
    ol_sequence *s = make_sequence(p);
    for (int k = 0; k < 3; k++) assert_true(ol_sequence_fixed(s)[k] == 0);
    assert_int_equal(ol_sequence_append(s, 100, &err), OLV_OK);
    ol_sequence_fixed(s)[1] = 5;
    assert_int_equal(ol_sequence_truncate(s, 50, &err), OLV_STATE);
    assert_int_equal(ol_sequence_truncate(s, 100, &err), OLV_OK);
    assert_true(ol_sequence_fixed(s)[1] == 5);
    assert_int_equal(ol_sequence_truncate(s, 0, &err), OLV_OK);
    assert_true(ol_sequence_fixed(s)[1] == 0);
    ol_sequence_destroy(s);
    ol_state_pool_destroy(p);
}

static void saves_and_loads(void **state) {
    (void)state;
    olv_error err;
    ol_state_pool *p = make_pool(&with_fixed, 0), *other = make_pool(&kv_only, 0);
    ol_sequence *s = make_sequence(p), *t = make_sequence(p), *stranger = make_sequence(other);
    must_grow(s, 2 * BLOCK + 1, 's');
    for (int k = 0; k < 3; k++) ol_sequence_fixed(s)[k] = (float)k + 0.5f;
    must_grow(t, 5, 't');
    ol_buf b = OL_BUF_INIT;
    assert_int_equal(ol_sequence_save(s, &b, &err), OLV_OK);
    assert_int_equal(ol_sequence_load(t, b.data, b.len, &err), OLV_OK);
    assert_int_equal(ol_sequence_length(t), 2 * BLOCK + 1);
    expect_marks(t, 0, 2 * BLOCK + 1, 's');
    assert_memory_equal(ol_sequence_fixed(t), ol_sequence_fixed(s), 3 * sizeof(float));
    must_grow(t, 1, 'u');
    expect_marks(s, 0, 2 * BLOCK + 1, 's');
    /* What is not a state of this model is refused and changes nothing. */
    assert_int_equal(ol_sequence_load(stranger, b.data, b.len, &err), OLV_FORMAT);
    for (size_t n = 0; n < b.len; n += n < 32 ? 1 : 97) assert_int_equal(ol_sequence_load(t, b.data, n, &err), OLV_FORMAT);
    for (size_t i = 0; i < 24; i++) {
        b.data[i] = (char)(b.data[i] ^ 0x40);
        assert_int_equal(ol_sequence_load(t, b.data, b.len, &err), OLV_FORMAT);
        b.data[i] = (char)(b.data[i] ^ 0x40);
    }
    assert_int_equal(ol_sequence_length(t), 2 * BLOCK + 2);
    ol_buf_deinit(&b);
    ol_sequence_destroy(s), ol_sequence_destroy(t), ol_sequence_destroy(stranger);
    ol_state_pool_destroy(p), ol_state_pool_destroy(other);
}

static void obeys_the_budget(void **state) {
    (void)state;
    olv_error err = {OLV_OK, ""};
    ol_state_pool *p = make_pool(&kv_only, 3 * kv_only.block_bytes + 1);
    ol_sequence *s = make_sequence(p), *f = NULL;
    must_grow(s, BLOCK + 1, 's');
    assert_int_equal(grow(s, 3 * BLOCK, 'x', &err), OLV_LIMIT);
    assert_non_null(strstr(err.message, "budget"));
    assert_int_equal(ol_sequence_length(s), BLOCK + 1);
    assert_int_equal(ol_state_pool_bytes(p), 2 * kv_only.block_bytes);
    must_grow(s, BLOCK, 's');
    expect_marks(s, 0, 2 * BLOCK + 1, 's');
    assert_int_equal(ol_sequence_fork(s, &f, &err), OLV_OK); /* sharing costs nothing, writing does */
    assert_int_equal(grow(f, 1, 'f', &err), OLV_LIMIT);
    assert_int_equal(ol_sequence_length(f), 2 * BLOCK + 1);
    expect_marks(f, 0, 2 * BLOCK + 1, 's');
    assert_int_equal(ol_sequence_truncate(f, 2 * BLOCK, &err), OLV_OK);
    assert_int_equal(ol_sequence_truncate(s, 2 * BLOCK, &err), OLV_OK);
    must_grow(f, 1, 'f');
    expect_marks(f, 0, 2 * BLOCK, 's');
    ol_sequence_destroy(s), ol_sequence_destroy(f);
    assert_int_equal(ol_state_pool_bytes(p), 0);
    ol_state_pool_destroy(p);
}

/* Freed blocks serve again: a sequence that was this long before allocates nothing. */
static void reuses_blocks(void **state) {
    (void)state;
    olv_error err;
    ol_state_pool *p = make_pool(&kv_only, 0);
    ol_sequence *s = make_sequence(p);
    must_grow(s, 10 * BLOCK, 'a');
    uint64_t before = ol_alloc_count();
    for (int i = 0; i < 3; i++) {
        assert_int_equal(ol_sequence_truncate(s, 0, &err), OLV_OK);
        must_grow(s, 10 * BLOCK, (uint8_t)('b' + i));
        expect_marks(s, 0, 10 * BLOCK, (uint8_t)('b' + i));
    }
    assert_int_equal(ol_alloc_count(), before);
    ol_sequence_destroy(s);
    ol_state_pool_destroy(p);
}

static void survives_lack_of_memory(void **state) {
    (void)state;
    olv_error err;
    for (int n = 1; n < 20; n++) {
        ol_state_pool *p = NULL;
        ol_sequence *s = NULL, *f = NULL;
        ol_alloc_fail_at((uint64_t)n, false);
        olv_status st = ol_state_pool_create(&with_fixed, 0, &p, &err);
        if (st == OLV_OK) st = ol_sequence_create(p, &s, &err);
        if (st == OLV_OK) st = grow(s, 2 * BLOCK + 3, 's', &err);
        if (st == OLV_OK) st = ol_sequence_fork(s, &f, &err);
        if (st == OLV_OK) st = grow(f, BLOCK, 'f', &err);
        ol_alloc_fail_at(0, false);
        ol_sequence_destroy(s), ol_sequence_destroy(f);
        if (p) assert_int_equal(ol_state_pool_bytes(p), 0);
        ol_state_pool_destroy(p);
        if (st == OLV_OK) {
            assert_true(n > 8);
            return;
        }
        assert_int_equal(st, OLV_NOMEM);
    }
    fail_msg("more allocations than expected");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appends_and_truncates), cmocka_unit_test(forks_copy_on_write), cmocka_unit_test(reorders),
        cmocka_unit_test(keeps_fixed_states),    cmocka_unit_test(saves_and_loads),     cmocka_unit_test(obeys_the_budget),
        cmocka_unit_test(reuses_blocks),         cmocka_unit_test(survives_lack_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
