/* SPDX-License-Identifier: Apache-2.0 */
/* The executor under more lanes than processors: who takes part, what is seen after a barrier, that every tile is dealt
 * out once, queues of callers, forked children. */
#include "base/cpu.h"
#include "base/executor.h"
#include "base/error.h"
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#define ROUNDS 300

/* ThreadSanitizer does not allow threads in the child of a process that had some. */
#if defined(__SANITIZE_THREAD__)
#define CHILDREN 0
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define CHILDREN 0
#endif
#endif
#ifndef CHILDREN
#define CHILDREN (!getenv("OL_TEST_EMULATED")) /* emulators lose themselves in children of threaded programs */
#endif

typedef struct shared {
    atomic_int seen[OL_MAX_LANES];
    int plain[OL_MAX_LANES]; /* ordered by barriers alone */
    atomic_int wrong;
    int lanes;
} shared;

static void meet(void *ctx, ol_lane *lane) {
    shared *s = ctx;
    if (lane->count != s->lanes) atomic_fetch_add(&s->wrong, 1);
    atomic_fetch_add(&s->seen[lane->index], 1);
    for (int r = 1; r <= ROUNDS; r++) {
        s->plain[lane->index] = r;
        ol_lane_barrier(lane);
        for (int i = 0; i < lane->count; i++)
            if (s->plain[i] != r) atomic_fetch_add(&s->wrong, 1);
        ol_lane_barrier(lane);
    }
}

static void lanes_meet_at_barriers(void **state) {
    (void)state;
    for (int n = 1; n <= 8; n++) {
        ol_executor *e;
        assert_int_equal(ol_executor_create(n, &e, NULL), OLV_OK);
        assert_int_equal(ol_executor_lanes(e), n);
        for (int lanes = 1; lanes <= n; lanes++) {
            shared s = {.lanes = lanes};
            ol_executor_run(e, lanes, meet, &s);
            assert_int_equal(atomic_load(&s.wrong), 0);
            for (int i = 0; i < OL_MAX_LANES; i++) assert_int_equal(atomic_load(&s.seen[i]), i < lanes);
        }
        ol_executor_destroy(e);
    }
}

typedef struct tiled {
    ol_tiles tiles;
    atomic_int dealt[1000];
    unsigned n;
    bool slow_first;
} tiled;

static void deal(void *ctx, ol_lane *lane) {
    tiled *t = ctx;
    if (lane->index == 0) ol_tiles_reset(&t->tiles, t->n, lane->count);
    ol_lane_barrier(lane);
    for (int64_t i; (i = ol_tiles_next(&t->tiles, lane)) >= 0;) {
        atomic_fetch_add(&t->dealt[i], 1);
        if (t->slow_first && lane->index == 0) usleep(500);
    }
    for (int k = 0; k < 3; k++) /* asking on gives nothing more */
        if (ol_tiles_next(&t->tiles, lane) >= 0) atomic_fetch_add(&t->dealt[0], 100);
    ol_lane_barrier(lane);
}

static void every_tile_is_dealt_once(void **state) {
    (void)state;
    static const unsigned counts[] = {0, 1, 2, 3, 7, 8, 9, 100, 999};
    ol_executor *e;
    assert_int_equal(ol_executor_create(5, &e, NULL), OLV_OK);
    for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++)
        for (int lanes = 1; lanes <= 5; lanes++)
            for (int slow = 0; slow < 2; slow++) {
                tiled t = {.n = counts[c], .slow_first = slow && counts[c] == 100};
                ol_executor_run(e, lanes, deal, &t);
                for (unsigned i = 0; i < 1000; i++) assert_int_equal(atomic_load(&t.dealt[i]), i < t.n);
            }
    ol_executor_destroy(e);
}

/* One lane only asks: it gets its own part from the front, then all of the others'. */
static void an_idle_lane_takes_the_others_parts(void **state) {
    (void)state;
    ol_tiles t;
    ol_tiles_reset(&t, 10, 3);
    ol_lane second = {1, 3, NULL};
    bool got[10] = {false};
    int64_t first = ol_tiles_next(&t, &second);
    assert_int_equal(first, 3);
    got[first] = true;
    for (int i = 1; i < 10; i++) {
        int64_t k = ol_tiles_next(&t, &second);
        assert_in_range(k, 0, 9);
        assert_false(got[k]);
        got[k] = true;
    }
    assert_int_equal(ol_tiles_next(&t, &second), -1);
}

static void count_item(void *ctx, size_t i, int lane) {
    (void)lane;
    atomic_fetch_add(&((atomic_int *)ctx)[i], 1);
}

static void loops_cover_all_items(void **state) {
    (void)state;
    ol_executor *e;
    assert_int_equal(ol_executor_create(3, &e, NULL), OLV_OK);
    static const size_t counts[] = {0, 1, 2, 3, 4, 777};
    for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
        static atomic_int hit[778];
        for (int i = 0; i < 778; i++) atomic_store(&hit[i], 0);
        ol_executor_for(e, counts[c], count_item, hit);
        for (size_t i = 0; i < 778; i++) assert_int_equal(atomic_load(&hit[i]), i < counts[c]);
    }
    usleep(2000); /* long enough that the workers sleep */
    ol_executor_wake(e);
    static atomic_int hit[4];
    ol_executor_for(e, 4, count_item, hit);
    for (int i = 0; i < 4; i++) assert_int_equal(atomic_load(&hit[i]), 1);
    ol_executor_destroy(e);
}

