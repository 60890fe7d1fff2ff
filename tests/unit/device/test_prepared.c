/* SPDX-License-Identifier: Apache-2.0 */
#include "device/prepared.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static void entries_share_what_was_made(void **state) {
    (void)state;
    ol_prepared p = {.store = ol_store_open(NULL, "")};
    bool made;
    const char source[2] = {0};
    ol_prepared_item *a = ol_prepare(&p, "w", source, 1, 100, &made);
    assert_true(a && made && (uintptr_t)a->data % 64 == 0);
    assert_ptr_equal(ol_prepare(&p, "w", source, 1, 100, &made), a);
    assert_false(made);
    ol_prepared_deinit(&p);
}

/* The first rows of a matrix begin where the whole does. */
static void a_part_is_not_the_whole(void **state) {
    (void)state;
    ol_prepared p = {.store = ol_store_open(NULL, "")};
    bool made;
    const char source = 0;
    ol_prepared_item *part = ol_prepare(&p, "w", &source, 1, 100, &made);
    ol_prepared_item *whole = ol_prepare(&p, "w", &source, 1, (size_t)9 << 20, &made);
    assert_true(made && whole != part);
    memset(whole->data, 1, whole->bytes);
    assert_ptr_not_equal(ol_prepare(&p, "w", &source, 2, 100, &made), part);
    ol_prepared_deinit(&p);
}

static void a_refused_item_gives_its_room_back(void **state) {
    (void)state;
    ol_prepared p = {.store = ol_store_open(NULL, "")};
    bool made;
    const char source[2] = {0};
    ol_prepared_item *a = ol_prepare(&p, "w", source, 1, 1000, &made);
    void *room = a->data;
    ol_prepare_refuse(&p, a);
    assert_null(a->data);
    assert_ptr_equal(ol_prepare(&p, "w", source, 1, 1000, &made), a); /* it is not tried again */
    assert_false(made);
    assert_ptr_equal(ol_prepare(&p, "w", source + 1, 1, 1000, &made)->data, room);
    ol_prepared_deinit(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(entries_share_what_was_made), cmocka_unit_test(a_part_is_not_the_whole),
                                       cmocka_unit_test(a_refused_item_gives_its_room_back)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
