/* SPDX-License-Identifier: Apache-2.0 */
/* Workers wait on a generation number: first by spinning, then in a futex. A job's lanes meet at a barrier made of one
 * flag per lane, each on a cache line of its own: a lane raises its flag and looks at all others'. */
#include "base/executor.h"
#include "base/alloc.h"
#include "base/cpu.h"
#include "base/error.h"
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SPIN_NS 50000
#define BARRIER_SPINS 4000

typedef struct padded_flag {
    _Alignas(64) atomic_uint value;
} padded_flag;

typedef struct ol_job {
    padded_flag arrived[OL_MAX_LANES];
    ol_lane_fn *fn;
    void *ctx;
    int lanes;
    bool crowded; /* more lanes than processors: yield soon */
} ol_job;

struct ol_executor {
    int n_threads, usable;
    pthread_t threads[OL_MAX_LANES];
    int started;      /* worker threads running */
    bool launched;    /* an attempt to start them was made */
    atomic_int owner; /* process whose threads they are; negated while a forked child takes over */
    pthread_mutex_t lock;
    _Alignas(64) atomic_uint generation; /* futex word: grows with each job */
    _Alignas(64) atomic_uint sleepers;
    _Alignas(64) atomic_uint running; /* workers that still have to finish the job */
    atomic_bool quit;
    ol_job job;
};

typedef struct worker {
    ol_executor *e;
    int index;
    unsigned seen; /* generation that this worker has dealt with */
} worker;

static inline void relax(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void futex_wait(atomic_uint *word, unsigned value) {
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}
static void futex_wake(atomic_uint *word) { syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0); }

static unsigned wait_for_generation(ol_executor *e, unsigned seen) {
    unsigned g;
    uint64_t deadline = 0;
    for (unsigned i = 0;; i++) {
        g = atomic_load_explicit(&e->generation, memory_order_acquire);
        if (g != seen) return g;
        relax();
        if (i % 64) continue;
        uint64_t now = now_ns();
        if (!deadline) deadline = now + SPIN_NS;
        else if (now > deadline) break;
    }
    atomic_fetch_add(&e->sleepers, 1);
    while ((g = atomic_load(&e->generation)) == seen) futex_wait(&e->generation, seen);
    atomic_fetch_sub(&e->sleepers, 1);
    return g;
}

static void *work(void *arg) {
    worker w = *(worker *)arg;
    ol_free(arg);
    for (;;) {
        w.seen = wait_for_generation(w.e, w.seen);
        if (atomic_load(&w.e->quit)) return NULL;
        ol_job *job = &w.e->job;
        if (w.index < job->lanes) {
            ol_lane lane = {w.index, job->lanes, job};
            job->fn(job->ctx, &lane);
        }
        atomic_fetch_sub_explicit(&w.e->running, 1, memory_order_release);
    }
}

olv_status ol_executor_create(int n_threads, ol_executor **out, olv_error *err) {
    if (n_threads < 0 || n_threads > OL_MAX_LANES)
        return ol_fail(err, OLV_ARG, "%d threads asked for, expected 0 (all) to %d", n_threads, OL_MAX_LANES);
    ol_executor *e = ol_alloc_aligned(sizeof *e);
    if (!e) return ol_fail(err, OLV_NOMEM, "no memory for an executor");
    memset(e, 0, sizeof *e);
    e->usable = ol_cpu_usable();
    e->n_threads = n_threads ? n_threads : e->usable;
    if (e->n_threads > OL_MAX_LANES) e->n_threads = OL_MAX_LANES;
    pthread_mutex_init(&e->lock, NULL);
    atomic_init(&e->owner, (int)getpid());
    *out = e;
    return OLV_OK;
}

int ol_executor_lanes(const ol_executor *e) { return e->n_threads; }

static void publish(ol_executor *e) {
    atomic_fetch_add(&e->generation, 1);
    if (atomic_load(&e->sleepers)) futex_wake(&e->generation);
}

void ol_executor_destroy(ol_executor *e) {
    if (!e) return;
    if (e->started && atomic_load(&e->owner) == (int)getpid()) {
        atomic_store(&e->quit, true);
        publish(e);
        for (int i = 0; i < e->started; i++) pthread_join(e->threads[i], NULL);
    }
    pthread_mutex_destroy(&e->lock);
    ol_free_aligned(e);
}

/* In a forked child the threads are gone, and the lock may be held by one of them for ever: begins anew. */
static void take_over(ol_executor *e) {
    int self = (int)getpid(), owner = atomic_load_explicit(&e->owner, memory_order_acquire);
    while (owner != self) {
        if (owner != -self && atomic_compare_exchange_strong(&e->owner, &owner, -self)) {
            pthread_mutex_init(&e->lock, NULL);
            e->started = 0;
            e->launched = false;
            atomic_store(&e->sleepers, 0);
            atomic_store(&e->running, 0);
            atomic_store_explicit(&e->owner, self, memory_order_release);
            return;
        }
        sched_yield();
        owner = atomic_load_explicit(&e->owner, memory_order_acquire);
    }
}