typedef struct caller {
    ol_executor *e;
    atomic_int *inside, *wrong, *jobs;
} caller;

static void exclusive(void *ctx, ol_lane *lane) {
    caller *c = ctx;
    if (lane->index == 0 && atomic_fetch_add(c->inside, 1) != 0) atomic_fetch_add(c->wrong, 1);
    ol_lane_barrier(lane);
    ol_lane_barrier(lane);
    if (lane->index == 0) {
        atomic_fetch_sub(c->inside, 1);
        atomic_fetch_add(c->jobs, 1);
    }
}

static void *call_often(void *arg) {
    caller *c = arg;
    for (int i = 0; i < 200; i++) ol_executor_run(c->e, 1 + i % 3, exclusive, c);
    return NULL;
}

static void callers_queue_up(void **state) {
    (void)state;
    atomic_int inside = 0, wrong = 0, jobs = 0;
    caller c = {NULL, &inside, &wrong, &jobs};
    assert_int_equal(ol_executor_create(3, &c.e, NULL), OLV_OK);
    pthread_t t[4];
    for (int i = 0; i < 4; i++) assert_int_equal(pthread_create(&t[i], NULL, call_often, &c), 0);
    for (int i = 0; i < 4; i++) pthread_join(t[i], NULL);
    assert_int_equal(atomic_load(&wrong), 0);
    assert_int_equal(atomic_load(&jobs), 800);
    ol_executor_destroy(c.e);
}

static int run_in_child(ol_executor *e) {
    if (!CHILDREN) return 0;
    pid_t pid = fork();
    if (pid == 0) {
        alarm(20);
        shared s = {.lanes = 3};
        ol_executor_run(e, 3, meet, &s);
        ol_executor_destroy(e);
        _exit(atomic_load(&s.wrong) ? 1 : 0);
    }
    int code = -1;
    return waitpid(pid, &code, 0) == pid && WIFEXITED(code) ? WEXITSTATUS(code) : -1;
}

static void forked_children_get_threads_of_their_own(void **state) {
    (void)state;
    ol_executor *e;
    assert_int_equal(ol_executor_create(3, &e, NULL), OLV_OK);
    assert_int_equal(run_in_child(e), 0); /* before any job */
    shared s = {.lanes = 3};
    ol_executor_run(e, 0, meet, &s);
    assert_int_equal(run_in_child(e), 0);
    shared after = {.lanes = 3};
    ol_executor_run(e, 0, meet, &after);
    assert_int_equal(atomic_load(&s.wrong) + atomic_load(&after.wrong), 0);
    ol_executor_destroy(e);
}

typedef struct busy {
    ol_executor *e;
    atomic_int started, stop;
} busy;

static void linger(void *ctx, ol_lane *lane) {
    busy *b = ctx;
    if (lane->index == 0) atomic_store(&b->started, 1);
    while (!atomic_load(&b->stop)) usleep(100);
}

static void *keep_busy(void *arg) {
    ol_executor_run(((busy *)arg)->e, 0, linger, arg);
    return NULL;
}

static void a_child_forked_during_a_job_is_free(void **state) {
    (void)state;
    busy b = {.e = NULL};
    assert_int_equal(ol_executor_create(3, &b.e, NULL), OLV_OK);
    pthread_t t;
    assert_int_equal(pthread_create(&t, NULL, keep_busy, &b), 0);
    while (!atomic_load(&b.started)) usleep(100);
    assert_int_equal(run_in_child(b.e), 0);
    atomic_store(&b.stop, 1);
    pthread_join(t, NULL);
    ol_executor_destroy(b.e);
}

static void bad_counts_are_refused(void **state) {
    (void)state;
    ol_executor *e = NULL;
    olv_error err;
    assert_int_equal(ol_executor_create(-1, &e, &err), OLV_ARG);
    assert_int_equal(ol_executor_create(OL_MAX_LANES + 1, &e, &err), OLV_ARG);
    assert_null(e);
    assert_int_equal(ol_executor_create(0, &e, &err), OLV_OK);
    int usable = ol_cpu_usable();
    assert_int_equal(ol_executor_lanes(e), usable < OL_MAX_LANES ? usable : OL_MAX_LANES);
    ol_executor_destroy(e); /* never ran */
    ol_executor_destroy(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lanes_meet_at_barriers),
        cmocka_unit_test(every_tile_is_dealt_once),
        cmocka_unit_test(an_idle_lane_takes_the_others_parts),
        cmocka_unit_test(loops_cover_all_items),
        cmocka_unit_test(callers_queue_up),
        cmocka_unit_test(forked_children_get_threads_of_their_own),
        cmocka_unit_test(a_child_forked_during_a_job_is_free),
        cmocka_unit_test(bad_counts_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