/* Signals are the business of the program's own threads, except those that report a fault or a profiling tick. */
static void mask_signals(sigset_t *old) {
    static const int kept[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGPROF};
    sigset_t all;
    sigfillset(&all);
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++) sigdelset(&all, kept[i]);
    pthread_sigmask(SIG_SETMASK, &all, old);
}

/* Starts the workers at the first job. A worker that cannot be started is done without. */
static void start_workers(ol_executor *e) {
    if (e->launched) return;
    e->launched = true;
    sigset_t old;
    mask_signals(&old);
    for (int i = 1; i < e->n_threads; i++) {
        worker *w = ol_alloc(sizeof *w);
        if (!w) break;
        *w = (worker){e, i, atomic_load(&e->generation)};
        if (pthread_create(&e->threads[i - 1], NULL, work, w)) {
            ol_free(w);
            break;
        }
        e->started++;
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
}

void ol_executor_run(ol_executor *e, int lanes, ol_lane_fn *fn, void *ctx) {
    take_over(e);
    pthread_mutex_lock(&e->lock);
    start_workers(e);
    if (lanes <= 0 || lanes > e->started + 1) lanes = e->started + 1;
    ol_job *job = &e->job;
    job->fn = fn;
    job->ctx = ctx;
    job->lanes = lanes;
    job->crowded = e->n_threads > e->usable;
    for (int i = 0; i < lanes; i++) atomic_store_explicit(&job->arrived[i].value, 0, memory_order_relaxed);
    if (lanes > 1) {
        atomic_store_explicit(&e->running, (unsigned)e->started, memory_order_relaxed);
        publish(e);
    }
    ol_lane lane = {0, lanes, job};
    fn(ctx, &lane);
    for (unsigned i = 0; lanes > 1 && atomic_load_explicit(&e->running, memory_order_acquire); i++) {
        relax();
        if (job->crowded || i > BARRIER_SPINS) sched_yield();
    }
    pthread_mutex_unlock(&e->lock);
}

void ol_lane_barrier(ol_lane *lane) {
    ol_job *job = lane->job;
    if (lane->count == 1) return;
    unsigned mine = atomic_load_explicit(&job->arrived[lane->index].value, memory_order_relaxed) + 1;
    atomic_store_explicit(&job->arrived[lane->index].value, mine, memory_order_release);
    for (int i = 0; i < lane->count; i++)
        for (unsigned n = 0; (int)(atomic_load_explicit(&job->arrived[i].value, memory_order_acquire) - mine) < 0; n++) {
            relax();
            if (job->crowded || n > BARRIER_SPINS) sched_yield();
        }
}

void ol_tiles_reset(ol_tiles *t, unsigned n_tiles, int lanes) {
    t->lanes = lanes;
    for (int i = 0; i < lanes; i++) {
        unsigned begin = (unsigned)((uint64_t)n_tiles * (unsigned)i / (unsigned)lanes);
        t->part[i].end = (unsigned)((uint64_t)n_tiles * (unsigned)(i + 1) / (unsigned)lanes);
        atomic_store_explicit(&t->part[i].next, begin, memory_order_relaxed);
    }
}

int64_t ol_tiles_next(ol_tiles *t, const ol_lane *lane) {
    for (int k = 0; k < t->lanes; k++) {
        int i = (lane->index + k) % t->lanes;
        if (atomic_load_explicit(&t->part[i].next, memory_order_relaxed) >= t->part[i].end) continue;
        unsigned n = atomic_fetch_add_explicit(&t->part[i].next, 1, memory_order_relaxed);
        if (n < t->part[i].end) return n;
    }
    return -1;
}

typedef struct for_job {
    ol_item_fn *fn;
    void *ctx;
    size_t n;
    atomic_size_t next;
} for_job;

static void run_items(void *ctx, ol_lane *lane) {
    for_job *j = ctx;
    for (size_t i; (i = atomic_fetch_add_explicit(&j->next, 1, memory_order_relaxed)) < j->n;) j->fn(j->ctx, i, lane->index);
}

void ol_executor_for(ol_executor *e, size_t n, ol_item_fn *fn, void *ctx) {
    for_job j = {.fn = fn, .ctx = ctx, .n = n};
    atomic_init(&j.next, 0);
    if (n) ol_executor_run(e, n < (size_t)e->n_threads ? (int)n : 0, run_items, &j);
}

static void nothing(void *ctx, ol_lane *lane) { (void)ctx, (void)lane; }

void ol_executor_wake(ol_executor *e) { ol_executor_run(e, 0, nothing, NULL); }
